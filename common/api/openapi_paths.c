// SPDX-License-Identifier: Apache-2.0
//
// The paths of a resource: its collection (in all namespaces, and in one), its
// items, and their subresources. An operation is a row: what it does, its
// method, the words of its id, and which parameters, body and answers it has.
// Clients read the ids and actions (generated ones), the kinds and the dryRun
// and fieldValidation parameters (kubectl).
#include <string.h>

#include "common/api/openapi_internal.h"

enum parameter_set {
	PARAMETERS_LIST = 1 << 0,
	PARAMETERS_WRITE = 1 << 1, // dryRun, fieldManager, fieldValidation
	PARAMETERS_FORCE = 1 << 2,
	PARAMETERS_DELETE = 1 << 3,
};

enum body {
	BODY_NONE,
	BODY_OBJECT,
	BODY_PATCH,
	BODY_DELETE_OPTIONS,
};

enum answer {
	ANSWER_OBJECT,
	ANSWER_LIST,
	ANSWER_STATUS,
	ANSWER_TEXT,
};

struct operation_row {
	enum schema_verb verb;
	const char *method;
	const char *action;
	const char *id_verb;
	unsigned parameters;
	enum body body;
	enum answer answer;
	const char *more_codes[2]; // besides 200
};

static const struct operation_row collection_operations[] = {
        {VERB_DELETE_COLLECTION,
         "delete",
         "deletecollection",
         "delete",
         PARAMETERS_LIST | PARAMETERS_DELETE,
         BODY_DELETE_OPTIONS,
         ANSWER_STATUS,
         {0}},
        {VERB_LIST, "get", "list", "list", PARAMETERS_LIST, BODY_NONE, ANSWER_LIST, {0}},
        {VERB_CREATE, "post", "post", "create", PARAMETERS_WRITE, BODY_OBJECT, ANSWER_OBJECT, {"201", "202"}},
};

static const struct operation_row item_operations[] = {
        {VERB_DELETE, "delete", "delete", "delete", PARAMETERS_DELETE, BODY_DELETE_OPTIONS, ANSWER_STATUS, {"202"}},
        {VERB_GET, "get", "get", "read", 0, BODY_NONE, ANSWER_OBJECT, {0}},
        {VERB_PATCH,
         "patch",
         "patch",
         "patch",
         PARAMETERS_WRITE | PARAMETERS_FORCE,
         BODY_PATCH,
         ANSWER_OBJECT,
         {"201"}},
        {VERB_UPDATE, "put", "put", "replace", PARAMETERS_WRITE, BODY_OBJECT, ANSWER_OBJECT, {"201"}},
};

static const struct operation_row create_subresource = {VERB_CREATE,      "post",      "post",        "create",
                                                        PARAMETERS_WRITE, BODY_OBJECT, ANSWER_OBJECT, {"201", "202"}};
static const struct operation_row read_text = {VERB_GET, "get", "get", "read", 0, BODY_NONE, ANSWER_TEXT, {0}};
static const struct operation_row connect_operations[] = {
        {VERB_DELETE, "delete", "connect", "connectDelete", 0, BODY_NONE, ANSWER_TEXT, {0}},
        {VERB_GET, "get", "connect", "connectGet", 0, BODY_NONE, ANSWER_TEXT, {0}},
        {VERB_PATCH, "patch", "connect", "connectPatch", 0, BODY_NONE, ANSWER_TEXT, {0}},
        {VERB_CREATE, "post", "connect", "connectPost", 0, BODY_NONE, ANSWER_TEXT, {0}},
        {VERB_UPDATE, "put", "connect", "connectPut", 0, BODY_NONE, ANSWER_TEXT, {0}},
};

struct parameter_row {
	unsigned set;
	const char *name;
	const char *type;
	const char *description;
};

