// SPDX-License-Identifier: Apache-2.0
//
// A cache of one storage prefix.
//
//   new ──start_list──> listing ──finish_list──> current ──start_list (after a compaction, a lost etcd)──> listing …
//
// While listing, changes from etcd's watch are kept aside; the list of revision L
// is staged and swapped in whole, then the kept changes follow: those up to L are
// history and only fill the window, those after L change the objects as well. So a
// cache has no gap wherever its list falls, and a restarted apiserver has the
// events that its clients want to resume from.
//
// Threads. The writer prepares everything outside the lock (parsing, the state
// before) and holds the mutex only to swing the trees, push the event and mark the
// watches that it concerns. Readers hold it only to take a reference to a root: a
// list of any length is walked on an immutable version (watch_cache_tree.c), so
// neither waits for the other's length. A mutex and not a read-write lock, since
// no section is longer than a few hundred nanoseconds. All events of one revision
// are applied in one section: a version never shows half a transaction.
//
// 1. Only the writer changes the trees; it may read them without the lock.
// 2. `watched_revision` is raised by the writer after all caches have applied that
//    revision. Read before a version is taken, it is a revision that the version
//    has; the cache's own last revision may be higher, then that is the version's.
// 3. Watches exist only while the cache is current.
#include "apiserver/storage/watch_cache.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/encoding/convert.h"
#include "apiserver/storage/watch_cache_internal.h"
#include "common/base/log.h"
#include "common/base/memory.h"

#define WINDOW_BYTES_DEFAULT ((size_t)32 * 1024 * 1024)
#define WINDOW_AGE_NS_DEFAULT (300 * NSEC_PER_SEC)

// Selectable fields with an ordered index of their own.
static const char *const indexed_fields[] = {"spec.nodeName"};

static int64_t now_ns(void)
{
	return clock_monotonic_ns(&clock_system);
}

// --- life ------------------------------------------------------------------------

static void set_up_fields(struct watch_cache *cache, const struct schema_resource *resource)
{
	storage_object_format_init(&cache->format, resource);
	cache->field_labels = xcalloc(resource->selectable_field_count + 1, sizeof(char *));
	cache->trees[0] = OBJECT_TREE_INIT(-1);
	cache->tree_count = 1;
	for (size_t i = 0; i < resource->selectable_field_count; i++) {
		const char *label = resource->selectable_fields[i].label;
		cache->field_labels[i] = xstrdup(label);
		for (size_t j = 0; j < ARRAY_SIZE(indexed_fields); j++)
			if (strcmp(label, indexed_fields[j]) == 0 && cache->tree_count <= WATCH_CACHE_INDEXES_MAX)
				cache->trees[cache->tree_count++] = OBJECT_TREE_INIT((int)i);
	}
}

struct watch_cache *watch_cache_new(const struct watch_cache_config *config)
{
	// Selectors of another version are asked for by the stored names (convert.h).
	const struct schema_resource *resource = convert_storage_resource(config->resource);
	struct watch_cache *cache = NEW(struct watch_cache);
	atomic_init(&cache->references, 1);
	cache->prefix = xstrdup(config->prefix ? config->prefix : config->resource->storage_prefix);
	cache->resource =
	        *resource->group ? xasprintf("%s.%s", resource->plural, resource->group) : xstrdup(resource->plural);
	cache->watched_revision = config->watched_revision;
	cache->ports = config->ports;
	set_up_fields(cache, resource);
	cache->format.form.reader = config->reader;
	// What is served to nobody stays readable, as upstream keeps it.
	if (config->encryption && resource->verbs)
		storage_object_format_seal(&cache->format, config->encryption, resource, cache->prefix);
	cache->metrics = (struct cache_metrics){
	        .registry = config->metrics, .resource = cache->resource, .prefix = cache->prefix};
	cache->window.max_bytes = config->window_bytes ? config->window_bytes : WINDOW_BYTES_DEFAULT;
	cache->window.max_age_ns = config->window_age_ns ? config->window_age_ns : WINDOW_AGE_NS_DEFAULT;
	cache->staged = OBJECT_TREE_INIT(-1);
	watcher_index_init(&cache->watchers, resource->selectable_field_count);
	pthread_mutex_init(&cache->mutex, NULL);
	return cache;
}

struct watch_cache *watch_cache_ref(struct watch_cache *cache)
{
	atomic_fetch_add_explicit(&cache->references, 1, memory_order_relaxed);
	return cache;
}

