// SPDX-License-Identifier: Apache-2.0
//
// Answers of the health paths, in the text form of upstream's
// apiserver/pkg/server/healthz: a failed check says nothing of its reason, for
// these paths may be open to anybody.
#include <string.h>

#include "common/base/encode.h"
#include "common/io/plain_server.h"

struct health_endpoint {
	const char *name;
	unsigned mask;
};

static const struct health_endpoint endpoints[] = {
        {"healthz", HEALTH_HEALTHZ},
        {"livez", HEALTH_LIVEZ},
        {"readyz", HEALTH_READYZ},
};

static bool always_fine(void *context UNUSED)
{
	return true;
}

// What an endpoint without checks of its own answers with.
static const struct health_check ping_only[] = {
        {"ping", HEALTH_HEALTHZ | HEALTH_LIVEZ | HEALTH_READYZ, always_fine, NULL},
        {0},
};

static const struct health_check *checks_for(const struct health_check *checks, unsigned mask)
{
	for (const struct health_check *check = checks; check && check->name; check++)
		if (check->endpoints & mask)
			return checks;
	return ping_only;
}

// The next "name=value" of a query, cut at '&'; false at the end.
struct query_item {
	const char *name, *value;
	size_t name_length, value_length;
};

static bool next_item(const char **query, struct query_item *ret)
{
	if (!*query || !**query)
		return false;
	const char *at = *query;
	size_t length = strcspn(at, "&"), name_length = strcspn(at, "=&");
	size_t skip = name_length < length ? name_length + 1 : length;
	*ret = (struct query_item){at, at + skip, name_length, length - skip};
	*query = at + length + (at[length] == '&');
	return true;
}

static bool item_is(const struct query_item *item, const char *name)
{
	return item->name_length == strlen(name) && memcmp(item->name, name, item->name_length) == 0;
}

static bool query_has(const char *query, const char *name)
{
	struct query_item item;
	while (next_item(&query, &item))
		if (item_is(&item, name))
			return true;
	return false;
}

static bool is_excluded(const char *query, const char *check_name)
{
	struct query_item item;
	while (next_item(&query, &item))
		if (item_is(&item, "exclude") && item.value_length == strlen(check_name) &&
		    memcmp(item.value, check_name, item.value_length) == 0)
			return true;
	return false;
}

static bool names_a_check(const struct health_check *checks, unsigned mask, const struct query_item *item)
{
	for (const struct health_check *check = checks; check->name; check++)
		if ((check->endpoints & mask) && strlen(check->name) == item->value_length &&
		    memcmp(check->name, item->value, item->value_length) == 0)
			return true;
	return false;
}

static void append_unmatched(const struct health_check *checks, unsigned mask, const char *query, struct strbuf *out)
{
	struct query_item item;
	const char *separator = "warn: some health checks cannot be excluded: no matches for ";
	bool any = false;
	while (next_item(&query, &item)) {
		if (!item_is(&item, "exclude") || names_a_check(checks, mask, &item))
			continue;
		strbuf_append_text(out, any ? "," : separator);
		quote_append(out, item.value, item.value_length);
		any = true;
	}
	if (any)
		strbuf_append_char(out, '\n');
}

static int respond_all(const struct health_check *checks, const struct health_endpoint *endpoint, const char *query,
                       struct strbuf *out)
{
	bool fine = true;
	for (const struct health_check *check = checks; check->name; check++) {
		if (!(check->endpoints & endpoint->mask))
			continue;
		if (is_excluded(query, check->name)) {
			strbuf_printf(out, "[+]%s excluded: ok\n", check->name);
		} else if (check->check(check->context)) {
			strbuf_printf(out, "[+]%s ok\n", check->name);
		} else {
			strbuf_printf(out, "[-]%s failed: reason withheld\n", check->name);
			fine = false;
		}
	}
	append_unmatched(checks, endpoint->mask, query, out);
	if (fine && !query_has(query, "verbose")) {
		strbuf_clear(out);
		strbuf_append_text(out, "ok");
		return 200;
	}
	strbuf_printf(out, "%s check %s\n", endpoint->name, fine ? "passed" : "failed");
	return fine ? 200 : 500;
}

static int respond_one(const struct health_check *checks, const struct health_endpoint *endpoint, const char *name,
                       struct strbuf *out)
{
	for (const struct health_check *check = checks; check->name; check++) {
		if (!(check->endpoints & endpoint->mask) || strcmp(check->name, name) != 0)
			continue;
		bool fine = check->check(check->context);
		strbuf_append_text(out, fine ? "ok" : "internal server error: reason withheld\n");
		return fine ? 200 : 500;
	}
	strbuf_append_text(out, "404 page not found\n");
	return 404;
}

int health_respond(const struct health_check *checks, const char *path, const char *query, struct strbuf *out)
{
	for (size_t i = 0; *path == '/' && i < ARRAY_SIZE(endpoints); i++) {
		const struct health_endpoint *endpoint = &endpoints[i];
		size_t length = strlen(endpoint->name);
		if (strncmp(path + 1, endpoint->name, length) != 0)
			continue;
		const char *rest = path + 1 + length;
		const struct health_check *own = checks_for(checks, endpoint->mask);
		if (!*rest || strcmp(rest, "/") == 0)
			return respond_all(own, endpoint, query ? query : "", out);
		if (*rest == '/')
			return respond_one(own, endpoint, rest + 1, out);
	}
	strbuf_append_text(out, "404 page not found\n");
	return 404;
}
