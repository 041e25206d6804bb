// SPDX-License-Identifier: Apache-2.0
// As with webhooks (webhook_config.c), a snapshot is as good as new while the last
// change of its kinds is the one that it was made at.

#include "apiserver/admission/policy_config.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/admission/admission_internal.h"
#include "apiserver/object_io.h"
#include "apiserver/server.h"
#include "apiserver/storage/storage.h"
#include "apiserver/validation/validation.h"
#include "common/api/object.h"
#include "common/base/memory.h"

struct policy_cache {
	pthread_mutex_t mutex;
	struct policies *present;
};

// --- the environment ------------------------------------------------------------------------

void policy_env_init(struct policy_env *env, enum cel_version version, bool has_params)
{
	env->env = conditions_env_new(version);
	cel_env_declare(env->env, "namespaceObject", cel_type_namespace(env->env));
	env->params_index = has_params ? cel_env_declare(env->env, "params", &cel_type_dyn) : -1;
	env->variables = cel_type_object(env->env, "kubernetes.variables");
	env->variables_index = cel_env_declare(env->env, "variables", env->variables);
}

void policy_env_done(struct policy_env *env)
{
	env->env = cel_env_unref(env->env);
}

// --- one policy -----------------------------------------------------------------------------

static void compile(struct policies *policies, struct policy *policy, const char *text,
                    struct policy_expression *expression)
{
	struct cel_compile_result result = {0};

	expression->text = text;
	if (cel_compile(policy->env.env, policies->arena, text, strlen(text), &result) == 0)
		expression->program = result.program;
	else
		expression->error =
		        arena_printf(policies->arena, "compilation error: compilation failed: %s", result.error);
}

static void read_variables(struct policies *policies, struct policy *policy, const struct json *list)
{
	policy->variable_names = ARENA_ARRAY(policies->arena, const char *, length_of(list) + 1);
	policy->variable_programs = ARENA_ARRAY(policies->arena, const struct cel_program *, length_of(list) + 1);
	json_for_each_item (row, list) {
		struct policy_expression variable = {0};

		compile(policies, policy, text_of(row, "expression"), &variable);
		if (!variable.program) {
			policy->variable_error = variable.error;
			return;
		}
		policy->variable_names[policy->variable_count] = text_of(row, "name");
		policy->variable_programs[policy->variable_count++] = variable.program;
		cel_type_add_field(policy->env.env, policy->env.variables, text_of(row, "name"),
		                   cel_program_type(variable.program));
	}
}

static void read_validations(struct policies *policies, struct policy *policy, const struct json *spec)
{
	const struct json *rules = json_get(spec, "validations"), *notes = json_get(spec, "auditAnnotations");

	policy->validations = ARENA_ARRAY(policies->arena, struct policy_validation, length_of(rules) + 1);
	policy->annotations = ARENA_ARRAY(policies->arena, struct policy_annotation, length_of(notes) + 1);
	json_for_each_item (rule, rules) {
		struct policy_validation *validation = &policy->validations[policy->validation_count++];

		compile(policies, policy, text_of(rule, "expression"), &validation->expression);
		validation->message = text_of(rule, "message");
		validation->reason = text_of(rule, "reason");
		if (text_of(rule, "messageExpression")[0])
			compile(policies, policy, text_of(rule, "messageExpression"), &validation->message_expression);
	}
	json_for_each_item (note, notes) {
		struct policy_annotation *annotation = &policy->annotations[policy->annotation_count++];

		annotation->key = text_of(note, "key");
		compile(policies, policy, text_of(note, "valueExpression"), &annotation->value);
	}
}

static void read_policy(struct policies *policies, const struct json *tree)
{
	struct policy *policy = &policies->items[policies->count++];
	const struct json *spec = json_get(tree, "spec"), *match = json_get(spec, "matchConstraints");
	const struct json *kind = json_get(spec, "paramKind");

	policy->name = text_of(json_get(tree, "metadata"), "name");
	policy->fails_open = !strcmp(text_of(spec, "failurePolicy"), "Ignore");
	if (is_present(kind)) {
		policy->param_kind = text_of(kind, "kind");
		api_version_split(policies->arena, text_of(kind, "apiVersion"), &policy->param_group,
		                  &policy->param_version);
	}
	admission_matcher_read(policies->arena, match, json_get(match, "resourceRules"),
	                       json_get(match, "excludeResourceRules"), &policy->matcher);
	policy_env_init(&policy->env, CEL_VERSION_STORED, is_present(kind));
	read_variables(policies, policy, json_get(spec, "variables"));
	match_conditions_compile(policies->arena, policy->env.env, json_get(spec, "matchConditions"),
	                         &policy->conditions);
	read_validations(policies, policy, spec);
}

// --- one binding ----------------------------------------------------------------------------

static const struct policy *find_policy(const struct policies *policies, const char *name)
{
	for (size_t i = 0; i < policies->count; i++)
		if (!strcmp(policies->items[i].name, name))
			return &policies->items[i];
	return NULL;
}

