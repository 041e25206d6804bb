// SPDX-License-Identifier: Apache-2.0
// A recorder against a server that keeps Events by name.

#include "tests/unit/api_fixture.h"

#include "common/base/hashmap.h"
#include "common/client/event_recorder.h"

struct world {
	struct api_fixture api;
	struct arena *arena;
	struct hashmap *events; // name → tree
	struct json *last;
	unsigned creates, patches, refused;
	unsigned refuse_next; // 503
	struct event_recorder *recorder;
};

static void create_event(struct world *world, struct http_exchange *exchange, struct json *event)
{
	const char *name = json_get_text(json_get(event, "metadata"), "name");
	if (!hashmap_put(world->events, name, event))
		fail_msg("made twice: %s", name);
	world->last = event;
	world->creates++;
	api_fixture_answer(exchange, 201, "{}");
}

static void patch_event(struct world *world, struct http_exchange *exchange, const char *name, const struct json *patch)
{
	struct json *event = hashmap_get(world->events, name);
	if (!event) {
		api_fixture_answer_status(exchange, 404, "NotFound", "no such event");
		return;
	}
	json_for_each_member (member, patch)
		json_set(world->arena, event, member->key, member->value);
	world->last = event;
	world->patches++;
	api_fixture_answer(exchange, 200, "{}");
}

static void handle(void *context, struct http_exchange *exchange)
{
	struct world *world = context;
	const struct http_request *request = http_exchange_request(exchange);
	struct json *body;
	struct err err = ERR_INIT;
	if (world->refuse_next > 0) {
		world->refuse_next--;
		world->refused++;
		api_fixture_answer_status(exchange, 503, "ServiceUnavailable", "starting");
		return;
	}
	assert_int_equal(json_parse(world->arena, request->body, request->body_length, NULL, &body, &err), 0);
	if (strcmp(request->method, "POST") == 0)
		create_event(world, exchange, body);
	else
		patch_event(world, exchange, strrchr(request->path, '/') + 1, body);
}

static void open_world(struct world *world)
{
	memset(world, 0, sizeof(*world));
	world->arena = arena_new(0);
	world->events = hashmap_new(NULL);
	api_fixture_open(&world->api, handle, world);
	world->recorder = event_recorder_new(world->api.client, "tester", "host-1");
}

static void close_world(struct world *world)
{
	event_recorder_free(world->recorder);
	api_fixture_close(&world->api);
	hashmap_free(world->events);
	arena_free(world->arena);
}

static struct event_target pod(const char *name)
{
	return (struct event_target){
	        .api_version = "v1",
	        .kind = "Pod",
	        .namespace_name = "ns",
	        .name = name,
	        .uid = "uid-1",
	        .resource_version = "7",
	        .field_path = "spec.containers{web}",
	};
}

static int64_t count_of(const struct json *event)
{
	int64_t count = -1;
	json_get_integer(event, "count", &count);
	return count;
}

// Lets the clock tick in between, as it would: names come from it.
static void record(struct world *world, const char *name, const char *reason, const char *message)
{
	const struct event_target target = pod(name);
	manual_clock_advance(&world->api.clock, NSEC_PER_MSEC);
	event_record(world->recorder, &target, "Normal", reason, "%s", message);
}

static void test_shape_of_an_event(void **state)
{
	(void)state;
	struct world world;
	open_world(&world);
	record(&world, "a", "Started", "Started container web");
	assert_int_equal(world.creates, 0);
	api_fixture_until(&world.api, world.creates == 1);
	const struct json *event = world.last;
	assert_ptr_equal(strstr(json_get_text(json_get(event, "metadata"), "name"), "a."),
	                 json_get_text(json_get(event, "metadata"), "name"));
	assert_string_equal(json_get_text(json_get(event, "metadata"), "namespace"), "ns");
	const struct json *about = json_get(event, "involvedObject");
	assert_string_equal(json_get_text(about, "kind"), "Pod");
	assert_string_equal(json_get_text(about, "uid"), "uid-1");
	assert_string_equal(json_get_text(about, "fieldPath"), "spec.containers{web}");
	assert_string_equal(json_get_text(event, "reason"), "Started");
	assert_string_equal(json_get_text(event, "message"), "Started container web");
	assert_string_equal(json_get_text(event, "type"), "Normal");
	assert_string_equal(json_get_text(json_get(event, "source"), "component"), "tester");
	assert_string_equal(json_get_text(json_get(event, "source"), "host"), "host-1");
	assert_string_equal(json_get_text(event, "reportingComponent"), "tester");
	assert_int_equal(count_of(event), 1);
	const struct event_target node = {.api_version = "v1", .kind = "Node", .namespace_name = "", .name = "n1"};
	event_record(world.recorder, &node, "Warning", "Gone", "a");
	api_fixture_until(&world.api, world.creates == 2);
	assert_string_equal(json_get_text(json_get(world.last, "metadata"), "namespace"), "default");
	close_world(&world);
}

