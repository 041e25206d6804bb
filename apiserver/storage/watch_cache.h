// SPDX-License-Identifier: Apache-2.0
#pragma once
// All stored objects of one storage prefix, in order and indexed, with a window of
// their recent events and the watches on them.
//
// Threads: one writer (the storage thread) fills it; reading and watching are
// allowed on any thread. See watch_cache.c for how.

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "apiserver/storage/etcd_messages.h"
#include "apiserver/storage/storage.h"
#include "apiserver/storage/watch_cache_tree.h"

struct cache_metrics;
struct watch_cache;
struct watch_ports;
struct metrics_registry;

struct watch_cache_config {
	const struct schema_resource *resource; // borrowed for the call
	const char *prefix;            // of its keys in etcd, when it isn't the resource's storage_prefix; NULL = that
	struct storage_reader reader;  // of custom resources, taken over; else its functions are NULL
	struct encryption *encryption; // NULL: values are as they are
	size_t window_bytes;           // 0 = default
	int64_t window_age_ns;         // 0 = default
	// The revision up to which the writer has applied every event of etcd to every cache. Borrowed.
	const _Atomic int64_t *watched_revision;
	struct watch_ports *ports;        // borrowed
	struct metrics_registry *metrics; // may be NULL
};

struct watch_cache *watch_cache_new(const struct watch_cache_config *config);
struct watch_cache *watch_cache_ref(struct watch_cache *cache);
struct watch_cache *watch_cache_unref(struct watch_cache *cache);

const char *watch_cache_prefix(const struct watch_cache *cache);   // "/registry/pods"
const char *watch_cache_resource(const struct watch_cache *cache); // "deployments.apps", for metrics
const struct storage_object_format *watch_cache_format(const struct watch_cache *cache);
// The index of a selectable field, -1 = none.
int watch_cache_field(const struct watch_cache *cache, const char *label);

struct cache_metrics *watch_cache_metrics(struct watch_cache *cache);
void watch_cache_collect_metrics(struct watch_cache *cache); // gauges

// --- the writer ----------------------------------------------------------------------

// One of etcd's events; the key is what follows "prefix/". Borrowed.
struct watch_cache_change {
	bool deleted;
	bool created; // its first version: nothing was there before
	struct etcd_bytes key;
	struct etcd_bytes value;
	struct stored_object *object; // of the value, where it is known already; NULL = parse it
	int64_t revision;
	bool has_previous;
	struct etcd_bytes previous_value;
	int64_t previous_revision;
};

// What stands below a prefix without being an object's key is passed over.
bool watch_cache_key_is_usable(struct etcd_bytes key);

// A new list begins: from now on changes are kept aside. `watched_revision` is the
// last one before them. Watches end. What was there stays readable as it is.
void watch_cache_start_list(struct watch_cache *cache, int64_t watched_revision);
// Forgets what was listed so far, not the changes that are kept.
void watch_cache_restart_list(struct watch_cache *cache);
// Keys as in changes.
void watch_cache_add_listed(struct watch_cache *cache, struct etcd_bytes key, struct etcd_bytes value,
                            int64_t mod_revision);
// The list is whole, as of `revision`: becomes what is read; kept changes follow.
void watch_cache_finish_list(struct watch_cache *cache, int64_t revision);
// Changes in etcd's order, whole revisions at a time.
void watch_cache_apply(struct watch_cache *cache, const struct watch_cache_change *changes, size_t count);
size_t watch_cache_held_bytes(const struct watch_cache *cache); // of changes kept during a list
// Drops old events, and lets idle watches report their progress.
void watch_cache_tick(struct watch_cache *cache, bool progress);
// The resource is gone, or has another cache: watches end.
void watch_cache_retire(struct watch_cache *cache);
bool watch_cache_is_retired(struct watch_cache *cache);

// --- readers ------------------------------------------------------------------------

// A version of the cache that doesn't change.
struct watch_cache_view {
	struct object_tree tree; // by key, or by the field when it is indexed
	int64_t revision;        // holds every event up to here
	int64_t last_change;     // the last revision that changed it
};
bool watch_cache_has_data(struct watch_cache *cache);   // was listed once
bool watch_cache_is_current(struct watch_cache *cache); // and follows etcd's events
// `field` -1: by key. False when the cache was never listed. Ended by watch_cache_view_done.
bool watch_cache_view(struct watch_cache *cache, int field, struct watch_cache_view *ret_view);
void watch_cache_view_done(struct watch_cache_view *view);
// An object, referenced; NULL = none. ret_revision (may be NULL): as in a view.
struct stored_object *watch_cache_get(struct watch_cache *cache, const char *key, int64_t *ret_revision);
size_t watch_cache_count(struct watch_cache *cache);
int64_t watch_cache_last_change(struct watch_cache *cache); // a view's last_change; 0 = never listed

// The watch functions of storage.h work on a cache:
NODISCARD int watch_cache_watch_open(struct watch_cache *cache, const struct storage_watch_config *config,
                                     struct storage_watch **ret_watch, struct err *err);
size_t watch_cache_watcher_count(struct watch_cache *cache);

// --- delivery ----------------------------------------------------------------------

// Wakes watches on their loops, many with one post. Outlives caches and watches.
struct watch_ports *watch_ports_new(void);
struct watch_ports *watch_ports_free(struct watch_ports *ports);