static void free_held(struct watch_cache *cache)
{
	for (size_t i = 0; i < cache->held_count; i++) {
		struct watch_cache_change *change = &cache->held[i].change;
		free((char *)change->key.data); // the values stand behind it
	}
	free(cache->held);
	cache->held = NULL;
	cache->held_count = cache->held_capacity = cache->held_bytes = 0;
}

static void free_object(void *object)
{
	stored_object_unref(object);
}

struct watch_cache *watch_cache_unref(struct watch_cache *cache)
{
	if (!cache || atomic_fetch_sub_explicit(&cache->references, 1, memory_order_acq_rel) != 1)
		return NULL;
	for (size_t i = 0; i < cache->tree_count; i++)
		object_tree_done(&cache->trees[i]);
	object_tree_done(&cache->staged);
	free_held(cache);
	hashmap_free(cache->history);
	event_window_done(&cache->window);
	watcher_index_done(&cache->watchers);
	for (size_t i = 0; i < cache->format.field_count; i++)
		free(cache->field_labels[i]);
	free(cache->field_labels);
	storage_object_format_done(&cache->format);
	pthread_mutex_destroy(&cache->mutex);
	free(cache->prefix);
	free(cache->resource);
	free(cache);
	return NULL;
}

const char *watch_cache_prefix(const struct watch_cache *cache)
{
	return cache->prefix;
}

const char *watch_cache_resource(const struct watch_cache *cache)
{
	return cache->resource;
}

const struct storage_object_format *watch_cache_format(const struct watch_cache *cache)
{
	return &cache->format;
}

int watch_cache_field(const struct watch_cache *cache, const char *label)
{
	for (size_t i = 0; i < cache->format.field_count; i++)
		if (strcmp(cache->field_labels[i], label) == 0)
			return (int)i;
	return -1;
}

bool watch_cache_key_is_usable(struct etcd_bytes key)
{
	return key.length && !memchr(key.data, 0, key.length);
}

// --- listing ----------------------------------------------------------------------

void watch_cache_start_list(struct watch_cache *cache, int64_t watched_revision)
{
	free_held(cache);
	object_tree_done(&cache->staged);
	hashmap_free(TAKE(cache->history));
	cache->listing = true;
	cache->held_from = watched_revision;
	pthread_mutex_lock(&cache->mutex);
	if (cache->current) {
		// It stays readable as of the last revision that was applied.
		int64_t applied = atomic_load(cache->watched_revision);
		if (applied > cache->last_revision)
			cache->last_revision = applied;
		cache->current = false;
	}
	cache_metrics_count(&cache->metrics, CACHE_METRIC_TERMINATED_WATCHERS, cache->watchers.count);
	watcher_index_end_all(cache);
	pthread_mutex_unlock(&cache->mutex);
}

void watch_cache_restart_list(struct watch_cache *cache)
{
	assert(cache->listing);
	object_tree_done(&cache->staged);
}

static struct stored_object *parse(struct watch_cache *cache, struct etcd_bytes key, struct etcd_bytes value,
                                   int64_t revision)
{
	struct stored_object *object = NULL;
	struct err err = ERR_INIT;
	if (storage_object_parse(&cache->format, key, value, revision, &object, &err)) {
		cache_metrics_count(&cache->metrics, CACHE_METRIC_DECODE_ERRORS, 1);
		log_error("Skipping a stored object", kv_str("prefix", cache->prefix), kv_int("revision", revision),
		          kv_err(&err));
	}
	return object;
}

void watch_cache_add_listed(struct watch_cache *cache, struct etcd_bytes key, struct etcd_bytes value,
                            int64_t mod_revision)
{
	if (!watch_cache_key_is_usable(key))
		return;
	struct stored_object *object = parse(cache, key, value, mod_revision);
	if (object)
		(void)object_tree_put(&cache->staged, object);
	stored_object_unref(object);
}

