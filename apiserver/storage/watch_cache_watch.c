// SPDX-License-Identifier: Apache-2.0
//
// Watches: offsets into a cache's window, found by what they ask for.
//
//   armed ──event that concerns it: cursor = its number──> readable ──next() finds no more──> armed
//     └───────── window passed the cursor, list begun, resource gone ──> ended (next() says why)
//
// An armed watch has no offset at all: it is up to date, however many events pass
// that don't concern it. The first one that may sets the cursor; reading scans from
// there to the head, which is short when the reader is quick. So a thousand
// kubelets cost nothing while another node's pods change, and a slow reader holds
// one number, no queue. It falls behind only when the window passes its cursor.
//
// Each watch stands in one bucket, the narrowest: its name, its field value, its
// namespace, or all. A bucket is only a hint, the filter decides.
//
// Delivery. A watch is marked under its cache's mutex and queued at its loop's port
// under the ports' mutex (taken inside the former, never the other way round); the
// port posts one task for any number of watches. Callbacks run without any lock.
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/storage/watch_cache_internal.h"
#include "common/base/memory.h"

#define BATCH_EVENTS 16
#define BUCKET_KEY_BYTES 320

struct watch_ports {
	pthread_mutex_t mutex;
	struct list ports;
	bool released; // watch_ports_free was called: the last port frees it
};

struct watch_port {
	struct watch_ports *owner;
	struct loop *loop;
	struct list node;
	size_t users; // watches, and the task while it is posted or runs
	struct list ready;
	bool posted;
	struct loop_task task;
};

struct storage_watch {
	struct watch_cache *cache;
	struct watch_port *port;
	struct list bucket_node;
	struct list ready_node; // under the ports' mutex
	char *bucket_key;       // NULL: in `all`
	char *namespace_name;   // "" = all
	char *name;             // NULL = all
	int field;              // -1 = none
	char *field_value;
	void (*readable)(void *context);
	void *context;
	// Under the cache's mutex.
	bool armed;
	bool ended;
	bool progress_due;
	uint64_t cursor;
	int64_t after_revision;
	// The reader's own.
	struct cache_event *batch[BATCH_EVENTS];
	size_t batch_count;
	size_t batch_next;
	struct cache_event *current;
};

// --- ports -----------------------------------------------------------------------

struct watch_ports *watch_ports_new(void)
{
	struct watch_ports *ports = NEW(struct watch_ports);
	pthread_mutex_init(&ports->mutex, NULL);
	list_init(&ports->ports);
	return ports;
}

static void destroy_ports(struct watch_ports *ports)
{
	pthread_mutex_destroy(&ports->mutex);
	free(ports);
}

// Unlocks, and frees what was released and has no port any more.
static void unlock_ports(struct watch_ports *ports)
{
	bool last = ports->released && list_is_empty(&ports->ports);
	pthread_mutex_unlock(&ports->mutex);
	if (last)
		destroy_ports(ports);
}

struct watch_ports *watch_ports_free(struct watch_ports *ports)
{
	if (!ports)
		return NULL;
	pthread_mutex_lock(&ports->mutex);
	ports->released = true;
	unlock_ports(ports);
	return NULL;
}

static struct watch_port *port_use(struct watch_ports *ports, struct loop *loop)
{
	struct watch_port *port, *found = NULL;
	pthread_mutex_lock(&ports->mutex);
	list_for_each (port, &ports->ports, node)
		if (port->loop == loop)
			found = port;
	if (!found) {
		found = NEW(struct watch_port);
		found->owner = ports;
		found->loop = loop;
		list_init(&found->ready);
		list_append(&ports->ports, &found->node);
	}
	found->users++;
	pthread_mutex_unlock(&ports->mutex);
	return found;
}

// The ports' mutex is held.
static void port_leave(struct watch_port *port)
{
	if (--port->users)
		return;
	list_remove(&port->node);
	free(port);
}

