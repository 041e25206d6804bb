// SPDX-License-Identifier: Apache-2.0
// The first byte of each WebSocket message is its channel:
//
//   0 stdin   1 stdout   2 stderr   3 the outcome, a Status   4 the terminal's size
//   255 (v5)  the client closes the channel that the next byte names
//
//   client ──0──▶ waiting input ──▶ pipe or terminal ──▶ command ──▶ pipes ──1,2──▶ client
//
// Back-pressure. Input: at most MAX_WAITING_BYTES (and one read of the tunnel) wait for
// the command; beyond, nothing is taken from the tunnel. Output: while more than
// HIGH_WATER_BYTES wait for the client, the pipes aren't read; their sources are
// stopped, as a hang-up would be told again and again.
//
// The terminal passes everything through (raw): the one that the command sees is made
// by the runtime in the container.
//
// The end. The command has ended and its outputs are at their ends: the outcome is
// sent, then a close frame, then the connection ends. An output that something else
// still holds open is given up when nothing came from it for LINGER_NS. A client that
// leaves has its command killed. The session is freed when both the tunnel and the
// command are over; a command that outlives the server has `server` NULL.

#include "kubelet/server/exec_session.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/io/websocket.h"
#include "kubelet/runtime/runtime.h"
#include "kubelet/server/server_internal.h"

#define LINGER_NS (2 * NSEC_PER_SEC)

enum {
	CHANNEL_STDIN = 0,
	CHANNEL_STDOUT = 1,
	CHANNEL_STDERR = 2,
	CHANNEL_ERROR = 3,
	CHANNEL_RESIZE = 4,
	CHANNEL_CLOSE = 255,
	OUTPUT_COUNT = 2,
	PIECE_BYTES = 32768,
	HIGH_WATER_BYTES = 1 << 20,
	MAX_WAITING_BYTES = 1 << 20,
	MAX_MESSAGE_BYTES = 4 << 20,
	CLOSE_NORMAL = 1000,
};

struct exec_output {
	struct exec_session *session;
	struct loop_fd source;
	int fd; // -1: none, or at its end
	uint8_t channel;
};

struct exec_session {
	struct list node;              // server->execs
	struct kubelet_server *server; // NULL: it has ended before the command
	struct loop *loop;
	struct runtime *runtime;
	struct http_tunnel *tunnel; // NULL: closed
	struct websocket socket;
	struct runtime_exec *exec; // NULL: over
	bool tty;
	bool closes_channels; // v5
	struct exec_output outputs[OUTPUT_COUNT];
	bool outputs_paused;
	struct loop_timer linger_timer;
	int input_fd; // -1: none, or closed
	struct loop_fd input_source;
	struct strbuf waiting; // input
	bool input_ends;       // close it when nothing waits any more
	bool tunnel_paused;    // it has bytes that weren't taken
	int exit_code;
	char *error_text;
};

// --- ends ----------------------------------------------------------------------------

static void close_input(struct exec_session *session)
{
	loop_fd_stop(&session->input_source);
	if (session->input_fd >= 0)
		close(session->input_fd);
	session->input_fd = -1;
	strbuf_done(&session->waiting);
}

static void close_output(struct exec_output *output)
{
	loop_fd_stop(&output->source);
	if (output->fd >= 0)
		close(output->fd);
	output->fd = -1;
}

static void close_streams(struct exec_session *session)
{
	close_input(session);
	for (int index = 0; index < OUTPUT_COUNT; index++)
		close_output(&session->outputs[index]);
	loop_timer_stop(&session->linger_timer);
}

static void free_when_over(struct exec_session *session)
{
	if (session->tunnel || session->exec)
		return;
	close_streams(session);
	if (session->server)
		session->server->exec_count--;
	list_remove(&session->node);
	websocket_done(&session->socket);
	free(session->error_text);
	free(session);
}

static void leave(struct exec_session *session)
{
	close_streams(session);
	if (session->exec)
		session->runtime->operations->exec_kill(session->exec);
	free_when_over(session);
}

void exec_sessions_detach(struct kubelet_server *server)
{
	struct exec_session *session;
	list_for_each (session, &server->execs, node) {
		session->server = NULL;
		list_remove(&session->node);
	}
}

// --- the outcome ---------------------------------------------------------------------

static void send_channel(struct exec_session *session, uint8_t channel, const void *data, size_t length)
{
	AUTO_FREE uint8_t *message = xmalloc(length + 1);
	message[0] = channel;
	if (length)
		memcpy(message + 1, data, length);
	websocket_send(&session->socket, WEBSOCKET_BINARY, message, length + 1);
}

