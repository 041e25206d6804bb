// SPDX-License-Identifier: Apache-2.0
// Server-owned metadata. Create fills it in; update puts back what a client left
// out and refuses what it may not change; deletion marks it.

#include "apiserver/registry/metadata.h"

#include <string.h>

#include "common/api/object.h"
#include "common/base/encode.h"

enum {
	GENERATED_SUFFIX = 5,
	GENERATED_BASE_MAX = 63 - GENERATED_SUFFIX,
};

bool change_is_for(const struct change *change, const char *group, const char *plural)
{
	return !strcmp(change->resource->plural, plural) && !strcmp(change->resource->group, group);
}

static bool is_set(const char *text)
{
	return text && text[0];
}

static void set_now(struct arena *arena, struct json *metadata, const char *key, int64_t realtime_ns)
{
	char text[API_TIME_BYTES];

	api_time_format(realtime_ns, text);
	json_set_text(arena, metadata, key, text);
}

bool metadata_generate_name(struct change *change)
{
	struct json *metadata = json_ensure_object(change->arena, change->object, "metadata");
	const char *base = json_get_text(metadata, "generateName");
	char suffix[GENERATED_SUFFIX + 1];

	if (!is_set(base))
		return false;
	random_name_suffix(suffix, GENERATED_SUFFIX);
	change->name = arena_printf(change->arena, "%.*s%s", GENERATED_BASE_MAX, base, suffix);
	json_set_text(change->arena, metadata, "name", change->name);
	return true;
}

static const struct status *settle_namespace(struct change *change, struct json *metadata)
{
	const char *sent = json_get_text(metadata, "namespace");

	if (!change->resource->namespaced) {
		json_remove(metadata, "namespace");
		return NULL;
	}
	if (is_set(sent) && strcmp(sent, change->namespace_name))
		return status_new(
		        change->arena, ERR_BAD_REQUEST,
		        "the namespace of the provided object does not match the namespace sent on the request");
	json_set_text(change->arena, metadata, "namespace", change->namespace_name);
	return NULL;
}

const struct status *metadata_prepare_create(struct change *change)
{
	static const char *const dropped[] = {"deletionTimestamp", "deletionGracePeriodSeconds", "selfLink",
	                                      "generation", "resourceVersion"};
	struct json *metadata = json_ensure_object(change->arena, change->object, "metadata");
	const char *version = json_get_text(metadata, "resourceVersion");
	const struct status *status = settle_namespace(change, metadata);
	char uid[37];

	if (status)
		return status;
	if (is_set(version) && strcmp(version, "0")) {
		struct status *refused = ARENA_NEW(change->arena, struct status);

		refused->code = 500;
		refused->message = "resourceVersion should not be set on objects to be created";
		return refused;
	}
	for (size_t i = 0; i < ARRAY_SIZE(dropped); i++)
		json_remove(metadata, dropped[i]);
	change->name = json_get_text(metadata, "name");
	if (!is_set(change->name) && !metadata_generate_name(change))
		change->name = "";
	uuid_v4(uid);
	json_set_text(change->arena, metadata, "uid", uid);
	set_now(change->arena, metadata, "creationTimestamp", change->request->received_realtime_ns);
	return NULL;
}

static void keep_old(struct change *change, struct json *metadata, const struct json *old, const char *key)
{
	struct json *value = json_get(old, key);

	if (value)
		json_set(change->arena, metadata, key, value);
	else
		json_remove(metadata, key);
}

static void refill(struct change *change, struct json *metadata, const struct json *old, const char *key)
{
	const struct json *sent = json_get(metadata, key);

	if (!sent || json_is(sent, JSON_NULL) || (json_text(sent) && !json_text(sent)[0]))
		keep_old(change, metadata, old, key);
}

static const struct status *check_version(struct change *change, struct json *metadata, const struct json *old,
                                          bool allow_unconditional)
{
	const char *sent = json_get_text(metadata, "resourceVersion");
	const char *held = json_get_text(old, "resourceVersion");

	if (is_set(sent) && strcmp(sent, "0"))
		return held && !strcmp(sent, held)
		               ? NULL
		               : status_conflict(change->arena, change->resource, change->name, NULL);
	if (!allow_unconditional) {
		const char *message = "Invalid value: 0x0: must be specified for an update";
		const struct status *status = status_new_for(
		        change->arena, ERR_INVALID, change->resource, change->name,
		        "%s%s%s \"%s\" is invalid: metadata.resourceVersion: %s", change->resource->kind,
		        change->resource->group[0] ? "." : "", change->resource->group, change->name, message);

		return status_with_cause(
		        change->arena, status,
		        (struct status_cause){"FieldValueInvalid", message, "metadata.resourceVersion"});
	}
	keep_old(change, metadata, old, "resourceVersion");
	return NULL;
}

