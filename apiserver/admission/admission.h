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
};

struct admission_plugin {
	const char *name;
	unsigned operations; // of enum admission_operation
	// Each may be NULL. Returns the refusal, NULL to go on. Safe on a worker.
	const struct status *(*mutate)(struct change *change, enum admission_operation operation);
	const struct status *(*validate)(struct change *change, enum admission_operation operation);
};

const struct status *admission_mutate(struct change *change, enum admission_operation operation);
const struct status *admission_validate(struct change *change, enum admission_operation operation);

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
