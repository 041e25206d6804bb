// SPDX-License-Identifier: Apache-2.0
// What compiling says: the whole text, with place and caret, and the limits on expressions.
#include "common/base/memory.h"
#include "tests/unit/cel_fixture.h"

static void test_texts(void **state)
{
	static const struct cel_row rows[] = {
	        {"1 + 'a'", "ERROR: <input>:1:3: found no matching overload for '_+_' applied to '(int, string)'\n | 1 "
	                    "+ 'a'\n | ..^"},
	        {"x", "ERROR: <input>:1:1: undeclared reference to 'x' (in container '')\n | x\n | ^"},
	        {"hello()",
	         "ERROR: <input>:1:6: undeclared reference to 'hello' (in container '')\n | hello()\n | .....^"},
	        {"1 +\n  y", "ERROR: <input>:2:3: undeclared reference to 'y' (in container '')\n |   y\n | ..^"},
	        {"'\u00e9\u00e9' + z",
	         "ERROR: <input>:1:8: undeclared reference to 'z' (in container '')\n | '\u00e9\u00e9' + z\n | "
	         ".\uff0e\uff0e....^"},
	        {"a && b", "ERROR: <input>:1:1: undeclared reference to 'a' (in container '')\n | a && b\n | ^\n"
	                   "ERROR: <input>:1:6: undeclared reference to 'b' (in container '')\n | a && b\n | .....^"},
	        {"\tx", "ERROR: <input>:1:2: undeclared reference to 'x' (in container '')\n |  x\n | .^"},
	        {"1 +",
	         "ERROR: <input>:1:4: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', "
	         "'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}\n | 1 +\n | ...^"},
	        {"1 @ 2", "ERROR: <input>:1:3: Syntax error: token recognition error at: '@'\n | 1 @ 2\n | ..^\n"
	                  "ERROR: <input>:1:5: Syntax error: extraneous input '2' expecting <EOF>\n | 1 @ 2\n | ....^"},
	        {"'abc",
	         "ERROR: <input>:1:1: Syntax error: token recognition error at: ''abc'\n | 'abc\n | ^\n"
	         "ERROR: <input>:1:5: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', "
	         "'!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}\n"
	         " | 'abc\n | ....^"},
	        {"[1, 2",
	         "ERROR: <input>:1:6: Syntax error: mismatched input '<EOF>' expecting ']'\n | [1, 2\n | .....^"},
	        {"1.size()", "ERROR: <input>:1:7: found no matching overload for 'size' applied to 'int.()'\n"
	                     " | 1.size()\n | ......^"},
	        {"{'a': 1, 'b': 'x'}", "ERROR: <input>:1:15: expected type 'int' but found 'string'\n | {'a': 1, 'b': "
	                               "'x'}\n | ..............^"},
	        {"duration('1x')", "ERROR: <input>:1:10: invalid duration argument\n | duration('1x')\n | .........^"},
	};
	(void)state;
	AUTO(cel_env_unref) struct cel_env *env = cel_env_new(NULL);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO(arena_free) struct arena *arena = arena_new(0);
		struct cel_compile_result compiled;
		assert_int_equal(cel_compile(env, arena, rows[i].expression, strlen(rows[i].expression), &compiled),
		                 -ERR_INVALID);
		assert_null(compiled.program);
		assert_string_equal(compiled.error, rows[i].expected);
	}
}

static void test_types(void **state)
{
	static const struct cel_row rows[] = {
	        {"1", "int"},
	        {"[1, 2]", "list(int)"},
	        {"[]", "list(dyn)"},
	        {"{'a': [1.5]}", "map(string, list(double))"},
	        {"[[]] + [[1]]", "list(list(int))"},
	        {"d", "dyn"},
	        {"d.x.y", "dyn"},
	        {"[d, d]", "list(dyn)"},
	        {"d ? 1 : 2", "int"},
	        {"d + 1", "int"},
	        {"d + d", "dyn"},
	        {"[1].map(x, string(x))", "list(string)"},
	        {"{'a': 1}.transformMap(k, v, k)", "map(string, string)"},
	        {"optional.of(1)", "optional_type(int)"},
	        {"{'a': 1}.?a", "optional_type(int)"},
	        {"optional.none().orValue('x')", "string"},
	        {"type(1)", "type(int)"},
	        {"timestamp(0) - timestamp(0)", "duration"},
	        {"null", "null"},
	        {"true ? optional.of(1) : optional.none()", "optional_type(int)"},
	        {"d.items.filter(i, i.ready).size() > 0", "bool"},
	        {"ip('::1')", "net.IP"},
	};
	(void)state;
	AUTO(cel_env_unref) struct cel_env *env = cel_env_new(NULL);
	cel_env_declare(env, "d", &cel_type_dyn);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO(arena_free) struct arena *arena = arena_new(0);
		struct cel_compile_result compiled;
		if (cel_compile(env, arena, rows[i].expression, strlen(rows[i].expression), &compiled))
			fail_msg("%s", compiled.error);
		assert_string_equal(cel_type_format(arena, cel_program_type(compiled.program)), rows[i].expected);
		cel_program_free(compiled.program);
	}
}

