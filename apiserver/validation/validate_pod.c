// SPDX-License-Identifier: Apache-2.0
// Pods and pod templates: what the parts don't have, and which rules each kind of
// write asks.

#include <string.h>

#include "apiserver/validation/resource_names.h"
#include "apiserver/validation/string_checks.h"
#include "apiserver/validation/validate_pod.h"

enum {
	DNS_MAX_SERVERS = 3,
	DNS_MAX_SEARCHES = 32,
	DNS_MAX_SEARCH_BYTES = 2048,
};

// --- name resolution -----------------------------------------------------------------------------

static void validate_searches(struct validation *v, const struct json *config, const struct rule_path *parent)
{
	const struct json *searches = json_get(config, "searches");
	struct rule_path path = FIELD(parent, "searches");
	size_t bytes = length_of(searches) ? length_of(searches) - 1 : 0;

	if (length_of(searches) > DNS_MAX_SEARCHES)
		validation_invalid(v, &path, searches, "must not have more than 32 search paths");
	json_for_each_item (search, searches)
		bytes += search->length;
	if (bytes > DNS_MAX_SEARCH_BYTES)
		validation_invalid(v, &path, searches,
		                   "must not have more than 2048 characters (including spaces) in the search list");
	rule_for_each_item (search, entry, searches, &path) {
		const char *text = json_text(search) ? json_text(search) : "";

		if (strcmp(text, "."))
			validation_string(v, &entry,
			                  arena_strndup(v->arena, text,
			                                strlen(text) - (text[0] && text[strlen(text) - 1] == '.')),
			                  check_search_domain);
	}
}

static void validate_dns(struct validation *v, const struct json *spec, const struct rule_path *parent)
{
	static const char *const policies[] = {"ClusterFirstWithHostNet", "ClusterFirst", "Default", "None", NULL};
	const struct json *config = json_get(spec, "dnsConfig"), *servers = json_get(config, "nameservers");
	struct rule_path path = FIELD(parent, "dnsConfig"), servers_path = FIELD(&path, "nameservers"),
	                 options = FIELD(&path, "options");
	bool none = text_is(spec, "dnsPolicy", "None");

	rule_one_of(v, spec, "dnsPolicy", parent, true, policies);
	if (none && !is_present(config)) {
		validation_required(v, &path, "must provide `dnsConfig` when `dnsPolicy` is None");
		return;
	}
	if (none && !length_of(servers)) {
		validation_required(v, &servers_path,
		                    "must provide at least one DNS nameserver when `dnsPolicy` is None");
		return;
	}
	if (length_of(servers) > DNS_MAX_SERVERS)
		validation_invalid(v, &servers_path, servers, "must not have more than 3 nameservers");
	rule_for_each_item (server, entry, servers, &servers_path)
		rule_ip(v, json_text(server) ? json_text(server) : "", &entry);
	validate_searches(v, config, &path);
	rule_for_each_item (option, entry, json_get(config, "options"), &options)
		if (!text_of(option, "name")[0])
			validation_required(v, &entry, "must not be empty");
}

// --- references ------------------------------------------------------------------------------------

static void validate_aliases(struct validation *v, const struct json *spec, const struct rule_path *parent)
{
	struct rule_path path = FIELD(parent, "hostAliases");

	rule_for_each_item (alias, entry, json_get(spec, "hostAliases"), &path) {
		struct rule_path ip = FIELD(&entry, "ip"), names = FIELD(&entry, "hostnames");

		rule_ip(v, text_of(alias, "ip"), &ip);
		json_for_each_item (name, json_get(alias, "hostnames"))
			validation_string(v, &names, json_text(name) ? json_text(name) : "", check_dns_subdomain);
	}
}

