// SPDX-License-Identifier: Apache-2.0
//
// The paths of a resource: its collection (in all namespaces, and in one), its
// items, their subresources, and the old paths below /watch. An operation is a
// row: what it does, its method, the words of its id, and which parameters, body
// and answers it has. Clients read the ids and actions (generated ones), the kinds
// and the dryRun and fieldValidation parameters (kubectl).
#include <string.h>

#include "common/api/openapi_internal.h"

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
	ANSWER_DELETED, // a Status, or the object of some kinds
	ANSWER_EVENTS,
	ANSWER_LOG,
	ANSWER_STREAM,
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

enum {
	LIST = OPENAPI_PARAMETERS_LIST,
	WATCH = OPENAPI_PARAMETERS_WATCH,
	WRITE = OPENAPI_PARAMETERS_WRITE,
	APPLY = OPENAPI_PARAMETERS_APPLY,
	DELETE = OPENAPI_PARAMETERS_DELETE,
	PRETTY = OPENAPI_PARAMETERS_PRETTY,
};

// clang-format off
static const struct operation_row collection_operations[] = {
        {VERB_DELETE_COLLECTION, "delete", "deletecollection", "delete", LIST | DELETE | PRETTY, BODY_DELETE_OPTIONS, ANSWER_STATUS, {0}},
        {VERB_LIST,              "get",    "list",             "list",   LIST | WATCH | PRETTY,  BODY_NONE,           ANSWER_LIST,   {0}},
        {VERB_CREATE,            "post",   "post",             "create", WRITE | PRETTY,         BODY_OBJECT,         ANSWER_OBJECT, {"201", "202"}},
};

static const struct operation_row item_operations[] = {
        {VERB_DELETE, "delete", "delete", "delete",  DELETE | PRETTY, BODY_DELETE_OPTIONS, ANSWER_DELETED, {"202"}},
        {VERB_GET,    "get",    "get",    "read",    PRETTY,          BODY_NONE,           ANSWER_OBJECT,  {0}},
        {VERB_PATCH,  "patch",  "patch",  "patch",   APPLY | PRETTY,  BODY_PATCH,          ANSWER_OBJECT,  {"201"}},
        {VERB_UPDATE, "put",    "put",    "replace", WRITE | PRETTY,  BODY_OBJECT,         ANSWER_OBJECT,  {"201"}},
};

static const struct operation_row watch_list = {VERB_WATCH, "get", "watchlist", "watch", LIST | WATCH | PRETTY, BODY_NONE, ANSWER_EVENTS, {0}};
static const struct operation_row watch_item = {VERB_WATCH, "get", "watch", "watch", LIST | WATCH | PRETTY, BODY_NONE, ANSWER_EVENTS, {0}};
static const struct operation_row create_subresource = {VERB_CREATE, "post", "post", "create", WRITE | PRETTY, BODY_OBJECT, ANSWER_OBJECT, {"201", "202"}};
static const struct operation_row read_log = {VERB_GET, "get", "get", "read", PRETTY, BODY_NONE, ANSWER_LOG, {0}};

static const struct operation_row connect_operations[] = {
        {VERB_DELETE, "delete",  "connect", "connectDelete",  0, BODY_NONE, ANSWER_STREAM, {0}},
        {VERB_GET,    "get",     "connect", "connectGet",     0, BODY_NONE, ANSWER_STREAM, {0}},
        {VERB_PATCH,  "patch",   "connect", "connectPatch",   0, BODY_NONE, ANSWER_STREAM, {0}},
        {VERB_CREATE, "post",    "connect", "connectPost",    0, BODY_NONE, ANSWER_STREAM, {0}},
        {VERB_UPDATE, "put",     "connect", "connectPut",     0, BODY_NONE, ANSWER_STREAM, {0}},
};
// What a proxy takes beside the methods that are verbs.
static const struct operation_row proxy_operations[] = {
        {VERB_GET,    "head",    "connect", "connectHead",    0, BODY_NONE, ANSWER_STREAM, {0}},
        {VERB_GET,    "options", "connect", "connectOptions", 0, BODY_NONE, ANSWER_STREAM, {0}},
};
// clang-format on

// Kinds whose deletion answers with the object.
static const struct {
	const char *group;
	const char *plural; // NULL = all of the group
} deletion_answers_object[] = {
        {"", "persistentvolumeclaims"},
        {"", "persistentvolumes"},
        {"", "pods"},
        {"", "podtemplates"},
        {"", "resourcequotas"},
        {"", "serviceaccounts"},
        {"", "services"},
        {"resource.k8s.io", NULL},
        {"storage.k8s.io", "csidrivers"},
        {"storage.k8s.io", "csinodes"},
        {"storage.k8s.io", "storageclasses"},
        {"storage.k8s.io", "volumeattachments"},
        {"storage.k8s.io", "volumeattributesclasses"},
};