// Repeats a part around a middle, and compiles that.
static int compile_nested(const char *before, const char *middle, const char *after, size_t times, char *first_line)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	AUTO(cel_env_unref) struct cel_env *env = cel_env_new(NULL);
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(4 * 1024 * 1024);
	struct cel_compile_result compiled;
	for (size_t i = 0; i < times; i++)
		strbuf_append_text(&text, before);
	strbuf_append_text(&text, middle);
	for (size_t i = 0; i < times; i++)
		strbuf_append_text(&text, after);
	int status = cel_compile(env, arena, strbuf_text(&text), text.length, &compiled);
	snprintf(first_line, 200, "%.*s", status ? (int)strcspn(compiled.error, "\n") : 0,
	         status ? compiled.error : "");
	if (status == 0)
		cel_program_free(compiled.program);
	return status;
}

static void test_limits(void **state)
{
	static const struct {
		const char *before, *middle, *after;
		size_t fits, too_many;
	} rows[] = {
	        {"(", "1", ")", 200, 300},
	        {"[", "1", "]", 200, 300},
	        {"", "1", " + 1", 200, 300},
	        {"", "{'a': 1}", ".a", 0, 300},
	        {"true ? (", "1", ") : 2", 100, 300},
	        {"[1].map(x, ", "x", ")", 60, 300},
	        {"", "optional.of(1)", ".optMap(x, x)", 100, 300},
	};
	char line[200];
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (compile_nested(rows[i].before, rows[i].middle, rows[i].after, rows[i].fits, line))
			fail_msg("%s…%s %zu times: %s", rows[i].before, rows[i].after, rows[i].fits, line);
		assert_int_not_equal(
		        compile_nested(rows[i].before, rows[i].middle, rows[i].after, rows[i].too_many, line), 0);
		assert_non_null(strstr(line, "expression recursion limit exceeded: 250"));
	}
	// Chains of logic are balanced, lists are flat: only the size of the text limits them.
	assert_int_equal(compile_nested("", "true", " && true", 5000, line), 0);
	assert_int_not_equal(compile_nested("", "1", " + 1                                        ", 3000, line), 0);
	assert_non_null(strstr(line, "expression code point size exceeds limit: size: 132001, limit 100000"));
	// Signs collapse, so any number of them is one or none.
	assert_int_equal(compile_nested("!", "true", "", 50000, line), 0);
}

// Only so many errors are kept.
static void test_many_errors(void **state)
{
	char line[200];
	(void)state;
	assert_int_not_equal(compile_nested("x + ", "x", "", 240, line), 0);
	assert_string_equal(line, "ERROR: <input>:1:1: undeclared reference to 'x' (in container '')");
	assert_int_not_equal(compile_nested("@", "1", "", 90000, line), 0);
}

static void test_not_utf8(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	AUTO(cel_env_unref) struct cel_env *env = cel_env_new(NULL);
	struct cel_compile_result compiled;
	assert_int_not_equal(cel_compile(env, arena, "'\xff'", 3, &compiled), 0);
	assert_int_not_equal(cel_compile(env, arena, "1 + \0 2", 7, &compiled), 0);
	assert_int_not_equal(cel_compile(env, arena, "", 0, &compiled), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_texts),       cmocka_unit_test(test_types),    cmocka_unit_test(test_limits),
	        cmocka_unit_test(test_many_errors), cmocka_unit_test(test_not_utf8),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
