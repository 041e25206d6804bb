// SPDX-License-Identifier: Apache-2.0
//
// Types of Kubernetes' data: from the OpenAPI schema of a custom resource, from the
// tables of built-in kinds, and the fixed ones of admission. Beside the type of each part
// stands how long it can be in a request of 3 MiB: the number that its schema states, or
// what fits with the smallest values. Data that no schema describes isn't visible.
#include <string.h>

#include "common/base/memory.h"
#include "common/cel/env.h"

enum {
	LONGEST_DURATION = 32,
	LONGEST_DATETIME = 32,
	DATE_BYTES = 12,
	MAX_SCHEMA_DEPTH = 120,
};

struct converter {
	struct cel_env *env;
	const char *name; // what the object at hand is called
	unsigned depth;
};

static const struct cel_type *convert(struct converter *converter, const struct json *schema, bool root,
                                      const char *name);

static struct cel_type *scalar(struct converter *converter, const struct cel_type *like, int64_t longest)
{
	struct cel_type *type = ARENA_NEW(converter->env->arena, struct cel_type);
	*type = *like;
	type->max_elements = longest;
	return type;
}

static bool is_true(const struct json *schema, const char *key)
{
	return json_get_bool(schema, key, false);
}

// A limit of the schema; false when it states none.
static bool stated(const struct json *schema, const char *key, int64_t *ret_limit)
{
	if (!json_get_integer(schema, key, ret_limit))
		return false;
	if (*ret_limit < 0)
		*ret_limit = 0;
	return true;
}

// --- scalars ---------------------------------------------------------------------------

static int64_t longest_enum(const struct json *values)
{
	int64_t longest = 0;
	json_for_each_item (value, values) {
		if (value->type == JSON_STRING && value->length > longest)
			longest = value->length;
	}
	return longest;
}

static const struct cel_type *convert_string(struct converter *converter, const struct json *schema)
{
	const char *format = json_get_text(schema, "format");
	const struct json *values = json_get(schema, "enum");
	int64_t limit, unlimited = CEL_MAX_REQUEST_BYTES - 2;
	bool limited = stated(schema, "maxLength", &limit);
	format = format ? format : "";
	if (strcmp(format, "byte") == 0)
		return scalar(converter, &cel_type_bytes, limited ? limit : unlimited);
	if (strcmp(format, "duration") == 0)
		return scalar(converter, &cel_type_duration, LONGEST_DURATION);
	if (strcmp(format, "date") == 0) {
		struct cel_type *date = scalar(converter, &cel_type_timestamp, DATE_BYTES);
		date->date = true;
		date->min_size = DATE_BYTES;
		return date;
	}
	if (strcmp(format, "date-time") == 0)
		return scalar(converter, &cel_type_timestamp, LONGEST_DATETIME);
	if (limited) // of characters, which take up to 4 bytes
		return scalar(converter, &cel_type_string, limit > INT64_MAX / 4 ? INT64_MAX : limit * 4);
	return scalar(converter, &cel_type_string, values && values->length ? longest_enum(values) : unlimited);
}

static const struct cel_type *convert_int_or_string(struct converter *converter, const struct json *schema)
{
	int64_t limit = CEL_MAX_REQUEST_BYTES - 2;
	if (stated(schema, "maxLength", &limit))
		limit = limit > INT64_MAX / 4 ? INT64_MAX : limit * 4;
	struct cel_type *type = scalar(converter, &cel_type_dyn, limit);
	type->int_or_string = true;
	return type;
}

// --- containers --------------------------------------------------------------------------------

static void list_semantics(struct converter *converter, const struct json *schema, struct cel_type *list)
{
	const char *kind = json_get_text(schema, "x-kubernetes-list-type");
	const struct json *keys = json_get(schema, "x-kubernetes-list-map-keys");
	if (kind && strcmp(kind, "set") == 0)
		list->list_kind = CEL_LIST_SET;
	if (!kind || strcmp(kind, "map") != 0 || !json_is(keys, JSON_ARRAY))
		return;
	list->list_kind = CEL_LIST_MAP;
	const char **names = ARENA_ARRAY(converter->env->arena, const char *, (size_t)keys->length + 1);
	json_for_each_item (key, keys) {
		if (key->type == JSON_STRING)
			names[list->list_key_count++] = arena_strdup(converter->env->arena, key->text);
	}
	list->list_keys = names;
}

