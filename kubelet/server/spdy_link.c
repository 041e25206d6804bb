// SPDX-License-Identifier: Apache-2.0
// SPDY over an upgraded connection. The clients' library (Go's spdystream) heeds no
// windows; so what its owner has not consumed is bounded by not reading the client
// beyond MAX_UNCONSUMED_BYTES. kubectl 1.31 and later tunnels the same bytes in binary
// WebSocket messages of the subprotocol SPDY/3.1+portforward.k8s.io.

#include "kubelet/server/spdy_link.h"

#include <string.h>
#include <strings.h>

#include "common/base/memory.h"
#include "common/io/websocket.h"
#include "kubelet/server/server_internal.h"

enum {
	MAX_UNCONSUMED_BYTES = 1 << 20,
	MAX_MESSAGE_BYTES = 4 << 20,
	CLOSE_NORMAL = 1000,
};

struct spdy_link {
	struct http_tunnel *tunnel; // NULL: closed
	bool in_messages;
	struct websocket socket;
	struct spdy_session *session;
	struct spdy_link_handler handler;
	void *context;
	bool paused;
};

// --- bytes ---------------------------------------------------------------------------

static void on_session_send(void *context, const void *data, size_t length)
{
	struct spdy_link *link = context;
	if (link->in_messages)
		websocket_send(&link->socket, WEBSOCKET_BINARY, data, length);
	else if (link->tunnel)
		http_tunnel_write(link->tunnel, data, length);
}

static void on_socket_send(void *context, const void *data, size_t length)
{
	struct spdy_link *link = context;
	if (link->tunnel)
		http_tunnel_write(link->tunnel, data, length);
}

static void lose(struct spdy_link *link)
{
	if (link->tunnel)
		http_tunnel_close(TAKE(link->tunnel));
	link->handler.on_gone(link->context);
}

static void take(struct spdy_link *link, const void *data, size_t length)
{
	if (!spdy_feed(link->session, data, length)) // the link may be gone only when it is true
		lose(link);
}

static void on_message(void *context, enum websocket_opcode opcode, const uint8_t *data, size_t length)
{
	if (opcode == WEBSOCKET_BINARY)
		take(context, data, length);
}

static void on_socket_close(void *context, uint16_t code, const char *reason)
{
	(void)code;
	(void)reason;
	lose(context);
}

static size_t on_tunnel_data(void *context, const void *data, size_t length)
{
	struct spdy_link *link = context;
	if (spdy_unconsumed_bytes(link->session) > MAX_UNCONSUMED_BYTES) {
		link->paused = true;
		return 0;
	}
	if (link->in_messages)
		(void)websocket_feed(&link->socket, data, length);
	else
		take(link, data, length);
	return length;
}

static void on_tunnel_drain(void *context)
{
	struct spdy_link *link = context;
	if (link->handler.on_drain)
		link->handler.on_drain(link->context);
}

static void on_tunnel_close(void *context)
{
	struct spdy_link *link = context;
	link->tunnel = NULL;
	lose(link);
}

// --- streams, for the owner ----------------------------------------------------------

static void on_stream(void *context, struct spdy_stream *stream, const struct spdy_header *headers, size_t count)
{
	const struct spdy_link *link = context;
	link->handler.streams.on_stream(link->context, stream, headers, count);
}

static void on_stream_data(void *context, struct spdy_stream *stream, const void *data, size_t length)
{
	const struct spdy_link *link = context;
	link->handler.streams.on_data(link->context, stream, data, length);
}

static void on_stream_end(void *context, struct spdy_stream *stream)
{
	const struct spdy_link *link = context;
	link->handler.streams.on_end(link->context, stream);
}

static void on_stream_reset(void *context, struct spdy_stream *stream, uint32_t status)
{
	const struct spdy_link *link = context;
	link->handler.streams.on_reset(link->context, stream, status);
}

static void on_stream_drain(void *context, struct spdy_stream *stream)
{
	const struct spdy_link *link = context;
	if (link->handler.streams.on_drain)
		link->handler.streams.on_drain(link->context, stream);
}

void spdy_link_consumed(struct spdy_link *link, struct spdy_stream *stream, size_t length)
{
	spdy_stream_consumed(stream, length);
	if (!link->paused || !link->tunnel || spdy_unconsumed_bytes(link->session) > MAX_UNCONSUMED_BYTES / 2)
		return;
	link->paused = false;
	http_tunnel_resume(link->tunnel);
}

struct spdy_session *spdy_link_session(const struct spdy_link *link)
{
	return link->session;
}

size_t spdy_link_pending_bytes(const struct spdy_link *link)
{
	return link->tunnel ? http_tunnel_pending_bytes(link->tunnel) : 0;
}

