// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the server itself writes into metadata.

#include "apiserver/registry/change.h"

// Name, namespace, uid, creationTimestamp; what clients may not set is dropped.
// Fails on a namespace or name that contradicts the path.
const struct status *metadata_prepare_create(struct change *change);
// A fresh name from generateName; false when there is none.
bool metadata_generate_name(struct change *change);

// Conflicts (409), immutable and server-owned fields.
const struct status *metadata_prepare_update(struct change *change, bool allow_unconditional);

// Sets the deletion mark now + grace (also the generation).
void metadata_mark_deleted(struct arena *arena, struct json *object, int64_t now_realtime_ns, int64_t grace_seconds);

bool metadata_has_finalizers(const struct json *object);
bool metadata_has_finalizer(const struct json *object, const char *finalizer);
void metadata_add_finalizer(struct arena *arena, struct json *object, const char *finalizer);
void metadata_remove_finalizer(struct json *object, const char *finalizer);
// -1 = none.
int64_t metadata_deletion_grace(const struct json *object);
// True when metadata's annotation has this value.
const char *metadata_annotation(const struct json *object, const char *key);
