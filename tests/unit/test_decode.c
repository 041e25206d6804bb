// SPDX-License-Identifier: Apache-2.0
// Normalising documents: what falls out, what is noted, what becomes canonical,
// the words for wrong types, and the shape that Go always writes.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants the four above first.
#include <cmocka.h>
#include <string.h>

#include "api/apiextensions_v1.h"
#include "api/apps_v1.h"
#include "api/authorization_v1.h"
#include "api/coordination_v1.h"
#include "api/core_v1.h"
#include "api/metrics_v1beta1.h"
#include "common/api/decode.h"
#include "common/api/view.h"
#include "common/base/macros.h"

static struct json *parse(struct arena *arena, const char *text)
{
	struct json *value = NULL;
	struct err err = ERR_INIT;
	if (json_parse(arena, text, strlen(text), NULL, &value, &err) < 0)
		fail_msg("%s: %s", text, err.message);
	return value;
}

static void assert_json(const struct json *have, struct arena *arena, const char *want)
{
	if (json_equal(parse(arena, want), have))
		return;
	struct strbuf text = STRBUF_INIT(1 << 20);
	json_write(&text, have);
	fail_msg("\nwant %s\nhave %s", want, strbuf_text(&text));
}

// Normalises, expects the result and the notes, joined by "; ".
static void check(const struct schema_type *type, const char *text, const char *want, const char *notes)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct json *value = parse(arena, text);
	struct decode_issues issues = {0};
	struct err err = ERR_INIT;
	if (schema_normalize(arena, type, value, &issues, &err) < 0)
		fail_msg("%s: %s", text, err.message);
	assert_json(value, arena, want);
	struct strbuf all = STRBUF_INIT(1 << 16);
	for (size_t i = 0; i < issues.count; i++)
		strbuf_printf(&all, "%s%s", i > 0 ? "; " : "", issues.texts[i]);
	assert_string_equal(strbuf_text(&all), notes);
	strbuf_done(&all);
	// A second pass finds nothing more to do.
	assert_int_equal(schema_normalize(arena, type, value, NULL, &err), 0);
	assert_json(value, arena, want);
}

static void check_error(const struct schema_type *type, const char *text, const char *message)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct err err = ERR_INIT;
	assert_int_equal(schema_normalize(arena, type, parse(arena, text), NULL, &err), -ERR_PARSE);
	assert_string_equal(err.message, message);
}

static void unknown_fields_fall_out(void **state)
{
	(void)state;
	check(&schema_type_apps_v1_deployment,
	      "{\"spec\":{\"foo\":1,\"template\":{\"spec\":{\"containers\":[{\"name\":\"a\"},{\"name\":\"b\",\"img\":{}"
	      "}],"
	      "\"volumes\":[{\"name\":\"v\",\"emptyDir\":{\"size\":1}}]}}},\"bar\":[]}",
	      "{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"a\"},{\"name\":\"b\"}],"
	      "\"volumes\":[{\"name\":\"v\",\"emptyDir\":{}}]}}}}",
	      "unknown field \"spec.foo\"; unknown field \"spec.template.spec.containers[1].img\"; "
	      "unknown field \"spec.template.spec.volumes[0].emptyDir.size\"; unknown field \"bar\"");
}

static void notes_are_bounded(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct json *value = json_object(arena);
	for (int i = 0; i < 500; i++)
		json_set_integer(arena, value, arena_printf(arena, "x%d", i), i);
	struct decode_issues issues = {0};
	assert_int_equal(schema_normalize(arena, &schema_type_core_v1_pod, value, &issues, NULL), 0);
	assert_int_equal(issues.count, 100);
	assert_int_equal(value->length, 0);
}

