// SPDX-License-Identifier: Apache-2.0
#pragma once
// Certificate signing requests: what is asked for, whether a signer may give it,
// and the certificate. Pure but for the CA that is given.

#include <openssl/x509.h>
#include <stdbool.h>

#include "api/certificates_v1.h"
#include "common/base/arena.h"
#include "common/base/err.h"

#define SIGNER_API_CLIENT "kubernetes.io/kube-apiserver-client"
#define SIGNER_KUBELET_CLIENT "kubernetes.io/kube-apiserver-client-kubelet"
#define SIGNER_KUBELET_SERVING "kubernetes.io/kubelet-serving"
#define SIGNER_LEGACY "kubernetes.io/legacy-unknown"

struct certificate_ca {
	X509 *certificate;
	EVP_PKEY *key;
};
NODISCARD int certificate_ca_load(const char *certificate_file, const char *key_file, struct certificate_ca *ret_ca,
                                  struct err *err);
void certificate_ca_done(struct certificate_ca *ca);

// The PEM request of a spec, with its own signature checked; the caller frees it. NULL when it can't be read.
X509_REQ *certificate_request_read(const struct certificates_v1_certificate_signing_request_spec *spec);

// Whether it is what a kubelet asks for as a client: its subject, no other names, the usages of a client.
bool certificate_request_is_node_client(const struct certificates_v1_certificate_signing_request_spec *spec,
                                        X509_REQ *request);
// The same, and asked for by that node itself.
bool certificate_request_is_own(const struct certificates_v1_certificate_signing_request_spec *spec, X509_REQ *request);

// Whether the spec's signer gives such a certificate; the reason when not.
NODISCARD int certificate_request_check(const struct certificates_v1_certificate_signing_request_spec *spec,
                                        X509_REQ *request, struct err *err);

// The signed certificate as PEM on the heap, valid from five minutes ago for `seconds` from now, never longer than the
// CA.
char *certificate_request_sign(const struct certificates_v1_certificate_signing_request_spec *spec, X509_REQ *request,
                               const struct certificate_ca *ca, int64_t now_seconds, int64_t seconds, struct err *err);
