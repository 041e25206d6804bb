// SPDX-License-Identifier: Apache-2.0
//
// One HTTP/2 connection of the gRPC client: a byte stream (TCP, TLS, unix) under
// an nghttp2 client session.
//
//   opened ── on_connect: preface, SETTINGS ──> waiting for the server's SETTINGS ──> ready ──> draining (GOAWAY)
//      └──────────── any failure ──> grpc_client_connection_lost (frees it) <────────────┘
//
// 1. Calls are submitted only to a ready session, so that a request is never given
//    to something that merely accepts connections.
// 2. Frames are collected into one write per flush; flushing happens after input
//    and, for new calls, in the client's wake timer.
// 3. User code runs from nghttp2's callbacks only through on_message; on_done is
//    queued by grpc_call_finish and delivered outside the session.
// 4. The windows are 4 MiB per stream and 16 MiB per connection: with HTTP/2's
//    64 KiB etcd's big answers crawl, and a watch that stalls is demoted by etcd.
// 5. PINGs go out only while calls are open and at least 5 seconds apart: gRPC
//    servers answer more with GOAWAY ENHANCE_YOUR_CALM (etcd's enforcement policy).
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/base/encode.h"
#include "common/base/memory.h"
#include "common/io/grpc_internal.h"
#include "common/io/stream.h"

#define STREAM_WINDOW_BYTES (4 * 1024 * 1024)
#define CONNECTION_WINDOW_BYTES (16 * 1024 * 1024)
#define OUTGOING_HIGH_WATER_BYTES (4 * 1024 * 1024)
#define SETTINGS_WAIT_NS (5 * NSEC_PER_SEC)
#define KEEPALIVE_NS (10 * NSEC_PER_SEC)
#define PING_ANSWER_NS (5 * NSEC_PER_SEC)
#define PING_MINIMUM_GAP_NS (5 * NSEC_PER_SEC)
#define PREFIX_BYTES 5
#define STATUS_MESSAGE_MAX_BYTES 1024

static struct grpc_call *call_of(nghttp2_session *session, int32_t stream_id)
{
	return nghttp2_session_get_stream_user_data(session, stream_id);
}

// --- incoming ------------------------------------------------------------------

// grpc-message is percent-encoded.
static char *status_message_decode(const char *text, size_t length)
{
	if (length > STATUS_MESSAGE_MAX_BYTES)
		length = STATUS_MESSAGE_MAX_BYTES;
	char *out = xmalloc(length + 1);
	size_t used = 0;
	for (size_t i = 0; i < length; i++) {
		int high = -1, low = -1;
		if (text[i] == '%' && i + 2 < length) {
			high = hex_digit(text[i + 1]);
			low = hex_digit(text[i + 2]);
		}
		if (high >= 0 && low >= 0) {
			out[used++] = (char)(high << 4 | low);
			i += 2;
		} else {
			out[used++] = text[i];
		}
	}
	out[used] = '\0';
	return out;
}

static int decimal(const uint8_t *text, size_t length)
{
	int value = 0;
	if (!length || length > 4)
		return -1;
	for (size_t i = 0; i < length; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		value = value * 10 + (text[i] - '0');
	}
	return value;
}

static bool header_is(const uint8_t *name, size_t length, const char *wanted)
{
	return length == strlen(wanted) && memcmp(name, wanted, length) == 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_length,
                     const uint8_t *value, size_t value_length, uint8_t flags, void *user_data)
{
	(void)flags;
	(void)user_data;
	struct grpc_call *call = call_of(session, frame->hd.stream_id);
	if (!call || frame->hd.type != NGHTTP2_HEADERS)
		return 0;
	if (header_is(name, name_length, ":status")) {
		call->http_status = decimal(value, value_length);
	} else if (header_is(name, name_length, "grpc-status")) {
		int status = decimal(value, value_length);
		call->have_status = true;
		call->status = status < 0 ? GRPC_UNKNOWN : (enum grpc_status)status;
	} else if (header_is(name, name_length, "grpc-message")) {
		free(call->message);
		call->message = status_message_decode((const char *)value, value_length);
	}
	return 0;
}

