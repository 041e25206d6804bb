// SPDX-License-Identifier: Apache-2.0
// An informer against a small API server of the test's own: it keeps config maps
// with a revision and a history, lists in pages from a snapshot, watches from a
// revision, and breaks in every way that a server may, by a seeded chance.

#include "tests/unit/api_fixture.h"

#include "api/core_v1.h"
#include "api/meta_v1.h"
#include "common/base/hashmap.h"
#include "common/client/informer.h"

enum {
	NAMES = 12,
	MAX_HISTORY = 4096,
	MAX_WATCHERS = 16,
	SERVER_PAGE = 4,
};

struct change {
	const char *type;
	int name;
	int generation; // of the object under this name: its uid
	long revision;
};

struct object {
	bool exists;
	int generation;
	long revision;
};

struct watcher {
	struct world *world;
	struct http_exchange *exchange;
};

struct world {
	struct api_fixture api;
	uint64_t random;
	struct object objects[NAMES];
	long revision;
	long compacted;
	struct change history[MAX_HISTORY];
	size_t history_count;
	struct watcher *watchers[MAX_WATCHERS];
	struct object snapshot[NAMES]; // of the list that is being paged
	long snapshot_revision;
	unsigned lists, watches;
	// Chances in percent.
	unsigned refuse_chance, break_chance, expire_chance;
	char last_list_query[256];
	// What the handler was told.
	struct informer *informer;
	struct informer_handler handler;
	struct object told[NAMES];
	long last_revision[NAMES];
	struct change heard[MAX_HISTORY];
	size_t heard_count;
	unsigned synced;
};

static unsigned chance(struct world *world, unsigned bound)
{
	world->random = world->random * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(world->random >> 33) % bound;
}

static bool happens(struct world *world, unsigned percent)
{
	return chance(world, 100) < percent;
}

// --- the server --------------------------------------------------------------------------

static void write_object(struct strbuf *out, int name, const struct object *object)
{
	strbuf_printf(
	        out,
	        "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"n%d\",\"namespace\":\"%s\","
	        "\"uid\":\"u%d-%d\",\"resourceVersion\":\"%ld\",\"managedFields\":[{\"manager\":\"m\"}]},"
	        "\"data\":{\"revision\":\"%ld\"}}",
	        name, name % 2 ? "odd" : "even", name, object->generation, object->revision, object->revision);
}

static void send_change(struct http_exchange *exchange, const struct change *change)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(1 << 16);
	const struct object object = {.generation = change->generation, .revision = change->revision};
	strbuf_printf(&text, "{\"type\":\"%s\",\"object\":", change->type);
	write_object(&text, change->name, &object);
	strbuf_append_text(&text, "}\n");
	api_fixture_write(exchange, strbuf_text(&text));
}

