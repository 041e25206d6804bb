// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/api/apply.h"
#include "common/base/memory.h"

#define POD "io.k8s.api.core.v1.Pod"
#define CONFIG_MAP "io.k8s.api.core.v1.ConfigMap"
#define DEPLOYMENT "io.k8s.api.apps.v1.Deployment"

// One object as writers come and go.
struct scene {
	struct arena *arena;
	const struct schema_type *type;
	struct json *object;
	struct field_managers managers;
	struct field_conflicts conflicts;
	const char *api_version;
	const char *const *except;
	int second;
};

static struct json *parse(struct arena *arena, const char *text)
{
	struct json *value = NULL;
	struct err err = ERR_INIT;

	if (json_parse(arena, text, strlen(text), NULL, &value, &err) < 0)
		fail_msg("%s: %s", text, err.message);
	return value;
}

static struct scene scene_of(const char *type, const char *object)
{
	struct arena *arena = arena_new(0);

	return (struct scene){
	        .arena = arena, .type = schema_find_type(type), .object = parse(arena, object), .api_version = "v1"};
}

static struct field_write write_of(struct scene *scene, const char *manager)
{
	return (struct field_write){
	        .arena = scene->arena,
	        .type = scene->type,
	        .manager = manager,
	        .api_version = scene->api_version,
	        .subresource = "",
	        .now = arena_printf(scene->arena, "2024-01-01T00:00:%02dZ", ++scene->second),
	        .except = scene->except,
	};
}

static bool apply(struct scene *scene, const char *manager, const char *config, bool force)
{
	struct field_write write = write_of(scene, manager);

	return field_write_apply(&write, json_clone(scene->arena, scene->object), parse(scene->arena, config), force,
	                         NULL, &scene->managers, &scene->object, &scene->conflicts);
}

static void update(struct scene *scene, const char *manager, const char *object)
{
	struct field_write write = write_of(scene, manager);
	struct json *wanted = parse(scene->arena, object);

	(void)field_write_update(&write, scene->object, wanted, &scene->managers);
	scene->object = wanted;
}

static void assert_object(struct scene *scene, const char *expected)
{
	struct strbuf text = STRBUF_INIT(1 << 16);

	json_write(&text, scene->object);
	assert_string_equal(strbuf_text(&text), expected);
	strbuf_done(&text);
}

// "" = owns nothing.
static void assert_owns(struct scene *scene, const char *manager, const char *expected)
{
	struct strbuf text = STRBUF_INIT(1 << 16);

	for (size_t i = 0; i < scene->managers.count; i++)
		if (!strcmp(scene->managers.items[i].name, manager))
			json_write(&text, field_set_to_json(scene->arena, &scene->managers.items[i].set));
	assert_string_equal(strbuf_text(&text), expected);
	strbuf_done(&text);
}

static void test_updates_take_and_lose(void **state)
{
	struct scene scene = scene_of(CONFIG_MAP, "{}");

	(void)state;
	update(&scene, "a", "{\"metadata\":{\"name\":\"n\",\"uid\":\"u\"},\"data\":{\"x\":\"1\",\"y\":\"2\"}}");
	assert_owns(&scene, "a", "{\"f:data\":{\".\":{},\"f:x\":{},\"f:y\":{}}}");
	update(&scene, "b", "{\"metadata\":{\"name\":\"n\",\"uid\":\"u\"},\"data\":{\"x\":\"3\",\"y\":\"2\"}}");
	assert_owns(&scene, "a", "{\"f:data\":{\".\":{},\"f:y\":{}}}");
	assert_owns(&scene, "b", "{\"f:data\":{\"f:x\":{}}}");
	update(&scene, "c", "{\"metadata\":{\"name\":\"n\",\"uid\":\"u\"},\"data\":{\"x\":\"3\"}}");
	assert_owns(&scene, "a", "{\"f:data\":{}}");
	assert_owns(&scene, "c", "");
	assert_int_equal(scene.managers.count, 2);
	arena_free(scene.arena);
}

