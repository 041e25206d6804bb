// SPDX-License-Identifier: Apache-2.0
// A "%00" is refused like bad encoding: nothing behind it may be hidden from a check.

#include "kubelet/server/request_values.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/encode.h"

// NULL: badly encoded.
static const char *decode(struct arena *arena, const char *text, size_t length, bool plus_is_space)
{
	char *out = arena_strndup(arena, text, length);
	char *to = out;
	for (const char *from = out; *from; from++) {
		if (*from != '%') {
			*to++ = plus_is_space && *from == '+' ? ' ' : *from;
			continue;
		}
		int high = hex_digit(from[1]);
		int low = high < 0 ? -1 : hex_digit(from[2]);
		if (low < 0 || high * 16 + low == 0)
			return NULL;
		*to++ = (char)(high * 16 + low);
		from += 2;
	}
	*to = '\0';
	return out;
}

bool path_split(struct arena *arena, const char *path, const char *ret_parts[PATH_MAX_PARTS], size_t *ret_count)
{
	size_t count = 0;
	for (path += strspn(path, "/"); *path; path += strspn(path, "/")) {
		size_t length = strcspn(path, "/");
		if (count == PATH_MAX_PARTS || !(ret_parts[count++] = decode(arena, path, length, false)))
			return false;
		path += length;
	}
	*ret_count = count;
	return true;
}

bool query_parse(struct arena *arena, const char *text, struct query *ret_query)
{
	size_t capacity = 1;
	for (const char *scan = text; *scan; scan++)
		capacity += *scan == '&';
	struct query query = {.values = ARENA_ARRAY(arena, struct query_value, capacity)};
	while (*text) {
		size_t length = strcspn(text, "&");
		const char *equals = memchr(text, '=', length);
		size_t name_length = equals ? (size_t)(equals - text) : length;
		struct query_value *value = &query.values[query.count];
		value->name = decode(arena, text, name_length, true);
		value->value = equals ? decode(arena, equals + 1, length - name_length - 1, true) : "";
		if (!value->name || !value->value)
			return false;
		query.count += length > 0;
		text += length + (text[length] == '&');
	}
	*ret_query = query;
	return true;
}

const char *query_get(const struct query *query, const char *name)
{
	for (size_t index = 0; index < query->count; index++)
		if (!strcmp(query->values[index].name, name))
			return query->values[index].value;
	return NULL;
}

const char **query_get_all(const struct query *query, struct arena *arena, const char *name)
{
	const char **values = ARENA_ARRAY(arena, const char *, query->count + 1);
	size_t count = 0;
	for (size_t index = 0; index < query->count; index++)
		if (!strcmp(query->values[index].name, name))
			values[count++] = query->values[index].value;
	return values;
}

bool query_bool(const struct query *query, const char *name)
{
	const char *value = query_get(query, name);
	return value && strcasecmp(value, "false") && strcmp(value, "0");
}

bool query_integer(const struct query *query, const char *name, int64_t *value)
{
	const char *text = query_get(query, name);
	if (!text || !*text)
		return true;
	char *end;
	errno = 0;
	long long number = strtoll(text, &end, 10);
	if (errno || *end || !strchr("+-0123456789", *text))
		return false;
	*value = number;
	return true;
}
