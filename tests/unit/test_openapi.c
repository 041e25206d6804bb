// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/api/json.h"
#include "common/api/openapi.h"
#include "common/base/hashmap.h"
#include "common/base/memory.h"

#define EVERYTHING STRBUF_INIT(64 << 20)

static struct json *parse(struct arena *arena, const struct strbuf *text)
{
	struct json *value = NULL;
	struct err err = ERR_INIT;
	assert_false(text->overflowed);
	if (json_parse(arena, text->data, text->length, NULL, &value, &err))
		fail_msg("%s", err.message);
	return value;
}

static struct json *document_v3(struct arena *arena, const char *group, const char *version)
{
	AUTO_STRBUF struct strbuf text = EVERYTHING;
	assert_true(openapi_write_v3(&text, schema_resources, schema_resource_count, group, version));
	return parse(arena, &text);
}

static struct json *document_v2(struct arena *arena)
{
	AUTO_STRBUF struct strbuf text = EVERYTHING;
	openapi_write_v2(&text, schema_resources, schema_resource_count);
	return parse(arena, &text);
}

// "#/definitions/NAME" in the document.
static const struct json *follow(const struct json *document, const char *reference)
{
	char step[256];
	assert_int_equal(reference[0], '#');
	for (const char *rest = reference + 1; *rest == '/' && document;) {
		size_t length = strcspn(rest + 1, "/");
		snprintf(step, sizeof(step), "%.*s", (int)length, rest + 1);
		document = json_get(document, step);
		rest += length + 1;
	}
	return document;
}

// Follows every $ref in the tree.
static void check_references(const struct json *value, const struct json *document)
{
	json_for_each_member (member, value) {
		if (strcmp(member->key, "$ref") != 0 || !json_is(member->value, JSON_STRING))
			check_references(member->value, document);
		else if (!follow(document, member->value->text))
			fail_msg("%s leads nowhere", member->value->text);
	}
	json_for_each_item (item, value)
		check_references(item, document);
}

// Every definition and each of its properties says what it is.
static void check_descriptions(const struct json *definitions)
{
	json_for_each_member (definition, definitions) {
		const char *text = json_get_text(definition->value, "description");
		if (!text || !*text)
			fail_msg("%s isn't described", definition->key);
		json_for_each_member (property, json_get(definition->value, "properties")) {
			text = json_get_text(property->value, "description");
			if (!text || !*text)
				fail_msg("%s of %s isn't described", property->key, definition->key);
		}
	}
}

static void check_operation_ids(const struct json *paths)
{
	AUTO(hashmap_free) struct hashmap *ids = hashmap_new(NULL);
	json_for_each_member (path, paths) {
		json_for_each_member (operation, path->value) {
			if (operation->value->type != JSON_OBJECT)
				continue;
			const char *id = json_get_text(operation->value, "operationId");
			if (!hashmap_put(ids, id, operation->value))
				fail_msg("operation %s stands twice", id);
		}
	}
	assert_true(hashmap_count(ids) > 3);
}

static void test_every_group_version_has_a_sound_document(void **state)
{
	(void)state;
	for (size_t i = 0; i < schema_resource_count; i++) {
		const struct schema_resource *resource = schema_resources[i];
		AUTO(arena_free) struct arena *arena = arena_new(1 << 20);
		if (i && strcmp(schema_resources[i - 1]->group, resource->group) == 0 &&
		    strcmp(schema_resources[i - 1]->version, resource->version) == 0)
			continue;
		struct json *document = document_v3(arena, resource->group, resource->version);
		assert_string_equal(json_get_text(document, "openapi"), "3.0.0");
		check_references(document, document);
		check_descriptions(json_path(document, "components", "schemas"));
		assert_true(json_get(document, "paths")->length > 0);
	}
}

static void test_the_whole_document_is_sound(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(1 << 20);
	struct json *document = document_v2(arena);
	assert_string_equal(json_get_text(document, "swagger"), "2.0");
	check_references(document, document);
	check_descriptions(json_get(document, "definitions"));
	check_operation_ids(json_get(document, "paths"));
	for (size_t i = 0; i < schema_resource_count; i++)
		if (schema_resources[i]->type->openapi_name &&
		    !json_path(document, "definitions", schema_resources[i]->type->openapi_name))
			fail_msg("%s has no definition", schema_resources[i]->kind);
}

// The parameter of an operation or path, NULL when it has none.
static const struct json *parameter(const struct json *operation, const char *name)
{
	json_for_each_item (item, json_get(operation, "parameters"))
		if (json_get(item, "name") && strcmp(json_get_text(item, "name"), name) == 0)
			return item;
	return NULL;
}

