// SPDX-License-Identifier: Apache-2.0
#pragma once
// Texts that may be absent: NULL counts as the empty one, as in the views of API objects.

#include <stdbool.h>
#include <string.h>

static inline const char *text_or_empty(const char *text)
{
	return text ? text : "";
}

static inline bool text_is_empty(const char *text)
{
	return !text || !*text;
}

static inline bool text_equal(const char *a, const char *b)
{
	return strcmp(text_or_empty(a), text_or_empty(b)) == 0;
}
