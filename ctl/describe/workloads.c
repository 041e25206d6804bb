// SPDX-License-Identifier: Apache-2.0
// Deployments, ReplicaSets, DaemonSets, StatefulSets and Jobs.

#include <inttypes.h>
#include <string.h>

#include "common/api/object.h"
#include "common/api/selector.h"
#include "ctl/ctl.h"
#include "ctl/describe/describe.h"
#include "ctl/pod_target.h"
#include "ctl/revisions.h"

static const char *selector_text(struct describer *describer, const struct json *selector)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(65536);
	struct label_selector *parsed;
	if (!json_is(selector, JSON_OBJECT))
		return "<unset>";
	if (label_selector_from_json(describer->ctl->arena, selector, &parsed, NULL) < 0)
		return "<error>";
	label_selector_write(parsed, &text);
	return text.length ? arena_strdup(describer->ctl->arena, strbuf_text(&text)) : "<none>";
}

static void owner(struct describer *describer, const struct json *object)
{
	json_for_each_item (reference, json_path(object, "metadata", "ownerReferences"))
		if (json_get_bool(reference, "controller", false))
			describe_line(describer, 0, "Controlled By:\t%s/%s", text_of(reference, "kind", ""),
			              text_of(reference, "name", ""));
}

static void conditions(struct describer *describer, const struct json *object)
{
	const struct json *list = json_path(object, "status", "conditions");
	if (!json_is(list, JSON_ARRAY) || !list->length)
		return;
	describe_line(describer, 0, "Conditions:\n  Type\tStatus\tReason\n  ----\t------\t------");
	json_for_each_item (condition, list)
		describe_line(describer, 1, "%s \t%s\t%s", text_of(condition, "type", ""),
		              text_of(condition, "status", ""), text_of(condition, "reason", ""));
}

// "1 Running / 0 Waiting / 0 Succeeded / 0 Failed" of the pods that the selector finds and the object owns.
static void pods_status(struct describer *describer, const struct json *object, const char *plural)
{
	struct ctl *ctl = describer->ctl;
	struct json **pods = NULL;
	size_t count = 0, running = 0, waiting = 0, succeeded = 0, failed = 0;
	const struct target target = {
	        .resource = schema_find_resource("apps", "v1", plural),
	        .namespace_name = object_namespace(object),
	        .name = object_name(object),
	        .object = (struct json *)object,
	};
	if (!describer->show_events || !pods_of(ctl, &target, &pods, &count))
		return;
	for (size_t i = 0; i < count; i++) {
		const char *phase = text_of(json_get(pods[i], "status"), "phase", ""), *uid = object_uid(object);
		const struct json *owners = json_path(pods[i], "metadata", "ownerReferences");
		const char *owner_uid =
		        json_is(owners, JSON_ARRAY) && owners->length ? json_get_text(owners->items[0], "uid") : NULL;
		if (!uid || !owner_uid || strcmp(uid, owner_uid) != 0)
			continue;
		running += strcmp(phase, "Running") == 0;
		waiting += strcmp(phase, "Pending") == 0;
		succeeded += strcmp(phase, "Succeeded") == 0;
		failed += strcmp(phase, "Failed") == 0;
	}
	describe_line(describer, 0, "Pods Status:\t%zu Running / %zu Waiting / %zu Succeeded / %zu Failed", running,
	              waiting, succeeded, failed);
}

// --- Deployment --------------------------------------------------------------------------------------

static const char *replica_set_text(struct describer *describer, const struct revision *revision)
{
	const struct json *object = revision->object;
	return ctl_printf(describer->ctl, "%s (%" PRId64 "/%" PRId64 " replicas created)", object_name(object),
	                  number_of(json_get(object, "status"), "replicas", 0),
	                  number_of(json_get(object, "spec"), "replicas", 0));
}

