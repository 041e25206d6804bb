// SPDX-License-Identifier: Apache-2.0
//
// HTTP/2 on a connection, by nghttp2. Its session is fed from the connection's
// reading and drained from the connection's flush, nowhere else: callbacks and
// exchanges only submit, mark and queue.
//
// DATA frames carry slices of the exchange's output: nghttp2 makes the nine
// bytes of a frame's head, and its send_data callback moves as many slices to
// the connection's output without copying. A frame is as long as makes it one
// TLS record with its head. No more frames are made while the connection's
// output is above its high mark, so what waits for a slow client waits as
// references in its exchange.
//
// Deadlines: a connection without streams has the idle timeout, which neither
// PINGs nor half frames move. A stream's request must be complete in the same
// time from its first byte; a header block that isn't ends the connection.
//
// A request that is refused early (413, 431) gets its answer. Until the client has
// seen it, what it sends is thrown away; a second later RST_STREAM with NO_ERROR
// stops it. (At once would be allowed, but libcurl takes that for a failure.)
#include <assert.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/io/http1_parser.h"
#include "common/io/http_server_internal.h"

enum {
	HTTP2_MAX_STREAMS = 2000,
	HTTP2_STREAM_WINDOW_BYTES = 1024 * 1024,
	HTTP2_CONNECTION_WINDOW_BYTES = 16 * 1024 * 1024,
	HTTP2_FRAME_HEAD_BYTES = 9,
	HTTP2_MAX_HEADERS = 1024,
};

static const int64_t HTTP2_REFUSAL_LINGER_NS = NSEC_PER_SEC;

struct http2 {
	nghttp2_session *session;
	bool going_away;
};

static struct http_exchange *exchange_of(nghttp2_session *session, int32_t stream_id)
{
	return nghttp2_session_get_stream_user_data(session, stream_id);
}

static nghttp2_session *session_of(const struct http_exchange *exchange)
{
	const struct http2 *http2 = exchange->connection->session;
	return http2->session;
}

// --- requests ------------------------------------------------------------------

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
	struct http_connection *connection = context;
	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	struct http_exchange *exchange = http_exchange_new(connection);
	exchange->arena = arena_new(0);
	exchange->stream_id = frame->hd.stream_id;
	exchange->request.is_http2 = true;
	exchange->request.query = "";
	http_exchange_set_deadline(exchange, http_idle_deadline(connection->shard));
	http_connection_set_deadline(connection, 0);
	return nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, exchange);
}

static void add_header(struct http_exchange *exchange, const char *name, const char *value)
{
	struct http_request *request = &exchange->request;
	if (request->header_count == exchange->header_capacity) {
		size_t old_bytes = exchange->header_capacity * sizeof(struct http_header);
		exchange->header_capacity = exchange->header_capacity ? exchange->header_capacity * 2 : 16;
		request->headers = arena_realloc(exchange->arena, (void *)request->headers, old_bytes,
		                                 exchange->header_capacity * sizeof(struct http_header));
	}
	struct http_header *headers = (struct http_header *)request->headers;
	headers[request->header_count++] = (struct http_header){.name = name, .value = value};
}

static void set_path(struct http_request *request, char *target)
{
	char *query = strchr(target, '?');
	if (query)
		*query++ = '\0';
	request->path = target;
	request->query = query ? query : "";
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_length,
                     const uint8_t *value, size_t value_length, uint8_t flags, void *context)
{
	(void)flags;
	struct http_connection *connection = context;
	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0; // trailers
	struct http_exchange *exchange = exchange_of(session, frame->hd.stream_id);
	if (!exchange)
		return 0;
	exchange->header_bytes += name_length + value_length + 32;
	if (exchange->header_bytes > connection->shard->server->config.max_head_bytes ||
	    exchange->request.header_count >= HTTP2_MAX_HEADERS)
		exchange->head_too_large = true;
	if (exchange->head_too_large)
		return 0;
	const char *header_name = arena_strndup(exchange->arena, (const char *)name, name_length);
	char *header_value = arena_strndup(exchange->arena, (const char *)value, value_length);
	if (strcmp(header_name, ":method") == 0)
		exchange->request.method = header_value;
	else if (strcmp(header_name, ":authority") == 0)
		exchange->request.host = header_value;
	else if (strcmp(header_name, ":path") == 0 && http_target_is_valid(header_value))
		set_path(&exchange->request, header_value);
	else if (header_name[0] != ':')
		add_header(exchange, header_name, header_value);
	return 0;
}

