// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "apiserver/enabled.h"
#include "apiserver/encoding/convert_devices.h"
#include "common/api/json.h"
#include "common/base/memory.h"

// At most three words of each flag.
static int make(const char *const *config, const char *const *gates, struct enabled **ret_enabled, struct err *err)
{
	struct string_list lists[2] = {{(const char **)config, 0}, {(const char **)gates, 0}};

	for (size_t i = 0; i < 2; i++)
		while (lists[i].count < 3 && lists[i].items[lists[i].count])
			lists[i].count++;
	return enabled_new(&lists[0], &lists[1], ret_enabled, err);
}

static bool has(const struct enabled *enabled, const char *group, const char *version, const char *plural)
{
	const struct schema_resource *resource = schema_find_resource(group, version, plural);

	if (!resource)
		fail_msg("%s/%s has no %s", group, version, plural);
	return enabled_has(enabled, resource);
}

static void test_the_usual_ones_are_on(void **state)
{
	(void)state;
	AUTO(enabled_free) struct enabled *enabled = NULL;
	struct err err = ERR_INIT;
	static const char *const none[3] = {NULL};

	assert_int_equal(make(none, none, &enabled, &err), 0);
	for (size_t i = 0; i < schema_resource_count; i++)
		assert_int_equal(enabled_has(enabled, schema_resources[i]), schema_resources[i]->enabled_by_default);
	assert_true(has(NULL, "apps", "v1", "deployments"));
	assert_false(has(NULL, "networking.k8s.io", "v1beta1", "ipaddresses"));
}

static void test_words_switch_what_they_name(void **state)
{
	(void)state;
	static const struct {
		const char *config[3], *gates[3];
		const char *group, *version, *plural;
		bool on;
	} rows[] = {
	        {{"networking.k8s.io/v1beta1=true"}, {NULL}, "networking.k8s.io", "v1beta1", "ipaddresses", true},
	        {{"networking.k8s.io/v1beta1"}, {NULL}, "networking.k8s.io", "v1beta1", "servicecidrs", true},
	        {{"networking.k8s.io/v1beta1/ipaddresses=true"},
	         {NULL},
	         "networking.k8s.io",
	         "v1beta1",
	         "ipaddresses",
	         true},
	        {{"networking.k8s.io/v1beta1/ipaddresses=true"},
	         {NULL},
	         "networking.k8s.io",
	         "v1beta1",
	         "servicecidrs",
	         false},
	        {{"api/beta=true"}, {NULL}, "networking.k8s.io", "v1beta1", "ipaddresses", true},
	        {{"api/alpha=true"}, {NULL}, "networking.k8s.io", "v1beta1", "ipaddresses", false},
	        // The more precise word wins, whatever the order.
	        {{"networking.k8s.io/v1beta1=false", "api/all=true"},
	         {NULL},
	         "networking.k8s.io",
	         "v1beta1",
	         "ipaddresses",
	         false},
	        {{"autoscaling/v1=false"}, {NULL}, "autoscaling", "v1", "horizontalpodautoscalers", false},
	        {{"autoscaling/v1=false"}, {NULL}, "autoscaling", "v2", "horizontalpodautoscalers", true},
	        {{"api/ga=false", "v1=true"}, {NULL}, "", "v1", "pods", true},
	        {{"api/ga=false", "v1=true"}, {NULL}, "apps", "v1", "deployments", false},
	        // A gate that is off keeps a resource off.
	        {{"storage.k8s.io/v1beta1=true"},
	         {NULL},
	         "storage.k8s.io",
	         "v1beta1",
	         "volumeattributesclasses",
	         false},
	        {{"storage.k8s.io/v1beta1=true"},
	         {"VolumeAttributesClass=true"},
	         "storage.k8s.io",
	         "v1beta1",
	         "volumeattributesclasses",
	         true},
	        {{"api/all=true"}, {"AllBeta=true"}, "resource.k8s.io", "v1beta1", "resourceclaims", true},
	        {{"api/all=true"},
	         {"AllBeta=true", "DynamicResourceAllocation=false"},
	         "resource.k8s.io",
	         "v1beta1",
	         "resourceclaims",
	         false},
	        {{"api/all=true"},
	         {"AllAlpha=true"},
	         "storagemigration.k8s.io",
	         "v1alpha1",
	         "storageversionmigrations",
	         true},
	        {{NULL}, {"VolumeAttributesClass=true"}, "storage.k8s.io", "v1beta1", "volumeattributesclasses", false},
	        // Metrics come from elsewhere.
	        {{"api/all=true"}, {"AllBeta=true"}, "metrics.k8s.io", "v1beta1", "pods", false},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO(enabled_free) struct enabled *enabled = NULL;
		struct err err = ERR_INIT;

		assert_int_equal(make(rows[i].config, rows[i].gates, &enabled, &err), 0);
		if (has(enabled, rows[i].group, rows[i].version, rows[i].plural) != rows[i].on)
			fail_msg("row %zu", i);
	}
}

