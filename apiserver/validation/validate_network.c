// SPDX-License-Identifier: Apache-2.0
// networking.k8s.io: Ingresses and their classes, network policies, service ranges.

#include <string.h>

#include "apiserver/services/ip_range.h"
#include "apiserver/validation/string_checks.h"
#include "apiserver/validation/validate.h"

static void validate_host(struct validation *v, const char *host, const struct rule_path *path)
{
	struct ip ip;

	if (!host[0])
		return;
	if (ip_parse(host, &ip))
		validation_invalid_text(v, path, host, "must be a DNS name, not an IP address");
	else if (strchr(host, '*'))
		validation_string(v, path, host, check_wildcard_subdomain);
	else
		validation_string(v, path, host, check_dns_subdomain);
}

static void validate_backend(struct validation *v, const struct json *backend, const struct rule_path *path)
{
	const struct json *service = json_get(backend, "service");
	struct rule_path own = FIELD(path, "service"), name = FIELD(&own, "name"), port = FIELD(&own, "port");
	bool has_name, has_number;

	if (is_present(service) == is_present(json_get(backend, "resource"))) {
		if (is_present(service))
			validation_invalid_text(v, path, "", "cannot set both resource and service backends");
		else
			validation_required(v, path, "must specify one of: `service` or `resource`");
		return;
	}
	if (!is_present(service))
		return;
	if (!text_of(service, "name")[0])
		validation_required(v, &name, "");
	else
		validation_string(v, &name, text_of(service, "name"), check_dns_1035_label);
	has_name = text_of(json_get(service, "port"), "name")[0];
	has_number = integer_of(json_get(service, "port"), "number", 0);
	if (has_name && has_number)
		validation_invalid_text(v, &port, "", "cannot set both port name & port number");
	else if (!has_name && !has_number)
		validation_required(v, &port, "port name or number is required");
}

static void validate_ingress_path(struct validation *v, const struct json *entry, const struct rule_path *path)
{
	static const char *const types[] = {"Exact", "ImplementationSpecific", "Prefix", NULL};
	static const char *const bad[] = {"//", "/./", "/../", "%2f", "%2F"};
	struct rule_path type = FIELD(path, "pathType"), where = FIELD(path, "path"), backend = FIELD(path, "backend");
	const char *kind = text_of(entry, "pathType"), *text = text_of(entry, "path");

	if (!kind[0])
		validation_required(v, &type, "pathType must be specified");
	else
		validation_one_of(v, &type, json_get(entry, "pathType"), true, types);
	if ((!strcmp(kind, "Exact") || !strcmp(kind, "Prefix")) && text[0] != '/')
		validation_invalid_text(v, &where, text, "must be an absolute path");
	else if (text[0] && text[0] != '/')
		validation_invalid_text(v, &where, text, "must be an absolute path");
	if (!strcmp(kind, "Exact") || !strcmp(kind, "Prefix"))
		for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
			if (strstr(text, bad[i]))
				validation_invalid_text(v, &where, text,
				                        arena_printf(v->arena, "must not contain '%s'", bad[i]));
	validate_backend(v, json_get(entry, "backend"), &backend);
}

static void validate_rules(struct validation *v, const struct json *spec, const struct rule_path *parent)
{
	struct rule_path rules = FIELD(parent, "rules");
	uint32_t index = 0;

	json_for_each_item (rule, json_get(spec, "rules")) {
		struct rule_path item = FIELD_INDEX(&rules, index++), host = FIELD(&item, "host"),
		                 http = FIELD(&item, "http"), paths = FIELD(&http, "paths");
		uint32_t path_index = 0;

		validate_host(v, text_of(rule, "host"), &host);
		if (!is_present(json_get(rule, "http")))
			continue;
		if (!length_of(json_path(rule, "http", "paths")))
			validation_required(v, &paths, "");
		json_for_each_item (entry, json_path(rule, "http", "paths")) {
			struct rule_path entry_path = FIELD_INDEX(&paths, path_index++);

			validate_ingress_path(v, entry, &entry_path);
		}
	}
}

