// SPDX-License-Identifier: Apache-2.0
//
// The watch cache alone, fed by hand: the tree against a plain array, lists and
// history, the window's bounds, and which watches an event wakes.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "apiserver/storage/storage_object.h"
#include "apiserver/storage/watch_cache.h"
#include "common/base/clock.h"
#include "common/base/encode.h"
#include "common/base/memory.h"
#include "common/io/loop.h"
#include "tests/unit/apiserver/pods_resource.h"

static struct etcd_bytes pod_value(const char *node, const char *extra, char out[4096])
{
	snprintf(out, 4096, "{\"metadata\":{},\"spec\":{\"nodeName\":\"%s\",\"x\":\"%s\"}}", node, extra);
	return ETCD_TEXT(out);
}

static struct stored_object *make_object(const struct storage_object_format *format, const char *key, const char *node,
                                         int64_t revision)
{
	char text[4096];
	struct stored_object *object = NULL;
	struct err err = ERR_INIT;
	assert_int_equal(
	        storage_object_parse(format, ETCD_TEXT(key), pod_value(node, "", text), revision, &object, &err), 0);
	return object;
}

// --- the tree ------------------------------------------------------------------------------

enum { TREE_KEYS = 900 };

static void check_tree(const struct object_tree *tree, struct stored_object *const *expected, size_t count)
{
	struct stored_object **objects = xcalloc(count + 1, sizeof(*objects));
	assert_int_equal(object_tree_count(tree), count);
	assert_int_equal(object_tree_copy(tree, 0, count + 1, objects), count);
	for (size_t i = 0; i < count; i++)
		assert_ptr_equal(objects[i], expected[i]);
	for (size_t rank = 0; rank < count; rank += 1 + count / 7) {
		const char *key = storage_object_key(expected[rank]), *node = expected[rank]->fields[0];
		assert_int_equal(object_tree_rank(tree, node, key), rank);
		assert_ptr_equal(object_tree_find(tree, node, key), expected[rank]);
		size_t copied = object_tree_copy(tree, rank, 5, objects);
		assert_int_equal(copied, count - rank < 5 ? count - rank : 5);
		assert_ptr_equal(objects[copied - 1], expected[rank + copied - 1]);
	}
	free(objects);
}

static int sort_field;

static int compare_objects(const void *a, const void *b)
{
	struct stored_object *const *left = a, *const *right = b;
	int order = sort_field >= 0 ? strcmp((*left)->fields[sort_field], (*right)->fields[sort_field]) : 0;
	return order ? order : strcmp(storage_object_key(*left), storage_object_key(*right));
}

// The live objects in order; returns how many. References stay the caller's.
static size_t sorted(struct stored_object *const *live, struct stored_object **out, int field)
{
	size_t count = 0;
	for (size_t i = 0; i < TREE_KEYS; i++)
		if (live[i])
			out[count++] = live[i];
	sort_field = field;
	qsort(out, count, sizeof(*out), compare_objects);
	return count;
}

static void walk_tree(const struct storage_object_format *format, int field)
{
	struct object_tree tree = OBJECT_TREE_INIT(field), snapshot = OBJECT_TREE_INIT(field);
	static struct stored_object *live[TREE_KEYS], *now[TREE_KEYS], *then[TREE_KEYS];
	size_t then_count = 0;
	memset(live, 0, sizeof(live));
	for (int step = 0; step < 20000; step++) {
		// Grow, then shrink, then hover: every kind of split and merge happens.
		uint32_t bias = step < 7000 ? 80 : step < 14000 ? 20 : 50;
		size_t i = random_below(TREE_KEYS);
		char key[32], node[8];
		snprintf(key, sizeof(key), "ns%zu/p%zu", i % 7, i);
		snprintf(node, sizeof(node), "n%u",
		         (unsigned)(i % 5)); // of a key always the same, as the cache does it
		if (random_below(100) < bias) {
			struct stored_object *object = make_object(format, key, node, step + 1);
			assert_int_equal(object_tree_put(&tree, object), live[i] == NULL);
			stored_object_unref(live[i]);
			live[i] = object;
		} else if (live[i]) {
			assert_true(object_tree_remove(&tree, live[i]));
			assert_false(object_tree_remove(&tree, live[i]));
			live[i] = stored_object_unref(live[i]);
		}
		if (step % 500 == 0) {
			// The version taken a while ago is what it was.
			check_tree(&snapshot, then, then_count);
			for (size_t j = 0; j < then_count; j++)
				stored_object_unref(then[j]);
			object_tree_done(&snapshot);
			snapshot = object_tree_snapshot(&tree);
			then_count = sorted(live, then, field);
			for (size_t j = 0; j < then_count; j++)
				stored_object_ref(then[j]);
		}
		if (step % 250 == 0)
			check_tree(&tree, now, sorted(live, now, field));
	}
	for (size_t j = 0; j < then_count; j++)
		stored_object_unref(then[j]);
	object_tree_done(&snapshot);
	for (size_t i = 0; i < TREE_KEYS; i++) {
		if (live[i])
			assert_true(object_tree_remove(&tree, live[i]));
		stored_object_unref(live[i]);
	}
	assert_int_equal(object_tree_count(&tree), 0);
	assert_null(tree.root);
}