static const struct parameter_row query_parameters[] = {
        {PARAMETERS_LIST, "allowWatchBookmarks", "boolean", "Whether a watch may send events of type BOOKMARK."},
        {PARAMETERS_LIST, "continue", "string", "The token that an earlier, incomplete list answer gave."},
        {PARAMETERS_LIST, "fieldSelector", "string", "Only objects whose fields match."},
        {PARAMETERS_LIST, "labelSelector", "string", "Only objects whose labels match."},
        {PARAMETERS_LIST, "limit", "integer", "The largest number of items in the answer."},
        {PARAMETERS_LIST, "resourceVersion", "string", "The version that the answer is to be of, or to begin at."},
        {PARAMETERS_LIST, "resourceVersionMatch", "string", "How resourceVersion is meant."},
        {PARAMETERS_LIST, "sendInitialEvents", "boolean", "Whether a watch begins with the objects that are there."},
        {PARAMETERS_LIST, "timeoutSeconds", "integer", "How long the call may last."},
        {PARAMETERS_LIST, "watch", "boolean", "Whether to stream changes instead of a list."},
        {PARAMETERS_WRITE | PARAMETERS_DELETE, "dryRun", "string", "All: do everything but store the result."},
        {PARAMETERS_WRITE, "fieldManager", "string", "The name of the one who changes the fields."},
        {PARAMETERS_WRITE, "fieldValidation", "string",
         "Ignore, Warn or Strict: what becomes of unknown and duplicate fields."},
        {PARAMETERS_FORCE, "force", "boolean", "Whether an apply takes fields over from other managers."},
        {PARAMETERS_DELETE, "gracePeriodSeconds", "integer", "How long the object may take to end."},
        {PARAMETERS_DELETE, "orphanDependents", "boolean",
         "Whether dependents stay. Deprecated, use propagationPolicy."},
        {PARAMETERS_DELETE, "propagationPolicy", "string", "Orphan, Background or Foreground."},
};

// One path: of which resource, for which subresource (NULL: none).
struct path_context {
	struct openapi_builder *builder;
	const struct schema_resource *resource;
	const struct schema_subresource *subresource;
	const char *scope;  // "Namespaced" or "" in operation ids
	const char *suffix; // "ForAllNamespaces" or ""
	struct json *item;
};

// --- names -----------------------------------------------------------------------------

static char upper(char character)
{
	return character >= 'a' && character <= 'z' ? (char)(character - 'a' + 'A') : character;
}

// "rbac.authorization.k8s.io" to "RbacAuthorization", "" to "Core".
static const char *group_title(struct arena *arena, const char *group)
{
	const char *suffix = strstr(group, ".k8s.io");
	size_t length = suffix && !suffix[strlen(".k8s.io")] ? (size_t)(suffix - group) : strlen(group);
	char *title = arena_alloc(arena, length + 8);
	size_t written = 0;
	if (!length)
		return "Core";
	for (size_t i = 0; i < length; i++) {
		bool first = i == 0 || group[i - 1] == '.' || group[i - 1] == '-';
		if (group[i] != '.' && group[i] != '-')
			title[written++] = first ? upper(group[i]) : group[i];
	}
	title[written] = '\0';
	return title;
}

static const char *capitalized(struct arena *arena, const char *text)
{
	char *copy = arena_strdup(arena, text);
	copy[0] = upper(copy[0]);
	return copy;
}

static const char *operation_id(const struct path_context *context, const struct operation_row *row)
{
	struct arena *arena = context->builder->arena;
	const struct schema_resource *resource = context->resource;
	bool connects = strncmp(row->id_verb, "connect", 7) == 0;
	const char *group =
	        arena_printf(arena, "%s%s", group_title(arena, resource->group), capitalized(arena, resource->version));
	return arena_printf(
	        arena, "%s%s%s%s%s%s%s%s", connects ? "connect" : row->id_verb, group, connects ? row->id_verb + 7 : "",
	        strcmp(row->action, "deletecollection") == 0 ? "Collection" : "", context->scope, resource->kind,
	        context->subresource ? capitalized(arena, context->subresource->name) : "", context->suffix);
}

// "rbacAuthorization_v1"
static const char *tag(struct arena *arena, const struct schema_resource *resource)
{
	char *title = arena_printf(arena, "%s_%s", group_title(arena, resource->group), resource->version);
	if (title[0] >= 'A' && title[0] <= 'Z')
		title[0] = (char)(title[0] - 'A' + 'a');
	return title;
}

// --- parameters -----------------------------------------------------------------------------

static struct json *parameter(struct openapi_builder *builder, const char *where, const char *name, const char *type,
                              const char *description)
{
	struct arena *arena = builder->arena;
	struct json *object = json_object(arena);
	json_set_text(arena, object, "name", name);
	json_set_text(arena, object, "in", where);
	if (*description)
		json_set_text(arena, object, "description", description);
	if (strcmp(where, "path") == 0)
		json_set_bool(arena, object, "required", true);
	struct json *form = builder->version_3 ? json_ensure_object(arena, object, "schema") : object;
	json_set_text(arena, form, "type", type);
	json_set_bool(arena, form, "uniqueItems", true);
	return object;
}

