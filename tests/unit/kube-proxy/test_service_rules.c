// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "api/core_v1.h"
#include "api/discovery_v1.h"
#include "common/api/view.h"
#include "common/base/arena.h"
#include "kube-proxy/service_rules.h"

static const char service_text[] =
        "{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"web\",\"namespace\":\"default\"},"
        "\"spec\":{\"type\":\"NodePort\",\"clusterIP\":\"10.96.0.5\",\"clusterIPs\":[\"10.96.0.5\"],"
        "\"ports\":[{\"name\":\"http\",\"protocol\":\"TCP\",\"port\":80,\"targetPort\":8080,\"nodePort\":30080}]}}";

static const char slice_text[] =
        "{\"addressType\":\"IPv4\",\"ports\":[{\"name\":\"http\",\"protocol\":\"TCP\",\"port\":8080}],\"endpoints\":["
        "{\"addresses\":[\"10.244.0.7\"],\"conditions\":{\"ready\":true}},"
        "{\"addresses\":[\"10.244.0.6\"]},"
        "{\"addresses\":[\"10.244.0.6\"],\"conditions\":{\"ready\":true}},"
        "{\"addresses\":[\"10.244.0.8\"],\"conditions\":{\"ready\":false,\"serving\":true,\"terminating\":true}}]}";

struct fixture {
	struct arena *arena;
	struct core_v1_service service;
	struct discovery_v1_endpoint_slice slice;
	struct rule_element_array elements;
};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct err err = ERR_INIT;
	fixture->arena = arena_new(0);
	assert_int_equal(view_decode_text(fixture->arena, &schema_type_core_v1_service, service_text,
	                                  strlen(service_text), &fixture->service, &err),
	                 0);
	assert_int_equal(view_decode_text(fixture->arena, &schema_type_discovery_v1_endpoint_slice, slice_text,
	                                  strlen(slice_text), &fixture->slice, &err),
	                 0);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;
	rule_element_array_done(&fixture->elements);
	arena_free(fixture->arena);
	free(fixture);
	return 0;
}

static void build(struct fixture *fixture)
{
	const struct discovery_v1_endpoint_slice *slices[] = {&fixture->slice};
	rule_element_array_done(&fixture->elements);
	service_rules_build(&fixture->service, slices, 1, &fixture->elements);
}

static size_t count_of(const struct fixture *fixture, enum rule_set set)
{
	size_t count = 0;
	for (size_t i = 0; i < fixture->elements.count; i++)
		count += fixture->elements.items[i].set == set;
	return count;
}

static const struct rule_element *first_of(const struct fixture *fixture, enum rule_set set)
{
	for (size_t i = 0; i < fixture->elements.count; i++)
		if (fixture->elements.items[i].set == set)
			return &fixture->elements.items[i];
	fail_msg("no element of set %d", set);
	return NULL;
}

static void ready_endpoints_are_unique_and_sorted(void **state)
{
	struct fixture *fixture = *state;
	build(fixture);
	assert_int_equal(count_of(fixture, RULE_SERVICE_IPS), 1);
	assert_int_equal(first_of(fixture, RULE_SERVICE_IPS)->endpoint_count, 2);
	assert_int_equal(first_of(fixture, RULE_NODE_PORTS)->chain, RULE_CHAIN_NODE_PORT);
	// two endpoints behind the address and the node port each
	assert_int_equal(count_of(fixture, RULE_ENDPOINTS), 4);
	assert_int_equal(count_of(fixture, RULE_HAIRPINS), 2);
	const uint8_t lowest[] = {10, 244, 0, 6, 0x1f, 0x90};
	assert_memory_equal(first_of(fixture, RULE_ENDPOINTS)->data, lowest, sizeof(lowest));
}

static void terminating_endpoints_serve_when_no_other_does(void **state)
{
	struct fixture *fixture = *state;
	fixture->slice.endpoints.items += 3;
	fixture->slice.endpoints.count = 1;
	build(fixture);
	assert_int_equal(first_of(fixture, RULE_SERVICE_IPS)->endpoint_count, 1);
}

static void a_service_without_endpoints_refuses(void **state)
{
	struct fixture *fixture = *state;
	fixture->slice.endpoints.count = 0;
	build(fixture);
	assert_int_equal(count_of(fixture, RULE_SERVICE_IPS), 0);
	assert_int_equal(count_of(fixture, RULE_REFUSED_IPS), 1);
	assert_int_equal(count_of(fixture, RULE_REFUSED_PORTS), 1);
	assert_int_equal(count_of(fixture, RULE_CLUSTER_IPS), 1);
}

static void headless_and_external_services_have_no_rules(void **state)
{
	struct fixture *fixture = *state;
	fixture->service.spec.cluster_ip = "None";
	build(fixture);
	assert_int_equal(fixture->elements.count, 0);
	fixture->service.spec.cluster_ip = "10.96.0.5";
	fixture->service.spec.type = "ExternalName";
	build(fixture);
	assert_int_equal(fixture->elements.count, 0);
}

static void the_port_name_chooses(void **state)
{
	struct fixture *fixture = *state;
	fixture->service.spec.ports.items[0].name = "other";
	build(fixture);
	assert_int_equal(count_of(fixture, RULE_SERVICE_IPS), 0);
	assert_int_equal(count_of(fixture, RULE_REFUSED_IPS), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(ready_endpoints_are_unique_and_sorted, setup, teardown),
	        cmocka_unit_test_setup_teardown(terminating_endpoints_serve_when_no_other_does, setup, teardown),
	        cmocka_unit_test_setup_teardown(a_service_without_endpoints_refuses, setup, teardown),
	        cmocka_unit_test_setup_teardown(headless_and_external_services_have_no_rules, setup, teardown),
	        cmocka_unit_test_setup_teardown(the_port_name_chooses, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
