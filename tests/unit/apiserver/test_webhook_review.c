// SPDX-License-Identifier: Apache-2.0
// Answers of webhooks, proper and improper, and the audit policy's rules.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants the four above
#include <cmocka.h>
#include <string.h>

#include "apiserver/admission/webhook_review.h"
#include "apiserver/audit/audit_policy.h"

#define REVIEW(response) \
	"{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\",\"response\":" response "}"

static void test_bad_answers(void **state)
{
	static const struct {
		const char *text;
		bool mutating;
		const char *error;
	} rows[] = {
	        {"nonsense", false, ""},
	        {"{}", false, "expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got , Kind="},
	        {REVIEW("null"), false, "webhook response was absent"},
	        {REVIEW("{\"uid\":\"other\",\"allowed\":true}"), false, "expected response.uid=\"u\", got \"other\""},
	        {REVIEW("{\"uid\":\"u\",\"allowed\":true,\"patch\":\"W10=\"}"), false,
	         "validating webhook may not return response.patch"},
	        {REVIEW("{\"uid\":\"u\",\"allowed\":true,\"patch\":\"W10=\"}"), true,
	         "webhook returned response.patch but not response.patchType"},
	        {REVIEW("{\"uid\":\"u\",\"allowed\":true,\"patchType\":\"JSONPatch\"}"), true,
	         "webhook returned response.patchType but not response.patch"},
	        {REVIEW("{\"uid\":\"u\",\"allowed\":true,\"patch\":\"W10=\",\"patchType\":\"Merge\"}"), true,
	         "unsupported patch type \"Merge\""},
	        {REVIEW("{\"uid\":\"u\",\"allowed\":true,\"patch\":\"e30=\",\"patchType\":\"JSONPatch\"}"), true,
	         "response.patch is not a JSON patch"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO(arena_free) struct arena *arena = arena_new(0);
		struct webhook_answer answer;
		struct err err = ERR_INIT;

		assert_true(webhook_answer_read(arena, "w", rows[i].text, strlen(rows[i].text), "u", true,
		                                rows[i].mutating, &answer, &err) < 0);
		if (rows[i].error[0])
			assert_string_equal(err.message, rows[i].error);
	}
}

static void test_refusals(void **state)
{
	static const struct {
		const char *status;
		int code;
		const char *message;
	} rows[] = {
	        {"null", 400, "admission webhook \"w\" denied the request without explanation"},
	        {"{\"code\":200,\"message\":\"no\"}", 400, "admission webhook \"w\" denied the request: no"},
	        {"{\"code\":403,\"reason\":\"Forbidden\"}", 403,
	         "admission webhook \"w\" denied the request: Forbidden"},
	        {"{\"code\":1000,\"message\":\"x\"}", 400, "admission webhook \"w\" denied the request: x"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO(arena_free) struct arena *arena = arena_new(0);
		char *text =
		        arena_printf(arena, REVIEW("{\"uid\":\"u\",\"allowed\":false,\"status\":%s}"), rows[i].status);
		struct webhook_answer answer;

		assert_int_equal(webhook_answer_read(arena, "w", text, strlen(text), "u", true, false, &answer, NULL),
		                 0);
		assert_false(answer.allowed);
		assert_int_equal(answer.refusal->code, rows[i].code);
		assert_string_equal(answer.refusal->message, rows[i].message);
	}
}

// --- audit ------------------------------------------------------------------------------------

static void test_audit_policy(void **state)
{
	static const char text[] =
	        "{\"apiVersion\":\"audit.k8s.io/"
	        "v1\",\"kind\":\"Policy\",\"omitStages\":[\"RequestReceived\"],\"rules\":["
	        "{\"level\":\"None\",\"users\":[\"system:kube-proxy\"],\"verbs\":[\"watch\"]},"
	        "{\"level\":\"None\",\"nonResourceURLs\":[\"/healthz*\"]},"
	        "{\"level\":\"Metadata\",\"resources\":[{\"group\":\"\",\"resources\":[\"pods/log\",\"*/status\"]}]},"
	        "{\"level\":\"RequestResponse\",\"namespaces\":[\"kube-system\"],\"omitStages\":[\"ResponseStarted\"]},"
	        "{\"level\":\"Request\",\"userGroups\":[\"system:authenticated\"],\"resources\":[{\"group\":\"\"},"
	        "{\"group\":\"apps\",\"resources\":[\"deployments\"],\"resourceNames\":[\"web\"]}]}]}";
	static const char *const groups[] = {"system:authenticated"};
	const struct user user = {.name = "u", .groups = groups, .group_count = 1},
	                  proxy = {.name = "system:kube-proxy"};
	const struct {
		struct audit_attributes attributes;
		enum audit_level level;
	} rows[] = {
	        {{&proxy, "watch", true, "", "", "services", "", "", ""}, AUDIT_NONE},
	        {{&user, "get", false, "/healthz/etcd", "", "", "", "", ""}, AUDIT_NONE},
	        {{&user, "get", true, "", "", "pods", "log", "a", "p"}, AUDIT_METADATA},
	        {{&user, "update", true, "", "", "nodes", "status", "", "n"}, AUDIT_METADATA},
	        {{&user, "get", true, "", "batch", "jobs", "", "kube-system", "j"}, AUDIT_REQUEST_RESPONSE},
	        {{&user, "get", true, "", "", "pods", "", "a", "p"}, AUDIT_REQUEST},
	        {{&user, "get", true, "", "apps", "deployments", "", "a", "web"}, AUDIT_REQUEST},
	        {{&user, "get", true, "", "apps", "deployments", "", "a", "other"}, AUDIT_NONE},
	        {{&proxy, "get", true, "", "", "pods", "", "a", "p"}, AUDIT_NONE},
	};
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct audit_policy *policy;
	struct audit_verdict verdict;
	struct json *document;

	(void)state;
	assert_int_equal(json_parse(arena, text, strlen(text), NULL, &document, NULL), 0);
	assert_int_equal(audit_policy_new(document, &policy, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		audit_policy_judge(policy, &rows[i].attributes, &verdict);
		assert_int_equal(verdict.level, rows[i].level);
	}
	audit_policy_judge(policy, &rows[4].attributes, &verdict);
	assert_int_equal(verdict.omitted_stages, 1u << AUDIT_REQUEST_RECEIVED | 1u << AUDIT_RESPONSE_STARTED);
	audit_policy_free(policy);
}

static void test_bad_audit_policies(void **state)
{
	static const char *const texts[] = {
	        "{\"apiVersion\":\"v1\",\"kind\":\"Policy\",\"rules\":[{\"level\":\"None\"}]}",
	        "{\"apiVersion\":\"audit.k8s.io/v1\",\"kind\":\"Policy\",\"rules\":[]}",
	        "{\"apiVersion\":\"audit.k8s.io/v1\",\"kind\":\"Policy\",\"rules\":[{\"level\":\"All\"}]}",
	        "{\"apiVersion\":\"audit.k8s.io/"
	        "v1\",\"kind\":\"Policy\",\"omitStages\":[\"x\"],\"rules\":[{\"level\":\"None\"}]}",
	        "{\"apiVersion\":\"audit.k8s.io/"
	        "v1\",\"kind\":\"Policy\",\"rules\":[{\"level\":\"None\",\"nonResourceURLs\":"
	        "[\"/x\"],\"namespaces\":[\"a\"]}]}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		AUTO(arena_free) struct arena *arena = arena_new(0);
		struct audit_policy *policy;
		struct json *document;
		struct err err = ERR_INIT;

		assert_int_equal(json_parse(arena, texts[i], strlen(texts[i]), NULL, &document, NULL), 0);
		assert_true(audit_policy_new(document, &policy, &err) < 0);
		assert_true(err.message[0] != 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_bad_answers),
	        cmocka_unit_test(test_refusals),
	        cmocka_unit_test(test_audit_policy),
	        cmocka_unit_test(test_bad_audit_policies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
