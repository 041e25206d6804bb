// SPDX-License-Identifier: Apache-2.0
// The whole scheduler against an API server of the test's own that keeps pods and
// nodes, answers bindings as the real one does, and fails on request.

#include "tests/unit/api_fixture.h"

#include "common/api/object.h"
#include "common/api/yaml.h"
#include "common/base/metrics.h"
#include "scheduler/scheduler.h"

enum {
	MAX_OBJECTS = 128,
	MAX_WATCHERS = 16,
};

struct stored {
	struct json *tree; // NULL = free place
	bool is_node;
};

struct watcher {
	struct world *world;
	struct http_exchange *exchange;
	bool nodes;
};

struct world {
	struct api_fixture api;
	struct arena *arena;
	struct stored objects[MAX_OBJECTS];
	long revision;
	struct watcher *watchers[MAX_WATCHERS];
	struct scheduler *scheduler;
	struct metrics_registry *metrics;
	unsigned synced;
	unsigned bindings, refused_bindings;
	unsigned fail_bindings; // answered 500
	unsigned lose_answers;  // done, but cut off
	unsigned scheduled_events, failed_events;
	char last_event[512];
	char last_condition[512];
	unsigned conditions;
};

// --- the server ---------------------------------------------------------------------------

static const char *name_of(const struct json *tree)
{
	return object_name(tree);
}

static struct stored *find(struct world *world, bool is_node, const char *name)
{
	for (size_t i = 0; i < MAX_OBJECTS; i++) {
		struct stored *stored = &world->objects[i];
		if (stored->tree && stored->is_node == is_node && strcmp(name_of(stored->tree), name) == 0)
			return stored;
	}
	return NULL;
}

static void send_event(struct http_exchange *exchange, const char *type, const struct json *tree)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(1 << 20);
	strbuf_printf(&text, "{\"type\":\"%s\",\"object\":", type);
	json_write(&text, tree);
	strbuf_append_text(&text, "}\n");
	api_fixture_write(exchange, strbuf_text(&text));
}

static void publish(struct world *world, const struct stored *stored, const char *type)
{
	AUTO_FREE char *version = xasprintf("%ld", ++world->revision);
	json_set_text(world->arena, object_metadata(stored->tree), "resourceVersion", version);
	for (size_t i = 0; i < MAX_WATCHERS; i++)
		if (world->watchers[i] && world->watchers[i]->nodes == stored->is_node)
			send_event(world->watchers[i]->exchange, type, stored->tree);
}

static void put(struct world *world, bool is_node, const char *yaml)
{
	struct yaml_document *documents;
	size_t count;
	struct err err = ERR_INIT;
	if (yaml_parse(world->arena, yaml, strlen(yaml), NULL, &documents, &count, &err) < 0)
		fail_msg("%s", err.message);
	struct stored *stored = find(world, is_node, name_of(documents[0].value));
	bool is_new = !stored;
	for (size_t i = 0; is_new && !stored; i++) {
		assert_true(i < MAX_OBJECTS);
		if (!world->objects[i].tree)
			stored = &world->objects[i];
	}
	stored->is_node = is_node;
	stored->tree = documents[0].value;
	publish(world, stored, is_new ? "ADDED" : "MODIFIED");
}

static void delete (struct world *world, bool is_node, const char *name)
{
	struct stored *stored = find(world, is_node, name);
	publish(world, stored, "DELETED");
	stored->tree = NULL;
}

static void answer_list(struct world *world, struct http_exchange *exchange, bool nodes)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(1 << 20);
	bool any = false;
	strbuf_printf(&text, "{\"metadata\":{\"resourceVersion\":\"%ld\"},\"items\":[", world->revision);
	for (size_t i = 0; i < MAX_OBJECTS; i++) {
		if (!world->objects[i].tree || world->objects[i].is_node != nodes)
			continue;
		if (any)
			strbuf_append_char(&text, ',');
		json_write(&text, world->objects[i].tree);
		any = true;
	}
	strbuf_append_text(&text, "]}");
	api_fixture_answer(exchange, 200, strbuf_text(&text));
}

