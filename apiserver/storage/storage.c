// SPDX-License-Identifier: Apache-2.0
//
// The storage: one thread with one loop that owns both etcd connections, feeds the
// watch caches and carries out reads and writes for the others.
//
//   any thread ──loop_post──> storage thread ──loop_post──> the caller's loop
//                                 │ etcd calls, watch
//   any thread <──snapshots── watch caches
//
// The map from storage prefixes to caches has a read-write lock of its own: it is
// looked up by every request and changed only when custom resources come and go.
// The storage thread keeps a second map without a lock (storage_feed.c), brought up
// to date by tasks in the order of the changes.
#include "apiserver/storage/storage_internal.h"

#include <signal.h>
#include <string.h>

#include "apiserver/encoding/convert.h"
#include "apiserver/encryption/encryption.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/metrics.h"

#define TICK_NS (5 * NSEC_PER_SEC)
#define TICKS_PER_PROGRESS 2 // 10 s
#define TICKS_PER_PROBE 2    // 10 s
#define TICKS_PER_STATUS 12  // 60 s

struct resource_slot {
	struct watch_cache *cache;
	size_t users; // resources (versions) that share it
};

static const char *const size_labels[] = {"storage_cluster_id", NULL};
static const struct metric_family size_family = {"apiserver_storage_size_bytes",
                                                 "Size of the storage database file physically allocated in bytes.",
                                                 METRIC_GAUGE, size_labels, NULL};

// --- names ------------------------------------------------------------------------

char *storage_make_key(const char *namespace_name, const char *name)
{
	return namespace_name && *namespace_name ? xasprintf("%s/%s", namespace_name, name) : xstrdup(name);
}

char *storage_resource_name(const struct schema_resource *resource)
{
	return *resource->group ? xasprintf("%s.%s", resource->plural, resource->group) : xstrdup(resource->plural);
}

struct watch_cache *storage_find_cache(struct storage *storage, const struct schema_resource *resource)
{
	if (!resource->storage_prefix)
		return NULL;
	pthread_rwlock_rdlock(&storage->lock);
	struct resource_slot *slot = hashmap_get(storage->resources, resource->storage_prefix);
	struct watch_cache *cache = slot ? watch_cache_ref(slot->cache) : NULL;
	pthread_rwlock_unlock(&storage->lock);
	return cache;
}

// --- resources come and go ----------------------------------------------------------

struct resource_task {
	struct loop_task task;
	struct storage *storage;
	struct watch_cache *cache; // one reference
};

static void on_add(struct loop_task *task)
{
	struct resource_task *add = container_of(task, struct resource_task, task);
	feed_add(add->storage, add->cache);
	free(add);
}

static void on_remove(struct loop_task *task)
{
	struct resource_task *removal = container_of(task, struct resource_task, task);
	feed_remove(removal->storage, removal->cache);
	watch_cache_unref(removal->cache);
	free(removal);
}

static void post_resource(struct storage *storage, struct watch_cache *cache, void (*callback)(struct loop_task *))
{
	struct resource_task *task = NEW(struct resource_task);
	task->storage = storage;
	task->cache = cache;
	loop_post(storage->loop, &task->task, callback);
}

// The schema's prefixes begin with upstream's default, which --etcd-prefix replaces.
static char *etcd_prefix(const struct storage *storage, const struct schema_resource *resource)
{
	static const char usual[] = "/registry/";
	const char *prefix = resource->storage_prefix;
	if (strncmp(prefix, usual, sizeof(usual) - 1) != 0)
		return xstrdup(prefix);
	return xasprintf("%s%s", storage->prefix, prefix + sizeof(usual) - 1);
}

