// SPDX-License-Identifier: Apache-2.0
#include "common/base/memory.h"

#include <stdio.h>
#include <string.h>

static void out_of_memory(void) __attribute__((noreturn));

static void out_of_memory(void)
{
	static const char message[] = "fatal: out of memory\n";
	ssize_t written = write(STDERR_FILENO, message, sizeof(message) - 1);
	(void)written;
	abort();
}

void *xmalloc(size_t size_bytes)
{
	void *pointer = malloc(size_bytes ? size_bytes : 1);
	if (!pointer)
		out_of_memory();
	return pointer;
}

void *xcalloc(size_t count, size_t size_bytes)
{
	void *pointer = calloc(count ? count : 1, size_bytes ? size_bytes : 1);
	if (!pointer)
		out_of_memory();
	return pointer;
}

void *xrealloc(void *pointer, size_t size_bytes)
{
	void *grown = realloc(pointer, size_bytes ? size_bytes : 1);
	if (!grown)
		out_of_memory();
	return grown;
}

void *xreallocarray(void *pointer, size_t count, size_t size_bytes)
{
	size_t total;
	if (__builtin_mul_overflow(count, size_bytes, &total))
		out_of_memory();
	return xrealloc(pointer, total);
}

char *xstrdup(const char *text)
{
	return text ? xmemdup(text, strlen(text) + 1) : NULL;
}

char *xstrndup(const char *text, size_t length)
{
	size_t copied = strnlen(text, length);
	char *copy = xmalloc(copied + 1);
	memcpy(copy, text, copied);
	copy[copied] = '\0';
	return copy;
}

void *xmemdup(const void *data, size_t size_bytes)
{
	void *copy = xmalloc(size_bytes);
	if (size_bytes)
		memcpy(copy, data, size_bytes);
	return copy;
}

char *xvasprintf(const char *format, va_list args)
{
	char *text = NULL;
	if (vasprintf(&text, format, args) < 0)
		out_of_memory();
	return text;
}

char *xasprintf(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	char *text = xvasprintf(format, args);
	va_end(args);
	return text;
}
