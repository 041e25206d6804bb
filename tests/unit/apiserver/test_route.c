// SPDX-License-Identifier: Apache-2.0

#include "apiserver/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct route_case {
	const char *method;
	const char *path;
	const char *query;
	int code; // 200, or of the refusal
	const char *verb;
	const char *resource;
	const char *namespace_name;
	const char *name;
	const char *subresource;
};

static const struct route_case cases[] = {
        {"GET", "/api/v1/pods", "", 200, "list", "pods", "", "", ""},
        {"GET", "/api/v1/namespaces/ns/pods", "watch=1", 200, "watch", "pods", "ns", "", ""},
        {"GET", "/api/v1/watch/namespaces/ns/pods/p", "", 200, "watch", "pods", "ns", "p", ""},
        {"GET", "/api/v1/namespaces/ns/pods/p", "", 200, "get", "pods", "ns", "p", ""},
        {"HEAD", "/api/v1/namespaces/ns/pods/p", "", 200, "get", "pods", "ns", "p", ""},
        {"POST", "/api/v1/namespaces/ns/pods", "", 200, "create", "pods", "ns", "", ""},
        {"PUT", "/api/v1/namespaces/ns/pods/p/status", "", 200, "update", "pods", "ns", "p", "status"},
        {"PATCH", "/apis/apps/v1/namespaces/ns/deployments/d/scale", "", 200, "patch", "deployments", "ns", "d",
         "scale"},
        {"DELETE", "/api/v1/namespaces/ns/pods", "", 200, "deletecollection", "pods", "ns", "", ""},
        {"DELETE", "/api/v1/namespaces/ns/pods/p", "", 200, "delete", "pods", "ns", "p", ""},
        {"GET", "/api/v1/namespaces/ns", "", 200, "get", "namespaces", "ns", "ns", ""},
        {"PUT", "/api/v1/namespaces/ns/finalize", "", 200, "update", "namespaces", "ns", "ns", "finalize"},
        {"GET", "/api/v1/namespaces/ns/pods/p/log", "", 200, "get", "pods", "ns", "p", "log"},
        {"POST", "/api/v1/namespaces/ns/pods/p/exec", "", 200, "create", "pods", "ns", "p", "exec"},
        {"GET", "/api/v1/namespaces/ns/pods/%70", "", 200, "get", "pods", "ns", "p", ""},
        {"POST", "/api/v1/pods", "", 405, "create", "pods", "", "", ""},
        {"PUT", "/api/v1/namespaces/ns/pods", "", 405, "update", "pods", "ns", "", ""},
        {"POST", "/api/v1/namespaces/ns/pods/p", "", 405, "create", "pods", "ns", "p", ""},
        {"DELETE", "/api/v1/namespaces", "", 405, "deletecollection", "namespaces", "", "", ""},
        {"GET", "/api/v1/pods/p", "", 404, "get", "pods", "", "p", ""},
        {"GET", "/api/v1/namespaces/ns/nodes", "", 404, "list", "nodes", "ns", "", ""},
        {"GET", "/api/v1/namespaces/ns/pods/p/none", "", 404, "get", "pods", "ns", "p", "none"},
        {"GET", "/apis/apps/v2/deployments", "", 404, "list", "deployments", "", "", ""},
        {"GET", "/apis/resource.k8s.io/v1beta2/deviceclasses", "", 404, "list", "deviceclasses", "", "", ""},
        {"GET", "/api/v1/namespaces/ns/pods/p%2Fq", "", 400, NULL, NULL, NULL, NULL, NULL},
        {"GET", "/api/v1/namespaces/ns/pods/..", "", 400, NULL, NULL, NULL, NULL, NULL},
        {"GET", "/api/v1/namespaces/ns/pods/%2e%2e", "", 400, NULL, NULL, NULL, NULL, NULL},
        {"GET", "/api/v1/namespaces//pods", "", 400, NULL, NULL, NULL, NULL, NULL},
        {"GET", "/api/v1/namespaces/ns/pods/a%00b", "", 400, NULL, NULL, NULL, NULL, NULL},
        {"GET", "/api/v1/namespaces/ns/pods/%4", "", 400, NULL, NULL, NULL, NULL, NULL},
};

static void check(const struct route_case *row)
{
	struct arena *arena = arena_new(0);
	const struct status *status;
	struct query query;
	struct route route;

	assert_null(query_parse(arena, row->query, &query));
	status = route_parse(arena, NULL, row->method, row->path, &query, &route);
	if (!status)
		status = route_check(arena, &route);
	assert_int_equal(status ? status->code : 200, row->code);
	if (row->verb) {
		assert_true(route.is_resource);
		assert_string_equal(route.verb, row->verb);
		assert_string_equal(route.resource_name, row->resource);
		assert_string_equal(route.namespace_name, row->namespace_name);
		assert_string_equal(route.name, row->name);
		assert_string_equal(route.subresource_name, row->subresource);
	}
	arena_free(arena);
}

static void test_resource_paths(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		print_message("%s %s\n", cases[i].method, cases[i].path);
		check(&cases[i]);
	}
}

static void test_proxy_tail_is_untouched(void **state)
{
	struct arena *arena = arena_new(0);
	struct query query = {0};
	struct route route;

	(void)state;
	assert_null(route_parse(arena, NULL, "GET", "/api/v1/nodes/n/proxy/a//b/..%2fc/", &query, &route));
	assert_null(route_check(arena, &route));
	assert_int_equal(route.operation, OPERATION_CONNECT);
	assert_string_equal(route.tail, "/a//b/..%2fc/");
	assert_true(route_is_long_running(&route));
	arena_free(arena);
}

static void test_other_paths(void **state)
{
	static const char *const paths[] = {"/", "/healthz", "/api", "/api/v1", "/apis", "/apis/apps", "/apis/apps/v1"};
	struct arena *arena = arena_new(0);
	struct query query = {0};
	struct route route;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		assert_null(route_parse(arena, NULL, "GET", paths[i], &query, &route));
		assert_false(route.is_resource);
		assert_string_equal(route.verb, "get");
	}
	arena_free(arena);
}

static void test_many_segments_are_bounded(void **state)
{
	struct arena *arena = arena_new(0);
	struct query query = {0};
	struct route route;
	char path[4096];

	(void)state;
	memset(path, 'a', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	for (size_t i = 0; i + 1 < sizeof(path); i += 2)
		path[i] = '/';
	assert_null(route_parse(arena, NULL, "GET", path, &query, &route));
	assert_false(route.is_resource);
	arena_free(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_resource_paths),
	        cmocka_unit_test(test_proxy_tail_is_untouched),
	        cmocka_unit_test(test_other_paths),
	        cmocka_unit_test(test_many_segments_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
