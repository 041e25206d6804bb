// SPDX-License-Identifier: Apache-2.0
//
// Reads: from the caches as soon as they are fresh enough, from etcd where an exact
// revision is asked for.
//
//   storage_get/list ──fresh enough already──────────────────────────────────> caller's loop: answer
//        │ else, on the storage thread:                                              ^
//        ├─ consistent ──> next_question ──> asked ──(etcd is at R)──> waiting ──────┤
//        ├─ any, not older ───────────────────────────────────────────> waiting ─────┤
//        └─ exact ──> exact (a Range at that revision) ──────────────────────────────┘
//
// 1. A question about etcd's revision answers for the readers that came before it
//    was asked. Those that come while one is open share the next one.
// 2. Waiting is bounded by WAIT_NS: 504 with upstream's words.
// 3. The objects are picked on the caller's loop from an immutable version of the
//    cache, without a lock and without references of their own: the version lives
//    until the callback returns.
// 4. An exact revision is served from the cache when nothing of the resource has
//    changed since: the later pages of a list of a quiet resource. etcd is asked all
//    the same, for nothing but whether it still has that revision: a compacted one has
//    expired for every client, however little has changed (a continue token ends).
#include "apiserver/storage/storage_internal.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "apiserver/storage/storage_object.h"
#include "common/base/memory.h"

#define WAIT_NS (3 * NSEC_PER_SEC)
#define WAIT_TICK_NS (100 * NSEC_PER_MSEC)

struct read_op {
	struct loop_task task;
	struct list node;
	struct storage *storage;
	struct watch_cache *cache;
	struct loop *loop;
	bool is_list;
	char *storage_prefix; // with the next: to find the cache again when a custom resource gets another one
	char *field_label;
	char *resource_name; // for messages
	char *namespace_name;
	char *name;
	int field; // -1 = none
	char *field_value;
	char *continue_key;
	size_t limit;
	enum storage_freshness freshness;
	int64_t revision; // asked for; of CONSISTENT etcd's, once it is known
	int64_t deadline_ns;
	int64_t waiting_since_ns;
	bool consistent;
	bool has_view;
	struct watch_cache_view view;
	// Read from etcd.
	bool from_etcd;
	struct stored_object **objects;
	size_t object_count;
	bool more;
	size_t remaining;
	int64_t answer_revision;
	struct err err;
	void (*get_done)(void *context, struct stored_object *object, int64_t revision, const struct err *err);
	void (*list_done)(void *context, const struct storage_list *list, const struct err *err);
	void *context;
};

static void op_free(struct read_op *op)
{
	for (size_t i = 0; i < op->object_count; i++)
		stored_object_unref(op->objects[i]);
	free(op->objects);
	if (op->has_view)
		watch_cache_view_done(&op->view);
	watch_cache_unref(op->cache);
	free(op->storage_prefix);
	free(op->field_label);
	free(op->resource_name);
	free(op->namespace_name);
	free(op->name);
	free(op->field_value);
	free(op->continue_key);
	free(op);
}

// --- picking from a version of the cache (the caller's loop) ---------------------------

struct range {
	size_t low;
	size_t high;
};

// The places of what is asked for: of all keys, or of those under the field's value when the tree is the field's.
static struct range find_range(const struct read_op *op, const struct object_tree *tree)
{
	bool by_field = tree->field >= 0;
	const char *value = by_field ? op->field_value : "";
	struct range range = {0, object_tree_count(tree)};
	if (*op->namespace_name) {
		AUTO_FREE char *low = xasprintf("%s/", op->namespace_name);
		AUTO_FREE char *high = xasprintf("%s0", op->namespace_name); // '0' follows '/'
		range = (struct range){object_tree_rank(tree, value, low), object_tree_rank(tree, value, high)};
	} else if (by_field) {
		// No key begins with the byte 0xff.
		range = (struct range){object_tree_rank(tree, value, ""), object_tree_rank(tree, value, "\xff")};
	}
	if (op->continue_key) {
		size_t after = object_tree_rank(tree, value, op->continue_key) +
		               (object_tree_find(tree, value, op->continue_key) != NULL);
		if (after > range.low)
			range.low = after < range.high ? after : range.high;
	}
	return range;
}

// Keeps the objects with the field value (where no index did it); returns how many.
static size_t filter(const struct read_op *op, struct stored_object **objects, size_t count)
{
	size_t kept = 0;
	for (size_t i = 0; i < count; i++)
		if (strcmp(objects[i]->fields[op->field], op->field_value) == 0)
			objects[kept++] = objects[i];
	return kept;
}

