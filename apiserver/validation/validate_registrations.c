// SPDX-License-Identifier: Apache-2.0
// Webhook configurations and APIServices: who is called, and for what.

#include <string.h>

#include "apiserver/validation/admission_rules.h"
#include "apiserver/validation/string_checks.h"
#include "apiserver/validation/validate.h"

#define URL_FORM "; desired format: https://host[/path]"
#define REVIEW_VERSIONS "v1, v1beta1"

// --- where to call ---------------------------------------------------------------------------------

static void validate_url(struct validation *v, const char *url, const struct rule_path *path)
{
	size_t scheme = strcspn(url, ":/?#");
	bool hierarchical = !strncmp(url + scheme, "://", 3);
	const char *host = hierarchical ? url + scheme + 3 : "", *fragment = strchr(url, '#'),
	           *query = strchr(url, '?');
	size_t authority = strcspn(host, "/?#");
	const char *at = memchr(host, '@', authority);

	if (fragment && query && query > fragment)
		query = NULL;
	if (!hierarchical || scheme != 5 || strncmp(url, "https", 5))
		validation_invalid_text(v, path, url[scheme] == ':' ? arena_strndup(v->arena, url, scheme) : "",
		                        "'https' is the only allowed URL scheme" URL_FORM);
	if (!authority || (at && at + 1 == host + authority))
		validation_invalid_text(v, path, "", "host must be specified" URL_FORM);
	if (at)
		validation_invalid_text(v, path, arena_strndup(v->arena, host, (size_t)(at - host)),
		                        "user information is not permitted in the URL");
	if (fragment && fragment[1])
		validation_invalid_text(v, path, fragment + 1, "fragments are not permitted in the URL");
	if (query && query[1] && query[1] != '#')
		validation_invalid_text(v, path, arena_strndup(v->arena, query + 1, strcspn(query + 1, "#")),
		                        "query parameters are not permitted in the URL");
}

static void validate_service_path(struct validation *v, const char *text, const struct rule_path *path)
{
	const char *at = text + 1;
	size_t segment = 0;

	if (!text[0] || !strcmp(text, "/"))
		return;
	if (!strcmp(text, "//")) {
		validation_invalid_text(v, path, text, "segment[0] may not be empty");
		return;
	}
	if (text[0] != '/')
		validation_invalid_text(v, path, text, "must start with a '/'");
	for (; *at; segment++) {
		size_t length = strcspn(at, "/");
		const char *step = arena_strndup(v->arena, at, length), *complaint;

		if (!length)
			validation_invalid_text(v, path, text,
			                        arena_printf(v->arena, "segment[%zu] may not be empty", segment));
		for (size_t i = 0; length && (complaint = check_dns_subdomain(v->arena, step, i)); i++)
			validation_invalid_text(v, path, text,
			                        arena_printf(v->arena, "segment[%zu]: %s", segment, complaint));
		at += length + (at[length] == '/');
	}
}

static void validate_service_reference(struct validation *v, const struct json *service, const struct rule_path *path)
{
	struct rule_path name = FIELD(path, "name"), namespace_path = FIELD(path, "namespace"),
	                 port = FIELD(path, "port"), where = FIELD(path, "path");
	int64_t number = integer_of(service, "port", 0);

	if (!text_of(service, "name")[0])
		validation_required(v, &name, "service name is required");
	if (!text_of(service, "namespace")[0])
		validation_required(v, &namespace_path, "service namespace is required");
	if (number < 1 || number > 65535)
		validation_invalid_integer(v, &port, number, "port is not valid: " PORT_NUMBER_DETAIL);
	validate_service_path(v, text_of(service, "path"), &where);
}

static void validate_client(struct validation *v, const struct json *hook, const struct rule_path *parent)
{
	const struct json *client = json_get(hook, "clientConfig"), *service = json_get(client, "service");
	const char *url = json_get_text(client, "url");
	struct rule_path path = FIELD(parent, "clientConfig"), url_path = FIELD(&path, "url"),
	                 service_path = FIELD(&path, "service");

	if (!url == !is_present(service))
		validation_required(v, &path, "exactly one of url or service is required");
	else if (url)
		validate_url(v, url, &url_path);
	else
		validate_service_reference(v, service, &service_path);
}

