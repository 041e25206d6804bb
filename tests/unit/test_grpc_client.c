// SPDX-License-Identifier: Apache-2.0
//
// The gRPC client against a small HTTP/2 server on the same loop that misbehaves by
// path: refusals, GOAWAY, cut connections, silence, odd framing. (A real etcd over
// TLS and unix sockets stands in tests/unit/apiserver/test_etcd.c.)
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <nghttp2/nghttp2.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "common/base/memory.h"
#include "common/base/strbuf.h"
#include "common/io/grpc_client.h"
#include "common/io/grpc_internal.h"
#include "common/io/loop.h"

// --- the server ----------------------------------------------------------------------

struct server_stream {
	struct list node;
	int32_t id;
	char path[64];
	struct strbuf input;
	struct strbuf output; // framed messages to send
	size_t chunk;         // at most so many bytes a DATA frame; 0 = any
	bool open_ended;      // no trailers
	const char *status;
	const char *message;
};

struct server_connection {
	struct server *server;
	struct loop_fd source;
	nghttp2_session *session;
	struct list node;
	struct list streams;
	struct strbuf outgoing;
};

struct server {
	struct loop *loop;
	struct loop_fd listener;
	struct list connections;
	int port;
	int accepted;
	int refusals_left;
	int requests;
	bool frozen; // reads nothing
};

static void stream_free_server(struct server_stream *stream)
{
	list_remove(&stream->node);
	strbuf_done(&stream->input);
	strbuf_done(&stream->output);
	free(stream);
}

static void connection_close(struct server_connection *connection)
{
	int fd = connection->source.fd;
	struct server_stream *stream;
	loop_fd_stop(&connection->source);
	close(fd);
	list_remove(&connection->node);
	nghttp2_session_del(connection->session);
	list_for_each (stream, &connection->streams, node)
		stream_free_server(stream);
	strbuf_done(&connection->outgoing);
	free(connection);
}

// The client reads on the same thread: what doesn't fit waits for it.
static void connection_flush(struct server_connection *connection)
{
	struct strbuf *out = &connection->outgoing;
	const uint8_t *data;
	ssize_t length;
	for (;;) {
		while (out->length < 65536 && (length = nghttp2_session_mem_send(connection->session, &data)) > 0)
			strbuf_append(out, data, (size_t)length);
		if (!out->length)
			break;
		ssize_t sent = send(connection->source.fd, out->data, out->length, MSG_NOSIGNAL);
		if (sent <= 0)
			break;
		strbuf_consume(out, (size_t)sent);
	}
	loop_fd_set_events(&connection->source, LOOP_READ | (out->length ? LOOP_WRITE : 0));
}

static ssize_t read_answer(nghttp2_session *session, int32_t id, uint8_t *out, size_t capacity, uint32_t *flags,
                           nghttp2_data_source *source, void *user_data)
{
	(void)user_data;
	struct server_stream *stream = source->ptr;
	size_t length = stream->output.length < capacity ? stream->output.length : capacity;
	if (stream->chunk && length > stream->chunk)
		length = stream->chunk;
	if (length)
		memcpy(out, stream->output.data, length);
	strbuf_consume(&stream->output, length);
	if (!stream->output.length && stream->open_ended)
		return length ? (ssize_t)length : NGHTTP2_ERR_DEFERRED;
	if (!stream->output.length) {
		*flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
		nghttp2_nv trailer = {(uint8_t *)"grpc-status", (uint8_t *)stream->status, 11, strlen(stream->status),
		                      0};
		(void)nghttp2_submit_trailer(session, id, &trailer, 1);
	}
	return (ssize_t)length;
}

