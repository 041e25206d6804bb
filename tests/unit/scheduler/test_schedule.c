// SPDX-License-Identifier: Apache-2.0
// Whole cycles over small clusters: each plug-in's refusals with their wording, and
// what is preferred among nodes that fit.

#include "tests/unit/scheduler/objects.h"

#include "scheduler/schedule.h"

#define ROOM "cpu: 4, memory: 8Gi, pods: 10, ephemeral-storage: 10Gi"

struct fixture {
	struct cache *cache;
	struct schedule_policy policy;
	struct arena *arena;
	struct schedule_outcome outcome;
};

static void open_cluster(struct fixture *fixture)
{
	*fixture = (struct fixture){.cache = cache_new(), .policy = {.random = 7}, .arena = arena_new(0)};
}

static void close_cluster(struct fixture *fixture)
{
	cache_free(fixture->cache);
	arena_free(fixture->arena);
}

static const char *schedule_info(struct fixture *fixture, struct pod_info *info)
{
	struct cycle cycle = {.arena = fixture->arena, .cache = fixture->cache, .pod = info};
	arena_reset(fixture->arena);
	schedule_pod(&cycle, &fixture->policy, &fixture->outcome);
	pod_info_unref(info);
	return fixture->outcome.node ? fixture->outcome.node->name : fixture->outcome.message;
}

static const char *schedule(struct fixture *fixture, const char *requests, const char *rest)
{
	return schedule_info(fixture, make_pod("new", requests, rest));
}

static void test_no_nodes(void **state)
{
	(void)state;
	struct fixture fixture;
	open_cluster(&fixture);
	assert_string_equal(schedule(&fixture, "", ""), "no nodes available to schedule pods");
	assert_true(fixture.outcome.refused_by != 0);
	close_cluster(&fixture);
}

static void test_each_refusal_has_its_words(void **state)
{
	(void)state;
	static const struct {
		const char *node_rest;
		const char *requests;
		const char *pod_rest;
		const char *message;
	} cases[] = {
	        {"spec: {unschedulable: true}", "", "", "0/1 nodes are available: 1 node(s) were unschedulable."},
	        {"", "", "nodeName: other", "0/1 nodes are available: 1 node(s) didn't match the requested node name."},
	        {"spec: {taints: [{key: team, value: red, effect: NoSchedule}]}", "", "",
	         "0/1 nodes are available: 1 node(s) had untolerated taint {team: red}."},
	        {"spec: {taints: [{key: broken, effect: NoExecute}]}", "",
	         "tolerations: [{key: broken, effect: NoSchedule, operator: Exists}]",
	         "0/1 nodes are available: 1 node(s) had untolerated taint {broken: }."},
	        {"", "", "nodeSelector: {disk: ssd}",
	         "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."},
	        {"", "cpu: 5", "", "0/1 nodes are available: 1 Insufficient cpu."},
	        {"", "cpu: 3500m", "", "0/1 nodes are available: 1 Insufficient cpu."},
	        {"", "cpu: 5, memory: 9Gi, ephemeral-storage: 11Gi, 'example.com/gpu': 1", "",
	         "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient ephemeral-storage, 1 Insufficient "
	         "example.com/gpu, 1 Insufficient memory."},
	        {"spec: {unschedulable: true}", "cpu: 5", "", "0/1 nodes are available: 1 node(s) were unschedulable."},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fixture fixture;
		open_cluster(&fixture);
		put_node(fixture.cache, "node-1", ROOM, "zone: a", cases[i].node_rest);
		put_pod(fixture.cache, "present", "node-1", "cpu: 1");
		assert_string_equal(schedule(&fixture, cases[i].requests, cases[i].pod_rest), cases[i].message);
		assert_int_equal(__builtin_popcountll(fixture.outcome.refused_by), 1);
		close_cluster(&fixture);
	}
}

static void test_reasons_are_counted_and_sorted(void **state)
{
	(void)state;
	struct fixture fixture;
	open_cluster(&fixture);
	put_node(fixture.cache, "n1", ROOM, "", "spec: {taints: [{key: a, value: b, effect: NoSchedule}]}");
	put_node(fixture.cache, "n2", ROOM, "", "spec: {taints: [{key: a, value: b, effect: NoSchedule}]}");
	put_node(fixture.cache, "n3", "cpu: 1, memory: 1Gi, pods: 10", "", "");
	assert_string_equal(schedule(&fixture, "cpu: 2", ""),
	                    "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint {a: b}.");
	assert_int_equal(fixture.outcome.evaluated_count, 3);
	close_cluster(&fixture);
}

