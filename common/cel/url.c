// SPDX-License-Identifier: Apache-2.0
//
// url(), isURL() and the parts of a URL, as Go's net/url takes them apart: absolute URLs
// and absolute paths only, the fragment cut off, escapes checked where they may stand.
#include <string.h>

#include "common/base/encode.h"
#include "common/cel/evaluate.h"
#include "common/cel/url.h"

struct span {
	const char *text;
	size_t length;
};

struct cel_url {
	struct span whole, scheme, host, path, query;
};

static struct span span(const char *from, const char *to)
{
	return (struct span){from, (size_t)(to - from)};
}

static bool is_letter(char character)
{
	return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z');
}

static bool is_digit(char character)
{
	return character >= '0' && character <= '9';
}

static const char *find(const char *from, const char *to, char wanted)
{
	const char *found = from < to ? memchr(from, wanted, (size_t)(to - from)) : NULL;
	return found;
}

// "scheme:" at the beginning. NULL and *ret_error when the text begins like one and isn't.
static const char *take_scheme(const char *at, const char *end, struct span *ret_scheme, const char **ret_error)
{
	for (const char *here = at; here < end; here++) {
		if (is_letter(*here))
			continue;
		if (*here == ':') {
			if (here == at) {
				*ret_error = "missing protocol scheme";
				return NULL;
			}
			*ret_scheme = span(at, here);
			return here + 1;
		}
		if (here == at || !(is_digit(*here) || *here == '+' || *here == '-' || *here == '.'))
			return at;
	}
	return at;
}

static bool valid_escapes(struct span part)
{
	for (size_t i = 0; i < part.length; i++) {
		if (part.text[i] != '%')
			continue;
		if (i + 2 >= part.length || hex_digit(part.text[i + 1]) < 0 || hex_digit(part.text[i + 2]) < 0)
			return false;
		i += 2;
	}
	return true;
}

static bool valid_port(struct span port)
{
	if (port.length == 0)
		return true;
	if (port.text[0] != ':')
		return false;
	for (size_t i = 1; i < port.length; i++)
		if (!is_digit(port.text[i]))
			return false;
	return true;
}

static const char *check_host(struct span host)
{
	const char *end = host.text + host.length;
	if (host.length && host.text[0] == '[') {
		const char *close = find(host.text, end, ']');
		if (!close)
			return "missing ']' in host";
		return valid_port(span(close + 1, end)) ? NULL : "invalid port after host";
	}
	const char *colon = memrchr(host.text, ':', host.length);
	if (colon && !valid_port(span(colon, end)))
		return "invalid port after host";
	for (size_t i = 0; i < host.length; i++)
		if ((unsigned char)host.text[i] < 0x80 && strchr(" \"<>\\^`{}|%", host.text[i]))
			return "invalid character in host name";
	return NULL;
}

static const char *take_authority(struct cel_url *url, const char **at, const char *end)
{
	const char *begin = *at + 2, *slash = begin;
	while (slash < end && *slash != '/')
		slash++;
	const char *sign = memrchr(begin, '@', (size_t)(slash - begin));
	if (sign && !valid_escapes(span(begin, sign)))
		return "invalid userinfo";
	url->host = span(sign ? sign + 1 : begin, slash);
	*at = slash;
	return check_host(url->host);
}

// The reason why it isn't a URL, NULL = it is one.
static const char *parse(struct span text, struct cel_url *url)
{
	const char *at = text.text, *end = at + text.length, *error = NULL;
	*url = (struct cel_url){.whole = text};
	if (text.length == 0)
		return "empty url";
	for (size_t i = 0; i < text.length; i++)
		if ((unsigned char)text.text[i] < 0x20 || text.text[i] == 0x7f)
			return "net/url: invalid control character in URL";
	const char *fragment = find(at, end, '#');
	if (fragment)
		end = fragment;
	at = take_scheme(at, end, &url->scheme, &error);
	if (!at)
		return error;
	const char *question = find(at, end, '?');
	if (question) {
		url->query = span(question + 1, end);
		end = question;
	}
	if (at >= end || *at != '/') // relative, or opaque as mailto:
		return url->scheme.length && at < end ? NULL : "invalid URI for request";
	if (end - at >= 2 && at[1] == '/' && (url->scheme.length || end - at < 3 || at[2] != '/'))
		error = take_authority(url, &at, end);
	url->path = span(at, end);
	if (!error && !valid_escapes(url->path))
		error = "invalid URL escape";
	return error;
}

