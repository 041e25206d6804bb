// SPDX-License-Identifier: Apache-2.0
// What writes do to the managers' sets, after the published rules of structured
// merge:
//
//   update   the writer takes what was added or modified; everybody else loses
//            that, and everybody loses what was removed
//   apply    1. the configuration is merged over the live object
//            2. the manager's set becomes the configuration's
//            3. places of its last set that nobody owns any more are taken out
//            4. others that own what changed are in conflict; with force, or when
//               there are none, they lose it as in an update
//
// Sets name fields as of their version. A manager of another version than the
// write's is judged by the difference of the object in that version.

#include "common/api/apply.h"

#include <stdlib.h>
#include <string.h>

#include "common/api/apply_internal.h"
#include "common/api/decode.h"

enum {
	MAX_UPDATE_MANAGERS = 10,
	MAX_VERSIONS = 8,
};

#define ANCIENT_MANAGER "ancient-changes"
#define BEFORE_FIRST_APPLY "before-first-apply"

#define FIELD(name)                                      \
	{                                                \
		.text = name, .length = sizeof(name) - 1 \
	}

// What the server owns, and nobody else may.
static struct field_set_entry stripped_metadata[] = {
        {FIELD("clusterName"), true},
        {FIELD("creationTimestamp"), true},
        {FIELD("generation"), true},
        {FIELD("managedFields"), true},
        {FIELD("name"), true},
        {FIELD("namespace"), true},
        {FIELD("resourceVersion"), true},
        {FIELD("selfLink"), true},
        {FIELD("uid"), true},
};
static struct field_set_entry stripped_entries[] = {
        {FIELD("apiVersion"), true},
        {FIELD("kind"), true},
        {FIELD("metadata"), true, {stripped_metadata, ARRAY_SIZE(stripped_metadata), 0}},
};
static const struct field_set stripped = {stripped_entries, ARRAY_SIZE(stripped_entries), 0};

// --- differences by version ------------------------------------------------------------

struct version_change {
	const char *api_version;
	bool known;
	struct field_set taken; // added or modified
	struct field_set removed;
};

struct changes {
	const struct field_write *write;
	const struct json *from;
	const struct json *to;
	struct version_change versions[MAX_VERSIONS]; // the first is the write's own
	size_t count;
};

static struct field_set restricted(const struct field_write *write, const struct field_set *set)
{
	return field_set_restrict(write->arena, set, write->only, write->except);
}

static struct version_change *add_version(struct changes *changes, const char *api_version,
                                          const struct schema_type *type, const struct json *from,
                                          const struct json *to)
{
	const struct field_write *write = changes->write;
	struct version_change *change = &changes->versions[changes->count++];
	struct typed_difference difference;
	struct field_set taken;

	*change = (struct version_change){.api_version = api_version, .known = from && to};
	if (!change->known)
		return change;
	typed_compare(write->arena, type, from, to, &difference);
	taken = field_set_union(write->arena, &difference.added, &difference.modified);
	change->taken = restricted(write, &taken);
	change->removed = restricted(write, &difference.removed);
	return change;
}

static void changes_init(struct changes *changes, const struct field_write *write, const struct json *from,
                         const struct json *to)
{
	*changes = (struct changes){.write = write, .from = from, .to = to};
	(void)add_version(changes, write->api_version, write->type, from, to);
}

static const struct version_change *change_in(struct changes *changes, const char *api_version)
{
	static const struct version_change unknown = {.known = false};
	const struct field_write *write = changes->write;
	const struct schema_type *type = NULL;
	struct json *from = NULL, *to = NULL;

	for (size_t i = 0; i < changes->count; i++)
		if (!strcmp(changes->versions[i].api_version, api_version))
			return &changes->versions[i];
	if (changes->count == MAX_VERSIONS)
		return &unknown;
	if (write->in_version) {
		from = write->in_version(write->context, api_version, changes->from, &type);
		to = from ? write->in_version(write->context, api_version, changes->to, &type) : NULL;
	}
	return add_version(changes, api_version, type, from, to);
}

// --- sets of the others ----------------------------------------------------------------

static void lose(struct changes *changes, struct field_managers *managers, const struct field_manager *writer)
{
	struct arena *arena = changes->write->arena;

	for (size_t i = 0; i < managers->count; i++) {
		struct field_manager *manager = &managers->items[i];
		const struct version_change *change;

		if (manager == writer)
			continue;
		change = change_in(changes, manager->api_version);
		if (!change->known) {
			manager->set = FIELD_SET_INIT;
			continue;
		}
		if (!field_set_overlaps(&manager->set, &change->taken) &&
		    !field_set_overlaps(&manager->set, &change->removed))
			continue;
		manager->entry = NULL;
		manager->set = field_set_difference(arena, &manager->set, &change->taken);
		manager->set = field_set_difference(arena, &manager->set, &change->removed);
	}
}

