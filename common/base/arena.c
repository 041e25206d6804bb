// SPDX-License-Identifier: Apache-2.0
//
// Bump allocation in blocks. The newest block is the list's head and the only
// one that serves allocations; blocks double up to 256 KiB, and a request that
// fits no ordinary block gets one of its own. Freeing walks the list once.
// Under AddressSanitizer nothing is poisoned inside a block, so a read past an
// allocation but inside its block goes unseen: parsers are tested with
// exact-size heap inputs for that reason.
#include "common/base/arena.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/base/memory.h"

enum {
	ARENA_FIRST_BLOCK_BYTES = 1024,
	ARENA_LARGEST_BLOCK_BYTES = 256 * 1024,
	ARENA_ALIGNMENT = 16,
};

struct arena_block {
	struct arena_block *next;
	size_t capacity;
	size_t used;
	_Alignas(ARENA_ALIGNMENT) char data[];
};

struct arena {
	struct arena_block *head;
	size_t next_block_bytes;
	size_t held_bytes;
};

static struct arena_block *block_new(struct arena *arena, size_t capacity)
{
	struct arena_block *block = xmalloc(sizeof(*block) + capacity);
	block->next = arena->head;
	block->capacity = capacity;
	block->used = 0;
	arena->head = block;
	arena->held_bytes += sizeof(*block) + capacity;
	return block;
}

struct arena *arena_new(size_t first_block_bytes)
{
	struct arena *arena = NEW(struct arena);
	arena->next_block_bytes = first_block_bytes ? first_block_bytes : ARENA_FIRST_BLOCK_BYTES;
	return arena;
}

static void arena_drop_blocks(struct arena *arena, bool keep_first)
{
	struct arena_block *block = arena->head;
	while (block && (!keep_first || block->next)) {
		struct arena_block *next = block->next;
		arena->held_bytes -= sizeof(*block) + block->capacity;
		free(block);
		block = next;
	}
	arena->head = block;
	if (block)
		block->used = 0;
}

struct arena *arena_free(struct arena *arena)
{
	if (!arena)
		return NULL;
	arena_drop_blocks(arena, false);
	free(arena);
	return NULL;
}

void arena_reset(struct arena *arena)
{
	arena_drop_blocks(arena, true);
}

void *arena_alloc(struct arena *arena, size_t size_bytes)
{
	if (size_bytes > SIZE_MAX / 2)
		abort();
	size_t rounded = (size_bytes + ARENA_ALIGNMENT - 1) & ~(size_t)(ARENA_ALIGNMENT - 1);
	struct arena_block *block = arena->head;
	if (!block || block->capacity - block->used < rounded) {
		size_t capacity = arena->next_block_bytes;
		if (capacity < rounded)
			capacity = rounded;
		if (arena->next_block_bytes < ARENA_LARGEST_BLOCK_BYTES)
			arena->next_block_bytes *= 2;
		block = block_new(arena, capacity);
	}
	void *pointer = block->data + block->used;
	block->used += rounded;
	return pointer;
}

void *arena_zalloc(struct arena *arena, size_t size_bytes)
{
	return memset(arena_alloc(arena, size_bytes), 0, size_bytes);
}

void *arena_realloc(struct arena *arena, void *pointer, size_t old_bytes, size_t new_bytes)
{
	size_t old_rounded = (old_bytes + ARENA_ALIGNMENT - 1) & ~(size_t)(ARENA_ALIGNMENT - 1);
	size_t new_rounded = (new_bytes + ARENA_ALIGNMENT - 1) & ~(size_t)(ARENA_ALIGNMENT - 1);
	struct arena_block *block = arena->head;
	if (pointer && new_rounded <= old_rounded)
		return pointer;
	if (pointer && block && (char *)pointer + old_rounded == block->data + block->used &&
	    block->capacity - block->used >= new_rounded - old_rounded) {
		block->used += new_rounded - old_rounded;
		return pointer;
	}
	void *grown = arena_alloc(arena, new_bytes);
	if (pointer && old_bytes)
		memcpy(grown, pointer, old_bytes);
	return grown;
}

char *arena_strndup(struct arena *arena, const char *text, size_t length)
{
	size_t copied = strnlen(text, length);
	char *copy = arena_alloc(arena, copied + 1);
	memcpy(copy, text, copied);
	copy[copied] = '\0';
	return copy;
}

char *arena_strdup(struct arena *arena, const char *text)
{
	return text ? arena_strndup(arena, text, strlen(text)) : NULL;
}

char *arena_vprintf(struct arena *arena, const char *format, va_list args)
{
	va_list again;
	va_copy(again, args);
	int length = vsnprintf(NULL, 0, format, args);
	if (length < 0)
		abort();
	char *text = arena_alloc(arena, (size_t)length + 1);
	vsnprintf(text, (size_t)length + 1, format, again);
	va_end(again);
	return text;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	char *text = arena_vprintf(arena, format, args);
	va_end(args);
	return text;
}

size_t arena_size_bytes(const struct arena *arena)
{
	return arena->held_bytes;
}

size_t arena_used_bytes(const struct arena *arena)
{
	size_t used = 0;
	for (const struct arena_block *block = arena->head; block; block = block->next)
		used += block->used;
	return used;
}
