// SPDX-License-Identifier: Apache-2.0
//
// etcd's messages and the client against a real etcd: every transport, the errors
// that matter, an etcd that goes away and comes back.
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "apiserver/storage/etcd.h"
#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/io/loop.h"
#include "tests/unit/apiserver/etcd_fixture.h"

struct answer {
	bool done;
	enum err_code code;
	char message[240];
	int64_t revision;
	bool succeeded;
	size_t kv_count;
	int64_t count;
	char value[64];
	int64_t lease;
};

static void note_error(struct answer *answer, const struct err *err)
{
	assert_false(answer->done);
	answer->done = true;
	if (err) {
		answer->code = err->code;
		memcpy(answer->message, err->message, sizeof(answer->message));
	}
}

static void note_kvs(struct answer *answer, const struct etcd_range_response *range)
{
	answer->kv_count = range->kvs.count;
	answer->count = range->count;
	if (range->kvs.count) {
		const struct etcd_key_value *kv = range->kvs.items;
		snprintf(answer->value, sizeof(answer->value), "%.*s", (int)kv->value.length, kv->value.data);
		answer->lease = kv->lease;
	}
}

static void on_range(void *context, const void *response, const struct err *err)
{
	struct answer *answer = context;
	note_error(answer, err);
	if (err)
		return;
	const struct etcd_range_response *range = response;
	answer->revision = range->header->revision;
	note_kvs(answer, range);
}

static void on_txn(void *context, const void *response, const struct err *err)
{
	struct answer *answer = context;
	note_error(answer, err);
	if (err)
		return;
	const struct etcd_txn_response *txn = response;
	answer->revision = txn->header->revision;
	answer->succeeded = txn->succeeded;
	const struct etcd_response_op *op = txn->responses.items;
	if (txn->responses.count && op->range)
		note_kvs(answer, op->range);
}

static void on_grant(void *context, const void *response, const struct err *err)
{
	struct answer *answer = context;
	note_error(answer, err);
	if (!err)
		answer->lease = ((const struct etcd_lease_grant_response *)response)->id;
}

static void on_plain(void *context, const void *response, const struct err *err)
{
	(void)response;
	note_error(context, err);
}

static void wait_for(struct loop *loop, const bool *flag)
{
	int64_t limit = loop_now_ns(loop) + 20 * NSEC_PER_SEC;
	while (!*flag && loop_now_ns(loop) < limit)
		loop_turn(loop, 100 * NSEC_PER_MSEC);
	assert_true(*flag);
}

static struct answer range(struct loop *loop, struct etcd *etcd, const char *key, int64_t revision)
{
	struct answer answer = {0};
	struct etcd_range_request request = {.key = ETCD_TEXT(key), .revision = revision};
	etcd_call(etcd, ETCD_RANGE, &request, 10 * NSEC_PER_SEC, "get", "test", on_range, &answer);
	assert_false(answer.done);
	wait_for(loop, &answer.done);
	return answer;
}

static struct answer put_if(struct loop *loop, struct etcd *etcd, const char *key, const void *value, size_t length,
                            int64_t mod_revision, int64_t lease)
{
	struct answer answer = {0};
	struct etcd_compare compare = {.target = ETCD_TARGET_MOD, .key = ETCD_TEXT(key), .mod_revision = mod_revision};
	struct etcd_put_request put = {.key = ETCD_TEXT(key), .value = {value, length}, .lease = lease};
	struct etcd_range_request get = {.key = ETCD_TEXT(key)};
	struct etcd_request_op success = {.put = &put}, failure = {.range = &get};
	struct etcd_txn_request txn = {.compare = {&compare, 1}, .success = {&success, 1}, .failure = {&failure, 1}};
	etcd_call(etcd, ETCD_TXN, &txn, 10 * NSEC_PER_SEC, "update", "test", on_txn, &answer);
	wait_for(loop, &answer.done);
	return answer;
}

struct world {
	struct etcd_fixture fixture;
	struct loop *loop;
	struct etcd *etcd;
};

static void world_connect(struct world *world, const char *endpoint)
{
	struct err err = ERR_INIT;
	const char *endpoints[] = {endpoint, NULL};
	struct etcd_config config = {.endpoints = endpoints};
	if (world->fixture.with_tls) {
		config.tls.ca_file = world->fixture.ca_file;
		config.tls.certificate_file = world->fixture.certificate_file;
		config.tls.private_key_file = world->fixture.key_file;
	}
	if (etcd_new(world->loop, &config, &world->etcd, &err))
		fail_msg("%s", err.message);
	// Reads may be repeated until etcd serves.
	for (int i = 0; i < 20; i++)
		if (!range(world->loop, world->etcd, "nothing", 0).code)
			return;
	fail_msg("etcd at %s does not answer", endpoint);
}

