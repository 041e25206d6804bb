// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "common/api/patch.h"
#include "common/base/memory.h"

#define POD "io.k8s.api.core.v1.Pod"
#define DEPLOYMENT "io.k8s.api.apps.v1.Deployment"
#define SERVICE "io.k8s.api.core.v1.Service"
#define CONFIG_MAP "io.k8s.api.core.v1.ConfigMap"
#define BUDGET "io.k8s.api.policy.v1.PodDisruptionBudget"

static struct json *parse(struct arena *arena, const char *text)
{
	struct json *value = NULL;
	struct err err = ERR_INIT;
	if (text && json_parse(arena, text, strlen(text), NULL, &value, &err))
		fail_msg("%s: %s", text, err.message);
	return value;
}

static char *text_of(const struct json *value)
{
	struct strbuf out = STRBUF_INIT(1 << 22);
	json_write(&out, value);
	return strbuf_take(&out, NULL);
}

// What applying gives, as JSON with sorted keys or "error: …"; the patch must stay as it was.
static char *apply(const char *type, const char *document, const char *patch)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct json *target = parse(arena, document);
	struct json *change = parse(arena, patch);
	struct json *copy = json_clone(arena, change);
	struct err err = ERR_INIT;
	int code;
	if (!type)
		code = json_is(change, JSON_ARRAY) ? patch_json(arena, &target, change, &err)
		                                   : patch_merge(arena, &target, change, &err);
	else
		code = patch_strategic(arena, schema_find_type(type), &target, change, &err);
	assert_true(json_equal(change, copy));
	if (code)
		return xasprintf("error: %s", err.message);
	json_sort_keys(target);
	return text_of(target);
}

struct row {
	const char *type, *document, *patch, *result;
};

static void check_rows(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		AUTO_FREE char *result = apply(rows[i].type, rows[i].document, rows[i].patch);
		if (strcmp(result, rows[i].result) != 0)
			fail_msg("%s + %s:\n  %s, not\n  %s", rows[i].document, rows[i].patch, result, rows[i].result);
	}
}

