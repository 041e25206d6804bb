// SPDX-License-Identifier: Apache-2.0
#pragma once
// Service account tokens: issuing and believing them.

#include "apiserver/authentication/authentication.h"
#include "apiserver/request.h"

struct service_account_tokens;

NODISCARD int service_account_tokens_new(struct server *server, const struct authentication_flags *flags,
                                         struct service_account_tokens **ret_tokens, struct err *err);
struct token_authenticator *service_account_tokens_authenticator(struct service_account_tokens *tokens);

// The keys that are published and the first issuer.
const struct jwt_keys *service_account_tokens_keys(const struct service_account_tokens *tokens);
const char *service_account_tokens_issuer(const struct service_account_tokens *tokens);
const struct jwt_key *service_account_tokens_signing_key(const struct service_account_tokens *tokens); // NULL = none

// POST …/serviceaccounts/NAME/token.
void service_account_serve_token(struct request *request);
// /.well-known/openid-configuration and /openid/v1/jwks.
void service_account_serve_discovery(struct request *request);
void service_account_serve_keys(struct request *request);
