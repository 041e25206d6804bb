// SPDX-License-Identifier: Apache-2.0
// Environment variables and the downward API's references.

#include <string.h>

#include "apiserver/validation/resource_names.h"
#include "apiserver/validation/string_checks.h"
#include "apiserver/validation/validate_pod.h"

// --- fields ----------------------------------------------------------------------------------------

// What the downward API knows at all; each place takes some of it.
static const char *const known_fields[] = {
        "metadata.annotations", "metadata.labels", "metadata.name",      "metadata.namespace",
        "metadata.uid",         "spec.nodeName",   "spec.restartPolicy", "spec.serviceAccountName",
        "spec.schedulerName",   "status.phase",    "status.hostIP",      "status.hostIPs",
        "status.podIP",         "status.podIPs",   "spec.host",          NULL};
static const char *const environment_fields[] = {
        "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
        "status.hostIP", "status.hostIPs",     "status.podIP", "status.podIPs", NULL};
static const char *const volume_fields[] = {"metadata.annotations", "metadata.labels", "metadata.name",
                                            "metadata.namespace",   "metadata.uid",    NULL};

// "metadata.labels['key']" in its two parts.
static bool split_subscript(struct arena *arena, const char *text, const char **ret_path, const char **ret_key)
{
	size_t length = strlen(text);
	const char *open = strstr(text, "['");

	if (!open || length < 2 || strcmp(text + length - 2, "']") || open + 2 > text + length - 2)
		return false;
	*ret_path = arena_strndup(arena, text, (size_t)(open - text));
	*ret_key = arena_strndup(arena, open + 2, (size_t)(text + length - 2 - open - 2));
	return true;
}

void validate_field_reference(struct validation *v, const struct json *reference, bool volume,
                              const struct rule_path *path)
{
	const char *const *fields = volume ? volume_fields : environment_fields;
	const char *text = text_of(reference, "fieldPath"), *base = NULL, *key = NULL;
	struct rule_path field = FIELD(path, "fieldPath");
	bool subscript;

	if (!rule_required_text(v, reference, "apiVersion", path, NULL) || !text[0]) {
		if (!text[0] && text_of(reference, "apiVersion")[0])
			validation_required(v, &field, "");
		return;
	}
	subscript = split_subscript(v->arena, text, &base, &key);
	if (subscript && !strcmp(base, "metadata.annotations"))
		validation_string(v, path, key, check_annotation_key);
	else if (subscript && !strcmp(base, "metadata.labels"))
		validation_string(v, path, key, check_qualified_name);
	else if (!is_one_of(text, known_fields))
		validation_invalid_text(
		        v, &field, text,
		        arena_printf(v->arena, "error converting fieldPath: field label not supported: %s", text));
	else if (!is_one_of(text, fields))
		validation_not_supported(v, &field, text, fields);
}

// --- resources -------------------------------------------------------------------------------------

static const char *const cpu_divisors[] = {"1m", "1", NULL};
static const char *const size_divisors[] = {"1",   "1k",  "1M",  "1G",  "1T",  "1P",  "1E",
                                            "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei", NULL};
#define SIZE_DIVISORS "1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei"

static const struct {
	const char *name;
	bool is_prefix;
	const char *const *divisors;
	const char *detail;
} referred[] = {
        {"limits.cpu", false, cpu_divisors, "only divisor's values 1m and 1 are supported with the cpu resource"},
        {"limits.ephemeral-storage", false, size_divisors,
         "only divisor's values " SIZE_DIVISORS " are supported with the local ephemeral storage resource"},
        {"limits.memory", false, size_divisors,
         "only divisor's values " SIZE_DIVISORS " are supported with the memory resource"},
        {"limits.hugepages-", true, size_divisors,
         "only divisor's values " SIZE_DIVISORS " are supported with the hugepages resource"},
};

