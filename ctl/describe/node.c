// SPDX-License-Identifier: Apache-2.0
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/api/object.h"
#include "common/api/quantity.h"
#include "ctl/ctl.h"
#include "ctl/describe/describe.h"
#include "ctl/selection.h"

#define ROLE_PREFIX "node-role.kubernetes.io/"

static const char *roles(struct describer *describer, const struct json *labels)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(65536);
	struct json *sorted = json_clone(describer->ctl->arena, labels ? labels : json_object(describer->ctl->arena));
	json_sort_keys(sorted);
	json_for_each_member (label, sorted) {
		const char *role = NULL;
		if (strncmp(label->key, ROLE_PREFIX, strlen(ROLE_PREFIX)) == 0)
			role = label->key + strlen(ROLE_PREFIX);
		else if (strcmp(label->key, "kubernetes.io/role") == 0)
			role = json_text(label->value);
		if (role && role[0])
			strbuf_printf(&text, "%s%s", text.length ? "," : "", role);
	}
	return text.length ? arena_strdup(describer->ctl->arena, strbuf_text(&text)) : "<none>";
}

static int compare_taints(const void *one, const void *other)
{
	const struct json *a = *(struct json *const *)one, *b = *(struct json *const *)other;
	int order = strcmp(text_of(a, "effect", ""), text_of(b, "effect", ""));
	return order ? order : strcmp(text_of(a, "key", ""), text_of(b, "key", ""));
}

static void taints(struct describer *describer, const struct json *given)
{
	const char *title = "Taints:";
	struct json *list = given ? json_clone(describer->ctl->arena, given) : NULL;
	if (json_is(list, JSON_ARRAY) && list->length)
		qsort(list->items, list->length, sizeof(struct json *), compare_taints);
	json_for_each_item (taint, list) {
		const char *value = text_of(taint, "value", NULL);
		describe_line(describer, 0, "%s\t%s%s%s:%s", title, text_of(taint, "key", ""), value ? "=" : "",
		              value ? value : "", text_of(taint, "effect", ""));
		title = "";
	}
	if (title[0])
		describe_line(describer, 0, "Taints:\t<none>");
}

static void lease(struct describer *describer, const char *node)
{
	struct ctl *ctl = describer->ctl;
	struct rest_response response;
	const struct rest_request request = {
	        .method = "GET",
	        .resource = schema_find_resource("coordination.k8s.io", "v1", "leases"),
	        .namespace_name = "kube-node-lease",
	        .name = node,
	};
	if (!describer->show_events)
		return;
	if (!ctl_call(ctl, &request, &response)) {
		describe_line(describer, 0, "Lease:\tFailed to get lease: %s", response.err.message);
		return;
	}
	const struct json *spec = json_get(response.object, "spec");
	describe_line(describer, 0, "Lease:");
	describe_line(describer, 1, "HolderIdentity:\t%s", text_of(spec, "holderIdentity", "<unset>"));
	describe_line(describer, 1, "AcquireTime:\t%s", time_text(describer, json_get_text(spec, "acquireTime")));
	describe_line(describer, 1, "RenewTime:\t%s", time_text(describer, json_get_text(spec, "renewTime")));
}

static void conditions(struct describer *describer, const struct json *list)
{
	if (!json_is(list, JSON_ARRAY) || !list->length)
		return;
	describe_line(describer, 0,
	              "Conditions:\n  Type\tStatus\tLastHeartbeatTime\tLastTransitionTime\tReason\tMessage\n"
	              "  ----\t------\t-----------------\t------------------\t------\t-------");
	json_for_each_item (condition, list)
		describe_line(describer, 1, "%s \t%s \t%s \t%s \t%s \t%s", text_of(condition, "type", ""),
		              text_of(condition, "status", ""),
		              time_text(describer, json_get_text(condition, "lastHeartbeatTime")),
		              time_text(describer, json_get_text(condition, "lastTransitionTime")),
		              text_of(condition, "reason", ""), text_of(condition, "message", ""));
}