static void validate_claims(struct validation *v, const struct json *spec, const struct rule_path *parent)
{
	static const char *const sources[] = {"resourceClaimName", "resourceClaimTemplateName"};
	const struct json *claims = json_get(spec, "resourceClaims");
	struct rule_path path = FIELD(parent, "resourceClaims");

	rule_for_each_item (claim, entry, claims, &path) {
		struct rule_path name = FIELD(&entry, "name");
		size_t count = 0;

		if (rule_required_text(v, claim, "name", &entry, NULL) && text_repeats(claims, entry.index, "name"))
			validation_duplicate(v, &name, json_get(claim, "name"));
		else
			rule_text(v, claim, "name", &entry, check_dns_label);
		for (size_t i = 0; i < ARRAY_SIZE(sources); i++)
			count += json_text(json_get(claim, sources[i])) != NULL;
		if (count > 1)
			validation_invalid(v, &entry, claim,
			                   "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be "
			                   "specified");
		else if (!count)
			validation_invalid(v, &entry, claim,
			                   "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`");
		for (size_t i = 0; i < ARRAY_SIZE(sources); i++)
			if (json_text(json_get(claim, sources[i]))) {
				struct rule_path source = FIELD(&entry, sources[i]);

				validation_string(v, &source, text_of(claim, sources[i]), check_dns_subdomain);
			}
	}
}

static void validate_names(struct validation *v, const struct json *spec, const struct rule_path *path)
{
	static const struct {
		const char *member;
		string_check check;
	} names[] = {{"serviceAccountName", check_dns_subdomain},
	             {"nodeName", check_dns_subdomain},
	             {"hostname", check_dns_label},
	             {"subdomain", check_dns_label},
	             {"priorityClassName", check_dns_subdomain}};
	struct rule_path runtime = FIELD(path, "runtimeClassName");

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		rule_text(v, spec, names[i].member, path, names[i].check);
	if (json_text(json_get(spec, "runtimeClassName")))
		validation_string(v, &runtime, text_of(spec, "runtimeClassName"), check_dns_subdomain);
}

// --- the spec --------------------------------------------------------------------------------------

static void validate_policies(struct validation *v, const struct json *spec, const struct rule_path *path)
{
	static const char *const restarts[] = {"Always", "OnFailure", "Never", NULL};
	static const char *const preemptions[] = {"PreemptLowerPriority", "Never", NULL};

	rule_one_of(v, spec, "restartPolicy", path, true, restarts);
	if (json_text(json_get(spec, "preemptionPolicy")))
		rule_one_of(v, spec, "preemptionPolicy", path, true, preemptions);
	rule_range(v, spec, "activeDeadlineSeconds", path, 1, INT32_MAX);
}

static void validate_overhead(struct validation *v, const struct json *spec, const struct rule_path *parent)
{
	struct rule_path path = FIELD(parent, "overhead"), limits = FIELD(&path, "limits");

	json_for_each_member (amount, json_get(spec, "overhead")) {
		struct rule_path entry = FIELD_KEY(&limits, amount->key);

		validate_container_resource_name(v, amount->key, &entry);
		validate_resource_amount(v, amount->key, amount->value, &entry);
	}
}

static void validate_spec(struct validation *v, const struct pod_scope *scope, const struct rule_path *path)
{
	const struct json *spec = scope->spec;
	struct rule_path volumes = FIELD(path, "volumes");

	rule_required(v, spec, "terminationGracePeriodSeconds", path, "");
	validate_volumes(v, json_get(spec, "volumes"), scope->metadata, scope->is_template, &volumes);
	validate_claims(v, spec, path);
	validate_containers(v, scope, path);
	validate_policies(v, spec, path);
	validate_dns(v, spec, path);
	validate_pod_security(v, scope, path);
	validate_pod_scheduling(v, scope, path);
	validate_names(v, spec, path);
	validate_aliases(v, spec, path);
	validate_overhead(v, spec, path);
	validate_pod_os(v, spec, path);
}

static struct pod_scope scope_of(const struct json *spec, const struct json *metadata, bool is_template)
{
	return (struct pod_scope){spec, metadata, is_template, json_get_bool(spec, "hostUsers", true)};
}

void validate_template_metadata(struct validation *v, const struct json *metadata, const struct rule_path *parent)
{
	struct rule_path path = FIELD(parent, "metadata"), labels = FIELD(&path, "labels"),
	                 annotations = FIELD(&path, "annotations");

	validate_annotations(v, json_get(metadata, "annotations"), &annotations);
	validate_labels(v, json_get(metadata, "labels"), &labels);
	json_for_each_member (member, metadata) {
		struct rule_path entry = FIELD(&path, member->key);

		if (strcmp(member->key, "annotations") && strcmp(member->key, "labels") && !is_unset(member->value))
			validation_forbidden(v, &entry, "cannot be set");
	}
}

