// SPDX-License-Identifier: Apache-2.0
// What makes a schema structural: every value has a type, said once, outside of allOf,
// anyOf, oneOf and not; those only narrow what is said outside. Then the tables can
// prune, default and merge by the schema alone. Defaults must be valid themselves, and
// already pruned.

#include <string.h>

#include "apiserver/custom/definition.h"
#include "apiserver/custom/validate_custom.h"
#include "apiserver/custom/validate_definition.h"

enum level {
	LEVEL_ROOT,
	LEVEL_ITEM,
	LEVEL_FIELD,
};

static void check_nested(struct validation *v, const struct json *schema, const struct rule_path *path,
                         bool skip_any_of);

static bool flag(const struct json *schema, const char *key)
{
	return json_get_bool(schema, key, false);
}

// --- the shape of int-or-string ----------------------------------------------------------------------

// anyOf: [{type: integer}, {type: string}], as generators write it.
static bool is_int_or_string(const struct json *any_of)
{
	return length_of(any_of) == 2 && json_is(any_of, JSON_ARRAY) && length_of(any_of->items[0]) == 1 &&
	       length_of(any_of->items[1]) == 1 && !strcmp(text_of(any_of->items[0], "type"), "integer") &&
	       !strcmp(text_of(any_of->items[1], "type"), "string");
}

// --- below alternatives ---------------------------------------------------------------------------------

static void check_alternatives(struct validation *v, const struct json *schema, const struct rule_path *path,
                               bool skip_any_of, bool skip_first)
{
	static const char *const lists[] = {"anyOf", "allOf", "oneOf"};
	struct rule_path none = FIELD(path, "not"), pattern = FIELD(path, "pattern");
	const char *text = text_of(schema, "pattern");
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		struct rule_path list = FIELD(path, lists[i]);
		uint32_t index = 0;

		if (i == 0 && skip_any_of)
			continue;
		json_for_each_item (item, json_get(schema, lists[i])) {
			struct rule_path here = FIELD_INDEX(&list, index);

			check_nested(v, item, &here, i == 1 && index == 0 && skip_first);
			index++;
		}
	}
	check_nested(v, json_get(schema, "not"), &none, false);
	if (text[0] && !definition_patterns.compile(v->arena, text, &err))
		validation_invalid_text(
		        v, &pattern, text,
		        arena_printf(v->arena, "must be a valid regular expression, but isn't: %s", err.message));
}

