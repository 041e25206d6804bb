// SPDX-License-Identifier: Apache-2.0
// What a pod's spec means on the node: environment, files, resources, static pods.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/memory.h"
#include "kubelet/pod/environment.h"
#include "kubelet/pod/pod_files.h"
#include "kubelet/pod/pod_resources.h"
#include "kubelet/pod/static_pods.h"
#include "tests/unit/kubelet/pod_fixture.h"

static const char manifest[] =
        "apiVersion: v1\nkind: Pod\n"
        "metadata: {name: web, namespace: shop, uid: u1, labels: {b: '2', a: '1 \"x\"'}, annotations: {k: v}}\n"
        "spec:\n  nodeName: n1\n  hostname: hh\n  subdomain: ss\n"
        "  hostAliases: [{ip: 1.2.3.4, hostnames: [foo, bar]}]\n"
        "  initContainers: [{name: i, image: x, resources: {requests: {cpu: 2}}}]\n"
        "  containers:\n  - name: c\n    image: x\n"
        "    resources: {requests: {cpu: 250m, memory: 64Mi}, limits: {memory: 128Mi}}\n"
        "    envFrom: [{prefix: P_, configMapRef: {name: cm}}, {secretRef: {name: gone, optional: true}}]\n"
        "    env:\n"
        "    - {name: A, value: plain}\n"
        "    - {name: B, value: '$(A)-$(P_k)-$(NOPE)-$$(A)'}\n"
        "    - {name: NS, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}\n"
        "    - {name: LABEL, valueFrom: {fieldRef: {fieldPath: \"metadata.labels['b']\"}}}\n"
        "    - {name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}\n"
        "    - {name: MEM, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}\n"
        "    - {name: CPU, valueFrom: {resourceFieldRef: {resource: requests.cpu}}}\n"
        "    - {name: KEY, valueFrom: {configMapKeyRef: {name: cm, key: k}}}\n"
        "    - {name: MAYBE, valueFrom: {configMapKeyRef: {name: cm, key: nope, optional: true}}}\n"
        "    - {name: DB_SERVICE_HOST, value: mine}\n";

static struct api_object *make_object(const char *plural, const char *text)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct yaml_document *documents;
	size_t count;
	struct api_object *object = NULL;
	assert_int_equal(yaml_parse(arena, text, strlen(text), NULL, &documents, &count, NULL), 0);
	assert_int_equal(api_object_new(schema_find_resource("", "v1", plural), documents[0].value, &object, NULL), 0);
	return object;
}

static const char *const addresses[] = {"10.0.0.5"};
static const struct field_facts facts = {.pod_ips = addresses,
                                         .pod_ip_count = 1,
                                         .host_ip = "192.0.2.1",
                                         .node_milli_cpu = 4000,
                                         .node_memory_bytes = INT64_C(1) << 33};

static void test_environment(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	AUTO(api_object_unref) struct api_object *object = pod_fixture_decode(manifest);
	AUTO(api_object_unref)
	struct api_object *service = make_object(
	        "services",
	        "{metadata: {name: db, namespace: shop}, spec: {clusterIP: 10.96.0.7, ports: [{name: sql, port: 5432,"
	        " protocol: TCP}]}}");
	const struct core_v1_pod *pod = object->view;
	const struct core_v1_service *services[] = {service->view};
	struct object_bundle *bundle = object_bundle_new("shop");
	environment_references(&pod->spec.containers.items[0], bundle);
	assert_int_equal(bundle->count, 2);
	assert_false(bundle->items[0].optional);
	assert_true(bundle->items[1].optional);
	bundle->items[0].object = make_object("configmaps", "{metadata: {name: cm}, data: {k: value}}");
	struct environment environment;
	struct err err = ERR_INIT;
	assert_int_equal(environment_build(arena, pod, &pod->spec.containers.items[0], &facts,
	                                   &(struct environment_services){services, 1}, bundle, &environment, &err),
	                 0);
	static const char *const expected[] = {
	        "P_k=value",
	        "A=plain",
	        "B=plain-value-$(NOPE)-$(A)",
	        "NS=shop",
	        "LABEL=2",
	        "IP=10.0.0.5",
	        "MEM=128",
	        "CPU=1",
	        "KEY=value",
	        "DB_SERVICE_HOST=mine",
	        "DB_SERVICE_PORT=5432",
	        "DB_SERVICE_PORT_SQL=5432",
	        "DB_PORT=tcp://10.96.0.7:5432",
	        "DB_PORT_5432_TCP=tcp://10.96.0.7:5432",
	        "DB_PORT_5432_TCP_PROTO=tcp",
	        "DB_PORT_5432_TCP_PORT=5432",
	        "DB_PORT_5432_TCP_ADDR=10.96.0.7",
	};
	const char *const *list = environment_list(&environment, arena);
	for (size_t index = 0; index < ARRAY_SIZE(expected); index++)
		assert_string_equal(list[index], expected[index]);
	assert_null(list[ARRAY_SIZE(expected)]);
	assert_string_equal(environment_expand(&environment, arena, "x$(A)$$y$(Z)$("), "xplain$y$(Z)$(");
	object_bundle_free(bundle);
}

