// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the request stages see of storage: consistent reads and watches from the
// watch cache, and writes as etcd transactions on the key's mod revision. All
// callbacks arrive on the loop that is named in the call, exactly once, never
// from inside the call. Objects are immutable, shared, reference-counted bytes.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/api/json.h"
#include "common/api/schema.h"
#include "common/base/blob.h"
#include "common/base/err.h"

struct encoding_slot;
struct encryption;
struct loop;
struct storage;
struct storage_watch;
struct metrics_registry;

// One stored object as the cache holds it: JSON in the storage version, encoded
// once. Its text is prefix | head | resourceVersion | tail: `json` is the whole
// with the resourceVersion in place.
struct stored_object {
	struct blob *json;
	int64_t revision;           // mod revision = resourceVersion
	uint32_t seal;              // by what it is encrypted in etcd, 0 = not; see storage_is_sealed_as_wanted
	const char *namespace_name; // "" for cluster scope
	const char *name;
	const char *uid;
	// "key\0value\0…" pairs, sorted by key, for selectors without parsing.
	const char *const *labels; // NULL-terminated: key, value, key, value, NULL
	const char *const *fields; // values of resource->selectable_fields, in that order ("" when absent)
};
struct stored_object *stored_object_ref(struct stored_object *object); // atomic
struct stored_object *stored_object_unref(struct stored_object *object);
// The place of its protobuf encoding (encoding_cache.h), in the stored form.
struct encoding_slot *stored_object_protobuf(struct stored_object *object);

struct storage_config {
	const char *const *etcd_endpoints; // NULL-terminated
	const char *etcd_ca_file;
	const char *etcd_certificate_file;
	const char *etcd_private_key_file;
	const char *prefix;             // "/registry"
	int64_t compaction_interval_ns; // 0 = off
	struct encryption *encryption;  // outlives the storage; NULL: nothing is encrypted
	size_t event_window_bytes;      // per cache; 0 = default
	struct metrics_registry *metrics;
};

// Starts the storage thread; connects in the background.
NODISCARD int storage_new(const struct storage_config *config, struct storage **ret_storage, struct err *err);
// Ends the thread. Calls that are under way are answered with ERR_UNAVAILABLE (writes that may have happened:
// ERR_TIMEOUT) on their loops, which must still turn once; watches must have been closed.
struct storage *storage_free(struct storage *storage);

// Caches of resources (built-in ones at start, custom ones as they come and go).
// Resources of several versions share one cache by storage_prefix; what its objects
// carry as `fields` follows the first resource added for the prefix, so add the one
// of the storage version first. A resource without a storage_prefix is ignored.
void storage_add_resource(struct storage *storage, const struct schema_resource *resource);
void storage_remove_resource(struct storage *storage, const struct schema_resource *resource);

// What reads the stored values of custom resources: unknown fields fall out, defaults come in.
struct storage_reader {
	// Any thread. True when the tree was changed.
	bool (*read)(void *context, struct arena *arena, struct json *tree);
	void (*release)(void *context); // once, when nothing reads any more
	void *context;
};
// The same for a custom resource. One that is there under the prefix already is replaced: its watches end, and what
// is stored is read anew. Takes the reader's context over.
void storage_add_custom(struct storage *storage, const struct schema_resource *resource,
                        const struct storage_reader *reader);

bool storage_is_ready(const struct storage *storage);     // every cache has been listed; thread-safe
bool storage_etcd_healthy(const struct storage *storage); // thread-safe

// --- reads ---------------------------------------------------------------------

enum storage_freshness {
	STORAGE_ANY,        // resourceVersion=0: what the cache has
	STORAGE_NOT_OLDER,  // at least `revision`
	STORAGE_CONSISTENT, // at least etcd's revision now
	STORAGE_EXACT,      // exactly `revision` (read from etcd)
};

struct storage_read {
	const struct schema_resource *resource;
	const char *namespace_name; // "" or NULL: all
	const char *name;           // get
	enum storage_freshness freshness;
	int64_t revision;
	// list: only objects under this selectable field value (an index where there is one), NULL = no restriction
	const char *field_label;
	const char *field_value;
	const char *continue_key; // chunked lists: start after this key ("namespace/name"), with STORAGE_EXACT
	size_t limit;             // 0 = all
};

