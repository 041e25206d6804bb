// SPDX-License-Identifier: Apache-2.0
//
// The storage against a real etcd: writes, consistent and exact reads, watches,
// and what happens around them: etcd killed, compacted, restored, the storage
// restarted. At the end a random walk whose watches are compared with etcd's own
// history.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/api/json.h"
#include "common/base/encode.h"
#include "tests/unit/apiserver/storage_fixture.h"

// --- watches -------------------------------------------------------------------------

struct watcher {
	struct storage_watch *watch;
	struct storage_watch_config config;
	bool got; // enough
	size_t count;
	size_t wanted;
	struct seen {
		enum storage_event_type type;
		int64_t revision;
		char name[64];
		bool had_previous;
		char node[32];
		char previous_node[32];
	} seen[512];
	int64_t progress;
	bool ended;
	enum err_code end_code;
};

static void on_readable(void *context)
{
	struct watcher *watcher = context;
	struct storage_event event;
	struct err err = ERR_INIT;
	while (storage_watch_next(watcher->watch, &event, &err)) {
		if (event.type == STORAGE_EVENT_PROGRESS) {
			watcher->progress = event.revision;
			continue;
		}
		assert_true(watcher->count < ARRAY_SIZE(watcher->seen));
		struct seen *seen = &watcher->seen[watcher->count++];
		seen->type = event.type;
		seen->revision = event.revision;
		assert_true(event.object->revision == event.revision);
		snprintf(seen->name, sizeof(seen->name), "%s/%s", event.object->namespace_name, event.object->name);
		seen->had_previous = event.previous != NULL;
		if (watcher->config.resource == &pods) {
			snprintf(seen->node, sizeof(seen->node), "%s", event.object->fields[0]);
			if (event.previous)
				snprintf(seen->previous_node, sizeof(seen->previous_node), "%s",
				         event.previous->fields[0]);
		}
	}
	if (err.code) {
		watcher->ended = true;
		watcher->end_code = err.code;
	}
	watcher->got = watcher->ended || (watcher->wanted && watcher->count >= watcher->wanted);
}

static int watch_pods(struct world *world, struct watcher *watcher, const char *namespace_name, const char *name,
                      const char *node, int64_t after, struct err *err)
{
	watcher->config = (struct storage_watch_config){
	        .resource = &pods,
	        .namespace_name = namespace_name,
	        .name = name,
	        .field_label = node ? "spec.nodeName" : NULL,
	        .field_value = node,
	        .after_revision = after,
	        .loop = world->loop,
	        .readable = on_readable,
	        .context = watcher,
	};
	return storage_watch_open(world->storage, &watcher->config, &watcher->watch, err);
}

static void must_watch_pods(struct world *world, struct watcher *watcher, const char *namespace_name, const char *name,
                            const char *node, int64_t after)
{
	struct err err = ERR_INIT;
	*watcher = (struct watcher){0};
	if (watch_pods(world, watcher, namespace_name, name, node, after, &err))
		fail_msg("watch: %s", err.message);
}

static void wait_events(struct world *world, struct watcher *watcher, size_t wanted)
{
	watcher->wanted = wanted;
	watcher->got = watcher->count >= wanted;
	wait_until(world, &watcher->got);
	assert_false(watcher->ended);
	assert_int_equal(watcher->count, wanted);
}

// --- writes and reads -----------------------------------------------------------------

static void check_json(const struct stored_object *object)
{
	struct arena *arena = arena_new(0);
	struct json *tree;
	struct err err = ERR_INIT;
	char revision[24];
	snprintf(revision, sizeof(revision), "%" PRId64, object->revision);
	if (json_parse(arena, object->json->data, object->json->length, NULL, &tree, &err))
		fail_msg("%s: %s", err.message, object->json->data);
	assert_string_equal(json_get_text(json_get(tree, "metadata"), "resourceVersion"), revision);
	arena_free(arena);
}

