// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the server and client contexts of tls.c and tls_server.c share.

#include <openssl/ssl.h>

#include "common/base/arena.h"
#include "common/base/err.h"

// A context with the options that both sides have.
NODISCARD int tls_context_new(const SSL_METHOD *method, SSL_CTX **ret_context, struct err *err);

// Each takes a file or, when that is NULL, PEM text.
NODISCARD int tls_use_certificate(SSL_CTX *context, const char *file, const char *data, struct err *err);
NODISCARD int tls_use_private_key(SSL_CTX *context, const char *file, const char *data, struct err *err);
NODISCARD int tls_trust_authorities(SSL_CTX *context, const char *file, const char *data, struct err *err);

// --- names (tls_sni.c) ----------------------------------------------------------
enum {
	TLS_SNI_MAX = 16,
};
struct tls_sni;
struct tls_sni *tls_sni_new(void);
void tls_sni_free(struct tls_sni *sni);
// Takes the context over; `names` NULL: those of its certificate.
void tls_sni_add(struct tls_sni *sni, SSL_CTX *named, const char *const *names);
// From here on the context owns `sni` and asks it for each client's name.
void tls_sni_use(struct tls_sni *sni, SSL_CTX *context);

// --- judging certificates (tls_judge.c) --------------------------------------------
struct tls_identity;
NODISCARD int tls_store_new(const char *file, X509_STORE **ret_store, struct err *err);
// Each store may be NULL.
void tls_judge(SSL *ssl, X509_STORE *clients, X509_STORE *front_proxies, struct arena *arena,
               struct tls_identity *ret_identity);
// Subject, fingerprint and end of a certificate.
void tls_identity_read(X509 *certificate, struct arena *arena, struct tls_identity *ret_identity);