static void fail_call(struct grpc_connection *connection, struct grpc_call *call, enum grpc_status status,
                      const char *message)
{
	grpc_connection_detach(connection, call, NGHTTP2_CANCEL);
	grpc_call_finish(call, status, message);
}

// Hands one message over; false when the call is gone.
static bool deliver_message(struct grpc_call *call, const uint8_t *message, size_t length)
{
	if (!call->callbacks.on_message)
		return true;
	call->busy = true;
	call->callbacks.on_message(call->context, message, length);
	call->busy = false;
	if (!call->cancelled)
		return true;
	grpc_call_free_if_idle(call);
	return false;
}

// Takes whole messages from the front of `data`; returns the bytes used, or SIZE_MAX when the call is over.
static size_t take_messages(struct grpc_connection *connection, struct grpc_call *call, const uint8_t *data,
                            size_t length, size_t *ret_wanted)
{
	size_t used = 0;
	*ret_wanted = PREFIX_BYTES;
	while (length - used >= PREFIX_BYTES) {
		const uint8_t *prefix = data + used;
		size_t size = (size_t)prefix[1] << 24 | (size_t)prefix[2] << 16 | (size_t)prefix[3] << 8 | prefix[4];
		if (prefix[0]) {
			fail_call(connection, call, GRPC_INTERNAL, "compressed message without having been offered");
			return SIZE_MAX;
		}
		if (size > call->client->max_message_bytes) {
			fail_call(connection, call, GRPC_RESOURCE_EXHAUSTED,
			          "received message larger than the maximum");
			return SIZE_MAX;
		}
		if (length - used < PREFIX_BYTES + size) {
			*ret_wanted = PREFIX_BYTES + size;
			break;
		}
		used += PREFIX_BYTES + size;
		if (!deliver_message(call, prefix + PREFIX_BYTES, size))
			return SIZE_MAX;
	}
	return used;
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t stream_id, const uint8_t *data, size_t length,
                         void *user_data)
{
	(void)flags;
	struct grpc_connection *connection = user_data;
	struct grpc_call *call = call_of(session, stream_id);
	if (!call)
		return 0;
	size_t wanted = 0;
	// What arrived whole is delivered from where it stands; only a rest is copied.
	if (!call->input.length) {
		size_t used = take_messages(connection, call, data, length, &wanted);
		if (used == SIZE_MAX || used == length)
			return 0;
		data += used;
		length -= used;
		strbuf_reserve(&call->input, wanted > length ? wanted : length);
		strbuf_append(&call->input, data, length);
		return 0;
	}
	strbuf_append(&call->input, data, length);
	size_t used = take_messages(connection, call, (uint8_t *)call->input.data, call->input.length, &wanted);
	if (used == SIZE_MAX)
		return 0;
	strbuf_consume(&call->input, used);
	if (!call->input.length)
		strbuf_done(&call->input);
	else if (wanted > call->input.length)
		strbuf_reserve(&call->input, wanted - call->input.length);
	return 0;
}

// gRPC's own mapping for answers that are not gRPC.
static enum grpc_status status_from_http(int http_status)
{
	static const struct {
		int http;
		enum grpc_status status;
	} rows[] = {
	        {400, GRPC_INTERNAL},    {401, GRPC_UNAUTHENTICATED}, {403, GRPC_PERMISSION_DENIED},
	        {404, GRPC_UNKNOWN},     {429, GRPC_UNAVAILABLE},     {502, GRPC_UNAVAILABLE},
	        {503, GRPC_UNAVAILABLE}, {504, GRPC_UNAVAILABLE},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].http == http_status)
			return rows[i].status;
	return GRPC_UNKNOWN;
}

