// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/api/yaml.h"
#include "common/base/memory.h"

// All documents of the text as compact JSON, each followed by a line feed; or "error: …".
static char *to_json(const char *text, const struct json_limits *limits)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	AUTO_STRBUF struct strbuf out = STRBUF_INIT(1 << 22);
	struct yaml_document *documents;
	size_t count;
	struct err err = ERR_INIT;
	size_t length = strlen(text);
	AUTO_FREE char *exact = xmalloc(length ? length : 1);
	memcpy(exact, text, length);
	if (yaml_parse(arena, exact, length, limits, &documents, &count, &err)) {
		strbuf_printf(&out, "error: %s", err.message);
		return strbuf_take(&out, NULL);
	}
	for (size_t i = 0; i < count; i++) {
		json_write(&out, documents[i].value);
		strbuf_append_char(&out, '\n');
	}
	return strbuf_take(&out, NULL);
}

static void assert_json(const char *yaml, const char *json)
{
	AUTO_FREE char *out = to_json(yaml, NULL);
	assert_string_equal(out, json);
}

static void test_scalars(void **state)
{
	static const struct {
		const char *yaml, *json;
	} rows[] = {
	        {"text", "\"text\""},
	        {"true", "true"},
	        {"True", "true"},
	        {"yes", "true"},
	        {"on", "true"},
	        {"y", "true"},
	        {"no", "false"},
	        {"Off", "false"},
	        {"n", "false"},
	        {"yEs", "\"yEs\""},
	        {"'yes'", "\"yes\""},
	        {"\"no\"", "\"no\""},
	        {"~", "null"},
	        {"null", "null"},
	        {"nULL", "\"nULL\""},
	        {"0644", "420"},
	        {"0o644", "420"},
	        {"0x1F", "31"},
	        {"0b101", "5"},
	        {"-0x10", "-16"},
	        {"+12", "12"},
	        {"1_000", "1000"},
	        {"08", "8"},
	        {"0", "0"},
	        {"-0", "0"},
	        {"1.5", "1.5"},
	        {"1.0", "1"},
	        {".5", "0.5"},
	        {"-.5", "-0.5"},
	        {"1e3", "1000"},
	        {"1e21", "1e+21"},
	        {"1e-7", "1e-7"},
	        {"0.1", "0.1"},
	        {"1.2.3", "\"1.2.3\""},
	        {"10.0.0.1", "\"10.0.0.1\""},
	        {"1:30", "\"1:30\""},
	        {"12:30:45", "\"12:30:45\""},
	        {"2001-12-14", "\"2001-12-14\""},
	        {"2001-12-14T21:59:43Z", "\"2001-12-14T21:59:43Z\""},
	        {"100m", "\"100m\""},
	        {"1Gi", "\"1Gi\""},
	        {"9223372036854775807", "9223372036854775807"},
	        {"9223372036854775808", "9223372036854775808"},
	        {"-9223372036854775808", "-9223372036854775808"},
	        {"1e400", "\"1e400\""},
	        {"!!str 12", "\"12\""},
	        {"!!int 12", "12"},
	        {"!!float 12", "12"},
	        {"!!binary aGk=", "\"hi\""},
	        {"!foo 12", "\"12\""},
	        {"+", "\"+\""},
	        {".", "\".\""},
	        {"0x", "\"0x\""},
	        {"1e", "\"1e\""},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO_FREE char *yaml = xasprintf("k: %s\n", rows[i].yaml);
		AUTO_FREE char *out = to_json(yaml, NULL);
		AUTO_FREE char *expected = xasprintf("{\"k\":%s}\n", rows[i].json);
		assert_string_equal(out, expected);
	}
}

