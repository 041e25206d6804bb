// SPDX-License-Identifier: Apache-2.0
//
// TLS over one socket, in both directions, for whichever protocol ALPN chose
// (none offered means HTTP/1.1).
//
//   HANDSHAKE → OPEN → LINGER → DEAD, and from each at once to DEAD
//
// Reading: whole TLS records, so that nothing readable stays inside OpenSSL when
// the loop is left. Writing: the output is a queue of slices of shared blobs; a
// large slice goes to OpenSSL from where it stands, small ones are gathered to
// records of 16 KB. A repeated SSL_write begins with the same bytes.
// Connections with something to send stand in their shard's dirty list and are
// flushed once at the end of the turn.
//
// A server that closes a socket with unread input sends a reset, which destroys
// the answer on its way: so after the last byte come close_notify and a shutdown
// of our side, and for at most a second the rest of the input is thrown away
// (LINGER). A client that hangs up is gone, half-closed or not.
//
// One timer looks at the connection's deadline and at those of its exchanges.
// It is not moved when a deadline moves away: firing early, it only looks.
//
// A dead connection's memory is freed by its shard, with nothing of it on the stack.
#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/io/http_server_internal.h"

enum {
	READS_A_TURN = 16,
	WRITE_BYTES_A_FLUSH = 1024 * 1024,
};
static const int64_t LINGER_NS = NSEC_PER_SEC;
static const int64_t HANDSHAKE_TIMEOUT_NS = 10 * NSEC_PER_SEC;

static void on_ready(struct loop_fd *source, unsigned ready);
static void on_timer(struct loop_timer *timer);

struct http_peer *http_peer_unref(struct http_peer *peer)
{
	if (!peer || --peer->references)
		return NULL;
	arena_free(peer->arena);
	free(peer);
	return NULL;
}

struct http_connection *http_connection_new(struct http_shard *shard, int fd, const char *address)
{
	struct http_connection *connection = NEW(struct http_connection);
	connection->shard = shard;
	connection->fd = fd;
	connection->peer = NEW(struct http_peer);
	connection->peer->references = 1;
	snprintf(connection->peer->address, sizeof(connection->peer->address), "%s", address);
	list_init(&connection->node);
	list_init(&connection->dirty_node);
	list_init(&connection->exchanges);
	list_init(&connection->drain_waiters);
	return connection;
}

void http_connection_adopt(struct http_connection *connection)
{
	struct http_shard *shard = connection->shard;
	struct err err = ERR_INIT;
	list_append(&shard->connections, &connection->node);
	if (shard->stopping || tls_server_accept(shard->server->tls, connection->fd, &connection->ssl, &err) < 0) {
		http_connection_die(connection);
		return;
	}
	int64_t limit_ns = shard->server->config.idle_timeout_ns;
	if (limit_ns > HANDSHAKE_TIMEOUT_NS)
		limit_ns = HANDSHAKE_TIMEOUT_NS;
	loop_fd_start(shard->loop, &connection->source, connection->fd, LOOP_READ, on_ready);
	http_connection_set_deadline(connection, loop_now_ns(shard->loop) + limit_ns);
}

void http_connection_free(struct http_connection *connection)
{
	slice_queue_done(&connection->output);
	http_peer_unref(connection->peer);
	free(connection);
}

static void end_protocol(struct http_connection *connection)
{
	if (connection->protocol && connection->session)
		connection->protocol->closed(connection);
	connection->protocol = NULL;
}

void http_connection_die(struct http_connection *connection)
{
	struct http_shard *shard = connection->shard;
	if (connection->state == HTTP_CONNECTION_DEAD)
		return;
	connection->state = HTTP_CONNECTION_DEAD;
	loop_fd_stop(&connection->source);
	loop_timer_stop(&connection->timer);
	end_protocol(connection);
	SSL_free(TAKE(connection->ssl));
	close(take_fd(&connection->fd));
	list_remove(&connection->dirty_node);
	list_remove(&connection->node);
	list_append(&shard->dead, &connection->node);
	http_shard_schedule(shard);
}

// --- what protocols and exchanges ask for ----------------------------------------

void http_connection_mark_dirty(struct http_connection *connection)
{
	if (connection->state != HTTP_CONNECTION_OPEN || !list_is_empty(&connection->dirty_node))
		return;
	list_append(&connection->shard->dirty, &connection->dirty_node);
	http_shard_schedule(connection->shard);
}

void http_connection_close(struct http_connection *connection)
{
	connection->closing = true;
	http_connection_mark_dirty(connection);
}

void http_connection_cut(struct http_connection *connection)
{
	connection->cut = true;
	http_connection_mark_dirty(connection);
}

