// SPDX-License-Identifier: Apache-2.0
// Texts, reasons and thresholds are upstream's defaults for hard eviction. A
// condition keeps its lastTransitionTime while its status stays. Labels of the
// kubelet's flags come after the well-known ones and win over them.

#include "kubelet/node/node_status.h"

#include <stdio.h>
#include <string.h>

#include "common/api/object.h"
#include "common/base/architecture.h"

#define MEBIBYTE (INT64_C(1) << 20)

enum {
	MAX_IMAGES = 50,
	RESERVED_MEBIBYTES = 100, // upstream's hard eviction threshold for memory
	STORAGE_PERCENT = 90,     // what its threshold for the file system leaves
	MIN_INODE_PERCENT = 5,
	MIN_PID_PERCENT = 5,
};

// --- resources -----------------------------------------------------------------------------

static void set_resources(struct arena *arena, struct json *target, const struct node_view *view, bool allocatable)
{
	const struct node_facts *facts = &view->facts;
	int64_t memory = facts->memory_bytes - (allocatable ? RESERVED_MEBIBYTES * MEBIBYTE : 0);
	int64_t storage = allocatable ? facts->storage_bytes / 100 * STORAGE_PERCENT : facts->storage_bytes;
	json_set_text(arena, target, "cpu", arena_printf(arena, "%lld", (long long)facts->cpus));
	json_set_text(arena, target, "memory", arena_printf(arena, "%lldKi", (long long)(memory / 1024)));
	json_set_text(arena, target, "pods", arena_printf(arena, "%lld", (long long)view->kubelet->config->max_pods));
	json_set_text(arena, target, "ephemeral-storage",
	              allocatable ? arena_printf(arena, "%lld", (long long)storage)
	                          : arena_printf(arena, "%lldKi", (long long)(storage / 1024)));
	json_set_text(arena, target, "hugepages-2Mi", "0");
	json_set_text(arena, target, "hugepages-1Gi", "0");
}

// --- conditions ------------------------------------------------------------------------------

static const char *former_transition(const struct node_view *view, const char *type, const char *status)
{
	json_for_each_item (condition, json_get(view->previous, "conditions")) {
		const char *former_type = json_get_text(condition, "type");
		const char *former_status = json_get_text(condition, "status");
		if (former_type && former_status && !strcmp(former_type, type) && !strcmp(former_status, status))
			return json_get_text(condition, "lastTransitionTime");
	}
	return NULL;
}

struct condition {
	const char *type;
	bool holds;
	const char *reason;
	const char *message;
};

static void add_condition(struct arena *arena, struct json *conditions, const struct node_view *view,
                          const char *heartbeat, const struct condition *row)
{
	struct json *condition = json_object(arena);
	const char *status = row->holds ? "True" : "False";
	const char *transition = former_transition(view, row->type, status);
	char now[API_TIME_BYTES];
	api_time_format(view->now_ns, now);
	json_set_text(arena, condition, "type", row->type);
	json_set_text(arena, condition, "status", status);
	json_set_text(arena, condition, "lastHeartbeatTime", heartbeat);
	json_set_text(arena, condition, "lastTransitionTime", transition ? transition : now);
	json_set_text(arena, condition, "reason", row->reason);
	json_set_text(arena, condition, "message", row->message);
	json_append(arena, conditions, condition);
}

static void set_conditions(struct arena *arena, struct json *status, const struct node_view *view,
                           const char *heartbeat)
{
	const struct node_facts *facts = &view->facts;
	bool memory = facts->memory_available_bytes < RESERVED_MEBIBYTES * MEBIBYTE;
	bool disk = facts->storage_available_bytes < facts->storage_bytes / 100 * (100 - STORAGE_PERCENT) ||
	            (facts->inodes && facts->inodes_available < facts->inodes / 100 * MIN_INODE_PERCENT);
	bool pids = facts->max_pids && facts->processes > facts->max_pids / 100 * (100 - MIN_PID_PERCENT);
	const struct condition rows[] = {
	        {"MemoryPressure", memory, memory ? "KubeletHasInsufficientMemory" : "KubeletHasSufficientMemory",
	         memory ? "kubelet has insufficient memory available" : "kubelet has sufficient memory available"},
	        {"DiskPressure", disk, disk ? "KubeletHasDiskPressure" : "KubeletHasNoDiskPressure",
	         disk ? "kubelet has disk pressure" : "kubelet has no disk pressure"},
	        {"PIDPressure", pids, pids ? "KubeletHasInsufficientPID" : "KubeletHasSufficientPID",
	         pids ? "kubelet has insufficient PID available" : "kubelet has sufficient PID available"},
	        {"Ready", !view->trouble, view->trouble ? "KubeletNotReady" : "KubeletReady",
	         view->trouble ? view->trouble : "kubelet is posting ready status"},
	};
	struct json *conditions = json_array(arena);
	for (size_t index = 0; index < ARRAY_SIZE(rows); index++)
		add_condition(arena, conditions, view, heartbeat, &rows[index]);
	json_set(arena, status, "conditions", conditions);
}

// --- the rest -----------------------------------------------------------------------------------

static void add_address(struct arena *arena, struct json *addresses, const char *type, const char *address)
{
	struct json *entry = json_object(arena);
	json_set_text(arena, entry, "type", type);
	json_set_text(arena, entry, "address", address);
	json_append(arena, addresses, entry);
}

