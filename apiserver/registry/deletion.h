// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a delete does to one object: the decision, apart from the doing.

#include "apiserver/registry/change.h"

enum deletion_plan {
	DELETION_NOW,     // remove it
	DELETION_MARK,    // change->object is the marked object to write
	DELETION_PENDING, // it is being deleted already, nothing changes
	DELETION_REFUSED, // ret_status says why
};

// Preconditions, grace, finalizers and propagation. change->old is what is
// stored; change->object becomes what is to be written or shown.
enum deletion_plan deletion_decide(struct change *change, const struct request_options *options,
                                   const struct status **ret_status);
