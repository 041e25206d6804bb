// SPDX-License-Identifier: Apache-2.0
// A socket belongs to the network namespace in which it is made. So the loop's thread
// enters the pod's for the one call of socket(2) and leaves it again; connecting and
// everything else happen outside. Not to come back would be fatal, and is.
//
//   127.0.0.1 ─refused─▶ ::1 ─refused─▶ on_failed (in upstream's words)
//       └───────────────▶ connected: bytes both ways, each side may end on its own

#include "kubelet/server/port_connection.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/base/strbuf.h"
#include "common/io/loop.h"

enum { PIECE_BYTES = 32 << 10, MAX_QUEUE_BYTES = 64 << 20 };

enum { TRY_V4, TRY_V6, TRY_COUNT };

struct port_connection {
	struct loop *loop;
	struct port_connection_handler handler;
	char *network_path;
	int port;
	int fd;
	int next_try;
	int errors[TRY_COUNT];
	bool connected;
	bool paused;
	bool input_ended; // the server's
	bool finished;    // ours
	bool finish_sent;
	bool failed;
	struct strbuf output;
	struct loop_fd source;
	struct loop_timer wake_timer;
	char message[400];
};

static void on_ready(struct loop_fd *source, unsigned ready);
static void on_wake(struct loop_timer *timer);

// -1 with errno.
static int socket_in(const char *network_path, int family)
{
	int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
	if (!network_path)
		return socket(family, type, 0);
	AUTO_CLOSE int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	AUTO_CLOSE int pods = open(network_path, O_RDONLY | O_CLOEXEC);
	if (own < 0 || pods < 0 || setns(pods, CLONE_NEWNET) < 0)
		return -1;
	int fd = socket(family, type, 0);
	int error_number = errno;
	if (setns(own, CLONE_NEWNET) < 0)
		abort();
	errno = error_number;
	return fd;
}

static void close_socket(struct port_connection *connection)
{
	loop_fd_stop(&connection->source);
	if (connection->fd >= 0)
		close(take_fd(&connection->fd));
}

static void watch(struct port_connection *connection)
{
	bool reads = connection->connected && !connection->paused && !connection->input_ended;
	bool writes = !connection->connected || connection->output.length ||
	              (connection->finished && !connection->finish_sent);
	unsigned events = (reads ? LOOP_READ : 0) | (writes ? LOOP_WRITE : 0);
	// A hang-up is told again and again: nobody listens while nothing is wanted.
	if (!events || connection->fd < 0)
		loop_fd_stop(&connection->source);
	else if (connection->source.loop)
		loop_fd_set_events(&connection->source, events);
	else
		loop_fd_start(connection->loop, &connection->source, connection->fd, events, on_ready);
}

static void wake(struct port_connection *connection)
{
	if (!connection->wake_timer.loop)
		loop_timer_start(connection->loop, &connection->wake_timer, 0, on_wake);
}

// Told in a turn of its own.
static void fail(struct port_connection *connection)
{
	close_socket(connection);
	connection->failed = true;
	wake(connection);
}

static void describe_refusal(struct port_connection *connection)
{
	char where[200] = "";
	if (connection->network_path)
		snprintf(where, sizeof(where), " inside namespace \"%.160s\"",
		         strrchr(connection->network_path, '/') ? strrchr(connection->network_path, '/') + 1
		                                                : connection->network_path);
	int port = connection->port;
	snprintf(connection->message, sizeof(connection->message),
	         "failed to connect to localhost:%d%s, IPv4: dial tcp4 127.0.0.1:%d: connect: %s IPv6: dial tcp6 "
	         "[::1]:%d: connect: %s",
	         port, where, port, strerror(connection->errors[TRY_V4]), port, strerror(connection->errors[TRY_V6]));
	for (char *at = strstr(connection->message, ": connect: "); at; at = strstr(at + 1, ": connect: "))
		if (at[11] >= 'A' && at[11] <= 'Z')
			at[11] = (char)(at[11] - 'A' + 'a'); // as Go says it
}

static int begin_connect(struct port_connection *connection, int number)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET,
	                         .sin_port = htons((uint16_t)connection->port),
	                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6,
	                          .sin6_port = htons((uint16_t)connection->port),
	                          .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	bool is_v6 = number == TRY_V6;
	connection->fd = socket_in(connection->network_path, is_v6 ? AF_INET6 : AF_INET);
	if (connection->fd < 0)
		return errno;
	int result = is_v6 ? connect(connection->fd, (const struct sockaddr *)&v6, sizeof(v6))
	                   : connect(connection->fd, (const struct sockaddr *)&v4, sizeof(v4));
	return result < 0 && errno != EINPROGRESS ? errno : 0;
}