static unsigned read_actions(const struct json *list)
{
	static const struct {
		const char *name;
		unsigned action;
	} names[] = {{"Deny", POLICY_DENY}, {"Warn", POLICY_WARN}, {"Audit", POLICY_AUDIT}};
	unsigned actions = 0;

	json_for_each_item (item, list)
		for (size_t i = 0; i < ARRAY_SIZE(names); i++)
			if (json_text(item) && !strcmp(json_text(item), names[i].name))
				actions |= names[i].action;
	return actions;
}

static void read_binding(struct policies *policies, const struct json *tree)
{
	struct policy_binding *binding = &policies->bindings[policies->binding_count];
	const struct json *spec = json_get(tree, "spec"), *match = json_get(spec, "matchResources");
	const struct policy *policy = find_policy(policies, text_of(spec, "policyName"));

	if (!policy)
		return;
	policies->binding_count++;
	binding->name = text_of(json_get(tree, "metadata"), "name");
	binding->policy = policy;
	binding->action_list = json_get(spec, "validationActions");
	binding->actions = read_actions(binding->action_list);
	binding->param_ref = is_present(json_get(spec, "paramRef")) ? json_get(spec, "paramRef") : NULL;
	binding->has_matcher = is_present(match);
	if (binding->has_matcher)
		admission_matcher_read(policies->arena, match, json_get(match, "resourceRules"),
		                       json_get(match, "excludeResourceRules"), &binding->matcher);
}

static int compare_bindings(const void *a, const void *b)
{
	const struct policy_binding *x = a, *y = b;
	int order = strcmp(x->policy->name, y->policy->name);

	return order ? order : strcmp(x->name, y->name);
}

// --- all of them ----------------------------------------------------------------------------

static const struct schema_resource *kind_resource(size_t which)
{
	return schema_find_resource("admissionregistration.k8s.io", "v1",
	                            which ? "validatingadmissionpolicybindings" : "validatingadmissionpolicies");
}

static size_t load(struct server *server, struct arena *arena, size_t which, struct json ***ret_trees)
{
	const struct schema_resource *resource = kind_resource(which);
	struct stored_object **all;
	size_t count = storage_peek_all(server->storage, resource, "", &all);

	*ret_trees = ARENA_ARRAY(arena, struct json *, count + 1);
	for (size_t i = 0; i < count; i++) {
		(*ret_trees)[i] = object_load(arena, resource, all[i], NULL);
		stored_object_unref(all[i]);
	}
	free(all);
	return count;
}

static struct policies *read_all(struct server *server, const int64_t changes[2])
{
	struct policies *policies = NEW(struct policies);
	struct json **trees, **bindings;
	size_t count, binding_count;

	policies->references = 1;
	policies->changes[0] = changes[0];
	policies->changes[1] = changes[1];
	policies->arena = arena_new(0);
	count = load(server, policies->arena, 0, &trees);
	binding_count = load(server, policies->arena, 1, &bindings);
	policies->items = ARENA_ARRAY(policies->arena, struct policy, count + 1);
	policies->bindings = ARENA_ARRAY(policies->arena, struct policy_binding, binding_count + 1);
	for (size_t i = 0; i < count; i++)
		read_policy(policies, trees[i]);
	for (size_t i = 0; i < binding_count; i++)
		read_binding(policies, bindings[i]);
	qsort(policies->bindings, policies->binding_count, sizeof(*policies->bindings), compare_bindings);
	return policies;
}

static void policy_done(struct policy *policy)
{
	match_conditions_done(&policy->conditions);
	for (size_t i = 0; i < policy->variable_count; i++)
		cel_program_free((struct cel_program *)policy->variable_programs[i]);
	for (size_t i = 0; i < policy->validation_count; i++) {
		cel_program_free(policy->validations[i].expression.program);
		cel_program_free(policy->validations[i].message_expression.program);
	}
	for (size_t i = 0; i < policy->annotation_count; i++)
		cel_program_free(policy->annotations[i].value.program);
	policy_env_done(&policy->env);
}

struct policies *policies_unref(struct policies *policies)
{
	if (!policies || atomic_fetch_sub(&policies->references, 1) != 1)
		return NULL;
	for (size_t i = 0; i < policies->count; i++)
		policy_done(&policies->items[i]);
	arena_free(policies->arena);
	free(policies);
	return NULL;
}

struct policy_cache *policy_cache_new(void)
{
	struct policy_cache *cache = NEW(struct policy_cache);

	pthread_mutex_init(&cache->mutex, NULL);
	return cache;
}

struct policy_cache *policy_cache_free(struct policy_cache *cache)
{
	if (!cache)
		return NULL;
	policies_unref(cache->present);
	pthread_mutex_destroy(&cache->mutex);
	free(cache);
	return NULL;
}

struct policies *policies_get(struct server *server)
{
	struct policy_cache *cache = server->admission->policy_cache;
	const int64_t changes[2] = {storage_peek_change(server->storage, kind_resource(0)),
	                            storage_peek_change(server->storage, kind_resource(1))};
	struct policies *present;

	pthread_mutex_lock(&cache->mutex);
	present = cache->present;
	if (!present || present->changes[0] < changes[0] || present->changes[1] < changes[1]) {
		cache->present = read_all(server, changes);
		policies_unref(present);
		present = cache->present;
	}
	atomic_fetch_add(&present->references, 1);
	pthread_mutex_unlock(&cache->mutex);
	return present;
}
