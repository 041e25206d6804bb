// SPDX-License-Identifier: Apache-2.0
//
//   connect → send the request → HEAD ─ 101 ──► tunnel, bytes both ways
//                                     └ other ► answer, bytes one way
//
// Back-pressure: each side is read only while what waits for the other side is
// below a mark; it is resumed when that side has drained. A client that leaves
// ends the stream, a server that closes ends the answer or the tunnel. The relay
// lives on the exchange's loop, in the request's arena; relay_end is the one way
// out of it.

#include "apiserver/connect/relay.h"

#include <openssl/ssl.h>
#include <string.h>
#include <strings.h>

#include "apiserver/audit/auditor.h"
#include "apiserver/connect/connect_head.h"
#include "common/base/blob.h"
#include "common/io/stream.h"
#include "common/io/websocket.h"

enum {
	RELAY_HIGH_WATER_BYTES = 256 << 10,
	RELAY_LOW_WATER_BYTES = 64 << 10,
	RELAY_MAX_HEAD_BYTES = 64 << 10,
};

enum relay_state {
	RELAY_CONNECTING,
	RELAY_HEAD,   // the request is out, its answer's head is awaited
	RELAY_BODY,   // an ordinary answer
	RELAY_TUNNEL, // an upgraded connection
	RELAY_ENDED,
};

struct relay {
	struct request *request;
	struct relay_target target;
	struct stream *stream;
	struct http_tunnel *tunnel;
	struct translator *translator; // NULL: none, or not yet
	enum relay_state state;
	struct strbuf head_text; // as it comes, until the head is whole
	struct connect_head head;
	struct chunk_reader chunks;
	int64_t left; // of a body with a length
	bool body_is_done;
	int code;
};

// --- the end ------------------------------------------------------------------------------------

static void relay_release(struct relay *relay)
{
	relay->state = RELAY_ENDED;
	relay->stream = stream_free(relay->stream);
	SSL_CTX_free(relay->target.tls);
	relay->translator = translator_free(relay->translator);
	strbuf_done(&relay->head_text);
	http_exchange_on_gone(relay->request->exchange, NULL, NULL);
	http_exchange_on_drain(relay->request->exchange, 0, NULL, NULL);
}

// Before anything was answered.
static void relay_fail(struct relay *relay, const struct status *status)
{
	relay_release(relay);
	request_finish_status(relay->request, status);
}

static void relay_end(struct relay *relay, bool complete)
{
	struct request *request = relay->request;
	int code = relay->code;

	if (relay->state == RELAY_TUNNEL && relay->tunnel)
		http_tunnel_close(relay->tunnel);
	else if (relay->state == RELAY_BODY && complete)
		http_exchange_end(request->exchange);
	else if (relay->state == RELAY_BODY)
		http_exchange_abort(request->exchange);
	relay_release(relay);
	request_finish_sent(request, code);
}

static void on_client_gone(void *context)
{
	struct relay *relay = context;

	relay->code = relay->code ? relay->code : 499;
	relay_release(relay);
	request_finish_sent(relay->request, relay->code);
}

// --- the tunnel -----------------------------------------------------------------------------------

static size_t on_tunnel_data(void *context, const void *data, size_t length)
{
	struct relay *relay = context;

	if (!relay->stream)
		return length;
	if (stream_pending_bytes(relay->stream) > RELAY_HIGH_WATER_BYTES)
		return 0;
	if (!relay->translator) {
		stream_write(relay->stream, data, length);
		return length;
	}
	translator_from_client(relay->translator, data, length);
	if (translator_is_over(relay->translator))
		relay_end(relay, true);
	return length;
}

static void on_tunnel_drain(void *context)
{
	struct relay *relay = context;

	if (relay->stream)
		stream_resume(relay->stream);
}

static void on_tunnel_close(void *context)
{
	struct relay *relay = context;

	relay->tunnel = NULL;
	relay_end(relay, true);
}

static void write_to_client(void *context, const void *data, size_t length)
{
	struct relay *relay = context;

	if (relay->tunnel)
		http_tunnel_write(relay->tunnel, data, length);
}

static void write_to_server(void *context, const void *data, size_t length)
{
	struct relay *relay = context;

	if (relay->stream)
		stream_write(relay->stream, data, length);
}

static void start_translation(struct relay *relay, const struct http_tunnel_callbacks *callbacks)
{
	const struct http_request *http = relay->request->http;
	struct translator_config config = relay->target.translation;
	char accept[29];

	websocket_accept_key(http_request_header(http, "sec-websocket-key"), accept);
	const struct http_header headers[] = {
	        {"upgrade", "websocket"},
	        {"connection", "Upgrade"},
	        {"sec-websocket-accept", accept},
	        {"sec-websocket-protocol", relay->target.translated},
	};
	relay->tunnel = http_exchange_upgrade(relay->request->exchange, headers, ARRAY_SIZE(headers), callbacks, relay);
	if (!relay->tunnel)
		return;
	config.to_client = write_to_client;
	config.to_kubelet = write_to_server;
	config.context = relay;
	relay->translator = translator_new(&config);
}