static void test_tree(void **state)
{
	(void)state;
	struct storage_object_format format;
	storage_object_format_init(&format, &pods);
	walk_tree(&format, -1);
	walk_tree(&format, 0);
	storage_object_format_done(&format);
}

// --- the cache -----------------------------------------------------------------------------

struct world {
	struct loop *loop;
	struct watch_ports *ports;
	struct watch_cache *cache;
	_Atomic int64_t watched;
};

static struct world *world_new(size_t window_bytes)
{
	struct world *world = NEW(struct world);
	struct err err = ERR_INIT;
	assert_int_equal(loop_new(&clock_system, &world->loop, &err), 0);
	world->ports = watch_ports_new();
	struct watch_cache_config config = {.resource = &pods,
	                                    .window_bytes = window_bytes,
	                                    .watched_revision = &world->watched,
	                                    .ports = world->ports};
	world->cache = watch_cache_new(&config);
	return world;
}

static void world_free(struct world *world)
{
	loop_turn(world->loop, 0);
	watch_cache_unref(world->cache);
	watch_ports_free(world->ports);
	loop_free(world->loop);
	free(world);
}

static void list_at(struct world *world, int64_t held_from, int64_t revision)
{
	world->watched = held_from;
	watch_cache_start_list(world->cache, held_from);
	watch_cache_finish_list(world->cache, revision);
}

// One change as etcd tells it. node NULL: deleted. previous NULL: not told.
static void change(struct world *world, int64_t revision, const char *key, const char *node, const char *previous,
                   bool created)
{
	char value[4096], previous_value[4096];
	struct watch_cache_change one = {
	        .key = ETCD_TEXT(key), .revision = revision, .deleted = !node, .created = created};
	if (node)
		one.value = pod_value(node, "", value);
	if (previous) {
		one.has_previous = true;
		one.previous_value = pod_value(previous, "", previous_value);
		one.previous_revision = revision - 1;
	}
	watch_cache_apply(world->cache, &one, 1);
	world->watched = revision;
}

struct watcher {
	struct storage_watch *watch;
	unsigned woken;
};

static void on_readable(void *context)
{
	((struct watcher *)context)->woken++;
}

static int open_watch(struct world *world, struct watcher *watcher, const char *namespace_name, const char *name,
                      const char *node, int64_t after)
{
	struct err err = ERR_INIT;
	*watcher = (struct watcher){0};
	struct storage_watch_config config = {.resource = &pods,
	                                      .namespace_name = namespace_name,
	                                      .name = name,
	                                      .field_label = node ? "spec.nodeName" : NULL,
	                                      .field_value = node,
	                                      .after_revision = after,
	                                      .loop = world->loop,
	                                      .readable = on_readable,
	                                      .context = watcher};
	return watch_cache_watch_open(world->cache, &config, &watcher->watch, &err);
}

// Reads all there is: revisions as text ("5 -6" for a put and a deletion), then "!" when it ended.
static const char *read_all(struct watcher *watcher)
{
	static char text[4096];
	struct storage_event event;
	struct err err = ERR_INIT;
	size_t used = 0;
	text[0] = '\0';
	while (storage_watch_next(watcher->watch, &event, &err))
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s%lld", used ? " " : "",
		                         event.type == STORAGE_EVENT_DELETED    ? "-"
		                         : event.type == STORAGE_EVENT_PROGRESS ? "p"
		                                                                : "",
		                         (long long)event.revision);
	if (err.code)
		snprintf(text + used, sizeof(text) - used, "!");
	return text;
}