static void on_port_task(struct loop_task *task)
{
	struct watch_port *port = container_of(task, struct watch_port, task);
	struct watch_ports *ports = port->owner;
	pthread_mutex_lock(&ports->mutex);
	port->posted = false; // what is marked from now on posts again
	struct list ready;
	list_init(&ready);
	while (!list_is_empty(&port->ready)) {
		struct list *node = port->ready.next;
		list_remove(node);
		list_append(&ready, node);
	}
	// Watches are closed on this thread only: those on the local list are taken off it by close.
	struct storage_watch *watch;
	while ((watch = list_first(&ready, struct storage_watch, ready_node))) {
		list_remove(&watch->ready_node);
		pthread_mutex_unlock(&ports->mutex);
		watch->readable(watch->context);
		pthread_mutex_lock(&ports->mutex);
	}
	port_leave(port);
	unlock_ports(ports);
}

static void make_readable(struct storage_watch *watch)
{
	struct watch_port *port = watch->port;
	watch->armed = false;
	pthread_mutex_lock(&port->owner->mutex);
	if (list_is_empty(&watch->ready_node))
		list_append(&port->ready, &watch->ready_node);
	if (!port->posted) {
		port->posted = true;
		port->users++;
		loop_post(port->loop, &port->task, on_port_task);
	}
	pthread_mutex_unlock(&port->owner->mutex);
}

// --- the index -------------------------------------------------------------------

void watcher_index_init(struct watcher_index *index, size_t field_count)
{
	list_init(&index->all);
	index->buckets = hashmap_new(free);
	index->by_field = xcalloc(field_count + 1, sizeof(*index->by_field));
}

void watcher_index_done(struct watcher_index *index)
{
	assert(!index->count);
	hashmap_free(index->buckets);
	free(index->by_field);
}

// Cut texts may fall into one bucket: the filter tells them apart.
static void bucket_key(char key[BUCKET_KEY_BYTES], const char *class, int field, const char *value)
{
	if (field >= 0)
		snprintf(key, BUCKET_KEY_BYTES, "%d=%s", field, value);
	else
		snprintf(key, BUCKET_KEY_BYTES, "%s%s", class, value);
}

static void index_add(struct watcher_index *index, struct storage_watch *watch)
{
	char key[BUCKET_KEY_BYTES] = "";
	if (watch->name) {
		bucket_key(key, "m", -1, watch->name);
		index->by_name++;
	} else if (watch->field >= 0) {
		bucket_key(key, "", watch->field, watch->field_value);
		index->by_field[watch->field]++;
	} else if (*watch->namespace_name) {
		bucket_key(key, "n", -1, watch->namespace_name);
		index->by_namespace++;
	}
	index->count++;
	if (!*key) {
		list_append(&index->all, &watch->bucket_node);
		return;
	}
	watch->bucket_key = xstrdup(key);
	struct list *bucket = hashmap_get(index->buckets, key);
	if (!bucket) {
		bucket = NEW(struct list);
		list_init(bucket);
		(void)hashmap_put(index->buckets, key, bucket);
	}
	list_append(bucket, &watch->bucket_node);
}

static void index_remove(struct watcher_index *index, struct storage_watch *watch)
{
	list_remove(&watch->bucket_node);
	index->count--;
	if (watch->name)
		index->by_name--;
	else if (watch->field >= 0)
		index->by_field[watch->field]--;
	else if (*watch->namespace_name)
		index->by_namespace--;
	if (!watch->bucket_key)
		return;
	struct list *bucket = hashmap_get(index->buckets, watch->bucket_key);
	if (bucket && list_is_empty(bucket))
		(void)hashmap_remove(index->buckets, watch->bucket_key);
}

static bool has_field(const struct cache_event *event, int field, const char *value)
{
	return strcmp(event->object->fields[field], value) == 0 ||
	       (event->previous && strcmp(event->previous->fields[field], value) == 0);
}

static bool matches(const struct storage_watch *watch, const struct cache_event *event)
{
	const struct stored_object *object = event->object;
	return event->revision > watch->after_revision && (!watch->name || strcmp(watch->name, object->name) == 0) &&
	       (!*watch->namespace_name || strcmp(watch->namespace_name, object->namespace_name) == 0) &&
	       (watch->field < 0 || has_field(event, watch->field, watch->field_value));
}

