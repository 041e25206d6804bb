// SPDX-License-Identifier: Apache-2.0

#include "apiserver/encoding/negotiate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "apiserver/query.h"

struct accept_case {
	const char *accept;
	bool watch;
	int code;
	enum output_format format;
	enum output_shape shape;
};

static void test_accept(void **state)
{
	static const struct accept_case cases[] = {
	        {NULL, false, 200, OUTPUT_JSON, OUTPUT_OBJECT},
	        {"*/*", false, 200, OUTPUT_JSON, OUTPUT_OBJECT},
	        {"application/json", false, 200, OUTPUT_JSON, OUTPUT_OBJECT},
	        {"application/yaml", false, 200, OUTPUT_YAML, OUTPUT_OBJECT},
	        {"application/yaml", true, 406, OUTPUT_JSON, OUTPUT_OBJECT},
	        {"application/json;q=0.5, application/yaml", false, 200, OUTPUT_YAML, OUTPUT_OBJECT},
	        {"application/vnd.kubernetes.protobuf, application/json", false, 200, OUTPUT_JSON, OUTPUT_OBJECT},
	        {"application/vnd.kubernetes.protobuf", false, 406, OUTPUT_JSON, OUTPUT_OBJECT},
	        {"application/json;as=Table;v=v1;g=meta.k8s.io,application/json", false, 200, OUTPUT_JSON,
	         OUTPUT_TABLE},
	        {"application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json", false, 200, OUTPUT_JSON,
	         OUTPUT_OBJECT},
	        {"application/json;as=Table;v=v1;g=meta.k8s.io", true, 200, OUTPUT_JSON, OUTPUT_TABLE},
	        {"application/json; as=PartialObjectMetadataList; v=v1; g=meta.k8s.io", false, 200, OUTPUT_JSON,
	         OUTPUT_PARTIAL_METADATA},
	        {"application/json;as=Other;v=v1;g=meta.k8s.io", false, 406, OUTPUT_JSON, OUTPUT_OBJECT},
	        {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", false, 200, OUTPUT_JSON,
	         OUTPUT_OBJECT},
	        {",,;;,", false, 200, OUTPUT_JSON, OUTPUT_OBJECT},
	        {"application/json;q=0", false, 406, OUTPUT_JSON, OUTPUT_OBJECT},
	};
	struct arena *arena = arena_new(0);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct output output = {0};
		const struct status *status = negotiate_output(
		        arena, cases[i].accept, NEGOTIATE_SHAPES | (cases[i].watch ? NEGOTIATE_WATCH : 0), &output);

		print_message("%s\n", cases[i].accept ? cases[i].accept : "(none)");
		assert_int_equal(status ? status->code : 200, cases[i].code);
		if (status)
			continue;
		assert_int_equal(output.format, cases[i].format);
		assert_int_equal(output.shape, cases[i].shape);
	}
	arena_free(arena);
}

static void test_accept_protobuf(void **state)
{
	static const struct accept_case cases[] = {
	        {"application/vnd.kubernetes.protobuf, application/json", false, 200, OUTPUT_PROTOBUF, OUTPUT_OBJECT},
	        {"application/vnd.kubernetes.protobuf,application/json", true, 200, OUTPUT_PROTOBUF, OUTPUT_OBJECT},
	        {"application/vnd.kubernetes.protobuf;stream=watch", true, 200, OUTPUT_PROTOBUF, OUTPUT_OBJECT},
	        {"application/json,application/vnd.kubernetes.protobuf", false, 200, OUTPUT_JSON, OUTPUT_OBJECT},
	        {"application/json;q=0.9,application/vnd.kubernetes.protobuf", false, 200, OUTPUT_PROTOBUF,
	         OUTPUT_OBJECT},
	        {"application/vnd.kubernetes.protobuf;q=0.1,application/yaml;q=0.2", false, 200, OUTPUT_YAML,
	         OUTPUT_OBJECT},
	        {"application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1;"
	         "g=meta.k8s.io",
	         false, 200, OUTPUT_JSON, OUTPUT_TABLE},
	        {"application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io", false, 406, OUTPUT_JSON,
	         OUTPUT_OBJECT},
	        {"application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io", true, 200,
	         OUTPUT_PROTOBUF, OUTPUT_PARTIAL_METADATA},
	        {"application/vnd.kubernetes.protobuf;q=0", false, 406, OUTPUT_JSON, OUTPUT_OBJECT},
	        {NULL, false, 200, OUTPUT_JSON, OUTPUT_OBJECT},
	};
	struct arena *arena = arena_new(0);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		unsigned flags = NEGOTIATE_SHAPES | NEGOTIATE_PROTOBUF | (cases[i].watch ? NEGOTIATE_WATCH : 0);
		struct output output = {0};
		const struct status *status = negotiate_output(arena, cases[i].accept, flags, &output);

		print_message("%s\n", cases[i].accept ? cases[i].accept : "(none)");
		assert_int_equal(status ? status->code : 200, cases[i].code);
		if (status) {
			assert_non_null(strstr(status->message, "application/vnd.kubernetes.protobuf"));
			continue;
		}
		assert_int_equal(output.format, cases[i].format);
		assert_int_equal(output.shape, cases[i].shape);
		if (output.format == OUTPUT_PROTOBUF)
			assert_string_equal(output.content_type,
			                    cases[i].watch ? "application/vnd.kubernetes.protobuf;stream=watch"
			                                   : "application/vnd.kubernetes.protobuf");
	}
	arena_free(arena);
}

