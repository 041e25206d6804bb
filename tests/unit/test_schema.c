// SPDX-License-Identifier: Apache-2.0
// The generated tables: order, uniqueness, cross references, and the look-ups on them.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants the four above first.
#include <cmocka.h>
#include <string.h>

#include "api/core_v1.h"
#include "common/api/schema.h"
#include "common/base/macros.h"

static void resources_are_sorted_and_unique(void **state)
{
	(void)state;
	assert_true(schema_resource_count > 60);
	for (size_t i = 1; i < schema_resource_count; i++) {
		const struct schema_resource *a = schema_resources[i - 1], *b = schema_resources[i];
		int order = strcmp(a->group, b->group);
		if (order == 0)
			order = strcmp(a->version, b->version);
		if (order == 0)
			order = strcmp(a->plural, b->plural);
		assert_true(order < 0);
	}
}

static void types_are_sorted_and_unique(void **state)
{
	(void)state;
	assert_true(schema_type_count > 600);
	for (size_t i = 1; i < schema_type_count; i++)
		assert_true(strcmp(schema_types[i - 1]->openapi_name, schema_types[i]->openapi_name) < 0);
}

static void check_names(const struct schema_type *type)
{
	size_t named = 0;
	for (size_t i = 0; i < type->field_count; i++)
		named += type->fields[i].json_name[0] != '\0';
	assert_int_equal(named, type->name_count);
	for (size_t i = 1; i < type->name_count; i++)
		assert_true(strcmp(type->fields[type->fields_by_name[i - 1]].json_name,
		                   type->fields[type->fields_by_name[i]].json_name) < 0);
}

static void check_field(const struct schema_type *type, const struct schema_field *field)
{
	assert_non_null(field->type);
	assert_non_null(field->doc);
	if (field->flags & SCHEMA_INLINE) {
		assert_int_equal(field->type->kind, SCHEMA_STRUCT);
		assert_true(field->proto_number > 0);
		return;
	}
	assert_true(field->view_offset < type->view_size);
	assert_ptr_equal(schema_find_field(type, field->json_name, strlen(field->json_name), NULL), field);
	if (field->list_type == SCHEMA_LIST_MAP)
		for (const char *const *key = field->list_keys; *key != NULL; key++)
			assert_non_null(schema_find_field(field->type->element, *key, strlen(*key), NULL));
}

static void every_type_is_well_formed(void **state)
{
	(void)state;
	for (size_t i = 0; i < schema_type_count; i++) {
		const struct schema_type *type = schema_types[i];
		assert_ptr_equal(schema_find_type(type->openapi_name), type);
		assert_true(type->view_size > 0);
		assert_true((type->kind == SCHEMA_STRUCT) || type->field_count == 0);
		check_names(type);
		for (size_t j = 0; j < type->field_count; j++)
			check_field(type, &type->fields[j]);
	}
}

// Two rows of one message must not share a number; flattened rows belong to the nested one.
static void protobuf_numbers_are_unique(void **state)
{
	(void)state;
	for (size_t i = 0; i < schema_type_count; i++) {
		const struct schema_type *type = schema_types[i];
		for (size_t j = 0; j < type->field_count; j++) {
			for (size_t k = 0; k < j; k++) {
				const struct schema_field *a = &type->fields[j], *b = &type->fields[k];
				if (((a->flags | b->flags) & SCHEMA_INLINED) || a->proto_number == 0)
					continue;
				assert_int_not_equal(a->proto_number, b->proto_number);
			}
		}
	}
}

static void every_resource_is_well_formed(void **state)
{
	(void)state;
	for (size_t i = 0; i < schema_resource_count; i++) {
		const struct schema_resource *resource = schema_resources[i];
		assert_ptr_equal(schema_find_resource(resource->group, resource->version, resource->plural), resource);
		assert_ptr_equal(schema_find_kind(resource->group, resource->version, resource->kind), resource);
		assert_int_equal(resource->type->kind, SCHEMA_STRUCT);
		assert_string_equal(resource->type->name, resource->kind);
		assert_non_null(schema_find_field(resource->type, "kind", 4, NULL));
		assert_true(resource->verbs != 0);
		assert_true(!(resource->verbs & VERB_LIST) || resource->list_kind != NULL);
		assert_true(resource->storage_prefix == NULL ||
		            strncmp(resource->storage_prefix, "/registry/", 10) == 0);
		assert_true(resource->has_status == (schema_find_subresource(resource, "status") != NULL));
		for (size_t j = 0; j < resource->subresource_count; j++)
			assert_true(resource->subresources[j].verbs != 0);
	}
}

// Every view of a kind starts the same way, so that accessors may cast.
static void kinds_begin_with_their_metadata(void **state)
{
	(void)state;
	for (size_t i = 0; i < schema_resource_count; i++) {
		const struct schema_type *type = schema_resources[i]->type;
		size_t offset = 99;
		assert_non_null(schema_find_field(type, "apiVersion", 10, &offset));
		assert_int_equal(offset, 0);
		assert_non_null(schema_find_field(type, "kind", 4, &offset));
		assert_int_equal(offset, sizeof(const char *));
		if (schema_find_field(type, "metadata", 8, &offset) != NULL)
			assert_int_equal(offset, 2 * sizeof(const char *));
	}
}

