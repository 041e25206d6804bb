// SPDX-License-Identifier: Apache-2.0
// Typed views: every type of the schema goes to a view and back with each field
// present, zero, null and absent; and the forms that daemons rely on.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants the four above first.
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "api/apps_v1.h"
#include "api/core_v1.h"
#include "common/api/view.h"

#define SAMPLE_DEPTH 4

// A value of the type with every field set, as Go would write it; NULL below the depth.
static struct json *sample(struct arena *arena, const struct schema_type *type, int depth)
{
	struct json *value;
	switch (type->kind) {
	case SCHEMA_STRING:
		return json_string(arena, "text \xc3\xa9");
	case SCHEMA_INT32:
		return json_integer(arena, -2147483647 - 1);
	case SCHEMA_INT64:
		return json_integer(arena, INT64_MAX);
	case SCHEMA_BOOL:
		return json_bool(arena, true);
	case SCHEMA_DOUBLE:
		value = json_string(arena, "0.1");
		value->type = JSON_NUMBER;
		return value;
	case SCHEMA_BYTES:
		return json_string(arena, "AAECAw==");
	case SCHEMA_QUANTITY:
		return json_string(arena, "1500m");
	case SCHEMA_INT_OR_STRING:
		return depth % 2 ? json_string(arena, "25%") : json_integer(arena, 7);
	case SCHEMA_TIME:
		return json_string(arena, "2026-01-02T03:04:05Z");
	case SCHEMA_MICRO_TIME:
		return json_string(arena, "2026-01-02T03:04:05.000006Z");
	case SCHEMA_DURATION:
		return json_string(arena, "1m0s");
	case SCHEMA_RAW:
		value = json_object(arena);
		json_set_integer(arena, value, "any", 1);
		return value;
	case SCHEMA_LIST:
		value = json_array(arena);
		for (int i = 0; depth > 0 && i < 2; i++)
			json_append(arena, value, sample(arena, type->element, depth - 1));
		return value;
	case SCHEMA_MAP:
		value = json_object(arena);
		if (depth > 0)
			json_set(arena, value, "key/x", sample(arena, type->element, depth - 1));
		return value;
	default:
		break;
	}
	value = json_object(arena);
	for (size_t i = 0; i < type->field_count; i++) {
		const struct schema_field *field = &type->fields[i];
		bool optional = field->flags & SCHEMA_OMIT_EMPTY;
		if (field->json_name[0] == '\0' || (depth <= 0 && optional))
			continue;
		struct json *member = sample(arena, field->type, depth - 1);
		if (optional && (member->type == JSON_ARRAY || member->type == JSON_OBJECT) && member->length == 0 &&
		    field->type->kind != SCHEMA_STRUCT)
			continue;
		json_set(arena, value, field->json_name, member);
	}
	return value;
}

static struct json *through_view(struct arena *arena, const struct schema_type *type, const struct json *value)
{
	void *view = arena_alloc(arena, type->view_size);
	struct err err = ERR_INIT;
	if (view_decode(arena, type, value, view, &err) < 0)
		fail_msg("%s: %s", type->openapi_name, err.message);
	return view_to_json(arena, type, view);
}

static void assert_same(const struct schema_type *type, const char *field, const struct json *want,
                        const struct json *have)
{
	if (json_equal(want, have))
		return;
	struct strbuf left = STRBUF_INIT(1 << 20), right = STRBUF_INIT(1 << 20);
	json_write(&left, want);
	json_write(&right, have);
	fail_msg("%s.%s:\nwant %s\nhave %s", type->openapi_name, field, strbuf_text(&left), strbuf_text(&right));
}

static void every_type_survives_full(void **state)
{
	(void)state;
	for (size_t i = 0; i < schema_type_count; i++) {
		struct arena *arena = arena_new(0);
		struct json *full = sample(arena, schema_types[i], SAMPLE_DEPTH);
		assert_same(schema_types[i], "*", full, through_view(arena, schema_types[i], full));
		arena_free(arena);
	}
}

