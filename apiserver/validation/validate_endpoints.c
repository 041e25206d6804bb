// SPDX-License-Identifier: Apache-2.0
// Endpoints and EndpointSlices. What a stored object already had wrong is no
// reason to refuse another change of it.

#include <string.h>

#include "apiserver/services/ip_range.h"
#include "apiserver/validation/rules.h"
#include "apiserver/validation/string_checks.h"
#include "apiserver/validation/validate.h"

enum {
	SLICE_MAX_ENDPOINTS = 1000,
	SLICE_MAX_ADDRESSES = 100,
	SLICE_MAX_PORTS = 20000,
	SLICE_MAX_HINTS = 8,
	SLICE_MAX_TOPOLOGY = 16,
};

static const char *const protocols[] = {"SCTP", "TCP", "UDP", NULL};

// --- Endpoints -------------------------------------------------------------------------------------

static void validate_addresses(struct validation *v, const struct json *subset, const char *member,
                               const struct rule_path *parent)
{
	struct rule_path path = FIELD(parent, member);

	rule_for_each_item (address, entry, json_get(subset, member), &path) {
		struct rule_path ip = FIELD(&entry, "ip"), node = FIELD(&entry, "nodeName");

		rule_ip(v, text_of(address, "ip"), &ip);
		rule_text(v, address, "hostname", &entry, check_dns_label);
		if (json_text(json_get(address, "nodeName")))
			validation_string(v, &node, text_of(address, "nodeName"), check_dns_subdomain);
		validate_endpoint_ip(v, text_of(address, "ip"), &ip);
	}
}

static void validate_port(struct validation *v, const struct json *port, bool need_name, const struct rule_path *path)
{
	struct rule_path number = FIELD(path, "port"), name = FIELD(path, "name"),
	                 application = FIELD(path, "appProtocol");
	int64_t value = integer_of(port, "port", 0);

	if (need_name && !text_of(port, "name")[0])
		validation_required(v, &name, "");
	else
		rule_text(v, port, "name", path, check_dns_label);
	if (value < 1 || value > 65535)
		validation_invalid_integer(v, &number, value, PORT_NUMBER_DETAIL);
	rule_one_of(v, port, "protocol", path, true, protocols);
	if (json_text(json_get(port, "appProtocol")))
		validation_string(v, &application, text_of(port, "appProtocol"), check_qualified_name);
}

void validate_endpoints(struct validation *v)
{
	const struct json *subsets = json_get(v->change->object, "subsets");
	struct rule_path path = FIELD(NULL, "subsets");

	if (v->change->old && rule_equal(subsets, json_get(v->change->old, "subsets")))
		return;
	rule_for_each_item (subset, entry, subsets, &path) {
		const struct json *list = json_get(subset, "ports");
		struct rule_path ports = FIELD(&entry, "ports");

		if (!length_of(json_get(subset, "addresses")) && !length_of(json_get(subset, "notReadyAddresses")))
			validation_required(v, &entry, "must specify `addresses` or `notReadyAddresses`");
		validate_addresses(v, subset, "addresses", &entry);
		validate_addresses(v, subset, "notReadyAddresses", &entry);
		rule_for_each_item (port, port_entry, list, &ports)
			validate_port(v, port, list->length > 1, &port_entry);
	}
}

// --- EndpointSlices --------------------------------------------------------------------------------

static void validate_domain_name(struct validation *v, const char *text, const struct rule_path *path)
{
	const char *complaint, *name = text;

	if (!text[0]) {
		validation_required(v, path, "");
		return;
	}
	if (text[strlen(text) - 1] == '.')
		name = arena_strndup(v->arena, text, strlen(text) - 1);
	complaint = check_dns_subdomain(v->arena, name, 0);
	if (complaint)
		validation_invalid_text(v, path, text, complaint);
	else if (!strchr(name, '.'))
		validation_invalid_text(v, path, text,
		                        "should be a domain with at least two segments separated by dots");
}

static void validate_address(struct validation *v, const char *text, const char *type, const struct rule_path *path)
{
	char canonical[IP_TEXT_BYTES];
	struct ip ip;
	size_t before = v->count;

	if (!strcmp(type, "FQDN")) {
		validate_domain_name(v, text, path);
		return;
	}
	if (strcmp(type, "IPv4") && strcmp(type, "IPv6"))
		return;
	rule_ip(v, text, path);
	if (before != v->count || !ip_parse_legacy(text, &ip))
		return;
	ip_format(&ip, canonical);
	if (!strcmp(type, "IPv6") && strcmp(canonical, text))
		validation_invalid_text(v, path, text,
		                        arena_printf(v->arena, "must be in canonical form (\"%s\")", canonical));
	else if (ip.is_v6 != !strcmp(type, "IPv6"))
		validation_invalid_text(v, path->parent, text, arena_printf(v->arena, "must be an %s address", type));
	validate_endpoint_ip(v, text, path);
}

