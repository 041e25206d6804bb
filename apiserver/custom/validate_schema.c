// SPDX-License-Identifier: Apache-2.0
// The keywords of a definition's schema, node by node: what OpenAPI has and structural
// schemas don't is refused, the types of lists and maps must fit, and the texts of rules
// must be there. A node inside metadata (the object's own or an embedded one's) may say
// less than others.

#include <string.h>

#include "apiserver/custom/validate_definition.h"

struct node_context {
	const struct schema_checks *checks;
	bool inside_metadata;
	const char *no_defaults; // why not, NULL = they may be
};

static void check(const struct node_context *context, const struct json *schema, const struct rule_path *path,
                  bool is_root);

bool has_content(const char *text)
{
	return text[strspn(text, " \t\n\r\v\f")] != '\0';
}

bool has_line_break(const char *text)
{
	return strpbrk(text, "\n\r") != NULL;
}

static bool is_metadata_name(const char *name)
{
	return !strcmp(name, "metadata") || !strcmp(name, "kind") || !strcmp(name, "apiVersion");
}

// --- what is not supported ------------------------------------------------------------------------

static void check_type(const struct node_context *context, const struct json *schema, const struct rule_path *path)
{
	static const char *const types[] = {"array", "boolean", "integer", "number", "object", "string", NULL};
	struct validation *v = context->checks->v;
	const char *type = text_of(schema, "type");
	struct rule_path here = FIELD(path, "type");
	bool known = !type[0];

	for (const char *const *t = types; *t; t++)
		known |= !strcmp(type, *t);
	if (!known)
		validation_not_supported(v, &here, type, types);
	if (!strcmp(type, "null"))
		validation_forbidden(v, &here, "type cannot be set to null, use nullable as an alternative");
}

static void check_forbidden(const struct node_context *context, const struct json *schema, const struct rule_path *path)
{
	static const char *const forbidden[] = {"id",          "additionalItems", "patternProperties",
	                                        "definitions", "dependencies",    "$ref"};
	struct validation *v = context->checks->v;
	struct rule_path fallback = FIELD(path, "default"), unique = FIELD(path, "uniqueItems"),
	                 items = FIELD(path, "items"), embedded = FIELD(path, "x-kubernetes-embedded-resource");

	if (is_present(json_get(schema, "default")) && context->no_defaults)
		validation_forbidden(v, &fallback, arena_printf(v->arena, "must not be set %s", context->no_defaults));
	for (size_t i = 0; i < ARRAY_SIZE(forbidden); i++) {
		const struct json *value = json_get(schema, forbidden[i]);
		struct rule_path here = FIELD(path, forbidden[i]);
		bool empty = json_is(value, JSON_OBJECT) && !value->length;

		if (is_present(value) && !empty && !(json_text(value) && !json_text(value)[0]))
			validation_forbidden(v, &here, arena_printf(v->arena, "%s is not supported", forbidden[i]));
	}
	if (json_is(json_get(schema, "items"), JSON_ARRAY))
		validation_forbidden(v, &items, "items must be a schema object and not an array");
	if (context->inside_metadata && json_get_bool(schema, "x-kubernetes-embedded-resource", false))
		validation_forbidden(v, &embedded, "must not be used inside of resource meta");
	if (json_get_bool(schema, "uniqueItems", false))
		validation_forbidden(v, &unique,
		                     "uniqueItems cannot be set to true since the runtime complexity becomes "
		                     "quadratic");
}

// --- below ----------------------------------------------------------------------------------------

static void check_additional(const struct node_context *context, const struct json *schema,
                             const struct rule_path *path)
{
	const struct json *additional = json_get(schema, "additionalProperties");
	struct node_context below = *context;
	struct rule_path here = FIELD(path, "additionalProperties");

	if (!is_present(additional))
		return;
	if (length_of(json_get(schema, "properties")) && !(json_is(additional, JSON_BOOL) && additional->boolean))
		validation_forbidden(context->checks->v, &here,
		                     "additionalProperties and properties are mutual exclusive");
	if (context->inside_metadata)
		below.no_defaults = "inside additionalProperties applying to object metadata";
	if (json_is(additional, JSON_OBJECT))
		check(&below, additional, &here, false);
}

