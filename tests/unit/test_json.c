// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "common/api/json.h"
#include "common/api/json_hash.h"
#include "common/base/memory.h"

// The input stands in a heap block of exactly its size, so that a sanitizer sees any read past it.
static int parse_exact(struct arena *arena, const char *text, size_t length, const struct json_limits *limits,
                       struct json **ret_value, struct err *err)
{
	AUTO_FREE char *exact = xmalloc(length ? length : 1);
	memcpy(exact, text, length);
	return json_parse(arena, exact, length, limits, ret_value, err);
}

static void assert_round_trip(const char *text, const char *expected)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	AUTO_STRBUF struct strbuf out = STRBUF_INIT(1 << 20);
	struct json *value = NULL;
	struct err err = ERR_INIT;
	if (parse_exact(arena, text, strlen(text), NULL, &value, &err))
		fail_msg("%s: %s", text, err.message);
	json_write(&out, value);
	assert_string_equal(strbuf_text(&out), expected);
}

static void assert_error(const char *text, const char *expected)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct json *value = NULL;
	struct err err = ERR_INIT;
	assert_int_not_equal(parse_exact(arena, text, strlen(text), NULL, &value, &err), 0);
	assert_string_equal(err.message, expected);
	assert_null(value);
}

static void test_round_trips(void **state)
{
	static const char *const same[] = {
	        "null",
	        "true",
	        "false",
	        "0",
	        "-1",
	        "9223372036854775807",
	        "-9223372036854775808",
	        "9223372036854775808",
	        "1.0",
	        "-0.5e+10",
	        "1E5",
	        "123456789012345678901234567890",
	        "\"\"",
	        "\"plain\"",
	        "\"a longer text without anything special in it, over two words\"",
	        "[]",
	        "{}",
	        "[1,[2,[3]],{}]",
	        "{\"a\":{\"b\":[{\"c\":null}]},\"d\":\"e\"}",
	        "\"\\u0000\\u001f\\n\\t\\r\\b\\f\\\\\\\"\"",
	        "\"grüße 日本語 🚀\"",
	        "\"\\u2028x\\u2029\"",
	        "\"\xe2\x80\xa6\"",
	        "\"<a href=\\\"x\\\">&</a>\"",
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(same); i++)
		assert_round_trip(same[i], same[i]);
	assert_round_trip(" \t\r\n{ \"a\" : [ 1 , 2 ] } \n", "{\"a\":[1,2]}");
	assert_round_trip("-0", "0");
}

static void test_escapes_and_surrogates(void **state)
{
	(void)state;
	assert_round_trip("\"\\u0041\\u00e9\\u20ac\\/\"", "\"Aé€/\"");
	assert_round_trip("\"\\ud83d\\ude80!\"", "\"🚀!\"");
	assert_round_trip("\"\\ud83d\"", "\"\xef\xbf\xbd\"");
	assert_round_trip("\"\\ude80x\"", "\"\xef\xbf\xbdx\"");
	assert_round_trip("\"\\ud83d\\u0041\"", "\"\xef\xbf\xbd"
	                                        "A\"");
	assert_round_trip("\"\\ud83d\\ud83d\\ude80\"", "\"\xef\xbf\xbd🚀\"");
	assert_round_trip("\"\\n0123456789abcdefghij\\n0123456789abcdef\"",
	                  "\"\\n0123456789abcdefghij\\n0123456789abcdef\"");
}

static void test_strings_may_hold_nul(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct json *value = NULL;
	struct err err = ERR_INIT;
	assert_int_equal(parse_exact(arena, "\"a\\u0000b\"", 10, NULL, &value, &err), 0);
	assert_int_equal(value->length, 3);
	assert_memory_equal(value->text, "a\0b", 4);
}