static void count_cache_list(struct read_op *op, bool by_node, size_t fetched)
{
	struct cache_metrics *metrics = watch_cache_metrics(op->cache);
	cache_metrics_count(metrics, by_node ? CACHE_METRIC_CACHE_LISTS_BY_NODE : CACHE_METRIC_CACHE_LISTS, 1);
	cache_metrics_count(metrics, by_node ? CACHE_METRIC_CACHE_FETCHED_BY_NODE : CACHE_METRIC_CACHE_FETCHED,
	                    fetched);
}

static void answer_list_from_view(struct read_op *op)
{
	const struct object_tree *tree = &op->view.tree;
	struct range range = find_range(op, tree);
	bool must_filter = op->field >= 0 && tree->field != op->field;
	size_t total = range.high - range.low;
	size_t wanted = op->limit && op->limit < total && !must_filter ? op->limit : total;
	struct stored_object **objects = xcalloc(wanted + 1, sizeof(*objects));
	struct storage_list list = {
	        .objects = objects,
	        .count = object_tree_copy(tree, range.low, wanted, objects),
	        .revision = op->freshness == STORAGE_EXACT ? op->revision : op->view.revision,
	};
	count_cache_list(op, tree->field >= 0, list.count);
	if (must_filter) {
		total = list.count = filter(op, objects, list.count);
		if (op->limit && list.count > op->limit)
			list.count = op->limit;
	}
	list.more = list.count < total;
	list.remaining = total - list.count;
	cache_metrics_count(watch_cache_metrics(op->cache), CACHE_METRIC_CACHE_RETURNED, list.count);
	op->list_done(op->context, &list, NULL);
	free(objects);
}

static void answer_list(struct read_op *op)
{
	struct storage_list list = {
	        .objects = op->objects,
	        .count = op->object_count,
	        .revision = op->answer_revision,
	        .more = op->more,
	        .remaining = op->remaining,
	};
	if (op->err.code)
		op->list_done(op->context, NULL, &op->err);
	else if (op->from_etcd)
		op->list_done(op->context, &list, NULL);
	else
		answer_list_from_view(op);
}

static void answer_get(struct read_op *op)
{
	struct stored_object *object = NULL;
	if (!op->err.code && op->from_etcd) {
		object = op->object_count ? op->objects[0] : NULL;
	} else if (!op->err.code) {
		AUTO_FREE char *key = storage_make_key(op->namespace_name, op->name);
		object = object_tree_find(&op->view.tree, "", key);
		op->answer_revision = op->view.revision;
	}
	if (!op->err.code && !object)
		(void)err_set(&op->err, ERR_NOT_FOUND, "%s \"%s\" not found", op->resource_name, op->name);
	op->get_done(op->context, object, object ? op->answer_revision : 0, object ? NULL : &op->err);
}

static void on_answer(struct loop_task *task)
{
	struct read_op *op = container_of(task, struct read_op, task);
	if (op->is_list)
		answer_list(op);
	else
		answer_get(op);
	op_free(op);
}

static void hand_back(struct read_op *op)
{
	loop_post(op->loop, &op->task, on_answer);
}

static void fail(struct read_op *op, enum err_code code, const char *message)
{
	list_remove(&op->node);
	(void)err_set(&op->err, code, "%s", message);
	hand_back(op);
}

// A custom resource whose definition changes has a new cache: whoever waits for the old one goes on with it.
// False: there is none any more, and the read has failed.
static bool renew_cache(struct read_op *op)
{
	const struct schema_resource place = {.storage_prefix = op->storage_prefix};
	if (!watch_cache_is_retired(op->cache))
		return true;
	struct watch_cache *cache = storage_find_cache(op->storage, &place);
	int field = cache && op->field >= 0 ? watch_cache_field(cache, op->field_label) : -1;
	if (!cache || (op->field >= 0 && field < 0)) {
		watch_cache_unref(cache);
		fail(op, ERR_NOT_FOUND, "the server could not find the requested resource");
		return false;
	}
	watch_cache_unref(op->cache);
	op->cache = cache;
	op->field = field;
	return true;
}

