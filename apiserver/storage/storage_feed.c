// SPDX-License-Identifier: Apache-2.0
//
// Following etcd: one watch over the whole key space feeds every cache.
//
//   paused ──retry──> asking (etcd's revision) ──> creating (the watch) ──created──> running
//     ^                    │                            │ compacted: start after it      │
//     └────── failure ─────┴──────── stream lost ───────┴───────────────────────────────┘
//
// The watch covers all keys, not the prefix alone, so that its revision moves with
// every write: then "etcd is at R" (a read's question) is answered by "the watch has
// passed R". Progress notifications are not used for that: in etcd 3.4 they may
// overtake events (issue 15220). Keys that aren't ours are dropped. Where etcd's
// permissions forbid that watch, it covers the prefix, and asking for the revision
// writes a sentinel key below the prefix: its event is what the watch comes to.
//
// 1. At the first start the watch begins HISTORY_REVISIONS back (or after the last
//    compaction), so that the caches' windows hold the events that clients of a
//    previous apiserver want to resume from. The number bounds the delay: etcd 3.4
//    sends a watch that lags 1000 revisions every 100 ms. The first lists begin when
//    that history has arrived: from the first moment a cache can say which revisions
//    are too old.
// 2. A cache is listed while the watch runs: the cache keeps changes aside until its
//    list is whole (watch_cache.c), so the order of the two doesn't matter.
// 3. After a lost connection the watch resumes behind the last revision seen. If
//    that was compacted meanwhile, or etcd came back with fewer revisions (restored
//    from a backup) or as another cluster, every cache is listed again while it
//    goes on serving what may be old.
// 4. A watch over history asks etcd for the state before each change: no cache has it.
//    Once every cache is listed they all know it themselves, and the watch goes on as
//    one that doesn't: it spares etcd a read, and the connection a value, for each event.
// 5. `watched_revision` is raised after all caches have taken a response. Responses
//    hold whole revisions: fragments are not asked for.
#include "apiserver/storage/storage_internal.h"
#include "apiserver/storage/storage_object.h"

#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"

#define HISTORY_REVISIONS 3000
#define RETRY_NS (200 * NSEC_PER_MSEC)
#define LIST_PAGE_OBJECTS 500
#define LISTS_AT_ONCE 4

struct feed_cache {
	struct storage *storage;
	struct watch_cache *cache;
	struct list node; // on to_list, listing or settled
	bool listed_once;
	bool call_open; // a page was asked for
	bool restart;   // its answer is not wanted any more
	bool removed;   // likewise, and the cache is gone
	int64_t list_revision;
	int64_t page_objects;
	struct strbuf next_key;
	// Changes of the response that is being read.
	struct list touched_node;
	struct watch_cache_change *changes;
	size_t change_count;
	size_t change_capacity;
};

static void begin(struct storage *storage);
static void start_lists(struct storage *storage);
static void ask_page(struct feed_cache *entry);
static void create_watch(struct storage *storage);

// --- lists ---------------------------------------------------------------------------

static void move_to(struct feed_cache *entry, struct list *list)
{
	list_remove(&entry->node);
	list_append(list, &entry->node);
}

static void free_entry(struct feed_cache *entry)
{
	list_remove(&entry->node);
	strbuf_done(&entry->next_key);
	free(entry->changes);
	watch_cache_unref(entry->cache);
	free(entry);
}

// What follows "prefix/" in a key of the cache.
static struct etcd_bytes relative_key(const struct feed_cache *entry, struct etcd_bytes key)
{
	size_t skip = strlen(watch_cache_prefix(entry->cache)) + 1;
	return (struct etcd_bytes){key.data + skip, key.length - skip};
}

// Readiness waits for the built-in resources; custom ones come and go.
static void feed_note_listed(struct storage *storage, const struct watch_cache *cache)
{
	if (!watch_cache_format(cache)->form.reader.read)
		atomic_fetch_sub(&storage->unlisted, 1);
}

static bool has_lists_to_come(const struct feed *feed)
{
	return !list_is_empty(&feed->to_list) || !list_is_empty(&feed->listing);
}

