// SPDX-License-Identifier: Apache-2.0
// All expressions of a policy share one budget; variables are evaluated when they
// are first used and kept for the others.

#include "apiserver/admission/policy_evaluate.h"

#include <string.h>

#include "apiserver/validation/validation.h"

struct evaluation {
	const struct policy *policy;
	struct change *change;
	struct conditions_input input;
	size_t binding_count;
	struct cel_composition composition;
	struct cel_run run;
	struct policy_outcome *outcome;
};

static const char *trimmed(struct arena *arena, const char *text, size_t length)
{
	while (length && strchr(" \t\r\n", text[length - 1]))
		length--;
	while (length && strchr(" \t\r\n", *text)) {
		text++;
		length--;
	}
	return arena_strndup(arena, text, length);
}

static void refuse(struct evaluation *evaluation, const char *message, const char *reason, size_t index, bool is_error)
{
	struct policy_outcome *outcome = evaluation->outcome;

	if (is_error && evaluation->policy->fails_open)
		return;
	outcome->refusals[outcome->refusal_count++] = (struct policy_decision){message, reason, index, is_error};
}

// 0 with the value, else the error's text.
static const char *run(struct evaluation *evaluation, const struct policy_expression *expression,
                       struct cel_value *ret_value)
{
	struct arena *arena = evaluation->change->arena;
	struct cel_error error = {0};

	if (!expression->program)
		return expression->error;
	if (cel_eval(expression->program, &evaluation->run, evaluation->input.bindings, evaluation->binding_count,
	             ret_value, &error))
		return error.kind == CEL_ERROR_BUDGET
		               ? "validation failed due to running out of cost budget, no further validation rules "
		                 "will be run"
		               : arena_printf(arena, "expression '%s' resulted in error: %s", expression->text,
		                              error.message);
	return NULL;
}

// The text of a message expression; "" when it gives none that can be shown.
static const char *computed_message(struct evaluation *evaluation, const struct policy_validation *validation)
{
	struct arena *arena = evaluation->change->arena;
	struct cel_value value;
	const char *text;
	size_t length;

	if (!validation->message_expression.text || run(evaluation, &validation->message_expression, &value))
		return "";
	text = cel_value_text(&value, &length);
	if (!text || length > CEL_MESSAGE_MAX_BYTES)
		return "";
	text = trimmed(arena, text, length);
	return strchr(text, '\n') ? "" : text;
}

static const char *message_of(struct evaluation *evaluation, const struct policy_validation *validation)
{
	struct arena *arena = evaluation->change->arena;
	const char *text = computed_message(evaluation, validation);

	if (!text[0])
		text = trimmed(arena, validation->message, strlen(validation->message));
	if (text[0])
		return text;
	text = validation->expression.text;
	return arena_printf(arena, "failed expression: %s", trimmed(arena, text, strlen(text)));
}

static void validate(struct evaluation *evaluation)
{
	const struct policy *policy = evaluation->policy;

	for (size_t i = 0; i < policy->validation_count; i++) {
		const struct policy_validation *validation = &policy->validations[i];
		struct cel_value value;
		const char *error = run(evaluation, &validation->expression, &value);

		if (error)
			refuse(evaluation, error, "", i, true);
		else if (!cel_value_is_true(&value))
			refuse(evaluation, message_of(evaluation, validation), validation->reason, i, false);
	}
}

static void annotate(struct evaluation *evaluation)
{
	const struct policy *policy = evaluation->policy;
	struct arena *arena = evaluation->change->arena;

	for (size_t i = 0; i < policy->annotation_count; i++) {
		const struct policy_annotation *annotation = &policy->annotations[i];
		struct cel_value value;
		const char *error = run(evaluation, &annotation->value, &value), *text;
		size_t length;

		if (error) {
			refuse(evaluation, error, "", i, true);
			continue;
		}
		text = cel_value_text(&value, &length);
		if (!text && cel_value_kind(&value) != CEL_NULL)
			refuse(evaluation,
			       arena_printf(arena,
			                    "valueExpression '%s' resulted in unsupported return type: %s. Return type "
			                    "must be either string or null.",
			                    annotation->value.text, cel_value_type_name(&value)),
			       "", i, true);
		text = text ? trimmed(arena, text, length) : "";
		if (text[0])
			evaluation->outcome->notes[evaluation->outcome->note_count++] =
			        (struct policy_note){arena_printf(arena, "%s/%s", policy->name, annotation->key), text};
	}
}

static void bind_values(struct evaluation *evaluation, const struct admission_view *view, struct json *request,
                        const struct json *params, const struct json *namespace_object)
{
	const struct policy *policy = evaluation->policy;
	struct cel_binding *bindings = evaluation->input.bindings;

	conditions_bind(view, request, &evaluation->input);
	bindings[VARIABLE_NAMESPACE_OBJECT] = cel_bind_json(namespace_object);
	if (policy->env.params_index >= 0)
		bindings[policy->env.params_index] = cel_bind_json(params);
	bindings[policy->env.variables_index] = cel_bind_composition(&evaluation->composition);
	evaluation->binding_count = (size_t)policy->env.variables_index + 1;
	evaluation->composition = (struct cel_composition){
	        .type = policy->env.variables,
	        .names = policy->variable_names,
	        .programs = policy->variable_programs,
	        .count = policy->variable_count,
	        .bindings = bindings,
	        .binding_count = evaluation->binding_count,
	        .values = ARENA_ARRAY(view->change->arena, struct cel_composed_value, policy->variable_count + 1),
	};
}

void policy_evaluate(const struct policy *policy, const struct admission_view *view, struct json *request,
                     const struct json *params, const struct json *namespace_object, struct policy_outcome *ret_outcome)
{
	struct arena *arena = view->change->arena;
	struct evaluation *evaluation = ARENA_NEW(arena, struct evaluation);
	size_t count = policy->validation_count + policy->annotation_count;
	const char *error;
	enum match_outcome outcome;

	*ret_outcome = (struct policy_outcome){
	        .refusals = ARENA_ARRAY(arena, struct policy_decision, count + policy->annotation_count + 1),
	        .notes = ARENA_ARRAY(arena, struct policy_note, policy->annotation_count + 1),
	};
	evaluation->policy = policy;
	evaluation->change = view->change;
	evaluation->outcome = ret_outcome;
	evaluation->run = CEL_RUN_INIT(arena);
	evaluation->run.budget = CEL_MATCH_CONDITIONS_BUDGET;
	bind_values(evaluation, view, request, params, namespace_object);
	outcome = match_conditions_judge(&policy->conditions, &evaluation->input, evaluation->binding_count,
	                                 &evaluation->run, &error);
	if (outcome == MATCH_NO)
		return;
	if (outcome == MATCH_ERROR || policy->variable_error) {
		refuse(evaluation, outcome == MATCH_ERROR ? error : policy->variable_error, "", 0, true);
		return;
	}
	evaluation->run.budget = CEL_RUNTIME_BUDGET;
	validate(evaluation);
	annotate(evaluation);
}
