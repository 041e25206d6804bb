// SPDX-License-Identifier: Apache-2.0
#pragma once
// Between the files of the garbage collector only: what the local copies say about
// owners and dependents.

#include <stdbool.h>
#include <stddef.h>

#include "controller-manager/controller.h"

struct api_object;
struct hashmap;
struct meta_v1_owner_reference;

enum { MAX_MONITORS = 128 };

// One kind and its informer.
struct gc_monitor {
	const struct schema_resource *resource;
	struct informer *informer;
};

struct garbage_collector {
	struct gc_monitor monitors[MAX_MONITORS];
	size_t monitor_count;
	struct hashmap *absent; // uids of owners that the server doesn't have, a bounded memory
};

enum owner_state {
	OWNER_SOLID,      // there, and to stay
	OWNER_WAITING,    // being deleted in the foreground: waits for its dependents
	OWNER_NOT_SEEN,   // not in the local copies: the server must be asked
	OWNER_UNKNOWABLE, // of a kind that isn't watched, or out of reach: never a reason to delete
	OWNER_ABSENT,     // the server was asked: gone
};

#define FOREGROUND_FINALIZER "foregroundDeletion"
#define ORPHAN_FINALIZER "orphan"

bool gc_has_finalizer(const struct api_object *object, const char *name);
bool gc_is_being_deleted(const struct api_object *object);
bool gc_deletes_dependents(const struct api_object *object); // being deleted in the foreground

const struct gc_monitor *gc_monitor_of(const struct garbage_collector *collector,
                                       const struct schema_resource *resource);
// The kind that a reference means; NULL when it isn't watched.
const struct gc_monitor *gc_monitor_of_reference(const struct garbage_collector *collector,
                                                 const struct meta_v1_owner_reference *reference);
// The owner as the local copy has it, NULL = not there (or another one of the name).
struct api_object *gc_find_owner(const struct garbage_collector *collector, const struct api_object *dependent,
                                 const struct meta_v1_owner_reference *reference);
enum owner_state gc_owner_state(const struct garbage_collector *collector, const struct api_object *dependent,
                                const struct meta_v1_owner_reference *reference);

// Calls `function` with each object that names `owner` as an owner in its reach. The dependents are borrowed.
void gc_each_dependent(const struct garbage_collector *collector, const struct api_object *owner,
                       void (*function)(void *context, struct api_object *dependent,
                                        const struct meta_v1_owner_reference *reference),
                       void *context);
// The index that it needs.
#define GC_OWNER_INDEX "owner"
void gc_index_by_owner(const struct api_object *object, struct informer_index_values *values);

// Keys of the work queue: the kind's place among the monitors and the object's key.
void gc_enqueue(struct controller *controller, const struct api_object *object);
const struct gc_monitor *gc_parse_key(const struct garbage_collector *collector, const char *key,
                                      const char **ret_object_key);