static struct json *zero_of(struct arena *arena, const struct schema_field *field)
{
	switch (field->type->kind) {
	case SCHEMA_INT32:
	case SCHEMA_INT64:
	case SCHEMA_DOUBLE:
	case SCHEMA_INT_OR_STRING:
		return json_integer(arena, 0);
	case SCHEMA_BOOL:
		return json_bool(arena, false);
	case SCHEMA_LIST:
		return json_array(arena);
	case SCHEMA_MAP:
	case SCHEMA_STRUCT:
	case SCHEMA_RAW:
		return json_object(arena);
	case SCHEMA_QUANTITY:
		return json_string(arena, "0");
	case SCHEMA_TIME:
	case SCHEMA_MICRO_TIME:
		return NULL; // has no zero but absence
	default:
		return json_string(arena, "");
	}
}

// What Go writes for the one field: NULL = nothing.
static bool written_when_zero(const struct schema_field *field)
{
	if (!(field->flags & SCHEMA_OMIT_EMPTY))
		return true;
	enum schema_kind kind = field->type->kind;
	if (kind == SCHEMA_RAW || kind == SCHEMA_STRUCT)
		return true;
	return (field->flags & SCHEMA_POINTER) && kind != SCHEMA_LIST && kind != SCHEMA_MAP && kind != SCHEMA_BYTES;
}

static void check_zero(struct arena *arena, const struct schema_type *type, const struct schema_field *field)
{
	struct json *zero = zero_of(arena, field);
	if (zero == NULL)
		return;
	struct json *object = json_object(arena);
	json_set(arena, object, field->json_name, zero);
	struct json *back = json_get(through_view(arena, type, object), field->json_name);
	if (!written_when_zero(field)) {
		assert_null(back);
		return;
	}
	assert_non_null(back);
	if (field->type->kind != SCHEMA_STRUCT)
		assert_same(type, field->json_name, zero, back);
	else
		assert_int_equal(back->type, JSON_OBJECT);
}

// Null and absent are the same to a view; both come back as what Go always writes, or not at all.
static void check_null(struct arena *arena, const struct schema_type *type, const struct schema_field *field)
{
	struct json *object = json_object(arena);
	struct json *absent = json_get(through_view(arena, type, object), field->json_name);
	json_set(arena, object, field->json_name, json_null(arena));
	struct json *null = json_get(through_view(arena, type, object), field->json_name);
	assert_true((absent == NULL) == ((field->flags & SCHEMA_OMIT_EMPTY) != 0));
	assert_true((absent == NULL) == (null == NULL));
	assert_true(absent == NULL || json_equal(absent, null));
}

static void every_field_zero_null_absent(void **state)
{
	(void)state;
	for (size_t i = 0; i < schema_type_count; i++) {
		const struct schema_type *type = schema_types[i];
		struct arena *arena = arena_new(0);
		for (size_t j = 0; j < type->field_count; j++) {
			if (type->fields[j].json_name[0] == '\0')
				continue;
			check_zero(arena, type, &type->fields[j]);
			check_null(arena, type, &type->fields[j]);
		}
		arena_free(arena);
	}
}

static void decode(struct arena *arena, const struct schema_type *type, const char *text, void *view)
{
	struct err err = ERR_INIT;
	if (view_decode_text(arena, type, text, strlen(text), view, &err) < 0)
		fail_msg("%s", err.message);
}

static void a_pod_reads_as_in_go(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct core_v1_pod pod;
	decode(arena, &schema_type_core_v1_pod,
	       "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\",\"labels\":{\"x\":\"y\"}},"
	       "\"spec\":{\"terminationGracePeriodSeconds\":0,\"containers\":[{\"name\":\"c\",\"image\":\"busybox\","
	       "\"resources\":{\"limits\":{\"cpu\":2,\"memory\":\"1Gi\"}},"
	       "\"livenessProbe\":{\"httpGet\":{\"port\":\"http\"},\"periodSeconds\":3}}],"
	       "\"volumes\":[{\"name\":\"v\",\"emptyDir\":{}}],\"unknown\":[1,{}]}}",
	       &pod);
	assert_string_equal(pod.kind, "Pod");
	assert_string_equal(pod.metadata.name, "a");
	assert_string_equal(string_map_get(&pod.metadata.labels, "x"), "y");
	assert_null(string_map_get(&pod.metadata.labels, "z"));
	assert_int_equal(*pod.spec.termination_grace_period_seconds, 0);
	assert_null(pod.spec.active_deadline_seconds);
	assert_int_equal(pod.spec.containers.count, 1);
	const struct core_v1_container *container = &pod.spec.containers.items[0];
	assert_string_equal(container->image, "busybox");
	assert_string_equal(string_map_get(&container->resources.limits, "cpu"), "2");
	assert_true(container->liveness_probe->http_get->port.is_string);
	assert_int_equal(container->liveness_probe->period_seconds, 3);
	assert_non_null(pod.spec.volumes.items[0].empty_dir);
	assert_null(pod.spec.volumes.items[0].host_path);
}