void validate_ingress(struct validation *v)
{
	const struct json *spec = json_get(v->change->object, "spec");
	struct rule_path path = FIELD(NULL, "spec"), backend = FIELD(&path, "defaultBackend"),
	                 class = FIELD(&path, "ingressClassName"), tls = FIELD(&path, "tls");
	uint32_t index = 0;

	if (!strcmp(v->change->subresource, "status"))
		return;
	if (!length_of(json_get(spec, "rules")) && !is_present(json_get(spec, "defaultBackend")))
		validation_invalid_text(v, &path, "", "either `defaultBackend` or `rules` must be specified");
	if (is_present(json_get(spec, "defaultBackend")))
		validate_backend(v, json_get(spec, "defaultBackend"), &backend);
	validate_rules(v, spec, &path);
	if (text_of(spec, "ingressClassName")[0])
		validation_string(v, &class, text_of(spec, "ingressClassName"), check_dns_subdomain);
	json_for_each_item (entry, json_get(spec, "tls")) {
		struct rule_path item = FIELD_INDEX(&tls, index++), hosts = FIELD(&item, "hosts");
		uint32_t host_index = 0;

		json_for_each_item (host, json_get(entry, "hosts")) {
			struct rule_path host_path = FIELD_INDEX(&hosts, host_index++);

			validate_host(v, json_text(host) ? json_text(host) : "", &host_path);
		}
	}
}

void validate_ingress_class(struct validation *v)
{
	struct rule_path path = FIELD(NULL, "spec"), controller = FIELD(&path, "controller");
	const struct json *spec = json_get(v->change->object, "spec");
	const char *text = text_of(spec, "controller");
	const char *slash = strchr(text, '/');

	if (strlen(text) > 250)
		validation_too_long(v, &controller, 250);
	if (!text[0])
		validation_required(v, &controller, "");
	else if (!slash || !slash[1] || !is_dns_subdomain(arena_strndup(v->arena, text, (size_t)(slash - text))))
		validation_invalid_text(v, &controller, text,
		                        "must be a domain-prefixed path (such as \"acme.io/foo\")");
	if (!change_is_create(v->change))
		validation_immutable(v, &controller, json_get(spec, "controller"),
		                     json_path(v->change->old, "spec", "controller"));
}

// --- network policies -------------------------------------------------------------------------------

static void validate_peer(struct validation *v, const struct json *peer, const struct rule_path *path)
{
	struct rule_path pods = FIELD(path, "podSelector"), namespaces = FIELD(path, "namespaceSelector"),
	                 block = FIELD(path, "ipBlock"), cidr = FIELD(&block, "cidr");
	bool has_block = is_present(json_get(peer, "ipBlock"));
	bool has_selector =
	        is_present(json_get(peer, "podSelector")) || is_present(json_get(peer, "namespaceSelector"));
	struct ip_range range;

	if (has_block && has_selector)
		validation_forbidden(v, path, "may not specify both ipBlock and another peer");
	if (!has_block && !has_selector)
		validation_required(v, path, "must specify a peer");
	validate_label_selector(v, json_get(peer, "podSelector"), &pods);
	validate_label_selector(v, json_get(peer, "namespaceSelector"), &namespaces);
	if (has_block && ip_range_parse(text_of(json_get(peer, "ipBlock"), "cidr"), &range, NULL) < 0)
		validation_invalid_text(v, &cidr, text_of(json_get(peer, "ipBlock"), "cidr"),
		                        "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)");
}