static void test_same_event_is_counted(void **state)
{
	(void)state;
	struct world world;
	open_world(&world);
	for (int i = 0; i < 3; i++)
		record(&world, "a", "Pulled", "same text");
	record(&world, "a", "Pulled", "another text");
	api_fixture_until(&world.api, world.creates == 2);
	assert_int_equal(world.patches, 2);
	struct hashmap_cursor cursor = HASHMAP_CURSOR_INIT;
	while (hashmap_next(world.events, &cursor)) {
		const struct json *event = cursor.value;
		bool same = strcmp(json_get_text(event, "message"), "same text") == 0;
		assert_int_equal(count_of(event), same ? 3 : 1);
	}
	// An event that was deleted meanwhile is made anew, with its count.
	hashmap_clear(world.events);
	record(&world, "a", "Pulled", "same text");
	api_fixture_until(&world.api, world.creates == 3);
	assert_int_equal(count_of(world.last), 4);
	record(&world, "a", "Pulled", "same text");
	api_fixture_until(&world.api, world.patches == 3);
	assert_int_equal(count_of(world.last), 5);
	close_world(&world);
}

static void test_many_alike_are_combined(void **state)
{
	(void)state;
	struct world world;
	open_world(&world);
	for (int i = 0; i < 15; i++) {
		char text[32];
		snprintf(text, sizeof(text), "message %d", i);
		record(&world, "a", "Failed", text);
	}
	api_fixture_until(&world.api, world.creates + world.patches == 15);
	assert_int_equal(world.creates, 11); // ten of their own and the combined one
	assert_int_equal(count_of(world.last), 5);
	assert_string_equal(json_get_text(world.last, "message"), "(combined from similar events): message 14");
	manual_clock_advance(&world.api.clock, 601 * NSEC_PER_SEC);
	record(&world, "a", "Failed", "later");
	api_fixture_until(&world.api, world.creates == 12);
	assert_string_equal(json_get_text(world.last, "message"), "later");
	close_world(&world);
}

static void test_spam_of_one_object_is_dropped(void **state)
{
	(void)state;
	struct world world;
	open_world(&world);
	for (int i = 0; i < 100; i++)
		record(&world, "loud", "Again", "and again");
	record(&world, "quiet", "Once", "and done");
	api_fixture_until(&world.api, world.creates == 2);
	assert_int_equal(world.patches, 24);
	manual_clock_advance(&world.api.clock, 300 * NSEC_PER_SEC);
	for (int i = 0; i < 10; i++)
		record(&world, "loud", "Again", "and again");
	api_fixture_until(&world.api, world.patches == 25);
	for (int i = 0; i < 50; i++)
		api_fixture_step(&world.api, NSEC_PER_MSEC);
	assert_int_equal(world.patches, 25);
	close_world(&world);
}

static void test_unavailable_server_is_tried_again(void **state)
{
	(void)state;
	struct world world;
	open_world(&world);
	world.refuse_next = 5;
	record(&world, "a", "Kept", "until it is written");
	record(&world, "b", "Kept", "until it is written");
	api_fixture_until(&world.api, world.creates == 2);
	assert_int_equal(world.refused, 5);
	world.refuse_next = 12; // one event is given up, the next is not
	record(&world, "c", "Lost", "after twelve tries");
	record(&world, "d", "Kept", "behind it");
	api_fixture_until(&world.api, world.creates == 3);
	assert_string_equal(json_get_text(json_get(world.last, "involvedObject"), "name"), "d");
	close_world(&world);
}

static void test_queue_and_message_are_bounded(void **state)
{
	(void)state;
	struct world world;
	open_world(&world);
	AUTO_FREE char *text = xmalloc(5001);
	memset(text, 'x', 5000);
	text[5000] = '\0';
	record(&world, "long", "Long", text);
	api_fixture_until(&world.api, world.creates == 1);
	assert_true(strlen(json_get_text(world.last, "message")) <= 1024);
	for (int i = 0; i < 50; i++) // the recorder has its answer, too
		api_fixture_step(&world.api, NSEC_PER_MSEC);
	for (int i = 0; i < 2000; i++) {
		char name[32];
		snprintf(name, sizeof(name), "p%d", i);
		record(&world, name, "Many", "objects");
	}
	api_fixture_until(&world.api, world.creates == 1001);
	for (int i = 0; i < 50; i++)
		api_fixture_step(&world.api, NSEC_PER_MSEC);
	assert_int_equal(world.creates, 1001);
	close_world(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_shape_of_an_event),
	        cmocka_unit_test(test_same_event_is_counted),
	        cmocka_unit_test(test_many_alike_are_combined),
	        cmocka_unit_test(test_spam_of_one_object_is_dropped),
	        cmocka_unit_test(test_unavailable_server_is_tried_again),
	        cmocka_unit_test(test_queue_and_message_are_bounded),
	};
	return cmocka_run_group_tests_name("event_recorder", tests, NULL, NULL);
}
