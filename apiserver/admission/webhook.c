// SPDX-License-Identifier: Apache-2.0
// The two plug-ins.
//
// Mutating webhooks are asked one after another, by the name of their configuration
// and their place in it; each sees what those before it made. When any of them
// changed the object, the built-in plug-ins look at it once more, and then those
// webhooks that ask for it (reinvocationPolicy IfNeeded) and that did not see the
// last change. Validating ones are asked all at once; the first refusal by their
// order is the answer.
//
// Everything runs on the request's loop and lives in its arena; the snapshot of the
// configurations is held until the end.

#include "apiserver/admission/webhook.h"

#include <string.h>

#include "apiserver/admission/webhook_ask.h"
#include "apiserver/audit/audit_annotations.h"
#include "apiserver/server.h"
#include "apiserver/validation/validation.h"
#include "common/api/patch.h"

struct webhook_turn {
	const struct webhook *webhook;
	const struct schema_resource *resource;
	bool was_asked;
	unsigned seen; // how many changes there had been when it had answered
};

struct webhook_round {
	struct admission_wait *wait;
	struct webhooks *webhooks;
	enum webhook_type type;
	struct webhook_turn *turns;
	size_t count;
	size_t next;
	unsigned changes;
	unsigned pass;
	size_t pending; // validating
	struct webhook_ask *asks;
};

// --- which ones -------------------------------------------------------------------------------

static bool any_rule_matches(const struct change *change, enum admission_operation operation, enum webhook_type type)
{
	AUTO(webhooks_unref) struct webhooks *webhooks = webhooks_get(change->server, type);

	for (size_t i = 0; i < webhooks->count; i++)
		if (admission_matcher_rules(&webhooks->items[i].matcher, change, operation))
			return true;
	return false;
}

static bool waits(const struct change *change, enum admission_operation operation, enum webhook_type type)
{
	return !admission_is_hidden(change) && any_rule_matches(change, operation, type);
}

bool admission_mutating_webhook_waits(const struct change *change, enum admission_operation operation,
                                      enum admission_phase phase)
{
	return phase == ADMISSION_MUTATE && waits(change, operation, WEBHOOK_MUTATING);
}

bool admission_validating_webhook_waits(const struct change *change, enum admission_operation operation,
                                        enum admission_phase phase)
{
	return phase == ADMISSION_VALIDATE && waits(change, operation, WEBHOOK_VALIDATING);
}

static struct webhook_round *round_new(struct admission_wait *wait, enum webhook_type type)
{
	struct arena *arena = wait->change->arena;
	struct webhook_round *round = ARENA_NEW(arena, struct webhook_round);

	round->wait = wait;
	round->type = type;
	round->webhooks = webhooks_get(wait->change->server, type);
	round->turns = ARENA_ARRAY(arena, struct webhook_turn, round->webhooks->count + 1);
	for (size_t i = 0; i < round->webhooks->count; i++) {
		const struct webhook *webhook = &round->webhooks->items[i];
		const struct schema_resource *resource =
		        admission_matcher_rules(&webhook->matcher, wait->change, wait->operation);

		if (resource)
			round->turns[round->count++] = (struct webhook_turn){webhook, resource};
	}
	return round;
}

static void round_finish(struct webhook_round *round, const struct status *failure)
{
	round->webhooks = webhooks_unref(round->webhooks);
	admission_wait_next(round->wait, failure);
}

static struct webhook_ask make_ask(struct webhook_round *round, const struct webhook_turn *turn)
{
	return (struct webhook_ask){
	        .webhook = turn->webhook,
	        .resource = turn->resource,
	        .change = round->wait->change,
	        .operation = round->wait->operation,
	        .type = round->type,
	        .context = round,
	};
}

// --- mutating -----------------------------------------------------------------------------------

static void ask_next(struct webhook_round *round);

static const struct status *patch_failure(const struct webhook_ask *ask, const char *why)
{
	return status_internal(ask->change->arena, "failed to apply JSON patch of admission webhook \"%s\": %s",
	                       ask->webhook->name, why);
}

// The name of a new object may come from a webhook.
static void take_name(struct change *change)
{
	const char *name = json_get_text(json_get(change->object, "metadata"), "name");

	if (!change->old && name && name[0] && change->object != change->options)
		change->name = name;
}