static const char *parameter_type(const struct schema_type *type)
{
	switch (type->kind) {
	case SCHEMA_BOOL:
		return "boolean";
	case SCHEMA_INT32:
	case SCHEMA_INT64:
		return "integer";
	case SCHEMA_STRING:
	case SCHEMA_TIME:
		return "string";
	default:
		return NULL;
	}
}

// Streams take their options as parameters, by the names of the options type's fields.
static void add_stream_parameters(const struct path_context *context, struct json *parameters)
{
	struct openapi_builder *builder = context->builder;
	const struct schema_subresource *subresource = context->subresource;
	if (!subresource || subresource->body_type)
		return;
	bool is_log = strcmp(subresource->name, "log") == 0;
	const char *kind = is_log ? "PodLogOptions" : subresource->body_kind;
	const struct schema_type *type = schema_find_type(arena_printf(builder->arena, "io.k8s.api.core.v1.%s", kind));
	for (size_t i = 0; type && i < type->name_count; i++) {
		const struct schema_field *field = &type->fields[type->fields_by_name[i]];
		const struct schema_type *value = field->type->kind == SCHEMA_LIST ? field->type->element : field->type;
		const char *form = parameter_type(value);
		if (form && strcmp(field->json_name, "kind") != 0 && strcmp(field->json_name, "apiVersion") != 0)
			json_append(builder->arena, parameters,
			            parameter(builder, "query", field->json_name, form, field->doc ? field->doc : ""));
	}
}

static struct json *operation_parameters(const struct path_context *context, const struct operation_row *row)
{
	struct openapi_builder *builder = context->builder;
	struct json *parameters = json_array(builder->arena);
	for (size_t i = 0; i < ARRAY_SIZE(query_parameters); i++)
		if (query_parameters[i].set & row->parameters)
			json_append(builder->arena, parameters,
			            parameter(builder, "query", query_parameters[i].name, query_parameters[i].type,
			                      query_parameters[i].description));
	add_stream_parameters(context, parameters);
	return parameters;
}

static void add_path_parameters(struct openapi_builder *builder, struct json *item, bool has_name, bool has_namespace,
                                bool has_tail)
{
	struct json *parameters = json_ensure_array(builder->arena, item, "parameters");
	if (has_name)
		json_append(builder->arena, parameters,
		            parameter(builder, "path", "name", "string", "The name of the object."));
	if (has_namespace)
		json_append(builder->arena, parameters,
		            parameter(builder, "path", "namespace", "string", "The namespace of the object."));
	if (has_tail)
		json_append(builder->arena, parameters,
		            parameter(builder, "path", "path", "string", "The path behind the proxy."));
	json_append(builder->arena, parameters,
	            parameter(builder, "query", "pretty", "string", "Whether the answer is indented."));
}

// --- bodies and answers ------------------------------------------------------------------------

static const char *const object_types[] = {"application/json", "application/yaml", NULL};
static const char *const any_types[] = {"*/*", NULL};
static const char *const text_types[] = {"*/*", NULL};
static const char *const patch_types[] = {"application/json-patch+json", "application/merge-patch+json",
                                          "application/strategic-merge-patch+json", NULL};
static const char *const custom_patch_types[] = {"application/json-patch+json", "application/merge-patch+json", NULL};

static struct json *text_list(struct arena *arena, const char *const *texts)
{
	struct json *list = json_array(arena);
	for (; *texts; texts++)
		json_append(arena, list, json_string(arena, *texts));
	return list;
}

// Version 3: {"application/json": {"schema": …}, …}.
static struct json *content(struct arena *arena, const char *const *types, struct json *schema)
{
	struct json *object = json_object(arena);
	for (; *types; types++) {
		struct json *entry = json_object(arena);
		json_set(arena, entry, "schema", schema);
		json_set(arena, object, *types, entry);
	}
	return object;
}

static const struct schema_type *object_type(const struct path_context *context)
{
	return context->subresource ? context->subresource->body_type : context->resource->type;
}

static struct json *plain_schema(struct arena *arena, const char *type)
{
	struct json *schema = json_object(arena);
	json_set_text(arena, schema, "type", type);
	return schema;
}

