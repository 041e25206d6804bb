// SPDX-License-Identifier: Apache-2.0
#pragma once
// ValidatingAdmissionPolicies and their bindings as an immutable, shared snapshot.

#include "apiserver/admission/conditions.h"
#include "apiserver/admission/match.h"

// The environment of a policy's expressions.
struct policy_env {
	struct cel_env *env;
	struct cel_type *variables; // grows with each variable that is compiled
	int params_index;           // -1: the policy has no parameters
	int variables_index;
};
void policy_env_init(struct policy_env *env, enum cel_version version, bool has_params);
void policy_env_done(struct policy_env *env);

struct policy_expression {
	const char *text;
	struct cel_program *program; // NULL: it doesn't compile
	const char *error;
};

struct policy_validation {
	struct policy_expression expression;
	struct policy_expression message_expression; // text NULL: none
	const char *message;
	const char *reason;
};

struct policy_annotation {
	const char *key;
	struct policy_expression value;
};

struct policy {
	const char *name;
	struct admission_matcher matcher;
	struct policy_env env;
	struct match_conditions conditions;
	const char **variable_names;
	const struct cel_program **variable_programs;
	size_t variable_count;
	const char *variable_error; // of the first that doesn't compile
	struct policy_validation *validations;
	size_t validation_count;
	struct policy_annotation *annotations;
	size_t annotation_count;
	bool fails_open;
	const char *param_group, *param_version, *param_kind; // kind NULL: no parameters
};

enum policy_action {
	POLICY_DENY = 1,
	POLICY_WARN = 2,
	POLICY_AUDIT = 4,
};

struct policy_binding {
	const char *name;
	const struct policy *policy;
	bool has_matcher;
	struct admission_matcher matcher;
	unsigned actions;
	const struct json *action_list;
	const struct json *param_ref; // NULL = none
};

struct policies {
	_Atomic unsigned references;
	struct arena *arena;
	struct policy *items;
	size_t count;
	struct policy_binding *bindings; // by policy name, then their own
	size_t binding_count;
	int64_t changes[2]; // storage's last changes of both kinds
};

struct policy_cache;
struct policy_cache *policy_cache_new(void);
struct policy_cache *policy_cache_free(struct policy_cache *cache);
// The present snapshot, referenced. Thread-safe.
struct policies *policies_get(struct server *server);
struct policies *policies_unref(struct policies *policies);
DEFINE_CLEANUP(struct policies *, policies_unref)
