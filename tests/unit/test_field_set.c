// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/api/typed.h"
#include "common/base/memory.h"

#define POD "io.k8s.api.core.v1.Pod"
#define DEPLOYMENT "io.k8s.api.apps.v1.Deployment"
#define SERVICE "io.k8s.api.core.v1.Service"
#define CONFIG_MAP "io.k8s.api.core.v1.ConfigMap"

static struct json *parse(struct arena *arena, const char *text)
{
	struct json *value = NULL;
	struct err err = ERR_INIT;

	if (json_parse(arena, text, strlen(text), NULL, &value, &err) < 0)
		fail_msg("%s: %s", text, err.message);
	return value;
}

static struct field_set set_of(struct arena *arena, const char *text)
{
	struct field_set set = FIELD_SET_INIT;
	struct err err = ERR_INIT;

	if (field_set_parse(arena, parse(arena, text), &set, &err) < 0)
		fail_msg("%s: %s", text, err.message);
	return set;
}

static void assert_set(struct arena *arena, const struct field_set *set, const char *expected)
{
	struct strbuf text = STRBUF_INIT(1 << 20);

	json_write(&text, field_set_to_json(arena, set));
	assert_string_equal(strbuf_text(&text), expected);
	strbuf_done(&text);
}

// --- encoding ---------------------------------------------------------------------------

static void test_round_trip(void **state)
{
	static const char *const rows[] = {
	        "{}",
	        "{\"f:a\":{},\"f:b\":{\".\":{},\"f:c\":{}}}",
	        "{\"f:ports\":{\"k:{\\\"port\\\":80,\\\"protocol\\\":\\\"TCP\\\"}\":{\".\":{},\"f:port\":{}}}}",
	        "{\"f:finalizers\":{\".\":{},\"v:\\\"x\\\"\":{}}}",
	        "{\"f:list\":{\"i:0\":{},\"i:1\":{}}}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO(arena_free) struct arena *arena = arena_new(0);
		struct field_set set = set_of(arena, rows[i]);

		assert_set(arena, &set, rows[i]);
	}
}

// Keys in any order and spacing are one element.
static void test_canonical_keys(void **state)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct field_set a = set_of(arena, "{\"k:{\\\"b\\\":1,\\\"a\\\":\\\"x\\\"}\":{}}");
	struct field_set b = set_of(arena, "{\"k:{ \\\"a\\\" : \\\"x\\\", \\\"b\\\":1 }\":{}}");

	(void)state;
	assert_true(field_set_equal(&a, &b));
	assert_set(arena, &a, "{\"k:{\\\"a\\\":\\\"x\\\",\\\"b\\\":1}\":{}}");
}

static void test_bad_encodings(void **state)
{
	static const char *const rows[] = {
	        "[]",
	        "{\"a\":{}}",
	        "{\"x:a\":{}}",
	        "{\"k:{\":{}}",
	        "{\"k:[]\":{}}",
	        "{\"k:{}\":{}}",
	        "{\"v:\":{}}",
	        "{\"i:x\":{}}",
	        "{\"f:a\":1}",
	        "{\"f:a\":{\"f:b\":null}}",
	        "{\"\":{}}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO(arena_free) struct arena *arena = arena_new(0);
		struct field_set set = FIELD_SET_INIT;
		struct err err = ERR_INIT;

		assert_true(field_set_parse(arena, parse(arena, rows[i]), &set, &err) < 0);
		assert_true(err.message[0]);
	}
}

static void test_bounded_depth(void **state)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct json *value = json_object(arena);
	struct field_set set;

	(void)state;
	for (int i = 0; i < 100000; i++) {
		struct json *outer = json_object(arena);

		json_set(arena, outer, "f:a", value);
		value = outer;
	}
	assert_true(field_set_parse(arena, value, &set, NULL) < 0);
}

// --- algebra ----------------------------------------------------------------------------