// A header that isn't allowed in HTTP/2 resets its stream rather than being overlooked.
static int on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                             size_t name_length, const uint8_t *value, size_t value_length, uint8_t flags,
                             void *context)
{
	(void)session, (void)frame, (void)name, (void)name_length, (void)value, (void)value_length, (void)flags,
	        (void)context;
	return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

// Why a complete head can't be served; 0 when it can.
static int judge_head(struct http_exchange *exchange, const char **ret_message)
{
	struct http_request *request = &exchange->request;
	const char *host = http_request_header(request, "host");
	*ret_message = NULL;
	if (exchange->head_too_large) {
		*ret_message = "request header fields too large";
		return 431;
	}
	if (!request->method || !request->path)
		*ret_message = "invalid request target";
	else if (host && request->host && strcmp(host, request->host) != 0)
		*ret_message = "Host differs from :authority";
	else if (!host && !request->host)
		*ret_message = "missing required Host header";
	if (!request->host)
		request->host = host;
	if (!*ret_message && !http_host_is_valid(request->host))
		*ret_message = "malformed Host header";
	return *ret_message ? 400 : 0;
}

static void refuse(struct http_exchange *exchange, int status, const char *message)
{
	if (exchange->started)
		return;
	exchange->reset_after_end = !exchange->request_complete;
	if (!exchange->request.method)
		exchange->request.method = "GET";
	http_exchange_set_deadline(exchange, 0);
	http_exchange_refuse(exchange, status, message);
}

static void refuse_body(struct http_exchange *exchange)
{
	char message[96];
	snprintf(message, sizeof(message), "Request entity too large: limit is %zu",
	         exchange->shard->server->config.max_body_bytes);
	refuse(exchange, 413, message);
}

static bool length_too_large(const struct http_exchange *exchange)
{
	const char *length = http_request_header(&exchange->request, "content-length");
	return length && strtoull(length, NULL, 10) > exchange->shard->server->config.max_body_bytes;
}

static void on_head(nghttp2_session *session, struct http_exchange *exchange, bool ends)
{
	const char *message;
	exchange->head_complete = true;
	exchange->request_complete = ends;
	int status = judge_head(exchange, &message);
	if (status) {
		refuse(exchange, status, message);
		return;
	}
	if (length_too_large(exchange)) {
		refuse_body(exchange);
		return;
	}
	const char *expect = http_request_header(&exchange->request, "expect");
	if (ends) {
		http_exchange_dispatch(exchange);
	} else if (expect && strcasecmp(expect, "100-continue") == 0) {
		nghttp2_nv status_100 = {(uint8_t *)":status", (uint8_t *)"100", 7, 3, NGHTTP2_NV_FLAG_NONE};
		(void)nghttp2_submit_headers(session, NGHTTP2_FLAG_NONE, exchange->stream_id, NULL, &status_100, 1,
		                             NULL);
	}
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
	(void)context;
	if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
		return 0;
	struct http_exchange *exchange = exchange_of(session, frame->hd.stream_id);
	if (!exchange)
		return 0;
	bool ends = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
	if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
		on_head(session, exchange, ends);
	} else if (ends && !exchange->request_complete) {
		exchange->request_complete = true;
		if (!exchange->started)
			http_exchange_dispatch(exchange);
	}
	return 0;
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t stream_id, const uint8_t *data, size_t length,
                         void *context)
{
	(void)flags, (void)context;
	struct http_exchange *exchange = exchange_of(session, stream_id);
	if (exchange && !exchange->started && !http_exchange_add_body(exchange, data, length))
		refuse_body(exchange);
	return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream_id, uint32_t error_code, void *context)
{
	struct http_connection *connection = context;
	struct http_exchange *exchange = exchange_of(session, stream_id);
	if (!exchange)
		return 0;
	bool complete = exchange->ended && exchange->output.bytes == 0 && error_code == NGHTTP2_NO_ERROR;
	(void)nghttp2_session_set_stream_user_data(session, stream_id, NULL);
	http_exchange_detach(exchange, !complete);
	if (list_is_empty(&connection->exchanges))
		http_connection_set_deadline(connection, http_idle_deadline(connection->shard));
	return 0;
}

