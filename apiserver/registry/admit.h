// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a create and an update have in common between their object and its write:
//
//   prepare ─► admission changes it ─► [others are asked] ─► strategy, defaults, validation
//     ─► admission judges it ─► settle ─► [others are asked] ─► done
//
// What is between the brackets happens only when a plug-in has to wait for a
// webhook, a quota or the like; everything else runs in one piece, on a worker
// when it is heavy.

#include "apiserver/admission/admission.h"

struct admit {
	struct change *change;
	enum admission_operation operation; // create or update
	bool heavy;                         // run on a worker
	// Makes change->object ready for admission. Safe on a worker.
	const struct status *(*prepare)(struct admit *admit);
	// After everything instant has passed; may be NULL. Safe on a worker.
	void (*settle)(struct admit *admit);
	// On the request's loop, exactly once. NULL: the change may be written.
	void (*done)(struct admit *admit, const struct status *failure);

	// --- kept by the stages -------------------------------------------------------
	const struct status *failure;
	struct admission_wait wait;
};

// Lives in the request's arena; one at a time for a request. `done` may come from within the call.
void admit_start(struct admit *admit);