static void test_missing_key_is_an_error(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	AUTO(api_object_unref)
	struct api_object *object =
	        pod_fixture_decode("{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: d}, spec: {containers: "
	                           "[{name: c, image: x, env: "
	                           "[{name: K, valueFrom: {secretKeyRef: {name: s, key: pw}}}]}]}}");
	const struct core_v1_pod *pod = object->view;
	struct object_bundle *bundle = object_bundle_new("d");
	environment_references(&pod->spec.containers.items[0], bundle);
	bundle->items[0].object = make_object("secrets", "{metadata: {name: s}, data: {other: eA==}}");
	struct environment environment;
	struct err err = ERR_INIT;
	assert_int_equal(environment_build(arena, pod, &pod->spec.containers.items[0], &facts,
	                                   &(struct environment_services){0}, bundle, &environment, &err),
	                 -ERR_INVALID);
	assert_string_equal(err.message, "couldn't find key pw in Secret d/s");
	object_bundle_free(bundle);
}

static void test_whole_maps_as_lines(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	AUTO(api_object_unref) struct api_object *object = pod_fixture_decode(manifest);
	const char *value;
	struct err err = ERR_INIT;
	assert_int_equal(field_value(arena, object->view, &facts, "metadata.labels", &value, &err), 0);
	assert_string_equal(value, "a=\"1 \\\"x\\\"\"\nb=\"2\"");
	assert_int_equal(field_value(arena, object->view, &facts, "spec.nope", &value, &err), -ERR_INVALID);
}

static void test_hosts_file(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	AUTO(api_object_unref) struct api_object *object = pod_fixture_decode(manifest);
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(4096);
	pod_hosts_text(&text, object->view, addresses, 1, "cluster.local", NULL);
	assert_non_null(strstr(strbuf_text(&text), "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n"));
	assert_non_null(strstr(strbuf_text(&text), "10.0.0.5\thh.ss.shop.svc.cluster.local\thh\n"));
	assert_non_null(strstr(strbuf_text(&text), "\n# Entries added by HostAliases.\n1.2.3.4\tfoo\tbar\n"));
	strbuf_clear(&text);
	pod_hosts_text(&text, object->view, addresses, 1, "cluster.local", "127.0.0.1 node\n");
	assert_non_null(strstr(strbuf_text(&text), "(host network).\n127.0.0.1 node\n"));
	assert_string_equal(pod_host_name(arena, object->view, "cluster.local"), "hh");
}

static void check_dns(const char *spec, const char *expected)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	AUTO(api_object_unref)
	struct api_object *object =
	        pod_fixture_decode(arena_printf(arena,
	                                        "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: d}, spec: "
	                                        "{containers: [{name: c, image: x}]%s}}",
	                                        spec));
	const char *const cluster_dns[] = {"10.96.0.10"};
	struct dns_settings settings = {.cluster_dns = cluster_dns,
	                                .cluster_dns_count = 1,
	                                .cluster_domain = "cluster.local",
	                                .node_resolv_conf =
	                                        "nameserver 192.0.2.53\nsearch example.org\noptions edns0\n"};
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(4096);
	pod_resolv_conf_text(&text, object->view, &settings);
	assert_string_equal(strbuf_text(&text), expected);
}

static void test_resolv_conf(void **state)
{
	(void)state;
	check_dns("", "search d.svc.cluster.local svc.cluster.local cluster.local example.org\nnameserver 10.96.0.10\n"
	              "options ndots:5\n");
	check_dns(", hostNetwork: true", "search example.org\nnameserver 192.0.2.53\noptions edns0\n");
	check_dns(", dnsPolicy: Default", "search example.org\nnameserver 192.0.2.53\noptions edns0\n");
	check_dns(", dnsPolicy: None, dnsConfig: {nameservers: [1.1.1.1], searches: [a.b], options: [{name: ndots, "
	          "value: '2'}]}",
	          "search a.b\nnameserver 1.1.1.1\noptions ndots:2\n");
}

