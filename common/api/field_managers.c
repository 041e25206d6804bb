// SPDX-License-Identifier: Apache-2.0
// metadata.managedFields between its JSON and the sets. A manager is known by
// name, operation, subresource and, unless it applies, version.

#include <stdlib.h>
#include <string.h>

#include "common/api/apply.h"
#include "common/api/apply_internal.h"

struct field_manager *field_managers_find(struct field_managers *managers, const struct field_manager *like)
{
	for (size_t i = 0; i < managers->count; i++) {
		struct field_manager *manager = &managers->items[i];

		if (manager->applied == like->applied && !strcmp(manager->name, like->name) &&
		    !strcmp(manager->subresource, like->subresource) &&
		    (like->applied || !strcmp(manager->api_version, like->api_version)))
			return manager;
	}
	return NULL;
}

struct field_manager *field_managers_add(struct arena *arena, struct field_managers *managers,
                                         const struct field_manager *manager)
{
	if (managers->count == managers->capacity) {
		size_t capacity = managers->capacity ? 2 * managers->capacity : 8;

		managers->items = arena_realloc(arena, managers->items, managers->capacity * sizeof(*managers->items),
		                                capacity * sizeof(*managers->items));
		managers->capacity = capacity;
	}
	managers->items[managers->count] = *manager;
	return &managers->items[managers->count++];
}

void field_managers_drop_empty(struct field_managers *managers)
{
	size_t kept = 0;

	for (size_t i = 0; i < managers->count; i++)
		if (!field_set_is_empty(&managers->items[i].set))
			managers->items[kept++] = managers->items[i];
	managers->count = kept;
}

static const char *text_of(const struct json *entry, const char *key)
{
	const char *text = json_get_text(entry, key);

	return text ? text : "";
}

static int parse_entry(struct arena *arena, struct json *entry, size_t index, struct field_manager *manager,
                       struct err *err)
{
	const char *operation = text_of(entry, "operation"), *type = text_of(entry, "fieldsType");
	const struct json *fields = json_get(entry, "fieldsV1");

	*manager = (struct field_manager){
	        .name = text_of(entry, "manager"),
	        .api_version = text_of(entry, "apiVersion"),
	        .subresource = text_of(entry, "subresource"),
	        .time = json_get_text(entry, "time"),
	        .applied = !strcmp(operation, "Apply"),
	        .entry = entry,
	};
	if (!manager->applied && strcmp(operation, "Update"))
		return err_set(err, ERR_BAD_REQUEST, "operation must be `Apply` or `Update`");
	if (!manager->api_version[0])
		return err_set(err, ERR_BAD_REQUEST, "apiVersion must not be empty");
	if (!type[0])
		return err_set(err, ERR_BAD_REQUEST, "missing fieldsType in managed fields entry %zu", index);
	if (strcmp(type, "FieldsV1"))
		return err_set(err, ERR_BAD_REQUEST, "invalid fieldsType \"%.40s\" in managed fields entry %zu", type,
		               index);
	if (!fields || json_is_null(fields))
		return 0;
	return field_set_parse(arena, fields, &manager->set, err);
}

int field_managers_parse(struct arena *arena, const struct json *entries, struct field_managers *ret_managers,
                         struct err *err)
{
	struct field_managers managers = {0};

	json_for_each_item (entry, entries) {
		struct field_manager manager, *known;
		int r = parse_entry(arena, entry, managers.count, &manager, err);

		if (r < 0)
			return r;
		known = field_managers_find(&managers, &manager);
		if (known)
			*known = manager;
		else
			(void)field_managers_add(arena, &managers, &manager);
	}
	*ret_managers = managers;
	return 0;
}

// Applied before updated, then by time and name. Times in UTC sort as text.
static int compare_managers(const void *a, const void *b)
{
	const struct field_manager *left = a, *right = b;
	int order = (int)right->applied - (int)left->applied;

	if (!order)
		order = strcmp(left->time ? left->time : "", right->time ? right->time : "");
	if (!order)
		order = strcmp(left->name, right->name);
	if (!order)
		order = strcmp(left->api_version, right->api_version);
	return order ? order : strcmp(left->subresource, right->subresource);
}

static struct json *entry_of(struct arena *arena, const struct field_manager *manager)
{
	struct json *entry;

	if (manager->entry)
		return manager->entry;
	entry = json_object(arena);
	if (manager->name[0])
		json_set_text(arena, entry, "manager", manager->name);
	json_set_text(arena, entry, "operation", manager->applied ? "Apply" : "Update");
	json_set_text(arena, entry, "apiVersion", manager->api_version);
	if (manager->time)
		json_set_text(arena, entry, "time", manager->time);
	json_set_text(arena, entry, "fieldsType", "FieldsV1");
	json_set(arena, entry, "fieldsV1", field_set_to_json(arena, &manager->set));
	if (manager->subresource[0])
		json_set_text(arena, entry, "subresource", manager->subresource);
	return entry;
}

struct json *field_managers_to_json(struct arena *arena, const struct field_managers *managers)
{
	struct json *entries = json_array(arena);
	struct field_manager *sorted = ARENA_ARRAY(arena, struct field_manager, managers->count + 1);

	if (!managers->count)
		return NULL;
	memcpy(sorted, managers->items, managers->count * sizeof(*sorted));
	qsort(sorted, managers->count, sizeof(*sorted), compare_managers);
	for (size_t i = 0; i < managers->count; i++)
		json_append(arena, entries, entry_of(arena, &sorted[i]));
	return entries;
}

static bool same_text(const struct json *a, const struct json *b, const char *key)
{
	return !strcmp(text_of(a, key), text_of(b, key));
}

static bool same_entry(const struct json *a, const struct json *b)
{
	return same_text(a, b, "manager") && same_text(a, b, "operation") && same_text(a, b, "apiVersion") &&
	       same_text(a, b, "subresource");
}

static const struct json *entry_like(const struct json *entries, const struct json *entry)
{
	json_for_each_item (other, entries)
		if (same_entry(other, entry))
			return other;
	return NULL;
}

// The order of entries follows their times, so it doesn't count either.
bool field_managers_same_but_time(const struct json *a, const struct json *b)
{
	if (!json_is(a, JSON_ARRAY) || !json_is(b, JSON_ARRAY))
		return a == b;
	if (a->length != b->length)
		return false;
	json_for_each_item (entry, a) {
		const struct json *other = entry_like(b, entry);
		const struct json *mine = json_get(entry, "fieldsV1");

		if (!other || !mine || !json_get(other, "fieldsV1") || !json_equal(mine, json_get(other, "fieldsV1")))
			return false;
	}
	return true;
}
