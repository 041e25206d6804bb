// SPDX-License-Identifier: Apache-2.0
// Structural schemas: what falls out, what comes in, what is refused and in which
// words. Each case is a schema, a document and what must come of it.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants the four above first.
#include <cmocka.h>
#include <string.h>

#include "common/api/structural.h"
#include "common/api/typed.h"
#include "common/base/macros.h"
#include "common/cel/regex.h"

static const void *compile(struct arena *arena, const char *text, struct err *err)
{
	const struct cel_regex *regex = NULL;

	return cel_regex_compile(arena, text, strlen(text), &regex, err) == 0 ? regex : NULL;
}

static bool matches(const void *pattern, const char *text, size_t length)
{
	return cel_regex_matches(pattern, text, length);
}

static const struct structural_patterns patterns = {compile, matches};

static struct json *parse(struct arena *arena, const char *text)
{
	struct json *value = NULL;
	struct err err = ERR_INIT;

	if (json_parse(arena, text, strlen(text), NULL, &value, &err) < 0)
		fail_msg("%s: %s", text, err.message);
	return value;
}

static void assert_json(struct arena *arena, const struct json *have, const char *want)
{
	struct strbuf text = STRBUF_INIT(1 << 20);

	if (json_equal(parse(arena, want), have))
		return;
	json_write(&text, have);
	fail_msg("\nwant %s\nhave %s", want, strbuf_text(&text));
}

#define ROOT(properties) "{\"type\":\"object\",\"properties\":{" properties "}}"

// --- decoding -----------------------------------------------------------------------------

struct decode_case {
	const char *schema;
	const char *document;
	const char *want;
	const char *notes;
};

static const struct decode_case decode_cases[] = {
        // Unknown fields fall out at every depth; the object's own members stay.
        {ROOT("\"spec\":{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"}}}"),
         "{\"apiVersion\":\"g/v\",\"kind\":\"K\",\"metadata\":{\"name\":\"x\",\"what\":1},\"spec\":{\"b\":2,\"a\":1},"
         "\"more\":{}}",
         "{\"apiVersion\":\"g/v\",\"kind\":\"K\",\"metadata\":{\"name\":\"x\"},\"spec\":{\"a\":1}}",
         "unknown field \"metadata.what\"; unknown field \"more\"; unknown field \"spec.b\""},
        // The root keeps what it doesn't know, but a property that it knows is pruned.
        {"{\"type\":\"object\",\"x-kubernetes-preserve-unknown-fields\":true,\"properties\":{\"spec\":{\"type\":"
         "\"object\"}}}",
         "{\"free\":{\"x\":[1]},\"spec\":{\"gone\":1}}", "{\"free\":{\"x\":[1]},\"spec\":{}}",
         "unknown field \"spec.gone\""},
        // Lists within what is preserved go on preserving, maps of schemas don't.
        {ROOT("\"l\":{\"type\":\"array\",\"x-kubernetes-preserve-unknown-fields\":true,\"items\":{\"type\":\"object\","
              "\"properties\":{\"a\":{\"type\":\"object\"}}}}"),
         "{\"l\":[{\"free\":1,\"a\":{\"gone\":1}}]}", "{\"l\":[{\"free\":1,\"a\":{}}]}",
         "unknown field \"l[0].a.gone\""},
        {ROOT("\"m\":{\"type\":\"object\",\"additionalProperties\":{\"type\":\"object\",\"properties\":{\"a\":{"
              "\"type\":"
              "\"string\"}}}}"),
         "{\"m\":{\"k\":{\"a\":\"1\",\"b\":\"2\"}}}", "{\"m\":{\"k\":{\"a\":\"1\"}}}", "unknown field \"m.k.b\""},
        // Embedded objects have metadata of their own.
        {ROOT("\"t\":{\"type\":\"object\",\"x-kubernetes-embedded-resource\":true,\"properties\":{\"spec\":{\"type\":"
              "\"object\"}}}"),
         "{\"t\":{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"labels\":{\"a\":\"b\"},\"bad\":1},\"x\":1}}",
         "{\"t\":{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"labels\":{\"a\":\"b\"}}}}",
         "unknown field \"t.x\"; unknown field \"t.metadata.bad\""},
        // Wrong types are validation's matter.
        {ROOT("\"a\":{\"type\":\"integer\"}"), "{\"a\":\"text\"}", "{\"a\":\"text\"}", ""},
};