static void test_what_kubectl_reads(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(1 << 20);
	struct json *document = document_v3(arena, "apps", "v1");
	struct json *item = json_path(document, "paths", "/apis/apps/v1/namespaces/{namespace}/deployments/{name}");
	struct json *patch = json_get(item, "patch");
	assert_string_equal(json_get_text(patch, "operationId"), "patchAppsV1NamespacedDeployment");
	assert_string_equal(json_get_text(patch, "x-kubernetes-action"), "patch");
	assert_string_equal(json_get_text(json_get(patch, "x-kubernetes-group-version-kind"), "kind"), "Deployment");
	assert_non_null(parameter(patch, "dryRun"));
	assert_non_null(parameter(patch, "fieldValidation"));
	assert_non_null(json_path(patch, "requestBody", "content", "application/strategic-merge-patch+json", "schema"));
	assert_non_null(parameter(item, "namespace"));
	struct json *list = json_path(document, "paths", "/apis/apps/v1/deployments", "get");
	assert_string_equal(json_get_text(list, "operationId"), "listAppsV1DeploymentForAllNamespaces");
	assert_non_null(json_path(list, "responses", "200", "content", "application/json", "schema", "$ref"));
	struct json *scale =
	        json_path(document, "paths", "/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale", "get");
	assert_string_equal(json_get_text(json_get(scale, "x-kubernetes-group-version-kind"), "group"), "autoscaling");
}

static void test_schemas_say_how_lists_merge(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(1 << 20);
	struct json *document = document_v3(arena, "", "v1");
	struct json *schemas = json_path(document, "components", "schemas");
	struct json *containers = json_path(schemas, "io.k8s.api.core.v1.PodSpec", "properties", "containers");
	assert_string_equal(json_get_text(containers, "type"), "array");
	assert_string_equal(json_get_text(containers, "x-kubernetes-patch-strategy"), "merge");
	assert_string_equal(json_get_text(containers, "x-kubernetes-patch-merge-key"), "name");
	assert_string_equal(json_get_text(containers, "x-kubernetes-list-type"), "map");
	assert_string_equal(json_get_text(json_get(json_get(containers, "items"), "allOf")->items[0], "$ref"),
	                    "#/components/schemas/io.k8s.api.core.v1.Container");
	struct json *volumes = json_path(schemas, "io.k8s.api.core.v1.PodSpec", "properties", "volumes");
	assert_string_equal(json_get_text(volumes, "x-kubernetes-patch-strategy"), "merge,retainKeys");
	struct json *kinds = json_path(schemas, "io.k8s.api.core.v1.Pod", "x-kubernetes-group-version-kind");
	assert_string_equal(json_get_text(kinds->items[0], "kind"), "Pod");
	assert_non_null(json_path(schemas, "io.k8s.apimachinery.pkg.api.resource.Quantity", "oneOf"));
	assert_null(json_path(schemas, "io.k8s.api.core.v1.ObjectReference", "x-kubernetes-group-version-kind"));
	AUTO(arena_free) struct arena *policy_arena = arena_new(1 << 16);
	struct json *policy = document_v3(policy_arena, "policy", "v1");
	assert_string_equal(
	        json_get_text(json_path(policy, "components", "schemas", "io.k8s.api.policy.v1.PodDisruptionBudgetSpec",
	                                "properties", "selector"),
	                      "x-kubernetes-patch-strategy"),
	        "replace");
	struct json *exec = json_path(document, "paths", "/api/v1/namespaces/{namespace}/pods/{name}/exec", "post");
	assert_string_equal(json_get_text(exec, "operationId"), "connectCoreV1PostNamespacedPodExec");
	assert_non_null(
	        parameter(json_path(document, "paths", "/api/v1/namespaces/{namespace}/pods/{name}/exec"), "command"));
	struct json *claim = json_path(schemas, "io.k8s.api.core.v1.PersistentVolumeSpec", "properties", "claimRef");
	assert_string_equal(json_get_text(claim, "x-kubernetes-map-type"), "granular");
	struct json *selector = json_path(schemas, "io.k8s.api.core.v1.ServiceSpec", "properties", "selector");
	assert_string_equal(json_get_text(selector, "x-kubernetes-map-type"), "atomic");
	assert_string_equal(
	        json_get_text(json_path(schemas, "io.k8s.api.core.v1.ObjectReference"), "x-kubernetes-map-type"),
	        "atomic");
	struct json *unions = json_path(schemas, "io.k8s.api.core.v1.SeccompProfile", "x-kubernetes-unions");
	assert_string_equal(json_get_text(unions->items[0], "discriminator"), "type");
	// Nobody said how the items of a list of objects merge.
	assert_null(json_path(schemas, "io.k8s.api.core.v1.PodList", "properties", "items", "x-kubernetes-list-type"));
}

