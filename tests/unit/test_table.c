// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/api/object.h"
#include "common/api/table.h"

// Five minutes after the objects' creation.
#define CREATED "2026-11-22T18:00:00Z"
#define META(name) "\"metadata\":{\"name\":\"" name "\",\"creationTimestamp\":\"" CREATED "\"}"
#define AGE "5m"

static int64_t now_ns(void)
{
	int64_t created_ns = 0;
	assert_true(api_time_parse(CREATED, &created_ns));
	return created_ns + INT64_C(300) * 1000000000;
}

static const struct schema_resource *find(const char *group, const char *kind)
{
	for (size_t i = 0; i < schema_resource_count; i++)
		if (strcmp(schema_resources[i]->group, group) == 0 && strcmp(schema_resources[i]->kind, kind) == 0)
			return schema_resources[i];
	fail_msg("no kind %s in group %s", kind, group);
	return NULL;
}

static void check(const char *group, const char *kind, const char *object, const char *cells)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	AUTO_STRBUF struct strbuf out = STRBUF_INIT(1 << 20);
	struct json *value = NULL;
	struct err err = ERR_INIT;
	if (json_parse(arena, object, strlen(object), NULL, &value, &err))
		fail_msg("%s: %s", object, err.message);
	json_write(&out, table_cells(arena, find(group, kind), value, now_ns()));
	if (strcmp(strbuf_text(&out), cells) != 0)
		fail_msg("%s %s:\n  %s, not\n  %s", kind, object, strbuf_text(&out), cells);
}

// Every kind makes as many cells as it has columns, even of an object that holds nothing.
static void test_cells_match_columns(void **state)
{
	(void)state;
	for (size_t i = 0; i < schema_resource_count; i++) {
		const struct schema_resource *resource = schema_resources[i];
		if (strcmp(resource->group, "metrics.k8s.io") == 0)
			continue; // served by an aggregated server, which makes its own
		AUTO(arena_free) struct arena *arena = arena_new(0);
		struct json *cells = table_cells(arena, resource, json_object(arena), now_ns());
		struct json *definitions = table_column_definitions(arena, resource);
		size_t extra = strcmp(resource->kind, "IPAddress") == 0;
		if (cells->length != definitions->length + extra)
			fail_msg("%s: %u cells for %u columns", resource->kind, cells->length, definitions->length);
		json_for_each_item (definition, definitions)
			assert_true(json_get_text(definition, "name") && json_get_text(definition, "type"));
	}
}

#define POD_CELLS(ready, status, restarts)                                                                           \
	"[\"p\",\"" ready "\",\"" status "\",\"" restarts "\",\"" AGE "\",\"<none>\",\"<none>\",\"<none>\",\"<none>" \
	"\"]"
#define POD(spec, status) "{" META("p") ",\"spec\":{" spec "},\"status\":{" status "}}"
#define TWO "\"containers\":[{\"name\":\"a\"},{\"name\":\"b\"}]"
#define INIT "\"initContainers\":[{\"name\":\"i\"},{\"name\":\"s\",\"restartPolicy\":\"Always\"}],"

