// SPDX-License-Identifier: Apache-2.0
#pragma once
// Drives one pod: looks, plans, acts, reports; again and again until nothing of it is
// left.

#include "kubelet/pod/pod.h"

// A worker for a pod of this node; takes over the records of an earlier kubelet when there are some. It does nothing
// before the first pod_wake.
struct pod *pod_worker_new(struct kubelet *kubelet, struct api_object *object, enum pod_origin origin);

// A newer object of the same uid.
void pod_worker_update(struct pod *pod, struct api_object *object);
// It is in no source any more: take it down, then free it (pod_manager_forget is called).
void pod_worker_orphan(struct pod *pod);
// The kubelet ends it: phase Failed with this reason.
void pod_worker_end(struct pod *pod, const char *reason, const char *message);

// At the kubelet's end: frees what is in memory and touches nothing on the node. Nothing may be under way any more
// that would call back, i.e. the runtime is closed and the pool is drained.
void pod_worker_abandon(struct pod *pod);