static void test_decoding(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(decode_cases); i++) {
		AUTO(arena_free) struct arena *arena = arena_new(0);
		struct structural *root = structural_build(arena, parse(arena, decode_cases[i].schema), &patterns);
		struct json *value = parse(arena, decode_cases[i].document);
		struct decode_issues issues = {0};
		struct err err = ERR_INIT;
		struct strbuf notes = STRBUF_INIT(1 << 16);

		assert_int_equal(structural_is_settled(root, value), !strstr(decode_cases[i].notes, "field \"spec") &&
		                                                             !strstr(decode_cases[i].notes, "[0]") &&
		                                                             !strstr(decode_cases[i].notes, "m.k") &&
		                                                             !strstr(decode_cases[i].notes, "t.x"));
		// By the engine's door: it can't tell this table from a built-in kind's.
		if (schema_normalize(arena, &root->type, value, &issues, &err) < 0)
			fail_msg("%s: %s", decode_cases[i].document, err.message);
		assert_json(arena, value, decode_cases[i].want);
		for (size_t j = 0; j < issues.count; j++)
			strbuf_printf(&notes, "%s%s", j ? "; " : "", issues.texts[j]);
		assert_string_equal(strbuf_text(&notes), decode_cases[i].notes);
		strbuf_done(&notes);
	}
}

static void test_bad_metadata(void **state)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct structural *root = structural_build(arena, parse(arena, "{\"type\":\"object\"}"), &patterns);
	struct json *value = parse(arena, "{\"metadata\":{\"name\":\"x\",\"labels\":5,\"finalizers\":[\"a/b\"]}}");
	struct err err = ERR_INIT;

	(void)state;
	assert_true(structural_normalize(arena, root, value, false, NULL, &err) < 0);
	assert_non_null(strstr(err.message, "metadata: json: cannot unmarshal number into Go struct field "
	                                    "ObjectMeta.metadata.labels of type map[string]string"));
	// What is stored already is read as far as it can be.
	value = parse(arena, "{\"metadata\":{\"name\":\"x\",\"labels\":5,\"finalizers\":[\"a/b\"]}}");
	assert_int_equal(structural_normalize(arena, root, value, true, NULL, NULL), 0);
	assert_json(arena, value, "{\"metadata\":{\"name\":\"x\",\"finalizers\":[\"a/b\"]}}");
}

static const struct {
	const char *schema;
	const char *document;
	const char *want;
} default_cases[] = {
        {ROOT("\"spec\":{\"type\":\"object\",\"default\":{},\"properties\":{\"a\":{\"type\":\"integer\",\"default\":7},"
              "\"b\":{\"type\":\"string\"}}}"),
         "{}", "{\"spec\":{\"a\":7}}"},
        // A null that may not be: the default takes its place, or it falls out.
        {ROOT("\"a\":{\"type\":\"string\",\"default\":\"x\"},\"b\":{\"type\":\"string\"},\"c\":{\"type\":\"string\","
              "\"nullable\":true,\"default\":\"x\"}"),
         "{\"a\":null,\"b\":null,\"c\":null}", "{\"a\":\"x\",\"c\":null}"},
        {ROOT("\"l\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"p\":{\"type\":\"string\","
              "\"default\":\"TCP\"}}}}"),
         "{\"l\":[{},{\"p\":\"UDP\"}]}", "{\"l\":[{\"p\":\"TCP\"},{\"p\":\"UDP\"}]}"},
        {ROOT("\"m\":{\"type\":\"object\",\"additionalProperties\":{\"type\":\"object\",\"properties\":{\"p\":{"
              "\"type\":"
              "\"boolean\",\"default\":true}}}}"),
         "{\"m\":{\"a\":{}}}", "{\"m\":{\"a\":{\"p\":true}}}"},
        {ROOT("\"a\":{\"type\":\"integer\",\"default\":7}"), "{\"a\":0}", "{\"a\":0}"},
};

static void test_defaults(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(default_cases); i++) {
		AUTO(arena_free) struct arena *arena = arena_new(0);
		struct structural *root = structural_build(arena, parse(arena, default_cases[i].schema), &patterns);
		struct json *value = parse(arena, default_cases[i].document);

		for (int pass = 0; pass < 2; pass++) {
			assert_int_equal(structural_is_settled(root, value), pass == 1 || i == 4);
			schema_apply_defaults(arena, &root->type, value);
			assert_json(arena, value, default_cases[i].want);
		}
	}
}

// --- validation ------------------------------------------------------------------------------

