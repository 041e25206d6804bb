// SPDX-License-Identifier: Apache-2.0
#pragma once
// The pods' own control groups, version 1 and 2. The containers' are made below them
// by the runtime.

#include "common/base/err.h"
#include "kubelet/pod/pod_resources.h"

bool cgroup_is_v2(void);

// Makes "/kubepods/…/pod<uid>" with its limits in the controllers that there are.
NODISCARD int cgroup_make(const char *path, const struct cgroup_limits *limits, struct err *err);

// Gives one that is there other limits, also a container's.
NODISCARD int cgroup_limit(const char *path, const struct cgroup_limits *limits, struct err *err);

// Kills what is left in it and removes it with all below, in every hierarchy. May block for a moment: from a worker.
NODISCARD int cgroup_remove(const char *path, struct err *err);

// The names below a cgroup ("pod…"), in the arena: to find what no pod owns.
size_t cgroup_list(struct arena *arena, const char *path, const char **ret_names, size_t capacity);
