// SPDX-License-Identifier: Apache-2.0
//
// One request and its answer, the same for both protocols. The connection holds
// a reference from the head on until the answer is out or the client is gone; the
// handler may hold more. `connection` is NULL afterwards, and what is written
// then is dropped.
//
// Owners are called (handler, on_drain, on_gone) from the shard at the end of a
// turn only: the calls that are due are flags of the exchange, which waits in
// the shard's list with a reference of its own. So no callback ever runs inside
// a call of its owner or inside nghttp2.
//
// http_exchange_respond, _end, _abort and _upgrade finish the owner's part: it
// is not called back afterwards.
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/memory.h"
#include "common/io/http_server_internal.h"

enum {
	MAX_ANSWER_HEADERS = 256,
};

struct http_exchange *http_exchange_new(struct http_connection *connection)
{
	struct http_exchange *exchange = NEW(struct http_exchange);
	exchange->references = 1;
	exchange->connection = connection;
	exchange->shard = connection->shard;
	atomic_fetch_add(&exchange->shard->references, 1);
	exchange->peer = connection->peer;
	exchange->peer->references++;
	exchange->body = STRBUF_INIT(connection->shard->server->config.max_body_bytes);
	exchange->body_left = -1;
	list_init(&exchange->event_node);
	list_init(&exchange->drain_node);
	list_append(&connection->exchanges, &exchange->node);
	return exchange;
}

struct http_exchange *http_exchange_ref(struct http_exchange *exchange)
{
	exchange->references++;
	return exchange;
}

struct http_exchange *http_exchange_unref(struct http_exchange *exchange)
{
	if (!exchange || --exchange->references)
		return NULL;
	slice_queue_done(&exchange->output);
	strbuf_done(&exchange->body);
	arena_free(exchange->arena);
	http_peer_unref(exchange->peer);
	http_shard_unref(exchange->shard);
	free(exchange);
	return NULL;
}

const struct http_request *http_exchange_request(const struct http_exchange *exchange)
{
	return &exchange->request;
}

struct loop *http_exchange_loop(const struct http_exchange *exchange)
{
	return exchange->shard->loop;
}

const char *http_request_header(const struct http_request *request, const char *lower_case_name)
{
	for (size_t i = 0; i < request->header_count; i++)
		if (strcmp(request->headers[i].name, lower_case_name) == 0)
			return request->headers[i].value;
	return NULL;
}

// --- the owner's callbacks ---------------------------------------------------

static void call_due(struct http_exchange *exchange)
{
	struct http_shard *shard = exchange->shard;
	if (!list_is_empty(&exchange->event_node) || shard->orphaned)
		return;
	http_exchange_ref(exchange);
	list_append(&shard->events, &exchange->event_node);
	http_shard_schedule(shard);
}

void http_exchange_call_owner(struct http_exchange *exchange)
{
	const struct http_server_config *config = &exchange->shard->server->config;
	if (exchange->dispatch_due && !exchange->gone) {
		exchange->dispatch_due = false;
		exchange->dispatched = true;
		config->handler(config->context, exchange);
	}
	if (exchange->drain_due && exchange->on_drain && !exchange->gone) {
		exchange->drain_due = false;
		exchange->on_drain(exchange->drain_context);
	}
	if (exchange->gone_due && exchange->on_gone) {
		void (*gone)(void *context) = TAKE(exchange->on_gone);
		exchange->gone_due = false;
		gone(exchange->gone_context);
	}
}

// A connection outlives authorities and certificates: its client is judged again when one has changed.
static void http_exchange_identify(struct http_exchange *exchange)
{
	struct http_peer *peer = exchange->peer;
	struct http_connection *connection = exchange->connection;
	if (connection && tls_server_must_judge(connection->shard->server->tls, &peer->identity))
		tls_server_judge(connection->shard->server->tls, connection->ssl, peer->arena, &peer->identity);
	exchange->request.identity = peer->identity;
}

void http_exchange_dispatch(struct http_exchange *exchange)
{
	exchange->request.body = strbuf_text(&exchange->body);
	exchange->request.body_length = exchange->body.length;
	exchange->request.remote_address = exchange->peer->address;
	http_exchange_identify(exchange);
	http_exchange_set_deadline(exchange, 0);
	exchange->dispatch_due = true;
	call_due(exchange);
}

// The owner has done its part.
static void release_owner(struct http_exchange *exchange)
{
	exchange->on_gone = NULL;
	exchange->on_drain = NULL;
	list_remove(&exchange->drain_node);
}

void http_exchange_detach(struct http_exchange *exchange, bool gone)
{
	list_remove(&exchange->node);
	list_remove(&exchange->drain_node);
	exchange->connection = NULL;
	slice_queue_done(&exchange->output);
	exchange->dispatch_due = false;
	if (gone) {
		exchange->gone = true;
		exchange->gone_due = true;
		if (exchange->on_gone)
			call_due(exchange);
	}
	http_exchange_unref(exchange);
}

