// SPDX-License-Identifier: Apache-2.0
// Ingresses and their classes.

#include <string.h>

#include "apiserver/registry/metadata.h"
#include "apiserver/services/ip_range.h"
#include "apiserver/validation/rules.h"
#include "apiserver/validation/string_checks.h"
#include "apiserver/validation/validate.h"

#define CLASS_ANNOTATION "kubernetes.io/ingress.class"
#define NO_IP_DETAIL "must be a DNS name, not an IP address"

enum {
	CONTROLLER_MAX = 250,
};

static void validate_host(struct validation *v, const char *host, const struct rule_path *path)
{
	validation_string(v, path, host, strchr(host, '*') ? check_wildcard_subdomain : check_dns_subdomain);
}

// --- backends --------------------------------------------------------------------------------------

static void validate_reference(struct validation *v, const struct json *reference, const struct rule_path *path)
{
	struct rule_path group = FIELD(path, "apiGroup"), kind = FIELD(path, "kind"), name = FIELD(path, "name");

	if (json_text(json_get(reference, "apiGroup")))
		validation_string(v, &group, text_of(reference, "apiGroup"), check_dns_subdomain);
	if (!text_of(reference, "kind")[0])
		validation_required(v, &kind, "kind is required");
	else
		validation_string(v, &kind, text_of(reference, "kind"), check_path_segment);
	if (!text_of(reference, "name")[0])
		validation_required(v, &name, "name is required");
	else
		validation_string(v, &name, text_of(reference, "name"), check_path_segment);
}

static void validate_service_backend(struct validation *v, const struct json *service, const struct rule_path *parent)
{
	const struct json *port = json_get(service, "port");
	struct rule_path path = FIELD(parent, "service"), port_path = FIELD(&path, "port");
	bool named = text_of(port, "name")[0], numbered = integer_of(port, "number", 0);

	rule_required_text(v, service, "name", &path, check_dns_1035_label);
	if (named && numbered)
		validation_invalid_text(v, parent, "", "cannot set both port name & port number");
	else if (named)
		rule_text(v, port, "name", &port_path, check_port_name);
	else if (numbered)
		rule_range(v, port, "number", &port_path, 1, 65535);
	else
		validation_required(v, parent, "port name or number is required");
}

static void validate_backend(struct validation *v, const struct json *backend, const struct rule_path *path)
{
	const struct json *service = json_get(backend, "service"), *resource = json_get(backend, "resource");
	struct rule_path resource_path = FIELD(path, "resource");

	if (is_present(service) && is_present(resource))
		validation_invalid_text(v, path, "", "cannot set both resource and service backends");
	else if (is_present(resource))
		validate_reference(v, resource, &resource_path);
	else if (is_present(service))
		validate_service_backend(v, service, path);
	else
		validation_invalid_text(v, path, "", "resource or service backend is required");
}

// --- rules -----------------------------------------------------------------------------------------

static bool ends_with(const char *text, const char *tail)
{
	size_t length = strlen(text), tail_length = strlen(tail);

	return length >= tail_length && !strcmp(text + length - tail_length, tail);
}

static void validate_plain_path(struct validation *v, const char *text, const struct rule_path *path)
{
	static const char *const inside[] = {"//", "/./", "/../", "%2f", "%2F"};
	static const char *const endings[] = {"/..", "/."};

	for (size_t i = 0; i < ARRAY_SIZE(inside); i++)
		if (strstr(text, inside[i]))
			validation_invalid_text(v, path, text,
			                        arena_printf(v->arena, "must not contain '%s'", inside[i]));
	for (size_t i = 0; i < ARRAY_SIZE(endings); i++)
		if (ends_with(text, endings[i]))
			validation_invalid_text(v, path, text,
			                        arena_printf(v->arena, "cannot end with '%s'", endings[i]));
}

static void validate_http_path(struct validation *v, const struct json *entry, const struct rule_path *path)
{
	static const char *const types[] = {"Exact", "ImplementationSpecific", "Prefix", NULL};
	const char *type = json_get_text(entry, "pathType"), *text = text_of(entry, "path");
	struct rule_path type_path = FIELD(path, "pathType"), where = FIELD(path, "path"),
	                 backend = FIELD(path, "backend");
	bool plain;

	if (!type) {
		validation_required(v, &type_path, "pathType must be specified");
		return;
	}
	plain = !strcmp(type, "Exact") || !strcmp(type, "Prefix");
	if (!is_one_of(type, types))
		validation_not_supported(v, &type_path, type, types);
	else if (text[0] != '/' && (plain || text[0]))
		validation_invalid_text(v, &where, text, "must be an absolute path");
	if (plain)
		validate_plain_path(v, text, &where);
	validate_backend(v, json_get(entry, "backend"), &backend);
}

static void validate_rules(struct validation *v, const struct json *spec, const struct rule_path *parent)
{
	struct rule_path rules = FIELD(parent, "rules");

	rule_for_each_item (rule, entry, json_get(spec, "rules"), &rules) {
		const char *host = text_of(rule, "host");
		struct rule_path host_path = FIELD(&entry, "host"), http = FIELD(&entry, "http"),
		                 paths = FIELD(&http, "paths");
		struct ip ip;

		if (host[0] && ip_parse_legacy(host, &ip))
			validation_invalid_text(v, &host_path, host, NO_IP_DETAIL);
		if (host[0])
			validate_host(v, host, &host_path);
		if (!is_present(json_get(rule, "http")))
			continue;
		if (!length_of(json_path(rule, "http", "paths")))
			validation_required(v, &paths, "");
		rule_for_each_item (item, path, json_path(rule, "http", "paths"), &paths)
			validate_http_path(v, item, &path);
	}
}