static void answer(nghttp2_session *session, struct server_stream *stream, const char *http_status, bool trailers_only)
{
	nghttp2_nv headers[3] = {{(uint8_t *)":status", (uint8_t *)http_status, 7, strlen(http_status), 0}};
	size_t count = 1;
	if (trailers_only && stream->status)
		headers[count++] = (nghttp2_nv){(uint8_t *)"grpc-status", (uint8_t *)stream->status, 11,
		                                strlen(stream->status), 0};
	if (trailers_only && stream->message)
		headers[count++] = (nghttp2_nv){(uint8_t *)"grpc-message", (uint8_t *)stream->message, 12,
		                                strlen(stream->message), 0};
	nghttp2_data_provider provider = {.source.ptr = stream, .read_callback = read_answer};
	(void)nghttp2_submit_response(session, stream->id, headers, count, trailers_only ? NULL : &provider);
}

static void append_raw(struct strbuf *out, uint8_t flag, uint32_t length, const char *text)
{
	uint8_t prefix[5] = {flag, (uint8_t)(length >> 24), (uint8_t)(length >> 16), (uint8_t)(length >> 8),
	                     (uint8_t)length};
	strbuf_append(out, prefix, 5);
	strbuf_append_text(out, text);
}

// What the server does with a request, by path.
static void act(struct server_connection *connection, struct server_stream *stream)
{
	nghttp2_session *session = connection->session;
	struct server *server = connection->server;
	const char *path = stream->path;
	server->requests++;
	stream->status = "0";
	if (!strcmp(path, "/refuse") && server->refusals_left > 0) {
		server->refusals_left--;
		(void)nghttp2_submit_rst_stream(session, 0, stream->id, NGHTTP2_REFUSED_STREAM);
		return;
	}
	if (!strcmp(path, "/goaway") && server->refusals_left > 0) {
		server->refusals_left--;
		(void)nghttp2_submit_goaway(session, 0, stream->id - 2 > 0 ? stream->id - 2 : 0, NGHTTP2_NO_ERROR, NULL,
		                            0);
		return;
	}
	if (!strcmp(path, "/trailers-only")) {
		stream->status = "5";
		stream->message = "no %C3%A9tage 100%25 %zz";
		answer(session, stream, "200", true);
	} else if (!strcmp(path, "/http")) {
		stream->status = NULL;
		answer(session, stream, "503", true);
	} else if (!strcmp(path, "/reset")) {
		(void)nghttp2_submit_rst_stream(session, 0, stream->id, NGHTTP2_INTERNAL_ERROR);
	} else if (!strcmp(path, "/compressed")) {
		append_raw(&stream->output, 1, 2, "xx");
		answer(session, stream, "200", false);
	} else if (!strcmp(path, "/huge")) {
		append_raw(&stream->output, 0, UINT32_MAX, "xx");
		answer(session, stream, "200", false);
	} else if (strcmp(path, "/hang") != 0) {
		stream->chunk = !strcmp(path, "/split") ? 1 : 0;
		stream->open_ended = !strcmp(path, "/stream");
		strbuf_append(&stream->output, stream->input.data, stream->input.length);
		answer(session, stream, "200", false);
	}
}

static int on_server_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                            size_t name_length, const uint8_t *value, size_t value_length, uint8_t flags,
                            void *user_data)
{
	(void)flags;
	(void)user_data;
	struct server_stream *stream = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
	if (stream && name_length == 5 && !memcmp(name, ":path", 5))
		snprintf(stream->path, sizeof(stream->path), "%.*s", (int)value_length, value);
	return 0;
}

static int on_server_begin(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
	struct server_stream *stream = NEW(struct server_stream);
	stream->id = frame->hd.stream_id;
	stream->input = stream->output = STRBUF_INIT(1 << 26);
	list_append(&((struct server_connection *)user_data)->streams, &stream->node);
	(void)nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, stream);
	return 0;
}

static int on_server_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t length,
                          void *user_data)
{
	(void)flags;
	(void)user_data;
	struct server_stream *stream = nghttp2_session_get_stream_user_data(session, id);
	struct strbuf *target = stream->open_ended ? &stream->output : &stream->input;
	strbuf_append(target, data, length);
	if (stream->open_ended)
		(void)nghttp2_session_resume_data(session, id);
	return 0;
}

