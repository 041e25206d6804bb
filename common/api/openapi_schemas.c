// SPDX-License-Identifier: Apache-2.0
//
// Types of the schema as OpenAPI schemas. Named types become definitions and are
// referred to; the definitions of a document are what its paths reach. What
// JSON schema can't say stands in the extensions that clients know: list types
// and their keys, strategic-merge keys, and the kinds that a type is of.
#include <string.h>

#include "common/api/openapi_internal.h"
#include "common/base/hashmap.h"

static const char extension_kind[] = "x-kubernetes-group-version-kind";

// --- references ----------------------------------------------------------------------

static void remember_type(struct openapi_builder *builder, const struct schema_type *type)
{
	if (hashmap_get(builder->known, type->openapi_name))
		return;
	hashmap_put(builder->known, type->openapi_name, (void *)type);
	if (builder->type_count == builder->type_capacity) {
		size_t capacity = builder->type_capacity ? builder->type_capacity * 2 : 64;
		builder->types =
		        arena_realloc(builder->arena, builder->types, builder->type_capacity * sizeof(*builder->types),
		                      capacity * sizeof(*builder->types));
		builder->type_capacity = capacity;
	}
	builder->types[builder->type_count++] = type;
}

struct json *openapi_reference(struct openapi_builder *builder, const struct schema_type *type)
{
	struct json *reference = json_object(builder->arena);
	remember_type(builder, type);
	json_set_text(builder->arena, reference, "$ref",
	              arena_printf(builder->arena, "#/%s/%s", builder->version_3 ? "components/schemas" : "definitions",
	                           type->openapi_name));
	return reference;
}

struct json *openapi_kind(struct arena *arena, const char *group, const char *version, const char *kind)
{
	struct json *object = json_object(arena);
	json_set_text(arena, object, "group", group);
	json_set_text(arena, object, "kind", kind);
	json_set_text(arena, object, "version", version);
	return object;
}

const struct schema_type *openapi_meta_type(const char *name)
{
	char full_name[128] = "io.k8s.apimachinery.pkg.apis.meta.v1.";
	strncat(full_name, name, sizeof(full_name) - strlen(full_name) - 1);
	return schema_find_type(full_name);
}

const struct schema_type *openapi_list_type(struct arena *arena, const struct schema_resource *resource)
{
	const char *name = resource->type ? resource->type->openapi_name : NULL;
	const char *dot = name ? strrchr(name, '.') : NULL;
	if (!dot || !resource->list_kind)
		return NULL;
	if (resource->type->structural)
		return openapi_custom_list_type(arena, resource);
	return schema_find_type(arena_printf(arena, "%.*s.%s", (int)(dot - name), name, resource->list_kind));
}

static bool is_named(const struct schema_type *type)
{
	return type->openapi_name && *type->openapi_name;
}

// --- types --------------------------------------------------------------------------------

struct scalar_form {
	const char *type;
	const char *format;
};

static const struct scalar_form scalar_forms[SCHEMA_KIND_COUNT_] = {
        [SCHEMA_STRING] = {"string", NULL},      [SCHEMA_INT32] = {"integer", "int32"},
        [SCHEMA_INT64] = {"integer", "int64"},   [SCHEMA_BOOL] = {"boolean", NULL},
        [SCHEMA_DOUBLE] = {"number", "double"},  [SCHEMA_BYTES] = {"string", "byte"},
        [SCHEMA_QUANTITY] = {"string", NULL},    [SCHEMA_INT_OR_STRING] = {"string", "int-or-string"},
        [SCHEMA_TIME] = {"string", "date-time"}, [SCHEMA_MICRO_TIME] = {"string", "date-time"},
        [SCHEMA_DURATION] = {"string", NULL},
};

// {"oneOf": [{"type": a}, {"type": b}]}
static void set_either(struct arena *arena, struct json *schema, const char *first, const char *second)
{
	struct json *choices = json_ensure_array(arena, schema, "oneOf");
	const char *texts[] = {first, second};
	for (size_t i = 0; i < 2; i++) {
		struct json *choice = json_object(arena);
		json_set_text(arena, choice, "type", texts[i]);
		json_append(arena, choices, choice);
	}
}

static struct json *scalar_schema(struct openapi_builder *builder, const struct schema_type *type)
{
	struct json *schema = json_object(builder->arena);
	const struct scalar_form *form = &scalar_forms[type->kind];
	if (form->format)
		json_set_text(builder->arena, schema, "format", form->format);
	if (builder->version_3 && type->kind == SCHEMA_QUANTITY)
		set_either(builder->arena, schema, "string", "number");
	else if (builder->version_3 && type->kind == SCHEMA_INT_OR_STRING)
		set_either(builder->arena, schema, "integer", "string");
	else if (form->type)
		json_set_text(builder->arena, schema, "type", form->type);
	return schema;
}