static void test_conflict_force_and_shared(void **state)
{
	struct scene scene = scene_of(CONFIG_MAP, "{}");

	(void)state;
	assert_true(apply(&scene, "a", "{\"data\":{\"x\":\"1\"}}", false));
	assert_true(apply(&scene, "b", "{\"data\":{\"x\":\"1\",\"y\":\"1\"}}", false));
	assert_owns(&scene, "a", "{\"f:data\":{\"f:x\":{}}}");
	assert_owns(&scene, "b", "{\"f:data\":{\"f:x\":{},\"f:y\":{}}}");
	assert_false(apply(&scene, "c", "{\"data\":{\"x\":\"2\"}}", false));
	assert_int_equal(scene.conflicts.count, 2);
	assert_string_equal(scene.conflicts.items[0].path, ".data.x");
	assert_string_equal(scene.conflicts.items[0].manager->name, "a");
	assert_string_equal(scene.conflicts.items[1].manager->name, "b");
	arena_free(scene.arena);

	scene = scene_of(CONFIG_MAP, "{}");
	assert_true(apply(&scene, "a", "{\"data\":{\"x\":\"1\"}}", false));
	assert_true(apply(&scene, "c", "{\"data\":{\"x\":\"2\"}}", true));
	assert_owns(&scene, "a", "");
	assert_owns(&scene, "c", "{\"f:data\":{\"f:x\":{}}}");
	assert_object(&scene, "{\"data\":{\"x\":\"2\"}}");
	arena_free(scene.arena);
}

static void test_unapplied_fields_go_unless_owned(void **state)
{
	struct scene scene = scene_of(CONFIG_MAP, "{}");

	(void)state;
	assert_true(apply(&scene, "a", "{\"data\":{\"x\":\"1\",\"y\":\"1\",\"z\":\"1\"}}", false));
	assert_true(apply(&scene, "b", "{\"data\":{\"y\":\"1\"}}", false));
	assert_true(apply(&scene, "a", "{\"data\":{\"z\":\"1\"}}", false));
	assert_object(&scene, "{\"data\":{\"y\":\"1\",\"z\":\"1\"}}");
	assert_true(apply(&scene, "a", "{}", false));
	assert_owns(&scene, "a", "");
	assert_object(&scene, "{\"data\":{\"y\":\"1\"}}");
	arena_free(scene.arena);
}

// An item goes with all that is in it, other managers' fields too, when the one that owned it gives it up.
static void test_unapplied_items(void **state)
{
	struct scene scene = scene_of(POD, "{}");

	(void)state;
	assert_true(apply(&scene, "a",
	                  "{\"spec\":{\"containers\":[{\"name\":\"x\"},{\"name\":\"y\",\"image\":\"i\"}]}}", false));
	assert_true(apply(&scene, "b", "{\"spec\":{\"containers\":[{\"name\":\"x\",\"image\":\"j\"}]}}", false));
	assert_true(apply(&scene, "a", "{\"spec\":{\"containers\":[{\"name\":\"y\"}]}}", false));
	// Both owned the item "x"; nobody owns the image of "y" any more.
	assert_object(&scene, "{\"spec\":{\"containers\":[{\"name\":\"x\",\"image\":\"j\"},{\"name\":\"y\"}]}}");
	assert_true(apply(&scene, "b", "{\"spec\":{\"containers\":[]}}", false));
	assert_object(&scene, "{\"spec\":{\"containers\":[{\"name\":\"y\"}]}}");
	arena_free(scene.arena);
}

static void test_atomics_and_quantities(void **state)
{
	struct scene scene = scene_of(DEPLOYMENT, "{}");

	(void)state;
	scene.api_version = "apps/v1";
	assert_true(apply(&scene, "a", "{\"spec\":{\"selector\":{\"matchLabels\":{\"a\":\"b\"}}}}", false));
	assert_false(apply(&scene, "b", "{\"spec\":{\"selector\":{\"matchLabels\":{\"c\":\"d\"}}}}", false));
	assert_string_equal(scene.conflicts.items[0].path, ".spec.selector");
	arena_free(scene.arena);

	// A reference is owned as a whole, but that of a volume to its claim by its members.
	scene = scene_of("io.k8s.api.core.v1.PersistentVolume", "{}");
	assert_true(apply(&scene, "a", "{\"spec\":{\"claimRef\":{\"name\":\"x\"}}}", false));
	assert_true(apply(&scene, "b", "{\"spec\":{\"claimRef\":{\"namespace\":\"y\"}}}", false));
	assert_owns(&scene, "b", "{\"f:spec\":{\"f:claimRef\":{\"f:namespace\":{}}}}");
	arena_free(scene.arena);

	// The same amount in other words is no conflict.
	scene = scene_of(POD, "{}");
	assert_true(apply(
	        &scene, "a",
	        "{\"spec\":{\"containers\":[{\"name\":\"x\",\"resources\":{\"limits\":{\"cpu\":\"500m\"}}}]}}", false));
	assert_true(apply(&scene, "b",
	                  "{\"spec\":{\"containers\":[{\"name\":\"x\",\"resources\":{\"limits\":{\"cpu\":0.5}}}]}}",
	                  false));
	arena_free(scene.arena);
}