static int on_stream_close(nghttp2_session *session, int32_t stream_id, uint32_t error_code, void *user_data)
{
	(void)user_data;
	struct grpc_call *call = call_of(session, stream_id);
	if (!call)
		return 0;
	nghttp2_session_set_stream_user_data(session, stream_id, NULL);
	call->connection = NULL;
	char text[96];
	if (call->have_status) {
		grpc_call_finish(call, call->status, call->message ? call->message : "");
	} else if (error_code == NGHTTP2_REFUSED_STREAM || !call->sent) {
		grpc_call_refused(call, "the server refused the stream");
	} else if (error_code != NGHTTP2_NO_ERROR) {
		snprintf(text, sizeof(text), "stream ended with %s", nghttp2_http2_strerror(error_code));
		grpc_call_finish(call, error_code == NGHTTP2_CANCEL ? GRPC_CANCELLED : GRPC_UNAVAILABLE, text);
	} else {
		snprintf(text, sizeof(text), "answer without grpc-status (HTTP status %d)", call->http_status);
		grpc_call_finish(call, status_from_http(call->http_status), text);
	}
	return 0;
}

static int on_frame_received(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
	(void)session;
	struct grpc_connection *connection = user_data;
	if (frame->hd.type == NGHTTP2_SETTINGS && !(frame->hd.flags & NGHTTP2_FLAG_ACK) && !connection->ready) {
		connection->ready = true;
		grpc_client_connection_ready(connection);
	} else if (frame->hd.type == NGHTTP2_GOAWAY && !connection->draining) {
		connection->draining = true;
		grpc_client_connection_draining(connection);
	}
	return 0;
}

// --- outgoing ------------------------------------------------------------------

static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
	(void)user_data;
	if (frame->hd.type == NGHTTP2_HEADERS) {
		struct grpc_call *call = call_of(session, frame->hd.stream_id);
		if (call)
			call->sent = true;
	}
	return 0;
}

static ssize_t read_request(nghttp2_session *session, int32_t stream_id, uint8_t *out, size_t capacity,
                            uint32_t *data_flags, nghttp2_data_source *source, void *user_data)
{
	(void)source;
	(void)user_data;
	struct grpc_call *call = call_of(session, stream_id);
	if (!call)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	size_t left = call->output.length - call->output_offset;
	size_t length = left < capacity ? left : capacity;
	if (length)
		memcpy(out, call->output.data + call->output_offset, length);
	call->output_offset += length;
	if (call->is_stream) {
		if (length && call->output_offset == call->output.length) {
			strbuf_clear(&call->output);
			call->output_offset = 0;
		}
		return length ? (ssize_t)length : NGHTTP2_ERR_DEFERRED;
	}
	if (call->output_offset == call->output.length)
		*data_flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)length;
}

static nghttp2_nv header(const char *name, const char *value)
{
	return (nghttp2_nv){(uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value), NGHTTP2_NV_FLAG_NONE};
}

bool grpc_connection_submit(struct grpc_connection *connection, struct grpc_call *call)
{
	char timeout[32];
	nghttp2_nv headers[9] = {
	        header(":method", "POST"),
	        header(":scheme", connection->endpoint->tls ? "https" : "http"),
	        header(":path", call->path),
	        header(":authority", connection->endpoint->authority),
	        header("te", "trailers"),
	        header("content-type", "application/grpc"),
	        header("user-agent", "caravel/" CARAVEL_VERSION),
	};
	size_t count = 7;
	if (call->deadline_ns) {
		int64_t left_ns = call->deadline_ns - loop_now_ns(call->client->loop);
		// At most 8 digits: milliseconds reach 27 hours.
		int64_t left_ms = left_ns / NSEC_PER_MSEC;
		snprintf(timeout, sizeof(timeout), "%lldm",
		         (long long)(left_ms < 1          ? 1
		                     : left_ms > 99999999 ? 99999999
		                                          : left_ms));
		headers[count++] = header("grpc-timeout", timeout);
	}
	nghttp2_data_provider provider = {.read_callback = read_request};
	call->output_offset = 0;
	int32_t id = nghttp2_submit_request(connection->session, NULL, headers, count, &provider, call);
	if (id < 0)
		return false;
	call->stream_id = id;
	call->connection = connection;
	list_remove(&call->node);
	list_append(&connection->calls, &call->node);
	grpc_client_wake(connection->client);
	return true;
}

