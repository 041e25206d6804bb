// SPDX-License-Identifier: Apache-2.0
// Validation, strategies and the decision of deletions, on objects given as text:
// they are pure functions of a change.

#include "apiserver/validation/validate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "apiserver/object_io.h"
#include "apiserver/registry/deletion.h"
#include "apiserver/registry/metadata.h"
#include "apiserver/registry/strategy.h"
#include "apiserver/server.h"
#include "apiserver/validation/string_checks.h"
#include "common/api/object.h"

struct fixture {
	struct arena *arena;
	struct server_config config;
	struct server server;
	struct request request;
	struct change change;
};

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	fixture->arena = arena_new(0);
	fixture->server.config = &fixture->config;
	fixture->request.arena = fixture->arena;
	fixture->request.server = &fixture->server;
	fixture->request.received_realtime_ns = 1700000000 * NSEC_PER_SEC;
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	arena_free(fixture->arena);
	free(fixture);
	return 0;
}

static struct json *parse(struct fixture *fixture, const struct schema_resource *resource, const char *text)
{
	struct json *object = NULL;

	if (!text)
		return NULL;
	assert_int_equal(json_parse(fixture->arena, text, strlen(text), NULL, &object, NULL), 0);
	object_complete(fixture->arena, resource->type, object);
	return object;
}

static struct change *change_of(struct fixture *fixture, const char *group, const char *plural, const char *text,
                                const char *old)
{
	const struct schema_resource *resource = schema_find_resource(group, "v1", plural);
	struct change *change = &fixture->change;

	*change = (struct change){.request = &fixture->request,
	                          .server = &fixture->server,
	                          .arena = fixture->arena,
	                          .resource = resource,
	                          .subresource = "",
	                          .namespace_name = resource->namespaced ? "ns" : ""};
	change->object = parse(fixture, resource, text);
	change->old = parse(fixture, resource, old);
	change->name = object_name(change->object ? change->object : change->old);
	if (!change->name)
		change->name = "";
	return change;
}

static const char *message_of(struct change *change)
{
	const struct status *status = validate_change(change);

	return status ? status->message : "";
}

#define DEPLOYMENT(more, spec)                                                                                         \
	"{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"d\",\"namespace\":\"ns\"" more   \
	"},"                                                                                                           \
	"\"spec\":{\"selector\":{\"matchLabels\":{\"a\":\"b\"}},\"template\":{\"metadata\":{\"labels\":{\"a\":\"b\"}}" \
	","                                                                                                            \
	"\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}" spec "}}"

static void test_deployments(void **state)
{
	struct fixture *fixture = *state;

	assert_string_equal(message_of(change_of(fixture, "apps", "deployments", DEPLOYMENT("", ""), NULL)), "");
	assert_string_equal(
	        message_of(change_of(fixture, "apps", "deployments", DEPLOYMENT("", ",\"replicas\":-1"), NULL)),
	        "Deployment.apps \"d\" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to "
	        "0");
	assert_string_equal(
	        message_of(change_of(
	                fixture, "apps", "deployments",
	                DEPLOYMENT("", ",\"strategy\":{\"rollingUpdate\":{\"maxSurge\":0,\"maxUnavailable\":0}}"),
	                NULL)),
	        "Deployment.apps \"d\" is invalid: spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "
	        "intstr.IntOrString{Type:0, IntVal:0, StrVal:\"\"}: may not be 0 when `maxSurge` is 0");
	assert_string_equal(
	        message_of(change_of(
	                fixture, "apps", "deployments",
	                "{\"metadata\":{\"name\":\"d\",\"namespace\":\"ns\"},\"spec\":{\"selector\":{\"matchLabels\":"
	                "{\"x\":\"y\"}},\"template\":{\"metadata\":{\"labels\":{\"a\":\"b\"}},\"spec\":{\"containers\":"
	                "[{\"name\":\"c\",\"image\":\"i\"}]}}}}",
	                NULL)),
	        "Deployment.apps \"d\" is invalid: spec.template.metadata.labels: Invalid value: "
	        "map[string]string{\"a\":\"b\"}: `selector` does not match template `labels`");
}

static void test_selector_is_immutable(void **state)
{
	struct fixture *fixture = *state;
	struct change *change = change_of(fixture, "apps", "deployments", DEPLOYMENT("", ""), DEPLOYMENT("", ""));
	struct json *labels = json_path(change->object, "spec", "selector", "matchLabels");
	struct json *template_labels = json_path(change->object, "spec", "template", "metadata", "labels");
	const struct status *status;

	assert_null(validate_change(change));
	json_set_text(fixture->arena, labels, "n", "m");
	json_set_text(fixture->arena, template_labels, "n", "m");
	status = validate_change(change);
	assert_non_null(status);
	assert_int_equal(status->code, 422);
	assert_int_equal(status->cause_count, 1);
	assert_string_equal(status->causes[0].field, "spec.selector");
	assert_non_null(strstr(status->causes[0].message, "field is immutable"));
}

