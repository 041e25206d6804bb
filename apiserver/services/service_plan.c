// SPDX-License-Identifier: Apache-2.0
// What a Service needs: a pure decision on the wanted and the stored object.
// Addresses and ports that the Service holds already are kept; those it asks for
// by number are wanted as they are; the rest is open. What it held and no longer
// names is freed once the Service is written.

#include <string.h>

#include "apiserver/server.h"
#include "apiserver/services/service_allocation_internal.h"
#include "apiserver/validation/validation.h"

// --- reading a Service --------------------------------------------------------------------------

static bool has_addresses(const struct json *spec)
{
	return strcmp(text_of(spec, "type"), "ExternalName") && strcmp(text_of(spec, "clusterIP"), "None");
}

static bool has_node_ports(const struct json *spec)
{
	const char *type = text_of(spec, "type");

	return !strcmp(type, "NodePort") ||
	       (!strcmp(type, "LoadBalancer") && json_get_bool(spec, "allocateLoadBalancerNodePorts", true));
}

static bool has_health_port(const struct json *spec)
{
	return !strcmp(text_of(spec, "type"), "LoadBalancer") &&
	       !strcmp(text_of(spec, "externalTrafficPolicy"), "Local");
}

static bool holds_port(const struct json *spec, int64_t node_port)
{
	json_for_each_item (port, json_get(spec, "ports"))
		if (integer_of(port, "nodePort", 0) == node_port)
			return true;
	return integer_of(spec, "healthCheckNodePort", 0) == node_port;
}

static bool holds_address(const struct json *spec, const struct ip *ip)
{
	struct ip held;

	json_for_each_item (item, json_get(spec, "clusterIPs"))
		if (ip_parse(json_text(item), &held) && ip_equal(&held, ip))
			return true;
	return ip_parse(text_of(spec, "clusterIP"), &held) && ip_equal(&held, ip);
}

// --- failures ---------------------------------------------------------------------------------

const struct status *service_plan_invalid(struct change *change, const char *member, const char *value,
                                          const char *detail)
{
	struct rule_path root = FIELD(NULL, "spec");
	struct rule_path path = FIELD(&root, member);
	struct validation v;

	validation_init(&v, change);
	validation_invalid_text(&v, &path, value, detail);
	return validation_status(&v);
}

const struct status *service_plan_invalid_port(struct change *change, int port, const char *detail)
{
	struct rule_path spec = FIELD(NULL, "spec"), ports = FIELD(&spec, "ports");
	struct validation v;
	uint32_t index = 0;

	json_for_each_item (item, json_path(change->object, "spec", "ports")) {
		if (integer_of(item, "nodePort", 0) == port)
			break;
		index++;
	}
	struct rule_path entry = FIELD_INDEX(&ports, index), path = FIELD(&entry, "nodePort");

	validation_init(&v, change);
	validation_invalid_integer(&v, &path, port, detail);
	return validation_status(&v);
}

// --- the plan -------------------------------------------------------------------------------------

static const struct ip_range *range_of_family(const struct server_config *config, bool is_v6)
{
	for (size_t i = 0; i < config->service_range_count; i++)
		if (config->service_ranges[i].base.is_v6 == is_v6)
			return &config->service_ranges[i];
	return NULL;
}

static const char *family_name(bool is_v6)
{
	return is_v6 ? "IPv6" : "IPv4";
}

static void append_family(struct arena *arena, struct json *families, bool is_v6)
{
	json_append(arena, families, json_string(arena, family_name(is_v6)));
}

static bool text_is(const struct json *value, const char *text)
{
	return json_text(value) && !strcmp(json_text(value), text);
}