static int on_server_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
	struct server_stream *stream = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
	bool headers = frame->hd.type == NGHTTP2_HEADERS, end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
	if (stream &&
	    ((headers && !strcmp(stream->path, "/stream")) || (end && (headers || frame->hd.type == NGHTTP2_DATA))))
		act(user_data, stream);
	return 0;
}

static int on_server_close(nghttp2_session *session, int32_t id, uint32_t error_code, void *user_data)
{
	(void)error_code;
	(void)user_data;
	struct server_stream *stream = nghttp2_session_get_stream_user_data(session, id);
	if (stream)
		stream_free_server(stream);
	return 0;
}

static void on_server_readable(struct loop_fd *source, unsigned ready)
{
	struct server_connection *connection = container_of(source, struct server_connection, source);
	if (ready & LOOP_WRITE)
		connection_flush(connection);
	uint8_t data[65536];
	if (connection->server->frozen) {
		loop_fd_set_events(source, 0);
		return;
	}
	ssize_t length = recv(source->fd, data, sizeof(data), 0);
	if (length < 0 && errno == EAGAIN)
		return;
	if (length <= 0 || nghttp2_session_mem_recv(connection->session, data, (size_t)length) < 0) {
		connection_close(connection);
		return;
	}
	connection_flush(connection);
}

static void on_accept(struct loop_fd *source, unsigned ready)
{
	(void)ready;
	struct server *server = container_of(source, struct server, listener);
	int fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	server->accepted++;
	struct server_connection *connection = NEW(struct server_connection);
	connection->server = server;
	list_append(&server->connections, &connection->node);
	list_init(&connection->streams);
	connection->outgoing = STRBUF_INIT(1 << 26);
	nghttp2_session_callbacks *callbacks;
	nghttp2_session_callbacks_new(&callbacks);
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_server_begin);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_server_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_server_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_server_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_server_close);
	nghttp2_session_server_new(&connection->session, callbacks, connection);
	nghttp2_session_callbacks_del(callbacks);
	nghttp2_submit_settings(connection->session, 0, NULL, 0);
	loop_fd_start(server->loop, &connection->source, fd, LOOP_READ, on_server_readable);
	connection_flush(connection);
}

static void server_listen(struct server *server)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;
	struct sockaddr_in address = {.sin_family = AF_INET,
	                              .sin_port = htons((uint16_t)server->port),
	                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
	server->port = ntohs(address.sin_port);
	loop_fd_start(server->loop, &server->listener, fd, LOOP_READ, on_accept);
}

static void server_drop_connections(struct server *server)
{
	struct server_connection *connection;
	list_for_each (connection, &server->connections, node)
		connection_close(connection);
}

static void server_stop(struct server *server)
{
	int fd = server->listener.fd;
	if (!server->listener.loop)
		return;
	loop_fd_stop(&server->listener);
	close(fd);
	server_drop_connections(server);
}

// --- the world ----------------------------------------------------------------------------

struct world {
	struct loop *loop;
	struct manual_clock clock;
	struct server server;
	struct grpc_client *client;
	char endpoint[64];
	char dead_endpoint[64];
	bool connected;
	int changes;
};

struct outcome {
	bool done;
	enum grpc_status status;
	char message[200];
	bool sent;
	size_t messages;
	size_t bytes;
	bool enough;
	struct strbuf last;
};

static void on_state(void *context, bool connected)
{
	struct world *world = context;
	world->connected = connected;
	world->changes++;
}

static void on_message(void *context, const uint8_t *message, size_t length)
{
	struct outcome *outcome = context;
	outcome->messages++;
	outcome->bytes += length;
	outcome->enough = true;
	strbuf_clear(&outcome->last);
	strbuf_append(&outcome->last, message, length);
}

static void on_done(void *context, enum grpc_status status, const char *message, bool sent)
{
	struct outcome *outcome = context;
	assert_false(outcome->done);
	outcome->done = true;
	outcome->status = status;
	outcome->sent = sent;
	snprintf(outcome->message, sizeof(outcome->message), "%s", message);
}

