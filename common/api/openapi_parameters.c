// SPDX-License-Identifier: Apache-2.0
//
// The parameters of operations. Their types and texts are those of the options
// types in the schema (ListOptions, PatchOptions, PodExecOptions, …). What all
// operations of a path have stands at the path; in version 2 each parameter but
// the name stands once in the document and is referred to.
#include <stdlib.h>
#include <string.h>

#include "common/api/openapi_internal.h"
#include "common/base/hashmap.h"

struct option_row {
	unsigned sets;
	const char *name;
	const char *options; // the type of meta/v1 that has it as field
};

static const struct option_row options[] = {
        {OPENAPI_PARAMETERS_WATCH, "allowWatchBookmarks", "ListOptions"},
        {OPENAPI_PARAMETERS_LIST, "continue", "ListOptions"},
        {OPENAPI_PARAMETERS_WRITE, "dryRun", "CreateOptions"},
        {OPENAPI_PARAMETERS_DELETE, "dryRun", "DeleteOptions"},
        {OPENAPI_PARAMETERS_WRITE, "fieldManager", "CreateOptions"},
        {OPENAPI_PARAMETERS_APPLY, "fieldManager", "PatchOptions"},
        {OPENAPI_PARAMETERS_LIST, "fieldSelector", "ListOptions"},
        {OPENAPI_PARAMETERS_WRITE | OPENAPI_PARAMETERS_APPLY, "fieldValidation", "CreateOptions"},
        {OPENAPI_PARAMETERS_APPLY, "dryRun", "PatchOptions"},
        {OPENAPI_PARAMETERS_APPLY, "force", "PatchOptions"},
        {OPENAPI_PARAMETERS_DELETE, "gracePeriodSeconds", "DeleteOptions"},
        {OPENAPI_PARAMETERS_DELETE, "ignoreStoreReadErrorWithClusterBreakingPotential", "DeleteOptions"},
        {OPENAPI_PARAMETERS_LIST, "labelSelector", "ListOptions"},
        {OPENAPI_PARAMETERS_LIST, "limit", "ListOptions"},
        {OPENAPI_PARAMETERS_DELETE, "orphanDependents", "DeleteOptions"},
        {OPENAPI_PARAMETERS_DELETE, "propagationPolicy", "DeleteOptions"},
        {OPENAPI_PARAMETERS_LIST, "resourceVersion", "ListOptions"},
        {OPENAPI_PARAMETERS_LIST, "resourceVersionMatch", "ListOptions"},
        {OPENAPI_PARAMETERS_LIST, "sendInitialEvents", "ListOptions"},
        {OPENAPI_PARAMETERS_LIST, "timeoutSeconds", "ListOptions"},
        {OPENAPI_PARAMETERS_WATCH, "watch", "ListOptions"},
};

static const struct {
	unsigned set;
	const char *name, *where, *text;
} other_parameters[] = {
        {OPENAPI_PARAMETERS_PRETTY, "pretty", "query",
         "Whether the answer is indented for people; true when a browser or curl asks."},
        {OPENAPI_PARAMETERS_NAME, "name", "path", "Name of the object."},
        {OPENAPI_PARAMETERS_NAMESPACE, "namespace", "path", "Namespace of the object."},
        {OPENAPI_PARAMETERS_TAIL, "path", "path", "Path that is requested behind the proxy."},
};

static struct json *make_parameter(struct openapi_builder *builder, const char *where, const char *name,
                                   const char *type, const char *description)
{
	struct arena *arena = builder->arena;
	struct json *parameter = json_object(arena);
	if (*description)
		json_set_text(arena, parameter, "description", description);
	json_set_text(arena, parameter, "in", where);
	json_set_text(arena, parameter, "name", name);
	if (strcmp(where, "path") == 0)
		json_set_bool(arena, parameter, "required", true);
	struct json *form = builder->version_3 ? json_ensure_object(arena, parameter, "schema") : parameter;
	json_set_text(arena, form, "type", type);
	json_set_bool(arena, form, "uniqueItems", true);
	return parameter;
}

// A query takes a list as the same parameter several times.
static const char *parameter_type(const struct schema_type *type)
{
	if (type->kind == SCHEMA_LIST)
		type = type->element;
	switch (type->kind) {
	case SCHEMA_BOOL:
		return "boolean";
	case SCHEMA_INT32:
	case SCHEMA_INT64:
		return "integer";
	case SCHEMA_STRING:
		return "string";
	default:
		return NULL;
	}
}