static void replica_sets(struct describer *describer, const struct json *object)
{
	struct ctl *ctl = describer->ctl;
	struct revision *revisions = NULL;
	size_t count = 0, newest = SIZE_MAX;
	const struct target target = {
	        .resource = schema_find_resource("apps", "v1", "deployments"),
	        .namespace_name = object_namespace(object),
	        .name = object_name(object),
	        .object = (struct json *)object,
	};
	AUTO_STRBUF struct strbuf old = STRBUF_INIT(1 << 20);
	if (!describer->show_events || !revisions_read(ctl, &target, &revisions, &count) || !count)
		return;
	for (size_t i = 0; i < count; i++)
		if (json_equal(revisions[i].template, json_path(object, "spec", "template")))
			newest = i;
	for (size_t i = 0; i < count; i++)
		if (i != newest)
			strbuf_printf(&old, "%s%s", old.length ? ", " : "", replica_set_text(describer, &revisions[i]));
	describe_line(describer, 0, "OldReplicaSets:\t%s", old.length ? strbuf_text(&old) : "<none>");
	describe_line(describer, 0, "NewReplicaSet:\t%s",
	              newest < count ? replica_set_text(describer, &revisions[newest]) : "<none>");
}

void describe_deployment(struct describer *describer, const struct json *object)
{
	const struct json *spec = json_get(object, "spec"), *status = json_get(object, "status"),
	                  *metadata = json_get(object, "metadata");
	const struct json *rolling = json_path(spec, "strategy", "rollingUpdate");
	describe_names(describer, object);
	describe_line(describer, 0, "CreationTimestamp:\t%s",
	              time_text(describer, json_get_text(metadata, "creationTimestamp")));
	describe_map(describer, 0, "Labels", json_get(metadata, "labels"));
	describe_annotations(describer, 0, metadata);
	describe_line(describer, 0, "Selector:\t%s", selector_text(describer, json_get(spec, "selector")));
	describe_line(describer, 0,
	              "Replicas:\t%" PRId64 " desired | %" PRId64 " updated | %" PRId64 " total | %" PRId64
	              " available | %" PRId64 " unavailable",
	              number_of(spec, "replicas", 1), number_of(status, "updatedReplicas", 0),
	              number_of(status, "replicas", 0), number_of(status, "availableReplicas", 0),
	              number_of(status, "unavailableReplicas", 0));
	describe_line(describer, 0, "StrategyType:\t%s", text_of(json_get(spec, "strategy"), "type", ""));
	describe_line(describer, 0, "MinReadySeconds:\t%" PRId64, number_of(spec, "minReadySeconds", 0));
	if (rolling)
		describe_line(describer, 0, "RollingUpdateStrategy:\t%s max unavailable, %s max surge",
		              scalar_text(describer, json_get(rolling, "maxUnavailable")),
		              scalar_text(describer, json_get(rolling, "maxSurge")));
	describe_pod_template(describer, json_get(spec, "template"));
	conditions(describer, object);
	replica_sets(describer, object);
	describe_events(describer, object);
}

// --- the others ----------------------------------------------------------------------------------------

void describe_replica_set(struct describer *describer, const struct json *object)
{
	const struct json *spec = json_get(object, "spec"), *metadata = json_get(object, "metadata");
	describe_names(describer, object);
	describe_line(describer, 0, "Selector:\t%s", selector_text(describer, json_get(spec, "selector")));
	describe_map(describer, 0, "Labels", json_get(metadata, "labels"));
	describe_annotations(describer, 0, metadata);
	owner(describer, object);
	describe_line(describer, 0, "Replicas:\t%" PRId64 " current / %" PRId64 " desired",
	              number_of(json_get(object, "status"), "replicas", 0), number_of(spec, "replicas", 1));
	pods_status(describer, object, "replicasets");
	describe_pod_template(describer, json_get(spec, "template"));
	conditions(describer, object);
	describe_events(describer, object);
}

void describe_daemon_set(struct describer *describer, const struct json *object)
{
	const struct json *spec = json_get(object, "spec"), *status = json_get(object, "status"),
	                  *metadata = json_get(object, "metadata");
	describe_names(describer, object);
	describe_line(describer, 0, "Selector:\t%s", selector_text(describer, json_get(spec, "selector")));
	describe_node_selector(describer, 0, json_path(spec, "template", "spec", "nodeSelector"));
	describe_map(describer, 0, "Labels", json_get(metadata, "labels"));
	describe_annotations(describer, 0, metadata);
	describe_line(describer, 0, "Desired Number of Nodes Scheduled: %" PRId64,
	              number_of(status, "desiredNumberScheduled", 0));
	describe_line(describer, 0, "Current Number of Nodes Scheduled: %" PRId64,
	              number_of(status, "currentNumberScheduled", 0));
	describe_line(describer, 0, "Number of Nodes Scheduled with Up-to-date Pods: %" PRId64,
	              number_of(status, "updatedNumberScheduled", 0));
	describe_line(describer, 0, "Number of Nodes Scheduled with Available Pods: %" PRId64,
	              number_of(status, "numberAvailable", 0));
	describe_line(describer, 0, "Number of Nodes Misscheduled: %" PRId64,
	              number_of(status, "numberMisscheduled", 0));
	pods_status(describer, object, "daemonsets");
	describe_pod_template(describer, json_get(spec, "template"));
	describe_events(describer, object);
}

