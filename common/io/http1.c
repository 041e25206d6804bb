// SPDX-License-Identifier: Apache-2.0
//
// HTTP/1.1 on a connection: one exchange at a time. Input that arrives while one
// runs (pipelined requests) is kept up to a limit, above which the connection is
// not read; it is parsed when the answer is out.
//
// Deadlines: an idle connection has the idle timeout, a head the same again from
// its first byte on, however slowly it trickles; the body belongs to the
// exchange's deadline; a running exchange has none.
//
// A refused request (400, 408, 413, 417, 431, 501) is answered with a Status
// object, then the connection closes, lingering so that the answer arrives.
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/io/http1_parser.h"
#include "common/io/http_server_internal.h"
#include "common/io/http_tunnel.h"

struct http1 {
	struct http1_parser parser;
	struct http_exchange *current; // its head is complete, its answer is not yet out
	struct strbuf input;           // behind the current request, from input_used on
	size_t input_used;
	bool head_started; // the deadline is the head's
};

static void start(struct http_connection *connection)
{
	const struct http_server_config *config = &connection->shard->server->config;
	struct http1 *http1 = NEW(struct http1);
	http1_parser_init(&http1->parser, config->max_head_bytes, config->max_body_bytes);
	http1->input = STRBUF_INIT(HTTP_INPUT_HIGH_BYTES + HTTP_READ_BYTES);
	connection->session = http1;
	http_connection_set_deadline(connection, http_idle_deadline(connection->shard));
}

// Without its exchange.
static void http1_free(struct http1 *http1)
{
	http1_parser_done(&http1->parser);
	strbuf_done(&http1->input);
	free(http1);
}

static void closed(struct http_connection *connection)
{
	struct http1 *http1 = connection->session;
	connection->session = NULL;
	if (http1->current)
		http_exchange_detach(http1->current, true);
	http1_free(http1);
}

// --- requests ----------------------------------------------------------------

// Answers what no handler sees; nothing more is read on this connection.
static void refuse(struct http_connection *connection, int status, const char *message)
{
	struct http1 *http1 = connection->session;
	if (!http1->current) {
		http1->current = http_exchange_new(connection);
		http1->current->minor_version = 1;
	}
	http1->parser.state = HTTP1_STATE_FAILED;
	http1->current->close_after = true;
	http_exchange_set_deadline(http1->current, 0);
	http_connection_set_deadline(connection, 0);
	http_exchange_refuse(http1->current, status, message);
}

static void refuse_bad(struct http_connection *connection)
{
	struct http1 *http1 = connection->session;
	char message[96];
	if (http1->parser.status == 413)
		snprintf(message, sizeof(message), "Request entity too large: limit is %zu",
		         http1->parser.max_body_bytes);
	else
		snprintf(message, sizeof(message), "%s", http1->parser.reason);
	refuse(connection, http1->parser.status, message);
}

static void fill_request(struct http_exchange *exchange, struct http1_head *head)
{
	char *query = strchr(head->target, '?');
	if (query)
		*query++ = '\0';
	exchange->request.method = head->method;
	exchange->request.path = head->target;
	exchange->request.query = query ? query : "";
	exchange->request.headers = head->headers;
	exchange->request.header_count = head->header_count;
	exchange->request.host = head->host ? head->host : "";
	exchange->minor_version = head->minor_version;
	exchange->close_after = head->connection_close || head->minor_version == 0;
	exchange->upgrade_asked = head->connection_upgrade && head->minor_version == 1 &&
	                          http_request_header(&exchange->request, "upgrade") != NULL;
}

static void on_head(struct http_connection *connection)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	struct http1 *http1 = connection->session;
	struct http1_head *head = &http1->parser.head;
	struct http_exchange *exchange = http1->current = http_exchange_new(connection);
	exchange->arena = TAKE(http1->parser.arena);
	fill_request(exchange, head);
	http1->head_started = false;
	http_connection_set_deadline(connection, 0);
	http_exchange_set_deadline(exchange, http_idle_deadline(connection->shard));
	bool has_body = head->chunked || head->content_length > 0;
	if (has_body && head->expect_continue && head->minor_version == 1) {
		slice_queue_append(&connection->output, go_on, sizeof(go_on) - 1);
		http_connection_mark_dirty(connection);
	}
}

