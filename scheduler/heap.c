// SPDX-License-Identifier: Apache-2.0
#include "scheduler/heap.h"

#include <assert.h>
#include <stdlib.h>

#include "common/base/memory.h"

void heap_done(struct heap *heap)
{
	free(heap->nodes);
	heap->nodes = NULL;
	heap->count = heap->capacity = 0;
}

static void set_place(struct heap *heap, size_t index, struct heap_node *node)
{
	heap->nodes[index] = node;
	node->place = index + 1;
}

static void sift_up(struct heap *heap, size_t index)
{
	struct heap_node *node = heap->nodes[index];
	while (index > 0) {
		size_t parent = (index - 1) / 2;
		if (!heap->before(node, heap->nodes[parent]))
			break;
		set_place(heap, index, heap->nodes[parent]);
		index = parent;
	}
	set_place(heap, index, node);
}

static void sift_down(struct heap *heap, size_t index)
{
	struct heap_node *node = heap->nodes[index];
	for (;;) {
		size_t child = 2 * index + 1;
		if (child >= heap->count)
			break;
		if (child + 1 < heap->count && heap->before(heap->nodes[child + 1], heap->nodes[child]))
			child++;
		if (!heap->before(heap->nodes[child], node))
			break;
		set_place(heap, index, heap->nodes[child]);
		index = child;
	}
	set_place(heap, index, node);
}

void heap_push(struct heap *heap, struct heap_node *node)
{
	assert(node->place == 0);
	if (heap->count == heap->capacity) {
		heap->capacity = heap->capacity ? heap->capacity * 2 : 16;
		heap->nodes = xreallocarray(heap->nodes, heap->capacity, sizeof(heap->nodes[0]));
	}
	set_place(heap, heap->count++, node);
	sift_up(heap, heap->count - 1);
}

struct heap_node *heap_first(const struct heap *heap)
{
	return heap->count ? heap->nodes[0] : NULL;
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
	assert(node->place > 0 && heap->nodes[node->place - 1] == node);
	size_t index = node->place - 1;
	struct heap_node *last = heap->nodes[--heap->count];
	node->place = 0;
	if (last == node)
		return;
	set_place(heap, index, last);
	heap_update(heap, last);
}

void heap_update(struct heap *heap, struct heap_node *node)
{
	sift_up(heap, node->place - 1);
	sift_down(heap, node->place - 1);
}
