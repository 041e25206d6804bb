// SPDX-License-Identifier: Apache-2.0
//
// Discovery documents. Groups stand in the order of upstream's priorities (a
// group of a custom resource comes behind them, by name), versions from the most
// to the least stable, resources by name with their subresources behind them.
#include "common/api/discovery.h"

#include <string.h>

#include "common/api/json.h"

enum { CUSTOM_GROUP_PRIORITY = 1000, CUSTOM_VERSION_PRIORITY = 100 };

static const struct {
	const char *group;
	int priority;
} group_priorities[] = {
        {"", 18000},
        {"admissionregistration.k8s.io", 16700},
        {"apiextensions.k8s.io", 16700},
        {"apiregistration.k8s.io", 20000}, // always the first
        {"apps", 17800},
        {"authentication.k8s.io", 17700},
        {"authorization.k8s.io", 17600},
        {"autoscaling", 17500},
        {"batch", 17400},
        {"certificates.k8s.io", 17300},
        {"coordination.k8s.io", 16500},
        {"discovery.k8s.io", 16200},
        {"events.k8s.io", 17750},
        {"flowcontrol.apiserver.k8s.io", 16100},
        {"internal.apiserver.k8s.io", 16000},
        {"metrics.k8s.io", 100},
        {"networking.k8s.io", 17200},
        {"node.k8s.io", 16300},
        {"policy", 17100},
        {"rbac.authorization.k8s.io", 17000},
        {"resource.k8s.io", 16200},
        {"scheduling.k8s.io", 16600},
        {"storage.k8s.io", 16800},
        {"storagemigration.k8s.io", 15800},
};

int discovery_group_priority(const char *group)
{
	for (size_t i = 0; i < ARRAY_SIZE(group_priorities); i++)
		if (strcmp(group_priorities[i].group, group) == 0)
			return group_priorities[i].priority;
	return CUSTOM_GROUP_PRIORITY;
}

int discovery_version_priority(const char *group, const char *version)
{
	if (!*group)
		return 1;
	if (discovery_group_priority(group) == CUSTOM_GROUP_PRIORITY)
		return CUSTOM_VERSION_PRIORITY;
	if (strcmp(group, "autoscaling") == 0 && strcmp(version, "v2") == 0)
		return 30;
	if (strcmp(group, "flowcontrol.apiserver.k8s.io") == 0 && strcmp(version, "v1") == 0)
		return 21;
	return strstr(version, "alpha") ? 1 : strstr(version, "beta1") ? 9 : 15;
}

// --- order -----------------------------------------------------------------------------

static int compare_groups(const char *a, const char *b)
{
	int left = discovery_group_priority(a), right = discovery_group_priority(b);
	return left != right ? (left > right ? -1 : 1) : strcmp(a, b);
}

static int compare_resources(const void *left, const void *right)
{
	const struct schema_resource *a = *(const struct schema_resource *const *)left;
	const struct schema_resource *b = *(const struct schema_resource *const *)right;
	int order = compare_groups(a->group, b->group);
	if (!order)
		order = schema_compare_versions(a->version, b->version);
	return order ? order : strcmp(a->plural, b->plural);
}

// The resources in discovery order: groups, then versions, then names.
static const struct schema_resource **sort_resources(struct arena *arena,
                                                     const struct schema_resource *const *resources, size_t count)
{
	const struct schema_resource **sorted = ARENA_ARRAY(arena, const struct schema_resource *, count + 1);
	for (size_t i = 0; i < count; i++)
		sorted[i] = resources[i];
	if (count)
		qsort(sorted, count, sizeof(*sorted), compare_resources);
	return sorted;
}

// The end of the run of resources that share the group (and version) of the first one.
static size_t run_end(const struct schema_resource *const *sorted, size_t first, size_t count, bool same_version)
{
	size_t end = first + 1;
	while (end < count && strcmp(sorted[end]->group, sorted[first]->group) == 0 &&
	       (!same_version || strcmp(sorted[end]->version, sorted[first]->version) == 0))
		end++;
	return end;
}

