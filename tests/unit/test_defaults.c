// SPDX-License-Identifier: Apache-2.0
// Defaults: whole objects against what Kubernetes 1.33 answers for them, then
// the computed ones kind by kind.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants the four above first.
#include <cmocka.h>
#include <string.h>

#include "common/api/decode.h"
#include "common/base/macros.h"

static struct json *parse(struct arena *arena, const char *text)
{
	struct json *value = NULL;
	struct err err = ERR_INIT;
	if (json_parse(arena, text, strlen(text), NULL, &value, &err) < 0)
		fail_msg("%s: %s", text, err.message);
	return value;
}

static void fail_different(const char *want, const struct json *have)
{
	struct strbuf text = STRBUF_INIT(1 << 20);
	json_write(&text, have);
	fail_msg("\nwant %s\nhave %s", want, strbuf_text(&text));
}

// A document as a decode would leave it, which must not change a second time.
static struct json *decoded(struct arena *arena, const char *openapi_name, const char *text)
{
	const struct schema_type *type = schema_find_type(openapi_name);
	struct json *value = parse(arena, text);
	struct err err = ERR_INIT;
	assert_non_null(type);
	if (schema_normalize(arena, type, value, NULL, &err) < 0)
		fail_msg("%s: %s", text, err.message);
	schema_apply_defaults(arena, type, value);
	schema_fill_shape(arena, type, value);
	struct json *again = json_clone(arena, value);
	assert_int_equal(schema_normalize(arena, type, again, NULL, &err), 0);
	schema_apply_defaults(arena, type, again);
	schema_fill_shape(arena, type, again);
	assert_true(json_equal(value, again));
	return value;
}

static void check_whole(const char *openapi_name, const char *text, const char *want)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct json *value = decoded(arena, openapi_name, text);
	if (!json_equal(parse(arena, want), value))
		fail_different(want, value);
}

static void a_deployment_as_upstream(void **state)
{
	(void)state;
	check_whole(
	        "io.k8s.api.apps.v1.Deployment",
	        "{\"apiVersion\":\"apps/"
	        "v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"web\",\"labels\":{\"app\":\"web\"}},"
	        "\"spec\":{\"selector\":{\"matchLabels\":{\"app\":\"web\"}},\"template\":{\"metadata\":{\"labels\":{"
	        "\"app\":\"web\"}},"
	        "\"spec\":{\"containers\":[{\"name\":\"nginx\",\"image\":\"nginx:1.14.2\",\"ports\":[{"
	        "\"containerPort\":80}],"
	        "\"env\":[{\"name\":\"E\",\"value\":\"\"},{\"name\":\"IP\",\"valueFrom\":{\"fieldRef\":{\"fieldPath\":"
	        "\"status.podIP\"}}}],"
	        "\"resources\":{\"limits\":{\"cpu\":\"0.5\",\"memory\":\"128Mi\"}},"
	        "\"readinessProbe\":{\"httpGet\":{\"port\":80}}}],\"hostNetwork\":true}}}}",
	        "{\"apiVersion\":\"apps/"
	        "v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"web\",\"creationTimestamp\":null,"
	        "\"labels\":{\"app\":\"web\"}},\"spec\":{\"replicas\":1,\"selector\":{\"matchLabels\":{\"app\":\"web\"}"
	        "},"
	        "\"template\":{\"metadata\":{\"creationTimestamp\":null,\"labels\":{\"app\":\"web\"}},\"spec\":{"
	        "\"containers\":["
	        "{\"name\":\"nginx\",\"image\":\"nginx:1.14.2\",\"ports\":[{\"containerPort\":80,\"protocol\":\"TCP\"}]"
	        ","
	        "\"env\":[{\"name\":\"E\"},{\"name\":\"IP\",\"valueFrom\":{\"fieldRef\":{\"apiVersion\":\"v1\","
	        "\"fieldPath\":\"status.podIP\"}}}],"
	        "\"resources\":{\"limits\":{\"cpu\":\"500m\",\"memory\":\"128Mi\"}},"
	        "\"readinessProbe\":{\"httpGet\":{\"path\":\"/\",\"port\":80,\"scheme\":\"HTTP\"},\"timeoutSeconds\":1,"
	        "\"periodSeconds\":10,\"successThreshold\":1,\"failureThreshold\":3},"
	        "\"terminationMessagePath\":\"/dev/termination-log\",\"terminationMessagePolicy\":\"File\","
	        "\"imagePullPolicy\":\"IfNotPresent\"}],\"restartPolicy\":\"Always\",\"terminationGracePeriodSeconds\":"
	        "30,"
	        "\"dnsPolicy\":\"ClusterFirst\",\"hostNetwork\":true,\"securityContext\":{},\"schedulerName\":"
	        "\"default-scheduler\"}},"
	        "\"strategy\":{\"type\":\"RollingUpdate\",\"rollingUpdate\":{\"maxUnavailable\":\"25%\",\"maxSurge\":"
	        "\"25%\"}},"
	        "\"revisionHistoryLimit\":10,\"progressDeadlineSeconds\":600},\"status\":{}}");
}