static void test_taints_that_are_tolerated(void **state)
{
	(void)state;
	static const struct {
		const char *taint;
		const char *toleration;
		bool fits;
	} cases[] = {
	        {"{key: k, value: v, effect: NoSchedule}", "{key: k, value: v, effect: NoSchedule}", true},
	        {"{key: k, value: v, effect: NoSchedule}", "{key: k, value: v}", true},
	        {"{key: k, value: v, effect: NoSchedule}", "{key: k, operator: Equal, value: w}", false},
	        {"{key: k, value: v, effect: NoSchedule}", "{key: k, operator: Exists}", true},
	        {"{key: k, value: v, effect: NoSchedule}", "{operator: Exists}", true},
	        {"{key: k, value: v, effect: NoSchedule}", "{key: k, operator: Exists, effect: NoExecute}", false},
	        {"{key: k, value: v, effect: NoExecute}",
	         "{key: k, operator: Exists, tolerationSeconds: 5, effect: NoExecute}", true},
	        {"{key: k, effect: PreferNoSchedule}", "{key: other}", true},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fixture fixture;
		AUTO_FREE char *node = xasprintf("spec: {taints: [%s]}", cases[i].taint);
		AUTO_FREE char *pod = xasprintf("tolerations: [%s]", cases[i].toleration);
		open_cluster(&fixture);
		put_node(fixture.cache, "node-1", ROOM, "", node);
		schedule(&fixture, "", pod);
		assert_int_equal(fixture.outcome.node != NULL, cases[i].fits);
		close_cluster(&fixture);
	}
	struct fixture fixture;
	open_cluster(&fixture);
	put_node(fixture.cache, "cordoned", ROOM, "", "spec: {unschedulable: true}");
	assert_string_equal(
	        schedule(&fixture, "", "tolerations: [{key: node.kubernetes.io/unschedulable, operator: Exists}]"),
	        "cordoned");
	close_cluster(&fixture);
}

#define REQUIRED(terms) \
	"affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [" terms "]}}}"

static void test_node_affinity_operators(void **state)
{
	(void)state;
	static const struct {
		const char *pod;
		bool fits;
	} cases[] = {
	        {"nodeSelector: {zone: a, size: '10'}", true},
	        {"nodeSelector: {zone: a, size: '11'}", false},
	        {REQUIRED("{matchExpressions: [{key: zone, operator: In, values: [b, a]}]}"), true},
	        {REQUIRED("{matchExpressions: [{key: zone, operator: NotIn, values: [b, a]}]}"), false},
	        {REQUIRED("{matchExpressions: [{key: none, operator: NotIn, values: [b]}]}"), true},
	        {REQUIRED("{matchExpressions: [{key: none, operator: In, values: [b]}]}"), false},
	        {REQUIRED("{matchExpressions: [{key: zone, operator: Exists}]}"), true},
	        {REQUIRED("{matchExpressions: [{key: zone, operator: DoesNotExist}]}"), false},
	        {REQUIRED("{matchExpressions: [{key: size, operator: Gt, values: ['9']}]}"), true},
	        {REQUIRED("{matchExpressions: [{key: size, operator: Lt, values: ['10']}]}"), false},
	        {REQUIRED("{matchExpressions: [{key: zone, operator: Gt, values: ['1']}]}"), false},
	        {REQUIRED("{matchExpressions: [{key: zone, operator: In, values: [a]}, {key: size, operator: Lt, "
	                  "values: ['5']}]}"),
	         false},
	        {REQUIRED("{matchExpressions: [{key: zone, operator: In, values: [b]}]}, {matchExpressions: [{key: "
	                  "size, operator: Exists}]}"),
	         true},
	        {REQUIRED("{}"), false},
	        {REQUIRED("{matchFields: [{key: metadata.name, operator: In, values: [node-1]}]}"), true},
	        {REQUIRED("{matchFields: [{key: metadata.name, operator: NotIn, values: [node-1]}]}"), false},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fixture fixture;
		open_cluster(&fixture);
		put_node(fixture.cache, "node-1", ROOM, "zone: a, size: '10'", "");
		schedule(&fixture, "", cases[i].pod);
		if ((fixture.outcome.node != NULL) != cases[i].fits)
			fail_msg("%s", cases[i].pod);
		close_cluster(&fixture);
	}
}

