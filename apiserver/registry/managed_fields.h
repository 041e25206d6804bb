// SPDX-License-Identifier: Apache-2.0
#pragma once
// metadata.managedFields: who owns which fields, kept for every writer, and
// server-side apply on one object.

#include "apiserver/registry/change.h"

// The name that a write's fields are owned under: ?fieldManager, else the user agent's first part.
const char *managed_fields_manager(struct request *request);

// The fieldManager and force options; `options_kind` as "PatchOptions".
const struct status *managed_fields_check_options(struct request *request, const char *options_kind, bool apply);

// Settles the wanted object's managedFields for a create or an update of the whole
// object or of a subresource: what the client sent is laid aside or taken, what
// changed becomes the writer's.
void managed_fields_update(struct change *change);

// Takes back new times when the update would change nothing else.
void managed_fields_settle(struct change *change);

// Lays the configuration over change->object (for a create: an empty object) and
// settles its managedFields. `config` may be changed. A conflict is a 409 with a
// cause for each field.
const struct status *managed_fields_apply(struct change *change, struct json *config);
