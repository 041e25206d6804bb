// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the files of the storage share: its thread's state and the parts that run on it.

#include <pthread.h>
#include <stdatomic.h>

#include "apiserver/storage/cache_metrics.h"
#include "apiserver/storage/etcd.h"
#include "apiserver/storage/storage.h"
#include "apiserver/storage/watch_cache.h"
#include "common/base/hashmap.h"
#include "common/base/list.h"
#include "common/io/loop.h"

#define STORAGE_CALL_TIMEOUT_NS (10 * NSEC_PER_SEC)

// --- following etcd (storage_feed.c) ---------------------------------------------------

enum feed_state {
	FEED_PAUSED,   // the retry timer runs
	FEED_ASKING,   // for etcd's revision
	FEED_CREATING, // the watch
	FEED_RUNNING,
};

struct feed_cache; // a cache as the storage thread sees it

struct feed {
	enum feed_state state;
	struct etcd_watch *watch;
	int64_t start_revision;
	int64_t cluster_id;
	int64_t known_revision; // the highest that etcd has told of, anywhere
	int64_t asked_known;    // it, when the revision was asked for
	int64_t history_until;  // first lists begin when the watch has come so far
	bool caught_up;
	bool prefix_only;   // etcd forbids the watch over all keys
	bool with_previous; // the watch tells the state before each change
	struct loop_timer retry;
	struct hashmap *caches; // prefix → struct feed_cache
	struct list to_list;    // caches that need a list
	struct list listing;    // those whose list is under way
	struct list settled;    // the others
	size_t lists_running;
	struct loop_timer list_retry;
};

// --- reads, writes, compaction ------------------------------------------------------------

struct reads {
	struct list next_question; // wait for the next question about etcd's revision
	struct list asked;         // wait for its answer
	struct list waiting;       // wait for their cache to reach a revision
	struct list exact;         // read from etcd
	bool question_open;
	int64_t asked_known; // etcd's highest known revision when the question was asked
	struct loop_timer tick;
};

struct writes {
	struct list running;
	struct list leases;      // struct lease_bucket
	struct hashmap *written; // key → struct written
	struct list written_list;
	size_t written_count;
};

struct compactor {
	struct loop_timer timer;
	int64_t interval_ns;
	int64_t version;  // of the shared key: its logical time
	int64_t revision; // of the last round
};

struct storage {
	struct loop *loop;
	pthread_t thread;
	struct etcd *etcd;
	char *prefix; // "/registry/"
	size_t window_bytes;
	struct encryption *encryption;
	struct metrics_registry *metrics;
	struct watch_ports *ports;

	pthread_rwlock_t lock;     // for `resources`
	struct hashmap *resources; // storage prefix → struct resource_slot

	_Atomic int64_t watched_revision;
	atomic_size_t unlisted; // caches that were never listed
	atomic_bool healthy;
	bool stopping; // storage thread

	// The storage thread's own.
	struct feed feed;
	struct reads reads;
	struct writes writes;
	struct compactor compactor;
	struct loop_timer tick;
	unsigned ticks;
	bool probe_open;
	struct loop_task quit;
};

// The resource's cache, referenced; NULL = none. Thread-safe.
struct watch_cache *storage_find_cache(struct storage *storage, const struct schema_resource *resource);
// "namespace/name" or "name" on the heap.
char *storage_make_key(const char *namespace_name, const char *name);
// "deployments.apps", for messages; on the heap.
char *storage_resource_name(const struct schema_resource *resource);

// All on the storage thread.
void feed_init(struct storage *storage);
void feed_done(struct storage *storage);
void feed_add(struct storage *storage, struct watch_cache *cache); // takes the reference
void feed_remove(struct storage *storage, struct watch_cache *cache);
// etcd's revision of now, as the header of the answer; the watch will come to it.
void feed_ask_revision(struct storage *storage, etcd_done *done, void *context);
void feed_note_revision(struct storage *storage, int64_t revision); // of an answer's header
// etcd's answer was behind what was known before it was asked: it lost history.
void feed_history_lost(struct storage *storage, int64_t revision);
void feed_tick(struct storage *storage, bool progress);
void reads_init(struct storage *storage);
void reads_done(struct storage *storage);
void reads_check_waiting(struct storage *storage); // the watched revision or a cache moved on
void writes_init(struct storage *storage);
void writes_done(struct storage *storage);

// --- what was just written (storage_written.c), on the storage thread ----------------------
void written_init(struct storage *storage);
void written_done(struct storage *storage);
// A put starts; borrowed.
void written_add(struct storage *storage, const char *key, struct watch_cache *cache, struct blob *value,
                 struct stored_object *draft);
// etcd has carried it out: the object, one reference for the caller.
struct stored_object *written_answer(struct storage *storage, const char *key, const struct blob *value,
                                     struct stored_object *draft, int64_t revision);
// etcd has refused it, or nobody knows.
void written_fail(struct storage *storage, const char *key, const struct blob *value);
// The object of an event, when it is one of these; one reference for the caller.
struct stored_object *written_event(struct storage *storage, const struct watch_cache *cache, struct etcd_bytes key,
                                    struct etcd_bytes value, int64_t revision);

void compactor_init(struct storage *storage, int64_t interval_ns);
void compactor_done(struct storage *storage);