static const struct cel_type *convert_array(struct converter *converter, const struct json *schema, const char *name)
{
	const struct json *items = json_get(schema, "items");
	struct arena *arena = converter->env->arena;
	if (!json_is(items, JSON_OBJECT))
		return NULL;
	const struct cel_type *element = convert(converter, items, is_true(items, "x-kubernetes-embedded-resource"),
	                                         arena_printf(arena, "%s.@idx", name));
	if (!element)
		return NULL;
	struct cel_type *list = cel_type_make(arena, CEL_TYPE_LIST, "list", element, NULL);
	if (!stated(schema, "maxItems", &list->max_elements))
		list->max_elements = (CEL_MAX_REQUEST_BYTES - 2) / (element->min_size + 1);
	list_semantics(converter, schema, list);
	return list;
}

static const struct cel_type *convert_map(struct converter *converter, const struct json *schema,
                                          const struct json *values, const char *name)
{
	struct arena *arena = converter->env->arena;
	const struct cel_type *value = convert(converter, values, is_true(values, "x-kubernetes-embedded-resource"),
	                                       arena_printf(arena, "%s.@elem", name));
	if (!value)
		return NULL;
	struct cel_type *map = cel_type_make(arena, CEL_TYPE_MAP, "map", &cel_type_string, value);
	if (!stated(schema, "maxProperties", &map->max_elements))
		map->max_elements = (CEL_MAX_REQUEST_BYTES - 2) / (value->min_size + 6); // two bytes of key, "":,
	return map;
}

static bool is_required(const struct json *schema, const struct json_member *property)
{
	json_for_each_item (name, json_get(schema, "required")) {
		if (name->type == JSON_STRING && name->length == property->key_length &&
		    memcmp(name->text, property->key, name->length) == 0)
			return !json_get(property->value, "default");
	}
	return false;
}

static struct cel_type *metadata_type(struct converter *converter, const char *name)
{
	struct cel_env *env = converter->env;
	struct cel_type *metadata = cel_type_object(env, arena_printf(env->arena, "%s.metadata", name));
	const struct cel_type *text = scalar(converter, &cel_type_string, CEL_MAX_REQUEST_BYTES - 2);
	cel_type_add_field(env, metadata, "name", text);
	cel_type_add_field(env, metadata, "generateName", text);
	return metadata;
}

static bool has_text(const struct json *properties, const char *name)
{
	const char *type = json_get_text(json_get(properties, name), "type");
	return type && strcmp(type, "string") == 0;
}

// What is always there at the root of an object; what the schema says of it gives way.
static bool lacks_meta(const struct json *properties)
{
	const struct json *inner = json_path(properties, "metadata", "properties");
	return !has_text(properties, "kind") || !has_text(properties, "apiVersion") || !has_text(inner, "name") ||
	       !has_text(inner, "generateName");
}

static void add_meta(struct converter *converter, struct cel_type *object, const char *name)
{
	const struct cel_type *text = scalar(converter, &cel_type_string, CEL_MAX_REQUEST_BYTES - 2);
	cel_type_add_field(converter->env, object, "kind", text);
	cel_type_add_field(converter->env, object, "apiVersion", text);
	cel_type_add_field(converter->env, object, "metadata", metadata_type(converter, name));
}

