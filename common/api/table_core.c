// SPDX-License-Identifier: Apache-2.0
//
// The cells of the core group's kinds, and of events in both of their groups.
#include <string.h>

#include "common/api/object.h"
#include "common/api/table_internal.h"
#include "common/api/table_pod.h"

enum { LIST_MAXIMUM = 3 };

// --- nodes ---------------------------------------------------------------------------

static void node_status(struct table_row *row)
{
	const struct json *ready = table_condition(table_at(row->object, "status.conditions"), "Ready");
	const char *text = "Unknown";
	if (ready)
		text = strcmp(table_text(ready, "status", ""), "True") == 0 ? "Ready" : "NotReady";
	bool closed = table_bool(row->object, "spec.unschedulable");
	table_add_text(row, arena_printf(row->arena, "%s%s", text, closed ? ",SchedulingDisabled" : ""));
}

static void node_roles(struct table_row *row)
{
	static const char prefix[] = "node-role.kubernetes.io/";
	const struct json *labels = table_at(row->object, "metadata.labels");
	const char **roles = ARENA_ARRAY(row->arena, const char *, table_count(row->object, "metadata.labels") + 1);
	size_t count = 0;
	json_for_each_member (label, labels) {
		const char *value = json_text(label->value);
		if (strncmp(label->key, prefix, strlen(prefix)) == 0 && label->key[strlen(prefix)])
			roles[count++] = label->key + strlen(prefix);
		else if (strcmp(label->key, "kubernetes.io/role") == 0 && value && *value)
			roles[count++] = value;
	}
	table_add_text(row, count ? table_join_sorted(row->arena, roles, count) : "<none>");
}

static void add_node_address(struct table_row *row, const char *type)
{
	const char *text = "<none>";
	json_for_each_item (address, table_at(row->object, "status.addresses")) {
		if (strcmp(table_text(address, "type", ""), type) == 0) {
			text = table_text(address, "address", "");
			break;
		}
	}
	table_add_text(row, text);
}

static void node_addresses(struct table_row *row)
{
	add_node_address(row, "InternalIP");
	add_node_address(row, "ExternalIP");
}

// --- services and endpoints ------------------------------------------------------------

static void service_cluster_ip(struct table_row *row)
{
	const struct json *addresses = table_at(row->object, "spec.clusterIPs");
	const char *text = json_is(addresses, JSON_ARRAY) && addresses->length ? json_text(addresses->items[0]) : NULL;
	table_add_text(row, text ? text : "<none>");
}

static const char *load_balancer_addresses(struct table_row *row)
{
	const struct json *ingress = table_at(row->object, "status.loadBalancer.ingress");
	size_t most = table_count(row->object, "status.loadBalancer.ingress");
	const char **texts = ARENA_ARRAY(row->arena, const char *, most + 1);
	size_t count = 0;
	json_for_each_item (entry, ingress) {
		const char *text = table_text(entry, "ip", table_text(entry, "hostname", NULL));
		if (text)
			texts[count++] = text;
	}
	return table_join_sorted(row->arena, texts, count);
}

static void service_external_ip(struct table_row *row)
{
	const char *type = table_text(row->object, "spec.type", "ClusterIP");
	const char *external = table_join(row->arena, table_at(row->object, "spec.externalIPs"), NULL, ",");
	if (strcmp(type, "ClusterIP") == 0 || strcmp(type, "NodePort") == 0) {
		table_add_text(row, *external ? external : "<none>");
	} else if (strcmp(type, "LoadBalancer") == 0) {
		const char *balanced = load_balancer_addresses(row);
		const char *text =
		        arena_printf(row->arena, "%s%s%s", balanced, *balanced && *external ? "," : "", external);
		table_add_text(row, *text ? text : "<pending>");
	} else if (strcmp(type, "ExternalName") == 0) {
		table_add_text(row, table_text(row->object, "spec.externalName", ""));
	} else {
		table_add_text(row, "<unknown>");
	}
}

static void service_ports(struct table_row *row)
{
	AUTO_STRBUF struct strbuf out = STRBUF_INIT(1 << 20);
	json_for_each_item (port, table_at(row->object, "spec.ports")) {
		int64_t node_port = table_number(port, "nodePort");
		strbuf_printf(&out, "%s%lld", out.length ? "," : "", (long long)table_number(port, "port"));
		if (node_port > 0)
			strbuf_printf(&out, ":%lld", (long long)node_port);
		strbuf_printf(&out, "/%s", table_text(port, "protocol", "TCP"));
	}
	table_add_text(row, out.length ? strbuf_text(&out) : "<none>");
}

