// SPDX-License-Identifier: Apache-2.0

#include "apiserver/admission/conditions.h"

#include <string.h>

#include "apiserver/authorization/authorizer.h"
#include "apiserver/validation/validation.h"

struct cel_env *conditions_env_new(enum cel_version version)
{
	struct cel_env *env = cel_env_new(&(struct cel_env_options){.version = version});

	cel_env_declare(env, "object", &cel_type_dyn);
	cel_env_declare(env, "oldObject", &cel_type_dyn);
	cel_env_declare(env, "request", cel_type_admission_request(env));
	cel_env_declare(env, "authorizer", &cel_type_authorizer);
	cel_env_declare(env, "authorizer.requestResource", &cel_type_resource_check);
	return env;
}

// --- the authorizer -------------------------------------------------------------------------

static void decide(void *context, struct arena *arena, const struct cel_authorization_request *request,
                   struct cel_authorization_answer *ret_answer)
{
	struct change *change = context;
	struct user account;
	const struct user *user = &change->request->user;
	struct authorization_attributes attributes = {
	        .verb = request->verb ? request->verb : "",
	        .is_resource = !request->path,
	        .path = request->path ? request->path : "",
	        .group = request->group ? request->group : "",
	        .version = "*",
	        .resource = request->resource ? request->resource : "",
	        .subresource = request->subresource ? request->subresource : "",
	        .namespace_name = request->namespace ? request->namespace : "",
	        .name = request->name ? request->name : "",
	};
	struct authorization_answer answer;

	if (request->service_account_name) {
		user_of_service_account(arena, request->service_account_namespace, request->service_account_name, "",
		                        &account);
		user = &account;
	}
	if (request->field_selector)
		authorization_parse_field_selector(arena, request->field_selector, &attributes);
	if (request->label_selector)
		authorization_parse_label_selector(arena, request->label_selector, &attributes);
	authorize_attributes(change->server, arena, user, &attributes, &answer);
	*ret_answer = (struct cel_authorization_answer){
	        .decision = answer.decision == AUTHORIZATION_ALLOWED  ? CEL_AUTHORIZATION_ALLOWED
	                    : answer.decision == AUTHORIZATION_DENIED ? CEL_AUTHORIZATION_DENIED
	                                                              : CEL_AUTHORIZATION_NO_OPINION,
	        .reason = answer.reason,
	        .error = answer.error,
	};
}

void conditions_bind(const struct admission_view *view, struct json *request, struct conditions_input *ret_input)
{
	struct change *change = view->change;

	*ret_input = (struct conditions_input){
	        .change = change,
	        .authorizer = {.authorize = decide, .context = change},
	        .resource = {.verb = "",
	                     .group = view->resource->group,
	                     .resource = view->resource->plural,
	                     .subresource = change->subresource,
	                     .namespace = change->namespace_name,
	                     .name = change->name ? change->name : ""},
	};
	ret_input->bindings[VARIABLE_OBJECT] = cel_bind_json(view->object);
	ret_input->bindings[VARIABLE_OLD_OBJECT] = cel_bind_json(view->old);
	ret_input->bindings[VARIABLE_REQUEST] = cel_bind_json(request);
	ret_input->bindings[VARIABLE_AUTHORIZER] = cel_bind_value(cel_value_authorizer(&ret_input->authorizer));
	ret_input->bindings[VARIABLE_REQUEST_RESOURCE] =
	        cel_bind_value(cel_value_resource_check(change->arena, &ret_input->authorizer, &ret_input->resource));
}

// --- match conditions -----------------------------------------------------------------------

void match_conditions_compile(struct arena *arena, struct cel_env *env, const struct json *list,
                              struct match_conditions *ret_conditions)
{
	*ret_conditions =
	        (struct match_conditions){.items = ARENA_ARRAY(arena, struct match_condition, length_of(list) + 1)};
	json_for_each_item (row, list) {
		struct match_condition *condition = &ret_conditions->items[ret_conditions->count++];
		struct cel_compile_result result = {0};

		condition->name = text_of(row, "name");
		condition->expression = text_of(row, "expression");
		if (cel_compile(env, arena, condition->expression, strlen(condition->expression), &result) == 0)
			condition->program = result.program;
		else
			condition->error = arena_printf(arena, "compilation failed: %s", result.error);
	}
}

void match_conditions_done(struct match_conditions *conditions)
{
	for (size_t i = 0; i < conditions->count; i++)
		conditions->items[i].program = cel_program_free(conditions->items[i].program);
}

static const char *judge_one(const struct match_condition *condition, struct conditions_input *input,
                             size_t binding_count, struct cel_run *run, bool *ret_says_no)
{
	struct arena *arena = input->change->arena;
	struct cel_value value;
	struct cel_error error = {0};

	if (!condition->program)
		return condition->error;
	if (cel_eval(condition->program, run, input->bindings, binding_count, &value, &error))
		return arena_printf(arena, "expression '%s' resulted in error: %s", condition->expression,
		                    error.message);
	if (cel_value_kind(&value) != CEL_BOOL)
		return arena_printf(arena, "expression '%s' resulted in error: match condition must evaluate to bool",
		                    condition->expression);
	*ret_says_no = !cel_value_is_true(&value);
	return NULL;
}

enum match_outcome match_conditions_judge(const struct match_conditions *conditions, struct conditions_input *input,
                                          size_t binding_count, struct cel_run *run, const char **ret_error)
{
	const char *errors = NULL;
	size_t count = 0;

	*ret_error = NULL;
	for (size_t i = 0; i < conditions->count; i++) {
		bool says_no = false;
		const char *error = judge_one(&conditions->items[i], input, binding_count, run, &says_no);

		if (says_no)
			return MATCH_NO;
		if (error)
			errors = count++ ? arena_printf(input->change->arena, "%s, %s", errors, error) : error;
	}
	if (!count)
		return MATCH_YES;
	*ret_error = count > 1 ? arena_printf(input->change->arena, "[%s]", errors) : errors;
	return MATCH_ERROR;
}
