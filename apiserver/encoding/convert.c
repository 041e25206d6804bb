// SPDX-License-Identifier: Apache-2.0
// Two forms of one object. Both directions are tables of renamed members where
// that is all there is (Events); autoscaling/v1 keeps what it has no field for
// in annotations, as upstream does, so that a round trip loses nothing.

#include "apiserver/encoding/convert.h"

#include <string.h>

#include "apiserver/custom/definition.h"
#include "apiserver/encoding/convert_devices.h"

enum conversion {
	CONVERT_NONE,
	CONVERT_EVENT,
	CONVERT_AUTOSCALER,
	CONVERT_CUSTOM,  // to another version of a definition
	CONVERT_VERSION, // nothing but the version differs
	CONVERT_DEVICES,
};

// Of two versions of a built-in kind the schema says which one is stored.
static bool is_another_version(const struct schema_resource *resource)
{
	return resource->storage_prefix && resource->storage_version && resource->storage_version[0] &&
	       !strcmp(resource->group, resource->storage_group) &&
	       strcmp(resource->version, resource->storage_version) != 0;
}

static enum conversion conversion_of(const struct schema_resource *resource)
{
	if (definition_version_of(resource))
		return definition_must_convert(resource) ? CONVERT_CUSTOM : CONVERT_NONE;
	if (!strcmp(resource->group, "events.k8s.io") && !strcmp(resource->kind, "Event"))
		return CONVERT_EVENT;
	if (!strcmp(resource->group, "autoscaling") && !strcmp(resource->kind, "HorizontalPodAutoscaler") &&
	    strcmp(resource->version, resource->storage_version ? resource->storage_version : "v2"))
		return CONVERT_AUTOSCALER;
	if (!is_another_version(resource))
		return CONVERT_NONE;
	return strcmp(resource->group, "resource.k8s.io") ? CONVERT_VERSION : CONVERT_DEVICES;
}

bool convert_is_needed(const struct schema_resource *resource)
{
	return conversion_of(resource) != CONVERT_NONE;
}

bool convert_is_validated_as_stored(const struct schema_resource *resource)
{
	return conversion_of(resource) == CONVERT_DEVICES;
}

const struct schema_resource *convert_storage_resource(const struct schema_resource *resource)
{
	const struct definition_version *custom = definition_version_of(resource);
	const struct schema_resource *stored = NULL;

	if (custom)
		return definition_asks_webhook(resource) ? resource : &custom->definition->stored.resource;
	switch (conversion_of(resource)) {
	case CONVERT_EVENT:
		stored = schema_find_resource("", "v1", "events");
		break;
	case CONVERT_AUTOSCALER:
		stored = schema_find_resource("autoscaling", "v2", "horizontalpodautoscalers");
		break;
	case CONVERT_VERSION:
	case CONVERT_DEVICES:
		stored = schema_find_resource(resource->group, resource->storage_version, resource->plural);
		break;
	case CONVERT_CUSTOM:
	case CONVERT_NONE:
		break;
	}
	return stored ? stored : resource;
}

// --- events ------------------------------------------------------------------------

static const struct {
	const char *stored;
	const char *served;
} event_members[] = {
        {"involvedObject", "regarding"},
        {"message", "note"},
        {"source", "deprecatedSource"},
        {"firstTimestamp", "deprecatedFirstTimestamp"},
        {"lastTimestamp", "deprecatedLastTimestamp"},
        {"count", "deprecatedCount"},
        {"reportingComponent", "reportingController"},
};

static void rename_member(struct arena *arena, struct json *object, const char *from, const char *to)
{
	struct json *value = json_get(object, from);

	if (!value)
		return;
	json_remove(object, from);
	json_set(arena, object, to, value);
}

static void convert_event(struct arena *arena, struct json *object, bool to_storage)
{
	for (size_t i = 0; i < ARRAY_SIZE(event_members); i++) {
		const char *stored = event_members[i].stored, *served = event_members[i].served;

		rename_member(arena, object, to_storage ? served : stored, to_storage ? stored : served);
	}
	json_set_text(arena, object, "apiVersion", to_storage ? "v1" : "events.k8s.io/v1");
}