// Adds the addresses of a subset, with a port when one is given, up to the maximum.
static void add_subset(struct strbuf *out, const struct json *subset, const struct json *port, size_t *count)
{
	json_for_each_item (address, table_at(subset, "addresses")) {
		const char *ip = table_text(address, "ip", "");
		bool is_v6 = strchr(ip, ':') != NULL;
		if ((*count)++ >= LIST_MAXIMUM)
			continue;
		strbuf_append_text(out, *count > 1 ? "," : "");
		if (!port)
			strbuf_append_text(out, ip);
		else
			strbuf_printf(out, "%s%s%s:%lld", is_v6 ? "[" : "", ip, is_v6 ? "]" : "",
			              (long long)table_number(port, "port"));
	}
}

static void endpoints_addresses(struct table_row *row)
{
	AUTO_STRBUF struct strbuf out = STRBUF_INIT(1 << 20);
	size_t count = 0;
	if (!table_count(row->object, "subsets")) {
		table_add_text(row, "<none>");
		return;
	}
	json_for_each_item (subset, table_at(row->object, "subsets")) {
		if (!table_count(subset, "ports"))
			add_subset(&out, subset, NULL, &count);
		json_for_each_item (port, table_at(subset, "ports"))
			add_subset(&out, subset, port, &count);
	}
	if (count > LIST_MAXIMUM)
		strbuf_printf(&out, " + %zu more...", count - LIST_MAXIMUM);
	table_add_text(row, strbuf_text(&out));
}

// --- events ------------------------------------------------------------------------------
// The two groups name the same things differently: the first that is there counts.

static const struct json *either(const struct table_row *row, const char *first, const char *second)
{
	const struct json *value = table_at(row->object, first);
	return value ? value : table_at(row->object, second);
}

static bool is_time(const struct json *value)
{
	int64_t time_ns;
	return api_time_parse(json_text(value), &time_ns) && time_ns != INT64_MIN;
}

static const char *event_first_seen(const struct table_row *row)
{
	const struct json *first = either(row, "firstTimestamp", "deprecatedFirstTimestamp");
	return table_age(row, is_time(first) ? first : table_at(row->object, "eventTime"));
}

static void event_last_seen(struct table_row *row)
{
	const struct json *last = either(row, "lastTimestamp", "deprecatedLastTimestamp");
	if (table_at(row->object, "series"))
		table_add_text(row, table_age(row, table_at(row->object, "series.lastObservedTime")));
	else
		table_add_text(row, is_time(last) ? table_age(row, last) : event_first_seen(row));
}

static void event_object(struct table_row *row)
{
	const struct json *object = either(row, "involvedObject", "regarding");
	const char *kind = table_lower(row->arena, table_text(object, "kind", ""));
	const char *name = table_text(object, "name", NULL);
	table_add_text(row, name ? arena_printf(row->arena, "%s/%s", kind, name) : kind);
	table_add_text(row, table_text(object, "fieldPath", ""));
}

static void event_source(struct table_row *row)
{
	const struct json *source = either(row, "source", "deprecatedSource");
	const struct json *reporter = either(row, "reportingComponent", "reportingController");
	const char *component = table_text(source, "component", json_text(reporter));
	const char *host = table_text(source, "host", table_text(row->object, "reportingInstance", NULL));
	component = component ? component : "";
	table_add_text(row, host ? arena_printf(row->arena, "%s, %s", component, host) : component);
}

static void event_message(struct table_row *row)
{
	static const char blanks[] = " \t\r\n\v\f";
	const char *text = json_text(either(row, "message", "note"));
	text = text ? text + strspn(text, blanks) : "";
	size_t length = strlen(text);
	while (length && strchr(blanks, text[length - 1]))
		length--;
	json_append(row->arena, row->cells, json_string_n(row->arena, text, length));
}

static void event_first_and_count(struct table_row *row)
{
	const struct json *counted = either(row, "count", "deprecatedCount");
	int64_t count = json_is(counted, JSON_INTEGER) ? counted->integer : 0;
	if (table_at(row->object, "series"))
		count = table_number(row->object, "series.count");
	else if (!count)
		count = 1;
	table_add_text(row, event_first_seen(row));
	table_add_number(row, count);
}

// --- volumes -----------------------------------------------------------------------------

static void volume_phase(struct table_row *row)
{
	table_add_text(row, object_is_being_deleted(row->object) ? "Terminating"
	                                                         : table_text(row->object, "status.phase", ""));
}

static void volume_class(struct table_row *row)
{
	const struct json *annotation =
	        json_get(table_at(row->object, "metadata.annotations"), "volume.beta.kubernetes.io/storage-class");
	const char *text = json_text(annotation);
	table_add_text(row, text ? text : table_text(row->object, "spec.storageClassName", ""));
}