static void test_algebra(void **state)
{
	static const struct {
		const char *a, *b, *both, *without, *common;
	} rows[] = {
	        {"{}", "{\"f:a\":{}}", "{\"f:a\":{}}", "{}", "{}"},
	        {"{\"f:a\":{},\"f:c\":{}}", "{\"f:b\":{},\"f:c\":{}}", "{\"f:a\":{},\"f:b\":{},\"f:c\":{}}",
	         "{\"f:a\":{}}", "{\"f:c\":{}}"},
	        // A place and what is below it are apart.
	        {"{\"f:a\":{\".\":{},\"f:b\":{}}}", "{\"f:a\":{}}", "{\"f:a\":{\".\":{},\"f:b\":{}}}",
	         "{\"f:a\":{\"f:b\":{}}}", "{\"f:a\":{}}"},
	        {"{\"f:a\":{\"f:b\":{},\"f:c\":{}}}", "{\"f:a\":{\".\":{},\"f:c\":{}}}",
	         "{\"f:a\":{\".\":{},\"f:b\":{},\"f:c\":{}}}", "{\"f:a\":{\"f:b\":{}}}", "{\"f:a\":{\"f:c\":{}}}"},
	        {"{\"f:a\":{\"f:b\":{}}}", "{\"f:a\":{\"f:b\":{}}}", "{\"f:a\":{\"f:b\":{}}}", "{}",
	         "{\"f:a\":{\"f:b\":{}}}"},
	        // A field, a key and a value of one text are three.
	        {"{\"f:1\":{},\"v:1\":{}}", "{\"i:1\":{},\"v:1\":{}}", "{\"f:1\":{},\"v:1\":{},\"i:1\":{}}",
	         "{\"f:1\":{}}", "{\"v:1\":{}}"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO(arena_free) struct arena *arena = arena_new(0);
		struct field_set a = set_of(arena, rows[i].a), b = set_of(arena, rows[i].b), result;

		result = field_set_union(arena, &a, &b);
		assert_set(arena, &result, rows[i].both);
		result = field_set_union(arena, &b, &a);
		assert_set(arena, &result, rows[i].both);
		result = field_set_difference(arena, &a, &b);
		assert_set(arena, &result, rows[i].without);
		result = field_set_intersection(arena, &a, &b);
		assert_set(arena, &result, rows[i].common);
		assert_int_equal(field_set_count(&result) == 0, field_set_is_empty(&result));
	}
}

static void collect_path(void *context, const char *path)
{
	strbuf_printf(context, "%s;", path);
}

static void test_paths(void **state)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct strbuf text = STRBUF_INIT(4096);
	struct field_set set = set_of(arena, "{\"f:spec\":{\"f:c\":{\"k:{\\\"name\\\":\\\"x\\\",\\\"p\\\":1}\":"
	                                     "{\".\":{},\"f:image\":{}}},\"f:r\":{}},\"f:f\":{\"v:\\\"y\\\"\":{}}}");

	(void)state;
	field_set_for_each(&set, collect_path, &text);
	assert_string_equal(strbuf_text(&text),
	                    ".f[=\"y\"];.spec.r;.spec.c[name=\"x\",p=1];.spec.c[name=\"x\",p=1].image;");
	strbuf_done(&text);
}

// --- sets of values ---------------------------------------------------------------------

