// SPDX-License-Identifier: Apache-2.0
#pragma once
// Who controls what: owner references made, objects found by them, orphans adopted
// and strangers released.

#include <stdbool.h>

#include "common/base/arena.h"
#include "common/client/informer.h"

struct label_selector;
struct meta_v1_object_meta;
struct reconcile;

// Makes `owner` the only owner: its controller, blocking its deletion.
void ownership_set(struct arena *arena, struct meta_v1_object_meta *metadata, const struct api_object *owner);

// The objects that `owner` controls, by the informer's "controller" index; the array is the arena's, the objects are
// borrowed until the next turn.
struct api_object **ownership_objects(struct arena *arena, const struct informer *informer,
                                      const struct api_object *owner, size_t *ret_count);

// For qsort of (struct api_object *): the oldest first, those of the same second by key.
int ownership_compare_age(const void *left, const void *right);

// Gives objects without a controller that match the selector to `owner`, and takes those away that don't match any
// more. Finished pods are not adopted. Needs the informer's "namespace" index. True when it started writes: the key
// comes again when the store has them, and must not decide by numbers before.
bool ownership_adopt_and_release(struct reconcile *reconcile, const struct informer *informer,
                                 const struct api_object *owner, const struct label_selector *selector);
// The same for owners that only have members of certain names.
bool ownership_adopt_and_release_if(struct reconcile *reconcile, const struct informer *informer,
                                    const struct api_object *owner, const struct label_selector *selector,
                                    bool (*is_member)(const struct api_object *owner, const struct api_object *object));
