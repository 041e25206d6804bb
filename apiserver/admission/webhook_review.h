// SPDX-License-Identifier: Apache-2.0
#pragma once
// AdmissionReviews: what is sent to a webhook and what is made of its answer. Pure.

#include "apiserver/admission/match.h"
#include "common/base/strbuf.h"

// The whole review as JSON.
void webhook_review_write(const struct admission_view *view, const struct json *request, bool v1, struct strbuf *out);

struct webhook_answer {
	bool allowed;
	const struct status *refusal; // when it isn't
	const struct json *patch;     // NULL = none
	const struct json *warnings;
	const struct json *audit_annotations;
};

// In the arena. -ERR_… with the reason when it is no proper answer to the request `uid`.
NODISCARD int webhook_answer_read(struct arena *arena, const char *webhook, const char *text, size_t length,
                                  const char *uid, bool v1, bool mutating, struct webhook_answer *ret_answer,
                                  struct err *err);