static void drop_watcher(struct world *world, size_t index, bool cut)
{
	struct watcher *watcher = world->watchers[index];
	if (!watcher)
		return;
	world->watchers[index] = NULL;
	http_exchange_on_gone(watcher->exchange, NULL, NULL);
	if (cut)
		http_exchange_abort(watcher->exchange);
	else
		http_exchange_end(watcher->exchange);
	http_exchange_unref(watcher->exchange);
	free(watcher);
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

static void send_bookmark(struct world *world, struct http_exchange *exchange)
{
	AUTO_FREE char *text =
	        xasprintf("{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\","
	                  "\"metadata\":{\"resourceVersion\":\"%ld\"}}}\n",
	                  world->revision);
	api_fixture_write(exchange, text);
}

static void change_object(struct world *world, int name)
{
	struct object *object = &world->objects[name];
	struct change *change = &world->history[world->history_count++];
	bool deletes = object->exists && happens(world, 30);
	assert_true(world->history_count < MAX_HISTORY);
	change->type = deletes ? "DELETED" : object->exists ? "MODIFIED" : "ADDED";
	if (!object->exists)
		object->generation++;
	object->exists = !deletes;
	object->revision = ++world->revision;
	change->name = name;
	change->generation = object->generation;
	change->revision = object->revision;
	for (size_t i = 0; i < MAX_WATCHERS; i++)
		if (world->watchers[i])
			send_change(world->watchers[i]->exchange, change);
}

static void answer_list(struct world *world, struct http_exchange *exchange, const struct http_request *request)
{
	AUTO_FREE char *token = api_fixture_parameter(request, "continue");
	AUTO_FREE char *limit = api_fixture_parameter(request, "limit");
	int start = 0;
	if (token) {
		long revision;
		assert_int_equal(sscanf(token, "%ld:%d", &revision, &start), 2);
		if (revision != world->snapshot_revision || happens(world, world->expire_chance)) {
			api_fixture_answer_status(exchange, 410, "Expired",
			                          "The provided continue parameter is too old");
			return;
		}
	} else {
		memcpy(world->snapshot, world->objects, sizeof(world->snapshot));
		world->snapshot_revision = world->revision;
	}
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(1 << 20);
	strbuf_append_text(&text, "{\"kind\":\"ConfigMapList\",\"apiVersion\":\"v1\",\"items\":[");
	int count = 0;
	int name = start;
	for (; name < NAMES && (!limit || count < SERVER_PAGE); name++) {
		if (!world->snapshot[name].exists)
			continue;
		if (count++)
			strbuf_append_char(&text, ',');
		write_object(&text, name, &world->snapshot[name]);
	}
	strbuf_printf(&text, "],\"metadata\":{\"resourceVersion\":\"%ld\"", world->snapshot_revision);
	if (name < NAMES)
		strbuf_printf(&text, ",\"continue\":\"%ld:%d\"", world->snapshot_revision, name);
	strbuf_append_text(&text, "}}");
	api_fixture_answer(exchange, 200, strbuf_text(&text));
}

static void answer_watch(struct world *world, struct http_exchange *exchange, const struct http_request *request)
{
	static const struct http_header headers[] = {{"content-type", "application/json"}};
	AUTO_FREE char *text = api_fixture_parameter(request, "resourceVersion");
	AUTO_FREE char *bookmarks = api_fixture_parameter(request, "allowWatchBookmarks");
	long from = atol(text);
	assert_string_equal(bookmarks, "true");
	if (from < world->compacted && happens(world, 50)) {
		api_fixture_answer_status(exchange, 410, "Expired", "too old resource version");
		return;
	}
	http_exchange_start(exchange, 200, headers, 1);
	if (from < world->compacted) {
		const char *error =
		        "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"status\":\"Failure\",\"code\":410,"
		        "\"reason\":\"Expired\",\"message\":\"too old resource version\"}}\n";
		api_fixture_write(exchange, error);
		http_exchange_end(exchange);
		return;
	}
	for (size_t i = 0; i < world->history_count; i++)
		if (world->history[i].revision > from)
			send_change(exchange, &world->history[i]);
	for (size_t i = 0; i < MAX_WATCHERS; i++) {
		if (world->watchers[i])
			continue;
		struct watcher *watcher = NEW(struct watcher);
		watcher->world = world;
		watcher->exchange = http_exchange_ref(exchange);
		http_exchange_on_gone(exchange, on_watcher_gone, watcher);
		world->watchers[i] = watcher;
		return;
	}
	fail_msg("too many watches");
}

static void handle(void *context, struct http_exchange *exchange)
{
	struct world *world = context;
	const struct http_request *request = http_exchange_request(exchange);
	AUTO_FREE char *watch = api_fixture_parameter(request, "watch");
	assert_string_equal(request->path, "/api/v1/configmaps");
	if (watch)
		world->watches++;
	else
		world->lists++;
	if (!watch)
		snprintf(world->last_list_query, sizeof(world->last_list_query), "%s", request->query);
	if (happens(world, world->refuse_chance))
		api_fixture_answer_status(exchange, 500, "InternalError", "by chance");
	else if (watch)
		answer_watch(world, exchange, request);
	else
		answer_list(world, exchange, request);
}

// --- the handler: every change must continue from what was told before ----------------------

static void on_changed(struct informer_handler *handler, struct api_object *old_object, struct api_object *new_object)
{
	struct world *world = container_of(handler, struct world, handler);
	struct api_object *object = new_object ? new_object : old_object;
	int name = atoi(object->name + 1);
	struct object *told = &world->told[name];
	struct change *heard = &world->heard[world->heard_count++];
	assert_true(world->heard_count < MAX_HISTORY);
	assert_int_equal(told->exists, old_object != NULL);
	if (old_object)
		assert_int_equal(atol(old_object->resource_version), told->revision);
	if (new_object) {
		const struct core_v1_config_map *view = new_object->view;
		assert_int_equal(view->metadata.managed_fields.count, 0);
		assert_string_equal(string_map_get(&view->data, "revision"), new_object->resource_version);
		assert_true(atol(new_object->resource_version) > world->last_revision[name]);
		told->revision = world->last_revision[name] = atol(new_object->resource_version);
	}
	if (old_object && new_object)
		assert_string_equal(old_object->uid, new_object->uid);
	told->exists = new_object != NULL;
	heard->type = !new_object ? "DELETED" : old_object ? "MODIFIED" : "ADDED";
	heard->name = name;
	heard->revision = told->revision;
}

static void on_synced(struct informer_handler *handler)
{
	container_of(handler, struct world, handler)->synced++;
}

static void index_by_parity(const struct api_object *object, struct informer_index_values *values)
{
	values->items[values->count++] = object->namespace_name;
}

static void open_world(struct world *world, uint64_t seed)
{
	memset(world, 0, sizeof(*world));
	world->random = seed * 0x9e3779b97f4a7c15u;
	world->revision = 10;
	world->compacted = 0;
	api_fixture_open(&world->api, handle, world);
	world->handler.changed = on_changed;
	world->handler.synced = on_synced;
}

static void start_informer(struct world *world)
{
	const struct informer_config config = {
	        .resource = schema_find_resource("", "v1", "configmaps"),
	        .label_selector = "app in (a,b)",
	        .field_selector = "metadata.name!=x",
	};
	world->informer = informer_new(world->api.client, &config);
	informer_add_index(world->informer, "parity", index_by_parity);
	informer_add_handler(world->informer, &world->handler);
	assert_int_equal(world->lists, 0);
}

static void close_world(struct world *world)
{
	informer_free(world->informer);
	for (int i = 0; i < 5; i++)
		api_fixture_step(&world->api, NSEC_PER_MSEC);
	for (size_t i = 0; i < MAX_WATCHERS; i++)
		drop_watcher(world, i, true);
	api_fixture_close(&world->api);
}

static bool is_current(const struct world *world)
{
	size_t count = 0;
	for (int i = 0; i < NAMES; i++) {
		const struct object *truth = &world->objects[i];
		if (truth->exists != world->told[i].exists ||
		    (truth->exists && truth->revision != world->told[i].revision))
			return false;
		count += truth->exists;
	}
	return world->synced == 1 && informer_count(world->informer) == count;
}

static void check_store(const struct world *world)
{
	size_t parity[2] = {0, 0};
	size_t seen = 0;
	struct api_object *object;
	for (size_t cursor = 0; (object = informer_next(world->informer, &cursor)) != NULL; seen++) {
		assert_ptr_equal(informer_get_key(world->informer, object->key), object);
		assert_ptr_equal(informer_get(world->informer, object->namespace_name, object->name), object);
		parity[atoi(object->name + 1) % 2]++;
	}
	assert_int_equal(seen, informer_count(world->informer));
	for (int i = 0; i < 2; i++) {
		size_t count;
		struct api_object *const *items =
		        informer_by_index(world->informer, "parity", i ? "odd" : "even", &count);
		assert_int_equal(count, parity[i]);
		for (size_t k = 0; k < count; k++)
			assert_string_equal(items[k]->namespace_name, i ? "odd" : "even");
	}
}

static void settle(struct world *world)
{
	for (int i = 0; i < 20000 && !is_current(world); i++)
		api_fixture_step(&world->api, 200 * NSEC_PER_MSEC);
	assert_true(is_current(world));
	check_store(world);
}

// --- tests ---------------------------------------------------------------------------------

static void test_list_then_watch(void **state)
{
	(void)state;
	struct world world;
	open_world(&world, 1);
	for (int i = 0; i < NAMES; i++)
		change_object(&world, i);
	start_informer(&world);
	assert_false(informer_has_synced(world.informer));
	settle(&world);
	assert_true(informer_has_synced(world.informer));
	assert_int_equal(world.lists, NAMES / SERVER_PAGE);
	assert_non_null(strstr(world.last_list_query,
	                       "labelSelector=app%20in%20%28a%2Cb%29&fieldSelector=metadata.name%21%3Dx"));
	assert_non_null(strstr(world.last_list_query, "limit=500&continue="));
	api_fixture_until(&world.api, world.watchers[0] != NULL);
	change_object(&world, 3);
	settle(&world);
	assert_int_equal(world.lists, NAMES / SERVER_PAGE);
	close_world(&world);
}

// Watches that end, break in the middle of a line or are refused: nothing is listed
// again, and the handler hears the server's history exactly.
static void test_every_change_once_over_broken_watches(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 6; seed++) {
		struct world world;
		open_world(&world, seed);
		start_informer(&world);
		settle(&world);
		unsigned lists = world.lists;
		world.refuse_chance = 20;
		for (int i = 0; i < 150; i++) {
			change_object(&world, (int)chance(&world, NAMES));
			if (happens(&world, 20))
				drop_watcher(&world, chance(&world, 2), happens(&world, 50));
			if (happens(&world, 10) && world.watchers[0])
				send_bookmark(&world, world.watchers[0]->exchange);
			if (happens(&world, 50))
				api_fixture_step(&world.api, 200 * NSEC_PER_MSEC);
		}
		world.refuse_chance = 0;
		settle(&world);
		assert_int_equal(world.lists, lists);
		assert_int_equal(world.heard_count, world.history_count);
		for (size_t i = 0; i < world.heard_count; i++) {
			assert_string_equal(world.heard[i].type, world.history[i].type);
			assert_int_equal(world.heard[i].name, world.history[i].name);
		}
		close_world(&world);
	}
}