static const struct grpc_call_callbacks callbacks = {on_message, on_done};

static void wait_for(struct world *world, const bool *flag)
{
	int64_t limit = clock_monotonic_ns(&clock_system) + 20 * NSEC_PER_SEC;
	while (!*flag && clock_monotonic_ns(&clock_system) < limit)
		loop_turn(world->loop, 20 * NSEC_PER_MSEC);
	assert_true(*flag);
}

static struct outcome call(struct world *world, const char *path, const char *text, int64_t timeout_ns)
{
	struct outcome outcome = {.last = STRBUF_INIT(1 << 26)};
	(void)grpc_call_start(world->client, path, (const uint8_t *)text, strlen(text), timeout_ns, &callbacks,
	                      &outcome);
	assert_false(outcome.done);
	wait_for(world, &outcome.done);
	strbuf_done(&outcome.last);
	return outcome;
}

static void world_client(struct world *world, const char *const *endpoints)
{
	struct err err = ERR_INIT;
	struct grpc_client_config config = {.endpoints = endpoints,
	                                    .max_message_bytes = 1 << 24,
	                                    .connect_wait_ns = 200 * NSEC_PER_MSEC,
	                                    .on_state = on_state,
	                                    .context = world};
	assert_int_equal(grpc_client_new(world->loop, &config, &world->client, &err), 0);
}

static struct world *world_new(const struct clock *clock)
{
	struct world *world = NEW(struct world);
	struct err err = ERR_INIT;
	manual_clock_init(&world->clock, 0);
	assert_int_equal(loop_new(clock ? clock : &world->clock.clock, &world->loop, &err), 0);
	world->server.loop = world->loop;
	list_init(&world->server.connections);
	server_listen(&world->server);
	snprintf(world->endpoint, sizeof(world->endpoint), "http://127.0.0.1:%d", world->server.port);
	return world;
}

static int set_up(void **state)
{
	struct world *world = world_new(&clock_system);
	const char *endpoints[] = {world->endpoint, NULL};
	world_client(world, endpoints);
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;
	grpc_client_free(world->client);
	server_stop(&world->server);
	loop_free(world->loop);
	free(world);
	return 0;
}

// --- tests ----------------------------------------------------------------------------------

static void test_answers(void **state)
{
	struct world *world = *state;
	struct outcome outcome = call(world, "/echo", "hello", 10 * NSEC_PER_SEC);
	assert_true(outcome.status == GRPC_OK && outcome.sent && outcome.messages == 1 && outcome.bytes == 5);
	assert_true(world->connected);
	outcome = call(world, "/echo", "", 10 * NSEC_PER_SEC);
	assert_true(outcome.status == GRPC_OK && outcome.messages == 1 && outcome.bytes == 0);
	outcome = call(world, "/split", "one byte at a time", 10 * NSEC_PER_SEC);
	assert_true(outcome.status == GRPC_OK && outcome.messages == 1 && outcome.bytes == 18);
	outcome = call(world, "/trailers-only", "x", 10 * NSEC_PER_SEC);
	assert_true(outcome.status == GRPC_NOT_FOUND && outcome.sent);
	assert_string_equal(outcome.message, "no \xc3\xa9tage 100% %zz");
	outcome = call(world, "/http", "x", 10 * NSEC_PER_SEC);
	assert_int_equal(outcome.status, GRPC_UNAVAILABLE);
	assert_string_equal(outcome.message, "answer without grpc-status (HTTP status 503)");
	assert_int_equal(call(world, "/reset", "x", 10 * NSEC_PER_SEC).status, GRPC_UNAVAILABLE);
	assert_int_equal(call(world, "/compressed", "x", 10 * NSEC_PER_SEC).status, GRPC_INTERNAL);
	assert_int_equal(call(world, "/huge", "x", 10 * NSEC_PER_SEC).status, GRPC_RESOURCE_EXHAUSTED);
	outcome = call(world, "/hang", "x", 50 * NSEC_PER_MSEC);
	assert_true(outcome.status == GRPC_DEADLINE_EXCEEDED && outcome.sent);
	assert_int_equal(world->server.accepted, 1); // all of it on one connection

	// Larger than the default windows, both ways.
	char *big = xmalloc(3000001);
	memset(big, 'x', 3000000);
	big[3000000] = '\0';
	outcome = call(world, "/echo", big, 10 * NSEC_PER_SEC);
	assert_true(outcome.status == GRPC_OK && outcome.bytes == 3000000);
	free(big);
}

