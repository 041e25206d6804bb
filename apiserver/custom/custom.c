// SPDX-License-Identifier: Apache-2.0
// The life of definitions. One thread with a loop of its own: reading a large schema
// and compiling its rules takes milliseconds that no connection should wait for.
//
//   storage ──follow──► entry ──reconcile──► definition (tables) ──publish──► snapshot
//                         ▲         │
//                         └─────────┴──► status (names, Established), or removal
//
// 1. A definition is served once its names are its own, and only then called
//    established: whoever waits for the condition may use the resource at once, since
//    the cache of its objects answers as soon as it has listed them.
// 2. A change of what a definition says makes new tables and a new cache of its objects:
//    their watches end and clients list again, so nothing stale is shown.
// 3. A deleted definition's objects are deleted first, their finalizers respected; then
//    its own finalizer goes and with it the definition.
// 4. Writes are swaps on the version that was looked at. Another apiserver may do the
//    same at the same time: who loses hears of the winner's write and looks again.

#include "apiserver/custom/custom.h"

#include <signal.h>
#include <string.h>

#include "apiserver/custom/custom_internal.h"
#include "apiserver/custom/definition_status.h"
#include "apiserver/enabled.h"
#include "apiserver/object_io.h"
#include "apiserver/registry/metadata.h"
#include "apiserver/server.h"
#include "common/api/object.h"
#include "common/base/log.h"
#include "common/base/memory.h"

#define RETRY_NS (100 * NSEC_PER_MSEC)

// --- the snapshot ---------------------------------------------------------------------------

struct served *custom_served(struct custom *custom)
{
	struct served *served;

	pthread_mutex_lock(&custom->lock);
	served = served_ref(custom->served);
	pthread_mutex_unlock(&custom->lock);
	return served;
}

bool custom_is_ready(struct custom *custom)
{
	return atomic_load(&custom->ready);
}

struct loop *custom_loop(struct custom *custom)
{
	return custom->loop;
}

static struct served *make_snapshot(const struct custom *custom)
{
	size_t capacity = custom->entries ? hashmap_count(custom->entries) : 0, count = 0;
	struct definition **definitions = xcalloc(capacity + 1, sizeof(struct definition *));
	struct hashmap_cursor cursor = HASHMAP_CURSOR_INIT;
	struct served *served;

	while (custom->entries && hashmap_next(custom->entries, &cursor)) {
		struct definition_entry *entry = cursor.value;

		if (entry->definition)
			definitions[count++] = entry->definition;
	}
	served = served_new(custom->built_in, custom->built_in_count, definitions, count);
	free(definitions);
	return served;
}

void custom_publish(struct custom *custom)
{
	struct served *before, *now;

	if (!custom->changed)
		return;
	custom->changed = false;
	now = make_snapshot(custom);
	pthread_mutex_lock(&custom->lock);
	before = custom->served;
	custom->served = now;
	pthread_mutex_unlock(&custom->lock);
	served_unref(before);
}

// --- serving --------------------------------------------------------------------------------

static bool read_stored(void *context, struct arena *arena, struct json *tree)
{
	return definition_read_stored(context, arena, tree);
}

static void release_definition(void *context)
{
	definition_unref(context);
}

static void stop_serving(struct definition_entry *entry)
{
	struct custom *custom = entry->custom;

	if (!entry->definition)
		return;
	storage_remove_resource(custom->server->storage, &entry->definition->stored.resource);
	conversion_calls_forget(custom->webhooks, entry->name);
	entry->definition = definition_unref(entry->definition);
	custom->changed = true;
}

static void serve(struct definition_entry *entry, const struct json *tree)
{
	struct custom *custom = entry->custom;
	const struct json *names = definition_names(tree);
	struct definition *definition;
	struct err err = ERR_INIT;

	if (entry->definition && entry->definition->fingerprint == definition_fingerprint(tree, names))
		return;
	definition = definition_new(entry->object, tree, names, &err);
	if (!definition) {
		log_warning("Cannot serve a custom resource definition", kv_str("name", entry->name),
		            kv_str("error", err.message));
		stop_serving(entry);
		return;
	}
	struct storage_reader reader = {read_stored, release_definition, definition_ref(definition)};

	storage_add_custom(custom->server->storage, &definition->stored.resource, &reader);
	definition_unref(entry->definition);
	entry->definition = definition;
	custom->changed = true;
	log_v(2, "Serving a custom resource", kv_str("name", entry->name));
}

