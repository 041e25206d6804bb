// SPDX-License-Identifier: Apache-2.0
#pragma once
// Heap allocation that never fails: out of memory aborts, so callers hold no
// error path for it. Sizes that come from outside are capped before they get here.

#include <stdarg.h>
#include <stddef.h>

#include "common/base/macros.h"

void *xmalloc(size_t size_bytes) __attribute__((malloc, returns_nonnull));
void *xcalloc(size_t count, size_t size_bytes) __attribute__((malloc, returns_nonnull));
void *xrealloc(void *pointer, size_t size_bytes) __attribute__((returns_nonnull));

// Multiplies with overflow check; aborts on overflow.
void *xreallocarray(void *pointer, size_t count, size_t size_bytes) __attribute__((returns_nonnull));

// Copies; the caller owns the result. xstrdup(NULL) is NULL.
char *xstrdup(const char *text);
char *xstrndup(const char *text, size_t length) __attribute__((returns_nonnull));
void *xmemdup(const void *data, size_t size_bytes) __attribute__((returns_nonnull));

// Formatted text on the heap; the caller owns it.
char *xasprintf(const char *format, ...) PRINTF_LIKE(1, 2) __attribute__((returns_nonnull));
char *xvasprintf(const char *format, va_list args) PRINTF_LIKE(1, 0) __attribute__((returns_nonnull));

#define NEW(type) ((type *)xcalloc(1, sizeof(type)))
