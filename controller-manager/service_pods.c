// SPDX-License-Identifier: Apache-2.0
// Which pods stand behind a Service and how they are reached: by label, by address
// family, and for a named port by what the container calls it. Events of pods that
// change nothing of this (heartbeats of conditions, annotations) wake no Service.

#include "controller-manager/service_pods.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "api/core_v1.h"
#include "common/api/selector.h"
#include "common/api/view.h"
#include "common/base/text.h"
#include "controller-manager/pods.h"

bool service_is_headless(const struct core_v1_service *service)
{
	return text_equal(service->spec.cluster_ip, "None");
}

bool service_selects_pods(const struct core_v1_service *service)
{
	return service->spec.selector.count && !text_equal(service->spec.type, "ExternalName");
}

static bool selects(const struct core_v1_service *service, const struct string_map *labels)
{
	for (size_t i = 0; i < service->spec.selector.count; i++) {
		const char *value = string_map_get(labels, service->spec.selector.entries[i].key);
		if (!value || !text_equal(value, service->spec.selector.entries[i].value))
			return false;
	}
	return true;
}

// --- events --------------------------------------------------------------------------------

static bool is_finished(const struct core_v1_pod *pod)
{
	return text_equal(pod->status.phase, "Failed") || text_equal(pod->status.phase, "Succeeded");
}

static bool same_addresses(const struct core_v1_pod *a, const struct core_v1_pod *b)
{
	if (!text_equal(a->status.pod_ip, b->status.pod_ip) || a->status.pod_ips.count != b->status.pod_ips.count)
		return false;
	for (size_t i = 0; i < a->status.pod_ips.count; i++)
		if (!text_equal(a->status.pod_ips.items[i].ip, b->status.pod_ips.items[i].ip))
			return false;
	return true;
}

static bool is_same_endpoint(const struct core_v1_pod *a, const struct core_v1_pod *b)
{
	return text_equal(a->metadata.uid, b->metadata.uid) && same_addresses(a, b) &&
	       pod_is_ready(a) == pod_is_ready(b) && is_finished(a) == is_finished(b) &&
	       !a->metadata.deletion_timestamp == !b->metadata.deletion_timestamp &&
	       text_equal(a->spec.node_name, b->spec.node_name) && text_equal(a->spec.hostname, b->spec.hostname) &&
	       text_equal(a->spec.subdomain, b->spec.subdomain) &&
	       string_map_equal(&a->metadata.labels, &b->metadata.labels);
}

void service_enqueue_of_pod(struct controller *controller, const struct informer *services,
                            const struct api_object *old_object, const struct api_object *new_object)
{
	const struct core_v1_pod *before = old_object ? old_object->view : NULL;
	const struct core_v1_pod *after = new_object ? new_object->view : NULL;
	size_t count;
	if (before && after && is_same_endpoint(before, after))
		return;
	const char *namespace_name = (new_object ? new_object : old_object)->namespace_name;
	struct api_object *const *objects = informer_by_index(services, "namespace", namespace_name, &count);
	for (size_t i = 0; i < count; i++) {
		const struct core_v1_service *service = objects[i]->view;
		if (service_selects_pods(service) && ((before && selects(service, &before->metadata.labels)) ||
		                                      (after && selects(service, &after->metadata.labels))))
			controller_enqueue(controller, objects[i]->key);
	}
}

// --- pods ------------------------------------------------------------------------------------

static int compare_names(const void *a, const void *b)
{
	const struct api_object *const *left = a;
	const struct api_object *const *right = b;
	return strcmp((*left)->name, (*right)->name);
}

static bool has_endpoint(const struct core_v1_pod *pod, bool terminating)
{
	bool has_address = (pod->status.pod_ip && *pod->status.pod_ip) || pod->status.pod_ips.count;
	return has_address && !is_finished(pod) && (terminating || !pod->metadata.deletion_timestamp);
}

struct api_object **service_pods(struct arena *arena, const struct informer *pods, const struct api_object *service,
                                 bool terminating, size_t *ret_count)
{
	size_t present;
	struct api_object *const *objects = informer_by_index(pods, "namespace", service->namespace_name, &present);
	struct api_object **selected = ARENA_ARRAY(arena, struct api_object *, present + 1);
	size_t count = 0;
	for (size_t i = 0; i < present; i++)
		if (selects(service->view, &api_object_metadata(objects[i])->labels) &&
		    has_endpoint(objects[i]->view, terminating))
			selected[count++] = objects[i];
	qsort(selected, count, sizeof(*selected), compare_names);
	*ret_count = count;
	return selected;
}

// What is no address would have the server refuse the endpoints of all other pods too.
static bool is_address(const char *text, bool is_ipv6)
{
	uint8_t bytes[16];
	return text && inet_pton(is_ipv6 ? AF_INET6 : AF_INET, text, bytes) == 1;
}

const char *pod_address(const struct core_v1_pod *pod, bool is_ipv6)
{
	for (size_t i = 0; i < pod->status.pod_ips.count; i++)
		if (is_address(pod->status.pod_ips.items[i].ip, is_ipv6))
			return pod->status.pod_ips.items[i].ip;
	const char *only = pod->status.pod_ips.count ? NULL : pod->status.pod_ip;
	return is_address(only, is_ipv6) ? only : NULL;
}

static bool find_named_port(const struct core_v1_container_array *containers, bool restartable_only, const char *name,
                            const char *protocol, int32_t *ret_number)
{
	for (size_t c = 0; c < containers->count; c++) {
		const struct core_v1_container *container = &containers->items[c];
		if (restartable_only && !text_equal(container->restart_policy, "Always"))
			continue;
		for (size_t p = 0; p < container->ports.count; p++) {
			const struct core_v1_container_port *port = &container->ports.items[p];
			const char *own_protocol = port->protocol && *port->protocol ? port->protocol : "TCP";
			if (!text_equal(port->name, name) || strcmp(own_protocol, protocol) != 0)
				continue;
			*ret_number = port->container_port;
			return true;
		}
	}
	return false;
}

bool pod_target_port(const struct core_v1_pod *pod, const struct core_v1_service_port *port, int32_t *ret_number)
{
	const struct int_or_string *target = &port->target_port;
	if (!target->is_string) {
		*ret_number = target->integer ? target->integer : port->port;
		return true;
	}
	const char *protocol = port->protocol && *port->protocol ? port->protocol : "TCP";
	return find_named_port(&pod->spec.containers, false, target->text, protocol, ret_number) ||
	       find_named_port(&pod->spec.init_containers, true, target->text, protocol, ret_number);
}

const char *pod_hostname_in(const struct core_v1_pod *pod, const struct core_v1_service *service)
{
	const char *hostname = pod->spec.hostname;
	return hostname && *hostname && text_equal(pod->spec.subdomain, service->metadata.name) ? hostname : NULL;
}

const struct core_v1_object_reference *pod_reference(struct arena *arena, const struct core_v1_pod *pod)
{
	struct core_v1_object_reference *reference = ARENA_NEW(arena, struct core_v1_object_reference);
	reference->kind = "Pod";
	reference->namespace = pod->metadata.namespace;
	reference->name = pod->metadata.name;
	reference->uid = pod->metadata.uid;
	return reference;
}
