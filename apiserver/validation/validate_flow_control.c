// SPDX-License-Identifier: Apache-2.0
// FlowSchemas and PriorityLevelConfigurations. Of the mandatory ones only what
// an administrator may tune can be changed (fairness/default_objects.h).

#include <string.h>

#include "apiserver/fairness/default_objects.h"
#include "apiserver/validation/rules.h"
#include "apiserver/validation/string_checks.h"
#include "apiserver/validation/validate.h"

enum {
	PRECEDENCE_MAX = 10000,
	QUEUES_MAX = 10 * 1000 * 1000,
	HASH_BITS_MAX = 60,
};

static void validate_mandatory(struct validation *v, const struct json *spec, const struct rule_path *path)
{
	bool is_schema = !strcmp(v->change->resource->plural, "flowschemas");

	for (size_t i = 0; i < flow_default_count; i++) {
		const struct flow_default *wanted = &flow_defaults[i];
		const char *but = "";

		if (!wanted->mandatory || wanted->is_schema != is_schema || !v->change->name ||
		    strcmp(wanted->name, v->change->name) || flow_default_is_met(v->arena, wanted, spec))
			continue;
		if (wanted->tunable)
			but = arena_printf(v->arena, "except the 'spec.%s' field ", wanted->tunable);
		validation_invalid(
		        v, path, spec,
		        arena_printf(v->arena, "spec of '%s' %smust equal the fixed value", wanted->name, but));
	}
}

static void validate_status(struct validation *v)
{
	const struct json *conditions = json_path(v->change->object, "status", "conditions");
	struct rule_path status = FIELD(NULL, "status"), path = FIELD(&status, "conditions");

	rule_for_each_item (condition, entry, conditions, &path) {
		struct rule_path type = FIELD(&entry, "type");

		if (text_repeats(conditions, entry.index, "type"))
			validation_duplicate(v, &type, json_string(v->arena, text_of(condition, "type")));
		if (!text_of(condition, "type")[0])
			validation_required(v, &type, "must not be empty");
	}
}

// --- subjects --------------------------------------------------------------------------------------

static void validate_account(struct validation *v, const struct json *account, const struct rule_path *path)
{
	struct rule_path name = FIELD(path, "name"), namespace_path = FIELD(path, "namespace");

	if (!text_of(account, "name")[0])
		validation_required(v, &name, "");
	else if (!text_is(account, "name", "*"))
		validation_string(v, &name, text_of(account, "name"), check_dns_subdomain);
	if (!text_of(account, "namespace")[0])
		validation_required(v, &namespace_path, "must specify namespace for service account");
	else
		validation_string(v, &namespace_path, text_of(account, "namespace"), check_dns_label);
}

static void validate_subject(struct validation *v, const struct json *subject, const struct rule_path *path)
{
	static const struct {
		const char *kind, *member;
	} kinds[] = {{"ServiceAccount", "serviceAccount"}, {"User", "user"}, {"Group", "group"}};
	static const char *const known[] = {"Group", "ServiceAccount", "User", NULL};
	const char *kind = text_of(subject, "kind");
	struct rule_path kind_path = FIELD(path, "kind");

	if (!is_one_of(kind, known)) {
		validation_not_supported(v, &kind_path, kind, known);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const struct json *member = json_get(subject, kinds[i].member);
		struct rule_path own = FIELD(path, kinds[i].member);

		if (strcmp(kind, kinds[i].kind)) {
			if (is_present(member))
				validation_forbidden(v, &own,
				                     arena_printf(v->arena,
				                                  "%s is forbidden when subject kind is not '%s'",
				                                  kinds[i].member, kinds[i].kind));
		} else if (!is_present(member)) {
			validation_required(v, &own,
			                    arena_printf(v->arena, "%s is required when subject kind is '%s'",
			                                 kinds[i].member, kinds[i].kind));
		} else if (!i) {
			validate_account(v, member, &own);
		} else {
			rule_required_text(v, member, "name", &own, NULL);
		}
	}
}

