// SPDX-License-Identifier: Apache-2.0
//
// validatingadmissionpolicy-status-controller: reads the expressions of a policy with
// the types of the kinds that it matches, and tells in its status what would fail:
// status.typeChecking, and in status.observedGeneration that it has looked. Nothing
// is refused by it: the expressions compile without types.
//
// Kinds are those that the rules name in full, ten at most; of rules with "*" none is
// known. Keys are names of policies.
#include <string.h>

#include "api/admissionregistration_v1.h"
#include "common/api/object.h"
#include "common/api/view.h"
#include "common/cel/cel.h"
#include "controller-manager/controllers.h"

enum { MAX_KINDS = 10 };

static int start(struct controller *controller, struct err *err UNUSED)
{
	struct informer *policies =
	        controller_watch(controller, &schema_resource_admissionregistration_v1_validatingadmissionpolicies,
	                         controller_enqueue_object);
	controller_set_state(controller, policies);
	return 0;
}

// --- which kinds ----------------------------------------------------------------------------

struct kinds {
	const struct schema_resource *items[MAX_KINDS];
	size_t count;
};

static void add_kind(struct kinds *kinds, const struct schema_resource *resource)
{
	for (size_t i = 0; i < kinds->count; i++)
		if (kinds->items[i] == resource)
			return;
	if (resource && kinds->count < MAX_KINDS)
		kinds->items[kinds->count++] = resource;
}

static void add_rule(struct kinds *kinds, const struct admissionregistration_v1_named_rule_with_operations *rule)
{
	if (string_array_contains(&rule->api_groups, "*") || string_array_contains(&rule->api_versions, "*"))
		return;
	for (size_t i = 0; i < rule->api_groups.count; i++)
		for (size_t j = 0; j < rule->api_versions.count; j++)
			for (size_t k = 0; k < rule->resources.count; k++)
				add_kind(kinds,
				         schema_find_resource(rule->api_groups.items[i], rule->api_versions.items[j],
				                              rule->resources.items[k]));
}

static const struct schema_resource *
find_param_kind(struct arena *arena, const struct admissionregistration_v1_validating_admission_policy *policy)
{
	const char *group, *version;
	if (!policy->spec.param_kind || !policy->spec.param_kind->kind)
		return NULL;
	api_version_split(arena, policy->spec.param_kind->api_version ? policy->spec.param_kind->api_version : "",
	                  &group, &version);
	return schema_find_kind(group, version, policy->spec.param_kind->kind);
}

// --- one kind -------------------------------------------------------------------------------

struct checker {
	struct arena *arena;
	const struct admissionregistration_v1_validating_admission_policy *policy;
	struct cel_env *env;
	struct cel_type *variables;
};

static void add_variable(struct checker *checker, const struct admissionregistration_v1_variable *variable)
{
	struct cel_compile_result compiled = {0};
	const struct cel_type *type = &cel_type_dyn;
	if (!variable->name || !variable->expression)
		return;
	if (cel_compile(checker->env, checker->arena, variable->expression, strlen(variable->expression), &compiled) ==
	    0)
		type = cel_program_type(compiled.program);
	cel_type_add_field(checker->env, checker->variables, variable->name, type);
	cel_program_free(compiled.program);
}

static void checker_init(struct checker *checker, const struct schema_resource *kind)
{
	const struct schema_resource *params = find_param_kind(checker->arena, checker->policy);
	struct cel_env *env = cel_env_new(&(struct cel_env_options){.version = CEL_VERSION_STORED});
	const struct cel_type *object = cel_type_from_schema(env, kind->type);
	checker->env = env;
	cel_env_declare(env, "object", object);
	cel_env_declare(env, "oldObject", object);
	cel_env_declare(env, "request", cel_type_admission_request(env));
	cel_env_declare(env, "authorizer", &cel_type_authorizer);
	cel_env_declare(env, "authorizer.requestResource", &cel_type_resource_check);
	cel_env_declare(env, "namespaceObject", cel_type_namespace(env));
	if (checker->policy->spec.param_kind)
		cel_env_declare(env, "params", params ? cel_type_from_schema(env, params->type) : &cel_type_dyn);
	checker->variables = cel_type_object(env, "kubernetes.variables");
	cel_env_declare(env, "variables", checker->variables);
	for (size_t i = 0; i < checker->policy->spec.variables.count; i++)
		add_variable(checker, &checker->policy->spec.variables.items[i]);
}