static void expect_error(const struct schema_type *type, const char *text, const char *message)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	void *view = arena_alloc(arena, type->view_size);
	struct err err = ERR_INIT;
	assert_int_equal(view_decode_text(arena, type, text, strlen(text), view, &err), -ERR_PARSE);
	assert_string_equal(err.message, message);
}

static void wrong_types_are_named_as_in_go(void **state)
{
	(void)state;
	const struct schema_type *deployment = &schema_type_apps_v1_deployment;
	expect_error(deployment, "{\"spec\":{\"replicas\":\"3\"}}",
	             "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32");
	expect_error(deployment, "{\"spec\":{\"replicas\":3000000000}}",
	             "json: cannot unmarshal number 3000000000 into Go struct field DeploymentSpec.spec.replicas of "
	             "type int32");
	expect_error(deployment,
	             "{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"a\"},{\"name\":1}]}}}}",
	             "json: cannot unmarshal number into Go struct field "
	             "Container.spec.template.spec.containers.name of type string");
	expect_error(deployment, "{\"spec\":{\"template\":{\"spec\":{\"containers\":{}}}}}",
	             "json: cannot unmarshal object into Go struct field PodSpec.spec.template.spec.containers of type "
	             "[]v1.Container");
	expect_error(deployment, "{\"metadata\":{\"labels\":{\"a\":true}}}",
	             "json: cannot unmarshal bool into Go struct field ObjectMeta.metadata.labels of type string");
	expect_error(deployment, "[]", "json: cannot unmarshal array into Go value of type v1.Deployment");
}

static void views_own_what_they_point_to(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct arena *other = arena_new(0);
	struct json *value = sample(other, &schema_type_core_v1_pod, SAMPLE_DEPTH);
	struct json *copy = json_clone(arena, value);
	struct core_v1_pod pod;
	assert_int_equal(view_decode(arena, &schema_type_core_v1_pod, value, &pod, NULL), 0);
	arena_free(other);
	assert_true(json_equal(copy, view_to_json(arena, &schema_type_core_v1_pod, &pod)));
}

static void writing_leaves_out_what_is_empty(void **state)
{
	(void)state;
	struct strbuf out = STRBUF_INIT(4096);
	struct core_v1_config_map map = {.api_version = "v1", .kind = "ConfigMap", .metadata = {.name = "m"}};
	view_write(&out, &schema_type_core_v1_config_map, &map);
	assert_string_equal(strbuf_text(&out), "{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\","
	                                       "\"metadata\":{\"name\":\"m\",\"creationTimestamp\":null}}");
	strbuf_done(&out);
}

static void maps_are_set_and_replaced(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct string_map map = {0};
	string_map_set(arena, &map, "a", "1");
	string_map_set(arena, &map, "b", "2");
	string_map_set(arena, &map, "a", "3");
	assert_int_equal(map.count, 2);
	assert_string_equal(string_map_get(&map, "a"), "3");
	const char *items[] = {"x", "y"};
	const struct string_array array = {items, 2};
	assert_true(string_array_contains(&array, "y"));
	assert_false(string_array_contains(&array, "z"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(every_type_survives_full),     cmocka_unit_test(every_field_zero_null_absent),
	        cmocka_unit_test(a_pod_reads_as_in_go),         cmocka_unit_test(wrong_types_are_named_as_in_go),
	        cmocka_unit_test(views_own_what_they_point_to), cmocka_unit_test(writing_leaves_out_what_is_empty),
	        cmocka_unit_test(maps_are_set_and_replaced),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
