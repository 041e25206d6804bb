// SPDX-License-Identifier: Apache-2.0
//
// garbage-collector-controller: objects go when their owners have gone.
//
//   background   the owner is deleted at once; each dependent, left without any
//                owner, is deleted after it
//   foreground   the owner stays, with the finalizer foregroundDeletion, until those
//                of its dependents that block its deletion are gone
//   orphan       the owner stays, with the finalizer orphan, until its dependents
//                don't name it any more
//
// The graph is no structure of its own: every kind's local copy (metadata alone
// where no other controller needs the whole) has an index by owner, and an owner
// is found by the kind and name that a reference gives. Events only say what to
// look at; a reconcile decides from the copies, and asks the server for an owner
// that isn't in them before anything is deleted. Deletes are guarded by uid and
// resourceVersion: an object whose references changed meanwhile comes again.
//
// References to kinds that aren't watched never delete anything.
#include "controller-manager/garbage_collector.h"

#include <stdlib.h>
#include <string.h>

#include "api/core_v1.h"
#include "api/meta_v1.h"
#include "common/api/object.h"
#include "common/api/view.h"
#include "common/base/hashmap.h"
#include "common/base/memory.h"
#include "controller-manager/controllers.h"
#include "controller-manager/kinds.h"

enum { MAX_ABSENT = 2000 };

// --- events --------------------------------------------------------------------------------

static bool has_doubtful_owner(const struct garbage_collector *collector, const struct api_object *object)
{
	const struct meta_v1_object_meta *metadata = api_object_metadata(object);
	for (size_t i = 0; i < metadata->owner_references.count; i++) {
		enum owner_state state = gc_owner_state(collector, object, &metadata->owner_references.items[i]);
		if (state != OWNER_SOLID && state != OWNER_UNKNOWABLE)
			return true;
	}
	return false;
}

// Owners that wait for their dependents look again when one of them changed.
static void enqueue_waiting_owners(struct controller *controller, const struct api_object *dependent)
{
	struct garbage_collector *collector = controller_state(controller);
	const struct meta_v1_object_meta *metadata = api_object_metadata(dependent);
	for (size_t i = 0; i < metadata->owner_references.count; i++) {
		struct api_object *owner = gc_find_owner(collector, dependent, &metadata->owner_references.items[i]);
		if (owner && gc_deletes_dependents(owner))
			gc_enqueue(controller, owner);
	}
}

static void enqueue_dependent(void *context, struct api_object *dependent,
                              const struct meta_v1_owner_reference *reference UNUSED)
{
	gc_enqueue(context, dependent);
}

static bool references_changed(const struct api_object *before, const struct api_object *after)
{
	const struct meta_v1_owner_reference_array *a = &api_object_metadata(before)->owner_references;
	const struct meta_v1_owner_reference_array *b = &api_object_metadata(after)->owner_references;
	if (a->count != b->count)
		return true;
	for (size_t i = 0; i < a->count; i++) {
		bool blocked = a->items[i].block_owner_deletion && *a->items[i].block_owner_deletion;
		bool blocks = b->items[i].block_owner_deletion && *b->items[i].block_owner_deletion;
		const char *was = a->items[i].uid;
		const char *is = b->items[i].uid;
		if (blocked != blocks || strcmp(was ? was : "", is ? is : "") != 0)
			return true;
	}
	return false;
}

static void on_object(struct controller *controller, struct api_object *old_object, struct api_object *new_object)
{
	struct garbage_collector *collector = controller_state(controller);
	if (!new_object) {
		gc_each_dependent(collector, old_object, enqueue_dependent, controller);
		enqueue_waiting_owners(controller, old_object);
		return;
	}
	bool has_work = gc_is_being_deleted(new_object) && (gc_has_finalizer(new_object, FOREGROUND_FINALIZER) ||
	                                                    gc_has_finalizer(new_object, ORPHAN_FINALIZER));
	if (has_work || has_doubtful_owner(collector, new_object))
		gc_enqueue(controller, new_object);
	if (old_object && (references_changed(old_object, new_object) ||
	                   gc_deletes_dependents(old_object) != gc_deletes_dependents(new_object)))
		enqueue_waiting_owners(controller, old_object);
}