static void test_sets_of_values(void **state)
{
	static const struct {
		const char *type, *value, *set;
	} rows[] = {
	        {CONFIG_MAP, "{\"data\":{\"a\":\"b\"}}", "{\"f:data\":{\"f:a\":{}}}"},
	        {CONFIG_MAP, "{\"data\":{}}", "{\"f:data\":{}}"},
	        {CONFIG_MAP, "{\"data\":null}", "{\"f:data\":{}}"},
	        // A struct is its fields, an empty one itself.
	        {DEPLOYMENT, "{\"spec\":{\"replicas\":0,\"strategy\":{}}}",
	         "{\"f:spec\":{\"f:replicas\":{},\"f:strategy\":{}}}"},
	        // Selectors are wholes.
	        {DEPLOYMENT, "{\"spec\":{\"selector\":{\"matchLabels\":{\"a\":\"b\"}}}}",
	         "{\"f:spec\":{\"f:selector\":{}}}"},
	        {SERVICE, "{\"spec\":{\"selector\":{\"a\":\"b\"}}}", "{\"f:spec\":{\"f:selector\":{}}}"},
	        // Keyed lists: the item and its fields; keys with defaults may be left out.
	        {POD, "{\"spec\":{\"containers\":[{\"name\":\"c\",\"ports\":[{\"containerPort\":80}]}]}}",
	         "{\"f:spec\":{\"f:containers\":{\"k:{\\\"name\\\":\\\"c\\\"}\":{\".\":{},\"f:name\":{},\"f:ports\":"
	         "{\"k:{\\\"containerPort\\\":80,\\\"protocol\\\":\\\"TCP\\\"}\":{\".\":{},\"f:containerPort\":{}}}}}}"
	         "}"},
	        // Sets by value, other lists as a whole.
	        {POD,
	         "{\"metadata\":{\"finalizers\":[\"b\",\"a\"]},\"spec\":{\"containers\":[{\"name\":\"c\",\"args\":["
	         "\"x\"]}]}}",
	         "{\"f:metadata\":{\"f:finalizers\":{\"v:\\\"a\\\"\":{},\"v:\\\"b\\\"\":{}}},\"f:spec\":{\"f:"
	         "containers\":"
	         "{\"k:{\\\"name\\\":\\\"c\\\"}\":{\".\":{},\"f:args\":{},\"f:name\":{}}}}}"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO(arena_free) struct arena *arena = arena_new(0);
		struct field_set set = typed_to_set(arena, schema_find_type(rows[i].type), parse(arena, rows[i].value));

		assert_set(arena, &set, rows[i].set);
	}
}

// --- differences ------------------------------------------------------------------------

static void test_differences(void **state)
{
	static const struct {
		const char *type, *from, *to, *added, *modified, *removed;
	} rows[] = {
	        {CONFIG_MAP, "{}", "{\"data\":{\"a\":\"b\"}}", "{\"f:data\":{\".\":{},\"f:a\":{}}}", "{}", "{}"},
	        {CONFIG_MAP, "{\"data\":{\"a\":\"b\",\"c\":\"d\"}}", "{\"data\":{\"a\":\"x\",\"e\":\"f\"}}",
	         "{\"f:data\":{\"f:e\":{}}}", "{\"f:data\":{\"f:a\":{}}}", "{\"f:data\":{\"f:c\":{}}}"},
	        {CONFIG_MAP, "{\"data\":{\"a\":\"b\"}}", "{\"data\":{\"a\":\"b\"}}", "{}", "{}", "{}"},
	        // Null and empty differ, as leaves.
	        {CONFIG_MAP, "{\"data\":null}", "{\"data\":{}}", "{}", "{\"f:data\":{}}", "{}"},
	        {DEPLOYMENT, "{\"spec\":{\"selector\":{\"matchLabels\":{\"a\":\"b\"}}}}",
	         "{\"spec\":{\"selector\":{\"matchLabels\":{\"a\":\"c\"}}}}", "{}", "{\"f:spec\":{\"f:selector\":{}}}",
	         "{}"},
	        // Order in keyed lists and sets doesn't count; in wholes it does.
	        {POD, "{\"spec\":{\"containers\":[{\"name\":\"a\"},{\"name\":\"b\",\"image\":\"1\"}]}}",
	         "{\"spec\":{\"containers\":[{\"name\":\"b\",\"image\":\"2\"},{\"name\":\"a\"}]}}", "{}",
	         "{\"f:spec\":{\"f:containers\":{\"k:{\\\"name\\\":\\\"b\\\"}\":{\"f:image\":{}}}}}", "{}"},
	        {POD, "{\"metadata\":{\"finalizers\":[\"a\",\"b\"]}}", "{\"metadata\":{\"finalizers\":[\"c\",\"a\"]}}",
	         "{\"f:metadata\":{\"f:finalizers\":{\"v:\\\"c\\\"\":{}}}}", "{}",
	         "{\"f:metadata\":{\"f:finalizers\":{\"v:\\\"b\\\"\":{}}}}"},
	        {POD, "{\"spec\":{\"containers\":[{\"name\":\"a\",\"args\":[\"1\",\"2\"]}]}}",
	         "{\"spec\":{\"containers\":[{\"name\":\"a\",\"args\":[\"2\",\"1\"]}]}}", "{}",
	         "{\"f:spec\":{\"f:containers\":{\"k:{\\\"name\\\":\\\"a\\\"}\":{\"f:args\":{}}}}}", "{}"},
	        {POD, "{\"spec\":{\"containers\":[{\"name\":\"a\"}]}}", "{\"spec\":{\"containers\":null}}", "{}", "{}",
	         "{\"f:spec\":{\"f:containers\":{\"k:{\\\"name\\\":\\\"a\\\"}\":{\".\":{},\"f:name\":{}}}}}"},
	        // Items that stand twice are judged together.
	        {POD, "{\"spec\":{\"containers\":[{\"name\":\"a\",\"env\":[{\"name\":\"X\",\"value\":\"1\"}]}]}}",
	         "{\"spec\":{\"containers\":[{\"name\":\"a\",\"env\":[{\"name\":\"X\",\"value\":\"1\"},"
	         "{\"name\":\"X\",\"value\":\"2\"}]}]}}",
	         "{}",
	         "{\"f:spec\":{\"f:containers\":{\"k:{\\\"name\\\":\\\"a\\\"}\":{\"f:env\":"
	         "{\"k:{\\\"name\\\":\\\"X\\\"}\":{}}}}}}",
	         "{}"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO(arena_free) struct arena *arena = arena_new(0);
		struct typed_difference difference;

		typed_compare(arena, schema_find_type(rows[i].type), parse(arena, rows[i].from),
		              parse(arena, rows[i].to), &difference);
		assert_set(arena, &difference.added, rows[i].added);
		assert_set(arena, &difference.modified, rows[i].modified);
		assert_set(arena, &difference.removed, rows[i].removed);
	}
}

// --- merging ----------------------------------------------------------------------------

#define FINALIZERS(items) "{\"metadata\":{\"finalizers\":" items "}}"

static void test_merges(void **state)
{
	static const struct {
		const char *type, *live, *config, *result;
	} rows[] = {
	        {CONFIG_MAP, "{\"data\":{\"a\":\"1\",\"b\":\"2\"}}", "{\"data\":{\"b\":\"3\",\"c\":\"4\"}}",
	         "{\"data\":{\"a\":\"1\",\"b\":\"3\",\"c\":\"4\"}}"},
	        {CONFIG_MAP, "{\"data\":{\"a\":\"1\"}}", "{\"data\":null}", "{\"data\":{\"a\":\"1\"}}"},
	        {CONFIG_MAP, "{\"data\":{\"a\":\"1\"}}", "{\"data\":{}}", "{\"data\":{\"a\":\"1\"}}"},
	        {DEPLOYMENT, "{\"spec\":{\"selector\":{\"matchLabels\":{\"a\":\"b\"}}}}",
	         "{\"spec\":{\"selector\":{\"matchLabels\":{\"c\":\"d\"}}}}",
	         "{\"spec\":{\"selector\":{\"matchLabels\":{\"c\":\"d\"}}}}"},
	        {POD, "{\"spec\":{\"containers\":[{\"name\":\"a\",\"image\":\"1\",\"tty\":true}]}}",
	         "{\"spec\":{\"containers\":[{\"name\":\"b\"},{\"name\":\"a\",\"image\":\"2\"}]}}",
	         "{\"spec\":{\"containers\":[{\"name\":\"b\"},{\"name\":\"a\",\"image\":\"2\",\"tty\":true}]}}"},
	        // Shared items in the configuration's order, others where they stood.
	        {POD, FINALIZERS("[\"a\",\"b\",\"x\"]"), FINALIZERS("[\"b\",\"a\",\"y\"]"),
	         FINALIZERS("[\"b\",\"x\",\"a\",\"y\"]")},
	        {POD, FINALIZERS("[\"a\",\"x\",\"b\"]"), FINALIZERS("[\"n\",\"a\",\"m\",\"b\"]"),
	         FINALIZERS("[\"n\",\"a\",\"x\",\"m\",\"b\"]")},
	        {POD, FINALIZERS("[\"x\",\"y\"]"), FINALIZERS("[\"n\"]"), FINALIZERS("[\"x\",\"y\",\"n\"]")},
	        {POD, FINALIZERS("[]"), FINALIZERS("[\"n\"]"), FINALIZERS("[\"n\"]")},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO(arena_free) struct arena *arena = arena_new(0);
		struct typed_place root = typed_root(schema_find_type(rows[i].type));
		struct strbuf text = STRBUF_INIT(4096);

		json_write(&text, typed_merge(arena, &root, parse(arena, rows[i].live), parse(arena, rows[i].config)));
		assert_string_equal(strbuf_text(&text), rows[i].result);
		strbuf_done(&text);
	}
}

static void test_removals(void **state)
{
	static const struct {
		const char *type, *value, *set, *result;
	} rows[] = {
	        {CONFIG_MAP, "{\"data\":{\"a\":\"1\",\"b\":\"2\"}}", "{\"f:data\":{\"f:a\":{}}}",
	         "{\"data\":{\"b\":\"2\"}}"},
	        {CONFIG_MAP, "{\"data\":{\"a\":\"1\"}}", "{\"f:data\":{\"f:a\":{}}}", "{}"},
	        {POD, "{\"spec\":{\"containers\":[{\"name\":\"a\",\"tty\":true},{\"name\":\"b\"}]}}",
	         "{\"f:spec\":{\"f:containers\":{\"k:{\\\"name\\\":\\\"a\\\"}\":{\"f:tty\":{}},"
	         "\"k:{\\\"name\\\":\\\"b\\\"}\":{}}}}",
	         "{\"spec\":{\"containers\":[{\"name\":\"a\"}]}}"},
	        {POD, FINALIZERS("[\"a\",\"b\"]"), "{\"f:metadata\":{\"f:finalizers\":{\"v:\\\"a\\\"\":{}}}}",
	         FINALIZERS("[\"b\"]")},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO(arena_free) struct arena *arena = arena_new(0);
		struct typed_place root = typed_root(schema_find_type(rows[i].type));
		struct json *value = parse(arena, rows[i].value);
		struct field_set set = set_of(arena, rows[i].set);
		struct strbuf text = STRBUF_INIT(4096);

		(void)typed_remove(arena, &root, value, &set);
		json_write(&text, value);
		assert_string_equal(strbuf_text(&text), rows[i].result);
		strbuf_done(&text);
	}
}

static void test_checks(void **state)
{
	static const struct {
		const char *type, *value, *complaint;
	} rows[] = {
	        {POD, "{\"spec\":{\"containers\":[{\"name\":\"a\",\"image\":null}]}}", NULL},
	        {POD, "{\"spec\":{\"bogus\":1}}", ".spec.bogus: field not declared in schema"},
	        {POD, "{\"spec\":{\"containers\":[{\"name\":\"a\",\"x\":1}]}}",
	         ".spec.containers[name=\"a\"].x: field not declared in schema"},
	        {POD, "{\"spec\":{\"containers\":[{\"image\":\"a\"}]}}",
	         ".spec.containers: element 0: associative list with keys has an element that omits key field \"name\" "
	         "(and doesn't have default value)"},
	        {POD, "{\"spec\":{\"containers\":[{\"name\":\"a\"},{\"name\":\"a\"}]}}",
	         ".spec.containers: duplicate entries for key [name=\"a\"]"},
	        {POD, FINALIZERS("[\"a\",\"a\"]"), ".metadata.finalizers: duplicate entries for key [=\"a\"]"},
	        {POD, "{\"spec\":1}", ".spec: expected map, got &{1}"},
	        {POD, "{\"spec\":{\"containers\":{}}}", ".spec.containers: expected list, got &{map[]}"},
	        {DEPLOYMENT, "{\"spec\":{\"replicas\":\"3\"}}",
	         ".spec.replicas: expected numeric (int or float), got string"},
	        {DEPLOYMENT, "{\"spec\":{\"a\":1,\"b\":2}}",
	         "errors:\n  .spec.a: field not declared in schema\n  .spec.b: field not declared in schema"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO(arena_free) struct arena *arena = arena_new(0);
		const char *complaint = typed_check(arena, schema_find_type(rows[i].type), parse(arena, rows[i].value));

		if (rows[i].complaint)
			assert_string_equal(complaint, rows[i].complaint);
		else
			assert_null(complaint);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_round_trip),     cmocka_unit_test(test_canonical_keys),
	        cmocka_unit_test(test_bad_encodings),  cmocka_unit_test(test_bounded_depth),
	        cmocka_unit_test(test_algebra),        cmocka_unit_test(test_paths),
	        cmocka_unit_test(test_sets_of_values), cmocka_unit_test(test_differences),
	        cmocka_unit_test(test_merges),         cmocka_unit_test(test_removals),
	        cmocka_unit_test(test_checks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
