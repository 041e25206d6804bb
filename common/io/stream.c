// SPDX-License-Identifier: Apache-2.0
//
// An outgoing connection: resolve → connect (the addresses one after another) →
// TLS handshake → open → closed. One descriptor source, one timer for the time
// limit of the first three, and one for work that must not be done inside the
// caller's call: it fires in the next turn and flushes what was written, offers
// kept input again, or reports an error.
//
// 1. Callbacks come from the descriptor and the timers only, never from inside a
//    stream_* function; on_close once, and nothing after it.
// 2. `calling` counts the stream's functions on the stack below a callback: a
//    stream_free from there marks the stream, and the outermost one frees it.
// 3. While the owner takes no data the descriptor is not read. A hang-up in that
//    time would be reported in every turn, so the source stops until stream_resume.
//
// Names are resolved by a blocking getaddrinfo: daemons give addresses (tried
// first, without any look-up), only the command-line tools give names.
#include "common/io/stream.h"

#include <errno.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/base/memory.h"
#include "common/base/strbuf.h"
#include "common/io/loop.h"
#include "common/io/socket_address.h"
#include "common/io/tls.h"

enum {
	STREAM_READ_BYTES = 16 * 1024 + 512, // a whole TLS record, so that none stays behind in OpenSSL
	STREAM_READS_A_TURN = 16,
	STREAM_WRITE_BYTES = 256 * 1024,
};
static const size_t STREAM_OUTPUT_MAX_BYTES = (size_t)1 << 30;
static const int64_t STREAM_CONNECT_TIMEOUT_NS = 10 * NSEC_PER_SEC;

enum stream_state {
	STREAM_CONNECTING,
	STREAM_HANDSHAKING,
	STREAM_OPEN,
	STREAM_CLOSED,
};

struct stream {
	struct loop *loop;
	struct stream_config config;
	char *host;
	char *server_name;
	enum stream_state state;
	int fd;
	SSL *ssl;
	struct addrinfo *addresses;
	const struct addrinfo *next_address;
	char target[SOCKET_ADDRESS_TEXT_BYTES + 8]; // what is being dialled, for errors
	struct loop_fd source;
	struct loop_timer connect_timer;
	struct loop_timer wake_timer;
	struct strbuf input;  // offered and not taken
	struct strbuf output; // from output_sent on
	size_t output_sent;
	struct err err; // why it closes
	int calling;
	bool freed;
	bool paused;
	bool drain_wanted;
	bool shutdown_wanted;
	bool shutdown_done;
	bool peer_ended;
};

static void on_ready(struct loop_fd *source, unsigned ready);
static void on_wake(struct loop_timer *timer);
static void dial_next(struct stream *stream);

static void stream_release(struct stream *stream)
{
	strbuf_done(&stream->input);
	strbuf_done(&stream->output);
	free(stream->host);
	free(stream->server_name);
	free(stream);
}

static void enter(struct stream *stream)
{
	stream->calling++;
}

// False when the stream was freed by a callback meanwhile: return at once.
static bool leave(struct stream *stream)
{
	bool alive = !stream->freed;
	if (--stream->calling == 0 && !alive)
		stream_release(stream);
	return alive;
}

static void close_socket(struct stream *stream)
{
	loop_fd_stop(&stream->source);
	SSL_free(TAKE(stream->ssl));
	if (stream->fd >= 0)
		close(take_fd(&stream->fd));
}

static void release_io(struct stream *stream)
{
	loop_timer_stop(&stream->connect_timer);
	loop_timer_stop(&stream->wake_timer);
	close_socket(stream);
	if (stream->addresses)
		freeaddrinfo(TAKE(stream->addresses));
}

static void wake(struct stream *stream)
{
	if (stream->state != STREAM_CLOSED && !stream->wake_timer.loop)
		loop_timer_start(stream->loop, &stream->wake_timer, 0, on_wake);
}

// Ends the stream and tells the owner; the stream may be gone afterwards.
static void finish(struct stream *stream)
{
	if (stream->state == STREAM_CLOSED)
		return;
	stream->state = STREAM_CLOSED;
	release_io(stream);
	enter(stream);
	stream->config.callbacks.on_close(stream->config.context, stream->err.code ? &stream->err : NULL);
	(void)leave(stream);
}

static void watch(struct stream *stream, unsigned events)
{
	if (stream->source.loop)
		loop_fd_set_events(&stream->source, events);
	else
		loop_fd_start(stream->loop, &stream->source, stream->fd, events, on_ready);
}

