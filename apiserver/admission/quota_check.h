// SPDX-License-Identifier: Apache-2.0
#pragma once
// One change against the quotas of its namespace. Pure but for the trees that it
// charges.

#include "apiserver/admission/admission.h"
#include "common/api/resource_amounts.h"

// A quota in work: as it is stored, with what has been charged since.
struct quota_state {
	const char *name;
	const struct json *spec;
	const struct json *hard;      // status.hard
	struct resource_amounts used; // status.used and the charges, in the arena below
	struct arena *arena;
	bool charged;
};

struct quota_claim {
	const struct change *change;
	enum admission_operation operation;
	const struct json *limited; // the configuration's limitedResources; NULL = none
};

// NULL and the charges made (unless it is a dry run), or the refusal and nothing charged. `only` limits
// charging and checking to one quota: the others have been charged before. NULL = all.
const struct status *quota_check(const struct quota_claim *claim, struct quota_state *quotas, size_t count,
                                 const struct quota_state *only);
