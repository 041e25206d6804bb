// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a pod's requests and limits mean on the node: its QoS class, and the numbers
// that its cgroups get, computed as upstream does.

#include <stdint.h>

#include "api/core_v1.h"

enum qos_class {
	QOS_GUARANTEED,
	QOS_BURSTABLE,
	QOS_BEST_EFFORT,
};
const char *qos_class_to_string(enum qos_class class);
enum qos_class pod_qos_class(const struct core_v1_pod *pod);

// "/kubepods/burstable/pod<uid>", in the arena.
char *pod_cgroup_path(struct arena *arena, const char *root, enum qos_class class, const char *uid);

struct cgroup_limits {
	int64_t cpu_shares;
	int64_t cpu_quota_us; // 0: none
	int64_t cpu_period_us;
	int64_t memory_limit_bytes; // 0: none
};
struct cgroup_limits container_cgroup_limits(const struct core_v1_container *container);
struct cgroup_limits pod_cgroup_limits(const struct core_v1_pod *pod);

int64_t container_oom_score_adj(const struct core_v1_container *container, enum qos_class class,
                                int64_t node_memory_bytes);
int64_t cpu_milli_to_shares(int64_t milli);