static size_t output_bytes(const struct stream *stream)
{
	return stream->output.length - stream->output_sent;
}

// --- connecting ------------------------------------------------------------

static int unix_address(const char *path, struct sockaddr_un *ret_address, struct err *err)
{
	*ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(ret_address->sun_path))
		return err_set(err, ERR_BAD_REQUEST, "dial unix %s: path too long", path);
	memcpy(ret_address->sun_path, path, strlen(path));
	return 0;
}

static bool is_unix(const struct stream *stream)
{
	return strncmp(stream->host, "unix:", 5) == 0;
}

static int resolve(struct stream *stream, struct err *err)
{
	char port[16];
	snprintf(port, sizeof(port), "%d", stream->config.port);
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
	int code = getaddrinfo(stream->host, port, &hints, &stream->addresses);
	if (code == EAI_NONAME) {
		hints.ai_flags = AI_NUMERICSERV;
		code = getaddrinfo(stream->host, port, &hints, &stream->addresses);
	}
	if (code == EAI_NONAME)
		return err_set(err, ERR_IO, "dial tcp: lookup %s: no such host", stream->host);
	if (code)
		return err_set(err, ERR_IO, "dial tcp: lookup %s: %s", stream->host, gai_strerror(code));
	stream->next_address = stream->addresses;
	return 0;
}

// 0 when the connection is under way or made.
static int dial(struct stream *stream, const struct sockaddr *address, socklen_t length, struct err *err)
{
	stream->fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (stream->fd < 0)
		return err_set_socket(err, errno, "dial %s: socket", stream->target);
	socket_tune(stream->fd);
	if (connect(stream->fd, address, length) < 0 && errno != EINPROGRESS) {
		int error_number = errno;
		close_socket(stream);
		return err_set_socket(err, error_number, "dial %s: connect", stream->target);
	}
	watch(stream, LOOP_WRITE);
	return 0;
}

static void dial_next(struct stream *stream)
{
	while (stream->next_address) {
		const struct addrinfo *address = stream->next_address;
		stream->next_address = address->ai_next;
		char text[SOCKET_ADDRESS_TEXT_BYTES];
		socket_address_format(address->ai_addr, text);
		snprintf(stream->target, sizeof(stream->target), "tcp %s", text);
		err_clear(&stream->err);
		if (dial(stream, address->ai_addr, address->ai_addrlen, &stream->err) == 0)
			return;
	}
	wake(stream); // reports the last error
}

static void dial_unix(struct stream *stream)
{
	struct sockaddr_un address;
	snprintf(stream->target, sizeof(stream->target), "unix %s", stream->host + 5);
	if (unix_address(stream->host + 5, &address, &stream->err) < 0 ||
	    dial(stream, (const struct sockaddr *)&address, sizeof(address), &stream->err) < 0)
		wake(stream);
}

static void on_connect_timeout(struct loop_timer *timer)
{
	struct stream *stream = container_of(timer, struct stream, connect_timer);
	err_clear(&stream->err);
	const char *step = stream->state == STREAM_HANDSHAKING ? "TLS handshake timeout" : "i/o timeout";
	err_set(&stream->err, ERR_TIMEOUT, "dial %s: %s", stream->target, step);
	finish(stream);
}

struct stream *stream_connect(struct loop *loop, const struct stream_config *config)
{
	struct stream *stream = NEW(struct stream);
	stream->loop = loop;
	stream->config = *config;
	stream->host = xstrdup(config->host);
	stream->server_name = xstrdup(config->server_name);
	stream->fd = -1;
	stream->input = STRBUF_INIT(STREAM_READ_BYTES);
	stream->output = STRBUF_INIT(STREAM_OUTPUT_MAX_BYTES);
	int64_t timeout_ns = config->connect_timeout_ns ? config->connect_timeout_ns : STREAM_CONNECT_TIMEOUT_NS;
	loop_timer_start(loop, &stream->connect_timer, timeout_ns, on_connect_timeout);
	if (is_unix(stream))
		dial_unix(stream);
	else if (resolve(stream, &stream->err) == 0)
		dial_next(stream);
	else
		wake(stream);
	return stream;
}

