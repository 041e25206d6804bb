// SPDX-License-Identifier: Apache-2.0
// Milli-CPU, bytes of memory and of local storage are members; everything else that
// counts (extended resources, huge pages, attachable volumes) is a short unsorted
// array, since nodes and pods name one or two of them. Names are interned, so that
// copies of an array share them.
//
// A pod asks for the larger of
//   the sum of its containers and of its sidecars, and
//   the most that one init container needs with the sidecars started before it,
// plus its overhead. For scoring, a container that asks for nothing counts as
// 100 milli-CPU and 200 MiB, as upstream's does: else any number of them would fit
// on the "emptiest" node.

#include "scheduler/resources.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/api/quantity.h"
#include "common/api/view.h"
#include "common/base/hashmap.h"
#include "common/base/memory.h"

#define DEFAULT_MILLI_CPU 100
#define DEFAULT_MEMORY_BYTES (INT64_C(200) << 20)

void resources_done(struct resources *resources)
{
	free(resources->scalars);
	*resources = (struct resources){0};
}

// One copy of each name, shared by all: names can be compared by address.
static const char *intern(const char *name)
{
	static struct hashmap *names;
	if (!names)
		names = hashmap_new(free);
	char *known = hashmap_get(names, name);
	if (!known) {
		known = xstrdup(name);
		hashmap_put(names, name, known);
	}
	return known;
}

static struct scalar_resource *find_scalar(const struct resources *resources, const char *name)
{
	for (size_t i = 0; i < resources->scalar_count; i++)
		if (resources->scalars[i].name == name || strcmp(resources->scalars[i].name, name) == 0)
			return &resources->scalars[i];
	return NULL;
}

static struct scalar_resource *ensure_scalar(struct resources *resources, const char *name)
{
	struct scalar_resource *scalar = find_scalar(resources, name);
	if (scalar)
		return scalar;
	resources->scalars =
	        xreallocarray(resources->scalars, resources->scalar_count + 1, sizeof(resources->scalars[0]));
	scalar = &resources->scalars[resources->scalar_count++];
	*scalar = (struct scalar_resource){.name = intern(name)};
	return scalar;
}

int64_t resources_scalar(const struct resources *resources, const char *name)
{
	const struct scalar_resource *scalar = find_scalar(resources, name);
	return scalar ? scalar->value : 0;
}

// Sums stay within int64: a request near its end must not wrap into a small one.
static int64_t add_saturating(int64_t a, int64_t b)
{
	int64_t sum;
	if (__builtin_add_overflow(a, b, &sum))
		return a > 0 ? INT64_MAX : INT64_MIN;
	return sum;
}

void resources_add(struct resources *resources, const struct resources *other, int sign)
{
	resources->milli_cpu = add_saturating(resources->milli_cpu, sign * other->milli_cpu);
	resources->memory_bytes = add_saturating(resources->memory_bytes, sign * other->memory_bytes);
	resources->ephemeral_storage_bytes =
	        add_saturating(resources->ephemeral_storage_bytes, sign * other->ephemeral_storage_bytes);
	for (size_t i = 0; i < other->scalar_count; i++) {
		struct scalar_resource *scalar = ensure_scalar(resources, other->scalars[i].name);
		scalar->value = add_saturating(scalar->value, sign * other->scalars[i].value);
	}
}

static int64_t larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

void resources_max(struct resources *resources, const struct resources *other)
{
	resources->milli_cpu = larger(resources->milli_cpu, other->milli_cpu);
	resources->memory_bytes = larger(resources->memory_bytes, other->memory_bytes);
	resources->ephemeral_storage_bytes = larger(resources->ephemeral_storage_bytes, other->ephemeral_storage_bytes);
	for (size_t i = 0; i < other->scalar_count; i++) {
		struct scalar_resource *scalar = ensure_scalar(resources, other->scalars[i].name);
		scalar->value = larger(scalar->value, other->scalars[i].value);
	}
}

static bool is_scalar_name(const char *name)
{
	return strchr(name, '/') || strncmp(name, "hugepages-", 10) == 0 ||
	       strncmp(name, "attachable-volumes-", 19) == 0;
}