// Takes the cache's version of now when it is good enough for the read.
static bool take_view(struct read_op *op)
{
	bool current = watch_cache_is_current(op->cache);
	if (!watch_cache_view(op->cache, op->is_list ? op->field : -1, &op->view))
		return false;
	bool fresh = false;
	switch (op->freshness) {
	case STORAGE_ANY:
		fresh = true;
		break;
	case STORAGE_NOT_OLDER:
	case STORAGE_CONSISTENT:
		fresh = current && op->revision && op->view.revision >= op->revision;
		break;
	case STORAGE_EXACT:
		fresh = current && op->view.last_change <= op->revision && op->revision <= op->view.revision;
		break;
	}
	op->has_view = fresh;
	if (!fresh)
		watch_cache_view_done(&op->view);
	return fresh;
}

// --- waiting (the storage thread from here on) ------------------------------------------

// The cache is as fresh as was asked for, or hasn't become so in time.
static void count_wait(struct read_op *op, bool fresh)
{
	struct cache_metrics *metrics = watch_cache_metrics(op->cache);
	int64_t waited = op->waiting_since_ns ? loop_now_ns(op->storage->loop) - op->waiting_since_ns : 0;
	cache_metrics_observe_ns(metrics, CACHE_METRIC_READ_WAIT, waited);
	if (op->consistent)
		cache_metrics_count(metrics,
		                    fresh ? CACHE_METRIC_CONSISTENT_READS : CACHE_METRIC_CONSISTENT_READS_FAILED, 1);
}

static void give_up(struct read_op *op)
{
	struct storage *storage = op->storage;
	count_wait(op, false);
	char text[200];
	if (!watch_cache_has_data(op->cache) || op->freshness == STORAGE_ANY) {
		bool healthy = atomic_load(&storage->healthy);
		fail(op, healthy ? ERR_TOO_MANY_REQUESTS : ERR_UNAVAILABLE,
		     healthy ? "storage is (re)initializing" : "etcd is unavailable");
		return;
	}
	snprintf(text, sizeof(text), "Too large resource version: %" PRId64 ", current: %" PRId64, op->revision,
	         atomic_load(&storage->watched_revision));
	fail(op, ERR_TIMEOUT, text);
}

static void on_wait_tick(struct loop_timer *timer)
{
	struct storage *storage = container_of(timer, struct storage, reads.tick);
	struct read_op *op;
	int64_t now = loop_now_ns(storage->loop);
	list_for_each (op, &storage->reads.waiting, node)
		if (now >= op->deadline_ns)
			give_up(op);
	if (!list_is_empty(&storage->reads.waiting))
		loop_timer_start(storage->loop, timer, WAIT_TICK_NS, on_wait_tick);
}

static void wait_for_cache(struct read_op *op)
{
	struct storage *storage = op->storage;
	list_remove(&op->node);
	if (!renew_cache(op))
		return;
	if (take_view(op)) {
		count_wait(op, true);
		hand_back(op);
		return;
	}
	op->waiting_since_ns = loop_now_ns(storage->loop);
	op->deadline_ns = op->waiting_since_ns + WAIT_NS;
	list_append(&storage->reads.waiting, &op->node);
	if (!storage->reads.tick.loop)
		loop_timer_start(storage->loop, &storage->reads.tick, WAIT_TICK_NS, on_wait_tick);
}

void reads_check_waiting(struct storage *storage)
{
	struct read_op *op;
	list_for_each (op, &storage->reads.waiting, node) {
		if (!renew_cache(op) || !take_view(op))
			continue;
		list_remove(&op->node);
		count_wait(op, true);
		hand_back(op);
	}
}

// --- the question ---------------------------------------------------------------------

static void ask(struct storage *storage);

static void on_question(void *context, const void *response, const struct err *err)
{
	struct storage *storage = context;
	int64_t revision = response ? etcd_response_header(response)->revision : 0;
	struct read_op *op;
	storage->reads.question_open = false;
	if (response && revision < storage->reads.asked_known)
		feed_history_lost(storage, revision);
	else
		feed_note_revision(storage, revision);
	list_for_each (op, &storage->reads.asked, node) {
		if (err) {
			fail(op, err->code, err->message);
			continue;
		}
		op->revision = revision;
		wait_for_cache(op);
	}
	if (!list_is_empty(&storage->reads.next_question))
		ask(storage);
}

static void ask(struct storage *storage)
{
	struct reads *reads = &storage->reads;
	struct read_op *op;
	list_for_each (op, &reads->next_question, node) {
		list_remove(&op->node);
		list_append(&reads->asked, &op->node);
	}
	reads->question_open = true;
	reads->asked_known = storage->feed.known_revision;
	feed_ask_revision(storage, on_question, storage);
}