static void validate_policy_rules(struct validation *v, const struct json *spec, const char *direction,
                                  const char *peers, const struct rule_path *parent)
{
	struct rule_path path = FIELD(parent, direction);
	uint32_t index = 0;

	json_for_each_item (rule, json_get(spec, direction)) {
		struct rule_path item = FIELD_INDEX(&path, index++), peers_path = FIELD(&item, peers),
		                 ports_path = FIELD(&item, "ports");
		uint32_t at = 0;

		json_for_each_item (peer, json_get(rule, peers)) {
			struct rule_path peer_path = FIELD_INDEX(&peers_path, at++);

			validate_peer(v, peer, &peer_path);
		}
		at = 0;
		json_for_each_item (port, json_get(rule, "ports")) {
			struct rule_path entry = FIELD_INDEX(&ports_path, at++), number = FIELD(&entry, "port");

			if (json_is(json_get(port, "port"), JSON_INTEGER))
				validation_range(v, &number, json_get(port, "port"), 1, 65535);
			else if (text_of(port, "port")[0])
				validation_string(v, &number, text_of(port, "port"), check_port_name);
		}
	}
}

void validate_network_policy(struct validation *v)
{
	static const char *const types[] = {"Egress", "Ingress", NULL};
	const struct json *spec = json_get(v->change->object, "spec");
	struct rule_path path = FIELD(NULL, "spec"), selector = FIELD(&path, "podSelector"),
	                 types_path = FIELD(&path, "policyTypes");
	uint32_t index = 0;

	validate_label_selector(v, json_get(spec, "podSelector"), &selector);
	validate_policy_rules(v, spec, "ingress", "from", &path);
	validate_policy_rules(v, spec, "egress", "to", &path);
	if (length_of(json_get(spec, "policyTypes")) > 2)
		validation_invalid(v, &types_path, json_get(spec, "policyTypes"),
		                   "may not specify more than two policyTypes");
	json_for_each_item (type, json_get(spec, "policyTypes")) {
		struct rule_path item = FIELD_INDEX(&types_path, index++);

		validation_one_of(v, &item, type, true, types);
	}
}

// --- addresses and ranges -------------------------------------------------------------------------------

void validate_ip_address(struct validation *v)
{
	struct rule_path metadata = FIELD(NULL, "metadata"), name = FIELD(&metadata, "name"),
	                 spec = FIELD(NULL, "spec"), parent = FIELD(&spec, "parentRef"),
	                 resource = FIELD(&parent, "resource"), parent_name = FIELD(&parent, "name");
	const struct json *reference = json_path(v->change->object, "spec", "parentRef");
	char canonical[IP_TEXT_BYTES] = "";
	struct ip ip;

	if (change_is_create(v->change)) {
		if (ip_parse(v->change->name, &ip))
			ip_format(&ip, canonical);
		if (strcmp(canonical, v->change->name))
			validation_invalid_text(v, &name, v->change->name,
			                        "must be a valid IP address in canonical form");
	}
	if (!is_present(reference)) {
		validation_required(v, &parent, "");
		return;
	}
	if (!text_of(reference, "resource")[0])
		validation_required(v, &resource, "");
	if (!text_of(reference, "name")[0])
		validation_required(v, &parent_name, "");
	if (!change_is_create(v->change))
		validation_immutable(v, &parent, reference, json_path(v->change->old, "spec", "parentRef"));
}

void validate_service_cidr(struct validation *v)
{
	const struct json *cidrs = json_path(v->change->object, "spec", "cidrs");
	struct rule_path spec = FIELD(NULL, "spec"), path = FIELD(&spec, "cidrs");
	struct ip_range ranges[2];
	uint32_t index = 0;

	if (!length_of(cidrs))
		validation_required(v, &path, "at least one CIDR required");
	if (length_of(cidrs) > 2)
		validation_invalid(v, &path, cidrs, "may only hold up to 2 values");
	json_for_each_item (cidr, cidrs) {
		struct rule_path item = FIELD_INDEX(&path, index);
		const char *text = json_text(cidr) ? json_text(cidr) : "";

		if (index < 2 && ip_range_parse(text, &ranges[index], NULL) < 0)
			validation_invalid_text(v, &item, text,
			                        "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)");
		index++;
	}
	if (!change_is_create(v->change))
		validation_immutable(v, &path, cidrs, json_path(v->change->old, "spec", "cidrs"));
}