static void test_writes(void **state)
{
	struct world *world = *state;
	storage_start(world);
	int64_t created = write_pod(world, STORAGE_CREATE, "ns", "a", "n1", 0);
	struct result again = write_object(world, STORAGE_CREATE, &pods, "ns", "a", "{}", 0, 0);
	assert_int_equal(again.code, ERR_ALREADY_EXISTS);
	assert_string_equal(again.message, "pods \"a\" already exists");
	struct result got = get_object(world, &pods, "ns", "a", STORAGE_CONSISTENT, 0);
	assert_int_equal(got.code, 0);
	assert_true(got.object->revision == created && got.revision >= created);
	assert_string_equal(got.object->namespace_name, "ns");
	assert_string_equal(got.object->uid, "u-a");
	assert_string_equal(got.object->labels[0], "a");
	assert_string_equal(got.object->labels[3], "2");
	assert_null(got.object->labels[4]);
	assert_string_equal(got.object->fields[0], "n1");
	assert_string_equal(got.object->fields[1], "Running");
	check_json(got.object);
	result_done(&got);

	int64_t updated = write_pod(world, STORAGE_UPDATE, "ns", "a", "n2", created);
	struct result stale = write_object(world, STORAGE_UPDATE, &pods, "ns", "a", "{}", created, 0);
	assert_int_equal(stale.code, ERR_CONFLICT);
	stale = write_object(world, STORAGE_DELETE, &pods, "ns", "a", NULL, created, 0);
	assert_int_equal(stale.code, ERR_CONFLICT);
	struct result missing = write_object(world, STORAGE_UPDATE, &widgets, "ns", "a", "{}", 1, 0);
	assert_int_equal(missing.code, ERR_NOT_FOUND); // not a resource of this storage
	missing = write_object(world, STORAGE_UPDATE, &nodes, "", "a", "{}", 1, 0);
	assert_int_equal(missing.code, ERR_NOT_FOUND);
	assert_string_equal(missing.message, "nodes \"a\" not found");

	struct result gone = write_object(world, STORAGE_DELETE, &pods, "ns", "a", NULL, updated, 0);
	assert_int_equal(gone.code, 0);
	assert_true(gone.revision == updated + 1 && gone.object->revision == updated + 1);
	assert_string_equal(gone.object->fields[0], "n2");
	check_json(gone.object);
	result_done(&gone);
	got = get_object(world, &pods, "ns", "a", STORAGE_CONSISTENT, 0);
	assert_int_equal(got.code, ERR_NOT_FOUND);
	assert_string_equal(got.message, "pods \"a\" not found");

	// Odd texts: no metadata, empty metadata, a resourceVersion of its own, spaces, brackets in strings.
	static const char *const odd[] = {
	        "{}", "{\"metadata\":{}}", "{ \"a\" : \"\\\"metadata\\\":{\", \"metadata\" : { } }",
	        "{\"metadata\":{\"resourceVersion\":\"1\",\"name\":\"x\"},\"b\":[{\"metadata\":{}}]}",
	        "{\"x\":{\"metadata\":{\"y\":1}},\"metadata\":{\"name\":\"{[\"}}"};
	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		char name[16];
		snprintf(name, sizeof(name), "odd%zu", i);
		struct result result = write_object(world, STORAGE_CREATE, &services, "ns", name, odd[i], 0, 0);
		assert_int_equal(result.code, 0);
		check_json(result.object);
		result_done(&result);
	}

	// Leases are shared, and an event's key hangs on one.
	struct result leased = write_object(world, STORAGE_CREATE, &services, "ns", "e1", "{}", 0, 3600);
	result_done(&leased);
	leased = write_object(world, STORAGE_CREATE, &services, "ns", "e2", "{}", 0, 3600);
	result_done(&leased);
	int64_t lease = raw_get(world, "/registry/services/specs/ns/e1").lease;
	assert_int_not_equal(lease, 0);
	assert_true(raw_get(world, "/registry/services/specs/ns/e2").lease == lease);
}

// Several clusters in one etcd.
static void test_other_prefix(void **state)
{
	struct world *world = *state;
	world->prefix = "clusters/one";
	storage_start(world);
	raw_put(world, "/registry/pods/a/other", "{}", 2);
	int64_t written = write_pod(world, STORAGE_CREATE, "a", "x", "n1", 0);
	assert_int_equal(raw_get(world, "/clusters/one/pods/a/x").count, 1);
	struct storage_read read = {.resource = &pods, .freshness = STORAGE_CONSISTENT};
	struct result all = list_objects(world, &read);
	assert_true(all.count == 1 && all.objects[0]->revision == written);
	result_done(&all);
}

static void expect_names(const struct result *result, const char *names)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(1 << 16);
	for (size_t i = 0; i < result->count; i++)
		strbuf_printf(&text, "%s%s/%s", i ? " " : "", result->objects[i]->namespace_name,
		              result->objects[i]->name);
	assert_string_equal(strbuf_text(&text), names);
}