void validate_pod_template(struct validation *v, const struct json *template, const struct rule_path *path)
{
	const struct json *metadata = json_get(template, "metadata"), *spec = json_get(template, "spec");
	struct pod_scope scope = scope_of(spec, metadata, true);
	struct rule_path meta = FIELD(path, "metadata"), labels = FIELD(&meta, "labels"),
	                 annotations = FIELD(&meta, "annotations"), spec_path = FIELD(path, "spec");

	validate_labels(v, json_get(metadata, "labels"), &labels);
	validate_annotations(v, json_get(metadata, "annotations"), &annotations);
	validate_pod_annotations(v, json_get(metadata, "annotations"), spec, &annotations);
	validate_spec(v, &scope, &spec_path);
	if (length_of(json_get(spec, "ephemeralContainers"))) {
		struct rule_path ephemeral = FIELD(&spec_path, "ephemeralContainers");

		validation_forbidden(v, &ephemeral, "ephemeral containers not allowed in pod template");
	}
}

void validate_pod_template_kind(struct validation *v)
{
	struct rule_path path = FIELD(NULL, "template");

	validate_pod_template(v, json_get(v->change->object, "template"), &path);
}

// --- pods -------------------------------------------------------------------------------------------

// A token needs an account whose it is.
static void validate_tokens(struct validation *v, const struct json *spec, const struct rule_path *parent)
{
	struct rule_path volumes = FIELD(parent, "volumes");

	if (text_of(spec, "serviceAccountName")[0])
		return;
	rule_for_each_item (volume, entry, json_get(spec, "volumes"), &volumes) {
		struct rule_path projected = FIELD(&entry, "projected"), sources = FIELD(&projected, "sources");

		rule_for_each_item (source, item, json_path(volume, "projected", "sources"), &sources)
			rule_forbidden(v, source, "serviceAccountToken", &item,
			               "must not be specified when serviceAccountName is not set");
	}
}

void validate_whole_pod(struct validation *v)
{
	const struct json *pod = v->change->object, *metadata = json_get(pod, "metadata"),
	                  *spec = json_get(pod, "spec");
	struct pod_scope scope = scope_of(spec, metadata, false);
	struct rule_path path = FIELD(NULL, "spec"), meta = FIELD(NULL, "metadata"),
	                 annotations = FIELD(&meta, "annotations");

	if (change_is_create(v->change))
		validate_pod_annotations(v, json_get(metadata, "annotations"), spec, &annotations);
	validate_spec(v, &scope, &path);
	validate_tokens(v, spec, &path);
}

static void validate_pod_create(struct validation *v)
{
	const struct json *spec = json_get(v->change->object, "spec");
	struct rule_path path = FIELD(NULL, "spec"), ephemeral = FIELD(&path, "ephemeralContainers"),
	                 node = FIELD(&path, "nodeName");

	validate_whole_pod(v);
	if (length_of(json_get(spec, "ephemeralContainers")))
		validation_forbidden(v, &ephemeral, "cannot be set on create");
	if (length_of(json_get(spec, "schedulingGates")) && text_of(spec, "nodeName")[0])
		validation_forbidden(v, &node, "cannot be set until all schedulingGates have been cleared");
	validate_pod_profiles(v);
}

// A binding has changed only what it may.
static void validate_binding(struct validation *v)
{
	(void)v;
}

static const struct {
	const char *subresource;
	void (*validate)(struct validation *v);
} writes[] = {
        {"", validate_pod_update},
        {"binding", validate_binding},
        {"ephemeralcontainers", validate_pod_ephemeral_update},
        {"resize", validate_pod_resize},
        {"status", validate_pod_status_update},
};

void validate_pod(struct validation *v)
{
	if (change_is_create(v->change)) {
		validate_pod_create(v);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(writes); i++)
		if (!strcmp(writes[i].subresource, v->change->subresource))
			writes[i].validate(v);
}
