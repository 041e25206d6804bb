// SPDX-License-Identifier: Apache-2.0
// A table of texts. Each is what one would write by hand; uid, creation time and
// defaults are added as for any object.

#include "apiserver/bootstrap/bootstrap_objects.h"

#include <assert.h>
#include <string.h>

#include "apiserver/object_io.h"
#include "apiserver/server.h"
#include "apiserver/services/address_object.h"
#include "common/api/object.h"
#include "common/base/encode.h"

struct blob *bootstrap_encode_tree(struct arena *arena, const struct schema_resource *resource, struct json *object,
                                   int64_t now_realtime_ns)
{
	struct json *metadata = json_ensure_object(arena, object, "metadata");
	char uid[37], now[API_TIME_BYTES];

	uuid_v4(uid);
	api_time_format(now_realtime_ns, now);
	json_set_text(arena, metadata, "uid", uid);
	json_set_text(arena, metadata, "creationTimestamp", now);
	if (resource->generation)
		json_set_integer(arena, metadata, "generation", 1);
	object_complete(arena, resource->type, object);
	return object_store(arena, resource, object);
}

struct blob *bootstrap_encode(struct arena *arena, const struct schema_resource *resource, const char *text,
                              int64_t now_realtime_ns)
{
	struct json *object = NULL;
	int r = json_parse(arena, text, strlen(text), NULL, &object, NULL);

	assert(r == 0);
	(void)r;
	return bootstrap_encode_tree(arena, resource, object, now_realtime_ns);
}

static const char *namespace_text(struct server *server, struct arena *arena, const char *name)
{
	(void)server;
	return arena_printf(arena,
	                    "{\"kind\":\"Namespace\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"%s\",\"labels\":"
	                    "{\"kubernetes.io/metadata.name\":\"%s\"}},\"spec\":{\"finalizers\":[\"kubernetes\"]},"
	                    "\"status\":{\"phase\":\"Active\"}}",
	                    name, name);
}

static const char *priority_text(struct server *server, struct arena *arena, const char *name)
{
	bool node = !strcmp(name, "system-node-critical");

	(void)server;
	return arena_printf(arena,
	                    "{\"kind\":\"PriorityClass\",\"apiVersion\":\"scheduling.k8s.io/v1\",\"metadata\":"
	                    "{\"name\":\"%s\",\"generation\":1},\"value\":%s,\"description\":\"%s\","
	                    "\"preemptionPolicy\":\"PreemptLowerPriority\"}",
	                    name, node ? "2000001000" : "2000000000",
	                    node ? "Used for system critical pods that must not be moved from their current node."
	                         : "Used for system critical pods that must run in the cluster, but can be moved to "
	                           "another node if necessary.");
}

static const char *range_text(struct server *server, struct arena *arena, const char *name)
{
	const struct server_config *config = server->config;
	const char *cidrs = "";
	char text[IP_TEXT_BYTES + 8];

	for (size_t i = 0; i < config->service_range_count; i++) {
		ip_range_format(&config->service_ranges[i], text, sizeof(text));
		cidrs = arena_printf(arena, "%s%s\"%s\"", cidrs, i ? "," : "", text);
	}
	return arena_printf(
	        arena,
	        "{\"kind\":\"ServiceCIDR\",\"apiVersion\":\"networking.k8s.io/v1\",\"metadata\":"
	        "{\"name\":\"%s\",\"finalizers\":[\"networking.k8s.io/service-cidr-finalizer\"]},"
	        "\"spec\":{\"cidrs\":[%s]},\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\","
	        "\"lastTransitionTime\":null,\"reason\":\"\",\"message\":\"Kubernetes Service CIDR is "
	        "ready\"}]}}",
	        name, cidrs);
}

static const char *service_text(struct server *server, struct arena *arena, const char *name)
{
	const struct ip_range *range = &server->config->service_ranges[0];
	char address[IP_TEXT_BYTES];
	struct ip ip;

	ip_range_at(range, 1, &ip);
	ip_format(&ip, address);
	return arena_printf(
	        arena,
	        "{\"kind\":\"Service\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"%s\",\"namespace\":"
	        "\"default\",\"labels\":{\"component\":\"apiserver\",\"provider\":\"kubernetes\"}},\"spec\":"
	        "{\"ports\":[{\"name\":\"https\",\"protocol\":\"TCP\",\"port\":443,\"targetPort\":%lld}],"
	        "\"clusterIP\":\"%s\",\"clusterIPs\":[\"%s\"],\"type\":\"ClusterIP\",\"sessionAffinity\":"
	        "\"None\",\"ipFamilies\":[\"%s\"],\"ipFamilyPolicy\":\"SingleStack\","
	        "\"internalTrafficPolicy\":\"Cluster\"},\"status\":{\"loadBalancer\":{}}}",
	        name, (long long)server->port, address, address, range->base.is_v6 ? "IPv6" : "IPv4");
}

static const struct {
	const char *group;
	const char *version;
	const char *plural;
	const char *namespace_name;
	const char *name;
	const char *(*text)(struct server *server, struct arena *arena, const char *name);
} rows[] = {
        {"", "v1", "namespaces", "", "kube-system", namespace_text},
        {"", "v1", "namespaces", "", "kube-public", namespace_text},
        {"", "v1", "namespaces", "", "kube-node-lease", namespace_text},
        {"", "v1", "namespaces", "", "default", namespace_text},
        {"scheduling.k8s.io", "v1", "priorityclasses", "", "system-node-critical", priority_text},
        {"scheduling.k8s.io", "v1", "priorityclasses", "", "system-cluster-critical", priority_text},
        {"networking.k8s.io", "v1", "servicecidrs", "", "kubernetes", range_text},
        {"", "v1", "services", "default", "kubernetes", service_text},
};

bool bootstrap_object_at(struct server *server, struct arena *arena, size_t index, int64_t now_realtime_ns,
                         struct bootstrap_object *ret_object)
{
	struct bootstrap_object object;
	char address[IP_TEXT_BYTES];
	struct ip ip;

	if (index > ARRAY_SIZE(rows))
		return false;
	if (index == 0) { // the kubernetes Service's address, before anything else may take it
		ip_range_at(&server->config->service_ranges[0], 1, &ip);
		ip_format(&ip, address);
		*ret_object = (struct bootstrap_object){
		        .resource = address_resource(),
		        .namespace_name = "",
		        .name = arena_strdup(arena, address),
		        .json = address_encode(&ip, "default", "kubernetes", now_realtime_ns)};
		return true;
	}
	index--;
	object = (struct bootstrap_object){
	        .resource = schema_find_resource(rows[index].group, rows[index].version, rows[index].plural),
	        .namespace_name = rows[index].namespace_name,
	        .name = rows[index].name,
	};
	object.json =
	        bootstrap_encode(arena, object.resource, rows[index].text(server, arena, object.name), now_realtime_ns);
	*ret_object = object;
	return true;
}
