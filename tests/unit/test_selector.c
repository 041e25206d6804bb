// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "api/meta_v1.h"
#include "common/api/selector.h"

static const struct string_map labels = {
        .entries = (struct string_map_entry[]){{"app", "web"}, {"tier", "front"}, {"rank", "7"}, {"empty", ""}},
        .count = 4,
};

static bool matches(const char *text)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct label_selector *selector;
	struct err err = ERR_INIT;
	if (label_selector_parse(arena, text, &selector, &err))
		fail_msg("%s: %s", text, err.message);
	struct json *tree = json_object(arena);
	for (size_t i = 0; i < labels.count; i++)
		json_set_text(arena, tree, labels.entries[i].key, labels.entries[i].value);
	bool result = label_selector_matches(selector, &labels);
	assert_int_equal(label_selector_matches_json(selector, tree), result);
	return result;
}

static void test_matching(void **state)
{
	static const struct {
		const char *text;
		bool matches;
	} rows[] = {
	        {"", true},
	        {"app", true},
	        {"!app", false},
	        {"other", false},
	        {"!other", true},
	        {"app=web", true},
	        {"app==web", true},
	        {"app = web", true},
	        {"app=db", false},
	        {"app!=db", true},
	        {"app!=web", false},
	        {"other!=x", true},
	        {"app in (db, web)", true},
	        {"app in (db)", false},
	        {"app notin (db)", true},
	        {"app notin (web)", false},
	        {"other notin (x)", true},
	        {"other in ()", false},
	        {"empty=", true},
	        {"empty in ()", true},
	        {"app in (,web)", true},
	        {"rank>6", true},
	        {"rank > 7", false},
	        {"rank<8", true},
	        {"rank<0", false},
	        {"app>1", false},
	        {"other<5", false},
	        {"app=web,tier=front", true},
	        {"app=web,tier=back", false},
	        {"app,!other,rank in (7)", true},
	        {"in=x", false},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (matches(rows[i].text) != rows[i].matches)
			fail_msg("%s", rows[i].text);
}

static void test_canonical_text(void **state)
{
	static const struct {
		const char *text, *canonical;
	} rows[] = {
	        {"", ""},
	        {"b,a", "a,b"},
	        {"!x", "!x"},
	        {"x = y", "x=y"},
	        {"x==y", "x==y"},
	        {"x!=y", "x!=y"},
	        {"x in (c, a ,b,a)", "x in (a,b,c)"},
	        {"x notin (b)", "x notin (b)"},
	        {"x>1,a<2", "a<2,x>1"},
	        {"x in ()", "x in ()"},
	        {"in in (in,notin)", "in in (in,notin)"},
	        {"x in (,,a)", "x in (,a)"},
	        {"example.com/k=v", "example.com/k=v"},
	        {"x=", "x="},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO(arena_free) struct arena *arena = arena_new(0);
		AUTO_STRBUF struct strbuf out = STRBUF_INIT(4096);
		struct label_selector *selector;
		struct err err = ERR_INIT;
		assert_int_equal(label_selector_parse(arena, rows[i].text, &selector, &err), 0);
		label_selector_write(selector, &out);
		assert_string_equal(strbuf_text(&out), rows[i].canonical);
		assert_int_equal(label_selector_is_everything(selector), !*rows[i].canonical);
	}
}

static void test_label_errors(void **state)
{
	static const struct {
		const char *text, *message;
	} rows[] = {
	        {"x=a=b", "found '=', expected: ',' or 'end of string'"},
	        {"!x=a", "found '=', expected: ',' or 'end of string'"},
	        {"x,", "found '', expected: identifier after ','"},
	        {"=a", "found '=', expected: !, identifier, or 'end of string'"},
	        {",", "found ',', expected: !, identifier, or 'end of string'"},
	        {"x y", "unable to parse requirement: found 'y', expected: in, notin, =, ==, !=, gt, lt"},
	        {"x in a", "unable to parse requirement: found 'a' expected: '('"},
	        {"x in (a", "unable to parse requirement: found '', expected: ',' or ')'"},
	        {"x in (", "unable to parse requirement: found '', expected: ',', ')' or identifier"},
	        {"x in (a b)", "unable to parse requirement: found 'b', expected: ',' or ')'"},
	        {"x in (a,", "unable to parse requirement: found '', expected: ',', or identifier"},
	        {"x=(", "unable to parse requirement: found '(', expected: identifier"},
	        {"!", "unable to parse requirement: found '', expected: identifier"},
	        {"x>y", "unable to parse requirement: values[0]: Invalid value: \"y\": for 'Gt', 'Lt' operators, the "
	                "value must be an integer"},
	        {"/x", "unable to parse requirement: <nil>: Invalid value: \"/x\": prefix part must be non-empty"},
	        {"x/", "unable to parse requirement: <nil>: Invalid value: \"x/\": name part must be non-empty"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO(arena_free) struct arena *arena = arena_new(0);
		struct label_selector *selector;
		struct err err = ERR_INIT;
		assert_int_equal(label_selector_parse(arena, rows[i].text, &selector, &err), -ERR_BAD_REQUEST);
		assert_string_equal(err.message, rows[i].message);
	}
}

static void test_keys_and_values_are_checked(void **state)
{
	static const char *const bad[] = {
	        "-x",
	        "x-",
	        "a/b/c",
	        "A.com/x",
	        "a..b/x",
	        ".a/x",
	        "a-/x",
	        "x=-y",
	        "x=y_",
	        "x=a/b",
	        "x in (ok,_no)",
	        "k123456789012345678901234567890123456789012345678901234567890123456",
	        "x=v123456789012345678901234567890123456789012345678901234567890123",
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		AUTO(arena_free) struct arena *arena = arena_new(0);
		struct label_selector *selector;
		struct err err = ERR_INIT;
		if (!label_selector_parse(arena, bad[i], &selector, &err))
			fail_msg("%s was taken", bad[i]);
		assert_non_null(strstr(err.message, "Invalid value: "));
	}
	assert_false(matches("a-b.c-1/x_y.z=A-b"));
}

static void test_from_the_api_form(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	AUTO_STRBUF struct strbuf out = STRBUF_INIT(4096);
	struct label_selector *selector;
	struct err err = ERR_INIT;
	assert_int_equal(label_selector_from_view(arena, NULL, &selector, &err), 0);
	assert_false(label_selector_matches(selector, &labels));
	assert_false(label_selector_is_everything(selector));
	struct meta_v1_label_selector view = {0};
	assert_int_equal(label_selector_from_view(arena, &view, &selector, &err), 0);
	assert_true(label_selector_is_everything(selector));
	struct string_map_entry entry = {"tier", "front"};
	struct meta_v1_label_selector_requirement rows[] = {
	        {"app", "In", {(const char *[]){"web", "db"}, 2}},
	        {"gone", "DoesNotExist", {0}},
	};
	view.match_labels = (struct string_map){&entry, 1};
	view.match_expressions = (struct meta_v1_label_selector_requirement_array){rows, 2};
	assert_int_equal(label_selector_from_view(arena, &view, &selector, &err), 0);
	label_selector_write(selector, &out);
	assert_string_equal(strbuf_text(&out), "app in (db,web),!gone,tier=front");
	assert_true(label_selector_matches(selector, &labels));
	rows[1].operator= "Near";
	assert_int_equal(label_selector_from_view(arena, &view, &selector, &err), -ERR_BAD_REQUEST);
	assert_string_equal(err.message, "\"Near\" is not a valid label selector operator");
	err_clear(&err);
	rows[1] = (struct meta_v1_label_selector_requirement){"x", "In", {0}};
	assert_int_equal(label_selector_from_view(arena, &view, &selector, &err), -ERR_BAD_REQUEST);
	err_clear(&err);
	struct json *tree = NULL;
	static const char text[] =
	        "{\"matchLabels\":{\"tier\":\"front\"},\"matchExpressions\":[{\"key\":\"app\",\"operator\":\"In\","
	        "\"values\":[\"web\",\"db\"]},{\"key\":\"gone\",\"operator\":\"DoesNotExist\"}]}";
	assert_int_equal(json_parse(arena, text, sizeof(text) - 1, NULL, &tree, &err), 0);
	assert_int_equal(label_selector_from_json(arena, tree, &selector, &err), 0);
	strbuf_clear(&out);
	label_selector_write(selector, &out);
	assert_string_equal(strbuf_text(&out), "app in (db,web),!gone,tier=front");
	selector = label_selector_from_map(arena, &labels);
	assert_true(label_selector_matches(selector, &labels));
	assert_false(label_selector_matches(selector, NULL));
}

static void test_field_selectors(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct field_selector selector;
	struct err err = ERR_INIT;
	assert_int_equal(field_selector_parse(arena, "", &selector, &err), 0);
	assert_int_equal(selector.count, 0);
	assert_int_equal(field_selector_parse(
	                         arena, "metadata.name=x,,status.phase!=Running,a==b\\,c\\=d\\\\,e=", &selector, &err),
	                 0);
	static const struct field_requirement expected[] = {{"metadata.name", "x", false},
	                                                    {"status.phase", "Running", true},
	                                                    {"a", "b,c=d\\", false},
	                                                    {"e", "", false}};
	assert_int_equal(selector.count, 4);
	for (size_t i = 0; i < 4; i++) {
		assert_string_equal(selector.requirements[i].field, expected[i].field);
		assert_string_equal(selector.requirements[i].value, expected[i].value);
		assert_int_equal(selector.requirements[i].negated, expected[i].negated);
	}
	static const struct {
		const char *text, *message;
	} rows[] = {
	        {"a=b,name", "invalid selector: 'a=b,name'; can't understand 'name'"},
	        {"a=b=c", "invalid field selector: unescaped character in value: 61"},
	        {"a=b\\x", "invalid field selector: invalid escape sequence: \\x"},
	        {"a=b\\", "invalid field selector: invalid escape sequence: \\"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(field_selector_parse(arena, rows[i].text, &selector, &err), -ERR_BAD_REQUEST);
		assert_string_equal(err.message, rows[i].message);
		err_clear(&err);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_matching),          cmocka_unit_test(test_canonical_text),
	        cmocka_unit_test(test_label_errors),      cmocka_unit_test(test_keys_and_values_are_checked),
	        cmocka_unit_test(test_from_the_api_form), cmocka_unit_test(test_field_selectors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