static void test_json_patch(void **state)
{
	static const struct row rows[] = {
	        {NULL, "{\"a\":1}", "[]", "{\"a\":1}"},
	        {NULL, "{\"a\":1}", "[{\"op\":\"add\",\"path\":\"/b\",\"value\":{\"c\":[1]}}]",
	         "{\"a\":1,\"b\":{\"c\":[1]}}"},
	        {NULL, "{\"a\":1}", "[{\"op\":\"add\",\"path\":\"/a\",\"value\":2}]", "{\"a\":2}"},
	        {NULL, "{\"a\":[1,3]}", "[{\"op\":\"add\",\"path\":\"/a/1\",\"value\":2}]", "{\"a\":[1,2,3]}"},
	        {NULL, "{\"a\":[1]}",
	         "[{\"op\":\"add\",\"path\":\"/a/-\",\"value\":2},{\"op\":\"add\",\"path\":\"/a/2\",\"value\":3}]",
	         "{\"a\":[1,2,3]}"},
	        {NULL, "{\"a\":[1,2]}", "[{\"op\":\"remove\",\"path\":\"/a/-1\"}]", "{\"a\":[1]}"},
	        {NULL, "{\"a\":[1]}", "[{\"op\":\"add\",\"path\":\"/a/3\",\"value\":2}]",
	         "error: error in add for path: '/a/3': Unable to access invalid index: 3: invalid index referenced"},
	        {NULL, "{\"a\":[1]}", "[{\"op\":\"add\",\"path\":\"/a/x\",\"value\":2}]",
	         "error: error in add for path: '/a/x': strconv.Atoi: parsing \"x\": invalid syntax"},
	        {NULL, "{\"a\":{\"b\":1}}", "[{\"op\":\"remove\",\"path\":\"/a/b\"}]", "{\"a\":{}}"},
	        {NULL, "{}", "[{\"op\":\"remove\",\"path\":\"/a\"}]",
	         "error: error in remove for path: '/a': Unable to remove nonexistent key: a: missing value"},
	        {NULL, "{}", "[{\"op\":\"remove\",\"path\":\"/a/b\"}]",
	         "error: remove operation does not apply: doc is missing path: \"/a/b\": missing value"},
	        {NULL, "{\"a/b\":{\"c~d\":1}}", "[{\"op\":\"replace\",\"path\":\"/a~1b/c~0d\",\"value\":2}]",
	         "{\"a/b\":{\"c~d\":2}}"},
	        {NULL, "{}", "[{\"op\":\"replace\",\"path\":\"/a\",\"value\":2}]",
	         "error: replace operation does not apply: doc is missing key: /a: missing value"},
	        {NULL, "{\"a\":[1,2]}", "[{\"op\":\"replace\",\"path\":\"/a/1\",\"value\":5}]", "{\"a\":[1,5]}"},
	        {NULL, "{\"a\":{\"b\":1},\"c\":[]}", "[{\"op\":\"move\",\"from\":\"/a/b\",\"path\":\"/c/0\"}]",
	         "{\"a\":{},\"c\":[1]}"},
	        {NULL, "{\"a\":{}}", "[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/a/b\"}]",
	         "error: move operation does not apply: cannot move /a into itself"},
	        {NULL, "{\"a\":{\"b\":1}}",
	         "[{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/c\"},{\"op\":\"add\",\"path\":\"/c/b\",\"value\":2}]",
	         "{\"a\":{\"b\":1},\"c\":{\"b\":2}}"},
	        {NULL, "{}", "[{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/c\"}]",
	         "error: copy operation does not apply: doc is missing from path: /a: missing value"},
	        {NULL, "{\"a\":{\"x\":1,\"y\":[2]}}",
	         "[{\"op\":\"test\",\"path\":\"/a\",\"value\":{\"y\":[2],\"x\":1}}]", "{\"a\":{\"x\":1,\"y\":[2]}}"},
	        {NULL, "{\"a\":1}", "[{\"op\":\"test\",\"path\":\"/a\",\"value\":2}]",
	         "error: testing value /a failed: test failed"},
	        {NULL, "{\"a\":1}", "[{\"op\":\"test\",\"path\":\"/b\",\"value\":null}]", "{\"a\":1}"},
	        {NULL, "{\"a\":1}", "[{\"op\":\"test\",\"path\":\"\",\"value\":{\"a\":1.0}}]",
	         "error: testing value  failed: test failed"},
	        {NULL, "{\"a\":1}", "[{\"op\":\"replace\",\"path\":\"\",\"value\":[1]}]", "[1]"},
	        {NULL, "{}", "[{\"op\":\"frob\",\"path\":\"/a\"}]", "error: Unexpected kind: frob"},
	        {NULL, "{}", "[{\"path\":\"/a\"}]", "error: Unexpected kind: unknown"},
	        {NULL, "{}", "[{\"op\":\"add\",\"value\":1}]",
	         "error: add operation failed to decode path: missing value"},
	        {NULL, "{}", "[1]",
	         "error: error decoding patch: json: cannot unmarshal value into Go value of type jsonpatch.Operation"},
	};
	(void)state;
	check_rows(rows, ARRAY_SIZE(rows));
}

static void test_json_patch_cannot_blow_up(void **state)
{
	(void)state;
	AUTO_STRBUF struct strbuf patch = STRBUF_INIT(1 << 22);
	strbuf_append_text(&patch, "[{\"op\":\"add\",\"path\":\"/a\",\"value\":[\"0123456789\"]}");
	for (int i = 0; i < 40; i++)
		strbuf_append_text(&patch, ",{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/a/-\"}");
	strbuf_append_char(&patch, ']');
	AUTO_FREE char *result = apply(NULL, "{}", strbuf_text(&patch));
	assert_non_null(strstr(result, "the accumulated size increase of copy is"));
	strbuf_clear(&patch);
	for (int i = 0; i <= 10000; i++)
		strbuf_append_text(&patch,
		                   i ? ",{\"op\":\"test\",\"path\":\"/a\"}" : "[{\"op\":\"test\",\"path\":\"/a\"}");
	strbuf_append_char(&patch, ']');
	AUTO_FREE char *many = apply(NULL, "{}", strbuf_text(&patch));
	assert_string_equal(many, "error: The allowed maximum operations in a JSON patch is 10000, got 10001");
}

