// SPDX-License-Identifier: Apache-2.0
// A sorted array of resources, looked up by bisection.

#include "apiserver/custom/served.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/custom/definition.h"
#include "apiserver/documents/documents.h"
#include "common/base/memory.h"

struct served {
	_Atomic unsigned references;
	const struct schema_resource **resources;
	size_t count;
	struct definition **definitions;
	size_t definition_count;
	struct documents *documents;
};

struct key {
	const char *group, *version, *plural;
};

static int compare_key(const void *key, const void *element)
{
	const struct key *wanted = key;
	const struct schema_resource *resource = *(const struct schema_resource *const *)element;
	int order = strcmp(wanted->group, resource->group);

	if (!order)
		order = strcmp(wanted->version, resource->version);
	return order ? order : strcmp(wanted->plural, resource->plural);
}

static int compare(const void *a, const void *b)
{
	const struct schema_resource *resource = *(const struct schema_resource *const *)a;
	struct key key = {resource->group, resource->version, resource->plural};

	return compare_key(&key, b);
}

static void add_versions(struct served *served, const struct definition *definition)
{
	for (size_t i = 0; i < definition->version_count; i++)
		if (definition->versions[i].served)
			served->resources[served->count++] = &definition->versions[i].resource;
}

struct served *served_new(const struct schema_resource *const *built_in, size_t built_in_count,
                          struct definition *const *definitions, size_t definition_count)
{
	struct served *served = NEW(struct served);
	size_t capacity = built_in_count + 1;

	atomic_init(&served->references, 1);
	for (size_t i = 0; i < definition_count; i++)
		capacity += definitions[i]->version_count;
	served->resources = xcalloc(capacity, sizeof(*served->resources));
	served->definitions = xcalloc(definition_count + 1, sizeof(*served->definitions));
	for (size_t i = 0; i < built_in_count; i++)
		served->resources[served->count++] = built_in[i];
	for (size_t i = 0; i < definition_count; i++) {
		served->definitions[served->definition_count++] = definition_ref(definitions[i]);
		add_versions(served, definitions[i]);
	}
	if (served->count)
		qsort(served->resources, served->count, sizeof(*served->resources), compare);
	served->documents = documents_new();
	return served;
}

struct served *served_ref(struct served *served)
{
	if (served)
		atomic_fetch_add_explicit(&served->references, 1, memory_order_relaxed);
	return served;
}

struct served *served_unref(struct served *served)
{
	if (!served || atomic_fetch_sub_explicit(&served->references, 1, memory_order_acq_rel) > 1)
		return NULL;
	documents_free(served->documents);
	for (size_t i = 0; i < served->definition_count; i++)
		definition_unref(served->definitions[i]);
	free(served->definitions);
	free(served->resources);
	free(served);
	return NULL;
}

const struct schema_resource *const *served_resources(const struct served *served, size_t *ret_count)
{
	*ret_count = served->count;
	return served->resources;
}

// The first that isn't before the key.
static size_t lower_bound(const struct served *served, const struct key *key)
{
	size_t low = 0, high = served->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_key(key, &served->resources[middle]) > 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct schema_resource *served_find(const struct served *served, const char *group, const char *version,
                                          const char *plural)
{
	struct key key = {group, version, plural};
	const struct schema_resource *built_in;
	size_t at;

	if (!served) {
		built_in = schema_find_resource(group, version, plural);
		return built_in && built_in->enabled_by_default ? built_in : NULL;
	}
	at = lower_bound(served, &key);
	return at < served->count && !compare_key(&key, &served->resources[at]) ? served->resources[at] : NULL;
}

const struct schema_resource *served_find_kind(const struct served *served, const char *group, const char *version,
                                               const char *kind)
{
	struct key first = {group, version, ""};

	for (size_t i = lower_bound(served, &first); i < served->count; i++) {
		const struct schema_resource *resource = served->resources[i];

		if (strcmp(resource->group, group) || strcmp(resource->version, version))
			break;
		if (!strcmp(resource->kind, kind))
			return resource;
	}
	return NULL;
}

struct documents *served_documents(const struct served *served)
{
	return served->documents;
}
