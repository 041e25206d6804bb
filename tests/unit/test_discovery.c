// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/api/discovery.h"
#include "common/api/json.h"

#define EVERYTHING STRBUF_INIT(16 << 20)

// A custom resource, as another source of rows.
static const struct schema_resource widgets = {
        .group = "stable.example.com",
        .version = "v1beta1",
        .kind = "Widget",
        .plural = "widgets",
        .singular = "widget",
        .list_kind = "WidgetList",
        .namespaced = true,
        .verbs = VERB_GET | VERB_LIST,
};

static const struct schema_resource *resources[256];
static size_t resource_count;

static int collect(void **state)
{
	(void)state;
	resources[resource_count++] = &widgets;
	for (size_t i = schema_resource_count; i-- > 0;)
		if (schema_resources[i]->enabled_by_default)
			resources[resource_count++] = schema_resources[i];
	return 0;
}

static struct json *parse(struct arena *arena, const struct strbuf *text)
{
	struct json *value = NULL;
	struct err err = ERR_INIT;
	if (json_parse(arena, strbuf_text(text), text->length, NULL, &value, &err))
		fail_msg("%s", err.message);
	return value;
}

static void test_core_versions(void **state)
{
	(void)state;
	AUTO_STRBUF struct strbuf text = EVERYTHING;
	discovery_write_core_versions(&text, "10.0.0.1:6443");
	assert_string_equal(strbuf_text(&text),
	                    "{\"kind\":\"APIVersions\",\"versions\":[\"v1\"],\"serverAddressByClientCIDRs\":["
	                    "{\"clientCIDR\":\"0.0.0.0/0\",\"serverAddress\":\"10.0.0.1:6443\"}]}");
}

static void test_groups_are_in_upstreams_order(void **state)
{
	static const char *const expected[] = {
	        "apiregistration.k8s.io",
	        "apps",
	        "events.k8s.io",
	        "authentication.k8s.io",
	        "authorization.k8s.io",
	        "autoscaling",
	        "batch",
	        "certificates.k8s.io",
	        "networking.k8s.io",
	        "policy",
	        "rbac.authorization.k8s.io",
	        "storage.k8s.io",
	        "admissionregistration.k8s.io",
	        "apiextensions.k8s.io",
	        "scheduling.k8s.io",
	        "coordination.k8s.io",
	        "node.k8s.io",
	        "discovery.k8s.io",
	        "flowcontrol.apiserver.k8s.io",
	        "stable.example.com",
	};
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	AUTO_STRBUF struct strbuf text = EVERYTHING;
	discovery_write_groups(&text, resources, resource_count);
	struct json *list = parse(arena, &text);
	assert_string_equal(json_get_text(list, "kind"), "APIGroupList");
	struct json *groups = json_get(list, "groups");
	assert_int_equal(groups->length, ARRAY_SIZE(expected));
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		assert_string_equal(json_get_text(groups->items[i], "name"), expected[i]);
		if (i)
			assert_true(discovery_group_priority(expected[i]) <= discovery_group_priority(expected[i - 1]));
	}
}

static void test_one_group(void **state)
{
	(void)state;
	AUTO_STRBUF struct strbuf text = EVERYTHING;
	assert_true(discovery_write_group(&text, resources, resource_count, "autoscaling"));
	assert_string_equal(strbuf_text(&text),
	                    "{\"kind\":\"APIGroup\",\"apiVersion\":\"v1\",\"name\":\"autoscaling\",\"versions\":[{"
	                    "\"groupVersion\":\"autoscaling/v2\",\"version\":\"v2\"},"
	                    "{\"groupVersion\":\"autoscaling/"
	                    "v1\",\"version\":\"v1\"}],\"preferredVersion\":{\"groupVersion\":\"autoscaling/"
	                    "v2\",\"version\":\"v2\"}}");
	strbuf_clear(&text);
	assert_false(discovery_write_group(&text, resources, resource_count, "nobody"));
	assert_int_equal(text.length, 0);
}

static const struct json *find_row(const struct json *list, const char *key, const char *name)
{
	json_for_each_item (row, list)
		if (strcmp(json_get_text(row, key), name) == 0)
			return row;
	fail_msg("no row %s", name);
	return NULL;
}

static void assert_row(const struct json *row, const char *expected)
{
	AUTO_STRBUF struct strbuf text = EVERYTHING;
	json_write(&text, row);
	assert_string_equal(strbuf_text(&text), expected);
}