// --- rules -----------------------------------------------------------------------------------------

static void validate_verbs(struct validation *v, const struct json *rule, const struct rule_path *parent)
{
	static const char *const supported[] = {"create", "delete", "deletecollection", "get",   "list",
	                                        "patch",  "proxy",  "update",           "watch", NULL};
	const struct json *verbs = json_get(rule, "verbs");
	struct rule_path path = FIELD(parent, "verbs");
	bool known = true;

	json_for_each_item (verb, verbs)
		known &= json_text(verb) && is_one_of(json_text(verb), supported);
	if (!length_of(verbs))
		validation_required(v, &path, "verbs must contain at least one value");
	else if (list_has_text(verbs, "*") && verbs->length > 1)
		validation_invalid(v, &path, verbs, "if '*' is present, must not specify other verbs");
	else if (!list_has_text(verbs, "*") && !known)
		validation_not_supported_value(v, &path, verbs, supported);
}

static const char *url_problem(const char *path)
{
	const char *star = strchr(path, '*');

	if (!path[0])
		return "must not be empty";
	if (path[0] != '/')
		return "must start with slash";
	if (strchr(path, ' '))
		return "must not contain white-space";
	if (strstr(path, "//"))
		return "must not contain double slash";
	return star && (star[1] || star[-1] != '/') ? "wildcard can only do suffix matching" : NULL;
}

static void validate_url_rule(struct validation *v, const struct json *rule, const struct rule_path *path)
{
	const struct json *urls = json_get(rule, "nonResourceURLs");
	struct rule_path list = FIELD(path, "nonResourceURLs");

	validate_verbs(v, rule, path);
	if (!length_of(urls)) {
		validation_required(v, &list, "nonResourceURLs must contain at least one value");
	} else if (list_has_text(urls, "*")) {
		if (urls->length > 1)
			validation_invalid(v, &list, urls,
			                   "if '*' is present, must not specify other non-resource URLs");
	} else {
		rule_for_each_item (url, entry, urls, &list) {
			const char *problem = url_problem(json_text(url) ? json_text(url) : "");

			if (problem)
				validation_invalid(v, &entry, url, problem);
		}
	}
}

static void validate_listed(struct validation *v, const struct json *rule, const char *member, const char *none,
                            const char *others, const struct rule_path *parent)
{
	const struct json *list = json_get(rule, member);
	struct rule_path path = FIELD(parent, member);

	if (!length_of(list))
		validation_required(v, &path, none);
	else if (list->length > 1 && list_has_text(list, "*"))
		validation_invalid(v, &path, list,
		                   arena_printf(v->arena, "if '*' is present, must not specify other %s", others));
}

static void validate_resource_rule(struct validation *v, const struct json *rule, const struct rule_path *path)
{
	const struct json *namespaces = json_get(rule, "namespaces");
	struct rule_path list = FIELD(path, "namespaces");

	validate_verbs(v, rule, path);
	validate_listed(v, rule, "apiGroups", "resource rules must supply at least one api group", "api groups", path);
	validate_listed(v, rule, "resources", "resource rules must supply at least one resource", "resources", path);
	if (!length_of(namespaces) && !json_get_bool(rule, "clusterScope", false)) {
		validation_required(v, &list,
		                    "resource rules that are not cluster scoped must supply at least one namespace");
	} else if (list_has_text(namespaces, "*")) {
		if (namespaces->length > 1)
			validation_invalid(v, &list, namespaces,
			                   "if '*' is present, must not specify other namespaces");
	} else {
		rule_for_each_item (name, entry, namespaces, &list) {
			const char *text = json_text(name) ? json_text(name) : "", *complaint;

			for (size_t i = 0; (complaint = check_dns_label(v->arena, text, i)); i++)
				validation_invalid_text(
				        v, &entry, text,
				        arena_printf(v->arena,
				                     "each member of this list must be '*' or a DNS-1123 label; %s",
				                     complaint));
		}
	}
}