// What a Go program finds where nothing was given: upstream publishes it as default.
static const char *zero_value(const struct schema_type *type)
{
	static const char *const values[SCHEMA_KIND_COUNT_] = {
	        [SCHEMA_STRING] = "\"\"", [SCHEMA_INT32] = "0",  [SCHEMA_INT64] = "0",
	        [SCHEMA_BOOL] = "false",  [SCHEMA_DOUBLE] = "0", [SCHEMA_STRUCT] = "{}",
	};
	return values[type->kind];
}

// Nothing may stand beside a reference in version 3: it moves into an allOf of one.
static struct json *widen_reference(struct openapi_builder *builder, struct json *schema)
{
	if (!builder->version_3 || !json_get(schema, "$ref"))
		return schema;
	struct json *wide = json_object(builder->arena);
	json_append(builder->arena, json_ensure_array(builder->arena, wide, "allOf"), schema);
	return wide;
}

// What a list or map holds; in version 3 with the default that upstream publishes
// for built-in types (those of custom resources have no views).
static struct json *element_schema(struct openapi_builder *builder, const struct schema_type *container)
{
	struct json *schema = openapi_type(builder, container->element);
	const char *zero = container->view_size ? zero_value(container->element) : NULL;
	struct json *value = NULL;
	if (!builder->version_3 || !zero || json_parse(builder->arena, zero, strlen(zero), NULL, &value, NULL) < 0)
		return schema;
	schema = widen_reference(builder, schema);
	json_set(builder->arena, schema, "default", value);
	return schema;
}

static struct json *container_schema(struct openapi_builder *builder, const struct schema_type *type)
{
	struct json *schema = json_object(builder->arena);
	bool is_list = type->kind == SCHEMA_LIST;
	json_set(builder->arena, schema, is_list ? "items" : "additionalProperties", element_schema(builder, type));
	json_set_text(builder->arena, schema, "type", is_list ? "array" : "object");
	return schema;
}

// Any JSON; what is in it is the client's affair. The named ones of the built-in
// types say less: some that it is an object, and those of JSON schemas nothing.
static struct json *raw_schema(struct openapi_builder *builder, const struct schema_type *type)
{
	struct json *schema = json_object(builder->arena);
	if (!is_named(type))
		json_set_bool(builder->arena, schema, "x-kubernetes-preserve-unknown-fields", true);
	else if (strncmp(type->name, "JSON", 4) != 0)
		json_set_text(builder->arena, schema, "type", "object");
	return schema;
}

struct json *openapi_type(struct openapi_builder *builder, const struct schema_type *type)
{
	// Named lists and maps stand where they are used.
	if (type->kind == SCHEMA_LIST || type->kind == SCHEMA_MAP)
		return container_schema(builder, type);
	if (is_named(type))
		return openapi_reference(builder, type);
	return type->kind == SCHEMA_RAW || type->kind == SCHEMA_STRUCT ? raw_schema(builder, type)
	                                                               : scalar_schema(builder, type);
}

// --- fields ---------------------------------------------------------------------------------

static void add_list_extensions(struct arena *arena, struct json *schema, const struct schema_field *field)
{
	static const char *const names[] = {
	        [SCHEMA_LIST_ATOMIC] = "atomic", [SCHEMA_LIST_SET] = "set", [SCHEMA_LIST_MAP] = "map"};
	if (!(field->flags & SCHEMA_LIST_TYPE))
		return;
	if (field->list_keys && *field->list_keys) {
		struct json *keys = json_ensure_array(arena, schema, "x-kubernetes-list-map-keys");
		for (const char *const *key = field->list_keys; *key; key++)
			json_append(arena, keys, json_string(arena, *key));
	}
	json_set_text(arena, schema, "x-kubernetes-list-type", names[field->list_type]);
}

// On a field only where it says something else than its type.
static void add_map_extension(struct arena *arena, struct json *schema, const struct schema_field *field)
{
	bool is_list = field->type->kind == SCHEMA_LIST;
	if (field->flags & SCHEMA_GRANULAR)
		json_set_text(arena, schema, "x-kubernetes-map-type", "granular");
	else if ((field->flags & SCHEMA_ATOMIC) && !field->type->atomic && !is_list)
		json_set_text(arena, schema, "x-kubernetes-map-type", "atomic");
}

static void add_patch_extensions(struct arena *arena, struct json *schema, const struct schema_field *field)
{
	bool merge = field->flags & SCHEMA_PATCH_MERGE;
	bool retain = field->flags & SCHEMA_PATCH_REPLACE_KEYS;
	if (field->patch_merge_key)
		json_set_text(arena, schema, "x-kubernetes-patch-merge-key", field->patch_merge_key);
	if (merge || retain)
		json_set_text(arena, schema, "x-kubernetes-patch-strategy",
		              !retain ? "merge"
		              : merge ? "merge,retainKeys"
		                      : "retainKeys");
	else if (field->flags & SCHEMA_PATCH_REPLACE)
		json_set_text(arena, schema, "x-kubernetes-patch-strategy", "replace");
}