static void start_tunnel(struct relay *relay)
{
	static const struct http_tunnel_callbacks callbacks = {on_tunnel_data, on_tunnel_drain, on_tunnel_close};
	struct request *request = relay->request;

	http_exchange_on_gone(request->exchange, NULL, NULL);
	http_exchange_on_drain(request->exchange, 0, NULL, NULL);
	relay->state = RELAY_TUNNEL;
	if (relay->target.translated)
		start_translation(relay, &callbacks);
	else
		relay->tunnel = http_exchange_upgrade(request->exchange, relay->head.headers, relay->head.header_count,
		                                      &callbacks, relay);
	auditor_started(request, 101);
}

// --- an ordinary answer ---------------------------------------------------------------------------

static void on_exchange_drain(void *context)
{
	struct relay *relay = context;

	if (relay->stream && relay->state == RELAY_BODY)
		stream_resume(relay->stream);
}

static void start_body(struct relay *relay)
{
	struct request *request = relay->request;
	size_t count = relay->head.header_count;
	struct http_header *headers = ARENA_ARRAY(request->arena, struct http_header, count + 2);

	memcpy(headers, relay->head.headers, count * sizeof(*headers));
	if (relay->head.content_length >= 0 && !relay->head.chunked)
		headers[count++] = (struct http_header){
		        "content-length", arena_printf(request->arena, "%lld", (long long)relay->head.content_length)};
	relay->state = RELAY_BODY;
	relay->left = relay->head.chunked ? -1 : relay->head.content_length;
	relay->body_is_done = !relay->left || !strcmp(request->http->method, "HEAD");
	http_exchange_start(request->exchange, relay->head.status, headers, count);
	http_exchange_on_drain(request->exchange, RELAY_LOW_WATER_BYTES, on_exchange_drain, relay);
}

static void pass_piece(struct relay *relay, const char *data, size_t length)
{
	AUTO(blob_unref) struct blob *piece = blob_new(data, length);

	http_exchange_write(relay->request->exchange, piece, 0, length);
}

static void pass_chunks(struct relay *relay, const char *data, size_t length)
{
	size_t used = 0;

	while (used < length && relay->chunks.state != CHUNK_DONE) {
		const char *piece = NULL;
		size_t piece_length = 0;
		ssize_t step = chunk_reader_next(&relay->chunks, data + used, length - used, &piece, &piece_length);

		if (step < 0) {
			relay->left = -2;
			return;
		}
		if (piece_length)
			pass_piece(relay, piece, piece_length);
		used += (size_t)step;
	}
	relay->body_is_done = relay->chunks.state == CHUNK_DONE;
}

static void pass_body(struct relay *relay, const char *data, size_t length)
{
	size_t piece = length;

	if (relay->head.chunked) {
		pass_chunks(relay, data, length);
		return;
	}
	if (relay->left >= 0 && (uint64_t)relay->left < piece)
		piece = (size_t)relay->left;
	if (piece)
		pass_piece(relay, data, piece);
	if (relay->left >= 0)
		relay->left -= (int64_t)piece;
	relay->body_is_done = relay->left == 0;
}

// --- what comes back ------------------------------------------------------------------------------

// The state after a whole head; the rest of what came with it is at `ret_rest`. False: not yet, or ended.
static bool take_head(struct relay *relay, const char *data, size_t length, size_t *ret_rest)
{
	struct request *request = relay->request;
	size_t used = 0;
	int found;

	strbuf_append(&relay->head_text, data, length);
	found = connect_head_parse(request->arena, relay->head_text.data, relay->head_text.length, &relay->head, &used);
	if (found < 0 || (!found && relay->head_text.length > RELAY_MAX_HEAD_BYTES)) {
		relay_fail(relay, status_new(request->arena, ERR_UNAVAILABLE,
		                             "error trying to reach service: malformed HTTP response"));
		return false;
	}
	if (!found)
		return false;
	if (relay->head.status == 100) {
		strbuf_consume(&relay->head_text, used);
		return take_head(relay, "", 0, ret_rest);
	}
	relay->code = relay->head.status;
	if (relay->head.status == 101)
		start_tunnel(relay);
	else
		start_body(relay);
	if (relay->state == RELAY_TUNNEL && !relay->tunnel) { // the client has gone meanwhile
		relay_end(relay, false);
		return false;
	}
	*ret_rest = used;
	return true;
}

static void deliver(struct relay *relay, const char *data, size_t length)
{
	if (relay->state == RELAY_TUNNEL && relay->translator) {
		translator_from_kubelet(relay->translator, data, length);
		if (translator_is_over(relay->translator))
			relay_end(relay, true);
		return;
	}
	if (relay->state == RELAY_TUNNEL) {
		http_tunnel_write(relay->tunnel, data, length);
		return;
	}
	if (!relay->body_is_done)
		pass_body(relay, data, length);
	if (relay->left == -2)
		relay_end(relay, false);
	else if (relay->body_is_done)
		relay_end(relay, true);
}

