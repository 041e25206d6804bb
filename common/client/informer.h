// SPDX-License-Identifier: Apache-2.0
#pragma once
// Informer: a local, indexed copy of one resource's objects, kept up by list and
// watch. Lists in pages, watches from the list's version, resumes after breaks
// with back-off, lists again on 410 and then reports the difference: handlers see
// every change exactly once and in order, never a gap.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/api/json.h"
#include "common/api/schema.h"
#include "common/base/arena.h"
#include "common/base/list.h"

struct rest_client;
struct informer;
struct informer_event_source;

// An object of a store: immutable, reference counted (not atomic: one loop).
struct api_object {
	unsigned references;
	struct arena *arena;
	const char *namespace_name; // "" for cluster scope
	const char *name;
	const char *key; // "namespace/name" or "name"
	const char *uid;
	const char *resource_version;
	const void *view; // the kind's typed view: (const struct core_v1_pod *)object->view
	const struct schema_resource *resource;
};

struct api_object *api_object_ref(struct api_object *object);
struct api_object *api_object_unref(struct api_object *object);
DEFINE_CLEANUP(struct api_object *, api_object_unref)
// Decodes a tree into an object of its own; one reference for the caller.
NODISCARD int api_object_new(const struct schema_resource *resource, const struct json *value,
                             struct api_object **ret_object, struct err *err);
// The same of the metadata alone: the view is a meta_v1_partial_object_metadata without labels and annotations.
NODISCARD int api_object_new_metadata(const struct schema_resource *resource, const struct json *value,
                                      struct api_object **ret_object, struct err *err);

struct informer_config {
	const struct schema_resource *resource;
	const char *namespace_name; // NULL = all
	const char *label_selector; // NULL = none
	const char *field_selector; // "spec.nodeName=x"
	bool metadata_only;         // objects of api_object_new_metadata, asked for as such
};

// Starts at once; the first list comes in a later turn.
struct informer *informer_new(struct rest_client *client, const struct informer_config *config);
struct informer *informer_free(struct informer *informer);

// Handlers, called in the order of registration. old is NULL for added; new NULL for deleted.
// A handler registered later first hears of all present objects as added.
struct informer_handler {
	struct list node;
	void (*changed)(struct informer_handler *handler, struct api_object *old_object, struct api_object *new_object);
	void (*synced)(struct informer_handler *handler);     // once, after the first full list; may be NULL
	void (*progressed)(struct informer_handler *handler); // the revision moved, after `changed`; may be NULL
	void (*absent)(struct informer_handler *handler);     // the server doesn't have the resource; may be NULL
};
void informer_add_handler(struct informer *informer, struct informer_handler *handler);
// A handler may remove itself from inside its callbacks, but no other one.
void informer_remove_handler(struct informer *informer, struct informer_handler *handler);

bool informer_has_synced(const struct informer *informer);
// The server's last answer was that it doesn't have the resource. It is asked again all the same.
bool informer_is_absent(const struct informer *informer);

// How far the copy is: every change of the resource up to this resourceVersion is in it. 0 before the first list.
int64_t informer_revision(const struct informer *informer);

// Store. Borrowed until the next turn of the loop unless referenced. NULL = none.
struct api_object *informer_get(const struct informer *informer, const char *namespace_name, const char *name);
struct api_object *informer_get_key(const struct informer *informer, const char *key);
size_t informer_count(const struct informer *informer);
// Iterates all, in no particular order. Start with *cursor = 0; NULL at the end.
struct api_object *informer_next(const struct informer *informer, size_t *cursor);

// Indexes, added before the first sync: `keys` appends the object's index values.
struct informer_index_values {
	const char **items; // room for `capacity`, borrowed from the object
	size_t count;
	size_t capacity;
};
void informer_add_index(struct informer *informer, const char *index_name,
                        void (*keys)(const struct api_object *object, struct informer_index_values *values));
// The objects under an index value; *ret_count of them, borrowed until the next turn.
struct api_object *const *informer_by_index(const struct informer *informer, const char *index_name, const char *value,
                                            size_t *ret_count);
// Ready-made: by namespace ("namespace"), by controller owner's uid ("controller"), pods by spec.nodeName ("node").
void informer_index_by_namespace(const struct api_object *object, struct informer_index_values *values);
void informer_index_by_controller(const struct api_object *object, struct informer_index_values *values);
void informer_index_pods_by_node(const struct api_object *object,
                                 struct informer_index_values *values); // "" = none yet

// Common metadata of any view (the generated views all start alike: type meta, then metadata).
struct meta_v1_object_meta;
const struct meta_v1_object_meta *api_object_metadata(const struct api_object *object);
