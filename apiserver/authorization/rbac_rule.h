// SPDX-License-Identifier: Apache-2.0
#pragma once
// One PolicyRule: matching, covering, and its text. Pure.

#include "apiserver/authorization/authorizer.h"
#include "common/api/json.h"

struct rbac_texts {
	const char **items;
	size_t count;
};

struct rbac_rule {
	struct rbac_texts verbs;
	struct rbac_texts groups;
	struct rbac_texts resources;
	struct rbac_texts names;
	struct rbac_texts paths;
	uint32_t verb_bits; // of the well-known verbs; all set for "*"
};

struct rbac_rules {
	struct rbac_rule *items;
	size_t count;
};

// From the `rules` of a role; everything is copied into the arena.
void rbac_rules_parse(struct arena *arena, const struct json *rules, struct rbac_rules *ret_rules);
struct json *rbac_rule_to_json(struct arena *arena, const struct rbac_rule *rule);
void rbac_rule_copy(struct arena *arena, const struct rbac_rule *from, struct rbac_rule *ret_rule);

// The bit of a well-known verb; 0 for others.
uint32_t rbac_verb_bit(const char *verb);
// `verb_bit` is rbac_verb_bit(attributes->verb), made once for many rules.
bool rbac_rule_allows(const struct rbac_rule *rule, const struct authorization_attributes *attributes,
                      uint32_t verb_bit);
bool rbac_rules_allow(const struct rbac_rules *rules, const struct authorization_attributes *attributes);

// Whether `owned` permits all that `wanted` does; what it doesn't is added to *ret_missing, one verb, group and
// resource a rule.
bool rbac_rules_cover(struct arena *arena, const struct rbac_rules *owned, const struct rbac_rules *wanted,
                      struct rbac_rules *ret_missing);
// `{APIGroups:["apps"], Resources:["deployments"], Verbs:["get" "list"]}`, a line for each, sorted; rules that
// differ in their verbs alone are one.
const char *rbac_rules_describe(struct arena *arena, const struct rbac_rules *rules);
