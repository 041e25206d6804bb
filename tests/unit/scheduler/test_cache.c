// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/scheduler/objects.h"

static void expect_sums(const struct cache *cache, const char *name, int64_t milli_cpu, int64_t memory_mib, size_t pods)
{
	const struct node_info *node = cache_find_node(cache, name);
	assert_non_null(node);
	assert_int_equal(node->requested.milli_cpu, milli_cpu);
	assert_int_equal(node->requested.memory_bytes, memory_mib << 20);
	assert_int_equal(node->pod_count, pods);
}

static void test_requests_of_a_pod(void **state)
{
	(void)state;
	const struct {
		const char *spec;
		int64_t milli_cpu, memory_mib, nonzero_milli_cpu, nonzero_memory_mib;
	} cases[] = {
	        {"{containers: [{name: a, resources: {requests: {cpu: 100m, memory: 1Mi}}}, {name: b}]}", 100, 1, 200,
	         201},
	        // The largest init container counts when it is more than all others together.
	        {"{containers: [{name: a, resources: {requests: {cpu: 100m, memory: 8Mi}}}],"
	         " initContainers: [{name: i, resources: {requests: {cpu: 2, memory: 1Mi}}}]}",
	         2000, 8, 2000, 8},
	        // A sidecar counts with the containers, and with each init container after it.
	        {"{containers: [{name: a, resources: {requests: {cpu: 100m, memory: 1Mi}}}],"
	         " initContainers: [{name: s, restartPolicy: Always, resources: {requests: {cpu: 300m, memory: 1Mi}}},"
	         " {name: i, resources: {requests: {cpu: 500m, memory: 1Mi}}}]}",
	         800, 2, 800, 2},
	        {"{containers: [{name: a, resources: {requests: {cpu: 1, memory: 1Mi}}}], overhead: {cpu: 10m, memory: "
	         "3Mi}}",
	         1010, 4, 1010, 4},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO_FREE char *text =
		        xasprintf("metadata: {name: p, namespace: ns, uid: u}\nspec: %s\n", cases[i].spec);
		struct api_object *object = make_object("pods", text);
		struct pod_info *info = pod_info_new(object);
		assert_int_equal(info->requests.milli_cpu, cases[i].milli_cpu);
		assert_int_equal(info->requests.memory_bytes, cases[i].memory_mib << 20);
		assert_int_equal(info->nonzero.milli_cpu, cases[i].nonzero_milli_cpu);
		assert_int_equal(info->nonzero.memory_bytes, cases[i].nonzero_memory_mib << 20);
		pod_info_unref(info);
		api_object_unref(object);
	}
}

static void test_extended_resources_are_summed(void **state)
{
	(void)state;
	struct cache *cache = cache_new();
	put_node(cache, "node-1", "cpu: 4, 'example.com/gpu': 3, hugepages-2Mi: 4Mi, surprise: 7", "", "");
	put_pod(cache, "a", "node-1", "'example.com/gpu': 2, hugepages-2Mi: 2Mi, surprise: 1");
	put_pod(cache, "b", "node-1", "'example.com/gpu': 1, ephemeral-storage: 1Gi");
	const struct node_info *node = cache_find_node(cache, "node-1");
	assert_int_equal(resources_scalar(&node->allocatable, "example.com/gpu"), 3);
	assert_int_equal(resources_scalar(&node->requested, "example.com/gpu"), 3);
	assert_int_equal(resources_scalar(&node->requested, "hugepages-2Mi"), 2 << 20);
	assert_int_equal(resources_scalar(&node->requested, "surprise"), 0);
	assert_int_equal(node->requested.ephemeral_storage_bytes, 1 << 30);
	cache_remove_pod(cache, "uid-a");
	assert_int_equal(resources_scalar(&node->requested, "example.com/gpu"), 1);
	cache_free(cache);
}

