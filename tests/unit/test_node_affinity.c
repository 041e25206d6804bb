// SPDX-License-Identifier: Apache-2.0
//
// Which nodes a pod's selectors accept, operator by operator, and which taints its
// tolerations tolerate.
#include "common/api/node_affinity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "api/core_v1.h"
#include "common/api/view.h"
#include "common/base/arena.h"

static void decode(struct arena *arena, const struct schema_type *type, const char *text, void *view)
{
	struct err err = ERR_INIT;
	if (view_decode_text(arena, type, text, strlen(text), view, &err) < 0)
		fail_msg("%s: %s", text, err.message);
}

static void test_requirements(void **state)
{
	static const struct {
		const char *requirement;
		bool accepted;
	} rows[] = {
	        {"\"key\":\"zone\",\"operator\":\"In\",\"values\":[\"a\",\"b\"]", true},
	        {"\"key\":\"zone\",\"operator\":\"In\",\"values\":[\"c\"]", false},
	        {"\"key\":\"none\",\"operator\":\"In\",\"values\":[\"a\"]", false},
	        {"\"key\":\"zone\",\"operator\":\"NotIn\",\"values\":[\"a\"]", false},
	        {"\"key\":\"zone\",\"operator\":\"NotIn\",\"values\":[\"c\"]", true},
	        {"\"key\":\"none\",\"operator\":\"NotIn\",\"values\":[\"a\"]", true},
	        {"\"key\":\"zone\",\"operator\":\"Exists\"", true},
	        {"\"key\":\"none\",\"operator\":\"Exists\"", false},
	        {"\"key\":\"zone\",\"operator\":\"DoesNotExist\"", false},
	        {"\"key\":\"none\",\"operator\":\"DoesNotExist\"", true},
	        {"\"key\":\"cpus\",\"operator\":\"Gt\",\"values\":[\"7\"]", true},
	        {"\"key\":\"cpus\",\"operator\":\"Gt\",\"values\":[\"8\"]", false},
	        {"\"key\":\"cpus\",\"operator\":\"Lt\",\"values\":[\"10\"]", true},
	        {"\"key\":\"cpus\",\"operator\":\"Lt\",\"values\":[\"8\"]", false},
	        {"\"key\":\"cpus\",\"operator\":\"Gt\",\"values\":[\"1\",\"2\"]", false},
	        {"\"key\":\"zone\",\"operator\":\"Gt\",\"values\":[\"1\"]", false},
	        {"\"key\":\"none\",\"operator\":\"Lt\",\"values\":[\"1\"]", false},
	        {"\"key\":\"zone\",\"operator\":\"in\",\"values\":[\"a\"]", false},
	        {"\"key\":\"zone\"", false},
	};
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct core_v1_node node;
	decode(arena, &schema_type_core_v1_node,
	       "{\"metadata\":{\"name\":\"n1\",\"labels\":{\"zone\":\"a\",\"cpus\":\"8\"}}}", &node);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct core_v1_node_selector_term term;
		char text[256];
		snprintf(text, sizeof(text), "{\"matchExpressions\":[{%s}]}", rows[i].requirement);
		decode(arena, &schema_type_core_v1_node_selector_term, text, &term);
		if (node_selector_term_accepts(&term, &node) != rows[i].accepted)
			fail_msg("%s", rows[i].requirement);
	}
}

