// SPDX-License-Identifier: Apache-2.0
// Candidates against a Lease that the test's server keeps with optimistic locking.

#include "tests/unit/api_fixture.h"

#include "common/client/leader_election.h"

enum {
	CANDIDATES = 3,
};

struct candidate {
	struct world *world;
	struct leader_election *election;
	unsigned started, lost;
	bool leading;
	char identity[8];
};

struct world {
	struct api_fixture api;
	struct arena *arena;
	struct json *lease; // NULL = none
	long version;
	bool silent; // no request is answered
	struct http_exchange *held[64];
	size_t held_count;
	bool refuses; // writes are answered 500
	unsigned reads, writes, conflicts;
	struct candidate candidates[CANDIDATES];
};

static void answer_lease(struct world *world, struct http_exchange *exchange)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(1 << 16);
	json_write(&text, world->lease);
	api_fixture_answer(exchange, 200, strbuf_text(&text));
}

static void store_lease(struct world *world, const struct http_request *request)
{
	struct err err = ERR_INIT;
	assert_int_equal(json_parse(world->arena, request->body, request->body_length, NULL, &world->lease, &err), 0);
	AUTO_FREE char *version = xasprintf("%ld", ++world->version);
	json_set_text(world->arena, json_ensure_object(world->arena, world->lease, "metadata"), "resourceVersion",
	              version);
}

static bool is_conflict(struct world *world, const struct http_request *request)
{
	struct json *sent;
	struct err err = ERR_INIT;
	assert_int_equal(json_parse(world->arena, request->body, request->body_length, NULL, &sent, &err), 0);
	const char *version = json_get_text(json_get(sent, "metadata"), "resourceVersion");
	return !version || atol(version) != world->version;
}

static void handle(void *context, struct http_exchange *exchange)
{
	struct world *world = context;
	const struct http_request *request = http_exchange_request(exchange);
	bool reads = strcmp(request->method, "GET") == 0;
	bool creates = strcmp(request->method, "POST") == 0;
	assert_string_equal(request->path, creates ? "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
	                                           : "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/x");
	if (world->silent) {
		assert_true(world->held_count < ARRAY_SIZE(world->held));
		world->held[world->held_count++] = http_exchange_ref(exchange);
		return;
	}
	world->reads += reads;
	world->writes += !reads;
	if (reads && world->lease) {
		answer_lease(world, exchange);
	} else if (reads) {
		api_fixture_answer_status(exchange, 404, "NotFound", "no lease");
	} else if (world->refuses) {
		api_fixture_answer_status(exchange, 500, "InternalError", "refused");
	} else if (creates && world->lease) {
		api_fixture_answer_status(exchange, 409, "AlreadyExists", "there is one");
	} else if (!creates && is_conflict(world, request)) {
		world->conflicts++;
		api_fixture_answer_status(exchange, 409, "Conflict", "the object has been modified");
	} else {
		store_lease(world, request);
		answer_lease(world, exchange);
	}
}

static unsigned leaders(const struct world *world)
{
	unsigned count = 0;
	for (int i = 0; i < CANDIDATES; i++)
		count += world->candidates[i].leading;
	return count;
}

static void on_started(void *context)
{
	struct candidate *candidate = context;
	candidate->started++;
	candidate->leading = true;
	assert_true(leader_election_is_leader(candidate->election));
	assert_int_equal(leaders(candidate->world), 1); // never two
}

static void on_lost(void *context)
{
	struct candidate *candidate = context;
	candidate->lost++;
	candidate->leading = false;
}

static void open_world(struct world *world)
{
	memset(world, 0, sizeof(*world));
	world->arena = arena_new(0);
	api_fixture_open(&world->api, handle, world);
	for (int i = 0; i < CANDIDATES; i++) {
		world->candidates[i].world = world;
		snprintf(world->candidates[i].identity, sizeof(world->candidates[i].identity), "c%d", i);
	}
}

static struct candidate *join(struct world *world, int index)
{
	struct candidate *candidate = &world->candidates[index];
	const struct leader_election_config config = {
	        .lease_namespace = "kube-system",
	        .lease_name = "x",
	        .identity = candidate->identity,
	        .on_started = on_started,
	        .on_lost = on_lost,
	        .context = candidate,
	};
	candidate->election = leader_election_new(world->api.client, &config);
	return candidate;
}

// Goes without being able to release anything: no server is there to hear of it.
static void vanish(struct world *world, struct candidate *candidate)
{
	int port = world->api.port;
	api_fixture_stop_server(&world->api);
	candidate->election = leader_election_free(candidate->election);
	candidate->leading = false;
	api_fixture_serve(&world->api, port, handle, world);
}

static void close_world(struct world *world)
{
	for (int i = 0; i < CANDIDATES; i++)
		world->candidates[i].election = leader_election_free(world->candidates[i].election);
	for (size_t i = 0; i < world->held_count; i++)
		http_exchange_unref(world->held[i]);
	api_fixture_close(&world->api);
	arena_free(world->arena);
}

static void pass(struct world *world, int64_t duration_ns)
{
	for (int64_t step = 0; step < duration_ns; step += 50 * NSEC_PER_MSEC)
		api_fixture_step(&world->api, 50 * NSEC_PER_MSEC);
}

static const char *spec_text(const struct world *world, const char *key)
{
	return json_get_text(json_get(world->lease, "spec"), key);
}

static int64_t spec_integer(const struct world *world, const char *key)
{
	int64_t value = -1;
	json_get_integer(json_get(world->lease, "spec"), key, &value);
	return value;
}