// One path: of which resource, for which subresource (NULL: none).
struct path_context {
	struct openapi_builder *builder;
	const struct schema_resource *resource;
	const struct schema_subresource *subresource;
	const char *prefix;  // "/apis/apps/v1"
	const char *scope;   // "Namespaced" or "" in operation ids
	const char *suffix;  // "ForAllNamespaces" or ""
	unsigned parameters; // of the path itself
	struct json *item;
};

// --- names -----------------------------------------------------------------------------

static char upper(char character)
{
	return character >= 'a' && character <= 'z' ? (char)(character - 'a' + 'A') : character;
}

// "rbac.authorization.k8s.io" to "RbacAuthorization", "" to "Core".
const char *openapi_group_title(struct arena *arena, const char *group)
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
	return arena_printf(arena, "%s%s%s%s%s%s%s%s%s%s", connects ? "connect" : row->id_verb,
	                    openapi_group_title(arena, resource->group), capitalized(arena, resource->version),
	                    connects ? row->id_verb + 7 : "",
	                    strcmp(row->action, "deletecollection") == 0 ? "Collection" : "", context->scope,
	                    resource->kind, context->subresource ? capitalized(arena, context->subresource->name) : "",
	                    strcmp(row->action, "watchlist") == 0 ? "List" : "", context->suffix);
}

const char *openapi_group_tag(struct arena *arena, const char *group)
{
	char *title = arena_strdup(arena, openapi_group_title(arena, group));
	if (title[0] >= 'A' && title[0] <= 'Z')
		title[0] = (char)(title[0] - 'A' + 'a');
	return title;
}

// exec, log, proxy, …: no object goes either way.
static bool is_stream(const struct schema_subresource *subresource)
{
	return !subresource->body_type;
}

// --- bodies and answers ------------------------------------------------------------------------

static const char *const object_types[] = {"application/json", "application/yaml",
                                           "application/vnd.kubernetes.protobuf", NULL};
static const char *const list_types[] = {"application/json",
                                         "application/yaml",
                                         "application/vnd.kubernetes.protobuf",
                                         "application/json;stream=watch",
                                         "application/vnd.kubernetes.protobuf;stream=watch",
                                         NULL};
// Custom resources have no protobuf.
static const char *const custom_types[] = {"application/json", "application/yaml", NULL};
static const char *const log_types[] = {"text/plain", "application/json", "application/yaml",
                                        "application/vnd.kubernetes.protobuf", NULL};
static const char *const any_types[] = {"*/*", NULL};
static const char *const patch_types[] = {"application/json-patch+json", "application/merge-patch+json",
                                          "application/strategic-merge-patch+json", "application/apply-patch+yaml",
                                          NULL};
static const char *const custom_patch_types[] = {"application/json-patch+json", "application/merge-patch+json",
                                                 "application/apply-patch+yaml", NULL};

struct json *openapi_text_list(struct arena *arena, const char *const *texts)
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

struct json *openapi_plain(struct arena *arena, const char *type)
{
	struct json *schema = json_object(arena);
	json_set_text(arena, schema, "type", type);
	return schema;
}

static struct json *type_or_object(struct openapi_builder *builder, const struct schema_type *type)
{
	return type ? openapi_type(builder, type) : openapi_plain(builder->arena, "object");
}

static bool is_custom(const struct schema_resource *resource)
{
	return !resource->type || resource->type->structural;
}

static void add_body(const struct path_context *context, const struct operation_row *row, struct json *operation,
                     struct json *parameters)
{
	struct openapi_builder *builder = context->builder;
	struct arena *arena = builder->arena;
	const char *const *types = any_types;
	const struct schema_type *type = object_type(context);
	if (row->body == BODY_PATCH) {
		types = is_custom(context->resource) ? custom_patch_types : patch_types;
		type = openapi_meta_type("Patch");
	} else if (row->body == BODY_DELETE_OPTIONS) {
		type = openapi_meta_type("DeleteOptions");
	}
	if (!builder->version_3)
		json_set(arena, operation, "consumes", openapi_text_list(arena, types));
	if (row->body == BODY_NONE)
		return;
	struct json *body =
	        builder->version_3 ? json_ensure_object(arena, operation, "requestBody") : json_object(arena);
	struct json *schema = type_or_object(builder, type);
	if (builder->version_3) {
		json_set(arena, body, "content", content(arena, types, schema));
	} else {
		json_set_text(arena, body, "in", "body");
		json_set_text(arena, body, "name", "body");
		json_set(arena, body, "schema", schema);
		json_append(arena, parameters, body);
	}
	if (row->body != BODY_DELETE_OPTIONS)
		json_set_bool(arena, body, "required", true);
}

