// SPDX-License-Identifier: Apache-2.0
#include "ctl/resources.h"

#include <string.h>
#include <strings.h>

#include "common/api/object.h"
#include "ctl/ctl.h"
#include "ctl/discovery.h"
#include "ctl/errors.h"

// --- matching a word ---------------------------------------------------------------------

static bool names_it(const struct schema_resource *resource, const char *word)
{
	if (strcasecmp(resource->plural, word) == 0 || strcasecmp(resource->singular, word) == 0 ||
	    strcasecmp(resource->kind, word) == 0)
		return true;
	for (const char *const *name = resource->short_names; name && *name; name++)
		if (strcmp(*name, word) == 0)
			return true;
	return false;
}

// A word split at its dots: "deployments.v1.apps" may name a version, "deployments.apps" a group.
struct wanted {
	const char *name;
	const char *group;   // NULL = any; a beginning of the real one will do
	const char *version; // NULL = the preferred one
};

static bool group_fits(const char *group, const char *wanted)
{
	return !wanted || strncmp(group, wanted, strlen(wanted)) == 0;
}

static bool version_fits(const struct schema_resource *resource, const char *wanted)
{
	if (wanted)
		return strcmp(resource->version, wanted) == 0;
	const char *preferred = schema_preferred_version(resource->group);
	return !preferred || strcmp(preferred, resource->version) == 0;
}

static bool is_served(const struct schema_resource *resource)
{
	return resource->enabled_by_default && (resource->verbs & (VERB_GET | VERB_LIST | VERB_CREATE));
}

static const struct schema_resource *find_built_in(const struct wanted *wanted)
{
	for (size_t i = 0; i < schema_resource_count; i++) {
		const struct schema_resource *resource = schema_resources[i];
		if (is_served(resource) && names_it(resource, wanted->name) &&
		    group_fits(resource->group, wanted->group) && version_fits(resource, wanted->version))
			return resource;
	}
	return NULL;
}

static const struct schema_resource *find_discovered(const struct discovery *discovery, const struct wanted *wanted)
{
	for (size_t i = 0; i < discovery->count; i++) {
		const struct schema_resource *resource = discovery->resources[i];
		if (names_it(resource, wanted->name) && group_fits(resource->group, wanted->group) &&
		    (!wanted->version || strcmp(resource->version, wanted->version) == 0))
			return resource;
	}
	return NULL;
}

// The readings of a word, most specific first; returns how many.
static size_t readings_of(struct ctl *ctl, const char *word, struct wanted readings[3])
{
	size_t count = 0;
	const char *dot = strchr(word, '.');
	if (!dot) {
		readings[count++] = (struct wanted){.name = word};
		return count;
	}
	const char *name = arena_strndup(ctl->arena, word, (size_t)(dot - word));
	const char *second = strchr(dot + 1, '.');
	if (second) {
		const char *version = arena_strndup(ctl->arena, dot + 1, (size_t)(second - dot - 1));
		readings[count++] = (struct wanted){name, second + 1, version};
	} else if (dot[1] == 'v' && strlen(dot + 1) > 1) {
		readings[count++] = (struct wanted){name, "", dot + 1};
	}
	readings[count++] = (struct wanted){name, dot + 1, NULL};
	return count;
}

const struct schema_resource *resource_find_quietly(struct ctl *ctl, const char *word)
{
	struct wanted readings[3];
	size_t count = readings_of(ctl, word, readings);
	for (size_t i = 0; i < count; i++) {
		const struct schema_resource *resource = find_built_in(&readings[i]);
		if (resource)
			return resource;
	}
	const struct discovery *discovery = discovery_get(ctl);
	for (size_t i = 0; discovery && i < count; i++) {
		const struct schema_resource *resource = find_discovered(discovery, &readings[i]);
		if (resource)
			return resource;
	}
	return NULL;
}

static bool has_short_name(const struct schema_resource *resource, const char *word)
{
	for (const char *const *name = resource->short_names; name && *name; name++)
		if (strcmp(*name, word) == 0)
			return true;
	return false;
}

