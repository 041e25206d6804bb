// SPDX-License-Identifier: Apache-2.0
//
// The OpenAPI documents as a whole. A document is built as a tree in an arena
// (paths first: they say which types are reached), then written. The version 3
// index holds a hash of each document, as part of the URL that clients may cache
// for ever.
#include "common/api/openapi.h"

#include <string.h>

#include "common/api/openapi_internal.h"
#include "common/base/hashmap.h"

static int compare_resources(const void *left, const void *right)
{
	const struct schema_resource *a = *(const struct schema_resource *const *)left;
	const struct schema_resource *b = *(const struct schema_resource *const *)right;
	int order = strcmp(a->group, b->group);
	if (!order)
		order = strcmp(a->version, b->version);
	return order ? order : strcmp(a->plural, b->plural);
}

// The resources of one group and version (all when `group` is NULL), sorted.
static void select_resources(struct openapi_builder *builder, const struct schema_resource *const *resources,
                             size_t count, const char *group, const char *version)
{
	const struct schema_resource **selected =
	        ARENA_ARRAY(builder->arena, const struct schema_resource *, count + 1);
	size_t selected_count = 0;
	for (size_t i = 0; i < count; i++)
		if (!group || (strcmp(resources[i]->group, group) == 0 && strcmp(resources[i]->version, version) == 0))
			selected[selected_count++] = resources[i];
	if (selected_count)
		qsort(selected, selected_count, sizeof(*selected), compare_resources);
	builder->resources = selected;
	builder->resource_count = selected_count;
}

void openapi_select_resources(struct openapi_builder *builder, const struct schema_resource *const *resources,
                              size_t count)
{
	select_resources(builder, resources, count, NULL, NULL);
}

// Whether the i-th of the sorted resources is the first of its group and version.
static bool starts_group_version(const struct openapi_builder *builder, size_t i)
{
	const struct schema_resource *const *resources = builder->resources;
	return i == 0 || strcmp(resources[i - 1]->group, resources[i]->group) != 0 ||
	       strcmp(resources[i - 1]->version, resources[i]->version) != 0;
}

static struct json *info(struct arena *arena)
{
	struct json *object = json_object(arena);
	json_set_text(arena, object, "title", "Kubernetes");
	json_set_text(arena, object, "version", CARAVEL_VERSION);
	return object;
}

// {"BearerToken": {…}}
static struct json *security_schemes(struct arena *arena)
{
	struct json *schemes = json_object(arena);
	struct json *token = json_ensure_object(arena, schemes, "BearerToken");
	json_set_text(arena, token, "description", "Bearer Token authentication");
	json_set_text(arena, token, "in", "header");
	json_set_text(arena, token, "name", "authorization");
	json_set_text(arena, token, "type", "apiKey");
	return schemes;
}

// Adds the paths that list the resources of each group and version.
static void add_group_versions(struct openapi_builder *builder, struct json *paths)
{
	for (size_t i = 0; i < builder->resource_count; i++)
		if (starts_group_version(builder, i))
			openapi_add_group_version(builder, builder->resources[i], paths);
}

// Paths (of all resources, or of one fixed document) and then definitions.
static struct json *build_paths(struct openapi_builder *builder, const char *document)
{
	struct json *paths = json_object(builder->arena);
	builder->definitions = json_object(builder->arena);
	builder->known = hashmap_new(NULL);
	if (document || !builder->version_3)
		openapi_add_fixed_paths(builder, document, paths);
	if (!document) {
		add_group_versions(builder, paths);
		for (size_t i = 0; i < builder->resource_count; i++)
			openapi_add_paths(builder, builder->resources[i], paths);
	}
	openapi_define_all(builder);
	builder->known = hashmap_free(builder->known);
	return paths;
}

struct json *openapi_build_v2(struct openapi_builder *builder)
{
	struct arena *arena = builder->arena;
	struct json *document = json_object(arena);
	builder->shared_parameters = json_object(arena);
	json_set_text(arena, document, "swagger", "2.0");
	json_set(arena, document, "info", info(arena));
	json_set(arena, document, "paths", build_paths(builder, NULL));
	json_set(arena, document, "definitions", builder->definitions);
	json_set(arena, document, "parameters", builder->shared_parameters);
	json_sort_keys(builder->shared_parameters);
	json_set(arena, document, "securityDefinitions", security_schemes(arena));
	struct json *token = json_object(arena);
	(void)json_ensure_array(arena, token, "BearerToken");
	json_append(arena, json_ensure_array(arena, document, "security"), token);
	return document;
}