static void test_makes_and_renews_the_lease(void **state)
{
	(void)state;
	struct world world;
	open_world(&world);
	struct candidate *candidate = join(&world, 0);
	api_fixture_until(&world.api, candidate->leading);
	assert_string_equal(spec_text(&world, "holderIdentity"), "c0");
	assert_int_equal(spec_integer(&world, "leaseDurationSeconds"), 15);
	assert_int_equal(spec_integer(&world, "leaseTransitions"), 0);
	AUTO_FREE char *acquired = xstrdup(spec_text(&world, "acquireTime"));
	AUTO_FREE char *renewed = xstrdup(spec_text(&world, "renewTime"));
	assert_int_equal(strlen(renewed), strlen("2006-01-02T15:04:05.000000Z"));
	// What this program doesn't know survives its writes.
	json_set_text(world.arena, json_ensure_object(world.arena, world.lease, "metadata"), "foreign", "kept");
	unsigned reads = world.reads;
	world.version++; // somebody wrote in between: the quick way fails, the long one succeeds
	AUTO_FREE char *version = xasprintf("%ld", world.version);
	json_set_text(world.arena, json_get(world.lease, "metadata"), "resourceVersion", version);
	pass(&world, 20 * NSEC_PER_SEC);
	assert_int_equal(world.conflicts, 1);
	assert_int_equal(world.reads, reads + 1);
	assert_in_range(world.writes, 8, 13);
	assert_string_equal(spec_text(&world, "acquireTime"), acquired);
	assert_true(strcmp(spec_text(&world, "renewTime"), renewed) > 0);
	assert_string_equal(json_get_text(json_get(world.lease, "metadata"), "foreign"), "kept");
	assert_int_equal(candidate->started, 1);
	// Released at the end.
	candidate->election = leader_election_free(candidate->election);
	assert_string_equal(spec_text(&world, "holderIdentity"), "");
	assert_int_equal(spec_integer(&world, "leaseDurationSeconds"), 1);
	close_world(&world);
}

static void test_another_takes_over_after_the_lease(void **state)
{
	(void)state;
	struct world world;
	open_world(&world);
	struct candidate *first = join(&world, 0);
	api_fixture_until(&world.api, first->leading);
	join(&world, 1);
	join(&world, 2);
	pass(&world, 40 * NSEC_PER_SEC);
	assert_true(first->leading);
	assert_int_equal(leaders(&world), 1);
	vanish(&world, first);
	int64_t since_ns = loop_now_ns(world.api.loop);
	api_fixture_until(&world.api, leaders(&world) == 1);
	int64_t waited_ns = loop_now_ns(world.api.loop) - since_ns;
	assert_in_range(waited_ns / NSEC_PER_SEC, 10, 25);
	assert_int_equal(spec_integer(&world, "leaseTransitions"), 1);
	close_world(&world);
}

static void test_released_lease_is_taken_at_once(void **state)
{
	(void)state;
	struct world world;
	open_world(&world);
	struct candidate *first = join(&world, 0);
	api_fixture_until(&world.api, first->leading);
	struct candidate *second = join(&world, 1);
	pass(&world, 10 * NSEC_PER_SEC);
	first->leading = false;
	first->election = leader_election_free(first->election);
	int64_t since_ns = loop_now_ns(world.api.loop);
	api_fixture_until(&world.api, second->leading);
	assert_in_range((loop_now_ns(world.api.loop) - since_ns) / NSEC_PER_SEC, 0, 6);
	close_world(&world);
}

static void test_leader_that_cannot_renew_steps_down(void **state)
{
	(void)state;
	for (int refuses = 0; refuses < 2; refuses++) {
		struct world world;
		open_world(&world);
		struct candidate *candidate = join(&world, 0);
		api_fixture_until(&world.api, candidate->leading);
		world.silent = !refuses;
		world.refuses = refuses;
		int64_t since_ns = loop_now_ns(world.api.loop);
		api_fixture_until(&world.api, candidate->lost == 1);
		int64_t waited_ns = loop_now_ns(world.api.loop) - since_ns;
		assert_in_range(waited_ns / NSEC_PER_MSEC, 7000, 12500);
		assert_false(leader_election_is_leader(candidate->election));
		pass(&world, 30 * NSEC_PER_SEC);
		assert_int_equal(candidate->lost, 1);
		assert_int_equal(candidate->started, 1);
		close_world(&world);
	}
}

static void test_leader_that_was_replaced_steps_down(void **state)
{
	(void)state;
	struct world world;
	open_world(&world);
	struct candidate *candidate = join(&world, 0);
	api_fixture_until(&world.api, candidate->leading);
	json_set_text(world.arena, json_get(world.lease, "spec"), "holderIdentity", "somebody");
	AUTO_FREE char *version = xasprintf("%ld", ++world.version);
	json_set_text(world.arena, json_get(world.lease, "metadata"), "resourceVersion", version);
	api_fixture_until(&world.api, candidate->lost == 1);
	assert_string_equal(spec_text(&world, "holderIdentity"), "somebody");
	close_world(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_makes_and_renews_the_lease),
	        cmocka_unit_test(test_another_takes_over_after_the_lease),
	        cmocka_unit_test(test_released_lease_is_taken_at_once),
	        cmocka_unit_test(test_leader_that_cannot_renew_steps_down),
	        cmocka_unit_test(test_leader_that_was_replaced_steps_down),
	};
	return cmocka_run_group_tests_name("leader_election", tests, NULL, NULL);
}