static void set_node_info(struct arena *arena, struct json *status, const struct node_view *view)
{
	const struct {
		const char *key;
		const char *value;
	} rows[] = {
	        {"machineID", view->facts.machine_id}, {"systemUUID", view->facts.system_uuid},
	        {"bootID", view->facts.boot_id},       {"kernelVersion", view->facts.kernel_version},
	        {"osImage", view->facts.os_image},     {"containerRuntimeVersion", view->runtime_version},
	        {"kubeletVersion", CARAVEL_VERSION},   {"kubeProxyVersion", ""},
	        {"operatingSystem", "linux"},          {"architecture", ARCHITECTURE},
	};
	struct json *info = json_ensure_object(arena, status, "nodeInfo");
	for (size_t index = 0; index < ARRAY_SIZE(rows); index++)
		json_set_text(arena, info, rows[index].key, rows[index].value);
}

static void set_images(struct arena *arena, struct json *status, const struct node_view *view)
{
	struct json *images = json_array(arena);
	for (size_t index = 0; index < view->image_count && index < MAX_IMAGES; index++) {
		const struct node_image *image = &view->images[index];
		struct json *entry = json_object(arena);
		struct json *names = json_ensure_array(arena, entry, "names");
		const char *colon = strrchr(image->reference, ':');
		size_t length =
		        colon && !strchr(colon, '/') ? (size_t)(colon - image->reference) : strlen(image->reference);
		json_append(arena, names,
		            json_string(arena,
		                        arena_printf(arena, "%.*s@%s", (int)length, image->reference, image->digest)));
		json_append(arena, names, json_string(arena, image->reference));
		json_set_integer(arena, entry, "sizeBytes", image->size_bytes);
		json_append(arena, images, entry);
	}
	json_set(arena, status, "images", images);
}

struct json *node_status_build(struct arena *arena, const struct node_view *view, const char *heartbeat)
{
	struct json *status = json_object(arena);
	set_resources(arena, json_ensure_object(arena, status, "capacity"), view, false);
	set_resources(arena, json_ensure_object(arena, status, "allocatable"), view, true);
	set_conditions(arena, status, view, heartbeat);
	struct json *addresses = json_ensure_array(arena, status, "addresses");
	add_address(arena, addresses, "InternalIP", view->kubelet->node_ip);
	add_address(arena, addresses, "Hostname", view->kubelet->node_name);
	struct json *endpoints = json_ensure_object(arena, status, "daemonEndpoints");
	json_set_integer(arena, json_ensure_object(arena, endpoints, "kubeletEndpoint"), "Port",
	                 view->kubelet->config->port);
	set_node_info(arena, status, view);
	set_images(arena, status, view);
	return status;
}

// "key=value:Effect", "key:Effect"
static void add_taint(struct arena *arena, struct json *taints, const char *text)
{
	const char *colon = strrchr(text, ':');
	if (!colon)
		return;
	char *key = arena_strndup(arena, text, (size_t)(colon - text));
	char *equals = strchr(key, '=');
	struct json *taint = json_object(arena);
	if (equals) {
		*equals = '\0';
		json_set_text(arena, taint, "value", equals + 1);
	}
	json_set_text(arena, taint, "key", key);
	json_set_text(arena, taint, "effect", colon + 1);
	json_append(arena, taints, taint);
}

static void set_labels(struct arena *arena, struct json *labels, const struct node_view *view)
{
	json_set_text(arena, labels, "kubernetes.io/hostname", view->kubelet->node_name);
	json_set_text(arena, labels, "kubernetes.io/os", "linux");
	json_set_text(arena, labels, "kubernetes.io/arch", ARCHITECTURE);
	json_set_text(arena, labels, "beta.kubernetes.io/os", "linux");
	json_set_text(arena, labels, "beta.kubernetes.io/arch", ARCHITECTURE);
	const struct string_list *own = &view->kubelet->config->node_labels;
	for (size_t index = 0; index < own->count; index++) {
		const char *equals = strchr(own->items[index], '=');
		if (equals)
			json_set_text(arena, labels,
			              arena_strndup(arena, own->items[index], (size_t)(equals - own->items[index])),
			              equals + 1);
	}
}

struct json *node_object_build(struct arena *arena, const struct node_view *view, const char *heartbeat)
{
	struct json *node = json_object(arena);
	json_set_text(arena, node, "apiVersion", "v1");
	json_set_text(arena, node, "kind", "Node");
	struct json *metadata = json_ensure_object(arena, node, "metadata");
	json_set_text(arena, metadata, "name", view->kubelet->node_name);
	set_labels(arena, json_ensure_object(arena, metadata, "labels"), view);
	json_set_text(arena, json_ensure_object(arena, metadata, "annotations"),
	              "volumes.kubernetes.io/controller-managed-attach-detach", "true");
	struct json *spec = json_ensure_object(arena, node, "spec");
	const struct string_list *taints = &view->kubelet->config->taints;
	for (size_t index = 0; index < taints->count; index++)
		add_taint(arena, json_ensure_array(arena, spec, "taints"), taints->items[index]);
	json_set(arena, node, "status", node_status_build(arena, view, heartbeat));
	return node;
}
