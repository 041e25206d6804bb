// SPDX-License-Identifier: Apache-2.0
//
// The paths that every server has: discovery of groups and resources, the
// version, and where service account tokens can be verified. In version 3 each
// stands in a document of its own name.
#include <string.h>

#include "common/api/openapi_internal.h"

static const char *const discovery_types[] = {"application/json", "application/yaml",
                                              "application/vnd.kubernetes.protobuf", NULL};
static const char *const json_types[] = {"application/json", NULL};
static const char *const key_types[] = {"application/jwk-set+json", NULL};

struct fixed_path {
	const char *document; // its path too, between slashes
	const char *tag;
	const char *id;
	const char *type; // of the answer, NULL = a text
	const char *const *types;
	bool consumes;
};

static const struct fixed_path fixed_paths[] = {
        {".well-known/openid-configuration", "WellKnown", "getServiceAccountIssuerOpenIDConfiguration", NULL,
         json_types, false},
        {"api", "core", "getCoreAPIVersions", "io.k8s.apimachinery.pkg.apis.meta.v1.APIVersions", discovery_types,
         true},
        {"apis", "apis", "getAPIVersions", "io.k8s.apimachinery.pkg.apis.meta.v1.APIGroupList", discovery_types, true},
        {"openid/v1/jwks", "openid", "getServiceAccountIssuerOpenIDKeyset", NULL, key_types, false},
        {"version", "version", "getCodeVersion", "io.k8s.apimachinery.pkg.version.Info", json_types, true},
};

static void add_path(struct openapi_builder *builder, const struct fixed_path *row, struct json *paths)
{
	struct arena *arena = builder->arena;
	struct json *item = json_object(arena);
	struct json *operation = json_ensure_object(arena, item, "get");
	json_append(arena, json_ensure_array(arena, operation, "tags"), json_string(arena, row->tag));
	json_set_text(arena, operation, "operationId", row->id);
	if (!builder->version_3 && row->consumes)
		json_set(arena, operation, "consumes", openapi_text_list(arena, row->types));
	openapi_add_answer(builder, operation, "200", "OK", row->types,
	                   row->type ? openapi_reference(builder, schema_find_type(row->type))
	                             : openapi_plain(arena, "string"));
	openapi_add_answer(builder, operation, "401", "Unauthorized", NULL, NULL);
	if (!builder->version_3)
		json_append(arena, json_ensure_array(arena, operation, "schemes"), json_string(arena, "https"));
	const char *path = arena_printf(arena, "/%s/", row->document);
	json_add_n(arena, paths, path, strlen(path), item);
}

// "/apis/apps/": the versions of a group.
static void add_group(struct openapi_builder *builder, const char *group, struct json *paths)
{
	struct arena *arena = builder->arena;
	const struct fixed_path row = {
	        .document = arena_printf(arena, "apis/%s", group),
	        .tag = openapi_group_tag(arena, group),
	        .id = arena_printf(arena, "get%sAPIGroup", openapi_group_title(arena, group)),
	        .type = "io.k8s.apimachinery.pkg.apis.meta.v1.APIGroup",
	        .types = discovery_types,
	        .consumes = true,
	};
	add_path(builder, &row, paths);
}

void openapi_add_group_version(struct openapi_builder *builder, const struct schema_resource *resource,
                               struct json *paths)
{
	struct arena *arena = builder->arena;
	const char *group = resource->group, *version = resource->version;
	char *title = arena_strdup(arena, version);
	title[0] = (char)(title[0] >= 'a' && title[0] <= 'z' ? title[0] - 'a' + 'A' : title[0]);
	const struct fixed_path row = {
	        .document = *group ? arena_printf(arena, "apis/%s/%s", group, version)
	                           : arena_printf(arena, "api/%s", version),
	        .tag = arena_printf(arena, "%s_%s", openapi_group_tag(arena, group), version),
	        .id = arena_printf(arena, "get%s%sAPIResources", openapi_group_title(arena, group), title),
	        .type = "io.k8s.apimachinery.pkg.apis.meta.v1.APIResourceList",
	        .types = discovery_types,
	        .consumes = true,
	};
	add_path(builder, &row, paths);
}

void openapi_add_fixed_paths(struct openapi_builder *builder, const char *document, struct json *paths)
{
	for (size_t i = 0; i < ARRAY_SIZE(fixed_paths); i++)
		if (!document || strcmp(document, fixed_paths[i].document) == 0)
			add_path(builder, &fixed_paths[i], paths);
	for (size_t i = 0; i < builder->resource_count; i++) {
		const char *group = builder->resources[i]->group;
		bool first = *group && (i == 0 || strcmp(builder->resources[i - 1]->group, group) != 0);
		if (first && (!document || strcmp(document, arena_printf(builder->arena, "apis/%s", group)) == 0))
			add_group(builder, group, paths);
	}
}

void openapi_each_fixed_document(struct openapi_builder *builder, openapi_document_visitor *visit, void *context)
{
	for (size_t i = 0; i < ARRAY_SIZE(fixed_paths); i++)
		visit(context, fixed_paths[i].document);
	for (size_t i = 0; i < builder->resource_count; i++) {
		const char *group = builder->resources[i]->group;
		if (*group && (i == 0 || strcmp(builder->resources[i - 1]->group, group) != 0))
			visit(context, arena_printf(builder->arena, "apis/%s", group));
	}
}
