// SPDX-License-Identifier: Apache-2.0
// /exec/{namespace}/{pod}/{container}: a command in a running container over a
// WebSocket, protocols v5.channel.k8s.io and v4.channel.k8s.io. The first byte of each
// message is its channel:
//
//   0 stdin   1 stdout   2 stderr   3 the outcome, a Status   4 terminal size
//   255 (v5)  the client closes the channel named by the next byte
//
//   client ──0──▶ input ──▶ pipe or terminal ──▶ ctr ──▶ pipes ──1,2──▶ client
//
// Back-pressure goes both ways: output isn't read while the client is slow, input
// isn't taken while the command is. The session ends when the command has ended and
// all its output was read; a client that leaves has its command killed. It is freed
// when both tunnel and command are over.

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/io/websocket.h"
#include "kubelet/runtime/runtime.h"
#include "kubelet/server/server_internal.h"

enum {
	CHANNEL_STDIN = 0,
	CHANNEL_STDOUT = 1,
	CHANNEL_STDERR = 2,
	CHANNEL_ERROR = 3,
	CHANNEL_RESIZE = 4,
	CHANNEL_CLOSE = 255,
	OUTPUT_COUNT = 2,
	PIECE_BYTES = 32768,
	HIGH_WATER_BYTES = 512 << 10,
	MAX_INPUT_BYTES = 4 << 20,
	MAX_MESSAGE_BYTES = 1 << 20,
};

struct exec_session;

struct output {
	struct exec_session *session;
	struct loop_fd source;
	int fd; // -1: none, or at its end
	uint8_t channel;
};

struct exec_session {
	struct kubelet *kubelet;
	struct http_tunnel *tunnel; // NULL: closed
	struct websocket socket;
	struct runtime_exec *exec; // NULL: over
	struct output outputs[OUTPUT_COUNT];
	int input_fd; // -1: none, or closed
	struct loop_fd input_source;
	struct strbuf input;
	bool input_ends; // close it when what is waiting is written
	bool tty;
	bool ended;
	int exit_code;
	char *error_text;
};

// --- the end ------------------------------------------------------------------------------

static void close_input(struct exec_session *session)
{
	loop_fd_stop(&session->input_source);
	if (session->input_fd >= 0 && !session->tty)
		close(session->input_fd);
	session->input_fd = -1;
}

static void close_output(struct output *output)
{
	loop_fd_stop(&output->source);
	if (output->fd >= 0)
		close(output->fd);
	output->fd = -1;
}

static void free_when_over(struct exec_session *session)
{
	if (session->tunnel || session->exec)
		return;
	close_input(session);
	for (int index = 0; index < OUTPUT_COUNT; index++)
		close_output(&session->outputs[index]);
	websocket_done(&session->socket);
	strbuf_done(&session->input);
	free(session->error_text);
	free(session);
}

static void send_channel(struct exec_session *session, uint8_t channel, const void *data, size_t length)
{
	AUTO_FREE uint8_t *message = xmalloc(length + 1);
	message[0] = channel;
	if (length)
		memcpy(message + 1, data, length);
	websocket_send(&session->socket, WEBSOCKET_BINARY, message, length + 1);
}

static void send_outcome(struct exec_session *session)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(64 << 10);
	if (session->exit_code == 0) {
		strbuf_append_text(&text, "{\"metadata\":{},\"status\":\"Success\"}");
	} else if (session->exit_code > 0) {
		strbuf_printf(&text,
			      "{\"metadata\":{},\"status\":\"Failure\",\"message\":\"command terminated with non-zero exit "
			      "code: exit status %d\",\"reason\":\"NonZeroExitCode\",\"details\":{\"causes\":[{\"reason\":"
			      "\"ExitCode\",\"message\":\"%d\"}]}}",
			      session->exit_code, session->exit_code);
	} else {
		strbuf_append_text(&text, "{\"metadata\":{},\"status\":\"Failure\",\"reason\":\"InternalError\",\"code\":500,"
					  "\"message\":");
		json_write_string(&text, session->error_text, strlen(session->error_text));
		strbuf_append_char(&text, '}');
	}
	send_channel(session, CHANNEL_ERROR, strbuf_text(&text), text.length);
}

