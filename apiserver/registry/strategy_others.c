// SPDX-License-Identifier: Apache-2.0
// The small strategies: kinds whose create or update writes a field or two.

#include <string.h>

#include "apiserver/registry/metadata.h"
#include "apiserver/registry/strategies.h"
#include "apiserver/validation/validation.h"
#include "common/api/object.h"
#include "common/base/encode.h"

// --- namespaces ------------------------------------------------------------------------

static void label_with_name(struct change *change)
{
	struct json *metadata = json_ensure_object(change->arena, change->object, "metadata");

	if (change->name[0])
		json_set_text(change->arena, json_ensure_object(change->arena, metadata, "labels"),
		              "kubernetes.io/metadata.name", change->name);
}

void strategy_namespace_create(struct change *change)
{
	struct json *spec = json_ensure_object(change->arena, change->object, "spec");
	struct json *finalizers = json_ensure_array(change->arena, spec, "finalizers");
	struct json *status = json_object(change->arena);
	bool has = false;

	json_for_each_item (finalizer, finalizers)
		has |= json_text(finalizer) && !strcmp(json_text(finalizer), "kubernetes");
	if (!has)
		json_append(change->arena, finalizers, json_string(change->arena, "kubernetes"));
	json_set_text(change->arena, status, "phase", "Active");
	json_set(change->arena, change->object, "status", status);
	label_with_name(change);
}

void strategy_namespace_update(struct change *change)
{
	struct json *old = json_path(change->old, "spec", "finalizers");

	label_with_name(change);
	if (!strcmp(change->subresource, "finalize") || !old)
		return;
	json_set(change->arena, json_ensure_object(change->arena, change->object, "spec"), "finalizers", old);
}

// --- storage ------------------------------------------------------------------------------

static void stamp_phase(struct change *change, struct json *status)
{
	char now[API_TIME_BYTES];

	api_time_format(change->request->received_realtime_ns, now);
	json_set_text(change->arena, status, "lastPhaseTransitionTime", now);
}

void strategy_volume_create(struct change *change)
{
	struct json *status = json_object(change->arena);

	json_set_text(change->arena, status, "phase", "Pending");
	stamp_phase(change, status);
	json_set(change->arena, change->object, "status", status);
}

void strategy_volume_update(struct change *change)
{
	struct json *status = json_ensure_object(change->arena, change->object, "status");
	const struct json *old = json_get(change->old, "status");

	if (strcmp(text_of(status, "phase"), text_of(old, "phase")) &&
	    !json_get_text(status, "lastPhaseTransitionTime"))
		stamp_phase(change, status);
	else if (strcmp(text_of(status, "phase"), text_of(old, "phase")) &&
	         !strcmp(text_of(status, "lastPhaseTransitionTime"), text_of(old, "lastPhaseTransitionTime")))
		stamp_phase(change, status);
}

// dataSource and dataSourceRef are each filled from the other.
void strategy_claim_create(struct change *change)
{
	struct json *spec = json_ensure_object(change->arena, change->object, "spec");
	struct json *source = json_get(spec, "dataSource"), *reference = json_get(spec, "dataSourceRef");

	if (is_present(source) && !is_present(reference))
		json_set(change->arena, spec, "dataSourceRef", json_clone(change->arena, source));
	else if (is_present(reference) && !is_present(source) && !text_of(reference, "namespace")[0])
		json_set(change->arena, spec, "dataSource", json_clone(change->arena, reference));
}

// --- configuration ------------------------------------------------------------------------

// stringData is written into data and isn't kept.
void strategy_secret(struct change *change)
{
	struct json *strings = json_get(change->object, "stringData");
	struct json *data;

	if (!strings)
		return;
	data = json_ensure_object(change->arena, change->object, "data");
	json_for_each_member (member, strings) {
		struct strbuf encoded = STRBUF_INIT(8 << 20);

		if (!json_is(member->value, JSON_STRING))
			continue;
		base64_encode(&encoded, member->value->text, member->value->length);
		json_set_text(change->arena, data, member->key, strbuf_text(&encoded));
		strbuf_done(&encoded);
	}
	json_remove(change->object, "stringData");
}

