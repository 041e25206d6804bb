// SPDX-License-Identifier: Apache-2.0
// Computed defaults of core/v1: what a table row can't say, because it depends on
// another field. Some apply to pods alone and not to the templates of pods.

#include "common/api/defaults.h"

#include <ctype.h>
#include <string.h>

#include "api/core_v1.h"
#include "common/api/decode_forms.h"
#include "common/base/encode.h"

// --- images -------------------------------------------------------------------------

static bool is_reference_path(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (!islower((unsigned char)text[i]) && !isdigit((unsigned char)text[i]) &&
		    strchr("._-/", text[i]) == NULL)
			return false;
	return length > 0;
}

// A first part with a dot or a port, or localhost, is a registry and may hold capitals.
static size_t registry_length(const char *image)
{
	size_t first = strcspn(image, "/");
	if (image[first] != '/')
		return 0;
	bool registry = memchr(image, '.', first) != NULL || memchr(image, ':', first) != NULL ||
	                (first == strlen("localhost") && memcmp(image, "localhost", first) == 0);
	return registry ? first + 1 : 0;
}

// Whether the reference names the tag "latest", which is also meant where a
// well-formed one has neither tag nor digest.
static bool is_latest(const char *image)
{
	const char *name = image + registry_length(image);
	size_t path = strcspn(name, ":@");
	if (!is_reference_path(name, path))
		return false;
	if (name[path] == '\0')
		return true;
	if (name[path] == '@')
		return false;
	const char *tag = name + path + 1;
	size_t length = strcspn(tag, "@");
	return length == strlen("latest") && memcmp(tag, "latest", length) == 0;
}

static const char *pull_policy(const char *image)
{
	return is_latest(image) ? "Always" : "IfNotPresent";
}

static void default_container(struct arena *arena, struct json *container)
{
	default_text(arena, container, "imagePullPolicy", pull_policy(default_get_text(container, "image")));
}

static void default_image_volume(struct arena *arena, struct json *source)
{
	default_text(arena, source, "pullPolicy", pull_policy(default_get_text(source, "reference")));
}

// --- pods ---------------------------------------------------------------------------

// A volume that names no source is an emptyDir.
static void default_volume(struct arena *arena, struct json *volume)
{
	json_for_each_member (member, volume)
		if (strcmp(member->key, "name") != 0 && member->value->type != JSON_NULL)
			return;
	json_set(arena, volume, "emptyDir", json_object(arena));
}

// The old and the new name of the service account are always both written, the new one leading.
static void default_pod_spec(struct arena *arena, struct json *spec)
{
	const char *old_name = default_get_text(spec, "serviceAccount");
	const char *name = default_get_text(spec, "serviceAccountName");
	if (name[0] == '\0' && old_name[0] != '\0')
		json_set_text(arena, spec, "serviceAccountName", old_name);
	else if (strcmp(old_name, name) != 0)
		json_set_text(arena, spec, "serviceAccount", name);
}

static void request_limits(struct arena *arena, struct json *container)
{
	const struct json *limits = json_path(container, "resources", "limits");
	if (!json_is(limits, JSON_OBJECT) || limits->length == 0)
		return;
	struct json *requests = json_ensure_object(arena, json_get(container, "resources"), "requests");
	json_for_each_member (limit, limits)
		if (json_get_n(requests, limit->key, limit->key_length) == NULL)
			json_set(arena, requests, limit->key, json_clone(arena, limit->value));
}

static void bind_host_ports(struct arena *arena, struct json *container)
{
	json_for_each_item (port, json_get(container, "ports")) {
		int64_t number = 0;
		if (json_is(port, JSON_OBJECT) && decode_is_zero(json_get(port, "hostPort")) &&
		    json_get_integer(port, "containerPort", &number))
			json_set_integer(arena, port, "hostPort", number);
	}
}

static void default_pod(struct arena *arena, struct json *pod)
{
	static const char *const lists[] = {"containers", "initContainers"};
	struct json *spec = json_ensure_object(arena, pod, "spec");
	bool host_network = json_get_bool(spec, "hostNetwork", false);
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		json_for_each_item (container, json_get(spec, lists[i])) {
			if (!json_is(container, JSON_OBJECT))
				continue;
			request_limits(arena, container);
			if (host_network)
				bind_host_ports(arena, container);
		}
	}
	default_bool(arena, spec, "enableServiceLinks", true);
}