static void check_properties(const struct node_context *context, const struct json *schema,
                             const struct rule_path *path, bool is_root)
{
	struct validation *v = context->checks->v;
	struct rule_path properties = FIELD(path, "properties");
	bool holds_metadata = is_root || json_get_bool(schema, "x-kubernetes-embedded-resource", false);

	json_for_each_member (property, json_get(schema, "properties")) {
		struct node_context below = *context;
		struct rule_path here = FIELD_KEY(&properties, property->key);

		if (holds_metadata && is_metadata_name(property->key)) {
			below.inside_metadata = true;
			if (is_root)
				below.no_defaults = arena_printf(v->arena, "in top-level %s", property->key);
		}
		check(&below, property->value, &here, false);
	}
}

static void check_alternatives(const struct node_context *context, const struct json *schema,
                               const struct rule_path *path)
{
	static const char *const lists[] = {"allOf", "oneOf", "anyOf"};
	struct rule_path none = FIELD(path, "not");

	if (json_is(json_get(schema, "not"), JSON_OBJECT))
		check(context, json_get(schema, "not"), &none, false);
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		struct rule_path list = FIELD(path, lists[i]);
		uint32_t index = 0;

		json_for_each_item (item, json_get(schema, lists[i])) {
			struct rule_path here = FIELD_INDEX(&list, index++);

			check(context, item, &here, false);
		}
	}
}

// --- lists and maps ---------------------------------------------------------------------------------

static void require_type(struct validation *v, const struct json *schema, const struct rule_path *path,
                         const char *extension, const char *type)
{
	struct rule_path here = FIELD(path, "type");
	const char *detail = arena_printf(v->arena, "must be %s if %s is specified", type, extension);

	if (!text_of(schema, "type")[0])
		validation_required(v, &here, detail);
	else
		validation_invalid_text(v, &here, text_of(schema, "type"), detail);
}

static void check_map_type(struct validation *v, const struct json *schema, const struct rule_path *path)
{
	static const char *const types[] = {"atomic", "granular", NULL};
	const struct json *type = json_get(schema, "x-kubernetes-map-type");
	struct rule_path here = FIELD(path, "x-kubernetes-map-type");

	if (!is_present(type))
		return;
	if (strcmp(text_of(schema, "type"), "object"))
		require_type(v, schema, path, "x-kubernetes-map-type", "object");
	validation_one_of(v, &here, type, true, types);
}

static void check_set(struct validation *v, const struct json *items, const struct rule_path *path)
{
	struct rule_path item = FIELD(path, "items"), list = FIELD(&item, "x-kubernetes-list-type"),
	                 map = FIELD(&item, "x-kubernetes-map-type");
	const char *type = text_of(items, "type"), *list_type = text_of(items, "x-kubernetes-list-type");
	static const char detail[] = "must be atomic as item of a list with x-kubernetes-list-type=set";

	if (!strcmp(type, "array") && list_type[0] && strcmp(list_type, "atomic"))
		validation_invalid_text(v, &list, list_type, detail);
	if (!strcmp(type, "object") && strcmp(text_of(items, "x-kubernetes-map-type"), "atomic"))
		validation_invalid(v, &map, json_get(items, "x-kubernetes-map-type"), detail);
}

static bool is_listed(const struct json *list, const char *name)
{
	json_for_each_item (item, list)
		if (json_text(item) && !strcmp(json_text(item), name))
			return true;
	return false;
}

// A key of a keyed list: a scalar that is always there.
static void check_key(struct validation *v, const struct json *items, const char *key, const struct rule_path *path)
{
	const struct json *property = json_get(json_get(items, "properties"), key);
	struct rule_path item = FIELD(path, "items"), properties = FIELD(&item, "properties"),
	                 here = FIELD_KEY(&properties, key), type = FIELD(&here, "type"),
	                 fallback = FIELD(&here, "default"), nullable = FIELD(&here, "nullable");
	const char *text = text_of(property, "type");

	if (!property)
		return;
	if (!strcmp(text, "array") || !strcmp(text, "object"))
		validation_invalid_text(v, &type, text_of(items, "type"),
		                        "must be a scalar type if parent array's x-kubernetes-list-type is map");
	if (!is_listed(json_get(items, "required"), key) && !is_present(json_get(property, "default")))
		validation_required(v, &fallback,
		                    "this property is in x-kubernetes-list-map-keys, so it must have a default or be "
		                    "a required property");
	if (json_get_bool(property, "nullable", false))
		validation_forbidden(v, &nullable,
		                     "this property is in x-kubernetes-list-map-keys, so it cannot be nullable");
}

