// SPDX-License-Identifier: Apache-2.0
//
//   selectors, conditions ─► skipped
//     └─► dry run? ─► call ─► answer ─► allowed (warnings and annotations taken), refused
//                       └─► failure ─► failurePolicy: refused with 500, or skipped

#include "apiserver/admission/webhook_ask.h"

#include <string.h>

#include "apiserver/admission/admission_internal.h"
#include "apiserver/admission/webhook_metrics.h"
#include "apiserver/audit/audit_annotations.h"
#include "apiserver/server.h"
#include "apiserver/validation/validation.h"
#include "common/base/encode.h"
#include "common/base/log.h"

enum {
	MAX_REVIEW_BYTES = 64 << 20,
	MAX_WARNING_BYTES = 256,
};

static void conclude(struct webhook_ask *ask, enum webhook_verdict verdict)
{
	strbuf_done(&ask->body);
	ask->done(ask, verdict);
}

static void count(struct webhook_ask *ask, enum webhook_error error, int code, bool rejected)
{
	webhook_metrics_count(
	        ask->change->server, ask->webhook, ask->type, ask->operation,
	        &(struct webhook_result){
	                .seconds = (double)(loop_now_ns(ask->change->request->loop) - ask->started_ns) / 1e9,
	                .error = error,
	                .code = code,
	                .rejected = rejected,
	                .rejection_code = ask->refusal ? ask->refusal->code : 0,
	        });
}

// --- failures ---------------------------------------------------------------------------------

static void fail(struct webhook_ask *ask, enum webhook_error error, int code, const char *why)
{
	struct change *change = ask->change;
	const struct webhook *webhook = ask->webhook;

	if (webhook->fails_open) {
		log_warning("Failed calling webhook, failing open", kv_str("webhook", webhook->name),
		            kv_str("err", why));
		audit_annotate(change->request,
		               arena_printf(change->arena, "failed-open.%s.webhook.admission.k8s.io/round_0_index_0",
		                            ask->type == WEBHOOK_MUTATING ? "mutation" : "validating"),
		               webhook->name);
		count(ask, error, code, false);
		webhook_metrics_failed_open(change->server, webhook, ask->type);
		conclude(ask, WEBHOOK_SKIPPED);
		return;
	}
	log_warning("Failed calling webhook, failing closed", kv_str("webhook", webhook->name), kv_str("err", why));
	ask->refusal = status_internal(change->arena, "failed calling webhook \"%s\": %s", webhook->name, why);
	count(ask, error, code, true);
	conclude(ask, WEBHOOK_REFUSED);
}

// --- the answer -------------------------------------------------------------------------------

static void take_notes(struct webhook_ask *ask)
{
	struct change *change = ask->change;

	json_for_each_item (warning, ask->answer.warnings)
		if (json_text(warning))
			request_warn(change->request, arena_strndup(change->arena, json_text(warning),
			                                            strnlen(json_text(warning), MAX_WARNING_BYTES)));
	json_for_each_member (note, ask->answer.audit_annotations)
		if (json_text(note->value))
			audit_annotate(change->request,
			               arena_printf(change->arena, "%s/%s", ask->webhook->name, note->key),
			               json_text(note->value));
}

static void on_answer(struct webhook_call *call, const char *failure, int status, const char *body, size_t length)
{
	struct webhook_ask *ask = call->context;
	struct err err = ERR_INIT;

	if (failure) {
		fail(ask, WEBHOOK_ERROR_CALLING, status, failure);
		return;
	}
	if (webhook_answer_read(ask->change->arena, ask->webhook->name, body, length, ask->uid, ask->webhook->speaks_v1,
	                        ask->type == WEBHOOK_MUTATING, &ask->answer, &err) < 0) {
		fail(ask, WEBHOOK_ERROR_CALLING, status,
		     arena_printf(ask->change->arena, "received invalid webhook response: %s", err.message));
		return;
	}
	take_notes(ask);
	ask->refusal = ask->answer.refusal;
	count(ask, ask->answer.allowed ? WEBHOOK_ERROR_NONE : WEBHOOK_ERROR_REJECTED, status, !ask->answer.allowed);
	conclude(ask, ask->answer.allowed ? WEBHOOK_ALLOWED : WEBHOOK_REFUSED);
}

// --- the question -----------------------------------------------------------------------------

// True when the conditions leave the webhook out, or can't be judged (the verdict is given then).
static bool is_settled_by_conditions(struct webhook_ask *ask, struct json *request)
{
	const struct webhook *webhook = ask->webhook;
	struct change *change = ask->change;
	struct cel_run run = CEL_RUN_INIT(change->arena);
	struct conditions_input *input;
	const char *error;
	enum match_outcome outcome;

	if (!webhook->conditions.count)
		return false;
	input = ARENA_NEW(change->arena, struct conditions_input);
	run.budget = CEL_MATCH_CONDITIONS_BUDGET;
	conditions_bind(&ask->view, request, input);
	outcome = match_conditions_judge(&webhook->conditions, input, VARIABLE_REQUEST_RESOURCE + 1, &run, &error);
	if (outcome == MATCH_YES)
		return false;
	if (outcome == MATCH_ERROR && !webhook->fails_open) {
		ask->refusal = status_forbidden(change->arena, change->resource, change->name, error);
		conclude(ask, WEBHOOK_REFUSED);
		return true;
	}
	conclude(ask, WEBHOOK_SKIPPED);
	return true;
}

void webhook_ask_start(struct webhook_ask *ask)
{
	const struct webhook *webhook = ask->webhook;
	struct change *change = ask->change;
	struct server_loop *home = server_loop_of(change->server, change->request->loop);
	struct webhook_desk *desk = change->server->admission->webhook_desks[home - change->server->loops];
	struct json *request;

	ask->body = STRBUF_INIT(MAX_REVIEW_BYTES);
	ask->started_ns = loop_now_ns(change->request->loop);
	if (!admission_matcher_selects(&webhook->matcher, change, ask->operation)) {
		conclude(ask, WEBHOOK_SKIPPED);
		return;
	}
	uuid_v4(ask->uid);
	admission_view_make(change, ask->operation, ask->resource, &ask->view);
	request = admission_view_request(&ask->view, ask->uid);
	if (is_settled_by_conditions(ask, request))
		return;
	if (change->request->options.dry_run && !webhook->allows_dry_run) {
		ask->refusal = status_new(change->arena, ERR_BAD_REQUEST,
		                          "admission webhook \"%s\" does not support dry run", webhook->name);
		conclude(ask, WEBHOOK_REFUSED);
		return;
	}
	webhook_review_write(&ask->view, request, webhook->speaks_v1, &ask->body);
	ask->call = (struct webhook_call){
	        .webhook = webhook,
	        .arena = change->arena,
	        .body = strbuf_text(&ask->body),
	        .body_length = ask->body.length,
	        .done = on_answer,
	        .context = ask,
	};
	webhook_call_start(desk, &ask->call);
}
