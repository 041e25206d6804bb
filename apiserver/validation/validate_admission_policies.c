// SPDX-License-Identifier: Apache-2.0
// ValidatingAdmissionPolicies and their bindings. Expressions are compiled by
// whoever has set the compiler (admission_rules.h).

#include <ctype.h>
#include <string.h>

#include "apiserver/validation/admission_rules.h"
#include "apiserver/validation/string_checks.h"
#include "apiserver/validation/validate.h"

enum {
	AUDIT_ANNOTATIONS_MAX = 20,
	AUDIT_EXPRESSION_MAX_BYTES = 5 << 10,
};

// --- what is matched -------------------------------------------------------------------------------

static void validate_named_rules(struct validation *v, const struct json *match, const char *member,
                                 const struct rule_path *parent)
{
	struct rule_path path = FIELD(parent, member);

	rule_for_each_item (rule, entry, json_get(match, member), &path) {
		const struct json *names = json_get(rule, "resourceNames");
		struct rule_path list = FIELD(&entry, "resourceNames");

		rule_for_each_item (name, item, names, &list) {
			validation_string(v, &item, json_text(name) ? json_text(name) : "", check_path_segment);
			if (text_repeats(names, item.index, NULL))
				validation_duplicate(v, &item, name);
		}
		validate_operation_rule(v, rule, &entry);
	}
}

static void validate_match(struct validation *v, const struct json *match, const struct rule_path *path)
{
	static const char *const policies[] = {"Equivalent", "Exact", NULL};
	struct rule_path namespaces = FIELD(path, "namespaceSelector"), objects = FIELD(path, "objectSelector");

	if (!is_present(match))
		return;
	rule_one_of(v, match, "matchPolicy", path, true, policies);
	if (rule_required(v, match, "namespaceSelector", path, ""))
		validate_label_selector(v, json_get(match, "namespaceSelector"), &namespaces);
	if (rule_required(v, match, "objectSelector", path, ""))
		validate_label_selector(v, json_get(match, "objectSelector"), &objects);
	validate_named_rules(v, match, "resourceRules", path);
	validate_named_rules(v, match, "excludeResourceRules", path);
}

static const char *joined_complaints(struct arena *arena, const char *text, string_check check)
{
	const char *joined = NULL, *complaint;

	for (size_t i = 0; (complaint = check(arena, text, i)); i++)
		joined = joined ? arena_printf(arena, "%s,%s", joined, complaint) : complaint;
	return joined;
}

static void validate_group_version(struct validation *v, const char *text, const struct rule_path *path)
{
	const char *slash = strchr(text, '/'), *version = slash ? slash + 1 : text, *problem;
	const char *group = slash ? arena_strndup(v->arena, text, (size_t)(slash - text)) : "";

	if (slash && strchr(slash + 1, '/')) {
		validation_invalid_text(v, path, text,
		                        arena_printf(v->arena, "unexpected GroupVersion string: %s", text));
		return;
	}
	if (group[0] && (problem = joined_complaints(v->arena, group, check_dns_subdomain)))
		validation_invalid_text(v, path, group, problem);
	if (!version[0])
		validation_invalid_text(v, path, text, "version must be specified");
	else if ((problem = joined_complaints(v->arena, version, check_dns_1035_label)))
		validation_invalid_text(v, path, version, problem);
}

