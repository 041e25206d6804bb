// SPDX-License-Identifier: Apache-2.0
// From a definition's schema to nodes. A node is built in one pass over its JSON:
// the keywords of the structure (type, properties, items, x-kubernetes-*) go into
// the node and into the engine's table, the others into its rules. What stands
// below allOf, anyOf, oneOf and not are nodes of the same kind: they only have
// rules that count.
//
// In the engine's table an object with properties is a struct, one with additional
// properties a map; what has no type of its own is raw. Every field is a pointer
// that is left out when absent: nothing in a custom resource is written unless
// somebody gave it.

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/api/structural.h"

#define OBJECT_META "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"

enum {
	DEFAULT_MAX_BYTES = 1 << 20,
};

struct builder {
	struct arena *arena;
	const struct structural_patterns *patterns;
};

static struct structural *build(const struct builder *builder, const struct json *schema, bool root);

// --- rules ---------------------------------------------------------------------------

bool structural_number(const struct json *value, double *ret_number)
{
	if (json_is(value, JSON_INTEGER))
		*ret_number = (double)value->integer;
	else if (json_is(value, JSON_NUMBER))
		*ret_number = strtod(value->text, NULL);
	else
		return false;
	return true;
}

static void read_double(const struct json *schema, const char *key, uint32_t bound, struct structural_rules *rules,
                        double *ret_number)
{
	if (structural_number(json_get(schema, key), ret_number))
		rules->bounds |= bound;
}

static void read_integer(const struct json *schema, const char *key, uint32_t bound, struct structural_rules *rules,
                         int64_t *ret_number)
{
	if (json_get_integer(schema, key, ret_number))
		rules->bounds |= bound;
}

static void read_bounds(const struct json *schema, struct structural_rules *rules)
{
	read_double(schema, "maximum", STRUCTURAL_MAXIMUM, rules, &rules->maximum);
	read_double(schema, "minimum", STRUCTURAL_MINIMUM, rules, &rules->minimum);
	read_double(schema, "multipleOf", STRUCTURAL_MULTIPLE_OF, rules, &rules->multiple_of);
	read_integer(schema, "maxLength", STRUCTURAL_MAX_LENGTH, rules, &rules->max_length);
	read_integer(schema, "minLength", STRUCTURAL_MIN_LENGTH, rules, &rules->min_length);
	read_integer(schema, "maxItems", STRUCTURAL_MAX_ITEMS, rules, &rules->max_items);
	read_integer(schema, "minItems", STRUCTURAL_MIN_ITEMS, rules, &rules->min_items);
	read_integer(schema, "maxProperties", STRUCTURAL_MAX_PROPERTIES, rules, &rules->max_properties);
	read_integer(schema, "minProperties", STRUCTURAL_MIN_PROPERTIES, rules, &rules->min_properties);
	if (json_get_bool(schema, "exclusiveMaximum", false))
		rules->bounds |= STRUCTURAL_EXCLUSIVE_MAXIMUM;
	if (json_get_bool(schema, "exclusiveMinimum", false))
		rules->bounds |= STRUCTURAL_EXCLUSIVE_MINIMUM;
}

static const char *const *read_texts(struct arena *arena, const struct json *list)
{
	const char **texts;
	size_t count = 0;

	if (!json_is(list, JSON_ARRAY) || !list->length)
		return NULL;
	texts = ARENA_ARRAY(arena, const char *, list->length + 1);
	json_for_each_item (item, list)
		if (json_text(item))
			texts[count++] = arena_strdup(arena, json_text(item));
	return texts;
}

static struct structural_nodes read_alternatives(const struct builder *builder, const struct json *list)
{
	struct structural_nodes nodes = {0};

	if (!json_is(list, JSON_ARRAY) || !list->length)
		return nodes;
	nodes.items = ARENA_ARRAY(builder->arena, const struct structural *, list->length);
	json_for_each_item (item, list)
		nodes.items[nodes.count++] = build(builder, item, false);
	return nodes;
}