static void test_dispatch(void **state)
{
	(void)state;
	struct world *world = world_new(0);
	struct watcher all, a, b, name, node1, node2, both;
	struct watcher *watchers[] = {&all, &a, &b, &name, &node1, &node2, &both};
	assert_int_equal(open_watch(world, &all, "", NULL, NULL, 1), -ERR_TOO_MANY_REQUESTS); // not listed yet
	list_at(world, 1, 1);
	assert_int_equal(open_watch(world, &all, "", NULL, NULL, 0), -ERR_EXPIRED);
	assert_int_equal(open_watch(world, &all, "", NULL, NULL, 1), 0);
	assert_int_equal(open_watch(world, &a, "a", NULL, NULL, 1), 0);
	assert_int_equal(open_watch(world, &b, "b", NULL, NULL, 1), 0);
	assert_int_equal(open_watch(world, &name, "", "x", NULL, 1), 0);
	assert_int_equal(open_watch(world, &node1, "", NULL, "n1", 1), 0);
	assert_int_equal(open_watch(world, &node2, "", NULL, "n2", 1), 0);
	assert_int_equal(open_watch(world, &both, "b", NULL, "n1", 1), 0);
	change(world, 2, "a/x", "n1", NULL, true);
	change(world, 3, "a/y", "n2", NULL, true);
	change(world, 4, "a/x", "n2", "n1", false); // leaves n1
	change(world, 5, "b/x", "n1", NULL, true);
	change(world, 6, "a/y", NULL, "n2", false);
	loop_turn(world->loop, 0);
	static const char *const seen[] = {"2 3 4 5 -6", "2 3 4 -6", "5", "2 4 5", "2 4 5", "3 4 -6", "5"};
	for (size_t i = 0; i < ARRAY_SIZE(watchers); i++) {
		assert_int_equal(watchers[i]->woken, 1); // once, however many events
		assert_string_equal(read_all(watchers[i]), seen[i]);
		assert_string_equal(read_all(watchers[i]), "");
	}
	// Events of others leave a watch asleep.
	change(world, 7, "a/z", "n3", NULL, true);
	loop_turn(world->loop, 0);
	static const unsigned woken[] = {2, 2, 1, 1, 1, 1, 1};
	for (size_t i = 0; i < ARRAY_SIZE(watchers); i++)
		assert_int_equal(watchers[i]->woken, woken[i]);
	watch_cache_tick(world->cache, true);
	loop_turn(world->loop, 0);
	assert_string_equal(read_all(&all), "7 p7");
	assert_string_equal(read_all(&b), "p7");
	// A view by the field has who is there.
	struct watch_cache_view view;
	assert_true(watch_cache_view(world->cache, 0, &view));
	assert_int_equal(view.tree.field, 0);
	assert_true(view.revision == 7 && object_tree_count(&view.tree) == 3);
	assert_int_equal(object_tree_rank(&view.tree, "n2", "\xff") - object_tree_rank(&view.tree, "n2", ""), 1);
	watch_cache_view_done(&view);
	// A new list ends them; what was there stays readable.
	watch_cache_start_list(world->cache, 7);
	loop_turn(world->loop, 0);
	assert_false(watch_cache_is_current(world->cache));
	for (size_t i = 0; i < ARRAY_SIZE(watchers); i++) {
		const char *text = read_all(watchers[i]);
		assert_int_equal(text[strlen(text) - 1], '!');
		storage_watch_close(watchers[i]->watch);
	}
	assert_true(watch_cache_view(world->cache, -1, &view));
	assert_true(object_tree_count(&view.tree) == 3 && view.revision == 7);
	watch_cache_view_done(&view);
	world_free(world);
}

