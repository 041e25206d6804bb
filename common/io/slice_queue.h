// SPDX-License-Identifier: Apache-2.0
#pragma once
// A queue of bytes that are to be sent: slices of shared blobs, never copied,
// and small pieces of its own (heads, frames) that are gathered at its tail.

#include <stddef.h>

#include "common/base/blob.h"

struct slice {
	struct blob *blob; // NULL: `data` is the queue's own, heap memory
	char *data;
	size_t offset; // what has gone out already
	size_t length; // of all of data
	size_t capacity;
};

struct slice_queue {
	struct slice *slices; // a ring
	size_t head;
	size_t count;
	size_t capacity; // a power of two, or 0
	size_t bytes;    // still to be sent
};

#define SLICE_QUEUE_INIT ((struct slice_queue){0})

void slice_queue_done(struct slice_queue *queue);

// Takes a reference of its own to the blob.
void slice_queue_push(struct slice_queue *queue, struct blob *blob, size_t offset, size_t length);
// Copies.
void slice_queue_append(struct slice_queue *queue, const void *data, size_t length);

// Moves the first `length` bytes (no more than there are) to another queue's end.
void slice_queue_move(struct slice_queue *from, struct slice_queue *to, size_t length);

// The next bytes to write, at least one unless empty: a place in the first
// slice when that is at least `gather_bytes` long or the only one, else as many
// slices as fit copied to `gather`. Asked again, the answer begins with the same
// bytes and is not shorter, as SSL_write wants it.
size_t slice_queue_peek(const struct slice_queue *queue, char *gather, size_t gather_bytes, const char **ret_data);
void slice_queue_consume(struct slice_queue *queue, size_t length);