static void test_structures(void **state)
{
	(void)state;
	assert_json("a: 1\nb:\n- x\n- k: z\n  w: [1, {q: r}]\nc: {}\n",
	            "{\"a\":1,\"b\":[\"x\",{\"k\":\"z\",\"w\":[1,{\"q\":\"r\"}]}],\"c\":{}}\n");
	assert_json("t: |\n  one\n  two\nf: >-\n  one\n  two\n", "{\"t\":\"one\\ntwo\\n\",\"f\":\"one two\"}\n");
	assert_json("1: a\ntrue: b\n1.5: c\n", "{\"1\":\"a\",\"true\":\"b\",\"1.5\":\"c\"}\n");
	assert_json("{\"a\": [1, 2],\n\t\"b\": \"\\u00e9\"}", "{\"a\":[1,2],\"b\":\"é\"}\n");
	assert_json("{a: 1, b: 'x'}", "{\"a\":1,\"b\":\"x\"}\n");
	assert_json("- 1\n- 2\n", "[1,2]\n");
}

static void test_documents(void **state)
{
	(void)state;
	assert_json("", "");
	assert_json("---\n# nothing\n---\na: 1\n---\n---\nb: 2\n...\n", "{\"a\":1}\n{\"b\":2}\n");
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct yaml_document *documents;
	size_t count;
	struct err err = ERR_INIT;
	static const char text[] = "# head\na: 1\n---\n\nb: 2\n";
	assert_int_equal(yaml_parse(arena, text, sizeof(text) - 1, NULL, &documents, &count, &err), 0);
	assert_int_equal(count, 2);
	assert_int_equal(documents[0].line, 2);
	assert_int_equal(documents[1].line, 5);
}

static void test_anchors_and_merges(void **state)
{
	(void)state;
	assert_json("a: &x {p: 1}\nb: *x\n", "{\"a\":{\"p\":1},\"b\":{\"p\":1}}\n");
	assert_json("base: &b {p: 1, q: 2}\nd:\n  q: 3\n  <<: *b\n",
	            "{\"base\":{\"p\":1,\"q\":2},\"d\":{\"q\":3,\"p\":1}}\n");
	assert_json("a: &a {p: 1}\nb: &b {p: 2, r: 4}\nd:\n  <<: [*a, *b]\n",
	            "{\"a\":{\"p\":1},\"b\":{\"p\":2,\"r\":4},\"d\":{\"p\":1,\"r\":4}}\n");
	assert_json("d: {'<<': 1}\n", "{\"d\":{\"<<\":1}}\n");
	assert_json("a: *x\n", "error: error converting YAML to JSON: yaml: unknown anchor 'x' referenced");
	assert_json("a: &x [*x]\n", "error: error converting YAML to JSON: yaml: anchor 'x' value contains itself");
	assert_json("a:\n  <<: 1\n", "error: error converting YAML to JSON: yaml: line 2: map merge requires map or "
	                             "sequence of maps as the value");
}

static void test_errors(void **state)
{
	(void)state;
	assert_json("a: b: c\n",
	            "error: error converting YAML to JSON: yaml: mapping values are not allowed in this context");
	assert_json(
	        "x: 1\na: b: c\n",
	        "error: error converting YAML to JSON: yaml: line 2: mapping values are not allowed in this context");
	assert_json("x:\n\ta: 1\n",
	            "error: error converting YAML to JSON: yaml: line 2: found character that cannot start any token");
	assert_json("a: 1\na: 2\n", "error: error converting YAML to JSON: yaml: unmarshal errors:\n  line 2: key "
	                            "\"a\" already set in map");
	assert_json("~: 1\n", "error: error converting YAML to JSON: yaml: line 1: unsupported map key of type: null");
	assert_json("[a]: 1\n", "error: error converting YAML to JSON: yaml: line 1: invalid map key: not a scalar");
	assert_json("a: .inf\n",
	            "error: error converting YAML to JSON: yaml: line 1: json: unsupported value: not a finite number");
	assert_json("a: !!int x\n", "error: error converting YAML to JSON: yaml: cannot decode !!str `x` as a !!int");
	assert_json("a: !!binary /w==\n",
	            "error: error converting YAML to JSON: yaml: line 1: !!binary value is not valid UTF-8");
	assert_json("{\"a\": 1,, }",
	            "error: invalid character ',' looking for beginning of object key string at offset 8");
}