static void validate_param_kind(struct validation *v, const struct json *kind, const struct rule_path *path)
{
	char *lower = arena_strdup(v->arena, text_of(kind, "kind"));
	const char *problem;
	struct rule_path version = FIELD(path, "apiVersion"), own = FIELD(path, "kind");

	if (!is_present(kind))
		return;
	if (rule_required_text(v, kind, "apiVersion", path, NULL))
		validate_group_version(v, text_of(kind, "apiVersion"), &version);
	if (!rule_required_text(v, kind, "kind", path, NULL))
		return;
	for (char *c = lower; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	problem = joined_complaints(v->arena, lower, check_dns_1035_label);
	if (problem)
		validation_invalid_text(
		        v, &own, text_of(kind, "kind"),
		        arena_printf(v->arena, "may have mixed case, but should otherwise match: %s", problem));
}

// --- expressions -----------------------------------------------------------------------------------

static void validate_variables(struct validation *v, const struct json *spec, const struct rule_path *parent)
{
	struct rule_path path = FIELD(parent, "variables");

	rule_for_each_item (variable, entry, json_get(spec, "variables"), &path) {
		struct rule_path name = FIELD(&entry, "name"), expression = FIELD(&entry, "expression");

		if (is_blank(text_of(variable, "name")))
			validation_required(v, &name, "name is not specified");
		else if (check_c_identifier(v->arena, text_of(variable, "name"), 0))
			validation_invalid_text(v, &name, text_of(variable, "name"),
			                        "name is not a valid CEL identifier");
		if (is_blank(text_of(variable, "expression")))
			validation_required(v, &expression, "expression is not specified");
		else
			admission_rules_compile(v, EXPRESSION_VARIABLE, text_of(variable, "expression"), &expression);
	}
}

static void validate_one(struct validation *v, const struct json *rule, const struct rule_path *path)
{
	static const char *const reasons[] = {"Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized", NULL};
	const char *text = text_of(rule, "message"), *computed = text_of(rule, "messageExpression");
	struct rule_path expression = FIELD(path, "expression"), message = FIELD(path, "message"),
	                 message_expression = FIELD(path, "messageExpression");

	if (is_blank(text_of(rule, "expression")))
		validation_required(v, &expression, "expression is not specified");
	else
		admission_rules_compile(v, EXPRESSION_VALIDATION, text_of(rule, "expression"), &expression);
	if (computed[0] && is_blank(computed))
		validation_invalid_text(v, &message_expression, computed, "must be non-empty if specified");
	else if (computed[0])
		admission_rules_compile(v, EXPRESSION_MESSAGE, computed, &message_expression);
	if (text[0] && is_blank(text))
		validation_invalid_text(v, &message, text, "message must be non-empty if specified");
	else if (strpbrk(text + strspn(text, " \t\r\n"), "\r\n"))
		validation_invalid_text(v, &message, text, "message must not contain line breaks");
	rule_one_of(v, rule, "reason", path, false, reasons);
}

static void validate_annotation(struct validation *v, const struct json *annotation, const struct rule_path *path)
{
	const char *expression = text_of(annotation, "valueExpression"), *name = v->change->name ? v->change->name : "";
	struct rule_path key = FIELD(path, "key"), value = FIELD(path, "valueExpression");

	if (name[0])
		validation_string(v, &key, arena_printf(v->arena, "%s/%s", name, text_of(annotation, "key")),
		                  check_qualified_name);
	else
		validation_invalid_text(v, &key, text_of(annotation, "key"), "requires metadata.name be non-empty");
	if (is_blank(expression))
		validation_required(v, &value, "valueExpression is not specified");
	else if (strlen(expression) > AUDIT_EXPRESSION_MAX_BYTES)
		validation_required(v, &value, "must not exceed 5120 bytes in length");
	else
		admission_rules_compile(v, EXPRESSION_AUDIT_ANNOTATION, expression, &value);
}

static void validate_rules(struct validation *v, const struct json *spec, const struct rule_path *path)
{
	static const char *const none = "validations or auditAnnotations must contain at least one item";
	const struct json *rules = json_get(spec, "validations"), *annotations = json_get(spec, "auditAnnotations");
	struct rule_path rules_path = FIELD(path, "validations"), annotations_path = FIELD(path, "auditAnnotations");

	if (!length_of(rules) && !length_of(annotations)) {
		validation_required(v, &rules_path, none);
		validation_required(v, &annotations_path, none);
	}
	rule_for_each_item (rule, entry, rules, &rules_path)
		validate_one(v, rule, &entry);
	if (length_of(annotations) > AUDIT_ANNOTATIONS_MAX)
		validation_invalid(v, &annotations_path, annotations, "must not have more than 20 auditAnnotations");
	rule_for_each_item (annotation, entry, annotations, &annotations_path) {
		struct rule_path key = FIELD(&entry, "key");

		validate_annotation(v, annotation, &entry);
		if (text_repeats(annotations, entry.index, "key"))
			validation_duplicate(v, &key, json_string(v->arena, text_of(annotation, "key")));
	}
}

// --- the kinds -------------------------------------------------------------------------------------

static void validate_policy_status(struct validation *v)
{
	const struct json *status = json_get(v->change->object, "status");
	struct rule_path path = FIELD(NULL, "status"), conditions = FIELD(&path, "conditions"),
	                 checking = FIELD(&path, "typeChecking"), warnings = FIELD(&checking, "expressionWarnings");

	rule_for_each_item (warning, entry, json_path(status, "typeChecking", "expressionWarnings"), &warnings) {
		rule_required_text(v, warning, "warning", &entry, NULL);
		rule_required_text(v, warning, "fieldRef", &entry, NULL);
	}
	rule_conditions(v, json_get(status, "conditions"), &conditions);
}

void validate_admission_policy(struct validation *v)
{
	static const char *const failures[] = {"Fail", "Ignore", NULL};
	const struct json *spec = json_get(v->change->object, "spec"), *match = json_get(spec, "matchConstraints");
	struct rule_path path = FIELD(NULL, "spec"), kind = FIELD(&path, "paramKind"),
	                 match_path = FIELD(&path, "matchConstraints"), rules = FIELD(&match_path, "resourceRules");

	if (!strcmp(v->change->subresource, "status")) {
		validate_policy_status(v);
		return;
	}
	rule_one_of(v, spec, "failurePolicy", &path, true, failures);
	validate_param_kind(v, json_get(spec, "paramKind"), &kind);
	if (rule_required(v, spec, "matchConstraints", &path, "")) {
		validate_match(v, match, &match_path);
		if (!length_of(json_get(match, "resourceRules")))
			validation_required(v, &rules, "");
	}
	validate_match_conditions(v, json_get(spec, "matchConditions"), &path);
	validate_variables(v, spec, &path);
	validate_rules(v, spec, &path);
}

static void validate_param_reference(struct validation *v, const struct json *reference, const struct rule_path *path)
{
	static const char *const actions[] = {"Deny", "Allow", NULL};
	static const char *const both = "name and selector are mutually exclusive";
	const struct json *selector = json_get(reference, "selector");
	const char *name = text_of(reference, "name");
	struct rule_path name_path = FIELD(path, "name"), selector_path = FIELD(path, "selector");

	if (!is_present(reference))
		return;
	if (name[0])
		validation_string(v, &name_path, name, check_path_segment);
	if (name[0] && is_present(selector))
		validation_forbidden(v, &name_path, both);
	validate_label_selector(v, selector, &selector_path);
	if (name[0] && is_present(selector))
		validation_forbidden(v, &selector_path, both);
	if (!name[0] && !is_present(selector))
		validation_required(v, path, "one of name or selector must be specified");
	rule_one_of(v, reference, "parameterNotFoundAction", path, true, actions);
}

void validate_admission_policy_binding(struct validation *v)
{
	static const char *const actions[] = {"Audit", "Deny", "Warn", NULL};
	const struct json *spec = json_get(v->change->object, "spec"), *list = json_get(spec, "validationActions");
	struct rule_path path = FIELD(NULL, "spec"), reference = FIELD(&path, "paramRef"),
	                 match = FIELD(&path, "matchResources"), list_path = FIELD(&path, "validationActions");

	rule_required_text(v, spec, "policyName", &path, check_dns_subdomain);
	validate_param_reference(v, json_get(spec, "paramRef"), &reference);
	validate_match(v, json_get(spec, "matchResources"), &match);
	rule_for_each_item (action, entry, list, &list_path) {
		if (!json_text(action) || !is_one_of(json_text(action), actions))
			validation_not_supported(v, &entry, json_text(action) ? json_text(action) : "", actions);
		if (text_repeats(list, entry.index, NULL))
			validation_duplicate(v, &entry, action);
	}
	if (list_has_text(list, "Deny") && list_has_text(list, "Warn"))
		validation_invalid(v, &list_path, list,
		                   "must not contain both Deny and Warn (repeating the same validation failure "
		                   "information in the API response and headers serves no purpose)");
	if (!length_of(list))
		validation_required(v, &list_path, "at least one validation action is required");
}
