// SPDX-License-Identifier: Apache-2.0
// Names and addresses are borrowed from the pod's object, which the info holds.

#include "scheduler/pod_info.h"

#include <assert.h>
#include <stdlib.h>

#include "common/base/memory.h"
#include "common/base/text.h"

static void collect_ports(struct pod_info *info, const struct core_v1_container_array *containers)
{
	for (size_t i = 0; i < containers->count; i++) {
		const struct core_v1_container_port_array *ports = &containers->items[i].ports;
		for (size_t k = 0; k < ports->count; k++) {
			const struct core_v1_container_port *port = &ports->items[k];
			if (port->host_port <= 0)
				continue;
			info->ports = xreallocarray(info->ports, info->port_count + 1, sizeof(info->ports[0]));
			info->ports[info->port_count++] = (struct host_port){
			        .ip = port->host_ip && port->host_ip[0] ? port->host_ip : "0.0.0.0",
			        .protocol = port->protocol && port->protocol[0] ? port->protocol : "TCP",
			        .port = port->host_port,
			};
		}
	}
}

// Init containers that stay (sidecars) hold their ports; the others are gone by then.
static void collect_sidecar_ports(struct pod_info *info)
{
	const struct core_v1_container_array *containers = &info->pod->spec.init_containers;
	for (size_t i = 0; i < containers->count; i++) {
		const struct core_v1_container_array one = {.items = &containers->items[i], .count = 1};
		if (text_equal(containers->items[i].restart_policy, "Always"))
			collect_ports(info, &one);
	}
}

struct pod_info *pod_info_new(struct api_object *object)
{
	struct pod_info *info = NEW(struct pod_info);
	info->references = 1;
	info->object = api_object_ref(object);
	info->pod = object->view;
	info->priority = info->pod->spec.priority ? *info->pod->spec.priority : 0;
	pod_requests(info->pod, &info->requests);
	pod_nonzero_requests(info->pod, &info->nonzero);
	collect_ports(info, &info->pod->spec.containers);
	collect_sidecar_ports(info);
	return info;
}

struct pod_info *pod_info_ref(struct pod_info *info)
{
	info->references++;
	return info;
}

struct pod_info *pod_info_unref(struct pod_info *info)
{
	if (!info)
		return NULL;
	assert(info->references > 0);
	if (--info->references > 0)
		return NULL;
	resources_done(&info->requests);
	free(info->ports);
	api_object_unref(info->object);
	free(info);
	return NULL;
}

const char *pod_info_uid(const struct pod_info *info)
{
	return info->object->uid;
}

const char *pod_info_key(const struct pod_info *info)
{
	return info->object->key;
}