static struct json *type_or_object(struct openapi_builder *builder, const struct schema_type *type)
{
	return type ? openapi_type(builder, type) : plain_schema(builder->arena, "object");
}

static bool is_custom(const struct schema_resource *resource)
{
	return !resource->type || !resource->type->openapi_name ||
	       strncmp(resource->type->openapi_name, "io.k8s.", 7) != 0;
}

static void add_body(const struct path_context *context, const struct operation_row *row, struct json *operation,
                     struct json *parameters)
{
	struct openapi_builder *builder = context->builder;
	struct arena *arena = builder->arena;
	const char *const *types = any_types;
	const struct schema_type *type = object_type(context);
	if (row->body == BODY_NONE)
		return;
	if (row->body == BODY_PATCH) {
		types = is_custom(context->resource) ? custom_patch_types : patch_types;
		type = openapi_meta_type("Patch");
	} else if (row->body == BODY_DELETE_OPTIONS) {
		type = openapi_meta_type("DeleteOptions");
	}
	struct json *schema = type_or_object(builder, type);
	bool required = row->body != BODY_DELETE_OPTIONS;
	if (builder->version_3) {
		struct json *body = json_ensure_object(arena, operation, "requestBody");
		json_set(arena, body, "content", content(arena, types, schema));
		if (required)
			json_set_bool(arena, body, "required", true);
		return;
	}
	json_set(arena, operation, "consumes", text_list(arena, types));
	struct json *body = json_object(arena);
	json_set_text(arena, body, "in", "body");
	json_set_text(arena, body, "name", "body");
	if (required)
		json_set_bool(arena, body, "required", true);
	json_set(arena, body, "schema", schema);
	json_append(arena, parameters, body);
}

static struct json *answer_schema(const struct path_context *context, enum answer answer)
{
	struct openapi_builder *builder = context->builder;
	switch (answer) {
	case ANSWER_LIST:
		return type_or_object(builder, openapi_list_type(builder->arena, context->resource));
	case ANSWER_STATUS:
		return type_or_object(builder, openapi_meta_type("Status"));
	case ANSWER_TEXT:
		return plain_schema(builder->arena, "string");
	default:
		return type_or_object(builder, object_type(context));
	}
}

static void add_answer(const struct path_context *context, struct json *responses, const char *code,
                       const char *description, enum answer answer)
{
	struct arena *arena = context->builder->arena;
	struct json *response = json_ensure_object(arena, responses, code);
	json_set_text(arena, response, "description", description);
	struct json *schema = answer_schema(context, answer);
	if (context->builder->version_3)
		json_set(arena, response, "content",
		         content(arena, answer == ANSWER_TEXT ? text_types : object_types, schema));
	else
		json_set(arena, response, "schema", schema);
}

static void add_answers(const struct path_context *context, const struct operation_row *row, struct json *operation)
{
	struct arena *arena = context->builder->arena;
	struct json *responses = json_ensure_object(arena, operation, "responses");
	add_answer(context, responses, "200", "OK", row->answer);
	for (size_t i = 0; i < ARRAY_SIZE(row->more_codes) && row->more_codes[i]; i++)
		add_answer(context, responses, row->more_codes[i],
		           strcmp(row->more_codes[i], "201") == 0 ? "Created" : "Accepted", row->answer);
	json_set_text(arena, json_ensure_object(arena, responses, "401"), "description", "Unauthorized");
	if (!context->builder->version_3)
		json_set(arena, operation, "produces",
		         text_list(arena, row->answer == ANSWER_TEXT ? text_types : object_types));
}

// --- operations and paths -----------------------------------------------------------------------

static void add_operation(const struct path_context *context, const struct operation_row *row)
{
	struct arena *arena = context->builder->arena;
	const struct schema_resource *resource = context->resource;
	const struct schema_subresource *subresource = context->subresource;
	struct json *operation = json_ensure_object(arena, context->item, row->method);
	struct json *parameters = operation_parameters(context, row);
	struct json *tags = json_ensure_array(arena, operation, "tags");
	json_append(arena, tags, json_string(arena, tag(arena, resource)));
	json_set_text(arena, operation, "operationId", operation_id(context, row));
	add_body(context, row, operation, parameters);
	if (parameters->length)
		json_set(arena, operation, "parameters", parameters);
	add_answers(context, row, operation);
	json_set_text(arena, operation, "x-kubernetes-action", row->action);
	json_set(arena, operation, "x-kubernetes-group-version-kind",
	         subresource ? openapi_kind(arena, subresource->body_group, subresource->body_version,
	                                    subresource->body_kind)
	                     : openapi_kind(arena, resource->group, resource->version, resource->kind));
}