static void test_lists(void **state)
{
	struct world *world = *state;
	storage_start(world);
	static const char *const places[][3] = {
	        {"a", "x", "n1"}, {"a-b", "y", "n2"}, {"a", "z", "n2"}, {"a0", "w", "n1"}, {"b", "v", "n2"}};
	int64_t last = 0;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		last = write_pod(world, STORAGE_CREATE, places[i][0], places[i][1], places[i][2], 0);
	struct storage_read read = {.resource = &pods, .freshness = STORAGE_CONSISTENT};
	struct result all = list_objects(world, &read);
	expect_names(&all, "a-b/y a/x a/z a0/w b/v"); // the order of keys, as etcd's
	assert_true(all.revision >= last && !all.more);
	int64_t revision = all.revision;
	result_done(&all);
	read.namespace_name = "a";
	struct result some = list_objects(world, &read);
	expect_names(&some, "a/x a/z");
	result_done(&some);
	read.field_label = "spec.nodeName";
	read.field_value = "n2";
	some = list_objects(world, &read);
	expect_names(&some, "a/z");
	result_done(&some);
	read.namespace_name = "";
	read.limit = 2;
	some = list_objects(world, &read);
	expect_names(&some, "a-b/y a/z");
	assert_true(some.more && some.remaining == 1);
	result_done(&some);
	read.field_label = "status.phase"; // not indexed
	read.field_value = "Running";
	read.limit = 4;
	some = list_objects(world, &read);
	assert_true(some.count == 4 && some.more && some.remaining == 1);
	result_done(&some);
	read = (struct storage_read){.resource = &pods, .freshness = STORAGE_CONSISTENT, .limit = 2};
	some = list_objects(world, &read);
	expect_names(&some, "a-b/y a/x");
	assert_true(some.more && some.remaining == 3);
	result_done(&some);

	// The next pages are of the same revision: from the cache while nothing changed, then from etcd.
	for (int changed = 0; changed < 2; changed++) {
		if (changed) {
			write_pod(world, STORAGE_CREATE, "a", "y", "n1", 0);
			struct result seen = get_object(world, &pods, "a", "y", STORAGE_CONSISTENT, 0);
			result_done(&seen);
		}
		read.freshness = STORAGE_EXACT;
		read.revision = revision;
		read.continue_key = "a/x";
		some = list_objects(world, &read);
		expect_names(&some, "a/z a0/w");
		assert_true(some.more && some.remaining == 1 && some.revision == revision);
		result_done(&some);
		read.continue_key = "a0/w";
		some = list_objects(world, &read);
		expect_names(&some, "b/v");
		assert_true(!some.more && some.remaining == 0);
		result_done(&some);
	}
	struct result old = get_object(world, &pods, "a", "y", STORAGE_EXACT, revision);
	assert_int_equal(old.code, ERR_NOT_FOUND);

	// Not older, newer than there is, and compacted.
	read = (struct storage_read){.resource = &pods, .freshness = STORAGE_NOT_OLDER, .revision = revision + 1};
	some = list_objects(world, &read);
	assert_true(some.count == 6 && some.revision >= revision + 1);
	result_done(&some);
	read.revision = revision + 1000000;
	some = list_objects(world, &read);
	assert_int_equal(some.code, ERR_TIMEOUT);
	char expected[100];
	snprintf(expected, sizeof(expected), "Too large resource version: %" PRId64 ", current: %" PRId64,
	         revision + 1000000, revision + 1);
	assert_string_equal(some.message, expected);
	assert_int_equal(raw_compact(world, revision + 1).code, 0);
	read = (struct storage_read){
	        .resource = &pods, .freshness = STORAGE_EXACT, .revision = revision, .limit = 2, .continue_key = "a/x"};
	some = list_objects(world, &read);
	assert_int_equal(some.code, ERR_EXPIRED);

	// Looks, without waiting.
	struct stored_object *object = storage_peek(world->storage, &pods, "a", "x");
	assert_non_null(object);
	stored_object_unref(object);
	assert_null(storage_peek(world->storage, &pods, "a", "nobody"));
	struct stored_object **objects;
	size_t count = storage_peek_all(world->storage, &pods, "a", &objects);
	assert_int_equal(count, 3);
	for (size_t i = 0; i < count; i++)
		stored_object_unref(objects[i]);
	free(objects);
}

