// SPDX-License-Identifier: Apache-2.0
// A definition's own rules: names and group, scope, exactly one storage version, the
// versions one by one, conversion, and that no version goes while objects may be stored
// in it. An update through the status subresource is judged by its status alone.

#include "apiserver/custom/validate_definition.h"

#include <stdlib.h>
#include <string.h>

#include "apiserver/custom/definition_status.h"
#include "apiserver/validation/string_checks.h"
#include "apiserver/validation/validate.h"
#include "common/api/structural.h"
#include "common/base/hashmap.h"

enum {
	WARNING_MAX_CHARACTERS = 256,
	SELECTABLE_FIELDS_MAX = 8,
};

static const char *lower(struct arena *arena, const char *text)
{
	char *copy = arena_strdup(arena, text);

	for (char *c = copy; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	return copy;
}

// All complaints of a check as one, behind a prefix.
static void check_joined(struct validation *v, const struct rule_path *path, const char *value, const char *checked,
                         const char *prefix, string_check check)
{
	const char *all = "", *complaint;

	for (size_t i = 0; (complaint = check(v->arena, checked, i)); i++)
		all = arena_printf(v->arena, "%s%s%s", all, i ? "," : "", complaint);
	if (all[0])
		validation_invalid_text(v, path, value, arena_printf(v->arena, "%s%s", prefix, all));
}

// --- names ------------------------------------------------------------------------------------

static void check_name(struct validation *v, const struct json *names, const struct rule_path *path, const char *key,
                       bool mixed_case)
{
	const char *name = text_of(names, key);
	struct rule_path here = FIELD(path, key);

	if (!name[0])
		return;
	check_joined(v, &here, name, mixed_case ? lower(v->arena, name) : name,
	             mixed_case ? "may have mixed case, but should otherwise match: " : "", check_dns_1035_label);
}

static void check_name_list(struct validation *v, const struct json *names, const struct rule_path *path,
                            const char *key)
{
	struct rule_path list = FIELD(path, key);
	uint32_t index = 0;

	json_for_each_item (name, json_get(names, key)) {
		struct rule_path here = FIELD_INDEX(&list, index++);

		if (json_text(name))
			check_joined(v, &here, json_text(name), json_text(name), "", check_dns_1035_label);
	}
}

static void validate_names(struct validation *v, const struct json *names, const struct rule_path *path)
{
	struct rule_path list_kind = FIELD(path, "listKind");

	check_name(v, names, path, "plural", false);
	check_name(v, names, path, "singular", false);
	check_name(v, names, path, "kind", true);
	check_name(v, names, path, "listKind", true);
	check_name_list(v, names, path, "shortNames");
	if (text_of(names, "kind")[0] && !strcmp(text_of(names, "kind"), text_of(names, "listKind")))
		validation_invalid_text(v, &list_kind, text_of(names, "listKind"),
		                        "kind and listKind may not be the same");
	check_name_list(v, names, path, "categories");
}

static void require_names(struct validation *v, const struct json *names, const struct rule_path *path)
{
	static const char *const required[] = {"plural", "singular", "kind", "listKind"};

	for (size_t i = 0; i < ARRAY_SIZE(required); i++) {
		struct rule_path here = FIELD(path, required[i]);

		if (!text_of(names, required[i])[0])
			validation_required(v, &here, "");
	}
}

// --- versions -----------------------------------------------------------------------------------

static void check_simple_path(struct validation *v, const char *text, const struct rule_path *path)
{
	if (text[0] != '.')
		validation_invalid_text(v, path, text, "must be a simple json path starting with .");
}

static void validate_column(struct validation *v, const struct json *column, const struct rule_path *path)
{
	static const char *const types[] = {"boolean", "date", "integer", "number", "string", NULL};
	static const char *const formats[] = {"binary", "byte",  "date",  "date-time", "double",
	                                      "float",  "int32", "int64", "password",  NULL};
	const char *type = text_of(column, "type"), *format = text_of(column, "format");
	struct rule_path name_path = FIELD(path, "name"), type_path = FIELD(path, "type"),
	                 format_path = FIELD(path, "format"), json_path = FIELD(path, "JSONPath");
	bool known = false, known_format = !format[0];

	if (!text_of(column, "name")[0])
		validation_required(v, &name_path, "");
	for (const char *const *t = types; *t; t++)
		known |= !strcmp(type, *t);
	if (!type[0])
		validation_required(v, &type_path, "must be one of boolean,date,integer,number,string");
	else if (!known)
		validation_invalid_text(v, &type_path, type, "must be one of boolean,date,integer,number,string");
	for (const char *const *f = formats; *f; f++)
		known_format |= !strcmp(format, *f);
	if (!known_format)
		validation_invalid_text(v, &format_path, format,
		                        "must be one of binary,byte,date,date-time,double,float,int32,int64,password");
	if (!text_of(column, "jsonPath")[0])
		validation_required(v, &json_path, "");
	else
		check_simple_path(v, text_of(column, "jsonPath"), &json_path);
}

static void validate_scale_path(struct validation *v, const struct json *scale, const char *key,
                                const struct rule_path *subresources, const char *prefix, const char *complaint)
{
	struct rule_path path = FIELD(subresources, arena_printf(v->arena, "scale.%s", key));
	const char *text = text_of(scale, key);

	if (!text[0])
		validation_required(v, &path, "");
	else if (text[0] != '.')
		check_simple_path(v, text, &path);
	else if (strncmp(text, prefix, strlen(prefix)))
		validation_invalid_text(v, &path, text, complaint);
}

static void validate_subresources(struct validation *v, const struct json *subresources, const struct rule_path *path)
{
	const struct json *scale = json_get(subresources, "scale");
	struct rule_path selector_path = FIELD(path, "scale.labelSelectorPath");
	const char *selector = text_of(scale, "labelSelectorPath");

	if (!json_is(scale, JSON_OBJECT))
		return;
	validate_scale_path(v, scale, "specReplicasPath", path, ".spec.", "should be a json path under .spec");
	validate_scale_path(v, scale, "statusReplicasPath", path, ".status.", "should be a json path under .status");
	if (!selector[0])
		return;
	if (selector[0] != '.')
		check_simple_path(v, selector, &selector_path);
	else if (strncmp(selector, ".spec.", 6) && strncmp(selector, ".status.", 8))
		validation_invalid_text(v, &selector_path, selector,
		                        "should be a json path under either .spec or .status");
}

// The schema of a dotted path; NULL: there is none.
static const struct json *schema_at(const struct json *schema, const char *path)
{
	path += *path == '.';
	while (schema && *path) {
		size_t length = strcspn(path, ".");

		schema = json_get_n(json_get(schema, "properties"), path, length);
		path += length + (path[length] == '.');
	}
	return schema;
}

static void validate_selectable(struct validation *v, const struct json *version, const struct rule_path *path)
{
	const struct json *schema = json_path(version, "schema", "openAPIV3Schema");
	const struct json *fields = json_get(version, "selectableFields");
	AUTO(hashmap_free) struct hashmap *seen = hashmap_new(NULL);
	struct rule_path list = FIELD(path, "selectableFields");
	uint32_t index = 0;

	json_for_each_item (field, fields) {
		struct rule_path item = FIELD_INDEX(&list, index++), here = FIELD(&item, "jsonPath");
		const char *text = text_of(field, "jsonPath"), *type;
		const struct json *found = text[0] == '.' ? schema_at(schema, text) : NULL;

		if (!text[0]) {
			validation_required(v, &here, "");
			continue;
		}
		if (!found) {
			validation_invalid_text(v, &here, text, "is an invalid path: does not refer to a valid field");
			continue;
		}
		if (!strncmp(text, ".metadata.", 10))
			validation_invalid_text(v, &here, text, "must not point to fields in metadata");
		type = text_of(found, "type");
		if (strcmp(type, "string") && strcmp(type, "boolean") && strcmp(type, "integer"))
			validation_invalid_text(v, &here, text,
			                        "must point to a field of type string, boolean or integer. Enum "
			                        "string fields and strings with formats are allowed.");
		if (!hashmap_put(seen, text, (void *)field))
			validation_duplicate(v, &here, json_get(field, "jsonPath"));
	}
	if (hashmap_count(seen) > SELECTABLE_FIELDS_MAX)
		validation_too_many(v, &list, hashmap_count(seen), SELECTABLE_FIELDS_MAX);
}

static void validate_warning(struct validation *v, const struct json *version, const struct rule_path *path)
{
	const struct json *warning = json_get(version, "deprecationWarning");
	struct rule_path here = FIELD(path, "deprecationWarning");
	const char *text = json_text(warning);

	if (!is_present(warning) || !text)
		return;
	if (!json_get_bool(version, "deprecated", false)) {
		validation_invalid_text(v, &here, text, "can only be set for deprecated versions");
		return;
	}
	if (strlen(text) > WARNING_MAX_CHARACTERS)
		validation_invalid_text(v, &here, text, "must be <= 256 characters long");
	if (!text[0])
		validation_invalid_text(v, &here, text, "must not be an empty string");
	for (size_t i = 0; text[i]; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f) {
			validation_invalid_text(v, &here, text,
			                        arena_printf(v->arena,
			                                     "must only contain printable UTF-8 characters; "
			                                     "non-printable character found at index %zu",
			                                     i));
			break;
		}
}

static const struct json *old_version(const struct json *old, const char *name)
{
	json_for_each_item (version, json_path(old, "spec", "versions"))
		if (!strcmp(text_of(version, "name"), name))
			return version;
	return NULL;
}

static void collect_rules(struct arena *arena, const struct json *schema, struct json *texts)
{
	json_for_each_item (rule, json_get(schema, "x-kubernetes-validations")) {
		static const char *const keys[] = {"rule", "messageExpression"};

		for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
			if (text_of(rule, keys[i])[0])
				json_set_bool(arena, texts, text_of(rule, keys[i]), true);
	}
	json_for_each_member (member, schema)
		if (json_is(member->value, JSON_OBJECT)) {
			collect_rules(arena, member->value, texts);
		} else {
			json_for_each_item (item, member->value)
				if (json_is(item, JSON_OBJECT))
					collect_rules(arena, item, texts);
		}
}

static const struct json *old_rules(struct validation *v)
{
	struct json *texts = json_object(v->arena);

	json_for_each_item (version, json_path(v->change->old, "spec", "versions"))
		collect_rules(v->arena, json_path(version, "schema", "openAPIV3Schema"), texts);
	return texts;
}

// What was taken before is not judged by what was learned since.
static bool is_as_before(const struct json *version, const struct json *before)
{
	const struct json *schema = json_path(version, "schema", "openAPIV3Schema");
	const struct json *old = json_path(before, "schema", "openAPIV3Schema");

	if (!before || json_is(json_path(version, "subresources", "status"), JSON_OBJECT) !=
	                       json_is(json_path(before, "subresources", "status"), JSON_OBJECT))
		return false;
	return schema && old ? json_equal(schema, old) : schema == old;
}

static void validate_schema_of(struct validation *v, const struct json *version, const struct rule_path *path)
{
	const struct json *schema = json_path(version, "schema", "openAPIV3Schema");
	struct rule_path holder = FIELD(path, "schema"), here = FIELD(&holder, "openAPIV3Schema");
	size_t found = v->count;

	if (is_as_before(version, old_version(v->change->old, text_of(version, "name"))))
		return;
	if (!json_is(schema, JSON_OBJECT)) {
		validation_required(v, &here, "schemas are required");
		return;
	}

	struct schema_checks checks = {
	        .v = v,
	        .old_rules = old_rules(v),
	        .has_status = json_is(json_path(version, "subresources", "status"), JSON_OBJECT),
	};

	validate_structural_schema(&checks, schema, &here);
	validate_openapi_schema(&checks, schema, &here);
	if (v->count == found)
		validate_schema_rules(&checks, schema, &here);
}

static void validate_version(struct validation *v, const struct json *version, const struct rule_path *path)
{
	struct rule_path name = FIELD(path, "name"), columns = FIELD(path, "additionalPrinterColumns"),
	                 subresources = FIELD(path, "subresources");
	uint32_t index = 0;

	check_joined(v, &name, text_of(version, "name"), text_of(version, "name"), "", check_dns_1035_label);
	validate_warning(v, version, path);
	validate_schema_of(v, version, path);
	validate_subresources(v, json_get(version, "subresources"), &subresources);
	json_for_each_item (column, json_get(version, "additionalPrinterColumns")) {
		struct rule_path here = FIELD_INDEX(&columns, index++);

		validate_column(v, column, &here);
	}
	if (length_of(json_get(version, "selectableFields")))
		validate_selectable(v, version, path);
}

static void validate_versions(struct validation *v, const struct json *spec, const struct rule_path *path)
{
	const struct json *versions = json_get(spec, "versions");
	AUTO(hashmap_free) struct hashmap *names = hashmap_new(NULL);
	struct rule_path list = FIELD(path, "versions");
	unsigned storage = 0;
	bool unique = true;
	uint32_t index = 0;

	json_for_each_item (version, versions) {
		struct rule_path here = FIELD_INDEX(&list, index++);

		storage += json_get_bool(version, "storage", false);
		unique &= hashmap_put(names, text_of(version, "name"), (void *)version);
		validate_version(v, version, &here);
	}
	if (!unique)
		validation_invalid(v, &list, versions, "must contain unique version names");
	if (storage != 1)
		validation_invalid(v, &list, versions, "must have exactly one version marked as storage version");
}

// --- conversion -----------------------------------------------------------------------------------

static void validate_review_versions(struct validation *v, const struct json *versions, const struct rule_path *path)
{
	bool accepted = false;
	uint32_t index = 0;

	if (!length_of(versions)) {
		validation_required(v, path, "");
		return;
	}
	json_for_each_item (version, versions) {
		const char *name = json_text(version) ? json_text(version) : "";
		struct rule_path here = FIELD_INDEX(path, index++);

		validation_string(v, &here, name, check_dns_1035_label);
		for (uint32_t i = 0; i + 1 < index; i++)
			if (json_equal(versions->items[i], version)) {
				validation_invalid_text(v, &here, name, "duplicate version");
				break;
			}
		accepted |= !strcmp(name, "v1") || !strcmp(name, "v1beta1");
	}
	if (!accepted)
		validation_invalid(v, path, versions, "must include at least one of v1, v1beta1");
}

static void validate_client(struct validation *v, const struct json *client, const struct rule_path *path)
{
	const struct json *url = json_get(client, "url"), *service = json_get(client, "service");
	struct rule_path url_path = FIELD(path, "url"), service_path = FIELD(path, "service"),
	                 name = FIELD(&service_path, "name"), namespace_path = FIELD(&service_path, "namespace"),
	                 port = FIELD(&service_path, "port"), route = FIELD(&service_path, "path");

	if (is_present(url) == is_present(service)) {
		validation_required(v, path, "exactly one of url or service is required");
		return;
	}
	if (is_present(url)) {
		const char *text = json_text(url) ? json_text(url) : "";

		if (strncmp(text, "https://", 8))
			validation_invalid_text(v, &url_path, text,
			                        "'https' is the only allowed URL scheme; desired format: "
			                        "https://host[/path]");
		else if (!text[8] || text[8] == '/')
			validation_invalid_text(v, &url_path, text,
			                        "host must be specified; desired format: https://host[/path]");
		return;
	}
	if (!text_of(service, "name")[0])
		validation_required(v, &name, "service name is required");
	if (!text_of(service, "namespace")[0])
		validation_required(v, &namespace_path, "service namespace is required");
	if (integer_of(service, "port", 443) < 1 || integer_of(service, "port", 443) > 65535)
		validation_invalid_integer(v, &port, integer_of(service, "port", 443),
		                           "port is not valid: must be between 1 and 65535, inclusive");
	if (text_of(service, "path")[0] && text_of(service, "path")[0] != '/')
		validation_invalid_text(v, &route, text_of(service, "path"), "must start with a '/'");
}

static void validate_conversion(struct validation *v, const struct json *spec, const struct rule_path *path)
{
	static const char *const strategies[] = {"None", "Webhook", NULL};
	const struct json *conversion = json_get(spec, "conversion"), *webhook = json_get(conversion, "webhook");
	struct rule_path here = FIELD(path, "conversion"), strategy = FIELD(&here, "strategy"),
	                 client = FIELD(&here, "webhookClientConfig"),
	                 versions = FIELD(&here, "conversionReviewVersions");

	if (!json_is(conversion, JSON_OBJECT))
		return;
	validation_one_of(v, &strategy, json_get(conversion, "strategy"), true, strategies);
	if (!strcmp(text_of(conversion, "strategy"), "Webhook")) {
		if (!json_is(json_get(webhook, "clientConfig"), JSON_OBJECT))
			validation_required(v, &client, "required when strategy is set to Webhook");
		else
			validate_client(v, json_get(webhook, "clientConfig"), &client);
		validate_review_versions(v, json_get(webhook, "conversionReviewVersions"), &versions);
		return;
	}
	if (is_present(json_get(webhook, "clientConfig")))
		validation_forbidden(v, &client, "should not be set when strategy is not set to Webhook");
	if (length_of(json_get(webhook, "conversionReviewVersions")))
		validation_forbidden(v, &versions, "should not be set when strategy is not set to Webhook");
}

// --- the spec -----------------------------------------------------------------------------------------

static void validate_group(struct validation *v, const struct json *spec, const struct rule_path *path)
{
	const char *group = text_of(spec, "group");
	struct rule_path here = FIELD(path, "group");

	if (!group[0])
		validation_required(v, &here, "");
	else if (!is_dns_subdomain(group))
		check_joined(v, &here, group, group, "", check_dns_subdomain);
	else if (!strchr(group, '.'))
		validation_invalid_text(v, &here, group, "should be a domain with at least one dot");
}

static void validate_immutable(struct validation *v, const struct json *spec, const struct rule_path *path)
{
	const struct json *old = json_get(v->change->old, "spec");
	struct rule_path scope = FIELD(path, "scope"), names = FIELD(path, "names"), kind = FIELD(&names, "kind"),
	                 group = FIELD(path, "group"), plural = FIELD(&names, "plural");

	if (definition_has_condition(v->change->old, "Established")) {
		validation_immutable(v, &scope, json_get(spec, "scope"), json_get(old, "scope"));
		validation_immutable(v, &kind, json_path(spec, "names", "kind"), json_path(old, "names", "kind"));
	}
	validation_immutable(v, &group, json_get(spec, "group"), json_get(old, "group"));
	validation_immutable(v, &plural, json_path(spec, "names", "plural"), json_path(old, "names", "plural"));
}

static void validate_spec(struct validation *v, const struct json *spec)
{
	static const char *const scopes[] = {"Cluster", "Namespaced", NULL};
	const struct json *names = json_get(spec, "names");
	struct rule_path path = FIELD(NULL, "spec"), scope = FIELD(&path, "scope"), names_path = FIELD(&path, "names"),
	                 preserve = FIELD(&path, "preserveUnknownFields");

	validate_group(v, spec, &path);
	validation_one_of(v, &scope, json_get(spec, "scope"), true, scopes);
	validate_versions(v, spec, &path);
	require_names(v, names, &names_path);
	validate_names(v, names, &names_path);
	validate_conversion(v, spec, &path);
	if (json_get_bool(spec, "preserveUnknownFields", false) &&
	    !json_get_bool(json_get(v->change->old, "spec"), "preserveUnknownFields", false))
		validation_invalid(v, &preserve, json_get(spec, "preserveUnknownFields"),
		                   "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in "
		                   "spec.versions[*].schema instead");
	if (!change_is_create(v->change))
		validate_immutable(v, spec, &path);
}

// --- the status ----------------------------------------------------------------------------------------

static bool has_version(const struct json *list, const char *name)
{
	json_for_each_item (item, list)
		if (json_text(item) && !strcmp(json_text(item), name))
			return true;
	return false;
}

static void validate_stored_versions(struct validation *v)
{
	const struct json *stored = json_path(v->change->object, "status", "storedVersions");
	const struct json *versions = json_path(v->change->object, "spec", "versions");
	struct rule_path status = FIELD(NULL, "status"), path = FIELD(&status, "storedVersions");
	uint32_t index = 0;

	if (!length_of(stored)) {
		validation_invalid_rendered(v, &path, "[]string(nil)", "must have at least one stored version");
		return;
	}
	json_for_each_item (version, versions)
		if (json_get_bool(version, "storage", false) && !has_version(stored, text_of(version, "name")))
			validation_invalid(
			        v, &path, stored,
			        arena_printf(v->arena, "must have the storage version %s", text_of(version, "name")));
	json_for_each_item (name, stored) {
		struct rule_path here = FIELD_INDEX(&path, index++);
		bool found = false;

		json_for_each_item (version, versions)
			found |= json_text(name) && !strcmp(text_of(version, "name"), json_text(name));
		if (!found && json_text(name))
			validation_invalid_text(
			        v, &here, json_text(name),
			        arena_printf(v->arena,
			                     "missing from spec.versions; %s was previously a storage version, and "
			                     "must remain in spec.versions until a storage migration ensures no data "
			                     "remains persisted in %s and removes %s from status.storedVersions",
			                     json_text(name), json_text(name), json_text(name)));
	}
}

static void validate_accepted_names(struct validation *v)
{
	struct rule_path status = FIELD(NULL, "status"), path = FIELD(&status, "acceptedNames");

	validate_names(v, json_path(v->change->object, "status", "acceptedNames"), &path);
}

// --- approval --------------------------------------------------------------------------------------------

static void validate_approval(struct validation *v)
{
	const struct change *change = v->change;
	struct rule_path metadata = FIELD(NULL, "metadata"), annotations = FIELD(&metadata, "annotations"),
	                 path = FIELD_KEY(&annotations, DEFINITION_APPROVAL_ANNOTATION);
	enum definition_approval approval;
	const char *reason, *ignored;

	if (!definition_needs_approval(change->object))
		return;
	approval = definition_approval_of(v->arena, change->object, &reason);
	if (change->old && approval == definition_approval_of(v->arena, change->old, &ignored))
		return;
	if (approval == DEFINITION_APPROVAL_MISSING)
		validation_required(v, &path, reason);
	else if (approval == DEFINITION_APPROVAL_INVALID)
		validation_invalid_text(
		        v, &path,
		        text_of(json_path(change->object, "metadata", "annotations"), DEFINITION_APPROVAL_ANNOTATION),
		        reason);
}

// --- all of it ---------------------------------------------------------------------------------------------

void validate_definition(struct validation *v)
{
	const struct json *spec = json_get(v->change->object, "spec");
	const char *plural = text_of(json_get(spec, "names"), "plural"), *group = text_of(spec, "group");
	struct rule_path metadata = FIELD(NULL, "metadata"), name = FIELD(&metadata, "name");

	if (change_is_create(v->change) && strcmp(v->change->name, arena_printf(v->arena, "%s.%s", plural, group)))
		validation_invalid_text(v, &name, v->change->name, "must be spec.names.plural+\".\"+spec.group");
	if (strcmp(v->change->subresource, "status"))
		validate_spec(v, spec);
	validate_accepted_names(v);
	if (strcmp(v->change->subresource, "status")) {
		validate_stored_versions(v);
		validate_approval(v);
	}
}
