// SPDX-License-Identifier: Apache-2.0
// One connection, in these steps:
//
//   connect -> the upgrade's head -> channels -> the error channel's Status -> close
//
// Before the upgrade the answer is read as HTTP: anything but 101 is the server's
// refusal, whose body is a Status. After it every message begins with its channel's
// number. The Status on the error channel ends the command: Success, or a failure
// whose cause ExitCode is our own exit code. What stdin brings is read only while the
// connection isn't behind, so a slow server holds the reader back and not the memory.
// A terminal is put into raw mode after the upgrade and set back before anything else
// is printed.

#include "ctl/exec_stream.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "common/base/memory.h"
#include "common/base/strbuf.h"
#include "common/io/loop.h"
#include "common/io/stream.h"
#include "common/io/websocket.h"
#include "ctl/ctl.h"
#include "ctl/errors.h"

enum {
	CHANNEL_STDIN,
	CHANNEL_STDOUT,
	CHANNEL_STDERR,
	CHANNEL_ERROR,
	CHANNEL_RESIZE,
	CHANNEL_CLOSE = 255,
};

enum {
	MAX_HEAD_BYTES = 64 * 1024,
	MAX_REFUSAL_BYTES = 1 << 20,
	MAX_MESSAGE_BYTES = 32 << 20,
	STDIN_CHUNK = 16 * 1024,
	MAX_PENDING = 256 * 1024,
};

struct exec_stream {
	struct ctl *ctl;
	const struct exec_stream_options *options;
	struct rest_endpoint endpoint;
	struct stream *stream;
	struct websocket socket;
	struct strbuf head;
	struct strbuf refusal;
	int http_status;      // 0 until the head is there
	int64_t content_left; // of a refusal; -1 = until the connection closes
	bool upgraded;
	bool knows_close; // v5
	bool done;
	struct err err;
	struct strbuf status; // what came on the error channel
	bool status_came;
	struct loop_fd input;
	bool input_started, input_ended;
	bool regular_input; // epoll can't watch a file: it is read at each drain
	struct loop_signal resized;
	bool raw;
	struct termios saved;
	char key[25];
};

// --- the terminal ---------------------------------------------------------------------------------------

static void set_raw(struct exec_stream *exec)
{
	struct termios raw;
	if (!exec->options->terminal || tcgetattr(STDIN_FILENO, &exec->saved) < 0)
		return;
	raw = exec->saved;
	cfmakeraw(&raw);
	exec->raw = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

static void restore_terminal(struct exec_stream *exec)
{
	if (exec->raw)
		tcsetattr(STDIN_FILENO, TCSANOW, &exec->saved);
	exec->raw = false;
}

static void send_channel(struct exec_stream *exec, uint8_t channel, const void *data, size_t length)
{
	AUTO_FREE uint8_t *message = xmalloc(length + 1);
	message[0] = channel;
	if (length)
		memcpy(message + 1, data, length);
	websocket_send(&exec->socket, WEBSOCKET_BINARY, message, length + 1);
}

static void send_size(struct exec_stream *exec)
{
	struct winsize size;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 && ioctl(STDIN_FILENO, TIOCGWINSZ, &size) < 0)
		return;
	AUTO_FREE char *text = xasprintf("{\"Width\":%u,\"Height\":%u}", size.ws_col, size.ws_row);
	send_channel(exec, CHANNEL_RESIZE, text, strlen(text));
}

static void on_resized(struct loop_signal *signal)
{
	send_size(container_of(signal, struct exec_stream, resized));
}

// --- stdin ----------------------------------------------------------------------------------------------

static void end_input(struct exec_stream *exec)
{
	const uint8_t channel = CHANNEL_STDIN;
	if (exec->input_ended)
		return;
	exec->input_ended = true;
	loop_fd_stop(&exec->input);
	if (exec->knows_close)
		send_channel(exec, CHANNEL_CLOSE, &channel, 1);
}