static void test_watches(void **state)
{
	struct world *world = *state;
	static struct watcher all, one_namespace, one_name, one_node;
	storage_start(world);
	storage_wait_ready(world);
	int64_t before = write_pod(world, STORAGE_CREATE, "a", "x", "n1", 0);
	must_watch_pods(world, &all, "", NULL, NULL, before);
	must_watch_pods(world, &one_namespace, "b", NULL, NULL, before);
	must_watch_pods(world, &one_name, "a", "x", NULL, before);
	must_watch_pods(world, &one_node, "", NULL, "n2", before);
	int64_t moved = write_pod(world, STORAGE_UPDATE, "a", "x", "n2", before);
	int64_t other = write_pod(world, STORAGE_CREATE, "b", "x", "n1", 0);
	moved = write_pod(world, STORAGE_UPDATE, "a", "x", "n1", moved);
	struct result gone = write_object(world, STORAGE_DELETE, &pods, "b", "x", NULL, other, 0);
	wait_events(world, &all, 4);
	assert_true(all.seen[0].type == STORAGE_EVENT_PUT && all.seen[0].had_previous);
	assert_true(all.seen[1].type == STORAGE_EVENT_PUT && !all.seen[1].had_previous);
	assert_true(all.seen[3].type == STORAGE_EVENT_DELETED && all.seen[3].revision == gone.revision);
	result_done(&gone);
	wait_events(world, &one_namespace, 2);
	wait_events(world, &one_name, 2);
	wait_events(world, &one_node, 2); // came and left
	assert_string_equal(one_node.seen[0].node, "n2");
	assert_string_equal(one_node.seen[0].previous_node, "n1");
	assert_string_equal(one_node.seen[1].node, "n1");
	assert_string_equal(one_node.seen[1].previous_node, "n2");

	// A write elsewhere moves the watch on: it reports its progress.
	int64_t elsewhere = raw_put(world, "/elsewhere", "x", 1).revision;
	int64_t limit = loop_now_ns(world->loop) + 30 * NSEC_PER_SEC;
	while (one_namespace.progress < elsewhere && loop_now_ns(world->loop) < limit)
		loop_turn(world->loop, 100 * NSEC_PER_MSEC);
	assert_true(one_namespace.progress >= elsewhere);
	struct watcher *watchers[] = {&all, &one_namespace, &one_name, &one_node};
	for (size_t i = 0; i < ARRAY_SIZE(watchers); i++)
		assert_null(storage_watch_close(watchers[i]->watch));

	// A resource that leaves ends its watches; one that comes is listed.
	struct watcher last;
	struct err err = ERR_INIT;
	must_watch_pods(world, &last, "", NULL, NULL, moved);
	storage_remove_resource(world->storage, &pods);
	last.got = last.ended;
	wait_until(world, &last.got);
	assert_true(last.ended);
	storage_watch_close(last.watch);
	assert_int_equal(watch_pods(world, &last, "", NULL, NULL, moved, &err), -ERR_NOT_FOUND);
	storage_add_resource(world->storage, &pods);
	struct result back = get_object(world, &pods, "a", "x", STORAGE_CONSISTENT, 0);
	assert_int_equal(back.code, 0);
	result_done(&back);
}

// --- faults ---------------------------------------------------------------------------

static void test_restart_keeps_history(void **state)
{
	struct world *world = *state;
	struct watcher watcher;
	struct err err = ERR_INIT;
	storage_start(world);
	storage_wait_ready(world);
	int64_t first = write_pod(world, STORAGE_CREATE, "a", "x", "n1", 0);
	int64_t second = write_pod(world, STORAGE_UPDATE, "a", "x", "n2", first);
	struct result gone = write_object(world, STORAGE_DELETE, &pods, "a", "x", NULL, second, 0);
	result_done(&gone);
	write_pod(world, STORAGE_CREATE, "a", "y", "n2", 0);
	world->storage = storage_free(world->storage);
	storage_start(world);
	storage_wait_ready(world);
	must_watch_pods(world, &watcher, "", NULL, NULL, first);
	wait_events(world, &watcher, 3);
	assert_true(watcher.seen[0].revision == second && watcher.seen[0].had_previous);
	assert_string_equal(watcher.seen[0].previous_node, "n1");
	assert_int_equal(watcher.seen[1].type, STORAGE_EVENT_DELETED);
	assert_string_equal(watcher.seen[1].previous_node, "n2");
	assert_string_equal(watcher.seen[2].name, "a/y");
	storage_watch_close(watcher.watch);

	// What etcd has compacted is gone for the next one.
	assert_int_equal(raw_compact(world, second).code, 0);
	world->storage = storage_free(world->storage);
	storage_start(world);
	storage_wait_ready(world);
	assert_int_equal(watch_pods(world, &watcher, "", NULL, NULL, first, &err), -ERR_EXPIRED);
	must_watch_pods(world, &watcher, "", NULL, NULL, second);
	wait_events(world, &watcher, 2);
	assert_int_equal(watcher.seen[0].type, STORAGE_EVENT_DELETED);
	storage_watch_close(watcher.watch);
}

