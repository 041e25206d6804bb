// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/api/object.h"
#include "common/base/clock.h"

static void test_accessors(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	static const char text[] = "{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"web\","
	                           "\"namespace\":\"default\",\"uid\":\"u\",\"resourceVersion\":\"7\"}}";
	struct json *object = NULL;
	struct err err = ERR_INIT;
	assert_int_equal(json_parse(arena, text, sizeof(text) - 1, NULL, &object, &err), 0);
	assert_string_equal(object_api_version(object), "apps/v1");
	assert_string_equal(object_kind(object), "Deployment");
	assert_string_equal(object_name(object), "web");
	assert_string_equal(object_namespace(object), "default");
	assert_string_equal(object_uid(object), "u");
	assert_string_equal(object_resource_version(object), "7");
	assert_false(object_is_being_deleted(object));
	json_set_text(arena, object_metadata(object), "deletionTimestamp", "2026-01-01T00:00:00Z");
	assert_true(object_is_being_deleted(object));
	assert_null(object_name(NULL));
	json_set(arena, object, "metadata", json_null(arena));
	assert_null(object_metadata(object));
	assert_null(object_name(object));
}

static void test_api_version_and_key(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	const char *group, *version;
	api_version_split(arena, "v1", &group, &version);
	assert_string_equal(group, "");
	assert_string_equal(version, "v1");
	api_version_split(arena, "rbac.authorization.k8s.io/v1", &group, &version);
	assert_string_equal(group, "rbac.authorization.k8s.io");
	assert_string_equal(version, "v1");
	assert_string_equal(object_key(arena, "ns", "x"), "ns/x");
	assert_string_equal(object_key(arena, NULL, "x"), "x");
	assert_string_equal(object_key(arena, "", "x"), "x");
}

static void test_time_round_trips(void **state)
{
	static const struct {
		const char *text;
		int64_t seconds;
	} rows[] = {
	        {"1970-01-01T00:00:00Z", 0},           {"2000-02-29T23:59:59Z", 951868799},
	        {"2026-11-22T18:05:01Z", 1795370701},  {"1969-12-31T23:59:59Z", -1},
	        {"1900-03-01T00:00:00Z", -2203891200}, {"2100-02-28T12:00:00Z", 4107499200},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int64_t parsed = 0;
		char out[API_TIME_BYTES];
		assert_true(api_time_parse(rows[i].text, &parsed));
		assert_int_equal(parsed, rows[i].seconds * NSEC_PER_SEC);
		api_time_format(parsed, out);
		assert_string_equal(out, rows[i].text);
	}
	char out[API_TIME_BYTES];
	api_micro_time_format(NSEC_PER_SEC + 1234567, out);
	assert_string_equal(out, "1970-01-01T00:00:01.001234Z");
	api_micro_time_format(-1000, out);
	assert_string_equal(out, "1969-12-31T23:59:59.999999Z");
}

static void test_time_forms(void **state)
{
	int64_t parsed = 0;
	(void)state;
	assert_true(api_time_parse("1970-01-01T01:30:00.5+01:30", &parsed));
	assert_int_equal(parsed, NSEC_PER_SEC / 2);
	assert_true(api_time_parse("1969-12-31T23:00:00.000000001999-01:00", &parsed));
	assert_int_equal(parsed, 1);
	assert_true(api_time_parse("0001-01-01T00:00:00Z", &parsed));
	assert_true(parsed == INT64_MIN);
	static const char *const bad[] = {
	        "",
	        "2026",
	        "2026-13-01T00:00:00Z",
	        "2026-02-29T00:00:00Z",
	        "2026-00-01T00:00:00Z",
	        "2026-01-00T00:00:00Z",
	        "2026-01-01T24:00:00Z",
	        "2026-01-01T00:60:00Z",
	        "2026-01-01T00:00:60Z",
	        "2026-01-01T00:00:00",
	        "2026-01-01 00:00:00Z",
	        "2026-01-01T00:00:00.Z",
	        "2026-01-01T00:00:00Zx",
	        "2026-01-01T00:00:00+24:00",
	        "2026-01-01T00:00:00+0100",
	        "-026-01-01T00:00:00Z",
	};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (api_time_parse(bad[i], &parsed))
			fail_msg("%s was taken", bad[i]);
	assert_false(api_time_parse(NULL, &parsed));
}

static void test_human_durations(void **state)
{
	static const struct {
		int64_t seconds;
		const char *text;
	} rows[] = {
	        {-2, "<invalid>"},     {-1, "0s"},        {0, "0s"},
	        {119, "119s"},         {120, "2m"},       {123, "2m3s"},
	        {599, "9m59s"},        {600, "10m"},      {10799, "179m"},
	        {10800, "3h"},         {10860, "3h1m"},   {28799, "7h59m"},
	        {28800, "8h"},         {172799, "47h"},   {172800, "2d"},
	        {176400, "2d1h"},      {691199, "7d23h"}, {691200, "8d"},
	        {63071999, "729d"},    {63072000, "2y"},  {63158400, "2y1d"},
	        {252287999, "7y364d"}, {252288000, "8y"}, {400000000, "12y"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char out[HUMAN_DURATION_BYTES];
		human_duration(rows[i].seconds * NSEC_PER_SEC, out);
		assert_string_equal(out, rows[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_accessors),        cmocka_unit_test(test_api_version_and_key),
	        cmocka_unit_test(test_time_round_trips), cmocka_unit_test(test_time_forms),
	        cmocka_unit_test(test_human_durations),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