static void test_errors_are_worded_as_go(void **state)
{
	static const struct {
		const char *text;
		const char *message;
	} rows[] = {
	        {"", "unexpected end of JSON input at offset 0"},
	        {"{", "unexpected end of JSON input at offset 1"},
	        {"[1,", "unexpected end of JSON input at offset 3"},
	        {"\"abc", "unexpected end of JSON input at offset 4"},
	        {"\"abc\\", "unexpected end of JSON input at offset 5"},
	        {"\"\\u12", "unexpected end of JSON input at offset 5"},
	        {"tru", "unexpected end of JSON input at offset 3"},
	        {"-", "unexpected end of JSON input at offset 1"},
	        {"1.", "unexpected end of JSON input at offset 2"},
	        {"x", "invalid character 'x' looking for beginning of value at offset 0"},
	        {"[1,]", "invalid character ']' looking for beginning of value at offset 3"},
	        {"{\"a\":1,}", "invalid character '}' looking for beginning of object key string at offset 7"},
	        {"{a:1}", "invalid character 'a' looking for beginning of object key string at offset 1"},
	        {"{\"a\" 1}", "invalid character '1' after object key at offset 5"},
	        {"{\"a\":1 2}", "invalid character '2' after object key:value pair at offset 7"},
	        {"[1 2]", "invalid character '2' after array element at offset 3"},
	        {"[1}", "invalid character '}' after array element at offset 2"},
	        {"1 1", "invalid character '1' after top-level value at offset 2"},
	        {"01", "invalid character '1' after top-level value at offset 1"},
	        {"trve", "invalid character 'v' in literal true (expecting 'u') at offset 2"},
	        {"nul!", "invalid character '!' in literal null (expecting 'l') at offset 3"},
	        {"-x", "invalid character 'x' in numeric literal at offset 1"},
	        {"1.x", "invalid character 'x' after decimal point in numeric literal at offset 2"},
	        {"1e+x", "invalid character 'x' in exponent of numeric literal at offset 3"},
	        {"+1", "invalid character '+' looking for beginning of value at offset 0"},
	        {"\"a\nb\"", "invalid character '\\n' in string literal at offset 2"},
	        {"\"\x01\"", "invalid character '\\x01' in string literal at offset 1"},
	        {"\"\\q\"", "invalid character 'q' in string escape code at offset 2"},
	        {"\"\\u12g4\"", "invalid character 'g' in \\u hexadecimal character escape at offset 5"},
	        {"'a'", "invalid character '\\'' looking for beginning of value at offset 0"},
	        {"\xef\xbb\xbf{}", "invalid character '\xc3\xaf' looking for beginning of value at offset 0"},
	        {"\"\xff\"", "invalid UTF-8 in string literal at offset 1"},
	        {"\"\xc0\x80\"", "invalid UTF-8 in string literal at offset 1"},
	        {"\"\xed\xa0\x80\"", "invalid UTF-8 in string literal at offset 1"},
	        {"\"\xf4\x90\x80\x80\"", "invalid UTF-8 in string literal at offset 1"},
	        {"\"\xe2\x82\"", "invalid UTF-8 in string literal at offset 1"},
	        {"{\"a\":1,\"a\":2}", "duplicate field \"a\" at offset 8"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_error(rows[i].text, rows[i].message);
}

static void test_limits(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct json *value = NULL;
	struct err err = ERR_INIT;
	char deep[402];
	memset(deep, '[', 201);
	memset(deep + 201, ']', 201);
	assert_int_not_equal(json_parse(arena, deep, 402, NULL, &value, &err), 0);
	assert_string_equal(err.message, "exceeded max depth at offset 200");
	assert_int_equal(json_parse(arena, deep + 1, 400, NULL, &value, &err), 0);
	struct json_limits limits = {.max_nodes = 3};
	assert_int_equal(json_parse(arena, "[1,2]", 5, &limits, &value, &err), 0);
	err_clear(&err);
	assert_int_equal(json_parse(arena, "[1,2,3]", 7, &limits, &value, &err), -ERR_TOO_LARGE);
}

static void note_duplicate(void *context, const char *path)
{
	strbuf_printf(context, "%s;", path);
}

static void test_duplicates_are_noted_and_the_last_wins(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	AUTO_STRBUF struct strbuf noted = STRBUF_INIT(4096);
	AUTO_STRBUF struct strbuf out = STRBUF_INIT(4096);
	struct json_limits limits = {.on_duplicate = note_duplicate, .context = &noted};
	struct json *value = NULL;
	struct err err = ERR_INIT;
	const char *text = "{\"spec\":{\"list\":[0,{\"x\":1,\"y\":2,\"x\":[3,{\"z\":1,\"z\":2}]}],\"n\":1},\"spec\":{"
	                   "\"n\":{},\"n\":5},\"k\":1}";
	assert_int_equal(parse_exact(arena, text, strlen(text), &limits, &value, &err), 0);
	json_write(&out, value);
	assert_string_equal(strbuf_text(&noted), "spec.list[1].x;spec.list[1].x[1].z;spec;spec.n;");
	assert_string_equal(strbuf_text(&out), "{\"spec\":{\"n\":5},\"k\":1}");
}

// 300,000 keys, and the last one a second time: found, and in well under the time that comparing all pairs takes.
static void test_many_keys_are_not_quadratic(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(16 << 20);
	strbuf_append_char(&text, '{');
	for (int i = 0; i < 300000; i++)
		strbuf_printf(&text, "\"k%d\":1,", i);
	size_t without = text.length;
	strbuf_append_text(&text, "\"k299999\":2}");
	AUTO_STRBUF struct strbuf noted = STRBUF_INIT(4096);
	struct json_limits limits = {.on_duplicate = note_duplicate, .context = &noted};
	struct json *value = NULL;
	struct err err = ERR_INIT;
	struct timespec start, end;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
	assert_int_equal(json_parse(arena, text.data, text.length, &limits, &value, &err), 0);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
	assert_string_equal(strbuf_text(&noted), "k299999;");
	assert_int_equal(value->length, 300000);
	assert_int_equal(value->members[299999].value->integer, 2);
	assert_true(end.tv_sec - start.tv_sec < 5); // all pairs: minutes
	text.data[without - 1] = '}';
	struct json *other = NULL;
	assert_int_equal(json_parse(arena, text.data, without, &limits, &other, &err), 0);
	assert_false(json_equal(value, other));
	json_sort_keys(other);
	value->members[299999].value->integer = 1;
	assert_true(json_equal(value, other));
}

static void test_reading_accepts_null(void **state)
{
	(void)state;
	assert_null(json_get(NULL, "a"));
	assert_null(json_path(NULL, "a", "b"));
	assert_null(json_text(NULL));
	assert_false(json_is(NULL, JSON_NULL));
	assert_true(json_get_bool(NULL, "a", true));
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct json *value = NULL;
	struct err err = ERR_INIT;
	assert_int_equal(json_parse(arena, "{\"a\":{\"b\":null,\"n\":7,\"t\":true}}", 31, NULL, &value, &err), 0);
	assert_true(json_is_null(json_path(value, "a", "b")));
	assert_null(json_path(value, "a", "b", "c"));
	int64_t number = 0;
	assert_true(json_get_integer(json_get(value, "a"), "n", &number));
	assert_int_equal(number, 7);
	assert_false(json_get_integer(json_get(value, "a"), "t", &number));
	assert_true(json_get_bool(json_get(value, "a"), "t", false));
}

static void test_editing(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	AUTO_STRBUF struct strbuf out = STRBUF_INIT(4096);
	struct json *value = NULL;
	struct err err = ERR_INIT;
	assert_int_equal(json_parse(arena, "{\"a\":[1,2,3],\"b\":null}", 22, NULL, &value, &err), 0);
	struct json *kept = json_get(value, "a");
	struct json *copy = json_clone(arena, value);
	for (int i = 0; i < 20; i++) {
		char key[8];
		snprintf(key, sizeof(key), "k%d", i);
		json_set_integer(arena, value, key, i);
	}
	assert_ptr_equal(json_get(value, "a"), kept);
	for (int i = 0; i < 20; i++) {
		char key[8];
		snprintf(key, sizeof(key), "k%d", i);
		assert_true(json_remove(value, key));
	}
	assert_false(json_remove(value, "k0"));
	json_insert(arena, kept, 0, json_string(arena, "first"));
	json_insert(arena, kept, 4, json_bool(arena, true));
	json_remove_at(kept, 2);
	json_set_text(arena, json_ensure_object(arena, value, "b"), "c", "d");
	json_append(arena, json_ensure_array(arena, value, "e"), json_null(arena));
	json_write(&out, value);
	assert_string_equal(strbuf_text(&out), "{\"a\":[\"first\",1,3,true],\"b\":{\"c\":\"d\"},\"e\":[null]}");
	strbuf_clear(&out);
	json_write_pretty(&out, value);
	assert_string_equal(strbuf_text(&out),
	                    "{\n    \"a\": [\n        \"first\",\n        1,\n        3,\n        true\n    ],\n"
	                    "    \"b\": {\n        \"c\": \"d\"\n    },\n    \"e\": [\n        null\n    ]\n}");
	strbuf_clear(&out);
	json_write(&out, copy);
	assert_string_equal(strbuf_text(&out), "{\"a\":[1,2,3],\"b\":null}");
}

static void test_equality(void **state)
{
	static const struct {
		const char *a, *b;
		bool equal;
	} rows[] = {
	        {"{\"a\":1,\"b\":[true]}", "{\"b\":[true],\"a\":1}", true},
	        {"{\"a\":1}", "{\"a\":1.0}", false},
	        {"{\"a\":1,\"b\":2}", "{\"a\":1,\"c\":2}", false},
	        {"[1,2]", "[2,1]", false},
	        {"[1,2]", "[1,2,3]", false},
	        {"{}", "[]", false},
	        {"null", "null", true},
	        {"\"a\"", "\"b\"", false},
	};
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct err err = ERR_INIT;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct json *a = NULL, *b = NULL;
		assert_int_equal(json_parse(arena, rows[i].a, strlen(rows[i].a), NULL, &a, &err), 0);
		assert_int_equal(json_parse(arena, rows[i].b, strlen(rows[i].b), NULL, &b, &err), 0);
		assert_int_equal(json_equal(a, b), rows[i].equal);
		assert_int_equal(json_equal(b, a), rows[i].equal);
	}
	assert_false(json_equal(NULL, json_null(arena)));
}

// Each prefix and each one-byte damage of a document: an error or a value, never a bad read.
static void test_damaged_documents(void **state)
{
	static const char text[] =
	        "{\"metadata\":{\"name\":\"gr\xc3\xbc\\u00df\\ud83d\\ude80\",\"n\":-1.5e3},\"l\":[true,null,{}]}";
	(void)state;
	for (size_t length = 0; length < sizeof(text) - 1; length++) {
		AUTO(arena_free) struct arena *arena = arena_new(0);
		struct json *value = NULL;
		struct err err = ERR_INIT;
		assert_int_not_equal(parse_exact(arena, text, length, NULL, &value, &err), 0);
		assert_non_null(strstr(err.message, "offset"));
	}
	for (size_t place = 0; place < sizeof(text) - 1; place++) {
		for (int byte = 0; byte < 256; byte += 3) {
			AUTO(arena_free) struct arena *arena = arena_new(0);
			struct json *value = NULL;
			struct err err = ERR_INIT;
			char damaged[sizeof(text)];
			memcpy(damaged, text, sizeof(text));
			damaged[place] = (char)byte;
			int code = parse_exact(arena, damaged, sizeof(text) - 1, NULL, &value, &err);
			assert_int_equal(code == 0, err.code == ERR_NONE);
		}
	}
}

static void test_overflow_of_the_output_is_flagged(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	AUTO_STRBUF struct strbuf out = STRBUF_INIT(10);
	json_write(&out, json_string(arena, "longer than ten bytes"));
	assert_true(out.overflowed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_round_trips),
	        cmocka_unit_test(test_escapes_and_surrogates),
	        cmocka_unit_test(test_strings_may_hold_nul),
	        cmocka_unit_test(test_errors_are_worded_as_go),
	        cmocka_unit_test(test_limits),
	        cmocka_unit_test(test_duplicates_are_noted_and_the_last_wins),
	        cmocka_unit_test(test_many_keys_are_not_quadratic),
	        cmocka_unit_test(test_reading_accepts_null),
	        cmocka_unit_test(test_editing),
	        cmocka_unit_test(test_equality),
	        cmocka_unit_test(test_damaged_documents),
	        cmocka_unit_test(test_overflow_of_the_output_is_flagged),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