static void nulls_and_empty_values(void **state)
{
	(void)state;
	check(&schema_type_core_v1_pod,
	      "{\"metadata\":{\"labels\":{\"a\":null},\"annotations\":null,\"finalizers\":[null],\"name\":\"\","
	      "\"creationTimestamp\":null},\"spec\":{\"containers\":[null],\"hostNetwork\":false,\"nodeSelector\":{},"
	      "\"tolerations\":[],\"securityContext\":null,\"activeDeadlineSeconds\":null,\"affinity\":{},"
	      "\"terminationGracePeriodSeconds\":0,\"shareProcessNamespace\":false},\"status\":null}",
	      "{\"metadata\":{\"labels\":{\"a\":\"\"},\"finalizers\":[\"\"]},\"spec\":{\"containers\":[{}],"
	      "\"affinity\":{},"
	      "\"terminationGracePeriodSeconds\":0,\"shareProcessNamespace\":false}}",
	      "");
}

static void scalars_become_canonical(void **state)
{
	(void)state;
	check(&schema_type_core_v1_container,
	      "{\"name\":\"c\",\"resources\":{\"limits\":{\"cpu\":0.5,\"memory\":\"1024Mi\",\"a\":2,\"b\":\"1e3\"}},"
	      "\"livenessProbe\":{\"httpGet\":{\"port\":\"http\"}},\"readinessProbe\":{\"httpGet\":{\"port\":80}}}",
	      "{\"name\":\"c\",\"resources\":{\"limits\":{\"cpu\":\"500m\",\"memory\":\"1Gi\",\"a\":\"2\",\"b\":"
	      "\"1e3\"}},"
	      "\"livenessProbe\":{\"httpGet\":{\"port\":\"http\"}},\"readinessProbe\":{\"httpGet\":{\"port\":80}}}",
	      "");
	check(&schema_type_coordination_v1_lease,
	      "{\"metadata\":{\"creationTimestamp\":\"2026-01-02T05:04:05.75+02:00\",\"deletionTimestamp\":"
	      "\"0001-01-01T00:00:00Z\"},\"spec\":{\"renewTime\":\"2026-01-02T03:04:05Z\"}}",
	      "{\"metadata\":{\"creationTimestamp\":\"2026-01-02T03:04:05Z\"},"
	      "\"spec\":{\"renewTime\":\"2026-01-02T03:04:05.000000Z\"}}",
	      "");
	check(&schema_type_core_v1_secret, "{\"data\":{\"a\":\"aGVs\\nbG8=\\r\\n\",\"b\":\"\",\"c\":null}}",
	      "{\"data\":{\"a\":\"aGVsbG8=\",\"b\":\"\",\"c\":null}}", "");
	check(&schema_type_metrics_v1beta1_node_metrics, "{\"window\":\"90s\"}", "{\"window\":\"1m30s\"}", "");
	check(&schema_type_core_v1_event, "{\"lastTimestamp\":\"9999-12-31T23:59:59Z\"}",
	      "{\"lastTimestamp\":\"9999-12-31T23:59:59Z\"}", "");
}

