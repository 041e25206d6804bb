// SPDX-License-Identifier: Apache-2.0
#pragma once
// TLS by OpenSSL: contexts for servers and clients, reloaded when their files
// change, and the identity of a peer's certificate.

#include <openssl/ssl.h>
#include <stdbool.h>

#include "common/base/arena.h"
#include "common/base/err.h"

struct tls_server_config {
	const char *certificate_file;
	const char *private_key_file;
	const char *client_ca_file; // NULL: no client certificates asked for
	bool require_client_certificate;
	bool offer_http2;    // ALPN h2, http/1.1
	int minimum_version; // TLS1_2_VERSION by default (0)
	// A client certificate of somebody else's authority ends no handshake: it is told as presented and not
	// verified, so that a token on the same connection can still speak for the client.
	bool accept_any_client_certificate;
	const char *front_proxy_ca_file;       // whose certificates may speak for others (request header); NULL = none
	const char *const *cipher_suites;      // IANA names, for TLS 1.2; NULL-terminated, NULL = the default
	const struct tls_sni_certificate *sni; // ended by {0}; NULL = none
};

// A certificate for clients that ask for certain names.
struct tls_sni_certificate {
	const char *certificate_file;
	const char *private_key_file;
	const char *const *names; // "a.example", "*.example"; NULL-terminated, NULL = those of the certificate
};

// A server context that re-reads its files when they change (checked at most
// once a second, at a handshake). Thread-safe.
struct tls_server;
NODISCARD int tls_server_new(const struct tls_server_config *config, struct tls_server **ret_server, struct err *err);
struct tls_server *tls_server_free(struct tls_server *server);

// A new connection object for an accepted socket; the caller owns it.
NODISCARD int tls_server_accept(struct tls_server *server, int fd, SSL **ret_ssl, struct err *err);

// Who the client of this connection is, judged now; again whenever tls_server_must_judge says so (a new authority
// file, an expired certificate).
struct tls_identity;
void tls_server_judge(struct tls_server *server, SSL *ssl, struct arena *arena, struct tls_identity *ret_identity);
bool tls_server_must_judge(const struct tls_server *server, const struct tls_identity *identity);

struct tls_client_config {
	const char *ca_file; // or:
	const char *ca_data; // PEM text; both NULL: the system's
	const char *certificate_file;
	const char *certificate_data; // PEM
	const char *private_key_file;
	const char *private_key_data; // PEM
	const char *server_name;      // SNI and verification; NULL: the host dialled
	bool insecure_skip_verify;
};

NODISCARD int tls_client_context_new(const struct tls_client_config *config, bool offer_http2, SSL_CTX **ret_context,
                                     struct err *err);

// A connection object for a connected socket that verifies the peer as
// `server_name` (NULL: the context's, else `host`); the caller owns it.
NODISCARD int tls_client_connect(SSL_CTX *context, int fd, const char *server_name, const char *host, SSL **ret_ssl,
                                 struct err *err);

// Who a verified peer certificate speaks for: subject CN and all O values.
struct tls_identity {
	const char *common_name; // NULL when there was no certificate, or one without a usable name
	const char *const *organizations;
	size_t organization_count;
	const char *uid;              // of the subject (OID 1.3.6.1.4.1.57683.2); NULL = none
	const char *fingerprint;      // SHA-256 of the certificate, in hexadecimal
	bool presented;               // a certificate was given, verified or not
	const char *front_proxy_name; // the common name ("" = none) when the front proxy's authority vouches; else NULL
	int64_t expires;              // when the certificate ends, seconds since 1970
	unsigned generation;          // of the authorities that it was judged by
};
void tls_peer_identity(SSL *ssl, struct arena *arena, struct tls_identity *ret_identity);

// Why a handshake of this connection failed, in Go's words where it has some
// ("tls: failed to verify certificate: x509: certificate signed by unknown authority").
int err_set_tls_handshake(struct err *err, SSL *ssl);

// The text of OpenSSL's error queue, emptied, into err.
int err_set_tls(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3);