static const struct status *apply_patch(struct webhook_round *round, const struct webhook_ask *ask)
{
	struct change *change = ask->change;
	struct json *object = ask->view.object ? json_clone(change->arena, ask->view.object) : NULL;
	const struct status *status;
	struct err err = ERR_INIT;

	if (!object)
		return patch_failure(ask, "there is no object to patch");
	if (patch_json(change->arena, &object, ask->answer.patch, &err) < 0)
		return patch_failure(ask, err.message);
	if (!json_is(object, JSON_OBJECT))
		return patch_failure(ask, "the patch leaves no object");
	if (json_equal(object, ask->view.object))
		return NULL;
	status = admission_view_take(&ask->view, object);
	if (status)
		return status;
	take_name(change);
	round->changes++;
	return NULL;
}

static void annotate_mutation(const struct webhook_round *round, const struct webhook_ask *ask, bool mutated)
{
	struct change *change = ask->change;

	audit_annotate(change->request,
	               arena_printf(change->arena, "mutation.webhook.admission.k8s.io/round_%u_index_%zu", round->pass,
	                            round->next - 1),
	               arena_printf(change->arena, "{\"configuration\":\"%s\",\"webhook\":\"%s\",\"mutated\":%s}",
	                            ask->webhook->configuration, ask->webhook->name, mutated ? "true" : "false"));
}

static void on_mutated(struct webhook_ask *ask, enum webhook_verdict verdict)
{
	struct webhook_round *round = ask->context;
	struct webhook_turn *turn = &round->turns[round->next - 1];
	const struct status *status = verdict == WEBHOOK_REFUSED ? ask->refusal : NULL;
	unsigned before = round->changes;

	if (verdict == WEBHOOK_ALLOWED && ask->answer.patch)
		status = apply_patch(round, ask);
	if (verdict == WEBHOOK_ALLOWED) {
		annotate_mutation(round, ask, round->changes != before);
		turn->was_asked = true;
		turn->seen = round->changes;
	}
	if (status)
		round_finish(round, status);
	else
		ask_next(round);
}

static bool has_turn(const struct webhook_round *round, const struct webhook_turn *turn)
{
	return !round->pass || (turn->was_asked && turn->webhook->reinvoked && turn->seen < round->changes);
}

// The second pass: the built-in plug-ins first. What they change counts as a change.
static const struct status *start_second_pass(struct webhook_round *round)
{
	struct change *change = round->wait->change;
	struct json *before = change->object ? json_clone(change->arena, change->object) : NULL;
	const struct status *status;

	round->pass = 1;
	round->next = 0;
	if (round->wait->operation == ADMISSION_CONNECT || round->wait->operation == ADMISSION_DELETE)
		return NULL;
	status = admission_mutate(change, round->wait->operation);
	if (!status && !json_equal(before, change->object))
		round->changes++;
	return status;
}

static void ask_next(struct webhook_round *round)
{
	const struct status *status = NULL;

	for (;;) {
		while (round->next < round->count && !has_turn(round, &round->turns[round->next]))
			round->next++;
		if (round->next < round->count || round->pass || !round->changes)
			break;
		status = start_second_pass(round);
		if (status)
			break;
	}
	if (status || round->next == round->count) {
		round_finish(round, status);
		return;
	}
	round->asks = ARENA_NEW(round->wait->change->arena, struct webhook_ask);
	*round->asks = make_ask(round, &round->turns[round->next++]);
	round->asks->done = on_mutated;
	webhook_ask_start(round->asks);
}

void admission_mutating_webhook_start(struct admission_wait *wait)
{
	ask_next(round_new(wait, WEBHOOK_MUTATING));
}

// --- validating -----------------------------------------------------------------------------------

static void conclude(struct webhook_round *round)
{
	const struct status *refusal = NULL;

	for (size_t i = 0; i < round->count && !refusal; i++)
		refusal = round->asks[i].refusal;
	round_finish(round, refusal);
}

static void on_validated(struct webhook_ask *ask, enum webhook_verdict verdict)
{
	struct webhook_round *round = ask->context;

	if (verdict != WEBHOOK_REFUSED)
		ask->refusal = NULL;
	if (!--round->pending)
		conclude(round);
}

void admission_validating_webhook_start(struct admission_wait *wait)
{
	struct webhook_round *round = round_new(wait, WEBHOOK_VALIDATING);

	round->asks = ARENA_ARRAY(wait->change->arena, struct webhook_ask, round->count + 1);
	round->pending = round->count + 1; // so that early answers don't end it
	for (size_t i = 0; i < round->count; i++) {
		round->asks[i] = make_ask(round, &round->turns[i]);
		round->asks[i].done = on_validated;
		webhook_ask_start(&round->asks[i]);
	}
	if (!--round->pending)
		conclude(round);
}