static void test_unreadable_values(void **state)
{
	struct world *world = *state;
	struct watcher watcher;
	int64_t after = raw_put(world, "/registry/pods/a/proto", "k8s\0\n\x0b", 6).revision;
	raw_put(world, "/registry/pods/a/junk", "{\"metadata\":", 12);
	raw_put(world, "/registry/pods/a/secret", "k8s:enc:aescbc:v1:k:xxxx", 24);
	raw_put(world, "/registry/pods/", "{}", 2);
	raw_put(world, "/registry/podsx/a", "{}", 2);
	raw_put(world, "/registry/pods/a/nul\0x", "{}", 2);
	storage_start(world);
	storage_wait_ready(world);
	must_watch_pods(world, &watcher, "", NULL, NULL, after);
	struct storage_read read = {.resource = &pods, .freshness = STORAGE_CONSISTENT};
	write_pod(world, STORAGE_CREATE, "a", "good", "n1", 0);
	raw_put(world, "/registry/pods/a/junk", "{\"metadata\":{\"name\":\"junk\"}}", 28);
	raw_put(world, "/registry/pods/a/good", "nonsense", 8);
	struct result all = list_objects(world, &read);
	expect_names(&all, "a/junk a/nul");
	result_done(&all);
	wait_events(world, &watcher, 4);
	assert_string_equal(watcher.seen[0].name, "a/nul");
	assert_string_equal(watcher.seen[1].name, "a/good");
	assert_string_equal(watcher.seen[2].name, "a/junk");
	assert_int_equal(watcher.seen[3].type, STORAGE_EVENT_DELETED); // can't be read any more
	storage_watch_close(watcher.watch);
}

static void test_etcd_killed(void **state)
{
	struct world *world = *state;
	struct watcher watcher;
	storage_start(world);
	int64_t first = write_pod(world, STORAGE_CREATE, "a", "x", "n1", 0);
	storage_wait_ready(world);
	must_watch_pods(world, &watcher, "", NULL, NULL, first);
	etcd_fixture_kill(&world->etcd_server);
	int64_t start = loop_now_ns(world->loop);
	struct result refused = {0};
	// In the first moment the connection may still look alive: then it is "perhaps".
	do
		refused = write_object(world, STORAGE_UPDATE, &pods, "a", "x", "{}", first, 0);
	while (refused.code == ERR_TIMEOUT);
	assert_int_equal(refused.code, ERR_UNAVAILABLE);
	assert_true(loop_now_ns(world->loop) - start < 8 * NSEC_PER_SEC);
	assert_false(storage_etcd_healthy(world->storage));
	struct result got = get_object(world, &pods, "a", "x", STORAGE_CONSISTENT, 0);
	assert_int_equal(got.code, ERR_UNAVAILABLE);
	got = get_object(world, &pods, "a", "x", STORAGE_ANY, 0);
	assert_int_equal(got.code, 0);
	result_done(&got);
	etcd_fixture_start(&world->etcd_server);
	do
		refused = get_object(world, &pods, "a", "x", STORAGE_CONSISTENT, 0);
	while (refused.code);
	result_done(&refused);
	write_pod(world, STORAGE_UPDATE, "a", "x", "n2", first);
	wait_events(world, &watcher, 1); // the same watch, nothing missed
	assert_string_equal(watcher.seen[0].node, "n2");
	storage_watch_close(watcher.watch);
}