static void test_assume_confirm_forget(void **state)
{
	(void)state;
	struct cache *cache = cache_new();
	bool assumed;
	put_node(cache, "n1", "cpu: 4", "", "");
	put_node(cache, "n2", "cpu: 4", "", "");
	struct pod_info *a = make_pod("a", "cpu: 1, memory: 1Mi", "");
	cache_assume(cache, a, cache_find_node(cache, "n1"));
	expect_sums(cache, "n1", 1000, 1, 1);
	assert_true(cache_has_pod(cache, "uid-a", &assumed) && assumed);
	cache_forget(cache, "uid-a");
	expect_sums(cache, "n1", 0, 0, 0);
	cache_forget(cache, "uid-a");
	// Confirmed where it was assumed: counted once, and not to be forgotten any more.
	cache_assume(cache, a, cache_find_node(cache, "n1"));
	put_pod(cache, "a", "n1", "cpu: 1, memory: 1Mi");
	cache_forget(cache, "uid-a");
	expect_sums(cache, "n1", 1000, 1, 1);
	assert_true(cache_has_pod(cache, "uid-a", &assumed) && !assumed);
	// Assumed here, but bound there by somebody else.
	struct pod_info *b = make_pod("b", "cpu: 2", "");
	cache_assume(cache, b, cache_find_node(cache, "n1"));
	put_pod(cache, "b", "n2", "cpu: 2");
	expect_sums(cache, "n1", 1000, 1, 1);
	expect_sums(cache, "n2", 2000, 0, 1);
	// A smaller request after a resize.
	put_pod(cache, "b", "n2", "cpu: 500m");
	expect_sums(cache, "n2", 500, 0, 1);
	pod_info_unref(a);
	pod_info_unref(b);
	cache_free(cache);
}

static void test_nodes_and_pods_in_any_order(void **state)
{
	(void)state;
	struct cache *cache = cache_new();
	put_pod(cache, "a", "node-1", "cpu: 1"); // before its node
	assert_int_equal(cache_node_count(cache), 0);
	assert_null(cache_find_node(cache, "node-1"));
	put_node(cache, "node-1", "cpu: 4, pods: 10", "", "");
	expect_sums(cache, "node-1", 1000, 0, 1);
	assert_int_equal(cache_find_node(cache, "node-1")->allowed_pods, 10);
	cache_remove_node(cache, "node-1"); // before its pod
	assert_int_equal(cache_node_count(cache), 0);
	assert_null(cache_find_node(cache, "node-1"));
	put_node(cache, "node-1", "cpu: 8", "", "");
	expect_sums(cache, "node-1", 1000, 0, 1);
	cache_remove_node(cache, "node-1");
	cache_remove_pod(cache, "uid-a");
	cache_remove_pod(cache, "uid-a");
	assert_int_equal(cache_pod_count(cache), 0);
	cache_free(cache);
}

static void test_known_nodes_stay_together(void **state)
{
	(void)state;
	struct cache *cache = cache_new();
	char name[16];
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		put_node(cache, name, "cpu: 1", "", "");
	}
	for (int i = 0; i < 50; i += 3) {
		snprintf(name, sizeof(name), "n%d", i);
		cache_remove_node(cache, name);
	}
	assert_int_equal(cache_node_count(cache), 33);
	for (size_t i = 0; i < cache_node_count(cache); i++) {
		struct node_info *node = cache_node_at(cache, i);
		assert_int_equal(node->place, i);
		assert_ptr_equal(cache_find_node(cache, node->name), node);
	}
	cache_free(cache);
}

static void test_images_are_counted(void **state)
{
	(void)state;
	struct cache *cache = cache_new();
	struct api_object *node =
	        make_object("nodes", "metadata: {name: n1, uid: u}\n"
	                             "status: {images: [{names: ['app:1', 'app@x'], sizeBytes: 5}]}\n");
	cache_set_node(cache, node);
	cache_set_node(cache, node); // again: still counted once
	api_object_unref(node);
	node = make_object("nodes",
	                   "metadata: {name: n2, uid: v}\nstatus: {images: [{names: ['app:1'], sizeBytes: 5}]}\n");
	cache_set_node(cache, node);
	api_object_unref(node);
	assert_int_equal(cache_find_image(cache, "app:1")->node_count, 2);
	assert_int_equal(cache_find_image(cache, "app@x")->node_count, 1);
	cache_remove_node(cache, "n1");
	assert_int_equal(cache_find_image(cache, "app:1")->node_count, 1);
	assert_null(cache_find_image(cache, "app@x"));
	cache_free(cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_requests_of_a_pod),         cmocka_unit_test(test_extended_resources_are_summed),
	        cmocka_unit_test(test_assume_confirm_forget),     cmocka_unit_test(test_nodes_and_pods_in_any_order),
	        cmocka_unit_test(test_known_nodes_stay_together), cmocka_unit_test(test_images_are_counted),
	};
	return cmocka_run_group_tests_name("scheduler/cache", tests, NULL, NULL);
}
