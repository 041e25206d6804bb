// SPDX-License-Identifier: Apache-2.0
//
// The head of a request, once HTTP is off: method, path, query string, Accept and
// Content-Type, one a line. Whatever is refused is refused by a 4xx with a message.
//
//   clang -g -O1 -std=gnu11 -D_GNU_SOURCE -I. -Ibuild/generated -fsanitize=fuzzer,address,undefined -o fuzz_request
//       tests/fuzz/fuzz_request.c build/obj/apiserver/{route,query,status,…}.o build/libcommon.a
//   ./fuzz_request tests/fuzz/corpus/request
#include <stdlib.h>
#include <string.h>

#include "apiserver/encoding/negotiate.h"
#include "apiserver/route.h"
#include "common/base/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// The text up to the next line's end, in the arena; "" when there is no more. Without NULs, as HTTP has none.
static const char *take_line(struct arena *arena, const char **cursor, const char *end)
{
	const char *stop = memchr(*cursor, '\n', (size_t)(end - *cursor));

	stop = stop ? stop : end;
	const char *line = arena_strndup(arena, *cursor, (size_t)(stop - *cursor));
	*cursor = stop < end ? stop + 1 : end;
	return line;
}

static bool is_refused(const struct status *status)
{
	if (status && (status->code < 400 || status->code > 499 || !status->message || !*status->message))
		abort();
	return status != NULL;
}

static void check_negotiation(struct arena *arena, const char *accept, const char *content_type)
{
	struct output output;
	enum body_format format;

	for (unsigned flags = 0; flags < 8; flags++) {
		if (is_refused(negotiate_output(arena, accept, flags, &output)))
			continue;
		if (!output.content_type || (!(flags & NEGOTIATE_SHAPES) && output.shape != OUTPUT_OBJECT) ||
		    (!(flags & NEGOTIATE_PROTOBUF) && output.format == OUTPUT_PROTOBUF) ||
		    ((flags & NEGOTIATE_WATCH) && output.format == OUTPUT_YAML))
			abort();
	}
	(void)is_refused(negotiate_body(arena, content_type, false, &format));
	(void)is_refused(negotiate_body(arena, content_type, true, &format));
}

static void check_route(struct arena *arena, const char *method, const char *path, const struct query *query)
{
	struct route route = {0};

	if (is_refused(route_parse(arena, NULL, method, path, query, &route)))
		return;
	if (!route.verb || !route.path || (route.is_resource && (!route.name || !route.namespace_name)))
		abort();
	if (strstr(route.is_resource ? route.name : "", "/") ||
	    strstr(route.is_resource ? route.namespace_name : "", "/"))
		abort(); // a name never leads out of its key
	(void)is_refused(route_check(arena, &route));
	(void)route_is_long_running(&route);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	const char *cursor = (const char *)data;
	const char *end = cursor + size;
	const char *method = take_line(arena, &cursor, end);
	const char *path = take_line(arena, &cursor, end);
	const char *text = take_line(arena, &cursor, end);
	const char *accept = take_line(arena, &cursor, end);
	const char *content_type = take_line(arena, &cursor, end);
	struct request_options options;
	struct query query = {0};

	check_negotiation(arena, accept, content_type);
	if (is_refused(query_parse(arena, text, &query)))
		return 0;
	if (!is_refused(request_options_parse(arena, &query, &options)) && options.limit < 0)
		abort();
	check_route(arena, method, path, &query);
	return 0;
}