static size_t wake_bucket(struct list *bucket, const struct cache_event *event, uint64_t number)
{
	struct storage_watch *watch;
	size_t woken = 0;
	if (!bucket)
		return 0;
	list_for_each (watch, bucket, bucket_node) {
		if (!matches(watch, event))
			continue;
		woken++;
		if (!watch->armed)
			continue;
		watch->cursor = number;
		make_readable(watch);
	}
	return woken;
}

static size_t wake_named(struct watcher_index *index, const char *class, int field, const char *value,
                         const struct cache_event *event, uint64_t number)
{
	char key[BUCKET_KEY_BYTES];
	bucket_key(key, class, field, value);
	return wake_bucket(hashmap_get(index->buckets, key), event, number);
}

size_t watcher_index_dispatch(struct watch_cache *cache, const struct cache_event *event, uint64_t number)
{
	struct watcher_index *index = &cache->watchers;
	const struct stored_object *object = event->object, *previous = event->previous;
	if (!index->count)
		return 0;
	size_t woken = wake_bucket(&index->all, event, number);
	if (index->by_namespace)
		woken += wake_named(index, "n", -1, object->namespace_name, event, number);
	if (index->by_name)
		woken += wake_named(index, "m", -1, object->name, event, number);
	for (size_t i = 0; i < cache->format.field_count; i++) {
		if (!index->by_field[i])
			continue;
		woken += wake_named(index, "", (int)i, object->fields[i], event, number);
		if (previous && strcmp(previous->fields[i], object->fields[i]) != 0)
			woken += wake_named(index, "", (int)i, previous->fields[i], event, number);
	}
	return woken;
}

static void for_each_watch(struct watcher_index *index, void (*action)(struct storage_watch *watch))
{
	struct storage_watch *watch;
	list_for_each (watch, &index->all, bucket_node)
		action(watch);
	struct hashmap_cursor cursor = HASHMAP_CURSOR_INIT;
	while (hashmap_next(index->buckets, &cursor))
		list_for_each (watch, (struct list *)cursor.value, bucket_node)
			action(watch);
}

static void end_watch(struct storage_watch *watch)
{
	watch->ended = true;
	if (watch->armed)
		make_readable(watch);
}

static void ask_progress(struct storage_watch *watch)
{
	watch->progress_due = true;
	if (!watch->armed)
		return;
	watch->cursor = watch->cache->window.head;
	make_readable(watch);
}

void watcher_index_end_all(struct watch_cache *cache)
{
	for_each_watch(&cache->watchers, end_watch);
}

void watcher_index_progress(struct watch_cache *cache)
{
	for_each_watch(&cache->watchers, ask_progress);
}

size_t watch_cache_watcher_count(struct watch_cache *cache)
{
	pthread_mutex_lock(&cache->mutex);
	size_t count = cache->watchers.count;
	pthread_mutex_unlock(&cache->mutex);
	return count;
}

// --- opening ---------------------------------------------------------------------

static int check_open(const struct watch_cache *cache, int64_t after_revision, struct err *err)
{
	if (!cache->current)
		return err_set(err, ERR_TOO_MANY_REQUESTS, "storage is (re)initializing");
	if (after_revision < cache->window.low_revision)
		return err_set(err, ERR_EXPIRED, "too old resource version: %" PRId64 " (%" PRId64 ")", after_revision,
		               cache->window.low_revision + 1);
	return 0;
}

static void free_watch(struct storage_watch *watch)
{
	free(watch->bucket_key);
	free(watch->namespace_name);
	free(watch->name);
	free(watch->field_value);
	free(watch);
}

int watch_cache_watch_open(struct watch_cache *cache, const struct storage_watch_config *config,
                           struct storage_watch **ret_watch, struct err *err)
{
	int field = config->field_label ? watch_cache_field(cache, config->field_label) : -1;
	if (config->field_label && field < 0)
		return err_set(err, ERR_BAD_REQUEST, "field label not supported: %s", config->field_label);
	struct storage_watch *watch = NEW(struct storage_watch);
	list_init(&watch->bucket_node);
	list_init(&watch->ready_node);
	watch->namespace_name = xstrdup(config->namespace_name ? config->namespace_name : "");
	watch->name = xstrdup(config->name);
	watch->field = field;
	watch->field_value = xstrdup(config->field_value ? config->field_value : "");
	watch->readable = config->readable;
	watch->context = config->context;
	watch->after_revision = config->after_revision;
	watch->armed = true;

