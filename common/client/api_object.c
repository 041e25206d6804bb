// SPDX-License-Identifier: Apache-2.0
// Objects of a store: one arena, sized to fit. The view is decoded twice: once
// into a scratch arena to learn the size, once into its own. Decoding is cheap
// beside parsing, and an object lives long.

#include <assert.h>
#include <string.h>

#include "api/meta_v1.h"
#include "common/api/object.h"
#include "common/api/view.h"
#include "common/base/memory.h"
#include "common/base/text.h"
#include "common/client/informer.h"

struct api_object *api_object_ref(struct api_object *object)
{
	if (object)
		object->references++;
	return object;
}

struct api_object *api_object_unref(struct api_object *object)
{
	if (!object)
		return NULL;
	assert(object->references > 0);
	if (--object->references == 0)
		arena_free(object->arena);
	return NULL;
}

const struct meta_v1_object_meta *api_object_metadata(const struct api_object *object)
{
	size_t offset;
	const struct schema_field *field = schema_find_field(object->resource->type, "metadata", 8, &offset);
	assert(field);
	return (const struct meta_v1_object_meta *)((const char *)object->view + offset);
}

static int decode_into(struct arena *arena, const struct schema_resource *resource, const struct schema_type *type,
                       const struct json *value, struct api_object **ret_object, struct err *err)
{
	struct api_object *object = ARENA_NEW(arena, struct api_object);
	void *view = arena_alloc(arena, type->view_size);
	if (view_decode(arena, type, value, view, err) < 0)
		return -err->code;
	object->references = 1;
	object->arena = arena;
	object->view = view;
	object->resource = resource;
	const struct meta_v1_object_meta *metadata = api_object_metadata(object);
	object->namespace_name = text_or_empty(metadata->namespace);
	object->name = text_or_empty(metadata->name);
	object->uid = text_or_empty(metadata->uid);
	object->resource_version = text_or_empty(metadata->resource_version);
	object->key = object_key(arena, object->namespace_name, object->name);
	*ret_object = object;
	return 0;
}

static int new_object(const struct schema_resource *resource, const struct schema_type *type, const struct json *value,
                      struct api_object **ret_object, struct err *err)
{
	AUTO(arena_free) struct arena *scratch = arena_new(16384);
	struct api_object *trial;
	if (decode_into(scratch, resource, type, value, &trial, err) < 0)
		return -err->code;
	struct arena *arena = arena_new(arena_used_bytes(scratch));
	int result = decode_into(arena, resource, type, value, ret_object, err);
	assert(result == 0);
	return result;
}

int api_object_new(const struct schema_resource *resource, const struct json *value, struct api_object **ret_object,
                   struct err *err)
{
	return new_object(resource, resource->type, value, ret_object, err);
}

// Views start alike, so the metadata stands at the same place in a view of the metadata alone.
int api_object_new_metadata(const struct schema_resource *resource, const struct json *value,
                            struct api_object **ret_object, struct err *err)
{
	static const char *const dropped[] = {"labels", "annotations", "managedFields"};
	AUTO(arena_free) struct arena *scratch = arena_new(0);
	struct json *lean = json_object(scratch);
	struct json *metadata = json_ensure_object(scratch, lean, "metadata");
	json_for_each_member (member, object_metadata(value)) {
		bool keep = true;
		for (size_t i = 0; i < ARRAY_SIZE(dropped); i++)
			keep = keep && strcmp(member->key, dropped[i]) != 0;
		if (keep)
			json_set(scratch, metadata, member->key, member->value);
	}
	return new_object(resource, &schema_type_meta_v1_partial_object_metadata, lean, ret_object, err);
}