// --- an exact revision --------------------------------------------------------------------

static struct stored_object *object_of(struct read_op *op, const struct etcd_key_value *kv)
{
	size_t skip = strlen(watch_cache_prefix(op->cache)) + 1;
	struct etcd_bytes key = {kv->key.data + skip, kv->key.length - skip};
	if (!watch_cache_key_is_usable(key))
		return NULL;
	AUTO_FREE char *text = xstrndup(key.data, key.length);
	struct stored_object *object = watch_cache_get(op->cache, text, NULL);
	if (object && object->revision == kv->mod_revision)
		return object;
	stored_object_unref(object);
	object = NULL;
	struct err err = ERR_INIT;
	if (storage_object_parse(watch_cache_format(op->cache), key, kv->value, kv->mod_revision, &object, &err))
		return NULL; // told when the cache read it
	return object;
}

static void fail_exact(struct read_op *op, const struct err *err)
{
	bool expired = err->code == ERR_EXPIRED;
	(void)err_set(&op->err, err->code, "%s",
	              expired ? "The resourceVersion for the provided list is too old." : err->message);
	hand_back(op);
}

static void count_storage_list(struct read_op *op, size_t fetched)
{
	struct cache_metrics *metrics = watch_cache_metrics(op->cache);
	cache_metrics_count(metrics, CACHE_METRIC_STORAGE_LISTS, 1);
	cache_metrics_count(metrics, CACHE_METRIC_STORAGE_FETCHED, fetched);
	cache_metrics_count(metrics, CACHE_METRIC_STORAGE_EVALUATED, fetched);
	cache_metrics_count(metrics, CACHE_METRIC_STORAGE_RETURNED, op->object_count);
}

static void on_exact(void *context, const void *response, const struct err *err)
{
	struct read_op *op = context;
	const struct etcd_range_response *range = response;
	list_remove(&op->node);
	if (err) {
		fail_exact(op, err);
		return;
	}
	const struct etcd_key_value *kvs = range->kvs.items;
	op->objects = xcalloc(range->kvs.count + 1, sizeof(*op->objects));
	for (size_t i = 0; i < range->kvs.count; i++) {
		struct stored_object *object = object_of(op, &kvs[i]);
		bool wanted = object && (op->field < 0 || strcmp(object->fields[op->field], op->field_value) == 0);
		if (wanted)
			op->objects[op->object_count++] = object;
		else
			stored_object_unref(object);
	}
	if (op->is_list)
		count_storage_list(op, range->kvs.count);
	op->from_etcd = true;
	op->answer_revision = op->revision ? op->revision : range->header->revision;
	op->more = range->more;
	op->remaining = range->count > (int64_t)range->kvs.count ? (size_t)range->count - range->kvs.count : 0;
	hand_back(op);
}

static void read_exact(struct read_op *op)
{
	struct storage *storage = op->storage;
	const char *prefix = watch_cache_prefix(op->cache);
	AUTO_FREE char *key = NULL;
	AUTO_FREE char *end = NULL;
	size_t key_extra = 0;
	if (!op->is_list) {
		AUTO_FREE char *relative = storage_make_key(op->namespace_name, op->name);
		key = xasprintf("%s/%s", prefix, relative);
	} else {
		const char *slash = *op->namespace_name ? "/" : "";
		end = xasprintf("%s%s%s0", prefix, slash, op->namespace_name);
		if (op->continue_key) {
			key = xasprintf("%s/%s", prefix, op->continue_key);
			key_extra = 1; // its NUL: the next key after it
		} else {
			key = xasprintf("%s%s%s/", prefix, slash, op->namespace_name);
		}
	}
	struct etcd_range_request request = {
	        .key = {key, strlen(key) + key_extra},
	        .range_end = {end, end ? strlen(end) : 0},
	        .limit = op->is_list ? (int64_t)op->limit : 0,
	        .revision = op->revision,
	};
	list_append(&storage->reads.exact, &op->node);
	etcd_call(storage->etcd, ETCD_RANGE, &request, STORAGE_CALL_TIMEOUT_NS, op->is_list ? "list" : "get",
	          watch_cache_resource(op->cache), on_exact, op);
}

static void on_kept(void *context, const void *response, const struct err *err)
{
	struct read_op *op = context;
	(void)response;
	list_remove(&op->node);
	if (err)
		fail_exact(op, err);
	else
		hand_back(op);
}

