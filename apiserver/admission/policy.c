// SPDX-License-Identifier: Apache-2.0
// Every binding whose policy speaks of the change is judged, with each of its
// parameter objects. What its validationActions are decides what a failed validation
// does; the first that denies is the answer, with its reason as code.

#include "apiserver/admission/policy.h"

#include <string.h>

#include "apiserver/admission/policy_evaluate.h"
#include "apiserver/admission/policy_params.h"
#include "apiserver/audit/audit_annotations.h"
#include "apiserver/validation/validation.h"

struct round {
	struct change *change;
	enum admission_operation operation;
	const struct json *namespace_object;
	const struct status *refusal; // the first
	struct json *failures;        // for the audit log
};

// --- outcomes ---------------------------------------------------------------------------------

static int code_of(const char *reason)
{
	return !strcmp(reason, "Forbidden")               ? 403
	       : !strcmp(reason, "Unauthorized")          ? 401
	       : !strcmp(reason, "RequestEntityTooLarge") ? 413
	                                                  : 422;
}

static void deny(struct round *round, const struct policy_binding *binding, const char *message, const char *reason)
{
	struct change *change = round->change;
	const char *text =
	        arena_printf(change->arena, "ValidatingAdmissionPolicy '%s' with binding '%s' denied request: %s",
	                     binding->policy->name, binding->name, message);
	struct status *status;

	if (round->refusal)
		return;
	status = ARENA_NEW(change->arena, struct status);
	*status = *status_with_cause(change->arena, admission_forbid(change, "%s", text),
	                             (struct status_cause){.message = text});
	status->reason = reason[0] ? reason : "Invalid";
	status->code = code_of(status->reason);
	round->refusal = status;
}

static void note_failure(struct round *round, const struct policy_binding *binding,
                         const struct policy_decision *decision)
{
	struct arena *arena = round->change->arena;
	struct json *failure = json_object(arena);

	if (!round->failures)
		round->failures = json_array(arena);
	json_set_text(arena, failure, "message", decision->message);
	json_set_text(arena, failure, "policy", binding->policy->name);
	json_set_text(arena, failure, "binding", binding->name);
	json_set_integer(arena, failure, "expressionIndex", (int64_t)decision->expression);
	json_set(arena, failure, "validationActions", json_clone(arena, binding->action_list));
	json_append(arena, round->failures, failure);
}

static void act(struct round *round, const struct policy_binding *binding, const struct policy_outcome *outcome)
{
	struct request *request = round->change->request;
	struct arena *arena = round->change->arena;

	for (size_t i = 0; i < outcome->refusal_count; i++) {
		const struct policy_decision *decision = &outcome->refusals[i];

		if (binding->actions & POLICY_DENY)
			deny(round, binding, decision->message, decision->reason);
		if (binding->actions & POLICY_AUDIT)
			note_failure(round, binding, decision);
		if (binding->actions & POLICY_WARN)
			request_warn(request, arena_printf(arena,
			                                   "Validation failed for ValidatingAdmissionPolicy '%s' "
			                                   "with binding '%s': %s",
			                                   binding->policy->name, binding->name, decision->message));
	}
	for (size_t i = 0; i < outcome->note_count; i++)
		audit_annotate(request, outcome->notes[i].key, outcome->notes[i].value);
}

static void publish_failures(struct round *round)
{
	struct strbuf text = STRBUF_INIT(64 << 10);

	if (!round->failures)
		return;
	json_write(&text, round->failures);
	audit_annotate(round->change->request, "validation.policy.admission.k8s.io/validation_failure",
	               strbuf_text(&text));
	strbuf_done(&text);
}

// --- one binding --------------------------------------------------------------------------------

static void judge(struct round *round, const struct policy_binding *binding, const struct schema_resource *resource)
{
	struct change *change = round->change;
	const struct json *const *params;
	struct admission_view view;
	struct json *request;
	const char *why;
	size_t count;

	why = policy_params_find(change, binding, &params, &count);
	if (why) {
		if (!binding->policy->fails_open)
			deny(round, binding, arena_printf(change->arena, "failed to configure binding: %s", why), "");
		return;
	}
	admission_view_make(change, round->operation, resource, &view);
	request = admission_view_request(&view, "");
	json_remove(request, "uid");
	if (!round->namespace_object)
		round->namespace_object = admission_namespace_of(change);
	for (size_t i = 0; i < count; i++) {
		struct policy_outcome outcome;

		policy_evaluate(binding->policy, &view, request, params[i], round->namespace_object, &outcome);
		act(round, binding, &outcome);
	}
}

static bool is_bound(const struct round *round, const struct policy_binding *binding)
{
	const struct admission_matcher *matcher = &binding->matcher;

	if (!binding->has_matcher)
		return true;
	if (!admission_matcher_selects(matcher, round->change, round->operation))
		return false;
	// A binding without rules of its own takes those of the policy.
	if (!matcher->rules.count && !matcher->excluded.count)
		return true;
	if (!matcher->rules.count)
		return admission_matcher_rules(
		               &(struct admission_matcher){.rules = matcher->excluded, .exact = matcher->exact},
		               round->change, round->operation) == NULL;
	return admission_matcher_rules(matcher, round->change, round->operation) != NULL;
}

const struct status *admission_validating_policy(struct change *change, enum admission_operation operation)
{
	AUTO(policies_unref) struct policies *policies = NULL;
	struct round round = {.change = change, .operation = operation};

	if (admission_is_hidden(change))
		return NULL;
	policies = policies_get(change->server);
	for (size_t i = 0; i < policies->binding_count; i++) {
		const struct policy_binding *binding = &policies->bindings[i];
		const struct admission_matcher *matcher = &binding->policy->matcher;
		const struct schema_resource *resource = admission_matcher_rules(matcher, change, operation);

		if (resource && admission_matcher_selects(matcher, change, operation) && is_bound(&round, binding))
			judge(&round, binding, resource);
	}
	publish_failures(&round);
	return round.refusal;
}
