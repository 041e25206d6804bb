// SPDX-License-Identifier: Apache-2.0
// Descriptions of sample objects, and what apply and rollouts make of them. The
// expected texts are those of kubectl 1.33.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/api/patch.h"
#include "ctl/ctl.h"
#include "ctl/describe/describe.h"
#include "ctl/last_applied.h"
#include "ctl/rollout_status.h"

static struct ctl ctl;

static struct json *parse(const char *text)
{
	struct json *value = NULL;
	assert_int_equal(json_parse(ctl.arena, text, strlen(text), NULL, &value, NULL), 0);
	return value;
}

static void expect_description(const char *group, const char *plural, const char *object, const char *expected)
{
	AUTO_STRBUF struct strbuf out = STRBUF_INIT(65536);
	const struct target target = {.resource = schema_find_resource(group, "v1", plural), .object = parse(object)};
	describe_object(&ctl, &target, false, &out);
	assert_string_equal(strbuf_text(&out), expected);
}

static void a_pod(void **state)
{
	(void)state;
	expect_description(
	        "", "pods",
	        "{\"metadata\":{\"name\":\"p1\",\"namespace\":\"default\",\"labels\":{\"k\":\"v\",\"app\":\"a\"}},"
	        "\"spec\":{\"serviceAccountName\":\"default\","
	        "\"priority\":0,\"nodeName\":\"n1\",\"containers\":[{\"name\":\"a\",\"image\":\"b\",\"command\":["
	        "\"sh\",\"-c\"],\"ports\":[{\"containerPort\":80}],"
	        "\"resources\":{\"limits\":{\"memory\":\"32Mi\"}},\"env\":[{\"name\":\"X\",\"value\":\"y\"}],"
	        "\"volumeMounts\":[{\"name\":\"v\",\"mountPath\":\"/v\"}],"
	        "\"readinessProbe\":{\"httpGet\":{\"path\":\"/"
	        "ok\",\"port\":80,\"scheme\":\"HTTP\"},\"periodSeconds\":5}}],"
	        "\"volumes\":[{\"name\":\"v\",\"emptyDir\":{}}],\"tolerations\":[{\"key\":\"a/"
	        "b\",\"operator\":\"Exists\",\"effect\":\"NoExecute\",\"tolerationSeconds\":300}]},"
	        "\"status\":{\"phase\":\"Pending\",\"qosClass\":\"Burstable\",\"hostIP\":\"10.0.0.1\","
	        "\"containerStatuses\":[{\"name\":\"a\",\"ready\":false,"
	        "\"restartCount\":2,\"state\":{\"waiting\":{\"reason\":\"ErrImageNeverPull\"}}}],\"conditions\":[{"
	        "\"type\":\"Ready\",\"status\":\"False\"}]}}",
	        "Name:             p1\n"
	        "Namespace:        default\n"
	        "Priority:         0\n"
	        "Service Account:  default\n"
	        "Node:             n1/10.0.0.1\n"
	        "Labels:           app=a\n"
	        "                  k=v\n"
	        "Annotations:      <none>\n"
	        "Status:           Pending\n"
	        "IP:               \n"
	        "IPs:              <none>\n"
	        "Containers:\n"
	        "  a:\n"
	        "    Container ID:  \n"
	        "    Image:         b\n"
	        "    Image ID:      \n"
	        "    Port:          80/TCP\n"
	        "    Host Port:     0/TCP\n"
	        "    Command:\n"
	        "      sh\n"
	        "      -c\n"
	        "    State:          Waiting\n"
	        "      Reason:       ErrImageNeverPull\n"
	        "    Ready:          False\n"
	        "    Restart Count:  2\n"
	        "    Limits:\n"
	        "      memory:   32Mi\n"
	        "    Readiness:  http-get http://:80/ok delay=0s timeout=1s period=5s #success=1 #failure=3\n"
	        "    Environment:\n"
	        "      X:  y\n"
	        "    Mounts:\n"
	        "      /v from v (rw)\n"
	        "Conditions:\n"
	        "  Type    Status\n"
	        "  Ready   False \n"
	        "Volumes:\n"
	        "  v:\n"
	        "    Type:        EmptyDir (a temporary directory that shares a pod's lifetime)\n"
	        "    Medium:      \n"
	        "    SizeLimit:   <unset>\n"
	        "QoS Class:       Burstable\n"
	        "Node-Selectors:  <none>\n"
	        "Tolerations:     a/b:NoExecute op=Exists for 300s\n");
}

static void a_secret_hides_its_data(void **state)
{
	(void)state;
	expect_description("", "secrets",
	                   "{\"metadata\":{\"name\":\"s\",\"namespace\":\"d\"},\"type\":\"Opaque\",\"data\":{\"b\":"
	                   "\"AAEC\",\"a\":\"eA==\"}}",
	                   "Name:         s\nNamespace:    d\nLabels:       <none>\nAnnotations:  <none>\n\nType:  "
	                   "Opaque\n\nData\n====\n"
	                   "a:  1 bytes\nb:  3 bytes\n");
}