static void test_content_type(void **state)
{
	struct arena *arena = arena_new(0);
	enum body_format format;

	(void)state;
	assert_null(negotiate_body(arena, NULL, false, &format));
	assert_int_equal(format, BODY_JSON);
	assert_null(negotiate_body(arena, "application/YAML; charset=utf-8", false, &format));
	assert_int_equal(format, BODY_YAML);
	assert_null(negotiate_body(arena, "application/merge-patch+json", true, &format));
	assert_int_equal(format, BODY_MERGE_PATCH);
	assert_int_equal(negotiate_body(arena, "application/merge-patch+json", false, &format)->code, 415);
	assert_int_equal(negotiate_body(arena, "application/json", true, &format)->code, 415);
	assert_int_equal(negotiate_body(arena, "text/plain", false, &format)->code, 415);
	arena_free(arena);
}

static void test_query(void **state)
{
	struct arena *arena = arena_new(0);
	struct request_options options;
	struct query query;

	(void)state;
	assert_null(query_parse(
	        arena, "labelSelector=a+in+%28b%2Cc%29&limit=5&watch=0&pretty&&dryRun=All&x=%F0%9F%98%80", &query));
	assert_int_equal(query.count, 6);
	assert_null(request_options_parse(arena, &query, &options));
	assert_string_equal(options.label_selector, "a in (b,c)");
	assert_int_equal(options.limit, 5);
	assert_false(options.watch);
	assert_true(options.pretty);
	assert_true(options.dry_run);
	assert_int_equal(options.field_validation, FIELD_VALIDATION_WARN);
	assert_string_equal(query_get(&query, "x"), "\xf0\x9f\x98\x80");

	assert_int_equal(query_parse(arena, "a=%", &query)->code, 400);
	assert_int_equal(query_parse(arena, "a=%00", &query)->code, 400);
	assert_null(query_parse(arena, "fieldValidation=Loud", &query));
	assert_int_equal(request_options_parse(arena, &query, &options)->code, 422);
	assert_null(query_parse(arena, "limit=99999999999999999999", &query));
	assert_int_equal(request_options_parse(arena, &query, &options)->code, 400);
	arena_free(arena);
}

static void test_delete_options(void **state)
{
	static const char text[] =
	        "{\"kind\":\"DeleteOptions\",\"gracePeriodSeconds\":0,\"propagationPolicy\":\"Orphan\","
	        "\"preconditions\":{\"uid\":\"u\"},\"dryRun\":[\"All\"]}";
	struct arena *arena = arena_new(0);
	struct request_options options = {0};
	struct json *body;

	(void)state;
	assert_int_equal(json_parse(arena, text, sizeof(text) - 1, NULL, &body, NULL), 0);
	assert_null(request_options_add_delete(arena, body, &options));
	assert_true(options.has_grace_period);
	assert_int_equal(options.grace_period_seconds, 0);
	assert_int_equal(options.propagation, PROPAGATION_ORPHAN);
	assert_string_equal(options.precondition_uid, "u");
	assert_true(options.dry_run);
	json_set_bool(arena, body, "orphanDependents", true);
	assert_int_equal(request_options_add_delete(arena, body, &options)->code, 422);
	arena_free(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_accept),         cmocka_unit_test(test_accept_protobuf),
	        cmocka_unit_test(test_content_type),   cmocka_unit_test(test_query),
	        cmocka_unit_test(test_delete_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