static void on_watcher_gone(void *context)
{
	struct watcher *watcher = context;
	for (size_t i = 0; i < MAX_WATCHERS; i++)
		if (watcher->world->watchers[i] == watcher)
			watcher->world->watchers[i] = NULL;
	http_exchange_unref(watcher->exchange);
	free(watcher);
}

static void answer_watch(struct world *world, struct http_exchange *exchange, bool nodes)
{
	static const struct http_header headers[] = {{"content-type", "application/json"}};
	AUTO_FREE char *version = api_fixture_parameter(http_exchange_request(exchange), "resourceVersion");
	http_exchange_start(exchange, 200, headers, 1);
	for (size_t i = 0; i < MAX_OBJECTS; i++)
		if (world->objects[i].tree && world->objects[i].is_node == nodes &&
		    atol(object_resource_version(world->objects[i].tree)) > atol(version))
			send_event(exchange, "MODIFIED", world->objects[i].tree);
	for (size_t i = 0; i < MAX_WATCHERS; i++) {
		if (world->watchers[i])
			continue;
		struct watcher *watcher = NEW(struct watcher);
		*watcher = (struct watcher){.world = world, .exchange = http_exchange_ref(exchange), .nodes = nodes};
		http_exchange_on_gone(exchange, on_watcher_gone, watcher);
		world->watchers[i] = watcher;
		return;
	}
	fail_msg("too many watches");
}

static struct json *body_of(struct world *world, const struct http_request *request)
{
	struct json *body;
	struct err err = ERR_INIT;
	assert_int_equal(json_parse(world->arena, request->body, request->body_length, NULL, &body, &err), 0);
	return body;
}

static void answer_binding(struct world *world, struct http_exchange *exchange, const char *name)
{
	const struct json *binding = body_of(world, http_exchange_request(exchange));
	struct stored *pod = find(world, false, name);
	if (world->fail_bindings > 0) {
		world->fail_bindings--;
		api_fixture_answer_status(exchange, 500, "InternalError", "etcd is away");
	} else if (!pod || strcmp(object_uid(pod->tree), object_uid(binding)) != 0) {
		api_fixture_answer_status(exchange, 404, "NotFound", "no such pod");
	} else if (json_get_text(json_get(pod->tree, "spec"), "nodeName")) {
		world->refused_bindings++;
		api_fixture_answer_status(exchange, 409, "Conflict", "pod is already assigned to node");
	} else {
		const char *node = json_get_text(json_get(binding, "target"), "name");
		world->bindings++;
		json_set_text(world->arena, json_get(pod->tree, "spec"), "nodeName", node);
		publish(world, pod, "MODIFIED");
		if (world->lose_answers > 0) {
			world->lose_answers--;
			http_exchange_start(exchange, 201, NULL, 0);
			http_exchange_abort(exchange);
			return;
		}
		api_fixture_answer(exchange, 201, "{\"kind\":\"Status\",\"status\":\"Success\"}");
	}
}

static void answer_condition(struct world *world, struct http_exchange *exchange, const char *name)
{
	const struct json *patch = body_of(world, http_exchange_request(exchange));
	struct stored *pod = find(world, false, name);
	struct json *condition = json_path(patch, "status", "conditions")->items[0];
	snprintf(world->last_condition, sizeof(world->last_condition), "%s=%s %s %s", json_get_text(condition, "type"),
	         json_get_text(condition, "status"), json_get_text(condition, "reason"),
	         json_get_text(condition, "message"));
	world->conditions++;
	assert_string_equal(http_request_header(http_exchange_request(exchange), "content-type"),
	                    "application/strategic-merge-patch+json");
	if (pod) {
		assert_string_equal(object_uid(patch), object_uid(pod->tree));
		struct json *status = json_ensure_object(world->arena, pod->tree, "status");
		json_set(world->arena, status, "conditions", json_path(patch, "status", "conditions"));
		publish(world, pod, "MODIFIED");
	}
	api_fixture_answer(exchange, 200, "{}");
}

