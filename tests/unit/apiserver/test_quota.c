// SPDX-License-Identifier: Apache-2.0
// What objects use of a quota, which quotas speak of them, and limits of namespaces.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants the four above
#include <cmocka.h>
#include <string.h>

#include "apiserver/admission/limit_ranger.h"
#include "common/api/quota.h"

static struct json *parse(struct arena *arena, const char *text)
{
	struct json *value = NULL;

	assert_int_equal(json_parse(arena, text, strlen(text), NULL, &value, NULL), 0);
	return value;
}

static const struct schema_resource *resource_of(const char *group, const char *plural)
{
	const struct schema_resource *resource = schema_find_resource(group, schema_preferred_version(group), plural);

	assert_non_null(resource);
	return resource;
}

static void test_usage(void **state)
{
	static const struct {
		const char *group;
		const char *plural;
		const char *object;
		const char *usage;
	} rows[] = {
	        {"", "configmaps", "{}", "configmaps=1,count/configmaps=1"},
	        {"apps", "deployments", "{}", "count/deployments.apps=1"},
	        {"", "services", "{\"spec\":{\"type\":\"ClusterIP\",\"ports\":[{},{}]}}",
	         "count/services=1,services=1,services.loadbalancers=0,services.nodeports=0"},
	        {"", "services", "{\"spec\":{\"type\":\"LoadBalancer\",\"ports\":[{},{}]}}",
	         "count/services=1,services=1,services.loadbalancers=1,services.nodeports=2"},
	        {"", "services",
	         "{\"spec\":{\"type\":\"LoadBalancer\",\"allocateLoadBalancerNodePorts\":false,"
	         "\"ports\":[{\"nodePort\":30000},{}]}}",
	         "count/services=1,services=1,services.loadbalancers=1,services.nodeports=1"},
	        {"", "persistentvolumeclaims",
	         "{\"spec\":{\"storageClassName\":\"gold\",\"resources\":{\"requests\":{\"storage\":\"2Gi\"}}}}",
	         "count/persistentvolumeclaims=1,gold.storageclass.storage.k8s.io/persistentvolumeclaims=1,"
	         "gold.storageclass.storage.k8s.io/requests.storage=2Gi,persistentvolumeclaims=1,requests.storage=2Gi"},
	        {"", "pods", "{\"status\":{\"phase\":\"Failed\"},\"spec\":{}}", "count/pods=1"},
	        {"", "pods",
	         "{\"spec\":{\"overhead\":{\"cpu\":\"50m\"},\"containers\":[{\"name\":\"a\",\"resources\":{"
	         "\"requests\":{\"cpu\":"
	         "\"100m\",\"example.com/foo\":\"2\"},\"limits\":{\"memory\":\"1Gi\",\"example.com/foo\":\"2\"}}}],"
	         "\"initContainers\":[{\"name\":\"s\",\"restartPolicy\":\"Always\",\"resources\":{\"requests\":{"
	         "\"cpu\":"
	         "\"200m\"}}},{\"name\":\"i\",\"resources\":{\"requests\":{\"cpu\":\"1\"}}}]}}",
	         "count/pods=1,cpu=1250m,limits.memory=1Gi,pods=1,requests.cpu=1250m,requests.example.com/foo=2"},
	        {"", "pods",
	         "{\"spec\":{\"containers\":[{\"name\":\"a\",\"resources\":{\"requests\":{\"cpu\":\"100m\"}}}]},"
	         "\"status\":"
	         "{\"containerStatuses\":[{\"name\":\"a\",\"resources\":{\"requests\":{\"cpu\":\"300m\"}}}]}}",
	         "count/pods=1,cpu=300m,pods=1,requests.cpu=300m"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO(arena_free) struct arena *arena = arena_new(0);
		struct resource_amounts usage;

		quota_usage(arena, resource_of(rows[i].group, rows[i].plural), parse(arena, rows[i].object), 0, &usage);
		assert_string_equal(resource_amounts_format(arena, &usage), rows[i].usage);
	}
}

static void test_names(void **state)
{
	const struct schema_resource *pods = resource_of("", "pods"), *maps = resource_of("", "configmaps"),
	                             *jobs = resource_of("batch", "jobs"),
	                             *claims = resource_of("", "persistentvolumeclaims");

	(void)state;
	assert_true(quota_name_concerns(pods, "requests.example.com/foo"));
	assert_true(quota_name_concerns(pods, "hugepages-2Mi"));
	assert_false(quota_name_concerns(pods, "requests.storage"));
	assert_false(quota_name_concerns(pods, "count/podtemplates"));
	assert_true(quota_name_concerns(maps, "configmaps"));
	assert_true(quota_name_concerns(jobs, "count/jobs.batch"));
	assert_false(quota_name_concerns(jobs, "count/jobs"));
	assert_true(quota_name_concerns(claims, "gold.storageclass.storage.k8s.io/requests.storage"));
	assert_false(quota_counts(resource_of("", "events")));
	assert_false(quota_counts(resource_of("", "nodes")));
}

static void test_scopes(void **state)
{
	static const struct {
		const char *spec;
		const char *pod;
		bool matches;
	} rows[] = {
	        {"{}", "{\"spec\":{}}", true},
	        {"{\"scopes\":[\"BestEffort\"]}", "{\"spec\":{\"containers\":[{}]}}", true},
	        {"{\"scopes\":[\"NotBestEffort\"]}", "{\"spec\":{\"containers\":[{}]}}", false},
	        {"{\"scopes\":[\"BestEffort\",\"Terminating\"]}", "{\"spec\":{\"containers\":[{}]}}", false},
	        {"{\"scopes\":[\"Terminating\"]}", "{\"spec\":{\"activeDeadlineSeconds\":0}}", true},
	        {"{\"scopeSelector\":{\"matchExpressions\":[{\"scopeName\":\"PriorityClass\",\"operator\":\"NotIn\","
	         "\"values\":[\"low\"]}]}}",
	         "{\"spec\":{}}", true},
	        {"{\"scopeSelector\":{\"matchExpressions\":[{\"scopeName\":\"PriorityClass\",\"operator\":\"Exists\"}]}"
	         "}",
	         "{\"spec\":{}}", false},
	        {"{\"scopes\":[\"CrossNamespacePodAffinity\"]}",
	         "{\"spec\":{\"affinity\":{\"podAffinity\":{\"preferredDuringSchedulingIgnoredDuringExecution\":"
	         "[{\"podAffinityTerm\":{\"namespaceSelector\":{}}}]}}}}",
	         true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO(arena_free) struct arena *arena = arena_new(0);

		assert_int_equal(quota_scopes_match(resource_of("", "pods"), parse(arena, rows[i].spec),
		                                    parse(arena, rows[i].pod)),
		                 rows[i].matches);
	}
}

static void test_what_must_be_said(void **state)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct json *hard = parse(arena, "{\"cpu\":\"1\",\"limits.memory\":\"1Gi\",\"pods\":\"1\"}");

	(void)state;
	assert_string_equal(
	        quota_missing(arena, hard,
	                      parse(arena, "{\"spec\":{\"containers\":[{\"name\":\"b\"},{\"name\":\"a\",\"resources\":"
	                                   "{\"requests\":{\"cpu\":\"1\"}}}]}}")),
	        "must specify cpu for: b; limits.memory for: a,b");
	assert_null(quota_missing(arena, parse(arena, "{\"pods\":\"1\"}"),
	                          parse(arena, "{\"spec\":{\"containers\":[{\"name\":\"b\"}]}}")));
}

static void test_limits(void **state)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct json *range = parse(arena, "{\"spec\":{\"limits\":[{\"type\":\"Pod\",\"max\":{\"cpu\":\"1\"}},"
	                                  "{\"type\":\"Container\",\"defaultRequest\":{\"cpu\":\"600m\"},"
	                                  "\"default\":{\"cpu\":\"700m\"}}]}}");
	struct json *pod =
	        parse(arena, "{\"metadata\":{},\"spec\":{\"containers\":[{\"name\":\"a\"},{\"name\":\"b\"}]}}");

	(void)state;
	limit_ranger_default(arena, range, pod);
	assert_string_equal(
	        json_get_text(json_path(pod, "metadata", "annotations"), "kubernetes.io/limit-ranger"),
	        "LimitRanger plugin set: cpu request for container a; cpu limit for container a; cpu request "
	        "for container b; cpu limit for container b");
	assert_string_equal(limit_ranger_check_pod(arena, range, pod),
	                    "maximum cpu usage per Pod is 1, but limit is 1400m");
	assert_string_equal(limit_ranger_check_pod(arena, range, parse(arena, "{\"spec\":{}}")),
	                    "maximum cpu usage per Pod is 1.  No limit is specified");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_usage),  cmocka_unit_test(test_names),
	        cmocka_unit_test(test_scopes), cmocka_unit_test(test_what_must_be_said),
	        cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
