// SPDX-License-Identifier: Apache-2.0
//
// namespace-controller: empties a namespace that is being deleted, then takes the
// finalizer "kubernetes" off its spec, with which the apiserver removes it.
//
//   1. pods: deleted with their grace; as long as any is there, nothing else goes,
//      so that they end with their configuration, accounts and policies in place
//   2. every other kind: list, delete the collection, list again
//   3. nothing left: finalize; else say in the conditions what is left
//
// What is there is asked of the server each time, never of a local copy: a
// namespace must not go while anything is in it. The end of a pod wakes the
// namespace; a delay stands in for what isn't watched.
#include <stdlib.h>
#include <string.h>

#include "api/core_v1.h"
#include "common/api/object.h"
#include "common/api/view.h"
#include "common/base/memory.h"
#include "common/io/loop.h"
#include "controller-manager/controllers.h"
#include "controller-manager/kinds.h"

#define FINALIZER "kubernetes"
#define AGAIN_WITH_PODS_NS (5 * NSEC_PER_SEC)
#define AGAIN_WITH_OTHERS_NS (2 * NSEC_PER_SEC)

enum { MAX_KINDS = 96, MAX_FINALIZERS = 16, MAX_MESSAGE_BYTES = 4096 };

static const char METADATA_LIST[] = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";

struct namespace_controller {
	struct informer *namespaces;
	struct informer *pods;
};

static void on_namespace(struct controller *controller, struct api_object *old_object UNUSED,
                         struct api_object *new_object)
{
	if (new_object && api_object_metadata(new_object)->deletion_timestamp)
		controller_enqueue(controller, new_object->key);
}

static void on_pod(struct controller *controller, struct api_object *old_object, struct api_object *new_object)
{
	struct namespace_controller *state = controller_state(controller);
	struct api_object *object =
	        new_object ? NULL : informer_get(state->namespaces, NULL, old_object->namespace_name);
	if (object && api_object_metadata(object)->deletion_timestamp)
		controller_enqueue(controller, object->key);
}

static int start(struct controller *controller, struct err *err UNUSED)
{
	struct namespace_controller *state = NEW(struct namespace_controller);
	controller_set_state(controller, state);
	state->namespaces = controller_watch(controller, &schema_resource_core_v1_namespaces, on_namespace);
	state->pods = controller_watch(controller, &schema_resource_core_v1_pods, on_pod);
	return 0;
}

static void stop(struct controller *controller)
{
	free(controller_state(controller));
}

// --- one pass --------------------------------------------------------------------------------

struct emptying;

// One kind in one namespace.
struct sweep {
	struct emptying *emptying;
	const struct schema_resource *resource;
	bool was_deleted; // the collection, in this pass
	int64_t remaining;
};

struct finalizer_count {
	const char *name;
	int64_t count;
};

struct emptying {
	struct reconcile *reconcile;
	struct arena *arena;
	struct api_object *object; // kept
	struct sweep sweeps[MAX_KINDS];
	size_t sweep_count;
	size_t pending;
	bool pods_are_gone;
	struct finalizer_count finalizers[MAX_FINALIZERS];
	size_t finalizer_count;
	const char *failure; // first error text
};

static void list_again(struct sweep *sweep);
static void finish_pass(struct emptying *emptying);

static void sweep_done(struct sweep *sweep)
{
	if (--sweep->emptying->pending == 0)
		finish_pass(sweep->emptying);
}

static void note_failure(struct sweep *sweep, const struct err *err)
{
	struct emptying *emptying = sweep->emptying;
	if (!emptying->failure)
		emptying->failure = arena_printf(emptying->arena, "%s: %s", sweep->resource->plural, err->message);
	reconcile_retry(emptying->reconcile, err);
}

static void count_finalizer(struct emptying *emptying, const char *name)
{
	for (size_t i = 0; i < emptying->finalizer_count; i++)
		if (strcmp(emptying->finalizers[i].name, name) == 0) {
			emptying->finalizers[i].count++;
			return;
		}
	if (emptying->finalizer_count < MAX_FINALIZERS)
		emptying->finalizers[emptying->finalizer_count++] =
		        (struct finalizer_count){.name = arena_strdup(emptying->arena, name), .count = 1};
}