static bool deletion_answers_with_object(const struct schema_resource *resource)
{
	for (size_t i = 0; i < ARRAY_SIZE(deletion_answers_object); i++)
		if (strcmp(deletion_answers_object[i].group, resource->group) == 0 &&
		    (!deletion_answers_object[i].plural ||
		     strcmp(deletion_answers_object[i].plural, resource->plural) == 0))
			return true;
	return false;
}

static struct json *answer_schema(const struct path_context *context, enum answer answer)
{
	struct openapi_builder *builder = context->builder;
	if (answer == ANSWER_DELETED)
		answer = deletion_answers_with_object(context->resource) ? ANSWER_OBJECT : ANSWER_STATUS;
	switch (answer) {
	case ANSWER_LIST:
		return type_or_object(builder, openapi_list_type(builder->arena, context->resource));
	case ANSWER_STATUS:
		return type_or_object(builder, openapi_meta_type("Status"));
	case ANSWER_EVENTS:
		return type_or_object(builder, openapi_meta_type("WatchEvent"));
	case ANSWER_LOG:
	case ANSWER_STREAM:
		return openapi_plain(builder->arena, "string");
	default:
		return type_or_object(builder, object_type(context));
	}
}

static const char *const *answer_types(const struct path_context *context, enum answer answer)
{
	if (answer == ANSWER_STREAM)
		return any_types;
	if (is_custom(context->resource))
		return custom_types;
	if (answer == ANSWER_LOG)
		return log_types;
	return answer == ANSWER_LIST || answer == ANSWER_EVENTS ? list_types : object_types;
}

void openapi_add_answer(struct openapi_builder *builder, struct json *operation, const char *code,
                        const char *description, const char *const *types, struct json *schema)
{
	struct arena *arena = builder->arena;
	struct json *responses = json_ensure_object(arena, operation, "responses");
	struct json *response = json_ensure_object(arena, responses, code);
	json_set_text(arena, response, "description", description);
	if (!schema)
		return;
	if (builder->version_3) {
		json_set(arena, response, "content", content(arena, types, schema));
		return;
	}
	json_set(arena, response, "schema", schema);
	json_set(arena, operation, "produces", openapi_text_list(arena, types));
}

static void add_answers(const struct path_context *context, const struct operation_row *row, struct json *operation)
{
	struct openapi_builder *builder = context->builder;
	const char *const *types = answer_types(context, row->answer);
	openapi_add_answer(builder, operation, "200", "OK", types, answer_schema(context, row->answer));
	for (size_t i = 0; i < ARRAY_SIZE(row->more_codes) && row->more_codes[i]; i++)
		openapi_add_answer(builder, operation, row->more_codes[i],
		                   strcmp(row->more_codes[i], "201") == 0 ? "Created" : "Accepted", types,
		                   answer_schema(context, row->answer));
	openapi_add_answer(builder, operation, "401", "Unauthorized", NULL, NULL);
}

// --- operations and paths -----------------------------------------------------------------------

// Streams take their options as parameters.
static const struct schema_type *stream_options(const struct path_context *context)
{
	const struct schema_subresource *subresource = context->subresource;
	if (!subresource || !is_stream(subresource))
		return NULL;
	if (strcmp(subresource->name, "log") == 0)
		return schema_find_type("io.k8s.api.core.v1.PodLogOptions");
	return schema_find_type(arena_printf(context->builder->arena, "io.k8s.api.core.v1.%s", subresource->body_kind));
}

