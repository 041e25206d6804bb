// SPDX-License-Identifier: Apache-2.0
// A custom resource's rules, in upstream's order: types and values by the schema,
// embedded objects, sets and keyed lists, and, unless what was found before would make
// them senseless, the rules in CEL. An update through a subresource is judged as a whole:
// what it didn't touch is forgiven anyway.

#include "apiserver/custom/validate_custom.h"

#include <string.h>

#include "apiserver/custom/definition.h"
#include "apiserver/custom/definition_rules.h"
#include "apiserver/validation/string_checks.h"
#include "apiserver/validation/validate.h"

void validation_add_structural(struct validation *v, const struct structural_errors *errors)
{
	for (uint32_t i = 0; i < errors->count; i++)
		validation_add(v, errors->items[i].reason, errors->items[i].field, errors->items[i].message);
}

// --- embedded objects ---------------------------------------------------------------------------

static void validate_identity(struct validation *v, const struct json *value, const struct rule_path *path)
{
	struct rule_path version = FIELD(path, "apiVersion"), kind_path = FIELD(path, "kind");
	const char *kind = text_of(value, "kind"), *api_version = text_of(value, "apiVersion"), *slash;

	if (!json_get(value, "apiVersion"))
		validation_required(v, &version, "must not be empty");
	else if (!api_version[0])
		validation_invalid_text(v, &version, "", "must not be empty");
	slash = strchr(api_version, '/');
	if (slash && strchr(slash + 1, '/'))
		validation_invalid_text(v, &version, api_version,
		                        arena_printf(v->arena, "unexpected GroupVersion string: %s", api_version));
	if (!json_get(value, "kind")) {
		validation_required(v, &kind_path, "must not be empty");
		return;
	}
	if (!kind[0]) {
		validation_invalid_text(v, &kind_path, "", "must not be empty");
		return;
	}
	char *lower = arena_strdup(v->arena, kind);

	for (char *c = lower; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	const char *complaint = check_dns_1035_label(v->arena, lower, 0);

	if (complaint)
		validation_invalid_text(
		        v, &kind_path, kind,
		        arena_printf(v->arena, "may have mixed case, but should otherwise match: %s", complaint));
}

static void validate_embedded_metadata(struct validation *v, const struct json *metadata, const struct rule_path *path)
{
	struct rule_path labels = FIELD(path, "labels"), annotations = FIELD(path, "annotations"),
	                 name = FIELD(path, "name"), namespace_path = FIELD(path, "namespace");

	if (text_of(metadata, "name")[0])
		validation_string(v, &name, text_of(metadata, "name"), check_path_segment);
	if (text_of(metadata, "namespace")[0])
		validation_string(v, &namespace_path, text_of(metadata, "namespace"), check_dns_label);
	validate_labels(v, json_get(metadata, "labels"), &labels);
	validate_annotations(v, json_get(metadata, "annotations"), &annotations);
}

void validate_embedded_objects(struct validation *v, const struct structural *node, const struct json *value,
                               const struct rule_path *path)
{
	if (!node)
		return;
	if (node->embedded && !node->root && json_is(value, JSON_OBJECT)) {
		struct rule_path metadata = FIELD(path, "metadata");

		validate_identity(v, value, path);
		if (json_is(json_get(value, "metadata"), JSON_OBJECT))
			validate_embedded_metadata(v, json_get(value, "metadata"), &metadata);
	}
	json_for_each_member (member, value) {
		const struct structural *property = structural_property(node, member->key, member->key_length);
		struct rule_path here = property ? FIELD(path, member->key) : FIELD_KEY(path, member->key);

		validate_embedded_objects(v, property ? property : node->element, member->value, &here);
	}
	for (uint32_t i = 0; json_is(value, JSON_ARRAY) && i < value->length; i++) {
		struct rule_path here = FIELD_INDEX(path, i);

		validate_embedded_objects(v, node->items, value->items[i], &here);
	}
}

// --- all of it ------------------------------------------------------------------------------------

// Rules may take for granted that types are right and what is required is there.
static bool blocks_rules(const struct structural_errors *errors)
{
	static const char *const blocking[] = {"FieldValueNotSupported", "FieldValueRequired", "FieldValueTooLong",
	                                       "FieldValueTooMany", "FieldValueTypeInvalid"};

	for (uint32_t i = 0; i < errors->count; i++)
		for (size_t j = 0; j < ARRAY_SIZE(blocking); j++)
			if (!strcmp(errors->items[i].reason, blocking[j]))
				return true;
	return false;
}

void validate_custom(struct validation *v)
{
	const struct change *change = v->change;
	const struct definition_version *version = definition_version_of(change->resource);
	struct structural_errors errors = {0}, listed = {0};

	structural_validate(v->arena, version->schema, change->object, change->old, &errors);
	validation_add_structural(v, &errors);
	validate_embedded_objects(v, version->schema, change->object, NULL);
	structural_validate_lists(v->arena, version->schema, change->object, &listed);
	validation_add_structural(v, &listed);
	if (!version->rules)
		return;
	if (blocks_rules(&errors)) {
		validation_add(v, "FieldValueInvalid", "<nil>",
		               "Invalid value: null: some validation rules were not checked because the object was "
		               "invalid; correct the existing errors to complete validation");
		return;
	}
	errors = (struct structural_errors){0};
	definition_rules_check(v->arena, version->schema, change->object, change->old, &errors);
	validation_add_structural(v, &errors);
}