static void default_replication_controller(struct arena *arena, struct json *controller)
{
	const struct json *labels = json_path(controller, "spec", "template", "metadata", "labels");
	struct json *spec = json_get(controller, "spec");
	if (json_is(labels, JSON_OBJECT) && !default_has_items(spec, "selector"))
		json_set(arena, spec, "selector", json_clone(arena, labels));
	default_labels_from_template(arena, controller);
}

// --- services -----------------------------------------------------------------------

static void default_affinity(struct arena *arena, struct json *spec)
{
	const char *affinity = default_get_text(spec, "sessionAffinity");
	if (strcmp(affinity, "None") == 0)
		json_remove(spec, "sessionAffinityConfig");
	if (strcmp(affinity, "ClientIP") != 0)
		return;
	struct json *config = json_ensure_object(arena, spec, "sessionAffinityConfig");
	struct json *client = json_ensure_object(arena, config, "clientIP");
	default_integer(arena, client, "timeoutSeconds", 10800);
}

static void default_service_spec(struct arena *arena, struct json *spec)
{
	const char *type = default_get_text(spec, "type");
	bool balanced = strcmp(type, "LoadBalancer") == 0, node_port = strcmp(type, "NodePort") == 0;
	bool cluster = strcmp(type, "ClusterIP") == 0;
	default_affinity(arena, spec);
	if (balanced || node_port || (cluster && default_has_items(spec, "externalIPs")))
		default_text(arena, spec, "externalTrafficPolicy", "Cluster");
	if (balanced || node_port || cluster)
		default_absent_text(arena, spec, "internalTrafficPolicy", "Cluster");
	if (balanced)
		default_bool(arena, spec, "allocateLoadBalancerNodePorts", true);
}

static void default_service(struct arena *arena, struct json *service)
{
	if (strcmp(default_get_text(json_get(service, "spec"), "type"), "LoadBalancer") != 0)
		return;
	json_for_each_item (ingress, json_path(service, "status", "loadBalancer", "ingress"))
		if (default_get_text(ingress, "ip")[0] != '\0')
			default_absent_text(arena, ingress, "ipMode", "VIP");
}

static void default_service_port(struct arena *arena, struct json *port)
{
	const struct json *number = json_get(port, "port");
	if (decode_is_zero(json_get(port, "targetPort")) && json_is(number, JSON_INTEGER))
		json_set_integer(arena, port, "targetPort", number->integer);
}

// --- volumes and claims -------------------------------------------------------------

// Not in the schema's rows: a volume's spec inlined in a VolumeAttachment has no such defaults.
static void default_persistent_volume(struct arena *arena, struct json *volume)
{
	struct json *spec = json_get(volume, "spec");
	default_text(arena, spec, "persistentVolumeReclaimPolicy", "Retain");
	default_absent_text(arena, spec, "volumeMode", "Filesystem");
}

// --- the others ---------------------------------------------------------------------

// stringData is a way to write data without base64; it is never read back.
static void default_secret(struct arena *arena, struct json *secret)
{
	const struct json *texts = json_get(secret, "stringData");
	if (json_is(texts, JSON_OBJECT) && texts->length > 0) {
		struct json *data = json_ensure_object(arena, secret, "data");
		json_for_each_member (member, texts) {
			AUTO_STRBUF struct strbuf encoded = STRBUF_INIT(member->value->length / 3 * 4 + 4);
			base64_encode(&encoded, member->value->text, member->value->length);
			json_set(arena, data, member->key, json_string_n(arena, strbuf_text(&encoded), encoded.length));
		}
	}
	json_remove(secret, "stringData");
}

static void default_namespace(struct arena *arena, struct json *namespace)
{
	struct json *metadata = json_get(namespace, "metadata");
	const char *name = default_get_text(metadata, "name");
	if (name[0] == '\0')
		return;
	struct json *labels = json_ensure_object(arena, metadata, "labels");
	if (strcmp(default_get_text(labels, "kubernetes.io/metadata.name"), name) != 0)
		json_set_text(arena, labels, "kubernetes.io/metadata.name", name);
}