static void add_field(struct openapi_builder *builder, struct json *parameters, const struct schema_field *field)
{
	const char *type = parameter_type(field->type);
	if (type)
		json_append(builder->arena, parameters,
		            make_parameter(builder, "query", field->json_name, type, field->doc ? field->doc : ""));
}

void openapi_add_parameters(struct openapi_builder *builder, struct json *parameters, unsigned sets)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		if (!(options[i].sets & sets))
			continue;
		const char *name = options[i].name;
		add_field(builder, parameters,
		          schema_find_field(openapi_meta_type(options[i].options), name, strlen(name), NULL));
	}
	for (size_t i = 0; i < ARRAY_SIZE(other_parameters); i++)
		if (other_parameters[i].set & sets)
			json_append(builder->arena, parameters,
			            make_parameter(builder, other_parameters[i].where, other_parameters[i].name,
			                           "string", other_parameters[i].text));
}

void openapi_add_option_parameters(struct openapi_builder *builder, struct json *parameters,
                                   const struct schema_type *type)
{
	for (size_t i = 0; i < type->name_count; i++) {
		const struct schema_field *field = &type->fields[type->fields_by_name[i]];
		// kind and apiVersion have no number.
		if (field->proto_number)
			add_field(builder, parameters, field);
	}
}

// --- sharing -----------------------------------------------------------------------------

static bool same_parameter(const struct json *a, const struct json *b)
{
	return strcmp(json_get_text(a, "name"), json_get_text(b, "name")) == 0 &&
	       strcmp(json_get_text(a, "in"), json_get_text(b, "in")) == 0 &&
	       strcmp(json_get_text(a, "in"), "body") != 0;
}

static const struct json *find_parameter(const struct json *operation, const struct json *wanted)
{
	json_for_each_item (parameter, json_get(operation, "parameters"))
		if (same_parameter(parameter, wanted))
			return parameter;
	return NULL;
}

static bool all_operations_have(const struct json *item, const struct json *wanted)
{
	json_for_each_member (operation, item)
		if (!find_parameter(operation->value, wanted))
			return false;
	return true;
}

static int compare_parameters(const void *left, const void *right)
{
	const struct json *a = *(const struct json *const *)left, *b = *(const struct json *const *)right;
	int order = strcmp(json_get_text(a, "name"), json_get_text(b, "name"));
	return order ? order : strcmp(json_get_text(a, "in"), json_get_text(b, "in"));
}

// What is written at the place of a parameter.
static struct json *share(struct openapi_builder *builder, struct json *parameter)
{
	struct arena *arena = builder->arena;
	const char *name = json_get_text(parameter, "name");
	if (!builder->shared_parameters || strcmp(name, "name") == 0)
		return parameter;
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(64 * 1024);
	json_write(&text, parameter);
	const char *key = arena_printf(arena, "%s-%08x", name, fnv32a(text.data, text.length));
	if (!json_get(builder->shared_parameters, key))
		json_set(arena, builder->shared_parameters, key, parameter);
	struct json *reference = json_object(arena);
	json_set_text(arena, reference, "$ref", arena_printf(arena, "#/parameters/%s", key));
	return reference;
}

// The sorted parameters of `from`: those which `item`'s operations all have, or the others.
static struct json *pick(struct openapi_builder *builder, const struct json *item, struct json *from, bool common)
{
	struct json *picked = json_array(builder->arena);
	json_for_each_item (parameter, from)
		if (all_operations_have(item, parameter) == common)
			json_append(builder->arena, picked, parameter);
	if (picked->length)
		qsort(picked->items, picked->length, sizeof(*picked->items), compare_parameters);
	return picked;
}

static void set_shared(struct openapi_builder *builder, struct json *owner, struct json *parameters)
{
	struct json *written = json_array(builder->arena);
	json_for_each_item (parameter, parameters)
		json_append(builder->arena, written, share(builder, parameter));
	if (written->length)
		json_set(builder->arena, owner, "parameters", written);
}

void openapi_hoist_parameters(struct openapi_builder *builder, struct json *item)
{
	struct json **rest = ARENA_ARRAY(builder->arena, struct json *, item->length + 1);
	struct json *common = NULL;
	size_t count = 0;
	json_for_each_member (operation, item) {
		struct json *parameters = json_ensure_array(builder->arena, operation->value, "parameters");
		if (!common)
			common = pick(builder, item, parameters, true);
		rest[count++] = pick(builder, item, parameters, false);
	}
	count = 0;
	json_for_each_member (operation, item) {
		json_remove(operation->value, "parameters");
		set_shared(builder, operation->value, rest[count++]);
	}
	if (common)
		set_shared(builder, item, common);
}
