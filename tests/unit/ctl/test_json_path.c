// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/api/json_path.h"
#include "ctl/custom_columns.h"
#include "ctl/wait_condition.h"

static const char document[] = "{\"kind\":\"List\",\"items\":["
                               "{\"metadata\":{\"name\":\"a\",\"labels\":{\"x.y/"
                               "z\":\"1\"},\"generation\":2},\"status\":{\"phase\":\"Running\",\"n\":3,"
                               "\"observedGeneration\":2,\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"},{"
                               "\"type\":\"Old\",\"status\":\"True\",\"observedGeneration\":1}]}},"
                               "{\"metadata\":{\"name\":\"b\"},\"status\":{\"phase\":\"Pending\",\"n\":10}},"
                               "{\"metadata\":{\"name\":\"c\"},\"status\":{\"phase\":\"Running\"}}]}";

static struct json *parse(struct arena *arena, const char *text)
{
	struct json *value = NULL;
	assert_int_equal(json_parse(arena, text, strlen(text), NULL, &value, NULL), 0);
	return value;
}

static void templates_give_texts(void **state)
{
	(void)state;
	static const struct {
		const char *path, *expected;
	} rows[] = {
	        {"{.kind}", "List"},
	        {"{.items[*].metadata.name}", "a b c"},
	        {"{range .items[*]}{.metadata.name}{\"\\n\"}{end}", "a\nb\nc\n"},
	        {"{range.items[*]}<{.metadata.name}>{end}", "<a><b><c>"},
	        {"{.items[0].metadata.name} and {.items[-1].metadata.name}", "a and c"},
	        {"{.items[0:2].metadata.name}", "a b"},
	        {"{.items[::2].metadata.name}", "a c"},
	        {"{.items[0,2].metadata.name}", "a c"},
	        {"{.items[?(@.status.phase==\"Running\")].metadata.name}", "a c"},
	        {"{.items[?(@.status.n>3)].metadata.name}", "b"},
	        {"{.items[?(@.status.n)].metadata.name}", "a b"},
	        {"{.items[?(@.status.phase!='Running')].metadata.name}", "b"},
	        {"{.items[0].metadata.labels.x\\.y/z}", "1"},
	        {"{.items[0].metadata.labels['x.y/z']}", "1"},
	        {"{.items[0]['metadata'].name}", "a"},
	        {"{..name}", "a b c"},
	        {"{.items[1].status}", "{\"phase\":\"Pending\",\"n\":10}"},
	        {"{.items[7].metadata.name}", ""},
	        {"{.nothing.here}", ""},
	        {"{$.kind}", "List"},
	};
	AUTO(arena_free) struct arena *arena = arena_new(0);
	const struct json *object = parse(arena, document);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct jsonpath *path;
		struct err err = ERR_INIT;
		AUTO_STRBUF struct strbuf out = STRBUF_INIT(65536);
		assert_int_equal(jsonpath_parse(arena, rows[i].path, &path, &err), 0);
		assert_int_equal(jsonpath_write(arena, path, object, true, &out, &err), 0);
		assert_string_equal(strbuf_text(&out), rows[i].expected);
	}
}

static void bad_templates_are_refused(void **state)
{
	(void)state;
	static const char *const rows[] = {"{.a",   "{range .items[*]}x", "{end}", "{.a[}", "{.a[?(@.x==]}",
	                                   "{\"x}", "{.a[1:2:0]}",        "{}"};
	AUTO(arena_free) struct arena *arena = arena_new(0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct jsonpath *path;
		struct err err = ERR_INIT;
		assert_true(jsonpath_parse(arena, rows[i], &path, &err) < 0);
		assert_non_null(strstr(err.message, "error parsing jsonpath"));
	}
}

static void missing_fields_may_be_errors(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	AUTO_STRBUF struct strbuf out = STRBUF_INIT(65536);
	struct jsonpath *path;
	struct err err = ERR_INIT;
	assert_int_equal(jsonpath_parse(arena, "{.nothing}", &path, &err), 0);
	assert_int_equal(jsonpath_write(arena, path, parse(arena, document), false, &out, &err), -ERR_NOT_FOUND);
	assert_string_equal(err.message, "nothing is not found");
}

static void relaxed_paths_need_no_braces(void **state)
{
	(void)state;
	static const char *const rows[] = {"kind", ".kind", "{.kind}", "{kind}"};
	AUTO(arena_free) struct arena *arena = arena_new(0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct jsonpath *path;
		size_t count = 0;
		assert_int_equal(jsonpath_parse_relaxed(arena, rows[i], &path, NULL), 0);
		const struct json **values = jsonpath_find(arena, path, parse(arena, document), &count);
		assert_int_equal(count, 1);
		assert_string_equal(json_text(values[0]), "List");
	}
}

static void custom_columns_make_tables(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	AUTO_STRBUF struct strbuf out = STRBUF_INIT(65536);
	struct custom_columns *columns;
	struct err err = ERR_INIT;
	assert_int_equal(custom_columns_parse(arena, "NAME:.metadata.name,N:status.n", &columns, &err), 0);
	custom_columns_write(arena, columns, parse(arena, document), true, &out);
	assert_string_equal(strbuf_text(&out), "NAME   N\na      3\nb      10\nc      <none>\n");
	assert_true(custom_columns_parse(arena, "NAME", &columns, &err) < 0);
	assert_string_equal(err.message, "unexpected custom-columns spec: NAME, expected <header>:<json-path-expr>");
}

static void conditions_are_judged(void **state)
{
	(void)state;
	static const struct {
		const char *condition;
		int item; // -1 = no object
		bool holds;
	} rows[] = {
	        {"condition=Ready", 0, true},
	        {"condition=ready=true", 0, true},
	        {"condition=Ready=False", 0, false},
	        {"condition=Ready", 1, false},
	        {"condition=Old", 0, false}, // of an older generation
	        {"delete", -1, true},
	        {"delete", 0, false},
	        {"create", 0, true},
	        {"create", -1, false},
	        {"jsonpath={.status.phase}=Running", 0, true},
	        {"jsonpath='{.status.phase}'=Running", 0, true},
	        {"jsonpath={.status.phase}=Running", 1, false},
	        {"jsonpath={.status.n}=10", 1, true},
	        {"jsonpath={.status.n}", 2, false},
	        {"jsonpath={.status.n}", 0, true},
	        {"jsonpath={.status.conditions[?(@.type==\"Ready\")].status}=True", 0, true},
	        {"jsonpath={.status.phase}=Running", -1, false},
	};
	AUTO(arena_free) struct arena *arena = arena_new(0);
	const struct json *items = json_get(parse(arena, document), "items");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct wait_condition condition;
		struct err err = ERR_INIT;
		assert_int_equal(wait_condition_parse(arena, rows[i].condition, &condition, &err), 0);
		const struct json *object = rows[i].item < 0 ? NULL : items->items[rows[i].item];
		assert_int_equal(wait_condition_holds(&condition, object), rows[i].holds);
	}
	struct wait_condition condition;
	struct err err = ERR_INIT;
	assert_true(wait_condition_parse(arena, "foo", &condition, &err) < 0);
	assert_string_equal(err.message, "unrecognized condition: \"foo\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(templates_give_texts),         cmocka_unit_test(bad_templates_are_refused),
	        cmocka_unit_test(missing_fields_may_be_errors), cmocka_unit_test(relaxed_paths_need_no_braces),
	        cmocka_unit_test(custom_columns_make_tables),   cmocka_unit_test(conditions_are_judged),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
