// SPDX-License-Identifier: Apache-2.0
#pragma once
// Objects between their trees and what storage keeps of them.

#include "apiserver/status.h"
#include "common/api/json.h"
#include "common/api/schema.h"
#include "common/base/blob.h"

struct stored_object;

// The tree of a stored object in the resource's form, with defaults and Go's
// document shape, as a decoded request has them. NULL: what is stored can't be read.
struct json *object_load(struct arena *arena, const struct schema_resource *resource,
                         const struct stored_object *object, struct err *err);

// The tree as stored, nothing added.
struct json *object_load_plain(struct arena *arena, const struct schema_resource *resource,
                               const struct stored_object *object, struct err *err);

// The stored form, without the resourceVersion. Shares what it can with the object, which must not be changed while
// it is used.
struct json *object_stored_form(struct arena *arena, const struct schema_resource *resource, const struct json *object);
// Its bytes.
struct blob *object_text(const struct json *stored_form);
// Both in one: the bytes to store.
struct blob *object_store(struct arena *arena, const struct schema_resource *resource, const struct json *object);

// Sets metadata.resourceVersion.
void object_set_version(struct arena *arena, struct json *object, int64_t revision);

// The shape of every tree before it is compared, validated or stored.
void object_complete(struct arena *arena, const struct schema_type *type, struct json *object);
