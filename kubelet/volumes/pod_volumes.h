// SPDX-License-Identifier: Apache-2.0
#pragma once
// A pod's volumes: made before its containers, kept up to date while they run, taken
// down after them.

#include "kubelet/pod/pod.h"

struct pod_volumes;

// Begins to make the volumes, or to bring them up to date. done comes exactly once, never from inside; the pod must
// live until then.
void pod_volumes_mount(struct pod *pod, void (*done)(struct pod *pod, const struct err *err));
void pod_volumes_unmount(struct pod *pod, void (*done)(struct pod *pod, const struct err *err));

// Forgets what is in memory and leaves the node as it is; accepts NULL; returns NULL.
struct pod_volumes *pod_volumes_free(struct pod_volumes *volumes);

// True when some volume follows an object that may change.
bool pod_volumes_follow_objects(const struct pod *pod);

// Where a volume is on the node, in the arena; NULL when the pod has none of that name.
char *pod_volumes_path(struct arena *arena, const struct pod *pod, const char *volume_name);
// True for the kinds whose files are the kubelet's: containers may read them only.
bool pod_volumes_is_read_only(const struct pod *pod, const char *volume_name);