static int compare_age(const void *a, const void *b)
{
	const struct field_manager *left = *(struct field_manager *const *)a,
	                           *right = *(struct field_manager *const *)b;
	int order = strcmp(left->time ? left->time : "", right->time ? right->time : "");

	return order ? order : strcmp(left->name, right->name);
}

static struct field_manager *first_of_version(struct field_manager **updaters, size_t count, const char *api_version)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(updaters[i]->api_version, api_version))
			return updaters[i];
	return NULL;
}

// The oldest updaters of each version become one, until there are few enough.
static void cap_updaters(struct arena *arena, struct field_managers *managers)
{
	struct field_manager **updaters = ARENA_ARRAY(arena, struct field_manager *, managers->count + 1);
	size_t count = 0, left;

	for (size_t i = 0; i < managers->count; i++)
		if (!managers->items[i].applied)
			updaters[count++] = &managers->items[i];
	if (count <= MAX_UPDATE_MANAGERS)
		return;
	qsort(updaters, count, sizeof(*updaters), compare_age);
	left = count;
	for (size_t i = 0; i < count && left > MAX_UPDATE_MANAGERS; i++) {
		struct field_manager *bucket = first_of_version(updaters, i, updaters[i]->api_version);

		if (!bucket)
			continue;
		bucket->entry = NULL;
		bucket->name = ANCIENT_MANAGER;
		bucket->subresource = "";
		bucket->set = field_set_union(arena, &updaters[i]->set, &bucket->set);
		bucket->time = updaters[i]->time;
		updaters[i]->set = FIELD_SET_INIT;
		left--;
	}
	field_managers_drop_empty(managers);
}

// --- update ----------------------------------------------------------------------------

static void grant(const struct field_write *write, const char *name, const struct field_set *taken,
                  struct field_managers *managers)
{
	struct field_set own = field_set_difference(write->arena, taken, &stripped);
	struct field_manager like = {name, write->api_version, write->subresource, write->now, false, own, NULL};
	struct field_manager *known;

	if (field_set_is_empty(&own))
		return;
	known = field_managers_find(managers, &like);
	if (!known) {
		(void)field_managers_add(write->arena, managers, &like);
		return;
	}
	known->entry = NULL;
	known->set = field_set_union(write->arena, &known->set, &own);
	known->time = write->now;
}

static bool update_as(const struct field_write *write, const char *name, const struct json *from, const struct json *to,
                      struct field_managers *managers)
{
	struct changes changes;
	const struct version_change *own = &changes.versions[0];

	changes_init(&changes, write, from, to);
	if (!own->taken.count && !own->removed.count)
		return false;
	lose(&changes, managers, NULL);
	grant(write, name, &own->taken, managers);
	field_managers_drop_empty(managers);
	cap_updaters(write->arena, managers);
	return true;
}

bool field_write_update(const struct field_write *write, const struct json *from, const struct json *to,
                        struct field_managers *managers)
{
	return update_as(write, write->manager, from, to, managers);
}

// --- conflicts -------------------------------------------------------------------------

struct conflict_list {
	struct arena *arena;
	struct field_conflicts *conflicts;
	const struct field_manager *manager;
};

static void add_conflict(void *context, const char *path)
{
	struct conflict_list *list = context;
	struct field_conflicts *conflicts = list->conflicts;

	if (conflicts->count == conflicts->capacity) {
		size_t capacity = conflicts->capacity ? 2 * conflicts->capacity : 8;

		conflicts->items =
		        arena_realloc(list->arena, conflicts->items, conflicts->capacity * sizeof(*conflicts->items),
		                      capacity * sizeof(*conflicts->items));
		conflicts->capacity = capacity;
	}
	conflicts->items[conflicts->count++] =
	        (struct field_conflict){.manager = list->manager, .path = arena_strdup(list->arena, path)};
}

// `allowed` forgives all or nothing: what is left of the conflicts without it is told.
static void find_conflicts(struct changes *changes, const struct field_managers *managers,
                           const struct field_manager *writer, const struct field_set *allowed,
                           struct field_conflicts *conflicts)
{
	struct arena *arena = changes->write->arena;