static struct json *cause_of(struct arena *arena, struct json *status)
{
	struct json *cause = json_object(arena);
	json_append(arena, json_ensure_array(arena, json_ensure_object(arena, status, "details"), "causes"), cause);
	return cause;
}

static void fill_exit_status(struct arena *arena, struct json *status, int exit_code)
{
	struct json *cause = cause_of(arena, status);
	json_set_text(arena, status, "message",
	              arena_printf(arena, "command terminated with non-zero exit code: exit status %d", exit_code));
	json_set_text(arena, status, "reason", "NonZeroExitCode");
	json_set_text(arena, cause, "reason", "ExitCode");
	json_set_text(arena, cause, "message", arena_printf(arena, "%d", exit_code));
}

static void fill_failure(struct arena *arena, struct json *status, const char *error_text)
{
	struct json *cause = cause_of(arena, status);
	const char *text = arena_printf(arena, "error executing command in container: %s", error_text);
	json_set_text(arena, status, "message", arena_printf(arena, "Internal error occurred: %s", text));
	json_set_text(arena, status, "reason", "InternalError");
	json_set_text(arena, cause, "message", text);
	json_set_integer(arena, status, "code", 500);
}

static void send_outcome(struct exec_session *session)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(64 << 10);
	struct json *status = json_object(arena);
	json_set(arena, status, "metadata", json_object(arena));
	json_set_text(arena, status, "status", session->exit_code ? "Failure" : "Success");
	if (session->exit_code > 0)
		fill_exit_status(arena, status, session->exit_code);
	else if (session->exit_code < 0)
		fill_failure(arena, status, session->error_text);
	json_write(&text, status);
	send_channel(session, CHANNEL_ERROR, strbuf_text(&text), text.length);
}

static bool has_open_output(const struct exec_session *session)
{
	return session->outputs[0].fd >= 0 || session->outputs[1].fd >= 0;
}

static void finish_when_done(struct exec_session *session)
{
	if (session->exec || has_open_output(session))
		return;
	if (session->tunnel) {
		send_outcome(session);
		websocket_close(&session->socket, CLOSE_NORMAL, "");
		http_tunnel_close(TAKE(session->tunnel));
	}
	free_when_over(session);
}

// --- output --------------------------------------------------------------------------

static void on_output(struct loop_fd *source, unsigned ready);

static void pause_outputs(struct exec_session *session, bool pause)
{
	session->outputs_paused = pause;
	for (int index = 0; index < OUTPUT_COUNT; index++) {
		struct exec_output *output = &session->outputs[index];
		if (pause)
			loop_fd_stop(&output->source);
		else if (output->fd >= 0 && !output->source.loop)
			loop_fd_start(session->loop, &output->source, output->fd, LOOP_READ, on_output);
	}
}

static void on_linger(struct loop_timer *timer)
{
	struct exec_session *session = container_of(timer, struct exec_session, linger_timer);
	if (session->outputs_paused) { // the client is slow: this says nothing
		loop_timer_start(session->loop, timer, LINGER_NS, on_linger);
		return;
	}
	for (int index = 0; index < OUTPUT_COUNT; index++)
		close_output(&session->outputs[index]);
	finish_when_done(session);
}

static void on_output(struct loop_fd *source, unsigned ready)
{
	struct exec_output *output = container_of(source, struct exec_output, source);
	struct exec_session *session = output->session;
	uint8_t message[1 + PIECE_BYTES];
	(void)ready;
	ssize_t count = read(output->fd, message + 1, PIECE_BYTES);
	if (count < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (count <= 0) { // EIO is a terminal's end
		close_output(output);
		finish_when_done(session);
		return;
	}
	message[0] = output->channel;
	websocket_send(&session->socket, WEBSOCKET_BINARY, message, (size_t)count + 1);
	if (!session->exec)
		loop_timer_start(session->loop, &session->linger_timer, LINGER_NS, on_linger);
	if (http_tunnel_pending_bytes(session->tunnel) > HIGH_WATER_BYTES)
		pause_outputs(session, true);
}

static void on_tunnel_drain(void *context)
{
	struct exec_session *session = context;
	if (session->outputs_paused)
		pause_outputs(session, false);
}

static void on_exec_done(void *context, int exit_code, const char *error_text)
{
	struct exec_session *session = context;
	session->exec = NULL;
	session->exit_code = exit_code;
	session->error_text = xstrdup(error_text ? error_text : "");
	close_input(session);
	if (has_open_output(session))
		loop_timer_start(session->loop, &session->linger_timer, LINGER_NS, on_linger);
	if (session->tunnel_paused && session->tunnel) {
		session->tunnel_paused = false;
		http_tunnel_resume(session->tunnel);
	}
	finish_when_done(session);
}

// --- input ---------------------------------------------------------------------------

static void write_input(struct exec_session *session)
{
	while (session->waiting.length) {
		ssize_t count = write(session->input_fd, session->waiting.data, session->waiting.length);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0 && errno == EAGAIN)
			break;
		if (count < 0) { // nobody reads it any more: what comes is dropped
			close_input(session);
			return;
		}
		strbuf_consume(&session->waiting, (size_t)count);
	}
	if (!session->waiting.length && session->input_ends)
		close_input(session);
}