// As a DaemonSet's pods have it: one node alone is looked at.
static void test_affinity_to_named_nodes(void **state)
{
	(void)state;
	struct fixture fixture;
	open_cluster(&fixture);
	put_node(fixture.cache, "n1", ROOM, "", "");
	put_node(fixture.cache, "n2", ROOM, "", "");
	put_node(fixture.cache, "n3", "cpu: 1, pods: 1", "", "");
	const char *to_n2 = REQUIRED("{matchFields: [{key: metadata.name, operator: In, values: [n2]}]}");
	const char *to_n3 = REQUIRED("{matchFields: [{key: metadata.name, operator: In, values: [n3]}]}");
	assert_string_equal(schedule(&fixture, "", to_n2), "n2");
	assert_int_equal(fixture.outcome.evaluated_count, 1);
	assert_string_equal(
	        schedule(&fixture, "cpu: 2", to_n3),
	        "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't satisfy plugin(s) [NodeAffinity].");
	assert_string_equal(
	        schedule(&fixture, "", REQUIRED("{matchFields: [{key: metadata.name, operator: In, values: [gone]}]}")),
	        "0/3 nodes are available: 3 node(s) didn't satisfy plugin(s) [NodeAffinity].");
	assert_string_equal(schedule(&fixture, "",
	                             REQUIRED("{matchFields: [{key: metadata.name, operator: In, values: [n1]}, "
	                                      "{key: metadata.name, operator: In, values: [n2]}]}")),
	                    "0/3 nodes are available: pod affinity terms conflict.");
	close_cluster(&fixture);
}

static void test_pods_and_ports_run_out(void **state)
{
	(void)state;
	struct fixture fixture;
	open_cluster(&fixture);
	put_node(fixture.cache, "node-1", "cpu: 4, memory: 1Gi, pods: 2", "", "");
	struct api_object *object =
	        make_object("pods", "metadata: {name: web, namespace: ns, uid: u}\n"
	                            "spec: {nodeName: node-1, containers: [{name: c, ports: ["
	                            "{containerPort: 80, hostPort: 8080}, "
	                            "{containerPort: 53, hostPort: 53, protocol: UDP, hostIP: 10.0.0.1}]}]}\n");
	struct pod_info *info = pod_info_new(object);
	cache_set_pod(fixture.cache, info);
	pod_info_unref(info);
	api_object_unref(object);
	static const struct {
		const char *port;
		bool fits;
	} cases[] = {
	        {"{containerPort: 1, hostPort: 8080}", false},
	        {"{containerPort: 1, hostPort: 8080, hostIP: 127.0.0.1}", false},
	        {"{containerPort: 1, hostPort: 8080, protocol: UDP}", true},
	        {"{containerPort: 8080}", true},
	        {"{containerPort: 1, hostPort: 53, protocol: UDP, hostIP: 10.0.0.2}", true},
	        {"{containerPort: 1, hostPort: 53, protocol: UDP, hostIP: 10.0.0.1}", false},
	        {"{containerPort: 1, hostPort: 53, protocol: UDP}", false},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO_FREE char *text = xasprintf("metadata: {name: p, namespace: ns, uid: p}\n"
		                                 "spec: {containers: [{name: c, ports: [%s]}]}\n",
		                                 cases[i].port);
		object = make_object("pods", text);
		const char *answer = schedule_info(&fixture, pod_info_new(object));
		api_object_unref(object);
		assert_string_equal(answer, cases[i].fits
		                                    ? "node-1"
		                                    : "0/1 nodes are available: 1 node(s) didn't have free ports for "
		                                      "the requested pod ports.");
	}
	put_pod(fixture.cache, "second", "node-1", "");
	assert_string_equal(schedule(&fixture, "", ""), "0/1 nodes are available: 1 Too many pods.");
	close_cluster(&fixture);
}