static void count_items(struct sweep *sweep, const struct json *list)
{
	int64_t beyond = 0;
	const struct json *items = json_get(list, "items");
	json_get_integer(json_get(list, "metadata"), "remainingItemCount", &beyond);
	sweep->remaining = (items && items->type == JSON_ARRAY ? items->length : 0) + beyond;
	if (!sweep->was_deleted)
		return;
	json_for_each_item (item, items)
		json_for_each_item (finalizer, json_path(item, "metadata", "finalizers"))
			if (json_text(finalizer))
				count_finalizer(sweep->emptying, json_text(finalizer));
}

// Kinds that this server doesn't have can't be in the way.
static bool is_not_served(enum err_code code)
{
	return code == ERR_NOT_FOUND || code == ERR_METHOD_NOT_ALLOWED;
}

static void on_collection_deleted(struct reconcile *reconcile UNUSED, void *context,
                                  const struct rest_response *response)
{
	struct sweep *sweep = context;
	if (response->err.code != ERR_NONE && !is_not_served(response->err.code)) {
		note_failure(sweep, &response->err);
		sweep_done(sweep);
		return;
	}
	sweep->was_deleted = true;
	list_again(sweep);
}

static void delete_collection(struct sweep *sweep)
{
	static const char body[] =
	        "{\"apiVersion\":\"v1\",\"kind\":\"DeleteOptions\",\"propagationPolicy\":\"Background\"}";
	const struct rest_request request = {
	        .method = "DELETE",
	        .resource = sweep->resource,
	        .namespace_name = sweep->emptying->object->name,
	        .body = body,
	        .body_length = sizeof(body) - 1,
	};
	reconcile_request(sweep->emptying->reconcile, &request, on_collection_deleted, sweep);
}

static void on_deleted_one(struct reconcile *reconcile UNUSED, void *context, const struct rest_response *response)
{
	struct sweep *sweep = context;
	if (response->err.code != ERR_NONE && response->err.code != ERR_NOT_FOUND)
		note_failure(sweep, &response->err);
	sweep_done(sweep);
}

// For kinds without delete collection: one after the other, looked at in the next pass.
static void delete_each(struct sweep *sweep, const struct json *list)
{
	json_for_each_item (item, json_get(list, "items")) {
		const struct rest_request request = {
		        .method = "DELETE",
		        .resource = sweep->resource,
		        .namespace_name = sweep->emptying->object->name,
		        .name = object_name(item),
		};
		sweep->emptying->pending++;
		reconcile_request(sweep->emptying->reconcile, &request, on_deleted_one, sweep);
	}
	sweep_done(sweep);
}

static void on_listed(struct reconcile *reconcile UNUSED, void *context, const struct rest_response *response)
{
	struct sweep *sweep = context;
	if (response->err.code != ERR_NONE) {
		if (!is_not_served(response->err.code)) {
			note_failure(sweep, &response->err);
			sweep->remaining = sweep->remaining ? sweep->remaining : 1;
		}
		sweep_done(sweep);
		return;
	}
	count_items(sweep, response->object);
	if (!sweep->remaining || sweep->was_deleted)
		sweep_done(sweep);
	else if (sweep->resource->verbs & VERB_DELETE_COLLECTION)
		delete_collection(sweep);
	else
		delete_each(sweep, response->object);
}

static void list_again(struct sweep *sweep)
{
	const struct rest_request request = {
	        .method = "GET",
	        .resource = sweep->resource,
	        .namespace_name = sweep->emptying->object->name,
	        .query = "limit=500",
	        .accept = METADATA_LIST,
	};
	reconcile_request(sweep->emptying->reconcile, &request, on_listed, sweep);
}

static void start_sweep(struct emptying *emptying, const struct schema_resource *resource)
{
	if (emptying->sweep_count == MAX_KINDS)
		return;
	struct sweep *sweep = &emptying->sweeps[emptying->sweep_count++];
	sweep->emptying = emptying;
	sweep->resource = resource;
	emptying->pending++;
	list_again(sweep);
}

static void sweep_all_but_pods(struct emptying *emptying)
{
	const struct schema_resource *resource;
	for (size_t cursor = 0; (resource = kinds_next(&cursor)) != NULL;)
		if (resource->namespaced && resource != &schema_resource_core_v1_pods)
			start_sweep(emptying, resource);
}

