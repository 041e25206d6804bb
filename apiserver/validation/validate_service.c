// SPDX-License-Identifier: Apache-2.0
// Services. Whether an address or node port is free is the allocator's to say,
// which runs after this: what it fills in may be missing here.

#include <string.h>

#include "apiserver/registry/metadata.h"
#include "apiserver/services/ip_range.h"
#include "apiserver/validation/rules.h"
#include "apiserver/validation/string_checks.h"
#include "apiserver/validation/validate.h"

#define ONLY_BALANCER_DETAIL "may only be used when `type` is 'LoadBalancer'"
#define ONCE_DETAIL "may not change once set"
#define AFFINITY_MAX_SECONDS 86400
#define HINTS_OF_OLD "service.kubernetes.io/topology-aware-hints"
#define TOPOLOGY_MODE "service.kubernetes.io/topology-mode"
#define SOURCE_RANGES "service.beta.kubernetes.io/load-balancer-source-ranges"

static const char *const protocols[] = {"SCTP", "TCP", "UDP", NULL};

static bool type_is(const struct json *spec, const char *type)
{
	return text_is(spec, "type", type);
}

static bool is_headless(const struct json *spec)
{
	const struct json *ips = json_get(spec, "clusterIPs");

	return length_of(ips) == 1 ? list_has_text(ips, "None") : text_is(spec, "clusterIP", "None");
}

static bool has_health_port(const struct json *spec)
{
	return type_is(spec, "LoadBalancer") && text_is(spec, "externalTrafficPolicy", "Local");
}

// --- ports ------------------------------------------------------------------------------------

static void validate_port(struct validation *v, const struct json *ports, uint32_t index, const struct rule_path *path)
{
	const struct json *port = ports->items[index];
	struct rule_path name = FIELD(path, "name"), number = FIELD(path, "port"), target = FIELD(path, "targetPort"),
	                 application = FIELD(path, "appProtocol");
	int64_t value = integer_of(port, "port", 0);

	if (!text_of(port, "name")[0]) {
		if (ports->length > 1)
			validation_required(v, &name, "");
	} else {
		validation_string(v, &name, text_of(port, "name"), check_dns_label);
		if (text_repeats(ports, index, "name"))
			validation_duplicate(v, &name, json_get(port, "name"));
	}
	if (value < 1 || value > 65535)
		validation_invalid_integer(v, &number, value, PORT_NUMBER_DETAIL);
	rule_one_of(v, port, "protocol", path, true, protocols);
	rule_port_reference(v, json_get(port, "targetPort"), &target);
	if (json_text(json_get(port, "appProtocol")))
		validation_string(v, &application, text_of(port, "appProtocol"), check_qualified_name);
}

static bool repeats_port(const struct json *ports, uint32_t index, const char *member)
{
	const struct json *port = ports->items[index];

	for (uint32_t i = 0; i < index; i++)
		if (integer_of(ports->items[i], member, 0) == integer_of(port, member, 0) &&
		    text_is(ports->items[i], "protocol", text_of(port, "protocol")))
			return true;
	return false;
}

static void validate_ports(struct validation *v, const struct json *spec, const struct rule_path *parent)
{
	const struct json *ports = json_get(spec, "ports");
	struct rule_path path = FIELD(parent, "ports");

	if (!length_of(ports) && !is_headless(spec) && !type_is(spec, "ExternalName"))
		validation_required(v, &path, "");
	for (uint32_t i = 0; i < length_of(ports); i++) {
		struct rule_path entry = FIELD_INDEX(&path, i);

		validate_port(v, ports, i, &entry);
	}
}

