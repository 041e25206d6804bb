// SPDX-License-Identifier: Apache-2.0
//
// Compaction of etcd's history, by upstream's scheme, so that any number of
// apiservers (upstream's among them) share the work. The key compact_rev_key has a
// version, the logical time. Every interval each apiserver tries to move it on by
// one, if it is still the one it knows, writing the revision of its last round; the
// one that succeeds compacts up to that revision, so history lasts one to two
// intervals. The others learn the time from the failure.
#include "apiserver/storage/storage_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/log.h"

static const char compact_key[] = "compact_rev_key";

static void on_timer(struct loop_timer *timer);

static void on_compacted(void *context, const void *response, const struct err *err)
{
	struct storage *storage = context;
	(void)response;
	// ERR_EXPIRED: another compacted further already.
	if (err && err->code != ERR_EXPIRED)
		log_warning("Compacting etcd failed", kv_err(err));
	else
		log_v(2, "Compacted etcd", kv_int("version", storage->compactor.version));
}

static void on_moved(void *context, const void *response, const struct err *err)
{
	struct storage *storage = context;
	struct compactor *compactor = &storage->compactor;
	const struct etcd_txn_response *txn = response;
	loop_timer_start(storage->loop, &compactor->timer, compactor->interval_ns, on_timer);
	if (err) {
		log_warning("Compacting etcd failed", kv_err(err));
		return;
	}
	int64_t last = compactor->revision;
	compactor->revision = txn->header->revision;
	if (!txn->succeeded) {
		const struct etcd_response_op *answers = txn->responses.items;
		bool there = txn->responses.count && answers->range && answers->range->kvs.count;
		compactor->version = there ? ((const struct etcd_key_value *)answers->range->kvs.items)->version : 0;
		return;
	}
	compactor->version++;
	if (!last) // the first round: nothing is known to be old
		return;
	struct etcd_compaction_request request = {.revision = last};
	etcd_call(storage->etcd, ETCD_COMPACT, &request, STORAGE_CALL_TIMEOUT_NS, "compact", "compaction", on_compacted,
	          storage);
}

static void on_timer(struct loop_timer *timer)
{
	struct storage *storage = container_of(timer, struct storage, compactor.timer);
	struct compactor *compactor = &storage->compactor;
	char text[24];
	int length = snprintf(text, sizeof(text), "%" PRId64, compactor->revision);
	struct etcd_bytes key = ETCD_TEXT(compact_key);
	struct etcd_compare compare = {
	        .result = ETCD_EQUAL, .target = ETCD_TARGET_VERSION, .key = key, .version = compactor->version};
	struct etcd_put_request put = {.key = key, .value = {text, (size_t)length}};
	struct etcd_range_request get = {.key = key};
	struct etcd_request_op success = {.put = &put}, failure = {.range = &get};
	struct etcd_txn_request request = {
	        .compare = {&compare, 1}, .success = {&success, 1}, .failure = {&failure, 1}};
	etcd_call(storage->etcd, ETCD_TXN, &request, STORAGE_CALL_TIMEOUT_NS, "update", "compaction", on_moved,
	          storage);
}

void compactor_init(struct storage *storage, int64_t interval_ns)
{
	storage->compactor.interval_ns = interval_ns;
	if (interval_ns > 0)
		loop_timer_start(storage->loop, &storage->compactor.timer, interval_ns, on_timer);
}

void compactor_done(struct storage *storage)
{
	loop_timer_stop(&storage->compactor.timer);
}
