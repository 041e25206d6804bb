// SPDX-License-Identifier: Apache-2.0
// Regular expressions: RE2's syntax, Go's errors, time linear in the text.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cel/regex.h"

struct match_row {
	const char *pattern;
	const char *text;
	const char *found; // NULL = no match
};

static void test_matches(void **state)
{
	static const struct match_row rows[] = {
	        {"", "abc", ""},
	        {"abc", "xabcy", "abc"},
	        {"^abc$", "abc", "abc"},
	        {"^abc$", "abcd", NULL},
	        {"a.c", "a\nc", NULL},
	        {"(?s)a.c", "a\nc", "a\nc"},
	        {"(?i)abc", "xABc", "ABc"},
	        {"(?i)\u00e9", "\u00c9", "\u00c9"},
	        {"(?i)[a-c]+", "xABCd", "ABC"},
	        {"(?m)^b$", "a\nb\nc", "b"},
	        {"a|b|cd", "xcd", "cd"},
	        {"a*", "aaab", "aaa"},
	        {"a*?", "aaab", ""},
	        {"a+?b", "aaab", "aaab"},
	        {"(?U)a+", "aaa", "a"},
	        {"a{2,3}", "aaaa", "aaa"},
	        {"a{2}", "aaaa", "aa"},
	        {"a{2,}", "aaaa", "aaaa"},
	        {"a{,2}", "a{,2}", "a{,2}"},
	        {"a{0}b", "ab", "b"},
	        {"(ab)+c", "xababc", "ababc"},
	        {"(?:a|ab)(?:c|bcd)", "abcd", "abcd"},
	        {"(a|ab)(c|bcd)(d*)", "abcd", "abcd"},
	        {"[^a-z]+", "abc123def", "123"},
	        {"[]a]+", "x]a]", "]a]"},
	        {"[a\\-z]+", "x-az", "-az"},
	        {"[[:alpha:]_]+", "12ab_3", "ab_"},
	        {"[[:^digit:]]+", "12ab", "ab"},
	        {"\\d+\\.\\d+", "v10.25", "10.25"},
	        {"\\w+\\s\\W", "ab -", "ab -"},
	        {"[\\d\\s]+", "a1 2b", "1 2"},
	        {"\\bfoo\\b", "a foo b", "foo"},
	        {"\\bfoo\\b", "afoob", NULL},
	        {"\\Boo", "foo", "oo"},
	        {"\\Aa\\z", "a", "a"},
	        {"\\x41\\x{42}\\103", "ABC", "ABC"},
	        {"\\Qa.b\\E+", "a.bbb", "a.bbb"},
	        {"\\Qa|b)\\E|c", "xa|b)", "a|b)"},
	        {"\\p{Greek}+", "ab\u03b1\u03b2", "\u03b1\u03b2"},
	        {"\\pL+", "12\u00e9a", "\u00e9a"},
	        {"\\PL+", "ab12", "12"},
	        {"[^\\pL]", "ab1", "1"},
	        {"\\p{^Lu}", "Aa", "a"},
	        {"(?P<year>\\d{4})-(?<month>\\d\\d)", "on 2024-05", "2024-05"},
	        {"\u00e9+", "caf\u00e9\u00e9", "\u00e9\u00e9"},
	        {".", "\u00e9", "\u00e9"},
	        {"$", "abc", ""},
	        {"a$b", "a$b", NULL},
	        {"(|a)+", "aaa", ""},
	        {"(a*)*", "b", ""},
	        {"x*yz?", "aaxxy", "xxy"},
	        {"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", "a-b.c-", "a-b.c"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO(arena_free) struct arena *arena = arena_new(0);
		const struct cel_regex *regex;
		struct err err = ERR_INIT;
		size_t begin = 0, end = 0, length = strlen(rows[i].text);
		if (cel_regex_compile(arena, rows[i].pattern, strlen(rows[i].pattern), &regex, &err))
			fail_msg("%s: %s", rows[i].pattern, err.message);
		enum cel_regex_result result = cel_regex_search(regex, rows[i].text, length, 0, NULL, &begin, &end);
		assert_int_equal(result == CEL_REGEX_MATCH, cel_regex_matches(regex, rows[i].text, length));
		if ((result == CEL_REGEX_MATCH) != (rows[i].found != NULL))
			fail_msg("%s on %s: %s", rows[i].pattern, rows[i].text, result ? "matches" : "doesn't match");
		if (rows[i].found && (end - begin != strlen(rows[i].found) ||
		                      memcmp(rows[i].text + begin, rows[i].found, end - begin) != 0))
			fail_msg("%s on %s: found \"%.*s\"", rows[i].pattern, rows[i].text, (int)(end - begin),
			         rows[i].text + begin);
	}
}

static void test_errors(void **state)
{
	static const char *const rows[][2] = {
	        {"(a", "missing closing ): `(a`"},
	        {"a)", "unexpected ): `a)`"},
	        {"[a", "missing closing ]: `[a`"},
	        {"*a", "missing argument to repetition operator: `*`"},
	        {"a**", "invalid nested repetition operator: `**`"},
	        {"a{1001}", "invalid repeat count: `{1001}`"},
	        {"a{2,1}", "invalid repeat count: `{2,1}`"},
	        {"((a{100}){100}){100}", "invalid repeat count: `{100}`"},
	        {"[z-a]", "invalid character class range: `z-a`"},
	        {"\\y", "invalid escape sequence: `\\y`"},
	        {"\\8", "invalid escape sequence: `\\8`"},
	        {"(?=a)", "invalid or unsupported Perl syntax: `(?=`"},
	        {"(?<!a)", "invalid named capture: `(?<!a)`"},
	        {"\\p{Klingon}", "invalid character class range: `\\p{Klingon}`"},
	        {"[[:nope:]]", "invalid character class range: `[:nope:]`"},
	        {"a\\", "trailing backslash at end of expression: ``"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO(arena_free) struct arena *arena = arena_new(0);
		const struct cel_regex *regex;
		struct err err = ERR_INIT;
		char expected[200];
		snprintf(expected, sizeof(expected), "error parsing regexp: %s", rows[i][1]);
		assert_int_equal(cel_regex_compile(arena, rows[i][0], strlen(rows[i][0]), &regex, &err), -ERR_INVALID);
		assert_string_equal(err.message, expected);
	}
}

// What a backtracking matcher needs for ever for.
static void test_linear_time(void **state)
{
	static const char *const patterns[] = {"(a*)*b", "(a|aa)+$", "(a+a+)+y", "a?a?a?a?a?a?a?a?a?a?aaaaaaaaaa$"};
	enum { LENGTH = 20000 };
	char *text = malloc(LENGTH + 1);
	(void)state;
	assert_non_null(text);
	memset(text, 'a', LENGTH);
	text[LENGTH] = 'c';
	for (size_t i = 0; i < ARRAY_SIZE(patterns); i++) {
		AUTO(arena_free) struct arena *arena = arena_new(0);
		const struct cel_regex *regex;
		uint64_t work = 100 * LENGTH, given = work;
		assert_int_equal(cel_regex_compile(arena, patterns[i], strlen(patterns[i]), &regex, NULL), 0);
		assert_int_equal(cel_regex_search(regex, text, LENGTH + 1, 0, &work, NULL, NULL), CEL_REGEX_NO_MATCH);
		assert_true(work < given);
		work = 1000;
		assert_int_equal(cel_regex_search(regex, text, LENGTH + 1, 0, &work, NULL, NULL),
		                 CEL_REGEX_TOO_MUCH_WORK);
	}
	free(text);
}

static void test_too_large(void **state)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	char pattern[800];
	size_t length = 0;
	const struct cel_regex *regex;
	struct err err = ERR_INIT;
	(void)state;
	for (int i = 0; i < 60; i++)
		length += (size_t)snprintf(pattern + length, sizeof(pattern) - length, "a{1000}");
	assert_int_equal(cel_regex_compile(arena, pattern, length, &regex, &err), -ERR_INVALID);
	assert_non_null(strstr(err.message, "expression too large"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_matches),
	        cmocka_unit_test(test_errors),
	        cmocka_unit_test(test_linear_time),
	        cmocka_unit_test(test_too_large),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