static void read_text_rules(const struct builder *builder, const struct json *schema, struct structural_rules *rules)
{
	struct arena *arena = builder->arena;
	const char *format = json_get_text(schema, "format"), *pattern = json_get_text(schema, "pattern");

	if (format && format[0]) {
		rules->format = structural_format_find(format);
		rules->format_name = rules->format ? arena_strdup(arena, format) : NULL;
	}
	if (!pattern || !pattern[0])
		return;
	rules->pattern_text = arena_strdup(arena, pattern);
	rules->patterns = builder->patterns;
	rules->pattern = builder->patterns->compile(arena, pattern, NULL);
}

static const struct structural_rules *read_rules(const struct builder *builder, const struct json *schema)
{
	struct arena *arena = builder->arena;
	struct structural_rules rules = {0};
	const struct json *enumeration = json_get(schema, "enum"), *none = json_get(schema, "not");
	struct structural_rules *kept;

	read_bounds(schema, &rules);
	read_text_rules(builder, schema, &rules);
	rules.required = read_texts(arena, json_get(schema, "required"));
	if (json_is(enumeration, JSON_ARRAY) && enumeration->length)
		rules.enumeration = json_clone(arena, enumeration);
	rules.all_of = read_alternatives(builder, json_get(schema, "allOf"));
	rules.any_of = read_alternatives(builder, json_get(schema, "anyOf"));
	rules.one_of = read_alternatives(builder, json_get(schema, "oneOf"));
	if (json_is(none, JSON_OBJECT))
		rules.none_of = build(builder, none, false);
	if (!rules.bounds && !rules.format && !rules.pattern_text && !rules.required && !rules.enumeration &&
	    !rules.all_of.count && !rules.any_of.count && !rules.one_of.count && !rules.none_of)
		return NULL;
	kept = ARENA_NEW(arena, struct structural_rules);
	*kept = rules;
	return kept;
}

// --- the engine's table ----------------------------------------------------------------

static int compare_fields(const void *a, const void *b)
{
	return strcmp(((const struct schema_field *)a)->json_name, ((const struct schema_field *)b)->json_name);
}

static const char *default_text(struct arena *arena, const struct json *value)
{
	struct strbuf text = STRBUF_INIT(DEFAULT_MAX_BYTES);
	const char *copy;

	if (!value)
		return NULL;
	json_write(&text, value);
	copy = text.overflowed ? NULL : arena_strdup(arena, strbuf_text(&text));
	strbuf_done(&text);
	return copy;
}

static struct schema_field field_of(struct arena *arena, const struct structural_property *property)
{
	const struct structural *node = property->node;

	return (struct schema_field){
	        .json_name = property->name,
	        .type = &node->type,
	        .flags = SCHEMA_POINTER | SCHEMA_OMIT_EMPTY | (node->nullable ? SCHEMA_NULLABLE : 0) |
	                 (node->type.atomic ? SCHEMA_ATOMIC : 0),
	        .list_type = node->list_type,
	        .list_keys = node->list_keys,
	        .default_json = default_text(arena, node->default_value),
	        .doc = "",
	};
}

// kind, apiVersion and metadata of a whole object, whatever its schema says of them.
static size_t add_object_fields(struct schema_field *fields, size_t count)
{
	const struct {
		const char *name;
		const struct schema_type *type;
	} rows[] = {{"apiVersion", &schema_type_string},
	            {"kind", &schema_type_string},
	            {"metadata", schema_find_type(OBJECT_META)}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct schema_field field = {.json_name = rows[i].name,
		                             .type = rows[i].type,
		                             .flags = SCHEMA_POINTER | SCHEMA_OMIT_EMPTY,
		                             .doc = ""};
		size_t at = 0;

		while (at < count && strcmp(fields[at].json_name, rows[i].name))
			at++;
		fields[at] = field;
		if (at == count)
			count++;
	}
	return count;
}

