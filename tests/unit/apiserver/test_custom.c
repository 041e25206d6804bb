// SPDX-License-Identifier: Apache-2.0
// Definitions by themselves: what they become (resources, tables, snapshots), who gets
// which names, and what their rules refuse.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants the four above first.
#include <cmocka.h>
#include <string.h>

#include "apiserver/custom/definition.h"
#include "apiserver/custom/definition_rules.h"
#include "apiserver/custom/definition_status.h"
#include "apiserver/custom/served.h"
#include "apiserver/encoding/convert.h"
#include "apiserver/storage/storage_object.h"
#include "common/api/object.h"
#include "common/base/hashmap.h"

static struct json *parse(struct arena *arena, const char *text)
{
	struct json *value = NULL;
	struct err err = ERR_INIT;

	if (json_parse(arena, text, strlen(text), NULL, &value, &err) < 0)
		fail_msg("%s: %s", text, err.message);
	return value;
}

static struct stored_object *stored(const char *text)
{
	struct storage_object_format format = {0};
	struct stored_object *object = NULL;
	const char *key = "foos.example.com";

	storage_object_format_init(&format,
	                           schema_find_resource("apiextensions.k8s.io", "v1", "customresourcedefinitions"));
	assert_int_equal(storage_object_parse(&format, (struct etcd_bytes){key, strlen(key)},
	                                      (struct etcd_bytes){text, strlen(text)}, 7, &object, NULL),
	                 0);
	storage_object_format_done(&format);
	return object;
}

static struct definition *make(const char *text)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct stored_object *source = stored(text);
	struct json *tree = parse(arena, text);
	struct err err = ERR_INIT;
	struct definition *definition = definition_new(source, tree, definition_names(tree), &err);

	stored_object_unref(source);
	if (!definition)
		fail_msg("%s", err.message);
	return definition;
}

#define DEFINITION(versions)                                                                                          \
	"{\"apiVersion\":\"apiextensions.k8s.io/"                                                                     \
	"v1\",\"kind\":\"CustomResourceDefinition\",\"metadata\":{\"name\":\"foos."                                   \
	"example.com\"},\"spec\":{\"group\":\"example.com\",\"scope\":\"Namespaced\",\"names\":{\"plural\":\"foos\"," \
	"\"singular\":\"foo\",\"kind\":\"Foo\",\"listKind\":\"FooList\",\"shortNames\":[\"fo\"]},\"versions\":"       \
	"[" versions "]}}"

static const char two_versions[] = DEFINITION(
        "{\"name\":\"v1beta1\",\"served\":true,\"storage\":false,\"deprecated\":true,\"schema\":{\"openAPIV3Schema\":{"
        "\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"}}}},\"selectableFields\":[{\"jsonPath\":\".a\"}"
        "]},"
        "{\"name\":\"v1\",\"served\":true,\"storage\":true,\"schema\":{\"openAPIV3Schema\":{\"type\":\"object\","
        "\"properties\":{\"a\":{\"type\":\"string\"},\"b\":{\"type\":\"integer\",\"default\":3}}}},\"subresources\":{"
        "\"status\":{},\"scale\":{\"specReplicasPath\":\".spec.n\",\"statusReplicasPath\":\".status.n\"}}},"
        "{\"name\":\"v0\",\"served\":false,\"storage\":false,\"schema\":{\"openAPIV3Schema\":{\"type\":\"object\"}}}");

static void test_resources(void **state)
{
	AUTO(definition_unref) struct definition *definition = make(two_versions);
	const struct definition_version *beta = definition_find_version(definition, "v1beta1");
	const struct definition_version *stable = definition_find_version(definition, "v1");

	(void)state;
	assert_string_equal(stable->resource.storage_prefix, "/registry/example.com/foos");
	assert_string_equal(stable->resource.type->openapi_name, "com.example.v1.Foo");
	assert_string_equal(stable->resource.short_names[0], "fo");
	assert_true(stable->resource.has_status && !beta->resource.has_status);
	assert_non_null(schema_find_subresource(&stable->resource, "scale"));
	assert_string_equal(stable->scale->spec_replicas, "spec.n");
	assert_string_equal(beta->resource.deprecation_warning,
	                    "example.com/v1beta1 Foo is deprecated; use example.com/v1 Foo");
	assert_null(stable->resource.deprecation_warning);
	// Name and age when nothing else is said.
	assert_int_equal(stable->resource.column_count, 2);
	// Storage selects by every version's fields.
	assert_int_equal(definition->stored.resource.selectable_field_count, 1);
	assert_ptr_equal(definition_version_of(&stable->resource), stable);
	assert_ptr_equal(convert_storage_resource(&beta->resource), &definition->stored.resource);
}

