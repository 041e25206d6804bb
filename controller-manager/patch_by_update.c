// SPDX-License-Identifier: Apache-2.0
//
//   GET ──► the patch, applied to the tree as it came ──► PUT
//
// so that what no view knows stays, as with a patch. The patch's own metadata
// (uid, resourceVersion) goes along and guards the PUT.
#include "controller-manager/patch_by_update.h"

#include <string.h>

#include "common/api/patch.h"
#include "common/base/text.h"
#include "controller-manager/internal.h"

enum { MAX_OBJECT_BYTES = 3 << 20 };

struct patch_update {
	const struct schema_resource *resource;
	const char *namespace_name;
	const char *name;
	const char *subresource;
	enum rest_body_type type;
	const struct json *patch;
	reconcile_answer_fn on_answer;
	void *context;
};

// What the bootstrap roles of system:controller:… say "patch" for.
static const struct {
	const char *plural;
	const char *subresource;
} granted[] = {
        {"clusterroles", ""}, {"controllerrevisions", ""}, {"jobs", ""},        {"nodes", ""},   {"nodes", "status"},
        {"pods", ""},         {"pods", "status"},          {"replicasets", ""}, {"secrets", ""},
};

bool patch_is_granted(const struct controller *controller, const struct schema_resource *resource,
                      const char *subresource)
{
	if (!controller->credential || strcmp(controller->type->name, "garbage-collector-controller") == 0)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(granted); i++)
		if (strcmp(granted[i].plural, resource->plural) == 0 &&
		    strcmp(granted[i].subresource, text_or_empty(subresource)) == 0)
			return true;
	return false;
}

static int apply_patch(const struct patch_update *update, struct arena *arena, struct json **object, struct err *err)
{
	if (update->type == REST_JSON_PATCH)
		return patch_json(arena, object, update->patch, err);
	if (update->type == REST_MERGE_PATCH)
		return patch_merge(arena, object, update->patch, err);
	return patch_strategic(arena, update->resource->type, object, update->patch, err);
}

// The read went wrong: that is the answer.
static void forward(struct reconcile *reconcile, const struct patch_update *update,
                    const struct rest_response *response)
{
	if (update->on_answer)
		update->on_answer(reconcile, update->context, response);
	else if (response->err.code != ERR_NOT_FOUND)
		reconcile_retry(reconcile, &response->err);
}

static void on_object(struct reconcile *reconcile, void *context, const struct rest_response *response)
{
	const struct patch_update *update = context;
	struct json *object = response->object;
	struct err err = ERR_INIT;
	if (response->err.code != ERR_NONE || !object) {
		forward(reconcile, update, response);
		return;
	}
	if (apply_patch(update, response->arena, &object, &err) < 0) {
		reconcile_retry(reconcile, &err);
		return;
	}
	AUTO_STRBUF struct strbuf body = STRBUF_INIT(MAX_OBJECT_BYTES);
	json_write(&body, object);
	struct rest_request request = {
	        .method = "PUT",
	        .resource = update->resource,
	        .namespace_name = update->namespace_name,
	        .name = update->name,
	        .subresource = update->subresource,
	        .body = strbuf_text(&body),
	        .body_length = body.length,
	};
	reconcile_request(reconcile, &request, update->on_answer, update->context);
}

void reconcile_patch_by_update(struct reconcile *reconcile, const struct api_object *object, const char *subresource,
                               enum rest_body_type type, const struct json *patch, reconcile_answer_fn on_answer,
                               void *context)
{
	struct arena *arena = reconcile_arena(reconcile);
	struct patch_update *update = ARENA_NEW(arena, struct patch_update);
	*update = (struct patch_update){
	        .resource = object->resource,
	        .namespace_name = arena_strdup(arena, object->namespace_name),
	        .name = arena_strdup(arena, object->name),
	        .subresource = arena_strdup(arena, subresource),
	        .type = type,
	        .patch = json_clone(arena, patch),
	        .on_answer = on_answer,
	        .context = context,
	};
	struct rest_request request = {.method = "GET",
	                               .resource = update->resource,
	                               .namespace_name = update->namespace_name,
	                               .name = update->name};
	reconcile_request(reconcile, &request, on_object, update);
}