static size_t find_group(const struct schema_resource *const *sorted, size_t count, const char *group)
{
	size_t first = 0;
	while (first < count && strcmp(sorted[first]->group, group) != 0)
		first++;
	return first;
}

// --- parts -----------------------------------------------------------------------------

static struct json *verb_list(struct arena *arena, uint32_t verbs)
{
	static const struct {
		enum schema_verb verb;
		const char *text;
	} rows[] = {
	        {VERB_CREATE, "create"}, {VERB_DELETE, "delete"}, {VERB_DELETE_COLLECTION, "deletecollection"},
	        {VERB_GET, "get"},       {VERB_LIST, "list"},     {VERB_PATCH, "patch"},
	        {VERB_UPDATE, "update"}, {VERB_WATCH, "watch"},
	};
	struct json *list = json_array(arena);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (verbs & rows[i].verb)
			json_append(arena, list, json_string(arena, rows[i].text));
	return list;
}

// Adds a list of texts unless it is empty.
static void set_texts(struct arena *arena, struct json *object, const char *key, const char *const *texts)
{
	if (!texts || !*texts)
		return;
	struct json *list = json_array(arena);
	for (; *texts; texts++)
		json_append(arena, list, json_string(arena, *texts));
	json_set(arena, object, key, list);
}

static struct json *group_version(struct arena *arena, const struct schema_resource *resource)
{
	struct json *object = json_object(arena);
	json_set_text(arena, object, "groupVersion", arena_printf(arena, "%s/%s", resource->group, resource->version));
	json_set_text(arena, object, "version", resource->version);
	return object;
}

// What APIGroup and the items of APIGroupList have in common.
static void fill_group(struct arena *arena, struct json *object, const struct schema_resource *const *sorted,
                       size_t first, size_t end)
{
	json_set_text(arena, object, "name", sorted[first]->group);
	struct json *versions = json_ensure_array(arena, object, "versions");
	for (size_t i = first; i < end; i = run_end(sorted, i, end, true))
		json_append(arena, versions, group_version(arena, sorted[i]));
	json_set(arena, object, "preferredVersion", group_version(arena, sorted[first]));
}

static int compare_subresources(const void *left, const void *right)
{
	const struct schema_subresource *a = *(const struct schema_subresource *const *)left;
	const struct schema_subresource *b = *(const struct schema_subresource *const *)right;
	return strcmp(a->name, b->name);
}

static const struct schema_subresource **sort_subresources(struct arena *arena, const struct schema_resource *resource)
{
	const struct schema_subresource **sorted =
	        ARENA_ARRAY(arena, const struct schema_subresource *, resource->subresource_count + 1);
	for (size_t i = 0; i < resource->subresource_count; i++)
		sorted[i] = &resource->subresources[i];
	if (resource->subresource_count)
		qsort(sorted, resource->subresource_count, sizeof(*sorted), compare_subresources);
	return sorted;
}

// --- /api and /apis ------------------------------------------------------------------------

void discovery_write_core_versions(struct strbuf *out, const char *server_address)
{
	strbuf_append_text(out, "{\"kind\":\"APIVersions\",\"versions\":[\"v1\"],\"serverAddressByClientCIDRs\":["
	                        "{\"clientCIDR\":\"0.0.0.0/0\",\"serverAddress\":");
	json_write_string(out, server_address, strlen(server_address));
	strbuf_append_text(out, "}]}");
}

static struct json *document(struct arena *arena, const char *kind, const char *api_version)
{
	struct json *object = json_object(arena);
	json_set_text(arena, object, "kind", kind);
	if (api_version)
		json_set_text(arena, object, "apiVersion", api_version);
	return object;
}

