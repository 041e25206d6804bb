// SPDX-License-Identifier: Apache-2.0

#include "apiserver/audit/audit_policy.h"

#include <stdlib.h>
#include <string.h>

#include "apiserver/validation/validation.h"
#include "common/api/yaml.h"
#include "common/base/file.h"
#include "common/base/memory.h"

enum {
	POLICY_MAX_BYTES = 4 << 20,
};

struct audit_rule {
	enum audit_level level;
	unsigned omitted_stages;
	bool omits_managed_fields;
	const struct json *users, *groups, *verbs, *resources, *namespaces, *paths;
};

struct audit_policy {
	struct arena *arena; // of the document, when it was loaded; else NULL
	struct audit_rule *rules;
	size_t count;
};

static const char *const level_names[] = {"None", "Metadata", "Request", "RequestResponse"};
static const char *const stage_names[] = {"RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"};

const char *audit_level_name(enum audit_level level)
{
	return level_names[level];
}

const char *audit_stage_name(enum audit_stage stage)
{
	return stage_names[stage];
}

// --- reading ----------------------------------------------------------------------------------

static int index_of(const char *text, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(text, names[i]))
			return (int)i;
	return -1;
}

static int read_stages(const struct json *list, unsigned *stages, struct err *err)
{
	json_for_each_item (item, list) {
		int index = index_of(json_text(item) ? json_text(item) : "", stage_names, ARRAY_SIZE(stage_names));

		if (index < 0)
			return err_set(err, ERR_BAD_REQUEST,
			               "omitStages: Invalid value: \"%.60s\": allowed stages are "
			               "RequestReceived,ResponseStarted,ResponseComplete,Panic",
			               json_text(item) ? json_text(item) : "");
		*stages |= 1u << index;
	}
	return 0;
}

static int read_rule(const struct json *row, const struct audit_rule *defaults, struct audit_rule *rule,
                     struct err *err)
{
	int level = index_of(text_of(row, "level"), level_names, ARRAY_SIZE(level_names));

	*rule = *defaults;
	if (level < 0)
		return err_set(err, ERR_BAD_REQUEST,
		               "level: Unsupported value: \"%.60s\": supported values: \"None\", "
		               "\"Metadata\", \"Request\", \"RequestResponse\"",
		               text_of(row, "level"));
	rule->level = (enum audit_level)level;
	rule->omits_managed_fields = json_get_bool(row, "omitManagedFields", defaults->omits_managed_fields);
	rule->users = json_get(row, "users");
	rule->groups = json_get(row, "userGroups");
	rule->verbs = json_get(row, "verbs");
	rule->resources = json_get(row, "resources");
	rule->namespaces = json_get(row, "namespaces");
	rule->paths = json_get(row, "nonResourceURLs");
	if (length_of(rule->paths) && (length_of(rule->resources) || length_of(rule->namespaces)))
		return err_set(err, ERR_BAD_REQUEST,
		               "nonResourceURLs: Invalid value: rules cannot apply to both regular resources and "
		               "non-resource URLs");
	return read_stages(json_get(row, "omitStages"), &rule->omitted_stages, err);
}

int audit_policy_new(const struct json *document, struct audit_policy **ret_policy, struct err *err)
{
	const struct json *rules = json_get(document, "rules");
	struct audit_rule defaults = {.omits_managed_fields = json_get_bool(document, "omitManagedFields", false)};
	struct audit_policy *policy;
	int r = 0;

	if (strcmp(text_of(document, "kind"), "Policy") || strcmp(text_of(document, "apiVersion"), "audit.k8s.io/v1"))
		return err_set(err, ERR_BAD_REQUEST, "unknown group version field %.60s in policy",
		               text_of(document, "apiVersion"));
	if (!length_of(rules))
		return err_set(err, ERR_BAD_REQUEST, "loaded illegal policy with 0 rules");
	policy = NEW(struct audit_policy);
	policy->rules = xcalloc(length_of(rules), sizeof(*policy->rules));
	r = read_stages(json_get(document, "omitStages"), &defaults.omitted_stages, err);
	json_for_each_item (row, rules)
		if (r == 0) {
			r = read_rule(row, &defaults, &policy->rules[policy->count], err);
			if (r < 0)
				err_wrap(err, "rules[%zu]", policy->count);
			policy->count++;
		}
	if (r < 0) {
		audit_policy_free(policy);
		return r;
	}
	*ret_policy = policy;
	return 0;
}