const char *cel_url_check(const char *text, size_t length)
{
	struct cel_url url;
	return parse((struct span){text, length}, &url);
}

// --- functions ---------------------------------------------------------------------------

static struct cel_value to_url(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                               unsigned count)
{
	struct cel_url *url = cel_allocate(eval, sizeof(*url));
	(void)call, (void)count;
	if (!url || !cel_work(eval, args[0].length / 8))
		return cel_abort(eval);
	const char *error = parse((struct span){args[0].text, args[0].length}, url);
	if (error)
		return cel_fail(eval, "URL parse error during conversion from string: parse \"%.*s\": %s",
		                args[0].length > 256 ? 256 : (int)args[0].length, args[0].text, error);
	return cel_make_opaque(&cel_type_url, url);
}

static struct cel_value is_url(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                               unsigned count)
{
	(void)call, (void)count;
	if (!cel_work(eval, args[0].length / 8))
		return cel_abort(eval);
	return cel_value_bool(cel_url_check(args[0].text, args[0].length) == NULL);
}

static struct cel_value text_of(struct span part)
{
	return cel_value_string(part.text ? part.text : "", part.length);
}

static struct cel_value get_scheme(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                   unsigned count)
{
	const struct cel_url *url = args[0].opaque;
	char *lower = cel_allocate(eval, url->scheme.length + 1);
	(void)call, (void)count;
	if (!lower)
		return cel_abort(eval);
	for (size_t i = 0; i < url->scheme.length; i++)
		lower[i] = is_letter(url->scheme.text[i]) ? (char)(url->scheme.text[i] | 0x20) : url->scheme.text[i];
	return cel_value_string(lower, url->scheme.length);
}

static struct cel_value get_host(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                 unsigned count)
{
	(void)eval, (void)call, (void)count;
	return text_of(((const struct cel_url *)args[0].opaque)->host);
}

// The host without and the port of "name:80", "[::1]:80".
static void split_host(struct span host, struct span *ret_name, struct span *ret_port)
{
	const char *end = host.text + host.length, *close = host.length ? find(host.text, end, ']') : NULL;
	const char *colon = host.length ? find(close ? close : host.text, end, ':') : NULL;
	*ret_port = colon ? span(colon + 1, end) : (struct span){0};
	*ret_name = (struct span){host.text, colon ? (size_t)(colon - host.text) : host.length};
	if (close && host.text[0] == '[')
		*ret_name = span(host.text + 1, close);
}

static struct cel_value get_hostname(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                     unsigned count)
{
	struct span name, port;
	(void)eval, (void)call, (void)count;
	split_host(((const struct cel_url *)args[0].opaque)->host, &name, &port);
	return text_of(name);
}

static struct cel_value get_port(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                 unsigned count)
{
	struct span name, port;
	(void)eval, (void)call, (void)count;
	split_host(((const struct cel_url *)args[0].opaque)->host, &name, &port);
	return text_of(port);
}

static bool stands_in_path(char character)
{
	return is_letter(character) || is_digit(character) || (character && strchr("-_.~$&+,/:;=@!'()*%[]", character));
}

