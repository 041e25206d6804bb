// SPDX-License-Identifier: Apache-2.0
#pragma once
// An ordered set of stored objects whose versions are cheap: a B+ tree with
// reference-counted nodes. A snapshot is a reference to the root and never
// changes; the writer copies only the nodes on its way that a snapshot shares.
//
// Threads: one writer at a time. object_tree_snapshot is called while no write is
// going on (under the writer's lock); what it returns may be read and dropped on
// any thread without a lock.

#include <stddef.h>

#include "apiserver/storage/storage.h"

struct tree_node;

// The order: by the value of a selectable field, then by key; or (field < 0) by key.
struct object_tree {
	struct tree_node *root; // NULL = empty
	int field;
};

#define OBJECT_TREE_INIT(field_index) ((struct object_tree){.field = (field_index)})
void object_tree_done(struct object_tree *tree); // drops the references

// Adds a reference to the object, replacing the one of the same place. True when it was new.
bool object_tree_put(struct object_tree *tree, struct stored_object *object);
// False when there was none.
bool object_tree_remove(struct object_tree *tree, const struct stored_object *object);

// Another reference to this version; object_tree_done drops it.
struct object_tree object_tree_snapshot(const struct object_tree *tree);

size_t object_tree_count(const struct object_tree *tree);
// Borrowed; NULL = none. `value` is the field's (ignored in trees by key).
struct stored_object *object_tree_find(const struct object_tree *tree, const char *value, const char *key);
// How many objects stand before (value, key).
size_t object_tree_rank(const struct object_tree *tree, const char *value, const char *key);
// Copies at most `limit` borrowed pointers, from the place `rank` on; returns how many.
size_t object_tree_copy(const struct object_tree *tree, size_t rank, size_t limit, struct stored_object **out);
