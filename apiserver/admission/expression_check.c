// SPDX-License-Identifier: Apache-2.0
// An expression that is new is held to the language of the release before, so that a
// downgrade understands it; one of an object that is updated to what is understood
// now.

#include "apiserver/admission/expression_check.h"

#include <string.h>

#include "apiserver/admission/policy_config.h"

static bool is_policy(const struct validation *v)
{
	return change_is_for(v->change, "admissionregistration.k8s.io", "validatingadmissionpolicies");
}

// The variables of the policy that stand before this expression.
static void add_variables(struct validation *v, struct policy_env *env, const char *expression)
{
	json_for_each_item (variable, json_path(v->change->object, "spec", "variables")) {
		const char *text = text_of(variable, "expression");
		struct cel_compile_result result = {0};

		if (text == expression)
			return;
		if (cel_compile(env->env, v->arena, text, strlen(text), &result)) {
			cel_type_add_field(env->env, env->variables, text_of(variable, "name"), &cel_type_dyn);
			continue;
		}
		cel_type_add_field(env->env, env->variables, text_of(variable, "name"),
		                   cel_program_type(result.program));
		cel_program_free(result.program);
	}
}

static void check_type(struct validation *v, enum expression_place place, const struct cel_program *program,
                       const char *expression, const struct rule_path *path)
{
	const struct cel_type *type = cel_program_type(program);
	const char *wanted = NULL;

	if (cel_type_equal(type, &cel_type_dyn) || place == EXPRESSION_VARIABLE)
		return;
	if (place == EXPRESSION_MESSAGE && !cel_type_equal(type, &cel_type_string))
		wanted = "must evaluate to string";
	else if (place == EXPRESSION_AUDIT_ANNOTATION && !cel_type_equal(type, &cel_type_string) &&
	         !cel_type_equal(type, &cel_type_null))
		wanted = "must evaluate to one of [string null_type]";
	else if ((place == EXPRESSION_MATCH_CONDITION || place == EXPRESSION_VALIDATION) &&
	         !cel_type_equal(type, &cel_type_bool))
		wanted = "must evaluate to bool";
	if (wanted)
		validation_invalid_text(v, path, expression, wanted);
}

void expression_check(struct validation *v, enum expression_place place, const char *expression,
                      const struct rule_path *path)
{
	enum cel_version version = v->change->old ? CEL_VERSION_STORED : CEL_VERSION_NEW;
	struct cel_compile_result result = {0};
	struct policy_env env = {0};

	if (place == EXPRESSION_DEVICE_SELECTOR)
		return; // judged where devices are
	if (is_policy(v)) {
		policy_env_init(&env, version, is_present(json_path(v->change->object, "spec", "paramKind")));
		if (place != EXPRESSION_MATCH_CONDITION)
			add_variables(v, &env, expression);
	} else {
		env.env = conditions_env_new(version);
	}
	if (cel_compile(env.env, v->arena, expression, strlen(expression), &result))
		validation_invalid_text(v, path, expression,
		                        arena_printf(v->arena, "compilation failed: %s", result.error));
	else
		check_type(v, place, result.program, expression, path);
	cel_program_free(result.program);
	policy_env_done(&env);
}