void grpc_connection_more_output(struct grpc_connection *connection, struct grpc_call *call)
{
	// Fails when the stream isn't waiting for data, which is as well.
	(void)nghttp2_session_resume_data(connection->session, call->stream_id);
	grpc_client_wake(connection->client);
}

void grpc_connection_detach(struct grpc_connection *connection, struct grpc_call *call, uint32_t error_code)
{
	nghttp2_session_set_stream_user_data(connection->session, call->stream_id, NULL);
	(void)nghttp2_submit_rst_stream(connection->session, NGHTTP2_FLAG_NONE, call->stream_id, error_code);
	call->connection = NULL;
	list_remove(&call->node);
	grpc_client_wake(connection->client);
}

bool grpc_connection_flush(struct grpc_connection *connection)
{
	assert(!connection->in_session);
	strbuf_clear(&connection->outgoing);
	while (stream_pending_bytes(connection->stream) + connection->outgoing.length < OUTGOING_HIGH_WATER_BYTES) {
		const uint8_t *data;
		connection->in_session = true;
		ssize_t length = nghttp2_session_mem_send(connection->session, &data);
		connection->in_session = false;
		if (length < 0)
			return false;
		if (!length)
			break;
		strbuf_append(&connection->outgoing, data, (size_t)length);
	}
	if (connection->outgoing.length)
		stream_write(connection->stream, connection->outgoing.data, connection->outgoing.length);
	if (connection->outgoing.capacity > 256 * 1024)
		strbuf_done(&connection->outgoing);
	return nghttp2_session_want_read(connection->session) || nghttp2_session_want_write(connection->session);
}

// --- keepalive -------------------------------------------------------------------

static void on_keepalive(struct loop_timer *timer);

static void send_ping(struct grpc_connection *connection, int64_t now)
{
	connection->ping_outstanding = true;
	connection->last_ping_ns = now;
	(void)nghttp2_submit_ping(connection->session, NGHTTP2_FLAG_NONE, NULL);
	grpc_client_wake(connection->client);
	loop_timer_start(connection->client->loop, &connection->keepalive, PING_ANSWER_NS, on_keepalive);
}

static void on_keepalive(struct loop_timer *timer)
{
	struct grpc_connection *connection = container_of(timer, struct grpc_connection, keepalive);
	struct loop *loop = connection->client->loop;
	int64_t now = loop_now_ns(loop);
	if (!connection->ready) {
		grpc_client_connection_lost(connection, "no HTTP/2 SETTINGS from the server");
		return;
	}
	if (connection->ping_outstanding) {
		grpc_client_connection_lost(connection, "no answer to a keepalive ping");
		return;
	}
	if (!list_is_empty(&connection->calls) && now - connection->last_receive_ns >= KEEPALIVE_NS)
		send_ping(connection, now);
	else
		loop_timer_start(loop, timer, KEEPALIVE_NS, on_keepalive);
}

void grpc_connection_probe(struct grpc_connection *connection)
{
	int64_t now = loop_now_ns(connection->client->loop);
	if (connection->ready && !connection->ping_outstanding && now - connection->last_receive_ns > NSEC_PER_SEC &&
	    now - connection->last_ping_ns >= PING_MINIMUM_GAP_NS)
		send_ping(connection, now);
}

// --- the byte stream ---------------------------------------------------------------

static void on_connect(void *context)
{
	struct grpc_connection *connection = context;
	if (connection->endpoint->tls && !stream_negotiated_http2(connection->stream)) {
		grpc_client_connection_lost(connection, "the server does not offer HTTP/2 (ALPN h2)");
		return;
	}
	nghttp2_settings_entry settings[] = {
	        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
	        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW_BYTES},
	        {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, 256 * 1024},
	};
	(void)nghttp2_submit_settings(connection->session, NGHTTP2_FLAG_NONE, settings, ARRAY_SIZE(settings));
	(void)nghttp2_session_set_local_window_size(connection->session, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW_BYTES);
	loop_timer_start(connection->client->loop, &connection->keepalive, SETTINGS_WAIT_NS, on_keepalive);
	if (!grpc_connection_flush(connection))
		grpc_client_connection_lost(connection, "HTTP/2 session failed");
}