static const struct cel_type *convert_object(struct converter *converter, const struct json *schema, bool root,
                                             const char *name)
{
	struct cel_env *env = converter->env;
	const struct json *additional = json_get(schema, "additionalProperties");
	const struct json *properties = json_get(schema, "properties");
	if (json_is(additional, JSON_OBJECT))
		return convert_map(converter, schema, additional, name);
	struct cel_type *object = cel_type_object(env, name);
	object->null_is_absent = true;
	json_for_each_member (property, properties) {
		const char *escaped = cel_escape(env->arena, property->key, property->key_length);
		const struct cel_type *type =
		        convert(converter, property->value, is_true(property->value, "x-kubernetes-embedded-resource"),
		                arena_printf(env->arena, "%s.%s", name, escaped ? escaped : "@other"));
		if (!type)
			continue;
		cel_type_add_field(env, object, property->key, type);
		if (is_required(schema, property))
			object->min_size += (int64_t)property->key_length + type->min_size + 4;
	}
	if (root && lacks_meta(properties))
		add_meta(converter, object, name);
	return object;
}

static const struct cel_type *convert_by_type(struct converter *converter, const struct json *schema, bool root,
                                              const char *name)
{
	const char *type = json_get_text(schema, "type");
	type = type ? type : root ? "object" : "";
	if (is_true(schema, "x-kubernetes-int-or-string"))
		return convert_int_or_string(converter, schema);
	if (strcmp(type, "array") == 0)
		return convert_array(converter, schema, name);
	if (strcmp(type, "object") == 0)
		return convert_object(converter, schema, root, name);
	if (strcmp(type, "string") == 0)
		return convert_string(converter, schema);
	if (strcmp(type, "boolean") == 0)
		return &cel_type_bool;
	if (strcmp(type, "number") == 0)
		return &cel_type_double;
	return strcmp(type, "integer") == 0 ? &cel_type_int : NULL;
}

static const struct cel_type *convert(struct converter *converter, const struct json *schema, bool root,
                                      const char *name)
{
	if (!json_is(schema, JSON_OBJECT) || converter->depth >= MAX_SCHEMA_DEPTH)
		return NULL;
	converter->depth++;
	const struct cel_type *type = convert_by_type(converter, schema, root, name);
	converter->depth--;
	return type;
}

const struct cel_type *cel_type_from_openapi(struct cel_env *env, const struct json *schema, bool resource_root)
{
	struct converter converter = {.env = env};
	return convert(&converter, schema, resource_root, arena_printf(env->arena, "selfType%zu", env->object_count));
}

// --- tables of built-in kinds --------------------------------------------------------------------

static const struct cel_type *from_table(struct cel_env *env, const struct schema_type *type, unsigned depth);

static const struct cel_type *object_from_table(struct cel_env *env, const struct schema_type *type, unsigned depth)
{
	const char *name = type->openapi_name && *type->openapi_name ? type->openapi_name : type->name;
	if (!name || !*name) // of a custom resource's inner objects
		name = arena_printf(env->arena, "object%zu", env->object_count);
	for (size_t i = 0; i < env->object_count; i++)
		if (strcmp(env->objects[i]->name, name) == 0)
			return env->objects[i];
	struct cel_type *object = cel_type_object(env, name); // known before its fields: types may contain themselves
	for (size_t i = 0; i < type->field_count; i++) {
		const struct schema_field *field = &type->fields[i];
		const struct cel_type *field_type =
		        field->json_name && *field->json_name ? from_table(env, field->type, depth + 1) : NULL;
		if (field_type)
			cel_type_add_field(env, object, field->json_name, field_type);
	}
	return object;
}

static const struct cel_type *from_table(struct cel_env *env, const struct schema_type *type, unsigned depth)
{
	static const struct cel_type *const scalars[SCHEMA_KIND_COUNT_] = {
	        [SCHEMA_STRING] = &cel_type_string,   [SCHEMA_INT32] = &cel_type_int,
	        [SCHEMA_INT64] = &cel_type_int,       [SCHEMA_BOOL] = &cel_type_bool,
	        [SCHEMA_DOUBLE] = &cel_type_double,   [SCHEMA_BYTES] = &cel_type_bytes,
	        [SCHEMA_QUANTITY] = &cel_type_dyn,    [SCHEMA_INT_OR_STRING] = &cel_type_dyn,
	        [SCHEMA_TIME] = &cel_type_timestamp,  [SCHEMA_MICRO_TIME] = &cel_type_timestamp,
	        [SCHEMA_DURATION] = &cel_type_string, [SCHEMA_RAW] = &cel_type_dyn,
	};
	if (depth > MAX_SCHEMA_DEPTH)
		return &cel_type_dyn;
	if (type->preserve_unknown && type->field_count == 0)
		return &cel_type_dyn;
	switch (type->kind) {
	case SCHEMA_LIST:
		return cel_type_make_list(env->arena, from_table(env, type->element, depth + 1));
	case SCHEMA_MAP:
		return cel_type_make_map(env->arena, &cel_type_string, from_table(env, type->element, depth + 1));
	case SCHEMA_STRUCT:
		return object_from_table(env, type, depth);
	default:
		return scalars[type->kind];
	}
}