static void volume_claim(struct table_row *row)
{
	const struct json *claim = table_at(row->object, "spec.claimRef");
	table_add_text(row, claim ? arena_printf(row->arena, "%s/%s", table_text(claim, "namespace", ""),
	                                         table_text(claim, "name", ""))
	                          : "");
}

static void volume_modes(struct table_row *row)
{
	table_add_text(row, table_access_modes(row->arena, table_at(row->object, "spec.accessModes")));
}

static void claim_capacity_and_modes(struct table_row *row)
{
	bool bound = table_text(row->object, "spec.volumeName", NULL) != NULL;
	const char *capacity = table_scalar(row->arena, table_at(row->object, "status.capacity.storage"));
	table_add_text(row, bound ? (capacity ? capacity : "0") : "");
	table_add_text(row, bound ? table_access_modes(row->arena, table_at(row->object, "status.accessModes")) : "");
}

// --- others --------------------------------------------------------------------------------

static void component_health(struct table_row *row)
{
	const struct json *healthy = table_condition(table_at(row->object, "conditions"), "Healthy");
	const char *status = "Unknown";
	if (healthy)
		status = strcmp(table_text(healthy, "status", ""), "True") == 0 ? "Healthy" : "Unhealthy";
	table_add_text(row, status);
	table_add_text(row, table_text(healthy, "message", ""));
	table_add_text(row, table_text(healthy, "error", ""));
}

static void config_map_data(struct table_row *row)
{
	table_add_number(row, (int64_t)(table_count(row->object, "data") + table_count(row->object, "binaryData")));
}

static int compare_keys(const void *left, const void *right)
{
	return strcmp((*(const struct json_member *const *)left)->key,
	              (*(const struct json_member *const *)right)->key);
}

// "cpu: 1/2, memory: 1Gi/2Gi": the limits of one sort.
static void add_quota(struct table_row *row, const struct json_member **sorted, size_t count, bool limits)
{
	const struct json *used = table_at(row->object, "status.used");
	AUTO_STRBUF struct strbuf out = STRBUF_INIT(1 << 20);
	for (size_t i = 0; i < count; i++) {
		if ((strncmp(sorted[i]->key, "limits.", 7) == 0) != limits)
			continue;
		const char *used_text = table_scalar(row->arena, json_get(used, sorted[i]->key));
		const char *hard_text = table_scalar(row->arena, sorted[i]->value);
		strbuf_printf(&out, "%s%s: %s/%s", out.length ? ", " : "", sorted[i]->key, used_text ? used_text : "0",
		              hard_text ? hard_text : "0");
	}
	table_add_text(row, strbuf_text(&out));
}

static void quota_usage(struct table_row *row)
{
	const struct json *hard = table_at(row->object, "status.hard");
	size_t count = 0;
	const struct json_member **sorted =
	        ARENA_ARRAY(row->arena, const struct json_member *, table_count(row->object, "status.hard") + 1);
	json_for_each_member (limit, hard)
		sorted[count++] = limit;
	qsort(sorted, count, sizeof(*sorted), compare_keys);
	add_quota(row, sorted, count, false);
	add_quota(row, sorted, count, true);
}

// --- the kinds ---------------------------------------------------------------------------

static const struct cell pod_cells[] = {
        CELL_NAME,
        CELL_BY(table_pod_summary),
        CELL_AGE_OF_OBJECT,
        CELL_BY(table_pod_address),
        {CELL_TEXT, "spec.nodeName", "<none>", NULL},
        {CELL_TEXT, "status.nominatedNodeName", "<none>", NULL},
        CELL_BY(table_pod_readiness_gates),
};

static const struct cell pod_template_cells[] = {
        CELL_NAME,
        {CELL_NAMES, "template.spec.containers", NULL, NULL},
        {CELL_IMAGES, "template.spec.containers", NULL, NULL},
        {CELL_LABELS, "template.metadata.labels", NULL, NULL},
};

static const struct cell replication_controller_cells[] = {
        CELL_NAME,
        {CELL_NUMBER, "spec.replicas", NULL, NULL},
        {CELL_NUMBER, "status.replicas", NULL, NULL},
        {CELL_NUMBER, "status.readyReplicas", NULL, NULL},
        CELL_AGE_OF_OBJECT,
        {CELL_NAMES, "spec.template.spec.containers", NULL, NULL},
        {CELL_IMAGES, "spec.template.spec.containers", NULL, NULL},
        {CELL_LABELS, "spec.selector", NULL, NULL},
};

static const struct cell service_cells[] = {
        CELL_NAME,
        {CELL_TEXT, "spec.type", "", NULL},
        CELL_BY(service_cluster_ip),
        CELL_BY(service_external_ip),
        CELL_BY(service_ports),
        CELL_AGE_OF_OBJECT,
        {CELL_LABELS, "spec.selector", NULL, NULL},
};