static size_t on_data(void *context, const void *data, size_t length)
{
	struct grpc_connection *connection = context;
	struct grpc_client *client = connection->client;
	connection->last_receive_ns = loop_now_ns(client->loop);
	if (connection->ping_outstanding) {
		connection->ping_outstanding = false;
		loop_timer_start(client->loop, &connection->keepalive, KEEPALIVE_NS, on_keepalive);
	}
	connection->in_session = true;
	ssize_t used = nghttp2_session_mem_recv(connection->session, data, length);
	connection->in_session = false;
	if (used < 0 || !grpc_connection_flush(connection))
		grpc_client_connection_lost(connection, used < 0 ? nghttp2_strerror((int)used)
		                                                 : "the server closed the connection");
	grpc_client_deliver(client);
	return length;
}

static void on_drain(void *context)
{
	struct grpc_connection *connection = context;
	struct grpc_client *client = connection->client;
	if (!grpc_connection_flush(connection))
		grpc_client_connection_lost(connection, "the server closed the connection");
	grpc_client_deliver(client);
}

static void on_close(void *context, const struct err *err)
{
	struct grpc_connection *connection = context;
	struct grpc_client *client = connection->client;
	grpc_client_connection_lost(connection, err ? err->message : "connection closed by the server");
	grpc_client_deliver(client);
}

static nghttp2_session *session_new(struct grpc_connection *connection)
{
	nghttp2_session_callbacks *callbacks;
	nghttp2_option *option;
	nghttp2_session *session;
	if (nghttp2_session_callbacks_new(&callbacks) || nghttp2_option_new(&option))
		abort();
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_received);
	nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
	// Calls before the server's SETTINGS don't exist, so no early limit is needed.
	nghttp2_option_set_peer_max_concurrent_streams(option, 1000);
	if (nghttp2_session_client_new2(&session, callbacks, connection, option))
		abort();
	nghttp2_session_callbacks_del(callbacks);
	nghttp2_option_del(option);
	return session;
}

struct grpc_connection *grpc_connection_open(struct grpc_client *client, const struct grpc_endpoint *endpoint)
{
	struct grpc_connection *connection = NEW(struct grpc_connection);
	connection->client = client;
	connection->endpoint = endpoint;
	list_init(&connection->node);
	list_init(&connection->calls);
	connection->outgoing = STRBUF_INIT(SIZE_MAX / 2);
	connection->session = session_new(connection);
	connection->last_receive_ns = loop_now_ns(client->loop);
	connection->last_ping_ns = connection->last_receive_ns - PING_MINIMUM_GAP_NS;
	struct stream_config config = {
	        .host = endpoint->host,
	        .port = endpoint->port,
	        .tls = endpoint->tls ? client->tls : NULL,
	        .server_name = client->has_tls_config ? client->tls_config.server_name : NULL,
	        .connect_timeout_ns = 5 * NSEC_PER_SEC,
	        .callbacks = {.on_connect = on_connect, .on_data = on_data, .on_drain = on_drain, .on_close = on_close},
	        .context = connection,
	};
	connection->stream = stream_connect(client->loop, &config);
	return connection;
}

struct grpc_connection *grpc_connection_free(struct grpc_connection *connection)
{
	if (!connection)
		return NULL;
	assert(!connection->in_session);
	assert(list_is_empty(&connection->calls));
	loop_timer_stop(&connection->keepalive);
	list_remove(&connection->node);
	stream_free(connection->stream);
	nghttp2_session_del(connection->session);
	strbuf_done(&connection->outgoing);
	free(connection);
	return NULL;
}
