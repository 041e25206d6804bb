// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/options.h"
#include "common/base/strbuf.h"

static bool watch, stdin_too;
static int64_t port, timeout_ns;
static const char *name_space;
static struct string_list labels;
static struct logging_options logging;

static const struct option table[] = {
        {"watch", 'w', OPTION_BOOL, &watch, NULL, "", "follow changes"},
        {"stdin", 'i', OPTION_BOOL, &stdin_too, NULL, "", "pass stdin"},
        {"port", 'p', OPTION_INT, &port, "Serving", NULL, "port to listen on"},
        {"timeout", 0, OPTION_DURATION, &timeout_ns, "Serving", NULL, "how long"},
        {"namespace", 'n', OPTION_STRING, &name_space, NULL, "name", "namespace"},
        {"labels", 'l', OPTION_STRINGS, &labels, NULL, NULL, "labels"},
        {"old-flag", 0, OPTION_IGNORED, NULL, NULL, "text", "no effect"},
        LOGGING_OPTION_ROWS(logging),
        {0},
};

static char *arguments[16];
static int positional;

static int set_up(void **state UNUSED)
{
	watch = stdin_too = false;
	port = 6443;
	timeout_ns = 10 * NSEC_PER_SEC;
	name_space = "default";
	logging = (struct logging_options)LOGGING_OPTIONS_INIT;
	return 0;
}

static int tear_down(void **state UNUSED)
{
	if (labels.items)
		free((void *)labels.items[0]);
	free(labels.items);
	labels = (struct string_list){0};
	log_set_sink(NULL, NULL);
	log_configure(&(struct log_config){0});
	return 0;
}

static int parse(const char *line, bool allow_positional, struct err *err)
{
	static char text[256];
	int count = 0;
	snprintf(text, sizeof(text), "%s", line);
	arguments[count++] = (char *)"/usr/bin/prog";
	for (char *at = text, *word; (word = strsep(&at, " "));)
		arguments[count++] = word;
	arguments[count] = NULL;
	return options_parse(table, count, arguments, allow_positional, &positional, err);
}

static void test_forms(void **state UNUSED)
{
	struct err err = ERR_INIT;
	assert_int_equal(
	        parse("pods --watch -n kube-system web --port=0x10 --timeout 1m30s -l a=b,c=d -l e -v4 -", true, &err),
	        0);
	assert_int_equal(positional, 3);
	assert_string_equal(arguments[1], "pods");
	assert_string_equal(arguments[2], "web");
	assert_string_equal(arguments[3], "-");
	assert_true(watch);
	assert_string_equal(name_space, "kube-system");
	assert_int_equal(port, 16);
	assert_int_equal(timeout_ns, 90 * NSEC_PER_SEC);
	assert_int_equal(labels.count, 3);
	assert_string_equal(labels.items[1], "c=d");
	assert_string_equal(labels.items[2], "e");
	assert_null(labels.items[3]);
	assert_int_equal(logging.verbosity, 4);
	assert_true(option_was_set(table, "watch"));
	assert_false(option_was_set(table, "stdin"));
	assert_int_equal(options_count_before_dash(), -1);
	free((void *)labels.items[2]);
}

static void test_joined_letters_and_dash(void **state UNUSED)
{
	struct err err = ERR_INIT;
	assert_int_equal(parse("-win=ns exec pod -- sh -c --port=1", true, &err), 0);
	assert_true(watch && stdin_too);
	assert_string_equal(name_space, "ns");
	assert_int_equal(positional, 5);
	assert_string_equal(arguments[5], "--port=1");
	assert_int_equal(options_count_before_dash(), 2);
	assert_int_equal(parse("-w=false --stdin=T --old-flag x --namespace=", false, &err), 0);
	assert_false(watch);
	assert_true(stdin_too);
	assert_string_equal(name_space, "");
	assert_int_equal(positional, 0);
}

static void assert_refused(const char *line, const char *message)
{
	struct err err = ERR_INIT;
	assert_true(parse(line, false, &err) < 0);
	assert_string_equal(err.message, message);
}

static void test_error_texts(void **state UNUSED)
{
	assert_refused("--nope=1", "unknown flag: --nope");
	assert_refused("-wz", "unknown shorthand flag: 'z' in -z");
	assert_refused("--port", "flag needs an argument: --port");
	assert_refused("-wn", "flag needs an argument: 'n' in -n");
	assert_refused("--port=x\"", "invalid argument \"x\\\"\" for \"-p, --port\" flag: strconv.ParseInt: parsing "
	                             "\"x\"\": invalid syntax");
	assert_refused("--port 99999999999999999999",
	               "invalid argument \"99999999999999999999\" for \"-p, --port\" flag: "
	               "strconv.ParseInt: parsing \"99999999999999999999\": value out of range");
	assert_refused("--watch=maybe", "invalid argument \"maybe\" for \"-w, --watch\" flag: strconv.ParseBool: "
	                                "parsing \"maybe\": invalid syntax");
	assert_refused("--timeout=10",
	               "invalid argument \"10\" for \"--timeout\" flag: time: missing unit in duration \"10\"");
	assert_refused("--=1", "bad flag syntax: --=1");
	assert_refused("one two", "\"prog\" does not take any arguments, got [one two]");
}

static void test_help_is_told(void **state UNUSED)
{
	struct err err = ERR_INIT;
	assert_int_equal(parse("--help --nope", false, &err), -ERR_CANCELLED);
	err_clear(&err);
	assert_int_equal(parse("-wh", false, &err), -ERR_CANCELLED);
	AUTO_STRBUF struct strbuf help = STRBUF_INIT(10000);
	options_help(table, &help);
	assert_non_null(strstr(strbuf_text(&help), "Flags:\n\n  -w, --watch "));
	assert_non_null(strstr(strbuf_text(&help), "Serving flags:\n\n  -p, --port int "));
	assert_non_null(strstr(strbuf_text(&help), "port to listen on (default 6443)\n"));
	assert_non_null(strstr(strbuf_text(&help), "--timeout duration "));
	assert_non_null(strstr(strbuf_text(&help), "namespace (default \"default\")\n"));
}

static void keep_lines(void *context, const char *line, size_t length)
{
	strbuf_append(context, line, length);
}

static void test_logging(void **state UNUSED)
{
	AUTO_STRBUF struct strbuf lines = STRBUF_INIT(10000);
	struct err err = ERR_INIT;
	assert_int_equal(parse("-v=1 --vmodule=a=2 --old-flag x", false, &err), 0);
	assert_int_equal(logging_options_apply(&logging, &err), 0);
	log_set_sink(keep_lines, &lines);
	options_log(table);
	assert_non_null(strstr(strbuf_text(&lines), "] FLAG: --port=\"6443\"\n"));
	assert_non_null(strstr(strbuf_text(&lines), "] FLAG: --timeout=\"10s\"\n"));
	assert_non_null(strstr(strbuf_text(&lines), "\"Flag has no effect here\" flag=\"old-flag\""));
	logging.vmodule = "a=x";
	assert_true(logging_options_apply(&logging, &err) < 0);
	err_clear(&err);
	logging.vmodule = "";
	logging.format = "xml";
	assert_true(logging_options_apply(&logging, &err) < 0);
	assert_non_null(strstr(err.message, "Unsupported log format"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(test_forms, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_joined_letters_and_dash, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_error_texts, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_help_is_told, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_logging, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