struct storage_list {
	struct stored_object **objects; // borrowed for the callback; reference what you keep
	size_t count;
	int64_t revision; // of the list
	bool more;
	size_t remaining; // after this chunk, without selectors
};

// err: ERR_NOT_FOUND, ERR_EXPIRED, ERR_TIMEOUT (revision too new), ERR_UNAVAILABLE.
void storage_get(struct storage *storage, const struct storage_read *read, struct loop *loop,
                 void (*done)(void *context, struct stored_object *object, int64_t revision, const struct err *err),
                 void *context);
void storage_list(struct storage *storage, const struct storage_read *read, struct loop *loop,
                  void (*done)(void *context, const struct storage_list *list, const struct err *err), void *context);

// A look at the cache as it is, synchronous, thread-safe, for admission and allocators. NULL = none; unref it.
struct stored_object *storage_peek(struct storage *storage, const struct schema_resource *resource,
                                   const char *namespace_name, const char *name);
// All of a namespace ("" = all) as the cache has them now; the caller unrefs each and frees the array.
size_t storage_peek_all(struct storage *storage, const struct schema_resource *resource, const char *namespace_name,
                        struct stored_object ***ret_objects);
// The last revision that changed what the two above show of the resource; 0 = not known yet. What was made of
// them (snapshots of configuration) is as good as new while this is the same. Thread-safe.
int64_t storage_peek_change(struct storage *storage, const struct schema_resource *resource);

// How many objects the cache has now. Thread-safe.
size_t storage_count(struct storage *storage, const struct schema_resource *resource);

// False: the object has to be written again so that etcd holds it as --encryption-provider-config wants.
bool storage_is_sealed_as_wanted(struct storage *storage, const struct schema_resource *resource,
                                 const struct stored_object *object);

// --- writes ----------------------------------------------------------------------

enum storage_write_type {
	STORAGE_CREATE, // fails with ERR_ALREADY_EXISTS
	STORAGE_UPDATE, // fails with ERR_CONFLICT when the mod revision isn't `expected_revision`
	STORAGE_DELETE, // likewise
};

struct storage_write {
	enum storage_write_type type;
	const struct schema_resource *resource;
	const char *namespace_name;
	const char *name;
	int64_t expected_revision;
	struct blob *json; // without resourceVersion; the caller's reference is consumed
	// What `json` says, where the caller has it as a tree: spares parsing it. Borrowed for the call; NULL = none.
	const struct json *tree;
	int64_t lease_seconds; // events: time to live, 0 = none
};

// Done once etcd has answered. ret `object` is the new stored object (on delete:
// the last state with the delete's revision). The watch cache is not waited for.
// ERR_UNAVAILABLE: certainly not written. ERR_TIMEOUT: may have been written.
void storage_write(struct storage *storage, const struct storage_write *write, struct loop *loop,
                   void (*done)(void *context, struct stored_object *object, const struct err *err), void *context);

// --- watches ----------------------------------------------------------------------

enum storage_event_type {
	STORAGE_EVENT_PUT,
	STORAGE_EVENT_DELETED,
	STORAGE_EVENT_PROGRESS, // nothing changed up to `revision` (for bookmarks)
};

struct storage_event {
	enum storage_event_type type;
	int64_t revision;
	struct stored_object *object;   // after the change; for DELETED the last state with the delete's revision
	struct stored_object *previous; // before it, NULL when created
};

struct storage_watch_config {
	const struct schema_resource *resource;
	const char *namespace_name; // "" = all
	const char *name;           // NULL = all (from metadata.name selectors)
	const char *field_label;    // indexed selectable field, e.g. spec.nodeName; NULL = none
	const char *field_value;
	int64_t after_revision; // events with a larger revision
	struct loop *loop;
	// There is something to read: call storage_watch_next until it returns false.
	// Called at most once until then.
	void (*readable)(void *context);
	void *context;
};

// ERR_EXPIRED when after_revision has left the window. Thread-safe; belongs to `loop` afterwards.
NODISCARD int storage_watch_open(struct storage *storage, const struct storage_watch_config *config,
                                 struct storage_watch **ret_watch, struct err *err);
// The next event, referenced until the following call. False: none now. err set: the watch
// ended (fell behind the window, cache reset): close it.
bool storage_watch_next(struct storage_watch *watch, struct storage_event *ret_event, struct err *err);
struct storage_watch *storage_watch_close(struct storage_watch *watch);