static void resources(struct describer *describer, const char *title, const struct json *map)
{
	if (!json_is(map, JSON_OBJECT) || !map->length)
		return;
	struct json *sorted = json_clone(describer->ctl->arena, map);
	json_sort_keys(sorted);
	describe_line(describer, 0, "%s:", title);
	json_for_each_member (member, sorted)
		describe_line(describer, 1, "%s:\t%s", member->key, scalar_text(describer, member->value));
}

static void system_info(struct describer *describer, const struct json *info)
{
	static const char *const rows[][2] = {
	        {"Machine ID", "machineID"},
	        {"System UUID", "systemUUID"},
	        {"Boot ID", "bootID"},
	        {"Kernel Version", "kernelVersion"},
	        {"OS Image", "osImage"},
	        {"Operating System", "operatingSystem"},
	        {"Architecture", "architecture"},
	        {"Container Runtime Version", "containerRuntimeVersion"},
	        {"Kubelet Version", "kubeletVersion"},
	        {"Kube-Proxy Version", "kubeProxyVersion"},
	};
	describe_line(describer, 0, "System Info:");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		describe_line(describer, 1, "%s:\t%s", rows[i][0], text_of(info, rows[i][1], ""));
}

// --- the pods of the node -----------------------------------------------------------------------

static const char *const shown_resources[] = {"cpu", "memory", "ephemeral-storage"};

struct usage {
	struct quantity requests[ARRAY_SIZE(shown_resources)];
	struct quantity limits[ARRAY_SIZE(shown_resources)];
};

static void add_quantity(struct quantity *sum, const char *text)
{
	struct quantity quantity;
	if (!text || quantity_parse(text, &quantity, NULL) < 0)
		return;
	if (sum->nano == 0)
		sum->format = quantity.format;
	sum->nano += quantity.nano;
}

static void raise_quantity(struct quantity *most, const struct quantity *other)
{
	if (quantity_compare(other, most) > 0)
		*most = *other;
}

static void add_container(struct usage *usage, const struct json *container)
{
	for (size_t i = 0; i < ARRAY_SIZE(shown_resources); i++) {
		add_quantity(&usage->requests[i],
		             json_text(json_path(container, "resources", "requests", shown_resources[i])));
		add_quantity(&usage->limits[i],
		             json_text(json_path(container, "resources", "limits", shown_resources[i])));
	}
}

// What a pod asks for: the sum of its containers, or more when an init container alone wants more.
static struct usage pod_usage(const struct json *pod)
{
	struct usage usage = {0};
	json_for_each_item (container, json_path(pod, "spec", "containers"))
		add_container(&usage, container);
	json_for_each_item (container, json_path(pod, "spec", "initContainers")) {
		struct usage alone = {0};
		add_container(&alone, container);
		for (size_t i = 0; i < ARRAY_SIZE(shown_resources); i++) {
			raise_quantity(&usage.requests[i], &alone.requests[i]);
			raise_quantity(&usage.limits[i], &alone.limits[i]);
		}
	}
	return usage;
}

static const char *share(struct describer *describer, const struct quantity *quantity, const struct json *node,
                         const char *resource)
{
	char text[QUANTITY_TEXT_BYTES];
	const char *capacity_text = json_text(json_path(node, "status", "allocatable", resource));
	struct quantity capacity = {0};
	if (capacity_text && quantity_parse(capacity_text, &capacity, NULL) < 0)
		capacity.nano = 0;
	int64_t percent = capacity.nano > 0 ? (int64_t)(quantity->nano * 100 / capacity.nano) : 0;
	quantity_format(quantity, text);
	return ctl_printf(describer->ctl, "%s (%" PRId64 "%%)", text, percent);
}

static void pod_row(struct describer *describer, const struct json *node, const struct json *pod, struct usage *total)
{
	struct usage usage = pod_usage(pod);
	describe_line(describer, 1, "%s\t%s\t%s\t%s\t%s\t%s\t%s", object_namespace(pod), object_name(pod),
	              share(describer, &usage.requests[0], node, "cpu"),
	              share(describer, &usage.limits[0], node, "cpu"),
	              share(describer, &usage.requests[1], node, "memory"),
	              share(describer, &usage.limits[1], node, "memory"),
	              age_of(describer, json_get_text(object_metadata(pod), "creationTimestamp")));
	for (size_t i = 0; i < ARRAY_SIZE(shown_resources); i++) {
		if (total->requests[i].nano == 0)
			total->requests[i].format = usage.requests[i].format;
		if (total->limits[i].nano == 0)
			total->limits[i].format = usage.limits[i].format;
		total->requests[i].nano += usage.requests[i].nano;
		total->limits[i].nano += usage.limits[i].nano;
	}
}

