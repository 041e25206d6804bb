// SPDX-License-Identifier: Apache-2.0
//
// What upstream's proxy does for a service, in elements. For each address family
// of the service and each of its ports: the ready endpoints of that family behind
// the port's name (while none is ready, those that still serve while terminating),
// without doubles, sorted, so that indices are dense and the same endpoints give
// the same elements. Cluster IPs masquerade only clients from outside the pod
// network; external addresses and node ports always, so that answers come back
// through this node.
#include "kube-proxy/service_rules.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "api/core_v1.h"
#include "api/discovery_v1.h"
#include "common/base/memory.h"
#include "common/base/text.h"

struct endpoint {
	struct rule_address address;
	uint16_t port;
};

struct endpoint_array {
	struct endpoint *items;
	size_t count;
	size_t capacity;
};

static const struct {
	const char *name;
	uint8_t number;
} protocols[] = {{"TCP", IPPROTO_TCP}, {"UDP", IPPROTO_UDP}, {"SCTP", IPPROTO_SCTP}};

static uint8_t protocol_number(const char *name)
{
	for (size_t i = 0; name && i < ARRAY_SIZE(protocols); i++)
		if (strcmp(protocols[i].name, name) == 0)
			return protocols[i].number;
	return IPPROTO_TCP;
}

static bool needs_proxying(const struct core_v1_service *service)
{
	const struct core_v1_service_spec *spec = &service->spec;
	if (spec->type && strcmp(spec->type, "ExternalName") == 0)
		return false;
	if (!spec->cluster_ip || !*spec->cluster_ip || strcmp(spec->cluster_ip, "None") == 0)
		return false;
	return !string_map_get(&service->metadata.labels, "service.kubernetes.io/service-proxy-name");
}

static void endpoint_add(struct endpoint_array *array, const struct endpoint *endpoint)
{
	if (array->count == array->capacity) {
		array->capacity = array->capacity ? array->capacity * 2 : 8;
		array->items = xreallocarray(array->items, array->capacity, sizeof(*array->items));
	}
	array->items[array->count++] = *endpoint;
}

static bool condition(const bool *value, bool when_absent)
{
	return value ? *value : when_absent;
}

// Whether the endpoint counts: ready, or, in the second choice, still serving while it terminates.
static bool is_chosen(const struct discovery_v1_endpoint *endpoint, bool terminating)
{
	if (!terminating)
		return condition(endpoint->conditions.ready, true);
	return condition(endpoint->conditions.serving, true) && condition(endpoint->conditions.terminating, false);
}

static void collect_slice(const struct discovery_v1_endpoint_slice *slice, const struct core_v1_service_port *port,
                          bool terminating, struct endpoint_array *found)
{
	for (size_t p = 0; p < slice->ports.count; p++) {
		const struct discovery_v1_endpoint_port *slice_port = &slice->ports.items[p];
		if (!slice_port->port || !text_equal(slice_port->name, port->name) ||
		    protocol_number(slice_port->protocol) != protocol_number(port->protocol))
			continue;
		for (size_t e = 0; e < slice->endpoints.count; e++) {
			const struct discovery_v1_endpoint *endpoint = &slice->endpoints.items[e];
			struct endpoint candidate = {.port = (uint16_t)*slice_port->port};
			if (endpoint->addresses.count && is_chosen(endpoint, terminating) &&
			    rule_address_parse(endpoint->addresses.items[0], &candidate.address))
				endpoint_add(found, &candidate);
		}
	}
}

static int endpoint_compare(const void *a, const void *b)
{
	const struct endpoint *left = a;
	const struct endpoint *right = b;
	int order = memcmp(left->address.bytes, right->address.bytes, sizeof(left->address.bytes));
	return order ? order : (int)left->port - (int)right->port;
}

static void sort_unique(struct endpoint_array *array)
{
	size_t kept = 0;
	if (array->count)
		qsort(array->items, array->count, sizeof(*array->items), endpoint_compare);
	for (size_t i = 0; i < array->count; i++)
		if (!kept || endpoint_compare(&array->items[kept - 1], &array->items[i]) != 0)
			array->items[kept++] = array->items[i];
	array->count = kept;
}

static void collect(const struct discovery_v1_endpoint_slice *const *slices, size_t slice_count,
                    const struct core_v1_service_port *port, bool ipv6, struct endpoint_array *found)
{
	for (int terminating = 0; terminating < 2 && !found->count; terminating++)
		for (size_t i = 0; i < slice_count; i++)
			if (text_equal(slices[i]->address_type, ipv6 ? "IPv6" : "IPv4"))
				collect_slice(slices[i], port, terminating, found);
	sort_unique(found);
}