static int set_up(void **state)
{
	struct world *world = NEW(struct world);
	struct err err = ERR_INIT;
	etcd_fixture_init(&world->fixture);
	assert_int_equal(loop_new(&clock_system, &world->loop, &err), 0);
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;
	etcd_free(world->etcd);
	loop_free(world->loop);
	etcd_fixture_done(&world->fixture);
	free(world);
	return 0;
}

static void round_trip(struct world *world)
{
	struct answer created = put_if(world->loop, world->etcd, "/a", "one", 3, 0, 0);
	assert_int_equal(created.code, 0);
	assert_true(created.succeeded);
	struct answer again = put_if(world->loop, world->etcd, "/a", "two", 3, 0, 0);
	assert_false(again.succeeded);
	assert_string_equal(again.value, "one");
	struct answer updated = put_if(world->loop, world->etcd, "/a", "two", 3, created.revision, 0);
	assert_true(updated.succeeded);
	assert_int_equal(updated.revision, created.revision + 1);
	assert_string_equal(range(world->loop, world->etcd, "/a", 0).value, "two");
	assert_string_equal(range(world->loop, world->etcd, "/a", created.revision).value, "one");
}

static void test_plain(void **state)
{
	struct world *world = *state;
	etcd_fixture_start(&world->fixture);
	world_connect(world, world->fixture.endpoint);
	round_trip(world);

	// A lease keeps its key; an unknown one is told apart.
	struct answer grant = {0};
	struct etcd_lease_grant_request lease = {.ttl_seconds = 60};
	etcd_call(world->etcd, ETCD_LEASE_GRANT, &lease, 10 * NSEC_PER_SEC, "lease", "test", on_grant, &grant);
	wait_for(world->loop, &grant.done);
	assert_int_not_equal(grant.lease, 0);
	assert_true(put_if(world->loop, world->etcd, "/leased", "x", 1, 0, grant.lease).succeeded);
	assert_true(range(world->loop, world->etcd, "/leased", 0).lease == grant.lease);
	struct answer unknown = put_if(world->loop, world->etcd, "/leased2", "x", 1, 0, 4711);
	struct err lease_err = ERR_INIT;
	(void)err_set(&lease_err, ERR_INTERNAL, "%s", unknown.message);
	assert_true(etcd_err_is_lease_not_found(&lease_err));

	// Compacted revisions expire, big requests are refused with etcd's words.
	struct answer now = range(world->loop, world->etcd, "/a", 0);
	struct answer compacted = {0};
	struct etcd_compaction_request compaction = {.revision = now.revision};
	etcd_call(world->etcd, ETCD_COMPACT, &compaction, 10 * NSEC_PER_SEC, "compact", "test", on_plain, &compacted);
	wait_for(world->loop, &compacted.done);
	assert_int_equal(compacted.code, 0);
	assert_int_equal(range(world->loop, world->etcd, "/a", now.revision - 1).code, ERR_EXPIRED);
	char *big = xcalloc(1, 4 << 20);
	struct answer large = put_if(world->loop, world->etcd, "/big", big, 4 << 20, 0, 0);
	assert_int_not_equal(large.code, 0);
	large = put_if(world->loop, world->etcd, "/big", big, 1600 * 1024, 0, 0);
	assert_int_equal(large.code, ERR_TOO_LARGE);
	assert_string_equal(large.message, "etcdserver: request is too large");
	// An answer larger than every flow-control window.
	for (int i = 0; i < 20; i++) {
		char key[24];
		snprintf(key, sizeof(key), "/many/%02d", i);
		assert_true(put_if(world->loop, world->etcd, key, big, 1400 * 1024, 0, 0).succeeded);
	}
	free(big);
	struct answer many = {0};
	struct etcd_range_request all = {.key = ETCD_TEXT("/many/"), .range_end = ETCD_TEXT("/many0")};
	etcd_call(world->etcd, ETCD_RANGE, &all, 10 * NSEC_PER_SEC, "list", "test", on_range, &many);
	wait_for(world->loop, &many.done);
	assert_int_equal(many.kv_count, 20);
}

static void test_tls(void **state)
{
	struct world *world = *state;
	etcd_fixture_make_certificates(&world->fixture);
	etcd_fixture_start(&world->fixture);
	world_connect(world, world->fixture.endpoint);
	round_trip(world);
}

static void test_unix_socket(void **state)
{
	struct world *world = *state;
	world->fixture.with_unix = true;
	etcd_fixture_start(&world->fixture);
	world_connect(world, world->fixture.unix_endpoint);
	round_trip(world);
}

struct heard {
	bool created, ended, enough;
	int64_t last_revision;
	int events;
	int wanted;
	bool had_previous;
};