static struct resource_slot *make_slot(struct storage *storage, const struct schema_resource *resource,
                                       const struct storage_reader *reader)
{
	AUTO_FREE char *prefix = etcd_prefix(storage, resource);
	struct watch_cache_config config = {
	        .resource = resource,
	        .prefix = prefix,
	        .window_bytes = storage->window_bytes,
	        .encryption = storage->encryption,
	        .watched_revision = &storage->watched_revision,
	        .ports = storage->ports,
	        .metrics = storage->metrics,
	};
	if (reader)
		config.reader = *reader;
	struct resource_slot *slot = NEW(struct resource_slot);
	slot->cache = watch_cache_new(&config);
	(void)hashmap_put(storage->resources, resource->storage_prefix, slot);
	if (!reader)
		atomic_fetch_add(&storage->unlisted, 1);
	post_resource(storage, watch_cache_ref(slot->cache), on_add);
	return slot;
}

// The slot's last user is gone.
static void drop_slot(struct storage *storage, const struct schema_resource *resource, struct resource_slot *slot)
{
	struct watch_cache *cache = slot->cache;
	(void)hashmap_remove(storage->resources, resource->storage_prefix);
	watch_cache_retire(cache);
	post_resource(storage, cache, on_remove);
}

void storage_add_resource(struct storage *storage, const struct schema_resource *resource)
{
	if (!resource->storage_prefix)
		return;
	pthread_rwlock_wrlock(&storage->lock);
	struct resource_slot *slot = hashmap_get(storage->resources, resource->storage_prefix);
	if (!slot)
		slot = make_slot(storage, resource, NULL);
	slot->users++;
	pthread_rwlock_unlock(&storage->lock);
}

void storage_add_custom(struct storage *storage, const struct schema_resource *resource,
                        const struct storage_reader *reader)
{
	pthread_rwlock_wrlock(&storage->lock);
	struct resource_slot *slot = hashmap_get(storage->resources, resource->storage_prefix);
	if (slot)
		drop_slot(storage, resource, slot);
	make_slot(storage, resource, reader)->users++;
	pthread_rwlock_unlock(&storage->lock);
}

void storage_remove_resource(struct storage *storage, const struct schema_resource *resource)
{
	if (!resource->storage_prefix)
		return;
	pthread_rwlock_wrlock(&storage->lock);
	struct resource_slot *slot = hashmap_get(storage->resources, resource->storage_prefix);
	if (slot && --slot->users == 0)
		drop_slot(storage, resource, slot);
	pthread_rwlock_unlock(&storage->lock);
}

bool storage_is_ready(const struct storage *storage)
{
	return atomic_load(&storage->unlisted) == 0;
}

bool storage_etcd_healthy(const struct storage *storage)
{
	return atomic_load(&storage->healthy);
}

// --- watches and looks --------------------------------------------------------------

int storage_watch_open(struct storage *storage, const struct storage_watch_config *config,
                       struct storage_watch **ret_watch, struct err *err)
{
	struct watch_cache *cache = storage_find_cache(storage, config->resource);
	if (!cache)
		return err_set(err, ERR_NOT_FOUND, "the server could not find the requested resource");
	int outcome = watch_cache_watch_open(cache, config, ret_watch, err);
	watch_cache_unref(cache);
	return outcome;
}

size_t storage_count(struct storage *storage, const struct schema_resource *resource)
{
	struct watch_cache *cache = storage_find_cache(storage, resource);
	size_t count = cache ? watch_cache_count(cache) : 0;

	watch_cache_unref(cache);
	return count;
}

bool storage_is_sealed_as_wanted(struct storage *storage, const struct schema_resource *resource,
                                 const struct stored_object *object)
{
	const struct schema_resource *stored = convert_storage_resource(resource);
	return !storage->encryption ||
	       object->seal == encryption_seal_of(storage->encryption, stored->group, stored->plural);
}

struct stored_object *storage_peek(struct storage *storage, const struct schema_resource *resource,
                                   const char *namespace_name, const char *name)
{
	struct watch_cache *cache = storage_find_cache(storage, resource);
	if (!cache)
		return NULL;
	AUTO_FREE char *key = storage_make_key(namespace_name, name);
	struct stored_object *object = watch_cache_get(cache, key, NULL);
	watch_cache_unref(cache);
	return object;
}