static void pods(struct describer *describer, const struct json *node)
{
	struct ctl *ctl = describer->ctl;
	struct rest_response response;
	struct usage total = {0};
	const struct target all_pods = {.resource = schema_find_resource("", "v1", "pods")};
	const char *selector =
	        ctl_printf(ctl, "spec.nodeName=%s,status.phase!=Succeeded,status.phase!=Failed", object_name(node));
	if (!describer->show_events ||
	    !list_all(ctl, &all_pods, query_add(ctl, NULL, "fieldSelector", selector), NULL, 500, &response))
		return;
	const struct json *items = json_get(response.object, "items");
	describe_line(describer, 0, "Non-terminated Pods:\t(%u in total)", items ? items->length : 0);
	describe_line(describer, 1, "Namespace\tName\t\tCPU Requests\tCPU Limits\tMemory Requests\tMemory Limits\tAge");
	describe_line(describer, 1, "---------\t----\t\t------------\t----------\t---------------\t-------------\t---");
	json_for_each_item (pod, items)
		pod_row(describer, node, pod, &total);
	describe_line(describer, 0,
	              "Allocated resources:\n  (Total limits may be over 100 percent, i.e., overcommitted.)");
	describe_line(describer, 1, "Resource\tRequests\tLimits\n  --------\t--------\t------");
	for (size_t i = 0; i < ARRAY_SIZE(shown_resources); i++)
		describe_line(describer, 1, "%s\t%s\t%s", shown_resources[i],
		              share(describer, &total.requests[i], node, shown_resources[i]),
		              share(describer, &total.limits[i], node, shown_resources[i]));
}

void describe_node(struct describer *describer, const struct json *object)
{
	const struct json *spec = json_get(object, "spec"), *status = json_get(object, "status"),
	                  *metadata = json_get(object, "metadata");
	describe_line(describer, 0, "Name:\t%s", object_name(object));
	describe_line(describer, 0, "Roles:\t%s", roles(describer, json_get(metadata, "labels")));
	describe_map(describer, 0, "Labels", json_get(metadata, "labels"));
	describe_annotations(describer, 0, metadata);
	describe_line(describer, 0, "CreationTimestamp:\t%s",
	              time_text(describer, json_get_text(metadata, "creationTimestamp")));
	taints(describer, json_get(spec, "taints"));
	describe_line(describer, 0, "Unschedulable:\t%s",
	              json_get_bool(spec, "unschedulable", false) ? "true" : "false");
	lease(describer, object_name(object));
	conditions(describer, json_get(status, "conditions"));
	describe_line(describer, 0, "Addresses:");
	json_for_each_item (address, json_get(status, "addresses"))
		describe_line(describer, 1, "%s:\t%s", text_of(address, "type", ""), text_of(address, "address", ""));
	resources(describer, "Capacity", json_get(status, "capacity"));
	resources(describer, "Allocatable", json_get(status, "allocatable"));
	system_info(describer, json_get(status, "nodeInfo"));
	if (text_of(spec, "podCIDR", NULL))
		describe_line(describer, 0, "PodCIDR:\t%s", text_of(spec, "podCIDR", ""));
	if (json_is(json_get(spec, "podCIDRs"), JSON_ARRAY)) {
		AUTO_STRBUF struct strbuf text = STRBUF_INIT(65536);
		json_for_each_item (cidr, json_get(spec, "podCIDRs"))
			strbuf_printf(&text, "%s%s", text.length ? "," : "", scalar_text(describer, cidr));
		describe_line(describer, 0, "PodCIDRs:\t%s", strbuf_text(&text));
	}
	if (text_of(spec, "providerID", NULL))
		describe_line(describer, 0, "ProviderID:\t%s", text_of(spec, "providerID", ""));
	pods(describer, object);
	describe_events(describer, object);
}