// The cache's version will do, if etcd still keeps the revision.
static void check_kept(struct read_op *op)
{
	struct storage *storage = op->storage;
	AUTO_FREE char *key = xasprintf("%shealth", storage->prefix);
	struct etcd_range_request request = {.key = ETCD_TEXT(key), .count_only = true, .revision = op->revision};
	list_append(&storage->reads.exact, &op->node);
	etcd_call(storage->etcd, ETCD_RANGE, &request, STORAGE_CALL_TIMEOUT_NS, "get", watch_cache_resource(op->cache),
	          on_kept, op);
}

// --- entering -------------------------------------------------------------------------

static void on_enter(struct loop_task *task)
{
	struct read_op *op = container_of(task, struct read_op, task);
	struct storage *storage = op->storage;
	if (storage->stopping) {
		fail(op, ERR_UNAVAILABLE, "the apiserver is shutting down");
		return;
	}
	if (op->freshness == STORAGE_EXACT) {
		if (take_view(op))
			check_kept(op);
		else
			read_exact(op);
	} else if (op->freshness == STORAGE_CONSISTENT) {
		list_append(&storage->reads.next_question, &op->node);
		if (!storage->reads.question_open)
			ask(storage);
	} else {
		wait_for_cache(op);
	}
}

static struct read_op *op_new(struct storage *storage, const struct storage_read *read, struct loop *loop,
                              void *context)
{
	struct read_op *op = NEW(struct read_op);
	list_init(&op->node);
	op->storage = storage;
	op->cache = storage_find_cache(storage, read->resource);
	op->loop = loop;
	op->context = context;
	op->storage_prefix = xstrdup(read->resource->storage_prefix);
	op->field_label = xstrdup(read->field_label);
	op->resource_name = storage_resource_name(read->resource);
	op->namespace_name = xstrdup(read->namespace_name ? read->namespace_name : "");
	op->name = xstrdup(read->name ? read->name : "");
	op->field = op->cache && read->field_label ? watch_cache_field(op->cache, read->field_label) : -1;
	op->field_value = xstrdup(read->field_value ? read->field_value : "");
	op->continue_key = xstrdup(read->continue_key);
	op->limit = read->limit;
	op->freshness = read->freshness;
	op->consistent = read->freshness == STORAGE_CONSISTENT;
	op->revision = op->consistent ? 0 : read->revision;
	// The oldest revision that there can be: 0 asks for any.
	if (op->freshness == STORAGE_NOT_OLDER && !op->revision)
		op->freshness = STORAGE_ANY;
	return op;
}

static void start(struct read_op *op, const struct storage_read *read)
{
	if (!op->cache)
		fail(op, ERR_NOT_FOUND, "the server could not find the requested resource");
	else if (read->field_label && op->field < 0)
		fail(op, ERR_BAD_REQUEST, "field label not supported");
	else if (op->freshness != STORAGE_CONSISTENT && op->freshness != STORAGE_EXACT && take_view(op))
		hand_back(op);
	else
		loop_post(op->storage->loop, &op->task, on_enter);
}

void storage_get(struct storage *storage, const struct storage_read *read, struct loop *loop,
                 void (*done)(void *context, struct stored_object *object, int64_t revision, const struct err *err),
                 void *context)
{
	struct read_op *op = op_new(storage, read, loop, context);
	op->get_done = done;
	start(op, read);
}

void storage_list(struct storage *storage, const struct storage_read *read, struct loop *loop,
                  void (*done)(void *context, const struct storage_list *list, const struct err *err), void *context)
{
	struct read_op *op = op_new(storage, read, loop, context);
	op->is_list = true;
	op->list_done = done;
	start(op, read);
}

// --- life ------------------------------------------------------------------------------

void reads_init(struct storage *storage)
{
	list_init(&storage->reads.next_question);
	list_init(&storage->reads.asked);
	list_init(&storage->reads.waiting);
	list_init(&storage->reads.exact);
}

void reads_done(struct storage *storage)
{
	struct reads *reads = &storage->reads;
	struct list *lists[] = {&reads->next_question, &reads->asked, &reads->waiting, &reads->exact};
	loop_timer_stop(&reads->tick);
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		struct read_op *op;
		list_for_each (op, lists[i], node)
			fail(op, ERR_UNAVAILABLE, "the apiserver is shutting down");
	}
}