void validate_resource_reference(struct validation *v, const struct json *reference, bool volume,
                                 const struct rule_path *path)
{
	static const char *const names[] = {"limits.cpu",
	                                    "limits.ephemeral-storage",
	                                    "limits.memory",
	                                    "requests.cpu",
	                                    "requests.ephemeral-storage",
	                                    "requests.memory",
	                                    NULL};
	struct rule_path container = FIELD(path, "containerName"), resource = FIELD(path, "resource"),
	                 divisor = FIELD(path, "divisor");
	const char *name = text_of(reference, "resource"), *by = text_of(reference, "divisor");
	const char *limit = !strncmp(name, "requests.", 9) ? arena_printf(v->arena, "limits.%s", name + 9) : name;
	bool known = is_one_of(name, names) || !strncmp(limit, "limits.hugepages-", 17);

	if (volume && !text_of(reference, "containerName")[0])
		validation_required(v, &container, "");
	else if (!name[0])
		validation_required(v, &resource, "");
	else if (!known)
		validation_not_supported(v, &resource, name, names);
	if (!by[0] || !strcmp(by, "0"))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(referred); i++)
		if ((referred[i].is_prefix ? !strncmp(limit, referred[i].name, strlen(referred[i].name))
		                           : !strcmp(limit, referred[i].name)) &&
		    !is_one_of(by, referred[i].divisors))
			validation_invalid_text(v, &divisor, name, referred[i].detail);
}

// --- variables -------------------------------------------------------------------------------------

static void validate_key_reference(struct validation *v, const struct json *reference, const struct rule_path *path)
{
	rule_text(v, reference, "name", path, check_dns_subdomain);
	rule_required_text(v, reference, "key", path, check_config_key);
}

static void validate_value_from(struct validation *v, const struct json *variable, const struct rule_path *parent)
{
	const struct json *from = json_get(variable, "valueFrom");
	struct rule_path path = FIELD(parent, "valueFrom"), field = FIELD(&path, "fieldRef"),
	                 resource = FIELD(&path, "resourceFieldRef"), map = FIELD(&path, "configMapKeyRef"),
	                 secret = FIELD(&path, "secretKeyRef");
	size_t sources = 0;

	if (!is_present(from))
		return;
	json_for_each_member (source, from)
		sources += is_present(source->value);
	if (is_present(json_get(from, field.name)))
		validate_field_reference(v, json_get(from, field.name), false, &field);
	if (is_present(json_get(from, resource.name)))
		validate_resource_reference(v, json_get(from, resource.name), false, &resource);
	if (is_present(json_get(from, map.name)))
		validate_key_reference(v, json_get(from, map.name), &map);
	if (is_present(json_get(from, secret.name)))
		validate_key_reference(v, json_get(from, secret.name), &secret);
	if (!sources)
		validation_invalid_text(v, &path, "",
		                        "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or "
		                        "`secretKeyRef`");
	else if (text_of(variable, "value")[0])
		validation_invalid_text(v, &path, "", "may not be specified when `value` is not empty");
	else if (sources > 1)
		validation_invalid_text(v, &path, "", "may not have more than one field specified at a time");
}

static void validate_source(struct validation *v, const struct json *source, const struct rule_path *path)
{
	const struct json *map = json_get(source, "configMapRef"), *secret = json_get(source, "secretRef");
	struct rule_path map_path = FIELD(path, "configMapRef"), secret_path = FIELD(path, "secretRef");

	rule_text(v, source, "prefix", path, check_env_name);
	if (is_present(map))
		rule_required_text(v, map, "name", &map_path, check_dns_subdomain);
	if (is_present(secret))
		rule_required_text(v, secret, "name", &secret_path, check_dns_subdomain);
	if (!is_present(map) && !is_present(secret))
		validation_invalid_text(v, path->parent, "", "must specify one of: `configMapRef` or `secretRef`");
	else if (is_present(map) && is_present(secret))
		validation_invalid_text(v, path->parent, "", "may not have more than one field specified at a time");
}

void validate_container_environment(struct validation *v, const struct json *container, const struct rule_path *path)
{
	struct rule_path env = FIELD(path, "env"), from = FIELD(path, "envFrom");

	rule_for_each_item (variable, entry, json_get(container, "env"), &env) {
		rule_required_text(v, variable, "name", &entry, check_env_name);
		validate_value_from(v, variable, &entry);
	}
	rule_for_each_item (source, entry, json_get(container, "envFrom"), &from)
		validate_source(v, source, &entry);
}