// Changes that come before, during and after a list.
static void test_history(void **state)
{
	(void)state;
	struct world *world = world_new(0);
	struct watcher watcher;
	char value[4096];
	watch_cache_start_list(world->cache, 10);
	change(world, 11, "a/x", "n1", NULL, true);
	change(world, 12, "a/x", "n2", "n1", false);
	change(world, 13, "a/gone", NULL, "n1", false);
	change(world, 15, "a/y", "n1", NULL, true);
	watch_cache_add_listed(world->cache, ETCD_TEXT("a/x"), pod_value("n2", "", value), 12);
	watch_cache_add_listed(world->cache, ETCD_TEXT(""), pod_value("n2", "", value), 12);
	watch_cache_finish_list(world->cache, 14);
	assert_int_equal(watch_cache_count(world->cache), 2); // x as listed, y after it
	int64_t revision;
	struct stored_object *x = watch_cache_get(world->cache, "a/x", &revision);
	assert_true(x->revision == 12 && revision == 15);
	stored_object_unref(x);
	assert_int_equal(open_watch(world, &watcher, "", NULL, NULL, 9), -ERR_EXPIRED);
	assert_int_equal(open_watch(world, &watcher, "", NULL, NULL, 10), 0);
	assert_string_equal(read_all(&watcher), "11 12 -13 15");
	storage_watch_close(watcher.watch);
	assert_int_equal(open_watch(world, &watcher, "", NULL, NULL, 12), 0);
	assert_string_equal(read_all(&watcher), "-13 15");
	storage_watch_close(watcher.watch);

	// History whose state before is lost can't be resumed across.
	watch_cache_start_list(world->cache, 20);
	change(world, 21, "a/x", "n1", "n2", false);
	change(world, 22, "a/x", "n3", NULL, false);
	change(world, 23, "a/y", "n3", "n1", false);
	watch_cache_finish_list(world->cache, 30);
	assert_int_equal(open_watch(world, &watcher, "", NULL, NULL, 21), -ERR_EXPIRED);
	assert_int_equal(open_watch(world, &watcher, "", NULL, NULL, 22), 0);
	assert_string_equal(read_all(&watcher), "23");
	storage_watch_close(watcher.watch);
	assert_int_equal(watch_cache_count(world->cache), 0); // the list was empty
	world_free(world);
}

static void test_window_is_bounded(void **state)
{
	(void)state;
	struct world *world = world_new(20000);
	struct watcher slow, quick;
	list_at(world, 1, 1);
	assert_int_equal(open_watch(world, &slow, "", NULL, NULL, 1), 0);
	assert_int_equal(open_watch(world, &quick, "", NULL, NULL, 1), 0);
	for (int64_t revision = 2; revision < 300; revision++) {
		char expected[24];
		change(world, revision, "a/x", "n1", revision == 2 ? NULL : "n1", revision == 2);
		loop_turn(world->loop, 0);
		snprintf(expected, sizeof(expected), "%lld", (long long)revision);
		assert_string_equal(read_all(&quick), expected);
	}
	assert_string_equal(read_all(&slow), "!");
	storage_watch_close(slow.watch);
	assert_int_equal(open_watch(world, &slow, "", NULL, NULL, 2), -ERR_EXPIRED);
	assert_int_equal(open_watch(world, &slow, "", NULL, NULL, 290), 0);
	assert_string_equal(read_all(&slow), "291 292 293 294 295 296 297 298 299");
	storage_watch_close(slow.watch);
	storage_watch_close(quick.watch);
	world_free(world);
}

// An object says what it is in its text, whatever revision it gets.
static void test_object(void **state)
{
	(void)state;
	struct storage_object_format format;
	struct stored_object *object = NULL;
	struct err err = ERR_INIT;
	static const char text[] =
	        "{\"metadata\":{\"name\":\"x\",\"namespace\":\"n\",\"uid\":\"u\",\"labels\":{\"z\":\"\",\"a\":\"1\"}},"
	        "\"status\":{\"phase\":\"Running\"}}";
	storage_object_format_init(&format, &pods);
	assert_int_equal(storage_object_parse(&format, ETCD_TEXT("n/x"), ETCD_TEXT(text), 9, &object, &err), 0);
	assert_string_equal(
	        object->json->data,
	        "{\"metadata\":{\"resourceVersion\":\"9\",\"name\":\"x\",\"namespace\":\"n\",\"uid\":\"u\",\"labels\":{"
	        "\"z\":\"\",\"a\":\"1\"}},\"status\":{\"phase\":\"Running\"}}");
	struct stored_object *later = storage_object_with_revision(object, 12345);
	stored_object_unref(object);
	assert_non_null(strstr(later->json->data, "{\"resourceVersion\":\"12345\",\"name\""));
	assert_int_equal(strlen(later->json->data), later->json->length);
	assert_true(later->revision == 12345);
	assert_string_equal(later->uid, "u");
	assert_string_equal(later->labels[0], "a");
	assert_string_equal(later->labels[2], "z");
	assert_null(later->labels[4]);
	assert_string_equal(later->fields[0], "");
	assert_string_equal(later->fields[1], "Running");
	assert_string_equal(storage_object_key(later), "n/x");
	object = storage_object_with_revision(later, 7);
	assert_non_null(strstr(object->json->data, "{\"resourceVersion\":\"7\",\"name\""));
	stored_object_unref(later);
	stored_object_unref(object);
	storage_object_format_done(&format);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_tree),    cmocka_unit_test(test_dispatch),
	        cmocka_unit_test(test_history), cmocka_unit_test(test_window_is_bounded),
	        cmocka_unit_test(test_object),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