static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
	(void)context;
	if (!(frame->hd.flags & NGHTTP2_FLAG_END_STREAM) ||
	    (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA))
		return 0;
	struct http_exchange *exchange = exchange_of(session, frame->hd.stream_id);
	if (exchange && exchange->reset_after_end && !exchange->request_complete)
		http_exchange_set_deadline(exchange, loop_now_ns(exchange->shard->loop) + HTTP2_REFUSAL_LINGER_NS);
	return 0;
}

// --- answers -------------------------------------------------------------------

static ssize_t read_data(nghttp2_session *session, int32_t stream_id, uint8_t *buffer, size_t length, uint32_t *flags,
                         nghttp2_data_source *source, void *context)
{
	(void)session, (void)stream_id, (void)buffer, (void)context;
	struct http_exchange *exchange = source->ptr;
	size_t count = exchange->output.bytes < length ? exchange->output.bytes : length;
	if (count == 0 && !exchange->ended)
		return NGHTTP2_ERR_DEFERRED;
	*flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	if (exchange->ended && count == exchange->output.bytes)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)count;
}

static int send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *frame_head, size_t length,
                     nghttp2_data_source *source, void *context)
{
	(void)session;
	struct http_connection *connection = context;
	struct http_exchange *exchange = source->ptr;
	assert(frame->data.padlen == 0);
	(void)frame;
	slice_queue_append(&connection->output, frame_head, HTTP2_FRAME_HEAD_BYTES);
	slice_queue_move(&exchange->output, &connection->output, length);
	if (exchange->ended && exchange->output.bytes)
		http_exchange_set_deadline(exchange, http_idle_deadline(connection->shard));
	return 0;
}

static ssize_t frame_length(nghttp2_session *session, uint8_t type, int32_t stream_id, int32_t session_window,
                            int32_t stream_window, uint32_t max_frame_bytes, void *context)
{
	(void)session, (void)type, (void)stream_id, (void)context;
	int64_t length = HTTP_RECORD_BYTES - HTTP2_FRAME_HEAD_BYTES;
	const int64_t limits[] = {session_window, stream_window, max_frame_bytes};
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
		if (limits[i] < length)
			length = limits[i];
	return (ssize_t)length;
}

static void begin_answer(struct http_exchange *exchange, int status, const struct http_header *headers,
                         size_t header_count, bool bodyless)
{
	char status_text[16];
	AUTO_FREE nghttp2_nv *pairs = xcalloc(header_count + 1, sizeof(*pairs));
	snprintf(status_text, sizeof(status_text), "%d", status);
	pairs[0] = (nghttp2_nv){(uint8_t *)":status", (uint8_t *)status_text, 7, strlen(status_text), 0};
	for (size_t i = 0; i < header_count; i++)
		pairs[i + 1] = (nghttp2_nv){(uint8_t *)headers[i].name, (uint8_t *)headers[i].value,
		                            strlen(headers[i].name), strlen(headers[i].value), 0};
	nghttp2_data_provider provider = {.source.ptr = exchange, .read_callback = read_data};
	int result = nghttp2_submit_response(session_of(exchange), exchange->stream_id, pairs, header_count + 1,
	                                     bodyless ? NULL : &provider);
	if (bodyless)
		exchange->suppress_body = true;
	if (result != 0)
		(void)nghttp2_submit_rst_stream(session_of(exchange), NGHTTP2_FLAG_NONE, exchange->stream_id,
		                                NGHTTP2_INTERNAL_ERROR);
	http_connection_mark_dirty(exchange->connection);
}

static void resume(struct http_exchange *exchange)
{
	// Refused while the stream is not waiting for data, which is fine.
	(void)nghttp2_session_resume_data(session_of(exchange), exchange->stream_id);
	http_connection_mark_dirty(exchange->connection);
}

static void write_piece(struct http_exchange *exchange, struct blob *piece, size_t offset, size_t length)
{
	slice_queue_push(&exchange->output, piece, offset, length);
	resume(exchange);
}

static void reset(struct http_exchange *exchange, uint32_t error_code)
{
	slice_queue_done(&exchange->output);
	(void)nghttp2_submit_rst_stream(session_of(exchange), NGHTTP2_FLAG_NONE, exchange->stream_id, error_code);
	http_connection_mark_dirty(exchange->connection);
}

static void abort_exchange(struct http_exchange *exchange)
{
	reset(exchange, NGHTTP2_INTERNAL_ERROR);
}

// --- the connection --------------------------------------------------------------

