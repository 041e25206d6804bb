// SPDX-License-Identifier: Apache-2.0
#pragma once
// From the claims of a verified token to a user, by plain claims and by
// expressions; and the rules that both must satisfy. Pure; any thread.

#include "apiserver/authentication/user.h"
#include "common/base/err.h"

struct claim_rules;

// Of a JWTAuthenticator: claimValidationRules, claimMappings, userValidationRules; copied.
NODISCARD int claim_rules_new(const struct json *config, struct claim_rules **ret_rules, struct err *err);
struct claim_rules *claim_rules_free(struct claim_rules *rules);

// NULL and the user, or why there is none; all in the arena.
const char *claim_rules_apply(const struct claim_rules *rules, struct arena *arena, const struct json *claims,
                              struct user *ret_user);