static void hold(struct watch_cache *cache, const struct watch_cache_change *change)
{
	if (cache->held_count == cache->held_capacity) {
		cache->held_capacity = cache->held_capacity ? cache->held_capacity * 2 : 64;
		cache->held = xreallocarray(cache->held, cache->held_capacity, sizeof(*cache->held));
	}
	size_t size = change->key.length + change->value.length + change->previous_value.length;
	char *bytes = xmalloc(size + 1), *at = bytes;
	struct watch_cache_change copy = *change;
	copy.object = NULL;
	struct etcd_bytes *parts[] = {&copy.key, &copy.value, &copy.previous_value};
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if (parts[i]->length)
			memcpy(at, parts[i]->data, parts[i]->length);
		parts[i]->data = at;
		at += parts[i]->length;
	}
	cache->held[cache->held_count++] = (struct held_change){copy};
	cache->held_bytes += size + sizeof(struct held_change);
}

size_t watch_cache_held_bytes(const struct watch_cache *cache)
{
	return cache->held_bytes;
}

static void apply_now(struct watch_cache *cache, const struct watch_cache_change *changes, size_t change_count);

// The trees by field follow from the one by key.
static void build_trees(struct watch_cache *cache, struct object_tree *trees)
{
	size_t total = object_tree_count(&cache->staged);
	struct stored_object **objects = xcalloc(total + 1, sizeof(*objects));
	(void)object_tree_copy(&cache->staged, 0, total, objects);
	for (size_t i = 1; i < cache->tree_count; i++) {
		trees[i] = OBJECT_TREE_INIT(cache->trees[i].field);
		for (size_t j = 0; j < total; j++)
			(void)object_tree_put(&trees[i], objects[j]);
	}
	free(objects);
	trees[0] = cache->staged;
	cache->staged = OBJECT_TREE_INIT(-1);
}

void watch_cache_finish_list(struct watch_cache *cache, int64_t revision)
{
	struct object_tree trees[1 + WATCH_CACHE_INDEXES_MAX];
	assert(cache->listing);
	build_trees(cache, trees);
	cache->list_revision = revision;
	cache->listing = false;
	pthread_mutex_lock(&cache->mutex);
	for (size_t i = 0; i < cache->tree_count; i++) {
		struct object_tree old = cache->trees[i];
		cache->trees[i] = trees[i];
		trees[i] = old;
	}
	cache->last_revision = revision;
	cache->has_data = true;
	event_window_reset(&cache->window, cache->held_from);
	pthread_mutex_unlock(&cache->mutex);
	for (size_t i = 0; i < cache->tree_count; i++)
		object_tree_done(&trees[i]);

	struct watch_cache_change *changes = xcalloc(cache->held_count + 1, sizeof(*changes));
	for (size_t i = 0; i < cache->held_count; i++)
		changes[i] = cache->held[i].change;
	apply_now(cache, changes, cache->held_count);
	free(changes);
	free_held(cache);
	pthread_mutex_lock(&cache->mutex);
	cache->current = !cache->retired;
	pthread_mutex_unlock(&cache->mutex);
	cache_metrics_count(&cache->metrics, CACHE_METRIC_INITIALIZATIONS, 1);
}

// --- applying ---------------------------------------------------------------------

// What an event becomes. `gap`: history whose state before is lost to a compaction.
struct prepared {
	struct cache_event *event; // NULL: nothing to tell
	bool history;
	bool gap;
};

static struct cache_event *event_new(enum storage_event_type type, int64_t revision, struct stored_object *object,
                                     struct stored_object *previous)
{
	struct cache_event *event = NEW(struct cache_event);
	atomic_init(&event->references, 1);
	event->type = type;
	event->revision = revision;
	event->time_ns = now_ns();
	event->object = object;
	event->previous = previous;
	event->size_bytes = sizeof(*event) + storage_object_size_bytes(object);
	return event;
}

static struct stored_object *find_by_key(struct watch_cache *cache, const char *key)
{
	return stored_object_ref(object_tree_find(&cache->trees[0], "", key));
}

// The state before a change of history: what history told last, else etcd's prev_kv.
static struct stored_object *history_previous(struct watch_cache *cache, const struct watch_cache_change *change,
                                              const char *key)
{
	struct stored_object *known = cache->history ? hashmap_get(cache->history, key) : NULL;
	if (known && known->revision == change->previous_revision)
		return stored_object_ref(known);
	return change->has_previous ? parse(cache, change->key, change->previous_value, change->previous_revision)
	                            : NULL;
}

static struct stored_object *state_after(struct watch_cache *cache, const struct watch_cache_change *change,
                                         const char *key, bool history)
{
	if (change->deleted)
		return NULL;
	if (history) {
		struct stored_object *now = object_tree_find(&cache->trees[0], "", key);
		if (now && now->revision == change->revision)
			return stored_object_ref(now);
	}
	if (change->object)
		return stored_object_ref(change->object);
	return parse(cache, change->key, change->value, change->revision);
}