static void test_between_versions(void **state)
{
	AUTO(definition_unref) struct definition *definition = make(two_versions);
	AUTO(arena_free) struct arena *arena = arena_new(0);
	const struct schema_resource *beta = &definition_find_version(definition, "v1beta1")->resource;
	struct json *object =
	        parse(arena, "{\"apiVersion\":\"example.com/v1beta1\",\"kind\":\"Foo\",\"metadata\":{\"name\":"
	                     "\"x\",\"generation\":1},\"a\":\"1\",\"gone\":true}");

	(void)state;
	assert_true(definition_read_stored(definition, arena, object));
	assert_true(json_equal(object, parse(arena, "{\"apiVersion\":\"example.com/v1\",\"kind\":\"Foo\",\"metadata\":{"
	                                            "\"name\":\"x\",\"generation\":1},\"a\":\"1\"}")));
	object = parse(arena, "{\"apiVersion\":\"example.com/v1\",\"kind\":\"Foo\",\"metadata\":{\"name\":\"x\","
	                      "\"generation\":1},\"b\":3}");
	assert_false(definition_read_stored(definition, arena, object));
	convert_from_storage(arena, beta, object);
	assert_true(json_equal(object,
	                       parse(arena, "{\"apiVersion\":\"example.com/v1beta1\",\"kind\":\"Foo\",\"metadata\":{"
	                                    "\"name\":\"x\",\"generation\":1}}")));
}

static void test_snapshot(void **state)
{
	struct definition *definition = make(two_versions);
	const struct schema_resource *built_in[] = {schema_find_resource("", "v1", "pods"),
	                                            schema_find_resource("apps", "v1", "deployments")};
	struct served *served = served_new(built_in, 2, &definition, 1);
	const struct schema_resource *found;
	size_t count;

	(void)state;
	// The snapshot keeps what it points to.
	definition_unref(definition);
	found = served_find(served, "example.com", "v1", "foos");
	assert_string_equal(found->kind, "Foo");
	assert_ptr_equal(served_find_kind(served, "example.com", "v1", "Foo"), found);
	assert_null(served_find(served, "example.com", "v0", "foos"));
	assert_null(served_find(served, "", "v1", "secrets"));
	assert_ptr_equal(served_find(served, "", "v1", "pods"), built_in[0]);
	assert_non_null(served_resources(served, &count));
	assert_int_equal(count, 4);
	served_unref(served);
	assert_non_null(served_find(NULL, "", "v1", "secrets"));
}

// --- names ---------------------------------------------------------------------------------

static const char *condition(const struct json *definition, const char *type, const char *key)
{
	json_for_each_item (item, json_path(definition, "status", "conditions"))
		if (!strcmp(json_get_text(item, "type"), type))
			return json_get_text(item, key);
	return "";
}

static void test_names(void **state)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	AUTO(hashmap_free) struct hashmap *resources = hashmap_new(NULL);
	AUTO(hashmap_free) struct hashmap *kinds = hashmap_new(NULL);
	struct taken_names taken = {resources, kinds};
	struct json *first = parse(arena, two_versions), *second = parse(arena, two_versions);

	(void)state;
	assert_true(definition_status_update(arena, first, &taken, false, 0));
	assert_string_equal(condition(first, "NamesAccepted", "status"), "True");
	// Established only when it is served.
	assert_string_equal(condition(first, "Established", "status"), "");
	assert_true(definition_status_update(arena, first, &taken, true, 0));
	assert_true(definition_has_condition(first, "Established"));
	assert_false(definition_status_update(arena, first, &taken, true, 5));

	taken_names_add(&taken, json_path(first, "status", "acceptedNames"));
	json_set_text(arena, json_path(second, "spec", "names"), "plural", "others");
	assert_true(definition_status_has_conflict(arena, second, &taken));
	assert_true(definition_status_update(arena, second, &taken, false, 0));
	assert_string_equal(condition(second, "NamesAccepted", "reason"), "ListKindConflict");
	assert_string_equal(condition(second, "NamesAccepted", "message"), "\"FooList\" is already in use");
	assert_string_equal(condition(second, "Established", "reason"), "NotAccepted");
	assert_string_equal(json_get_text(json_path(second, "status", "acceptedNames"), "plural"), "others");
	// What was accepted once stays one's own.
	assert_false(definition_status_has_conflict(arena, first, &taken));
}

