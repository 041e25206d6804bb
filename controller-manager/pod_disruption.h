// SPDX-License-Identifier: Apache-2.0
#pragma once
// Taking a pod away for a reason that is not its owner's.

#include <stdbool.h>

struct api_object;
struct reconcile;

struct disruption {
	const char *reason; // of the condition DisruptionTarget; NULL = no condition
	const char *message;
	bool fail; // a pod that has not finished becomes Failed
	bool now;  // deleted without grace
};

// Says why in the pod's status, then deletes it. Failures bring the key back.
void pod_disrupt(struct reconcile *reconcile, struct api_object *pod, const struct disruption *disruption);