static void wrong_types_end_it(void **state)
{
	(void)state;
	const struct schema_type *deployment = &schema_type_apps_v1_deployment;
	check_error(deployment, "{\"spec\":{\"replicas\":\"three\"}}",
	            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32");
	check_error(
	        deployment, "{\"spec\":{\"replicas\":1.5}}",
	        "json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32");
	check_error(deployment, "{\"spec\":[]}",
	            "json: cannot unmarshal array into Go struct field Deployment.spec of type v1.DeploymentSpec");
	check_error(
	        deployment, "{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"args\":[\"a\",1]}]}}}}",
	        "json: cannot unmarshal number into Go struct field Container.spec.template.spec.containers.args of "
	        "type string");
	check_error(deployment, "{\"spec\":{\"selector\":{\"matchLabels\":[]}}}",
	            "json: cannot unmarshal array into Go struct field LabelSelector.spec.selector.matchLabels of type "
	            "map[string]string");
	check_error(deployment, "\"text\"", "json: cannot unmarshal string into Go value of type v1.Deployment");
	check_error(&schema_type_core_v1_container, "{\"resources\":{\"limits\":{\"cpu\":\"1x\"}}}",
	            "quantities must match the regular expression "
	            "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
	check_error(&schema_type_core_v1_container, "{\"resources\":{\"limits\":{\"cpu\":\"1\\u0000\"}}}",
	            "quantities must match the regular expression "
	            "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
	check_error(&schema_type_core_v1_service, "{\"spec\":{\"ports\":[{\"targetPort\":true}]}}",
	            "json: cannot unmarshal bool into Go value of type int32");
	check_error(&schema_type_core_v1_secret, "{\"data\":{\"a\":\"aGV$bG8=\"}}",
	            "illegal base64 data at input byte 3");
	check_error(&schema_type_core_v1_secret, "{\"data\":{\"a\":7}}",
	            "json: cannot unmarshal number into Go struct field Secret.data of type []uint8");
	check_error(
	        &schema_type_core_v1_pod, "{\"metadata\":{\"creationTimestamp\":\"yesterday\"}}",
	        "parsing time \"yesterday\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"yesterday\" as \"2006\"");
	check_error(&schema_type_core_v1_pod, "{\"metadata\":{\"creationTimestamp\":\"2026-01-02\"}}",
	            "parsing time \"2026-01-02\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"\" as \"T\"");
	check_error(&schema_type_core_v1_pod, "{\"metadata\":{\"creationTimestamp\":12}}",
	            "json: cannot unmarshal number into Go value of type string");
}

static void free_json_is_kept(void **state)
{
	(void)state;
	check(&schema_type_apps_v1_controller_revision, "{\"data\":{\"any\":[null,{\"x\":null}]},\"revision\":1}",
	      "{\"data\":{\"any\":[null,{\"x\":null}]},\"revision\":1}", "");
	// Schemas inside of the forms that hold one, several or none are still schemas.
	check(&schema_type_apiextensions_v1_json_schema_props,
	      "{\"default\":{\"b\":null},\"enum\":[null,1,\"x\"],\"items\":{\"type\":\"string\",\"nope\":1},"
	      "\"additionalProperties\":true,\"properties\":{\"p\":{\"nope\":2,\"maximum\":1.5}}}",
	      "{\"default\":{\"b\":null},\"enum\":[null,1,\"x\"],\"items\":{\"type\":\"string\"},"
	      "\"additionalProperties\":true,\"properties\":{\"p\":{\"maximum\":1.5}}}",
	      "unknown field \"properties.p.nope\"");
	check(&schema_type_authorization_v1_subject_access_review, "{\"spec\":{\"extra\":{\"k\":[\"a\",\"b\"]}}}",
	      "{\"spec\":{\"extra\":{\"k\":[\"a\",\"b\"]}}}", "");
}

static void check_shape(const struct schema_type *type, const char *text, const char *want)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct json *value = parse(arena, text);
	schema_fill_shape(arena, type, value);
	assert_json(value, arena, want);
	schema_fill_shape(arena, type, value);
	assert_json(value, arena, want);
}

static void what_go_always_writes(void **state)
{
	(void)state;
	check_shape(&schema_type_apps_v1_deployment, "{}",
	            "{\"metadata\":{\"creationTimestamp\":null},\"spec\":{\"selector\":null,\"strategy\":{},"
	            "\"template\":{\"metadata\":{\"creationTimestamp\":null},\"spec\":{\"containers\":null}}},"
	            "\"status\":{}}");
	check_shape(&schema_type_core_v1_pod, "{\"spec\":{\"containers\":[{\"name\":\"a\"}]}}",
	            "{\"metadata\":{\"creationTimestamp\":null},"
	            "\"spec\":{\"containers\":[{\"name\":\"a\",\"resources\":{}}]},\"status\":{}}");
	check_shape(&schema_type_core_v1_service, "{\"spec\":{\"ports\":[{\"port\":80}]}}",
	            "{\"metadata\":{\"creationTimestamp\":null},\"spec\":{\"ports\":[{\"port\":80,\"targetPort\":0}]},"
	            "\"status\":{\"loadBalancer\":{}}}");
}

// --- against the views ------------------------------------------------------------

static uint32_t random_state;

// A fixed sequence: a failure can be run again.
static uint32_t next_random(uint32_t bound)
{
	random_state = random_state * 1664525u + 1013904223u;
	return (random_state >> 8) % bound;
}

static struct json *random_scalar(struct arena *arena)
{
	static const char *const texts[] = {"",  "a", "10", "1.50Gi", "25%", "AA==", "2026-01-02T03:04:05.5+01:00",
	                                    "1m"};
	switch (next_random(5)) {
	case 0:
		return json_null(arena);
	case 1:
		return json_bool(arena, next_random(2) == 0);
	case 2:
		return json_integer(arena, (int64_t)next_random(3) * 1000);
	default:
		return json_string(arena, texts[next_random(ARRAY_SIZE(texts))]);
	}
}

// Mostly of the type's form, sometimes not.
static struct json *random_value(struct arena *arena, const struct schema_type *type, int depth)
{
	if (depth == 0 || type->kind < SCHEMA_STRUCT || next_random(30) == 0)
		return random_scalar(arena);
	struct json *value = type->kind == SCHEMA_LIST ? json_array(arena) : json_object(arena);
	for (uint32_t i = next_random(5); i > 0; i--) {
		if (type->kind == SCHEMA_LIST) {
			json_append(arena, value, random_value(arena, type->element, depth - 1));
		} else if (type->kind == SCHEMA_MAP) {
			json_set(arena, value, i % 2 ? "k" : "key/2", random_value(arena, type->element, depth - 1));
		} else if (type->field_count > 0) {
			const struct schema_field *field = &type->fields[next_random((uint32_t)type->field_count)];
			json_set(arena, value, field->json_name, random_value(arena, field->type, depth - 1));
		}
	}
	return value;
}

// A document that was accepted, with its shape filled in, is exactly what
// reading it into the typed view and writing that again gives.
static bool agrees(const struct schema_type *type)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct json *value = random_value(arena, type, 5);
	struct err err = ERR_INIT;
	if (schema_normalize(arena, type, value, NULL, &err) < 0)
		return false;
	if (value->type != JSON_OBJECT)
		return false;
	schema_fill_shape(arena, type, value);
	void *view = arena_alloc(arena, type->view_size);
	assert_int_equal(view_decode(arena, type, value, view, &err), 0);
	struct json *back = view_to_json(arena, type, view);
	if (!json_equal(value, back)) {
		struct strbuf left = STRBUF_INIT(1 << 20), right = STRBUF_INIT(1 << 20);
		json_write(&left, value);
		json_write(&right, back);
		fail_msg("%s\ntree %s\nview %s", type->openapi_name, strbuf_text(&left), strbuf_text(&right));
	}
	return true;
}

static void decoding_agrees_with_the_views(void **state)
{
	(void)state;
	random_state = 1;
	size_t accepted = 0;
	for (int round = 0; round < 40; round++)
		for (size_t i = 0; i < schema_type_count; i++)
			if (schema_types[i]->kind == SCHEMA_STRUCT)
				accepted += agrees(schema_types[i]);
	assert_true(accepted > 5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(unknown_fields_fall_out), cmocka_unit_test(notes_are_bounded),
	        cmocka_unit_test(nulls_and_empty_values),  cmocka_unit_test(scalars_become_canonical),
	        cmocka_unit_test(wrong_types_end_it),      cmocka_unit_test(free_json_is_kept),
	        cmocka_unit_test(what_go_always_writes),   cmocka_unit_test(decoding_agrees_with_the_views),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
