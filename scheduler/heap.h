// SPDX-License-Identifier: Apache-2.0
#pragma once
// A binary heap of pointers whose items know their place, so that any of them can
// be taken out.

#include <stdbool.h>
#include <stddef.h>

struct heap_node {    // embedded in the item
	size_t place; // 1 + index while in the heap, 0 outside
};

struct heap {
	struct heap_node **nodes;
	size_t count;
	size_t capacity;
	bool (*before)(const struct heap_node *a, const struct heap_node *b); // a comes out earlier
};

#define HEAP_INIT(order) ((struct heap){.before = (order)})
void heap_done(struct heap *heap);

void heap_push(struct heap *heap, struct heap_node *node);
struct heap_node *heap_first(const struct heap *heap); // NULL when empty
void heap_remove(struct heap *heap, struct heap_node *node);
// After the item's order has changed.
void heap_update(struct heap *heap, struct heap_node *node);
