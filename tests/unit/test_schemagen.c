// SPDX-License-Identifier: Apache-2.0
// The generator as a program: what it says about wrong schema texts, with file
// and line, and that it touches nothing when they are wrong or unchanged. It is
// run from the build folder that this test stands in.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants the four above first.
#include <cmocka.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/macros.h"
#include "common/base/memory.h"
#include "common/base/strbuf.h"

#define OUTPUT_MAX_BYTES (1u << 20)

struct fixture {
	char folder[64];
	char generator[PATH_MAX + 32];
};

static int set_up(void **state)
{
	struct fixture *fixture = NEW(struct fixture);
	char self[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	assert_true(length > 0);
	self[length] = '\0';
	char *place = strstr(self, "/tests/unit/");
	assert_non_null(place);
	*place = '\0';
	snprintf(fixture->generator, sizeof(fixture->generator), "%s/bin/schemagen", self);
	strcpy(fixture->folder, "/tmp/schemagen-test-XXXXXX");
	assert_non_null(mkdtemp(fixture->folder));
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;
	int result = file_remove_tree(fixture->folder, NULL);
	free(fixture);
	return result;
}

// Runs the generator on files of which "x.schema" holds the text; its messages without the folder's name.
static int generate_files(const struct fixture *fixture, const char *text, const char *files, struct strbuf *messages)
{
	AUTO_FREE char *path = xasprintf("%s/x.schema", fixture->folder);
	assert_int_equal(file_write_atomic(path, text, strlen(text), 0600, NULL), 0);
	AUTO_FREE char *command = xasprintf("cd %s && '%s' out %s 2>&1", fixture->folder, fixture->generator, files);
	FILE *pipe = popen(command, "r");
	assert_non_null(pipe);
	char buffer[4096];
	for (size_t got; (got = fread(buffer, 1, sizeof(buffer), pipe)) > 0;)
		strbuf_append(messages, buffer, got);
	int status = pclose(pipe);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int generate(const struct fixture *fixture, const char *text, struct strbuf *messages)
{
	return generate_files(fixture, text, "x.schema", messages);
}

#define HEAD "group example.com v1\npackage com.example.v1\n"

static void mistakes_are_named_with_their_line(void **state)
{
	const struct fixture *fixture = *state;
	static const struct {
		const char *text;
		const char *message; // the first line
	} rows[] = {
	        {"type A\n", "x.schema:1: a file starts with its group line"},
	        {HEAD "type A\n\tx 1 Nothing\n", "x.schema:4: unknown type \"Nothing\""},
	        {HEAD "type A\n\tx 1 other/v1.Thing\n", "x.schema:4: unknown type \"other/v1.Thing\""},
	        {HEAD "type A\n\tx 1 string\n\tx 2 string\n", "x.schema:5: field \"x\" stands twice in A"},
	        {HEAD "type A\n\tx 1 string\n\ty 1 string\n", "x.schema:5: protobuf number 1 is taken by \"x\""},
	        {HEAD "type A\n\tx one string\n", "x.schema:4: bad protobuf number \"one\""},
	        {HEAD "type A\n\tx 1\n", "x.schema:4: expected: NAME NUMBER TYPE [ATTRIBUTE…]"},
	        {HEAD "type A\n\tx 1 string shiny\n", "x.schema:4: unknown attribute \"shiny\""},
	        {HEAD "type A\n\tx 1 string list=atomic\n", "x.schema:4: x: list= on something that is no list"},
	        {HEAD "type A\n\tx 1 list<B> list=map(k)\ntype B\n\tn 1 string\n",
	         "x.schema:4: x: its items have no field \"k\""},
	        {HEAD "type A\n\tx 1 list<B> patch=merge(k)\ntype B\n\tn 1 string\n",
	         "x.schema:4: x: its items have no field \"k\""},
	        {HEAD "type A\n\tx 1 list<string\n", "x.schema:4: malformed type \"list<string\""},
	        {HEAD "type A\n\tx 1 *list<string>\n", "x.schema:4: x: lists and maps have no pointers"},
	        {HEAD "type A\n\tb 1 B\ntype B\n\ta 1 A\n", "x.schema:3: type A contains itself by value"},
	        {HEAD "type A\n\tinline 1 B\ntype B\n\tinline 1 A\n", "x.schema:3: type A inlines itself"},
	        {HEAD "type A\n\tx 1 string\ntype A\n", "x.schema:5: type A is declared twice"},
	        {HEAD "type A\n\taB 1 string\n\ta-b 2 string\n",
	         "x.schema:5: fields a-b and aB have the same name in C"},
	        {HEAD "enum E = a | b\n", "x.schema:3: enum E is used nowhere"},
	        {HEAD "enum E = ... | b\n", "x.schema:3: \"...\" must stand last"},
	        {HEAD "resource as A cluster\n\tverbs get\n", "x.schema:3: \"A\" is no kind of this file"},
	        {HEAD "resource as A cluster\n\tverbs fly\nkind A\n\tx 1 string\n", "x.schema:3: unknown verb \"fly\""},
	        {HEAD "resource as A cluster\n\tverb get\nkind A\n", "x.schema:4: unknown word \"verb\""},
	        {HEAD "resource as A cluster\n\tsubresource s B get\nkind A\n", "x.schema:4: unknown kind \"B\""},
	        {HEAD "\tx 1 string\n", "x.schema:3: an indented line outside of a block"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO_STRBUF struct strbuf messages = STRBUF_INIT(OUTPUT_MAX_BYTES);
		assert_int_equal(generate(fixture, rows[i].text, &messages), 1);
		char *first = xstrndup(strbuf_text(&messages), strcspn(strbuf_text(&messages), "\n"));
		assert_string_equal(first, rows[i].message);
		free(first);
	}
	AUTO_FREE char *out = xasprintf("%s/out", fixture->folder);
	assert_int_equal(access(out, F_OK), -1);
}

static void one_run_shows_all_mistakes(void **state)
{
	AUTO_STRBUF struct strbuf messages = STRBUF_INIT(OUTPUT_MAX_BYTES);
	assert_int_equal(generate(*state, HEAD "type A\n\tx 1 No\n\ty 2 Never\n", &messages), 1);
	assert_string_equal(strbuf_text(&messages), "x.schema:4: unknown type \"No\"\n"
	                                            "x.schema:5: unknown type \"Never\"\n"
	                                            "schemagen: 2 mistakes in the schema; nothing was written\n");
}

static void read_output(const struct fixture *fixture, const char *name, struct strbuf *text, struct stat *status)
{
	AUTO_FREE char *path = xasprintf("%s/out/%s", fixture->folder, name);
	assert_int_equal(file_read(path, text, NULL), 0);
	assert_int_equal(stat(path, status), 0);
}

#define KIND "kind A -- An example.\n\tmetadata 1 string -- A name.\n"

static void what_is_not_described_fails_the_build(void **state)
{
	static const struct {
		const char *text;
		const char *message;
	} rows[] = {
	        {HEAD "type A\n\tx 1 string -- A text.\n", "x.schema:3: type A has no documentation\n"},
	        {HEAD "kind A\n", "x.schema:3: kind A has no documentation\n"},
	        {HEAD "type A -- An example.\n\n\tx 1 string\n", "x.schema:5: field \"x\" of A has no documentation\n"},
	        {HEAD "type A -- An example.\n\tx 1 B -- A letter.\nenum B = c | d\n",
	         "x.schema:5: enum B has no documentation\n"},
	        {HEAD "resource as A cluster\n\tverbs get\n\tcolumn Name string:name\n\tcolumn Age string\n"
	              "\tcolumn Size string\n" KIND,
	         "x.schema:7: column \"Size\" of as has no documentation\n"},
	        {HEAD "type A -- An example.\n\tx 1 string --\n", "x.schema:4: unknown attribute \"--\"\n"},
	        {HEAD "\t-- Of what?\n", "x.schema:3: documentation of nothing\n"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO_STRBUF struct strbuf messages = STRBUF_INIT(OUTPUT_MAX_BYTES);
		assert_int_equal(generate(*state, rows[i].text, &messages), 1);
		AUTO_FREE char *expected =
		        xasprintf("%sschemagen: 1 mistakes in the schema; nothing was written\n", rows[i].message);
		assert_string_equal(strbuf_text(&messages), expected);
	}
}

// kind, apiVersion, a list's items and the usual columns are described once for all.
static void common_texts_are_supplied(void **state)
{
	static const char text[] = HEAD "resource as A cluster\n\tverbs get\n\tlist AList\n\tcolumn Name string:name\n"
	                                "\tcolumn Age string\n" KIND "enum E = a | b\n\t| c\n\t-- Some letters.\n"
	                                "type B -- Another.\n\tinline 1 C\ntype C -- Inlined.\n\te 1 E -- One.\n";
	static const char meta[] = "group meta v1\npackage com.example.meta\ntype ListMeta -- Of lists.\n";
	const struct fixture *fixture = *state;
	AUTO_STRBUF struct strbuf messages = STRBUF_INIT(OUTPUT_MAX_BYTES), tables = STRBUF_INIT(OUTPUT_MAX_BYTES);
	AUTO_FREE char *other = xasprintf("%s/meta.schema", fixture->folder);
	assert_int_equal(file_write_atomic(other, meta, strlen(meta), 0600, NULL), 0);
	struct stat status;
	assert_int_equal(generate_files(fixture, text, "x.schema meta.schema", &messages), 0);
	read_output(fixture, "schema_tables.c", &tables, &status);
	assert_non_null(strstr(strbuf_text(&tables), "\"A list of A objects.\""));
	assert_non_null(strstr(strbuf_text(&tables), "\"Time since it was created.\""));
	assert_non_null(strstr(strbuf_text(&tables), "\"One.\""));
}

static void unchanged_outputs_are_left_alone(void **state)
{
	static const char text[] = HEAD "type A -- An example.\n\tpodIPs 1 list<string> -- Its addresses.\n"
	                                "\tdefault 2 *int32 default=3\n\t\t-- Some number,\n\t\t-- three when unset.\n"
	                                "\t$ref - map<A>\n\t\t-- Its parts.\n";
	struct fixture *fixture = *state;
	AUTO_STRBUF struct strbuf messages = STRBUF_INIT(OUTPUT_MAX_BYTES), header = STRBUF_INIT(OUTPUT_MAX_BYTES);
	AUTO_STRBUF struct strbuf tables = STRBUF_INIT(OUTPUT_MAX_BYTES), again = STRBUF_INIT(OUTPUT_MAX_BYTES);
	struct stat first, second;
	assert_int_equal(generate(fixture, text, &messages), 0);
	assert_string_equal(strbuf_text(&messages), "");
	read_output(fixture, "schema_tables.c", &tables, &second);
	read_output(fixture, "api/example_v1.h", &header, &first);
	assert_non_null(strstr(strbuf_text(&header), "struct string_array pod_ips;\n\tconst int32_t *default_;\n"
	                                             "\tstruct example_v1_a_map ref;\n"));
	assert_non_null(strstr(strbuf_text(&tables), "\"com.example.v1.A\""));
	assert_non_null(strstr(strbuf_text(&tables), "Its addresses."));
	assert_non_null(strstr(strbuf_text(&tables), "\"Some number, three when unset.\""));
	assert_int_equal(generate(fixture, text, &messages), 0);
	read_output(fixture, "api/example_v1.h", &again, &second);
	assert_int_equal(first.st_ino, second.st_ino);
	assert_string_equal(strbuf_text(&header), strbuf_text(&again));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(mistakes_are_named_with_their_line, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(one_run_shows_all_mistakes, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(what_is_not_described_fails_the_build, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(common_texts_are_supplied, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(unchanged_outputs_are_left_alone, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