	for (size_t i = 0; i < managers->count; i++) {
		const struct field_manager *manager = &managers->items[i];
		struct conflict_list list = {arena, conflicts, manager};
		const struct version_change *change;
		struct field_set disputed;

		if (manager == writer)
			continue;
		change = change_in(changes, manager->api_version);
		disputed = field_set_intersection(arena, &manager->set, &change->taken);
		if (allowed)
			disputed = field_set_difference(arena, &disputed, allowed);
		field_set_for_each(&disputed, add_conflict, &list);
	}
}

// --- apply -----------------------------------------------------------------------------

static void settle_first_apply(const struct field_write *write, const struct json *live,
                               struct field_managers *managers)
{
	struct json *empty = json_object(write->arena);

	if (managers->count)
		return;
	schema_fill_shape(write->arena, write->type, empty);
	(void)update_as(write, BEFORE_FIRST_APPLY, empty, live, managers);
}

static void remove_unapplied(const struct field_write *write, struct json *merged, const struct field_set *last,
                             const struct field_managers *managers)
{
	struct arena *arena = write->arena;
	struct typed_place root = typed_root(write->type);
	struct field_set before = typed_with_parents(arena, &root, last);

	for (size_t i = 0; i < managers->count; i++) {
		struct field_set owned = typed_with_parents(arena, &root, &managers->items[i].set);

		before = field_set_difference(arena, &before, &owned);
	}
	(void)typed_remove(arena, &root, merged, &before);
}

static struct field_set set_of_config(const struct field_write *write, const struct json *config)
{
	struct field_set set = typed_to_set(write->arena, write->type, config);

	set = restricted(write, &set);
	return field_set_difference(write->arena, &set, &stripped);
}

// The writer's entry with the configuration's set; *ret_last is what it had.
static struct field_manager *take_over(const struct field_write *write, const struct json *config,
                                       struct field_managers *managers, struct field_set *ret_last, bool *ret_changed)
{
	struct field_manager like = {write->manager,
	                             write->api_version,
	                             write->subresource,
	                             write->now,
	                             true,
	                             set_of_config(write, config),
	                             NULL};
	struct field_manager *known = field_managers_find(managers, &like);

	*ret_last = FIELD_SET_INIT;
	*ret_changed = true;
	if (!known)
		return field_managers_add(write->arena, managers, &like);
	*ret_last = known->set;
	*ret_changed = strcmp(known->api_version, write->api_version) || !field_set_equal(&known->set, &like.set);
	known->entry = *ret_changed ? NULL : known->entry;
	known->set = like.set;
	known->api_version = write->api_version;
	return known;
}

bool field_write_apply(const struct field_write *write, struct json *live, struct json *config, bool force,
                       const struct field_set *allowed, struct field_managers *managers, struct json **ret_object,
                       struct field_conflicts *ret_conflicts)
{
	struct typed_place root = typed_root(write->type);
	const struct json *before = json_clone(write->arena, live);
	struct field_manager *writer;
	struct changes changes;
	struct field_set last;
	struct json *merged;
	bool changed;

	*ret_conflicts = (struct field_conflicts){0};
	settle_first_apply(write, live, managers);
	typed_canonicalize(write->arena, &root, config);
	writer = take_over(write, config, managers, &last, &changed);
	merged = typed_merge(write->arena, &root, live, config);
	remove_unapplied(write, merged, &last, managers);
	changes_init(&changes, write, before, merged);
	if (!force)
		find_conflicts(&changes, managers, writer, allowed, ret_conflicts);
	if (ret_conflicts->count)
		return false;
	lose(&changes, managers, writer);
	if (changed || changes.versions[0].taken.count || changes.versions[0].removed.count) {
		writer->time = write->now;
		writer->entry = NULL;
	}
	field_managers_drop_empty(managers);
	*ret_object = merged;
	return true;
}

struct field_set field_set_of_last_applied(struct arena *arena, const struct schema_type *type, const char *api_version,
                                           const struct json *live)
{
	const char *text = json_get_text(json_path(live, "metadata", "annotations"), LAST_APPLIED_ANNOTATION);
	struct typed_difference difference;
	struct field_set set = FIELD_SET_INIT;
	struct json *applied;
	const char *version;

	if (!text || !text[0] || json_parse(arena, text, strlen(text), NULL, &applied, NULL) < 0)
		return set;
	version = json_get_text(applied, "apiVersion");
	if (!version || strcmp(version, api_version) || typed_check(arena, type, applied))
		return set;
	set = typed_to_set(arena, type, applied);
	typed_compare(arena, type, applied, live, &difference);
	set = field_set_difference(arena, &set, &difference.modified);
	set = field_set_difference(arena, &set, &difference.added);
	return field_set_difference(arena, &set, &difference.removed);
}