static enum qos_class qos(const char *containers)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	AUTO(api_object_unref)
	struct api_object *object = pod_fixture_decode(arena_printf(
	        arena, "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: d}, spec: {containers: [%s]}}",
	        containers));
	return pod_qos_class(object->view);
}

static void test_resources(void **state)
{
	(void)state;
	assert_int_equal(qos("{name: c, image: x}"), QOS_BEST_EFFORT);
	assert_int_equal(qos("{name: c, image: x, resources: {limits: {cpu: 1, memory: 1Gi}}}"), QOS_GUARANTEED);
	assert_int_equal(qos("{name: c, image: x, resources: {limits: {cpu: 1, memory: 1Gi}}}, {name: e, image: x}"),
	                 QOS_BURSTABLE);
	AUTO(arena_free) struct arena *arena = arena_new(0);
	AUTO(api_object_unref) struct api_object *object = pod_fixture_decode(manifest);
	const struct core_v1_pod *pod = object->view;
	struct cgroup_limits limits = container_cgroup_limits(&pod->spec.containers.items[0]);
	assert_int_equal(limits.cpu_shares, 256);
	assert_int_equal(limits.cpu_quota_us, 0);
	assert_int_equal(limits.memory_limit_bytes, 128 << 20);
	limits = pod_cgroup_limits(pod); // the init container asks for more than the rest
	assert_int_equal(limits.cpu_shares, 2048);
	assert_int_equal(limits.memory_limit_bytes, 0);
	assert_string_equal(pod_cgroup_path(arena, "/", pod_qos_class(pod), "u1"), "/kubepods/burstable/podu1");
	assert_int_equal(container_oom_score_adj(&pod->spec.containers.items[0], QOS_BURSTABLE, INT64_C(64) << 24),
	                 938);
	assert_int_equal(container_oom_score_adj(&pod->spec.containers.items[0], QOS_GUARANTEED, 1), -997);
}

static void test_static_pods(void **state)
{
	(void)state;
	static const char text[] =
	        "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: c, image: x}]}\n";
	AUTO(api_object_unref) struct api_object *object = NULL;
	AUTO(api_object_unref) struct api_object *same = NULL;
	AUTO(api_object_unref) struct api_object *other = NULL;
	struct err err = ERR_INIT;
	assert_int_equal(static_pod_decode("/m/web.yaml", text, strlen(text), "n1", &object, &err), 0);
	assert_int_equal(static_pod_decode("/m/web.yaml", text, strlen(text), "n1", &same, &err), 0);
	assert_int_equal(static_pod_decode("/m/web.yaml", text, strlen(text), "n2", &other, &err), 0);
	assert_string_equal(object->key, "default/web-n1");
	assert_string_equal(object->uid, same->uid);
	assert_string_not_equal(object->uid, other->uid);
	const struct core_v1_pod *pod = object->view;
	assert_string_equal(pod->spec.node_name, "n1");
	assert_string_equal(string_map_get(&pod->metadata.annotations, "kubernetes.io/config.source"), "file");
	assert_string_equal(string_map_get(&pod->metadata.annotations, "kubernetes.io/config.hash"), object->uid);
	assert_string_equal(pod->spec.restart_policy, "Always"); // defaulted
	struct api_object *none = NULL;
	static const char *const bad[] = {"kind: Pod",
	                                  "apiVersion: v1\nkind: Pod\nspec: {containers: [{name: c, image: x}]}",
	                                  "apiVersion: v1\nkind: Pod\nmetadata: {name: x}",
	                                  "a: [",
	                                  "- 1",
	                                  "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containers: [7]}"};
	for (size_t index = 0; index < ARRAY_SIZE(bad); index++) {
		err_clear(&err);
		assert_true(static_pod_decode("/m/x", bad[index], strlen(bad[index]), "n", &none, &err) < 0);
		assert_null(none);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_environment),         cmocka_unit_test(test_missing_key_is_an_error),
	        cmocka_unit_test(test_whole_maps_as_lines), cmocka_unit_test(test_hosts_file),
	        cmocka_unit_test(test_resolv_conf),         cmocka_unit_test(test_resources),
	        cmocka_unit_test(test_static_pods),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