static bool opened(struct stream *stream)
{
	stream->state = STREAM_OPEN;
	loop_timer_stop(&stream->connect_timer);
	if (stream->addresses)
		freeaddrinfo(TAKE(stream->addresses));
	watch(stream, LOOP_READ);
	enter(stream);
	if (stream->config.callbacks.on_connect)
		stream->config.callbacks.on_connect(stream->config.context);
	return leave(stream);
}

// Each step returns false when the caller must not go on.
static bool step_connect(struct stream *stream)
{
	int error_number = 0;
	socklen_t length = sizeof(error_number);
	getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &error_number, &length);
	if (error_number) {
		err_clear(&stream->err);
		err_set_socket(&stream->err, error_number, "dial %s: connect", stream->target);
		close_socket(stream);
		if (is_unix(stream))
			wake(stream);
		else
			dial_next(stream);
		return false;
	}
	err_clear(&stream->err);
	if (!stream->config.tls)
		return opened(stream);
	stream->state = STREAM_HANDSHAKING;
	if (tls_client_connect(stream->config.tls, stream->fd, stream->server_name, stream->host, &stream->ssl,
	                       &stream->err) == 0)
		return true;
	finish(stream);
	return false;
}

static bool step_handshake(struct stream *stream)
{
	ERR_clear_error();
	int result = SSL_do_handshake(stream->ssl);
	if (result == 1)
		return opened(stream);
	int reason = SSL_get_error(stream->ssl, result);
	if (reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE) {
		watch(stream, reason == SSL_ERROR_WANT_READ ? LOOP_READ : LOOP_WRITE);
		return false;
	}
	err_set_tls_handshake(&stream->err, stream->ssl);
	finish(stream);
	return false;
}

// --- reading and writing ---------------------------------------------------

enum io_result {
	IO_BLOCKED = 0,
	IO_END = -1,
	IO_FAILED = -2,
};

static ssize_t tls_result(struct stream *stream, int result)
{
	switch (SSL_get_error(stream->ssl, result)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return IO_BLOCKED;
	case SSL_ERROR_ZERO_RETURN:
		return IO_END;
	default:
		err_clear(&stream->err);
		err_set_tls(&stream->err, "tls");
		return IO_FAILED;
	}
}

static ssize_t plain_result(struct stream *stream, const char *operation)
{
	if (errno == EAGAIN || errno == EINTR)
		return IO_BLOCKED;
	err_clear(&stream->err);
	err_set_socket(&stream->err, errno, "%s %s", operation, stream->target);
	return IO_FAILED;
}

static ssize_t read_some(struct stream *stream, char *buffer, size_t size)
{
	if (stream->ssl) {
		ERR_clear_error();
		int count = SSL_read(stream->ssl, buffer, (int)size);
		return count > 0 ? count : tls_result(stream, count);
	}
	ssize_t count = recv(stream->fd, buffer, size, 0);
	if (count == 0)
		return IO_END;
	return count > 0 ? count : plain_result(stream, "read");
}

static ssize_t write_some(struct stream *stream, const char *data, size_t size)
{
	if (size > STREAM_WRITE_BYTES)
		size = STREAM_WRITE_BYTES;
	if (stream->ssl) {
		ERR_clear_error();
		int count = SSL_write(stream->ssl, data, (int)size);
		return count > 0 ? count : tls_result(stream, count);
	}
	ssize_t count = send(stream->fd, data, size, MSG_NOSIGNAL);
	return count >= 0 ? count : plain_result(stream, "write");
}

static void send_end(struct stream *stream)
{
	if (!stream->shutdown_wanted || stream->shutdown_done || output_bytes(stream))
		return;
	stream->shutdown_done = true;
	if (stream->ssl)
		SSL_shutdown(stream->ssl);
	shutdown(stream->fd, SHUT_WR);
}

// Gives bytes to the owner; what it doesn't take is kept and pauses the reading.
static bool deliver(struct stream *stream, const char *data, size_t length)
{
	enter(stream);
	size_t taken = stream->config.callbacks.on_data(stream->config.context, data, length);
	if (!leave(stream))
		return false;
	if (taken < length) {
		stream->paused = true;
		strbuf_append(&stream->input, data + taken, length - taken);
	}
	return true;
}

// Offers again what was kept.
static bool deliver_kept(struct stream *stream)
{
	struct strbuf kept = stream->input;
	stream->input = STRBUF_INIT(STREAM_READ_BYTES);
	bool alive = deliver(stream, kept.data, kept.length);
	strbuf_done(&kept);
	return alive;
}

