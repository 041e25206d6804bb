// SPDX-License-Identifier: Apache-2.0
// Services: what an update that leaves out addresses and ports means (keep
// them), and what a change of type takes away. Taking and freeing them is
// service_allocation.c's.

#include <string.h>

#include "apiserver/registry/strategies.h"
#include "apiserver/validation/validation.h"

static bool type_is(const struct json *spec, const char *type)
{
	return !strcmp(text_of(spec, "type"), type);
}

static bool needs_cluster_ip(const struct json *spec)
{
	return !type_is(spec, "ExternalName");
}

static bool needs_node_ports(const struct json *spec)
{
	return type_is(spec, "NodePort") ||
	       (type_is(spec, "LoadBalancer") && json_get_bool(spec, "allocateLoadBalancerNodePorts", true));
}

// clusterIP and clusterIPs say the same; whichever the client sent leads.
static void normalize_cluster_ips(struct arena *arena, struct json *spec, const struct json *old)
{
	const char *ip = text_of(spec, "clusterIP");
	struct json *ips = json_get(spec, "clusterIPs");
	struct json *list;

	if (!old) {
		if (!ip[0] || length_of(ips))
			return;
	} else if (!strcmp(ip, text_of(old, "clusterIP"))) {
		if (length_of(ips) && json_text(ips->items[0]) && strcmp(json_text(ips->items[0]), ip) &&
		    !json_equal(ips, json_get(old, "clusterIPs")))
			json_set_text(arena, spec, "clusterIP", json_text(ips->items[0]));
		return;
	} else if (ips && json_get(old, "clusterIPs") && !json_equal(ips, json_get(old, "clusterIPs"))) {
		return; // both changed: validation compares them
	}
	list = json_array(arena);
	if (ip[0])
		json_append(arena, list, json_string(arena, ip));
	json_set(arena, spec, "clusterIPs", list);
}

void strategy_service_create(struct change *change)
{
	struct json *spec = json_ensure_object(change->arena, change->object, "spec");

	normalize_cluster_ips(change->arena, spec, NULL);
}

static void carry_over(struct arena *arena, struct json *spec, const struct json *old, const char *member)
{
	struct json *held = json_get(old, member);
	const struct json *sent = json_get(spec, member);

	if (held && (!is_present(sent) || (json_text(sent) && !json_text(sent)[0]) ||
	             (json_is(sent, JSON_ARRAY) && !sent->length) || (json_is(sent, JSON_INTEGER) && !sent->integer)))
		json_set(arena, spec, member, json_clone(arena, held));
}

static const struct json *port_like(const struct json *ports, const struct json *wanted)
{
	json_for_each_item (port, ports)
		if (!strcmp(text_of(port, "name"), text_of(wanted, "name")) &&
		    !strcmp(text_of(port, "protocol"), text_of(wanted, "protocol")))
			return port;
	return NULL;
}

static bool uses_node_port(const struct json *ports, int64_t node_port, const char *protocol)
{
	json_for_each_item (port, ports)
		if (integer_of(port, "nodePort", 0) == node_port && !strcmp(text_of(port, "protocol"), protocol))
			return true;
	return false;
}

// By name first; a port that lost its name by the position's number.
static void carry_node_ports(struct arena *arena, struct json *spec, const struct json *old)
{
	struct json *ports = json_get(spec, "ports");

	json_for_each_item (port, ports) {
		const struct json *before;

		if (integer_of(port, "nodePort", 0))
			continue;
		before = port_like(json_get(old, "ports"), port);
		if (before && integer_of(before, "nodePort", 0) &&
		    !uses_node_port(ports, integer_of(before, "nodePort", 0), text_of(port, "protocol")))
			json_set_integer(arena, port, "nodePort", integer_of(before, "nodePort", 0));
	}
}

static bool unchanged(const struct json *spec, const struct json *old, const char *member)
{
	const struct json *now = json_get(spec, member), *before = json_get(old, member);

	return now && before && json_equal(now, before);
}

static void wipe_unchanged(struct json *spec, const struct json *old, const char *const *members)
{
	for (; *members; members++)
		if (unchanged(spec, old, *members))
			json_remove(spec, *members);
}

static void wipe_node_ports(struct json *spec, const struct json *old)
{
	json_for_each_item (port, json_get(spec, "ports")) {
		int64_t node_port = integer_of(port, "nodePort", 0);

		if (node_port && uses_node_port(json_get(old, "ports"), node_port, text_of(port, "protocol")))
			json_remove(port, "nodePort");
	}
}

static void wipe_dependents(struct json *spec, const struct json *old)
{
	static const char *const addresses[] = {
	        "clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy", NULL};
	static const char *const external[] = {"externalTrafficPolicy", NULL};
	static const char *const balancer[] = {"allocateLoadBalancerNodePorts", "loadBalancerClass", NULL};
	static const char *const health[] = {"healthCheckNodePort", NULL};

	if (needs_cluster_ip(old) && !needs_cluster_ip(spec))
		wipe_unchanged(spec, old, addresses);
	if (needs_node_ports(old) && !needs_node_ports(spec))
		wipe_node_ports(spec, old);
	if (type_is(old, "LoadBalancer") && !type_is(spec, "LoadBalancer")) {
		wipe_unchanged(spec, old, balancer);
		wipe_unchanged(spec, old, health);
	}
	if (!type_is(spec, "LoadBalancer") && !type_is(spec, "NodePort") && !length_of(json_get(spec, "externalIPs")))
		wipe_unchanged(spec, old, external);
}

void strategy_service_update(struct change *change)
{
	struct json *spec = json_ensure_object(change->arena, change->object, "spec");
	const struct json *old = json_get(change->old, "spec");

	if (change->subresource[0])
		return;
	normalize_cluster_ips(change->arena, spec, old);
	if (needs_cluster_ip(old) && needs_cluster_ip(spec)) {
		carry_over(change->arena, spec, old, "clusterIP");
		carry_over(change->arena, spec, old, "clusterIPs");
		carry_over(change->arena, spec, old, "ipFamilies");
		carry_over(change->arena, spec, old, "ipFamilyPolicy");
	}
	if (needs_node_ports(old) && needs_node_ports(spec))
		carry_node_ports(change->arena, spec, old);
	if (type_is(old, "LoadBalancer") && type_is(spec, "LoadBalancer"))
		carry_over(change->arena, spec, old, "healthCheckNodePort");
	wipe_dependents(spec, old);
	if (!type_is(spec, "LoadBalancer"))
		json_set(change->arena, json_ensure_object(change->arena, change->object, "status"), "loadBalancer",
		         json_object(change->arena));
}
