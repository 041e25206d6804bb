// SPDX-License-Identifier: Apache-2.0
// The other servers' groups within this server's documents. What they serve is
// known from the APIResourceList that each check brings; a version whose server
// can't be reached stays in the list of groups, so that clients say which part is
// missing, and its resources are told as stale.

#include <string.h>

#include "apiserver/aggregation/aggregation.h"
#include "apiserver/request.h"
#include "apiserver/validation/validation.h"

static struct json *parse(struct arena *arena, const char *data, size_t length)
{
	struct json *tree = NULL;

	return json_parse(arena, data, length, NULL, &tree, NULL) == 0 ? tree : NULL;
}

static void rewrite(struct strbuf *document, const struct json *tree)
{
	strbuf_clear(document);
	json_write(document, tree);
}

// --- the list of groups ------------------------------------------------------------------------

static struct json *find_group(const struct json *list, const char *name)
{
	json_for_each_item (group, list)
		if (!strcmp(text_of(group, "name"), name))
			return group;
	return NULL;
}

static struct json *version_of(struct arena *arena, const struct api_service *service)
{
	struct json *version = json_object(arena);

	json_set_text(arena, version, "groupVersion", arena_printf(arena, "%s/%s", service->group, service->version));
	json_set_text(arena, version, "version", service->version);
	return version;
}

static bool has_version(const struct json *group, const char *name)
{
	json_for_each_item (version, json_get(group, "versions"))
		if (!strcmp(text_of(version, "version"), name))
			return true;
	return false;
}

// Versions of one group by priority, then by the order of versions.
static bool goes_before(const struct api_service *a, const struct api_service *b)
{
	if (a->version_priority != b->version_priority)
		return a->version_priority > b->version_priority;
	return schema_compare_versions(a->version, b->version) < 0;
}

// The services of the group that `first` begins, the preferred one first; how many.
static size_t sort_group(const struct api_service_table *table, size_t first, struct api_service **sorted)
{
	size_t count = 0;

	while (first + count < table->count &&
	       !strcmp(table->services[first + count]->group, table->services[first]->group)) {
		struct api_service *service = table->services[first + count];
		size_t at = count++;

		while (at && goes_before(service, sorted[at - 1])) {
			sorted[at] = sorted[at - 1];
			at--;
		}
		sorted[at] = service;
	}
	return count;
}

static void add_versions(struct arena *arena, struct json *group, struct api_service *const *services, size_t count)
{
	struct json *versions = json_ensure_array(arena, group, "versions");

	for (size_t i = 0; i < count; i++)
		if (!has_version(group, services[i]->version))
			json_append(arena, versions, version_of(arena, services[i]));
	if (!json_get(group, "preferredVersion"))
		json_set(arena, group, "preferredVersion", version_of(arena, services[0]));
}

static struct json *new_group(struct arena *arena, const char *name)
{
	struct json *group = json_object(arena);

	json_set_text(arena, group, "name", name);
	return group;
}

bool aggregation_add_to_groups(struct request *request, struct strbuf *document)
{
	struct api_service_table *table = aggregation_table(request->server);
	struct json *tree = table ? parse(request->arena, document->data, document->length) : NULL;
	struct json *groups = json_get(tree, "groups");

	for (size_t i = 0; groups && i < table->count;) {
		struct api_service **sorted = ARENA_ARRAY(request->arena, struct api_service *, table->count);
		size_t count = sort_group(table, i, sorted);
		struct json *group = find_group(groups, sorted[0]->group);

		if (!group) {
			group = new_group(request->arena, sorted[0]->group);
			json_append(request->arena, groups, group);
		}
		add_versions(request->arena, group, sorted, count);
		i += count;
	}
	if (groups)
		rewrite(document, tree);
	api_service_table_unref(table);
	return groups != NULL;
}

bool aggregation_write_group(struct request *request, const char *group_name, struct strbuf *out)
{
	struct api_service_table *table = aggregation_table(request->server);
	bool found = false;

	for (size_t i = 0; table && i < table->count && !found; i++) {
		struct api_service **sorted;
		struct json *group;
		size_t count;

		if (strcmp(table->services[i]->group, group_name))
			continue;
		sorted = ARENA_ARRAY(request->arena, struct api_service *, table->count);
		count = sort_group(table, i, sorted);
		// What this server has of the group was written by the caller.
		group = out->length ? parse(request->arena, out->data, out->length) : NULL;
		if (!group) {
			group = json_object(request->arena);
			json_set_text(request->arena, group, "kind", "APIGroup");
			json_set_text(request->arena, group, "apiVersion", "v1");
			json_set_text(request->arena, group, "name", group_name);
		}
		add_versions(request->arena, group, sorted, count);
		rewrite(out, group);
		found = true;
	}
	api_service_table_unref(table);
	return found;
}

// --- aggregated discovery ---------------------------------------------------------------------------

static struct json *kind_of(struct arena *arena, const struct api_service *service, const struct json *resource)
{
	struct json *kind = json_object(arena);
	const char *group = text_of(resource, "group"), *version = text_of(resource, "version");

	json_set_text(arena, kind, "group", group[0] ? group : service->group);
	json_set_text(arena, kind, "version", version[0] ? version : service->version);
	json_set_text(arena, kind, "kind", text_of(resource, "kind"));
	return kind;
}