// --- webhooks --------------------------------------------------------------------------------------

static void validate_review_versions(struct validation *v, const struct json *hook, const struct rule_path *parent)
{
	const struct json *versions = json_get(hook, "admissionReviewVersions");
	struct rule_path path = FIELD(parent, "admissionReviewVersions");

	if (!length_of(versions)) {
		validation_required(v, &path, "must specify one of " REVIEW_VERSIONS);
		return;
	}
	rule_for_each_item (version, entry, versions, &path) {
		const char *text = json_text(version) ? json_text(version) : "";

		if (text_repeats(versions, entry.index, NULL))
			validation_invalid_text(v, &entry, text, "duplicate version");
		else
			validation_string(v, &entry, text, check_dns_1035_label);
	}
	if (!list_has_text(versions, "v1") && !list_has_text(versions, "v1beta1"))
		validation_invalid(v, &path, versions, "must include at least one of " REVIEW_VERSIONS);
}

static void validate_webhook(struct validation *v, const struct json *hook, const struct rule_path *path)
{
	static const char *const failures[] = {"Fail", "Ignore", NULL}, *const matches[] = {"Equivalent", "Exact",
	                                                                                    NULL};
	static const char *const effects[] = {"None", "NoneOnDryRun", NULL};
	static const char *const invocations[] = {"IfNeeded", "Never", NULL};
	const struct json *timeout = json_get(hook, "timeoutSeconds");
	struct rule_path rules = FIELD(path, "rules"), side = FIELD(path, "sideEffects"),
	                 timeout_path = FIELD(path, "timeoutSeconds"), namespaces = FIELD(path, "namespaceSelector"),
	                 objects = FIELD(path, "objectSelector");

	rule_required_text(v, hook, "name", path, check_fully_qualified_name);
	rule_for_each_item (rule, entry, json_get(hook, "rules"), &rules)
		validate_operation_rule(v, rule, &entry);
	rule_one_of(v, hook, "failurePolicy", path, false, failures);
	rule_one_of(v, hook, "matchPolicy", path, false, matches);
	if (!text_of(hook, "sideEffects")[0])
		validation_required(v, &side, "must specify one of None, NoneOnDryRun");
	else
		rule_one_of(v, hook, "sideEffects", path, false, effects);
	if (json_is(timeout, JSON_INTEGER) && (timeout->integer < 1 || timeout->integer > 30))
		validation_invalid(v, &timeout_path, timeout, "the timeout value must be between 1 and 30 seconds");
	validate_label_selector(v, json_get(hook, "namespaceSelector"), &namespaces);
	validate_label_selector(v, json_get(hook, "objectSelector"), &objects);
	rule_one_of(v, hook, "reinvocationPolicy", path, false, invocations);
	validate_client(v, hook, path);
	validate_match_conditions(v, json_get(hook, "matchConditions"), path);
}

void validate_webhook_configuration(struct validation *v)
{
	const struct json *hooks = json_get(v->change->object, "webhooks");
	struct rule_path path = FIELD(NULL, "webhooks");

	rule_for_each_item (hook, entry, hooks, &path) {
		struct rule_path name = FIELD(&entry, "name");

		validate_webhook(v, hook, &entry);
		validate_review_versions(v, hook, &entry);
		if (text_of(hook, "name")[0] && text_repeats(hooks, entry.index, "name"))
			validation_duplicate(v, &name, json_get(hook, "name"));
	}
}

// --- APIServices -----------------------------------------------------------------------------------