static const char *errors_text(struct arena *arena, const struct structural_errors *errors)
{
	const char *all = "";

	for (uint32_t i = 0; i < errors->count; i++)
		all = arena_printf(arena, "%s%s%s: %s", all, i ? "\n" : "", errors->items[i].field,
		                   errors->items[i].message);
	return all;
}

static const struct {
	const char *schema; // of "f"
	const char *value;
	const char *want;
} rule_cases[] = {
        {"{\"type\":\"integer\"}", "\"string\"",
         "f: Invalid value: \"string\": f in body must be of type integer: \"string\""},
        {"{\"type\":\"integer\"}", "1.0", ""},
        {"{\"type\":\"integer\"}", "1.5",
         "f: Invalid value: \"number\": f in body must be of type integer: \"number\""},
        {"{\"type\":\"string\"}", "null", "f: Invalid value: \"null\": f in body must be of type string: \"null\""},
        {"{\"type\":\"string\",\"nullable\":true}", "null", ""},
        {"{\"x-kubernetes-int-or-string\":true}", "true",
         "f: Invalid value: \"boolean\": f in body must be of type integer,string: \"boolean\""},
        {"{\"x-kubernetes-int-or-string\":true}", "\"50%\"", ""},
        {"{\"x-kubernetes-preserve-unknown-fields\":true}", "[1,{}]", ""},
        {"{\"type\":\"integer\",\"minimum\":1,\"maximum\":5}", "0",
         "f: Invalid value: 0: f in body should be greater than or equal to 1"},
        {"{\"type\":\"integer\",\"minimum\":1,\"maximum\":5}", "6",
         "f: Invalid value: 6: f in body should be less than or equal to 5"},
        {"{\"type\":\"number\",\"minimum\":0.5,\"exclusiveMinimum\":true}", "0.5",
         "f: Invalid value: 0.5: f in body should be greater than 0.5"},
        {"{\"type\":\"integer\",\"multipleOf\":3}", "7", "f: Invalid value: 7: f in body should be a multiple of 3"},
        {"{\"type\":\"string\",\"maxLength\":2}", "\"\\u00e4\\u00f6\\u00fc\"",
         "f: Too long: may not be more than 2 bytes"},
        {"{\"type\":\"string\",\"minLength\":2}", "\"a\"",
         "f: Invalid value: \"a\": f in body should be at least 2 chars long"},
        {"{\"type\":\"string\",\"pattern\":\"^[a-z]+$\"}", "\"A1\"",
         "f: Invalid value: \"A1\": f in body should match '^[a-z]+$'"},
        {"{\"type\":\"string\",\"enum\":[\"a\",\"b\"]}", "\"c\"",
         "f: Unsupported value: \"c\": supported values: \"a\", \"b\""},
        {"{\"type\":\"integer\",\"enum\":[1,2]}", "3", "f: Unsupported value: 3: supported values: \"1\", \"2\""},
        {"{\"type\":\"array\",\"maxItems\":1,\"items\":{\"type\":\"string\"}}", "[\"a\",2]",
         "f[1]: Invalid value: \"integer\": f[1] in body must be of type string: \"integer\"\n"
         "f: Too many: 2: must have at most 1 item"},
        {"{\"type\":\"array\",\"minItems\":2,\"items\":{\"type\":\"string\"}}", "[]",
         "f: Invalid value: 0: f in body should have at least 2 items"},
        {"{\"type\":\"object\",\"maxProperties\":1,\"additionalProperties\":{\"type\":\"string\"}}",
         "{\"a\":\"1\",\"b\":2}",
         "f: Too many: 2: must have at most 1 item\n"
         "f.b: Invalid value: \"integer\": f.b in body must be of type string: \"integer\""},
        {"{\"type\":\"object\",\"required\":[\"a\",\"b\"],\"properties\":{\"a\":{\"type\":\"string\"}}}", "{}",
         "f.a: Required value\nf.b: Required value"},
        {"{\"type\":\"string\",\"format\":\"ipv4\"}", "\"1.2.3\"",
         "f: Invalid value: \"1.2.3\": f in body must be of type ipv4: \"1.2.3\""},
        {"{\"type\":\"integer\",\"format\":\"int32\"}", "99999999999", ""},
        {"{\"type\":\"integer\",\"anyOf\":[{\"minimum\":10},{\"maximum\":5}]}", "7",
         "<nil>: Invalid value: \"\": \"f\" must validate at least one schema (anyOf)\n"
         "f: Invalid value: 7: f in body should be greater than or equal to 10"},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"},\"b\":{\"type\":\"string\"}},\"oneOf\":[{"
         "\"required\":[\"a\"]},{\"required\":[\"b\"]}]}",
         "{\"a\":\"1\",\"b\":\"2\"}",
         "<nil>: Invalid value: \"\": \"f\" must validate one and only one schema (oneOf). Found 2 valid alternatives"},
        {"{\"type\":\"integer\",\"not\":{\"enum\":[3]}}", "3",
         "<nil>: Invalid value: \"\": \"f\" must not validate the schema (not)"},
        {"{\"type\":\"integer\",\"allOf\":[{\"minimum\":10}]}", "7",
         "f: Invalid value: 7: f in body should be greater than or equal to 10\n"
         "<nil>: Invalid value: \"\": \"f\" must validate all the schemas (allOf). None validated"},
};