static void validate_tls(struct validation *v, const struct json *spec, const struct rule_path *parent)
{
	struct rule_path tls = FIELD(parent, "tls");

	rule_for_each_item (item, entry, json_get(spec, "tls"), &tls) {
		struct rule_path hosts = FIELD(&entry, "hosts");

		rule_for_each_item (host, host_path, json_get(item, "hosts"), &hosts)
			validate_host(v, json_text(host) ? json_text(host) : "", &host_path);
		rule_text(v, item, "secretName", &entry, check_dns_subdomain);
	}
}

static void validate_ingress_status(struct validation *v)
{
	struct rule_path status = FIELD(NULL, "status"), balancer = FIELD(&status, "loadBalancer"),
	                 list = FIELD(&balancer, "ingress");

	rule_for_each_item (point, entry, json_path(v->change->object, "status", "loadBalancer", "ingress"), &list) {
		const char *address = text_of(point, "ip"), *host = text_of(point, "hostname");
		struct rule_path ip_path = FIELD(&entry, "ip"), host_path = FIELD(&entry, "hostname");
		struct ip ip;

		if (address[0])
			rule_ip(v, address, &ip_path);
		rule_text(v, point, "hostname", &entry, check_dns_subdomain);
		if (host[0] && ip_parse_legacy(host, &ip))
			validation_invalid_text(v, &host_path, host, NO_IP_DETAIL);
	}
}

static void validate_class_annotation(struct validation *v, const struct json *spec)
{
	const char *annotation = metadata_annotation(v->change->object, CLASS_ANNOTATION);
	const char *class = json_get_text(spec, "ingressClassName");
	struct rule_path annotations = FIELD(NULL, "annotations"), path = FIELD(&annotations, CLASS_ANNOTATION);

	if (annotation && class && strcmp(annotation, class))
		validation_invalid_text(v, &path, annotation, "must match `ingressClassName` when both are specified");
}

void validate_ingress(struct validation *v)
{
	const struct json *spec = json_get(v->change->object, "spec"), *backend = json_get(spec, "defaultBackend");
	struct rule_path path = FIELD(NULL, "spec"), backend_path = FIELD(&path, "defaultBackend"),
	                 class = FIELD(&path, "ingressClassName");

	if (!strcmp(v->change->subresource, "status")) {
		validate_ingress_status(v);
		return;
	}
	if (!length_of(json_get(spec, "rules")) && !is_present(backend))
		validation_invalid_rendered(v, &path, "[]networking.IngressRule(nil)",
		                            "either `defaultBackend` or `rules` must be specified");
	if (is_present(backend))
		validate_backend(v, backend, &backend_path);
	validate_rules(v, spec, &path);
	validate_tls(v, spec, &path);
	if (json_text(json_get(spec, "ingressClassName")))
		validation_string(v, &class, text_of(spec, "ingressClassName"), check_dns_subdomain);
	if (change_is_create(v->change))
		validate_class_annotation(v, spec);
}

// --- classes ---------------------------------------------------------------------------------------

static void validate_parameters(struct validation *v, const struct json *parameters, const struct rule_path *path)
{
	static const char *const scopes[] = {"Cluster", "Namespace", NULL};
	const char *namespace_name = json_get_text(parameters, "namespace");
	struct rule_path scope = FIELD(path, "scope"), namespace_path = FIELD(path, "namespace");

	validate_reference(v, parameters, path);
	if (!rule_required(v, parameters, "scope", path, ""))
		return;
	if (!is_one_of(text_of(parameters, "scope"), scopes))
		validation_not_supported(v, &scope, text_of(parameters, "scope"), scopes);
	else if (text_is(parameters, "scope", "Cluster") && namespace_name)
		validation_forbidden(v, &namespace_path, "`parameters.scope` is set to 'Cluster'");
	else if (text_is(parameters, "scope", "Namespace") && !namespace_name)
		validation_required(v, &namespace_path, "`parameters.scope` is set to 'Namespace'");
	else if (text_is(parameters, "scope", "Namespace"))
		validation_string(v, &namespace_path, namespace_name, check_dns_label);
}

void validate_ingress_class(struct validation *v)
{
	const struct json *spec = json_get(v->change->object, "spec"), *parameters = json_get(spec, "parameters");
	struct rule_path path = FIELD(NULL, "spec"), controller = FIELD(&path, "controller"),
	                 parameters_path = FIELD(&path, "parameters");

	if (v->change->old)
		rule_immutable(v, spec, json_get(v->change->old, "spec"), "controller", &path);
	if (strlen(text_of(spec, "controller")) > CONTROLLER_MAX)
		validation_too_long(v, &controller, CONTROLLER_MAX);
	rule_required_text(v, spec, "controller", &path, check_domain_prefixed_path);
	if (is_present(parameters))
		validate_parameters(v, parameters, &parameters_path);
}