// Policy and families that the client left open, as upstream defaults them.
static const struct status *settle_families(struct change *change, struct json *spec)
{
	const struct server_config *config = change->server->config;
	const char *policy = text_of(spec, "ipFamilyPolicy");
	struct json *families = json_ensure_array(change->arena, spec, "ipFamilies");
	bool headless = !strcmp(text_of(spec, "clusterIP"), "None");
	bool bare = headless && !length_of(json_get(spec, "selector"));
	bool dual;
	struct ip ip;

	if (!policy[0])
		policy = bare ? "RequireDualStack" : families->length > 1 ? "RequireDualStack" : "SingleStack";
	if (!policy[0] || (length_of(json_get(spec, "clusterIPs")) > 1 && !strcmp(policy, "SingleStack")))
		policy = "RequireDualStack";
	dual = strcmp(policy, "SingleStack") != 0;
	if (!bare && !strcmp(policy, "RequireDualStack") && config->service_range_count < 2)
		return service_plan_invalid(change, "ipFamilyPolicy", policy,
		                            "this cluster is not configured for dual-stack services");
	if (!families->length) {
		bool first = config->service_ranges[0].base.is_v6;

		if (ip_parse(text_of(spec, "clusterIP"), &ip))
			first = ip.is_v6;
		append_family(change->arena, families, first);
	}
	if (dual && families->length == 1 && (bare || config->service_range_count == 2))
		append_family(change->arena, families, !text_is(families->items[0], "IPv6"));
	json_set_text(change->arena, spec, "ipFamilyPolicy", policy);
	return NULL;
}

static const struct status *plan_address(struct service_allocation *allocation, struct change *change,
                                         const struct json *old_spec, bool is_v6, const char *requested)
{
	const struct ip_range *range = range_of_family(change->server->config, is_v6);
	struct wanted_address *wanted = &allocation->addresses[allocation->address_count];
	char range_text[IP_TEXT_BYTES + 8];

	if (!range)
		return service_plan_invalid(change, "ipFamilies", family_name(is_v6), "not configured on this cluster");
	*wanted = (struct wanted_address){.range = range};
	if (requested && requested[0]) {
		wanted->requested = true;
		if (!ip_parse(requested, &wanted->ip))
			return service_plan_invalid(change, "clusterIPs", requested, "must be a valid IP address");
		wanted->kept = old_spec && holds_address(old_spec, &wanted->ip);
		ip_range_format(range, range_text, sizeof(range_text));
		if (!wanted->kept && !ip_range_contains(range, &wanted->ip))
			return service_plan_invalid(
			        change, "clusterIPs", arena_printf(change->arena, "[%s]", requested),
			        arena_printf(change->arena,
			                     "failed to allocate IP %s: the provided network does not match the "
			                     "current range: the provided IP (%s) is not in the valid range. The "
			                     "range of valid IPs is %s",
			                     requested, requested, range_text));
	}
	allocation->address_count++;
	return NULL;
}

static const char *requested_address(const struct json *spec, size_t index)
{
	const struct json *ips = json_get(spec, "clusterIPs");

	if (index < length_of(ips))
		return json_text(ips->items[index]);
	return index ? NULL : text_of(spec, "clusterIP");
}

static const struct status *plan_addresses(struct service_allocation *allocation, struct change *change,
                                           struct json *spec, const struct json *old_spec)
{
	const struct status *status = settle_families(change, spec);
	const struct json *families = json_get(spec, "ipFamilies");

	if (status || !has_addresses(spec))
		return status;
	for (size_t i = 0; i < families->length && i < ALLOCATE_MAX_ADDRESSES && !status; i++)
		status = plan_address(allocation, change, old_spec, text_is(families->items[i], "IPv6"),
		                      requested_address(spec, i));
	return status;
}

// One node port may serve the same port over TCP and UDP.
static int64_t shared_node_port(const struct json *spec, const struct json *wanted)
{
	json_for_each_item (port, json_get(spec, "ports"))
		if (port != wanted && integer_of(port, "port", 0) == integer_of(wanted, "port", -1) &&
		    integer_of(port, "nodePort", 0) && strcmp(text_of(port, "protocol"), text_of(wanted, "protocol")))
			return integer_of(port, "nodePort", 0);
	return 0;
}