// Only version 3 has defaults.
static void add_default(const struct openapi_builder *builder, struct json *schema, const struct schema_field *field)
{
	const char *text = field->default_json;
	bool is_struct = field->type->kind == SCHEMA_STRUCT;
	if (!text && !(field->flags & SCHEMA_POINTER) && (is_struct || !(field->flags & SCHEMA_OMIT_EMPTY)))
		text = zero_value(field->type);
	struct json *value = NULL;
	if (builder->version_3 && text && json_parse(builder->arena, text, strlen(text), NULL, &value, NULL) == 0)
		json_set(builder->arena, schema, "default", value);
}

static void add_enumeration(struct arena *arena, struct json *schema, const char *const *values)
{
	if (!values || !*values)
		return;
	struct json *list = json_ensure_array(arena, schema, "enum");
	for (; *values; values++)
		json_append(arena, list, json_string(arena, *values));
}

static struct json *field_schema(struct openapi_builder *builder, const struct schema_field *field)
{
	struct arena *arena = builder->arena;
	struct json *own = json_object(arena); // what the field adds to its type
	if (field->doc && *field->doc)
		json_set_text(arena, own, "description", field->doc);
	add_default(builder, own, field);
	if (field->type->kind == SCHEMA_STRING)
		add_enumeration(arena, own, field->enum_values);
	add_list_extensions(arena, own, field);
	add_map_extension(arena, own, field);
	add_patch_extensions(arena, own, field);
	struct json *schema = openapi_type(builder, field->type);
	if (!own->length)
		return schema;
	schema = widen_reference(builder, schema);
	json_for_each_member (member, own)
		json_set(arena, schema, member->key, member->value);
	return schema;
}

// --- definitions --------------------------------------------------------------------------

// A type whose objects say their own kind.
static bool is_top_level(const struct schema_type *type)
{
	const struct schema_field *kind = schema_find_field(type, "kind", 4, NULL);
	const struct schema_field *api_version = schema_find_field(type, "apiVersion", 10, NULL);
	return kind && api_version && !kind->proto_number && !api_version->proto_number && type->group && type->version;
}

// Options and watch events belong to every group and version.
static bool is_everywhere(const struct schema_type *type)
{
	return type == openapi_meta_type("DeleteOptions") || type == openapi_meta_type("WatchEvent");
}

static struct json *kinds_of(struct openapi_builder *builder, const struct schema_type *type)
{
	if (is_everywhere(type))
		return openapi_kinds_everywhere(builder->arena, type->name);
	const char *group = strcmp(type->group, "meta.k8s.io") == 0 ? "" : type->group;
	struct json *kinds = json_array(builder->arena);
	json_append(builder->arena, kinds, openapi_kind(builder->arena, group, type->version, type->name));
	return kinds;
}

static struct json *struct_schema(struct openapi_builder *builder, const struct schema_type *type)
{
	struct arena *arena = builder->arena;
	struct json *schema = json_object(arena);
	struct json *properties = json_object(arena);
	struct json *required = json_array(arena);
	for (size_t i = 0; i < type->name_count; i++) {
		const struct schema_field *field = &type->fields[type->fields_by_name[i]];
		json_set(arena, properties, field->json_name, field_schema(builder, field));
	}
	for (size_t i = 0; i < type->field_count; i++)
		if ((type->fields[i].flags & SCHEMA_REQUIRED) && *type->fields[i].json_name)
			json_append(arena, required, json_string(arena, type->fields[i].json_name));
	if (properties->length)
		json_set(arena, schema, "properties", properties);
	if (required->length)
		json_set(arena, schema, "required", required);
	json_set_text(arena, schema, "type", "object");
	if (type->preserve_unknown)
		json_set_bool(arena, schema, "x-kubernetes-preserve-unknown-fields", true);
	if (type->atomic)
		json_set_text(arena, schema, "x-kubernetes-map-type", "atomic");
	openapi_add_unions(arena, type, schema);
	if (is_top_level(type) || is_everywhere(type))
		json_set(arena, schema, extension_kind, kinds_of(builder, type));
	return schema;
}

void openapi_define_all(struct openapi_builder *builder)
{
	// Each definition may add types behind the end.
	for (size_t i = 0; i < builder->type_count; i++) {
		const struct schema_type *type = builder->types[i];
		struct json *schema = type->structural              ? openapi_custom_schema(builder, type)
		                      : type->kind == SCHEMA_STRUCT ? struct_schema(builder, type)
		                      : type->kind == SCHEMA_RAW    ? raw_schema(builder, type)
		                                                    : scalar_schema(builder, type);
		if (type->doc && *type->doc)
			json_set_text(builder->arena, schema, "description", type->doc);
		json_add_n(builder->arena, builder->definitions, type->openapi_name, strlen(type->openapi_name),
		           schema);
	}
	json_sort_keys(builder->definitions);
}