static void test_rules(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rule_cases); i++) {
		AUTO(arena_free) struct arena *arena = arena_new(0);
		const char *schema = arena_printf(arena, ROOT("\"f\":%s"), rule_cases[i].schema);
		struct structural *root = structural_build(arena, parse(arena, schema), &patterns);
		struct structural_errors errors = {0};

		structural_validate(arena, root, parse(arena, arena_printf(arena, "{\"f\":%s}", rule_cases[i].value)),
		                    NULL, &errors);
		assert_string_equal(errors_text(arena, &errors), rule_cases[i].want);
	}
}

static void test_ratcheting(void **state)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct structural *root = structural_build(
	        arena,
	        parse(arena,
	              ROOT("\"a\":{\"type\":\"integer\",\"maximum\":5},\"b\":{\"type\":\"integer\"},\"l\":{\"type\":"
	                   "\"array\",\"x-kubernetes-list-type\":\"map\",\"x-kubernetes-list-map-keys\":[\"n\"],"
	                   "\"items\":{\"type\":\"object\",\"properties\":{\"n\":{\"type\":\"string\"},\"v\":{"
	                   "\"type\":\"integer\",\"maximum\":5}}}},\"p\":{\"type\":\"array\",\"items\":{\"type\":"
	                   "\"integer\",\"maximum\":5}}")),
	        &patterns);
	static const struct {
		const char *old, *now, *want;
	} cases[] = {
	        {"{\"a\":9,\"b\":1}", "{\"a\":9,\"b\":2}", ""},
	        {"{\"a\":9}", "{\"a\":10}", "a: Invalid value: 10: a in body should be less than or equal to 5"},
	        // Items of keyed lists are known again wherever they stand.
	        {"{\"l\":[{\"n\":\"x\",\"v\":9}]}", "{\"l\":[{\"n\":\"y\",\"v\":1},{\"n\":\"x\",\"v\":9}]}", ""},
	        {"{\"l\":[{\"n\":\"x\",\"v\":9}]}", "{\"l\":[{\"n\":\"y\",\"v\":9}]}",
	         "l[0].v: Invalid value: 9: l[0].v in body should be less than or equal to 5"},
	        // Those of other lists only when the whole list is as it was.
	        {"{\"p\":[9],\"b\":1}", "{\"p\":[9],\"b\":2}", ""},
	        {"{\"p\":[9]}", "{\"p\":[9,1]}",
	         "p[0]: Invalid value: 9: p[0] in body should be less than or equal to 5"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct structural_errors errors = {0};

		structural_validate(arena, root, parse(arena, cases[i].now), parse(arena, cases[i].old), &errors);
		assert_string_equal(errors_text(arena, &errors), cases[i].want);
	}
}

static void test_lists(void **state)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct structural *root = structural_build(
	        arena,
	        parse(arena, ROOT("\"s\":{\"type\":\"array\",\"x-kubernetes-list-type\":\"set\",\"items\":{\"type\":"
	                          "\"string\"}},\"m\":{\"type\":\"array\",\"x-kubernetes-list-type\":\"map\","
	                          "\"x-kubernetes-list-map-keys\":[\"a\",\"b\"],\"items\":{\"type\":\"object\","
	                          "\"properties\":{\"a\":{\"type\":\"string\"},\"b\":{\"type\":\"integer\"}}}}")),
	        &patterns);
	struct structural_errors errors = {0};

	(void)state;
	structural_validate_lists(arena, root, parse(arena, "{\"s\":[\"x\",\"y\",\"x\",\"x\"]}"), &errors);
	assert_string_equal(errors_text(arena, &errors), "s[2]: Duplicate value: \"x\"");
	errors = (struct structural_errors){0};
	structural_validate_lists(arena, root,
	                          parse(arena, "{\"m\":[{\"a\":\"1\",\"b\":2},{\"b\":2,\"a\":\"1\"},{\"a\":\"1\"}]}"),
	                          &errors);
	assert_string_equal(errors_text(arena, &errors),
	                    "m[1]: Duplicate value: map[string]interface {}{\"a\":\"1\", \"b\":2}");
}