static struct cel_value get_escaped_path(struct cel_eval *eval, const struct cel_expr *call,
                                         const struct cel_value *args, unsigned count)
{
	const struct span path = ((const struct cel_url *)args[0].opaque)->path;
	char *escaped = cel_allocate(eval, path.length * 3 + 1);
	size_t length = 0;
	(void)call, (void)count;
	if (!escaped)
		return cel_abort(eval);
	for (size_t i = 0; i < path.length; i++) {
		unsigned char byte = (unsigned char)path.text[i];
		if (stands_in_path(path.text[i])) {
			escaped[length++] = path.text[i];
			continue;
		}
		escaped[length++] = '%';
		escaped[length++] = "0123456789ABCDEF"[byte >> 4];
		escaped[length++] = "0123456789ABCDEF"[byte & 15];
	}
	return cel_value_string(escaped, length);
}

static struct cel_value unescape_query(struct cel_eval *eval, struct span part)
{
	char *plain = cel_allocate(eval, part.length + 1);
	size_t length = 0;
	if (!plain)
		return cel_abort(eval);
	for (size_t i = 0; i < part.length; i++) {
		if (part.text[i] == '%') {
			plain[length++] = (char)(hex_digit(part.text[i + 1]) << 4 | hex_digit(part.text[i + 2]));
			i += 2;
		} else {
			plain[length++] = part.text[i] == '+' ? ' ' : part.text[i];
		}
	}
	return cel_value_string(plain, length);
}

static bool add_query(struct cel_eval *eval, struct cel_value *map, struct span key_text, struct span value_text)
{
	struct cel_value key = unescape_query(eval, key_text), value = unescape_query(eval, value_text), list;
	if (cel_is_error(&key) || cel_is_error(&value))
		return false;
	if (!cel_map_find(eval, map, &key, &list)) {
		list = cel_list_new(eval, 1);
		return cel_list_add(eval, &list, value) && cel_map_insert(eval, map, key, list) == CEL_INSERTED;
	}
	bool added = cel_list_add(eval, &list, value);
	for (uint32_t i = 0; i < map->length; i++)
		if (map->map->entries[i].value.list == list.list)
			map->map->entries[i].value.length = list.length;
	return added && cel_work(eval, map->length);
}

static struct cel_value get_query(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                  unsigned count)
{
	const struct span query = ((const struct cel_url *)args[0].opaque)->query;
	struct cel_value map = cel_map_new(eval, 0);
	const char *at = query.text, *end = at + query.length;
	(void)call, (void)count;
	while (map.kind == CEL_MAP && query.length && at < end) {
		const char *next = find(at, end, '&');
		struct span pair = span(at, next ? next : end);
		const char *equals = find(at, pair.text + pair.length, '=');
		struct span key = equals ? span(at, equals) : pair;
		struct span value = equals ? span(equals + 1, pair.text + pair.length) : (struct span){"", 0};
		bool usable = pair.length && valid_escapes(key) && valid_escapes(value) &&
		              !memchr(pair.text, ';', pair.length);
		if (usable && !add_query(eval, &map, key, value))
			return cel_abort(eval);
		at = next ? next + 1 : end;
	}
	return map;
}

bool cel_url_equal(const void *a, const void *b)
{
	const struct cel_url *left = a, *right = b;
	return left->whole.length == right->whole.length &&
	       memcmp(left->whole.text, right->whole.text, left->whole.length) == 0;
}

static const struct cel_function_row rows[] = {
        {"url", "s>U", to_url, CEL_COST_TEXT_SCAN, .by_name = true},
        {"isURL", "s>b", is_url, CEL_COST_ONE},
        {"getScheme", "U.>s", get_scheme, CEL_COST_ONE},
        {"getHost", "U.>s", get_host, CEL_COST_ONE},
        {"getHostname", "U.>s", get_hostname, CEL_COST_ONE},
        {"getPort", "U.>s", get_port, CEL_COST_ONE},
        {"getEscapedPath", "U.>s", get_escaped_path, CEL_COST_ONE},
        {"getQuery", "U.>{s[s}", get_query, CEL_COST_ONE},
};

const struct cel_library cel_library_url = CEL_LIBRARY(rows);
