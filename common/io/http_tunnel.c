// SPDX-License-Identifier: Apache-2.0
//
// An upgraded connection: bytes both ways, no deadlines. Its owner is called
// from the connection's reading, writing and end, with nothing of its own on the
// stack. Bytes that the owner doesn't take are kept (at most one read's worth)
// and pause the reading; http_tunnel_resume has them offered again at the end of
// the turn, and only when all are taken the reading goes on. After http_tunnel_close the owner hears nothing more.
//
// A client that hangs up while the reading is paused is gone at once: what it
// had sent last can't be told apart from what nobody will ever take.
#include "common/io/http_tunnel.h"

#include <assert.h>

#include "common/base/memory.h"
#include "common/io/http_server_internal.h"

struct http_tunnel {
	struct http_connection *connection;
	struct http_tunnel_callbacks callbacks;
	void *context;
	struct strbuf kept;
	bool owner_closed;
	bool drain_wanted;
	bool offer_due; // of what is kept
};

struct http_tunnel *http_tunnel_new(struct http_connection *connection, struct strbuf *input,
                                    const struct http_tunnel_callbacks *callbacks, void *context)
{
	struct http_tunnel *tunnel = NEW(struct http_tunnel);
	tunnel->connection = connection;
	tunnel->callbacks = *callbacks;
	tunnel->context = context;
	tunnel->kept = *input;
	*input = STRBUF_INIT(0);
	connection->protocol = &http_tunnel_protocol;
	connection->session = tunnel;
	http_connection_set_deadline(connection, 0);
	http_connection_pause_reading(connection, true);
	http_tunnel_resume(tunnel);
	return tunnel;
}

void http_tunnel_write(struct http_tunnel *tunnel, const void *data, size_t length)
{
	if (tunnel->owner_closed || length == 0)
		return;
	slice_queue_append(&tunnel->connection->output, data, length);
	tunnel->drain_wanted = true;
	http_connection_mark_dirty(tunnel->connection);
}

size_t http_tunnel_pending_bytes(const struct http_tunnel *tunnel)
{
	return tunnel->connection->output.bytes;
}

void http_tunnel_resume(struct http_tunnel *tunnel)
{
	if (tunnel->owner_closed)
		return;
	tunnel->offer_due = true;
	http_connection_mark_dirty(tunnel->connection);
}

void http_tunnel_close(struct http_tunnel *tunnel)
{
	tunnel->owner_closed = true;
	http_connection_pause_reading(tunnel->connection, false);
	http_connection_set_deadline(tunnel->connection, http_idle_deadline(tunnel->connection->shard));
	http_connection_close(tunnel->connection);
}

static void start(struct http_connection *connection)
{
	(void)connection;
}

static void receive(struct http_connection *connection, const char *data, size_t length)
{
	struct http_tunnel *tunnel = connection->session;
	size_t taken = tunnel->callbacks.on_data(tunnel->context, data, length);
	if (tunnel->owner_closed)
		return;
	if (taken < length)
		strbuf_append(&tunnel->kept, data + taken, length - taken);
	http_connection_pause_reading(connection, taken < length);
}

// Offers again what was kept.
static void flush(struct http_connection *connection)
{
	struct http_tunnel *tunnel = connection->session;
	if (!tunnel->offer_due || tunnel->owner_closed)
		return;
	tunnel->offer_due = false;
	struct strbuf kept = tunnel->kept;
	tunnel->kept = STRBUF_INIT(kept.max_bytes);
	if (kept.length)
		receive(connection, kept.data, kept.length);
	else
		http_connection_pause_reading(connection, false);
	strbuf_done(&kept);
}

static void written(struct http_connection *connection)
{
	struct http_tunnel *tunnel = connection->session;
	if (tunnel->owner_closed) // slow, but reading
		http_connection_set_deadline(connection, http_idle_deadline(connection->shard));
	if (connection->output.bytes || !tunnel->drain_wanted || tunnel->owner_closed)
		return;
	tunnel->drain_wanted = false;
	if (tunnel->callbacks.on_drain)
		tunnel->callbacks.on_drain(tunnel->context);
}

static void expire(struct http_connection *connection)
{
	http_connection_cut(connection);
}

static void stop(struct http_connection *connection)
{
	(void)connection; // its owner ends it, or the grace period does
}

static void closed(struct http_connection *connection)
{
	struct http_tunnel *tunnel = connection->session;
	connection->session = NULL;
	if (!tunnel->owner_closed)
		tunnel->callbacks.on_close(tunnel->context);
	strbuf_done(&tunnel->kept);
	free(tunnel);
}

const struct http_protocol http_tunnel_protocol = {
        .start = start,
        .receive = receive,
        .flush = flush,
        .written = written,
        .expire = expire,
        .stop = stop,
        .closed = closed,
};