// The engine's table: apply owns by the schema's list and map types.
static void test_table(void **state)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct structural *root = structural_build(
	        arena,
	        parse(arena,
	              ROOT("\"spec\":{\"type\":\"object\",\"properties\":{\"n\":{\"type\":\"integer\"},\"free\":{"
	                   "\"x-kubernetes-preserve-unknown-fields\":true},\"t\":{\"type\":\"object\","
	                   "\"x-kubernetes-embedded-resource\":true,\"properties\":{\"spec\":{\"type\":"
	                   "\"object\"}}}}}")),
	        &patterns);

	(void)state;
	assert_null(
	        typed_check(arena, &root->type,
	                    parse(arena, "{\"metadata\":{\"name\":\"x\"},\"spec\":{\"n\":1,\"free\":{\"a\":[1]}}}")));
	assert_string_equal(typed_check(arena, &root->type, parse(arena, "{\"unknownField\":1}")),
	                    ".unknownField: field not declared in schema");
	assert_string_equal(typed_check(arena, &root->type,
	                                parse(arena, "{\"spec\":{\"t\":{\"metadata\":{\"unknownSubMeta\":1}}}}")),
	                    ".spec.t.metadata.unknownSubMeta: field not declared in schema");
}

static void test_formats(void **state)
{
	static const struct {
		const char *format, *good, *bad;
	} rows[] = {
	        {"date", "2024-02-29", "2023-02-29"},
	        {"date-time", "2014-12-15T19:30:20.000Z", "2014-12-15 19:30:20"},
	        {"duration", "22 ns", "soon"},
	        {"duration", "1h30m", "1h30"},
	        {"email", "Jane <jane@example.com>", "jane@"},
	        {"uri", "https://example.com/a?b", "example.com"},
	        {"hostname", "a-b.example.com", "-a.example.com"},
	        {"ipv6", "fe80::1", "10.0.0.1"},
	        {"cidr", "10.0.0.0/8", "10.0.0.0/33"},
	        {"mac", "01:23:45:67:89:ab", "01:23:45:67:89"},
	        {"mac", "0123.4567.89ab", "0123-4567-89ab"},
	        {"uuid", "A987FBC9-4BED-3078-CF07-9141BA07C9F3", "A987FBC9"},
	        {"uuid4", "57b73598-8764-4ad0-a76a-679bb6640eb1", "57b73598-8764-3ad0-a76a-679bb6640eb1"},
	        {"isbn", "978-0321751041", "978-0321751042"},
	        {"isbn10", "0321751043", "0321751044"},
	        {"creditcard", "4111 1111 1111 1111", "4111 1111 1111 1112"},
	        {"ssn", "111-22-3333", "111-2-33333"},
	        {"hexcolor", "#FFFFFF", "#FFFG"},
	        {"rgbcolor", "rgb(255,255,0)", "rgb(256,0,0)"},
	        {"byte", "aGVsbG8=", "a"},
	        {"bsonobjectid", "507f1f77bcf86cd799439011", "507f"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct structural_format *format = structural_format_find(rows[i].format);

		assert_non_null(format);
		if (!structural_format_matches(format, rows[i].good, strlen(rows[i].good)))
			fail_msg("%s should take %s", rows[i].format, rows[i].good);
		if (structural_format_matches(format, rows[i].bad, strlen(rows[i].bad)))
			fail_msg("%s should not take %s", rows[i].format, rows[i].bad);
	}
	assert_null(structural_format_find("int32"));
}

static void test_numbers(void **state)
{
	static const struct {
		double number;
		const char *text;
	} rows[] = {{1.5, "1.5"},       {100, "100"},   {1e21, "1e+21"},
	            {0.00001, "1e-05"}, {0.25, "0.25"}, {-1234.5, "-1234.5"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO_STRBUF struct strbuf out = STRBUF_INIT(64);

		structural_write_double(&out, rows[i].number);
		assert_string_equal(strbuf_text(&out), rows[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_decoding), cmocka_unit_test(test_bad_metadata), cmocka_unit_test(test_defaults),
	        cmocka_unit_test(test_rules),    cmocka_unit_test(test_ratcheting),   cmocka_unit_test(test_lists),
	        cmocka_unit_test(test_table),    cmocka_unit_test(test_formats),      cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