static void note_duplicate(void *context, const char *path)
{
	strbuf_printf(context, "%s;", path);
}

static void test_duplicates_can_be_noted(void **state)
{
	(void)state;
	AUTO_STRBUF struct strbuf noted = STRBUF_INIT(4096);
	struct json_limits limits = {.on_duplicate = note_duplicate, .context = &noted};
	AUTO_FREE char *out = to_json("spec:\n- 1\n- x: 1\n  x: 2\nspec: 3\n", &limits);
	assert_string_equal(out, "{\"spec\":3}\n");
	assert_string_equal(strbuf_text(&noted), "spec[1].x;spec;");
	AUTO_STRBUF struct strbuf many = STRBUF_INIT(1 << 20);
	for (int i = 0; i < 1000; i++)
		strbuf_printf(&many, "k%d: 1\n", i);
	strbuf_append_text(&many, "k500: 2\n");
	AUTO_FREE char *error = to_json(strbuf_text(&many), NULL);
	assert_non_null(strstr(error, "line 1001: key \"k500\" already set in map"));
}

static void test_expansion_is_bounded(void **state)
{
	(void)state;
	AUTO_STRBUF struct strbuf bomb = STRBUF_INIT(1 << 16);
	strbuf_append_text(&bomb, "a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
	for (int i = 1; i < 12; i++) {
		strbuf_printf(&bomb, "a%d: &a%d [", i, i);
		for (int j = 0; j < 9; j++)
			strbuf_printf(&bomb, "%s*a%d", j ? "," : "", i - 1);
		strbuf_append_text(&bomb, "]\n");
	}
	AUTO_FREE char *out = to_json(strbuf_text(&bomb), NULL);
	assert_string_equal(out, "error: error converting YAML to JSON: yaml: document contains excessive aliasing");
	AUTO_STRBUF struct strbuf deep = STRBUF_INIT(1 << 16);
	for (int i = 0; i < 300; i++)
		strbuf_append_char(&deep, '[');
	AUTO_FREE char *deep_out = to_json(strbuf_text(&deep), NULL);
	assert_non_null(strstr(deep_out, "exceeded max depth"));
	struct json_limits limits = {.max_nodes = 3};
	AUTO_FREE char *large = to_json("[1,2,3]", &limits);
	assert_non_null(strstr(large, "too many values"));
}

static void test_writing_as_kubectl(void **state)
{
	static const char json[] = "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"web\",\"labels\":{"
	                           "\"a10\":\"true\",\"a2\":\"1\",\"B\":\"\"},"
	                           "\"annotations\":{\"x\":\"{\\\"a\\\":1}\\n\",\"time\":\"2026-11-22T18:00:00Z\","
	                           "\"on\":\"off\"}},\"spec\":{\"empty\":{},\"none\":[],"
	                           "\"list\":[{\"name\":\"c\",\"args\":[\"-c\",\"echo: hi\",\"# no\",\"* "
	                           "star\",\"12:30\",\"a\\u0007\"]},[1,[2]]],\"n\":null,\"i\":5,"
	                           "\"f\":1.5,\"yes\":true,\"indent\":\"  x\\ny\",\"message\":\"0/3 nodes are "
	                           "available: 1 Insufficient cpu, 2 node(s) had "
	                           "untolerated taint {node.kubernetes.io/not-ready: }. preemption: none\"}}";
	static const char yaml[] =
	        "apiVersion: v1\n"
	        "kind: Pod\n"
	        "metadata:\n"
	        "  annotations:\n"
	        "    \"on\": \"off\"\n"
	        "    time: \"2026-11-22T18:00:00Z\"\n"
	        "    x: |\n"
	        "      {\"a\":1}\n"
	        "  labels:\n"
	        "    B: \"\"\n"
	        "    a2: \"1\"\n"
	        "    a10: \"true\"\n"
	        "  name: web\n"
	        "spec:\n"
	        "  empty: {}\n"
	        "  f: 1.5\n"
	        "  i: 5\n"
	        "  indent: |2-\n"
	        "      x\n"
	        "    y\n"
	        "  list:\n"
	        "  - args:\n"
	        "    - -c\n"
	        "    - 'echo: hi'\n"
	        "    - '# no'\n"
	        "    - '* star'\n"
	        "    - \"12:30\"\n"
	        "    - \"a\\a\"\n"
	        "    name: c\n"
	        "  - - 1\n"
	        "    - - 2\n"
	        "  message: '0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated\n"
	        "    taint {node.kubernetes.io/not-ready: }. preemption: none'\n"
	        "  \"n\": null\n"
	        "  none: []\n"
	        "  \"yes\": true\n";
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	AUTO_STRBUF struct strbuf out = STRBUF_INIT(1 << 16);
	struct json *value = NULL;
	struct err err = ERR_INIT;
	assert_int_equal(json_parse(arena, json, sizeof(json) - 1, NULL, &value, &err), 0);
	yaml_write(&out, value);
	assert_string_equal(strbuf_text(&out), yaml);
	struct yaml_document *documents;
	size_t count;
	assert_int_equal(yaml_parse(arena, out.data, out.length, NULL, &documents, &count, &err), 0);
	assert_int_equal(count, 1);
	assert_true(json_equal(documents[0].value, value));
}

// Whatever a string holds, it comes back as that string.
static void test_strings_survive(void **state)
{
	static const char *const texts[] = {
	        "",      " ",    "a b",   " lead", "trail ", "a: b",       "a #b",     "-",          "- x",    "?",
	        ": x",   "[x",   "{x",    "!x",    "&x",     "*x",         "|",        ">",          "%x",     "@x",
	        "`x",    "'x'",  "\"x\"", "\\",    "a\nb",   "a\n",        "\na",      "a\n\n",      "\n",     " a\nb",
	        "\t",    "a\tb", "null",  "~",     "1",      "1.5",        "1e3",      "0x1",        "0o7",    "017",
	        "true",  "yes",  "No",    "on",    "y",      "2001-01-01", "12:30:45", "<<",         "---",    "...",
	        "--- x", "é",    "日本",  "🚀",     "\x7f",   "\x01",       "a\r\nb",   "\xc2\x85",   "\u2028", "\ufeff",
	        "1_000", "0b1",  ".5",    ".inf",  "-.INF",  "=",          "a,b",      "trail:\n x",
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		AUTO(arena_free) struct arena *arena = arena_new(0);
		AUTO_STRBUF struct strbuf out = STRBUF_INIT(1 << 16);
		struct json *value = json_object(arena);
		json_set_text(arena, value, "key", texts[i]);
		json_set(arena, value, texts[i], json_array(arena));
		json_append(arena, json_get(value, texts[i]), json_string(arena, texts[i]));
		yaml_write(&out, value);
		struct yaml_document *documents;
		size_t count;
		struct err err = ERR_INIT;
		if (yaml_parse(arena, out.data, out.length, NULL, &documents, &count, &err))
			fail_msg("%s\n%s", out.data, err.message);
		if (count != 1 || !json_equal(documents[0].value, value))
			fail_msg("not the same: %s", out.data);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_scalars),
	        cmocka_unit_test(test_structures),
	        cmocka_unit_test(test_documents),
	        cmocka_unit_test(test_anchors_and_merges),
	        cmocka_unit_test(test_errors),
	        cmocka_unit_test(test_duplicates_can_be_noted),
	        cmocka_unit_test(test_expansion_is_bounded),
	        cmocka_unit_test(test_writing_as_kubectl),
	        cmocka_unit_test(test_strings_survive),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