static void add_operations(const struct path_context *context, const struct operation_row *rows, size_t count,
                           uint32_t verbs)
{
	for (size_t i = 0; i < count; i++)
		if (rows[i].verb & verbs)
			add_operation(context, &rows[i]);
}

// Adds a path; none when it has no operations.
static void finish_path(struct json *paths, struct openapi_builder *builder, const char *path, struct json *item,
                        bool has_name, bool has_namespace)
{
	if (!item->length)
		return;
	add_path_parameters(builder, item, has_name, has_namespace, strstr(path, "{path}") != NULL);
	json_add_n(builder->arena, paths, path, strlen(path), item);
}

static void add_collection(struct openapi_builder *builder, const struct schema_resource *resource, const char *prefix,
                           struct json *paths)
{
	struct arena *arena = builder->arena;
	struct path_context context = {.builder = builder,
	                               .resource = resource,
	                               .scope = resource->namespaced ? "Namespaced" : "",
	                               .suffix = "",
	                               .item = json_object(arena)};
	const char *inside = resource->namespaced ? "/namespaces/{namespace}" : "";
	add_operations(&context, collection_operations, ARRAY_SIZE(collection_operations), resource->verbs);
	finish_path(paths, builder, arena_printf(arena, "%s%s/%s", prefix, inside, resource->plural), context.item,
	            false, resource->namespaced);
	if (!resource->namespaced)
		return;
	context.scope = "";
	context.suffix = "ForAllNamespaces";
	context.item = json_object(arena);
	add_operations(&context, collection_operations, ARRAY_SIZE(collection_operations), resource->verbs & VERB_LIST);
	finish_path(paths, builder, arena_printf(arena, "%s/%s", prefix, resource->plural), context.item, false, false);
}

static void add_subresource(struct path_context *context, const char *path, struct json *paths)
{
	struct openapi_builder *builder = context->builder;
	const struct schema_subresource *subresource = context->subresource;
	bool namespaced = context->resource->namespaced;
	context->item = json_object(builder->arena);
	if (!subresource->body_type && strcmp(subresource->name, "log") == 0) {
		add_operation(context, &read_text);
	} else if (!subresource->body_type) {
		add_operations(context, connect_operations, ARRAY_SIZE(connect_operations), subresource->verbs);
	} else {
		add_operations(context, item_operations, ARRAY_SIZE(item_operations), subresource->verbs);
		if (subresource->verbs & VERB_CREATE)
			add_operation(context, &create_subresource);
	}
	path = arena_printf(builder->arena, "%s/%s", path, subresource->name);
	finish_path(paths, builder, path, context->item, true, namespaced);
	if (strcmp(subresource->name, "proxy") != 0)
		return;
	context->suffix = "WithPath";
	context->item = json_object(builder->arena);
	add_operations(context, connect_operations, ARRAY_SIZE(connect_operations), subresource->verbs);
	context->suffix = "";
	finish_path(paths, builder, arena_printf(builder->arena, "%s/{path}", path), context->item, true, namespaced);
}

void openapi_add_paths(struct openapi_builder *builder, const struct schema_resource *resource, struct json *paths)
{
	struct arena *arena = builder->arena;
	const char *prefix = *resource->group ? arena_printf(arena, "/apis/%s/%s", resource->group, resource->version)
	                                      : arena_printf(arena, "/api/%s", resource->version);
	struct path_context context = {.builder = builder,
	                               .resource = resource,
	                               .scope = resource->namespaced ? "Namespaced" : "",
	                               .suffix = "",
	                               .item = json_object(arena)};
	const char *path = arena_printf(arena, "%s%s/%s/{name}", prefix,
	                                resource->namespaced ? "/namespaces/{namespace}" : "", resource->plural);
	add_collection(builder, resource, prefix, paths);
	add_operations(&context, item_operations, ARRAY_SIZE(item_operations), resource->verbs);
	finish_path(paths, builder, path, context.item, true, resource->namespaced);
	for (size_t i = 0; i < resource->subresource_count; i++) {
		context.subresource = &resource->subresources[i];
		add_subresource(&context, path, paths);
	}
}
