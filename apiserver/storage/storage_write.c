// SPDX-License-Identifier: Apache-2.0
//
// Writes: one transaction each, on the key's mod revision.
//
//   entered ──(needs a lease)──> waiting for it ──> transaction ──> caller's loop: the new object
//      └──────────────────────────────────────────────^   └ lease unknown: once more with a new one
//
// The result object is parsed on the caller's loop from the bytes that will be written
// (storage_written.c gives it its revision and shares it with the cache); a deletion's
// from the last state, which the transaction returns.
//
// Leases are shared: granting one for each event would cost as much as the events.
// A lease serves the writes of about a minute (a twentieth of the time to live, if
// that is less) or LEASE_USES_MAX of them, and lives that much longer, so that no
// object dies early.
#include "apiserver/storage/storage_internal.h"

#include <stdio.h>
#include <string.h>

#include "apiserver/storage/storage_object.h"
#include "common/base/memory.h"
#include "common/base/metrics.h"

#define LEASE_REUSE_SECONDS 60
#define LEASE_USES_MAX 1000

static const double lease_buckets[] = {10, 50, 100, 500, 1000, 2500, 5000, 0};
static const struct metric_family lease_objects = {"etcd_lease_object_counts",
                                                   "Number of objects attached to a single etcd lease.",
                                                   METRIC_HISTOGRAM, NULL, lease_buckets};

struct write_op {
	struct loop_task task;
	struct list node; // on writes.running or a lease's waiting
	struct storage *storage;
	struct watch_cache *cache;
	struct loop *loop;
	enum storage_write_type type;
	char *resource_name;
	char *name;
	char *key;       // in etcd
	size_t key_skip; // of it the storage prefix and slash
	int64_t expected_revision;
	struct blob *json;            // what is written, or of a deletion the last state
	struct stored_object *draft;  // of what is written, as of revision 0
	struct stored_object *object; // once it was
	int64_t lease_seconds;
	bool lease_renewed;
	int64_t revision; // of the transaction
	struct err err;
	void (*done)(void *context, struct stored_object *object, const struct err *err);
	void *context;
};

struct lease_bucket {
	struct storage *storage;
	struct list node;
	int64_t seconds; // time to live that writes ask for
	int64_t id;      // 0 = none
	int64_t granted_ns;
	size_t uses;
	bool granting;
	struct list waiting;
};

static void start_transaction(struct write_op *op, int64_t lease);

static void op_free(struct write_op *op)
{
	blob_unref(op->json);
	stored_object_unref(op->draft);
	stored_object_unref(op->object);
	watch_cache_unref(op->cache);
	free(op->resource_name);
	free(op->name);
	free(op->key);
	free(op);
}

// --- the answer (the caller's loop) -----------------------------------------------------

static int parse_object(struct write_op *op, int64_t revision, struct stored_object **ret_object)
{
	struct etcd_bytes key = {op->key + op->key_skip, strlen(op->key) - op->key_skip};
	struct etcd_bytes value = {op->json->data, op->json->length};
	return storage_object_parse(watch_cache_format(op->cache), key, value, revision, ret_object, &op->err);
}

// From here on op->json is what etcd gets.
static int seal_value(struct write_op *op)
{
	struct blob *plain = TAKE(op->json);
	return storage_object_seal(watch_cache_format(op->cache), op->key, plain, &op->json, &op->err);
}

static void on_answer(struct loop_task *task)
{
	struct write_op *op = container_of(task, struct write_op, task);
	if (!op->err.code && !op->object && parse_object(op, op->revision, &op->object))
		op->object = NULL;
	op->done(op->context, op->object, op->object ? NULL : &op->err);
	op_free(op);
}

static void hand_back(struct write_op *op)
{
	list_remove(&op->node);
	loop_post(op->loop, &op->task, on_answer);
}

static void fail(struct write_op *op, const struct err *err)
{
	op->err = *err;
	hand_back(op);
}

// --- leases (the storage thread from here on) --------------------------------------------

static int64_t reuse_seconds(int64_t seconds)
{
	return seconds / 20 < LEASE_REUSE_SECONDS ? seconds / 20 : LEASE_REUSE_SECONDS;
}

static struct lease_bucket *find_bucket(struct storage *storage, int64_t seconds)
{
	struct lease_bucket *bucket;
	list_for_each (bucket, &storage->writes.leases, node)
		if (bucket->seconds == seconds)
			return bucket;
	bucket = NEW(struct lease_bucket);
	bucket->storage = storage;
	bucket->seconds = seconds;
	list_init(&bucket->waiting);
	list_append(&storage->writes.leases, &bucket->node);
	return bucket;
}