static void validate_flow_rule(struct validation *v, const struct json *rule, const struct rule_path *path)
{
	struct rule_path subjects = FIELD(path, "subjects"), resources = FIELD(path, "resourceRules"),
	                 urls = FIELD(path, "nonResourceRules");

	if (!length_of(json_get(rule, "subjects")))
		validation_required(v, &subjects, "subjects must contain at least one value");
	rule_for_each_item (subject, entry, json_get(rule, "subjects"), &subjects)
		validate_subject(v, subject, &entry);
	if (!length_of(json_get(rule, "resourceRules")) && !length_of(json_get(rule, "nonResourceRules")))
		validation_required(v, path, "at least one of resourceRules and nonResourceRules has to be non-empty");
	rule_for_each_item (item, entry, json_get(rule, "resourceRules"), &resources)
		validate_resource_rule(v, item, &entry);
	rule_for_each_item (item, entry, json_get(rule, "nonResourceRules"), &urls)
		validate_url_rule(v, item, &entry);
}

void validate_flow_schema(struct validation *v)
{
	static const char *const methods[] = {"ByNamespace", "ByUser", NULL};
	const struct json *spec = json_get(v->change->object, "spec"), *method = json_get(spec, "distinguisherMethod");
	const struct json *level = json_get(spec, "priorityLevelConfiguration");
	int64_t precedence = integer_of(spec, "matchingPrecedence", 0);
	struct rule_path path = FIELD(NULL, "spec"), precedence_path = FIELD(&path, "matchingPrecedence"),
	                 method_path = FIELD(&path, "distinguisherMethod"), type = FIELD(&method_path, "type"),
	                 level_path = FIELD(&path, "priorityLevelConfiguration"), name = FIELD(&level_path, "name"),
	                 rules = FIELD(&path, "rules");

	if (!strcmp(v->change->subresource, "status")) {
		validate_status(v);
		return;
	}
	if (precedence <= 0)
		validation_invalid_integer(v, &precedence_path, precedence, "must be a positive value");
	if (precedence > PRECEDENCE_MAX)
		validation_invalid_integer(v, &precedence_path, precedence, "must not be greater than 10000");
	if (precedence == 1 && (!v->change->name || strcmp(v->change->name, "exempt")))
		validation_invalid_integer(v, &precedence_path, 1,
		                           "only the schema named 'exempt' may have matchingPrecedence 1");
	if (is_present(method) && !is_one_of(text_of(method, "type"), methods))
		validation_not_supported_rendered(v, &type,
		                                  arena_printf(v->arena,
		                                               "flowcontrol.FlowDistinguisherMethod{Type:\"%s\"}",
		                                               text_of(method, "type")),
		                                  methods);
	if (!text_of(level, "name")[0])
		validation_required(v, &name, "must reference a priority level");
	else
		validation_string(v, &name, text_of(level, "name"), check_dns_subdomain);
	rule_for_each_item (rule, entry, json_get(spec, "rules"), &rules)
		validate_flow_rule(v, rule, &entry);
	validate_mandatory(v, spec, &path);
}

// --- priority levels -------------------------------------------------------------------------------

// The bits that telling a hand of this size from that many queues takes.
static int entropy_bits(int64_t queues, int64_t hand)
{
	double combinations = 1;
	int bits = 0;

	for (int64_t i = 0; i < hand; i++)
		combinations *= (double)(queues - i);
	while (combinations > 1) {
		combinations /= 2;
		bits++;
	}
	return bits;
}

static void not_positive(struct validation *v, const struct json *queuing, const char *member,
                         const struct rule_path *parent)
{
	struct rule_path path = FIELD(parent, member);

	if (integer_of(queuing, member, 0) <= 0)
		validation_invalid_integer(v, &path, integer_of(queuing, member, 0), "must be positive");
}