// What the expression's use with this kind would fail with; NULL = nothing.
static const char *complaint(struct checker *checker, const char *expression)
{
	struct cel_compile_result compiled = {0};
	if (cel_compile(checker->env, checker->arena, expression, strlen(expression), &compiled))
		return compiled.error;
	cel_program_free(compiled.program);
	return NULL;
}

// --- all of them ------------------------------------------------------------------------------

static const char *check_expression(struct checker *checkers, const struct kinds *kinds, const char *expression)
{
	const char *text = NULL;
	for (size_t i = 0; i < kinds->count; i++) {
		const struct schema_resource *kind = kinds->items[i];
		const char *error = complaint(&checkers[i], expression);
		if (!error)
			continue;
		text = arena_printf(checkers[i].arena, "%s%s%s%s%s, Kind=%s: %s\n", text ? text : "", text ? "\n" : "",
		                    kind->group, *kind->group ? "/" : "", kind->version, kind->kind, error);
	}
	return text;
}

static void add_warning(struct arena *arena, struct json *warnings, size_t index, const char *member, const char *text)
{
	struct json *warning = json_object(arena);
	json_set_text(arena, warning, "fieldRef", arena_printf(arena, "spec.validations[%zu].%s", index, member));
	json_set_text(arena, warning, "warning", text);
	json_append(arena, warnings, warning);
}

static struct json *check_policy(struct arena *arena,
                                 const struct admissionregistration_v1_validating_admission_policy *policy)
{
	const struct admissionregistration_v1_match_resources *match = policy->spec.match_constraints;
	struct json *warnings = json_array(arena);
	struct checker checkers[MAX_KINDS];
	struct kinds kinds = {.count = 0};
	for (size_t i = 0; match && i < match->resource_rules.count; i++)
		add_rule(&kinds, &match->resource_rules.items[i]);
	for (size_t i = 0; i < kinds.count; i++) {
		checkers[i] = (struct checker){.arena = arena, .policy = policy};
		checker_init(&checkers[i], kinds.items[i]);
	}
	for (size_t i = 0; i < policy->spec.validations.count; i++) {
		const struct admissionregistration_v1_validation *rule = &policy->spec.validations.items[i];
		const char *text = rule->expression ? check_expression(checkers, &kinds, rule->expression) : NULL;
		if (text)
			add_warning(arena, warnings, i, "expression", text);
		text = rule->message_expression && *rule->message_expression
		               ? check_expression(checkers, &kinds, rule->message_expression)
		               : NULL;
		if (text)
			add_warning(arena, warnings, i, "messageExpression", text);
	}
	for (size_t i = 0; i < kinds.count; i++)
		cel_env_unref(checkers[i].env);
	return warnings;
}

static void reconcile_policy(struct controller *controller, struct reconcile *reconcile, const char *key)
{
	struct arena *arena = reconcile_arena(reconcile);
	struct api_object *object = informer_get_key(controller_state(controller), key);
	const struct admissionregistration_v1_validating_admission_policy *policy = object ? object->view : NULL;
	struct json *patch, *status, *checking, *warnings;
	if (!policy || policy->status.observed_generation == policy->metadata.generation)
		return;
	patch = json_object(arena);
	status = json_ensure_object(arena, patch, "status");
	checking = json_ensure_object(arena, status, "typeChecking");
	warnings = check_policy(arena, policy);
	json_set_integer(arena, status, "observedGeneration", policy->metadata.generation);
	json_set(arena, checking, "expressionWarnings", warnings->length ? warnings : json_null(arena));
	reconcile_patch(reconcile, object, "status", REST_MERGE_PATCH, patch, true, NULL, NULL);
}

const struct controller_type policy_status_controller = {
        .name = "validatingadmissionpolicy-status-controller",
        .start = start,
        .reconcile = reconcile_policy,
};
