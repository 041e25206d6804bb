// SPDX-License-Identifier: Apache-2.0
//
// Revisions: each template has one ReplicaSet, named by a hash of the template, so
// that creating it twice ends in "already exists" and not in two. The hash is
// ours; sets that an upstream controller made are found by their template. When a
// set of that name exists for another template, collisionCount goes into the hash.
#include <stdlib.h>
#include <string.h>

#include "common/api/object.h"
#include "common/api/view.h"
#include "common/base/encode.h"
#include "common/base/hashmap.h"
#include "common/base/memory.h"
#include "controller-manager/deployment.h"
#include "controller-manager/ownership.h"

#define LAST_APPLIED_ANNOTATION "kubectl.kubernetes.io/last-applied-configuration"

enum { MAX_TEMPLATE_BYTES = 8 * 1024 * 1024, HASH_TEXT_BYTES = 16 };

int64_t deployment_revision_of(const struct meta_v1_object_meta *metadata)
{
	const char *text = string_map_get(&metadata->annotations, REVISION_ANNOTATION);
	return text ? strtoll(text, NULL, 10) : 0;
}

static struct json *template_json(struct arena *arena, const struct core_v1_pod_template_spec *template)
{
	struct json *value = view_to_json(arena, &schema_type_core_v1_pod_template_spec, template);
	struct json *labels = json_path(value, "metadata", "labels");
	if (labels && json_remove(labels, TEMPLATE_HASH_LABEL) && labels->length == 0)
		json_remove(json_get(value, "metadata"), "labels");
	return value;
}

void deployment_find_sets(struct deployment_sync *sync, struct api_object **owned, size_t count)
{
	struct json *wanted = template_json(sync->arena, &sync->deployment->spec.template);
	if (count)
		qsort(owned, count, sizeof(*owned), ownership_compare_age);
	sync->olds = ARENA_ARRAY(sync->arena, struct api_object *, count + 1);
	for (size_t i = 0; i < count; i++) {
		struct json *found = template_json(sync->arena, &replicaset_view(owned[i])->spec.template);
		// Of several sets with the same template the oldest is the current one.
		if (!sync->newest && json_equal(wanted, found))
			sync->newest = owned[i];
		else
			sync->olds[sync->old_count++] = owned[i];
	}
}

static int64_t next_revision(const struct deployment_sync *sync)
{
	int64_t highest = 0;
	for (size_t i = 0; i < sync->old_count; i++) {
		int64_t revision = deployment_revision_of(api_object_metadata(sync->olds[i]));
		highest = revision > highest ? revision : highest;
	}
	return highest + 1;
}

static const char *template_hash(const struct deployment_sync *sync)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(MAX_TEMPLATE_BYTES);
	json_write(&text, template_json(sync->arena, &sync->deployment->spec.template));
	const int32_t *collisions = sync->deployment->status.collision_count;
	if (collisions)
		strbuf_printf(&text, "%d", *collisions);
	const char *decimal = arena_printf(sync->arena, "%u", fnv32a(text.data, text.length));
	char *encoded = arena_alloc(sync->arena, HASH_TEXT_BYTES);
	safe_encode_string(decimal, encoded);
	return encoded;
}

// --- creating ------------------------------------------------------------------------

struct set_creation {
	struct api_object *deployment; // kept
	const char *name;
	int32_t size;
};

// The name is taken by a set of another template: make the next hash differ.
static void count_collision(struct reconcile *reconcile, const struct set_creation *creation)
{
	struct arena *arena = reconcile_arena(reconcile);
	const struct apps_v1_deployment *deployment = creation->deployment->view;
	const int32_t *collisions = deployment->status.collision_count;
	struct json *patch = json_object(arena);
	json_set_integer(arena, json_ensure_object(arena, patch, "status"), "collisionCount",
	                 collisions ? *collisions + 1 : 1);
	reconcile_patch(reconcile, creation->deployment, "status", REST_MERGE_PATCH, patch, true, NULL, NULL);
}

static void on_created(struct reconcile *reconcile, void *context, const struct rest_response *response)
{
	const struct set_creation *creation = context;
	if (response->err.code == ERR_NONE)
		reconcile_event(reconcile, creation->deployment, "Normal", "ScalingReplicaSet",
		                "Scaled up replica set %s from 0 to %d", creation->name, creation->size);
	else if (response->err.code == ERR_ALREADY_EXISTS)
		count_collision(reconcile, creation);
	else
		reconcile_retry(reconcile, &response->err);
}

static void copy_annotations(struct deployment_sync *sync, struct meta_v1_object_meta *metadata)
{
	const struct string_map *own = &sync->deployment->metadata.annotations;
	for (size_t i = 0; i < own->count; i++)
		if (strcmp(own->entries[i].key, LAST_APPLIED_ANNOTATION) != 0 &&
		    strcmp(own->entries[i].key, REVISION_ANNOTATION) != 0)
			string_map_set(sync->arena, &metadata->annotations, own->entries[i].key, own->entries[i].value);
	string_map_set(sync->arena, &metadata->annotations, REVISION_ANNOTATION,
	               arena_printf(sync->arena, "%lld", (long long)next_revision(sync)));
	string_map_set(sync->arena, &metadata->annotations, DESIRED_ANNOTATION,
	               arena_printf(sync->arena, "%d", sync->desired));
	string_map_set(sync->arena, &metadata->annotations, MAX_ANNOTATION,
	               arena_printf(sync->arena, "%d", sync->desired + sync->max_surge));
}