static void watch_kind(struct controller *controller, const struct schema_resource *resource)
{
	struct garbage_collector *collector = controller_state(controller);
	const struct informer_config config = {.resource = resource, .metadata_only = true};
	if (collector->monitor_count == MAX_MONITORS)
		return;
	struct gc_monitor *monitor = &collector->monitors[collector->monitor_count++];
	monitor->resource = resource;
	monitor->informer = controller_watch_with(controller, &config, on_object);
	informer_add_index(monitor->informer, GC_OWNER_INDEX, gc_index_by_owner);
}

static int start(struct controller *controller, struct err *err UNUSED)
{
	struct garbage_collector *collector = NEW(struct garbage_collector);
	const struct schema_resource *resource;
	controller_set_state(controller, collector);
	collector->absent = hashmap_new(NULL);
	for (size_t cursor = 0; (resource = kinds_next(&cursor)) != NULL;)
		if (resource != &schema_resource_core_v1_events)
			watch_kind(controller, resource);
	return 0;
}

static void stop(struct controller *controller)
{
	struct garbage_collector *collector = controller_state(controller);
	hashmap_free(collector->absent);
	free(collector);
}

// --- patches -------------------------------------------------------------------------------

static void remove_finalizer(struct reconcile *reconcile, const struct api_object *object, const char *name)
{
	struct arena *arena = reconcile_arena(reconcile);
	const struct string_array *finalizers = &api_object_metadata(object)->finalizers;
	struct json *patch = json_object(arena);
	struct json *list = json_array(arena);
	for (size_t i = 0; i < finalizers->count; i++)
		if (strcmp(finalizers->items[i], name) != 0)
			json_append(arena, list, json_string(arena, finalizers->items[i]));
	json_set(arena, json_ensure_object(arena, patch, "metadata"), "finalizers", list);
	reconcile_patch(reconcile, object, NULL, REST_MERGE_PATCH, patch, true, NULL, NULL);
}

static void put_references(struct reconcile *reconcile, const struct api_object *object, struct json *list)
{
	struct arena *arena = reconcile_arena(reconcile);
	struct json *patch = json_object(arena);
	json_set(arena, json_ensure_object(arena, patch, "metadata"), "ownerReferences",
	         list->length ? list : json_null(arena));
	reconcile_patch(reconcile, object, NULL, REST_MERGE_PATCH, patch, true, NULL, NULL);
}

static struct json *reference_json(struct arena *arena, const struct meta_v1_owner_reference *reference)
{
	return view_to_json(arena, &schema_type_meta_v1_owner_reference, reference);
}

// --- an owner being deleted ----------------------------------------------------------------

struct orphaning {
	struct reconcile *reconcile;
	const char *uid;
	size_t found;
};

static void orphan_dependent(void *context, struct api_object *dependent,
                             const struct meta_v1_owner_reference *reference UNUSED)
{
	struct orphaning *orphaning = context;
	struct arena *arena = reconcile_arena(orphaning->reconcile);
	const struct meta_v1_owner_reference_array *references = &api_object_metadata(dependent)->owner_references;
	struct json *list = json_array(arena);
	for (size_t i = 0; i < references->count; i++)
		if (!references->items[i].uid || strcmp(references->items[i].uid, orphaning->uid) != 0)
			json_append(arena, list, reference_json(arena, &references->items[i]));
	orphaning->found++;
	put_references(orphaning->reconcile, dependent, list);
}

// In rounds: the finalizer goes when a round finds no dependent.
static void orphan_dependents(struct garbage_collector *collector, struct reconcile *reconcile,
                              const struct api_object *owner)
{
	struct orphaning orphaning = {.reconcile = reconcile, .uid = owner->uid};
	gc_each_dependent(collector, owner, orphan_dependent, &orphaning);
	if (!orphaning.found)
		remove_finalizer(reconcile, owner, ORPHAN_FINALIZER);
	else
		reconcile_again_after(reconcile, 0);
}

struct blocking {
	struct controller *controller;
	size_t count;
};

static void count_blocking(void *context, struct api_object *dependent, const struct meta_v1_owner_reference *reference)
{
	struct blocking *blocking = context;
	if (!gc_is_being_deleted(dependent))
		gc_enqueue(blocking->controller, dependent);
	if (reference->block_owner_deletion && *reference->block_owner_deletion)
		blocking->count++;
}

static void delete_dependents(struct controller *controller, struct reconcile *reconcile,
                              const struct api_object *owner)
{
	struct blocking blocking = {.controller = controller};
	gc_each_dependent(controller_state(controller), owner, count_blocking, &blocking);
	if (!blocking.count)
		remove_finalizer(reconcile, owner, FOREGROUND_FINALIZER);
}

