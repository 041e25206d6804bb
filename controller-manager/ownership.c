// SPDX-License-Identifier: Apache-2.0
// Objects belong to the owner whose controller reference they carry; labels only
// decide who may adopt. Adopting and releasing are patches that name the object's
// uid, so neither can hit an object that was made again under the same name. What
// was patched is seen again in a later reconcile.

#include "controller-manager/ownership.h"

#include <string.h>

#include "api/core_v1.h"
#include "common/api/selector.h"
#include "common/base/text.h"
#include "controller-manager/controller.h"
#include "controller-manager/pods.h"

static const char *api_version_of(struct arena *arena, const struct schema_resource *resource)
{
	return *resource->group ? arena_printf(arena, "%s/%s", resource->group, resource->version) : resource->version;
}

void ownership_set(struct arena *arena, struct meta_v1_object_meta *metadata, const struct api_object *owner)
{
	static const bool yes = true;
	struct meta_v1_owner_reference *reference = ARENA_NEW(arena, struct meta_v1_owner_reference);
	*reference = (struct meta_v1_owner_reference){
	        .api_version = api_version_of(arena, owner->resource),
	        .kind = owner->resource->kind,
	        .name = owner->name,
	        .uid = owner->uid,
	        .controller = &yes,
	        .block_owner_deletion = &yes,
	};
	metadata->owner_references.items = reference;
	metadata->owner_references.count = 1;
}

struct api_object **ownership_objects(struct arena *arena, const struct informer *informer,
                                      const struct api_object *owner, size_t *ret_count)
{
	size_t found;
	struct api_object *const *objects = informer_by_index(informer, "controller", owner->uid, &found);
	struct api_object **own = ARENA_ARRAY(arena, struct api_object *, found + 1);
	size_t count = 0;
	for (size_t i = 0; i < found; i++)
		if (strcmp(objects[i]->namespace_name, owner->namespace_name) == 0)
			own[count++] = objects[i];
	*ret_count = count;
	return own;
}

int ownership_compare_age(const void *left, const void *right)
{
	const struct api_object *const *a = left;
	const struct api_object *const *b = right;
	int order = strcmp(text_or_empty(api_object_metadata(*a)->creation_timestamp),
	                   text_or_empty(api_object_metadata(*b)->creation_timestamp));
	return order ? order : strcmp((*a)->key, (*b)->key);
}

static void patch_references(struct reconcile *reconcile, const struct api_object *object, struct json *reference)
{
	struct arena *arena = reconcile_arena(reconcile);
	struct json *patch = json_object(arena);
	struct json *metadata = json_ensure_object(arena, patch, "metadata");
	json_set_text(arena, metadata, "uid", object->uid);
	json_append(arena, json_ensure_array(arena, metadata, "ownerReferences"), reference);
	reconcile_patch(reconcile, object, NULL, REST_STRATEGIC_MERGE_PATCH, patch, false, NULL, NULL);
}

static void adopt(struct reconcile *reconcile, const struct api_object *object, const struct api_object *owner)
{
	struct arena *arena = reconcile_arena(reconcile);
	struct json *reference = json_object(arena);
	json_set_text(arena, reference, "apiVersion", api_version_of(arena, owner->resource));
	json_set_text(arena, reference, "kind", owner->resource->kind);
	json_set_text(arena, reference, "name", owner->name);
	json_set_text(arena, reference, "uid", owner->uid);
	json_set_bool(arena, reference, "controller", true);
	json_set_bool(arena, reference, "blockOwnerDeletion", true);
	patch_references(reconcile, object, reference);
}

static void disown(struct reconcile *reconcile, const struct api_object *object, const struct api_object *owner)
{
	struct arena *arena = reconcile_arena(reconcile);
	struct json *reference = json_object(arena);
	json_set_text(arena, reference, "$patch", "delete");
	json_set_text(arena, reference, "uid", owner->uid);
	patch_references(reconcile, object, reference);
}

static bool may_be_adopted(const struct api_object *object)
{
	if (object->resource == &schema_resource_core_v1_pods)
		return pod_is_active(object->view);
	return !api_object_metadata(object)->deletion_timestamp;
}

bool ownership_adopt_and_release(struct reconcile *reconcile, const struct informer *informer,
                                 const struct api_object *owner, const struct label_selector *selector)
{
	return ownership_adopt_and_release_if(reconcile, informer, owner, selector, NULL);
}

bool ownership_adopt_and_release_if(struct reconcile *reconcile, const struct informer *informer,
                                    const struct api_object *owner, const struct label_selector *selector,
                                    bool (*is_member)(const struct api_object *owner, const struct api_object *object))
{
	size_t writes = 0;
	size_t count;
	if (api_object_metadata(owner)->deletion_timestamp)
		return false;
	struct api_object *const *objects = informer_by_index(informer, "namespace", owner->namespace_name, &count);
	for (size_t i = 0; i < count; i++) {
		const struct meta_v1_object_meta *metadata = api_object_metadata(objects[i]);
		const struct meta_v1_owner_reference *controller = controller_owner_of(metadata);
		bool matches = label_selector_matches(selector, &metadata->labels) &&
		               (!is_member || is_member(owner, objects[i]));
		bool is_own = controller && controller->uid && strcmp(controller->uid, owner->uid) == 0;
		if (!controller && matches && may_be_adopted(objects[i])) {
			adopt(reconcile, objects[i], owner);
			writes++;
		} else if (is_own && !matches && !metadata->deletion_timestamp) {
			disown(reconcile, objects[i], owner);
			writes++;
		}
	}
	if (writes)
		reconcile_again_after(reconcile, 0);
	return writes > 0;
}
