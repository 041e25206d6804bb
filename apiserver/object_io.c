// SPDX-License-Identifier: Apache-2.0

#include "apiserver/object_io.h"

#include "apiserver/encoding/convert.h"
#include "apiserver/storage/storage.h"
#include "common/api/decode.h"

enum {
	OBJECT_MAX_BYTES = 64 << 20,
};

void object_complete(struct arena *arena, const struct schema_type *type, struct json *object)
{
	schema_apply_defaults(arena, type, object);
	schema_fill_shape(arena, type, object);
}

struct json *object_load_plain(struct arena *arena, const struct schema_resource *resource,
                               const struct stored_object *object, struct err *err)
{
	struct json *tree;

	if (json_parse(arena, object->json->data, object->json->length, NULL, &tree, err) < 0)
		return NULL;
	convert_from_storage(arena, resource, tree);
	return tree;
}

struct json *object_load(struct arena *arena, const struct schema_resource *resource,
                         const struct stored_object *object, struct err *err)
{
	struct json *tree = object_load_plain(arena, resource, object, err);

	if (tree)
		object_complete(arena, resource->type, tree);
	return tree;
}

// Another node with the same members: they may be exchanged and removed without a copy of what they hold.
static struct json *copy_node(struct arena *arena, const struct json *object)
{
	struct json *copy = json_object(arena);

	json_for_each_member (member, object)
		json_set_n(arena, copy, member->key, member->key_length, member->value);
	return copy;
}

struct json *object_stored_form(struct arena *arena, const struct schema_resource *resource, const struct json *object)
{
	bool converted = convert_is_needed(resource);
	struct json *copy = converted ? json_clone(arena, object) : copy_node(arena, object);
	struct json *metadata = json_get(copy, "metadata");

	if (json_is(metadata, JSON_OBJECT) && !converted) {
		metadata = copy_node(arena, metadata);
		json_set(arena, copy, "metadata", metadata);
	}
	if (metadata) {
		json_remove(metadata, "resourceVersion");
		json_remove(metadata, "selfLink");
	}
	convert_to_storage(arena, resource, copy);
	return copy;
}

struct blob *object_text(const struct json *stored_form)
{
	struct strbuf text = STRBUF_INIT(OBJECT_MAX_BYTES);
	size_t length;
	char *data;

	json_write(&text, stored_form);
	data = strbuf_take(&text, &length);
	return blob_new_take(data, length);
}

struct blob *object_store(struct arena *arena, const struct schema_resource *resource, const struct json *object)
{
	return object_text(object_stored_form(arena, resource, object));
}

void object_set_version(struct arena *arena, struct json *object, int64_t revision)
{
	json_set_text(arena, json_ensure_object(arena, object, "metadata"), "resourceVersion",
	              arena_printf(arena, "%lld", (long long)revision));
}