// The command has ended and its output is read: say how, and close.
static void finish_when_done(struct exec_session *session)
{
	if (!session->ended)
		return;
	for (int index = 0; index < OUTPUT_COUNT && session->tunnel; index++)
		if (session->outputs[index].fd >= 0)
			return;
	if (session->tunnel) {
		send_outcome(session);
		websocket_close(&session->socket, 1000, "");
		http_tunnel_close(TAKE(session->tunnel));
	}
	free_when_over(session);
}

static void on_exec_done(void *context, int exit_code, const char *error_text)
{
	struct exec_session *session = context;
	session->exec = NULL;
	session->ended = true;
	session->exit_code = exit_code;
	session->error_text = xstrdup(error_text);
	close_input(session);
	finish_when_done(session);
}

// --- output --------------------------------------------------------------------------------

static void on_output(struct loop_fd *source, unsigned ready)
{
	struct output *output = container_of(source, struct output, source);
	struct exec_session *session = output->session;
	char piece[PIECE_BYTES];
	(void)ready;
	ssize_t count = read(output->fd, piece, sizeof(piece));
	if (count < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (count <= 0) { // EIO of a terminal is its end, too
		close_output(output);
		if (session->tty)
			session->input_fd = -1;
		finish_when_done(session);
		return;
	}
	if (!session->tunnel)
		return;
	send_channel(session, output->channel, piece, (size_t)count);
	if (http_tunnel_pending_bytes(session->tunnel) > HIGH_WATER_BYTES)
		for (int index = 0; index < OUTPUT_COUNT; index++)
			if (session->outputs[index].source.loop)
				loop_fd_set_events(&session->outputs[index].source, 0);
}

static void on_drain(void *context)
{
	struct exec_session *session = context;
	for (int index = 0; index < OUTPUT_COUNT; index++)
		if (session->outputs[index].source.loop)
			loop_fd_set_events(&session->outputs[index].source, LOOP_READ);
}

// --- input ----------------------------------------------------------------------------------

static void write_input(struct exec_session *session)
{
	while (session->input_fd >= 0 && session->input.length) {
		ssize_t count = write(session->input_fd, session->input.data, session->input.length);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0 && errno == EAGAIN)
			break;
		if (count < 0) { // the command doesn't read it any more
			strbuf_clear(&session->input);
			close_input(session);
			break;
		}
		strbuf_consume(&session->input, (size_t)count);
	}
	if (!session->input.length && session->input_ends)
		close_input(session);
	if (session->input_source.loop)
		loop_fd_set_events(&session->input_source, session->input.length ? LOOP_WRITE : 0);
	if (session->tunnel && session->input.length < MAX_INPUT_BYTES / 4)
		http_tunnel_resume(session->tunnel);
}

static void on_input_ready(struct loop_fd *source, unsigned ready)
{
	struct exec_session *session = container_of(source, struct exec_session, input_source);
	if ((ready & LOOP_HANGUP) && !(ready & LOOP_WRITE)) {
		strbuf_clear(&session->input);
		close_input(session);
		return;
	}
	write_input(session);
}

static void resize(struct exec_session *session, const uint8_t *data, size_t length)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct json *value;
	int64_t width = 0;
	int64_t height = 0;
	if (!session->tty || session->outputs[0].fd < 0 ||
	    json_parse(arena, (const char *)data, length, NULL, &value, NULL) < 0)
		return;
	json_get_integer(value, "Width", &width);
	json_get_integer(value, "Height", &height);
	if (width <= 0 || height <= 0 || width > UINT16_MAX || height > UINT16_MAX)
		return;
	struct winsize size = {.ws_col = (unsigned short)width, .ws_row = (unsigned short)height};
	ioctl(session->outputs[0].fd, TIOCSWINSZ, &size);
	if (session->exec)
		session->kubelet->runtime->operations->exec_resized(session->exec);
}