// --- names ------------------------------------------------------------------------------------

// Built-in resources of the group have their names too.
static void take_built_in(struct custom *custom, const char *group, struct taken_names *taken)
{
	static int built_in;

	for (size_t i = 0; i < custom->built_in_count; i++) {
		const struct schema_resource *resource = custom->built_in[i];

		if (strcmp(resource->group, group))
			continue;
		(void)hashmap_put(taken->resources, resource->plural, &built_in);
		(void)hashmap_put(taken->kinds, resource->kind, &built_in);
		if (resource->list_kind)
			(void)hashmap_put(taken->kinds, resource->list_kind, &built_in);
	}
}

static bool is_of_group(const char *name, const char *group)
{
	const char *dot = strchr(name, '.');

	return dot && !strcmp(dot + 1, group);
}

static void collect_taken(struct definition_entry *entry, const char *group, struct taken_names *taken)
{
	struct hashmap_cursor cursor = HASHMAP_CURSOR_INIT;

	take_built_in(entry->custom, group, taken);
	while (hashmap_next(entry->custom->entries, &cursor)) {
		const struct definition_entry *other = cursor.value;

		if (other != entry && is_of_group(other->name, group))
			taken_names_add(taken, other->names);
	}
}

// --- deletion -----------------------------------------------------------------------------------

// The finalizer is ours to take away once nothing is left.
static void finish_deletion(struct definition_entry *entry, struct arena *arena, struct json *tree, int64_t now)
{
	bool waits = false;

	if (!metadata_has_finalizer(tree, DEFINITION_CLEANUP_FINALIZER))
		return;
	if (!custom_clean(entry, &waits)) {
		if (waits)
			return;
		if (definition_set_condition(arena, tree, "Terminating", "True", "InstanceDeletionInProgress",
		                             "CustomResource deletion is in progress", now))
			custom_write(entry, tree, false);
		else
			custom_retry_later(entry);
		return;
	}
	metadata_remove_finalizer(tree, DEFINITION_CLEANUP_FINALIZER);
	(void)definition_set_condition(arena, tree, "Terminating", "False", "InstanceDeletionCompleted",
	                               "removed all instances", now);
	custom_write(entry, tree, !metadata_has_finalizers(tree));
}

// --- reconciling ----------------------------------------------------------------------------------

static void reconcile_tree(struct definition_entry *entry, struct arena *arena, struct json *tree)
{
	struct custom *custom = entry->custom;
	const char *group = json_get_text(json_get(tree, "spec"), "group");
	AUTO(hashmap_free) struct hashmap *resources = hashmap_new(NULL);
	AUTO(hashmap_free) struct hashmap *kinds = hashmap_new(NULL);
	struct taken_names taken = {resources, kinds};
	int64_t now = loop_realtime_ns(custom->loop);

	if (!group)
		return;
	collect_taken(entry, group, &taken);
	entry->conflicted = definition_status_has_conflict(arena, tree, &taken);
	if (!entry->conflicted || definition_has_condition(tree, "Established"))
		serve(entry, tree);
	else
		stop_serving(entry);
	custom_publish(custom);
	if (object_is_being_deleted(tree))
		finish_deletion(entry, arena, tree, now);
	else if (definition_status_update(arena, tree, &taken, entry->definition != NULL, now))
		custom_write(entry, tree, false);
}

void custom_reconcile(struct definition_entry *entry)
{
	AUTO(arena_free) struct arena *arena = arena_new(64 << 10);
	struct err err = ERR_INIT;
	struct json *tree;

	if (entry->writing) {
		entry->stale = true;
		return;
	}
	tree = object_load(arena, entry->custom->definitions, entry->object, &err);
	if (tree)
		reconcile_tree(entry, arena, tree);
	else
		log_warning("Cannot read a custom resource definition", kv_str("name", entry->name),
		            kv_str("error", err.message));
}

static void on_retry(struct loop_timer *timer)
{
	custom_reconcile(container_of(timer, struct definition_entry, retry));
}

void custom_retry_later(struct definition_entry *entry)
{
	if (!entry->custom->stopping)
		loop_timer_start(entry->custom->loop, &entry->retry, RETRY_NS, on_retry);
}

