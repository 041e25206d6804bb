// SPDX-License-Identifier: Apache-2.0
// The built-in types, and how API names become C names.

#include "common/api/schemagen/schemagen.h"

#include <ctype.h>
#include <string.h>

static const struct scalar scalars[] = {
        {"IntOrString", "int_or_string", "struct int_or_string ", "int_or_string", false, true},
        {"MicroTime", "micro_time", "const char *", "string", true, true},
        {"Quantity", "quantity", "const char *", "string", true, true},
        {"Time", "time", "const char *", "string", true, true},
        {"Duration", "duration", "const char *", "string", true, true},
        {"bool", "bool", "bool ", "bool", false, false},
        {"bytes", "bytes", "struct bytes ", "bytes", true, false},
        {"double", "double", "double ", "double", false, false},
        {"int32", "int32", "int32_t ", "int32", false, false},
        {"int64", "int64", "int64_t ", "int64", false, false},
        {"raw", "raw", "const struct json *", "json", true, false},
        {"string", "string", "const char *", "string", true, false},
};

// Words that can't name a member: C's keywords, and macros that gnu11 predefines.
static const char *const reserved[] = {
        "auto",   "bool",   "break", "case",     "char",     "const",  "continue", "default", "do",       "double",
        "else",   "enum",   "errno", "extern",   "false",    "float",  "for",      "goto",    "if",       "inline",
        "int",    "linux",  "long",  "register", "restrict", "return", "short",    "signed",  "sizeof",   "static",
        "struct", "switch", "true",  "typedef",  "union",    "unix",   "unsigned", "void",    "volatile", "while",
};

const struct scalar *scalar_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(scalars); i++)
		if (strcmp(scalars[i].name, name) == 0)
			return &scalars[i];
	return NULL;
}

const struct scalar *scalar_at(size_t index)
{
	return index < ARRAY_SIZE(scalars) ? &scalars[index] : NULL;
}

bool words_contain(const struct words *words, const char *word)
{
	for (size_t i = 0; i < words->count; i++)
		if (strcmp(words->items[i], word) == 0)
			return true;
	return false;
}

// An underscore stands before a capital that follows a small letter or digit,
// and before the last capital of a run when a small letter follows it; the
// plural s of an acronym (podIPs) is no such letter.
static bool starts_word(const char *name, size_t i)
{
	if (i == 0 || !isupper((unsigned char)name[i]))
		return false;
	if (!isupper((unsigned char)name[i - 1]))
		return true;
	if (!islower((unsigned char)name[i + 1]))
		return false;
	bool plural = name[i + 1] == 's' && (name[i + 2] == '\0' || isupper((unsigned char)name[i + 2]));
	return !plural;
}

const char *snake_case(struct arena *arena, const char *name)
{
	char *out = arena_alloc(arena, 2 * strlen(name) + 1);
	size_t length = 0;
	for (size_t i = 0; name[i] != '\0'; i++) {
		if (!isalnum((unsigned char)name[i])) {
			if (length > 0 && out[length - 1] != '_')
				out[length++] = '_';
			continue;
		}
		if (starts_word(name, i) && length > 0 && out[length - 1] != '_')
			out[length++] = '_';
		out[length++] = (char)tolower((unsigned char)name[i]);
	}
	out[length] = '\0';
	return out;
}

const char *member_name(struct arena *arena, const char *name)
{
	const char *snake = snake_case(arena, name);
	for (size_t i = 0; i < ARRAY_SIZE(reserved); i++)
		if (strcmp(snake, reserved[i]) == 0)
			return arena_printf(arena, "%s_", snake);
	return snake;
}
