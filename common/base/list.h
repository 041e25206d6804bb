// SPDX-License-Identifier: Apache-2.0
#pragma once
// An intrusive doubly linked list. The node stands in its owner, found back by
// container_of; a node that is on no list points at itself.

#include <stdbool.h>

#include "common/base/macros.h"

struct list {
	struct list *previous;
	struct list *next;
};

#define LIST_INIT(name)          \
	{                        \
		&(name), &(name) \
	}

static inline void list_init(struct list *list)
{
	list->previous = list->next = list;
}

static inline bool list_is_empty(const struct list *list)
{
	return list->next == list;
}

// Adds a free node at the end (or the front).
static inline void list_append(struct list *list, struct list *node)
{
	node->previous = list->previous;
	node->next = list;
	list->previous->next = node;
	list->previous = node;
}

static inline void list_prepend(struct list *list, struct list *node)
{
	list_append(list->next, node);
}

// Takes the node out and leaves it free; harmless when it is free already.
static inline void list_remove(struct list *node)
{
	node->previous->next = node->next;
	node->next->previous = node->previous;
	list_init(node);
}

#define list_first(list, type, member) (list_is_empty(list) ? NULL : container_of((list)->next, type, member))

// Walks the owners; the current one may be removed inside the body.
#define list_for_each(item, head, member)                                                                           \
	for (struct list *node_##item = (head)->next, *next_##item;                                                 \
	     node_##item != (head) &&                                                                               \
	     (next_##item = node_##item->next, (item) = container_of(node_##item, __typeof__(*(item)), member), 1); \
	     node_##item = next_##item)
