// SPDX-License-Identifier: Apache-2.0
#pragma once
// Follows one object by list and watch until something is true of it.

#include <stdbool.h>
#include <stdint.h>

#include "common/api/json.h"
#include "ctl/target.h"

struct ctl;

enum object_wait_outcome {
	OBJECT_WAIT_DONE,
	OBJECT_WAIT_TIMEOUT,
	OBJECT_WAIT_FAILED, // reported
};

// `is_done` sees the object as it is and after each change; NULL when it doesn't exist (any more).
// `deadline_ns` on the loop's clock, 0 = none.
enum object_wait_outcome object_wait(struct ctl *ctl, const struct target *target, int64_t deadline_ns,
                                     bool (*is_done)(void *context, const struct json *object), void *context);

// The deadline of a duration that starts now; 0 for none.
int64_t object_wait_deadline(struct ctl *ctl, int64_t timeout_ns);
