// SPDX-License-Identifier: Apache-2.0
// Services, Endpoints and EndpointSlices. Whether an address or node port is free
// is the allocator's to say.

#include <string.h>

#include "apiserver/services/ip_range.h"
#include "apiserver/validation/string_checks.h"
#include "apiserver/validation/validate.h"

static const char *const protocols[] = {"SCTP", "TCP", "UDP", NULL};

static bool type_is(const struct json *spec, const char *type)
{
	return !strcmp(text_of(spec, "type"), type);
}

static bool is_headless(const struct json *spec)
{
	return !strcmp(text_of(spec, "clusterIP"), "None");
}

// --- ports ------------------------------------------------------------------------------------

static void validate_target_port(struct validation *v, const struct json *port, const struct rule_path *path)
{
	const struct json *target = json_get(port, "targetPort");

	if (json_is(target, JSON_INTEGER))
		validation_range(v, path, target, 1, 65535);
	else if (json_text(target))
		validation_string(v, path, json_text(target), check_port_name);
}

static void validate_service_port(struct validation *v, const struct json *port, bool need_name,
                                  bool may_have_node_port, const struct rule_path *path)
{
	struct rule_path name = FIELD(path, "name"), number = FIELD(path, "port"), protocol = FIELD(path, "protocol"),
	                 target = FIELD(path, "targetPort"), application = FIELD(path, "appProtocol"),
	                 node = FIELD(path, "nodePort");

	if (need_name && !text_of(port, "name")[0])
		validation_required(v, &name, "");
	else if (text_of(port, "name")[0])
		validation_string(v, &name, text_of(port, "name"), check_dns_label);
	if (integer_of(port, "port", 0) < 1 || integer_of(port, "port", 0) > 65535)
		validation_invalid_integer(v, &number, integer_of(port, "port", 0),
		                           "must be between 1 and 65535, inclusive");
	validation_one_of(v, &protocol, json_get(port, "protocol"), true, protocols);
	validate_target_port(v, port, &target);
	if (text_of(port, "appProtocol")[0])
		validation_string(v, &application, text_of(port, "appProtocol"), check_qualified_name);
	if (!may_have_node_port && integer_of(port, "nodePort", 0))
		validation_forbidden(v, &node, "may not be used when `type` is 'ClusterIP'");
}

static bool same_ports(const struct json *a, const struct json *b, const char *member)
{
	return integer_of(a, member, 0) && integer_of(a, member, 0) == integer_of(b, member, 0) &&
	       !strcmp(text_of(a, "protocol"), text_of(b, "protocol"));
}

static void find_duplicates(struct validation *v, const struct json *ports, uint32_t index,
                            const struct rule_path *path)
{
	const struct json *port = ports->items[index];
	struct rule_path name = FIELD(path, "name"), node = FIELD(path, "nodePort");

	for (uint32_t before = 0; before < index; before++) {
		const struct json *other = ports->items[before];

		if (text_of(port, "name")[0] && !strcmp(text_of(port, "name"), text_of(other, "name")))
			validation_duplicate(v, &name, json_get(port, "name"));
		if (same_ports(port, other, "port"))
			validation_duplicate(v, path, port);
		if (same_ports(port, other, "nodePort"))
			validation_duplicate(v, &node, json_get(port, "nodePort"));
	}
}

static void validate_service_ports(struct validation *v, const struct json *spec, const struct rule_path *parent)
{
	const struct json *ports = json_get(spec, "ports");
	struct rule_path path = FIELD(parent, "ports");

	if (!length_of(ports) && !is_headless(spec) && !type_is(spec, "ExternalName"))
		validation_required(v, &path, "");
	for (uint32_t i = 0; i < length_of(ports); i++) {
		struct rule_path item = FIELD_INDEX(&path, i);

		validate_service_port(v, ports->items[i], ports->length > 1, !type_is(spec, "ClusterIP"), &item);
		find_duplicates(v, ports, i, &item);
	}
}

// --- addresses ----------------------------------------------------------------------------------

