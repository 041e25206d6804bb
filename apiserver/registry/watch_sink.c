// SPDX-License-Identifier: Apache-2.0
//
// A watch over WebSocket is a message a frame, text for JSON and binary for
// protobuf (without the length that frames have in a plain stream, since messages
// have lengths of their own). Nothing is expected from the client: its messages
// are read, so that pings and its close are heard, and dropped.
//
// As the RFC wants, a client that offers subprotocols gets one of them back. Any
// will do: what they name is meant for channels, and a watch has none. A bearer
// token that travels as a subprotocol is never echoed.
#include "apiserver/registry/watch_sink.h"

#include <string.h>

#include "apiserver/audit/auditor.h"
#include "apiserver/server.h"
#include "common/base/blob.h"
#include "common/base/memory.h"
#include "common/base/metrics.h"

enum {
	LOW_WATER_BYTES = 256 << 10,
	MAX_INPUT_BYTES = 64 << 10,
	MAX_FRAME_BYTES = 128 << 20,
	PROTOBUF_LENGTH_BYTES = 4,
	NORMAL_CLOSURE = 1000,
};

#define BEARER_PROTOCOL "base64url.bearer.authorization.k8s.io."

static const char *const kind_labels[] = {"group", "version", "kind", NULL};
static const struct metric_family events_family = {
        "apiserver_watch_events_total", "Number of events sent in watch clients", METRIC_COUNTER, kind_labels, NULL};
static const double size_buckets[] = {1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072, 0};
static const struct metric_family sizes_family = {"apiserver_watch_events_sizes",
                                                  "Watch event size distribution in bytes", METRIC_HISTOGRAM,
                                                  kind_labels, size_buckets};

// --- the WebSocket ------------------------------------------------------------------------

static void on_socket_send(void *context, const void *data, size_t length)
{
	struct watch_sink *sink = context;

	if (sink->tunnel)
		http_tunnel_write(sink->tunnel, data, length);
}

// The client's close was answered by the socket.
static void on_socket_close(void *context, uint16_t code, const char *reason)
{
	struct watch_sink *sink = context;

	(void)code;
	(void)reason;
	sink->on_gone(sink->context);
}

static size_t on_tunnel_data(void *context, const void *data, size_t length)
{
	struct watch_sink *sink = context;

	(void)websocket_feed(&sink->socket, data, length); // on_socket_close tells of failures too
	return length;
}

static void on_tunnel_drain(void *context)
{
	struct watch_sink *sink = context;

	sink->on_drain(sink->context);
}

static void on_tunnel_close(void *context)
{
	struct watch_sink *sink = context;

	sink->tunnel = NULL;
	sink->on_gone(sink->context);
}

// The first subprotocol that may be told back; NULL = none was offered.
static const char *choose_protocol(struct request *request)
{
	const char *at = http_request_header(request->http, "sec-websocket-protocol");

	while (at && *at) {
		size_t length;

		at += strspn(at, ", \t");
		length = strcspn(at, ", \t");
		if (length && strncmp(at, BEARER_PROTOCOL, strlen(BEARER_PROTOCOL)) != 0)
			return arena_strndup(request->arena, at, length);
		at += length;
	}
	return NULL;
}

static const struct status *upgrade(struct watch_sink *sink)
{
	static const struct http_tunnel_callbacks callbacks = {on_tunnel_data, on_tunnel_drain, on_tunnel_close};
	struct request *request = sink->request;
	const char *key = http_request_header(request->http, "sec-websocket-key");
	const char *protocol = choose_protocol(request);
	char *accept = arena_alloc(request->arena, 29);
	size_t count;
	struct http_header *headers = request_headers(request, NULL, 3, &count);

	websocket_accept_key(key, accept);
	headers[count++] = (struct http_header){"upgrade", "websocket"};
	headers[count++] = (struct http_header){"sec-websocket-accept", accept};
	if (protocol)
		headers[count++] = (struct http_header){"sec-websocket-protocol", protocol};
	sink->tunnel = http_exchange_upgrade(request->exchange, headers, count, &callbacks, sink);
	if (!sink->tunnel)
		return status_new(request->arena, ERR_BAD_REQUEST, "the connection cannot be upgraded");
	sink->upgraded = true;
	websocket_init(&sink->socket, false, MAX_INPUT_BYTES);
	sink->socket.send = on_socket_send;
	sink->socket.on_close = on_socket_close;
	sink->socket.context = sink;
	return NULL;
}

static void write_message(struct watch_sink *sink, struct blob *const *pieces, size_t count)
{
	AUTO_STRBUF struct strbuf message = STRBUF_INIT(MAX_FRAME_BYTES);
	bool binary = sink->request->output.format == OUTPUT_PROTOBUF;
	size_t skipped = binary ? PROTOBUF_LENGTH_BYTES : 0;

	for (size_t i = 0; i < count; i++)
		strbuf_append(&message, pieces[i]->data, pieces[i]->length);
	websocket_send(&sink->socket, binary ? WEBSOCKET_BINARY : WEBSOCKET_TEXT, message.data + skipped,
	               message.length - skipped);
}

// --- either -------------------------------------------------------------------------------

const struct status *watch_sink_open(struct watch_sink *sink, struct request *request)
{
	const struct schema_resource *resource = request_resource(request);
	const char *const values[] = {resource->group, resource->version, resource->kind};
	size_t count;

	sink->request = request;
	sink->events = metric_get(request->server->metrics, &events_family, values);
	sink->sizes = metric_get(request->server->metrics, &sizes_family, values);
	if (websocket_is_upgrade(request->http))
		return upgrade(sink);
	struct http_header *headers = request_headers(request, request->output.content_type, 0, &count);

	http_exchange_on_gone(request->exchange, sink->on_gone, sink->context);
	http_exchange_on_drain(request->exchange, LOW_WATER_BYTES, sink->on_drain, sink->context);
	http_exchange_start(request->exchange, 200, headers, count);
	auditor_started(request, 200);
	return NULL;
}

static void count_event(struct watch_sink *sink, struct blob *const *pieces, size_t count)
{
	size_t bytes = 0;

	for (size_t i = 0; i < count; i++)
		bytes += pieces[i]->length;
	metric_add(sink->events, 1);
	metric_observe(sink->sizes, (double)bytes);
}

void watch_sink_write(struct watch_sink *sink, struct blob *const *pieces, size_t count)
{
	count_event(sink, pieces, count);
	if (sink->upgraded) {
		if (sink->tunnel)
			write_message(sink, pieces, count);
		return;
	}
	for (size_t i = 0; i < count; i++)
		http_exchange_write(sink->request->exchange, pieces[i], 0, pieces[i]->length);
}

size_t watch_sink_pending_bytes(const struct watch_sink *sink)
{
	if (sink->upgraded)
		return sink->tunnel ? http_tunnel_pending_bytes(sink->tunnel) : 0;
	return http_exchange_pending_bytes(sink->request->exchange);
}

void watch_sink_close(struct watch_sink *sink)
{
	if (sink->upgraded) {
		sink->socket.on_close = NULL;
		websocket_close(&sink->socket, NORMAL_CLOSURE, "");
		websocket_done(&sink->socket);
		if (sink->tunnel)
			http_tunnel_close(sink->tunnel);
		sink->tunnel = NULL;
		return;
	}
	http_exchange_on_gone(sink->request->exchange, NULL, NULL);
	http_exchange_on_drain(sink->request->exchange, 0, NULL, NULL);
	http_exchange_end(sink->request->exchange);
}