static void storage_keys_are_upstreams(void **state)
{
	(void)state;
	static const struct {
		const char *group, *version, *plural, *prefix;
	} rows[] = {
	        {"", "v1", "nodes", "/registry/minions"},
	        {"", "v1", "services", "/registry/services/specs"},
	        {"", "v1", "endpoints", "/registry/services/endpoints"},
	        {"", "v1", "replicationcontrollers", "/registry/controllers"},
	        {"", "v1", "pods", "/registry/pods"},
	        {"events.k8s.io", "v1", "events", "/registry/events"},
	        {"apps", "v1", "deployments", "/registry/deployments"},
	        {"networking.k8s.io", "v1", "ingresses", "/registry/ingress"},
	        {"coordination.k8s.io", "v1", "leases", "/registry/leases"},
	        {"apiextensions.k8s.io", "v1", "customresourcedefinitions",
	         "/registry/apiextensions.k8s.io/customresourcedefinitions"},
	        {"apiregistration.k8s.io", "v1", "apiservices", "/registry/apiregistration.k8s.io/apiservices"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct schema_resource *resource =
		        schema_find_resource(rows[i].group, rows[i].version, rows[i].plural);
		assert_non_null(resource);
		assert_string_equal(resource->storage_prefix, rows[i].prefix);
	}
	const struct schema_resource *events = schema_find_resource("events.k8s.io", "v1", "events");
	assert_string_equal(events->storage_group, "");
	const struct schema_resource *autoscalers =
	        schema_find_resource("autoscaling", "v1", "horizontalpodautoscalers");
	assert_string_equal(autoscalers->storage_version, "v2");
}

static void facts_of_pods(void **state)
{
	(void)state;
	const struct schema_resource *pods = &schema_resource_core_v1_pods;
	assert_ptr_equal(schema_find_resource("", "v1", "pods"), pods);
	assert_ptr_equal(pods->type, &schema_type_core_v1_pod);
	assert_string_equal(pods->singular, "pod");
	assert_string_equal(pods->short_names[0], "po");
	assert_null(pods->short_names[1]);
	assert_string_equal(pods->categories[0], "all");
	assert_true(pods->namespaced && pods->enabled_by_default && pods->has_status && pods->generation);
	assert_string_equal(pods->columns[1].name, "Ready");
	assert_int_equal(pods->columns[5].priority, 1);
	assert_string_equal(pods->selectable_fields[0].label, "spec.nodeName");
	const struct schema_subresource *eviction = schema_find_subresource(pods, "eviction");
	assert_string_equal(eviction->body_group, "policy");
	assert_string_equal(eviction->body_type->openapi_name, "io.k8s.api.policy.v1.Eviction");
	assert_null(schema_find_subresource(pods, "exec")->body_type);
	assert_null(schema_find_subresource(pods, "scale"));
	assert_false(schema_find_resource("resource.k8s.io", "v1beta2", "resourceclaims")->enabled_by_default);
}

static void fields_through_inlined_structs(void **state)
{
	(void)state;
	size_t offset = 0;
	const struct schema_field *exec = schema_find_field(&schema_type_core_v1_probe, "exec", 4, &offset);
	assert_non_null(exec);
	assert_true(exec->flags & SCHEMA_INLINED);
	assert_int_equal(offset, offsetof(struct core_v1_probe, exec));
	assert_null(schema_find_field(&schema_type_core_v1_probe, "", 0, NULL));
	assert_null(schema_find_field(&schema_type_core_v1_probe, "exe", 3, NULL));
	assert_null(schema_find_field(&schema_type_core_v1_probe, "exec\0x", 6, NULL));
	assert_non_null(schema_find_field(&schema_type_core_v1_probe, "execX", 4, NULL));
}

static void versions_in_upstreams_order(void **state)
{
	(void)state;
	assert_string_equal(schema_preferred_version("autoscaling"), "v2");
	assert_string_equal(schema_preferred_version(""), "v1");
	assert_null(schema_preferred_version("nobody.example.com"));
	static const char *const order[] = {"v10",     "v2",       "v1",  "v11beta2", "v1beta2",
	                                    "v1beta1", "v1alpha1", "bar", "foo1"};
	for (size_t i = 1; i < ARRAY_SIZE(order); i++) {
		assert_true(schema_compare_versions(order[i - 1], order[i]) < 0);
		assert_true(schema_compare_versions(order[i], order[i - 1]) > 0);
	}
}

static void unknown_names_are_null(void **state)
{
	(void)state;
	assert_null(schema_find_resource("", "v1", "deployments"));
	assert_null(schema_find_resource("zzz", "v1", "pods"));
	assert_null(schema_find_kind("apps", "v1", "Pod"));
	assert_null(schema_find_kind("apps", "v2", "Deployment"));
	assert_null(schema_find_type("io.k8s.api.core.v1.Nothing"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(resources_are_sorted_and_unique), cmocka_unit_test(types_are_sorted_and_unique),
	        cmocka_unit_test(every_type_is_well_formed),       cmocka_unit_test(protobuf_numbers_are_unique),
	        cmocka_unit_test(every_resource_is_well_formed),   cmocka_unit_test(kinds_begin_with_their_metadata),
	        cmocka_unit_test(storage_keys_are_upstreams),      cmocka_unit_test(facts_of_pods),
	        cmocka_unit_test(fields_through_inlined_structs),  cmocka_unit_test(versions_in_upstreams_order),
	        cmocka_unit_test(unknown_names_are_null),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