static void test_before_first_apply(void **state)
{
	struct scene scene = scene_of(CONFIG_MAP, "{\"data\":{\"x\":\"1\",\"y\":\"1\"}}");

	(void)state;
	assert_false(apply(&scene, "a", "{\"data\":{\"x\":\"2\"}}", false));
	assert_string_equal(scene.conflicts.items[0].manager->name, "before-first-apply");
	scene.managers.count = 0;
	assert_true(apply(&scene, "a", "{\"data\":{\"x\":\"2\"}}", true));
	assert_owns(&scene, "before-first-apply", "{\"f:data\":{\".\":{},\"f:y\":{}}}");
	arena_free(scene.arena);
}

static void test_fields_out_of_reach(void **state)
{
	static const char *const status[] = {"status", NULL};
	struct scene scene = scene_of(POD, "{}");

	(void)state;
	scene.except = status;
	assert_true(apply(&scene, "a", "{\"status\":{\"phase\":\"Running\"},\"spec\":{\"nodeName\":\"n\"}}", false));
	assert_owns(&scene, "a", "{\"f:spec\":{\"f:nodeName\":{}}}");
	arena_free(scene.arena);
}

static void test_times_move_only_with_sets(void **state)
{
	struct scene scene = scene_of(CONFIG_MAP, "{}");
	const char *first;

	(void)state;
	assert_true(apply(&scene, "a", "{\"data\":{\"x\":\"1\"}}", false));
	first = scene.managers.items[0].time;
	assert_true(apply(&scene, "a", "{\"data\":{\"x\":\"1\"}}", false));
	assert_string_equal(scene.managers.items[0].time, first);
	assert_true(apply(&scene, "a", "{\"data\":{\"x\":\"2\"}}", false));
	assert_string_not_equal(scene.managers.items[0].time, first);
	arena_free(scene.arena);
}

static void test_oldest_updaters_become_one(void **state)
{
	struct scene scene = scene_of(CONFIG_MAP, "{\"data\":{\"k\":\"0\"}}");
	struct json *entries;

	(void)state;
	for (int i = 0; i < 14; i++) {
		char *name = xasprintf("m%02d", i);
		struct strbuf text = STRBUF_INIT(4096);

		strbuf_append_text(&text, "{\"data\":{\"k\":\"0\"");
		for (int j = 0; j <= i; j++)
			strbuf_printf(&text, ",\"k%02d\":\"\"", j);
		strbuf_append_text(&text, "}}");
		update(&scene, arena_strdup(scene.arena, name), strbuf_text(&text));
		strbuf_done(&text);
		free(name);
	}
	assert_int_equal(scene.managers.count, 10);
	assert_owns(&scene, "ancient-changes",
	            "{\"f:data\":{\"f:k00\":{},\"f:k01\":{},\"f:k02\":{},\"f:k03\":{},\"f:k04\":{}}}");
	entries = field_managers_to_json(scene.arena, &scene.managers);
	assert_string_equal(json_get_text(entries->items[0], "manager"), "ancient-changes");
	assert_string_equal(json_get_text(entries->items[9], "manager"), "m13");
	arena_free(scene.arena);
}

// --- versions ---------------------------------------------------------------------------

// "old" calls the data binaryData; no other version exists.
static struct json *in_version(void *context, const char *api_version, const struct json *object,
                               const struct schema_type **ret_type)
{
	struct scene *scene = context;
	struct json *copy = json_clone(scene->arena, object), *data = json_get(copy, "data");

	if (strcmp(api_version, "old"))
		return NULL;
	json_remove(copy, "data");
	if (data)
		json_set(scene->arena, copy, "binaryData", data);
	*ret_type = scene->type;
	return copy;
}