const struct cel_type *cel_type_from_schema(struct cel_env *env, const struct schema_type *type)
{
	return from_table(env, type, 0);
}

// --- admission -----------------------------------------------------------------------------------

struct fixed_field {
	const char *name;
	const struct cel_type *type;
};

// Upstream declares these by hand and escapes none of their names: request.namespace.
static struct cel_type *fixed_object(struct cel_env *env, const char *name, const struct fixed_field *fields,
                                     size_t count)
{
	struct cel_type *object = cel_type_object(env, name);
	for (size_t i = 0; i < count; i++) {
		cel_type_add_field(env, object, fields[i].name, fields[i].type);
		struct cel_field *added = &object->fields[object->field_count - 1];
		added->name = fields[i].name;
		added->name_length = strlen(fields[i].name);
	}
	return object;
}

#define FIXED(env, name, fields) fixed_object(env, name, fields, ARRAY_SIZE(fields))

const struct cel_type *cel_type_admission_request(struct cel_env *env)
{
	const struct cel_type *text = &cel_type_string;
	const struct fixed_field kind[] = {{"group", text}, {"version", text}, {"kind", text}};
	const struct fixed_field resource[] = {{"group", text}, {"version", text}, {"resource", text}};
	const struct cel_type *kind_type = FIXED(env, "kubernetes.GroupVersionKind", kind);
	const struct cel_type *resource_type = FIXED(env, "kubernetes.GroupVersionResource", resource);
	const struct fixed_field user[] = {
	        {"username", text},
	        {"uid", text},
	        {"groups", cel_type_list(env, text)},
	        {"extra", cel_type_map(env, text, cel_type_list(env, text))},
	};
	const struct fixed_field request[] = {
	        {"kind", kind_type},
	        {"resource", resource_type},
	        {"subResource", text},
	        {"requestKind", kind_type},
	        {"requestResource", resource_type},
	        {"requestSubResource", text},
	        {"name", text},
	        {"namespace", text},
	        {"operation", text},
	        {"userInfo", FIXED(env, "kubernetes.UserInfo", user)},
	        {"dryRun", &cel_type_bool},
	        {"options", &cel_type_dyn},
	};
	return FIXED(env, "kubernetes.AdmissionRequest", request);
}

const struct cel_type *cel_type_namespace(struct cel_env *env)
{
	const struct cel_type *text = &cel_type_string, *texts = cel_type_map(env, text, text);
	const struct fixed_field metadata[] = {
	        {"name", text},
	        {"generateName", text},
	        {"namespace", text},
	        {"labels", texts},
	        {"annotations", texts},
	        {"UID", text},
	        {"creationTimestamp", &cel_type_timestamp},
	        {"deletionGracePeriodSeconds", &cel_type_int},
	        {"deletionTimestamp", &cel_type_timestamp},
	        {"generation", &cel_type_int},
	        {"resourceVersion", text},
	        {"finalizers", cel_type_list(env, text)},
	};
	const struct fixed_field spec[] = {{"finalizers", cel_type_list(env, text)}};
	const struct fixed_field status[] = {{"phase", text}};
	const struct fixed_field namespace[] = {
	        {"metadata", FIXED(env, "kubernetes.NamespaceMetadata", metadata)},
	        {"spec", FIXED(env, "kubernetes.NamespaceSpec", spec)},
	        {"status", FIXED(env, "kubernetes.NamespaceStatus", status)},
	};
	return FIXED(env, "kubernetes.Namespace", namespace);
}