static void validate_queuing(struct validation *v, const struct json *queuing, const struct rule_path *path)
{
	int64_t queues = integer_of(queuing, "queues", 0), hand = integer_of(queuing, "handSize", 0);
	struct rule_path queues_path = FIELD(path, "queues"), hand_path = FIELD(path, "handSize");

	not_positive(v, queuing, "queueLengthLimit", path);
	not_positive(v, queuing, "queues", path);
	if (queues > QUEUES_MAX)
		validation_invalid_integer(v, &queues_path, queues, "must not be greater than 10000000");
	not_positive(v, queuing, "handSize", path);
	if (hand > queues)
		validation_invalid_integer(
		        v, &hand_path, hand,
		        arena_printf(v->arena, "should not be greater than queues (%lld)", (long long)queues));
	else if (hand > 0 && (hand > HASH_BITS_MAX || entropy_bits(queues, hand) > HASH_BITS_MAX))
		validation_invalid_integer(v, &hand_path, hand,
		                           arena_printf(v->arena,
		                                        "required entropy bits of deckSize %lld and handSize %lld "
		                                        "should not be greater than 60",
		                                        (long long)queues, (long long)hand));
}

static void validate_response(struct validation *v, const struct json *response, const struct rule_path *path)
{
	static const char *const types[] = {"Queue", "Reject", NULL};
	const struct json *queuing = json_get(response, "queuing");
	struct rule_path type = FIELD(path, "type"), own = FIELD(path, "queuing");

	if (text_is(response, "type", "Reject")) {
		rule_forbidden(v, response, "queuing", path,
		               "must be nil if limited.limitResponse.type is not Limited");
	} else if (!text_is(response, "type", "Queue")) {
		validation_not_supported(v, &type, text_of(response, "type"), types);
	} else if (rule_required(v, response, "queuing", path,
	                         "must not be empty if limited.limitResponse.type is Limited")) {
		validate_queuing(v, queuing, &own);
	}
}

static void validate_shares(struct validation *v, const struct json *level, const struct rule_path *path)
{
	rule_at_least(v, level, "nominalConcurrencyShares", path, 0, "must be a non-negative integer");
	rule_range(v, level, "lendablePercent", path, 0, 100);
	rule_at_least(v, level, "borrowingLimitPercent", path, 0, "if specified, must be a non-negative integer");
}

void validate_priority_level(struct validation *v)
{
	static const char *const types[] = {"Exempt", "Limited", NULL};
	const struct json *spec = json_get(v->change->object, "spec"), *limited = json_get(spec, "limited");
	const char *type = text_of(spec, "type");
	bool exempt = v->change->name && !strcmp(v->change->name, "exempt");
	struct rule_path path = FIELD(NULL, "spec"), type_path = FIELD(&path, "type"),
	                 limited_path = FIELD(&path, "limited"), exempt_path = FIELD(&path, "exempt"),
	                 response = FIELD(&limited_path, "limitResponse");

	if (!strcmp(v->change->subresource, "status")) {
		validate_status(v);
		return;
	}
	if (exempt != !strcmp(type, "Exempt"))
		validation_invalid_text(v, &type_path, type, "type must be 'Exempt' if and only if name is 'exempt'");
	if (!is_one_of(type, types)) {
		validation_not_supported(v, &type_path, type, types);
	} else if (!strcmp(type, "Exempt")) {
		rule_forbidden(v, spec, "limited", &path, "must be nil if the type is not Limited");
		validate_shares(v, json_get(spec, "exempt"), &exempt_path);
	} else {
		rule_forbidden(v, spec, "exempt", &path, "must be nil if the type is Limited");
		if (rule_required(v, spec, "limited", &path, "must not be empty when type is Limited")) {
			validate_shares(v, limited, &limited_path);
			validate_response(v, json_get(limited, "limitResponse"), &response);
		}
	}
	validate_mandatory(v, spec, &path);
}