// --- writing --------------------------------------------------------------------------------------

static void entry_free(struct definition_entry *entry)
{
	loop_timer_stop(&entry->retry);
	stored_object_unref(entry->object);
	arena_free(entry->names_arena);
	definition_unref(entry->definition);
	free(entry->name);
	free(entry);
}

void custom_call_ended(struct definition_entry *entry)
{
	bool stale = entry->stale;

	entry->writing = entry->stale = false;
	if (entry->gone)
		entry_free(entry);
	else if (stale && !entry->custom->stopping)
		custom_reconcile(entry);
}

static void on_written(void *context, struct stored_object *object, const struct err *err)
{
	struct definition_entry *entry = context;

	(void)object; // the watch brings it
	if (!err || entry->gone || entry->stale) {
		custom_call_ended(entry);
		return;
	}
	entry->writing = false;
	if (err->code != ERR_CONFLICT && err->code != ERR_NOT_FOUND) {
		log_warning("Cannot write the status of a custom resource definition", kv_str("name", entry->name),
		            kv_str("error", err->message));
		custom_retry_later(entry);
	}
}

void custom_write(struct definition_entry *entry, const struct json *tree, bool removed)
{
	struct custom *custom = entry->custom;
	AUTO(arena_free) struct arena *arena = arena_new(16 << 10);
	struct storage_write write = {
	        .type = removed ? STORAGE_DELETE : STORAGE_UPDATE,
	        .resource = custom->definitions,
	        .namespace_name = "",
	        .name = entry->name,
	        .expected_revision = entry->object->revision,
	};

	if (!removed)
		write.json = object_store(arena, custom->definitions, tree);
	entry->writing = true;
	storage_write(custom->server->storage, &write, custom->loop, on_written, entry);
}

// --- following --------------------------------------------------------------------------------------

// What other definitions of the group must not be called, kept apart: a group may have hundreds.
static void read_names(struct definition_entry *entry)
{
	AUTO(arena_free) struct arena *arena = arena_new(64 << 10);
	const struct blob *text = entry->object->json;
	struct json *tree = NULL;

	if (!entry->names_arena)
		entry->names_arena = arena_new(256);
	arena_reset(entry->names_arena);
	entry->names = NULL;
	if (json_parse(arena, text->data, text->length, NULL, &tree, NULL) == 0 &&
	    json_path(tree, "status", "acceptedNames"))
		entry->names = json_clone(entry->names_arena, json_path(tree, "status", "acceptedNames"));
}

// An entry with its present object.
static struct definition_entry *put_entry(struct custom *custom, struct stored_object *object)
{
	struct definition_entry *entry = hashmap_get(custom->entries, object->name);

	if (!entry) {
		entry = NEW(struct definition_entry);
		entry->custom = custom;
		entry->name = xstrdup(object->name);
		(void)hashmap_put(custom->entries, entry->name, entry);
	}
	stored_object_unref(entry->object);
	entry->object = stored_object_ref(object);
	read_names(entry);
	return entry;
}

static void remove_entry(struct custom *custom, const char *name)
{
	struct definition_entry *entry = hashmap_take(custom->entries, name);

	if (!entry)
		return;
	stop_serving(entry);
	if (entry->writing)
		entry->gone = true;
	else
		entry_free(entry);
	custom_publish(custom);
}

// A name that was given back may be what another definition of the group waits for.
static void reconcile_group(struct custom *custom, const char *name)
{
	struct hashmap_cursor cursor = HASHMAP_CURSOR_INIT;
	const char *dot = strchr(name, '.');

	while (dot && hashmap_next(custom->entries, &cursor)) {
		struct definition_entry *entry = cursor.value;

		if (entry->conflicted && is_of_group(entry->name, dot + 1))
			custom_reconcile(entry);
	}
}

static void on_changed(void *context, const struct storage_event *event)
{
	struct custom *custom = context;
	AUTO_FREE char *name = xstrdup(event->object->name);

	if (event->type != STORAGE_EVENT_DELETED) {
		custom_reconcile(put_entry(custom, event->object));
		return;
	}
	remove_entry(custom, name);
	reconcile_group(custom, name);
}

static bool is_among(struct stored_object *const *objects, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(objects[i]->name, name))
			return true;
	return false;
}