	pthread_mutex_lock(&cache->mutex);
	int outcome = check_open(cache, config->after_revision, err);
	if (!outcome) {
		watch->cache = watch_cache_ref(cache);
		watch->port = port_use(cache->ports, config->loop);
		index_add(&cache->watchers, watch);
		watch->cursor = event_window_after(&cache->window, config->after_revision);
		if (watch->cursor < cache->window.head)
			make_readable(watch);
	}
	pthread_mutex_unlock(&cache->mutex);
	if (outcome)
		free_watch(watch);
	else
		*ret_watch = watch;
	return outcome;
}

// --- reading ----------------------------------------------------------------------

static void collect(struct storage_watch *watch)
{
	const struct event_window *window = &watch->cache->window;
	for (; watch->cursor < window->head && watch->batch_count < BATCH_EVENTS; watch->cursor++) {
		struct cache_event *event = event_window_at(window, watch->cursor);
		if (matches(watch, event))
			watch->batch[watch->batch_count++] = cache_event_ref(event);
	}
}

// Fills the batch. False: nothing to read now (armed, or ended with err set). *ret_progress: a revision to report.
static bool refill(struct storage_watch *watch, int64_t *ret_progress, struct err *err)
{
	struct watch_cache *cache = watch->cache;
	watch->batch_count = watch->batch_next = 0;
	*ret_progress = 0;
	pthread_mutex_lock(&cache->mutex);
	if (!watch->ended && !watch->armed && watch->cursor < cache->window.tail) {
		watch->ended = true;
		cache_metrics_count(&cache->metrics, CACHE_METRIC_TERMINATED_WATCHERS, 1);
	}
	if (watch->ended) {
		pthread_mutex_unlock(&cache->mutex);
		(void)err_set(err, ERR_EXPIRED, "The resourceVersion for the provided watch is too old.");
		return false;
	}
	if (!watch->armed)
		collect(watch);
	if (!watch->batch_count) {
		// All events up to the watched revision are in the window: the cache applies them first.
		int64_t watched = atomic_load(cache->watched_revision);
		if (watch->progress_due && watched > watch->after_revision)
			*ret_progress = watched;
		watch->progress_due = false;
		watch->armed = !*ret_progress;
	}
	pthread_mutex_unlock(&cache->mutex);
	return watch->batch_count || *ret_progress;
}

bool storage_watch_next(struct storage_watch *watch, struct storage_event *ret_event, struct err *err)
{
	watch->current = cache_event_unref(watch->current);
	if (watch->batch_next == watch->batch_count) {
		int64_t progress;
		if (!refill(watch, &progress, err))
			return false;
		if (progress) {
			*ret_event = (struct storage_event){.type = STORAGE_EVENT_PROGRESS, .revision = progress};
			return true;
		}
	}
	struct cache_event *event = watch->current = watch->batch[watch->batch_next++];
	*ret_event = (struct storage_event){
	        .type = event->type,
	        .revision = event->revision,
	        .object = event->object,
	        .previous = event->previous,
	};
	return true;
}

struct storage_watch *storage_watch_close(struct storage_watch *watch)
{
	if (!watch)
		return NULL;
	struct watch_cache *cache = watch->cache;
	struct watch_ports *ports = watch->port->owner;
	pthread_mutex_lock(&cache->mutex);
	index_remove(&cache->watchers, watch);
	pthread_mutex_lock(&ports->mutex);
	list_remove(&watch->ready_node);
	port_leave(watch->port);
	unlock_ports(ports);
	pthread_mutex_unlock(&cache->mutex);
	cache_event_unref(watch->current);
	while (watch->batch_next < watch->batch_count)
		cache_event_unref(watch->batch[watch->batch_next++]);
	free_watch(watch);
	watch_cache_unref(cache);
	return NULL;
}