static void try_next(struct port_connection *connection)
{
	while (connection->next_try < TRY_COUNT) {
		int number = connection->next_try++;
		close_socket(connection);
		connection->errors[number] = begin_connect(connection, number);
		if (!connection->errors[number]) {
			watch(connection);
			return;
		}
	}
	describe_refusal(connection);
	fail(connection);
}

static bool check_connected(struct port_connection *connection)
{
	int error_number = 0;
	socklen_t length = sizeof(error_number);
	getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error_number, &length);
	if (error_number) {
		connection->errors[connection->next_try - 1] = error_number;
		try_next(connection);
		return false;
	}
	connection->connected = true;
	return true;
}

static bool broke(struct port_connection *connection, const char *operation)
{
	if (errno == EAGAIN || errno == EINTR)
		return false;
	snprintf(connection->message, sizeof(connection->message), "%s tcp 127.0.0.1:%d: %s", operation,
	         connection->port, strerror(errno));
	fail(connection);
	return true;
}

// False when nothing more can be done in this turn.
static bool write_output(struct port_connection *connection)
{
	bool had = connection->output.length > 0;
	size_t written = 0;
	while (written < connection->output.length) {
		ssize_t count = send(connection->fd, connection->output.data + written,
		                     connection->output.length - written, MSG_NOSIGNAL);
		if (count < 0 && broke(connection, "write"))
			return false;
		if (count < 0)
			break;
		written += (size_t)count;
	}
	strbuf_consume(&connection->output, written);
	if (connection->output.length)
		return true;
	if (connection->finished && !connection->finish_sent) {
		shutdown(connection->fd, SHUT_WR);
		connection->finish_sent = true;
	}
	watch(connection);
	if (had) {
		connection->handler.on_drain(connection->handler.context); // may close
		return false;
	}
	return true;
}

static void read_input(struct port_connection *connection)
{
	char data[PIECE_BYTES];
	ssize_t count = recv(connection->fd, data, sizeof(data), 0);
	if (count < 0) {
		(void)broke(connection, "read");
		return;
	}
	if (count > 0) {
		connection->handler.on_data(connection->handler.context, data, (size_t)count);
		return;
	}
	connection->input_ended = true;
	watch(connection);
	connection->handler.on_end(connection->handler.context);
}

static void on_ready(struct loop_fd *source, unsigned ready)
{
	struct port_connection *connection = container_of(source, struct port_connection, source);
	if (!connection->connected) {
		if (check_connected(connection))
			watch(connection);
		return;
	}
	if ((ready & LOOP_WRITE) && !write_output(connection))
		return;
	if ((ready & (LOOP_READ | LOOP_HANGUP)) && !connection->paused && !connection->input_ended)
		read_input(connection);
}

static void on_wake(struct loop_timer *timer)
{
	struct port_connection *connection = container_of(timer, struct port_connection, wake_timer);
	if (connection->failed)
		connection->handler.on_failed(connection->handler.context, connection->message);
}

struct port_connection *port_connection_open(struct loop *loop, const char *network_path, int port,
                                             const struct port_connection_handler *handler)
{
	struct port_connection *connection = NEW(struct port_connection);
	*connection = (struct port_connection){
	        .loop = loop,
	        .handler = *handler,
	        .network_path = xstrdup(network_path),
	        .port = port,
	        .fd = -1,
	        .output = STRBUF_INIT(MAX_QUEUE_BYTES),
	};
	try_next(connection);
	return connection;
}

void port_connection_write(struct port_connection *connection, const void *data, size_t length)
{
	if (connection->failed || connection->finished)
		return;
	strbuf_append(&connection->output, data, length);
	if (connection->connected)
		watch(connection);
}

void port_connection_finish(struct port_connection *connection)
{
	connection->finished = true;
	if (connection->connected)
		watch(connection);
}

size_t port_connection_pending_bytes(const struct port_connection *connection)
{
	return connection->output.length;
}

void port_connection_pause(struct port_connection *connection, bool pause)
{
	connection->paused = pause;
	if (connection->connected)
		watch(connection);
}

void port_connection_close(struct port_connection *connection)
{
	if (!connection)
		return;
	loop_timer_stop(&connection->wake_timer);
	close_socket(connection);
	strbuf_done(&connection->output);
	free(connection->network_path);
	free(connection);
}
