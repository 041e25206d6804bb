// SPDX-License-Identifier: Apache-2.0
// Schemas of custom resources as they are published: what the definition declares, with
// apiVersion, kind and metadata beside it, which no definition declares. Version 2 knows
// no alternatives and no nullable values; clients of that time take what is said of an
// object that may hold unknown fields for all that it may hold, so there less is said.

#include <string.h>

#include "common/api/openapi_internal.h"
#include "common/api/structural.h"

static const char api_version_doc[] =
        "The version of the API that this form of the object belongs to, as group/version.";
static const char kind_doc[] = "The name of the type that this object is of, in CamelCase.";
static const char metadata_doc[] = "What all objects have: name, labels, annotations and the like.";

static bool flag(const struct json *schema, const char *key)
{
	return json_get_bool(schema, key, false);
}

// --- version 2 ------------------------------------------------------------------------------

static bool has_type(const struct json *schema, const char *type)
{
	const char *text = json_get_text(schema, "type");

	return text && !strcmp(text, type);
}

// A property that may be null isn't required there: null is no value.
static void drop_required_nullable(struct json *schema)
{
	struct json *required = json_get(schema, "required");
	const struct json *properties = json_get(schema, "properties");

	for (uint32_t i = 0; json_is(required, JSON_ARRAY) && i < required->length;) {
		const char *name = json_text(required->items[i]);

		if (name && flag(json_get(properties, name), "nullable"))
			json_remove_at(required, i);
		else
			i++;
	}
	if (json_is(required, JSON_ARRAY) && !required->length)
		json_remove(schema, "required");
}

static void simplify(struct json *schema)
{
	static const char *const unknown[] = {"allOf", "oneOf", "anyOf", "not"};
	struct json *items, *additional;

	if (!json_is(schema, JSON_OBJECT))
		return;
	drop_required_nullable(schema);
	for (size_t i = 0; i < ARRAY_SIZE(unknown); i++)
		json_remove(schema, unknown[i]);
	if (flag(schema, "nullable") || flag(schema, "x-kubernetes-preserve-unknown-fields")) {
		json_remove(schema, "items");
		json_remove(schema, "properties");
	}
	if (flag(schema, "nullable") || (has_type(schema, "array") && !json_get(schema, "items")) ||
	    (has_type(schema, "object") && flag(schema, "x-kubernetes-preserve-unknown-fields")))
		json_remove(schema, "type");
	json_remove(schema, "nullable");
	items = json_get(schema, "items");
	additional = json_get(schema, "additionalProperties");
	simplify(items);
	simplify(additional);
	json_for_each_member (property, json_get(schema, "properties"))
		simplify(property->value);
}

// --- what every object has -------------------------------------------------------------------

static void set_text_property(struct arena *arena, struct json *properties, const char *name, const char *doc)
{
	struct json *property = json_object(arena);

	json_set_text(arena, property, "description", doc);
	json_set_text(arena, property, "type", "string");
	json_set(arena, properties, name, property);
}

static void add_object_properties(struct openapi_builder *builder, struct json *schema)
{
	struct arena *arena = builder->arena;
	struct json *properties = json_ensure_object(arena, schema, "properties");
	struct json *metadata = openapi_reference(builder, openapi_meta_type("ObjectMeta"));
	struct json *wide = metadata;

	if (builder->version_3) {
		wide = json_object(arena);
		json_append(arena, json_ensure_array(arena, wide, "allOf"), metadata);
	}
	json_set_text(arena, wide, "description", metadata_doc);
	set_text_property(arena, properties, "apiVersion", api_version_doc);
	set_text_property(arena, properties, "kind", kind_doc);
	json_set(arena, properties, "metadata", wide);
}

static bool lists(const struct json *list, const char *text)
{
	json_for_each_item (item, list)
		if (json_text(item) && !strcmp(json_text(item), text))
			return true;
	return false;
}