const char *convert_field_label(const struct schema_resource *resource, const char *label)
{
	static const struct {
		const char *served;
		const char *stored;
	} fields[] = {
	        {"regarding.kind", "involvedObject.kind"},
	        {"regarding.namespace", "involvedObject.namespace"},
	        {"regarding.name", "involvedObject.name"},
	        {"regarding.uid", "involvedObject.uid"},
	        {"regarding.apiVersion", "involvedObject.apiVersion"},
	        {"regarding.resourceVersion", "involvedObject.resourceVersion"},
	        {"regarding.fieldPath", "involvedObject.fieldPath"},
	        {"reportingController", "reportingComponent"},
	};

	if (conversion_of(resource) == CONVERT_EVENT)
		for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
			if (!strcmp(label, fields[i].served))
				return fields[i].stored;
	return label;
}

// --- autoscalers -------------------------------------------------------------------

#define METRICS_ANNOTATION "autoscaling.alpha.kubernetes.io/metrics"
#define BEHAVIOR_ANNOTATION "autoscaling.alpha.kubernetes.io/behavior"
#define CONDITIONS_ANNOTATION "autoscaling.alpha.kubernetes.io/conditions"
#define CURRENT_METRICS_ANNOTATION "autoscaling.alpha.kubernetes.io/current-metrics"

static bool is_cpu_utilization(const struct json *metric, const char *holder)
{
	const struct json *resource = json_get(metric, "resource");
	const char *name = json_get_text(resource, "name");

	return name && !strcmp(name, "cpu") && json_is(json_path(resource, holder, "averageUtilization"), JSON_INTEGER);
}

static void annotate(struct arena *arena, struct json *object, const char *key, const struct json *value)
{
	struct strbuf text = STRBUF_INIT(1 << 20);
	struct json *annotations;

	if (!value || !value->length)
		return;
	annotations = json_ensure_object(arena, json_ensure_object(arena, object, "metadata"), "annotations");
	json_write(&text, value);
	json_set_text(arena, annotations, key, strbuf_text(&text));
	strbuf_done(&text);
}

static struct json *take_annotation(struct arena *arena, struct json *object, const char *key)
{
	struct json *annotations = json_path(object, "metadata", "annotations");
	const char *text = json_get_text(annotations, key);
	struct json *value = NULL;

	if (!text || json_parse(arena, text, strlen(text), NULL, &value, NULL) < 0)
		return NULL;
	json_remove(annotations, key);
	return value;
}

// Takes the CPU utilization out of a v2 list; what is left goes to the annotation.
static void split_metrics(struct arena *arena, struct json *object, const char *member, const char *holder,
                          const char *percent_member, const char *annotation, struct json *part)
{
	struct json *metrics = json_get(part, member);
	struct json *rest = json_array(arena);
	bool found = false;

	json_for_each_item (metric, metrics) {
		if (!found && is_cpu_utilization(metric, holder)) {
			json_set(arena, part, percent_member,
			         json_path(metric, "resource", holder, "averageUtilization"));
			found = true;
		} else {
			json_append(arena, rest, metric);
		}
	}
	json_remove(part, member);
	annotate(arena, object, annotation, rest);
}

static void join_metrics(struct arena *arena, struct json *object, const char *member, const char *holder,
                         const char *percent_member, const char *annotation, struct json *part, bool typed)
{
	struct json *metrics = take_annotation(arena, object, annotation);
	struct json *percent = json_get(part, percent_member);

	if (!json_is(metrics, JSON_ARRAY))
		metrics = json_array(arena);
	if (json_is(percent, JSON_INTEGER)) {
		struct json *metric = json_object(arena), *resource = json_object(arena), *value = json_object(arena);

		if (typed)
			json_set_text(arena, value, "type", "Utilization");
		json_set(arena, value, "averageUtilization", percent);
		json_set_text(arena, resource, "name", "cpu");
		json_set(arena, resource, holder, value);
		json_set_text(arena, metric, "type", "Resource");
		json_set(arena, metric, "resource", resource);
		json_insert(arena, metrics, 0, metric);
	}
	json_remove(part, percent_member);
	if (metrics->length)
		json_set(arena, part, member, metrics);
}

