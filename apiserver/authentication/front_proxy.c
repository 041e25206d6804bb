// SPDX-License-Identifier: Apache-2.0
// The front proxy (an aggregator, an authenticating proxy) says in headers who
// asks. It is believed for its certificate alone: signed by the authority of
// --requestheader-client-ca-file, with a name among the allowed ones. The headers
// of everybody else mean nothing.

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "apiserver/authentication/authenticate.h"
#include "apiserver/authentication/authentication.h"
#include "apiserver/server.h"
#include "common/base/encode.h"
#include "common/base/text.h"

enum {
	FRONT_PROXY_MAX_VALUES = 1024,
};

static bool is_front_proxy(const struct request *request)
{
	const struct authentication_flags *flags = authentication_flags_of(request->server->authentication);
	const char *name = request->http->identity.front_proxy_name;

	if (!name)
		return false;
	for (size_t i = 0; i < flags->front_proxy_names.count; i++)
		if (!strcmp(flags->front_proxy_names.items[i], name))
			return true;
	return !flags->front_proxy_names.count;
}

static bool is_named(const char *header, const struct string_list *names)
{
	for (size_t i = 0; i < names->count; i++)
		if (!strcasecmp(header, names->items[i]))
			return true;
	return false;
}

static const char *first_value(const struct request *request, const struct string_list *names)
{
	for (size_t i = 0; i < names->count; i++)
		for (size_t h = 0; h < request->http->header_count; h++) {
			const struct http_header *header = &request->http->headers[h];

			if (!strcasecmp(header->name, names->items[i]) && header->value[0])
				return header->value;
		}
	return NULL;
}

static void read_groups(struct request *request, const struct string_list *names, struct user *user)
{
	const char **groups = ARENA_ARRAY(request->arena, const char *, request->http->header_count + 1);

	for (size_t h = 0; h < request->http->header_count; h++)
		if (is_named(request->http->headers[h].name, names))
			groups[user->group_count++] = request->http->headers[h].value;
	user->groups = groups;
}

// The key in a header's name: lower case, with %XX.
static const char *extra_key(struct arena *arena, const char *text)
{
	char *key = arena_strdup(arena, text), *out = key;

	for (const char *at = key; *at; at++) {
		int high = *at == '%' ? hex_digit(at[1]) : -1, low = high >= 0 ? hex_digit(at[2]) : -1;

		if (low >= 0) {
			*out++ = (char)(high << 4 | low);
			at += 2;
		} else {
			*out++ = *at >= 'A' && *at <= 'Z' ? (char)(*at | 0x20) : *at;
		}
	}
	*out = '\0';
	return key;
}

static void add_value(struct arena *arena, struct user_extra *rows, size_t *count, const char *key, const char *value)
{
	size_t i = 0;
	const char **values;

	while (i < *count && strcmp(rows[i].key, key) != 0)
		i++;
	if (i == *count)
		rows[(*count)++] = (struct user_extra){.key = key};
	values = ARENA_ARRAY(arena, const char *, rows[i].value_count + 1);
	for (size_t v = 0; v < rows[i].value_count; v++)
		values[v] = rows[i].values[v];
	values[rows[i].value_count++] = value;
	rows[i].values = values;
}

static int compare_keys(const void *a, const void *b)
{
	return strcmp(((const struct user_extra *)a)->key, ((const struct user_extra *)b)->key);
}

static void read_extra(struct request *request, const struct string_list *prefixes, struct user *user)
{
	struct user_extra *rows = ARENA_ARRAY(request->arena, struct user_extra, request->http->header_count + 1);
	size_t count = 0;

	for (size_t h = 0; h < request->http->header_count && h < FRONT_PROXY_MAX_VALUES; h++)
		for (size_t i = 0; i < prefixes->count; i++) {
			size_t length = strlen(prefixes->items[i]);
			const char *name = request->http->headers[h].name;

			if (!strncasecmp(name, prefixes->items[i], length) && name[length])
				add_value(request->arena, rows, &count, extra_key(request->arena, name + length),
				          request->http->headers[h].value);
		}
	qsort(rows, count, sizeof(*rows), compare_keys);
	user->extra = rows;
	user->extra_count = count;
}

bool front_proxy_user(struct request *request, struct user *ret_user)
{
	const struct authentication_flags *flags = authentication_flags_of(request->server->authentication);
	struct user user = {0};

	if (!is_front_proxy(request))
		return false;
	user.name = first_value(request, &flags->username_headers);
	if (text_is_empty(user.name))
		return false;
	user.uid = first_value(request, &flags->uid_headers);
	read_groups(request, &flags->group_headers, &user);
	read_extra(request, &flags->extra_header_prefixes, &user);
	*ret_user = user;
	return true;
}