static bool is_wanted(const struct service_allocation *allocation, int port)
{
	for (size_t i = 0; i < allocation->wanted_port_count; i++)
		if (allocation->wanted_ports[i] == port)
			return true;
	return false;
}

static const struct status *want_port(struct service_allocation *allocation, struct change *change,
                                      const struct json *old_spec, int port)
{
	const struct server_config *config = change->server->config;
	int last = config->node_port_first + config->node_port_count - 1;

	if ((old_spec && holds_port(old_spec, port)) || is_wanted(allocation, port))
		return NULL;
	if (port < config->node_port_first || port > last)
		return service_plan_invalid_port(
		        change, port,
		        arena_printf(change->arena,
		                     "provided port is not in the valid range. The range of valid ports is "
		                     "%d-%d",
		                     config->node_port_first, last));
	if (allocation->wanted_port_count == ALLOCATE_MAX_PORTS)
		return status_new(change->arena, ERR_INVALID, "too many node ports");
	allocation->wanted_ports[allocation->wanted_port_count++] = port;
	return NULL;
}

static const struct status *plan_ports(struct service_allocation *allocation, struct change *change, struct json *spec,
                                       const struct json *old_spec)
{
	const struct status *status = NULL;
	int64_t health = integer_of(spec, "healthCheckNodePort", 0);

	if (has_health_port(spec) && health)
		status = want_port(allocation, change, old_spec, (int)health);
	else if (has_health_port(spec))
		allocation->dynamic_ports[allocation->dynamic_port_count++] = spec;
	if (!has_node_ports(spec))
		return status;
	json_for_each_item (port, json_get(spec, "ports")) {
		int64_t number = integer_of(port, "nodePort", 0);

		if (status)
			break;
		if (!number && (number = shared_node_port(spec, port)))
			json_set_integer(change->arena, port, "nodePort", number);
		if (number)
			status = want_port(allocation, change, old_spec, (int)number);
		else if (allocation->dynamic_port_count < ALLOCATE_MAX_PORTS)
			allocation->dynamic_ports[allocation->dynamic_port_count++] = port;
	}
	return status;
}

// --- what an update lets go -----------------------------------------------------------------------

static void plan_frees(struct service_allocation *allocation, const struct json *spec, const struct json *old_spec)
{
	struct ip ip;

	json_for_each_item (item, has_addresses(old_spec) ? json_get(old_spec, "clusterIPs") : NULL)
		if (ip_parse(json_text(item), &ip) && !holds_address(spec, &ip) &&
		    allocation->freed_address_count < ALLOCATE_MAX_ADDRESSES)
			allocation->freed_addresses[allocation->freed_address_count++] =
			        arena_strdup(allocation->arena, json_text(item));
	json_for_each_item (port, json_get(old_spec, "ports")) {
		int64_t number = integer_of(port, "nodePort", 0);

		if (number && !holds_port(spec, number) && allocation->freed_port_count < ALLOCATE_MAX_PORTS - 1)
			allocation->freed_ports[allocation->freed_port_count++] = (int)number;
	}
	int64_t health = integer_of(old_spec, "healthCheckNodePort", 0);

	if (health && !holds_port(spec, health))
		allocation->freed_ports[allocation->freed_port_count++] = (int)health;
}

// --- the whole -----------------------------------------------------------------------------------

const struct status *service_plan(struct service_allocation *allocation, struct change *change)
{
	struct json *spec = json_ensure_object(change->arena, change->object, "spec");
	const struct json *old_spec = change->old ? json_get(change->old, "spec") : NULL;
	const struct status *status = NULL;

	if (strcmp(text_of(spec, "type"), "ExternalName"))
		status =
		        plan_addresses(allocation, change, spec, old_spec && has_addresses(old_spec) ? old_spec : NULL);
	if (!status)
		status = plan_ports(allocation, change, spec, old_spec);
	if (old_spec)
		plan_frees(allocation, spec, old_spec);
	return status;
}