// --- a dependent ---------------------------------------------------------------------------

// One look at a dependent's owners; goes on when the server has answered for each that wasn't seen.
struct inquiry {
	struct controller *controller;
	struct reconcile *reconcile;
	struct api_object *object; // kept
	enum owner_state *states;  // one for each reference
	size_t pending;
	bool failed;
};

struct owner_question {
	struct inquiry *inquiry;
	size_t reference;
};

static void remember_absent(struct garbage_collector *collector, const char *uid)
{
	static char present;
	if (hashmap_count(collector->absent) >= MAX_ABSENT)
		hashmap_clear(collector->absent);
	hashmap_put(collector->absent, uid, &present);
}

static void note_dependents_deletion(void *context, struct api_object *dependent,
                                     const struct meta_v1_owner_reference *reference UNUSED)
{
	bool *in_circle = context;
	*in_circle = *in_circle || gc_deletes_dependents(dependent);
}

static void note_dependent(void *context, struct api_object *dependent UNUSED,
                           const struct meta_v1_owner_reference *reference UNUSED)
{
	*(bool *)context = true;
}

// Owners that wait for each other in a circle would wait for ever.
static void unblock_owners(struct inquiry *inquiry)
{
	struct arena *arena = reconcile_arena(inquiry->reconcile);
	const struct meta_v1_owner_reference_array *references =
	        &api_object_metadata(inquiry->object)->owner_references;
	struct json *list = json_array(arena);
	bool changed = false;
	for (size_t i = 0; i < references->count; i++) {
		struct json *reference = reference_json(arena, &references->items[i]);
		changed = changed || json_get_bool(reference, "blockOwnerDeletion", false);
		json_set_bool(arena, reference, "blockOwnerDeletion", false);
		json_append(arena, list, reference);
	}
	if (changed)
		put_references(inquiry->reconcile, inquiry->object, list);
}

static void delete_in_foreground(struct inquiry *inquiry)
{
	const struct deletion_options options = {.propagation = "Foreground"};
	bool in_circle = false;
	gc_each_dependent(controller_state(inquiry->controller), inquiry->object, note_dependents_deletion, &in_circle);
	if (in_circle)
		unblock_owners(inquiry);
	reconcile_delete_with(inquiry->reconcile, inquiry->object, &options, NULL, NULL);
}

static void delete_unowned(struct inquiry *inquiry)
{
	struct deletion_options options = {.guard = true, .propagation = "Background"};
	if (gc_has_finalizer(inquiry->object, ORPHAN_FINALIZER))
		options.propagation = "Orphan";
	else if (gc_has_finalizer(inquiry->object, FOREGROUND_FINALIZER))
		options.propagation = "Foreground";
	reconcile_delete_with(inquiry->reconcile, inquiry->object, &options, NULL, NULL);
}

static void drop_references(struct inquiry *inquiry)
{
	struct arena *arena = reconcile_arena(inquiry->reconcile);
	const struct meta_v1_owner_reference_array *references =
	        &api_object_metadata(inquiry->object)->owner_references;
	struct json *list = json_array(arena);
	for (size_t i = 0; i < references->count; i++)
		if (inquiry->states[i] == OWNER_SOLID || inquiry->states[i] == OWNER_UNKNOWABLE)
			json_append(arena, list, reference_json(arena, &references->items[i]));
	put_references(inquiry->reconcile, inquiry->object, list);
}

static void decide(struct inquiry *inquiry)
{
	const struct meta_v1_owner_reference_array *references =
	        &api_object_metadata(inquiry->object)->owner_references;
	size_t kept = 0;
	size_t waiting = 0;
	for (size_t i = 0; i < references->count; i++) {
		kept += inquiry->states[i] == OWNER_SOLID || inquiry->states[i] == OWNER_UNKNOWABLE;
		waiting += inquiry->states[i] == OWNER_WAITING;
	}
	if (inquiry->failed || kept == references->count)
		return;
	bool has_dependents = false;
	gc_each_dependent(controller_state(inquiry->controller), inquiry->object, note_dependent, &has_dependents);
	if (kept)
		drop_references(inquiry);
	else if (waiting && has_dependents)
		delete_in_foreground(inquiry);
	else
		delete_unowned(inquiry);
}

