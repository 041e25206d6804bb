// SPDX-License-Identifier: Apache-2.0
// What a container runs with is kept beside what it should have: `applied` points into
// the object that was current then. After a restart of the kubelet the two are the same.
//
// The pod's own group is never narrower than its containers': it gets the wider limits
// of before and after, then the containers theirs, then it its own.
//
// Upstream: pkg/kubelet/allocation and doPodResizeAction. What the node can't give is
// told by the condition PodResizePending, reason Infeasible, and not done.

#include "kubelet/pod/pod_resize.h"

#include <string.h>
#include <unistd.h>

#include "common/api/quantity.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "kubelet/cgroup.h"
#include "kubelet/kubelet.h"
#include "kubelet/pod/pod_resources.h"

void pod_resize_forget(struct pod_container *container)
{
	api_object_unref(TAKE(container->applied_object));
	container->applied = NULL;
}

void pod_resize_note_start(struct pod_container *container)
{
	pod_resize_forget(container);
	container->applied_object = api_object_ref(container->pod->object);
	container->applied = container->spec;
}

static int64_t amount(const struct string_map *map, const char *resource)
{
	return quantity_text_milli_value(string_map_get(map, resource));
}

static bool differs(const struct core_v1_container *a, const struct core_v1_container *b, const char *resource)
{
	return amount(&a->resources.limits, resource) != amount(&b->resources.limits, resource) ||
	       amount(&a->resources.requests, resource) != amount(&b->resources.requests, resource);
}

static bool is_resized(const struct pod_container *container)
{
	return container->state == CONTAINER_RUNNING && container->applied && container->applied != container->spec &&
	       (differs(container->applied, container->spec, "cpu") ||
	        differs(container->applied, container->spec, "memory"));
}

static bool wants_restart(const struct pod_container *container)
{
	const struct core_v1_container_resize_policy_array *policies = &container->spec->resize_policy;
	for (size_t index = 0; index < policies->count; index++)
		if (!strcmp(policies->items[index].restart_policy, "RestartContainer") &&
		    differs(container->applied, container->spec, policies->items[index].resource_name))
			return true;
	return false;
}

static bool is_too_much(const struct pod *pod)
{
	int64_t milli_cpu = 0;
	int64_t memory = 0;
	for (size_t index = 0; index < pod->view->spec.containers.count; index++) {
		const struct string_map *requests = &pod->view->spec.containers.items[index].resources.requests;
		milli_cpu += amount(requests, "cpu");
		memory += quantity_text_value(string_map_get(requests, "memory"));
	}
	return milli_cpu > sysconf(_SC_NPROCESSORS_ONLN) * 1000 || memory > pod->kubelet->node_memory_bytes;
}

static int64_t wider(int64_t a, int64_t b)
{
	return !a || !b ? 0 : a > b ? a : b; // 0: no limit
}

static int limit(const struct pod *pod, const char *path, const struct cgroup_limits *limits)
{
	struct err err = ERR_INIT;
	int result = cgroup_limit(path, limits, &err);
	if (result < 0)
		log_error("Could not resize", kv_obj("pod", pod->namespace_name, pod->name), kv_err(&err));
	return result;
}

static bool resize_container(struct pod_container *container, const char *pod_path)
{
	AUTO_FREE char *path = xasprintf("%s/%s", pod_path, container->run.id);
	struct cgroup_limits limits = container_cgroup_limits(container->spec);
	if (limit(container->pod, path, &limits) < 0)
		return false;
	if (wants_restart(container)) {
		container->must_restart = true;
		container->restart_reason = "resize requires restart";
		container->restart_grace_ns = -1;
	}
	log_info("Container is resized", kv_obj("pod", container->pod->namespace_name, container->pod->name),
	         kv_str("container", container->name));
	pod_resize_note_start(container);
	return true;
}

void pod_resize_apply(struct pod *pod)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	bool any = false;
	for (size_t index = 0; index < pod->container_count; index++)
		any |= is_resized(pod->containers[index]);
	pod->resize_trouble = NULL;
	if (!any || pod->terminating)
		return;
	if (is_too_much(pod)) {
		pod->resize_trouble = "Infeasible";
		return;
	}
	const char *path =
	        pod_cgroup_path(arena, pod->kubelet->config->cgroup_root, pod_qos_class(pod->view), pod->uid);
	struct cgroup_limits wanted = pod_cgroup_limits(pod->view);
	struct cgroup_limits meanwhile = wanted;
	meanwhile.cpu_quota_us = wider(wanted.cpu_quota_us, pod->limits.cpu_quota_us);
	meanwhile.memory_limit_bytes = wider(wanted.memory_limit_bytes, pod->limits.memory_limit_bytes);
	bool fine = limit(pod, path, &meanwhile) == 0;
	for (size_t index = 0; fine && index < pod->container_count; index++)
		if (is_resized(pod->containers[index]))
			fine = resize_container(pod->containers[index], path);
	fine = fine && limit(pod, path, &wanted) == 0;
	pod->resize_trouble = fine ? NULL : "Error";
	if (fine)
		pod->limits = wanted;
}
