// SPDX-License-Identifier: Apache-2.0

#include "apiserver/registry/admit.h"

#include "apiserver/authorization/escalation.h"
#include "apiserver/object_io.h"
#include "apiserver/registry/strategy.h"
#include "apiserver/validation/validate.h"
#include "apiserver/validation/warnings.h"

static bool waits(const struct admit *admit, enum admission_phase phase)
{
	return admission_waits(admit->change, admit->operation, phase);
}

// --- the instant pieces, possibly on a worker ----------------------------------------

static const struct status *judge(struct admit *admit)
{
	struct change *change = admit->change;
	const struct status *status;

	if (admit->operation == ADMISSION_CREATE)
		strategy_prepare_create(change);
	else
		strategy_prepare_update(change);
	object_complete(change->arena, change->resource->type, change->object);
	status = escalation_check(change);
	if (!status)
		status = validate_change(change);
	if (!status)
		status = admission_validate(change, admit->operation);
	if (!status)
		warn_about_change(change);
	if (!status && admit->settle)
		admit->settle(admit);
	return status;
}

static void run_judge(struct request *request)
{
	struct admit *admit = request->stage_context;

	admit->failure = judge(admit);
}

static void run_prepare(struct request *request)
{
	struct admit *admit = request->stage_context;

	admit->failure = admit->prepare(admit);
	if (!admit->failure)
		admit->failure = admission_mutate(admit->change, admit->operation);
	if (!admit->failure && !waits(admit, ADMISSION_MUTATE))
		admit->failure = judge(admit);
}

// --- between them, on the request's loop ------------------------------------------------

static void on_judged_by_others(void *context, const struct status *failure)
{
	struct admit *admit = context;

	admit->done(admit, failure);
}

static void judged(struct request *request)
{
	struct admit *admit = request->stage_context;

	if (admit->failure || !waits(admit, ADMISSION_VALIDATE))
		admit->done(admit, admit->failure);
	else
		admission_wait(&admit->wait, admit->change, admit->operation, ADMISSION_VALIDATE, on_judged_by_others,
		               admit);
}

static void on_changed_by_others(void *context, const struct status *failure)
{
	struct admit *admit = context;
	struct request *request = admit->change->request;

	if (failure) {
		admit->done(admit, failure);
		return;
	}
	request->stage_context = admit;
	request_run(request, admit->heavy, run_judge, judged);
}

static void prepared(struct request *request)
{
	struct admit *admit = request->stage_context;

	if (admit->failure || !waits(admit, ADMISSION_MUTATE))
		judged(request);
	else
		admission_wait(&admit->wait, admit->change, admit->operation, ADMISSION_MUTATE, on_changed_by_others,
		               admit);
}

void admit_start(struct admit *admit)
{
	struct request *request = admit->change->request;

	request->stage_context = admit;
	request_run(request, admit->heavy, run_prepare, prepared);
}
