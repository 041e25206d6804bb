// SPDX-License-Identifier: Apache-2.0
#pragma once
// One webhook asked about one change: whether it wants to be, the call, the answer,
// and what a failure means for the request.

#include "apiserver/admission/webhook_call.h"
#include "apiserver/admission/webhook_config.h"
#include "apiserver/admission/webhook_review.h"

enum webhook_verdict {
	WEBHOOK_SKIPPED, // not concerned, or it failed and that is to be ignored
	WEBHOOK_ALLOWED,
	WEBHOOK_REFUSED, // by it, or by its failure
};

struct webhook_ask {
	const struct webhook *webhook;
	const struct schema_resource *resource; // in whose form it sees the objects
	struct change *change;
	enum admission_operation operation;
	enum webhook_type type;
	// On the request's loop, exactly once; possibly from within the start.
	void (*done)(struct webhook_ask *ask, enum webhook_verdict verdict);
	void *context;

	// --- the outcome ---
	const struct status *refusal;
	struct webhook_answer answer; // of WEBHOOK_ALLOWED
	struct admission_view view;

	// --- kept by it ---
	struct webhook_call call;
	char uid[37];
	struct strbuf body;
	int64_t started_ns;
};

// Looks at the selectors and conditions with the objects as they are now.
void webhook_ask_start(struct webhook_ask *ask);