static bool is_usable(const struct lease_bucket *bucket)
{
	int64_t age_ns = loop_now_ns(bucket->storage->loop) - bucket->granted_ns;
	return bucket->id && bucket->uses < LEASE_USES_MAX && age_ns < reuse_seconds(bucket->seconds) * NSEC_PER_SEC;
}

static void on_granted(void *context, const void *response, const struct err *err)
{
	struct lease_bucket *bucket = context;
	struct storage *storage = bucket->storage;
	const struct etcd_lease_grant_response *grant = response;
	struct write_op *op;
	bucket->granting = false;
	if (bucket->uses && storage->metrics)
		metric_observe(metric_get(storage->metrics, &lease_objects, NULL), (double)bucket->uses);
	if (!err) {
		bucket->id = grant->id;
		bucket->uses = 0;
		bucket->granted_ns = loop_now_ns(storage->loop);
	}
	list_for_each (op, &bucket->waiting, node) {
		if (err) {
			fail(op, err);
			continue;
		}
		list_remove(&op->node);
		list_append(&storage->writes.running, &op->node);
		bucket->uses++;
		start_transaction(op, bucket->id);
	}
}

static void start_with_lease(struct write_op *op)
{
	struct storage *storage = op->storage;
	struct lease_bucket *bucket = find_bucket(storage, op->lease_seconds);
	if (is_usable(bucket)) {
		bucket->uses++;
		start_transaction(op, bucket->id);
		return;
	}
	list_remove(&op->node);
	list_append(&bucket->waiting, &op->node);
	if (bucket->granting)
		return;
	bucket->granting = true;
	struct etcd_lease_grant_request request = {.ttl_seconds = op->lease_seconds + reuse_seconds(op->lease_seconds)};
	etcd_call(storage->etcd, ETCD_LEASE_GRANT, &request, STORAGE_CALL_TIMEOUT_NS, "leaseGrant", "events",
	          on_granted, bucket);
}

// --- transactions -----------------------------------------------------------------------

static void refuse(struct write_op *op, const struct etcd_txn_response *txn)
{
	const struct etcd_response_op *answers = txn->responses.items;
	bool there = txn->responses.count && answers->range && answers->range->kvs.count;
	struct err err = ERR_INIT;
	if (op->type == STORAGE_CREATE)
		(void)err_set(&err, ERR_ALREADY_EXISTS, "%s \"%s\" already exists", op->resource_name, op->name);
	else if (!there)
		(void)err_set(&err, ERR_NOT_FOUND, "%s \"%s\" not found", op->resource_name, op->name);
	else
		(void)err_set(&err, ERR_CONFLICT,
		              "Operation cannot be fulfilled on %s \"%s\": the object has been modified; please apply "
		              "your changes to the latest version and try again",
		              op->resource_name, op->name);
	fail(op, &err);
}

static void take_last_state(struct write_op *op, const struct etcd_txn_response *txn)
{
	const struct etcd_response_op *answers = txn->responses.items;
	const struct etcd_delete_response *deletion = txn->responses.count ? answers->delete_range : NULL;
	if (deletion && deletion->prev_kvs.count) {
		const struct etcd_key_value *last = deletion->prev_kvs.items;
		op->json = blob_new(last->value.data, last->value.length);
	} else {
		(void)err_set(&op->err, ERR_INTERNAL, "etcd deleted %s \"%s\" without telling its last state",
		              op->resource_name, op->name);
	}
}

static void on_transaction(void *context, const void *response, const struct err *err)
{
	struct write_op *op = context;
	const struct etcd_txn_response *txn = response;
	if (err && op->lease_seconds && !op->lease_renewed && etcd_err_is_lease_not_found(err)) {
		op->lease_renewed = true;
		find_bucket(op->storage, op->lease_seconds)->id = 0;
		start_with_lease(op);
		return;
	}
	if (err || !txn->succeeded)
		written_fail(op->storage, op->key, op->json);
	if (err) {
		fail(op, err);
		return;
	}
	feed_note_revision(op->storage, txn->header->revision);
	if (!txn->succeeded) {
		refuse(op, txn);
		return;
	}
	op->revision = txn->header->revision;
	if (op->type == STORAGE_DELETE)
		take_last_state(op, txn);
	else
		op->object = written_answer(op->storage, op->key, op->json, op->draft, op->revision);
	hand_back(op);
}