// What belongs behind the current request.
static void keep_input(struct http_connection *connection, const char *data, size_t length)
{
	struct http1 *http1 = connection->session;
	strbuf_consume(&http1->input, http1->input_used);
	http1->input_used = 0;
	strbuf_append(&http1->input, data, length);
	assert(!http1->input.overflowed);
	http_connection_pause_reading(connection, http1->input.length >= HTTP_INPUT_HIGH_BYTES);
}

// Parses until a request is complete or the bytes are used up; returns how many were.
static size_t parse(struct http_connection *connection, const char *data, size_t length)
{
	struct http1 *http1 = connection->session;
	enum http1_event event;
	size_t used = 0;
	do {
		used += http1_parser_feed(&http1->parser, data + used, length - used, &event);
		if (event == HTTP1_HEAD)
			on_head(connection);
		else if (event == HTTP1_DATA &&
		         !http_exchange_add_body(http1->current, http1->parser.data, http1->parser.data_length))
			refuse(connection, 413, "Request entity too large");
		else if (event == HTTP1_BAD)
			refuse_bad(connection);
	} while ((event == HTTP1_HEAD || event == HTTP1_DATA) && http1->parser.state != HTTP1_STATE_FAILED);
	if (http1->parser.state == HTTP1_STATE_FAILED)
		return length;
	if (event == HTTP1_END) {
		http_exchange_dispatch(http1->current);
	} else if (http1_parser_in_head(&http1->parser) && !http1->head_started) {
		http1->head_started = true;
		http_connection_set_deadline(connection, http_idle_deadline(connection->shard));
	}
	return used;
}

// True while what arrives belongs behind the current request.
static bool is_busy(const struct http1 *http1)
{
	return http1->current && (http1->current->dispatch_due || http1->current->dispatched);
}

static void receive(struct http_connection *connection, const char *data, size_t length)
{
	struct http1 *http1 = connection->session;
	if (http1->parser.state == HTTP1_STATE_FAILED)
		return; // read and dropped, so that the refusal arrives
	size_t used = is_busy(http1) ? 0 : parse(connection, data, length);
	if (used < length)
		keep_input(connection, data + used, length - used);
}

// The answer is out: closes, or goes on with what has arrived meanwhile.
static void finish_exchange(struct http_connection *connection)
{
	struct http1 *http1 = connection->session;
	bool close_after = http1->current->close_after || connection->shard->stopping;
	http_exchange_detach(TAKE(http1->current), false);
	if (close_after) {
		http_connection_close(connection);
		return;
	}
	http1->head_started = false;
	http_connection_set_deadline(connection, http_idle_deadline(connection->shard));
	size_t left = http1->input.length - http1->input_used;
	if (left)
		http1->input_used += parse(connection, http1->input.data + http1->input_used, left);
	if (http1->input_used == http1->input.length) {
		strbuf_done(&http1->input);
		http1->input_used = 0;
	}
	http_connection_pause_reading(connection, http1->input.length - http1->input_used >= HTTP_INPUT_HIGH_BYTES);
}

static void written(struct http_connection *connection)
{
	struct http1 *http1 = connection->session;
	struct http_exchange *exchange = http1->current;
	if (!exchange || !exchange->ended)
		return;
	if (connection->output.bytes)
		http_exchange_set_deadline(exchange, http_idle_deadline(connection->shard));
	else
		finish_exchange(connection);
}

static void flush(struct http_connection *connection)
{
	(void)connection; // everything is in the output already
}

static void expire(struct http_connection *connection)
{
	struct http1 *http1 = connection->session;
	if (http1->head_started)
		refuse(connection, 408, "request head not received in time");
	else
		http_connection_close(connection);
}

static void exchange_expire(struct http_exchange *exchange)
{
	if (exchange->ended)
		http_connection_cut(exchange->connection); // the client does not read
	else
		refuse(exchange->connection, 408, "request body not received in time");
}

static void stop(struct http_connection *connection)
{
	struct http1 *http1 = connection->session;
	if (!http1->current)
		http_connection_close(connection);
}

// --- answers -----------------------------------------------------------------

static void append_header(struct strbuf *out, const char *name, const char *value)
{
	bool word_start = true;
	for (; *name; name++) {
		bool lower = *name >= 'a' && *name <= 'z';
		strbuf_append_char(out, (char)(word_start && lower ? *name - 'a' + 'A' : *name));
		word_start = *name == '-';
	}
	strbuf_append_text(out, ": ");
	strbuf_append_text(out, value);
	strbuf_append_text(out, "\r\n");
}

