// SPDX-License-Identifier: Apache-2.0
#pragma once
// Keeps a certificate of the API server's making: asks for one by
// CertificateSigningRequest when there is none, or when the present one has lived for
// most of its time, and puts it into <directory>/<prefix>-current.pem (key and
// certificate), a link that moves in one step. Whoever reads that file sees the new one.

#include "kubelet/certificates/certificate_request.h"

struct certificate_manager;
struct loop;
struct rest_client;

struct certificate_manager_config {
	struct rest_client *client; // borrowed; of the loop that is given
	const char *signer_name;
	struct certificate_subject subject; // texts are borrowed
	const char *const *usages;          // NULL-terminated
	const char *directory;
	const char *prefix; // "kubelet-client"
	// The file holds a certificate that was not there before. May be NULL.
	void (*on_renewed)(void *context);
	void *context;
};

struct certificate_manager *certificate_manager_new(struct loop *loop, const struct certificate_manager_config *config);
struct certificate_manager *certificate_manager_free(struct certificate_manager *manager);

// "<directory>/<prefix>-current.pem"; the caller owns it.
char *certificate_current_path(const char *directory, const char *prefix);
// Writes a pair and moves the link to it.
NODISCARD int certificate_store(const char *directory, const char *prefix, const char *pem, size_t length,
                                int64_t now_ns, struct err *err);