static void test_managers_of_other_versions(void **state)
{
	struct scene scene = scene_of(CONFIG_MAP, "{\"data\":{\"x\":\"\",\"y\":\"\"}}");
	struct json *entries = parse(
	        scene.arena, "[{\"manager\":\"o\",\"operation\":\"Update\",\"apiVersion\":\"old\",\"fieldsType\":"
	                     "\"FieldsV1\",\"fieldsV1\":{\"f:binaryData\":{\"f:x\":{},\"f:y\":{}}}},"
	                     "{\"manager\":\"gone\",\"operation\":\"Update\",\"apiVersion\":\"v0\",\"fieldsType\":"
	                     "\"FieldsV1\",\"fieldsV1\":{\"f:what\":{}}}]");
	struct json *wanted = parse(scene.arena, "{\"data\":{\"x\":\"new\",\"y\":\"\"}}");
	struct field_write write = write_of(&scene, "n");

	(void)state;
	write.in_version = in_version;
	write.context = &scene;
	assert_int_equal(field_managers_parse(scene.arena, entries, &scene.managers, NULL), 0);
	assert_true(field_write_update(&write, scene.object, wanted, &scene.managers));
	assert_owns(&scene, "o", "{\"f:binaryData\":{\"f:y\":{}}}");
	assert_owns(&scene, "gone", "");
	assert_owns(&scene, "n", "{\"f:data\":{\"f:x\":{}}}");
	arena_free(scene.arena);
}

static void test_bad_entries(void **state)
{
	static const char *const rows[] = {
	        "[{\"operation\":\"Patch\",\"apiVersion\":\"v1\",\"fieldsType\":\"FieldsV1\"}]",
	        "[{\"operation\":\"Apply\",\"fieldsType\":\"FieldsV1\"}]",
	        "[{\"operation\":\"Apply\",\"apiVersion\":\"v1\"}]",
	        "[{\"operation\":\"Apply\",\"apiVersion\":\"v1\",\"fieldsType\":\"FieldsV2\"}]",
	        "[{\"operation\":\"Apply\",\"apiVersion\":\"v1\",\"fieldsType\":\"FieldsV1\",\"fieldsV1\":{\"x\":1}}]",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO(arena_free) struct arena *arena = arena_new(0);
		struct field_managers managers;

		assert_true(field_managers_parse(arena, parse(arena, rows[i]), &managers, NULL) < 0);
	}
}

static void test_last_applied(void **state)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct json *live =
	        parse(arena, "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"data\":{\"a\":\"1\",\"b\":\"changed\"}}");
	struct json *annotations =
	        json_ensure_object(arena, json_ensure_object(arena, live, "metadata"), "annotations");
	const struct schema_type *type = schema_find_type(CONFIG_MAP);
	struct field_set set;
	struct strbuf text = STRBUF_INIT(4096);

	(void)state;
	json_set_text(arena, annotations, LAST_APPLIED_ANNOTATION,
	              "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"data\":{\"a\":\"1\",\"b\":\"2\",\"c\":\"3\"}}");
	set = field_set_of_last_applied(arena, type, "v1", live);
	json_write(&text, field_set_to_json(arena, &set));
	assert_string_equal(strbuf_text(&text), "{\"f:apiVersion\":{},\"f:data\":{\"f:a\":{}},\"f:kind\":{}}");
	strbuf_done(&text);
	set = field_set_of_last_applied(arena, type, "v2", live);
	assert_true(field_set_is_empty(&set));
	json_set_text(arena, annotations, LAST_APPLIED_ANNOTATION, "{broken");
	set = field_set_of_last_applied(arena, type, "v1", live);
	assert_true(field_set_is_empty(&set));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_updates_take_and_lose),
	        cmocka_unit_test(test_conflict_force_and_shared),
	        cmocka_unit_test(test_unapplied_fields_go_unless_owned),
	        cmocka_unit_test(test_unapplied_items),
	        cmocka_unit_test(test_atomics_and_quantities),
	        cmocka_unit_test(test_before_first_apply),
	        cmocka_unit_test(test_fields_out_of_reach),
	        cmocka_unit_test(test_times_move_only_with_sets),
	        cmocka_unit_test(test_oldest_updaters_become_one),
	        cmocka_unit_test(test_managers_of_other_versions),
	        cmocka_unit_test(test_bad_entries),
	        cmocka_unit_test(test_last_applied),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
