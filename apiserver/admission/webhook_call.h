// SPDX-License-Identifier: Apache-2.0
#pragma once
// One POST to one webhook: its address, a connection that is shared with other calls,
// and the words of its failures.

#include "apiserver/admission/webhook_config.h"
#include "common/base/list.h"
#include "common/io/loop.h"

struct webhook_desk; // of one connection loop: its clients and its waiting calls

struct webhook_desk *webhook_desk_new(struct server *server, struct loop *loop);
struct webhook_desk *webhook_desk_free(struct webhook_desk *desk);

struct webhook_call {
	const struct webhook *webhook; // lives until `done`
	struct arena *arena;           // of the request
	const char *body;              // borrowed until `done`
	size_t body_length;
	// Exactly once, never from within the start. `failure` NULL: an answer with status 200 came; its body is
	// borrowed for the call. Otherwise "failed to call webhook: …".
	void (*done)(struct webhook_call *call, const char *failure, int status, const char *body, size_t length);
	void *context;

	// --- kept by the desk ---
	struct list node;
	struct webhook_desk *desk;
	struct webhook_client *client; // NULL: never got that far
	struct loop_task task;
	struct http_call *call;
	const char *shown_url;
	const char *failure;
	int64_t deadline_ns;
};

void webhook_call_start(struct webhook_desk *desk, struct webhook_call *call);