static const struct cell endpoints_cells[] = {CELL_NAME, CELL_BY(endpoints_addresses), CELL_AGE_OF_OBJECT};

static const struct cell node_cells[] = {
        CELL_NAME,
        CELL_BY(node_status),
        CELL_BY(node_roles),
        CELL_AGE_OF_OBJECT,
        {CELL_TEXT, "status.nodeInfo.kubeletVersion", "", NULL},
        CELL_BY(node_addresses),
        {CELL_TEXT, "status.nodeInfo.osImage", "<unknown>", NULL},
        {CELL_TEXT, "status.nodeInfo.kernelVersion", "<unknown>", NULL},
        {CELL_TEXT, "status.nodeInfo.containerRuntimeVersion", "<unknown>", NULL},
};

static const struct cell event_cells[] = {
        CELL_BY(event_last_seen), {CELL_TEXT, "type", "", NULL}, {CELL_TEXT, "reason", "", NULL}, CELL_BY(event_object),
        CELL_BY(event_source),    CELL_BY(event_message),        CELL_BY(event_first_and_count),  CELL_NAME,
};

static const struct cell namespace_cells[] = {CELL_NAME, {CELL_TEXT, "status.phase", "", NULL}, CELL_AGE_OF_OBJECT};

static const struct cell secret_cells[] = {
        CELL_NAME,
        {CELL_TEXT, "type", "", NULL},
        {CELL_COUNT, "data", NULL, NULL},
        CELL_AGE_OF_OBJECT,
};

static const struct cell service_account_cells[] = {CELL_NAME, {CELL_COUNT, "secrets", NULL, NULL}, CELL_AGE_OF_OBJECT};

static const struct cell persistent_volume_cells[] = {
        CELL_NAME,
        {CELL_SCALAR, "spec.capacity.storage", "0", NULL},
        CELL_BY(volume_modes),
        {CELL_TEXT, "spec.persistentVolumeReclaimPolicy", "", NULL},
        CELL_BY(volume_phase),
        CELL_BY(volume_claim),
        CELL_BY(volume_class),
        {CELL_TEXT, "spec.volumeAttributesClassName", "<unset>", NULL},
        {CELL_TEXT, "status.reason", "", NULL},
        CELL_AGE_OF_OBJECT,
        {CELL_TEXT, "spec.volumeMode", "<unset>", NULL},
};

static const struct cell persistent_volume_claim_cells[] = {
        CELL_NAME,
        CELL_BY(volume_phase),
        {CELL_TEXT, "spec.volumeName", "", NULL},
        CELL_BY(claim_capacity_and_modes),
        CELL_BY(volume_class),
        {CELL_TEXT, "spec.volumeAttributesClassName", "<unset>", NULL},
        CELL_AGE_OF_OBJECT,
        {CELL_TEXT, "spec.volumeMode", "<unset>", NULL},
};

static const struct cell component_status_cells[] = {CELL_NAME, CELL_BY(component_health)};
static const struct cell config_map_cells[] = {CELL_NAME, CELL_BY(config_map_data), CELL_AGE_OF_OBJECT};
static const struct cell resource_quota_cells[] = {CELL_NAME, CELL_BY(quota_usage), CELL_AGE_OF_OBJECT};

static const struct cell status_cells[] = {
        {CELL_TEXT, "status", "", NULL},
        {CELL_TEXT, "reason", "", NULL},
        {CELL_TEXT, "message", "", NULL},
};

const struct table_kind table_core_kinds[] = {
        TABLE_KIND("", "ComponentStatus", component_status_cells),
        TABLE_KIND("", "ConfigMap", config_map_cells),
        TABLE_KIND("", "Endpoints", endpoints_cells),
        TABLE_KIND("", "Event", event_cells),
        TABLE_KIND("", "Namespace", namespace_cells),
        TABLE_KIND("", "Node", node_cells),
        TABLE_KIND("", "PersistentVolume", persistent_volume_cells),
        TABLE_KIND("", "PersistentVolumeClaim", persistent_volume_claim_cells),
        TABLE_KIND("", "Pod", pod_cells),
        TABLE_KIND("", "PodTemplate", pod_template_cells),
        TABLE_KIND("", "ReplicationController", replication_controller_cells),
        TABLE_KIND("", "ResourceQuota", resource_quota_cells),
        TABLE_KIND("", "Secret", secret_cells),
        TABLE_KIND("", "Service", service_cells),
        TABLE_KIND("", "ServiceAccount", service_account_cells),
        TABLE_KIND("", "Status", status_cells),
        TABLE_KIND("events.k8s.io", "Event", event_cells),
};
const size_t table_core_kind_count = ARRAY_SIZE(table_core_kinds);