// --- what is left ------------------------------------------------------------------------------

static int64_t count_remaining(const struct emptying *emptying)
{
	int64_t total = 0;
	for (size_t i = 0; i < emptying->sweep_count; i++)
		total += emptying->sweeps[i].remaining;
	return total;
}

static const char *describe_remaining(const struct emptying *emptying)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(MAX_MESSAGE_BYTES);
	strbuf_append_text(&text, "Some resources are remaining: ");
	bool first = true;
	for (size_t i = 0; i < emptying->sweep_count; i++) {
		const struct sweep *sweep = &emptying->sweeps[i];
		if (!sweep->remaining)
			continue;
		strbuf_printf(&text, "%s%s.%s has %lld resource instances", first ? "" : ", ", sweep->resource->plural,
		              sweep->resource->group, (long long)sweep->remaining);
		first = false;
	}
	return arena_strdup(emptying->arena, strbuf_text(&text));
}

static const char *describe_finalizers(const struct emptying *emptying)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(MAX_MESSAGE_BYTES);
	strbuf_append_text(&text, "Some content in the namespace has finalizers remaining: ");
	for (size_t i = 0; i < emptying->finalizer_count; i++)
		strbuf_printf(&text, "%s%s in %lld resource instances", i ? ", " : "", emptying->finalizers[i].name,
		              (long long)emptying->finalizers[i].count);
	return arena_strdup(emptying->arena, strbuf_text(&text));
}

// --- conditions ----------------------------------------------------------------------------------

static bool is_stored(const struct core_v1_namespace *view, const char *type, bool status, const char *reason,
                      const char *message, const char **ret_transition)
{
	for (size_t i = 0; i < view->status.conditions.count; i++) {
		const struct core_v1_namespace_condition *stored = &view->status.conditions.items[i];
		if (!stored->type || strcmp(stored->type, type) != 0 || !stored->status ||
		    strcmp(stored->status, status ? "True" : "False") != 0)
			continue;
		*ret_transition = stored->last_transition_time;
		return stored->reason && strcmp(stored->reason, reason) == 0 && stored->message &&
		       strcmp(stored->message, message) == 0;
	}
	return false;
}

static void add_condition(struct emptying *emptying, struct json *list, const char *type, bool status,
                          const char *reason, const char *message)
{
	struct arena *arena = emptying->arena;
	char now[API_TIME_BYTES];
	const char *transition = NULL;
	if (is_stored(emptying->object->view, type, status, reason, message, &transition))
		return;
	api_time_format(loop_realtime_ns(controller_loop(reconcile_controller(emptying->reconcile))), now);
	struct json *condition = json_object(arena);
	json_set_text(arena, condition, "type", type);
	json_set_text(arena, condition, "status", status ? "True" : "False");
	json_set_text(arena, condition, "lastTransitionTime", transition ? transition : now);
	json_set_text(arena, condition, "reason", reason);
	json_set_text(arena, condition, "message", message);
	json_append(arena, list, condition);
}

static void update_conditions(struct emptying *emptying, int64_t remaining)
{
	struct arena *arena = emptying->arena;
	struct json *patch = json_object(arena);
	struct json *list = json_ensure_array(arena, json_ensure_object(arena, patch, "status"), "conditions");
	add_condition(emptying, list, "NamespaceDeletionDiscoveryFailure", false, "ResourcesDiscovered",
	              "All resources successfully discovered");
	add_condition(emptying, list, "NamespaceDeletionGroupVersionParsingFailure", false, "ParsedGroupVersions",
	              "All legacy kube types successfully parsed");
	if (emptying->failure)
		add_condition(emptying, list, "NamespaceDeletionContentFailure", true, "ContentDeletionFailed",
		              arena_printf(arena, "Failed to delete all resource types, %s", emptying->failure));
	else
		add_condition(emptying, list, "NamespaceDeletionContentFailure", false, "ContentDeleted",
		              "All content successfully deleted, may be waiting on finalization");
	if (remaining)
		add_condition(emptying, list, "NamespaceContentRemaining", true, "SomeResourcesRemain",
		              describe_remaining(emptying));
	else
		add_condition(emptying, list, "NamespaceContentRemaining", false, "ContentRemoved",
		              "All content successfully removed");
	if (emptying->finalizer_count)
		add_condition(emptying, list, "NamespaceFinalizersRemaining", true, "SomeFinalizersRemain",
		              describe_finalizers(emptying));
	else
		add_condition(emptying, list, "NamespaceFinalizersRemaining", false, "ContentHasNoFinalizers",
		              "All content-preserving finalizers finished");
	if (list->length)
		reconcile_patch(emptying->reconcile, emptying->object, "status", REST_STRATEGIC_MERGE_PATCH, patch,
		                false, NULL, NULL);
}

