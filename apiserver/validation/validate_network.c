// SPDX-License-Identifier: Apache-2.0
// Network policies, addresses and ranges of Services.

#include <string.h>

#include "apiserver/services/ip_range.h"
#include "apiserver/validation/rules.h"
#include "apiserver/validation/string_checks.h"
#include "apiserver/validation/validate.h"

// --- network policies ------------------------------------------------------------------------------

static void validate_block(struct validation *v, const struct json *block, const struct rule_path *path)
{
	const char *text = text_of(block, "cidr");
	struct rule_path cidr = FIELD(path, "cidr"), list = FIELD(path, "except");
	struct ip_range whole;

	if (!text[0]) {
		validation_required(v, &cidr, "");
		return;
	}
	rule_cidr(v, text, &cidr);
	if (ip_range_parse_legacy(text, &whole, NULL) < 0)
		return;
	rule_for_each_item (item, entry, json_get(block, "except"), &list) {
		const char *except = json_text(item) ? json_text(item) : "";
		struct ip_range range;

		rule_cidr(v, except, &entry);
		if (ip_range_parse_legacy(except, &range, NULL) == 0 &&
		    (!ip_range_covers(&whole, &range) || whole.prefix_length == range.prefix_length))
			validation_invalid_text(v, &entry, except, "must be a strict subset of `cidr`");
	}
}

static void validate_peer(struct validation *v, const struct json *peer, const struct rule_path *path)
{
	struct rule_path pods = FIELD(path, "podSelector"), namespaces = FIELD(path, "namespaceSelector"),
	                 block = FIELD(path, "ipBlock");
	bool has_block = is_present(json_get(peer, "ipBlock"));
	bool has_selector =
	        is_present(json_get(peer, "podSelector")) || is_present(json_get(peer, "namespaceSelector"));

	validate_label_selector(v, json_get(peer, "podSelector"), &pods);
	validate_label_selector(v, json_get(peer, "namespaceSelector"), &namespaces);
	if (has_block)
		validate_block(v, json_get(peer, "ipBlock"), &block);
	if (!has_block && !has_selector)
		validation_required(v, path, "must specify a peer");
	else if (has_block && has_selector)
		validation_forbidden(v, path, "may not specify both ipBlock and another peer");
}

static void validate_policy_port(struct validation *v, const struct json *port, const struct rule_path *path)
{
	static const char *const protocols[] = {"TCP", "UDP", "SCTP", NULL};
	const struct json *number = json_get(port, "port"), *last = json_get(port, "endPort");
	struct rule_path number_path = FIELD(path, "port"), last_path = FIELD(path, "endPort");

	rule_one_of(v, port, "protocol", path, false, protocols);
	if (is_present(number))
		rule_port_reference(v, number, &number_path);
	if (!json_is(last, JSON_INTEGER))
		return;
	if (!is_present(number))
		validation_invalid(v, &last_path, last, "may not be specified when `port` is not specified");
	else if (!json_is(number, JSON_INTEGER))
		validation_invalid(v, &last_path, last, "may not be specified when `port` is non-numeric");
	else if (last->integer < number->integer)
		validation_invalid(v, &last_path, number, "must be greater than or equal to `port`");
	if (json_is(number, JSON_INTEGER))
		validation_range(v, &last_path, last, 1, 65535);
}

static void validate_direction(struct validation *v, const struct json *spec, const char *direction, const char *peers,
                               const struct rule_path *parent)
{
	struct rule_path path = FIELD(parent, direction);

	rule_for_each_item (rule, entry, json_get(spec, direction), &path) {
		struct rule_path peers_path = FIELD(&entry, peers), ports = FIELD(&entry, "ports");

		rule_for_each_item (port, item, json_get(rule, "ports"), &ports)
			validate_policy_port(v, port, &item);
		rule_for_each_item (peer, item, json_get(rule, peers), &peers_path)
			validate_peer(v, peer, &item);
	}
}

void validate_network_policy(struct validation *v)
{
	static const char *const types[] = {"Ingress", "Egress", NULL};
	const struct json *spec = json_get(v->change->object, "spec"), *list = json_get(spec, "policyTypes");
	struct rule_path path = FIELD(NULL, "spec"), selector = FIELD(&path, "podSelector"),
	                 types_path = FIELD(&path, "policyTypes");

	validate_label_selector(v, json_get(spec, "podSelector"), &selector);
	validate_direction(v, spec, "ingress", "from", &path);
	validate_direction(v, spec, "egress", "to", &path);
	if (length_of(list) > 2) {
		validation_invalid(v, &types_path, list, "may not specify more than two policyTypes");
		return;
	}
	rule_for_each_item (type, entry, list, &types_path)
		if (!json_text(type) || !is_one_of(json_text(type), types))
			validation_not_supported(v, &entry, json_text(type) ? json_text(type) : "", types);
}

