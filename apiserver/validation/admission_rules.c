// SPDX-License-Identifier: Apache-2.0
// See admission_rules.h.

#include "apiserver/validation/admission_rules.h"

#include <string.h>

#include "apiserver/validation/string_checks.h"
#include "apiserver/validation/validate.h"

enum {
	MATCH_CONDITIONS_MAX = 64,
};

static expression_compiler compile;

void admission_rules_set_compiler(expression_compiler compiler)
{
	compile = compiler;
}

void admission_rules_compile(struct validation *v, enum expression_place place, const char *expression,
                             const struct rule_path *path)
{
	if (compile)
		compile(v, place, expression, path);
}

bool is_blank(const char *text)
{
	return !text[strspn(text, " \t\n\v\f\r")];
}

// --- resources -------------------------------------------------------------------------------------

// Whether an item before `index` is "RESOURCE/*" (or "*/SUBRESOURCE") of this one.
static bool covered_before(const struct json *list, uint32_t index, const char *covering)
{
	for (uint32_t i = 0; i < index; i++)
		if (json_text(list->items[i]) && !strcmp(json_text(list->items[i]), covering))
			return true;
	return false;
}

static void validate_covered(struct validation *v, const struct json *list, uint32_t index, const char *text,
                             const struct rule_path *entry)
{
	const char *slash = strchr(text, '/');
	const char *resource = arena_strndup(v->arena, text, (size_t)(slash - text));
	const char *of_resource = arena_printf(v->arena, "%s/*", resource);
	const char *of_subresource = arena_printf(v->arena, "*/%s", slash + 1);

	if (covered_before(list, index, of_resource))
		validation_invalid_text(
		        v, entry, text,
		        arena_printf(v->arena, "if '%s' is present, must not specify %s", of_resource, text));
	if (covered_before(list, index, of_subresource))
		validation_invalid_text(
		        v, entry, text,
		        arena_printf(v->arena, "if '%s' is present, must not specify %s", of_subresource, text));
}

static void validate_resources(struct validation *v, const struct json *rule, const struct rule_path *parent)
{
	const struct json *list = json_get(rule, "resources");
	struct rule_path path = FIELD(parent, "resources");
	bool plain = false;

	if (!length_of(list))
		validation_required(v, &path, "");
	rule_for_each_item (item, entry, list, &path) {
		const char *text = json_text(item) ? json_text(item) : "";

		if (!text[0])
			validation_required(v, &entry, "");
		else if (strchr(text, '/'))
			validate_covered(v, list, entry.index, text, &entry);
		else
			plain = strcmp(text, "*") != 0;
	}
	if (length_of(list) > 1 && list_has_text(list, "*/*"))
		validation_invalid(v, &path, list, "if '*/*' is present, must not specify other resources");
	if (list_has_text(list, "*") && plain)
		validation_invalid(v, &path, list,
		                   "if '*' is present, must not specify other resources without subresources");
}

static void alone_if_all(struct validation *v, const struct json *rule, const char *member, const char *what,
                         const struct rule_path *parent)
{
	const struct json *list = json_get(rule, member);
	struct rule_path path = FIELD(parent, member);

	if (!length_of(list))
		validation_required(v, &path, "");
	if (length_of(list) > 1 && list_has_text(list, "*"))
		validation_invalid(v, &path, list,
		                   arena_printf(v->arena, "if '*' is present, must not specify other %s", what));
}

void validate_operation_rule(struct validation *v, const struct json *rule, const struct rule_path *path)
{
	static const char *const operations[] = {"*", "CONNECT", "CREATE", "DELETE", "UPDATE", NULL};
	static const char *const scopes[] = {"*", "Cluster", "Namespaced", NULL};
	struct rule_path list = FIELD(path, "operations"), versions = FIELD(path, "apiVersions");

	alone_if_all(v, rule, "operations", "operations", path);
	rule_for_each_item (operation, entry, json_get(rule, "operations"), &list)
		if (!json_text(operation) || !is_one_of(json_text(operation), operations))
			validation_not_supported(v, &entry, json_text(operation) ? json_text(operation) : "",
			                         operations);
	alone_if_all(v, rule, "apiGroups", "API groups", path);
	alone_if_all(v, rule, "apiVersions", "API versions", path);
	rule_for_each_item (version, entry, json_get(rule, "apiVersions"), &versions)
		if (is_unset(version))
			validation_required(v, &entry, "");
	validate_resources(v, rule, path);
	rule_one_of(v, rule, "scope", path, false, scopes);
}

// --- match conditions --------------------------------------------------------------------------------

void validate_match_conditions(struct validation *v, const struct json *conditions, const struct rule_path *parent)
{
	struct rule_path path = FIELD(parent, "matchConditions");

	if (length_of(conditions) > MATCH_CONDITIONS_MAX)
		validation_too_many(v, &path, length_of(conditions), MATCH_CONDITIONS_MAX);
	rule_for_each_item (condition, entry, conditions, &path) {
		struct rule_path expression = FIELD(&entry, "expression"), name = FIELD(&entry, "name");

		if (is_blank(text_of(condition, "expression")))
			validation_required(v, &expression, "");
		else
			admission_rules_compile(v, EXPRESSION_MATCH_CONDITION, text_of(condition, "expression"),
			                        &expression);
		rule_required_text(v, condition, "name", &entry, check_qualified_name);
		if (text_of(condition, "name")[0] && text_repeats(conditions, entry.index, "name"))
			validation_duplicate(v, &name, json_get(condition, "name"));
	}
}
