// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the files of the watch cache share: the cache, its window of events, and
// the index of its watches.

#include <pthread.h>

#include "apiserver/storage/cache_metrics.h"
#include "apiserver/storage/storage_object.h"
#include "apiserver/storage/watch_cache.h"
#include "common/base/hashmap.h"
#include "common/base/list.h"
#include "common/io/loop.h"

#define WATCH_CACHE_INDEXES_MAX 4

struct cache_event {
	atomic_uint references;
	enum storage_event_type type;
	int64_t revision;
	int64_t time_ns;
	size_t size_bytes;
	struct stored_object *object;
	struct stored_object *previous; // NULL = none
};
struct cache_event *cache_event_ref(struct cache_event *event);
struct cache_event *cache_event_unref(struct cache_event *event);

// A ring of events numbered 0, 1, 2, …: those in [tail, head) are there.
struct event_window {
	struct cache_event **events;
	size_t capacity; // a power of two
	uint64_t tail;
	uint64_t head;
	size_t bytes;
	size_t max_bytes;
	int64_t max_age_ns;
	int64_t low_revision; // every event after it is in the window
};
void event_window_done(struct event_window *window);
bool event_window_push(struct event_window *window, struct cache_event *event); // consumes; trims; true: it grew
void event_window_trim_age(struct event_window *window, int64_t now_ns);
void event_window_reset(struct event_window *window, int64_t low_revision);
struct cache_event *event_window_at(const struct event_window *window, uint64_t number);
// The number of the first event after the revision.
uint64_t event_window_after(const struct event_window *window, int64_t revision);

// Watches by the narrowest thing they ask for.
struct watcher_index {
	struct list all;
	struct hashmap *buckets; // "n<namespace>", "m<name>", "<field>=<value>" → struct list of watches
	size_t by_namespace;
	size_t by_name;
	size_t *by_field; // per selectable field
	size_t count;
};

struct held_change {
	struct watch_cache_change change; // its bytes are owned
};

struct watch_cache {
	atomic_uint references;
	char *prefix;
	char *resource;
	struct storage_object_format format;
	char **field_labels;
	const _Atomic int64_t *watched_revision;
	struct watch_ports *ports;
	struct cache_metrics metrics;

	// The writer's own.
	bool listing;
	int64_t list_revision; // events up to here are history: only for the window
	int64_t held_from;
	struct object_tree staged;
	struct held_change *held;
	size_t held_count;
	size_t held_capacity;
	size_t held_bytes;
	struct hashmap *history; // last known object by key while history comes in; NULL = none

	pthread_mutex_t mutex; // for all that follows
	struct object_tree trees[1 + WATCH_CACHE_INDEXES_MAX];
	size_t tree_count;
	bool has_data;
	bool current;
	bool retired;
	int64_t last_revision;
	struct event_window window;
	struct watcher_index watchers;
};

// --- watch_cache_watch.c; the cache's mutex is held ---------------------------------
void watcher_index_init(struct watcher_index *index, size_t field_count);
void watcher_index_done(struct watcher_index *index);
// Wakes the watches that the event, number `number` of the window, may concern; returns how many.
size_t watcher_index_dispatch(struct watch_cache *cache, const struct cache_event *event, uint64_t number);
// Ends all watches.
void watcher_index_end_all(struct watch_cache *cache);
void watcher_index_progress(struct watch_cache *cache);
