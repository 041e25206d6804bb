// SPDX-License-Identifier: Apache-2.0
#pragma once
// All pods of the node, by uid, from all sources; the start after a restart; what the
// runtime says, brought to the right container.

#include "common/base/hashmap.h"
#include "kubelet/pod/pod.h"

struct pod_manager;
struct strbuf;

// Takes up the records of an earlier kubelet. Pods begin to move when the runtime has been listed; those that are in
// no source are taken down when all sources have spoken.
struct pod_manager *pod_manager_new(struct kubelet *kubelet);
// Leaves everything on the node as it is. The runtime is closed and the pool drained before.
struct pod_manager *pod_manager_free(struct pod_manager *manager);

// From the API: new, changed, or gone (object NULL).
void pod_manager_api_pod(struct pod_manager *manager, const char *uid, struct api_object *object);
void pod_manager_api_synced(struct pod_manager *manager);
// The static pods that there should be, all of them.
void pod_manager_set_static(struct pod_manager *manager, struct api_object *const *objects, size_t count);

// No pod moves any more; steps under way come to their end. Idle: they have.
void pod_manager_halt(struct pod_manager *manager);
bool pod_manager_is_idle(struct pod_manager *manager);
bool pod_manager_is_open(const struct pod_manager *manager);
void pod_manager_forget(struct pod_manager *manager, struct pod *pod);

// NULL = none. `uid` may be NULL; with several pods of a name, the one that isn't ending.
struct pod *pod_manager_find(struct pod_manager *manager, const char *namespace_name, const char *name,
                             const char *uid);
// Iterates all; start with *cursor = 0.
struct pod *pod_manager_next(struct pod_manager *manager, struct hashmap_cursor *cursor);
size_t pod_manager_count(const struct pod_manager *manager);
