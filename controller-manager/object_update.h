// SPDX-License-Identifier: Apache-2.0
#pragma once
// Whole-object updates, for what upstream's roles let be updated but not patched:
// the object is read as it is, changed as a tree, and put back, so that what no
// view knows stays.

#include "controller-manager/controller.h"

// Changes the object in place; false leaves it alone. Texts in `arena` live until the write is sent.
typedef bool (*object_change_fn)(void *context, struct arena *arena, struct json *object);

// GETs the object and PUTs it to itself or to `subresource` (NULL: itself). A conflict makes the key come again.
// `context` must live until the key is finished.
void reconcile_update(struct reconcile *reconcile, const struct schema_resource *resource, const char *namespace_name,
                      const char *name, const char *subresource, object_change_fn change, void *context);