static void test_refused_is_repeated(void **state)
{
	struct world *world = *state;
	world->server.refusals_left = 2;
	struct outcome outcome = call(world, "/refuse", "x", 10 * NSEC_PER_SEC);
	assert_int_equal(outcome.status, GRPC_OK);
	assert_int_equal(world->server.requests, 3);
	world->server.refusals_left = 100;
	outcome = call(world, "/refuse", "x", 10 * NSEC_PER_SEC);
	assert_true(outcome.status == GRPC_UNAVAILABLE && !outcome.sent);
	// GOAWAY below the stream: it goes to a new connection.
	world->server.refusals_left = 1;
	outcome = call(world, "/goaway", "x", 10 * NSEC_PER_SEC);
	assert_int_equal(outcome.status, GRPC_OK);
	assert_int_equal(world->server.accepted, 2);
	assert_true(world->connected);
}

// A call that outlives a GOAWAY ends on the old connection, new ones use the next.
static void test_goaway_drains(void **state)
{
	struct world *world = *state;
	struct outcome stream = {.last = STRBUF_INIT(1 << 20)};
	struct grpc_call *open = grpc_stream_start(world->client, "/stream", &callbacks, &stream);
	grpc_stream_send(open, (const uint8_t *)"a", 1);
	wait_for(world, &stream.enough);
	world->server.refusals_left = 1;
	assert_int_equal(call(world, "/goaway", "x", 10 * NSEC_PER_SEC).status, GRPC_OK);
	stream.enough = false;
	grpc_stream_send(open, (const uint8_t *)"bc", 2);
	wait_for(world, &stream.enough);
	assert_int_equal(stream.messages, 2);
	assert_string_equal(strbuf_text(&stream.last), "bc");
	assert_false(stream.done);
	grpc_call_cancel(open);
	assert_int_equal(call(world, "/echo", "x", 10 * NSEC_PER_SEC).status, GRPC_OK);
	assert_false(stream.done); // cancelled: no on_done
	strbuf_done(&stream.last);
}

// A connection has 2^30 calls; the one after goes to the next connection.
static void test_stream_numbers_end(void **state)
{
	struct world *world = *state;
	assert_int_equal(call(world, "/echo", "x", 10 * NSEC_PER_SEC).status, GRPC_OK);
	assert_int_equal(nghttp2_session_set_next_stream_id(world->client->current->session, INT32_MAX), 0);
	struct outcome last = call(world, "/echo", "x", 10 * NSEC_PER_SEC);
	if (last.status)
		fail_msg("%s", last.message);
	assert_int_equal(world->server.accepted, 1);
	last = call(world, "/echo", "x", 10 * NSEC_PER_SEC);
	if (last.status)
		fail_msg("%s", last.message);
	assert_int_equal(world->server.accepted, 2);
}