static void copy_lists(struct arena *arena, struct json *to, const struct json *from)
{
	static const char *const names[] = {"verbs", "shortNames", "categories"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (json_get(from, names[i]))
			json_set(arena, to, names[i], json_clone(arena, json_get(from, names[i])));
}

static struct json *find_resource(const struct json *resources, const char *name, size_t length)
{
	json_for_each_item (resource, resources) {
		const char *held = text_of(resource, "resource");

		if (!strncmp(held, name, length) && !held[length])
			return resource;
	}
	return NULL;
}

static struct json *discovered_resource(struct arena *arena, const struct api_service *service,
                                        const struct json *listed)
{
	struct json *resource = json_object(arena);

	json_set_text(arena, resource, "resource", text_of(listed, "name"));
	json_set(arena, resource, "responseKind", kind_of(arena, service, listed));
	json_set_text(arena, resource, "scope", json_get_bool(listed, "namespaced", false) ? "Namespaced" : "Cluster");
	json_set_text(arena, resource, "singularResource", text_of(listed, "singularName"));
	copy_lists(arena, resource, listed);
	return resource;
}

static void add_subresource(struct arena *arena, const struct api_service *service, struct json *resource,
                            const struct json *listed)
{
	struct json *subresource = json_object(arena);

	json_set_text(arena, subresource, "subresource", strchr(text_of(listed, "name"), '/') + 1);
	json_set(arena, subresource, "responseKind", kind_of(arena, service, listed));
	copy_lists(arena, subresource, listed);
	json_append(arena, json_ensure_array(arena, resource, "subresources"), subresource);
}

// The APIResourceList in the form of aggregated discovery: subresources within their resources.
static struct json *discovered_resources(struct arena *arena, const struct api_service *service,
                                         const struct json *list)
{
	struct json *resources = json_array(arena);

	json_for_each_item (listed, json_get(list, "resources"))
		if (!strchr(text_of(listed, "name"), '/'))
			json_append(arena, resources, discovered_resource(arena, service, listed));
	json_for_each_item (listed, json_get(list, "resources")) {
		const char *name = text_of(listed, "name"), *slash = strchr(name, '/');
		struct json *resource = slash ? find_resource(resources, name, (size_t)(slash - name)) : NULL;

		if (resource)
			add_subresource(arena, service, resource, listed);
	}
	return resources;
}

static struct json *discovered_version(struct arena *arena, struct api_service *service)
{
	struct json *version = json_object(arena);
	struct blob *known = api_service_discovery(service);
	struct json *list = known ? parse(arena, known->data, known->length) : NULL;

	json_set_text(arena, version, "version", service->version);
	json_set(arena, version, "resources", discovered_resources(arena, service, list));
	json_set_text(arena, version, "freshness", atomic_load(&service->available) && list ? "Current" : "Stale");
	blob_unref(known);
	return version;
}

static struct json *find_item(const struct json *items, const char *group)
{
	json_for_each_item (item, items)
		if (!strcmp(text_of(json_get(item, "metadata"), "name"), group))
			return item;
	return NULL;
}

static struct json *new_item(struct arena *arena, const char *group)
{
	struct json *item = json_object(arena), *metadata = json_object(arena);

	json_set_text(arena, metadata, "name", group);
	json_set(arena, metadata, "creationTimestamp", json_null(arena));
	json_set(arena, item, "metadata", metadata);
	return item;
}

bool aggregation_add_to_discovery(struct request *request, struct strbuf *document)
{
	struct arena *arena = request->arena;
	struct api_service_table *table = aggregation_table(request->server);
	struct json *tree = table ? parse(arena, document->data, document->length) : NULL;
	struct json *items = json_get(tree, "items");

	for (size_t i = 0; items && i < table->count;) {
		struct api_service **sorted = ARENA_ARRAY(arena, struct api_service *, table->count);
		size_t count = sort_group(table, i, sorted);
		struct json *item = find_item(items, sorted[0]->group);

		if (!item) {
			item = new_item(arena, sorted[0]->group);
			json_append(arena, items, item);
		}
		for (size_t j = 0; j < count; j++)
			if (!has_version(item, sorted[j]->version))
				json_append(arena, json_ensure_array(arena, item, "versions"),
				            discovered_version(arena, sorted[j]));
		i += count;
	}
	if (items)
		rewrite(document, tree);
	api_service_table_unref(table);
	return items != NULL;
}

// --- OpenAPI v3 -----------------------------------------------------------------------------------------

// The documents themselves are fetched from the other server when they are asked for; without a
// hash in their URL clients ask each time.
bool aggregation_add_to_openapi_v3(struct request *request, struct strbuf *document)
{
	struct arena *arena = request->arena;
	struct api_service_table *table = aggregation_table(request->server);
	struct json *tree = table ? parse(arena, document->data, document->length) : NULL;
	struct json *paths = json_get(tree, "paths");

	for (size_t i = 0; paths && i < table->count; i++) {
		const struct api_service *service = table->services[i];
		const char *path = arena_printf(arena, "apis/%s/%s", service->group, service->version);
		struct json *entry = json_object(arena);

		if (!atomic_load(&service->available))
			continue;
		json_set_text(arena, entry, "serverRelativeURL", arena_printf(arena, "/openapi/v3/%s", path));
		json_set(arena, paths, path, entry);
	}
	if (paths)
		rewrite(document, tree);
	api_service_table_unref(table);
	return paths != NULL;
}