static void test_words_that_name_nothing_are_refused(void **state)
{
	(void)state;
	static const struct {
		const char *config[3], *gates[3];
		const char *message;
	} rows[] = {
	        {{"apps/v7=true"}, {NULL}, "unknown api groups or versions in --runtime-config: apps/v7=true"},
	        {{"apps/v1=maybe"},
	         {NULL},
	         "invalid value \"apps/v1=maybe\" for --runtime-config: it must be true or false"},
	        {{NULL},
	         {"AllBeta=perhaps"},
	         "invalid value \"AllBeta=perhaps\" for --feature-gates: it must be true or false"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct enabled *enabled = NULL;
		struct err err = ERR_INIT;

		assert_true(make(rows[i].config, rows[i].gates, &enabled, &err) < 0);
		assert_string_equal(err.message, rows[i].message);
		assert_null(enabled);
	}
}

// --- the older forms of dynamic resources --------------------------------------------

static void check_round_trip(const char *version, const char *served, const char *stored)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(1 << 16);
	struct json *object = NULL;

	assert_int_equal(json_parse(arena, served, strlen(served), NULL, &object, NULL), 0);
	convert_devices(arena, object, version, true);
	json_write(&text, object);
	assert_string_equal(strbuf_text(&text), stored);
	convert_devices(arena, object, version, false);
	convert_devices(arena, object, version, true);
	strbuf_clear(&text);
	json_write(&text, object);
	assert_string_equal(strbuf_text(&text), stored);
	convert_devices(arena, object, version, false);
	strbuf_clear(&text);
	json_write(&text, object);
	assert_int_equal(text.length, strlen(served));
}

static void test_devices_are_unpacked(void **state)
{
	(void)state;
	check_round_trip("v1beta1",
	                 "{\"spec\":{\"devices\":[{\"name\":\"gpu\",\"basic\":{\"attributes\":{\"a\":{\"int\":1}},"
	                 "\"capacity\":{\"memory\":{\"value\":\"1Gi\"}}}}]}}",
	                 "{\"spec\":{\"devices\":[{\"name\":\"gpu\",\"attributes\":{\"a\":{\"int\":1}},"
	                 "\"capacity\":{\"memory\":{\"value\":\"1Gi\"}}}]}}");
	check_round_trip("v1alpha3",
	                 "{\"spec\":{\"devices\":[{\"name\":\"gpu\",\"basic\":{\"capacity\":{\"memory\":\"1Gi\"}}}]}}",
	                 "{\"spec\":{\"devices\":[{\"name\":\"gpu\",\"capacity\":{\"memory\":{\"value\":\"1Gi\"}}}]}}");
}

static void test_requests_are_packed(void **state)
{
	(void)state;
	check_round_trip(
	        "v1beta1",
	        "{\"spec\":{\"devices\":{\"requests\":[{\"name\":\"a\",\"deviceClassName\":\"gpu\","
	        "\"allocationMode\":\"ExactCount\",\"count\":2}]}}}",
	        "{\"spec\":{\"devices\":{\"requests\":[{\"name\":\"a\",\"exactly\":{\"deviceClassName\":\"gpu\","
	        "\"allocationMode\":\"ExactCount\",\"count\":2}}]}}}");
	check_round_trip("v1alpha3",
	                 "{\"spec\":{\"metadata\":{},\"spec\":{\"devices\":{\"requests\":[{\"name\":\"a\","
	                 "\"deviceClassName\":\"\","
	                 "\"firstAvailable\":[{\"name\":\"b\"}]}]}}}}",
	                 "{\"spec\":{\"metadata\":{},\"spec\":{\"devices\":{\"requests\":[{\"name\":\"a\","
	                 "\"firstAvailable\":[{\"name\":\"b\"}]}]}}}}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_the_usual_ones_are_on),
	        cmocka_unit_test(test_words_switch_what_they_name),
	        cmocka_unit_test(test_words_that_name_nothing_are_refused),
	        cmocka_unit_test(test_devices_are_unpacked),
	        cmocka_unit_test(test_requests_are_packed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