static void a_pod_as_upstream(void **state)
{
	(void)state;
	check_whole("io.k8s.api.core.v1.Pod",
	            "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\",\"namespace\":\"default\"},"
	            "\"spec\":{"
	            "\"serviceAccount\":\"builder\",\"hostNetwork\":true,\"initContainers\":[{\"name\":\"i\",\"image\":"
	            "\"busybox\","
	            "\"lifecycle\":{\"preStop\":{\"httpGet\":{\"port\":\"x\"}}},\"livenessProbe\":{\"grpc\":{\"port\":"
	            "1}}}],"
	            "\"containers\":[{\"name\":\"c\",\"image\":\"r.example:5000/"
	            "a@sha256:00\",\"ports\":[{\"containerPort\":53,\"protocol\":\"UDP\"}],"
	            "\"resources\":{\"limits\":{\"cpu\":\"0.0001\",\"memory\":\"1Gi\"},\"requests\":{\"memory\":"
	            "\"1Mi\"}}}],"
	            "\"volumes\":[{\"name\":\"a\"},{\"name\":\"b\",\"secret\":{\"secretName\":\"s\"}},{\"name\":\"c\","
	            "\"projected\":{\"sources\":["
	            "{\"serviceAccountToken\":{\"path\":\"t\"}},{\"downwardAPI\":{\"items\":[{\"path\":\"n\","
	            "\"fieldRef\":{\"fieldPath\":\"metadata.name\"}}]}}]}},"
	            "{\"name\":\"d\",\"hostPath\":{\"path\":\"/\"}}]}}",
	            "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\",\"namespace\":\"default\","
	            "\"creationTimestamp\":null},"
	            "\"spec\":{\"serviceAccount\":\"builder\",\"serviceAccountName\":\"builder\",\"hostNetwork\":true,"
	            "\"initContainers\":["
	            "{\"name\":\"i\",\"image\":\"busybox\",\"lifecycle\":{\"preStop\":{\"httpGet\":{\"path\":\"/"
	            "\",\"port\":\"x\",\"scheme\":\"HTTP\"}}},"
	            "\"livenessProbe\":{\"grpc\":{\"port\":1,\"service\":\"\"},\"timeoutSeconds\":1,\"periodSeconds\":"
	            "10,\"successThreshold\":1,"
	            "\"failureThreshold\":3},\"resources\":{},\"terminationMessagePath\":\"/dev/termination-log\","
	            "\"terminationMessagePolicy\":\"File\",\"imagePullPolicy\":\"Always\"}],\"containers\":[{\"name\":"
	            "\"c\","
	            "\"image\":\"r.example:5000/"
	            "a@sha256:00\",\"ports\":[{\"hostPort\":53,\"containerPort\":53,\"protocol\":\"UDP\"}],"
	            "\"resources\":{\"limits\":{\"cpu\":\"1m\",\"memory\":\"1Gi\"},\"requests\":{\"cpu\":\"1m\","
	            "\"memory\":\"1Mi\"}},"
	            "\"terminationMessagePath\":\"/dev/termination-log\",\"terminationMessagePolicy\":\"File\","
	            "\"imagePullPolicy\":\"IfNotPresent\"}],\"volumes\":[{\"name\":\"a\",\"emptyDir\":{}},{\"name\":"
	            "\"b\",\"secret\":{"
	            "\"secretName\":\"s\",\"defaultMode\":420}},{\"name\":\"c\",\"projected\":{\"sources\":[{"
	            "\"serviceAccountToken\":{"
	            "\"path\":\"t\",\"expirationSeconds\":3600}},{\"downwardAPI\":{\"items\":[{\"path\":\"n\","
	            "\"fieldRef\":{\"apiVersion\":\"v1\","
	            "\"fieldPath\":\"metadata.name\"}}]}}],\"defaultMode\":420}},{\"name\":\"d\",\"hostPath\":{"
	            "\"path\":\"/\",\"type\":\"\"}}],"
	            "\"restartPolicy\":\"Always\",\"terminationGracePeriodSeconds\":30,\"dnsPolicy\":\"ClusterFirst\","
	            "\"securityContext\":{},"
	            "\"schedulerName\":\"default-scheduler\",\"enableServiceLinks\":true},\"status\":{}}");
}