static void on_message(void *context, enum websocket_opcode opcode, const uint8_t *data, size_t length)
{
	struct exec_session *session = context;
	(void)opcode;
	if (!length)
		return;
	switch (data[0]) {
	case CHANNEL_STDIN:
		if (session->input_fd >= 0 && !session->input_ends)
			strbuf_append(&session->input, data + 1, length - 1);
		write_input(session);
		break;
	case CHANNEL_RESIZE:
		resize(session, data + 1, length - 1);
		break;
	case CHANNEL_CLOSE:
		if (length > 1 && data[1] == CHANNEL_STDIN) {
			session->input_ends = true;
			write_input(session);
		}
		break;
	default:
		break;
	}
}

// --- the tunnel --------------------------------------------------------------------------------

static void on_socket_close(void *context, uint16_t code, const char *reason)
{
	(void)context; // the stream's end follows
	(void)code;
	(void)reason;
}

static void on_socket_send(void *context, const void *data, size_t length)
{
	struct exec_session *session = context;
	if (session->tunnel)
		http_tunnel_write(session->tunnel, data, length);
}

static void leave(struct exec_session *session)
{
	if (session->exec)
		session->kubelet->runtime->operations->exec_kill(session->exec);
	free_when_over(session);
}

static size_t on_tunnel_data(void *context, const void *data, size_t length)
{
	struct exec_session *session = context;
	if (session->input.length > MAX_INPUT_BYTES / 2)
		return 0;
	bool fine = websocket_feed(&session->socket, data, length);
	if (!fine || session->socket.close_received) {
		http_tunnel_close(TAKE(session->tunnel));
		leave(session);
	}
	return length;
}

static void on_tunnel_close(void *context)
{
	struct exec_session *session = context;
	session->tunnel = NULL;
	leave(session);
}

// --- the start ---------------------------------------------------------------------------------

struct wishes {
	bool input, output, error, tty;
};

static bool wants(const struct server_request *request, const char *name, const char *other_name)
{
	const char *text = server_query(request, name);
	if (!text)
		text = server_query(request, other_name);
	return text && (!strcmp(text, "1") || !strcmp(text, "true"));
}

static void add_output(struct exec_session *session, int index, int fd, uint8_t channel)
{
	struct output *output = &session->outputs[index];
	*output = (struct output){.session = session, .fd = fd, .channel = channel};
	fcntl(fd, F_SETFL, O_NONBLOCK);
	loop_fd_start(session->kubelet->loop, &output->source, fd, LOOP_READ, on_output);
}

static void add_input(struct exec_session *session, int fd)
{
	session->input_fd = fd;
	if (session->tty)
		return; // shares the terminal, whose source waits for output
	fcntl(fd, F_SETFL, O_NONBLOCK);
	loop_fd_start(session->kubelet->loop, &session->input_source, fd, 0, on_input_ready);
}