// Behind the storage's back: etcd on other ports.
static void meddle(struct world *world, void (*action)(struct world *world))
{
	struct etcd_fixture *server = &world->etcd_server;
	struct etcd_fixture usual = *server;
	etcd_fixture_kill(server);
	server->client_port = free_port();
	snprintf(server->endpoint, sizeof(server->endpoint), "http://127.0.0.1:%d", server->client_port);
	etcd_fixture_start(server);
	raw_connect(world);
	action(world);
	etcd_fixture_kill(server);
	world->etcd = etcd_free(world->etcd);
	*server = usual;
	server->endpoints[0] = server->endpoint;
	etcd_fixture_start(server);
	raw_connect(world);
}

static void write_and_compact(struct world *world)
{
	raw_put(world, "/registry/pods/a/x", NULL, 0);
	raw_put(world, "/registry/pods/a/new", "{}", 2);
	int64_t last = raw_put(world, "/registry/pods/a/newer", "{}", 2).revision;
	assert_int_equal(raw_compact(world, last).code, 0);
}

static void test_compacted_meanwhile(void **state)
{
	struct world *world = *state;
	struct watcher watcher;
	storage_start(world);
	int64_t first = write_pod(world, STORAGE_CREATE, "a", "x", "n1", 0);
	storage_wait_ready(world);
	must_watch_pods(world, &watcher, "", NULL, NULL, first);
	meddle(world, write_and_compact);
	watcher.got = watcher.ended;
	wait_until(world, &watcher.got);
	assert_int_equal(watcher.end_code, ERR_EXPIRED);
	storage_watch_close(watcher.watch);
	struct storage_read read = {.resource = &pods, .freshness = STORAGE_CONSISTENT};
	struct result all;
	while ((all = list_objects(world, &read)).code)
		;
	expect_names(&all, "a/new a/newer");
	must_watch_pods(world, &watcher, "", NULL, NULL, all.revision);
	result_done(&all);
	write_pod(world, STORAGE_CREATE, "a", "last", "n1", 0);
	wait_events(world, &watcher, 1);
	storage_watch_close(watcher.watch);
}

static void test_etcd_replaced_by_older(void **state)
{
	struct world *world = *state;
	storage_start(world);
	for (int i = 0; i < 5; i++) {
		char name[8];
		snprintf(name, sizeof(name), "p%d", i);
		write_pod(world, STORAGE_CREATE, "a", name, "n1", 0);
	}
	storage_wait_ready(world);
	etcd_fixture_kill(&world->etcd_server);
	char command[160];
	snprintf(command, sizeof(command), "rm -rf %s/data", world->etcd_server.directory);
	assert_int_equal(system(command), 0);
	etcd_fixture_start(&world->etcd_server);
	raw_connect(world);
	raw_put(world, "/registry/pods/a/only", "{}", 2);
	struct storage_read read = {.resource = &pods, .freshness = STORAGE_CONSISTENT};
	struct result all = {0};
	int64_t limit = loop_now_ns(world->loop) + 30 * NSEC_PER_SEC;
	do {
		result_done(&all);
		all = list_objects(world, &read);
	} while ((all.code || all.count != 1) && loop_now_ns(world->loop) < limit);
	expect_names(&all, "a/only");
	result_done(&all);
}

static void test_compaction(void **state)
{
	struct world *world = *state;
	world->compaction_interval_ns = 100 * NSEC_PER_MSEC;
	storage_start(world);
	int64_t first = write_pod(world, STORAGE_CREATE, "a", "x", "n1", 0);
	int64_t second = write_pod(world, STORAGE_UPDATE, "a", "x", "n2", first);
	struct result old = {0};
	int64_t limit = loop_now_ns(world->loop) + 30 * NSEC_PER_SEC;
	do {
		result_done(&old);
		old = get_object(world, &pods, "a", "x", STORAGE_EXACT, first);
	} while (old.code != ERR_EXPIRED && loop_now_ns(world->loop) < limit);
	assert_int_equal(old.code, ERR_EXPIRED);
	assert_true(raw_get(world, "compact_rev_key").version >= 2);
	struct result got = get_object(world, &pods, "a", "x", STORAGE_CONSISTENT, 0);
	assert_true(got.object && got.object->revision == second);
	result_done(&got);
}

