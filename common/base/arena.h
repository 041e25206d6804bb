// SPDX-License-Identifier: Apache-2.0
#pragma once
// A region of memory that grows by allocation and is given back as a whole.
// One request, one decoded object or one scheduling cycle owns one arena. An
// arena holds memory and nothing else: no descriptors, locks or sources.

#include <stdarg.h>
#include <stddef.h>

#include "common/base/macros.h"

struct arena;

// A new, empty arena. `first_block_bytes` is a hint (0 for the default).
struct arena *arena_new(size_t first_block_bytes);

// Frees everything; accepts NULL; returns NULL.
struct arena *arena_free(struct arena *arena);
DEFINE_CLEANUP(struct arena *, arena_free)

// Forgets all allocations and keeps the first block for reuse.
void arena_reset(struct arena *arena);

// Memory aligned for any type, valid until the arena is reset or freed.
// arena_alloc leaves it unset; arena_zalloc clears it.
void *arena_alloc(struct arena *arena, size_t size_bytes) __attribute__((returns_nonnull));
void *arena_zalloc(struct arena *arena, size_t size_bytes) __attribute__((returns_nonnull));

// Grows an allocation of this arena: in place when it is the last one.
void *arena_realloc(struct arena *arena, void *pointer, size_t old_bytes, size_t new_bytes);

// Copies into the arena. arena_strdup(a, NULL) is NULL.
char *arena_strdup(struct arena *arena, const char *text);
char *arena_strndup(struct arena *arena, const char *text, size_t length);
char *arena_printf(struct arena *arena, const char *format, ...) PRINTF_LIKE(2, 3);
char *arena_vprintf(struct arena *arena, const char *format, va_list args) PRINTF_LIKE(2, 0);

// Bytes held from the heap, for limits and /debug.
size_t arena_size_bytes(const struct arena *arena);

// Bytes handed out: as the hint of another arena, its one block holds the same allocations.
size_t arena_used_bytes(const struct arena *arena);

#define ARENA_NEW(arena, type) ((type *)arena_zalloc((arena), sizeof(type)))
#define ARENA_ARRAY(arena, type, count) ((type *)arena_zalloc((arena), sizeof(type) * (count)))
