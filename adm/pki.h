// SPDX-License-Identifier: Apache-2.0
#pragma once
// Keys and X.509 certificates as files: a CA, and leaves that it signs. What is
// already there and good is kept, so that every phase can be run again.

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

struct pki_pair {
	X509 *certificate;
	EVP_PKEY *key;
};

void pki_pair_done(struct pki_pair *pair);
#define AUTO_PKI_PAIR __attribute__((cleanup(pki_pair_done)))

enum pki_usage {
	PKI_SERVER = 1,
	PKI_CLIENT = 2,
};

struct pki_request {
	const char *common_name;
	const char *organization;     // NULL = none
	unsigned usage;               // enum pki_usage; 0 for a CA
	const char *const *dns_names; // NULL-terminated, may be NULL
	const char *const *ip_addresses;
	int64_t validity_seconds;
	bool is_ca;
};

// A fresh key (ECDSA P-256) and a certificate for it: self-signed when `signer` is NULL.
NODISCARD int pki_issue(const struct pki_request *request, const struct pki_pair *signer, struct pki_pair *ret_pair,
                        struct err *err);

// PATH.crt (0644) and PATH.key (0600). A load of a missing pair is ERR_NOT_FOUND.
NODISCARD int pki_pair_load(const char *path, struct pki_pair *ret_pair, struct err *err);
NODISCARD int pki_pair_store(const char *path, const struct pki_pair *pair, struct err *err);

// True when `certificate` is signed by `signer`, valid now, and names everything the request names.
bool pki_certificate_serves(X509 *certificate, X509 *signer, const struct pki_request *request);

// PATH.key and PATH.pub: the service account signing key pair.
NODISCARD int pki_signing_key_ensure(const char *path, bool *ret_created, struct err *err);

// PEM texts on the heap; the caller owns them.
char *pki_certificate_pem(X509 *certificate);
char *pki_key_pem(EVP_PKEY *key);
