// SPDX-License-Identifier: Apache-2.0
#pragma once
// Read, change, compare, swap: what PUT, PATCH and the writing subresources
// share. A transform makes the wanted object of the stored one; everything
// around it (conflicts, admission, validation, deletion by the last finalizer)
// is the same for all.

#include "apiserver/registry/admit.h"
#include "apiserver/storage/storage.h"

struct write_op {
	struct request *request;
	// Changes op->change.object (a copy of the stored object, with defaults) or
	// replaces it. Called again when the object changed meanwhile. Safe on a worker.
	const struct status *(*transform)(struct write_op *op);
	void *context;
	const char *name; // NULL: the route's
	// The name doesn't exist: NULL for 404, else makes the answer (PUT that creates).
	void (*absent)(struct write_op *op);
	// Ends the request with what is stored; NULL: with the object itself. `object` is
	// NULL in a dry run or when nothing changed and only the tree is at hand.
	void (*finish)(struct write_op *op, struct stored_object *object, struct json *tree);
	bool skip_version_check;      // the transform has judged versions itself
	bool owns_changes;            // what changes becomes the writer's in managedFields
	bool heavy;                   // run on a worker
	const struct status *failure; // for the caller's own use before the start

	// --- kept by the operation -----------------------------------------------------
	struct change change;
	struct admit admit;
	struct stored_object *current;
	struct service_allocation *allocation;
	enum { WRITE_UPDATE, WRITE_NOTHING, WRITE_DELETE } plan;
	bool fresh;
	unsigned conflicts;
};

// `op` lives in the request's arena.
void write_op_start(struct write_op *op);