// The entries of definitions that aren't there any more.
static void drop_missing(struct custom *custom, struct stored_object *const *objects, size_t count)
{
	struct hashmap_cursor cursor = HASHMAP_CURSOR_INIT;

	while (hashmap_next(custom->entries, &cursor)) {
		struct definition_entry *entry = cursor.value;

		if (!is_among(objects, count, entry->name)) {
			AUTO_FREE char *name = xstrdup(entry->name);

			remove_entry(custom, name);
		}
	}
}

static void on_all(void *context, struct stored_object *const *objects, size_t count)
{
	struct custom *custom = context;

	drop_missing(custom, objects, count);
	for (size_t i = 0; i < count; i++)
		(void)put_entry(custom, objects[i]);
	for (size_t i = 0; i < count; i++)
		custom_reconcile(hashmap_get(custom->entries, objects[i]->name));
	custom_publish(custom);
	atomic_store(&custom->ready, true);
}

// --- the thread ---------------------------------------------------------------------------------------

static void on_start(struct loop_task *task)
{
	struct custom *custom = container_of(task, struct custom, start);
	struct follow_config config = {
	        .storage = custom->server->storage,
	        .resource = custom->definitions,
	        .loop = custom->loop,
	        .all = on_all,
	        .changed = on_changed,
	        .context = custom,
	};

	custom->follow = follow_start(&config);
}

static void on_quit(struct loop_task *task)
{
	struct custom *custom = container_of(task, struct custom, quit);
	struct hashmap_cursor cursor = HASHMAP_CURSOR_INIT;

	custom->stopping = true;
	custom->follow = follow_stop(custom->follow);
	custom->webhooks = conversion_calls_free(custom->webhooks);
	while (hashmap_next(custom->entries, &cursor)) {
		struct definition_entry *entry = cursor.value;

		loop_timer_stop(&entry->retry);
	}
	loop_quit(custom->loop, 0);
}

static void *run(void *context)
{
	struct custom *custom = context;

	(void)loop_run(custom->loop);
	return NULL;
}

static void collect_built_in(struct custom *custom)
{
	custom->built_in = xcalloc(schema_resource_count + 1, sizeof(*custom->built_in));
	for (size_t i = 0; i < schema_resource_count; i++)
		if (enabled_has(custom->server->config->enabled, schema_resources[i]))
			custom->built_in[custom->built_in_count++] = schema_resources[i];
}

int custom_start(struct server *server, struct custom **ret_custom, struct err *err)
{
	struct custom *custom = NEW(struct custom);
	sigset_t all, before;
	int outcome = loop_new(&clock_system, &custom->loop, err);

	if (outcome < 0) {
		free(custom);
		return outcome;
	}
	custom->server = server;
	custom->definitions = schema_find_resource("apiextensions.k8s.io", "v1", "customresourcedefinitions");
	custom->entries = hashmap_new(NULL);
	custom->webhooks = conversion_calls_new(custom);
	pthread_mutex_init(&custom->lock, NULL);
	collect_built_in(custom);
	custom->served = make_snapshot(custom);
	loop_post(custom->loop, &custom->start, on_start);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before); // signals are the main thread's
	outcome = pthread_create(&custom->thread, NULL, run, custom);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	*ret_custom = custom;
	if (!outcome) {
		pthread_setname_np(custom->thread, "custom");
		return 0;
	}
	custom->thread = 0;
	return err_set_errno(err, outcome, "start the thread of custom resources");
}

void custom_stop(struct custom *custom)
{
	if (!custom || !custom->thread)
		return;
	loop_post(custom->loop, &custom->quit, on_quit);
	pthread_join(custom->thread, NULL);
	custom->thread = 0;
}

struct custom *custom_free(struct custom *custom)
{
	struct hashmap_cursor cursor = HASHMAP_CURSOR_INIT;

	if (!custom)
		return NULL;
	while (hashmap_next(custom->entries, &cursor)) {
		struct definition_entry *entry = cursor.value;

		// A call that was under way when storage ended is answered below.
		if (entry->writing)
			entry->gone = true;
		else
			entry_free(entry);
	}
	loop_turn(custom->loop, 0);
	hashmap_free(custom->entries);
	served_unref(custom->served);
	pthread_mutex_destroy(&custom->lock);
	free(custom->built_in);
	loop_free(custom->loop);
	free(custom);
	return NULL;
}