// The target of one address (or, for a node port, of none) and port.
static void add_target(struct rule_element_array *elements, const struct rule_address *address, bool ipv6,
                       uint8_t protocol, uint16_t port, enum rule_chain chain, const struct endpoint_array *endpoints)
{
	bool node_port = chain == RULE_CHAIN_NODE_PORT;
	enum rule_set set = endpoints->count ? (node_port ? RULE_NODE_PORTS : RULE_SERVICE_IPS)
	                                     : (node_port ? RULE_REFUSED_PORTS : RULE_REFUSED_IPS);
	struct rule_element target = rule_element_start(set, ipv6);
	if (!node_port)
		rule_key_add_address(&target, address);
	rule_key_add_protocol(&target, protocol);
	rule_key_add_port(&target, port);
	if (endpoints->count) {
		target.chain = (uint8_t)chain;
		target.endpoint_count = (uint32_t)endpoints->count;
	}
	rule_element_array_add(elements, &target);
	for (size_t i = 0; i < endpoints->count; i++) {
		struct rule_element element = rule_element_start(RULE_ENDPOINTS, ipv6);
		if (node_port)
			rule_key_add_unspecified(&element);
		else
			rule_key_add_address(&element, address);
		rule_key_add_protocol(&element, protocol);
		rule_key_add_port(&element, port);
		rule_key_add_index(&element, (uint32_t)i);
		rule_data_set_endpoint(&element, &endpoints->items[i].address, endpoints->items[i].port);
		rule_element_array_add(elements, &element);
	}
}

static void add_hairpins(struct rule_element_array *elements, bool ipv6, const struct endpoint_array *endpoints)
{
	for (size_t i = 0; i < endpoints->count; i++) {
		if (i && memcmp(endpoints->items[i].address.bytes, endpoints->items[i - 1].address.bytes,
		                sizeof(endpoints->items[i].address.bytes)) == 0)
			continue;
		struct rule_element element = rule_element_start(RULE_HAIRPINS, ipv6);
		rule_key_add_address(&element, &endpoints->items[i].address);
		rule_key_add_address(&element, &endpoints->items[i].address);
		rule_element_array_add(elements, &element);
	}
}

struct port_context {
	const struct core_v1_service *service;
	const struct core_v1_service_port *port;
	bool ipv6;
	const struct endpoint_array *endpoints;
	struct rule_element_array *elements;
};

static void add_external(const struct port_context *context, const char *text)
{
	struct rule_address address;
	if (rule_address_parse(text, &address) && address.ipv6 == context->ipv6)
		add_target(context->elements, &address, context->ipv6, protocol_number(context->port->protocol),
		           (uint16_t)context->port->port, RULE_CHAIN_EXTERNAL, context->endpoints);
}

static void add_port(const struct port_context *context, const struct rule_address *cluster_ip)
{
	const struct core_v1_service *service = context->service;
	uint8_t protocol = protocol_number(context->port->protocol);
	add_target(context->elements, cluster_ip, context->ipv6, protocol, (uint16_t)context->port->port,
	           RULE_CHAIN_CLUSTER, context->endpoints);
	if (context->port->node_port)
		add_target(context->elements, NULL, context->ipv6, protocol, (uint16_t)context->port->node_port,
		           RULE_CHAIN_NODE_PORT, context->endpoints);
	for (size_t i = 0; i < service->spec.external_ips.count; i++)
		add_external(context, service->spec.external_ips.items[i]);
	for (size_t i = 0; i < service->status.load_balancer.ingress.count; i++)
		add_external(context, service->status.load_balancer.ingress.items[i].ip);
	add_hairpins(context->elements, context->ipv6, context->endpoints);
}

static void add_family(const struct core_v1_service *service, const struct rule_address *cluster_ip,
                       const struct discovery_v1_endpoint_slice *const *slices, size_t slice_count,
                       struct rule_element_array *elements)
{
	struct rule_element member = rule_element_start(RULE_CLUSTER_IPS, cluster_ip->ipv6);
	rule_key_add_address(&member, cluster_ip);
	rule_element_array_add(elements, &member);
	for (size_t i = 0; i < service->spec.ports.count; i++) {
		struct endpoint_array endpoints = {0};
		struct port_context context = {
		        .service = service,
		        .port = &service->spec.ports.items[i],
		        .ipv6 = cluster_ip->ipv6,
		        .endpoints = &endpoints,
		        .elements = elements,
		};
		collect(slices, slice_count, context.port, context.ipv6, &endpoints);
		add_port(&context, cluster_ip);
		free(endpoints.items);
	}
}

void service_rules_build(const struct core_v1_service *service, const struct discovery_v1_endpoint_slice *const *slices,
                         size_t slice_count, struct rule_element_array *elements)
{
	if (!needs_proxying(service))
		return;
	const struct core_v1_service_spec *spec = &service->spec;
	struct rule_address cluster_ip;
	if (!spec->cluster_ips.count && rule_address_parse(spec->cluster_ip, &cluster_ip))
		add_family(service, &cluster_ip, slices, slice_count, elements);
	for (size_t i = 0; i < spec->cluster_ips.count; i++)
		if (rule_address_parse(spec->cluster_ips.items[i], &cluster_ip))
			add_family(service, &cluster_ip, slices, slice_count, elements);
}
