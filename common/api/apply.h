// SPDX-License-Identifier: Apache-2.0
#pragma once
// Field ownership: the managers of an object (metadata.managedFields), what a
// write does to their sets, and server-side apply. Pure: trees in, trees out.

#include "common/api/typed.h"

struct field_manager {
	const char *name;
	const char *api_version; // of the field names in the set
	const char *subresource; // "" = the object itself
	const char *time;        // RFC 3339, NULL = none
	bool applied;            // operation Apply, else Update
	struct field_set set;
	struct json *entry; // the set as it was read, NULL once anything changed
};

struct field_managers {
	struct field_manager *items;
	size_t count;
	size_t capacity;
};

// From metadata.managedFields (NULL: none). An entry that can't be read is an error.
NODISCARD int field_managers_parse(struct arena *arena, const struct json *entries, struct field_managers *ret_managers,
                                   struct err *err);
// The list in upstream's order; NULL when nobody owns anything.
struct json *field_managers_to_json(struct arena *arena, const struct field_managers *managers);
// Whether two managedFields lists differ in nothing but their times.
bool field_managers_same_but_time(const struct json *a, const struct json *b);

// One write of one manager.
struct field_write {
	struct arena *arena;
	const struct schema_type *type;
	const char *manager;
	const char *api_version;
	const char *subresource;
	const char *now; // RFC 3339
	// Top-level fields that this kind of write can change, and those that it can't; NULL = no restriction.
	const char *const *only;
	const char *const *except;
	// An object of the write's version in another one, with that version's type; NULL: no such
	// version, whose managers are then forgotten. The hook itself may be NULL: there is only one.
	struct json *(*in_version)(void *context, const char *api_version, const struct json *object,
	                           const struct schema_type **ret_type);
	void *context;
};

// PUT, POST and the other patches: the manager takes what changed from `from` to
// `to`, everybody loses what was changed or removed. Returns whether any set changed.
bool field_write_update(const struct field_write *write, const struct json *from, const struct json *to,
                        struct field_managers *managers);

struct field_conflict {
	const struct field_manager *manager;
	const char *path; // .spec.replicas
};

struct field_conflicts {
	struct field_conflict *items;
	size_t count;
	size_t capacity;
};

// Lays `config` over `live` (whose tree it may use up) and removes what the
// manager applied before, doesn't any more, and nobody else owns. Without
// `force`, fields of others that would change are conflicts: nothing is changed
// then and false is returned. Objects without managers get one for what was there
// before ("before-first-apply"). `allowed` (may be NULL): places that are taken
// without a conflict when there are no others.
bool field_write_apply(const struct field_write *write, struct json *live, struct json *config, bool force,
                       const struct field_set *allowed, struct field_managers *managers, struct json **ret_object,
                       struct field_conflicts *ret_conflicts);

// What of kubectl's last-applied annotation still stands as it was applied:
// fields that its server-side apply takes over without a conflict.
struct field_set field_set_of_last_applied(struct arena *arena, const struct schema_type *type, const char *api_version,
                                           const struct json *live);
#define LAST_APPLIED_ANNOTATION "kubectl.kubernetes.io/last-applied-configuration"