static void answer_event(struct world *world, struct http_exchange *exchange)
{
	const struct json *event = body_of(world, http_exchange_request(exchange));
	const char *reason = json_get_text(event, "reason");
	if (reason) {
		world->scheduled_events += strcmp(reason, "Scheduled") == 0;
		world->failed_events += strcmp(reason, "FailedScheduling") == 0;
		assert_string_equal(json_get_text(json_get(event, "source"), "component"), "default-scheduler");
		snprintf(world->last_event, sizeof(world->last_event), "%s %s %s", json_get_text(event, "type"), reason,
		         json_get_text(event, "message"));
	}
	api_fixture_answer(exchange, 201, "{}");
}

static void handle(void *context, struct http_exchange *exchange)
{
	struct world *world = context;
	const struct http_request *request = http_exchange_request(exchange);
	bool nodes = strcmp(request->path, "/api/v1/nodes") == 0;
	char name[64];
	char subresource[64];
	if (nodes || strcmp(request->path, "/api/v1/pods") == 0) {
		if (strstr(request->query, "watch=true"))
			answer_watch(world, exchange, nodes);
		else
			answer_list(world, exchange, nodes);
	} else if (strncmp(request->path, "/api/v1/namespaces/ns/events", 28) == 0) {
		answer_event(world, exchange);
	} else if (sscanf(request->path, "/api/v1/namespaces/ns/pods/%63[^/]/%63s", name, subresource) == 2) {
		if (strcmp(subresource, "binding") == 0)
			answer_binding(world, exchange, name);
		else
			answer_condition(world, exchange, name);
	} else {
		fail_msg("unexpected %s %s", request->method, request->path);
	}
}

// --- helpers -------------------------------------------------------------------------------

static void put_node(struct world *world, const char *name, int milli_cpu, const char *rest)
{
	AUTO_FREE char *yaml = xasprintf("metadata: {name: %s, uid: uid-%s}\n"
	                                 "status: {allocatable: {cpu: %dm, memory: 64Gi, pods: 110}}\n%s\n",
	                                 name, name, milli_cpu, rest);
	put(world, true, yaml);
}

static void put_pod(struct world *world, const char *name, int milli_cpu, const char *rest)
{
	AUTO_FREE char *yaml = xasprintf("metadata: {name: %s, namespace: ns, uid: uid-%s}\n"
	                                 "spec: {containers: [{name: c, resources: {requests: {cpu: %dm}}}]%s%s}\n",
	                                 name, name, milli_cpu, rest[0] ? ", " : "", rest);
	put(world, false, yaml);
}

static const char *node_of(struct world *world, const char *pod)
{
	const char *node = json_get_text(json_get(find(world, false, pod)->tree, "spec"), "nodeName");
	return node ? node : "";
}

static void on_synced(void *context)
{
	((struct world *)context)->synced++;
}

static void start_scheduler(struct world *world)
{
	const struct leader_options leader = LEADER_OPTIONS_INIT("x");
	struct scheduler_config config;
	scheduler_config_init(&config, &leader);
	world->scheduler = scheduler_new(world->api.client, world->metrics, &config, on_synced, world);
	scheduler_run(world->scheduler);
}

static void open_world(struct world *world)
{
	memset(world, 0, sizeof(*world));
	world->arena = arena_new(0);
	world->revision = 10;
	world->metrics = metrics_registry_new();
	api_fixture_open(&world->api, handle, world);
}

static void close_world(struct world *world)
{
	scheduler_free(world->scheduler);
	for (int i = 0; i < 5; i++)
		api_fixture_step(&world->api, NSEC_PER_MSEC);
	for (size_t i = 0; i < MAX_WATCHERS; i++) {
		if (!world->watchers[i])
			continue;
		http_exchange_on_gone(world->watchers[i]->exchange, NULL, NULL);
		http_exchange_abort(world->watchers[i]->exchange);
		on_watcher_gone(world->watchers[i]);
	}
	api_fixture_close(&world->api);
	metrics_registry_free(world->metrics);
	arena_free(world->arena);
}