static struct json *build_v3(struct openapi_builder *builder, const char *fixed_document)
{
	struct arena *arena = builder->arena;
	struct json *document = json_object(arena);
	json_set_text(arena, document, "openapi", "3.0.0");
	json_set(arena, document, "info", info(arena));
	json_set(arena, document, "paths", build_paths(builder, fixed_document));
	struct json *components = json_ensure_object(arena, document, "components");
	if (builder->definitions->length)
		json_set(arena, components, "schemas", builder->definitions);
	json_set(arena, components, "securitySchemes", security_schemes(arena));
	return document;
}

void openapi_write_v2(struct strbuf *out, const struct schema_resource *const *resources, size_t count)
{
	AUTO(arena_free) struct arena *arena = arena_new(1 << 20);
	struct openapi_builder builder = {.arena = arena};
	select_resources(&builder, resources, count, NULL, NULL);
	json_write(out, openapi_build_v2(&builder));
}

bool openapi_write_v3(struct strbuf *out, const struct schema_resource *const *resources, size_t count,
                      const char *group, const char *version)
{
	AUTO(arena_free) struct arena *arena = arena_new(256 * 1024);
	struct openapi_builder builder = {.arena = arena, .version_3 = true};
	select_resources(&builder, resources, count, group, version);
	if (!builder.resource_count)
		return false;
	json_write(out, build_v3(&builder, NULL));
	return true;
}

bool openapi_write_v3_fixed(struct strbuf *out, const struct schema_resource *const *resources, size_t count,
                            const char *document)
{
	AUTO(arena_free) struct arena *arena = arena_new(16 * 1024);
	struct openapi_builder builder = {.arena = arena, .version_3 = true};
	select_resources(&builder, resources, count, NULL, NULL);
	struct json *tree = build_v3(&builder, document);
	if (!json_get(tree, "paths")->length)
		return false;
	json_write(out, tree);
	return true;
}

// The index that is being made.
struct index {
	struct openapi_builder *all;
	struct json *paths;
	const struct schema_resource *const *resources;
	size_t count;
};

static void add_to_index(struct index *index, const char *name, const struct strbuf *text)
{
	struct arena *arena = index->all->arena;
	unsigned long long hash = fnv64a(text->data, text->length);
	struct json *entry = json_ensure_object(arena, index->paths, name);
	json_set_text(arena, entry, "serverRelativeURL",
	              arena_printf(arena, "/openapi/v3/%s?hash=%016llX", name, hash));
}

static void index_fixed(void *context, const char *document)
{
	struct index *index = context;
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(SIZE_MAX / 2);
	if (openapi_write_v3_fixed(&text, index->resources, index->count, document))
		add_to_index(index, document, &text);
}

static void index_group_version(struct index *index, const struct schema_resource *resource)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(SIZE_MAX / 2);
	struct arena *arena = index->all->arena;
	const char *name = *resource->group ? arena_printf(arena, "apis/%s/%s", resource->group, resource->version)
	                                    : arena_printf(arena, "api/%s", resource->version);
	if (openapi_write_v3(&text, index->resources, index->count, resource->group, resource->version))
		add_to_index(index, name, &text);
}

void openapi_write_v3_index(struct strbuf *out, const struct schema_resource *const *resources, size_t count)
{
	AUTO(arena_free) struct arena *arena = arena_new(16 * 1024);
	struct openapi_builder all = {.arena = arena};
	struct json *document = json_object(arena);
	struct index index = {&all, json_ensure_object(arena, document, "paths"), resources, count};
	select_resources(&all, resources, count, NULL, NULL);
	openapi_each_fixed_document(&all, index_fixed, &index);
	for (size_t i = 0; i < all.resource_count; i++)
		if (starts_group_version(&all, i))
			index_group_version(&index, all.resources[i]);
	json_sort_keys(index.paths);
	json_write(out, document);
}