void discovery_write_groups(struct strbuf *out, const struct schema_resource *const *resources, size_t count)
{
	AUTO(arena_free) struct arena *arena = arena_new(16 * 1024);
	const struct schema_resource **sorted = sort_resources(arena, resources, count);
	struct json *list = document(arena, "APIGroupList", "v1");
	struct json *groups = json_ensure_array(arena, list, "groups");
	for (size_t first = 0, end; first < count; first = end) {
		end = run_end(sorted, first, count, false);
		if (!*sorted[first]->group)
			continue;
		struct json *group = json_object(arena);
		fill_group(arena, group, sorted, first, end);
		json_append(arena, groups, group);
	}
	json_write(out, list);
}

bool discovery_write_group(struct strbuf *out, const struct schema_resource *const *resources, size_t count,
                           const char *group)
{
	AUTO(arena_free) struct arena *arena = arena_new(4 * 1024);
	const struct schema_resource **sorted = sort_resources(arena, resources, count);
	size_t first = find_group(sorted, count, group);
	if (first == count)
		return false;
	struct json *object = document(arena, "APIGroup", "v1");
	fill_group(arena, object, sorted, first, run_end(sorted, first, count, false));
	json_write(out, object);
	return true;
}

// --- /apis/GROUP/VERSION ---------------------------------------------------------------------

static struct json *resource_row(struct arena *arena, const struct schema_resource *resource)
{
	struct json *row = json_object(arena);
	json_set_text(arena, row, "name", resource->plural);
	json_set_text(arena, row, "singularName", resource->singular ? resource->singular : "");
	json_set_bool(arena, row, "namespaced", resource->namespaced);
	json_set_text(arena, row, "kind", resource->kind);
	json_set(arena, row, "verbs", verb_list(arena, resource->verbs));
	set_texts(arena, row, "shortNames", resource->short_names);
	set_texts(arena, row, "categories", resource->categories);
	if (resource->storage_version_hash && *resource->storage_version_hash)
		json_set_text(arena, row, "storageVersionHash", resource->storage_version_hash);
	return row;
}

static struct json *subresource_row(struct arena *arena, const struct schema_resource *resource,
                                    const struct schema_subresource *subresource)
{
	struct json *row = json_object(arena);
	json_set_text(arena, row, "name", arena_printf(arena, "%s/%s", resource->plural, subresource->name));
	json_set_text(arena, row, "singularName", "");
	json_set_bool(arena, row, "namespaced", resource->namespaced);
	if (strcmp(subresource->body_group, resource->group) != 0 ||
	    strcmp(subresource->body_version, resource->version) != 0) {
		if (*subresource->body_group)
			json_set_text(arena, row, "group", subresource->body_group);
		json_set_text(arena, row, "version", subresource->body_version);
	}
	json_set_text(arena, row, "kind", subresource->body_kind);
	json_set(arena, row, "verbs", verb_list(arena, subresource->verbs));
	return row;
}

bool discovery_write_resources(struct strbuf *out, const struct schema_resource *const *resources, size_t count,
                               const char *group, const char *version)
{
	AUTO(arena_free) struct arena *arena = arena_new(16 * 1024);
	const struct schema_resource **sorted = sort_resources(arena, resources, count);
	// The core group's list carries no apiVersion, as upstream's.
	struct json *list = document(arena, "APIResourceList", *group ? "v1" : NULL);
	json_set_text(arena, list, "groupVersion", *group ? arena_printf(arena, "%s/%s", group, version) : version);
	struct json *rows = json_ensure_array(arena, list, "resources");
	for (size_t i = 0; i < count; i++) {
		if (strcmp(sorted[i]->group, group) != 0 || strcmp(sorted[i]->version, version) != 0)
			continue;
		json_append(arena, rows, resource_row(arena, sorted[i]));
		const struct schema_subresource **subresources = sort_subresources(arena, sorted[i]);
		for (size_t j = 0; j < sorted[i]->subresource_count; j++)
			json_append(arena, rows, subresource_row(arena, sorted[i], subresources[j]));
	}
	if (rows->length)
		json_write(out, list);
	return rows->length > 0;
}

// --- aggregated discovery --------------------------------------------------------------------

