// SPDX-License-Identifier: Apache-2.0
#include "kubelet/pod/pod.h"

#include <stdio.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/client/event_recorder.h"
#include "kubelet/kubelet.h"

void container_run_done(struct container_run *run)
{
	free(run->reason);
	free(run->message);
	free(run->image);
	free(run->image_id);
	free(run->stop_signal);
	*run = (struct container_run){0};
}

void pod_event(const struct pod *pod, const struct pod_container *container, const char *type, const char *reason,
               const char *message_format, ...)
{
	if (!pod->kubelet->events)
		return;
	va_list args;
	va_start(args, message_format);
	AUTO_FREE char *message = xvasprintf(message_format, args);
	va_end(args);
	static const char *const folders[] = {
	        [CONTAINER_INIT] = "initContainers",
	        [CONTAINER_SIDECAR] = "initContainers",
	        [CONTAINER_REGULAR] = "containers",
	        [CONTAINER_EPHEMERAL] = "ephemeralContainers",
	};
	const char *folder = folders[container ? container->kind : CONTAINER_REGULAR];
	AUTO_FREE char *field_path = container ? xasprintf("spec.%s{%s}", folder, container->name) : NULL;
	struct event_target target = {
	        .api_version = "v1",
	        .kind = "Pod",
	        .namespace_name = pod->namespace_name,
	        .name = pod->name,
	        .uid = pod->origin == POD_FROM_FILE && pod->mirror_uid ? pod->mirror_uid : pod->uid,
	        .field_path = field_path,
	};
	event_record(pod->kubelet->events, &target, type, reason, "%s", message);
}

struct pod_container *pod_find_container(struct pod *pod, const char *name)
{
	for (size_t index = 0; index < pod->container_count; index++)
		if (!strcmp(pod->containers[index]->name, name))
			return pod->containers[index];
	return NULL;
}

bool pod_uses_host_network(const struct pod *pod)
{
	return pod->view->spec.host_network;
}

const char *pod_address(const struct pod *pod)
{
	if (pod_uses_host_network(pod))
		return pod->kubelet->node_ip;
	return pod->sandbox.address_count ? pod->sandbox.addresses[0] : NULL;
}

char *pod_container_directory(struct arena *arena, const struct pod *pod, const char *container_name)
{
	return arena_printf(arena, "%s/containers/%s", pod->directory, container_name);
}

char *pod_log_directory(struct arena *arena, const struct pod *pod)
{
	return arena_printf(arena, "%s/%s_%s_%s", pod->kubelet->config->pod_logs_directory, pod->namespace_name,
	                    pod->name, pod->uid);
}

char *pod_log_path(struct arena *arena, const struct pod *pod, const char *container_name, int restart)
{
	return arena_printf(arena, "%s/%s/%d.log", pod_log_directory(arena, pod), container_name, restart);
}