const struct status *metadata_prepare_update(struct change *change, bool allow_unconditional)
{
	struct json *metadata = json_ensure_object(change->arena, change->object, "metadata");
	const struct json *old = json_get(change->old, "metadata");
	const char *uid = json_get_text(metadata, "uid"), *old_uid = json_get_text(old, "uid");
	const char *name = json_get_text(metadata, "name");
	const struct status *status;

	if (is_set(name) && strcmp(name, change->name))
		return status_new(change->arena, ERR_BAD_REQUEST,
		                  "the name of the object (%s) does not match the name on the URL (%s)", name,
		                  change->name);
	json_set_text(change->arena, metadata, "name", change->name);
	status = settle_namespace(change, metadata);
	if (status)
		return status;
	if (is_set(uid) && old_uid && strcmp(uid, old_uid))
		return status_conflict(
		        change->arena, change->resource, change->name,
		        arena_printf(change->arena,
		                     "Precondition failed: UID in precondition: %s, UID in object meta: %s", uid,
		                     old_uid));
	status = check_version(change, metadata, old, allow_unconditional);
	if (status)
		return status;
	refill(change, metadata, old, "uid");
	refill(change, metadata, old, "creationTimestamp");
	refill(change, metadata, old, "deletionTimestamp");
	refill(change, metadata, old, "deletionGracePeriodSeconds");
	keep_old(change, metadata, old, "generation");
	json_remove(metadata, "selfLink");
	return NULL;
}

void metadata_mark_deleted(struct arena *arena, struct json *object, int64_t now_realtime_ns, int64_t grace_seconds)
{
	struct json *metadata = json_ensure_object(arena, object, "metadata");
	int64_t generation = 0;

	if (!object_is_being_deleted(object) && json_get_integer(metadata, "generation", &generation) && generation > 0)
		json_set_integer(arena, metadata, "generation", generation + 1);
	set_now(arena, metadata, "deletionTimestamp", now_realtime_ns + grace_seconds * NSEC_PER_SEC);
	json_set_integer(arena, metadata, "deletionGracePeriodSeconds", grace_seconds);
}

bool metadata_has_finalizers(const struct json *object)
{
	const struct json *finalizers = json_path(object, "metadata", "finalizers");

	return json_is(finalizers, JSON_ARRAY) && finalizers->length;
}

bool metadata_has_finalizer(const struct json *object, const char *finalizer)
{
	json_for_each_item (item, json_path(object, "metadata", "finalizers"))
		if (json_text(item) && !strcmp(json_text(item), finalizer))
			return true;
	return false;
}

void metadata_add_finalizer(struct arena *arena, struct json *object, const char *finalizer)
{
	if (!metadata_has_finalizer(object, finalizer))
		json_append(arena,
		            json_ensure_array(arena, json_ensure_object(arena, object, "metadata"), "finalizers"),
		            json_string(arena, finalizer));
}

void metadata_remove_finalizer(struct json *object, const char *finalizer)
{
	struct json *metadata = json_get(object, "metadata");
	struct json *finalizers = json_get(metadata, "finalizers");

	for (uint32_t i = 0; json_is(finalizers, JSON_ARRAY) && i < finalizers->length;)
		if (json_text(finalizers->items[i]) && !strcmp(json_text(finalizers->items[i]), finalizer))
			json_remove_at(finalizers, i);
		else
			i++;
	if (json_is(finalizers, JSON_ARRAY) && !finalizers->length)
		json_remove(metadata, "finalizers");
}

int64_t metadata_deletion_grace(const struct json *object)
{
	int64_t seconds;

	return json_get_integer(json_get(object, "metadata"), "deletionGracePeriodSeconds", &seconds) ? seconds : -1;
}

const char *metadata_annotation(const struct json *object, const char *key)
{
	return json_get_text(json_path(object, "metadata", "annotations"), key);
}