// False when there is no more for the moment.
static bool read_input(struct exec_stream *exec)
{
	char chunk[STDIN_CHUNK];
	ssize_t length = read(STDIN_FILENO, chunk, sizeof(chunk));
	if (length < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (length <= 0) {
		end_input(exec);
		return false;
	}
	send_channel(exec, CHANNEL_STDIN, chunk, (size_t)length);
	return true;
}

static void on_input(struct loop_fd *source, unsigned ready)
{
	struct exec_stream *exec = container_of(source, struct exec_stream, input);
	(void)ready;
	read_input(exec);
	if (!exec->input_ended && stream_pending_bytes(exec->stream) > MAX_PENDING)
		loop_fd_stop(&exec->input);
}

static void read_regular_input(struct exec_stream *exec)
{
	while (!exec->input_ended && stream_pending_bytes(exec->stream) <= MAX_PENDING && read_input(exec))
		continue;
}

// Files and /dev/null can be sought, and epoll refuses them; pipes, sockets and terminals can't be.
static bool is_pollable(int fd)
{
	return lseek(fd, 0, SEEK_CUR) < 0;
}

static void start_input(struct exec_stream *exec)
{
	if (!exec->options->with_stdin)
		return;
	exec->input_started = true;
	exec->regular_input = !is_pollable(STDIN_FILENO);
	if (exec->regular_input)
		read_regular_input(exec);
	else
		loop_fd_start(exec->ctl->loop, &exec->input, STDIN_FILENO, LOOP_READ, on_input);
}

static void on_drain(void *context)
{
	struct exec_stream *exec = context;
	if (!exec->input_started || exec->input_ended)
		return;
	if (exec->regular_input)
		read_regular_input(exec);
	else if (!exec->input.loop)
		loop_fd_start(exec->ctl->loop, &exec->input, STDIN_FILENO, LOOP_READ, on_input);
}

// --- channels -------------------------------------------------------------------------------------------

static void write_out(int fd, const uint8_t *data, size_t length)
{
	while (length > 0) {
		ssize_t written = write(fd, data, length);
		if (written < 0 && errno != EINTR && errno != EAGAIN)
			return;
		if (written > 0) {
			data += written;
			length -= (size_t)written;
		}
	}
}

static void on_message(void *context, enum websocket_opcode opcode, const uint8_t *data, size_t length)
{
	struct exec_stream *exec = context;
	(void)opcode;
	if (!length)
		return;
	switch (data[0]) {
	case CHANNEL_STDOUT:
		write_out(STDOUT_FILENO, data + 1, length - 1);
		break;
	case CHANNEL_STDERR:
		write_out(STDERR_FILENO, data + 1, length - 1);
		break;
	case CHANNEL_ERROR:
		strbuf_append(&exec->status, data + 1, length - 1);
		exec->status_came = true;
		break;
	default:
		break; // a channel's end, or one that nobody asked for
	}
}

static void on_websocket_close(void *context, uint16_t code, const char *reason)
{
	struct exec_stream *exec = context;
	if (!exec->status_came && code != 1000 && code != 1005 && exec->err.code == ERR_NONE)
		(void)err_set(&exec->err, ERR_IO, "error reading from error stream: websocket: close %u: %s", code,
		              reason ? reason : "");
	exec->done = true;
}

static void on_websocket_send(void *context, const void *data, size_t length)
{
	struct exec_stream *exec = context;
	if (exec->stream)
		stream_write(exec->stream, data, length);
}

// --- the upgrade ----------------------------------------------------------------------------------------

static void on_connect(void *context)
{
	struct exec_stream *exec = context;
	AUTO_STRBUF struct strbuf request = STRBUF_INIT(1 << 20);
	const struct client_config *config = &exec->ctl->config;
	websocket_new_key(exec->key);
	strbuf_printf(&request, "GET %s%s HTTP/1.1\r\n", exec->endpoint.base_path ? exec->endpoint.base_path : "",
	              exec->options->path);
	strbuf_printf(&request, strchr(exec->endpoint.host, ':') ? "Host: [%s]:%d\r\n" : "Host: %s:%d\r\n",
	              exec->endpoint.host, exec->endpoint.port);
	strbuf_printf(&request,
	              "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
	              "Sec-WebSocket-Protocol: v5.channel.k8s.io, v4.channel.k8s.io\r\nSec-WebSocket-Key: %s\r\n",
	              exec->key);
	if (exec->endpoint.authorization)
		strbuf_printf(&request, "Authorization: %s\r\n", exec->endpoint.authorization);
	if (config->as_user)
		strbuf_printf(&request, "Impersonate-User: %s\r\n", config->as_user);
	if (config->as_uid)
		strbuf_printf(&request, "Impersonate-Uid: %s\r\n", config->as_uid);
	for (const char *const *group = config->as_groups; group && *group; group++)
		strbuf_printf(&request, "Impersonate-Group: %s\r\n", *group);
	strbuf_printf(&request, "User-Agent: %s/" CARAVEL_VERSION "\r\n\r\n", exec->ctl->program);
	stream_write(exec->stream, request.data, request.length);
}

// The value of a header in the head, in the arena; NULL = none.
static const char *header(struct exec_stream *exec, const char *name)
{
	size_t name_length = strlen(name);
	for (const char *line = strstr(exec->head.data, "\r\n"); line; line = strstr(line + 2, "\r\n")) {
		const char *start = line + 2;
		if (strncasecmp(start, name, name_length) != 0 || start[name_length] != ':')
			continue;
		const char *value = start + name_length + 1;
		value += strspn(value, " \t");
		return arena_strndup(exec->ctl->arena, value, strcspn(value, "\r\n"));
	}
	return NULL;
}

static void fail(struct exec_stream *exec, const char *message)
{
	if (exec->err.code == ERR_NONE)
		(void)err_set(&exec->err, ERR_IO, "%s", message);
	exec->done = true;
}

static void begin_channels(struct exec_stream *exec)
{
	char accept[29];
	const char *answer = header(exec, "Sec-WebSocket-Accept"), *protocol = header(exec, "Sec-WebSocket-Protocol");
	websocket_accept_key(exec->key, accept);
	if (!answer || strcmp(answer, accept) != 0) {
		fail(exec, "error dialing backend: the server's WebSocket handshake is not valid");
		return;
	}
	exec->knows_close = protocol && strcmp(protocol, "v5.channel.k8s.io") == 0;
	exec->upgraded = true;
	set_raw(exec);
	if (exec->options->terminal) {
		send_size(exec);
		loop_signal_start(exec->ctl->loop, &exec->resized, SIGWINCH, on_resized);
	}
	start_input(exec);
}

static void read_refusal(struct exec_stream *exec, const char *data, size_t length)
{
	strbuf_append(&exec->refusal, data, length);
	if (exec->content_left >= 0) {
		exec->content_left -= (int64_t)length;
		exec->done = exec->content_left <= 0;
	}
}

// Takes the head's bytes; returns how many of `length` belong to it.
static size_t read_head(struct exec_stream *exec, const char *data, size_t length)
{
	size_t before = exec->head.length;
	strbuf_append(&exec->head, data, length);
	char *end = exec->head.data ? strstr(exec->head.data, "\r\n\r\n") : NULL;
	if (!end) {
		if (exec->head.overflowed)
			fail(exec, "error dialing backend: the server's answer is not HTTP");
		return length;
	}
	size_t head_length = (size_t)(end - exec->head.data) + 4;
	end[2] = '\0';
	if (strncmp(exec->head.data, "HTTP/1.", 7) != 0 || strlen(exec->head.data) < 12) {
		fail(exec, "error dialing backend: the server's answer is not HTTP");
		return length;
	}
	exec->http_status = (int)strtol(exec->head.data + 9, NULL, 10);
	const char *content_length = header(exec, "Content-Length");
	exec->content_left = content_length ? strtoll(content_length, NULL, 10) : -1;
	if (exec->http_status == 101)
		begin_channels(exec);
	else
		exec->done = exec->content_left == 0;
	return head_length - before;
}

static size_t on_data(void *context, const void *data, size_t length)
{
	struct exec_stream *exec = context;
	size_t taken = 0;
	if (exec->http_status == 0)
		taken = read_head(exec, data, length);
	const char *rest = (const char *)data + taken;
	if (taken < length && exec->upgraded && !websocket_feed(&exec->socket, rest, length - taken))
		fail(exec, "error reading from error stream: the server broke the WebSocket protocol");
	else if (taken < length && !exec->upgraded && !exec->done)
		read_refusal(exec, rest, length - taken);
	return length;
}

static void on_close(void *context, const struct err *err)
{
	struct exec_stream *exec = context;
	if (err && !exec->status_came && exec->err.code == ERR_NONE && exec->http_status <= 101)
		(void)err_copy(&exec->err, err);
	exec->done = true;
}

// --- the end ----------------------------------------------------------------------------------------------

static const char *exit_code_cause(const struct json *status)
{
	json_for_each_item (cause, json_path(status, "details", "causes")) {
		const char *reason = json_get_text(cause, "reason");
		if (reason && strcmp(reason, "ExitCode") == 0)
			return json_get_text(cause, "message");
	}
	return NULL;
}

// What the error channel said: a Status, or with the oldest servers plain text.
static int judge_status(struct ctl *ctl, const struct strbuf *text)
{
	struct json *status;
	if (json_parse(ctl->arena, strbuf_text(text), text->length, NULL, &status, NULL) < 0)
		return report(ctl, "error executing remote command: %s", strbuf_text(text));
	const char *outcome = json_get_text(status, "status"), *reason = json_get_text(status, "reason");
	const char *message = json_get_text(status, "message"), *code = exit_code_cause(status);
	if (outcome && strcmp(outcome, "Success") == 0)
		return EXIT_OK;
	if (reason && strcmp(reason, "NonZeroExitCode") == 0 && code) {
		fprintf(ctl->err, "command terminated with exit code %s\n", code);
		return (int)strtol(code, NULL, 10);
	}
	return report(ctl, "%s", message ? message : "error stream protocol error: unknown error");
}

static int judge_refusal(struct exec_stream *exec)
{
	struct ctl *ctl = exec->ctl;
	struct rest_response response = {
	        .http_status = exec->http_status,
	        .body = strbuf_text(&exec->refusal),
	        .body_length = exec->refusal.length,
	};
	if (json_parse(ctl->arena, response.body, response.body_length, NULL, &response.object, NULL) < 0)
		response.object = NULL;
	const char *message = json_get_text(response.object, "message");
	(void)err_set(&response.err, err_code_from_status(json_get_text(response.object, "reason"), exec->http_status),
	              "%s",
	              message                ? message
	              : response.body_length ? response.body
	                                     : "unable to upgrade connection");
	return report_response(ctl, &response, NULL);
}

static int judge(struct exec_stream *exec)
{
	if (exec->status_came)
		return judge_status(exec->ctl, &exec->status);
	if (exec->http_status && !exec->upgraded)
		return judge_refusal(exec);
	if (exec->err.code == ERR_NONE)
		return EXIT_OK;
	return exec->http_status ? report_err(exec->ctl, &exec->err) : report_call_err(exec->ctl, &exec->err);
}

static void finish(struct exec_stream *exec)
{
	restore_terminal(exec);
	loop_fd_stop(&exec->input);
	loop_signal_stop(&exec->resized);
	exec->stream = stream_free(exec->stream);
	websocket_done(&exec->socket);
	strbuf_done(&exec->head);
	strbuf_done(&exec->refusal);
	strbuf_done(&exec->status);
}

int exec_stream_run(struct ctl *ctl, const struct exec_stream_options *options)
{
	struct exec_stream exec = {
	        .ctl = ctl,
	        .options = options,
	        .head = STRBUF_INIT(MAX_HEAD_BYTES),
	        .refusal = STRBUF_INIT(MAX_REFUSAL_BYTES),
	        .status = STRBUF_INIT(MAX_REFUSAL_BYTES),
	};
	if (!ctl_connect(ctl))
		return EXIT_PROBLEM;
	if (rest_client_endpoint(ctl->client, &exec.endpoint, &exec.err) < 0)
		return report_err(ctl, &exec.err);
	websocket_init(&exec.socket, true, MAX_MESSAGE_BYTES);
	exec.socket.on_message = on_message;
	exec.socket.on_close = on_websocket_close;
	exec.socket.send = on_websocket_send;
	exec.socket.context = &exec;
	const struct stream_config config = {
	        .host = exec.endpoint.host,
	        .port = exec.endpoint.port,
	        .tls = exec.endpoint.tls,
	        .server_name = ctl->config.tls_server_name,
	        .callbacks = {.on_connect = on_connect, .on_data = on_data, .on_drain = on_drain, .on_close = on_close},
	        .context = &exec,
	};
	fflush(ctl->out);
	fflush(ctl->err);
	exec.stream = stream_connect(ctl->loop, &config);
	while (!exec.done)
		loop_turn(ctl->loop, -1);
	restore_terminal(&exec);
	int code = judge(&exec);
	finish(&exec);
	return code;
}