static void update_interest(struct http_connection *connection)
{
	if (connection->source.loop)
		loop_fd_set_events(&connection->source, (connection->read_paused ? 0 : LOOP_READ) |
		                                                (connection->write_blocked ? LOOP_WRITE : 0));
}

void http_connection_pause_reading(struct http_connection *connection, bool paused)
{
	if (connection->read_paused == paused)
		return;
	connection->read_paused = paused;
	update_interest(connection);
}

void http_connection_watch_deadline(struct http_connection *connection, int64_t deadline_ns)
{
	struct loop_timer *timer = &connection->timer;
	if (connection->state == HTTP_CONNECTION_DEAD || (timer->loop && timer->deadline_ns <= deadline_ns))
		return;
	int64_t delay_ns = deadline_ns - loop_now_ns(connection->shard->loop);
	loop_timer_start(connection->shard->loop, timer, delay_ns > 0 ? delay_ns : 0, on_timer);
}

void http_connection_set_deadline(struct http_connection *connection, int64_t deadline_ns)
{
	connection->deadline_ns = deadline_ns;
	if (deadline_ns)
		http_connection_watch_deadline(connection, deadline_ns);
}

// --- deadlines -------------------------------------------------------------------

static void expire_connection(struct http_connection *connection)
{
	connection->deadline_ns = 0;
	if (connection->state == HTTP_CONNECTION_OPEN)
		connection->protocol->expire(connection);
	else
		http_connection_die(connection);
}

static int64_t earlier(int64_t left_ns, int64_t right_ns)
{
	if (!left_ns || !right_ns)
		return left_ns ? left_ns : right_ns;
	return left_ns < right_ns ? left_ns : right_ns;
}

static void on_timer(struct loop_timer *timer)
{
	struct http_connection *connection = container_of(timer, struct http_connection, timer);
	int64_t now_ns = loop_now_ns(connection->shard->loop);
	struct http_exchange *exchange;
	list_for_each (exchange, &connection->exchanges, node) {
		if (!exchange->deadline_ns || exchange->deadline_ns > now_ns)
			continue;
		exchange->deadline_ns = 0;
		connection->protocol->exchange_expire(exchange);
	}
	if (connection->deadline_ns && connection->deadline_ns <= now_ns)
		expire_connection(connection);
	if (connection->state == HTTP_CONNECTION_DEAD)
		return;
	int64_t next_ns = connection->deadline_ns;
	list_for_each (exchange, &connection->exchanges, node)
		next_ns = earlier(next_ns, exchange->deadline_ns);
	if (next_ns)
		http_connection_watch_deadline(connection, next_ns);
}

// --- TLS ---------------------------------------------------------------------------

static bool is_http2(SSL *ssl)
{
	const unsigned char *protocol = NULL;
	unsigned int length = 0;
	SSL_get0_alpn_selected(ssl, &protocol, &length);
	return length == 2 && memcmp(protocol, "h2", 2) == 0;
}

static void on_handshake_failed(struct http_connection *connection)
{
	struct err err = ERR_INIT;
	err_set_tls_handshake(&err, connection->ssl);
	log_v(4, "TLS handshake failed", kv_str("remote", connection->peer->address), kv_err(&err));
	http_connection_die(connection);
}

static void on_handshake_done(struct http_connection *connection)
{
	struct http_peer *peer = connection->peer;
	if (SSL_get0_peer_certificate(connection->ssl)) {
		peer->arena = arena_new(0);
		tls_server_judge(connection->shard->server->tls, connection->ssl, peer->arena, &peer->identity);
	}
	connection->state = HTTP_CONNECTION_OPEN;
	connection->protocol = is_http2(connection->ssl) ? &http2_protocol : &http1_protocol;
	connection->deadline_ns = 0;
	connection->write_blocked = false;
	update_interest(connection);
	connection->protocol->start(connection);
}

static void handshake(struct http_connection *connection)
{
	ERR_clear_error();
	int result = SSL_do_handshake(connection->ssl);
	if (result == 1) {
		on_handshake_done(connection);
		return;
	}
	int reason = SSL_get_error(connection->ssl, result);
	if (reason != SSL_ERROR_WANT_READ && reason != SSL_ERROR_WANT_WRITE) {
		on_handshake_failed(connection);
		return;
	}
	connection->write_blocked = reason == SSL_ERROR_WANT_WRITE;
	update_interest(connection);
}

// True when OpenSSL only waits for the socket.
static bool is_waiting(struct http_connection *connection, int result)
{
	int reason = SSL_get_error(connection->ssl, result);
	return reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE;
}

