// SPDX-License-Identifier: Apache-2.0
#include "controller-manager/object_update.h"

#include "common/base/strbuf.h"

enum { MAX_OBJECT_BYTES = 3 << 20 };

struct object_update {
	const struct schema_resource *resource;
	const char *namespace_name;
	const char *name;
	const char *subresource;
	object_change_fn change;
	void *context;
};

static void on_object(struct reconcile *reconcile, void *context, const struct rest_response *response)
{
	struct object_update *update = context;
	if (response->err.code == ERR_NOT_FOUND)
		return;
	if (response->err.code != ERR_NONE || !response->object) {
		reconcile_retry(reconcile, &response->err);
		return;
	}
	if (!update->change(update->context, response->arena, response->object))
		return;
	AUTO_STRBUF struct strbuf body = STRBUF_INIT(MAX_OBJECT_BYTES);
	json_write(&body, response->object);
	struct rest_request request = {
	        .method = "PUT",
	        .resource = update->resource,
	        .namespace_name = update->namespace_name,
	        .name = update->name,
	        .subresource = update->subresource,
	        .body = strbuf_text(&body),
	        .body_length = body.length,
	};
	reconcile_request(reconcile, &request, NULL, NULL);
}

void reconcile_update(struct reconcile *reconcile, const struct schema_resource *resource, const char *namespace_name,
                      const char *name, const char *subresource, object_change_fn change, void *context)
{
	struct arena *arena = reconcile_arena(reconcile);
	struct object_update *update = ARENA_NEW(arena, struct object_update);
	*update = (struct object_update){
	        .resource = resource,
	        .namespace_name = arena_strdup(arena, namespace_name),
	        .name = arena_strdup(arena, name),
	        .subresource = subresource,
	        .change = change,
	        .context = context,
	};
	struct rest_request request = {
	        .method = "GET", .resource = resource, .namespace_name = update->namespace_name, .name = update->name};
	reconcile_request(reconcile, &request, on_object, update);
}
