// SPDX-License-Identifier: Apache-2.0
#pragma once
// Admission: checks and changes that look beyond the object itself. One file or
// one function each, in upstream's order; which are on is --enable- and
// --disable-admission-plugins' matter.

#include "apiserver/registry/change.h"

enum admission_operation {
	ADMISSION_CREATE = 1,
	ADMISSION_UPDATE = 2,
	ADMISSION_DELETE = 4,
	ADMISSION_CONNECT = 8,
};

enum admission_phase {
	ADMISSION_MUTATE,
	ADMISSION_VALIDATE,
};

// One chain of plug-ins that wait, under way for one change.
struct admission_wait {
	struct change *change;
	enum admission_operation operation;
	enum admission_phase phase;
	void (*done)(void *context, const struct status *failure);
	void *context;
	size_t next;          // of the plug-ins
	void *plugin_context; // of the one whose turn it is
};

struct admission_plugin {
	const char *name;
	unsigned operations; // of enum admission_operation
	// The instant parts; each may be NULL. Returns the refusal, NULL to go on. Safe on a worker.
	const struct status *(*mutate)(struct change *change, enum admission_operation operation);
	const struct status *(*validate)(struct change *change, enum admission_operation operation);
	// For plug-ins that must wait for others; they follow the instant ones of their phase.
	// Has it anything to do for this kind of change? Judged by operation, resource, subresource
	// and namespace alone: the object may not be known yet. Safe on a worker.
	bool (*waits)(const struct change *change, enum admission_operation operation, enum admission_phase phase);
	// On the request's loop. Ends by admission_wait_next, from within the call or later on that loop.
	void (*start)(struct admission_wait *wait);
};

const struct status *admission_mutate(struct change *change, enum admission_operation operation);
const struct status *admission_validate(struct change *change, enum admission_operation operation);

// Must admission_wait be called for this change? The answer may be asked for at any time.
bool admission_waits(const struct change *change, enum admission_operation operation, enum admission_phase phase);
// Runs the plug-ins that wait, one after another. On the request's loop; `done` may come from within the call.
// `wait` lives until then, the change too.
void admission_wait(struct admission_wait *wait, struct change *change, enum admission_operation operation,
                    enum admission_phase phase, void (*done)(void *context, const struct status *failure),
                    void *context);
// The plug-in whose turn it was has decided.
void admission_wait_next(struct admission_wait *wait, const struct status *failure);

// True for the name of a plug-in of upstream's, ours or not yet.
bool admission_is_known(const char *name);

// --- the plug-ins -------------------------------------------------------------------
const struct status *admission_namespace_lifecycle(struct change *change, enum admission_operation operation);
const struct status *admission_service_account(struct change *change, enum admission_operation operation);
const struct status *admission_priority(struct change *change, enum admission_operation operation);
const struct status *admission_default_tolerations(struct change *change, enum admission_operation operation);
const struct status *admission_taint_nodes(struct change *change, enum admission_operation operation);
const struct status *admission_storage_protection(struct change *change, enum admission_operation operation);
const struct status *admission_default_storage_class(struct change *change, enum admission_operation operation);
const struct status *admission_default_ingress_class(struct change *change, enum admission_operation operation);