static void check_keyed_list(struct validation *v, const struct json *schema, const struct rule_path *path)
{
	const struct json *keys = json_get(schema, "x-kubernetes-list-map-keys"), *items = json_get(schema, "items");
	struct rule_path keys_path = FIELD(path, "x-kubernetes-list-map-keys"), items_path = FIELD(path, "items"),
	                 type = FIELD(&items_path, "type");

	if (!length_of(keys))
		validation_required(v, &keys_path, "must not be empty if x-kubernetes-list-type is map");
	if (!json_is(items, JSON_OBJECT)) {
		validation_required(v, &items_path, "must have a schema if x-kubernetes-list-type is map");
		return;
	}
	if (strcmp(text_of(items, "type"), "object")) {
		validation_invalid_text(v, &type, text_of(items, "type"),
		                        "must be object if parent array's x-kubernetes-list-type is map");
		return;
	}
	for (uint32_t i = 0; i < length_of(keys); i++) {
		const char *key = json_text(keys->items[i]) ? json_text(keys->items[i]) : "";

		if (!json_get(json_get(items, "properties"), key))
			validation_invalid(v, &keys_path, keys, "entries must all be names of item properties");
		check_key(v, items, key, path);
		for (uint32_t j = 0; j < i; j++)
			if (json_equal(keys->items[i], keys->items[j])) {
				validation_invalid(v, &keys_path, keys, "must not contain duplicate entries");
				break;
			}
	}
}

static void check_list_type(struct validation *v, const struct json *schema, const struct rule_path *path)
{
	static const char *const types[] = {"atomic", "set", "map", NULL};
	const struct json *type = json_get(schema, "x-kubernetes-list-type"), *items = json_get(schema, "items");
	const char *text = text_of(schema, "x-kubernetes-list-type");
	struct rule_path here = FIELD(path, "x-kubernetes-list-type"), items_path = FIELD(path, "items"),
	                 nullable = FIELD(&items_path, "nullable");
	bool unique = !strcmp(text, "set") || !strcmp(text, "map");

	if (is_present(type) && strcmp(text_of(schema, "type"), "array"))
		require_type(v, schema, path, "x-kubernetes-list-type", "array");
	else if (!strcmp(text, "set") && json_is(items, JSON_OBJECT))
		check_set(v, items, path);
	if (is_present(type))
		validation_one_of(v, &here, type, true, types);
	if (length_of(json_get(schema, "x-kubernetes-list-map-keys")) && strcmp(text, "map")) {
		static const char detail[] = "must be map if x-kubernetes-list-map-keys is non-empty";

		if (!text[0])
			validation_required(v, &here, detail);
		else
			validation_invalid_text(v, &here, text, detail);
	}
	if (!strcmp(text, "map"))
		check_keyed_list(v, schema, path);
	if (unique && json_get_bool(items, "nullable", false))
		validation_forbidden(
		        v, &nullable,
		        arena_printf(v->arena, "cannot be nullable when x-kubernetes-list-type is %s", text));
}

// --- rules ----------------------------------------------------------------------------------------

static void check_rule(struct validation *v, const struct json *rule, const struct rule_path *path)
{
	static const char *const reasons[] = {"FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid",
	                                      "FieldValueRequired", NULL};
	const char *text = text_of(rule, "rule"), *message = text_of(rule, "message"),
	           *expression = text_of(rule, "messageExpression"), *place = text_of(rule, "fieldPath");
	struct rule_path rule_here = FIELD(path, "rule"), message_here = FIELD(path, "message"),
	                 expression_here = FIELD(path, "messageExpression"), reason_here = FIELD(path, "reason"),
	                 place_here = FIELD(path, "fieldPath");

	if (!has_content(text))
		validation_required(v, &rule_here, "rule is not specified");
	else if (message[0] && !has_content(message))
		validation_invalid_text(v, &message_here, message, "message must be non-empty if specified");
	else if (has_line_break(message))
		validation_invalid_text(v, &message_here, message, "message must not contain line breaks");
	else if (has_line_break(text) && !has_content(message))
		validation_required(v, &message_here, "message must be specified if rule contains line breaks");
	if (expression[0] && !has_content(expression))
		validation_required(v, &expression_here, "messageExpression must be non-empty if specified");
	if (is_present(json_get(rule, "reason")))
		validation_one_of(v, &reason_here, json_get(rule, "reason"), true, reasons);
	if (place[0] && !has_content(place))
		validation_invalid_text(v, &place_here, place, "fieldPath must be non-empty if specified");
	if (has_line_break(place))
		validation_invalid_text(v, &place_here, place, "fieldPath must not contain line breaks");
}