static void autoscaler_from_storage(struct arena *arena, struct json *object)
{
	struct json *spec = json_ensure_object(arena, object, "spec");
	struct json *status = json_ensure_object(arena, object, "status");

	split_metrics(arena, object, "metrics", "target", "targetCPUUtilizationPercentage", METRICS_ANNOTATION, spec);
	split_metrics(arena, object, "currentMetrics", "current", "currentCPUUtilizationPercentage",
	              CURRENT_METRICS_ANNOTATION, status);
	annotate(arena, object, BEHAVIOR_ANNOTATION, json_get(spec, "behavior"));
	annotate(arena, object, CONDITIONS_ANNOTATION, json_get(status, "conditions"));
	json_remove(spec, "behavior");
	json_remove(status, "conditions");
	json_set_text(arena, object, "apiVersion", "autoscaling/v1");
}

static void autoscaler_to_storage(struct arena *arena, struct json *object)
{
	struct json *spec = json_ensure_object(arena, object, "spec");
	struct json *status = json_ensure_object(arena, object, "status");
	struct json *behavior = take_annotation(arena, object, BEHAVIOR_ANNOTATION);
	struct json *conditions = take_annotation(arena, object, CONDITIONS_ANNOTATION);

	join_metrics(arena, object, "metrics", "target", "targetCPUUtilizationPercentage", METRICS_ANNOTATION, spec,
	             true);
	join_metrics(arena, object, "currentMetrics", "current", "currentCPUUtilizationPercentage",
	             CURRENT_METRICS_ANNOTATION, status, false);
	if (json_is(behavior, JSON_OBJECT))
		json_set(arena, spec, "behavior", behavior);
	if (json_is(conditions, JSON_ARRAY))
		json_set(arena, status, "conditions", conditions);
	json_set_text(arena, object, "apiVersion", "autoscaling/v2");
}

// --- versions ----------------------------------------------------------------------

static void convert_version(struct arena *arena, const struct schema_resource *resource, struct json *object,
                            bool to_storage)
{
	const char *version = to_storage ? resource->storage_version : resource->version;

	if (conversion_of(resource) == CONVERT_DEVICES)
		convert_devices(arena, object, resource->version, to_storage);
	json_set_text(arena, object, "apiVersion", arena_printf(arena, "%s/%s", resource->group, version));
}

void convert_from_storage(struct arena *arena, const struct schema_resource *resource, struct json *object)
{
	switch (conversion_of(resource)) {
	case CONVERT_EVENT:
		convert_event(arena, object, false);
		break;
	case CONVERT_AUTOSCALER:
		autoscaler_from_storage(arena, object);
		break;
	case CONVERT_CUSTOM:
		definition_convert(arena, definition_version_of(resource), object);
		break;
	case CONVERT_VERSION:
	case CONVERT_DEVICES:
		convert_version(arena, resource, object, false);
		break;
	case CONVERT_NONE:
		break;
	}
}

void convert_to_storage(struct arena *arena, const struct schema_resource *resource, struct json *object)
{
	switch (conversion_of(resource)) {
	case CONVERT_EVENT:
		convert_event(arena, object, true);
		break;
	case CONVERT_AUTOSCALER:
		autoscaler_to_storage(arena, object);
		break;
	case CONVERT_CUSTOM:
		definition_convert(arena, definition_version_of(resource)->definition->storage, object);
		break;
	case CONVERT_VERSION:
	case CONVERT_DEVICES:
		convert_version(arena, resource, object, true);
		break;
	case CONVERT_NONE:
		break;
	}
}