static void make_struct(struct arena *arena, struct structural *node)
{
	size_t count = 0, capacity = node->property_count + 3;
	struct schema_field *fields = ARENA_ARRAY(arena, struct schema_field, capacity);
	uint16_t *by_name;

	for (uint32_t i = 0; i < node->property_count; i++)
		fields[count++] = field_of(arena, &node->properties[i]);
	if (node->embedded || node->root)
		count = add_object_fields(fields, count);
	qsort(fields, count, sizeof(*fields), compare_fields);
	by_name = ARENA_ARRAY(arena, uint16_t, count + 1);
	for (size_t i = 0; i < count; i++)
		by_name[i] = (uint16_t)i;
	node->type.kind = SCHEMA_STRUCT;
	node->type.fields = fields;
	node->type.fields_by_name = by_name;
	node->type.field_count = node->type.name_count = count;
}

static enum schema_kind scalar_kind(const struct structural *node)
{
	static const enum schema_kind kinds[] = {
	        [STRUCTURAL_NONE] = SCHEMA_RAW,      [STRUCTURAL_OBJECT] = SCHEMA_STRUCT,
	        [STRUCTURAL_ARRAY] = SCHEMA_LIST,    [STRUCTURAL_STRING] = SCHEMA_STRING,
	        [STRUCTURAL_INTEGER] = SCHEMA_INT64, [STRUCTURAL_NUMBER] = SCHEMA_DOUBLE,
	        [STRUCTURAL_BOOLEAN] = SCHEMA_BOOL,
	};

	return node->int_or_string ? SCHEMA_INT_OR_STRING : kinds[node->value_type];
}

static void make_table(struct arena *arena, struct structural *node)
{
	// Additional properties and items without a schema: anything.
	static const struct schema_type anything = {
	        .name = "", .kind = SCHEMA_RAW, .preserve_unknown = true, .doc = ""};
	bool is_map = node->additional != STRUCTURAL_ADDITIONAL_NONE && !node->property_count;
	bool is_object = node->value_type == STRUCTURAL_OBJECT || node->property_count || node->embedded || node->root;

	node->type.name = node->type.doc = "";
	node->type.structural = node;
	node->type.preserve_unknown = node->preserve_unknown;
	node->type.embedded_object = node->embedded;
	node->type.kind = scalar_kind(node);
	if (node->value_type == STRUCTURAL_ARRAY) {
		node->type.element = node->items ? &node->items->type : &anything;
	} else if (is_map) {
		node->type.kind = SCHEMA_MAP;
		node->type.element = node->element ? &node->element->type : &anything;
	} else if (is_object) {
		make_struct(arena, node);
	}
}

// --- nodes -----------------------------------------------------------------------------

static uint8_t type_of(const struct json *schema)
{
	static const char *const names[] = {
	        [STRUCTURAL_NONE] = "",          [STRUCTURAL_OBJECT] = "object",   [STRUCTURAL_ARRAY] = "array",
	        [STRUCTURAL_STRING] = "string",  [STRUCTURAL_INTEGER] = "integer", [STRUCTURAL_NUMBER] = "number",
	        [STRUCTURAL_BOOLEAN] = "boolean"};
	const char *text = json_get_text(schema, "type");

	for (uint8_t i = 1; text && i < ARRAY_SIZE(names); i++)
		if (!strcmp(text, names[i]))
			return i;
	return STRUCTURAL_NONE;
}

static int compare_properties(const void *a, const void *b)
{
	return strcmp(((const struct structural_property *)a)->name, ((const struct structural_property *)b)->name);
}

static void note_below(struct structural *node, const struct structural *child)
{
	node->has_defaults |= child->has_defaults;
	node->has_expressions |= child->has_expressions;
}