// Version 3 says what is filled in; version 2 leaves that out, and has parameters once.
static void test_the_versions_differ_as_upstreams_do(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(1 << 20);
	struct json *new_one = document_v3(arena, "", "v1");
	struct json *old_one = document_v2(arena);
	static const char port[] = "io.k8s.api.core.v1.ContainerPort";
	struct json *protocol = json_path(new_one, "components", "schemas", port, "properties", "protocol");
	assert_string_equal(json_get_text(protocol, "default"), "TCP");
	assert_int_equal(json_get(protocol, "enum")->length, 3);
	assert_null(json_path(old_one, "definitions", port, "properties", "protocol", "default"));
	static const char path[] = "/api/v1/watch/namespaces/{namespace}/pods/{name}";
	struct json *shared = json_path(old_one, "paths", path, "parameters");
	assert_non_null(follow(old_one, json_get_text(shared->items[0], "$ref")));
	assert_non_null(parameter(json_path(old_one, "paths", path), "name"));
	assert_non_null(parameter(json_path(new_one, "paths", path), "resourceVersion"));
	assert_string_equal(json_get_text(json_path(old_one, "paths", path, "get"), "x-kubernetes-action"), "watch");
	const struct json *security = json_get(old_one, "security");
	assert_non_null(json_get(security->items[0], "BearerToken"));
}

static void test_discovery_and_version_have_documents_too(void **state)
{
	(void)state;
	static const char *const documents[] = {"api",     "apis",           "apis/apps",
	                                        "version", "openid/v1/jwks", ".well-known/openid-configuration"};
	for (size_t i = 0; i < ARRAY_SIZE(documents); i++) {
		AUTO(arena_free) struct arena *arena = arena_new(1 << 16);
		AUTO_STRBUF struct strbuf text = EVERYTHING;
		assert_true(openapi_write_v3_fixed(&text, schema_resources, schema_resource_count, documents[i]));
		struct json *document = parse(arena, &text);
		check_references(document, document);
		assert_int_equal(json_get(document, "paths")->length, 1);
		AUTO_FREE char *path = xasprintf("/%s/", documents[i]);
		assert_non_null(json_path(document, "paths", path, "get"));
	}
	AUTO_STRBUF struct strbuf text = EVERYTHING;
	assert_false(openapi_write_v3_fixed(&text, schema_resources, schema_resource_count, "apis/nobody"));
	assert_int_equal(text.length, 0);
}

static void test_index_has_urls_that_change_with_the_document(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(1 << 16);
	AUTO_STRBUF struct strbuf text = EVERYTHING;
	openapi_write_v3_index(&text, schema_resources, schema_resource_count);
	struct json *all = parse(arena, &text);
	const char *url = json_get_text(json_path(all, "paths", "apis/apps/v1"), "serverRelativeURL");
	assert_int_equal(strncmp(url, "/openapi/v3/apis/apps/v1?hash=", 30), 0);
	assert_non_null(json_path(all, "paths", "api/v1"));
	// Without one of its resources a group's document is another.
	const struct schema_resource *fewer[256];
	size_t count = 0;
	for (size_t i = 0; i < schema_resource_count; i++)
		if (strcmp(schema_resources[i]->plural, "daemonsets") != 0)
			fewer[count++] = schema_resources[i];
	strbuf_clear(&text);
	openapi_write_v3_index(&text, fewer, count);
	struct json *some = parse(arena, &text);
	assert_string_not_equal(json_get_text(json_path(some, "paths", "apis/apps/v1"), "serverRelativeURL"), url);
	assert_string_equal(json_get_text(json_path(some, "paths", "apis/batch/v1"), "serverRelativeURL"),
	                    json_get_text(json_path(all, "paths", "apis/batch/v1"), "serverRelativeURL"));
	strbuf_clear(&text);
	assert_false(openapi_write_v3(&text, fewer, count, "nobody.example.com", "v1"));
	assert_int_equal(text.length, 0);
}

// --- the protobuf form, read back ------------------------------------------------------------

struct wire {
	const uint8_t *data;
	size_t length;
};

static uint64_t take_varint(struct wire *wire)
{
	uint64_t value = 0;
	for (unsigned shift = 0; wire->length; shift += 7) {
		uint8_t byte = *wire->data++;
		wire->length--;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return value;
	}
	fail_msg("a number goes past the end");
	return 0;
}