static void append_head(struct strbuf *out, int status, const struct http_header *headers, size_t header_count)
{
	strbuf_printf(out, "HTTP/1.1 %d %s\r\n", status, http_status_text(status));
	for (size_t i = 0; i < header_count; i++)
		append_header(out, headers[i].name, headers[i].value);
}

static void begin_answer(struct http_exchange *exchange, int status, const struct http_header *headers,
                         size_t header_count, bool bodyless)
{
	struct http_connection *connection = exchange->connection;
	AUTO_STRBUF struct strbuf head = STRBUF_INIT((size_t)1 << 20);
	append_head(&head, status, headers, header_count);
	if (exchange->body_left < 0 && !bodyless) {
		exchange->chunked = exchange->minor_version == 1;
		exchange->close_after |= !exchange->chunked; // the end of the connection is the body's
		if (exchange->chunked)
			strbuf_append_text(&head, "Transfer-Encoding: chunked\r\n");
	}
	exchange->close_after |= connection->shard->stopping;
	if (exchange->close_after)
		strbuf_append_text(&head, "Connection: close\r\n");
	strbuf_append_text(&head, "\r\n");
	slice_queue_append(&connection->output, head.data, head.length);
	http_connection_mark_dirty(connection);
}

static void write_piece(struct http_exchange *exchange, struct blob *piece, size_t offset, size_t length)
{
	struct slice_queue *output = &exchange->connection->output;
	char size[24];
	if (exchange->chunked) {
		int digits = snprintf(size, sizeof(size), "%zx\r\n", length);
		slice_queue_append(output, size, (size_t)digits);
	}
	slice_queue_push(output, piece, offset, length);
	if (exchange->chunked)
		slice_queue_append(output, "\r\n", 2);
	http_connection_mark_dirty(exchange->connection);
}

static void end(struct http_exchange *exchange)
{
	if (exchange->chunked && !exchange->suppress_body)
		slice_queue_append(&exchange->connection->output, "0\r\n\r\n", 5);
	http_connection_mark_dirty(exchange->connection);
}

static void abort_exchange(struct http_exchange *exchange)
{
	http_connection_cut(exchange->connection);
}

// --- upgrade -------------------------------------------------------------------

static const char *find_header(const struct http_header *headers, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcasecmp(headers[i].name, name) == 0)
			return headers[i].value;
	return NULL;
}

static void append_switch(struct strbuf *out, const struct http_exchange *exchange, const struct http_header *headers,
                          size_t header_count)
{
	append_head(out, 101, NULL, 0);
	for (size_t i = 0; i < header_count; i++)
		if (!strpbrk(headers[i].value, "\r\n"))
			append_header(out, headers[i].name, headers[i].value);
	if (!find_header(headers, header_count, "connection"))
		append_header(out, "connection", "Upgrade");
	if (!find_header(headers, header_count, "upgrade"))
		append_header(out, "upgrade", http_request_header(&exchange->request, "upgrade"));
	strbuf_append_text(out, "\r\n");
}

struct http_tunnel *http_exchange_upgrade(struct http_exchange *exchange, const struct http_header *headers,
                                          size_t header_count, const struct http_tunnel_callbacks *callbacks,
                                          void *context)
{
	struct http_connection *connection = exchange->connection;
	assert(!exchange->started);
	if (!connection || !exchange->upgrade_asked)
		return NULL;
	struct http1 *http1 = connection->session;
	AUTO_STRBUF struct strbuf head = STRBUF_INIT((size_t)1 << 20);
	append_switch(&head, exchange, headers, header_count);
	slice_queue_append(&connection->output, head.data, head.length);
	strbuf_consume(&http1->input, http1->input_used);
	struct http_tunnel *tunnel = http_tunnel_new(connection, &http1->input, callbacks, context);
	http1->current = NULL;
	http1_free(http1);
	exchange->on_gone = NULL;
	exchange->on_drain = NULL;
	exchange->started = exchange->ended = true;
	http_exchange_detach(exchange, false);
	return tunnel;
}

const struct http_protocol http1_protocol = {
        .start = start,
        .receive = receive,
        .flush = flush,
        .written = written,
        .expire = expire,
        .exchange_expire = exchange_expire,
        .stop = stop,
        .closed = closed,
        .begin_answer = begin_answer,
        .write = write_piece,
        .end = end,
        .abort = abort_exchange,
};
