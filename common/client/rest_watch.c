// SPDX-License-Identifier: Apache-2.0
// Watches and raw streams. A watch is one JSON object a line; whole lines are
// parsed where they lie in the arriving data, only an unfinished tail is copied.
// A line is bounded, so that a broken server can't fill the memory. An ERROR event
// ends the watch with its Status; a refusal (any status but 2xx) is collected and
// decoded as one.

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/api/object.h"
#include "common/base/memory.h"
#include "common/client/rest_internal.h"

enum {
	MAX_LINE_BYTES = 64 << 20,
	MAX_REFUSAL_BYTES = 1 << 20,
};

static const char *const event_names[] = {
        [WATCH_ADDED] = "ADDED",       [WATCH_MODIFIED] = "MODIFIED", [WATCH_DELETED] = "DELETED",
        [WATCH_BOOKMARK] = "BOOKMARK", [WATCH_ERROR] = "ERROR",
};

static bool is_success(int status)
{
	return status >= 200 && status < 300;
}

static void on_head(void *context, int status)
{
	struct rest_call *call = context;
	call->status = status;
	call->buffer.max_bytes = is_success(status) ? MAX_LINE_BYTES : MAX_REFUSAL_BYTES;
}

// --- watch ------------------------------------------------------------------------

static void finish_watch(struct rest_call *call, const struct err *err)
{
	struct err end = *err;
	if (call->http)
		http_call_cancel(TAKE(call->http));
	rest_call_enter(call);
	call->watch.on_end(call->context, &end);
	if (rest_call_leave(call))
		rest_call_free(call);
}

static int parse_event(struct rest_call *call, const char *line, size_t length, enum watch_event_type *ret_type,
                       struct json **ret_object, struct err *err)
{
	struct json *event;
	arena_reset(call->event_arena);
	if (json_parse(call->event_arena, line, length, NULL, &event, err) < 0)
		return err_wrap(err, "unable to decode an event from the watch stream");
	const char *name = json_get_text(event, "type");
	struct json *object = json_get(event, "object");
	for (size_t i = 0; name && object && i < ARRAY_SIZE(event_names); i++) {
		if (strcmp(name, event_names[i]) == 0) {
			*ret_type = (enum watch_event_type)i;
			*ret_object = object;
			return 0;
		}
	}
	return err_set(err, ERR_PARSE, "unable to decode an event from the watch stream: unknown type \"%s\"",
	               name ? name : "");
}

// False when the call is gone.
static bool dispatch_line(struct rest_call *call, const char *line, size_t length)
{
	enum watch_event_type type = WATCH_ERROR;
	struct json *object = NULL;
	struct err err = ERR_INIT;
	if (parse_event(call, line, length, &type, &object, &err) == 0 && type == WATCH_ERROR &&
	    !rest_status_error(object, 500, &err))
		(void)err_set(&err, ERR_INTERNAL, "the watch ended with an unknown error");
	if (err.code != ERR_NONE) {
		finish_watch(call, &err);
		return false;
	}
	rest_call_enter(call);
	call->watch.on_event(call->context, type, object);
	return rest_call_leave(call);
}

// False when the call is gone.
static bool keep_tail(struct rest_call *call, const char *data, size_t length)
{
	strbuf_append(&call->buffer, data, length);
	if (!call->buffer.overflowed)
		return true;
	struct err err = ERR_INIT;
	(void)err_set(&err, ERR_TOO_LARGE, "an event of the watch stream is larger than %d bytes", MAX_LINE_BYTES);
	finish_watch(call, &err);
	return false;
}

static bool is_blank(const char *line, size_t length)
{
	return length == 0 || (length == 1 && line[0] == '\r');
}

static void on_watch_data(void *context, const char *data, size_t length)
{
	struct rest_call *call = context;
	if (!is_success(call->status)) {
		strbuf_append(&call->buffer, data, length);
		return;
	}
	while (length > 0) {
		const char *newline = memchr(data, '\n', length);
		size_t line_length = newline ? (size_t)(newline - data) : length;
		if (!newline) {
			keep_tail(call, data, length);
			return;
		}
		const char *line = data;
		size_t whole_length = line_length;
		AUTO_FREE char *joined = NULL;
		if (call->buffer.length > 0) {
			if (!keep_tail(call, data, line_length))
				return;
			joined = strbuf_take(&call->buffer, &whole_length);
			line = joined;
		}
		if (!is_blank(line, whole_length) && !dispatch_line(call, line, whole_length))
			return;
		data += line_length + 1;
		length -= line_length + 1;
	}
}

static void on_watch_done(void *context, int status, const char *body, size_t body_length, const struct err *err)
{
	(void)body, (void)body_length;
	struct rest_call *call = context;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct rest_response response;
	if (is_success(status))
		rest_response_fill(call, arena, status, NULL, 0, err, &response);
	else
		rest_response_fill(call, arena, status, strbuf_text(&call->buffer), call->buffer.length, err,
		                   &response);
	call->http = NULL;
	finish_watch(call, &response.err);
}

struct rest_call *rest_watch(struct rest_client *client, const struct rest_request *request,
                             const char *resource_version, const struct watch_callbacks *callbacks, void *context)
{
	AUTO_STRBUF struct strbuf query = STRBUF_INIT(4096);
	strbuf_append_text(&query, "watch=true");
	if (resource_version) {
		strbuf_append_text(&query, "&resourceVersion=");
		url_escape(&query, resource_version);
	}
	struct rest_call *call = rest_call_new(client, request, strbuf_text(&query), context);
	call->watch = *callbacks;
	call->event_arena = arena_new(8192);
	call->buffer.max_bytes = MAX_LINE_BYTES;
	call->config.timeout_ns = request->timeout_ns;
	call->config.on_head = on_head;
	call->config.on_data = on_watch_data;
	call->config.on_done = on_watch_done;
	call->http = http_call_start(client->http, &call->config);
	return call;
}

// --- raw streams ---------------------------------------------------------------------

static void on_stream_data(void *context, const char *data, size_t length)
{
	struct rest_call *call = context;
	if (!is_success(call->status)) {
		strbuf_append(&call->buffer, data, length);
		return;
	}
	rest_call_enter(call);
	call->on_data(call->context, data, length);
	(void)rest_call_leave(call);
}

static void on_stream_done(void *context, int status, const char *body, size_t body_length, const struct err *err)
{
	(void)body, (void)body_length;
	struct rest_call *call = context;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct rest_response response;
	rest_response_fill(call, arena, status, strbuf_text(&call->buffer), call->buffer.length, err, &response);
	call->http = NULL;
	rest_call_enter(call);
	call->on_done(call->context, &response);
	if (rest_call_leave(call))
		rest_call_free(call);
}

struct rest_call *rest_stream(struct rest_client *client, const struct rest_request *request,
                              void (*on_data)(void *context, const char *data, size_t length),
                              void (*on_done)(void *context, const struct rest_response *response), void *context)
{
	struct rest_call *call = rest_call_new(client, request, NULL, context);
	call->on_data = on_data;
	call->on_done = on_done;
	call->buffer.max_bytes = MAX_REFUSAL_BYTES;
	call->config.timeout_ns = request->timeout_ns;
	call->config.on_head = on_head;
	call->config.on_data = on_stream_data;
	call->config.on_done = on_stream_done;
	call->http = http_call_start(client->http, &call->config);
	return call;
}
