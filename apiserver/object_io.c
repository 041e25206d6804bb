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

struct blob *object_store(struct arena *arena, const struct schema_resource *resource, const struct json *object)
{
	struct json *copy = json_clone(arena, object);
	struct strbuf text = STRBUF_INIT(OBJECT_MAX_BYTES);
	struct json *metadata = json_get(copy, "metadata");
	size_t length;
	char *data;

	if (metadata) {
		json_remove(metadata, "resourceVersion");
		json_remove(metadata, "selfLink");
	}
	convert_to_storage(arena, resource, copy);
	json_write(&text, copy);
	data = strbuf_take(&text, &length);
	return blob_new_take(data, length);
}