static void validate_service_status(struct validation *v)
{
	static const char *const statuses[] = {"True", "False", "Unknown", NULL};
	struct rule_path status = FIELD(NULL, "status"), path = FIELD(&status, "conditions");

	rule_for_each_item (condition, entry, json_path(v->change->object, "status", "conditions"), &path) {
		struct rule_path own = FIELD(&entry, "status");

		if (!is_one_of(text_of(condition, "status"), statuses))
			validation_not_supported(v, &own, text_of(condition, "status"), statuses);
	}
}

static void validate_service_name(struct validation *v, const struct json *spec)
{
	const char *wanted = arena_printf(v->arena, "%s.%s", text_of(spec, "version"), text_of(spec, "group"));
	const char *name = v->change->name ? v->change->name : "";
	struct rule_path metadata = FIELD(NULL, "metadata"), path = FIELD(&metadata, "name");

	if (name[0] && !check_path_segment(v->arena, name, 0) && strcmp(name, wanted))
		validation_invalid_text(
		        v, &path, name,
		        arena_printf(v->arena, "must be `spec.version+\".\"+spec.group`: \"%s\"", wanted));
}

static void validate_priorities(struct validation *v, const struct json *spec, const struct rule_path *parent)
{
	struct rule_path group = FIELD(parent, "groupPriorityMinimum"), version = FIELD(parent, "versionPriority");
	int64_t of_group = integer_of(spec, "groupPriorityMinimum", 0),
	        of_version = integer_of(spec, "versionPriority", 0);

	if (of_group <= 0 || of_group > 20000)
		validation_invalid_integer(v, &group, of_group, "must be positive and less than 20000");
	if (of_version <= 0 || of_version > 1000)
		validation_invalid_integer(v, &version, of_version, "must be positive and less than 1000");
}

static void validate_local_service(struct validation *v, const struct json *spec, const struct rule_path *parent)
{
	const struct json *bundle = json_get(spec, "caBundle"), *skip = json_get(spec, "insecureSkipTLSVerify");
	struct rule_path bundle_path = FIELD(parent, "caBundle"), skip_path = FIELD(parent, "insecureSkipTLSVerify");

	if (!is_unset(bundle))
		validation_invalid_text(v, &bundle_path, arena_printf(v->arena, "%u bytes", bundle->length / 4 * 3),
		                        "local APIServices may not have a caBundle");
	if (!is_unset(skip))
		validation_invalid(v, &skip_path, skip, "local APIServices may not have insecureSkipTLSVerify");
}

void validate_api_service(struct validation *v)
{
	const struct json *spec = json_get(v->change->object, "spec"), *service = json_get(spec, "service");
	struct rule_path path = FIELD(NULL, "spec"), group = FIELD(&path, "group"), version = FIELD(&path, "version"),
	                 service_path = FIELD(&path, "service"), port = FIELD(&service_path, "port"),
	                 skip = FIELD(&path, "insecureSkipTLSVerify");
	int64_t number = integer_of(service, "port", 0);

	if (!strcmp(v->change->subresource, "status")) {
		validate_service_status(v);
		return;
	}
	validate_service_name(v, spec);
	if (!text_of(spec, "group")[0] && !text_is(spec, "version", "v1"))
		validation_required(v, &group, "only v1 may have an empty group and it better be legacy kube");
	rule_text(v, spec, "group", &path, check_dns_subdomain);
	validation_string(v, &version, text_of(spec, "version"), check_dns_1035_label);
	validate_priorities(v, spec, &path);
	if (!is_present(service)) {
		validate_local_service(v, spec, &path);
		return;
	}
	rule_required_text(v, service, "namespace", &service_path, NULL);
	rule_required_text(v, service, "name", &service_path, NULL);
	if (number < 1 || number > 65535)
		validation_invalid_integer(v, &port, number, "port is not valid: " PORT_NUMBER_DETAIL);
	if (!is_unset(json_get(spec, "caBundle")) && json_get_bool(spec, "insecureSkipTLSVerify", false))
		validation_invalid(v, &skip, json_get(spec, "insecureSkipTLSVerify"),
		                   "may not be true if caBundle is present");
}