static void test_resource_lists(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	AUTO_STRBUF struct strbuf text = EVERYTHING;
	assert_true(discovery_write_resources(&text, resources, resource_count, "", "v1"));
	struct json *core = parse(arena, &text);
	assert_null(json_get(core, "apiVersion"));
	assert_string_equal(json_get_text(core, "groupVersion"), "v1");
	const struct json *rows = json_get(core, "resources");
	assert_row(find_row(rows, "name", "pods"),
	           "{\"name\":\"pods\",\"singularName\":\"pod\",\"namespaced\":true,\"kind\":\"Pod\",\"verbs\":["
	           "\"create\",\"delete\",\"deletecollection\",\"get\","
	           "\"list\",\"patch\",\"update\",\"watch\"],\"shortNames\":[\"po\"],\"categories\":[\"all\"],"
	           "\"storageVersionHash\":\"xPOwRZ+Yhw8=\"}");
	assert_row(find_row(rows, "name", "pods/eviction"),
	           "{\"name\":\"pods/"
	           "eviction\",\"singularName\":\"\",\"namespaced\":true,\"group\":\"policy\",\"version\":\"v1\","
	           "\"kind\":\"Eviction\",\"verbs\":[\"create\"]}");
	assert_row(find_row(rows, "name", "namespaces/status"),
	           "{\"name\":\"namespaces/"
	           "status\",\"singularName\":\"\",\"namespaced\":false,\"kind\":\"Namespace\",\"verbs\":[\"get\","
	           "\"patch\",\"update\"]}");
	for (uint32_t i = 1; i < rows->length; i++)
		assert_true(strcmp(json_get_text(rows->items[i - 1], "name"), json_get_text(rows->items[i], "name")) <
		            0);
	strbuf_clear(&text);
	assert_true(discovery_write_resources(&text, resources, resource_count, "stable.example.com", "v1beta1"));
	assert_string_equal(
	        strbuf_text(&text),
	        "{\"kind\":\"APIResourceList\",\"apiVersion\":\"v1\",\"groupVersion\":\"stable.example.com/"
	        "v1beta1\",\"resources\":[{\"name\":\"widgets\","
	        "\"singularName\":\"widget\",\"namespaced\":true,\"kind\":\"Widget\",\"verbs\":[\"get\",\"list\"]}]}");
	strbuf_clear(&text);
	assert_false(discovery_write_resources(&text, resources, resource_count, "apps", "v9"));
}

static void test_aggregated(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	AUTO_STRBUF struct strbuf text = EVERYTHING;
	discovery_write_aggregated(&text, resources, resource_count, true, "apidiscovery.k8s.io/v2");
	struct json *core = parse(arena, &text);
	assert_string_equal(json_get_text(core, "apiVersion"), "apidiscovery.k8s.io/v2");
	assert_int_equal(json_get(core, "items")->length, 1);
	strbuf_clear(&text);
	discovery_write_aggregated(&text, resources, resource_count, false, "apidiscovery.k8s.io/v2beta1");
	struct json *groups = parse(arena, &text);
	assert_string_equal(json_get_text(groups, "apiVersion"), "apidiscovery.k8s.io/v2beta1");
	struct json *apps = json_get(groups, "items")->items[1];
	assert_string_equal(json_get_text(json_get(apps, "metadata"), "name"), "apps");
	struct json *version = json_get(apps, "versions")->items[0];
	assert_string_equal(json_get_text(version, "freshness"), "Current");
	assert_row(find_row(json_get(version, "resources"), "resource", "deployments"),
	           "{\"resource\":\"deployments\",\"responseKind\":{\"group\":\"\",\"version\":\"\",\"kind\":"
	           "\"Deployment\"},\"scope\":\"Namespaced\","
	           "\"singularResource\":\"deployment\",\"verbs\":[\"create\",\"delete\",\"deletecollection\",\"get\","
	           "\"list\",\"patch\",\"update\",\"watch\"],"
	           "\"shortNames\":[\"deploy\"],\"categories\":[\"all\"],\"subresources\":[{\"subresource\":\"scale\","
	           "\"responseKind\":{\"group\":\"autoscaling\","
	           "\"version\":\"v1\",\"kind\":\"Scale\"},\"verbs\":[\"get\",\"patch\",\"update\"]},{\"subresource\":"
	           "\"status\",\"responseKind\":{\"group\":\"\","
	           "\"version\":\"\",\"kind\":\"Deployment\"},\"verbs\":[\"get\",\"patch\",\"update\"]}]}");
}

static void test_priorities(void **state)
{
	(void)state;
	assert_int_equal(discovery_group_priority(""), 18000);
	assert_int_equal(discovery_group_priority("apps"), 17800);
	assert_int_equal(discovery_group_priority("stable.example.com"), 1000);
	assert_int_equal(discovery_version_priority("autoscaling", "v2"), 30);
	assert_int_equal(discovery_version_priority("apps", "v1"), 15);
	assert_int_equal(discovery_version_priority("", "v1"), 1);
	assert_int_equal(discovery_version_priority("stable.example.com", "v1"), 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_core_versions), cmocka_unit_test(test_groups_are_in_upstreams_order),
	        cmocka_unit_test(test_one_group),     cmocka_unit_test(test_resource_lists),
	        cmocka_unit_test(test_aggregated),    cmocka_unit_test(test_priorities),
	};
	return cmocka_run_group_tests(tests, collect, NULL);
}
