// SPDX-License-Identifier: Apache-2.0
#pragma once
// The status of a pod as the API shows it, computed from what the kubelet knows.

#include "common/api/json.h"
#include "kubelet/pod/pod.h"

// `previous` (may be NULL) is the status computed before: transition times come from it, or at first from the object.
// `now_ns` is wall clock, `monotonic_ns` the loop's.
struct json *pod_status_build(struct arena *arena, const struct pod *pod, const struct json *previous, int64_t now_ns,
                              int64_t monotonic_ns);

// The plan's view of a pod, for pod_plan_make and pod_plan_end.
void pod_plan_fill(const struct pod *pod, int64_t monotonic_ns, struct plan_container *containers,
                   struct plan_input *ret_input);