static enum owner_state judge_answer(const struct meta_v1_owner_reference *reference, const struct json *owner)
{
	const char *uid = object_uid(owner);
	if (!uid || strcmp(uid, reference->uid) != 0)
		return OWNER_ABSENT;
	if (!object_is_being_deleted(owner))
		return OWNER_SOLID;
	json_for_each_item (finalizer, json_path(owner, "metadata", "finalizers"))
		if (json_text(finalizer) && strcmp(json_text(finalizer), FOREGROUND_FINALIZER) == 0)
			return OWNER_WAITING;
	return OWNER_SOLID;
}

static void on_owner(struct reconcile *reconcile, void *context, const struct rest_response *response)
{
	struct owner_question *question = context;
	struct inquiry *inquiry = question->inquiry;
	const struct meta_v1_owner_reference *reference =
	        &api_object_metadata(inquiry->object)->owner_references.items[question->reference];
	enum owner_state *state = &inquiry->states[question->reference];
	const struct gc_monitor *monitor = gc_monitor_of_reference(controller_state(inquiry->controller), reference);
	if (response->err.code == ERR_NOT_FOUND) {
		// Of a kind that the server doesn't have it says the same.
		*state = informer_has_synced(monitor->informer) ? OWNER_ABSENT : OWNER_UNKNOWABLE;
	} else if (response->err.code != ERR_NONE) {
		inquiry->failed = true;
		reconcile_retry(reconcile, &response->err);
	} else {
		*state = judge_answer(reference, response->object);
	}
	if (*state == OWNER_ABSENT)
		remember_absent(controller_state(inquiry->controller), reference->uid);
	if (--inquiry->pending == 0)
		decide(inquiry);
}

static void ask_for_owner(struct inquiry *inquiry, size_t index)
{
	const struct meta_v1_owner_reference *reference =
	        &api_object_metadata(inquiry->object)->owner_references.items[index];
	const struct gc_monitor *monitor = gc_monitor_of_reference(controller_state(inquiry->controller), reference);
	struct owner_question *question = ARENA_NEW(reconcile_arena(inquiry->reconcile), struct owner_question);
	*question = (struct owner_question){.inquiry = inquiry, .reference = index};
	const struct rest_request request = {
	        .method = "GET",
	        .resource = monitor->resource,
	        .namespace_name = monitor->resource->namespaced ? inquiry->object->namespace_name : NULL,
	        .name = reference->name,
	        .accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json",
	};
	reconcile_request(inquiry->reconcile, &request, on_owner, question);
}

static void look_at_owners(struct controller *controller, struct reconcile *reconcile, struct api_object *object)
{
	const struct meta_v1_owner_reference_array *references = &api_object_metadata(object)->owner_references;
	struct arena *arena = reconcile_arena(reconcile);
	if (!references->count)
		return;
	struct inquiry *inquiry = ARENA_NEW(arena, struct inquiry);
	inquiry->controller = controller;
	inquiry->reconcile = reconcile;
	inquiry->object = reconcile_keep(reconcile, object);
	inquiry->states = ARENA_ARRAY(arena, enum owner_state, references->count);
	inquiry->pending = 1;
	for (size_t i = 0; i < references->count; i++) {
		inquiry->states[i] = gc_owner_state(controller_state(controller), object, &references->items[i]);
		if (inquiry->states[i] != OWNER_NOT_SEEN)
			continue;
		inquiry->pending++;
		ask_for_owner(inquiry, i);
	}
	if (--inquiry->pending == 0)
		decide(inquiry);
}

static void reconcile_object(struct controller *controller, struct reconcile *reconcile, const char *key)
{
	struct garbage_collector *collector = controller_state(controller);
	const char *object_key;
	const struct gc_monitor *monitor = gc_parse_key(collector, key, &object_key);
	struct api_object *object = monitor ? informer_get_key(monitor->informer, object_key) : NULL;
	if (!object)
		return;
	if (gc_is_being_deleted(object) && gc_has_finalizer(object, ORPHAN_FINALIZER))
		orphan_dependents(collector, reconcile, object);
	else if (gc_deletes_dependents(object))
		delete_dependents(controller, reconcile, object);
	else if (!gc_is_being_deleted(object))
		look_at_owners(controller, reconcile, object);
}

const struct controller_type garbage_collector_controller = {
        .name = "garbage-collector-controller",
        .concurrent_keys = 20,
        .starts_last = true,
        .spares_absent = true,
        .start = start,
        .reconcile = reconcile_object,
        .stop = stop,
};