static void forbid_structure(struct validation *v, const struct json *schema, const struct rule_path *path)
{
	static const struct {
		const char *key, *must_be;
	} rows[] = {
	        {"type", "empty"},
	        {"additionalProperties", "undefined"},
	        {"default", "undefined"},
	        {"title", "empty"},
	        {"description", "empty"},
	        {"nullable", "false"},
	        {"x-kubernetes-preserve-unknown-fields", "false"},
	        {"x-kubernetes-embedded-resource", "false"},
	        {"x-kubernetes-int-or-string", "false"},
	        {"x-kubernetes-list-map-keys", "empty"},
	        {"x-kubernetes-list-type", "undefined"},
	        {"x-kubernetes-map-type", "undefined"},
	        {"x-kubernetes-validations", "empty"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct json *value = json_get(schema, rows[i].key);
		struct rule_path here = FIELD(path, rows[i].key);
		bool empty = !is_present(value) || (json_is(value, JSON_BOOL) && !value->boolean) ||
		             (json_text(value) && !json_text(value)[0]) ||
		             (json_is(value, JSON_ARRAY) && !value->length);

		if (!empty)
			validation_forbidden(v, &here,
			                     arena_printf(v->arena, "must be %s to be structural", rows[i].must_be));
	}
}

static void check_nested(struct validation *v, const struct json *schema, const struct rule_path *path,
                         bool skip_any_of)
{
	const struct json *properties = json_get(schema, "properties");
	struct rule_path items = FIELD(path, "items"), list = FIELD(path, "properties"),
	                 metadata = FIELD_KEY(&list, "metadata");

	if (!json_is(schema, JSON_OBJECT))
		return;
	check_alternatives(v, schema, path, skip_any_of, false);
	check_nested(v, json_get(schema, "items"), &items, false);
	json_for_each_member (property, properties) {
		struct rule_path here = FIELD_KEY(&list, property->key);

		check_nested(v, property->value, &here, false);
	}
	forbid_structure(v, schema, path);
	if (json_get(properties, "metadata"))
		validation_forbidden(v, &metadata, "must not be specified in a nested context");
}

// --- the structure itself ---------------------------------------------------------------------------------

static void check_type(struct validation *v, const struct json *schema, const struct rule_path *path, enum level level)
{
	static const char *const details[] = {[LEVEL_ROOT] = "must not be empty at the root",
	                                      [LEVEL_ITEM] = "must not be empty for specified array items",
	                                      [LEVEL_FIELD] = "must not be empty for specified object fields"};
	const char *type = text_of(schema, "type");
	struct rule_path here = FIELD(path, "type");
	static const char embedded[] = "must be object if x-kubernetes-embedded-resource is true";

	if (flag(schema, "x-kubernetes-embedded-resource") && strcmp(type, "object")) {
		if (type[0])
			validation_invalid_text(v, &here, type, embedded);
		else
			validation_required(v, &here, embedded);
	} else if (!type[0] && !flag(schema, "x-kubernetes-int-or-string") &&
	           !flag(schema, "x-kubernetes-preserve-unknown-fields")) {
		validation_required(v, &here, details[level]);
	}
	if (level == LEVEL_ROOT && type[0] && strcmp(type, "object"))
		validation_invalid_text(v, &here, type, "must be object at the root");
}

// Of the root's metadata only the names may be narrowed.
static bool says_only_names(const struct json *metadata)
{
	json_for_each_member (member, metadata) {
		if (!strcmp(member->key, "type") || !strcmp(member->key, "default"))
			continue;
		if (strcmp(member->key, "properties"))
			return false;
		json_for_each_member (property, member->value)
			if (strcmp(property->key, "name") && strcmp(property->key, "generateName"))
				return false;
	}
	return true;
}

static void check_object_members(struct validation *v, const struct json *schema, const struct rule_path *path,
                                 enum level level)
{
	static const char *const texts[] = {"kind", "apiVersion"};
	const struct json *properties = json_get(schema, "properties"), *metadata = json_get(properties, "metadata");
	bool is_object = level == LEVEL_ROOT || flag(schema, "x-kubernetes-embedded-resource");
	struct rule_path list = FIELD(path, "properties"), metadata_path = FIELD_KEY(&list, "metadata"),
	                 metadata_type = FIELD(&metadata_path, "type");

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		const struct json *property = json_get(properties, texts[i]);
		struct rule_path here = FIELD_KEY(&list, texts[i]), type = FIELD(&here, "type");

		if (property && is_object && strcmp(text_of(property, "type"), "string"))
			validation_invalid_text(v, &type, text_of(property, "type"), "must be string");
	}
	if (!metadata)
		return;
	if (is_object && strcmp(text_of(metadata, "type"), "object"))
		validation_invalid_text(v, &metadata_type, text_of(metadata, "type"), "must be object");
	if (level == LEVEL_ROOT && !says_only_names(metadata))
		validation_forbidden(v, &metadata_path,
		                     "must not specify anything other than name and generateName, but metadata is "
		                     "implicitly specified");
}

static void check_extensions(struct validation *v, const struct json *schema, const struct rule_path *path)
{
	struct rule_path preserve = FIELD(path, "x-kubernetes-preserve-unknown-fields"),
	                 embedded = FIELD(path, "x-kubernetes-embedded-resource"),
	                 additional = FIELD(path, "additionalProperties"), properties = FIELD(path, "properties");
	static const char detail[] = "must be false if x-kubernetes-int-or-string is true";
	bool is_embedded = flag(schema, "x-kubernetes-embedded-resource");
	bool preserves = flag(schema, "x-kubernetes-preserve-unknown-fields");

	if (flag(schema, "x-kubernetes-int-or-string") && preserves)
		validation_invalid(v, &preserve, json_get(schema, "x-kubernetes-preserve-unknown-fields"), detail);
	if (flag(schema, "x-kubernetes-int-or-string") && is_embedded)
		validation_invalid(v, &embedded, json_get(schema, "x-kubernetes-embedded-resource"), detail);
	if (is_embedded && is_present(json_get(schema, "additionalProperties")))
		validation_forbidden(v, &additional, "must not be used if x-kubernetes-embedded-resource is set");
	if (is_embedded && !preserves && !length_of(json_get(schema, "properties")))
		validation_required(v, &properties,
		                    "must not be empty if x-kubernetes-embedded-resource is true without "
		                    "x-kubernetes-preserve-unknown-fields");
}