static void on_watch(void *context, const struct etcd_watch_response *response)
{
	struct heard *heard = context;
	heard->created |= response->created;
	for (size_t i = 0; i < response->events.count; i++) {
		const struct etcd_event *event = (const struct etcd_event *)response->events.items + i;
		assert_true(event->kv->mod_revision > heard->last_revision);
		heard->last_revision = event->kv->mod_revision;
		heard->had_previous |= event->prev_kv != NULL;
		heard->events++;
	}
	heard->enough = heard->events >= heard->wanted;
}

static void on_watch_end(void *context, const struct err *err)
{
	assert_non_null(err);
	((struct heard *)context)->ended = true;
}

static void test_kill_and_return(void **state)
{
	struct world *world = *state;
	static const struct etcd_watch_callbacks callbacks = {on_watch, on_watch_end};
	// Not there yet: fails in a few seconds, certainly unsent.
	struct err err = ERR_INIT;
	struct etcd_config config = {.endpoints = world->fixture.endpoints};
	assert_int_equal(etcd_new(world->loop, &config, &world->etcd, &err), 0);
	assert_int_equal(range(world->loop, world->etcd, "/a", 0).code, ERR_UNAVAILABLE);

	etcd_fixture_start(&world->fixture);
	while (range(world->loop, world->etcd, "/a", 0).code)
		;
	struct heard heard = {.wanted = 2};
	struct etcd_watch_create_request create = {.key = {"\0", 1}, .range_end = {"\0", 1}, .prev_kv = true};
	struct etcd_watch *watch = etcd_watch_start(world->etcd, &create, &callbacks, &heard);
	wait_for(world->loop, &heard.created);
	struct answer first = put_if(world->loop, world->etcd, "/a", "one", 3, 0, 0);
	assert_true(put_if(world->loop, world->etcd, "/a", "two", 3, first.revision, 0).succeeded);
	wait_for(world->loop, &heard.enough);
	assert_true(heard.had_previous);
	assert_int_equal(heard.last_revision, first.revision + 1);

	// Killed in mid-air: the watch ends, a call in flight is told as perhaps done or surely not, all recovers.
	etcd_fixture_kill(&world->fixture);
	wait_for(world->loop, &heard.ended);
	struct answer lost = put_if(world->loop, world->etcd, "/a", "three", 5, first.revision + 1, 0);
	assert_int_equal(lost.code, ERR_UNAVAILABLE);
	etcd_fixture_start(&world->fixture);
	while (range(world->loop, world->etcd, "/a", 0).code)
		;
	assert_string_equal(range(world->loop, world->etcd, "/a", 0).value, "two");
	heard = (struct heard){.wanted = 2};
	create.start_revision = first.revision;
	watch = etcd_watch_start(world->etcd, &create, &callbacks, &heard);
	wait_for(world->loop, &heard.enough);
	assert_null(etcd_watch_cancel(watch));
}

static void test_messages(void **state)
{
	(void)state;
	struct arena *arena = arena_new(0);
	struct err err = ERR_INIT;
	struct etcd_compare compare = {.target = ETCD_TARGET_MOD, .key = ETCD_TEXT("/k"), .mod_revision = INT64_MAX};
	struct etcd_put_request put = {.key = ETCD_TEXT("/k"), .value = ETCD_TEXT("v"), .lease = -1};
	struct etcd_request_op op = {.put = &put};
	struct etcd_txn_request txn = {.compare = {&compare, 1}, .success = {&op, 1}}, back;
	AUTO_STRBUF struct strbuf out = STRBUF_INIT(1 << 20);
	protobuf_encode(&out, &etcd_txn_request_message, &txn);
	assert_int_equal(protobuf_decode(arena, &etcd_txn_request_message, out.data, out.length, &back, &err), 0);
	assert_int_equal(back.compare.count, 1);
	const struct etcd_compare *compare_back = back.compare.items;
	assert_true(compare_back->mod_revision == INT64_MAX);
	assert_true(((const struct etcd_request_op *)back.success.items)->put->lease == -1);
	// Every cut and every flipped byte is an error or another message, never a crash.
	for (size_t cut = 0; cut < out.length; cut++) {
		struct err cut_err = ERR_INIT;
		char *copy = xmemdup(out.data, cut ? cut : 1);
		if (protobuf_decode(arena, &etcd_txn_request_message, copy, cut, &back, &cut_err))
			assert_int_equal(cut_err.code, ERR_INTERNAL);
		free(copy);
	}
	for (size_t i = 0; i < out.length; i++) {
		for (int bit = 0; bit < 8; bit++) {
			struct err flip_err = ERR_INIT;
			char *copy = xmemdup(out.data, out.length);
			copy[i] ^= (char)(1 << bit);
			if (protobuf_decode(arena, &etcd_txn_request_message, copy, out.length, &back, &flip_err))
				assert_int_equal(flip_err.code, ERR_INTERNAL);
			free(copy);
		}
	}
	arena_free(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_messages),
	        cmocka_unit_test_setup_teardown(test_plain, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_tls, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_unix_socket, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_kill_and_return, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