static nghttp2_session *new_session(struct http_connection *connection)
{
	nghttp2_session_callbacks *callbacks;
	nghttp2_option *option;
	nghttp2_session *session;
	if (nghttp2_session_callbacks_new(&callbacks) != 0 || nghttp2_option_new(&option) != 0)
		abort(); // out of memory
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, on_invalid_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
	nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
	nghttp2_session_callbacks_set_send_data_callback(callbacks, send_data);
	nghttp2_session_callbacks_set_data_source_read_length_callback(callbacks, frame_length);
	nghttp2_option_set_no_closed_streams(option, 1);
	if (nghttp2_session_server_new2(&session, callbacks, connection, option) != 0)
		abort();
	nghttp2_option_del(option);
	nghttp2_session_callbacks_del(callbacks);
	return session;
}

static void start(struct http_connection *connection)
{
	const struct http_server_config *config = &connection->shard->server->config;
	struct http2 *http2 = NEW(struct http2);
	http2->session = new_session(connection);
	connection->session = http2;
	const nghttp2_settings_entry settings[] = {
	        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, HTTP2_MAX_STREAMS},
	        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, HTTP2_STREAM_WINDOW_BYTES},
	        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)config->max_head_bytes},
	};
	(void)nghttp2_submit_settings(http2->session, NGHTTP2_FLAG_NONE, settings, ARRAY_SIZE(settings));
	(void)nghttp2_session_set_local_window_size(http2->session, NGHTTP2_FLAG_NONE, 0,
	                                            HTTP2_CONNECTION_WINDOW_BYTES);
	http_connection_set_deadline(connection, http_idle_deadline(connection->shard));
	http_connection_mark_dirty(connection);
}

static void receive(struct http_connection *connection, const char *data, size_t length)
{
	struct http2 *http2 = connection->session;
	ssize_t result = nghttp2_session_mem_recv(http2->session, (const uint8_t *)data, length);
	if (result < 0)
		http_connection_close(connection); // what nghttp2 has to say about it goes out first
	http_connection_mark_dirty(connection);
}

static void flush(struct http_connection *connection)
{
	struct http2 *http2 = connection->session;
	while (connection->output.bytes < HTTP_OUTPUT_HIGH_BYTES) {
		const uint8_t *data;
		ssize_t length = nghttp2_session_mem_send(http2->session, &data);
		if (length < 0) {
			http_connection_cut(connection);
			return;
		}
		if (length == 0)
			break;
		slice_queue_append(&connection->output, data, (size_t)length);
	}
	bool over = !nghttp2_session_want_read(http2->session) && !nghttp2_session_want_write(http2->session);
	if (over || (http2->going_away && list_is_empty(&connection->exchanges)))
		connection->closing = true;
}

static void written(struct http_connection *connection)
{
	(void)connection; // streams end by on_stream_close
}

static void go_away(struct http_connection *connection)
{
	struct http2 *http2 = connection->session;
	if (http2->going_away)
		return;
	http2->going_away = true;
	(void)nghttp2_submit_goaway(http2->session, NGHTTP2_FLAG_NONE,
	                            nghttp2_session_get_last_proc_stream_id(http2->session), NGHTTP2_NO_ERROR, NULL, 0);
	http_connection_mark_dirty(connection);
}

static void expire(struct http_connection *connection)
{
	if (list_is_empty(&connection->exchanges))
		go_away(connection);
}

static void exchange_expire(struct http_exchange *exchange)
{
	if (!exchange->head_complete)
		http_connection_cut(exchange->connection);
	else if (exchange->reset_after_end && exchange->output.bytes == 0)
		reset(exchange, NGHTTP2_NO_ERROR);
	else if (exchange->started)
		abort_exchange(exchange); // the client doesn't read the rest
	else
		refuse(exchange, 408, "request body not received in time");
}

static void closed(struct http_connection *connection)
{
	struct http2 *http2 = connection->session;
	struct http_exchange *exchange;
	list_for_each (exchange, &connection->exchanges, node)
		http_exchange_detach(exchange, true);
	nghttp2_session_del(http2->session);
	free(http2);
	connection->session = NULL;
}

const struct http_protocol http2_protocol = {
        .start = start,
        .receive = receive,
        .flush = flush,
        .written = written,
        .expire = expire,
        .exchange_expire = exchange_expire,
        .stop = go_away,
        .closed = closed,
        .begin_answer = begin_answer,
        .write = write_piece,
        .end = resume,
        .abort = abort_exchange,
};
