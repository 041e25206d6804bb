// SPDX-License-Identifier: Apache-2.0
#pragma once
// Patches for controllers that upstream's roles let update and not patch.

#include "controller-manager/controller.h"

// Whether the role of the controllers lets this be patched: those of upstream patch few kinds.
bool patch_is_granted(const struct controller *controller, const struct schema_resource *resource,
                      const char *subresource);

// The same as reconcile_patch: the object is read, changed here and put back. A change meanwhile is a conflict.
void reconcile_patch_by_update(struct reconcile *reconcile, const struct api_object *object, const char *subresource,
                               enum rest_body_type type, const struct json *patch, reconcile_answer_fn on_answer,
                               void *context);