static void read_records(struct http_connection *connection)
{
	char *buffer = connection->shard->read_buffer;
	for (int i = 0; i < READS_A_TURN && connection->state == HTTP_CONNECTION_OPEN; i++) {
		if (connection->read_paused || connection->cut)
			return;
		ERR_clear_error();
		int count = SSL_read(connection->ssl, buffer, HTTP_READ_BYTES);
		if (count > 0 && connection->closing)
			continue;
		if (count > 0)
			connection->protocol->receive(connection, buffer, (size_t)count);
		else if (is_waiting(connection, count))
			return;
		else
			http_connection_die(connection);
	}
}

// Reads and drops what the client still sends, until it closes too.
static void discard_input(struct http_connection *connection)
{
	char *buffer = connection->shard->read_buffer;
	for (int i = 0; i < READS_A_TURN; i++) {
		ssize_t count = recv(connection->fd, buffer, HTTP_READ_BYTES, 0);
		if (count > 0)
			continue;
		if (count == 0 || (errno != EAGAIN && errno != EINTR))
			http_connection_die(connection);
		return;
	}
}

static void on_ready(struct loop_fd *source, unsigned ready)
{
	struct http_connection *connection = container_of(source, struct http_connection, source);
	if (connection->state == HTTP_CONNECTION_HANDSHAKE)
		handshake(connection);
	if (connection->state == HTTP_CONNECTION_LINGER) {
		discard_input(connection);
		return;
	}
	if (connection->state != HTTP_CONNECTION_OPEN)
		return;
	if (ready & LOOP_WRITE) {
		connection->write_blocked = false;
		http_connection_mark_dirty(connection);
		update_interest(connection);
	}
	if ((ready & LOOP_HANGUP) && connection->read_paused) {
		connection->hung_up = true;
		http_connection_mark_dirty(connection);
	}
	read_records(connection);
}

// --- writing -------------------------------------------------------------------------

static void linger(struct http_connection *connection)
{
	end_protocol(connection);
	connection->state = HTTP_CONNECTION_LINGER;
	ERR_clear_error();
	SSL_shutdown(connection->ssl);
	shutdown(connection->fd, SHUT_WR);
	connection->read_paused = connection->write_blocked = false;
	update_interest(connection);
	http_connection_set_deadline(connection, loop_now_ns(connection->shard->loop) + LINGER_NS);
	discard_input(connection);
}

// Hands the head of the output to OpenSSL; false when that's all for now.
static bool write_record(struct http_connection *connection)
{
	const char *data;
	size_t length =
	        slice_queue_peek(&connection->output, connection->shard->record_buffer, HTTP_RECORD_BYTES, &data);
	if (length == 0)
		return false;
	if (length > WRITE_BYTES_A_FLUSH)
		length = WRITE_BYTES_A_FLUSH;
	ERR_clear_error();
	int count = SSL_write(connection->ssl, data, (int)length);
	if (count > 0) {
		slice_queue_consume(&connection->output, (size_t)count);
		return true;
	}
	if (is_waiting(connection, count))
		connection->write_blocked = true;
	else
		http_connection_die(connection);
	return false;
}

static bool may_write(const struct http_connection *connection)
{
	return connection->state == HTTP_CONNECTION_OPEN && !connection->write_blocked;
}

void http_connection_flush(struct http_connection *connection)
{
	if (connection->state != HTTP_CONNECTION_OPEN)
		return;
	if (connection->cut) {
		http_connection_die(connection);
		return;
	}
	bool progress = false;
	size_t written = 0;
	connection->protocol->flush(connection);
	while (may_write(connection) && written < WRITE_BYTES_A_FLUSH) {
		size_t before = connection->output.bytes;
		if (!write_record(connection))
			break;
		progress = true;
		written += before - connection->output.bytes;
		if (connection->output.bytes < HTTP_RECORD_BYTES)
			connection->protocol->flush(connection);
	}
	if (connection->state != HTTP_CONNECTION_OPEN)
		return;
	if (progress || connection->output.bytes == 0)
		connection->protocol->written(connection);
	http_connection_check_drains(connection);
	if (connection->cut || (connection->hung_up && connection->read_paused))
		http_connection_die(connection);
	else if (connection->closing && connection->output.bytes == 0)
		linger(connection);
	else if (connection->output.bytes && !connection->write_blocked)
		http_connection_mark_dirty(connection);
	update_interest(connection);
}

void http_connection_stop(struct http_connection *connection)
{
	if (connection->state == HTTP_CONNECTION_HANDSHAKE)
		http_connection_die(connection);
	else if (connection->state == HTTP_CONNECTION_OPEN)
		connection->protocol->stop(connection);
}
