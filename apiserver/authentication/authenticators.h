// SPDX-License-Identifier: Apache-2.0
#pragma once
// How each token authenticator is made.

#include "apiserver/authentication/authentication.h"
#include "apiserver/authentication/service_account.h"

// token,user,uid[,"group1,group2"] a line.
NODISCARD int token_file_new(const char *file, struct token_authenticator **ret_authenticator, struct err *err);

// Secrets of type bootstrap.kubernetes.io/token in kube-system.
struct token_authenticator *bootstrap_tokens_new(void);

// TokenReview to a webhook, kept for --authentication-token-webhook-cache-ttl.
NODISCARD int token_webhook_new(struct server *server, const struct authentication_flags *flags,
                                struct token_authenticator **ret_authenticator, struct err *err);

// The issuers of --authentication-config or --oidc-*: adds an authenticator for each.
struct authentication_config;
NODISCARD int authentication_config_new(struct server *server, struct authentication *authentication,
                                        const struct authentication_flags *flags,
                                        struct authentication_config **ret_config, struct err *err);
void authentication_config_free(struct authentication_config *config);
// False: the configuration says nothing of anonymous requests.
bool authentication_config_anonymous(const struct authentication_config *config, const char *path, bool *ret_allowed);
