// SPDX-License-Identifier: Apache-2.0
//
// A revision is named by a hash of its data, so that making one twice ends in
// "already exists". Going back to an earlier template moves its revision to the
// top instead of making another.
#include "controller-manager/revisions.h"

#include <stdlib.h>
#include <string.h>

#include "api/apps_v1.h"
#include "api/core_v1.h"
#include "common/api/view.h"
#include "common/base/encode.h"
#include "common/base/hashmap.h"
#include "controller-manager/ownership.h"

enum { MAX_DATA_BYTES = 8 << 20, HASH_TEXT_BYTES = 16 };

static const struct apps_v1_controller_revision *view_of(const struct api_object *object)
{
	return object->view;
}

static int compare_revisions(const void *a, const void *b)
{
	const struct apps_v1_controller_revision *left = view_of(*(struct api_object *const *)a);
	const struct apps_v1_controller_revision *right = view_of(*(struct api_object *const *)b);
	if (left->revision != right->revision)
		return left->revision < right->revision ? -1 : 1;
	return strcmp(left->metadata.name, right->metadata.name);
}

struct api_object **revisions_of(struct arena *arena, const struct informer *revisions, const struct api_object *owner,
                                 size_t *ret_count)
{
	struct api_object **own = ownership_objects(arena, revisions, owner, ret_count);
	qsort(own, *ret_count, sizeof(*own), compare_revisions);
	return own;
}

struct json *revision_data(struct arena *arena, const struct core_v1_pod_template_spec *template)
{
	struct json *data = json_object(arena);
	struct json *value = view_to_json(arena, &schema_type_core_v1_pod_template_spec, template);
	json_set_text(arena, value, "$patch", "replace");
	json_set(arena, json_ensure_object(arena, data, "spec"), "template", value);
	return data;
}

static const char *hash_of(const struct revision_sync *sync)
{
	struct arena *arena = reconcile_arena(sync->reconcile);
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(MAX_DATA_BYTES);
	json_write(&text, sync->data);
	if (sync->collisions)
		strbuf_printf(&text, "%d", *sync->collisions);
	char *encoded = arena_alloc(arena, HASH_TEXT_BYTES);
	safe_encode_string(arena_printf(arena, "%u", fnv32a(text.data, text.length)), encoded);
	return encoded;
}

// The name is taken by other data: the next hash must differ.
static void on_created(struct reconcile *reconcile, void *context, const struct rest_response *response)
{
	const struct revision_sync *sync = context;
	if (response->err.code == ERR_NONE) {
		reconcile_again_after(reconcile, 0);
	} else if (response->err.code == ERR_ALREADY_EXISTS) {
		struct arena *arena = reconcile_arena(reconcile);
		struct json *patch = json_object(arena);
		json_set_integer(arena, json_ensure_object(arena, patch, "status"), "collisionCount",
		                 sync->collisions ? *sync->collisions + 1 : 1);
		reconcile_patch(reconcile, sync->owner, "status", REST_MERGE_PATCH, patch, true, NULL, NULL);
	} else {
		reconcile_retry(reconcile, &response->err);
	}
}

static void create_revision(struct revision_sync *sync, int64_t number)
{
	struct arena *arena = reconcile_arena(sync->reconcile);
	const char *hash = hash_of(sync);
	struct revision_sync *kept = ARENA_NEW(arena, struct revision_sync);
	struct apps_v1_controller_revision revision = {
	        .api_version = "apps/v1",
	        .kind = "ControllerRevision",
	        .metadata = {.name = arena_printf(arena, "%s-%s", sync->owner->name, hash),
	                     .namespace = sync->owner->namespace_name},
	        .data = sync->data,
	        .revision = number,
	};
	for (size_t i = 0; sync->labels && i < sync->labels->count; i++)
		string_map_set(arena, &revision.metadata.labels, sync->labels->entries[i].key,
		               sync->labels->entries[i].value);
	string_map_set(arena, &revision.metadata.labels, sync->hash_label, hash);
	ownership_set(arena, &revision.metadata, sync->owner);
	*kept = *sync;
	kept->owner = reconcile_keep(sync->reconcile, sync->owner);
	reconcile_create(sync->reconcile, &schema_resource_apps_v1_controllerrevisions, sync->owner->namespace_name,
	                 &revision, on_created, kept);
}

static void move_to_top(struct revision_sync *sync, const struct api_object *revision, int64_t number)
{
	struct arena *arena = reconcile_arena(sync->reconcile);
	struct json *patch = json_object(arena);
	json_set_integer(arena, patch, "revision", number);
	reconcile_patch(sync->reconcile, revision, NULL, REST_MERGE_PATCH, patch, true, NULL, NULL);
	reconcile_again_after(sync->reconcile, 0);
}

// Another program may have written the same template with other empty fields: what counts is what it decodes to.
static bool says_the_same(struct arena *arena, const struct json *stored, const struct json *wanted)
{
	const struct json *template = json_path(stored, "spec", "template");
	struct core_v1_pod_template_spec *view = ARENA_NEW(arena, struct core_v1_pod_template_spec);
	struct err ignored = ERR_INIT;
	if (json_equal(stored, wanted))
		return true;
	return json_is(template, JSON_OBJECT) &&
	       view_decode(arena, &schema_type_core_v1_pod_template_spec, template, view, &ignored) == 0 &&
	       json_equal(revision_data(arena, view), wanted);
}

struct api_object *revision_current(struct revision_sync *sync)
{
	size_t count;
	struct api_object **own = revisions_of(reconcile_arena(sync->reconcile), sync->revisions, sync->owner, &count);
	int64_t highest = count ? view_of(own[count - 1])->revision : 0;
	for (size_t i = count; i-- > 0;) {
		if (!says_the_same(reconcile_arena(sync->reconcile), view_of(own[i])->data, sync->data))
			continue;
		if (view_of(own[i])->revision == highest)
			return own[i];
		move_to_top(sync, own[i], highest + 1);
		return NULL;
	}
	create_revision(sync, highest + 1);
	return NULL;
}

void revisions_trim(struct revision_sync *sync, size_t limit,
                    bool (*is_live)(void *context, const struct api_object *revision), void *context)
{
	size_t count;
	struct api_object **own = revisions_of(reconcile_arena(sync->reconcile), sync->revisions, sync->owner, &count);
	size_t dead = 0;
	for (size_t i = 0; i < count; i++)
		dead += !is_live(context, own[i]);
	for (size_t i = 0; i < count && dead > limit; i++) {
		if (is_live(context, own[i]))
			continue;
		reconcile_delete(sync->reconcile, own[i], NULL, NULL);
		dead--;
	}
}