static void test_several_errors_stand_in_brackets(void **state)
{
	struct fixture *fixture = *state;
	const struct status *status = validate_change(change_of(
	        fixture, "", "pods",
	        "{\"metadata\":{\"name\":\"p\",\"namespace\":\"ns\"},\"spec\":{\"containers\":[{\"name\":\"\"}]}}",
	        NULL));

	assert_non_null(status);
	assert_string_equal(status->message, "Pod \"p\" is invalid: [spec.containers[0].name: Required value, "
	                                     "spec.containers[0].image: Required value]");
	assert_int_equal(status->cause_count, 2);
	assert_string_equal(status->causes[1].reason, "FieldValueRequired");
	assert_string_equal(status->causes[1].message, "Required value");
}

static void test_generation_counts_what_it_should(void **state)
{
	struct fixture *fixture = *state;
	struct change *change =
	        change_of(fixture, "apps", "deployments", DEPLOYMENT(",\"generation\":4", ",\"replicas\":2"),
	                  DEPLOYMENT(",\"generation\":4", ""));

	strategy_prepare_update(change);
	assert_int_equal(integer_of(json_get(change->object, "metadata"), "generation", 0), 5);
	change = change_of(fixture, "apps", "deployments", DEPLOYMENT(",\"generation\":4,\"labels\":{\"l\":\"m\"}", ""),
	                   DEPLOYMENT(",\"generation\":4", ""));
	strategy_prepare_update(change);
	assert_int_equal(integer_of(json_get(change->object, "metadata"), "generation", 0), 4);
	change = change_of(fixture, "apps", "deployments",
	                   DEPLOYMENT(",\"generation\":4,\"annotations\":{\"l\":\"m\"}", ""),
	                   DEPLOYMENT(",\"generation\":4", ""));
	strategy_prepare_update(change);
	assert_int_equal(integer_of(json_get(change->object, "metadata"), "generation", 0), 5);
}

// --- deletion -----------------------------------------------------------------------------------

#define POD(metadata, spec, status)                                                                           \
	"{\"metadata\":{\"name\":\"p\",\"namespace\":\"ns\",\"uid\":\"u\",\"resourceVersion\":\"7\"" metadata \
	"},\"spec\":{"                                                                                        \
	"\"terminationGracePeriodSeconds\":30" spec "},\"status\":{" status "}}"

struct deletion_case {
	const char *object;
	struct request_options options;
	enum deletion_plan plan;
	int64_t grace; // of what is written, -1 = none
};

static void test_deletions_of_pods(void **state)
{
	static const struct deletion_case cases[] = {
	        {POD("", "", ""), {0}, DELETION_NOW, 0},
	        {POD("", ",\"nodeName\":\"n\"", ""), {0}, DELETION_MARK, 30},
	        {POD("", ",\"nodeName\":\"n\"", ""), {.has_grace_period = true}, DELETION_NOW, 0},
	        {POD("", ",\"nodeName\":\"n\"", ""),
	         {.has_grace_period = true, .grace_period_seconds = -5},
	         DELETION_MARK,
	         1},
	        {POD("", ",\"nodeName\":\"n\"", "\"phase\":\"Failed\""), {0}, DELETION_NOW, 0},
	        {POD(",\"finalizers\":[\"a/b\"]", "", ""), {0}, DELETION_MARK, 0},
	        {POD(",\"deletionTimestamp\":\"2023-11-14T22:14:00Z\",\"deletionGracePeriodSeconds\":30",
	             ",\"nodeName\":\"n\"", ""),
	         {0},
	         DELETION_PENDING,
	         30},
	        {POD(",\"deletionTimestamp\":\"2023-11-14T22:14:00Z\",\"deletionGracePeriodSeconds\":30",
	             ",\"nodeName\":\"n\"", ""),
	         {.has_grace_period = true, .grace_period_seconds = 40},
	         DELETION_PENDING,
	         30},
	        {POD(",\"deletionTimestamp\":\"2023-11-14T22:14:00Z\",\"deletionGracePeriodSeconds\":30",
	             ",\"nodeName\":\"n\"", ""),
	         {.has_grace_period = true, .grace_period_seconds = 3},
	         DELETION_MARK,
	         3},
	        {POD(",\"deletionTimestamp\":\"2023-11-14T22:14:00Z\",\"deletionGracePeriodSeconds\":30",
	             ",\"nodeName\":\"n\"", ""),
	         {.has_grace_period = true},
	         DELETION_NOW,
	         0},
	        {POD("", "", ""), {.propagation = PROPAGATION_FOREGROUND}, DELETION_MARK, 0},
	        {POD(",\"finalizers\":[\"foregroundDeletion\"]", "", ""),
	         {.propagation = PROPAGATION_BACKGROUND},
	         DELETION_NOW,
	         0},
	        {POD("", "", ""), {.precondition_uid = "v"}, DELETION_REFUSED, -1},
	        {POD("", "", ""), {.precondition_resource_version = "7", .precondition_uid = "u"}, DELETION_NOW, 0},
	};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct change *change = change_of(fixture, "", "pods", NULL, cases[i].object);
		const struct status *status;

		print_message("case %zu\n", i);
		assert_int_equal(deletion_decide(change, &cases[i].options, &status), cases[i].plan);
		assert_int_equal(status != NULL, cases[i].plan == DELETION_REFUSED);
		if (cases[i].plan == DELETION_MARK)
			assert_int_equal(metadata_deletion_grace(change->object), cases[i].grace);
	}
}