// One path of a decoded object and its compact text; NULL = absent.
struct expectation {
	const char *type;
	const char *text;
	const char *path; // keys and indices, separated by '/'
	const char *want;
};

static const struct json *walk(struct arena *arena, const struct json *value, const char *path)
{
	char *rest = arena_strdup(arena, path);
	for (char *key; value != NULL && (key = strsep(&rest, "/")) != NULL;) {
		if (json_is(value, JSON_ARRAY))
			value = (size_t)(key[0] - '0') < value->length ? value->items[key[0] - '0'] : NULL;
		else
			value = json_get(value, key);
	}
	return value;
}

static void check_expectation(const struct expectation *row)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	const struct json *value = walk(arena, decoded(arena, row->type, row->text), row->path);
	if (row->want == NULL) {
		if (value != NULL)
			fail_msg("%s: %s is there", row->text, row->path);
	} else if (value == NULL) {
		fail_msg("%s: %s is absent", row->text, row->path);
	} else if (!json_equal(parse(arena, row->want), value)) {
		fail_different(row->want, value);
	}
}

#define CORE "io.k8s.api.core.v1."
#define APPS "io.k8s.api.apps.v1."
#define BATCH "io.k8s.api.batch.v1."
#define SCALING "io.k8s.api.autoscaling."
#define CRD "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition"