static void validate_hints(struct validation *v, const struct json *hints, const char *member, string_check check,
                           const struct rule_path *parent)
{
	const struct json *list = json_get(hints, member);
	struct rule_path path = FIELD(parent, member);

	if (length_of(list) > SLICE_MAX_HINTS) {
		validation_too_many(v, &path, length_of(list), SLICE_MAX_HINTS);
		return;
	}
	rule_for_each_item (hint, entry, list, &path) {
		struct rule_path name = FIELD(&entry, "name");

		if (text_repeats(list, entry.index, "name"))
			validation_duplicate(v, &name, json_get(hint, "name"));
		validation_string(v, &name, text_of(hint, "name"), check);
	}
}

static void validate_endpoint(struct validation *v, const struct json *endpoint, const char *type,
                              const struct rule_path *path)
{
	const struct json *list = json_get(endpoint, "addresses"), *topology = json_get(endpoint, "deprecatedTopology");
	struct rule_path addresses = FIELD(path, "addresses"), topology_path = FIELD(path, "deprecatedTopology"),
	                 node = FIELD(path, "nodeName"), host = FIELD(path, "hostname"), hints = FIELD(path, "hints");

	if (!length_of(list))
		validation_required(v, &addresses, "must contain at least 1 address");
	else if (length_of(list) > SLICE_MAX_ADDRESSES)
		validation_too_many(v, &addresses, length_of(list), SLICE_MAX_ADDRESSES);
	rule_for_each_item (address, entry, list, &addresses)
		validate_address(v, json_text(address) ? json_text(address) : "", type, &entry);
	if (json_text(json_get(endpoint, "nodeName")))
		validation_string(v, &node, text_of(endpoint, "nodeName"), check_dns_subdomain);
	if (length_of(topology) > SLICE_MAX_TOPOLOGY)
		validation_too_many(v, &topology_path, length_of(topology), SLICE_MAX_TOPOLOGY);
	validate_labels(v, topology, &topology_path);
	if (json_text(json_get(endpoint, "hostname")))
		validation_string(v, &host, text_of(endpoint, "hostname"), check_dns_label);
	validate_hints(v, json_get(endpoint, "hints"), "forZones", check_label_value, &hints);
	validate_hints(v, json_get(endpoint, "hints"), "forNodes", check_dns_subdomain, &hints);
}

static void validate_slice_ports(struct validation *v, const struct json *ports, const struct rule_path *path)
{
	if (length_of(ports) > SLICE_MAX_PORTS) {
		validation_too_many(v, path, length_of(ports), SLICE_MAX_PORTS);
		return;
	}
	rule_for_each_item (port, entry, ports, path) {
		struct rule_path name = FIELD(&entry, "name"), application = FIELD(&entry, "appProtocol");

		rule_text(v, port, "name", &entry, check_dns_label);
		if (text_repeats(ports, entry.index, "name"))
			validation_duplicate(v, &name, json_string(v->arena, text_of(port, "name")));
		rule_one_of(v, port, "protocol", &entry, true, protocols);
		if (json_text(json_get(port, "appProtocol")))
			validation_string(v, &application, text_of(port, "appProtocol"), check_qualified_name);
	}
}

void validate_endpoint_slice(struct validation *v)
{
	static const char *const types[] = {"FQDN", "IPv4", "IPv6", NULL};
	const struct json *object = v->change->object, *endpoints = json_get(object, "endpoints");
	struct rule_path path = FIELD(NULL, "endpoints"), ports = FIELD(NULL, "ports");

	rule_one_of(v, object, "addressType", NULL, true, types);
	validate_slice_ports(v, json_get(object, "ports"), &ports);
	if (v->change->old && rule_equal(endpoints, json_get(v->change->old, "endpoints"))) {
		rule_immutable(v, object, v->change->old, "addressType", NULL);
		return;
	}
	if (length_of(endpoints) > SLICE_MAX_ENDPOINTS)
		validation_too_many(v, &path, length_of(endpoints), SLICE_MAX_ENDPOINTS);
	else
		rule_for_each_item (endpoint, entry, endpoints, &path)
			validate_endpoint(v, endpoint, text_of(object, "addressType"), &entry);
	if (v->change->old)
		rule_immutable(v, object, v->change->old, "addressType", NULL);
}