static void add_embedded(struct openapi_builder *builder, struct json *schema)
{
	static const char *const required[] = {"kind", "apiVersion"};
	struct arena *arena = builder->arena;

	if (!json_is(schema, JSON_OBJECT))
		return;
	json_for_each_member (property, json_get(schema, "properties"))
		add_embedded(builder, property->value);
	add_embedded(builder, json_get(schema, "items"));
	add_embedded(builder, json_get(schema, "additionalProperties"));
	if (!flag(schema, "x-kubernetes-embedded-resource") ||
	    (!builder->version_3 && flag(schema, "x-kubernetes-preserve-unknown-fields")))
		return;
	add_object_properties(builder, schema);
	for (size_t i = 0; i < ARRAY_SIZE(required); i++) {
		struct json *list = json_ensure_array(arena, schema, "required");

		if (!lists(list, required[i]))
			json_append(arena, list, json_string(arena, required[i]));
	}
}

// --- definitions -------------------------------------------------------------------------------

static struct json *declared(struct openapi_builder *builder, const struct structural *root)
{
	const struct json *schema = root->source ? root->source->load(root->source, builder->arena) : NULL;

	if (!json_is(schema, JSON_OBJECT) || (!builder->version_3 && root->preserve_unknown))
		return NULL;
	return json_clone(builder->arena, schema);
}

static void add_selectable(struct openapi_builder *builder, const struct schema_type *type, struct json *schema)
{
	struct arena *arena = builder->arena;

	for (size_t i = 0; i < builder->resource_count; i++) {
		const struct schema_resource *resource = builder->resources[i];

		for (size_t j = 0; resource->type == type && j < resource->selectable_field_count; j++) {
			struct json *field = json_object(arena);

			json_set_text(arena, field, "fieldPath", resource->selectable_fields[j].label);
			json_append(arena, json_ensure_array(arena, schema, "x-kubernetes-selectable-fields"), field);
		}
	}
}

struct json *openapi_custom_schema(struct openapi_builder *builder, const struct schema_type *type)
{
	struct arena *arena = builder->arena;
	struct json *schema = declared(builder, type->structural);
	struct json *kinds = json_array(arena);

	if (schema) {
		if (!builder->version_3)
			simplify(schema);
		add_embedded(builder, schema);
		add_object_properties(builder, schema);
	} else {
		schema = openapi_plain(arena, "object");
	}
	json_append(arena, kinds, openapi_kind(arena, type->group, type->version, type->name));
	json_set(arena, schema, "x-kubernetes-group-version-kind", kinds);
	add_selectable(builder, type, schema);
	return schema;
}

const struct schema_type *openapi_custom_list_type(struct arena *arena, const struct schema_resource *resource)
{
	static const uint16_t by_name[] = {0, 1, 2, 3};
	const char *name = resource->type->openapi_name, *dot = strrchr(name, '.');
	struct schema_field *fields = ARENA_ARRAY(arena, struct schema_field, ARRAY_SIZE(by_name));
	struct schema_type *items = ARENA_NEW(arena, struct schema_type), *list = ARENA_NEW(arena, struct schema_type);
	const uint32_t flags = SCHEMA_POINTER | SCHEMA_OMIT_EMPTY;

	*items = (struct schema_type){.name = "", .kind = SCHEMA_LIST, .element = resource->type, .doc = ""};
	fields[0] = (struct schema_field){
	        .json_name = "apiVersion", .type = &schema_type_string, .flags = flags, .doc = api_version_doc};
	fields[1] = (struct schema_field){.json_name = "items",
	                                  .type = items,
	                                  .flags = flags | SCHEMA_REQUIRED,
	                                  .doc = arena_printf(arena, "The %s of the list.", resource->plural)};
	fields[2] = (struct schema_field){
	        .json_name = "kind", .type = &schema_type_string, .flags = flags, .doc = kind_doc};
	fields[3] = (struct schema_field){.json_name = "metadata",
	                                  .type = openapi_meta_type("ListMeta"),
	                                  .flags = flags,
	                                  .doc = "What all lists have: the version that they are of."};
	*list = (struct schema_type){
	        .name = resource->list_kind,
	        .openapi_name = arena_printf(arena, "%.*s.%s", (int)(dot - name), name, resource->list_kind),
	        .group = resource->group,
	        .version = resource->version,
	        .kind = SCHEMA_STRUCT,
	        .fields = fields,
	        .fields_by_name = by_name,
	        .field_count = ARRAY_SIZE(by_name),
	        .name_count = ARRAY_SIZE(by_name),
	        .doc = arena_printf(arena, "%s is a list of %s", resource->list_kind, resource->kind),
	};
	return list;
}