static void validate_cluster_ips(struct validation *v, const struct json *spec, const struct rule_path *parent)
{
	const struct json *ips = json_get(spec, "clusterIPs");
	const char *first = text_of(spec, "clusterIP");
	struct rule_path path = FIELD(parent, "clusterIPs"), single = FIELD(parent, "clusterIP");
	uint32_t index = 0;

	if (length_of(ips) > 2)
		validation_invalid(v, &path, ips, "may only hold up to 2 values");
	if (length_of(ips) && json_text(ips->items[0]) && strcmp(json_text(ips->items[0]), first))
		validation_invalid(v, &path, ips, "first value must match `clusterIP`");
	json_for_each_item (item, ips) {
		struct rule_path entry = FIELD_INDEX(&path, index++);
		const char *text = json_text(item) ? json_text(item) : "";

		if (!strcmp(text, "None")) {
			if (length_of(ips) > 1)
				validation_invalid_text(v, &entry, text, "may only be set once");
		} else if (text[0]) {
			validate_ip_text(v, text, &entry);
		}
	}
	if (type_is(spec, "ExternalName") && first[0])
		validation_forbidden(v, &path, "may not be set for ExternalName services");
	if (is_headless(spec) && (type_is(spec, "NodePort") || type_is(spec, "LoadBalancer")))
		validation_invalid_text(
		        v, &single, first,
		        arena_printf(v->arena, "may not be set to 'None' for %s services", text_of(spec, "type")));
}

static void validate_families(struct validation *v, const struct json *spec, const struct rule_path *parent)
{
	static const char *const families[] = {"IPv4", "IPv6", NULL};
	static const char *const policies[] = {"SingleStack", "PreferDualStack", "RequireDualStack", NULL};
	struct rule_path path = FIELD(parent, "ipFamilies"), policy = FIELD(parent, "ipFamilyPolicy");
	const struct json *list = json_get(spec, "ipFamilies");
	uint32_t index = 0;

	json_for_each_item (family, list) {
		struct rule_path item = FIELD_INDEX(&path, index++);

		validation_one_of(v, &item, family, true, families);
		if (index == 2 && json_equal(list->items[0], family))
			validation_duplicate(v, &item, family);
	}
	validation_one_of(v, &policy, json_get(spec, "ipFamilyPolicy"), false, policies);
}

static void validate_external_ips(struct validation *v, const struct json *spec, const struct rule_path *parent)
{
	struct rule_path path = FIELD(parent, "externalIPs");
	uint32_t index = 0;

	json_for_each_item (item, json_get(spec, "externalIPs")) {
		struct rule_path entry = FIELD_INDEX(&path, index++);
		const char *text = json_text(item) ? json_text(item) : "";
		struct ip ip;

		validate_ip_text(v, text, &entry);
		if (ip_parse(text, &ip) && !ip.is_v6 && (ip.bytes[0] == 127 || !ip.bytes[0]))
			validation_invalid_text(v, &entry, text,
			                        ip.bytes[0] ? "may not be in the loopback range (127.0.0.0/8, ::1/128)"
			                                    : "may not be unspecified (0.0.0.0 or ::)");
	}
}

// --- policies --------------------------------------------------------------------------------------

static void validate_affinity(struct validation *v, const struct json *spec, const struct rule_path *parent)
{
	static const char *const affinities[] = {"ClientIP", "None", NULL};
	struct rule_path path = FIELD(parent, "sessionAffinity"), config = FIELD(parent, "sessionAffinityConfig"),
	                 client = FIELD(&config, "clientIP"), timeout = FIELD(&client, "timeoutSeconds");
	const struct json *seconds = json_path(spec, "sessionAffinityConfig", "clientIP", "timeoutSeconds");

	validation_one_of(v, &path, json_get(spec, "sessionAffinity"), true, affinities);
	if (!strcmp(text_of(spec, "sessionAffinity"), "None") && is_present(json_get(spec, "sessionAffinityConfig")))
		validation_forbidden(v, &config, "must not be set when session affinity is None");
	if (json_is(seconds, JSON_INTEGER) && (seconds->integer < 1 || seconds->integer > 86400))
		validation_invalid(v, &timeout, seconds, "must be greater than 0 and less than 86400");
}

