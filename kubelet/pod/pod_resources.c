// SPDX-License-Identifier: Apache-2.0
// The numbers must be upstream's: tools read them back from the cgroups. CPU shares
// are 1024 for a CPU within the kernel's bounds; a quota is of a period of 100 ms and
// at least 1 ms; a pod has a limit only when all of its containers do. Init
// containers run one after another and count by the largest, sidecars beside the
// others and count in full.

#include "kubelet/pod/pod_resources.h"

#include <string.h>

#include "common/api/quantity.h"

enum {
	MIN_SHARES = 2,
	MAX_SHARES = 262144,
	SHARES_PER_CPU = 1024,
	PERIOD_US = 100000,
	MIN_QUOTA_US = 1000,
};

static const char *const qos_names[] = {
        [QOS_GUARANTEED] = "Guaranteed", [QOS_BURSTABLE] = "Burstable", [QOS_BEST_EFFORT] = "BestEffort"};

const char *qos_class_to_string(enum qos_class class)
{
	return qos_names[class];
}

static bool is_set(const struct string_map *map, const char *resource)
{
	const char *text = string_map_get(map, resource);
	return text && quantity_text_milli_value(text) > 0;
}

struct qos_tally {
	bool any;        // a cpu or memory figure somewhere
	bool guaranteed; // every container limits both and requests no less
};

static void tally(struct qos_tally *tally, const struct core_v1_container *container)
{
	static const char *const resources[] = {"cpu", "memory"};
	for (size_t index = 0; index < ARRAY_SIZE(resources); index++) {
		const struct string_map *limits = &container->resources.limits;
		const struct string_map *requests = &container->resources.requests;
		bool limited = is_set(limits, resources[index]);
		bool requested = is_set(requests, resources[index]);
		tally->any |= limited || requested;
		tally->guaranteed &=
		        limited &&
		        (!requested || quantity_text_milli_value(string_map_get(limits, resources[index])) ==
		                               quantity_text_milli_value(string_map_get(requests, resources[index])));
	}
}

enum qos_class pod_qos_class(const struct core_v1_pod *pod)
{
	struct qos_tally sum = {.guaranteed = true};
	for (size_t index = 0; index < pod->spec.containers.count; index++)
		tally(&sum, &pod->spec.containers.items[index]);
	for (size_t index = 0; index < pod->spec.init_containers.count; index++)
		tally(&sum, &pod->spec.init_containers.items[index]);
	if (!sum.any)
		return QOS_BEST_EFFORT;
	return sum.guaranteed ? QOS_GUARANTEED : QOS_BURSTABLE;
}

char *pod_cgroup_path(struct arena *arena, const char *root, enum qos_class class, const char *uid)
{
	static const char *const folders[] = {
	        [QOS_GUARANTEED] = "", [QOS_BURSTABLE] = "/burstable", [QOS_BEST_EFFORT] = "/besteffort"};
	return arena_printf(arena, "%s/kubepods%s/pod%s", strcmp(root, "/") ? root : "", folders[class], uid);
}

int64_t cpu_milli_to_shares(int64_t milli)
{
	int64_t shares = milli * SHARES_PER_CPU / 1000;
	return shares < MIN_SHARES ? MIN_SHARES : shares > MAX_SHARES ? MAX_SHARES : shares;
}

static int64_t milli_to_quota_us(int64_t milli)
{
	int64_t quota = milli * PERIOD_US / 1000;
	return !milli ? 0 : quota < MIN_QUOTA_US ? MIN_QUOTA_US : quota;
}

// A limit without a request is a request too.
static int64_t requested_milli_cpu(const struct core_v1_container *container)
{
	const char *text = string_map_get(&container->resources.requests, "cpu");
	return quantity_text_milli_value(text ? text : string_map_get(&container->resources.limits, "cpu"));
}

struct cgroup_limits container_cgroup_limits(const struct core_v1_container *container)
{
	return (struct cgroup_limits){
	        .cpu_shares = cpu_milli_to_shares(requested_milli_cpu(container)),
	        .cpu_quota_us = milli_to_quota_us(
	                quantity_text_milli_value(string_map_get(&container->resources.limits, "cpu"))),
	        .cpu_period_us = PERIOD_US,
	        .memory_limit_bytes = quantity_text_value(string_map_get(&container->resources.limits, "memory")),
	};
}

struct pod_sum {
	int64_t request_milli, limit_milli, limit_bytes;
	bool cpu_limited, memory_limited; // by every container
};

static void add_container(struct pod_sum *sum, const struct core_v1_container *container)
{
	sum->request_milli += requested_milli_cpu(container);
	sum->limit_milli += quantity_text_milli_value(string_map_get(&container->resources.limits, "cpu"));
	sum->limit_bytes += quantity_text_value(string_map_get(&container->resources.limits, "memory"));
	sum->cpu_limited &= is_set(&container->resources.limits, "cpu");
	sum->memory_limited &= is_set(&container->resources.limits, "memory");
}

static int64_t larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

struct cgroup_limits pod_cgroup_limits(const struct core_v1_pod *pod)
{
	struct pod_sum sum = {.cpu_limited = true, .memory_limited = true};
	for (size_t index = 0; index < pod->spec.containers.count; index++)
		add_container(&sum, &pod->spec.containers.items[index]);
	for (size_t index = 0; index < pod->spec.init_containers.count; index++) {
		const struct core_v1_container *init = &pod->spec.init_containers.items[index];
		struct pod_sum one = {.cpu_limited = true, .memory_limited = true};
		add_container(&one, init);
		bool sidecar = init->restart_policy && !strcmp(init->restart_policy, "Always");
		sum.request_milli =
		        sidecar ? sum.request_milli + one.request_milli : larger(sum.request_milli, one.request_milli);
		sum.limit_milli =
		        sidecar ? sum.limit_milli + one.limit_milli : larger(sum.limit_milli, one.limit_milli);
		sum.limit_bytes =
		        sidecar ? sum.limit_bytes + one.limit_bytes : larger(sum.limit_bytes, one.limit_bytes);
		sum.cpu_limited &= one.cpu_limited;
		sum.memory_limited &= one.memory_limited;
	}
	return (struct cgroup_limits){
	        .cpu_shares = cpu_milli_to_shares(sum.request_milli),
	        .cpu_quota_us = sum.cpu_limited ? milli_to_quota_us(sum.limit_milli) : 0,
	        .cpu_period_us = PERIOD_US,
	        .memory_limit_bytes = sum.memory_limited ? sum.limit_bytes : 0,
	};
}

int64_t container_oom_score_adj(const struct core_v1_container *container, enum qos_class class,
                                int64_t node_memory_bytes)
{
	if (class == QOS_GUARANTEED)
		return -997;
	if (class == QOS_BEST_EFFORT || node_memory_bytes <= 0)
		return 1000;
	int64_t request = quantity_text_value(string_map_get(&container->resources.requests, "memory"));
	int64_t score = 1000 - (int64_t)((__int128)1000 * request / node_memory_bytes);
	return score < 3 ? 3 : score > 999 ? 999 : score;
}