static void add_operation(const struct path_context *context, const struct operation_row *row)
{
	struct openapi_builder *builder = context->builder;
	struct arena *arena = builder->arena;
	const struct schema_resource *resource = context->resource;
	const struct schema_subresource *subresource = context->subresource;
	const struct schema_type *options = stream_options(context);
	struct json *operation = json_ensure_object(arena, context->item, row->method);
	struct json *parameters = json_array(arena);
	const char *tag = arena_printf(arena, "%s_%s", openapi_group_tag(arena, resource->group), resource->version);
	json_append(arena, json_ensure_array(arena, operation, "tags"), json_string(arena, tag));
	json_set_text(arena, operation, "operationId", operation_id(context, row));
	add_body(context, row, operation, parameters);
	openapi_add_parameters(builder, parameters, row->parameters | context->parameters);
	if (options)
		openapi_add_option_parameters(builder, parameters, options);
	json_set(arena, operation, "parameters", parameters);
	add_answers(context, row, operation);
	if (!builder->version_3)
		json_append(arena, json_ensure_array(arena, operation, "schemes"), json_string(arena, "https"));
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

// Begins a path with its own parameters.
static void begin_path(struct path_context *context, unsigned parameters)
{
	context->item = json_object(context->builder->arena);
	context->parameters = parameters;
}

// Adds the path; none when it has no operations.
static void finish_path(const struct path_context *context, const char *path, struct json *paths)
{
	if (!context->item->length)
		return;
	openapi_hoist_parameters(context->builder, context->item);
	json_add_n(context->builder->arena, paths, path, strlen(path), context->item);
}

static unsigned namespace_parameter(const struct path_context *context)
{
	return context->resource->namespaced ? OPENAPI_PARAMETERS_NAMESPACE : 0;
}

// "/namespaces/{namespace}/pods" behind a prefix.
static const char *inside(const struct path_context *context, const char *before, const char *behind)
{
	return arena_printf(context->builder->arena, "%s%s%s/%s%s", context->prefix, before,
	                    context->resource->namespaced ? "/namespaces/{namespace}" : "", context->resource->plural,
	                    behind);
}

static void add_collection(struct path_context *context, struct json *paths)
{
	uint32_t verbs = context->resource->verbs;
	begin_path(context, namespace_parameter(context));
	add_operations(context, collection_operations, ARRAY_SIZE(collection_operations), verbs);
	finish_path(context, inside(context, "", ""), paths);
	begin_path(context, namespace_parameter(context));
	add_operations(context, &watch_list, 1, verbs);
	finish_path(context, inside(context, "/watch", ""), paths);
	if (!context->resource->namespaced)
		return;
	struct path_context all = *context;
	struct arena *arena = context->builder->arena;
	all.scope = "";
	all.suffix = "ForAllNamespaces";
	begin_path(&all, 0);
	add_operations(&all, collection_operations, ARRAY_SIZE(collection_operations), verbs & VERB_LIST);
	finish_path(&all, arena_printf(arena, "%s/%s", all.prefix, all.resource->plural), paths);
	begin_path(&all, 0);
	add_operations(&all, &watch_list, 1, verbs);
	finish_path(&all, arena_printf(arena, "%s/watch/%s", all.prefix, all.resource->plural), paths);
}

static void add_item(struct path_context *context, struct json *paths)
{
	unsigned parameters = OPENAPI_PARAMETERS_NAME | namespace_parameter(context);
	begin_path(context, parameters);
	add_operations(context, item_operations, ARRAY_SIZE(item_operations), context->resource->verbs);
	finish_path(context, inside(context, "", "/{name}"), paths);
	begin_path(context, parameters);
	add_operations(context, &watch_item, 1, context->resource->verbs);
	finish_path(context, inside(context, "/watch", "/{name}"), paths);
}

static void add_connections(struct path_context *context)
{
	uint32_t verbs = context->subresource->verbs;
	add_operations(context, connect_operations, ARRAY_SIZE(connect_operations), verbs);
	if (strcmp(context->subresource->name, "proxy") == 0)
		add_operations(context, proxy_operations, ARRAY_SIZE(proxy_operations), verbs);
}

static void add_subresource(struct path_context *context, struct json *paths)
{
	const struct schema_subresource *subresource = context->subresource;
	unsigned parameters = OPENAPI_PARAMETERS_NAME | namespace_parameter(context);
	const char *path = inside(context, "", arena_printf(context->builder->arena, "/{name}/%s", subresource->name));
	begin_path(context, parameters);
	if (strcmp(subresource->name, "log") == 0) {
		add_operation(context, &read_log);
	} else if (is_stream(subresource)) {
		add_connections(context);
	} else {
		add_operations(context, item_operations, ARRAY_SIZE(item_operations), subresource->verbs);
		add_operations(context, &create_subresource, 1, subresource->verbs);
	}
	finish_path(context, path, paths);
	if (strcmp(subresource->name, "proxy") != 0)
		return;
	context->suffix = "WithPath";
	begin_path(context, parameters | OPENAPI_PARAMETERS_TAIL);
	add_connections(context);
	context->suffix = "";
	finish_path(context, arena_printf(context->builder->arena, "%s/{path}", path), paths);
}

void openapi_add_paths(struct openapi_builder *builder, const struct schema_resource *resource, struct json *paths)
{
	struct path_context context = {.builder = builder,
	                               .resource = resource,
	                               .scope = resource->namespaced ? "Namespaced" : "",
	                               .suffix = ""};
	context.prefix = *resource->group
	                         ? arena_printf(builder->arena, "/apis/%s/%s", resource->group, resource->version)
	                         : arena_printf(builder->arena, "/api/%s", resource->version);
	add_collection(&context, paths);
	add_item(&context, paths);
	for (size_t i = 0; i < resource->subresource_count; i++) {
		context.subresource = &resource->subresources[i];
		add_subresource(&context, paths);
	}
}
