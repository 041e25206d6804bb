// SPDX-License-Identifier: Apache-2.0
#pragma once
// One issuer of OpenID Connect tokens: its keys, and how claims become a user.

#include "apiserver/authentication/authentication.h"

// A JWTAuthenticator of the configuration (jwt[i]); copied. --oidc-* flags are made into one.
NODISCARD int jwt_issuer_new(struct server *server, const struct json *config,
                             struct token_authenticator **ret_authenticator, struct err *err);