// The caches are listed: nobody needs the states before any more.
static void spare_previous(struct storage *storage)
{
	struct feed *feed = &storage->feed;
	if (!feed->with_previous || feed->state != FEED_RUNNING || has_lists_to_come(feed))
		return;
	feed->with_previous = false;
	feed->watch = etcd_watch_cancel(feed->watch);
	feed->start_revision = atomic_load(&storage->watched_revision) + 1;
	create_watch(storage);
}

static void finish_list(struct feed_cache *entry)
{
	struct storage *storage = entry->storage;
	watch_cache_finish_list(entry->cache, entry->list_revision);
	storage->feed.lists_running--;
	move_to(entry, &storage->feed.settled);
	log_v(3, "Listed a resource", kv_str("resource", watch_cache_resource(entry->cache)),
	      kv_int("objects", (int64_t)watch_cache_count(entry->cache)), kv_int("revision", entry->list_revision));
	if (!entry->listed_once)
		feed_note_listed(storage, entry->cache);
	entry->listed_once = true;
	reads_check_waiting(storage);
	start_lists(storage);
	spare_previous(storage);
}

static void take_page(struct feed_cache *entry, const struct etcd_range_response *page)
{
	const struct etcd_key_value *kvs = page->kvs.items;
	struct cache_metrics *metrics = watch_cache_metrics(entry->cache);
	feed_note_revision(entry->storage, page->header->revision);
	cache_metrics_count(metrics, CACHE_METRIC_STORAGE_FETCHED, page->kvs.count);
	cache_metrics_count(metrics, CACHE_METRIC_STORAGE_RETURNED, page->kvs.count);
	if (!entry->list_revision)
		entry->list_revision = page->header->revision;
	for (size_t i = 0; i < page->kvs.count; i++)
		watch_cache_add_listed(entry->cache, relative_key(entry, kvs[i].key), kvs[i].value,
		                       kvs[i].mod_revision);
	if (!page->more || !page->kvs.count) {
		cache_metrics_count(metrics, CACHE_METRIC_STORAGE_LISTS, 1);
		finish_list(entry);
		return;
	}
	const struct etcd_key_value *last = &kvs[page->kvs.count - 1];
	strbuf_clear(&entry->next_key);
	strbuf_append(&entry->next_key, last->key.data, last->key.length);
	strbuf_append(&entry->next_key, "\0", 1);
	ask_page(entry);
}

static void on_list_retry(struct loop_timer *timer)
{
	start_lists(container_of(timer, struct storage, feed.list_retry));
}

static void abandon_list(struct feed_cache *entry)
{
	struct storage *storage = entry->storage;
	storage->feed.lists_running--;
	move_to(entry, &storage->feed.to_list);
	loop_timer_start(storage->loop, &storage->feed.list_retry, RETRY_NS, on_list_retry);
}

static void on_page(void *context, const void *response, const struct err *err)
{
	struct feed_cache *entry = context;
	entry->call_open = false;
	if (entry->removed) {
		entry->storage->feed.lists_running--;
		start_lists(entry->storage);
		free_entry(entry);
		return;
	}
	if (!entry->restart && response) {
		take_page(entry, response);
		return;
	}
	if (err) {
		log_warning("Listing a resource from etcd failed; trying again",
		            kv_str("resource", watch_cache_resource(entry->cache)), kv_err(err));
		// Perhaps a page of huge objects: smaller ones pass.
		if (err->code == ERR_INTERNAL && entry->page_objects > 1)
			entry->page_objects /= 2;
	}
	abandon_list(entry);
}

static void ask_page(struct feed_cache *entry)
{
	AUTO_FREE char *end = xasprintf("%s0", watch_cache_prefix(entry->cache)); // '0' follows '/'
	struct etcd_range_request request = {
	        .key = {entry->next_key.data, entry->next_key.length},
	        .range_end = ETCD_TEXT(end),
	        .limit = entry->page_objects,
	        .revision = entry->list_revision,
	};
	entry->call_open = true;
	etcd_call(entry->storage->etcd, ETCD_RANGE, &request, 6 * STORAGE_CALL_TIMEOUT_NS, "list",
	          watch_cache_resource(entry->cache), on_page, entry);
}

void feed_note_revision(struct storage *storage, int64_t revision)
{
	if (revision > storage->feed.known_revision)
		storage->feed.known_revision = revision;
}

