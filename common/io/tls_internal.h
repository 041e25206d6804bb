// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the server and client contexts of tls.c and tls_server.c share.

#include <openssl/ssl.h>

#include "common/base/err.h"

// A context with the options that both sides have.
NODISCARD int tls_context_new(const SSL_METHOD *method, SSL_CTX **ret_context, struct err *err);

// Each takes a file or, when that is NULL, PEM text.
NODISCARD int tls_use_certificate(SSL_CTX *context, const char *file, const char *data, struct err *err);
NODISCARD int tls_use_private_key(SSL_CTX *context, const char *file, const char *data, struct err *err);
NODISCARD int tls_trust_authorities(SSL_CTX *context, const char *file, const char *data, struct err *err);
