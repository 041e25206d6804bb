// SPDX-License-Identifier: Apache-2.0
// A ring of slices. Pushed blobs are referenced where they lie; appended bytes grow
// the last slice when it is the queue's own and still small, so that many small
// frames leave in few writes. An empty queue holds no memory: thousands of idle
// watches cost nothing here.

#include "common/io/slice_queue.h"

#include <assert.h>
#include <string.h>

#include "common/base/memory.h"

enum {
	OWN_SLICE_FIRST_BYTES = 512,
	OWN_SLICE_MAX_BYTES = 16 * 1024,
};

static struct slice *slice_at(const struct slice_queue *queue, size_t index)
{
	return &queue->slices[(queue->head + index) & (queue->capacity - 1)];
}

static size_t slice_left(const struct slice *slice)
{
	return slice->length - slice->offset;
}

static void slice_done(struct slice *slice)
{
	if (slice->blob)
		blob_unref(slice->blob);
	else
		free(slice->data);
}

static void grow(struct slice_queue *queue)
{
	size_t capacity = queue->capacity ? queue->capacity * 2 : 4;
	struct slice *slices = xreallocarray(NULL, capacity, sizeof(*slices));
	for (size_t i = 0; i < queue->count; i++)
		slices[i] = *slice_at(queue, i);
	free(queue->slices);
	queue->slices = slices;
	queue->capacity = capacity;
	queue->head = 0;
}

static struct slice *add(struct slice_queue *queue)
{
	if (queue->count == queue->capacity)
		grow(queue);
	struct slice *slice = slice_at(queue, queue->count++);
	*slice = (struct slice){0};
	return slice;
}

// Gives the ring back too: an idle connection keeps nothing.
static void release_ring(struct slice_queue *queue)
{
	free(queue->slices);
	*queue = SLICE_QUEUE_INIT;
}

void slice_queue_done(struct slice_queue *queue)
{
	for (size_t i = 0; i < queue->count; i++)
		slice_done(slice_at(queue, i));
	release_ring(queue);
}

void slice_queue_push(struct slice_queue *queue, struct blob *blob, size_t offset, size_t length)
{
	assert(offset <= blob->length && length <= blob->length - offset);
	if (length == 0)
		return;
	struct slice *slice = add(queue);
	slice->blob = blob_ref(blob);
	slice->data = (char *)blob->data;
	slice->offset = offset;
	slice->length = offset + length;
	queue->bytes += length;
}

static struct slice *own_tail(struct slice_queue *queue, size_t length)
{
	struct slice *tail = queue->count ? slice_at(queue, queue->count - 1) : NULL;
	if (!tail || tail->blob || tail->length + length > OWN_SLICE_MAX_BYTES)
		tail = add(queue);
	if (tail->length + length > tail->capacity) {
		size_t capacity = tail->capacity ? tail->capacity * 2 : OWN_SLICE_FIRST_BYTES;
		while (capacity < tail->length + length)
			capacity *= 2;
		tail->data = xrealloc(tail->data, capacity);
		tail->capacity = capacity;
	}
	return tail;
}

void slice_queue_append(struct slice_queue *queue, const void *data, size_t length)
{
	if (length == 0)
		return;
	struct slice *tail = own_tail(queue, length);
	memcpy(tail->data + tail->length, data, length);
	tail->length += length;
	queue->bytes += length;
}

void slice_queue_move(struct slice_queue *from, struct slice_queue *to, size_t length)
{
	assert(length <= from->bytes);
	while (length) {
		struct slice *first = slice_at(from, 0);
		size_t piece = slice_left(first) < length ? slice_left(first) : length;
		if (first->blob)
			slice_queue_push(to, first->blob, first->offset, piece);
		else
			slice_queue_append(to, first->data + first->offset, piece);
		slice_queue_consume(from, piece);
		length -= piece;
	}
}

size_t slice_queue_peek(const struct slice_queue *queue, char *gather, size_t gather_bytes, const char **ret_data)
{
	*ret_data = gather;
	if (queue->count == 0)
		return 0;
	const struct slice *first = slice_at(queue, 0);
	if (queue->count == 1 || slice_left(first) >= gather_bytes) {
		*ret_data = first->data + first->offset;
		return slice_left(first);
	}
	size_t used = 0;
	for (size_t i = 0; i < queue->count && used < gather_bytes; i++) {
		const struct slice *slice = slice_at(queue, i);
		size_t room = gather_bytes - used;
		size_t piece = slice_left(slice) < room ? slice_left(slice) : room;
		memcpy(gather + used, slice->data + slice->offset, piece);
		used += piece;
	}
	return used;
}

void slice_queue_consume(struct slice_queue *queue, size_t length)
{
	assert(length <= queue->bytes);
	queue->bytes -= length;
	while (length) {
		struct slice *first = slice_at(queue, 0);
		size_t left = slice_left(first);
		if (left > length) {
			first->offset += length;
			return;
		}
		length -= left;
		slice_done(first);
		queue->head = (queue->head + 1) & (queue->capacity - 1);
		queue->count--;
	}
	if (queue->count == 0)
		release_ring(queue);
}