static void remember_history(struct watch_cache *cache, const char *key, struct stored_object *object)
{
	if (!cache->history)
		cache->history = hashmap_new(free_object);
	if (object)
		(void)hashmap_put(cache->history, key, stored_object_ref(object));
	else
		(void)hashmap_remove(cache->history, key);
}

static struct prepared prepare(struct watch_cache *cache, const struct watch_cache_change *change)
{
	struct prepared prepared = {.history = change->revision <= cache->list_revision};
	AUTO_FREE char *key = xstrndup(change->key.data, change->key.length);
	struct stored_object *previous =
	        prepared.history ? history_previous(cache, change, key) : find_by_key(cache, key);
	struct stored_object *object = state_after(cache, change, key, prepared.history);
	prepared.gap = prepared.history && !change->created && !change->has_previous;
	if (prepared.history)
		remember_history(cache, key, object);
	if (object) {
		prepared.event = event_new(STORAGE_EVENT_PUT, change->revision, object, previous);
	} else if (previous) {
		// Deleted, or become unreadable: the last state, as of the deletion.
		object = storage_object_with_revision(previous, change->revision);
		prepared.event = event_new(STORAGE_EVENT_DELETED, change->revision, object, previous);
	}
	return prepared;
}

static void update_trees(struct watch_cache *cache, const struct cache_event *event)
{
	if (event->previous) {
		for (size_t i = 0; i < cache->tree_count; i++) {
			int field = cache->trees[i].field;
			bool moves =
			        field >= 0 && strcmp(event->previous->fields[field], event->object->fields[field]) != 0;
			if (event->type == STORAGE_EVENT_DELETED || moves)
				(void)object_tree_remove(&cache->trees[i], event->previous);
		}
	}
	for (size_t i = 0; event->type == STORAGE_EVENT_PUT && i < cache->tree_count; i++)
		(void)object_tree_put(&cache->trees[i], event->object);
}

// One revision, in one section.
static void apply_revision(struct watch_cache *cache, const struct watch_cache_change *changes, size_t change_count)
{
	struct prepared one[8];
	struct prepared *prepared = change_count <= ARRAY_SIZE(one) ? one : xcalloc(change_count, sizeof(*prepared));
	for (size_t i = 0; i < change_count; i++)
		prepared[i] = prepare(cache, &changes[i]);
	size_t dispatched = 0;
	pthread_mutex_lock(&cache->mutex);
	for (size_t i = 0; i < change_count; i++) {
		struct cache_event *event = prepared[i].event;
		if (prepared[i].gap)
			event_window_reset(&cache->window, changes[i].revision);
		if (!event)
			continue;
		if (!prepared[i].history)
			update_trees(cache, event);
		if (prepared[i].gap) {
			cache_event_unref(event);
			continue;
		}
		if (event_window_push(&cache->window, event))
			cache_metrics_count(&cache->metrics, CACHE_METRIC_CAPACITY_INCREASES, 1);
		dispatched += watcher_index_dispatch(cache, event, cache->window.head - 1);
	}
	if (changes[0].revision > cache->last_revision)
		cache->last_revision = changes[0].revision;
	pthread_mutex_unlock(&cache->mutex);
	cache_metrics_count(&cache->metrics, CACHE_METRIC_EVENTS_DISPATCHED, dispatched);
	if (cache->history && !prepared[0].history)
		hashmap_free(TAKE(cache->history));
	if (prepared != one)
		free(prepared);
}

static void apply_now(struct watch_cache *cache, const struct watch_cache_change *changes, size_t change_count)
{
	for (size_t start = 0, end; start < change_count; start = end) {
		for (end = start + 1; end < change_count && changes[end].revision == changes[start].revision; end++)
			;
		apply_revision(cache, changes + start, end - start);
	}
}

void watch_cache_apply(struct watch_cache *cache, const struct watch_cache_change *changes, size_t change_count)
{
	cache_metrics_count(&cache->metrics, CACHE_METRIC_STORAGE_EVENTS, change_count);
	cache_metrics_count(&cache->metrics, CACHE_METRIC_EVENTS_RECEIVED, change_count);
	if (!cache->listing) {
		apply_now(cache, changes, change_count);
		return;
	}
	for (size_t i = 0; i < change_count; i++)
		hold(cache, &changes[i]);
}

