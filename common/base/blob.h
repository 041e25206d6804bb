// SPDX-License-Identifier: Apache-2.0
#pragma once
// Immutable bytes with an atomic reference count: what crosses threads and what
// the watch cache, list answers and sockets share without copying.

#include <stddef.h>

#include "common/base/macros.h"

struct blob {
	const char *data; // followed by a NUL that is not part of it
	size_t length;
};

// A new blob holding a copy; one reference for the caller.
struct blob *blob_new(const void *data, size_t length);

// Takes over heap memory made by xmalloc & co. without copying.
struct blob *blob_new_take(char *data, size_t length);

// Another reference to the same blob; NULL stays NULL.
struct blob *blob_ref(struct blob *blob);

// Drops a reference; accepts NULL; returns NULL.
struct blob *blob_unref(struct blob *blob);
DEFINE_CLEANUP(struct blob *, blob_unref)
