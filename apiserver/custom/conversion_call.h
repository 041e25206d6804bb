// SPDX-License-Identifier: Apache-2.0
#pragma once
// One call of a definition's conversion webhook. The thread of custom resources keeps
// the connections; a call comes from any loop and goes back to it.

#include "apiserver/custom/definition.h"
#include "common/base/err.h"
#include "common/base/list.h"
#include "common/io/loop.h"

struct custom;
struct conversion_connection;

struct conversion_call {
	struct loop_task task;
	struct list node; // of the calls under way, on the custom thread
	struct custom *custom;
	const struct definition *definition; // the caller holds it
	struct loop *loop;                   // the caller's
	char *body;                          // on the heap, taken over
	size_t length;
	// Exactly once, on the caller's loop. answer NULL: err says why, as Go's clients do.
	void (*done)(struct conversion_call *call);

	struct conversion_connection *connection;
	char *answer; // on the heap, freed with the call
	size_t answer_length;
	struct err err;
};

// The call's memory is the caller's, from conversion_call_start to conversion_call_done.
void conversion_call_start(struct conversion_call *call);
void conversion_call_done(struct conversion_call *call);

// --- the custom thread's ------------------------------------------------------------------
struct conversion_calls;
struct conversion_calls *conversion_calls_new(struct custom *custom);
// Answers what is under way with an error.
struct conversion_calls *conversion_calls_free(struct conversion_calls *webhooks);
// A definition has changed or gone: its connection isn't kept.
void conversion_calls_forget(struct conversion_calls *webhooks, const char *definition);