// --- finalizing ------------------------------------------------------------------------------------

static void on_finalized(struct reconcile *reconcile, void *context UNUSED, const struct rest_response *response)
{
	if (response->err.code != ERR_NONE && response->err.code != ERR_NOT_FOUND)
		reconcile_retry(reconcile, &response->err);
}

static struct json *without_finalizer(struct arena *arena, const struct json *present)
{
	struct json *list = json_array(arena);
	json_for_each_item (item, present)
		if (json_text(item) && strcmp(json_text(item), FINALIZER) != 0)
			json_append(arena, list, json_clone(arena, item));
	return list;
}

// The live object goes back as it came but for the one finalizer, fields that we don't know included.
static void on_got(struct reconcile *reconcile, void *context, const struct rest_response *response)
{
	struct emptying *emptying = context;
	if (response->err.code == ERR_NOT_FOUND)
		return;
	if (response->err.code != ERR_NONE || !response->object) {
		reconcile_retry(reconcile, &response->err);
		return;
	}
	const char *uid = object_uid(response->object);
	if (!uid || strcmp(uid, emptying->object->uid) != 0)
		return;
	struct json *spec = json_ensure_object(response->arena, response->object, "spec");
	json_set(response->arena, spec, "finalizers", without_finalizer(response->arena, json_get(spec, "finalizers")));
	AUTO_STRBUF struct strbuf body = STRBUF_INIT(16 << 20);
	json_write(&body, response->object);
	const struct rest_request request = {
	        .method = "PUT",
	        .resource = &schema_resource_core_v1_namespaces,
	        .name = emptying->object->name,
	        .subresource = "finalize",
	        .body = strbuf_text(&body),
	        .body_length = body.length,
	};
	reconcile_request(reconcile, &request, on_finalized, NULL);
}

static void finalize(struct emptying *emptying)
{
	const struct rest_request request = {
	        .method = "GET",
	        .resource = &schema_resource_core_v1_namespaces,
	        .name = emptying->object->name,
	};
	reconcile_request(emptying->reconcile, &request, on_got, emptying);
}

static void finish_pass(struct emptying *emptying)
{
	int64_t remaining = count_remaining(emptying);
	if (!remaining && !emptying->failure && !emptying->pods_are_gone) {
		emptying->pods_are_gone = true;
		sweep_all_but_pods(emptying);
		return;
	}
	if (!remaining && !emptying->failure) {
		finalize(emptying);
		return;
	}
	update_conditions(emptying, remaining);
	reconcile_again_after(emptying->reconcile, emptying->pods_are_gone ? AGAIN_WITH_OTHERS_NS : AGAIN_WITH_PODS_NS);
}

static void reconcile_namespace(struct controller *controller, struct reconcile *reconcile, const char *key)
{
	struct namespace_controller *state = controller_state(controller);
	struct api_object *object = informer_get_key(state->namespaces, key);
	const struct core_v1_namespace *view = object ? object->view : NULL;
	if (!view || !view->metadata.deletion_timestamp || !string_array_contains(&view->spec.finalizers, FINALIZER))
		return;
	struct emptying *emptying = ARENA_NEW(reconcile_arena(reconcile), struct emptying);
	emptying->reconcile = reconcile;
	emptying->arena = reconcile_arena(reconcile);
	emptying->object = reconcile_keep(reconcile, object);
	start_sweep(emptying, &schema_resource_core_v1_pods);
}

const struct controller_type namespace_controller = {
        .name = "namespace-controller",
        .concurrent_keys = 10,
        .start = start,
        .reconcile = reconcile_namespace,
        .stop = stop,
};