// Reads and delivers, what was kept first; false when the stream is over or gone.
static bool receive(struct stream *stream)
{
	char buffer[STREAM_READ_BYTES];
	if (!stream->paused && stream->input.length && !deliver_kept(stream))
		return false;
	for (int i = 0; i < STREAM_READS_A_TURN && !stream->paused; i++) {
		ssize_t count = read_some(stream, buffer, sizeof(buffer));
		if (count == IO_BLOCKED)
			return true;
		if (count < 0) {
			finish(stream);
			return false;
		}
		if (!deliver(stream, buffer, (size_t)count))
			return false;
	}
	return true;
}

// Writes what the socket takes; false when the stream is over or gone.
static bool flush(struct stream *stream)
{
	while (output_bytes(stream)) {
		ssize_t count = write_some(stream, stream->output.data + stream->output_sent, output_bytes(stream));
		if (count == IO_BLOCKED)
			return true;
		if (count < 0) {
			// What the peer said before it went away still counts.
			if (receive(stream))
				finish(stream);
			return false;
		}
		stream->output_sent += (size_t)count;
		if (stream->output_sent == stream->output.length) {
			strbuf_clear(&stream->output);
			stream->output_sent = 0;
		}
	}
	send_end(stream);
	if (!stream->drain_wanted)
		return true;
	stream->drain_wanted = false;
	if (stream->output.capacity > STREAM_WRITE_BYTES)
		strbuf_done(&stream->output);
	enter(stream);
	if (stream->config.callbacks.on_drain)
		stream->config.callbacks.on_drain(stream->config.context);
	return leave(stream);
}

static void update_interest(struct stream *stream)
{
	if (stream->paused && stream->peer_ended) {
		loop_fd_stop(&stream->source);
		return;
	}
	watch(stream, (stream->paused ? 0 : LOOP_READ) | (output_bytes(stream) ? LOOP_WRITE : 0));
}

static void on_ready(struct loop_fd *source, unsigned ready)
{
	struct stream *stream = container_of(source, struct stream, source);
	if (stream->state == STREAM_CONNECTING && !step_connect(stream))
		return;
	if (stream->state == STREAM_HANDSHAKING && !step_handshake(stream))
		return;
	enter(stream);
	if (ready & LOOP_HANGUP)
		stream->peer_ended = true;
	if (stream->state == STREAM_OPEN && flush(stream) && receive(stream))
		update_interest(stream);
	(void)leave(stream);
}

// The work put off by stream_connect, stream_write, stream_resume and stream_shutdown_write.
static void on_wake(struct loop_timer *timer)
{
	struct stream *stream = container_of(timer, struct stream, wake_timer);
	if (stream->state < STREAM_OPEN) {
		if (stream->err.code != ERR_NONE && stream->fd < 0)
			finish(stream);
		return;
	}
	enter(stream);
	if (flush(stream) && receive(stream))
		update_interest(stream);
	(void)leave(stream);
}

// --- the owner's side ------------------------------------------------------

void stream_write(struct stream *stream, const void *data, size_t length)
{
	if (stream->state == STREAM_CLOSED || stream->shutdown_wanted || length == 0)
		return;
	if (stream->output_sent > STREAM_WRITE_BYTES && stream->output_sent > stream->output.length / 2) {
		strbuf_consume(&stream->output, stream->output_sent);
		stream->output_sent = 0;
	}
	strbuf_append(&stream->output, data, length);
	stream->drain_wanted = true;
	wake(stream);
}

size_t stream_pending_bytes(const struct stream *stream)
{
	return output_bytes(stream);
}

void stream_resume(struct stream *stream)
{
	stream->paused = false;
	wake(stream);
}

void stream_shutdown_write(struct stream *stream)
{
	stream->shutdown_wanted = true;
	wake(stream);
}

struct stream *stream_free(struct stream *stream)
{
	if (!stream || stream->freed)
		return NULL;
	stream->state = STREAM_CLOSED;
	release_io(stream);
	stream->freed = true;
	if (stream->calling == 0)
		stream_release(stream);
	return NULL;
}

bool stream_negotiated_http2(const struct stream *stream)
{
	const unsigned char *protocol = NULL;
	unsigned int length = 0;
	if (stream->ssl)
		SSL_get0_alpn_selected(stream->ssl, &protocol, &length);
	return length == 2 && memcmp(protocol, "h2", 2) == 0;
}