void watch_cache_tick(struct watch_cache *cache, bool progress)
{
	pthread_mutex_lock(&cache->mutex);
	event_window_trim_age(&cache->window, now_ns());
	if (progress && cache->current)
		watcher_index_progress(cache);
	pthread_mutex_unlock(&cache->mutex);
}

void watch_cache_retire(struct watch_cache *cache)
{
	pthread_mutex_lock(&cache->mutex);
	cache->retired = true;
	cache->current = false;
	watcher_index_end_all(cache);
	pthread_mutex_unlock(&cache->mutex);
}

bool watch_cache_is_retired(struct watch_cache *cache)
{
	pthread_mutex_lock(&cache->mutex);
	bool retired = cache->retired;
	pthread_mutex_unlock(&cache->mutex);
	return retired;
}

// --- reading ----------------------------------------------------------------------

bool watch_cache_has_data(struct watch_cache *cache)
{
	pthread_mutex_lock(&cache->mutex);
	bool has_data = cache->has_data;
	pthread_mutex_unlock(&cache->mutex);
	return has_data;
}

bool watch_cache_is_current(struct watch_cache *cache)
{
	pthread_mutex_lock(&cache->mutex);
	bool current = cache->current;
	pthread_mutex_unlock(&cache->mutex);
	return current;
}

// The revision of the version that is there now; `watched` was read before the lock.
static int64_t version_revision(const struct watch_cache *cache, int64_t watched)
{
	return cache->current && watched > cache->last_revision ? watched : cache->last_revision;
}

bool watch_cache_view(struct watch_cache *cache, int field, struct watch_cache_view *ret_view)
{
	int64_t watched = atomic_load(cache->watched_revision);
	pthread_mutex_lock(&cache->mutex);
	bool has_data = cache->has_data;
	if (has_data) {
		size_t tree = 0;
		for (size_t i = 1; field >= 0 && i < cache->tree_count; i++)
			if (cache->trees[i].field == field)
				tree = i;
		*ret_view = (struct watch_cache_view){
		        .tree = object_tree_snapshot(&cache->trees[tree]),
		        .revision = version_revision(cache, watched),
		        .last_change = cache->last_revision,
		};
	}
	pthread_mutex_unlock(&cache->mutex);
	return has_data;
}

struct cache_metrics *watch_cache_metrics(struct watch_cache *cache)
{
	return &cache->metrics;
}

void watch_cache_collect_metrics(struct watch_cache *cache)
{
	int64_t watched = atomic_load(cache->watched_revision);
	pthread_mutex_lock(&cache->mutex);
	size_t total = object_tree_count(&cache->trees[0]), capacity = cache->window.capacity;
	int64_t revision = version_revision(cache, watched);
	pthread_mutex_unlock(&cache->mutex);
	cache_metrics_set(&cache->metrics, CACHE_METRIC_OBJECTS, (double)total);
	cache_metrics_set(&cache->metrics, CACHE_METRIC_CAPACITY, (double)capacity);
	cache_metrics_set(&cache->metrics, CACHE_METRIC_RESOURCE_VERSION, (double)revision);
}

int64_t watch_cache_last_change(struct watch_cache *cache)
{
	pthread_mutex_lock(&cache->mutex);
	int64_t revision = cache->has_data ? cache->last_revision : 0;
	pthread_mutex_unlock(&cache->mutex);
	return revision;
}

void watch_cache_view_done(struct watch_cache_view *view)
{
	object_tree_done(&view->tree);
}

struct stored_object *watch_cache_get(struct watch_cache *cache, const char *key, int64_t *ret_revision)
{
	int64_t watched = atomic_load(cache->watched_revision);
	pthread_mutex_lock(&cache->mutex);
	struct stored_object *object = stored_object_ref(object_tree_find(&cache->trees[0], "", key));
	if (ret_revision)
		*ret_revision = version_revision(cache, watched);
	pthread_mutex_unlock(&cache->mutex);
	return object;
}

size_t watch_cache_count(struct watch_cache *cache)
{
	pthread_mutex_lock(&cache->mutex);
	size_t total = object_tree_count(&cache->trees[0]);
	pthread_mutex_unlock(&cache->mutex);
	return total;
}