void resources_from_map(struct resources *resources, const struct string_map *map)
{
	for (size_t i = 0; i < map->count; i++) {
		const char *name = map->entries[i].key;
		const char *amount = map->entries[i].value;
		if (strcmp(name, "cpu") == 0)
			resources->milli_cpu = quantity_text_milli_value(amount);
		else if (strcmp(name, "memory") == 0)
			resources->memory_bytes = quantity_text_value(amount);
		else if (strcmp(name, "ephemeral-storage") == 0)
			resources->ephemeral_storage_bytes = quantity_text_value(amount);
		else if (is_scalar_name(name))
			ensure_scalar(resources, name)->value = quantity_text_value(amount);
	}
}

// --- pods ------------------------------------------------------------------------------

typedef void container_amounts(const struct core_v1_pod *pod, const struct core_v1_container *container,
                               struct resources *ret_amounts);

static const struct core_v1_container_status *find_status(const struct core_v1_container_status_array *statuses,
                                                          const char *name)
{
	for (size_t i = 0; i < statuses->count; i++)
		if (statuses->items[i].name && name && strcmp(statuses->items[i].name, name) == 0)
			return &statuses->items[i];
	return NULL;
}

static void max_with_map(struct resources *amounts, const struct string_map *map)
{
	struct resources other = {0};
	resources_from_map(&other, map);
	resources_max(amounts, &other);
	resources_done(&other);
}

static void requested_amounts(const struct core_v1_pod *pod, const struct core_v1_container *container,
                              struct resources *ret_amounts)
{
	const struct core_v1_container_status *status = find_status(&pod->status.container_statuses, container->name);
	resources_from_map(ret_amounts, &container->resources.requests);
	if (!status)
		return;
	max_with_map(ret_amounts, &status->allocated_resources);
	if (status->resources)
		max_with_map(ret_amounts, &status->resources->requests);
}

static void nonzero_amounts(const struct core_v1_pod *pod, const struct core_v1_container *container,
                            struct resources *ret_amounts)
{
	requested_amounts(pod, container, ret_amounts);
	if (!string_map_get(&container->resources.requests, "cpu"))
		ret_amounts->milli_cpu = larger(ret_amounts->milli_cpu, DEFAULT_MILLI_CPU);
	if (!string_map_get(&container->resources.requests, "memory"))
		ret_amounts->memory_bytes = larger(ret_amounts->memory_bytes, DEFAULT_MEMORY_BYTES);
}

static bool is_sidecar(const struct core_v1_container *container)
{
	return container->restart_policy && strcmp(container->restart_policy, "Always") == 0;
}

static void sum_pod(const struct core_v1_pod *pod, container_amounts *amounts_of, struct resources *ret_sum)
{
	struct resources sidecars = {0};
	struct resources largest_init = {0};
	for (size_t i = 0; i < pod->spec.init_containers.count; i++) {
		const struct core_v1_container *container = &pod->spec.init_containers.items[i];
		struct resources needed = {0};
		amounts_of(pod, container, &needed);
		resources_add(&needed, &sidecars, 1);
		if (is_sidecar(container)) {
			resources_done(&sidecars);
			resources_add(&sidecars, &needed, 1);
		}
		resources_max(&largest_init, &needed);
		resources_done(&needed);
	}
	resources_add(ret_sum, &sidecars, 1);
	for (size_t i = 0; i < pod->spec.containers.count; i++) {
		struct resources needed = {0};
		amounts_of(pod, &pod->spec.containers.items[i], &needed);
		resources_add(ret_sum, &needed, 1);
		resources_done(&needed);
	}
	resources_max(ret_sum, &largest_init);
	struct resources overhead = {0};
	resources_from_map(&overhead, &pod->spec.overhead);
	resources_add(ret_sum, &overhead, 1);
	resources_done(&overhead);
	resources_done(&largest_init);
	resources_done(&sidecars);
}

void pod_requests(const struct core_v1_pod *pod, struct resources *ret_requests)
{
	*ret_requests = (struct resources){0};
	sum_pod(pod, requested_amounts, ret_requests);
}

void pod_nonzero_requests(const struct core_v1_pod *pod, struct nonzero_requests *ret_requests)
{
	struct resources sum = {0};
	sum_pod(pod, nonzero_amounts, &sum);
	*ret_requests = (struct nonzero_requests){.milli_cpu = sum.milli_cpu, .memory_bytes = sum.memory_bytes};
	resources_done(&sum);
}