static void test_merge_patch(void **state)
{
	// The examples of RFC 7386 that begin with an object, and others.
	static const struct row rows[] = {
	        {NULL, "{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
	        {NULL, "{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}"},
	        {NULL, "{\"a\":\"b\"}", "{\"a\":null}", "{}"},
	        {NULL, "{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}"},
	        {NULL, "{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
	        {NULL, "{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}"},
	        {NULL, "{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}"},
	        {NULL, "{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}"},
	        {NULL, "{\"e\":null}", "{\"a\":1}", "{\"a\":1,\"e\":null}"},
	        {NULL, "{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}"},
	        {NULL, "{}", "\"x\"",
	         "error: error decoding patch: json: cannot unmarshal string into Go value of type "
	         "map[string]interface {}"},
	};
	(void)state;
	check_rows(rows, ARRAY_SIZE(rows));
}

static void test_strategic_objects(void **state)
{
	static const struct row rows[] = {
	        {DEPLOYMENT, "{\"spec\":{\"replicas\":1,\"paused\":true}}",
	         "{\"spec\":{\"replicas\":3,\"paused\":null}}", "{\"spec\":{\"replicas\":3}}"},
	        {DEPLOYMENT, "{}", "{\"spec\":{\"template\":{\"metadata\":{\"labels\":{\"a\":\"b\",\"c\":null}}}}}",
	         "{\"spec\":{\"template\":{\"metadata\":{\"labels\":{\"a\":\"b\"}}}}}"},
	        {DEPLOYMENT, "{\"spec\":{\"selector\":{\"matchLabels\":{\"a\":\"b\"}}}}",
	         "{\"spec\":{\"selector\":{\"$patch\":\"replace\",\"matchLabels\":{\"c\":\"d\"}}}}",
	         "{\"spec\":{\"selector\":{\"matchLabels\":{\"c\":\"d\"}}}}"},
	        {DEPLOYMENT, "{\"spec\":{\"selector\":{\"matchLabels\":{\"a\":\"b\"}}}}",
	         "{\"spec\":{\"selector\":{\"$patch\":\"delete\"}}}", "{\"spec\":{\"selector\":{}}}"},
	        {DEPLOYMENT, "{\"spec\":{\"selector\":{}}}", "{\"spec\":{\"selector\":{\"$patch\":\"frob\"}}}",
	         "error: unknown patch type: frob in map: map[$patch:frob]"},
	        {DEPLOYMENT,
	         "{\"spec\":{\"strategy\":{\"type\":\"RollingUpdate\",\"rollingUpdate\":{\"maxSurge\":1}}}}",
	         "{\"spec\":{\"strategy\":{\"$retainKeys\":[\"type\"],\"type\":\"Recreate\"}}}",
	         "{\"spec\":{\"strategy\":{\"type\":\"Recreate\"}}}"},
	        {DEPLOYMENT, "{\"spec\":{\"strategy\":{}}}",
	         "{\"spec\":{\"strategy\":{\"$retainKeys\":[\"type\"],\"rollingUpdate\":{}}}}",
	         "error: invalid patch format of retainKeys"},
	        {DEPLOYMENT, "{\"spec\":{\"foo\":{}}}", "{\"spec\":{\"foo\":{\"x\":1}}}",
	         "error: unable to find api field in struct DeploymentSpec for the json field \"foo\""},
	        {BUDGET, "{\"spec\":{\"selector\":{\"matchLabels\":{\"a\":\"b\"}}}}",
	         "{\"spec\":{\"selector\":{\"matchLabels\":{\"c\":\"d\"}}}}",
	         "{\"spec\":{\"selector\":{\"matchLabels\":{\"c\":\"d\"}}}}"},
	        {CONFIG_MAP, "{\"data\":{\"a\":\"1\",\"b\":\"2\"}}", "{\"data\":{\"a\":null,\"c\":\"3\"}}",
	         "{\"data\":{\"b\":\"2\",\"c\":\"3\"}}"},
	};
	(void)state;
	check_rows(rows, ARRAY_SIZE(rows));
}

#define SPEC(list) "{\"spec\":{" list "}}"

static void test_strategic_lists(void **state)
{
	static const struct row rows[] = {
	        // Merged by key: new items first where the live list knows no order.
	        {POD, SPEC("\"containers\":[{\"name\":\"a\",\"image\":\"x\"},{\"name\":\"b\",\"image\":\"y\"}]"),
	         SPEC("\"containers\":[{\"name\":\"b\",\"image\":\"z\"},{\"name\":\"c\"}]"),
	         SPEC("\"containers\":[{\"image\":\"x\",\"name\":\"a\"},{\"image\":\"z\",\"name\":\"b\"},{\"name\":"
	              "\"c\"}]")},
	        {POD, SPEC("\"containers\":[{\"name\":\"a\"},{\"name\":\"b\"}]"),
	         SPEC("\"containers\":[{\"name\":\"a\",\"$patch\":\"delete\"}]"),
	         SPEC("\"containers\":[{\"name\":\"b\"}]")},
	        {POD, SPEC("\"containers\":[{\"name\":\"a\"},{\"name\":\"b\"}]"),
	         SPEC("\"containers\":[{\"$patch\":\"replace\"},{\"name\":\"c\"}]"),
	         SPEC("\"containers\":[{\"name\":\"c\"}]")},
	        {POD, SPEC("\"containers\":[{\"name\":\"a\"}]"), SPEC("\"containers\":[{\"$patch\":\"merge\"}]"),
	         "error: merging lists cannot yet be specified in the patch"},
	        {POD, SPEC("\"containers\":[{\"name\":\"a\"}]"), SPEC("\"containers\":[{\"image\":\"x\"}]"),
	         "error: map: map[image:x] does not contain declared merge key: name"},
	        {POD, SPEC("\"containers\":[{\"name\":\"a\"}]"), SPEC("\"containers\":[\"b\"]"),
	         "error: list element types are not identical: [b]"},
	        {POD, SPEC("\"containers\":[{\"name\":\"a\"}]"),
	         SPEC("\"containers\":[{\"name\":\"n\",\"image\":\"1\"},{\"name\":\"n\",\"image\":\"2\"}]"),
	         SPEC("\"containers\":[{\"image\":\"2\",\"name\":\"n\"},{\"name\":\"a\"}]")},
	        // Replaced as a whole.
	        {POD, SPEC("\"tolerations\":[{\"key\":\"a\"}]"), SPEC("\"tolerations\":[{\"key\":\"b\"}]"),
	         SPEC("\"tolerations\":[{\"key\":\"b\"}]")},
	        {POD, SPEC("\"containers\":[{\"name\":\"a\",\"args\":[\"1\",\"2\"]}]"),
	         SPEC("\"containers\":[{\"name\":\"a\",\"args\":[\"3\"]}]"),
	         SPEC("\"containers\":[{\"args\":[\"3\"],\"name\":\"a\"}]")},
	        // Order.
	        {POD, SPEC("\"containers\":[{\"name\":\"a\"},{\"name\":\"b\"},{\"name\":\"s\"}]"),
	         SPEC("\"$setElementOrder/containers\":[{\"name\":\"b\"},{\"name\":\"a\"}]"),
	         SPEC("\"containers\":[{\"name\":\"b\"},{\"name\":\"a\"},{\"name\":\"s\"}]")},
	        {POD, SPEC("\"containers\":[{\"name\":\"a\"},{\"name\":\"b\"}]"),
	         SPEC("\"$setElementOrder/"
	              "containers\":[{\"name\":\"c\"},{\"name\":\"b\"}],\"containers\":[{\"name\":\"c\"},{\"name\":"
	              "\"a\",\"$patch\":\"delete\"}]"),
	         SPEC("\"containers\":[{\"name\":\"c\"},{\"name\":\"b\"}]")},
	        {POD, SPEC("\"containers\":[{\"name\":\"a\"}]"),
	         SPEC("\"$setElementOrder/containers\":[{\"name\":\"a\"}],\"containers\":[{\"name\":\"b\"}]"),
	         "error: The order in patch list:\n[map[name:b]]\n doesn't match $setElementOrder "
	         "list:\n[map[name:a]]\n"},
	        {POD, SPEC("\"nodeName\":\"n\""), SPEC("\"$setElementOrder/containers\":[{\"name\":\"a\"}]"),
	         SPEC("\"nodeName\":\"n\"")},
	        // Scalars: finalizers.
	        {POD, "{\"metadata\":{\"finalizers\":[\"a\",\"b\"]}}", "{\"metadata\":{\"finalizers\":[\"b\",\"c\"]}}",
	         "{\"metadata\":{\"finalizers\":[\"a\",\"b\",\"c\"]}}"},
	        {POD, "{\"metadata\":{\"finalizers\":[\"a\",\"b\",\"c\"]}}",
	         "{\"metadata\":{\"$deleteFromPrimitiveList/finalizers\":[\"b\"]}}",
	         "{\"metadata\":{\"finalizers\":[\"a\",\"c\"]}}"},
	        {POD, "{\"metadata\":{\"finalizers\":[\"a\",\"b\"]}}",
	         "{\"metadata\":{\"$deleteFromPrimitiveList/finalizers\":[\"a\"],\"$setElementOrder/"
	         "finalizers\":[\"c\",\"b\"],\"finalizers\":[\"c\"]}}",
	         "{\"metadata\":{\"finalizers\":[\"c\",\"b\"]}}"},
	        {POD, "{\"metadata\":{}}", "{\"metadata\":{\"$deleteFromPrimitiveListfinalizers\":[\"a\"]}}",
	         "error: invalid patch format of primitive list"},
	        // Nested, with nulls and directives in what is new.
	        {POD,
	         SPEC("\"containers\":[{\"name\":\"a\",\"env\":[{\"name\":\"X\",\"value\":\"1\"}],\"ports\":[{"
	              "\"containerPort\":80}]}]"),
	         SPEC("\"containers\":[{\"name\":\"a\",\"env\":[{\"name\":\"Y\",\"value\":\"2\"}],\"ports\":[{"
	              "\"containerPort\":80,\"$patch\":\"delete\"}]}]"),
	         SPEC("\"containers\":[{\"env\":[{\"name\":\"Y\",\"value\":\"2\"},{\"name\":\"X\",\"value\":\"1\"}],"
	              "\"name\":\"a\",\"ports\":[]}]")},
	        {POD, "{\"spec\":{}}",
	         SPEC("\"volumes\":[{\"name\":\"v\",\"emptyDir\":null},{\"name\":\"w\",\"$patch\":\"delete\"}]"),
	         SPEC("\"volumes\":[{\"name\":\"v\"}]")},
	        {POD, SPEC("\"volumes\":[{\"name\":\"v\",\"emptyDir\":{}}]"),
	         SPEC("\"volumes\":[{\"name\":\"v\",\"$retainKeys\":[\"name\",\"hostPath\"],\"hostPath\":{\"path\":\"/"
	              "\"}}]"),
	         SPEC("\"volumes\":[{\"hostPath\":{\"path\":\"/\"},\"name\":\"v\"}]")},
	};
	(void)state;
	check_rows(rows, ARRAY_SIZE(rows));
}

static void test_large_patches_are_not_quadratic(void **state)
{
	enum { COUNT = 60000 };
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct json *document = parse(arena, "{\"metadata\":{\"annotations\":{}},\"spec\":{\"volumes\":[]}}");
	struct json *patch = parse(arena, "{\"metadata\":{\"annotations\":{}},\"spec\":{\"volumes\":[]}}");
	for (int i = 0; i < COUNT; i++) {
		const char *name = arena_printf(arena, "k%d", i);
		const char *other = arena_printf(arena, "k%d", i + COUNT / 2);
		json_add_n(arena, json_path(document, "metadata", "annotations"), name, strlen(name),
		           json_string(arena, "1"));
		json_add_n(arena, json_path(patch, "metadata", "annotations"), other, strlen(other),
		           i % 2 ? json_null(arena) : json_string(arena, "2"));
		struct json *item = json_object(arena), *change = json_object(arena);
		json_set_text(arena, item, "name", name);
		json_set_text(arena, change, "name", other);
		json_append(arena, json_path(document, "spec", "volumes"), item);
		json_append(arena, json_path(patch, "spec", "volumes"), change);
	}
	struct err err = ERR_INIT;
	struct timespec start, end;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
	assert_int_equal(patch_strategic(arena, schema_find_type(POD), &document, patch, &err), 0);
	assert_int_equal(json_path(document, "spec", "volumes")->length, COUNT + COUNT / 2);
	assert_int_equal(json_path(document, "metadata", "annotations")->length, COUNT / 2 + COUNT / 2);
	assert_int_equal(patch_merge(arena, &document, patch, &err), 0);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
	assert_true(end.tv_sec - start.tv_sec < 8); // all pairs would take minutes under a sanitizer
}

static void check_three_way(const char *type, const char *original, const char *modified, const char *current,
                            const char *expected)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct json *patch = NULL;
	struct err err = ERR_INIT;
	int code = type ? patch_make_three_way_strategic(arena, schema_find_type(type), parse(arena, original),
	                                                 parse(arena, modified), parse(arena, current), &patch, &err)
	                : patch_make_three_way_merge(arena, parse(arena, original), parse(arena, modified),
	                                             parse(arena, current), &patch, &err);
	if (code) {
		assert_string_equal(err.message, expected);
		return;
	}
	AUTO_FREE char *text = text_of(patch);
	assert_string_equal(text, expected);
	// Applied, everything that modified says is there: a second round changes nothing.
	struct json *result = parse(arena, current ? current : "{}");
	code = type ? patch_strategic(arena, schema_find_type(type), &result, patch, &err)
	            : patch_merge(arena, &result, patch, &err);
	assert_int_equal(code, 0);
	struct json *again = NULL;
	code = type ? patch_make_three_way_strategic(arena, schema_find_type(type), parse(arena, modified),
	                                             parse(arena, modified), result, &again, &err)
	            : patch_make_three_way_merge(arena, parse(arena, modified), parse(arena, modified), result, &again,
	                                         &err);
	assert_int_equal(code, 0);
	struct json *twice = json_clone(arena, result);
	code = type ? patch_strategic(arena, schema_find_type(type), &twice, again, &err)
	            : patch_merge(arena, &twice, again, &err);
	assert_int_equal(code, 0);
	assert_true(json_equal(twice, result));
}

static void test_making_strategic_patches(void **state)
{
	(void)state;
	check_three_way(DEPLOYMENT, "{\"spec\":{\"replicas\":1}}", "{\"spec\":{\"replicas\":1}}",
	                "{\"spec\":{\"replicas\":1,\"paused\":true},\"status\":{\"replicas\":1}}", "{}");
	check_three_way(DEPLOYMENT, NULL, "{\"spec\":{\"replicas\":2}}", "{\"spec\":{\"replicas\":1}}",
	                "{\"spec\":{\"replicas\":2}}");
	check_three_way(DEPLOYMENT, "{\"spec\":{\"replicas\":1,\"paused\":true}}", "{\"spec\":{}}",
	                "{\"spec\":{\"replicas\":1,\"paused\":true}}",
	                "{\"spec\":{\"paused\":null,\"replicas\":null}}");
	// An image changes: the item, its key and the order.
	check_three_way(POD, SPEC("\"containers\":[{\"name\":\"a\",\"image\":\"1\"}]"),
	                SPEC("\"containers\":[{\"name\":\"a\",\"image\":\"2\"}]"),
	                SPEC("\"containers\":[{\"name\":\"a\",\"image\":\"1\",\"imagePullPolicy\":\"Always\"},{"
	                     "\"name\":\"injected\"}]"),
	                SPEC("\"$setElementOrder/"
	                     "containers\":[{\"name\":\"a\"}],\"containers\":[{\"image\":\"2\",\"name\":\"a\"}]"));
	// One item goes, another comes, a third one of somebody else stays.
	check_three_way(POD, SPEC("\"containers\":[{\"name\":\"a\"},{\"name\":\"b\"}]"),
	                SPEC("\"containers\":[{\"name\":\"c\"},{\"name\":\"b\"}]"),
	                SPEC("\"containers\":[{\"name\":\"a\"},{\"name\":\"b\"},{\"name\":\"x\"}]"),
	                SPEC("\"$setElementOrder/"
	                     "containers\":[{\"name\":\"c\"},{\"name\":\"b\"}],\"containers\":[{\"name\":\"c\"},{\"$"
	                     "patch\":\"delete\",\"name\":\"a\"}]"));
	// Only the order changes.
	check_three_way(POD, SPEC("\"containers\":[{\"name\":\"a\"},{\"name\":\"b\"}]"),
	                SPEC("\"containers\":[{\"name\":\"b\"},{\"name\":\"a\"}]"),
	                SPEC("\"containers\":[{\"name\":\"a\"},{\"name\":\"b\"}]"),
	                SPEC("\"$setElementOrder/containers\":[{\"name\":\"b\"},{\"name\":\"a\"}]"));
	// Sets of scalars.
	check_three_way(POD, "{\"metadata\":{\"finalizers\":[\"a\",\"b\"]}}",
	                "{\"metadata\":{\"finalizers\":[\"b\",\"c\"]}}",
	                "{\"metadata\":{\"finalizers\":[\"a\",\"b\",\"x\"]}}",
	                "{\"metadata\":{\"$deleteFromPrimitiveList/finalizers\":[\"a\"],\"$setElementOrder/"
	                "finalizers\":[\"b\",\"c\"],\"finalizers\":[\"c\"]}}");
	// Lists that are replaced, and retainKeys.
	check_three_way(POD, SPEC("\"tolerations\":[{\"key\":\"a\"}]"), SPEC("\"tolerations\":[{\"key\":\"b\"}]"),
	                SPEC("\"tolerations\":[{\"key\":\"a\"}]"), SPEC("\"tolerations\":[{\"key\":\"b\"}]"));
	check_three_way(DEPLOYMENT, SPEC("\"strategy\":{\"type\":\"RollingUpdate\"}"),
	                SPEC("\"strategy\":{\"type\":\"Recreate\"}"),
	                SPEC("\"strategy\":{\"type\":\"RollingUpdate\",\"rollingUpdate\":{\"maxSurge\":1}}"),
	                SPEC("\"strategy\":{\"$retainKeys\":[\"type\"],\"type\":\"Recreate\"}"));
	check_three_way(POD, SPEC("\"volumes\":[{\"name\":\"v\",\"emptyDir\":{}}]"),
	                SPEC("\"volumes\":[{\"name\":\"v\",\"hostPath\":{\"path\":\"/\"}}]"),
	                SPEC("\"volumes\":[{\"name\":\"v\",\"emptyDir\":{}}]"),
	                SPEC("\"$setElementOrder/"
	                     "volumes\":[{\"name\":\"v\"}],\"volumes\":[{\"$retainKeys\":[\"hostPath\",\"name\"],"
	                     "\"emptyDir\":null,\"hostPath\":{\"path\":\"/\"},\"name\":\"v\"}]"));
	check_three_way(SERVICE, SPEC("\"ports\":[{\"port\":80}]"), SPEC("\"ports\":[{\"port\":81}]"),
	                SPEC("\"ports\":[{\"port\":80,\"nodePort\":30000}]"),
	                SPEC("\"$setElementOrder/"
	                     "ports\":[{\"port\":81}],\"ports\":[{\"port\":81},{\"$patch\":\"delete\",\"port\":80}]"));
	check_three_way(POD, "{}", SPEC("\"containers\":[{\"image\":\"x\"}]"),
	                SPEC("\"containers\":[{\"name\":\"a\"}]"),
	                "map: map[image:x] does not contain declared merge key: name");
	check_three_way(DEPLOYMENT, "{}", "{\"spec\":{\"foo\":{\"a\":1}}}", "{\"spec\":{\"foo\":{\"a\":2}}}",
	                "unable to find api field in struct DeploymentSpec for the json field \"foo\"");
}

static void test_making_merge_patches(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct json *patch =
	        patch_make_merge(arena, parse(arena, "{\"a\":1,\"b\":{\"c\":1,\"d\":2},\"e\":[1],\"f\":null}"),
	                         parse(arena, "{\"a\":1,\"b\":{\"c\":3},\"e\":[1,2],\"g\":\"x\"}"));
	json_sort_keys(patch);
	AUTO_FREE char *text = text_of(patch);
	assert_string_equal(text, "{\"b\":{\"c\":3,\"d\":null},\"e\":[1,2],\"f\":null,\"g\":\"x\"}");
	assert_null(patch_make_merge(arena, parse(arena, "{\"a\":{\"b\":[1]}}"), parse(arena, "{\"a\":{\"b\":[1]}}")));
	check_three_way(NULL, "{\"a\":1,\"b\":2}", "{\"b\":3,\"c\":{\"d\":1}}", "{\"a\":1,\"b\":2,\"z\":9}",
	                "{\"a\":null,\"b\":3,\"c\":{\"d\":1}}");
	check_three_way(NULL, "{\"x\":{\"a\":1,\"b\":1}}", "{\"x\":{\"b\":2}}", "{\"x\":{\"a\":1,\"b\":1,\"c\":1}}",
	                "{\"x\":{\"a\":null,\"b\":2}}");
	check_three_way(NULL, NULL, "{\"a\":1}", "{\"a\":1,\"b\":1}", "{}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_json_patch),
	        cmocka_unit_test(test_json_patch_cannot_blow_up),
	        cmocka_unit_test(test_merge_patch),
	        cmocka_unit_test(test_strategic_objects),
	        cmocka_unit_test(test_strategic_lists),
	        cmocka_unit_test(test_large_patches_are_not_quadratic),
	        cmocka_unit_test(test_making_strategic_patches),
	        cmocka_unit_test(test_making_merge_patches),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