static void test_lost_connection(void **state)
{
	struct world *world = *state;
	struct outcome hanging = {.last = STRBUF_INIT(1 << 20)};
	assert_int_equal(call(world, "/echo", "x", 10 * NSEC_PER_SEC).status, GRPC_OK);
	(void)grpc_call_start(world->client, "/hang", (const uint8_t *)"x", 1, 10 * NSEC_PER_SEC, &callbacks, &hanging);
	while (world->server.requests < 2)
		loop_turn(world->loop, 20 * NSEC_PER_MSEC);
	server_drop_connections(&world->server);
	wait_for(world, &hanging.done);
	assert_true(hanging.status == GRPC_UNAVAILABLE && hanging.sent); // perhaps done
	assert_int_equal(call(world, "/echo", "x", 10 * NSEC_PER_SEC).status, GRPC_OK);
	// Nobody listens: refused soon, surely not sent; and back again later.
	server_stop(&world->server);
	struct outcome refused;
	do
		refused = call(world, "/echo", "x", 10 * NSEC_PER_SEC);
	while (refused.sent);
	assert_int_equal(refused.status, GRPC_UNAVAILABLE);
	assert_false(world->connected);
	server_listen(&world->server);
	while (call(world, "/echo", "x", 10 * NSEC_PER_SEC).status)
		;
	strbuf_done(&hanging.last);
}

static void test_failover(void **state)
{
	struct world *world = world_new(&clock_system);
	*state = world;
	// A port that was free a moment ago refuses connections.
	struct world *other = world_new(&clock_system);
	snprintf(world->dead_endpoint, sizeof(world->dead_endpoint), "%s", other->endpoint);
	server_stop(&other->server);
	loop_free(other->loop);
	free(other);
	const char *endpoints[] = {world->dead_endpoint, world->endpoint, NULL};
	world_client(world, endpoints);
	assert_int_equal(call(world, "/echo", "x", 10 * NSEC_PER_SEC).status, GRPC_OK);
	tear_down(state);

	static const char *const bad[] = {"ftp://x", "https://",    "http://h:port", "http://h:0",    "http://h:99999",
	                                  "unix:",   "http://[::1", "http://h/path", "localhost:2379"};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		const char *one[] = {bad[i], NULL};
		struct grpc_client_config config = {.endpoints = one};
		struct grpc_client *client = NULL;
		struct loop *loop;
		struct err err = ERR_INIT, none = ERR_INIT;
		assert_int_equal(loop_new(&clock_system, &loop, &none), 0);
		assert_int_equal(grpc_client_new(loop, &config, &client, &err), -ERR_INVALID);
		assert_null(client);
		loop_free(loop);
	}
}

static void settle(struct world *world)
{
	for (int i = 0; i < 50; i++)
		loop_turn(world->loop, 0);
}

// A peer that fell silent is found by PING, on a clock of the test.
static void test_keepalive(void **state)
{
	struct world *world = world_new(NULL);
	const char *endpoints[] = {world->endpoint, NULL};
	*state = world;
	world_client(world, endpoints);
	struct outcome stream = {.last = STRBUF_INIT(1 << 20)};
	struct grpc_call *open = grpc_stream_start(world->client, "/stream", &callbacks, &stream);
	grpc_stream_send(open, (const uint8_t *)"a", 1);
	int64_t limit = clock_monotonic_ns(&clock_system) + 20 * NSEC_PER_SEC;
	while (!stream.enough && clock_monotonic_ns(&clock_system) < limit)
		loop_turn(world->loop, 0);
	assert_true(stream.enough);
	// An idle peer that answers stays.
	for (int i = 0; i < 20; i++) {
		manual_clock_advance(&world->clock, 5 * NSEC_PER_SEC);
		settle(world);
	}
	assert_false(stream.done);
	world->server.frozen = true;
	for (int i = 0; i < 6 && !stream.done; i++) {
		manual_clock_advance(&world->clock, 5 * NSEC_PER_SEC);
		settle(world);
	}
	assert_true(stream.done && stream.sent);
	assert_int_equal(stream.status, GRPC_UNAVAILABLE);
	assert_non_null(strstr(stream.message, "keepalive"));
	strbuf_done(&stream.last);
	tear_down(state);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(test_answers, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_refused_is_repeated, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_goaway_drains, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_stream_numbers_end, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_lost_connection, set_up, tear_down),
	        cmocka_unit_test(test_failover),
	        cmocka_unit_test(test_keepalive),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