static void start_transaction(struct write_op *op, int64_t lease)
{
	static const char *const operations[] = {
	        [STORAGE_CREATE] = "create", [STORAGE_UPDATE] = "update", [STORAGE_DELETE] = "delete"};
	struct etcd_bytes key = ETCD_TEXT(op->key);
	struct etcd_compare compare = {
	        .result = ETCD_EQUAL,
	        .target = ETCD_TARGET_MOD,
	        .key = key,
	        .mod_revision = op->type == STORAGE_CREATE ? 0 : op->expected_revision,
	};
	struct etcd_put_request put = {.key = key, .lease = lease};
	struct etcd_delete_request deletion = {.key = key, .prev_kv = true};
	// Of the one that stands in the way it is enough to know that it is there.
	struct etcd_range_request look = {.key = key, .keys_only = true};
	struct etcd_request_op success = {0}, failure = {.range = &look};
	if (op->type == STORAGE_DELETE) {
		success.delete_range = &deletion;
	} else {
		put.value = (struct etcd_bytes){op->json->data, op->json->length};
		success.put = &put;
		written_add(op->storage, op->key, op->cache, op->json, op->draft);
	}
	struct etcd_txn_request request = {
	        .compare = {&compare, 1}, .success = {&success, 1}, .failure = {&failure, 1}};
	etcd_call(op->storage->etcd, ETCD_TXN, &request, STORAGE_CALL_TIMEOUT_NS, operations[op->type],
	          watch_cache_resource(op->cache), on_transaction, op);
}

// --- entering -----------------------------------------------------------------------------

static void on_enter(struct loop_task *task)
{
	struct write_op *op = container_of(task, struct write_op, task);
	struct err err = ERR_INIT;
	if (op->storage->stopping) {
		(void)err_set(&err, ERR_UNAVAILABLE, "the apiserver is shutting down");
		fail(op, &err);
		return;
	}
	list_append(&op->storage->writes.running, &op->node);
	if (op->lease_seconds > 0 && op->type != STORAGE_DELETE)
		start_with_lease(op);
	else
		start_transaction(op, 0);
}

// Definitions may read something else out of a custom resource's value than it says.
static int make_draft(struct write_op *op, const struct json *tree)
{
	const struct storage_object_format *format = watch_cache_format(op->cache);
	struct etcd_bytes key = {op->key + op->key_skip, strlen(op->key) - op->key_skip};
	// What is sealed is read back, so that the draft knows its seal.
	if (seal_value(op))
		return -1;
	struct etcd_bytes value = {op->json->data, op->json->length};
	if (tree && !format->form.reader.read && !format->sealing.encryption)
		op->draft = storage_object_of_tree(format, key, tree, value, 0);
	return op->draft ? 0 : parse_object(op, 0, &op->draft);
}

void storage_write(struct storage *storage, const struct storage_write *write, struct loop *loop,
                   void (*done)(void *context, struct stored_object *object, const struct err *err), void *context)
{
	struct write_op *op = NEW(struct write_op);
	list_init(&op->node);
	op->storage = storage;
	op->cache = storage_find_cache(storage, write->resource);
	op->loop = loop;
	op->type = write->type;
	op->resource_name = storage_resource_name(write->resource);
	op->name = xstrdup(write->name);
	op->expected_revision = write->expected_revision;
	op->json = write->json;
	op->lease_seconds = write->lease_seconds;
	op->done = done;
	op->context = context;
	if (!op->cache) {
		struct err err = ERR_INIT;
		(void)err_set(&err, ERR_NOT_FOUND, "the server could not find the requested resource");
		fail(op, &err);
		return;
	}
	if (op->type == STORAGE_DELETE)
		op->json = blob_unref(op->json);
	AUTO_FREE char *relative = storage_make_key(write->namespace_name, write->name);
	op->key = xasprintf("%s/%s", watch_cache_prefix(op->cache), relative);
	op->key_skip = strlen(watch_cache_prefix(op->cache)) + 1;
	if (op->type != STORAGE_DELETE && make_draft(op, write->tree)) {
		hand_back(op);
		return;
	}
	loop_post(storage->loop, &op->task, on_enter);
}

// --- life ------------------------------------------------------------------------------

void writes_init(struct storage *storage)
{
	list_init(&storage->writes.running);
	list_init(&storage->writes.leases);
	written_init(storage);
}

// A transaction that was under way may have happened.
static void fail_all(struct list *ops, enum err_code code)
{
	struct write_op *op;
	struct err err = ERR_INIT;
	(void)err_set(&err, code, "the apiserver is shutting down");
	list_for_each (op, ops, node)
		fail(op, &err);
}

void writes_done(struct storage *storage)
{
	struct lease_bucket *bucket;
	fail_all(&storage->writes.running, ERR_TIMEOUT);
	list_for_each (bucket, &storage->writes.leases, node) {
		fail_all(&bucket->waiting, ERR_UNAVAILABLE);
		list_remove(&bucket->node);
		free(bucket);
	}
	written_done(storage);
}