static void check_rules(struct validation *v, const struct json *schema, const struct rule_path *path)
{
	struct rule_path list = FIELD(path, "x-kubernetes-validations");
	uint32_t index = 0;

	json_for_each_item (rule, json_get(schema, "x-kubernetes-validations")) {
		struct rule_path here = FIELD_INDEX(&list, index++);

		check_rule(v, rule, &here);
	}
}

// --- all of it ------------------------------------------------------------------------------------

static void check(const struct node_context *context, const struct json *schema, const struct rule_path *path,
                  bool is_root)
{
	struct validation *v = context->checks->v;
	const struct json *preserve = json_get(schema, "x-kubernetes-preserve-unknown-fields");
	struct rule_path items = FIELD(path, "items"),
	                 preserve_path = FIELD(path, "x-kubernetes-preserve-unknown-fields");

	if (!json_is(schema, JSON_OBJECT))
		return;
	check_type(context, schema, path);
	check_forbidden(context, schema, path);
	check_additional(context, schema, path);
	check_properties(context, schema, path, is_root);
	check_alternatives(context, schema, path);
	if (json_is(json_get(schema, "items"), JSON_OBJECT))
		check(context, json_get(schema, "items"), &items, false);
	if (json_is(preserve, JSON_BOOL) && !preserve->boolean)
		validation_invalid(v, &preserve_path, preserve, "must be true or undefined");
	check_map_type(v, schema, path);
	check_list_type(v, schema, path);
	check_rules(v, schema, path);
}

// With a status subresource the status is validated apart, so that the root may not say much.
static void check_root(const struct schema_checks *checks, const struct json *schema, const struct rule_path *path)
{
	static const char *const allowed[] = {"description",
	                                      "type",
	                                      "format",
	                                      "title",
	                                      "maximum",
	                                      "exclusiveMaximum",
	                                      "minimum",
	                                      "exclusiveMinimum",
	                                      "maxLength",
	                                      "minLength",
	                                      "pattern",
	                                      "maxItems",
	                                      "minItems",
	                                      "uniqueItems",
	                                      "multipleOf",
	                                      "required",
	                                      "items",
	                                      "properties",
	                                      "externalDocs",
	                                      "example",
	                                      "x-kubernetes-preserve-unknown-fields",
	                                      "x-kubernetes-validations"};
	struct validation *v = checks->v;
	struct rule_path type = FIELD(path, "type"), nullable = FIELD(path, "nullable");

	if (json_get_bool(schema, "nullable", false))
		validation_forbidden(v, &nullable, "nullable cannot be true at the root");
	if (!checks->has_status)
		return;
	if (text_of(schema, "type")[0] && strcmp(text_of(schema, "type"), "object")) {
		validation_invalid_text(v, &type, text_of(schema, "type"),
		                        "only \"object\" is allowed as the type at the root of the schema if the "
		                        "status subresource is enabled");
		return;
	}
	json_for_each_member (member, schema) {
		bool known = !length_of(member->value) &&
		             (json_is(member->value, JSON_OBJECT) || json_is(member->value, JSON_ARRAY));

		for (size_t i = 0; i < ARRAY_SIZE(allowed); i++)
			known |= !strcmp(member->key, allowed[i]);
		if (!known) {
			validation_invalid(v, path, schema,
			                   "only [Description Type Format Title Maximum ExclusiveMaximum Minimum "
			                   "ExclusiveMinimum MaxLength MinLength Pattern MaxItems MinItems UniqueItems "
			                   "MultipleOf Required Items Properties ExternalDocs Example "
			                   "XPreserveUnknownFields XValidations] fields are allowed at the root of the "
			                   "schema if the status subresource is enabled");
			return;
		}
	}
}

void validate_openapi_schema(const struct schema_checks *checks, const struct json *schema,
                             const struct rule_path *path)
{
	struct node_context context = {.checks = checks};

	check_root(checks, schema, path);
	check(&context, schema, path, true);
}