static void start_lists(struct storage *storage)
{
	struct feed *feed = &storage->feed;
	struct feed_cache *entry;
	if (feed->state != FEED_RUNNING || !feed->caught_up)
		return;
	list_for_each (entry, &feed->to_list, node) {
		if (feed->lists_running >= LISTS_AT_ONCE)
			return;
		if (entry->call_open)
			continue;
		feed->lists_running++;
		move_to(entry, &feed->listing);
		entry->restart = false;
		entry->list_revision = 0;
		strbuf_clear(&entry->next_key);
		strbuf_append_text(&entry->next_key, watch_cache_prefix(entry->cache));
		strbuf_append_char(&entry->next_key, '/');
		watch_cache_restart_list(entry->cache);
		ask_page(entry);
	}
}

static void keep_changes(struct list *entries, int64_t watched_revision)
{
	struct feed_cache *entry;
	list_for_each (entry, entries, node)
		watch_cache_start_list(entry->cache, watched_revision);
}

// Every cache needs a new list, with changes from `watched_revision` on: its
// watches end, what it has stays readable.
static void relist_all(struct storage *storage, int64_t watched_revision)
{
	struct feed *feed = &storage->feed;
	struct feed_cache *entry;
	list_for_each (entry, &feed->settled, node)
		move_to(entry, &feed->to_list);
	keep_changes(&feed->to_list, watched_revision);
	keep_changes(&feed->listing, watched_revision);
	list_for_each (entry, &feed->listing, node)
		entry->restart = true; // put back when its page comes
	atomic_store(&storage->watched_revision, watched_revision);
}

// --- events ----------------------------------------------------------------------------

// The cache of a key: its prefix ends at one of the slashes.
static struct feed_cache *route(const struct storage *storage, struct etcd_bytes key)
{
	size_t prefix = strlen(storage->prefix);
	if (key.length <= prefix || memcmp(key.data, storage->prefix, prefix) != 0)
		return NULL;
	const char *at = key.data + prefix, *end = key.data + key.length;
	while ((at = memchr(at, '/', (size_t)(end - at)))) {
		struct feed_cache *entry = hashmap_get_n(storage->feed.caches, key.data, (size_t)(at - key.data));
		if (entry)
			return watch_cache_key_is_usable(relative_key(entry, key)) ? entry : NULL;
		at++;
	}
	return NULL;
}

static void add_change(struct feed_cache *entry, const struct etcd_event *event)
{
	if (entry->change_count == entry->change_capacity) {
		entry->change_capacity = entry->change_capacity ? entry->change_capacity * 2 : 16;
		entry->changes = xreallocarray(entry->changes, entry->change_capacity, sizeof(*entry->changes));
	}
	const struct etcd_key_value *kv = event->kv, *previous = event->prev_kv;
	bool put = event->type == ETCD_EVENT_PUT;
	entry->changes[entry->change_count++] = (struct watch_cache_change){
	        .deleted = event->type == ETCD_EVENT_DELETE,
	        .created = put && kv->version == 1,
	        .object =
	                put ? written_event(entry->storage, entry->cache, kv->key, kv->value, kv->mod_revision) : NULL,
	        .key = relative_key(entry, kv->key),
	        .value = kv->value,
	        .revision = kv->mod_revision,
	        .has_previous = previous != NULL,
	        .previous_value = previous ? previous->value : (struct etcd_bytes){0},
	        .previous_revision = previous ? previous->mod_revision : 0,
	};
}

static void take_events(struct storage *storage, const struct etcd_watch_response *response)
{
	const struct etcd_event *events = response->events.items;
	struct feed_cache *entry;
	struct list touched;
	int64_t last = 0;
	list_init(&touched);
	for (size_t i = 0; i < response->events.count; i++) {
		if (!events[i].kv)
			continue;
		last = events[i].kv->mod_revision;
		entry = route(storage, events[i].kv->key);
		if (!entry)
			continue;
		if (!entry->change_count)
			list_append(&touched, &entry->touched_node);
		add_change(entry, &events[i]);
	}
	list_for_each (entry, &touched, touched_node) {
		list_remove(&entry->touched_node);
		watch_cache_apply(entry->cache, entry->changes, entry->change_count);
		while (entry->change_count)
			stored_object_unref(entry->changes[--entry->change_count].object);
	}
	if (last > atomic_load(&storage->watched_revision))
		atomic_store(&storage->watched_revision, last);
}

// --- the watch --------------------------------------------------------------------------

