// SPDX-License-Identifier: Apache-2.0
#pragma once
// Pods that this node can't take, though they were bound to it.

#include "api/core_v1.h"
#include "common/base/arena.h"
#include "kubelet/config.h"

// NULL: the pod is welcome. Else status.reason, and *ret_message in the arena.
const char *pod_admission_refuse(struct arena *arena, const struct core_v1_pod *pod,
                                 const struct kubelet_config *config, const char **ret_message);