void http_exchange_on_gone(struct http_exchange *exchange, void (*gone)(void *context), void *context)
{
	exchange->on_gone = exchange->ended ? NULL : gone;
	exchange->gone_context = context;
	if (exchange->on_gone && exchange->gone_due)
		call_due(exchange);
}

bool http_exchange_is_gone(const struct http_exchange *exchange)
{
	return exchange->gone;
}

size_t http_exchange_pending_bytes(const struct http_exchange *exchange)
{
	if (!exchange->connection)
		return 0;
	if (exchange->request.is_http2)
		return exchange->output.bytes;
	return exchange->connection->output.bytes;
}

static void wait_for_drain(struct http_exchange *exchange)
{
	if (!exchange->on_drain || !exchange->connection)
		return;
	if (http_exchange_pending_bytes(exchange) <= exchange->low_water_bytes)
		return;
	if (list_is_empty(&exchange->drain_node))
		list_append(&exchange->connection->drain_waiters, &exchange->drain_node);
}

void http_exchange_on_drain(struct http_exchange *exchange, size_t low_water_bytes, void (*drained)(void *context),
                            void *context)
{
	exchange->on_drain = exchange->ended || exchange->gone ? NULL : drained;
	exchange->drain_context = context;
	exchange->low_water_bytes = low_water_bytes;
	exchange->drain_due = false;
	list_remove(&exchange->drain_node);
	wait_for_drain(exchange);
	if (exchange->on_drain && list_is_empty(&exchange->drain_node)) {
		exchange->drain_due = true;
		call_due(exchange);
	}
}

void http_connection_check_drains(struct http_connection *connection)
{
	struct http_exchange *exchange;
	list_for_each (exchange, &connection->drain_waiters, drain_node) {
		if (http_exchange_pending_bytes(exchange) > exchange->low_water_bytes)
			continue;
		list_remove(&exchange->drain_node);
		exchange->drain_due = true;
		call_due(exchange);
	}
}

// --- the request -------------------------------------------------------------

void http_exchange_set_deadline(struct http_exchange *exchange, int64_t deadline_ns)
{
	exchange->deadline_ns = deadline_ns;
	if (deadline_ns && exchange->connection)
		http_connection_watch_deadline(exchange->connection, deadline_ns);
}

bool http_exchange_add_body(struct http_exchange *exchange, const void *data, size_t length)
{
	strbuf_append(&exchange->body, data, length);
	return !exchange->body.overflowed;
}

// --- the answer --------------------------------------------------------------

// Headers that belong to the connection are the server's own business.
static bool is_hop_by_hop(const char *name)
{
	static const char *const names[] = {"connection", "keep-alive", "proxy-connection", "transfer-encoding",
	                                    "upgrade"};
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcasecmp(names[i], name) == 0)
			return true;
	return false;
}

// Nothing that an answer says may end its line early.
static const char *clean_value(struct arena *arena, const char *value)
{
	if (!strpbrk(value, "\r\n"))
		return value;
	char *clean = arena_strdup(arena, value);
	for (char *c = clean; *c; c++)
		if (*c == '\r' || *c == '\n')
			*c = ' ';
	return clean;
}