int audit_policy_load(const char *path, struct audit_policy **ret_policy, struct err *err)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(POLICY_MAX_BYTES);
	struct arena *arena = arena_new(0);
	struct yaml_document *documents;
	size_t count;
	int r = file_read(path, &text, err);

	if (r == 0)
		r = yaml_parse(arena, strbuf_text(&text), text.length, NULL, &documents, &count, err);
	if (r == 0 && count != 1)
		r = err_set(err, ERR_BAD_REQUEST, "it does not hold one document");
	if (r == 0)
		r = audit_policy_new(documents[0].value, ret_policy, err);
	if (r < 0) {
		arena_free(arena);
		return err_wrap(err, "loading audit policy file %.120s", path);
	}
	(*ret_policy)->arena = arena;
	return 0;
}

struct audit_policy *audit_policy_free(struct audit_policy *policy)
{
	if (!policy)
		return NULL;
	arena_free(policy->arena);
	free(policy->rules);
	free(policy);
	return NULL;
}

// --- judging ----------------------------------------------------------------------------------

static bool has(const struct json *list, const char *text)
{
	json_for_each_item (item, list)
		if (json_text(item) && !strcmp(json_text(item), text))
			return true;
	return false;
}

static bool has_any(const struct json *list, const struct user *user)
{
	for (size_t i = 0; i < user->group_count; i++)
		if (has(list, user->groups[i]))
			return true;
	return false;
}

static bool names_resource(const char *pattern, const struct audit_attributes *attributes)
{
	const char *slash = strchr(pattern, '/');
	size_t length = slash ? (size_t)(slash - pattern) : strlen(pattern);
	bool same = strlen(attributes->resource) == length && !memcmp(pattern, attributes->resource, length);

	if (!strcmp(pattern, "*"))
		return true;
	if (!slash)
		return same && !attributes->subresource[0];
	if (length == 1 && pattern[0] == '*')
		return attributes->subresource[0] && !strcmp(slash + 1, attributes->subresource);
	return same && (!strcmp(slash + 1, "*") || !strcmp(slash + 1, attributes->subresource));
}

static bool matches_resource(const struct audit_rule *rule, const struct audit_attributes *attributes)
{
	if (!attributes->is_resource ||
	    (length_of(rule->namespaces) && !has(rule->namespaces, attributes->namespace_name)))
		return false;
	if (!length_of(rule->resources))
		return true;
	json_for_each_item (row, rule->resources) {
		const struct json *resources = json_get(row, "resources"), *names = json_get(row, "resourceNames");

		if (strcmp(text_of(row, "group"), attributes->group))
			continue;
		if (!length_of(resources))
			return true;
		if (length_of(names) && !has(names, attributes->name))
			continue;
		json_for_each_item (pattern, resources)
			if (json_text(pattern) && names_resource(json_text(pattern), attributes))
				return true;
	}
	return false;
}

static bool matches_path(const struct audit_rule *rule, const struct audit_attributes *attributes)
{
	if (attributes->is_resource)
		return false;
	json_for_each_item (item, rule->paths) {
		const char *pattern = json_text(item) ? json_text(item) : "";
		size_t length = strlen(pattern);

		if (!strcmp(pattern, attributes->path))
			return true;
		if (length && pattern[length - 1] == '*' && !strncmp(pattern, attributes->path, length - 1))
			return true;
	}
	return false;
}

static bool matches(const struct audit_rule *rule, const struct audit_attributes *attributes)
{
	if ((length_of(rule->users) && !has(rule->users, attributes->user->name)) ||
	    (length_of(rule->groups) && !has_any(rule->groups, attributes->user)) ||
	    (length_of(rule->verbs) && !has(rule->verbs, attributes->verb)))
		return false;
	if (length_of(rule->namespaces) || length_of(rule->resources))
		return matches_resource(rule, attributes);
	if (length_of(rule->paths))
		return matches_path(rule, attributes);
	return true;
}

void audit_policy_judge(const struct audit_policy *policy, const struct audit_attributes *attributes,
                        struct audit_verdict *ret_verdict)
{
	*ret_verdict = (struct audit_verdict){.level = AUDIT_NONE};
	for (size_t i = 0; i < policy->count; i++)
		if (matches(&policy->rules[i], attributes)) {
			*ret_verdict = (struct audit_verdict){policy->rules[i].level, policy->rules[i].omitted_stages,
			                                      policy->rules[i].omits_managed_fields};
			return;
		}
}