void describe_stateful_set(struct describer *describer, const struct json *object)
{
	const struct json *spec = json_get(object, "spec"), *status = json_get(object, "status"),
	                  *metadata = json_get(object, "metadata");
	const struct json *rolling = json_path(spec, "updateStrategy", "rollingUpdate"),
	                  *claims = json_get(spec, "volumeClaimTemplates");
	describe_names(describer, object);
	describe_line(describer, 0, "CreationTimestamp:\t%s",
	              time_text(describer, json_get_text(metadata, "creationTimestamp")));
	describe_line(describer, 0, "Selector:\t%s", selector_text(describer, json_get(spec, "selector")));
	describe_map(describer, 0, "Labels", json_get(metadata, "labels"));
	describe_annotations(describer, 0, metadata);
	describe_line(describer, 0, "Replicas:\t%" PRId64 " desired | %" PRId64 " total",
	              number_of(spec, "replicas", 1), number_of(status, "replicas", 0));
	describe_line(describer, 0, "Update Strategy:\t%s", text_of(json_get(spec, "updateStrategy"), "type", ""));
	if (rolling)
		describe_line(describer, 1, "Partition:\t%" PRId64, number_of(rolling, "partition", 0));
	pods_status(describer, object, "statefulsets");
	describe_pod_template(describer, json_get(spec, "template"));
	describe_line(describer, 0,
	              json_is(claims, JSON_ARRAY) && claims->length ? "Volume Claims:" : "Volume Claims:\t<none>");
	json_for_each_item (claim, claims)
		describe_line(describer, 1, "Name:\t%s", object_name(claim));
	describe_events(describer, object);
}

void describe_job(struct describer *describer, const struct json *object)
{
	const struct json *spec = json_get(object, "spec"), *status = json_get(object, "status"),
	                  *metadata = json_get(object, "metadata");
	describe_names(describer, object);
	describe_line(describer, 0, "Selector:\t%s", selector_text(describer, json_get(spec, "selector")));
	describe_map(describer, 0, "Labels", json_get(metadata, "labels"));
	describe_annotations(describer, 0, metadata);
	owner(describer, object);
	describe_line(describer, 0, "Parallelism:\t%" PRId64, number_of(spec, "parallelism", 1));
	if (json_get(spec, "completions"))
		describe_line(describer, 0, "Completions:\t%" PRId64, number_of(spec, "completions", 1));
	else
		describe_line(describer, 0, "Completions:\t<unset>");
	describe_line(describer, 0, "Completion Mode:\t%s", text_of(spec, "completionMode", "NonIndexed"));
	describe_line(describer, 0, "Suspend:\t%s", json_get_bool(spec, "suspend", false) ? "true" : "false");
	describe_line(describer, 0, "Backoff Limit:\t%" PRId64, number_of(spec, "backoffLimit", 6));
	if (text_of(status, "startTime", NULL))
		describe_line(describer, 0, "Start Time:\t%s",
		              time_text(describer, json_get_text(status, "startTime")));
	if (text_of(status, "completionTime", NULL))
		describe_line(describer, 0, "Completed At:\t%s",
		              time_text(describer, json_get_text(status, "completionTime")));
	describe_line(describer, 0,
	              "Pods Statuses:\t%" PRId64 " Active (%" PRId64 " Ready) / %" PRId64 " Succeeded / %" PRId64
	              " Failed",
	              number_of(status, "active", 0), number_of(status, "ready", 0), number_of(status, "succeeded", 0),
	              number_of(status, "failed", 0));
	describe_pod_template(describer, json_get(spec, "template"));
	describe_events(describer, object);
}
