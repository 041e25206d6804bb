// SPDX-License-Identifier: Apache-2.0
// Which way a client asks for, and what both ways say in the same words: outcomes as
// upstream's remote command server and terminal sizes as client-go sends them.

#include "kubelet/server/remote.h"

#include "common/api/json.h"
#include "common/io/websocket.h"
#include "kubelet/server/remote_internal.h"

struct remote *remote_accept(struct loop *loop, struct http_exchange *exchange, const struct remote_wants *wants,
                             const struct remote_handler *handler, void *context)
{
	return websocket_is_upgrade(http_exchange_request(exchange))
	               ? remote_websocket_accept(loop, exchange, wants, handler, context)
	               : remote_spdy_accept(loop, exchange, wants, handler, context);
}

void remote_write(struct remote *remote, enum remote_output output, const void *data, size_t length)
{
	if (output == REMOTE_STDOUT ? remote->wants.output : remote->wants.error)
		remote->operations->write(remote, output, data, length);
}

size_t remote_pending_bytes(const struct remote *remote)
{
	return remote->operations->pending_bytes(remote);
}

void remote_input_taken(struct remote *remote, size_t length)
{
	remote->operations->input_taken(remote, length);
}

void remote_finish(struct remote *remote, const struct remote_outcome *outcome)
{
	remote->operations->finish(remote, outcome);
}

void remote_free(struct remote *remote)
{
	if (remote)
		remote->operations->free(remote);
}

bool remote_read_size(const void *data, size_t length, unsigned *ret_columns, unsigned *ret_rows)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct json *value = NULL;
	int64_t width = 0;
	int64_t height = 0;
	if (json_parse(arena, data, length, NULL, &value, NULL) < 0 || !json_get_integer(value, "Width", &width) ||
	    !json_get_integer(value, "Height", &height) || width <= 0 || height <= 0 || width > UINT16_MAX ||
	    height > UINT16_MAX)
		return false;
	*ret_columns = (unsigned)width;
	*ret_rows = (unsigned)height;
	return true;
}

// --- the outcome ---------------------------------------------------------------------

static struct json *cause_of(struct arena *arena, struct json *status)
{
	struct json *cause = json_object(arena);
	json_append(arena, json_ensure_array(arena, json_ensure_object(arena, status, "details"), "causes"), cause);
	return cause;
}

static void fill_exit_status(struct arena *arena, struct json *status, int exit_code)
{
	struct json *cause = cause_of(arena, status);
	json_set_text(arena, status, "message",
	              arena_printf(arena, "command terminated with non-zero exit code: exit status %d", exit_code));
	json_set_text(arena, status, "reason", "NonZeroExitCode");
	json_set_text(arena, cause, "reason", "ExitCode");
	json_set_text(arena, cause, "message", arena_printf(arena, "%d", exit_code));
}

static void fill_failure(struct arena *arena, struct json *status, const char *error_text)
{
	struct json *cause = cause_of(arena, status);
	json_set_text(arena, status, "message", arena_printf(arena, "Internal error occurred: %s", error_text));
	json_set_text(arena, status, "reason", "InternalError");
	json_set_text(arena, cause, "message", error_text);
	json_set_integer(arena, status, "code", 500);
}

void remote_write_outcome(const struct remote_outcome *outcome, bool as_status, struct strbuf *out)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct json *status = json_object(arena);
	json_set(arena, status, "metadata", json_object(arena));
	json_set_text(arena, status, "status", outcome->exit_code ? "Failure" : "Success");
	if (outcome->exit_code > 0)
		fill_exit_status(arena, status, outcome->exit_code);
	else if (outcome->exit_code < 0)
		fill_failure(arena, status, outcome->error_text);
	if (as_status)
		json_write(out, status);
	else if (outcome->exit_code)
		strbuf_append_text(out, json_get_text(status, "message"));
}