// etcd lets the client's certificate touch the prefix alone.
static void test_limited_permissions(void **state)
{
	struct world *world = *state;
	struct etcd_fixture *server = &world->etcd_server;
	struct watcher watcher;
	char command[2048];
	etcd_fixture_kill(server);
	world->etcd = etcd_free(world->etcd);
	etcd_fixture_make_certificates(server);
	etcd_fixture_start(server);
	snprintf(command, sizeof(command),
	         "cd %s && exec >>ctl.log 2>&1; export ETCDCTL_API=3; ctl() { etcdctl --endpoints %s --cacert ca.crt "
	         "--cert root.crt --key root.key \"$@\"; }; for i in 1 2 3 4 5; do ctl endpoint health && break; done; "
	         "ctl user add root --no-password && ctl user add client --no-password && ctl role add limited && "
	         "ctl role grant-permission limited readwrite --prefix=true /registry/ && "
	         "ctl user grant-role client limited && ctl role add root; ctl user grant-role root root && ctl auth "
	         "enable",
	         server->directory, server->endpoint);
	if (system(command) != 0)
		fail_msg("%s", command);
	storage_start(world);
	int64_t first = write_pod(world, STORAGE_CREATE, "a", "x", "n1", 0);
	struct result got = get_object(world, &pods, "a", "x", STORAGE_CONSISTENT, 0);
	assert_int_equal(got.code, 0);
	result_done(&got);
	must_watch_pods(world, &watcher, "", NULL, NULL, first);
	snprintf(command, sizeof(command),
	         "cd %s && ETCDCTL_API=3 etcdctl --endpoints %s --cacert ca.crt --cert root.crt --key root.key put "
	         "/elsewhere x "
	         ">>ctl.log 2>&1",
	         server->directory, server->endpoint);
	assert_int_equal(system(command), 0);
	// A write elsewhere makes no event here, and still no read waits for it.
	struct storage_read read = {.resource = &pods, .freshness = STORAGE_CONSISTENT};
	got = list_objects(world, &read);
	assert_true(got.code == 0 && got.count == 1 && got.revision > first + 1);
	result_done(&got);
	write_pod(world, STORAGE_UPDATE, "a", "x", "n2", first);
	wait_events(world, &watcher, 1);
	storage_watch_close(watcher.watch);
}

// Calls that are under way when the storage ends are answered.
static void test_free_answers_all(void **state)
{
	struct world *world = *state;
	struct result results[6] = {0};
	storage_start(world);
	storage_wait_ready(world);
	etcd_fixture_kill(&world->etcd_server);
	struct storage_read reads[] = {
	        {.resource = &pods, .name = "x", .freshness = STORAGE_CONSISTENT},
	        {.resource = &pods, .name = "x", .freshness = STORAGE_NOT_OLDER, .revision = 1000},
	        {.resource = &pods, .name = "x", .freshness = STORAGE_EXACT, .revision = 1000},
	};
	for (size_t i = 0; i < 3; i++)
		storage_get(world->storage, &reads[i], world->loop, on_got, &results[i]);
	struct storage_write write = {.resource = &pods, .name = "x"};
	for (size_t i = 3; i < 6; i++) {
		write.json = blob_new("{}", 2);
		write.lease_seconds = i == 5 ? 60 : 0;
		storage_write(world->storage, &write, world->loop, on_written, &results[i]);
	}
	world->storage = storage_free(world->storage);
	loop_turn(world->loop, 0);
	for (size_t i = 0; i < 6; i++) {
		assert_true(results[i].done);
		assert_true(results[i].code == ERR_UNAVAILABLE || results[i].code == ERR_TIMEOUT);
	}
}

#include "tests/unit/apiserver/storage_random.h"

int main(int argc, char **argv)
{
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
#define WORLD_TEST(test) cmocka_unit_test_setup_teardown(test, world_set_up, world_tear_down)
	const struct CMUnitTest tests[] = {
	        WORLD_TEST(test_writes),
	        WORLD_TEST(test_other_prefix),
	        WORLD_TEST(test_lists),
	        WORLD_TEST(test_watches),
	        WORLD_TEST(test_restart_keeps_history),
	        WORLD_TEST(test_unreadable_values),
	        WORLD_TEST(test_etcd_killed),
	        WORLD_TEST(test_compacted_meanwhile),
	        WORLD_TEST(test_etcd_replaced_by_older),
	        WORLD_TEST(test_compaction),
	        WORLD_TEST(test_limited_permissions),
	        WORLD_TEST(test_free_answers_all),
	        WORLD_TEST(test_random),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