static void on_retry(struct loop_timer *timer)
{
	begin(container_of(timer, struct storage, feed.retry));
}

static void pause_feed(struct storage *storage)
{
	storage->feed.state = FEED_PAUSED;
	storage->feed.watch = etcd_watch_cancel(storage->feed.watch);
	loop_timer_start(storage->loop, &storage->feed.retry, RETRY_NS, on_retry);
}

static void on_compacted(struct storage *storage, int64_t compact_revision)
{
	struct feed *feed = &storage->feed;
	log_info("etcd's history begins later than asked for", kv_int("asked", feed->start_revision),
	         kv_int("compacted", compact_revision));
	feed->watch = etcd_watch_cancel(feed->watch);
	relist_all(storage, compact_revision);
	feed->with_previous = true;
	feed->start_revision = compact_revision + 1;
	create_watch(storage);
}

static void on_canceled(struct storage *storage, const struct etcd_watch_response *response)
{
	if (response->compact_revision) {
		on_compacted(storage, response->compact_revision);
		return;
	}
	AUTO_FREE char *reason = xstrndup(response->cancel_reason.data ? response->cancel_reason.data : "",
	                                  response->cancel_reason.length);
	if (strstr(reason, "permission denied") && !storage->feed.prefix_only) {
		log_info("etcd forbids a watch over all keys; watching the prefix, with a sentinel key",
		         kv_str("prefix", storage->prefix));
		storage->feed.prefix_only = true;
	} else {
		log_error("etcd refuses the watch over its keys", kv_str("reason", reason));
	}
	pause_feed(storage);
}

static void on_response(void *context, const struct etcd_watch_response *response)
{
	struct storage *storage = context;
	struct feed *feed = &storage->feed;
	if (response->canceled) {
		on_canceled(storage, response);
		return;
	}
	if (response->created) {
		feed->state = FEED_RUNNING;
		if (atomic_load(&storage->watched_revision) == 0) {
			atomic_store(&storage->watched_revision, feed->start_revision - 1);
			keep_changes(&feed->to_list, feed->start_revision - 1);
		}
		log_v(2, "Watching etcd", kv_int("fromRevision", feed->start_revision));
	}
	if (response->events.count)
		take_events(storage, response);
	if (atomic_load(&storage->watched_revision) >= feed->history_until)
		feed->caught_up = true;
	start_lists(storage);
	reads_check_waiting(storage);
}

static void on_watch_end(void *context, const struct err *err)
{
	struct storage *storage = context;
	log_info("The etcd watch ended; resuming", kv_int("revision", atomic_load(&storage->watched_revision)),
	         kv_err(err));
	storage->feed.watch = NULL;
	pause_feed(storage);
}

static void create_watch(struct storage *storage)
{
	static const struct etcd_watch_callbacks callbacks = {on_response, on_watch_end};
	AUTO_FREE char *end = xstrdup(storage->prefix);
	end[strlen(end) - 1]++; // '/' becomes '0'
	struct etcd_watch_create_request request = {
	        .key = {"\0", 1},
	        .range_end = {"\0", 1}, // all keys
	        .start_revision = storage->feed.start_revision,
	        .progress_notify = true,
	        .prev_kv = storage->feed.with_previous,
	};
	if (storage->feed.prefix_only) {
		request.key = ETCD_TEXT(storage->prefix);
		request.range_end = ETCD_TEXT(end);
	}
	storage->feed.state = FEED_CREATING;
	storage->feed.watch = etcd_watch_start(storage->etcd, &request, &callbacks, storage);
}

// etcd's revisions don't continue those that were seen: they are what counts now.
static void accept_history(struct storage *storage, int64_t revision)
{
	log_warning("etcd has another history than before; listing everything again", kv_int("revision", revision),
	            kv_int("before", storage->feed.known_revision));
	relist_all(storage, revision);
	storage->feed.known_revision = revision;
}

void feed_history_lost(struct storage *storage, int64_t revision)
{
	accept_history(storage, revision);
	pause_feed(storage);
}

