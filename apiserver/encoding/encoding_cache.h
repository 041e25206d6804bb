// SPDX-License-Identifier: Apache-2.0
#pragma once
// Second encodings of stored objects, kept beside them from their first use: one
// word in each object, and one queue for all, which drops the oldest encodings
// when they are more bytes together than the limit. An object that goes takes
// its encoding along. Thread-safe.

#include <stdatomic.h>
#include <stddef.h>

#include "common/base/blob.h"

struct encoding;

// Embedded in an object; zero is empty.
struct encoding_slot {
	struct encoding *_Atomic encoding;
};

// A reference to the encoding for the caller; NULL = none is kept.
struct blob *encoding_slot_get(struct encoding_slot *slot);
// Keeps a reference of its own, unless another thread was first or the blob is over the limit by itself.
void encoding_slot_put(struct encoding_slot *slot, struct blob *blob);
// When the object goes: nobody else can reach it any more.
void encoding_slot_done(struct encoding_slot *slot);

// In bytes; 0 keeps nothing.
void encoding_cache_set_limit(size_t limit_bytes);
size_t encoding_cache_bytes(void);