static const char *lower_case(struct arena *arena, const char *name)
{
	char *lower = arena_strdup(arena, name);
	for (char *c = lower; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c += 'a' - 'A';
	return lower;
}

struct answer_head {
	struct http_header headers[MAX_ANSWER_HEADERS];
	size_t count;
	bool has_date;
	bool has_length;
	int64_t length;
};

static void add_header(struct answer_head *head, const char *name, const char *value)
{
	assert(head->count < MAX_ANSWER_HEADERS);
	head->headers[head->count++] = (struct http_header){.name = name, .value = value};
}

static void collect_headers(struct http_exchange *exchange, struct answer_head *head, const struct http_header *headers,
                            size_t header_count)
{
	for (size_t i = 0; i < header_count; i++) {
		if (is_hop_by_hop(headers[i].name))
			continue;
		const char *name = lower_case(exchange->arena, headers[i].name);
		if (strcmp(name, "date") == 0)
			head->has_date = true;
		if (strcmp(name, "content-length") == 0) {
			head->has_length = true;
			head->length = strtoll(headers[i].value, NULL, 10);
		}
		add_header(head, name, clean_value(exchange->arena, headers[i].value));
	}
	if (!head->has_date)
		add_header(head, "date", http_shard_date(exchange->shard));
}

// `known_length` -1: a stream. `bodyless`: nothing follows the head.
static void begin_answer(struct http_exchange *exchange, int status, const struct http_header *headers,
                         size_t header_count, int64_t known_length)
{
	struct answer_head head = {.length = -1};
	if (!exchange->arena)
		exchange->arena = arena_new(0);
	collect_headers(exchange, &head, headers, header_count);
	bool never_body = status == 204 || status == 304 || status < 200;
	if (known_length >= 0 && !head.has_length && !never_body) {
		head.length = known_length;
		add_header(&head, "content-length", arena_printf(exchange->arena, "%lld", (long long)known_length));
	}
	const char *method = exchange->request.method;
	exchange->started = true;
	exchange->suppress_body = never_body || (method && strcmp(method, "HEAD") == 0);
	exchange->body_left = exchange->suppress_body ? -1 : head.length;
	bool bodyless = exchange->suppress_body || known_length == 0;
	exchange->connection->protocol->begin_answer(exchange, status, head.headers, head.count, bodyless);
}

void http_exchange_start(struct http_exchange *exchange, int status, const struct http_header *headers,
                         size_t header_count)
{
	assert(!exchange->started);
	if (exchange->connection)
		begin_answer(exchange, status, headers, header_count, -1);
}

void http_exchange_write(struct http_exchange *exchange, struct blob *piece, size_t offset, size_t length)
{
	if (!exchange->connection || exchange->ended || exchange->suppress_body)
		return;
	assert(exchange->started);
	if (exchange->body_left >= 0) {
		if (length > (uint64_t)exchange->body_left)
			length = (size_t)exchange->body_left;
		exchange->body_left -= (int64_t)length;
	}
	if (length == 0)
		return;
	exchange->connection->protocol->write(exchange, piece, offset, length);
	wait_for_drain(exchange);
}

void http_exchange_end(struct http_exchange *exchange)
{
	if (!exchange->connection || exchange->ended) {
		release_owner(exchange);
		exchange->ended = true;
		return;
	}
	assert(exchange->started);
	if (exchange->body_left > 0) { // less than its head has promised
		http_exchange_abort(exchange);
		return;
	}
	release_owner(exchange);
	exchange->ended = true;
	http_exchange_set_deadline(exchange, http_idle_deadline(exchange->shard));
	exchange->connection->protocol->end(exchange);
}

void http_exchange_respond(struct http_exchange *exchange, int status, const struct http_header *headers,
                           size_t header_count, struct blob *body)
{
	assert(!exchange->started);
	if (exchange->connection) {
		begin_answer(exchange, status, headers, header_count, body ? (int64_t)body->length : 0);
		if (body)
			http_exchange_write(exchange, body, 0, body->length);
	}
	http_exchange_end(exchange);
}

void http_exchange_abort(struct http_exchange *exchange)
{
	release_owner(exchange);
	bool ended = exchange->ended;
	exchange->ended = true;
	if (exchange->connection && !ended)
		exchange->connection->protocol->abort(exchange);
}

// --- the server's own answers -------------------------------------------------

static const struct {
	int status;
	const char *text;   // RFC 9110
	const char *reason; // of a Status object, for what the server refuses itself
} status_rows[] = {
        {101, "Switching Protocols", NULL},
        {200, "OK", NULL},
        {201, "Created", NULL},
        {202, "Accepted", NULL},
        {204, "No Content", NULL},
        {206, "Partial Content", NULL},
        {301, "Moved Permanently", NULL},
        {302, "Found", NULL},
        {304, "Not Modified", NULL},
        {307, "Temporary Redirect", NULL},
        {308, "Permanent Redirect", NULL},
        {400, "Bad Request", "BadRequest"},
        {401, "Unauthorized", NULL},
        {403, "Forbidden", NULL},
        {404, "Not Found", NULL},
        {405, "Method Not Allowed", NULL},
        {406, "Not Acceptable", NULL},
        {408, "Request Timeout", "Timeout"},
        {409, "Conflict", NULL},
        {410, "Gone", NULL},
        {412, "Precondition Failed", NULL},
        {413, "Request Entity Too Large", "RequestEntityTooLarge"},
        {415, "Unsupported Media Type", NULL},
        {417, "Expectation Failed", "BadRequest"},
        {422, "Unprocessable Entity", NULL},
        {429, "Too Many Requests", NULL},
        {431, "Request Header Fields Too Large", "BadRequest"},
        {500, "Internal Server Error", NULL},
        {501, "Not Implemented", "BadRequest"},
        {502, "Bad Gateway", NULL},
        {503, "Service Unavailable", NULL},
        {504, "Gateway Timeout", NULL},
};

const char *http_status_text(int status)
{
	for (size_t i = 0; i < ARRAY_SIZE(status_rows); i++)
		if (status_rows[i].status == status)
			return status_rows[i].text;
	return "Status";
}

static const char *status_reason(int status)
{
	for (size_t i = 0; i < ARRAY_SIZE(status_rows); i++)
		if (status_rows[i].status == status && status_rows[i].reason)
			return status_rows[i].reason;
	return "InternalError";
}

void http_status_body(struct strbuf *out, int status, const char *message)
{
	strbuf_printf(out,
	              "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\","
	              "\"message\":\"%s\",\"reason\":\"%s\",\"code\":%d}\n",
	              message, status_reason(status), status);
}

void http_exchange_refuse(struct http_exchange *exchange, int status, const char *message)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(1024);
	http_status_body(&text, status, message);
	struct blob *body AUTO(blob_unref) = blob_new(text.data, text.length);
	const struct http_header type = {.name = "content-type", .value = "application/json"};
	http_exchange_respond(exchange, status, &type, 1, body);
}