// All of that and histories that are cut off, lists that fail, continue tokens that expire.
static void test_converges_over_any_break(void **state)
{
	(void)state;
	unsigned lists = 0;
	for (uint64_t seed = 101; seed <= 108; seed++) {
		struct world world;
		open_world(&world, seed);
		for (int i = 0; i < 20; i++)
			change_object(&world, (int)chance(&world, NAMES));
		world.refuse_chance = 20;
		world.expire_chance = 20;
		start_informer(&world);
		for (int i = 0; i < 200; i++) {
			change_object(&world, (int)chance(&world, NAMES));
			if (happens(&world, 15))
				drop_watcher(&world, chance(&world, 2), happens(&world, 50));
			if (happens(&world, 10)) {
				world.compacted = world.revision - chance(&world, 3);
				if (world.watchers[0] && happens(&world, 30))
					send_bookmark(&world, world.watchers[0]->exchange);
			}
			if (happens(&world, 50))
				api_fixture_step(&world.api, 500 * NSEC_PER_MSEC);
		}
		settle(&world);
		world.refuse_chance = 0;
		change_object(&world, 0);
		settle(&world);
		lists += world.lists;
		close_world(&world);
	}
	assert_true(lists > 8 * 5); // the breaks did lead to new lists
}

static void test_server_that_is_away_and_comes_back(void **state)
{
	(void)state;
	struct world world;
	open_world(&world, 5);
	change_object(&world, 1);
	int port = world.api.port;
	api_fixture_stop_server(&world.api);
	start_informer(&world);
	for (int i = 0; i < 200; i++)
		api_fixture_step(&world.api, 100 * NSEC_PER_MSEC);
	assert_int_equal(world.lists, 0);
	api_fixture_serve(&world.api, port, handle, &world);
	settle(&world);
	// While it is away once more, an object is deleted and made again: two changes, not an update.
	api_fixture_until(&world.api, world.watchers[0] != NULL);
	api_fixture_stop_server(&world.api);
	for (size_t i = 0; i < MAX_WATCHERS; i++)
		drop_watcher(&world, i, true);
	while (world.objects[1].exists)
		change_object(&world, 1);
	change_object(&world, 1);
	world.compacted = world.revision;
	size_t heard = world.heard_count;
	api_fixture_serve(&world.api, port, handle, &world);
	settle(&world);
	assert_int_equal(world.heard_count, heard + 2);
	assert_string_equal(world.heard[heard].type, "DELETED");
	assert_string_equal(world.heard[heard + 1].type, "ADDED");
	close_world(&world);
}

