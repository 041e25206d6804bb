// SPDX-License-Identifier: Apache-2.0
#pragma once
// An event of audit.k8s.io/v1 made of a request.

#include "apiserver/audit/audit_policy.h"
#include "common/base/blob.h"
#include "common/base/strbuf.h"

struct request;
struct status;

// What a request keeps for its events; NULL in the request: none are written.
struct audit_record {
	struct audit_verdict verdict;
	const struct status *failure; // the answer, when it is a Status of the server's own
	struct blob *body;            // the answer, borrowed while the last event is made; NULL = not at hand
	const char *body_type;
};

// One line without its end. `code` counts from ResponseStarted on.
void audit_event_write(struct request *request, enum audit_stage stage, int code, struct strbuf *out);
