// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <regex.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"

static char last_line[512 * 1024];
static size_t last_length;
static int line_count;

static void keep_line(void *context UNUSED, const char *line, size_t length)
{
	assert_true(length < sizeof(last_line));
	memcpy(last_line, line, length);
	last_line[length] = '\0';
	last_length = length;
	line_count++;
}

static int set_up(void **state UNUSED)
{
	line_count = 0;
	log_set_sink(keep_line, NULL);
	log_configure(&(struct log_config){0});
	return 0;
}

static int tear_down(void **state UNUSED)
{
	log_set_sink(NULL, NULL);
	return 0;
}

static void assert_matches(const char *pattern)
{
	regex_t regex;
	assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
	if (regexec(&regex, last_line, 0, NULL, 0) != 0)
		fail_msg("%s does not match %s", last_line, pattern);
	regfree(&regex);
}

static void test_text_form(void **state UNUSED)
{
	log_info("Pod status updated", kv_obj("pod", "ns", "web"), kv_obj("node", NULL, "n1"),
	         kv_str("status", "a\"b\x01"), kv_int("n", -3), kv_bool("ok", true),
	         kv_duration("took", 1500 * NSEC_PER_MSEC));
	assert_matches("^I[0-9]{4} [0-9:]{8}\\.[0-9]{6} +[0-9]+ test_log\\.c:[0-9]+\\] \"Pod status updated\" "
	               "pod=\"ns/web\" node=\"n1\" status=\"a\\\\\"b\\\\x01\" n=-3 ok=true took=\"1\\.5s\"\n$");
	log_error("Failed");
	assert_matches("^E[^]]*\\] \"Failed\"\n$");
	log_warning("Text", kv_str("out", "one\ntwo\n"), kv_str("none", NULL));
	assert_matches("^W[^]]*\\] \"Text\" out=<\n\tone\n\ttwo\n > none=\"\"\n$");
}

static void test_json_form(void **state UNUSED)
{
	log_configure(&(struct log_config){.json = true, .verbosity = 4});
	log_v(4, "Synced", kv_obj("pod", "ns", "web"), kv_str("text", "q\"\\\n\t"), kv_int("n", 7),
	      kv_bool("ok", false));
	assert_matches("^\\{\"ts\":[0-9]+\\.[0-9]{4},\"caller\":\"test_log\\.c:[0-9]+\",\"msg\":\"Synced\",\"v\":4,"
	               "\"pod\":\\{\"name\":\"web\",\"namespace\":\"ns\"\\},\"text\":\"q\\\\\"\\\\\\\\\\\\n\\\\u0009\","
	               "\"n\":7,"
	               "\"ok\":false\\}\n$");
	log_error("Failed");
	assert_null(strstr(last_line, "\"v\""));
}

static int evaluations;

static int64_t count_evaluation(void)
{
	return ++evaluations;
}

static void test_verbosity(void **state UNUSED)
{
	log_v(1, "Hidden", kv_int("n", count_evaluation()));
	assert_int_equal(line_count, 0);
	assert_int_equal(evaluations, 0);
	log_configure(&(struct log_config){.verbosity = 1, .vmodule = "pod_*=4,test_lo?=3,common/io/*=5"});
	log_v(3, "Shown", kv_int("n", count_evaluation()));
	assert_int_equal(line_count, 1);
	log_v(4, "Hidden");
	assert_int_equal(line_count, 1);
	assert_true(log_enabled("kubelet/pod_worker.c", 4));
	assert_false(log_enabled("kubelet/pods.c", 2));
	assert_true(log_enabled("common/io/loop.c", 5));
	assert_true(log_enabled("x.c", 1));
}

static void test_long_line_is_cut(void **state UNUSED)
{
	AUTO_FREE char *text = xmalloc(400 * 1024);
	memset(text, 'x', 400 * 1024 - 1);
	text[400 * 1024 - 1] = '\0';
	log_info("Long", kv_str("text", text));
	assert_true(last_length > 100 * 1024 && last_length <= 256 * 1024);
	assert_int_equal(last_line[last_length - 1], '\n');
	assert_memory_equal(last_line + last_length - 4, "...", 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(test_text_form, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_json_form, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_verbosity, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_long_line_is_cut, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