static void test_what_is_preferred(void **state)
{
	(void)state;
	struct fixture fixture;
	// The emptier node.
	open_cluster(&fixture);
	put_node(fixture.cache, "full", ROOM, "", "");
	put_node(fixture.cache, "empty", ROOM, "", "");
	put_pod(fixture.cache, "a", "full", "cpu: 2, memory: 4Gi");
	assert_string_equal(schedule(&fixture, "cpu: 1, memory: 1Gi", ""), "empty");
	close_cluster(&fixture);
	// The balanced one, when both have as much left: 3/4 of the memory against half of each.
	open_cluster(&fixture);
	put_node(fixture.cache, "lopsided", ROOM, "", "");
	put_node(fixture.cache, "balanced", ROOM, "", "");
	put_pod(fixture.cache, "a", "lopsided", "cpu: 1, memory: 6Gi");
	put_pod(fixture.cache, "b", "balanced", "cpu: 2, memory: 4Gi");
	assert_string_equal(schedule(&fixture, "cpu: 500m, memory: 1Gi", ""), "balanced");
	close_cluster(&fixture);
	// The one without a soft taint, unless it is tolerated.
	open_cluster(&fixture);
	put_node(fixture.cache, "clean", ROOM, "", "");
	put_node(fixture.cache, "tainted", ROOM, "", "spec: {taints: [{key: k, effect: PreferNoSchedule}]}");
	put_pod(fixture.cache, "a", "clean", "cpu: 1, memory: 2Gi");
	assert_string_equal(schedule(&fixture, "", ""), "clean");
	assert_string_equal(schedule(&fixture, "", "tolerations: [{key: k, operator: Exists}]"), "tainted");
	close_cluster(&fixture);
	// The one that the pod prefers.
	open_cluster(&fixture);
	put_node(fixture.cache, "a", ROOM, "zone: a", "");
	put_node(fixture.cache, "b", ROOM, "zone: b", "");
	put_pod(fixture.cache, "p", "b", "cpu: 1, memory: 2Gi");
	assert_string_equal(
	        schedule(&fixture, "",
	                 "affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: "
	                 "[{weight: 10, preference: {matchExpressions: [{key: zone, operator: In, values: [b]}]}}, "
	                 "{weight: 1, preference: {matchExpressions: [{key: zone, operator: In, values: [a]}]}}]}}"),
	        "b");
	close_cluster(&fixture);
	// The one that has the image.
	open_cluster(&fixture);
	put_node(fixture.cache, "without", ROOM, "", "");
	struct api_object *node = make_object("nodes", "metadata: {name: with, uid: w}\n"
	                                               "status: {allocatable: {" ROOM "},"
	                                               " images: [{names: ['app:latest'], sizeBytes: 900000000}]}\n");
	cache_set_node(fixture.cache, node);
	api_object_unref(node);
	assert_string_equal(schedule(&fixture, "", ""), "with");
	close_cluster(&fixture);
}

static void test_equals_take_turns(void **state)
{
	(void)state;
	struct fixture fixture;
	open_cluster(&fixture);
	unsigned counts[4] = {0};
	for (int i = 0; i < 4; i++) {
		char name[8];
		snprintf(name, sizeof(name), "n%d", i);
		put_node(fixture.cache, name, ROOM, "", "");
	}
	for (int i = 0; i < 400; i++)
		counts[atoi(schedule(&fixture, "", "") + 1)]++;
	for (int i = 0; i < 4; i++)
		assert_in_range(counts[i], 60, 140);
	close_cluster(&fixture);
}

static void test_large_clusters_are_sampled(void **state)
{
	(void)state;
	assert_int_equal(schedule_enough_nodes(0, 99), 99);
	assert_int_equal(schedule_enough_nodes(0, 100), 100);
	assert_int_equal(schedule_enough_nodes(0, 1000), 420);
	assert_int_equal(schedule_enough_nodes(0, 6000), 300);
	assert_int_equal(schedule_enough_nodes(10, 5000), 500);
	assert_int_equal(schedule_enough_nodes(1, 5000), 100);
	assert_int_equal(schedule_enough_nodes(100, 5000), 5000);
	struct fixture fixture;
	open_cluster(&fixture);
	for (int i = 0; i < 300; i++) {
		char name[8];
		snprintf(name, sizeof(name), "n%d", i);
		put_node(fixture.cache, name, ROOM, "", "");
	}
	bool seen[300] = {false};
	for (int i = 0; i < 400; i++) {
		seen[atoi(schedule(&fixture, "", "") + 1)] = true;
		assert_int_equal(fixture.outcome.feasible_count, schedule_enough_nodes(0, 300));
	}
	unsigned distinct = 0;
	for (int i = 0; i < 300; i++)
		distinct += seen[i];
	assert_true(distinct > 180); // not always the same part of the cluster
	close_cluster(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_no_nodes),
	        cmocka_unit_test(test_each_refusal_has_its_words),
	        cmocka_unit_test(test_reasons_are_counted_and_sorted),
	        cmocka_unit_test(test_taints_that_are_tolerated),
	        cmocka_unit_test(test_node_affinity_operators),
	        cmocka_unit_test(test_affinity_to_named_nodes),
	        cmocka_unit_test(test_pods_and_ports_run_out),
	        cmocka_unit_test(test_what_is_preferred),
	        cmocka_unit_test(test_equals_take_turns),
	        cmocka_unit_test(test_large_clusters_are_sampled),
	};
	return cmocka_run_group_tests_name("scheduler/schedule", tests, NULL, NULL);
}
