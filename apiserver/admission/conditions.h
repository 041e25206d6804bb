// SPDX-License-Identifier: Apache-2.0
#pragma once
// Expressions about a change: the variables that webhooks' match conditions and
// policies share, and match conditions themselves.

#include "apiserver/admission/match.h"
#include "common/cel/cel.h"

enum admission_variable {
	VARIABLE_OBJECT,
	VARIABLE_OLD_OBJECT,
	VARIABLE_REQUEST,
	VARIABLE_AUTHORIZER,
	VARIABLE_REQUEST_RESOURCE,
	VARIABLE_NAMESPACE_OBJECT, // from here on policies only
	VARIABLE_PARAMS,
	VARIABLE_VARIABLES,
	VARIABLE_COUNT_,
};

// An environment with the first five, for match conditions of webhooks.
struct cel_env *conditions_env_new(enum cel_version version);

// The values for one view. Everything lives in the change's arena.
struct conditions_input {
	struct cel_binding bindings[VARIABLE_COUNT_];
	struct cel_authorizer authorizer;
	struct cel_authorization_request resource;
	struct change *change;
};
void conditions_bind(const struct admission_view *view, struct json *request, struct conditions_input *ret_input);

// Compiled conditions of one webhook or policy.
struct match_condition {
	const char *name;
	const char *expression;
	struct cel_program *program; // NULL: it doesn't compile
	const char *error;           // why
};
struct match_conditions {
	struct match_condition *items;
	size_t count;
};
void match_conditions_compile(struct arena *arena, struct cel_env *env, const struct json *list,
                              struct match_conditions *ret_conditions);
void match_conditions_done(struct match_conditions *conditions);

enum match_outcome {
	MATCH_YES,
	MATCH_NO,
	MATCH_ERROR, // no condition says no, and some could not be decided
};
// *ret_error is set for MATCH_ERROR. `values` of the bindings: how many count.
enum match_outcome match_conditions_judge(const struct match_conditions *conditions, struct conditions_input *input,
                                          size_t binding_count, struct cel_run *run, const char **ret_error);