static void a_kind_without_a_describer(void **state)
{
	(void)state;
	expect_description("coordination.k8s.io", "leases",
	                   "{\"apiVersion\":\"coordination.k8s.io/"
	                   "v1\",\"kind\":\"Lease\",\"metadata\":{\"name\":\"l\",\"namespace\":\"d\",\"uid\":\"1\"},"
	                   "\"spec\":{\"holderIdentity\":\"n1\",\"list\":[\"x\",{\"podIPs\":1}]}}",
	                   "Name:         l\nNamespace:    d\nLabels:       <none>\nAnnotations:  <none>\n"
	                   "API Version:  coordination.k8s.io/v1\nKind:         Lease\nMetadata:\n  UID:  1\nSpec:\n  "
	                   "Holder Identity:  n1\n"
	                   "  List:\n    x\n    Pod I Ps:  1\n");
}

// --- apply -------------------------------------------------------------------------------------

static void the_annotation_is_canonical(void **state)
{
	(void)state;
	struct json *object =
	        parse("{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"p\",\"annotations\":{"
	              "\"" LAST_APPLIED_ANNOTATION "\":\"old\"}},\"spec\":{\"x\":\"<&>\"}}");
	last_applied_set(&ctl, object);
	assert_string_equal(json_text(json_path(object, "metadata", "annotations", LAST_APPLIED_ANNOTATION)),
	                    "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"annotations\":{},\"name\":\"p\"},"
	                    "\"spec\":{\"x\":\"\\u003c\\u0026\\u003e\"}}\n");
	assert_string_equal(json_text(json_path(last_applied_get(&ctl, object), "spec", "x")), "<&>");
}

static void a_second_apply_is_empty_and_a_field_that_left_goes(void **state)
{
	(void)state;
	const struct schema_type *type = schema_find_resource("apps", "v1", "deployments")->type;
	const struct json *first = parse("{\"spec\":{\"replicas\":3,\"paused\":true}}"),
	                  *second = parse("{\"spec\":{\"replicas\":4}}");
	const struct json *live = parse("{\"spec\":{\"replicas\":3,\"paused\":true,\"minReadySeconds\":7}}");
	struct json *patch = NULL;
	struct err err = ERR_INIT;
	assert_int_equal(patch_make_three_way_strategic(ctl.arena, type, first, first, live, &patch, &err), 0);
	assert_true(!patch || patch->length == 0);
	assert_int_equal(patch_make_three_way_strategic(ctl.arena, type, first, second, live, &patch, &err), 0);
	assert_true(json_equal(patch, parse("{\"spec\":{\"replicas\":4,\"paused\":null}}")));
}

// --- rollout status -----------------------------------------------------------------------------

static void expect_rollout(const char *status, enum rollout_state expected, const char *text)
{
	AUTO_STRBUF struct strbuf out = STRBUF_INIT(65536);
	struct err err = ERR_INIT;
	const char *object = ctl_printf(&ctl,
	                                "{\"kind\":\"Deployment\",\"metadata\":{\"name\":\"web\",\"generation\":2},"
	                                "\"spec\":{\"replicas\":3},\"status\":%s}",
	                                status);
	assert_int_equal(rollout_status(parse(object), 0, &out, &err), expected);
	assert_string_equal(expected == ROLLOUT_FAILED ? err.message : strbuf_text(&out), text);
}

static void rollouts_go_on_in_steps(void **state)
{
	(void)state;
	expect_rollout("{\"observedGeneration\":1}", ROLLOUT_WAITING,
	               "Waiting for deployment spec update to be observed...\n");
	expect_rollout(
	        "{\"observedGeneration\":2,\"updatedReplicas\":1,\"replicas\":4}", ROLLOUT_WAITING,
	        "Waiting for deployment \"web\" rollout to finish: 1 out of 3 new replicas have been updated...\n");
	expect_rollout("{\"observedGeneration\":2,\"updatedReplicas\":3,\"replicas\":4}", ROLLOUT_WAITING,
	               "Waiting for deployment \"web\" rollout to finish: 1 old replicas are pending termination...\n");
	expect_rollout("{\"observedGeneration\":2,\"updatedReplicas\":3,\"replicas\":3,\"availableReplicas\":2}",
	               ROLLOUT_WAITING,
	               "Waiting for deployment \"web\" rollout to finish: 2 of 3 updated replicas are available...\n");
	expect_rollout("{\"observedGeneration\":2,\"updatedReplicas\":3,\"replicas\":3,\"availableReplicas\":3}",
	               ROLLOUT_DONE, "deployment \"web\" successfully rolled out\n");
	expect_rollout("{\"observedGeneration\":2,\"conditions\":[{\"type\":\"Progressing\",\"reason\":"
	               "\"ProgressDeadlineExceeded\"}]}",
	               ROLLOUT_FAILED, "deployment \"web\" exceeded its progress deadline");
}

static int set_up(void **state)
{
	(void)state;
	ctl.arena = arena_new(0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	ctl.arena = arena_free(ctl.arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(a_pod, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(a_secret_hides_its_data, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(a_kind_without_a_describer, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(the_annotation_is_canonical, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(a_second_apply_is_empty_and_a_field_that_left_goes, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(rollouts_go_on_in_steps, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
