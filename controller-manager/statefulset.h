// SPDX-License-Identifier: Apache-2.0
#pragma once
// Between the files of the StatefulSet controller only.

#include "api/apps_v1.h"
#include "api/core_v1.h"
#include "controller-manager/controller.h"

#define REVISION_LABEL "controller-revision-hash"

// One StatefulSet in one reconcile.
struct stateful_sync {
	struct controller *controller;
	struct reconcile *reconcile;
	struct arena *arena;
	struct api_object *object;
	const struct apps_v1_stateful_set *set;
	struct api_object *current;   // the revision that pods below the partition have
	struct api_object *update;    // the revision of the template
	struct api_object **replicas; // by place: the pod of ordinal start + place, NULL = not there
	int32_t replica_count;
	struct api_object **condemned; // pods of other ordinals, highest first
	size_t condemned_count;
	int32_t start;
	int32_t partition;
	bool one_by_one;
	int64_t now_realtime_ns;
	int64_t next_available_ns; // 0 = none is on its way
};

// statefulset_pods.c: identity.
// The ordinal that a pod's name has in the set; -1 = it is no member.
int32_t stateful_ordinal(const struct api_object *set, const struct api_object *pod);
bool stateful_is_member(const struct api_object *set, const struct api_object *pod);
// Creates the claims that the pod needs, then the pod, of this revision.
void stateful_create(struct stateful_sync *sync, int32_t ordinal, const struct api_object *revision);
// Deletes a pod that isn't wanted any more, its claims after it when the policy says so.
void stateful_condemn(struct stateful_sync *sync, struct api_object *pod, int32_t ordinal);