static void validate_traffic(struct validation *v, const struct json *spec, const struct rule_path *parent)
{
	static const char *const policies[] = {"Cluster", "Local", NULL};
	struct rule_path external = FIELD(parent, "externalTrafficPolicy"),
	                 internal = FIELD(parent, "internalTrafficPolicy"),
	                 health = FIELD(parent, "healthCheckNodePort"), class = FIELD(parent, "loadBalancerClass");
	bool reachable =
	        type_is(spec, "NodePort") || type_is(spec, "LoadBalancer") || length_of(json_get(spec, "externalIPs"));

	validation_one_of(v, &internal, json_get(spec, "internalTrafficPolicy"), false, policies);
	validation_one_of(v, &external, json_get(spec, "externalTrafficPolicy"), false, policies);
	if (text_of(spec, "externalTrafficPolicy")[0] && !reachable)
		validation_invalid_text(v, &external, text_of(spec, "externalTrafficPolicy"),
		                        "may only be set for externally-accessible services");
	if (integer_of(spec, "healthCheckNodePort", 0) &&
	    !(type_is(spec, "LoadBalancer") && !strcmp(text_of(spec, "externalTrafficPolicy"), "Local")))
		validation_invalid(
		        v, &health, json_get(spec, "healthCheckNodePort"),
		        "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'");
	if (text_of(spec, "loadBalancerClass")[0] && !type_is(spec, "LoadBalancer"))
		validation_forbidden(v, &class, "may only be used when `type` is 'LoadBalancer'");
}

static void validate_external_name(struct validation *v, const struct json *spec, const struct rule_path *parent)
{
	struct rule_path path = FIELD(parent, "externalName");
	const char *name = text_of(spec, "externalName");
	size_t length = strlen(name);

	if (!type_is(spec, "ExternalName"))
		return;
	if (!length)
		validation_required(v, &path, "");
	else
		validation_string(v, &path, arena_strndup(v->arena, name, length - (name[length - 1] == '.')),
		                  check_dns_subdomain);
}

static void validate_service_update(struct validation *v, const struct rule_path *path)
{
	const struct json *spec = json_get(v->change->object, "spec"), *old = json_get(v->change->old, "spec");
	struct rule_path ips = FIELD(path, "clusterIPs"), first = FIELD_INDEX(&ips, 0),
	                 class = FIELD(path, "loadBalancerClass");
	const char *now = text_of(spec, "clusterIP"), *before = text_of(old, "clusterIP");

	if (!type_is(spec, "ExternalName") && !type_is(old, "ExternalName") && before[0] && strcmp(now, before))
		validation_invalid(v, &first, json_get(spec, "clusterIPs"), "may not change once set");
	if (type_is(spec, "LoadBalancer") && type_is(old, "LoadBalancer") &&
	    strcmp(text_of(spec, "loadBalancerClass"), text_of(old, "loadBalancerClass")))
		validation_invalid_text(v, &class, text_of(spec, "loadBalancerClass"), "may not change once set");
}

void validate_service(struct validation *v)
{
	static const char *const types[] = {"ClusterIP", "ExternalName", "LoadBalancer", "NodePort", NULL};
	const struct json *spec = json_get(v->change->object, "spec");
	struct rule_path path = FIELD(NULL, "spec"), type = FIELD(&path, "type"), selector = FIELD(&path, "selector");

	if (!strcmp(v->change->subresource, "status"))
		return;
	validation_one_of(v, &type, json_get(spec, "type"), true, types);
	validate_service_ports(v, spec, &path);
	validate_labels(v, json_get(spec, "selector"), &selector);
	validate_cluster_ips(v, spec, &path);
	validate_families(v, spec, &path);
	validate_external_ips(v, spec, &path);
	validate_affinity(v, spec, &path);
	validate_traffic(v, spec, &path);
	validate_external_name(v, spec, &path);
	if (!change_is_create(v->change))
		validate_service_update(v, &path);
}

// --- endpoints ---------------------------------------------------------------------------------------

static void validate_endpoint_ip(struct validation *v, const char *text, const struct rule_path *path)
{
	struct ip ip;

	validate_ip_text(v, text, path);
	if (!ip_parse(text, &ip) || ip.is_v6)
		return;
	if (ip.bytes[0] == 127)
		validation_invalid_text(v, path, text, "may not be in the loopback range (127.0.0.0/8, ::1/128)");
	else if (!ip.bytes[0])
		validation_invalid_text(v, path, text, "may not be unspecified (0.0.0.0 or ::)");
	else if (ip.bytes[0] == 169 && ip.bytes[1] == 254)
		validation_invalid_text(v, path, text,
		                        "may not be in the link-local range (169.254.0.0/16, fe80::/10)");
}