static void test_approval(void **state)
{
	static const struct {
		const char *annotation, *status, *reason;
	} rows[] = {{NULL, "False", "MissingAnnotation"},
	            {"unapproved, an experiment", "False", "UnapprovedAnnotation"},
	            {"https://github.com/kubernetes/kubernetes/pull/1", "True", "ApprovedAnnotation"},
	            {"yes", "False", "InvalidAnnotation"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO(arena_free) struct arena *arena = arena_new(0);
		AUTO(hashmap_free) struct hashmap *names = hashmap_new(NULL);
		struct taken_names taken = {names, names};
		struct json *definition = parse(arena, two_versions);

		json_set_text(arena, json_get(definition, "spec"), "group", "new.k8s.io");
		if (rows[i].annotation)
			json_set_text(arena, json_ensure_object(arena, json_get(definition, "metadata"), "annotations"),
			              "api-approved.kubernetes.io", rows[i].annotation);
		assert_true(definition_status_update(arena, definition, &taken, true, 0));
		assert_string_equal(condition(definition, "KubernetesAPIApprovalPolicyConformant", "status"),
		                    rows[i].status);
		assert_string_equal(condition(definition, "KubernetesAPIApprovalPolicyConformant", "reason"),
		                    rows[i].reason);
	}
}

// --- rules ---------------------------------------------------------------------------------

static void test_rules(void **state)
{
	static const struct {
		const char *object, *old, *want;
	} cases[] = {
	        {"{\"spec\":{\"a\":1,\"b\":2}}", NULL, ""},
	        {"{\"spec\":{\"a\":3,\"b\":2}}", NULL, "spec.a: Invalid value: \"object\": a is 3"},
	        {"{\"spec\":{\"a\":1,\"b\":2,\"c\":\"y\"}}", "{\"spec\":{\"a\":1,\"b\":2,\"c\":\"x\"}}",
	         "spec.c: Forbidden: failed rule: self == oldSelf"},
	        // Without an old value a transition rule has nothing to say.
	        {"{\"spec\":{\"a\":1,\"b\":2,\"c\":\"y\"}}", NULL, ""},
	        // What didn't change isn't asked about.
	        {"{\"spec\":{\"a\":3,\"b\":2},\"x\":1}", "{\"spec\":{\"a\":3,\"b\":2}}", ""},
	};
	AUTO(definition_unref)
	struct definition *definition = make(DEFINITION(
	        "{\"name\":\"v1\",\"served\":true,\"storage\":true,\"schema\":{\"openAPIV3Schema\":{\"type\":"
	        "\"object\","
	        "\"properties\":{\"x\":{\"type\":\"integer\"},\"spec\":{\"type\":\"object\",\"properties\":{\"a\":{"
	        "\"type\":"
	        "\"integer\"},\"b\":{\"type\":\"integer\"},\"c\":{\"type\":\"string\",\"x-kubernetes-validations\":[{"
	        "\"rule\":"
	        "\"self == "
	        "oldSelf\",\"reason\":\"FieldValueForbidden\"}]}},\"x-kubernetes-validations\":[{\"rule\":\"self.a <= "
	        "self.b\",\"messageExpression\":\"'a is ' + string(self.a)\",\"fieldPath\":\".a\"}]}}}}}"));
	const struct definition_version *version = definition->storage;

	(void)state;
	assert_non_null(version->rules);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO(arena_free) struct arena *arena = arena_new(0);
		struct structural_errors errors = {0};
		const char *all = "";

		definition_rules_check(arena, version->schema, parse(arena, cases[i].object),
		                       cases[i].old ? parse(arena, cases[i].old) : NULL, &errors);
		for (uint32_t j = 0; j < errors.count; j++)
			all = arena_printf(arena, "%s%s%s: %s", all, j ? "\n" : "", errors.items[j].field,
			                   errors.items[j].message);
		assert_string_equal(all, cases[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_resources), cmocka_unit_test(test_between_versions),
	        cmocka_unit_test(test_snapshot),  cmocka_unit_test(test_names),
	        cmocka_unit_test(test_approval),  cmocka_unit_test(test_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