static void computed_defaults(void **state)
{
	(void)state;
	static const struct expectation rows[] = {
	        {CORE "Container", "{\"image\":\"a/b:latest\"}", "imagePullPolicy", "\"Always\""},
	        {CORE "Container", "{\"image\":\"localhost:5000/b\"}", "imagePullPolicy", "\"Always\""},
	        {CORE "Container", "{\"image\":\"localhost:5000/b:1\"}", "imagePullPolicy", "\"IfNotPresent\""},
	        {CORE "Container", "{\"image\":\"b:latest@sha256:0\"}", "imagePullPolicy", "\"Always\""},
	        {CORE "Container", "{}", "imagePullPolicy", "\"IfNotPresent\""},
	        {CORE "Container", "{\"image\":\"Bad\"}", "imagePullPolicy", "\"IfNotPresent\""},
	        {CORE "EphemeralContainer", "{\"image\":\"b\"}", "imagePullPolicy", "\"Always\""},
	        {CORE "EphemeralContainer", "{}", "terminationMessagePolicy", "\"File\""},
	        {CORE "Service", "{\"spec\":{\"ports\":[{\"port\":80}]}}", "spec",
	         "{\"ports\":[{\"port\":80,\"targetPort\":80,\"protocol\":\"TCP\"}],\"type\":\"ClusterIP\","
	         "\"sessionAffinity\":\"None\",\"internalTrafficPolicy\":\"Cluster\"}"},
	        {CORE "Service", "{\"spec\":{\"type\":\"LoadBalancer\",\"sessionAffinity\":\"ClientIP\"}}", "spec",
	         "{\"type\":\"LoadBalancer\",\"sessionAffinity\":\"ClientIP\",\"internalTrafficPolicy\":\"Cluster\","
	         "\"externalTrafficPolicy\":\"Cluster\",\"allocateLoadBalancerNodePorts\":true,"
	         "\"sessionAffinityConfig\":{\"clientIP\":{\"timeoutSeconds\":10800}}}"},
	        {CORE "Service", "{\"spec\":{\"type\":\"ExternalName\",\"externalName\":\"x\"}}", "spec",
	         "{\"type\":\"ExternalName\",\"externalName\":\"x\",\"sessionAffinity\":\"None\"}"},
	        {CORE "Service", "{\"spec\":{\"externalIPs\":[\"1.2.3.4\"]}}", "spec/externalTrafficPolicy",
	         "\"Cluster\""},
	        {CORE "Service",
	         "{\"spec\":{\"type\":\"LoadBalancer\"},\"status\":{\"loadBalancer\":{\"ingress\":[{\"ip\":\"1.1.1.1\"}"
	         "]}}}",
	         "status/loadBalancer/ingress/0/ipMode", "\"VIP\""},
	        {CORE "Secret", "{\"data\":{\"a\":\"AA==\"},\"stringData\":{\"a\":\"hello\",\"b\":\"\"}}", "data",
	         "{\"a\":\"aGVsbG8=\",\"b\":\"\"}"},
	        {CORE "Secret", "{\"stringData\":{\"a\":\"x\"}}", "stringData", NULL},
	        {CORE "Secret", "{}", "type", "\"Opaque\""},
	        {CORE "Namespace", "{\"metadata\":{\"name\":\"n\"}}", "metadata/labels",
	         "{\"kubernetes.io/metadata.name\":\"n\"}"},
	        {CORE "Namespace", "{}", "status", "{\"phase\":\"Active\"}"},
	        {CORE "Node", "{\"status\":{\"capacity\":{\"cpu\":\"1\"}}}", "status/allocatable", "{\"cpu\":\"1\"}"},
	        {CORE "PersistentVolume", "{\"spec\":{\"capacity\":{\"storage\":\"1Gi\"}}}", "spec",
	         "{\"capacity\":{\"storage\":\"1Gi\"},\"persistentVolumeReclaimPolicy\":\"Retain\",\"volumeMode\":"
	         "\"Filesystem\"}"},
	        {CORE "PersistentVolumeClaim", "{}", "status", "{\"phase\":\"Pending\"}"},
	        {CORE "LimitRange",
	         "{\"spec\":{\"limits\":[{\"type\":\"Container\",\"max\":{\"cpu\":\"2\"},\"min\":{\"cpu\":\"1\","
	         "\"memory\":\"1Mi\"}}]}}",
	         "spec/limits/0",
	         "{\"type\":\"Container\",\"max\":{\"cpu\":\"2\"},\"min\":{\"cpu\":\"1\",\"memory\":\"1Mi\"},"
	         "\"default\":{\"cpu\":\"2\"},\"defaultRequest\":{\"cpu\":\"2\",\"memory\":\"1Mi\"}}"},
	        {CORE "ReplicationController", "{\"spec\":{\"template\":{\"metadata\":{\"labels\":{\"a\":\"b\"}}}}}",
	         "spec/selector", "{\"a\":\"b\"}"},
	        {CORE "Endpoints", "{\"subsets\":[{\"ports\":[{\"port\":1}]}]}", "subsets/0/ports/0/protocol",
	         "\"TCP\""},
	        {CORE "PodTemplate", "{\"template\":{\"spec\":{}}}", "template/spec/enableServiceLinks", NULL},
	        {APPS "Deployment", "{\"spec\":{\"replicas\":0,\"strategy\":{\"type\":\"Recreate\"}}}", "spec/strategy",
	         "{\"type\":\"Recreate\"}"},
	        {APPS "Deployment", "{\"spec\":{\"replicas\":0}}", "spec/replicas", "0"},
	        {APPS "Deployment", "{\"spec\":{\"strategy\":{\"rollingUpdate\":{\"maxSurge\":0}}}}",
	         "spec/strategy/rollingUpdate", "{\"maxSurge\":0,\"maxUnavailable\":\"25%\"}"},
	        {APPS "DaemonSet", "{}", "spec/updateStrategy",
	         "{\"type\":\"RollingUpdate\",\"rollingUpdate\":{\"maxUnavailable\":1,\"maxSurge\":0}}"},
	        {APPS "StatefulSet", "{}", "spec/updateStrategy",
	         "{\"type\":\"RollingUpdate\",\"rollingUpdate\":{\"partition\":0}}"},
	        {APPS "StatefulSet", "{\"spec\":{\"updateStrategy\":{\"type\":\"RollingUpdate\"}}}",
	         "spec/updateStrategy", "{\"type\":\"RollingUpdate\"}"},
	        {APPS "StatefulSet", "{}", "spec/persistentVolumeClaimRetentionPolicy",
	         "{\"whenDeleted\":\"Retain\",\"whenScaled\":\"Retain\"}"},
	        {APPS "StatefulSet", "{\"spec\":{\"volumeClaimTemplates\":[{\"spec\":{}}]}}",
	         "spec/volumeClaimTemplates/0",
	         "{\"apiVersion\":\"v1\",\"kind\":\"PersistentVolumeClaim\",\"metadata\":{\"creationTimestamp\":null},"
	         "\"spec\":{\"resources\":{},\"volumeMode\":\"Filesystem\"},\"status\":{\"phase\":\"Pending\"}}"},
	        {BATCH "Job", "{\"spec\":{\"template\":{\"metadata\":{\"labels\":{\"a\":\"b\"}}}}}", "metadata/labels",
	         "{\"a\":\"b\"}"},
	        {BATCH "Job", "{}", "spec/completions", "1"},
	        {BATCH "Job", "{\"spec\":{\"parallelism\":2}}", "spec/completions", NULL},
	        {BATCH "Job", "{\"spec\":{\"backoffLimitPerIndex\":1}}", "spec/backoffLimit", "2147483647"},
	        {BATCH "Job", "{}", "spec/podReplacementPolicy", "\"TerminatingOrFailed\""},
	        {BATCH "CronJob", "{}", "spec/jobTemplate/spec/backoffLimit", NULL},
	        {BATCH "CronJob", "{}", "spec/jobTemplate/spec/template/spec/restartPolicy", "\"Always\""},
	        {BATCH "CronJob", "{}", "spec/successfulJobsHistoryLimit", "3"},
	        {SCALING "v1.HorizontalPodAutoscaler", "{}", "spec/targetCPUUtilizationPercentage", "80"},
	        {SCALING "v2.HorizontalPodAutoscaler", "{}", "spec/metrics/0/resource/target/averageUtilization", "80"},
	        {SCALING "v2.HorizontalPodAutoscaler", "{}", "spec/behavior", NULL},
	        {SCALING "v2.HorizontalPodAutoscaler", "{\"spec\":{\"behavior\":{}}}", "spec/behavior/scaleDown",
	         "{\"selectPolicy\":\"Max\",\"policies\":[{\"type\":\"Percent\",\"value\":100,\"periodSeconds\":15}]}"},
	        {"io.k8s.api.networking.v1.NetworkPolicy", "{\"spec\":{\"egress\":[{}]}}", "spec/policyTypes",
	         "[\"Ingress\",\"Egress\"]"},
	        {"io.k8s.api.networking.v1.NetworkPolicy", "{}", "spec",
	         "{\"podSelector\":{},\"policyTypes\":[\"Ingress\"]}"},
	        {"io.k8s.api.networking.v1.IngressClass", "{\"spec\":{\"parameters\":{\"kind\":\"K\",\"name\":\"n\"}}}",
	         "spec/parameters/scope", "\"Cluster\""},
	        {"io.k8s.api.rbac.v1.RoleBinding", "{\"subjects\":[{\"kind\":\"User\",\"name\":\"u\"}]}",
	         "subjects/0/apiGroup", "\"rbac.authorization.k8s.io\""},
	        {"io.k8s.api.rbac.v1.RoleBinding", "{\"subjects\":[{\"kind\":\"ServiceAccount\",\"name\":\"u\"}]}",
	         "subjects/0/apiGroup", NULL},
	        {"io.k8s.api.storage.v1.StorageClass", "{}", "volumeBindingMode", "\"Immediate\""},
	        {"io.k8s.api.storage.v1.CSIDriver", "{}", "spec/volumeLifecycleModes", "[\"Persistent\"]"},
	        {"io.k8s.api.storage.v1.VolumeAttachment", "{\"spec\":{\"source\":{\"inlineVolumeSpec\":{}}}}",
	         "spec/source/inlineVolumeSpec", "{}"},
	        {"io.k8s.api.discovery.v1.EndpointSlice", "{\"ports\":[{}]}", "ports/0",
	         "{\"name\":\"\",\"protocol\":\"TCP\"}"},
	        {"io.k8s.api.scheduling.v1.PriorityClass", "{}", "preemptionPolicy", "\"PreemptLowerPriority\""},
	        {"io.k8s.api.admissionregistration.v1.ValidatingWebhookConfiguration",
	         "{\"webhooks\":[{\"rules\":[{}],\"clientConfig\":{\"service\":{}}}]}", "webhooks/0",
	         "{\"name\":\"\",\"admissionReviewVersions\":null,\"sideEffects\":null,\"rules\":[{\"scope\":\"*\"}],"
	         "\"clientConfig\":{\"service\":{\"namespace\":\"\",\"name\":\"\",\"port\":443}},\"failurePolicy\":"
	         "\"Fail\","
	         "\"matchPolicy\":\"Equivalent\",\"namespaceSelector\":{},\"objectSelector\":{},\"timeoutSeconds\":"
	         "10}"},
	        {CRD,
	         "{\"spec\":{\"names\":{\"kind\":\"FooBar\",\"plural\":\"foobars\"},\"versions\":[{\"name\":\"v1\"},"
	         "{\"name\":\"v2\",\"storage\":true}]}}",
	         "spec/names",
	         "{\"kind\":\"FooBar\",\"plural\":\"foobars\",\"singular\":\"foobar\",\"listKind\":\"FooBarList\"}"},
	        {CRD, "{\"spec\":{\"versions\":[{\"name\":\"v1\"},{\"name\":\"v2\",\"storage\":true}]}}",
	         "status/storedVersions", "[\"v2\"]"},
	        {CRD, "{}", "spec/conversion", "{\"strategy\":\"None\"}"},
	        {"io.k8s.api.flowcontrol.v1.FlowSchema", "{}", "spec/matchingPrecedence", "1000"},
	        {"io.k8s.api.authentication.v1.TokenRequest", "{}", "spec/expirationSeconds", "3600"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		check_expectation(&rows[i]);
}

// What a manifest sets is never overwritten: each static default's field keeps another value.
static void static_defaults_yield(void **state)
{
	(void)state;
	static const struct expectation rows[] = {
	        {CORE "PodSpec", "{\"dnsPolicy\":\"Default\"}", "dnsPolicy", "\"Default\""},
	        {CORE "PodSpec", "{\"terminationGracePeriodSeconds\":0}", "terminationGracePeriodSeconds", "0"},
	        {CORE "Probe", "{\"periodSeconds\":0}", "periodSeconds", "10"},
	        {CORE "LocalObjectReference", "{}", "name", NULL},
	        {CORE "Container", "{\"image\":\"a\",\"imagePullPolicy\":\"Never\"}", "imagePullPolicy", "\"Never\""},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		check_expectation(&rows[i]);
}

// Every default of the tables is a JSON value of its field's type.
static void static_defaults_are_valid(void **state)
{
	(void)state;
	size_t seen = 0;
	for (size_t i = 0; i < schema_type_count; i++) {
		const struct schema_type *type = schema_types[i];
		for (size_t j = 0; j < type->field_count; j++) {
			const struct schema_field *field = &type->fields[j];
			if (field->default_json == NULL)
				continue;
			AUTO(arena_free) struct arena *arena = arena_new(0);
			struct err err = ERR_INIT;
			if (schema_normalize(arena, field->type, parse(arena, field->default_json), NULL, &err) < 0)
				fail_msg("%s.%s: %s", type->openapi_name, field->json_name, err.message);
			seen++;
		}
	}
	assert_true(seen > 90);
}

// Defaults come to an end on the least document of every kind.
static void every_kind_settles(void **state)
{
	(void)state;
	for (size_t i = 0; i < schema_resource_count; i++) {
		AUTO(arena_free) struct arena *arena = arena_new(0);
		(void)decoded(arena, schema_resources[i]->type->openapi_name, "{}");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_deployment_as_upstream),  cmocka_unit_test(a_pod_as_upstream),
	        cmocka_unit_test(computed_defaults),         cmocka_unit_test(static_defaults_yield),
	        cmocka_unit_test(static_defaults_are_valid), cmocka_unit_test(every_kind_settles),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
