// SPDX-License-Identifier: Apache-2.0
// Taints that follow from conditions, and pods' order of deletion.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "api/core_v1.h"
#include "common/api/view.h"
#include "controller-manager/node_condition.h"
#include "controller-manager/pods.h"

static struct core_v1_node decode_node(struct arena *arena, const char *text)
{
	struct core_v1_node node;
	struct err err = ERR_INIT;
	assert_int_equal(view_decode_text(arena, &schema_type_core_v1_node, text, strlen(text), &node, &err), 0);
	return node;
}

// "key:effect,key:effect", NULL when nothing changes.
static const char *wanted(struct arena *arena, const char *node_text, bool evict)
{
	struct core_v1_node node = decode_node(arena, node_text);
	struct json *taints = node_taints_wanted(arena, &node, evict, 0);
	const char *text = taints ? "" : NULL;
	json_for_each_item (taint, taints)
		text = arena_printf(arena, "%s%s%s:%s", text, *text ? "," : "", json_get_text(taint, "key"),
		                    json_get_text(taint, "effect"));
	return text;
}

#define READY(status) "{\"type\":\"Ready\",\"status\":\"" status "\"}"
#define NODE(taints, conditions) "{\"spec\":{\"taints\":[" taints "]},\"status\":{\"conditions\":[" conditions "]}}"
#define TAINT(key, effect) "{\"key\":\"" key "\",\"effect\":\"" effect "\"}"

static void test_taints(void **state)
{
	(void)state;
	struct arena *arena = arena_new(0);
	// A new node bears the taint of the admission until it is ready.
	assert_null(wanted(arena, NODE(TAINT(TAINT_NOT_READY, "NoSchedule"), ""), false));
	assert_string_equal(wanted(arena, NODE(TAINT(TAINT_NOT_READY, "NoSchedule"), READY("True")), false), "");
	assert_null(wanted(arena, NODE("", READY("True")), true));
	assert_string_equal(wanted(arena, NODE("", READY("False")), false), TAINT_NOT_READY ":NoSchedule");
	assert_string_equal(wanted(arena, NODE("", READY("False")), true),
	                    TAINT_NOT_READY ":NoSchedule," TAINT_NOT_READY ":NoExecute");
	// Unknown after not ready: one pair takes the place of the other.
	assert_string_equal(wanted(arena,
	                           NODE(TAINT(TAINT_NOT_READY, "NoSchedule") "," TAINT(TAINT_NOT_READY, "NoExecute"),
	                                READY("Unknown")),
	                           true),
	                    TAINT_UNREACHABLE ":NoSchedule," TAINT_UNREACHABLE ":NoExecute");
	// Other people's taints stay, whatever happens.
	assert_string_equal(
	        wanted(arena,
	               NODE(TAINT("dedicated", "NoExecute") "," TAINT(TAINT_UNREACHABLE, "NoExecute"), READY("True")),
	               true),
	        "dedicated:NoExecute");
	assert_string_equal(
	        wanted(arena, NODE("", READY("True") ",{\"type\":\"DiskPressure\",\"status\":\"True\"}"), true),
	        "node.kubernetes.io/disk-pressure:NoSchedule");
	assert_string_equal(
	        wanted(arena, "{\"spec\":{\"unschedulable\":true},\"status\":{\"conditions\":[" READY("True") "]}}",
	               true),
	        "node.kubernetes.io/unschedulable:NoSchedule");
	assert_string_equal(
	        wanted(arena, NODE(TAINT("node.kubernetes.io/unschedulable", "NoSchedule"), READY("True")), true), "");
	arena_free(arena);
}

static void test_readiness(void **state)
{
	(void)state;
	struct arena *arena = arena_new(0);
	struct core_v1_node node = decode_node(arena, NODE("", READY("Unknown")));
	assert_int_equal(node_readiness(&node), NODE_UNREACHABLE);
	node = decode_node(arena, NODE("", ""));
	assert_int_equal(node_readiness(&node), NODE_NOT_READY);
	node = decode_node(arena, NODE("", READY("True")));
	assert_int_equal(node_readiness(&node), NODE_READY);
	arena_free(arena);
}

// --- pods ------------------------------------------------------------------------------