static void validate_port_clashes(struct validation *v, const struct json *spec, const struct rule_path *parent)
{
	const struct json *ports = json_get(spec, "ports");
	struct rule_path path = FIELD(parent, "ports");

	rule_for_each_item (port, entry, ports, &path) {
		struct rule_path node = FIELD(&entry, "nodePort");
		int64_t node_port = integer_of(port, "nodePort", 0);

		if (node_port && type_is(spec, "ClusterIP"))
			validation_forbidden(v, &node, "may not be used when `type` is 'ClusterIP'");
		if (node_port && repeats_port(ports, entry.index, "nodePort"))
			validation_duplicate(v, &node, json_get(port, "nodePort"));
	}
	rule_for_each_item (port, entry, ports, &path)
		if (repeats_port(ports, entry.index, "port"))
			validation_duplicate_rendered(
			        v, &entry,
			        arena_printf(v->arena,
			                     "core.ServicePort{Name:\"\", Protocol:\"%s\", AppProtocol:(*string)(nil), "
			                     "Port:%lld, TargetPort:intstr.IntOrString{Type:0, IntVal:0, StrVal:\"\"}, "
			                     "NodePort:0}",
			                     text_of(port, "protocol"), (long long)integer_of(port, "port", 0)));
}

// --- addresses ----------------------------------------------------------------------------------

static void compare_first_address(struct validation *v, const struct json *spec, const struct rule_path *path)
{
	const struct json *ips = json_get(spec, "clusterIPs");
	const char *first = text_of(spec, "clusterIP");

	if (first[0] && !length_of(ips))
		validation_required(v, path, "");
	else if (first[0] && (!json_text(ips->items[0]) || strcmp(json_text(ips->items[0]), first)))
		validation_invalid(v, path, ips, "first value must match `clusterIP`");
	else if (!first[0] && length_of(ips))
		validation_invalid(v, path, ips, "must be empty when `clusterIP` is not specified");
}

static void validate_families(struct validation *v, const struct json *spec, const struct rule_path *parent)
{
	static const char *const families[] = {"IPv4", "IPv6", NULL};
	static const char *const policies[] = {"PreferDualStack", "RequireDualStack", "SingleStack", NULL};
	const struct json *list = json_get(spec, "ipFamilies");
	struct rule_path path = FIELD(parent, "ipFamilies");

	rule_for_each_item (family, entry, list, &path) {
		validation_one_of(v, &entry, family, true, families);
		if (text_repeats(list, entry.index, NULL))
			validation_duplicate(v, &entry, family);
	}
	rule_one_of(v, spec, "ipFamilyPolicy", parent, false, policies);
}

static void compare_families(struct validation *v, const struct json *spec, const struct rule_path *path)
{
	const struct json *ips = json_get(spec, "clusterIPs"), *families = json_get(spec, "ipFamilies");
	struct ip first, second;

	if (length_of(ips) > 1 && (length_of(ips) > 2 || !ip_parse_legacy(json_text(ips->items[0]), &first) ||
	                           !ip_parse_legacy(json_text(ips->items[1]), &second) || first.is_v6 == second.is_v6))
		validation_invalid(v, path, ips, "may specify no more than one IP for each IP family");
	rule_for_each_item (item, entry, is_headless(spec) ? NULL : ips, path) {
		struct ip ip;

		if (entry.index >= length_of(families) || !ip_parse_legacy(json_text(item), &ip) ||
		    !json_text(families->items[entry.index]))
			continue;
		if (ip.is_v6 != !strcmp(json_text(families->items[entry.index]), "IPv6"))
			validation_invalid(v, &entry, item,
			                   arena_printf(v->arena,
			                                "expected an %s value as indicated by `ipFamilies[%u]`",
			                                ip.is_v6 ? "IPv4" : "IPv6", entry.index));
	}
}

static void validate_addresses(struct validation *v, const struct json *spec, const struct rule_path *parent)
{
	const struct json *ips = json_get(spec, "clusterIPs");
	struct rule_path path = FIELD(parent, "clusterIPs");
	size_t before;

	if (type_is(spec, "ExternalName"))
		return;
	compare_first_address(v, spec, &path);
	validate_families(v, spec, parent);
	before = v->count;
	rule_for_each_item (item, entry, ips, &path) {
		const char *text = json_text(item) ? json_text(item) : "";

		if (entry.index || strcmp(text, "None"))
			rule_ip(v, text, &entry);
		else if (ips->length > 1)
			validation_invalid(v, &path, ips, "'None' must be the first and only value");
	}
	if (length_of(ips) > 2)
		validation_invalid(v, &path, ips, "may only hold up to 2 values");
	if (before == v->count)
		compare_families(v, spec, &path);
}