static void read_properties(const struct builder *builder, const struct json *schema, struct structural *node)
{
	struct arena *arena = builder->arena;
	const struct json *properties = json_get(schema, "properties");

	if (!json_is(properties, JSON_OBJECT) || !properties->length)
		return;
	node->properties = ARENA_ARRAY(arena, struct structural_property, properties->length);
	json_for_each_member (member, properties) {
		struct structural *child = build(builder, member->value, false);

		node->properties[node->property_count++] = (struct structural_property){
		        arena_strndup(arena, member->key, member->key_length), member->key_length, child};
		note_below(node, child);
	}
	qsort(node->properties, node->property_count, sizeof(*node->properties), compare_properties);
}

static void read_elements(const struct builder *builder, const struct json *schema, struct structural *node)
{
	const struct json *items = json_get(schema, "items"), *additional = json_get(schema, "additionalProperties");

	if (json_is(items, JSON_OBJECT)) {
		node->items = build(builder, items, false);
		note_below(node, node->items);
	}
	if (json_is(additional, JSON_OBJECT)) {
		node->additional = STRUCTURAL_ADDITIONAL_SCHEMA;
		node->element = build(builder, additional, false);
		note_below(node, node->element);
	} else if (json_is(additional, JSON_BOOL) && additional->boolean) {
		node->additional = STRUCTURAL_ADDITIONAL_ANY;
	}
}

static void read_extensions(struct arena *arena, const struct json *schema, struct structural *node)
{
	const char *list = json_get_text(schema, "x-kubernetes-list-type");
	const char *map = json_get_text(schema, "x-kubernetes-map-type");
	const struct json *expressions = json_get(schema, "x-kubernetes-validations");

	node->int_or_string = json_get_bool(schema, "x-kubernetes-int-or-string", false);
	node->preserve_unknown = json_get_bool(schema, "x-kubernetes-preserve-unknown-fields", false);
	node->embedded = json_get_bool(schema, "x-kubernetes-embedded-resource", false);
	node->list_type = !list                  ? SCHEMA_LIST_ATOMIC
	                  : !strcmp(list, "set") ? SCHEMA_LIST_SET
	                  : !strcmp(list, "map") ? SCHEMA_LIST_MAP
	                                         : SCHEMA_LIST_ATOMIC;
	if (node->list_type == SCHEMA_LIST_MAP) {
		static const char *const no_keys[] = {NULL};
		const char *const *keys = read_texts(arena, json_get(schema, "x-kubernetes-list-map-keys"));

		node->list_keys = keys ? keys : no_keys;
	}
	node->type.atomic = map && !strcmp(map, "atomic");
	if (json_is(expressions, JSON_ARRAY) && expressions->length) {
		node->expressions = json_clone(arena, expressions);
		node->has_expressions = true;
	}
}

static struct structural *build(const struct builder *builder, const struct json *schema, bool root)
{
	struct arena *arena = builder->arena;
	struct structural *node = ARENA_NEW(arena, struct structural);
	const struct json *value = json_get(schema, "default");

	node->root = root;
	node->value_type = type_of(schema);
	node->nullable = json_get_bool(schema, "nullable", false);
	if (value && !json_is_null(value)) {
		node->default_value = json_clone(arena, value);
		node->has_defaults = true;
	}
	read_extensions(arena, schema, node);
	read_properties(builder, schema, node);
	read_elements(builder, schema, node);
	node->rules = read_rules(builder, schema);
	make_table(arena, node);
	return node;
}

struct structural *structural_build(struct arena *arena, const struct json *schema,
                                    const struct structural_patterns *patterns)
{
	struct builder builder = {arena, patterns};

	return build(&builder, schema, true);
}

// --- looking ---------------------------------------------------------------------------

const struct structural *structural_property(const struct structural *node, const char *name, size_t length)
{
	size_t low = 0, high = node->property_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct structural_property *property = &node->properties[middle];
		size_t shared = length < property->length ? length : property->length;
		int order = memcmp(name, property->name, shared);

		if (!order && length == property->length)
			return property->node;
		if (order > 0 || (!order && length > property->length))
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

const struct structural *structural_member(const struct structural *node, const char *name, size_t length)
{
	const struct structural *property = structural_property(node, name, length);

	return property ? property : node->element;
}