void strategy_limit_range_create(struct change *change)
{
	char name[37];

	if (change->name[0])
		return;
	uuid_v4(name);
	change->name = arena_strdup(change->arena, name);
	json_set_text(change->arena, json_ensure_object(change->arena, change->object, "metadata"), "name", name);
}

void strategy_definition_create(struct change *change)
{
	struct json *status = json_object(change->arena), *stored = json_array(change->arena);

	json_for_each_item (version, json_path(change->object, "spec", "versions"))
		if (json_get_bool(version, "storage", false))
			json_append(change->arena, stored, json_string(change->arena, text_of(version, "name")));
	json_set(change->arena, status, "storedVersions", stored);
	json_set(change->arena, change->object, "status", status);
}

static bool is_listed(const struct json *list, const char *text)
{
	json_for_each_item (item, list)
		if (json_text(item) && !strcmp(json_text(item), text))
			return true;
	return false;
}

// A version that objects are stored in from now on is remembered, until somebody has
// migrated them and says so through the status.
void strategy_definition_update(struct change *change)
{
	struct json *status = json_ensure_object(change->arena, change->object, "status");
	struct json *stored = json_ensure_array(change->arena, status, "storedVersions");

	if (!strcmp(change->subresource, "status"))
		return;
	json_for_each_item (version, json_path(change->object, "spec", "versions"))
		if (json_get_bool(version, "storage", false) && !is_listed(stored, text_of(version, "name")))
			json_append(change->arena, stored, json_string(change->arena, text_of(version, "name")));
}

// --- workloads ------------------------------------------------------------------------------

// A status update keeps the labels: they belong to the spec's writers.
void strategy_deployment_update(struct change *change)
{
	struct json *labels = json_path(change->old, "metadata", "labels");
	struct json *metadata = json_get(change->object, "metadata");

	if (strcmp(change->subresource, "status"))
		return;
	if (labels)
		json_set(change->arena, metadata, "labels", labels);
	else
		json_remove(metadata, "labels");
}

static void label_if_missing(struct change *change, struct json *labels, const char *key, const char *value)
{
	if (!json_get(labels, key))
		json_set_text(change->arena, labels, key, value);
}

// Without manualSelector a job's pods are found by the job's uid.
void strategy_job_create(struct change *change)
{
	struct json *spec = json_ensure_object(change->arena, change->object, "spec");
	const char *uid = object_uid(change->object);
	struct json *labels, *selector;

	if (json_get_bool(spec, "manualSelector", false))
		return;
	labels = json_ensure_object(
	        change->arena,
	        json_ensure_object(change->arena, json_ensure_object(change->arena, spec, "template"), "metadata"),
	        "labels");
	label_if_missing(change, labels, "batch.kubernetes.io/controller-uid", uid);
	label_if_missing(change, labels, "batch.kubernetes.io/job-name", change->name);
	label_if_missing(change, labels, "controller-uid", uid);
	label_if_missing(change, labels, "job-name", change->name);
	selector =
	        json_ensure_object(change->arena, json_ensure_object(change->arena, spec, "selector"), "matchLabels");
	label_if_missing(change, selector, "batch.kubernetes.io/controller-uid", uid);
}

// --- certificates ---------------------------------------------------------------------------

void strategy_signing_request_create(struct change *change)
{
	struct json *spec = json_ensure_object(change->arena, change->object, "spec");
	struct json *groups = json_array(change->arena);
	const struct user *user = &change->request->user;

	json_remove(spec, "uid");
	json_remove(spec, "extra");
	json_set_text(change->arena, spec, "username", user->name);
	for (size_t i = 0; i < user->group_count; i++)
		json_append(change->arena, groups, json_string(change->arena, user->groups[i]));
	json_set(change->arena, spec, "groups", groups);
}

void strategy_signing_request_update(struct change *change)
{
	struct json *old = json_get(change->old, "spec");

	if (old)
		json_set(change->arena, change->object, "spec", json_clone(change->arena, old));
}
