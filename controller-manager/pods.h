// SPDX-License-Identifier: Apache-2.0
#pragma once
// What controllers ask of pods, and how they make them.

#include <stdbool.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/client/informer.h"

struct core_v1_pod;
struct core_v1_pod_template_spec;

// Neither finished nor being deleted.
bool pod_is_active(const struct core_v1_pod *pod);
bool pod_is_ready(const struct core_v1_pod *pod);
// Ready for at least `min_ready_seconds`. When it is ready but not long enough yet, *ret_wait_ns (may be NULL)
// is the time that is missing, else 0.
bool pod_is_available(const struct core_v1_pod *pod, int32_t min_ready_seconds, int64_t now_realtime_ns,
                      int64_t *ret_wait_ns);

// A pod of a template, owned by `owner` (controller, blocking its deletion), named by generateName "<owner>-".
// Lives in the arena and borrows from the template.
struct core_v1_pod *pod_from_template(struct arena *arena, const struct core_v1_pod_template_spec *template,
                                      const struct api_object *owner);

// Sorts so that the pods to delete first come first: unassigned before assigned, pending before running, not ready
// before ready, cheaper by controller.kubernetes.io/pod-deletion-cost, doubled up on a node, later ready, more
// restarts, younger.
void pods_sort_for_deletion(struct api_object **pods, size_t count);
