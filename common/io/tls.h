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
};

// A server context that re-reads its files when they change (checked at most
// once a second, at a handshake). Thread-safe.
struct tls_server;
NODISCARD int tls_server_new(const struct tls_server_config *config, struct tls_server **ret_server, struct err *err);
struct tls_server *tls_server_free(struct tls_server *server);

// A new connection object for an accepted socket; the caller owns it.
NODISCARD int tls_server_accept(struct tls_server *server, int fd, SSL **ret_ssl, struct err *err);

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
};
void tls_peer_identity(SSL *ssl, struct arena *arena, struct tls_identity *ret_identity);

// Why a handshake of this connection failed, in Go's words where it has some
// ("tls: failed to verify certificate: x509: certificate signed by unknown authority").
int err_set_tls_handshake(struct err *err, SSL *ssl);

// The text of OpenSSL's error queue, emptied, into err.
int err_set_tls(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3);