static void warn_ambiguous(struct ctl *ctl, const struct schema_resource *found, const char *word)
{
	for (size_t i = 0; has_short_name(found, word) && i < schema_resource_count; i++) {
		const struct schema_resource *other = schema_resources[i];
		if (is_served(other) && strcmp(other->group, found->group) != 0 && has_short_name(other, word) &&
		    version_fits(other, NULL))
			fprintf(ctl->err, "Warning: short name \"%s\" could also match lower priority resource %s\n",
			        word, resource_plural_name(ctl, other));
	}
}

const struct schema_resource *resource_find(struct ctl *ctl, const char *word)
{
	const struct schema_resource *resource = resource_find_quietly(ctl, word);
	if (!resource && ctl->discovery)
		report(ctl, "the server doesn't have a resource type \"%.*s\"", (int)strcspn(word, "."), word);
	if (resource)
		warn_ambiguous(ctl, resource, word);
	return resource;
}

const struct schema_resource *resource_of_kind(struct ctl *ctl, const char *api_version, const char *kind)
{
	const char *group, *version;
	api_version_split(ctl->arena, api_version, &group, &version);
	const struct schema_resource *built_in = schema_find_kind(group, version, kind);
	if (built_in && is_served(built_in))
		return built_in;
	const struct discovery *discovery = discovery_get(ctl);
	for (size_t i = 0; discovery && i < discovery->count; i++) {
		const struct schema_resource *resource = discovery->resources[i];
		if (strcmp(resource->group, group) == 0 && strcmp(resource->version, version) == 0 &&
		    strcmp(resource->kind, kind) == 0)
			return resource;
	}
	return NULL;
}

// --- categories ------------------------------------------------------------------------------

static bool is_in_category(const struct schema_resource *resource, const char *category)
{
	for (const char *const *name = resource->categories; name && *name; name++)
		if (strcmp(*name, category) == 0)
			return true;
	return false;
}

static bool is_built_in_group(const char *group)
{
	return schema_preferred_version(group) != NULL;
}

const struct schema_resource **resources_in_category(struct ctl *ctl, const char *word, size_t *ret_count)
{
	const struct schema_resource **found =
	        ARENA_ARRAY(ctl->arena, const struct schema_resource *, schema_resource_count);
	size_t count = 0;
	for (size_t i = 0; i < schema_resource_count; i++)
		if (is_served(schema_resources[i]) && is_in_category(schema_resources[i], word) &&
		    version_fits(schema_resources[i], NULL))
			found[count++] = schema_resources[i];
	*ret_count = count;
	if (!count)
		return found;
	const struct discovery *discovery = discovery_get(ctl); // custom resources may belong to it too
	for (size_t i = 0; discovery && i < discovery->count && count < schema_resource_count; i++)
		if (!is_built_in_group(discovery->resources[i]->group) && is_in_category(discovery->resources[i], word))
			found[count++] = discovery->resources[i];
	*ret_count = count;
	return found;
}

// --- names -----------------------------------------------------------------------------------

static const char *with_group(struct ctl *ctl, const char *name, const char *group)
{
	return group[0] ? ctl_printf(ctl, "%s.%s", name, group) : name;
}

const char *resource_plural_name(struct ctl *ctl, const struct schema_resource *resource)
{
	return with_group(ctl, resource->plural, resource->group);
}

const char *resource_singular_name(struct ctl *ctl, const struct schema_resource *resource)
{
	char *name = arena_strdup(ctl->arena, resource->kind);
	for (char *cursor = name; *cursor; cursor++)
		if (*cursor >= 'A' && *cursor <= 'Z')
			*cursor = (char)(*cursor - 'A' + 'a');
	return with_group(ctl, name, resource->group);
}

const char *resource_api_version(struct ctl *ctl, const struct schema_resource *resource)
{
	return resource->group[0] ? ctl_printf(ctl, "%s/%s", resource->group, resource->version) : resource->version;
}
