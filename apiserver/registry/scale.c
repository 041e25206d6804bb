// SPDX-License-Identifier: Apache-2.0
// A Scale is made from the workload each time and never stored. What an update
// changes of it is the workload's spec.replicas; a resourceVersion in it is that of
// the workload.

#include "apiserver/registry/scale.h"

#include <string.h>

#include "apiserver/custom/definition.h"
#include "apiserver/encoding/encode.h"
#include "apiserver/object_io.h"
#include "apiserver/storage/storage.h"
#include "common/api/object.h"
#include "common/api/selector.h"
#include "common/api/view.h"
#include "common/base/strbuf.h"

// A map of labels or a LabelSelector, as the selector's text.
static const char *selector_text(struct arena *arena, const struct json *selector)
{
	struct strbuf text = STRBUF_INIT(64 << 10);
	const struct json *labels = json_get(selector, "matchLabels");
	const struct json *expressions = json_get(selector, "matchExpressions");
	const char *result;

	if (!labels && !expressions)
		labels = selector; // a replication controller's
	json_for_each_member (label, labels)
		if (json_text(label->value))
			strbuf_printf(&text, "%s%s=%s", text.length ? "," : "", label->key, json_text(label->value));
	json_for_each_item (expression, expressions) {
		const char *key = json_get_text(expression, "key"), *operator= json_get_text(expression, "operator");

		if (!key || !operator)
			continue;
		strbuf_append_text(&text, text.length ? "," : "");
		if (!strcmp(operator, "Exists") || !strcmp(operator, "DoesNotExist")) {
			strbuf_printf(&text, "%s%s", operator[0] == 'D' ? "!" : "", key);
			continue;
		}
		strbuf_printf(&text, "%s %s (", key, !strcmp(operator, "In") ? "in" : "notin");
		size_t count = 0;
		json_for_each_item (value, json_get(expression, "values"))
			strbuf_printf(&text, "%s%s", count++ ? "," : "", json_text(value) ? json_text(value) : "");
		strbuf_append_char(&text, ')');
	}
	result = arena_strdup(arena, strbuf_text(&text));
	strbuf_done(&text);
	return result;
}

static void copy_member(struct arena *arena, struct json *to, const struct json *from, const char *key)
{
	struct json *value = json_get(from, key);

	if (value)
		json_set(arena, to, key, value);
}

// Where the numbers stand: in built-in kinds always in the same places.
static const struct definition_scale *places_of(const struct schema_resource *resource)
{
	static const struct definition_scale built_in = {"spec.replicas", "status.replicas", NULL};
	const struct definition_version *version = definition_version_of(resource);

	return version && version->scale ? version->scale : &built_in;
}

static const struct json *value_at(const struct json *object, const char *path)
{
	while (object && *path) {
		size_t length = strcspn(path, ".");

		object = json_get_n(object, path, length);
		path += length + (path[length] == '.');
	}
	return object;
}

static int64_t number_at(const struct json *object, const char *path)
{
	const struct json *value = value_at(object, path);

	return json_is(value, JSON_INTEGER) ? value->integer : 0;
}

static void set_number(struct arena *arena, struct json *object, const char *path, int64_t number)
{
	for (;;) {
		size_t length = strcspn(path, ".");

		if (!path[length]) {
			json_set_integer(arena, object, path, number);
			return;
		}
		object = json_ensure_object(arena, object, arena_strndup(arena, path, length));
		path += length + 1;
	}
}

void scale_set_replicas(struct arena *arena, const struct schema_resource *resource, struct json *object,
                        int64_t replicas)
{
	set_number(arena, object, places_of(resource)->spec_replicas, replicas);
}

static const char *selector_of(struct arena *arena, const struct schema_resource *resource, const struct json *object)
{
	const struct definition_scale *places = places_of(resource);
	const char *text;

	if (!definition_version_of(resource))
		return selector_text(arena, json_path(object, "spec", "selector"));
	text = places->selector ? json_text(value_at(object, places->selector)) : NULL;
	return text ? text : "";
}

struct json *scale_from_object(struct arena *arena, const struct schema_resource *resource, const struct json *object)
{
	static const char *const kept[] = {"name", "namespace", "uid", "resourceVersion", "creationTimestamp"};
	struct json *scale = json_object(arena), *metadata = json_object(arena);
	struct json *spec = json_object(arena), *status = json_object(arena);
	const char *selector = selector_of(arena, resource, object);
	const struct definition_scale *places = places_of(resource);
	int64_t replicas = number_at(object, places->spec_replicas);

	json_set_text(arena, scale, "kind", "Scale");
	json_set_text(arena, scale, "apiVersion", "autoscaling/v1");
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
		copy_member(arena, metadata, json_get(object, "metadata"), kept[i]);
	json_set(arena, scale, "metadata", metadata);
	if (replicas)
		json_set_integer(arena, spec, "replicas", replicas);
	json_set(arena, scale, "spec", spec);
	json_set_integer(arena, status, "replicas", number_at(object, places->status_replicas));
	if (selector[0])
		json_set_text(arena, status, "selector", selector);
	json_set(arena, scale, "status", status);
	return scale;
}

const struct status *scale_apply(struct arena *arena, const struct schema_resource *resource, const struct json *scale,
                                 struct json *object)
{
	const char *name = object_name(object), *scale_name = object_name(scale);
	const char *version = object_resource_version(scale);
	int64_t replicas = 0;

	(void)json_get_integer(json_get(scale, "spec"), "replicas", &replicas);
	if (scale_name && scale_name[0] && strcmp(scale_name, name))
		return status_new(arena, ERR_BAD_REQUEST,
		                  "the name of the object (%s) does not match the name on the URL (%s)", scale_name,
		                  name);
	if (replicas < 0) {
		const char *message = arena_printf(arena, "Invalid value: %lld: must be greater than or equal to 0",
		                                   (long long)replicas);
		static const struct schema_resource described = {.group = "autoscaling", .plural = "Scale"};
		const struct status *status =
		        status_new_for(arena, ERR_INVALID, &described, name,
		                       "Scale.autoscaling \"%s\" is invalid: spec.replicas: %s", name, message);

		return status_with_cause(arena, status,
		                         (struct status_cause){"FieldValueInvalid", message, "spec.replicas"});
	}
	if (version && version[0]) {
		const char *held = object_resource_version(object);

		if (!held || strcmp(held, version))
			return status_conflict(arena, resource, name, NULL);
	}
	scale_set_replicas(arena, resource, object, replicas);
	return NULL;
}

void scale_finish_tree(struct request *request, const struct json *object)
{
	// Scale is no resource: this says only how its tables look.
	static const struct schema_column columns[] = {
	        {.name = "Name", .type = "string", .format = "name", .doc = "The workload's name."},
	        {.name = "Desired", .type = "integer", .format = "", .doc = "How many replicas there should be."},
	        {.name = "Available", .type = "integer", .format = "", .doc = "How many replicas there are."},
	        {.name = "Age", .type = "string", .format = "", .doc = "Time since the workload was created."},
	};
	static const struct schema_resource described = {
	        .group = "autoscaling", .version = "v1", .kind = "Scale", .columns = columns, .column_count = 4};

	encode_finish_tree_as(request, 200, &described,
	                      scale_from_object(request->arena, request_resource(request), object));
}

void scale_finish(struct request *request, struct stored_object *object)
{
	struct err err = ERR_INIT;
	struct json *tree = object_load_plain(request->arena, request_resource(request), object, &err);

	if (!tree) {
		request_finish_status(request, status_internal(request->arena, "%s", err.message));
		return;
	}
	scale_finish_tree(request, tree);
}