static void validate_addresses(struct validation *v, const struct json *subset, const char *member,
                               const struct rule_path *parent)
{
	struct rule_path path = FIELD(parent, member);
	uint32_t index = 0;

	json_for_each_item (address, json_get(subset, member)) {
		struct rule_path item = FIELD_INDEX(&path, index++), ip = FIELD(&item, "ip");

		validate_endpoint_ip(v, text_of(address, "ip"), &ip);
	}
}

static void validate_endpoint_ports(struct validation *v, const struct json *ports, bool need_name,
                                    const struct rule_path *path)
{
	uint32_t index = 0;

	json_for_each_item (port, ports) {
		struct rule_path item = FIELD_INDEX(path, index++), name = FIELD(&item, "name"),
		                 number = FIELD(&item, "port"), protocol = FIELD(&item, "protocol");

		if (need_name && !text_of(port, "name")[0])
			validation_required(v, &name, "");
		else if (text_of(port, "name")[0])
			validation_string(v, &name, text_of(port, "name"), check_dns_label);
		if (is_present(json_get(port, "port")))
			validation_range(v, &number, json_get(port, "port"), 1, 65535);
		validation_one_of(v, &protocol, json_get(port, "protocol"), false, protocols);
	}
}

void validate_endpoints(struct validation *v)
{
	struct rule_path path = FIELD(NULL, "subsets");
	uint32_t index = 0;

	json_for_each_item (subset, json_get(v->change->object, "subsets")) {
		struct rule_path item = FIELD_INDEX(&path, index++), ports = FIELD(&item, "ports");

		if (!length_of(json_get(subset, "addresses")) && !length_of(json_get(subset, "notReadyAddresses")))
			validation_required(v, &item, "must specify `addresses` or `notReadyAddresses`");
		validate_addresses(v, subset, "addresses", &item);
		validate_addresses(v, subset, "notReadyAddresses", &item);
		validate_endpoint_ports(v, json_get(subset, "ports"), length_of(json_get(subset, "ports")) > 1, &ports);
	}
}

static void validate_slice_endpoint(struct validation *v, const struct json *endpoint, const char *type,
                                    const struct rule_path *path)
{
	struct rule_path addresses = FIELD(path, "addresses");
	const struct json *list = json_get(endpoint, "addresses");
	uint32_t index = 0;

	if (!length_of(list))
		validation_required(v, &addresses, "must contain at least 1 address");
	if (length_of(list) > 100)
		validation_too_many(v, &addresses, length_of(list), 100);
	json_for_each_item (address, list) {
		struct rule_path item = FIELD_INDEX(&addresses, index++);
		const char *text = json_text(address) ? json_text(address) : "";
		struct ip ip;

		if (!strcmp(type, "FQDN"))
			validation_string(v, &item, text, check_dns_subdomain);
		else if (!ip_parse(text, &ip) || ip.is_v6 != !strcmp(type, "IPv6"))
			validation_invalid_text(v, &item, text,
			                        !strcmp(type, "IPv6") ? "must be a valid IPv6 address"
			                                              : "must be a valid IPv4 address");
		else
			validate_endpoint_ip(v, text, &item);
	}
}

void validate_endpoint_slice(struct validation *v)
{
	static const char *const types[] = {"FQDN", "IPv4", "IPv6", NULL};
	const struct json *object = v->change->object, *endpoints = json_get(object, "endpoints");
	struct rule_path type = FIELD(NULL, "addressType"), path = FIELD(NULL, "endpoints"),
	                 ports = FIELD(NULL, "ports");
	uint32_t index = 0;

	validation_one_of(v, &type, json_get(object, "addressType"), true, types);
	if (length_of(endpoints) > 1000)
		validation_too_many(v, &path, length_of(endpoints), 1000);
	json_for_each_item (endpoint, endpoints) {
		struct rule_path item = FIELD_INDEX(&path, index++);

		validate_slice_endpoint(v, endpoint, text_of(object, "addressType"), &item);
	}
	validate_endpoint_ports(v, json_get(object, "ports"), false, &ports);
	if (!change_is_create(v->change))
		validation_immutable(v, &type, json_get(object, "addressType"),
		                     json_get(v->change->old, "addressType"));
}