struct late_handler {
	struct informer_handler handler;
	unsigned added, synced;
};

static void on_late_changed(struct informer_handler *handler, struct api_object *old_object,
                            struct api_object *new_object)
{
	struct late_handler *late = container_of(handler, struct late_handler, handler);
	assert_null(old_object);
	assert_non_null(new_object);
	assert_int_equal(late->synced, 0);
	late->added++;
}

static void on_late_synced(struct informer_handler *handler)
{
	container_of(handler, struct late_handler, handler)->synced++;
}

static void test_late_handler_hears_of_all(void **state)
{
	(void)state;
	struct world world;
	struct late_handler late = {.handler = {.changed = on_late_changed, .synced = on_late_synced}};
	open_world(&world, 7);
	for (int i = 0; i < NAMES; i++)
		change_object(&world, i);
	start_informer(&world);
	settle(&world);
	informer_add_handler(world.informer, &late.handler);
	assert_int_equal(late.added, 0);
	api_fixture_until(&world.api, late.synced == 1);
	assert_int_equal(late.added, NAMES);
	informer_remove_handler(world.informer, &late.handler);
	change_object(&world, 0);
	settle(&world);
	assert_int_equal(late.added, NAMES);
	close_world(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_list_then_watch),
	        cmocka_unit_test(test_every_change_once_over_broken_watches),
	        cmocka_unit_test(test_converges_over_any_break),
	        cmocka_unit_test(test_server_that_is_away_and_comes_back),
	        cmocka_unit_test(test_late_handler_hears_of_all),
	};
	return cmocka_run_group_tests_name("informer", tests, NULL, NULL);
}