// The list that is to begin with `text`: as it is, or with nothing else.
static bool begins_with(const struct json *list, const char *key, const char *text)
{
	const struct json *first = json_is(list, JSON_ARRAY) && list->length > 0 ? list->items[0] : NULL;
	const char *value = key != NULL ? default_get_text(first, key) : json_text(first);

	return value != NULL && strcmp(value, text) == 0;
}

// podCIDR and podCIDRs are one list: the old field is its first, and wins over the list.
static void default_node_spec(struct arena *arena, struct json *spec)
{
	const struct json *ranges = json_get(spec, "podCIDRs");
	const char *range = default_get_text(spec, "podCIDR");

	if (range[0] == '\0' && default_has_items(spec, "podCIDRs")) {
		json_set_text(arena, spec, "podCIDR", json_text(ranges->items[0]));
	} else if (range[0] != '\0' && !begins_with(ranges, NULL, range)) {
		struct json *list = json_array(arena);
		json_append(arena, list, json_string(arena, range));
		json_set(arena, spec, "podCIDRs", list);
	}
}

static void default_pod_status(struct arena *arena, struct json *status)
{
	const struct json *addresses = json_get(status, "podIPs");
	const char *address = default_get_text(status, "podIP");

	if (address[0] == '\0' && default_has_items(status, "podIPs")) {
		json_set_text(arena, status, "podIP", default_get_text(addresses->items[0], "ip"));
	} else if (address[0] != '\0' && !begins_with(addresses, "ip", address)) {
		struct json *list = json_array(arena), *item = json_object(arena);
		json_set_text(arena, item, "ip", address);
		json_append(arena, list, item);
		json_set(arena, status, "podIPs", list);
	}
}

static void default_node_status(struct arena *arena, struct json *status)
{
	const struct json *capacity = json_get(status, "capacity");
	if (default_is_absent(status, "allocatable") && json_is(capacity, JSON_OBJECT))
		json_set(arena, status, "allocatable", json_clone(arena, capacity));
}

// Copies the amounts that `to` doesn't name.
static void copy_amounts(struct arena *arena, struct json *item, const char *to, const char *from)
{
	const struct json *source = json_get(item, from);
	if (!json_is(source, JSON_OBJECT) || source->length == 0)
		return;
	struct json *target = json_ensure_object(arena, item, to);
	json_for_each_member (amount, source)
		if (json_get_n(target, amount->key, amount->key_length) == NULL)
			json_set(arena, target, amount->key, json_clone(arena, amount->value));
}

static void default_limit_range_item(struct arena *arena, struct json *item)
{
	if (strcmp(default_get_text(item, "type"), "Container") != 0)
		return;
	copy_amounts(arena, item, "default", "max");
	copy_amounts(arena, item, "defaultRequest", "default");
	copy_amounts(arena, item, "defaultRequest", "min");
}

const struct default_hook defaults_core_hooks[] = {
        {&schema_type_core_v1_container, default_container},
        {&schema_type_core_v1_ephemeral_container, default_container},
        {&schema_type_core_v1_image_volume_source, default_image_volume},
        {&schema_type_core_v1_limit_range_item, default_limit_range_item},
        {&schema_type_core_v1_namespace, default_namespace},
        {&schema_type_core_v1_node_spec, default_node_spec},
        {&schema_type_core_v1_node_status, default_node_status},
        {&schema_type_core_v1_persistent_volume, default_persistent_volume},
        {&schema_type_core_v1_pod, default_pod},
        {&schema_type_core_v1_pod_spec, default_pod_spec},
        {&schema_type_core_v1_pod_status, default_pod_status},
        {&schema_type_core_v1_replication_controller, default_replication_controller},
        {&schema_type_core_v1_secret, default_secret},
        {&schema_type_core_v1_service, default_service},
        {&schema_type_core_v1_service_port, default_service_port},
        {&schema_type_core_v1_service_spec, default_service_spec},
        {&schema_type_core_v1_volume, default_volume},
        {NULL, NULL},
};
