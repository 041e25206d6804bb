// SPDX-License-Identifier: Apache-2.0
#pragma once
// The deletion of one object as an operation, for DELETE, deletecollection and
// eviction.

#include "apiserver/admission/admission.h"
#include "apiserver/registry/deletion.h"

struct stored_object;

struct delete_one {
	struct request *request;
	const struct request_options *options;
	struct change change; // resource, names and arena are the caller's; the rest is set here
	// Exactly once. status NULL: done, per `plan`; object: what is stored now or was
	// last (NULL in a dry run), borrowed for the call.
	void (*done)(struct delete_one *op, const struct status *status, struct stored_object *object);
	void *context;

	enum deletion_plan plan;
	struct admission_wait wait;
	struct stored_object *current;
	bool fresh;
	unsigned conflicts;
};

void delete_one_start(struct delete_one *op);

// Lays the DeleteOptions of the body over those of the query.
const struct status *delete_options_of(struct request *request);