// A copy of a map with one more entry: the originals belong to the store.
static struct string_map map_with(struct arena *arena, const struct string_map *map, const char *key, const char *value)
{
	struct string_map copy = {.entries = ARENA_ARRAY(arena, struct string_map_entry, map->count + 1),
	                          .count = map->count};
	for (size_t i = 0; i < map->count; i++)
		copy.entries[i] = map->entries[i];
	string_map_set(arena, &copy, key, value);
	return copy;
}

void deployment_create_set(struct deployment_sync *sync, int32_t size)
{
	const char *hash = template_hash(sync);
	struct apps_v1_replica_set *set = ARENA_NEW(sync->arena, struct apps_v1_replica_set);
	struct meta_v1_label_selector *selector = ARENA_NEW(sync->arena, struct meta_v1_label_selector);
	int32_t *replicas = ARENA_NEW(sync->arena, int32_t);
	*replicas = size;
	*selector = *sync->deployment->spec.selector;
	selector->match_labels = map_with(sync->arena, &selector->match_labels, TEMPLATE_HASH_LABEL, hash);
	set->api_version = "apps/v1";
	set->kind = "ReplicaSet";
	set->metadata.name = arena_printf(sync->arena, "%s-%s", sync->object->name, hash);
	set->metadata.namespace = sync->object->namespace_name;
	ownership_set(sync->arena, &set->metadata, sync->object);
	copy_annotations(sync, &set->metadata);
	set->spec.replicas = replicas;
	set->spec.min_ready_seconds = sync->deployment->spec.min_ready_seconds;
	set->spec.selector = selector;
	set->spec.template = sync->deployment->spec.template;
	set->spec.template.metadata.labels =
	        map_with(sync->arena, &sync->deployment->spec.template.metadata.labels, TEMPLATE_HASH_LABEL, hash);
	set->metadata.labels = set->spec.template.metadata.labels;
	struct set_creation *creation = ARENA_NEW(sync->arena, struct set_creation);
	*creation = (struct set_creation){
	        .deployment = reconcile_keep(sync->reconcile, sync->object),
	        .name = set->metadata.name,
	        .size = size,
	};
	reconcile_create(sync->reconcile, &schema_resource_apps_v1_replicasets, sync->object->namespace_name, set,
	                 on_created, creation);
}

// --- bookkeeping -----------------------------------------------------------------------

static void patch_annotation(struct deployment_sync *sync, const struct api_object *object, int64_t revision)
{
	struct json *patch = json_object(sync->arena);
	struct json *annotations =
	        json_ensure_object(sync->arena, json_ensure_object(sync->arena, patch, "metadata"), "annotations");
	json_set_text(sync->arena, annotations, REVISION_ANNOTATION,
	              arena_printf(sync->arena, "%lld", (long long)revision));
	// A Deployment's generation counts its annotations, but not when they come by its status.
	const char *subresource = object == sync->object ? "status" : NULL;
	reconcile_patch(sync->reconcile, object, subresource, REST_MERGE_PATCH, patch, false, NULL, NULL);
}

void deployment_sync_revision(struct deployment_sync *sync)
{
	int64_t revision = deployment_revision_of(api_object_metadata(sync->newest));
	int64_t wanted = next_revision(sync);
	if (revision < wanted) {
		revision = wanted;
		patch_annotation(sync, sync->newest, revision);
	}
	if (deployment_revision_of(&sync->deployment->metadata) != revision)
		patch_annotation(sync, sync->object, revision);
}

static int compare_revision(const void *a, const void *b)
{
	const struct api_object *const *left = a;
	const struct api_object *const *right = b;
	int64_t left_revision = deployment_revision_of(api_object_metadata(*left));
	int64_t right_revision = deployment_revision_of(api_object_metadata(*right));
	return left_revision < right_revision ? -1 : left_revision > right_revision;
}

static bool is_deletable(const struct api_object *object)
{
	const struct apps_v1_replica_set *set = object->view;
	return set->status.replicas == 0 && replicaset_size(object) == 0 && !set->metadata.deletion_timestamp &&
	       set->metadata.generation <= set->status.observed_generation;
}

void deployment_clean_history(struct deployment_sync *sync)
{
	const int32_t *limit = sync->deployment->spec.revision_history_limit;
	size_t kept = limit && *limit >= 0 ? (size_t)*limit : 10;
	if (sync->old_count <= kept)
		return;
	qsort(sync->olds, sync->old_count, sizeof(*sync->olds), compare_revision);
	for (size_t i = 0; i < sync->old_count - kept; i++)
		if (is_deletable(sync->olds[i]))
			reconcile_delete(sync->reconcile, sync->olds[i], NULL, NULL);
}