static struct api_object *make_pod(struct arena *arena, const char *text)
{
	struct json *tree = NULL;
	struct api_object *object = NULL;
	struct err err = ERR_INIT;
	assert_int_equal(json_parse(arena, text, strlen(text), NULL, &tree, &err), 0);
	assert_int_equal(api_object_new(&schema_resource_core_v1_pods, tree, &object, &err), 0);
	return object;
}

#define READY_SINCE(time) \
	"{\"type\":\"Ready\",\"status\":\"True\",\"lastTransitionTime\":\"2026-01-01T00:00:" time "Z\"}"
#define POD(name, metadata, spec, status)                                                             \
	"{\"metadata\":{\"name\":\"" name "\",\"namespace\":\"n\",\"uid\":\"" name "\"" metadata "}," \
	"\"spec\":{\"containers\":[]" spec "},\"status\":{" status "}}"

static void test_order_of_deletion(void **state)
{
	(void)state;
	// In the order in which they must go.
	static const char *const texts[] = {
	        POD("1-unassigned", "", "", "\"phase\":\"Pending\""),
	        POD("2-pending", "", ",\"nodeName\":\"a\"", "\"phase\":\"Pending\""),
	        POD("3-not-ready", "", ",\"nodeName\":\"b\"", "\"phase\":\"Running\""),
	        POD("4-cheap", ",\"annotations\":{\"controller.kubernetes.io/pod-deletion-cost\":\"-5\"}",
	            ",\"nodeName\":\"c\"", "\"phase\":\"Running\",\"conditions\":[" READY_SINCE("01") "]"),
	        POD("5-crowded-late", "", ",\"nodeName\":\"d\"",
	            "\"phase\":\"Running\",\"conditions\":[" READY_SINCE("09") "]"),
	        POD("6-crowded-early", "", ",\"nodeName\":\"d\"",
	            "\"phase\":\"Running\",\"conditions\":[" READY_SINCE("02") "]"),
	        POD("7-alone-late", "", ",\"nodeName\":\"e\"",
	            "\"phase\":\"Running\",\"conditions\":[" READY_SINCE("08") "]"),
	        POD("8-alone-early", "", ",\"nodeName\":\"f\"",
	            "\"phase\":\"Running\",\"conditions\":[" READY_SINCE("01") "]"),
	        POD("9-dear", ",\"annotations\":{\"controller.kubernetes.io/pod-deletion-cost\":\"100\"}",
	            ",\"nodeName\":\"g\"", "\"phase\":\"Running\",\"conditions\":[" READY_SINCE("59") "]"),
	};
	enum { COUNT = sizeof(texts) / sizeof(texts[0]) };
	struct arena *arena = arena_new(0);
	struct api_object *pods[COUNT];
	for (size_t i = 0; i < COUNT; i++)
		pods[i] = make_pod(arena, texts[(i * 5 + 3) % COUNT]);
	pods_sort_for_deletion(pods, COUNT);
	for (size_t i = 0; i < COUNT; i++) {
		assert_int_equal(pods[i]->name[0], '1' + (char)i);
		api_object_unref(pods[i]);
	}
	arena_free(arena);
}

static void test_available_after_min_ready_seconds(void **state)
{
	(void)state;
	struct arena *arena = arena_new(0);
	struct api_object *pod =
	        make_pod(arena, POD("p", "", "", "\"phase\":\"Running\",\"conditions\":[" READY_SINCE("10") "]"));
	const int64_t ready_ns = INT64_C(1767225610) * 1000000000; // 2026-01-01T00:00:10Z
	int64_t wait_ns;
	assert_true(pod_is_available(pod->view, 0, ready_ns, &wait_ns));
	assert_false(pod_is_available(pod->view, 5, ready_ns + 2000000000, &wait_ns));
	assert_int_equal(wait_ns, 3000000000);
	assert_true(pod_is_available(pod->view, 5, ready_ns + 5000000000, &wait_ns));
	assert_int_equal(wait_ns, 0);
	api_object_unref(pod);
	arena_free(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_taints),
	        cmocka_unit_test(test_readiness),
	        cmocka_unit_test(test_order_of_deletion),
	        cmocka_unit_test(test_available_after_min_ready_seconds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