size_t storage_peek_all(struct storage *storage, const struct schema_resource *resource, const char *namespace_name,
                        struct stored_object ***ret_objects)
{
	struct watch_cache *cache = storage_find_cache(storage, resource);
	struct watch_cache_view view;
	size_t count = 0, rank = 0;
	*ret_objects = NULL;
	if (cache && watch_cache_view(cache, -1, &view)) {
		count = object_tree_count(&view.tree);
		if (namespace_name && *namespace_name) {
			AUTO_FREE char *low = xasprintf("%s/", namespace_name);
			AUTO_FREE char *high = xasprintf("%s0", namespace_name);
			rank = object_tree_rank(&view.tree, "", low);
			count = object_tree_rank(&view.tree, "", high) - rank;
		}
		*ret_objects = xcalloc(count + 1, sizeof(**ret_objects));
		count = object_tree_copy(&view.tree, rank, count, *ret_objects);
		for (size_t i = 0; i < count; i++)
			stored_object_ref((*ret_objects)[i]);
		watch_cache_view_done(&view);
	}
	watch_cache_unref(cache);
	return count;
}

int64_t storage_peek_change(struct storage *storage, const struct schema_resource *resource)
{
	struct watch_cache *cache = storage_find_cache(storage, resource);
	int64_t revision = cache ? watch_cache_last_change(cache) : 0;
	watch_cache_unref(cache);
	return revision;
}

// --- health and metrics ---------------------------------------------------------------

static void set_healthy(struct storage *storage, bool healthy)
{
	if (atomic_exchange(&storage->healthy, healthy) == healthy)
		return;
	if (healthy)
		log_info("Connected to etcd");
	else
		log_warning("Lost etcd");
}

static void on_probe(void *context, const void *response, const struct err *err)
{
	struct storage *storage = context;
	(void)err;
	storage->probe_open = false;
	set_healthy(storage, response != NULL);
}

// A linearizable read of nothing: fails without a quorum too.
static void probe(struct storage *storage)
{
	if (storage->probe_open)
		return;
	storage->probe_open = true;
	AUTO_FREE char *key = xasprintf("%shealth", storage->prefix);
	struct etcd_range_request request = {.key = ETCD_TEXT(key), .count_only = true};
	etcd_call(storage->etcd, ETCD_RANGE, &request, 5 * NSEC_PER_SEC, "get", "health", on_probe, storage);
}

static void on_status(void *context, const void *response, const struct err *err)
{
	struct storage *storage = context;
	static const char *const values[] = {"etcd-0"};
	const struct etcd_status_response *status = response;
	if (!err && storage->metrics)
		metric_set(metric_get(storage->metrics, &size_family, values), (double)status->database_bytes);
}

static void ask_status(struct storage *storage)
{
	struct etcd_status_request request = {0};
	etcd_call(storage->etcd, ETCD_STATUS, &request, 5 * NSEC_PER_SEC, "status", "maintenance", on_status, storage);
}

static void on_etcd_state(void *context, bool connected)
{
	struct storage *storage = context;
	if (connected)
		probe(storage);
	else
		set_healthy(storage, false);
}

static void on_tick(struct loop_timer *timer)
{
	struct storage *storage = container_of(timer, struct storage, tick);
	unsigned tick = storage->ticks++;
	loop_timer_start(storage->loop, timer, TICK_NS, on_tick);
	feed_tick(storage, tick % TICKS_PER_PROGRESS == 0);
	if (tick % TICKS_PER_PROBE == 0)
		probe(storage);
	if (tick % TICKS_PER_STATUS == 1 && etcd_is_connected(storage->etcd))
		ask_status(storage);
}

static void collect_metrics(void *context)
{
	struct storage *storage = context;
	struct hashmap_cursor cursor = HASHMAP_CURSOR_INIT;
	pthread_rwlock_rdlock(&storage->lock);
	while (hashmap_next(storage->resources, &cursor)) {
		const struct resource_slot *slot = cursor.value;
		watch_cache_collect_metrics(slot->cache);
	}
	pthread_rwlock_unlock(&storage->lock);
}