// Takes the next field; its bytes when it is delimited. False at the end.
static bool take_field(struct wire *wire, unsigned *number, struct wire *bytes)
{
	if (!wire->length)
		return false;
	uint64_t tag = take_varint(wire);
	*number = (unsigned)(tag >> 3);
	*bytes = (struct wire){0};
	if ((tag & 7) == 0) {
		(void)take_varint(wire);
		return true;
	}
	assert_int_equal(tag & 7, 2);
	uint64_t length = take_varint(wire);
	assert_true(length <= wire->length);
	*bytes = (struct wire){wire->data, length};
	wire->data += length;
	wire->length -= length;
	return true;
}

// The n-th field with this number inside a message.
static struct wire find_field(struct wire wire, unsigned wanted)
{
	unsigned number;
	struct wire bytes;
	while (take_field(&wire, &number, &bytes))
		if (number == wanted)
			return bytes;
	return (struct wire){0};
}

// Of a list of {name = 1, value = 2} under `number`: the value with a name; counts them.
static struct wire find_named(struct wire wire, unsigned wanted, const char *name, size_t *ret_count)
{
	unsigned number;
	struct wire bytes, found = {0};
	*ret_count = 0;
	while (take_field(&wire, &number, &bytes)) {
		if (number != wanted)
			continue;
		struct wire key = find_field(bytes, 1);
		++*ret_count;
		if (key.length == strlen(name) && memcmp(key.data, name, key.length) == 0)
			found = find_field(bytes, 2);
	}
	return found;
}

static void assert_bytes(struct wire wire, const char *text)
{
	assert_int_equal(wire.length, strlen(text));
	assert_memory_equal(wire.data, text, wire.length);
}

static void test_the_protobuf_form_says_the_same(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(1 << 20);
	AUTO_STRBUF struct strbuf text = EVERYTHING;
	openapi_write_v2_protobuf(&text, schema_resources, schema_resource_count);
	assert_false(text.overflowed);
	struct json *document = document_v2(arena);
	struct wire wire = {(const uint8_t *)text.data, text.length};
	size_t count;
	assert_bytes(find_field(wire, 1), "2.0");
	struct wire definition = find_named(find_field(wire, 9), 1, "io.k8s.api.core.v1.Pod", &count);
	assert_int_equal(count, json_get(document, "definitions")->length);
	assert_bytes(find_field(find_field(definition, 22), 1), "object");
	struct wire spec = find_named(find_field(definition, 25), 1, "spec", &count);
	assert_int_equal(count, json_path(document, "definitions", "io.k8s.api.core.v1.Pod", "properties")->length);
	assert_bytes(find_field(spec, 1), "#/definitions/io.k8s.api.core.v1.PodSpec");
	struct wire kind = find_named(definition, 31, "x-kubernetes-group-version-kind", &count);
	assert_bytes(find_field(kind, 2), "[{\"group\":\"\",\"kind\":\"Pod\",\"version\":\"v1\"}]");
	struct wire path = find_named(find_field(wire, 8), 2, "/api/v1/namespaces/{namespace}/pods/{name}", &count);
	assert_int_equal(count, json_get(document, "paths")->length);
	struct wire patch = find_field(path, 8);
	assert_bytes(find_field(patch, 5), "patchCoreV1NamespacedPod");
	// Its second parameter is a reference to a shared one, a query.
	struct wire rest = patch, dry_run = {0};
	unsigned number;
	for (size_t seen = 0; seen < 2 && take_field(&rest, &number, &dry_run);)
		seen += number == 8;
	struct wire reference = find_field(find_field(dry_run, 2), 1);
	static const char prefix[] = "#/parameters/";
	assert_memory_equal(reference.data, prefix, strlen(prefix));
	AUTO_FREE char *name =
	        xstrndup((const char *)reference.data + strlen(prefix), reference.length - strlen(prefix));
	struct wire shared = find_named(find_field(wire, 10), 1, name, &count);
	assert_int_equal(count, json_get(document, "parameters")->length);
	assert_bytes(find_field(find_field(find_field(shared, 2), 3), 4), "dryRun");
	assert_bytes(find_field(find_field(find_field(wire, 12), 1), 1), "BearerToken");
	struct wire response = find_named(find_field(patch, 9), 1, "200", &count);
	assert_bytes(find_field(find_field(find_field(find_field(response, 1), 2), 1), 1),
	             "#/definitions/io.k8s.api.core.v1.Pod");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_every_group_version_has_a_sound_document),
	        cmocka_unit_test(test_the_whole_document_is_sound),
	        cmocka_unit_test(test_what_kubectl_reads),
	        cmocka_unit_test(test_schemas_say_how_lists_merge),
	        cmocka_unit_test(test_the_versions_differ_as_upstreams_do),
	        cmocka_unit_test(test_discovery_and_version_have_documents_too),
	        cmocka_unit_test(test_index_has_urls_that_change_with_the_document),
	        cmocka_unit_test(test_the_protobuf_form_says_the_same),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