static void on_input_ready(struct loop_fd *source, unsigned ready);

// Writes what the command takes now, and waits for the rest to be taken.
static void push_input(struct exec_session *session)
{
	if (session->input_fd >= 0)
		write_input(session);
	if (session->waiting.length && !session->input_source.loop)
		loop_fd_start(session->loop, &session->input_source, session->input_fd, LOOP_WRITE, on_input_ready);
	else if (!session->waiting.length)
		loop_fd_stop(&session->input_source);
	if (session->tunnel_paused && session->waiting.length < MAX_WAITING_BYTES / 2 && session->tunnel) {
		session->tunnel_paused = false;
		http_tunnel_resume(session->tunnel);
	}
}

static void on_input_ready(struct loop_fd *source, unsigned ready)
{
	(void)ready; // a write tells of a hang-up, too
	push_input(container_of(source, struct exec_session, input_source));
}

static void resize(struct exec_session *session, const uint8_t *data, size_t length)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct json *value = NULL;
	int64_t width = 0;
	int64_t height = 0;
	if (!session->tty || !session->exec || session->outputs[0].fd < 0 ||
	    json_parse(arena, (const char *)data, length, NULL, &value, NULL) < 0 ||
	    !json_get_integer(value, "Width", &width) || !json_get_integer(value, "Height", &height) || width <= 0 ||
	    height <= 0 || width > UINT16_MAX || height > UINT16_MAX)
		return;
	struct winsize size = {.ws_col = (unsigned short)width, .ws_row = (unsigned short)height};
	if (ioctl(session->outputs[0].fd, TIOCSWINSZ, &size) == 0)
		session->runtime->operations->exec_resized(session->exec);
}

static void on_message(void *context, enum websocket_opcode opcode, const uint8_t *data, size_t length)
{
	struct exec_session *session = context;
	(void)opcode;
	if (!length)
		return;
	if (data[0] == CHANNEL_STDIN && session->input_fd >= 0 && !session->input_ends) {
		strbuf_append(&session->waiting, data + 1, length - 1);
		push_input(session);
	} else if (data[0] == CHANNEL_RESIZE) {
		resize(session, data + 1, length - 1);
	} else if (data[0] == CHANNEL_CLOSE && session->closes_channels && length > 1 && data[1] == CHANNEL_STDIN) {
		session->input_ends = true;
		push_input(session);
	}
}

// --- the tunnel ----------------------------------------------------------------------

static void on_socket_close(void *context, uint16_t code, const char *reason)
{
	struct exec_session *session = context;
	(void)code;
	(void)reason;
	if (session->tunnel)
		http_tunnel_close(TAKE(session->tunnel));
	leave(session);
}

static void on_socket_send(void *context, const void *data, size_t length)
{
	struct exec_session *session = context;
	if (session->tunnel)
		http_tunnel_write(session->tunnel, data, length);
}

static size_t on_tunnel_data(void *context, const void *data, size_t length)
{
	struct exec_session *session = context;
	if (session->waiting.length >= MAX_WAITING_BYTES) {
		session->tunnel_paused = true;
		return 0;
	}
	(void)websocket_feed(&session->socket, data,
	                     length); // on_socket_close tells of every end; the session may be gone
	return length;
}

static void on_tunnel_close(void *context)
{
	struct exec_session *session = context;
	session->tunnel = NULL;
	leave(session);
}

// --- the start -----------------------------------------------------------------------

static void take_output(struct exec_session *session, int index, int fd)
{
	session->outputs[index].fd = fd;
	fcntl(fd, F_SETFL, O_NONBLOCK);
	loop_fd_start(session->loop, &session->outputs[index].source, fd, LOOP_READ, on_output);
}

static void take_input(struct exec_session *session, int fd)
{
	fcntl(fd, F_SETFL, O_NONBLOCK);
	session->input_fd = fd;
}