static struct json *response_kind(struct arena *arena, const char *group, const char *version, const char *kind)
{
	struct json *object = json_object(arena);
	json_set_text(arena, object, "group", group);
	json_set_text(arena, object, "version", version);
	json_set_text(arena, object, "kind", kind);
	return object;
}

// As upstream publishes it: built-in kinds name their group and version only where
// these aren't the resource's own.
static struct json *response_kind_of(struct arena *arena, const struct schema_resource *resource, const char *group,
                                     const char *version, const char *kind)
{
	bool built_in = schema_find_resource(resource->group, resource->version, resource->plural) == resource;
	bool own = strcmp(group, resource->group) == 0 && strcmp(version, resource->version) == 0;
	return built_in && own ? response_kind(arena, "", "", kind) : response_kind(arena, group, version, kind);
}

static struct json *aggregated_resource(struct arena *arena, const struct schema_resource *resource)
{
	struct json *row = json_object(arena);
	json_set_text(arena, row, "resource", resource->plural);
	json_set(arena, row, "responseKind",
	         response_kind_of(arena, resource, resource->group, resource->version, resource->kind));
	json_set_text(arena, row, "scope", resource->namespaced ? "Namespaced" : "Cluster");
	json_set_text(arena, row, "singularResource", resource->singular ? resource->singular : "");
	json_set(arena, row, "verbs", verb_list(arena, resource->verbs));
	set_texts(arena, row, "shortNames", resource->short_names);
	set_texts(arena, row, "categories", resource->categories);
	const struct schema_subresource **sorted = sort_subresources(arena, resource);
	for (size_t i = 0; i < resource->subresource_count; i++) {
		struct json *subresource = json_object(arena);
		json_set_text(arena, subresource, "subresource", sorted[i]->name);
		json_set(arena, subresource, "responseKind",
		         response_kind_of(arena, resource, sorted[i]->body_group, sorted[i]->body_version,
		                          sorted[i]->body_kind));
		json_set(arena, subresource, "verbs", verb_list(arena, sorted[i]->verbs));
		json_append(arena, json_ensure_array(arena, row, "subresources"), subresource);
	}
	return row;
}

static struct json *aggregated_version(struct arena *arena, const struct schema_resource *const *sorted, size_t first,
                                       size_t end)
{
	struct json *version = json_object(arena);
	json_set_text(arena, version, "version", sorted[first]->version);
	struct json *rows = json_ensure_array(arena, version, "resources");
	for (size_t i = first; i < end; i++)
		json_append(arena, rows, aggregated_resource(arena, sorted[i]));
	json_set_text(arena, version, "freshness", "Current");
	return version;
}

static struct json *aggregated_group(struct arena *arena, const struct schema_resource *const *sorted, size_t first,
                                     size_t end)
{
	struct json *group = json_object(arena);
	struct json *metadata = json_ensure_object(arena, group, "metadata");
	if (*sorted[first]->group)
		json_set_text(arena, metadata, "name", sorted[first]->group);
	json_set(arena, metadata, "creationTimestamp", json_null(arena));
	struct json *versions = json_ensure_array(arena, group, "versions");
	for (size_t i = first, next; i < end; i = next) {
		next = run_end(sorted, i, end, true);
		json_append(arena, versions, aggregated_version(arena, sorted, i, next));
	}
	return group;
}

void discovery_write_aggregated(struct strbuf *out, const struct schema_resource *const *resources, size_t count,
                                bool core, const char *api_version)
{
	AUTO(arena_free) struct arena *arena = arena_new(64 * 1024);
	const struct schema_resource **sorted = sort_resources(arena, resources, count);
	struct json *list = document(arena, "APIGroupDiscoveryList", api_version);
	json_set(arena, list, "metadata", json_object(arena));
	struct json *items = json_ensure_array(arena, list, "items");
	for (size_t first = 0, end; first < count; first = end) {
		end = run_end(sorted, first, count, false);
		if ((*sorted[first]->group == '\0') == core)
			json_append(arena, items, aggregated_group(arena, sorted, first, end));
	}
	json_write(out, list);
}