// --- addresses -------------------------------------------------------------------------------------

const char *check_ip_name(struct arena *arena, const char *text, size_t index)
{
	char canonical[IP_TEXT_BYTES];
	struct ip ip;

	if (index)
		return NULL;
	if (!ip_parse_legacy(text, &ip))
		return "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
	ip_format(&ip, canonical);
	return strcmp(canonical, text) ? arena_printf(arena, "must be in canonical form (\"%s\")", canonical) : NULL;
}

static const char *rendered_parent(struct arena *arena, const struct json *reference)
{
	return arena_printf(arena,
	                    "networking.ParentReference{Group:\"%s\", Resource:\"%s\", Namespace:\"%s\", Name:\"%s\"}",
	                    text_of(reference, "group"), text_of(reference, "resource"),
	                    text_of(reference, "namespace"), text_of(reference, "name"));
}

void validate_ip_address(struct validation *v)
{
	const struct json *reference = json_path(v->change->object, "spec", "parentRef");
	struct rule_path spec = FIELD(NULL, "spec"), parent = FIELD(&spec, "parentRef");

	if (v->change->old) {
		if (!rule_equal(reference, json_path(v->change->old, "spec", "parentRef")))
			validation_invalid_rendered(v, &parent, rendered_parent(v->arena, reference),
			                            "field is immutable");
		return;
	}
	if (!is_present(reference)) {
		validation_required(v, &parent, "");
		return;
	}
	rule_text(v, reference, "group", &parent, check_dns_subdomain);
	rule_required_text(v, reference, "resource", &parent, check_path_segment);
	rule_required_text(v, reference, "name", &parent, check_path_segment);
	rule_text(v, reference, "namespace", &parent, check_path_segment);
}

// --- ranges ----------------------------------------------------------------------------------------

static void validate_strict_cidr(struct validation *v, const char *text, const struct rule_path *path)
{
	char canonical[IP_TEXT_BYTES + 8], address[IP_TEXT_BYTES];
	struct ip_range range;
	struct ip ip;

	if (ip_range_parse_legacy(text, &range, NULL) < 0) {
		rule_cidr(v, text, path);
		return;
	}
	ip_range_format(&range, canonical, sizeof(canonical));
	if (!strcmp(canonical, text))
		return;
	if (ip_parse_legacy(arena_strndup(v->arena, text, strcspn(text, "/")), &ip)) {
		ip_format(&ip, address);
		if (!ip_equal(&ip, &range.base))
			validation_invalid_text(v, path, text, "must not have bits set beyond the prefix length");
	}
	validation_invalid_text(v, path, text, arena_printf(v->arena, "must be in canonical form (\"%s\")", canonical));
}

static void validate_cidrs(struct validation *v, const struct json *cidrs, const struct rule_path *path)
{
	struct ip_range ranges[2];

	if (!length_of(cidrs)) {
		validation_required(v, path, "at least one CIDR required");
		return;
	}
	if (length_of(cidrs) > 2) {
		validation_invalid(v, path, cidrs, "may only hold up to 2 values");
		return;
	}
	rule_for_each_item (cidr, entry, cidrs, path)
		validate_strict_cidr(v, json_text(cidr) ? json_text(cidr) : "", &entry);
	if (length_of(cidrs) == 2 && json_text(cidrs->items[0]) && json_text(cidrs->items[1]) &&
	    ip_range_parse_legacy(json_text(cidrs->items[0]), &ranges[0], NULL) == 0 &&
	    ip_range_parse_legacy(json_text(cidrs->items[1]), &ranges[1], NULL) == 0 &&
	    ranges[0].base.is_v6 == ranges[1].base.is_v6)
		validation_invalid(v, path, cidrs,
		                   "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and "
		                   "2001:db8::/64");
}

void validate_service_cidr(struct validation *v)
{
	const struct json *now = json_path(v->change->object, "spec", "cidrs");
	const struct json *old = json_path(v->change->old, "spec", "cidrs");
	struct rule_path spec = FIELD(NULL, "spec"), path = FIELD(&spec, "cidrs");
	bool grows = length_of(old) == 1 && length_of(now) == 2;

	if (!strcmp(v->change->subresource, "status"))
		return;
	if (change_is_create(v->change)) {
		validate_cidrs(v, now, &path);
		return;
	}
	if (length_of(now) != length_of(old) && !grows) {
		validation_invalid(v, &path, now, IMMUTABLE_DETAIL);
		return;
	}
	rule_for_each_item (cidr, entry, now, &path)
		if (entry.index < length_of(old) && !json_equal(cidr, old->items[entry.index]))
			validation_invalid(v, &entry, cidr, IMMUTABLE_DETAIL);
	if (grows)
		validate_cidrs(v, now, &path);
}