// What the command gets, and what stays with the session. False with errno.
static bool open_terminal(struct exec_session *session, bool input, int fds[3])
{
	struct termios raw;
	int master;
	if (openpty(&master, &fds[0], NULL, NULL, NULL) < 0)
		return false;
	fcntl(master, F_SETFD, FD_CLOEXEC);
	fcntl(fds[0], F_SETFD, FD_CLOEXEC);
	tcgetattr(fds[0], &raw);
	cfmakeraw(&raw);
	raw.c_oflag = 0; // ctr turns output processing on again, which is to find nothing to do
	tcsetattr(fds[0], TCSANOW, &raw);
	take_output(session, 0, master);
	int copy = input ? fcntl(master, F_DUPFD_CLOEXEC, 3) : -1;
	if (copy >= 0)
		take_input(session, copy);
	return copy >= 0 || !input;
}

static bool open_pipes(struct exec_session *session, const struct exec_request *wanted, int fds[3])
{
	const bool wants[3] = {wanted->input, wanted->output, wanted->error};
	for (int number = 0; number < 3; number++) {
		int ends[2];
		if (!wants[number]) {
			fds[number] = open("/dev/null", O_RDWR | O_CLOEXEC);
			if (fds[number] < 0)
				return false;
			continue;
		}
		if (pipe2(ends, O_CLOEXEC) < 0)
			return false;
		fds[number] = ends[number ? 1 : 0];
		if (number)
			take_output(session, number - 1, ends[0]);
		else
			take_input(session, ends[1]);
	}
	return true;
}

static struct exec_session *session_new(struct kubelet_server *server, const char *protocol, bool tty)
{
	struct exec_session *session = NEW(struct exec_session);
	*session = (struct exec_session){
	        .server = server,
	        .loop = server->kubelet->loop,
	        .runtime = server->kubelet->runtime,
	        .tty = tty,
	        .closes_channels = protocol[1] == '5',
	        .input_fd = -1,
	        .waiting = STRBUF_INIT(2 * MAX_WAITING_BYTES + MAX_MESSAGE_BYTES),
	        .outputs = {{.session = session, .fd = -1, .channel = CHANNEL_STDOUT},
	                    {.session = session, .fd = -1, .channel = CHANNEL_STDERR}},
	};
	list_append(&server->execs, &session->node);
	server->exec_count++;
	websocket_init(&session->socket, false, MAX_MESSAGE_BYTES);
	session->socket.on_message = on_message;
	session->socket.on_close = on_socket_close;
	session->socket.send = on_socket_send;
	session->socket.context = session;
	return session;
}

static void upgrade(struct exec_session *session, struct http_exchange *exchange, const char *protocol)
{
	static const struct http_tunnel_callbacks callbacks = {
	        .on_data = on_tunnel_data,
	        .on_drain = on_tunnel_drain,
	        .on_close = on_tunnel_close,
	};
	char accept[29];
	websocket_accept_key(http_request_header(http_exchange_request(exchange), "sec-websocket-key"), accept);
	const struct http_header headers[] = {
	        {"upgrade", "websocket"},
	        {"connection", "Upgrade"},
	        {"sec-websocket-accept", accept},
	        {"sec-websocket-protocol", protocol},
	};
	session->tunnel = http_exchange_upgrade(exchange, headers, ARRAY_SIZE(headers), &callbacks, session);
}

void exec_session_start(struct kubelet_server *server, struct http_exchange *exchange, const char *protocol,
                        const struct exec_request *wanted)
{
	struct exec_session *session = session_new(server, protocol, wanted->tty);
	int fds[3] = {-1, -1, -1};
	bool fine = wanted->tty ? open_terminal(session, wanted->input, fds) : open_pipes(session, wanted, fds);
	int error_number = errno;
	if (fine)
		upgrade(session, exchange, protocol);
	if (session->tunnel) {
		struct runtime_exec_config config = {
		        .container_id = wanted->container_id,
		        .command = wanted->command,
		        .tty = wanted->tty,
		        .fds = {fds[0], fds[1], fds[2]},
		};
		// An empty message says that the stream stands, as upstream's server does.
		send_channel(session,
		             wanted->output  ? CHANNEL_STDOUT
		             : wanted->error ? CHANNEL_STDERR
		                             : CHANNEL_ERROR,
		             NULL, 0);
		session->exec =
		        session->runtime->operations->exec_start(session->runtime, &config, on_exec_done, session);
		log_v(3, "Command started", kv_str("containerID", wanted->container_id),
		      kv_str("command", wanted->command[0]), kv_bool("tty", wanted->tty));
	} else {
		server_respond_error(exchange, fine ? 400 : 500, "unable to upgrade: %s",
		                     fine ? "the client has gone" : strerror(error_number));
		free_when_over(session);
	}
	for (int number = 0; number < 3; number++)
		if (fds[number] >= 0)
			close(fds[number]);
}