// --- life ----------------------------------------------------------------------------

static void *run(void *context)
{
	struct storage *storage = context;
	(void)loop_run(storage->loop);
	return NULL;
}

static int start_thread(struct storage *storage, struct err *err)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before); // signals are the main thread's
	int error = pthread_create(&storage->thread, NULL, run, storage);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error)
		return err_set_errno(err, error, "start the storage thread");
	pthread_setname_np(storage->thread, "storage");
	return 0;
}

static void free_slot(void *value)
{
	struct resource_slot *slot = value;
	free(slot);
}

// Everything of the storage thread, before it starts or after it ended.
static struct storage *destroy(struct storage *storage)
{
	loop_timer_stop(&storage->tick);
	compactor_done(storage);
	writes_done(storage);
	reads_done(storage);
	feed_done(storage);
	etcd_free(storage->etcd);
	struct hashmap_cursor cursor = HASHMAP_CURSOR_INIT;
	while (hashmap_next(storage->resources, &cursor)) {
		struct resource_slot *slot = cursor.value;
		watch_cache_unref(slot->cache);
	}
	hashmap_free(storage->resources);
	watch_ports_free(storage->ports);
	pthread_rwlock_destroy(&storage->lock);
	loop_free(storage->loop);
	free(storage->prefix);
	free(storage);
	return NULL;
}

static char *copy_prefix(const char *prefix)
{
	if (!prefix || !*prefix)
		prefix = "/registry";
	size_t length = strlen(prefix);
	while (length && prefix[length - 1] == '/')
		length--;
	return xasprintf("%s%.*s/", *prefix == '/' ? "" : "/", (int)length, prefix);
}

int storage_new(const struct storage_config *config, struct storage **ret_storage, struct err *err)
{
	struct loop *loop;
	int outcome = loop_new(&clock_system, &loop, err);
	if (outcome)
		return outcome;
	struct storage *storage = NEW(struct storage);
	storage->loop = loop;
	storage->prefix = copy_prefix(config->prefix);
	storage->window_bytes = config->event_window_bytes;
	storage->encryption = config->encryption;
	storage->metrics = config->metrics;
	storage->ports = watch_ports_new();
	storage->resources = hashmap_new(free_slot);
	pthread_rwlock_init(&storage->lock, NULL);
	reads_init(storage);
	writes_init(storage);
	feed_init(storage);
	struct etcd_config etcd = {
	        .endpoints = config->etcd_endpoints,
	        .tls = {.ca_file = config->etcd_ca_file,
	                .certificate_file = config->etcd_certificate_file,
	                .private_key_file = config->etcd_private_key_file},
	        .metrics = config->metrics,
	        .on_state = on_etcd_state,
	        .context = storage,
	};
	outcome = etcd_new(loop, &etcd, &storage->etcd, err);
	if (!outcome) {
		compactor_init(storage, config->compaction_interval_ns);
		loop_timer_start(loop, &storage->tick, TICK_NS, on_tick);
		outcome = start_thread(storage, err);
	}
	if (outcome) {
		destroy(storage);
		return outcome;
	}
	if (storage->metrics)
		metrics_registry_on_collect(storage->metrics, collect_metrics, storage);
	*ret_storage = storage;
	return 0;
}

static void on_quit(struct loop_task *task)
{
	struct storage *storage = container_of(task, struct storage, quit);
	storage->stopping = true;
	loop_quit(storage->loop, 0);
}

struct storage *storage_free(struct storage *storage)
{
	if (!storage)
		return NULL;
	loop_post(storage->loop, &storage->quit, on_quit);
	pthread_join(storage->thread, NULL);
	// What was posted behind the end is answered, not lost.
	loop_turn(storage->loop, 0);
	return destroy(storage);
}
