// SPDX-License-Identifier: Apache-2.0

#include "common/api/resource_amounts.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/text.h"

struct quantity *resource_amounts_get(const struct resource_amounts *amounts, const char *name)
{
	for (size_t i = 0; i < amounts->count; i++)
		if (!strcmp(amounts->items[i].name, name))
			return &amounts->items[i].amount;
	return NULL;
}

void resource_amounts_set(struct arena *arena, struct resource_amounts *amounts, const char *name,
                          const struct quantity *amount)
{
	struct quantity *held = resource_amounts_get(amounts, name);

	if (held) {
		*held = *amount;
		return;
	}
	if (amounts->count == amounts->capacity) {
		size_t capacity = amounts->capacity ? 2 * amounts->capacity : 8;

		amounts->items = arena_realloc(arena, amounts->items, amounts->capacity * sizeof(*amounts->items),
		                               capacity * sizeof(*amounts->items));
		amounts->capacity = capacity;
	}
	amounts->items[amounts->count++] = (struct resource_amount){name, *amount};
}

void resource_amounts_add(struct arena *arena, struct resource_amounts *amounts, const char *name,
                          const struct quantity *amount)
{
	struct quantity *held = resource_amounts_get(amounts, name);

	if (!held)
		resource_amounts_set(arena, amounts, name, amount);
	else if (held->nano == 0)
		*held = *amount; // the form of zero counts for nothing, as in upstream's sums
	else
		held->nano += amount->nano;
}

void resource_amounts_raise(struct arena *arena, struct resource_amounts *amounts, const char *name,
                            const struct quantity *amount)
{
	struct quantity *held = resource_amounts_get(amounts, name);

	if (!held || held->nano < amount->nano)
		resource_amounts_set(arena, amounts, name, amount);
}

void resource_amounts_read(struct arena *arena, struct resource_amounts *amounts, const struct json *list)
{
	json_for_each_member (member, list) {
		struct quantity quantity;
		const char *text = json_text(member->value);

		if (json_is(member->value, JSON_INTEGER))
			text = arena_printf(arena, "%lld", (long long)member->value->integer);
		if (text && quantity_parse(text, &quantity, NULL) == 0)
			resource_amounts_add(arena, amounts, member->key, &quantity);
	}
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct resource_amount *)a)->name, ((const struct resource_amount *)b)->name);
}

char *resource_amounts_format(struct arena *arena, const struct resource_amounts *amounts)
{
	struct resource_amount *sorted = ARENA_ARRAY(arena, struct resource_amount, amounts->count + 1);
	char *text = "";

	if (amounts->count)
		memcpy(sorted, amounts->items, amounts->count * sizeof(*sorted));
	qsort(sorted, amounts->count, sizeof(*sorted), compare_names);
	for (size_t i = 0; i < amounts->count; i++) {
		char amount[QUANTITY_TEXT_BYTES];

		quantity_format(&sorted[i].amount, amount);
		text = arena_printf(arena, "%s%s%s=%s", text, i ? "," : "", sorted[i].name, amount);
	}
	return text;
}

// --- a pod as a whole ---------------------------------------------------------------------

struct pod_sum {
	struct arena *arena;
	const struct json *pod;
	const char *list; // "requests" or "limits"
	unsigned flags;
	struct resource_amounts total;    // of what runs together
	struct resource_amounts sidecars; // of the sidecars so far
	struct resource_amounts peak;     // of the init containers
};

static void add_all(struct arena *arena, struct resource_amounts *to, const struct resource_amounts *from)
{
	for (size_t i = 0; i < from->count; i++)
		resource_amounts_add(arena, to, from->items[i].name, &from->items[i].amount);
}

static void raise_all(struct arena *arena, struct resource_amounts *to, const struct resource_amounts *from)
{
	for (size_t i = 0; i < from->count; i++)
		resource_amounts_raise(arena, to, from->items[i].name, &from->items[i].amount);
}

static void raise_by_status(struct pod_sum *sum, const char *statuses, const struct json *container,
                            struct resource_amounts *amounts)
{
	json_for_each_item (status, json_path(sum->pod, "status", statuses)) {
		struct resource_amounts held = {0};

		if (!text_equal(json_get_text(status, "name"), json_get_text(container, "name")))
			continue;
		resource_amounts_read(sum->arena, &held, json_path(status, "resources", sum->list));
		raise_all(sum->arena, amounts, &held);
		if (strcmp(sum->list, "requests"))
			continue;
		held = (struct resource_amounts){0};
		resource_amounts_read(sum->arena, &held, json_get(status, "allocatedResources"));
		raise_all(sum->arena, amounts, &held);
	}
}

static struct resource_amounts container_amounts(struct pod_sum *sum, const struct json *container,
                                                 const char *statuses)
{
	struct resource_amounts amounts = {0};

	resource_amounts_read(sum->arena, &amounts, json_path(container, "resources", sum->list));
	if (sum->flags & POD_WITH_STATUS)
		raise_by_status(sum, statuses, container, &amounts);
	return amounts;
}

static void add_init_container(struct pod_sum *sum, const struct json *container)
{
	struct resource_amounts amounts = container_amounts(sum, container, "initContainerStatuses");

	if (text_equal(json_get_text(container, "restartPolicy"), "Always")) {
		add_all(sum->arena, &sum->total, &amounts);
		add_all(sum->arena, &sum->sidecars, &amounts);
		raise_all(sum->arena, &sum->peak, &sum->sidecars);
	} else {
		add_all(sum->arena, &amounts, &sum->sidecars);
		raise_all(sum->arena, &sum->peak, &amounts);
	}
}

// A limit grows by the overhead only where there is a limit at all.
static void add_overhead(struct pod_sum *sum)
{
	struct resource_amounts overhead = {0};

	resource_amounts_read(sum->arena, &overhead, json_path(sum->pod, "spec", "overhead"));
	for (size_t i = 0; i < overhead.count; i++)
		if (!strcmp(sum->list, "requests") || resource_amounts_get(&sum->total, overhead.items[i].name))
			resource_amounts_add(sum->arena, &sum->total, overhead.items[i].name,
			                     &overhead.items[i].amount);
}

void pod_resources(struct arena *arena, const struct json *pod, enum pod_resources_of what, unsigned flags,
                   struct resource_amounts *ret_amounts)
{
	struct pod_sum sum = {
	        .arena = arena, .pod = pod, .list = what == POD_REQUESTS ? "requests" : "limits", .flags = flags};

	json_for_each_item (container, json_path(pod, "spec", "containers")) {
		struct resource_amounts amounts = container_amounts(&sum, container, "containerStatuses");

		add_all(arena, &sum.total, &amounts);
	}
	json_for_each_item (container, json_path(pod, "spec", "initContainers"))
		add_init_container(&sum, container);
	raise_all(arena, &sum.total, &sum.peak);
	if (flags & POD_WITH_OVERHEAD)
		add_overhead(&sum);
	*ret_amounts = sum.total;
}

bool resource_amount_is_extended(const char *name)
{
	const char *slash = strchr(name, '/');

	if (!slash || !strncmp(name, "requests.", 9))
		return false;
	return !memmem(name, (size_t)(slash - name), "kubernetes.io", 13);
}