static void check(struct validation *v, const struct json *schema, const struct rule_path *path, enum level level)
{
	const struct json *additional = json_get(schema, "additionalProperties"), *items = json_get(schema, "items");
	const struct json *all_of = json_get(schema, "allOf");
	struct rule_path items_path = FIELD(path, "items"), list = FIELD(path, "properties"),
	                 additional_path = FIELD(path, "additionalProperties");
	bool skip_first = length_of(all_of) && json_is(all_of, JSON_ARRAY) &&
	                  is_int_or_string(json_get(all_of->items[0], "anyOf"));

	if (!strcmp(text_of(schema, "type"), "array") && !json_is(items, JSON_OBJECT))
		validation_required(v, &items_path, "must be specified");
	if (json_is(items, JSON_OBJECT))
		check(v, items, &items_path, LEVEL_ITEM);
	json_for_each_member (property, json_get(schema, "properties")) {
		struct rule_path here = FIELD_KEY(&list, property->key);

		check(v, property->value, &here, LEVEL_FIELD);
	}
	if (is_present(additional) && level == LEVEL_ROOT)
		validation_forbidden(v, &additional_path, "must not be used at the root");
	if (json_is(additional, JSON_OBJECT))
		check(v, additional, &additional_path, LEVEL_FIELD);
	check_extensions(v, schema, path);
	check_alternatives(v, schema, path, is_int_or_string(json_get(schema, "anyOf")), skip_first);
	check_type(v, schema, path, level);
	check_object_members(v, schema, path, level);
}

// --- completeness ---------------------------------------------------------------------------------------------

// Whatever an alternative speaks of is there outside of it.
static void check_complete(struct validation *v, const struct json *nested, const struct json *schema,
                           const struct rule_path *schema_path, const struct rule_path *nested_path);

static void check_complete_alternatives(struct validation *v, const struct json *nested, const struct json *schema,
                                        const struct rule_path *schema_path, const struct rule_path *nested_path)
{
	static const char *const lists[] = {"allOf", "anyOf", "oneOf"};
	struct rule_path none = FIELD(nested_path, "not");

	check_complete(v, json_get(nested, "not"), schema, schema_path, &none);
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		struct rule_path list = FIELD(nested_path, lists[i]);
		uint32_t index = 0;

		json_for_each_item (item, json_get(nested, lists[i])) {
			struct rule_path here = FIELD_INDEX(&list, index++);

			check_complete(v, item, schema, schema_path, &here);
		}
	}
}

static void check_complete(struct validation *v, const struct json *nested, const struct json *schema,
                           const struct rule_path *schema_path, const struct rule_path *nested_path)
{
	struct rule_path schema_items = FIELD(schema_path, "items"), nested_items = FIELD(nested_path, "items"),
	                 schema_list = FIELD(schema_path, "properties"), nested_list = FIELD(nested_path, "properties");

	if (!json_is(nested, JSON_OBJECT))
		return;
	if (!schema) {
		validation_required(
		        v, schema_path,
		        arena_printf(v->arena, "because it is defined in %s", rule_path_text(v->arena, nested_path)));
		return;
	}
	check_complete_alternatives(v, nested, schema, schema_path, nested_path);
	check_complete(v, json_get(nested, "items"), json_get(schema, "items"), &schema_items, &nested_items);
	json_for_each_member (property, json_get(nested, "properties")) {
		struct rule_path schema_here = FIELD_KEY(&schema_list, property->key),
		                 nested_here = FIELD_KEY(&nested_list, property->key);

		check_complete(v, property->value, json_get(json_get(schema, "properties"), property->key),
		               &schema_here, &nested_here);
	}
}

// --- defaults ---------------------------------------------------------------------------------------------------

static void check_default(struct validation *v, const struct structural *node, const struct rule_path *path)
{
	struct rule_path here = FIELD(path, "default");
	struct json *pruned = json_clone(v->arena, node->default_value);
	struct structural_errors errors = {0};
	size_t before = v->count;

	structural_prune(node, pruned);
	if (!json_equal(pruned, node->default_value))
		validation_invalid(v, &here, node->default_value, "must not have unknown fields");
	structural_validate_at(v->arena, node, rule_path_text(v->arena, &here), node->default_value, &errors);
	validation_add_structural(v, &errors);
	if (v->count == before)
		validate_embedded_objects(v, node, node->default_value, &here);
}

static void check_defaults(struct validation *v, const struct structural *node, const struct rule_path *path)
{
	struct rule_path items = FIELD(path, "items"), list = FIELD(path, "properties");

	if (!node || !node->has_defaults)
		return;
	if (node->default_value)
		check_default(v, node, path);
	check_defaults(v, node->items, &items);
	for (uint32_t i = 0; i < node->property_count; i++) {
		struct rule_path here = FIELD_KEY(&list, node->properties[i].name);

		check_defaults(v, node->properties[i].node, &here);
	}
}

void validate_structural_schema(const struct schema_checks *checks, const struct json *schema,
                                const struct rule_path *path)
{
	struct validation *v = checks->v;
	size_t before = v->count;

	check(v, schema, path, LEVEL_ROOT);
	check_complete_alternatives(v, schema, schema, path, path);
	if (v->count == before)
		check_defaults(v, structural_build(v->arena, schema, &definition_patterns), path);
}