void spdy_link_close(struct spdy_link *link)
{
	if (!link)
		return;
	if (link->tunnel) {
		spdy_goaway(link->session);
		if (link->in_messages)
			websocket_close(&link->socket, CLOSE_NORMAL, "");
		http_tunnel_close(TAKE(link->tunnel));
	}
	spdy_session_free(link->session);
	websocket_done(&link->socket);
	free(link);
}

// --- the start -----------------------------------------------------------------------

static bool offers(const struct http_request *request, const char *protocol)
{
	for (size_t index = 0; index < request->header_count; index++) {
		if (strcmp(request->headers[index].name, "x-stream-protocol-version"))
			continue;
		for (const char *at = request->headers[index].value; *at;) {
			at += strspn(at, " \t,");
			size_t length = strcspn(at, ", \t");
			if (length == strlen(protocol) && !memcmp(at, protocol, length))
				return true;
			at += length;
		}
	}
	return false;
}

static void refuse_protocols(struct http_exchange *exchange, const char *const *supported)
{
	struct http_header headers[8] = {{"content-type", "text/plain; charset=utf-8"}};
	size_t count = 1;
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(4096);
	strbuf_append_text(&text, "unable to upgrade: unable to negotiate protocol: server accepts [");
	for (; *supported && count < ARRAY_SIZE(headers); supported++) {
		strbuf_printf(&text, "%s%s", count > 1 ? " " : "", *supported);
		headers[count++] = (struct http_header){"x-accepted-stream-protocol-versions", *supported};
	}
	strbuf_append_char(&text, ']');
	AUTO(blob_unref) struct blob *body = blob_new(text.data, text.length);
	http_exchange_respond(exchange, 403, headers, count, body);
}

const char *spdy_choose_protocol(struct http_exchange *exchange, const char *const *supported)
{
	const struct http_request *request = http_exchange_request(exchange);
	if (!http_request_header(request, "x-stream-protocol-version"))
		return "";
	for (const char *const *protocol = supported; *protocol; protocol++)
		if (offers(request, *protocol))
			return *protocol;
	refuse_protocols(exchange, supported);
	return NULL;
}

static bool asks_for_spdy(const struct http_request *request)
{
	const char *upgrade = http_request_header(request, "upgrade");
	return upgrade && !strcasecmp(upgrade, "SPDY/3.1") && !request->is_http2;
}

static struct http_tunnel *upgrade(struct spdy_link *link, struct http_exchange *exchange, const char *protocol)
{
	static const struct http_tunnel_callbacks callbacks = {on_tunnel_data, on_tunnel_drain, on_tunnel_close};
	const struct http_request *request = http_exchange_request(exchange);
	char accept[29] = "";
	if (link->in_messages)
		websocket_accept_key(http_request_header(request, "sec-websocket-key"), accept);
	const struct http_header messages[] = {
	        {"upgrade", "websocket"},
	        {"connection", "Upgrade"},
	        {"sec-websocket-accept", accept},
	        {"sec-websocket-protocol", protocol},
	};
	const struct http_header plain[] = {
	        {"connection", "Upgrade"},
	        {"upgrade", "SPDY/3.1"},
	        {"x-stream-protocol-version", protocol},
	};
	return http_exchange_upgrade(exchange, link->in_messages ? messages : plain,
	                             link->in_messages ? ARRAY_SIZE(messages) : ARRAY_SIZE(plain) - !*protocol,
	                             &callbacks, link);
}

struct spdy_link *spdy_link_open(struct http_exchange *exchange, const char *protocol, bool in_messages,
                                 const struct spdy_link_handler *handler, void *context)
{
	static const struct spdy_callbacks callbacks = {
	        .on_stream = on_stream,
	        .on_data = on_stream_data,
	        .on_end = on_stream_end,
	        .on_reset = on_stream_reset,
	        .on_drain = on_stream_drain,
	        .send = on_session_send,
	};
	struct spdy_link *link = NEW(struct spdy_link);
	*link = (struct spdy_link){.in_messages = in_messages, .handler = *handler, .context = context};
	websocket_init(&link->socket, false, MAX_MESSAGE_BYTES);
	link->socket.on_message = on_message;
	link->socket.on_close = on_socket_close;
	link->socket.send = on_socket_send;
	link->socket.context = link;
	if (in_messages || asks_for_spdy(http_exchange_request(exchange)))
		link->tunnel = upgrade(link, exchange, protocol);
	if (!link->tunnel) {
		server_respond_error(exchange, 400, "unable to upgrade: missing upgrade headers in request");
		websocket_done(&link->socket);
		free(link);
		return NULL;
	}
	link->session = spdy_session_new(false, &callbacks, link);
	return link;
}