static void on_revision(void *context, const void *response, const struct err *err)
{
	struct storage *storage = context;
	struct feed *feed = &storage->feed;
	if (feed->state != FEED_ASKING)
		return; // begun anew meanwhile
	if (err) {
		log_v(2, "etcd does not answer; trying again", kv_err(err));
		pause_feed(storage);
		return;
	}
	const struct etcd_header *header = etcd_response_header(response);
	int64_t now = header->revision;
	bool other_cluster = feed->cluster_id && feed->cluster_id != header->cluster_id;
	feed->cluster_id = header->cluster_id;
	if (now < feed->asked_known || other_cluster)
		accept_history(storage, now);
	int64_t watched = atomic_load(&storage->watched_revision);
	feed_note_revision(storage, now);
	if (!feed->caught_up)
		feed->history_until = now;
	if (watched)
		feed->start_revision = watched + 1;
	else // revision 1 is an empty etcd's: nothing happened in it
		feed->start_revision = now > HISTORY_REVISIONS ? now - HISTORY_REVISIONS : 2;
	feed->with_previous = !watched || has_lists_to_come(feed);
	create_watch(storage);
}

void feed_ask_revision(struct storage *storage, etcd_done *done, void *context)
{
	if (!storage->feed.prefix_only) {
		struct etcd_range_request request = {.key = ETCD_TEXT(storage->prefix), .count_only = true};
		etcd_call(storage->etcd, ETCD_RANGE, &request, STORAGE_CALL_TIMEOUT_NS, "get", "revision", done,
		          context);
		return;
	}
	AUTO_FREE char *key = xasprintf("%scaravel-sentinel", storage->prefix);
	struct etcd_put_request put = {.key = ETCD_TEXT(key)};
	struct etcd_request_op op = {.put = &put};
	struct etcd_txn_request request = {.success = {&op, 1}};
	etcd_call(storage->etcd, ETCD_TXN, &request, STORAGE_CALL_TIMEOUT_NS, "update", "revision", done, context);
}

static void begin(struct storage *storage)
{
	storage->feed.state = FEED_ASKING;
	storage->feed.asked_known = storage->feed.known_revision;
	feed_ask_revision(storage, on_revision, storage);
}

// --- caches come and go -------------------------------------------------------------------

void feed_add(struct storage *storage, struct watch_cache *cache)
{
	struct feed_cache *entry = NEW(struct feed_cache);
	entry->storage = storage;
	entry->cache = cache;
	entry->page_objects = LIST_PAGE_OBJECTS;
	entry->next_key = STRBUF_INIT(SIZE_MAX / 2);
	list_init(&entry->node);
	list_init(&entry->touched_node);
	list_append(&storage->feed.to_list, &entry->node);
	(void)hashmap_put(storage->feed.caches, watch_cache_prefix(cache), entry);
	watch_cache_start_list(cache, atomic_load(&storage->watched_revision));
	start_lists(storage);
}

void feed_remove(struct storage *storage, struct watch_cache *cache)
{
	struct feed_cache *entry = hashmap_get(storage->feed.caches, watch_cache_prefix(cache));
	if (!entry || entry->cache != cache)
		return;
	(void)hashmap_remove(storage->feed.caches, watch_cache_prefix(cache));
	if (!entry->listed_once)
		feed_note_listed(storage, entry->cache);
	entry->removed = true;
	if (!entry->call_open)
		free_entry(entry);
	reads_check_waiting(storage);
}

void feed_tick(struct storage *storage, bool progress)
{
	struct hashmap_cursor cursor = HASHMAP_CURSOR_INIT;
	while (hashmap_next(storage->feed.caches, &cursor)) {
		struct feed_cache *entry = cursor.value;
		watch_cache_tick(entry->cache, progress);
	}
}

void feed_init(struct storage *storage)
{
	struct feed *feed = &storage->feed;
	feed->caches = hashmap_new(NULL);
	list_init(&feed->to_list);
	list_init(&feed->listing);
	list_init(&feed->settled);
	feed->state = FEED_PAUSED;
	loop_timer_start(storage->loop, &feed->retry, 0, on_retry);
}

static void free_entries(struct list *list)
{
	struct feed_cache *entry;
	list_for_each (entry, list, node)
		free_entry(entry);
}

void feed_done(struct storage *storage)
{
	struct feed *feed = &storage->feed;
	loop_timer_stop(&feed->retry);
	loop_timer_stop(&feed->list_retry);
	free_entries(&feed->to_list);
	free_entries(&feed->listing);
	free_entries(&feed->settled);
	hashmap_free(feed->caches);
}