static void settle(struct world *world)
{
	for (int i = 0; i < 60; i++)
		api_fixture_step(&world->api, 10 * NSEC_PER_MSEC);
}

static bool both_watch(const struct world *world)
{
	return world->watchers[0] && world->watchers[1];
}

// --- tests -----------------------------------------------------------------------------------

static void test_binds_and_tells(void **state)
{
	(void)state;
	struct world world;
	open_world(&world);
	put_node(&world, "node-1", 1000, "");
	put_pod(&world, "early", 600, "");
	put_pod(&world, "other", 100, "schedulerName: somebody-else");
	start_scheduler(&world);
	api_fixture_until(&world.api, world.bindings == 1);
	assert_int_equal(world.synced, 1);
	assert_string_equal(node_of(&world, "early"), "node-1");
	api_fixture_until(&world.api, world.scheduled_events == 1);
	assert_string_equal(world.last_event, "Normal Scheduled Successfully assigned ns/early to node-1");
	api_fixture_until(&world.api, both_watch(&world));
	put_pod(&world, "late", 300, "");
	api_fixture_until(&world.api, world.bindings == 2);
	settle(&world);
	assert_string_equal(node_of(&world, "other"), "");
	AUTO_STRBUF struct strbuf metrics = STRBUF_INIT(1 << 20);
	metrics_write(world.metrics, &metrics);
	assert_non_null(
	        strstr(strbuf_text(&metrics),
	               "scheduler_schedule_attempts_total{profile=\"default-scheduler\",result=\"scheduled\"} 2"));
	assert_non_null(strstr(strbuf_text(&metrics), "scheduler_pending_pods{queue=\"active\"} 0"));
	close_world(&world);
}

static void test_says_why_not_and_tries_again_when_it_may_help(void **state)
{
	(void)state;
	struct world world;
	open_world(&world);
	put_node(&world, "node-1", 1000, "");
	put_node(&world, "node-2", 4000, "spec: {taints: [{key: team, value: red, effect: NoSchedule}]}");
	put_pod(&world, "large", 2000, "");
	start_scheduler(&world);
	static const char why[] =
	        "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint {team: red}.";
	api_fixture_until(&world.api, world.failed_events == 1 && world.conditions == 1);
	AUTO_FREE char *event = xasprintf("Warning FailedScheduling %s", why);
	AUTO_FREE char *condition = xasprintf("PodScheduled=False Unschedulable %s", why);
	assert_string_equal(world.last_event, event);
	assert_string_equal(world.last_condition, condition);
	// Its own condition and events that don't help: nothing is tried.
	api_fixture_until(&world.api, both_watch(&world));
	put_pod(&world, "small", 100, "");
	api_fixture_until(&world.api, world.bindings == 1);
	for (int i = 0; i < 200; i++)
		api_fixture_step(&world.api, 100 * NSEC_PER_MSEC);
	assert_int_equal(world.failed_events, 1);
	assert_int_equal(world.conditions, 1);
	// The taint goes.
	put_node(&world, "node-2", 4000, "");
	api_fixture_until(&world.api, world.bindings == 2);
	assert_string_equal(node_of(&world, "large"), "node-2");
	close_world(&world);
}

static void test_room_that_is_freed_is_used(void **state)
{
	(void)state;
	struct world world;
	open_world(&world);
	put_node(&world, "node-1", 1000, "");
	put_pod(&world, "first", 800, "nodeName: node-1");
	put_pod(&world, "second", 800, "");
	start_scheduler(&world);
	api_fixture_until(&world.api, world.conditions == 1 && both_watch(&world));
	delete (&world, false, "first");
	api_fixture_until(&world.api, world.bindings == 1);
	assert_string_equal(node_of(&world, "second"), "node-1");
	close_world(&world);
}

