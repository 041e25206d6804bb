// SPDX-License-Identifier: Apache-2.0
#include <inttypes.h>
#include <string.h>

#include "common/api/object.h"
#include "ctl/ctl.h"
#include "ctl/describe/describe.h"

static void place(struct describer *describer, const struct json *pod)
{
	const char *node = text_of(json_get(pod, "spec"), "nodeName", NULL);
	if (node)
		describe_line(describer, 0, "Node:\t%s/%s", node, text_of(json_get(pod, "status"), "hostIP", ""));
	else
		describe_line(describer, 0, "Node:\t<none>");
	if (text_of(json_get(pod, "status"), "startTime", NULL))
		describe_line(describer, 0, "Start Time:\t%s",
		              time_text(describer, json_get_text(json_get(pod, "status"), "startTime")));
}

static void state(struct describer *describer, const struct json *pod)
{
	const struct json *status = json_get(pod, "status"), *metadata = json_get(pod, "metadata");
	const char *deleted = json_get_text(metadata, "deletionTimestamp");
	if (deleted) {
		describe_line(describer, 0, "Status:\tTerminating (lasts %s)", age_of(describer, deleted));
		describe_line(describer, 0, "Termination Grace Period:\t%" PRId64 "s",
		              number_of(metadata, "deletionGracePeriodSeconds", 0));
	} else {
		describe_line(describer, 0, "Status:\t%s", text_of(status, "phase", ""));
	}
	if (text_of(status, "reason", NULL))
		describe_line(describer, 0, "Reason:\t%s", text_of(status, "reason", ""));
	if (text_of(status, "message", NULL))
		describe_line(describer, 0, "Message:\t%s", text_of(status, "message", ""));
}

static void addresses(struct describer *describer, const struct json *status)
{
	const struct json *ips = json_get(status, "podIPs");
	bool any = json_is(ips, JSON_ARRAY) && ips->length;
	describe_line(describer, 0, "IP:\t%s", text_of(status, "podIP", ""));
	describe_line(describer, 0, any ? "IPs:" : "IPs:\t<none>");
	json_for_each_item (ip, ips)
		describe_line(describer, 1, "IP:\t%s", text_of(ip, "ip", ""));
}

static void controller(struct describer *describer, const struct json *metadata)
{
	json_for_each_item (owner, json_get(metadata, "ownerReferences"))
		if (json_get_bool(owner, "controller", false))
			describe_line(describer, 0, "Controlled By:\t%s/%s", text_of(owner, "kind", ""),
			              text_of(owner, "name", ""));
}

static void conditions(struct describer *describer, const struct json *conditions)
{
	if (!json_is(conditions, JSON_ARRAY) || !conditions->length)
		return;
	describe_line(describer, 0, "Conditions:\n  Type\tStatus");
	json_for_each_item (condition, conditions)
		describe_line(describer, 1, "%s \t%s ", text_of(condition, "type", ""),
		              text_of(condition, "status", ""));
}

void describe_pod(struct describer *describer, const struct json *object)
{
	const struct json *spec = json_get(object, "spec"), *status = json_get(object, "status"),
	                  *metadata = json_get(object, "metadata");
	const struct json *init = json_get(spec, "initContainers");
	describe_names(describer, object);
	describe_line(describer, 0, "Priority:\t%" PRId64, number_of(spec, "priority", 0));
	if (text_of(spec, "priorityClassName", NULL))
		describe_line(describer, 0, "Priority Class Name:\t%s", text_of(spec, "priorityClassName", ""));
	if (text_of(spec, "runtimeClassName", NULL))
		describe_line(describer, 0, "Runtime Class Name:\t%s", text_of(spec, "runtimeClassName", ""));
	if (text_of(spec, "serviceAccountName", NULL))
		describe_line(describer, 0, "Service Account:\t%s", text_of(spec, "serviceAccountName", ""));
	place(describer, object);
	describe_map(describer, 0, "Labels", json_get(metadata, "labels"));
	describe_annotations(describer, 0, metadata);
	state(describer, object);
	addresses(describer, status);
	controller(describer, metadata);
	if (text_of(status, "nominatedNodeName", NULL))
		describe_line(describer, 0, "NominatedNodeName:\t%s", text_of(status, "nominatedNodeName", ""));
	if (json_is(init, JSON_ARRAY) && init->length)
		describe_containers(describer, 0, "Init Containers", init, json_get(status, "initContainerStatuses"));
	describe_containers(describer, 0, "Containers", json_get(spec, "containers"),
	                    json_get(status, "containerStatuses"));
	conditions(describer, json_get(status, "conditions"));
	describe_volumes(describer, 0, json_get(spec, "volumes"));
	describe_line(describer, 0, "QoS Class:\t%s", text_of(status, "qosClass", "BestEffort"));
	describe_node_selector(describer, 0, json_get(spec, "nodeSelector"));
	describe_tolerations(describer, json_get(spec, "tolerations"));
	describe_events(describer, object);
}