static void test_pods(void **state)
{
	static const struct {
		const char *object, *cells;
	} rows[] = {
	        {POD(TWO, "\"phase\":\"Pending\""), POD_CELLS("0/2", "Pending", "0")},
	        {POD(TWO, "\"phase\":\"Pending\",\"conditions\":[{\"type\":\"PodScheduled\",\"status\":\"False\","
	                  "\"reason\":\"SchedulingGated\"}]"),
	         POD_CELLS("0/2", "SchedulingGated", "0")},
	        {POD(TWO, "\"phase\":\"Running\",\"containerStatuses\":[{\"name\":\"a\",\"ready\":true,\"state\":{"
	                  "\"running\":{}}},"
	                  "{\"name\":\"b\",\"ready\":true,\"restartCount\":2,\"state\":{\"running\":{}},\"lastState\":{"
	                  "\"terminated\":{\"finishedAt\":\"2026-11-22T18:03:00Z\"}}}]"),
	         POD_CELLS("2/2", "Running", "2 (2m ago)")},
	        {POD(TWO, "\"phase\":\"Running\",\"containerStatuses\":[{\"name\":\"a\",\"restartCount\":3,\"state\":{"
	                  "\"waiting\":{\"reason\":\"CrashLoopBackOff\"}}},"
	                  "{\"name\":\"b\",\"ready\":true,\"state\":{\"running\":{}}}]"),
	         POD_CELLS("1/2", "CrashLoopBackOff", "3")},
	        {POD(TWO, "\"phase\":\"Running\",\"containerStatuses\":[{\"name\":\"a\",\"state\":{\"terminated\":{"
	                  "\"reason\":\"Completed\"}}},"
	                  "{\"name\":\"b\",\"ready\":true,\"state\":{\"running\":{}}}]"),
	         POD_CELLS("1/2", "NotReady", "0")},
	        {POD(TWO, "\"phase\":\"Running\",\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}],"
	                  "\"containerStatuses\":[{\"name\":\"a\",\"state\":"
	                  "{\"terminated\":{\"reason\":\"Completed\"}}},{\"name\":\"b\",\"ready\":true,\"state\":{"
	                  "\"running\":{}}}]"),
	         POD_CELLS("1/2", "Running", "0")},
	        {POD(TWO, "\"phase\":\"Failed\",\"containerStatuses\":[{\"name\":\"a\",\"state\":{\"terminated\":{"
	                  "\"exitCode\":137,\"signal\":9}}}]"),
	         POD_CELLS("0/2", "Signal:9", "0")},
	        {POD(TWO, "\"phase\":\"Failed\",\"reason\":\"Evicted\""), POD_CELLS("0/2", "Evicted", "0")},
	        {POD(INIT TWO, "\"phase\":\"Pending\",\"initContainerStatuses\":[{\"name\":\"i\",\"restartCount\":1,"
	                       "\"state\":{\"running\":{}}},{\"name\":\"s\"}]"),
	         POD_CELLS("0/3", "Init:0/2", "1")},
	        {POD(INIT TWO, "\"phase\":\"Pending\",\"initContainerStatuses\":[{\"name\":\"i\",\"state\":{"
	                       "\"terminated\":{\"exitCode\":1}}}]"),
	         POD_CELLS("0/3", "Init:ExitCode:1", "0")},
	        {POD(INIT TWO, "\"phase\":\"Pending\",\"initContainerStatuses\":[{\"name\":\"i\",\"state\":{"
	                       "\"waiting\":{\"reason\":\"ImagePullBackOff\"}}}]"),
	         POD_CELLS("0/3", "Init:ImagePullBackOff", "0")},
	        {POD(INIT TWO,
	             "\"phase\":\"Running\",\"initContainerStatuses\":[{\"name\":\"i\",\"restartCount\":4,\"state\":{"
	             "\"terminated\":{\"exitCode\":0}}},"
	             "{\"name\":\"s\",\"ready\":true,\"started\":true,\"restartCount\":1,\"state\":{\"running\":{}}}],"
	             "\"containerStatuses\":[{\"name\":\"a\",\"ready\":true,\"state\":{\"running\":{}}}]"),
	         POD_CELLS("2/3", "Running", "1")},
	        {"{\"metadata\":{\"name\":\"p\",\"creationTimestamp\":\"" CREATED "\",\"deletionTimestamp\":\"" CREATED
	         "\"},\"spec\":{" TWO "},\"status\":{\"phase\":\"Running\"}}",
	         POD_CELLS("0/2", "Terminating", "0")},
	        {"{\"metadata\":{\"name\":\"p\",\"creationTimestamp\":\"" CREATED "\",\"deletionTimestamp\":\"" CREATED
	         "\"},\"spec\":{" TWO "},\"status\":{\"phase\":\"Running\",\"reason\":\"NodeLost\"}}",
	         POD_CELLS("0/2", "Unknown", "0")},
	        {POD(TWO ",\"nodeName\":\"n\",\"readinessGates\":[{\"conditionType\":\"g\"},{\"conditionType\":\"h\"}]",
	             "\"phase\":\"Running\",\"podIPs\":[{\"ip\":\"10.0.0.1\"}],\"nominatedNodeName\":\"m\","
	             "\"conditions\":[{\"type\":\"g\",\"status\":\"True\"}]"),
	         "[\"p\",\"0/2\",\"Running\",\"0\",\"5m\",\"10.0.0.1\",\"n\",\"m\",\"1/2\"]"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		check("", "Pod", rows[i].object, rows[i].cells);
}

static void test_row_conditions(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	AUTO_STRBUF struct strbuf out = STRBUF_INIT(4096);
	struct json *pod = json_object(arena);
	json_set_text(arena, json_ensure_object(arena, pod, "status"), "phase", "Running");
	assert_null(table_row_conditions(arena, find("", "Pod"), pod));
	json_set_text(arena, json_get(pod, "status"), "phase", "Succeeded");
	json_write(&out, table_row_conditions(arena, find("", "Pod"), pod));
	assert_string_equal(strbuf_text(&out), "[{\"type\":\"Completed\",\"status\":\"True\",\"reason\":\"Succeeded\","
	                                       "\"message\":\"The pod has completed successfully.\"}]");
	assert_null(table_row_conditions(arena, find("", "Node"), pod));
}

static void test_core_kinds(void **state)
{
	(void)state;
	check("", "Node",
	      "{\"metadata\":{\"name\":\"n\",\"creationTimestamp\":\"" CREATED
	      "\",\"labels\":{\"node-role.kubernetes.io/worker\":\"\",\"node-role.kubernetes.io/control-plane\":\"\","
	      "\"kubernetes.io/"
	      "role\":\"worker\"}},\"spec\":{\"unschedulable\":true},\"status\":{\"conditions\":[{\"type\":\"Ready\","
	      "\"status\":\"True\"}],"
	      "\"addresses\":[{\"type\":\"Hostname\",\"address\":\"n\"},{\"type\":\"InternalIP\",\"address\":\"10.0.0."
	      "1\"}],\"nodeInfo\":{\"kubeletVersion\":\"v1\",\"osImage\":\"Debian\"}}}",
	      "[\"n\",\"Ready,SchedulingDisabled\",\"control-plane,worker\",\"5m\",\"v1\",\"10.0.0.1\",\"<none>\","
	      "\"Debian\",\"<unknown>\",\"<unknown>\"]");
	check("", "Node", "{" META("n") ",\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"Unknown\"}]}}",
	      "[\"n\",\"NotReady\",\"<none>\",\"5m\",\"\",\"<none>\",\"<none>\",\"<unknown>\",\"<unknown>\",\"<unknown>"
	      "\"]");
	check("", "Service",
	      "{" META("s") ",\"spec\":{\"type\":\"LoadBalancer\",\"clusterIPs\":[\"10.0.0.9\"],\"externalIPs\":[\"1.1."
	                    "1.1\"],\"ports\":[{\"port\":80,\"nodePort\":30000,\"protocol\":\"TCP\"},"
	                    "{\"port\":53,\"protocol\":\"UDP\"}],\"selector\":{\"b\":\"2\",\"a\":\"1\"}},\"status\":{"
	                    "\"loadBalancer\":{\"ingress\":[{\"ip\":\"9.9.9.9\"},{\"hostname\":\"h\"},{\"ip\":\"2.2.2."
	                    "2\"}]}}}",
	      "[\"s\",\"LoadBalancer\",\"10.0.0.9\",\"2.2.2.2,9.9.9.9,h,1.1.1.1\",\"80:30000/TCP,53/"
	      "UDP\",\"5m\",\"a=1,b=2\"]");
	check("", "Service", "{" META("s") ",\"spec\":{\"type\":\"LoadBalancer\"}}",
	      "[\"s\",\"LoadBalancer\",\"<none>\",\"<pending>\",\"<none>\",\"5m\",\"<none>\"]");
	check("", "Service", "{" META("s") ",\"spec\":{\"type\":\"ExternalName\",\"externalName\":\"x.y\"}}",
	      "[\"s\",\"ExternalName\",\"<none>\",\"x.y\",\"<none>\",\"5m\",\"<none>\"]");
	check("", "Endpoints",
	      "{" META("e") ",\"subsets\":[{\"addresses\":[{\"ip\":\"10.0.0.1\"},{\"ip\":\"fd00::1\"}],\"ports\":[{"
	                    "\"port\":80},{\"port\":81}]},{\"addresses\":[{\"ip\":\"10.0.0.3\"}]}]}",
	      "[\"e\",\"10.0.0.1:80,[fd00::1]:80,10.0.0.1:81 + 2 more...\",\"5m\"]");
	check("", "Event",
	      "{" META("e") ",\"type\":\"Warning\",\"reason\":\"R\",\"involvedObject\":{\"kind\":\"Pod\",\"name\":"
	                    "\"p\",\"fieldPath\":\"spec\"},\"source\":{\"component\":\"kubelet\",\"host\":\"n\"},"
	                    "\"message\":\" m "
	                    "\\n\",\"firstTimestamp\":\"2026-11-22T18:01:00Z\",\"lastTimestamp\":\"2026-11-22T18:04:"
	                    "30Z\",\"count\":3}",
	      "[\"30s\",\"Warning\",\"R\",\"pod/p\",\"spec\",\"kubelet, n\",\"m\",\"4m\",3,\"e\"]");
	check("events.k8s.io", "Event",
	      "{" META("e") ",\"type\":\"Normal\",\"reason\":\"R\",\"regarding\":{\"kind\":\"Node\"},"
	                    "\"reportingController\":\"c\",\"note\":\"n\",\"eventTime\":\"2026-11-22T18:04:00."
	                    "000000Z\"}",
	      "[\"60s\",\"Normal\",\"R\",\"node\",\"\",\"c\",\"n\",\"60s\",1,\"e\"]");
	check("", "PersistentVolume",
	      "{" META("v") ",\"spec\":{\"capacity\":{\"storage\":\"1Gi\"},\"accessModes\":[\"ReadWriteMany\","
	                    "\"ReadWriteOnce\"],\"persistentVolumeReclaimPolicy\":\"Retain\","
	                    "\"claimRef\":{\"namespace\":\"d\",\"name\":\"c\"},\"storageClassName\":\"s\"},\"status\":{"
	                    "\"phase\":\"Bound\"}}",
	      "[\"v\",\"1Gi\",\"RWO,RWX\",\"Retain\",\"Bound\",\"d/c\",\"s\",\"<unset>\",\"\",\"5m\",\"<unset>\"]");
	check("", "PersistentVolumeClaim",
	      "{" META("c") ",\"status\":{\"phase\":\"Pending\",\"capacity\":{\"storage\":\"1Gi\"}}}",
	      "[\"c\",\"Pending\",\"\",\"\",\"\",\"\",\"<unset>\",\"5m\",\"<unset>\"]");
	check("", "ResourceQuota",
	      "{" META("q") ",\"status\":{\"hard\":{\"pods\":\"10\",\"limits.cpu\":\"4\",\"cpu\":\"2\"},\"used\":{"
	                    "\"pods\":\"3\",\"cpu\":\"500m\",\"limits.cpu\":\"1\"}}}",
	      "[\"q\",\"cpu: 500m/2, pods: 3/10\",\"limits.cpu: 1/4\",\"5m\"]");
	check("", "ConfigMap", "{" META("c") ",\"data\":{\"a\":\"1\",\"b\":\"2\"},\"binaryData\":{\"c\":\"\"}}",
	      "[\"c\",3,\"5m\"]");
	check("", "LimitRange", "{" META("l") "}", "[\"l\",\"" CREATED "\"]");
	check("", "Secret", "{\"metadata\":{\"name\":\"s\"},\"type\":\"Opaque\"}",
	      "[\"s\",\"Opaque\",0,\"<unknown>\"]");
}

static void test_workloads(void **state)
{
#define TEMPLATE                                                                                                      \
	"\"template\":{\"spec\":{\"containers\":[{\"name\":\"a\",\"image\":\"x\"},{\"name\":\"b\",\"image\":\"y\"}]," \
	"\"nodeSelector\":{\"k\":\"v\"}}}"
	(void)state;
	check("apps", "Deployment",
	      "{" META(
	              "d") ",\"spec\":{\"replicas\":3,\"selector\":{\"matchLabels\":{\"b\":\"1\"},\"matchExpressions\":"
	                   "[{\"key\":\"a\",\"operator\":\"In\",\"values\":[\"y\",\"x\"]}]}," TEMPLATE "},"
	                   "\"status\":{\"readyReplicas\":2,\"updatedReplicas\":3,\"availableReplicas\":1}}",
	      "[\"d\",\"2/3\",3,1,\"5m\",\"a,b\",\"x,y\",\"a in (x,y),b=1\"]");
	check("apps", "ReplicaSet", "{" META("r") ",\"spec\":{\"replicas\":1," TEMPLATE "}}",
	      "[\"r\",1,0,0,\"5m\",\"a,b\",\"x,y\",\"<none>\"]");
	check("apps", "DaemonSet",
	      "{" META("d") ",\"spec\":{\"selector\":{\"matchLabels\":{\"a\":\"b\"}}," TEMPLATE
	                    "},\"status\":{\"desiredNumberScheduled\":2}}",
	      "[\"d\",2,0,0,0,0,\"k=v\",\"5m\",\"a,b\",\"x,y\",\"a=b\"]");
	check("apps", "ControllerRevision",
	      "{\"metadata\":{\"name\":\"c\",\"ownerReferences\":[{\"apiVersion\":\"apps/"
	      "v1\",\"kind\":\"StatefulSet\",\"name\":\"w\",\"controller\":true}]},\"revision\":7}",
	      "[\"c\",\"statefulset.apps/w\",7,\"<unknown>\"]");
	check("batch", "Job",
	      "{" META("j") ",\"spec\":{\"parallelism\":2," TEMPLATE
	                    "},\"status\":{\"succeeded\":1,\"startTime\":\"2026-11-22T18:00:00Z\",\"completionTime\":"
	                    "\"2026-11-22T18:01:30Z\","
	                    "\"conditions\":[{\"type\":\"Complete\",\"status\":\"True\"}]}}",
	      "[\"j\",\"Complete\",\"1/1 of 2\",\"90s\",\"5m\",\"a,b\",\"x,y\",\"<none>\"]");
	check("batch", "Job",
	      "{" META("j") ",\"spec\":{\"completions\":5,\"selector\":{}},\"status\":{\"startTime\":\"2026-11-22T18:"
	                    "04:00Z\"}}",
	      "[\"j\",\"Running\",\"0/5\",\"60s\",\"5m\",\"\",\"\",\"<none>\"]");
	check("batch", "CronJob",
	      "{" META("c") ",\"spec\":{\"schedule\":\"* * * * "
	                    "*\",\"suspend\":false,\"jobTemplate\":{\"spec\":{" TEMPLATE
	                    "}}},\"status\":{\"active\":[{}]}}",
	      "[\"c\",\"* * * * *\",\"<none>\",\"False\",1,\"<none>\",\"5m\",\"a,b\",\"x,y\",\"<none>\"]");
	check("autoscaling", "HorizontalPodAutoscaler",
	      "{" META("h") ",\"spec\":{\"scaleTargetRef\":{\"kind\":\"Deployment\",\"name\":\"d\"},\"maxReplicas\":5,"
	                    "\"metrics\":[{\"type\":\"Resource\",\"resource\":{\"name\":\"cpu\",\"target\":{"
	                    "\"averageUtilization\":80}}},"
	                    "{\"type\":\"External\",\"external\":{\"target\":{\"averageValue\":\"10\"}}},{\"type\":"
	                    "\"Pods\"}]},\"status\":{\"currentReplicas\":2,\"currentMetrics\":[{\"resource\":{"
	                    "\"current\":{\"averageUtilization\":40}}}]}}",
	      "[\"h\",\"Deployment/d\",\"cpu: 40%/80%, <unknown>/10 (avg) + 1 more...\",\"<unset>\",5,2,\"5m\"]");
	check("policy", "PodDisruptionBudget",
	      "{" META("p") ",\"spec\":{\"minAvailable\":\"50%\"},\"status\":{\"disruptionsAllowed\":1}}",
	      "[\"p\",\"50%\",\"N/A\",1,\"5m\"]");
	check("policy", "PodDisruptionBudget", "{" META("p") ",\"spec\":{\"maxUnavailable\":1}}",
	      "[\"p\",\"N/A\",\"1\",0,\"5m\"]");
}

static void test_other_kinds(void **state)
{
	(void)state;
	check("networking.k8s.io", "Ingress",
	      "{" META("i") ",\"spec\":{\"rules\":[{\"host\":\"a\"},{\"host\":\"b\"},{},{\"host\":\"c\"},{\"host\":"
	                    "\"d\"}],\"tls\":[{}]}}",
	      "[\"i\",\"<none>\",\"a,b,c + 2 more...\",\"\",\"80, 443\",\"5m\"]");
	check("networking.k8s.io", "Ingress", "{" META("i") ",\"spec\":{\"ingressClassName\":\"x\"}}",
	      "[\"i\",\"x\",\"*\",\"\",\"80\",\"5m\"]");
	check("networking.k8s.io", "IPAddress",
	      "{" META("10.0.0.1") ",\"spec\":{\"parentRef\":{\"resource\":\"services\",\"namespace\":\"d\",\"name\":"
	                           "\"w\"}}}",
	      "[\"10.0.0.1\",\"services/d/w\",\"5m\"]");
	check("networking.k8s.io", "NetworkPolicy", "{" META("n") ",\"spec\":{\"podSelector\":{}}}",
	      "[\"n\",\"<none>\",\"5m\"]");
	check("discovery.k8s.io", "EndpointSlice",
	      "{" META("e") ",\"addressType\":\"IPv4\",\"ports\":[{\"port\":80},{\"name\":\"x\"},{}],\"endpoints\":[{"
	                    "\"addresses\":[\"1\",\"2\"]},{\"addresses\":[\"3\",\"4\"]}]}",
	      "[\"e\",\"IPv4\",\"80,x,*\",\"1,2,3 + 1 more...\",\"5m\"]");
	check("rbac.authorization.k8s.io", "RoleBinding",
	      "{" META("r") ",\"roleRef\":{\"kind\":\"Role\",\"name\":\"x\"},\"subjects\":[{\"kind\":\"User\",\"name\":"
	                    "\"u\"},{\"kind\":\"User\",\"name\":\"v\"},{\"kind\":\"ServiceAccount\",\"namespace\":"
	                    "\"d\",\"name\":\"s\"}]}",
	      "[\"r\",\"Role/x\",\"5m\",\"u, v\",\"\",\"d/s\"]");
	check("certificates.k8s.io", "CertificateSigningRequest",
	      "{" META("c") ",\"spec\":{\"signerName\":\"s\",\"username\":\"u\",\"expirationSeconds\":3600},\"status\":"
	                    "{\"certificate\":\"eA==\",\"conditions\":[{\"type\":\"Approved\"}]}}",
	      "[\"c\",\"5m\",\"s\",\"u\",\"60m\",\"Approved,Issued\"]");
	check("storage.k8s.io", "StorageClass",
	      "{\"metadata\":{\"name\":\"s\",\"annotations\":{\"storageclass.kubernetes.io/"
	      "is-default-class\":\"true\"}},\"provisioner\":\"p\"}",
	      "[\"s (default)\",\"p\",\"Delete\",\"Immediate\",false,\"<unknown>\"]");
	check("storage.k8s.io", "CSIDriver",
	      "{" META("c") ",\"spec\":{\"tokenRequests\":[{\"audience\":\"a\"},{\"audience\":\"b\"}],"
	                    "\"volumeLifecycleModes\":[\"Persistent\"]}}",
	      "[\"c\",true,false,false,\"a,b\",false,\"Persistent\",\"5m\"]");
	check("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding",
	      "{" META("v") ",\"spec\":{\"policyName\":\"p\",\"paramRef\":{\"selector\":{\"matchLabels\":{\"a\":\"b\"}}"
	                    "}}}",
	      "[\"v\",\"p\",\"&LabelSelector{MatchLabels:map[string]string{a: "
	      "b,},MatchExpressions:[]LabelSelectorRequirement{},}\",\"5m\"]");
	check("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration",
	      "{" META("p") ",\"spec\":{\"type\":\"Limited\",\"limited\":{\"nominalConcurrencyShares\":30}}}",
	      "[\"p\",\"Limited\",30,\"<none>\",\"<none>\",\"<none>\",\"5m\"]");
	check("resource.k8s.io", "ResourceClaim", "{" META("r") ",\"status\":{\"allocation\":{},\"reservedFor\":[{}]}}",
	      "[\"r\",\"allocated,reserved\",\"5m\"]");
	check("apiregistration.k8s.io", "APIService",
	      "{" META("a") ",\"spec\":{\"service\":{\"namespace\":\"k\",\"name\":\"m\"}},\"status\":{\"conditions\":[{"
	                    "\"type\":\"Available\",\"status\":\"False\",\"reason\":\"MissingEndpoints\"}]}}",
	      "[\"a\",\"k/m\",\"False (MissingEndpoints)\",\"5m\"]");
	check("apiregistration.k8s.io", "APIService",
	      "{" META("a") ",\"status\":{\"conditions\":[{\"type\":\"Available\",\"status\":\"True\",\"reason\":"
	                    "\"Local\"}]}}",
	      "[\"a\",\"Local\",\"True\",\"5m\"]");
	check("coordination.k8s.io", "Lease", "{" META("l") ",\"spec\":{\"holderIdentity\":\"h\"}}",
	      "[\"l\",\"h\",\"5m\"]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_cells_match_columns), cmocka_unit_test(test_pods),
	        cmocka_unit_test(test_row_conditions),      cmocka_unit_test(test_core_kinds),
	        cmocka_unit_test(test_workloads),           cmocka_unit_test(test_other_kinds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