// Fills the command's ends; ours go to the session.
static int open_streams(struct exec_session *session, const struct wishes *wishes, int fds[3])
{
	int ends[2];
	if (wishes->tty) {
		int master;
		if (openpty(&master, &fds[0], NULL, NULL, NULL) < 0)
			return -errno;
		fcntl(master, F_SETFD, FD_CLOEXEC);
		fcntl(fds[0], F_SETFD, FD_CLOEXEC);
		add_output(session, 0, master, CHANNEL_STDOUT);
		add_input(session, master);
		return 0;
	}
	fds[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (wishes->input && pipe2(ends, O_CLOEXEC) == 0) {
		close(fds[0]);
		fds[0] = ends[0];
		add_input(session, ends[1]);
	}
	const bool wanted[OUTPUT_COUNT] = {wishes->output, wishes->error};
	for (int index = 0; index < OUTPUT_COUNT; index++) {
		if (!wanted[index]) {
			fds[1 + index] = open("/dev/null", O_WRONLY | O_CLOEXEC);
			continue;
		}
		if (pipe2(ends, O_CLOEXEC) < 0)
			return -errno;
		fds[1 + index] = ends[1];
		add_output(session, index, ends[0], (uint8_t)(CHANNEL_STDOUT + index));
	}
	return 0;
}

static struct exec_session *session_new(struct kubelet *kubelet, bool tty)
{
	struct exec_session *session = NEW(struct exec_session);
	*session = (struct exec_session){
		.kubelet = kubelet,
		.tty = tty,
		.input_fd = -1,
		.input = STRBUF_INIT(MAX_INPUT_BYTES),
		.outputs = {{.fd = -1}, {.fd = -1}},
	};
	websocket_init(&session->socket, false, MAX_MESSAGE_BYTES);
	session->socket.on_message = on_message;
	session->socket.on_close = on_socket_close;
	session->socket.send = on_socket_send;
	session->socket.context = session;
	return session;
}

static void upgrade(struct server_request *request, struct exec_session *session, const char *protocol)
{
	static const struct http_tunnel_callbacks callbacks = {
		.on_data = on_tunnel_data, .on_drain = on_drain, .on_close = on_tunnel_close};
	const struct http_request *head = http_exchange_request(request->exchange);
	char accept[29];
	websocket_accept_key(http_request_header(head, "sec-websocket-key"), accept);
	const struct http_header headers[] = {
		{"upgrade", "websocket"},
		{"connection", "Upgrade"},
		{"sec-websocket-accept", accept},
		{"sec-websocket-protocol", protocol},
	};
	session->tunnel = http_exchange_upgrade(request->exchange, headers, ARRAY_SIZE(headers), &callbacks, session);
}

void server_handle_exec(struct server_request *request)
{
	static const char *const protocols[] = {"v5.channel.k8s.io", "v4.channel.k8s.io", NULL};
	const struct http_request *head = http_exchange_request(request->exchange);
	struct pod_container *container = server_find_container(request);
	if (!container)
		return;
	const char *const *command = server_query_all(request, "command");
	struct wishes wishes = {
		.input = wants(request, "input", "stdin"),
		.output = wants(request, "output", "stdout"),
		.error = wants(request, "error", "stderr"),
		.tty = wants(request, "tty", "tty"),
	};
	if (!command[0]) {
		server_respond_error(request->exchange, 400, "you must specify at least one command for the container\n");
		return;
	}
	if (!wishes.input && !wishes.output && !wishes.error && !wishes.tty) {
		server_respond_error(request->exchange, 400, "you must specify at least 1 of stdin, stdout, stderr\n");
		return;
	}
	const char *protocol = websocket_is_upgrade(head) ? websocket_choose_protocol(head, protocols) : NULL;
	if (!protocol) {
		server_respond_error(request->exchange, 400,
				     "exec needs a WebSocket with protocol v5.channel.k8s.io or v4.channel.k8s.io\n");
		return;
	}
	if (container->state != CONTAINER_RUNNING) {
		server_respond_error(request->exchange, 500, "container not found (\"%s\")\n", container->name);
		return;
	}
	struct exec_session *session = session_new(request->kubelet, wishes.tty);
	struct runtime *runtime = request->kubelet->runtime;
	int fds[3] = {-1, -1, -1};
	int failure = open_streams(session, &wishes, fds);
	struct runtime_exec_config config = {
		.container_id = container->run.id, .command = command, .tty = wishes.tty, .fds = {fds[0], fds[1], fds[2]}};
	if (failure) {
		server_respond_error(request->exchange, 500, "could not open the streams: %s\n", strerror(-failure));
		free_when_over(session);
	} else {
		upgrade(request, session, protocol);
		session->exec = runtime->operations->exec_start(runtime, &config, on_exec_done, session);
	}
	for (int index = 0; index < 3; index++)
		if (fds[index] >= 0)
			close(fds[index]);
}