// Terms are alternatives, requirements of a term are not, and an empty term accepts nothing.
static void test_whole_specs(void **state)
{
#define REQUIRED(terms)                                                                         \
	"{\"affinity\":{\"nodeAffinity\":{\"requiredDuringSchedulingIgnoredDuringExecution\":{" \
	"\"nodeSelectorTerms\":[" terms "]}}}}"
#define NAMED(name) "{\"matchFields\":[{\"key\":\"metadata.name\",\"operator\":\"In\",\"values\":[\"" name "\"]}]}"
#define ZONE_AND_NAME                                                         \
	"{\"matchExpressions\":[{\"key\":\"zone\",\"operator\":\"Exists\"}]," \
	"\"matchFields\":[{\"key\":\"metadata.name\",\"operator\":\"NotIn\",\"values\":[\"n1\"]}]}"
	static const struct {
		const char *spec;
		bool accepted;
	} rows[] = {
	        {"{}", true},
	        {"{\"nodeSelector\":{\"zone\":\"a\"}}", true},
	        {"{\"nodeSelector\":{\"zone\":\"b\"}}", false},
	        {"{\"nodeSelector\":{\"none\":\"\"}}", false},
	        {REQUIRED(NAMED("n1")), true},
	        {REQUIRED(NAMED("n2")), false},
	        {REQUIRED(NAMED("n2") "," NAMED("n1")), true},
	        {REQUIRED(ZONE_AND_NAME), false},
	        {REQUIRED("{}"), false},
	        {REQUIRED("{\"matchFields\":[{\"key\":\"spec.x\",\"operator\":\"DoesNotExist\"}]}"), false},
	};
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct core_v1_node node;
	decode(arena, &schema_type_core_v1_node, "{\"metadata\":{\"name\":\"n1\",\"labels\":{\"zone\":\"a\"}}}", &node);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct core_v1_pod_spec spec;
		decode(arena, &schema_type_core_v1_pod_spec, rows[i].spec, &spec);
		if (node_affinity_accepts(&spec, &node) != rows[i].accepted)
			fail_msg("%s", rows[i].spec);
	}
}

static void test_tolerations(void **state)
{
	static const struct core_v1_taint taint = {.key = "k", .value = "v", .effect = "NoSchedule"};
	static const struct {
		const char *toleration;
		bool tolerated;
	} rows[] = {
	        {"{\"key\":\"k\",\"value\":\"v\"}", true},
	        {"{\"key\":\"k\",\"operator\":\"Equal\",\"value\":\"v\",\"effect\":\"NoSchedule\"}", true},
	        {"{\"key\":\"k\",\"value\":\"w\"}", false},
	        {"{\"key\":\"k\",\"value\":\"v\",\"effect\":\"NoExecute\"}", false},
	        {"{\"key\":\"k\",\"operator\":\"Exists\"}", true},
	        {"{\"key\":\"l\",\"operator\":\"Exists\"}", false},
	        {"{\"operator\":\"Exists\"}", true},
	        {"{\"operator\":\"Exists\",\"effect\":\"NoExecute\"}", false},
	        {"{\"key\":\"k\",\"operator\":\"Likes\",\"value\":\"v\"}", false},
	};
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct core_v1_toleration all[ARRAY_SIZE(rows)];
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		decode(arena, &schema_type_core_v1_toleration, rows[i].toleration, &all[i]);
		if (taint_is_tolerated_by(&taint, &all[i]) != rows[i].tolerated)
			fail_msg("%s", rows[i].toleration);
	}
	assert_true(taint_is_tolerated(&taint, &(struct core_v1_toleration_array){.items = &all[2], .count = 3}));
	assert_false(taint_is_tolerated(&taint, &(struct core_v1_toleration_array){.items = &all[2], .count = 2}));
	assert_false(taint_is_tolerated(&taint, &(struct core_v1_toleration_array){0}));
}

static void test_equal_taints(void **state)
{
	(void)state;
	struct core_v1_taint before[] = {{.key = "a", .effect = "NoSchedule"}, {.key = "b", .effect = "NoExecute"}};
	struct core_v1_taint after[] = {{.key = "a", .value = "", .effect = "NoSchedule"},
	                                {.key = "b", .effect = "NoExecute", .time_added = "2026-01-02T03:04:05Z"}};
	struct core_v1_taint_array a = {.items = before, .count = 2};
	struct core_v1_taint_array b = {.items = after, .count = 2};
	assert_true(taints_equal(&a, &b));
	after[1].value = "x";
	assert_false(taints_equal(&a, &b));
	after[1].value = NULL;
	b.count = 1;
	assert_false(taints_equal(&a, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_requirements),
	        cmocka_unit_test(test_whole_specs),
	        cmocka_unit_test(test_tolerations),
	        cmocka_unit_test(test_equal_taints),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