void validate_endpoint_ip(struct validation *v, const char *text, const struct rule_path *path)
{
	static const uint8_t nothing[16];
	struct ip ip;
	const uint8_t *bytes = ip.bytes;

	if (!ip_parse_legacy(text, &ip)) {
		validation_invalid_text(v, path, text, "must be a valid IP address");
		return;
	}
	if (!memcmp(bytes, nothing, ip.is_v6 ? 16 : 4))
		validation_invalid_text(v, path, text, arena_printf(v->arena, "may not be unspecified (%s)", text));
	if (ip.is_v6 ? !memcmp(bytes, nothing, 15) && bytes[15] == 1 : bytes[0] == 127)
		validation_invalid_text(v, path, text, "may not be in the loopback range (127.0.0.0/8, ::1/128)");
	if (ip.is_v6 ? bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80 : bytes[0] == 169 && bytes[1] == 254)
		validation_invalid_text(v, path, text,
		                        "may not be in the link-local range (169.254.0.0/16, fe80::/10)");
	if (ip.is_v6 ? bytes[0] == 0xff && (bytes[1] & 0x0f) == 0x02 : !memcmp(bytes, "\xe0\0\0", 3))
		validation_invalid_text(v, path, text,
		                        "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
}

static void validate_external_ips(struct validation *v, const struct json *spec, const struct rule_path *parent)
{
	struct rule_path path = FIELD(parent, "externalIPs");

	rule_for_each_item (item, entry, json_get(spec, "externalIPs"), &path) {
		const char *text = json_text(item) ? json_text(item) : "";
		size_t before = v->count;

		rule_ip(v, text, &entry);
		if (before == v->count)
			validate_endpoint_ip(v, text, &entry);
	}
}

// --- types -----------------------------------------------------------------------------------------

static void validate_external_name(struct validation *v, const struct json *spec, const struct rule_path *parent)
{
	static const char *const forbidden[] = {"clusterIPs", "ipFamilies", "ipFamilyPolicy"};
	const char *name = text_of(spec, "externalName");
	size_t length = strlen(name);
	struct rule_path path = FIELD(parent, "externalName");

	for (size_t i = 0; i < ARRAY_SIZE(forbidden); i++)
		rule_forbidden(v, spec, forbidden[i], parent, "may not be set for ExternalName services");
	if (length && name[length - 1] == '.')
		name = arena_strndup(v->arena, name, length - 1);
	if (!name[0])
		validation_required(v, &path, "");
	else
		validation_string(v, &path, name, check_dns_subdomain);
}

static void validate_headless(struct validation *v, const struct json *spec, const struct rule_path *parent)
{
	struct rule_path path = FIELD(parent, "clusterIPs"), first = FIELD_INDEX(&path, 0);

	if (is_headless(spec) && (type_is(spec, "NodePort") || type_is(spec, "LoadBalancer")))
		validation_invalid_text(
		        v, &first, "None",
		        arena_printf(v->arena, "may not be set to 'None' for %s services", text_of(spec, "type")));
}

static void validate_affinity(struct validation *v, const struct json *spec, const struct rule_path *parent)
{
	static const char *const affinities[] = {"ClientIP", "None", NULL};
	static const char *const detail = "when session affinity type is ClientIP";
	const struct json *config = json_get(spec, "sessionAffinityConfig"), *client = json_get(config, "clientIP");
	const struct json *seconds = json_get(client, "timeoutSeconds");
	struct rule_path path = FIELD(parent, "sessionAffinityConfig"), client_path = FIELD(&path, "clientIP"),
	                 timeout = FIELD(&client_path, "timeoutSeconds");

	rule_one_of(v, spec, "sessionAffinity", parent, true, affinities);
	if (text_is(spec, "sessionAffinity", "None") && is_present(config))
		validation_forbidden(v, &path, "must not be set when session affinity is None");
	if (!text_is(spec, "sessionAffinity", "ClientIP"))
		return;
	if (!is_present(config))
		validation_required(v, &path, detail);
	else if (!is_present(client))
		validation_required(v, &client_path, detail);
	else if (!json_is(seconds, JSON_INTEGER))
		validation_required(v, &timeout, detail);
	else if (seconds->integer < 1 || seconds->integer > AFFINITY_MAX_SECONDS)
		validation_invalid(v, &timeout, seconds, "must be greater than 0 and less than 86400");
}

static void validate_range_list(struct validation *v, const char *text, const struct rule_path *path)
{
	while (text && *text) {
		size_t length = strcspn(text, ",");
		const char *range = text + strspn(text, " ");

		while (length && text[length - 1] == ' ')
			length--;
		rule_cidr(v, arena_strndup(v->arena, range, (size_t)(text + length - range)), path);
		text = strchr(text, ',') ? strchr(text, ',') + 1 : NULL;
	}
}

static void validate_source_ranges(struct validation *v, const struct json *spec, const struct rule_path *parent)
{
	const struct json *ranges = json_get(spec, "loadBalancerSourceRanges");
	const char *annotation = metadata_annotation(v->change->object, SOURCE_RANGES);
	struct rule_path path = FIELD(parent, "LoadBalancerSourceRanges"), metadata = FIELD(NULL, "metadata"),
	                 annotations = FIELD(&metadata, "annotations"), own = FIELD_KEY(&annotations, SOURCE_RANGES);
	bool balanced = type_is(spec, "LoadBalancer");

	if (length_of(ranges) && !balanced)
		validation_forbidden(v, &path, ONLY_BALANCER_DETAIL);
	else if (!length_of(ranges) && annotation && !balanced)
		validation_forbidden(v, &own, ONLY_BALANCER_DETAIL);
	rule_for_each_item (range, entry, ranges, &path)
		validate_range_list(v, json_text(range) ? json_text(range) : "", &entry);
	if (!length_of(ranges) && annotation)
		validate_range_list(v, annotation, &own);
}

static void validate_balancer(struct validation *v, const struct json *spec, const struct rule_path *parent)
{
	struct rule_path class = FIELD(parent, "loadBalancerClass"),
	                 allocate = FIELD(parent, "allocateLoadBalancerNodePorts"),
	                 allocate_missing = FIELD(NULL, "allocateLoadBalancerNodePorts");
	bool balanced = type_is(spec, "LoadBalancer"),
	     allocates = is_present(json_get(spec, "allocateLoadBalancerNodePorts"));

	validate_source_ranges(v, spec, parent);
	if (!balanced && allocates)
		validation_forbidden(v, &allocate, ONLY_BALANCER_DETAIL);
	else if (balanced && !allocates)
		validation_required(v, &allocate_missing, "");
	if (!json_text(json_get(spec, "loadBalancerClass")))
		return;
	if (balanced)
		validation_string(v, &class, text_of(spec, "loadBalancerClass"), check_qualified_name);
	else
		validation_forbidden(v, &class, ONLY_BALANCER_DETAIL);
}

static void validate_traffic(struct validation *v, const struct json *spec, const struct rule_path *parent)
{
	static const char *const policies[] = {"Cluster", "Local", NULL};
	static const char *const distributions[] = {"PreferClose", NULL};
	const char *external = text_of(spec, "externalTrafficPolicy");
	struct rule_path external_path = FIELD(parent, "externalTrafficPolicy"),
	                 health = FIELD(parent, "healthCheckNodePort"),
	                 distribution = FIELD(parent, "trafficDistribution"),
	                 internal = FIELD(parent, "internalTrafficPolicy");
	bool reachable = type_is(spec, "NodePort") || type_is(spec, "LoadBalancer") ||
	                 (type_is(spec, "ClusterIP") && length_of(json_get(spec, "externalIPs")));

	if (!reachable && external[0])
		validation_invalid_text(v, &external_path, external,
		                        "may only be set for externally-accessible services");
	else if (reachable)
		rule_one_of(v, spec, "externalTrafficPolicy", parent, true, policies);
	if (has_health_port(spec))
		rule_range(v, spec, "healthCheckNodePort", parent, 0, 65535);
	else if (integer_of(spec, "healthCheckNodePort", 0))
		validation_invalid(
		        v, &health, json_get(spec, "healthCheckNodePort"),
		        "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'");
	if (json_text(json_get(spec, "internalTrafficPolicy")) && !is_one_of(text_of(spec, internal.name), policies))
		validation_not_supported(v, &internal, text_of(spec, internal.name), policies);
	if (json_text(json_get(spec, "trafficDistribution")) &&
	    !is_one_of(text_of(spec, "trafficDistribution"), distributions))
		validation_not_supported(v, &distribution, text_of(spec, "trafficDistribution"), distributions);
}

static void validate_topology_annotations(struct validation *v)
{
	const char *mode = metadata_annotation(v->change->object, TOPOLOGY_MODE);
	const char *hints = metadata_annotation(v->change->object, HINTS_OF_OLD);
	struct rule_path metadata = FIELD(NULL, "metadata"), annotations = FIELD(&metadata, "annotations"),
	                 path = FIELD_KEY(&annotations, TOPOLOGY_MODE);

	if (mode && hints && strcmp(mode, hints))
		validation_invalid_text(v, &path, mode,
		                        "must match annotations[" HINTS_OF_OLD "] when both are specified");
}

// --- updates ---------------------------------------------------------------------------------------

static const char *text_at(const struct json *list, uint32_t index)
{
	return index < length_of(list) && json_text(list->items[index]) ? json_text(list->items[index]) : "";
}

static void validate_address_update(struct validation *v, const struct json *spec, const struct json *old,
                                    const struct rule_path *parent)
{
	const struct json *now = json_get(spec, "clusterIPs"), *before = json_get(old, "clusterIPs");
	struct rule_path path = FIELD(parent, "clusterIPs"), first = FIELD_INDEX(&path, 0),
	                 policy = FIELD(parent, "ipFamilyPolicy");
	bool shrinks = length_of(now) < length_of(before);

	for (uint32_t i = 0; length_of(now) == length_of(before) && i < length_of(now); i++) {
		struct rule_path entry = FIELD_INDEX(&path, i);

		if (strcmp(text_at(now, i), text_at(before, i)))
			validation_invalid(v, &entry, now, ONCE_DETAIL);
	}
	if (length_of(now) == length_of(before))
		return;
	if (shrinks && !length_of(now))
		validation_invalid(v, &first, now, "primary clusterIP can not be unset");
	else if (length_of(before) && strcmp(text_at(now, 0), text_at(before, 0)))
		validation_invalid(v, &first, now, ONCE_DETAIL);
	if (shrinks && length_of(now) == 1 && !text_is(spec, "ipFamilyPolicy", "SingleStack"))
		validation_invalid(v, &policy, json_get(spec, "ipFamilyPolicy"),
		                   "must be set to 'SingleStack' when releasing the secondary clusterIP");
}

static void validate_family_update(struct validation *v, const struct json *spec, const struct json *old,
                                   const struct rule_path *parent)
{
	const struct json *now = json_get(spec, "ipFamilies"), *before = json_get(old, "ipFamilies");
	struct rule_path path = FIELD(parent, "ipFamilies"), first = FIELD_INDEX(&path, 0),
	                 policy = FIELD(parent, "ipFamilyPolicy");
	bool shrinks = length_of(now) < length_of(before), same_length = length_of(now) == length_of(before);

	if (is_headless(spec))
		return;
	for (uint32_t i = 0; same_length && i < length_of(now); i++)
		if (strcmp(text_at(now, i), text_at(before, i)))
			validation_invalid(v, &first, now, ONCE_DETAIL);
	if (same_length)
		return;
	if (length_of(now) && length_of(before) && strcmp(text_at(now, 0), text_at(before, 0)))
		validation_invalid(v, &first, json_get(spec, "clusterIPs"), ONCE_DETAIL);
	if (shrinks && length_of(now) == 1 && !text_is(spec, "ipFamilyPolicy", "SingleStack"))
		validation_invalid(v, &policy, json_get(spec, "ipFamilyPolicy"),
		                   "must be set to 'SingleStack' when releasing the secondary ipFamily");
}

static void validate_service_update(struct validation *v, const struct json *spec, const struct rule_path *path)
{
	const struct json *old = json_get(v->change->old, "spec");
	struct rule_path class = FIELD(path, "loadBalancerClass"), health = FIELD(path, "healthCheckNodePort");
	int64_t health_port = integer_of(spec, "healthCheckNodePort", 0);

	if (!type_is(spec, "ExternalName") && !type_is(old, "ExternalName")) {
		if (!(is_headless(spec) && is_headless(old)))
			validate_address_update(v, spec, old, path);
		if (is_headless(spec) == is_headless(old))
			validate_family_update(v, spec, old, path);
	}
	if (type_is(spec, "LoadBalancer") && type_is(old, "LoadBalancer") &&
	    !rule_equal(json_get(spec, "loadBalancerClass"), json_get(old, "loadBalancerClass")))
		validation_invalid(v, &class, json_get(spec, "loadBalancerClass"), ONCE_DETAIL);
	if (has_health_port(spec) && has_health_port(old) && health_port != integer_of(old, "healthCheckNodePort", 0))
		validation_forbidden(v, &health, IMMUTABLE_DETAIL);
}

// --- status ----------------------------------------------------------------------------------------

static void validate_ingress_point(struct validation *v, const struct json *ingress, const struct rule_path *path)
{
	static const char *const modes[] = {"Proxy", "VIP", NULL};
	const char *address = text_of(ingress, "ip"), *host = text_of(ingress, "hostname");
	struct rule_path ip_path = FIELD(path, "ip"), mode = FIELD(path, "ipMode"), name = FIELD(path, "hostname");
	struct ip ip;

	if (address[0])
		rule_ip(v, address, &ip_path);
	if (!is_present(json_get(ingress, "ipMode"))) {
		if (address[0])
			validation_required(v, &mode, "must be specified when `ip` is set");
	} else if (!address[0]) {
		validation_forbidden(v, &mode, "may not be specified when `ip` is not set");
	} else {
		validation_one_of(v, &mode, json_get(ingress, "ipMode"), false, modes);
	}
	if (!host[0])
		return;
	validation_string(v, &name, host, check_dns_subdomain);
	if (ip_parse_legacy(host, &ip))
		validation_invalid_text(v, &name, host, "must be a DNS name, not an IP address");
}

static void validate_service_status(struct validation *v)
{
	const struct json *points = json_path(v->change->object, "status", "loadBalancer", "ingress");
	struct rule_path status = FIELD(NULL, "status"), balancer = FIELD(&status, "loadBalancer"),
	                 path = FIELD(&balancer, "ingress"), conditions = FIELD(&status, "conditions");

	rule_conditions(v, json_path(v->change->object, "status", "conditions"), &conditions);
	if (length_of(points) && !type_is(json_get(v->change->object, "spec"), "LoadBalancer")) {
		validation_forbidden(v, &path, "may only be used when `spec.type` is 'LoadBalancer'");
		return;
	}
	rule_for_each_item (ingress, entry, points, &path)
		validate_ingress_point(v, ingress, &entry);
}

void validate_service(struct validation *v)
{
	static const char *const types[] = {"ClusterIP", "ExternalName", "LoadBalancer", "NodePort", NULL};
	const struct json *spec = json_get(v->change->object, "spec");
	struct rule_path path = FIELD(NULL, "spec"), selector = FIELD(&path, "selector");

	if (!strcmp(v->change->subresource, "status")) {
		validate_service_status(v);
		return;
	}
	if (v->change->old)
		validate_service_update(v, spec, &path);
	validate_topology_annotations(v);
	validate_headless(v, spec, &path);
	if (type_is(spec, "ExternalName"))
		validate_external_name(v, spec, &path);
	validate_ports(v, spec, &path);
	validate_labels(v, json_get(spec, "selector"), &selector);
	validate_affinity(v, spec, &path);
	validate_addresses(v, spec, &path);
	validate_external_ips(v, spec, &path);
	rule_one_of(v, spec, "type", &path, true, types);
	validate_port_clashes(v, spec, &path);
	validate_balancer(v, spec, &path);
	validate_traffic(v, spec, &path);
}
