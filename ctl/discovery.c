// SPDX-License-Identifier: Apache-2.0
// Two documents in the aggregated form (/api and /apis) tell all; a server that
// doesn't know that form is asked group by group. A group that can't be read is
// left out, as long as the rest can.

#include "ctl/discovery.h"

#include <stdlib.h>
#include <string.h>

#include "common/api/json.h"
#include "ctl/ctl.h"
#include "ctl/errors.h"

#define DISCOVERY_ACCEPT                                                             \
	"application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"      \
	"application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList," \
	"application/json"

enum { MAX_RESOURCES = 10000 };

static const char *const verb_names[] = {"create", "get",   "list",   "watch",
                                         "update", "patch", "delete", "deletecollection"};

static uint32_t read_verbs(const struct json *list)
{
	uint32_t verbs = 0;
	json_for_each_item (verb, list)
		for (size_t i = 0; i < ARRAY_SIZE(verb_names); i++)
			if (json_text(verb) && strcmp(json_text(verb), verb_names[i]) == 0)
				verbs |= 1u << i;
	return verbs;
}

static const char *const *read_texts(struct arena *arena, const struct json *list)
{
	size_t count = 0;
	const char **texts = ARENA_ARRAY(arena, const char *, (list ? list->length : 0) + 1);
	json_for_each_item (item, list)
		if (json_text(item))
			texts[count++] = json_text(item);
	return texts;
}

static const char *text_or(const struct json *object, const char *key, const char *fallback)
{
	const char *text = json_get_text(object, key);
	return text && text[0] ? text : fallback;
}

static const char *lower(struct arena *arena, const char *text)
{
	char *copy = arena_strdup(arena, text);
	for (char *cursor = copy; *cursor; cursor++)
		if (*cursor >= 'A' && *cursor <= 'Z')
			*cursor = (char)(*cursor - 'A' + 'a');
	return copy;
}

struct reader {
	struct ctl *ctl;
	struct discovery *discovery;
};

static struct schema_resource *add_resource(struct reader *reader, const char *group, const char *version,
                                            const char *plural, const char *kind)
{
	struct discovery *discovery = reader->discovery;
	const struct schema_resource *known = schema_find_resource(group, version, plural);
	struct schema_resource *resource = ARENA_NEW(reader->ctl->arena, struct schema_resource);
	if (discovery->count == MAX_RESOURCES)
		return resource;
	if (known) // keeps its type and tables
		*resource = *known;
	resource->group = group;
	resource->version = version;
	resource->plural = plural;
	resource->kind = kind;
	resource->list_kind = ctl_printf(reader->ctl, "%sList", kind);
	discovery->resources[discovery->count++] = resource;
	return resource;
}

static void add_group_version(struct reader *reader, const char *group, const char *version)
{
	struct discovery *discovery = reader->discovery;
	if (discovery->group_version_count < MAX_RESOURCES)
		discovery->group_versions[discovery->group_version_count++] =
		        group[0] ? ctl_printf(reader->ctl, "%s/%s", group, version) : version;
}

// --- the aggregated form ------------------------------------------------------------------

static void read_aggregated_resource(struct reader *reader, const char *group, const char *version,
                                     const struct json *entry)
{
	struct arena *arena = reader->ctl->arena;
	const char *plural = text_or(entry, "resource", "");
	const char *kind = text_or(json_get(entry, "responseKind"), "kind", "");
	struct schema_resource *resource = add_resource(reader, group, version, plural, kind);
	resource->singular = text_or(entry, "singularResource", lower(arena, kind));
	resource->namespaced = strcmp(text_or(entry, "scope", ""), "Namespaced") == 0;
	resource->verbs = read_verbs(json_get(entry, "verbs"));
	resource->short_names = read_texts(arena, json_get(entry, "shortNames"));
	resource->categories = read_texts(arena, json_get(entry, "categories"));
}

static void read_aggregated(struct reader *reader, const struct json *list)
{
	json_for_each_item (item, json_get(list, "items")) {
		const char *group = text_or(json_get(item, "metadata"), "name", "");
		json_for_each_item (entry, json_get(item, "versions")) {
			const char *version = text_or(entry, "version", "");
			add_group_version(reader, group, version);
			json_for_each_item (resource, json_get(entry, "resources"))
				read_aggregated_resource(reader, group, version, resource);
		}
	}
}

// --- group by group -------------------------------------------------------------------------

static void read_plain_resource(struct reader *reader, const char *group, const char *version, const struct json *entry)
{
	struct arena *arena = reader->ctl->arena;
	const char *plural = text_or(entry, "name", "");
	const char *kind = text_or(entry, "kind", "");
	if (strchr(plural, '/'))
		return; // a subresource
	struct schema_resource *resource = add_resource(reader, group, version, plural, kind);
	resource->singular = text_or(entry, "singularName", lower(arena, kind));
	resource->namespaced = json_get_bool(entry, "namespaced", false);
	resource->verbs = read_verbs(json_get(entry, "verbs"));
	resource->short_names = read_texts(arena, json_get(entry, "shortNames"));
	resource->categories = read_texts(arena, json_get(entry, "categories"));
}

static void read_plain_version(struct reader *reader, const char *group, const char *version)
{
	struct rest_response response;
	const char *path = group[0] ? ctl_printf(reader->ctl, "/apis/%s/%s", group, version)
	                            : ctl_printf(reader->ctl, "/api/%s", version);
	const struct rest_request request = {.method = "GET", .path = path};
	add_group_version(reader, group, version);
	if (!ctl_call(reader->ctl, &request, &response))
		return;
	json_for_each_item (entry, json_get(response.object, "resources"))
		read_plain_resource(reader, group, version, entry);
}

static void read_plain(struct reader *reader, const struct json *document)
{
	json_for_each_item (version, json_get(document, "versions"))
		if (json_text(version))
			read_plain_version(reader, "", json_text(version));
	json_for_each_item (group, json_get(document, "groups"))
		json_for_each_item (version, json_get(group, "versions"))
			read_plain_version(reader, text_or(group, "name", ""), text_or(version, "version", ""));
}

static bool read_path(struct reader *reader, const char *path)
{
	struct rest_response response;
	const struct rest_request request = {.method = "GET", .path = path, .accept = DISCOVERY_ACCEPT};
	if (!ctl_call(reader->ctl, &request, &response)) {
		report_response(reader->ctl, &response, NULL);
		return false;
	}
	const char *kind = json_get_text(response.object, "kind");
	if (kind && strcmp(kind, "APIGroupDiscoveryList") == 0)
		read_aggregated(reader, response.object);
	else
		read_plain(reader, response.object);
	return true;
}

static int compare_texts(const void *one, const void *other)
{
	return strcmp(*(const char *const *)one, *(const char *const *)other);
}

const struct discovery *discovery_get(struct ctl *ctl)
{
	if (ctl->discovery)
		return ctl->discovery;
	struct discovery *discovery = ARENA_NEW(ctl->arena, struct discovery);
	discovery->resources = ARENA_ARRAY(ctl->arena, const struct schema_resource *, MAX_RESOURCES);
	discovery->group_versions = ARENA_ARRAY(ctl->arena, const char *, MAX_RESOURCES);
	struct reader reader = {ctl, discovery};
	if (!read_path(&reader, "/api") || !read_path(&reader, "/apis"))
		return NULL;
	qsort(discovery->group_versions, discovery->group_version_count, sizeof(const char *), compare_texts);
	ctl->discovery = discovery;
	return discovery;
}