static bool is_backed_up(const struct relay *relay)
{
	size_t pending = relay->state == RELAY_TUNNEL ? http_tunnel_pending_bytes(relay->tunnel)
	                                              : http_exchange_pending_bytes(relay->request->exchange);

	return pending > RELAY_HIGH_WATER_BYTES;
}

static size_t on_stream_data(void *context, const void *data, size_t length)
{
	struct relay *relay = context;
	size_t rest = 0;

	if (relay->state == RELAY_HEAD) {
		if (take_head(relay, data, length, &rest))
			deliver(relay, relay->head_text.data + rest, relay->head_text.length - rest);
		return length;
	}
	if (is_backed_up(relay))
		return 0; // offered again once the client's side has drained
	deliver(relay, data, length);
	return length;
}

static void on_stream_drain(void *context)
{
	struct relay *relay = context;

	if (relay->tunnel)
		http_tunnel_resume(relay->tunnel);
}

static void on_stream_close(void *context, const struct err *err)
{
	struct relay *relay = context;
	struct request *request = relay->request;
	bool until_end = relay->state == RELAY_BODY && !relay->head.chunked && relay->head.content_length < 0;

	if (relay->state == RELAY_CONNECTING || relay->state == RELAY_HEAD) {
		relay_fail(relay, status_new(request->arena, ERR_INTERNAL, "error dialing backend: %s",
		                             err ? err->message : "the connection was closed"));
		return;
	}
	if (relay->translator)
		translator_kubelet_ended(relay->translator);
	relay_end(relay, until_end && !err);
}

// --- the request ------------------------------------------------------------------------------------

static bool is_passed_on(const char *name)
{
	static const char *const dropped[] = {
	        "host",       "authorization",    "connection",        "content-length",  "te",    "upgrade",
	        "keep-alive", "proxy-connection", "transfer-encoding", "accept-encoding", "expect"};

	for (size_t i = 0; i < ARRAY_SIZE(dropped); i++)
		if (!strcasecmp(name, dropped[i]))
			return false;
	// Who the user is only this server says.
	return name[0] != ':' && strncasecmp(name, "x-remote-", strlen("x-remote-"));
}

static void write_headers(const struct relay *relay, struct strbuf *out)
{
	const struct http_request *http = relay->request->http;
	const char *upgrade = http_request_header(http, "upgrade");

	for (size_t i = 0; i < relay->target.header_count; i++)
		strbuf_printf(out, "%s: %s\r\n", relay->target.headers[i].name, relay->target.headers[i].value);
	for (size_t i = 0; i < http->header_count; i++)
		if (is_passed_on(http->headers[i].name) &&
		    !(relay->target.translated && !strncasecmp(http->headers[i].name, "sec-websocket-", 14)))
			strbuf_printf(out, "%s: %s\r\n", http->headers[i].name, http->headers[i].value);
	if (relay->target.translated)
		strbuf_printf(out, "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: %s\r\n",
		              translator_kubelet_protocol(relay->target.translation.is_tunnel));
	else if (upgrade && !http->is_http2)
		strbuf_printf(out, "Connection: Upgrade\r\nUpgrade: %s\r\n", upgrade);
	else
		strbuf_append_text(out, "Connection: close\r\n");
	if (http->body_length || !strcmp(http->method, "POST") || !strcmp(http->method, "PUT"))
		strbuf_printf(out, "Content-Length: %zu\r\n", http->body_length);
}

static void on_stream_connect(void *context)
{
	struct relay *relay = context;
	const struct http_request *http = relay->request->http;
	struct strbuf head = STRBUF_INIT(1 << 20);
	bool v6 = strchr(relay->target.host, ':') != NULL;

	strbuf_printf(&head, "%s %s HTTP/1.1\r\nHost: %s%s%s:%d\r\n", http->method, relay->target.path, v6 ? "[" : "",
	              relay->target.host, v6 ? "]" : "", relay->target.port);
	write_headers(relay, &head);
	strbuf_append_text(&head, "\r\n");
	stream_write(relay->stream, head.data, head.length);
	strbuf_done(&head);
	if (http->body_length)
		stream_write(relay->stream, http->body, http->body_length);
	relay->state = RELAY_HEAD;
}

void relay_start(struct request *request, const struct relay_target *target)
{
	struct relay *relay = ARENA_NEW(request->arena, struct relay);
	struct stream_config config = {
	        .host = target->host,
	        .port = target->port,
	        .tls = target->tls,
	        .server_name = target->server_name,
	        .connect_timeout_ns = target->connect_timeout_ns,
	        .callbacks = {on_stream_connect, on_stream_data, on_stream_drain, on_stream_close},
	        .context = relay,
	};

	relay->request = request;
	relay->target = *target;
	relay->head_text = STRBUF_INIT(2 * RELAY_MAX_HEAD_BYTES + (1 << 20));
	if (target->tls)
		SSL_CTX_up_ref(target->tls);
	http_exchange_on_gone(request->exchange, on_client_gone, relay);
	relay->stream = stream_connect(request->loop, &config);
}
