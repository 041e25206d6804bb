// SPDX-License-Identifier: Apache-2.0
#include "apiserver/authentication/service_account_objects.h"

#include "apiserver/object_io.h"

static const char *const plurals[BOUND_COUNT] = {"serviceaccounts", "pods", "secrets", "nodes"};

const struct schema_resource *bound_object_resource(int which)
{
	return schema_find_resource("", "v1", plurals[which]);
}

bool bound_objects_peek(struct bound_objects *objects)
{
	bool complete = true;

	for (int i = 0; i < BOUND_COUNT; i++) {
		const struct schema_resource *resource = bound_object_resource(i);
		struct stored_object *object;

		if (!objects->items[i].name)
			continue;
		object = storage_peek(objects->storage, resource, objects->items[i].namespace_name,
		                      objects->items[i].name);
		objects->items[i].tree = object ? object_load_plain(objects->arena, resource, object, NULL) : NULL;
		stored_object_unref(object);
		complete &= objects->items[i].tree != NULL;
	}
	return complete;
}

static void on_object(void *context, struct stored_object *object, int64_t revision, const struct err *err)
{
	struct bound_objects *objects = context;
	size_t i = objects->next++;

	(void)revision;
	if (!err)
		objects->items[i].tree = object_load_plain(objects->arena, bound_object_resource((int)i), object, NULL);
	else if (err->code != ERR_NOT_FOUND)
		objects->failed = true;
	bound_objects_ask(objects);
}

void bound_objects_ask(struct bound_objects *objects)
{
	while (objects->next < BOUND_COUNT &&
	       (!objects->items[objects->next].name || objects->items[objects->next].tree))
		objects->next++;
	if (objects->next == BOUND_COUNT) {
		objects->done(objects->context);
		return;
	}
	const struct storage_read read = {.resource = bound_object_resource((int)objects->next),
	                                  .namespace_name = objects->items[objects->next].namespace_name,
	                                  .name = objects->items[objects->next].name,
	                                  .freshness = STORAGE_CONSISTENT};

	storage_get(objects->storage, &read, objects->loop, on_object, objects);
}