static void test_gated_deleted_and_vanished_pods(void **state)
{
	(void)state;
	struct world world;
	open_world(&world);
	put_pod(&world, "gated", 100, "schedulingGates: [{name: example.com/wait}]");
	put_pod(&world, "gone", 100, "");
	put(&world, false,
	    "metadata: {name: dying, namespace: ns, uid: uid-dying, deletionTimestamp: '2024-01-01T00:00:00Z'}\n"
	    "spec: {containers: [{name: c}]}\n");
	start_scheduler(&world);
	api_fixture_until(&world.api, world.conditions == 1 && both_watch(&world));
	assert_string_equal(world.last_condition,
	                    "PodScheduled=False Unschedulable no nodes available to schedule pods");
	delete (&world, false, "gone");
	put_node(&world, "node-1", 1000, "");
	settle(&world);
	assert_int_equal(world.bindings, 0);
	put_pod(&world, "gated", 100, "");
	api_fixture_until(&world.api, world.bindings == 1);
	assert_string_equal(node_of(&world, "dying"), "");
	close_world(&world);
}

static void test_failed_bindings_are_tried_again(void **state)
{
	(void)state;
	struct world world;
	open_world(&world);
	put_node(&world, "node-1", 1000, "");
	world.fail_bindings = 3;
	put_pod(&world, "a", 600, "");
	start_scheduler(&world);
	int64_t start_ns = loop_now_ns(world.api.loop);
	api_fixture_until(&world.api, world.bindings == 1);
	assert_true(loop_now_ns(world.api.loop) - start_ns >= 7 * NSEC_PER_SEC); // 1 + 2 + 4
	api_fixture_until(&world.api, world.scheduled_events == 1);
	// The answer is lost, but the binding was done: no second one, no room lost.
	api_fixture_until(&world.api, both_watch(&world));
	world.lose_answers = 1;
	put_pod(&world, "b", 200, "");
	api_fixture_until(&world.api, world.bindings == 2);
	for (int i = 0; i < 200; i++)
		api_fixture_step(&world.api, 100 * NSEC_PER_MSEC);
	put_pod(&world, "c", 200, "");
	api_fixture_until(&world.api, world.bindings == 3);
	settle(&world);
	assert_int_equal(world.refused_bindings, 0);
	close_world(&world);
}

// Killed again and again while answers fail: at the end all pods that fit are bound, none twice, no node overfull.
static void test_restarts_in_the_middle(void **state)
{
	(void)state;
	struct world world;
	char name[16];
	open_world(&world);
	for (int i = 0; i < 5; i++) {
		snprintf(name, sizeof(name), "node-%d", i);
		put_node(&world, name, 1000, "");
	}
	for (int i = 0; i < 60; i++) {
		snprintf(name, sizeof(name), "pod-%d", i);
		put_pod(&world, name, 100, "");
	}
	for (int round = 0; round < 6; round++) {
		world.fail_bindings = 2;
		world.lose_answers = 2;
		start_scheduler(&world);
		for (int i = 0; i < 4 + round; i++)
			api_fixture_step(&world.api, 10 * NSEC_PER_MSEC);
		world.scheduler = scheduler_free(world.scheduler);
	}
	world.fail_bindings = world.lose_answers = 0;
	start_scheduler(&world);
	api_fixture_until(&world.api, world.bindings == 50);
	settle(&world);
	assert_int_equal(world.bindings, 50);
	unsigned on_node[5] = {0};
	for (int i = 0; i < 60; i++) {
		snprintf(name, sizeof(name), "pod-%d", i);
		if (node_of(&world, name)[0])
			on_node[atoi(node_of(&world, name) + 5)]++;
	}
	for (int i = 0; i < 5; i++)
		assert_int_equal(on_node[i], 10);
	close_world(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_binds_and_tells),
	        cmocka_unit_test(test_says_why_not_and_tries_again_when_it_may_help),
	        cmocka_unit_test(test_room_that_is_freed_is_used),
	        cmocka_unit_test(test_gated_deleted_and_vanished_pods),
	        cmocka_unit_test(test_failed_bindings_are_tried_again),
	        cmocka_unit_test(test_restarts_in_the_middle),
	};
	return cmocka_run_group_tests_name("scheduler/scheduler", tests, NULL, NULL);
}