static void test_shortened_grace_moves_the_mark(void **state)
{
	struct fixture *fixture = *state;
	struct request_options options = {.has_grace_period = true, .grace_period_seconds = 10};
	struct change *change = change_of(fixture, "", "pods", NULL,
	                                  POD(",\"deletionTimestamp\":\"2023-11-14T22:14:00Z\","
	                                      "\"deletionGracePeriodSeconds\":30,\"generation\":2",
	                                      ",\"nodeName\":\"n\"", ""));
	const struct status *status;

	assert_int_equal(deletion_decide(change, &options, &status), DELETION_MARK);
	assert_string_equal(text_of(json_get(change->object, "metadata"), "deletionTimestamp"), "2023-11-14T22:13:40Z");
	assert_int_equal(integer_of(json_get(change->object, "metadata"), "generation", 0), 2);
}

static void test_old_kinds_orphan(void **state)
{
	struct fixture *fixture = *state;
	struct change *change = change_of(fixture, "", "replicationcontrollers", NULL,
	                                  "{\"metadata\":{\"name\":\"r\",\"namespace\":\"ns\"},\"spec\":{}}");
	struct request_options options = {0};
	const struct status *status;

	assert_int_equal(deletion_decide(change, &options, &status), DELETION_MARK);
	assert_true(metadata_has_finalizer(change->object, "orphan"));
}

// --- formats --------------------------------------------------------------------------------------

static void test_formats(void **state)
{
	struct fixture *fixture = *state;
	struct arena *arena = fixture->arena;
	char long_label[70];
	int percent;

	memset(long_label, 'a', 64);
	long_label[64] = '\0';
	assert_true(is_dns_label("a-1"));
	assert_false(is_dns_label(long_label));
	assert_false(is_dns_label("-a"));
	assert_false(is_dns_label(""));
	assert_true(is_dns_subdomain("a.b-c.d"));
	assert_false(is_dns_subdomain("a..b"));
	assert_string_equal(check_dns_label(arena, "a.b", 0), "must not contain dots");
	assert_string_equal(check_dns_label(arena, long_label, 0), "must be no more than 63 characters");
	assert_null(check_qualified_name(arena, "example.com/My_Name.x", 0));
	assert_non_null(strstr(check_qualified_name(arena, "Example.com/x", 0), "prefix part a lowercase RFC 1123"));
	assert_string_equal(check_qualified_name(arena, "a/", 0), "name part must be non-empty");
	assert_non_null(strstr(check_qualified_name(arena, "a/b/c", 0), "a qualified name must consist of"));
	assert_null(check_label_value(arena, "", 0));
	assert_non_null(check_label_value(arena, "a b", 0));
	assert_string_equal(check_config_key(arena, "..", 0), "must not be '..'");
	assert_null(check_config_key(arena, "a.b_C-1", 0));
	assert_string_equal(check_port_name(arena, "a--b", 0), "must not contain consecutive hyphens");
	assert_null(check_wildcard_subdomain(arena, "*.a.b", 0));
	assert_non_null(check_wildcard_subdomain(arena, "*a.b", 0));
	assert_true(is_percent("25%", &percent) && percent == 25);
	assert_false(is_percent("25", &percent));
	assert_true(has_dot_dot("a/../b"));
	assert_false(has_dot_dot("a/..b"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(test_deployments, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_selector_is_immutable, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_several_errors_stand_in_brackets, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_generation_counts_what_it_should, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_deletions_of_pods, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_shortened_grace_moves_the_mark, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_old_kinds_orphan, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_formats, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
