// SPDX-License-Identifier: Apache-2.0
// A command and its client:
//
//   client ──▶ waiting input ──▶ pipe or terminal ──▶ command ──▶ pipes ──▶ client
//
// Back-pressure. Input: what waits for the command is not counted as taken, so the
// client's end stops reading. Output: while more than HIGH_WATER_BYTES wait for the
// client, the pipes aren't read; their sources are stopped, as a hang-up would be told
// again and again.
//
// The terminal passes everything through (raw): the one that the command sees is made
// by the runtime in the container.
//
// The end. The command has ended and its outputs are at their ends: the outcome is
// sent and the connection ends. An output that something else still holds open is given
// up when nothing came from it for LINGER_NS. A client that leaves has its command
// killed. The session is freed when both the client and the command are over; a command
// that outlives the server has `server` NULL.

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
#include "kubelet/runtime/runtime.h"
#include "kubelet/server/server_internal.h"

#define LINGER_NS (2 * NSEC_PER_SEC)
#define SIZE_WAIT_NS (100 * NSEC_PER_MSEC)

enum {
	OUTPUT_COUNT = 2,
	PIECE_BYTES = 32768,
	HIGH_WATER_BYTES = 1 << 20,
	MAX_WAITING_BYTES = 16 << 20, // the client's end sends far less
};

struct exec_output {
	struct exec_session *session;
	struct loop_fd source;
	int fd; // -1: none, or at its end
	enum remote_output number;
};

struct exec_session {
	struct list node;              // server->execs
	struct kubelet_server *server; // NULL: it has ended before the command
	struct loop *loop;
	struct runtime *runtime;
	struct remote *remote;     // NULL: the client has left, or was told the outcome
	struct runtime_exec *exec; // NULL: not begun, or over
	struct remote_wants wants;
	char *container_id;
	char **command;      // NULL once it has begun
	struct winsize size; // of the terminal, once the client has told it
	struct loop_timer start_timer;
	struct exec_output outputs[OUTPUT_COUNT];
	bool outputs_paused;
	struct loop_timer linger_timer;
	int input_fd; // -1: none, or closed
	struct loop_fd input_source;
	struct strbuf waiting; // input
	bool input_ends;       // close it when nothing waits any more
	int exit_code;
	char *error_text;
};

// --- ends ----------------------------------------------------------------------------

static void drop_waiting(struct exec_session *session)
{
	size_t length = session->waiting.length;
	strbuf_done(&session->waiting);
	if (length && session->remote)
		remote_input_taken(session->remote, length);
}

static void close_input(struct exec_session *session)
{
	loop_fd_stop(&session->input_source);
	if (session->input_fd >= 0)
		close(session->input_fd);
	session->input_fd = -1;
	drop_waiting(session);
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
	loop_timer_stop(&session->start_timer);
}

static void free_command(struct exec_session *session)
{
	for (char **word = session->command; word && *word; word++)
		free(*word);
	free(TAKE(session->command));
}

static void free_when_over(struct exec_session *session)
{
	if (session->remote || session->exec)
		return;
	close_streams(session);
	if (session->server)
		session->server->exec_count--;
	list_remove(&session->node);
	free_command(session);
	free(session->container_id);
	free(session->error_text);
	free(session);
}

static void leave(struct exec_session *session)
{
	remote_free(TAKE(session->remote));
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

static bool has_open_output(const struct exec_session *session)
{
	return session->outputs[0].fd >= 0 || session->outputs[1].fd >= 0;
}

static void finish_when_done(struct exec_session *session)
{
	if (session->exec || has_open_output(session))
		return;
	if (session->remote) {
		AUTO_FREE char *text = session->exit_code < 0 ? xasprintf("error executing command in container: %s",
		                                                          session->error_text)
		                                              : NULL;
		remote_finish(TAKE(session->remote), &(struct remote_outcome){session->exit_code, text});
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
	char data[PIECE_BYTES];
	(void)ready;
	ssize_t count = read(output->fd, data, PIECE_BYTES);
	if (count < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (count <= 0) { // EIO is a terminal's end
		close_output(output);
		finish_when_done(session);
		return;
	}
	remote_write(session->remote, output->number, data, (size_t)count);
	if (!session->exec)
		loop_timer_start(session->loop, &session->linger_timer, LINGER_NS, on_linger);
	if (remote_pending_bytes(session->remote) > HIGH_WATER_BYTES)
		pause_outputs(session, true);
}

static void on_drain(void *context)
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
	finish_when_done(session);
}

// --- input ---------------------------------------------------------------------------

// False when nobody reads it any more: what comes is dropped.
static bool write_input(struct exec_session *session)
{
	size_t written = 0;
	bool broken = false;
	while (written < session->waiting.length) {
		ssize_t count =
		        write(session->input_fd, session->waiting.data + written, session->waiting.length - written);
		if (count < 0 && errno == EINTR)
			continue;
		broken = count < 0 && errno != EAGAIN;
		if (count < 0)
			break;
		written += (size_t)count;
	}
	strbuf_consume(&session->waiting, written);
	if (written && session->remote)
		remote_input_taken(session->remote, written);
	return !broken;
}

static void on_input_ready(struct loop_fd *source, unsigned ready);

// Writes what the command takes now, and waits for the rest to be taken.
static void push_input(struct exec_session *session)
{
	if (session->command)
		return; // it hasn't begun yet
	if (session->input_fd < 0) {
		drop_waiting(session);
		return;
	}
	bool fine = write_input(session);
	if (!fine || (!session->waiting.length && session->input_ends))
		close_input(session);
	else if (session->waiting.length && !session->input_source.loop)
		loop_fd_start(session->loop, &session->input_source, session->input_fd, LOOP_WRITE, on_input_ready);
	else if (!session->waiting.length)
		loop_fd_stop(&session->input_source);
}

static void on_input_ready(struct loop_fd *source, unsigned ready)
{
	(void)ready; // a write tells of a hang-up, too
	push_input(container_of(source, struct exec_session, input_source));
}

static void on_input(void *context, const void *data, size_t length)
{
	struct exec_session *session = context;
	strbuf_append(&session->waiting, data, length);
	push_input(session);
}

static void on_input_end(void *context)
{
	struct exec_session *session = context;
	session->input_ends = true;
	push_input(session);
}

static void on_start_timer(struct loop_timer *timer);

static void on_resize(void *context, unsigned columns, unsigned rows)
{
	struct exec_session *session = context;
	session->size = (struct winsize){.ws_col = (unsigned short)columns, .ws_row = (unsigned short)rows};
	if (session->start_timer.loop) // it was waited for
		loop_timer_start(session->loop, &session->start_timer, 0, on_start_timer);
	if (session->wants.tty && session->outputs[0].fd >= 0 &&
	    ioctl(session->outputs[0].fd, TIOCSWINSZ, &session->size) == 0 && session->exec)
		session->runtime->operations->exec_resized(session->exec);
}

static void on_gone(void *context)
{
	leave(context);
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
	if (openpty(&master, &fds[0], NULL, NULL, session->size.ws_col ? &session->size : NULL) < 0)
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

static bool open_pipes(struct exec_session *session, const struct remote_wants *wanted, int fds[3])
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

static void start(struct exec_session *session)
{
	int fds[3] = {-1, -1, -1};
	bool fine = session->wants.tty ? open_terminal(session, session->wants.input, fds)
	                               : open_pipes(session, &session->wants, fds);
	if (fine) {
		struct runtime_exec_config config = {
		        .container_id = session->container_id,
		        .command = (const char *const *)session->command,
		        .tty = session->wants.tty,
		        .fds = {fds[0], fds[1], fds[2]},
		};
		session->exec =
		        session->runtime->operations->exec_start(session->runtime, &config, on_exec_done, session);
		log_v(3, "Command started", kv_str("containerID", session->container_id),
		      kv_str("command", session->command[0]), kv_bool("tty", session->wants.tty));
		free_command(session);
		push_input(session); // what came before
	}
	int error_number = errno;
	for (int number = 0; number < 3; number++)
		if (fds[number] >= 0)
			close(fds[number]);
	if (fine)
		return;
	free_command(session);
	close_streams(session);
	on_exec_done(session, -1, strerror(error_number));
}

static void on_start_timer(struct loop_timer *timer)
{
	start(container_of(timer, struct exec_session, start_timer));
}

// A terminal has its size from the start, if the client tells it at once, as all do.
static void on_open(void *context)
{
	struct exec_session *session = context;
	if (session->wants.tty && !session->size.ws_col)
		loop_timer_start(session->loop, &session->start_timer, SIZE_WAIT_NS, on_start_timer);
	else
		start(session);
}

static char **copy_command(const char *const *command)
{
	size_t count = 0;
	while (command[count])
		count++;
	char **copy = xcalloc(count + 1, sizeof(*copy));
	for (size_t index = 0; index < count; index++)
		copy[index] = xstrdup(command[index]);
	return copy;
}

void exec_session_start(struct kubelet_server *server, struct http_exchange *exchange,
                        const struct exec_request *wanted)
{
	static const struct remote_handler handler = {
	        .on_open = on_open,
	        .on_input = on_input,
	        .on_input_end = on_input_end,
	        .on_resize = on_resize,
	        .on_drain = on_drain,
	        .on_gone = on_gone,
	};
	struct exec_session *session = NEW(struct exec_session);
	*session = (struct exec_session){
	        .server = server,
	        .loop = server->kubelet->loop,
	        .runtime = server->kubelet->runtime,
	        .wants = wanted->wants,
	        .container_id = xstrdup(wanted->container_id),
	        .command = copy_command(wanted->command),
	        .input_fd = -1,
	        .waiting = STRBUF_INIT(MAX_WAITING_BYTES),
	        .outputs = {{.session = session, .fd = -1, .number = REMOTE_STDOUT},
	                    {.session = session, .fd = -1, .number = REMOTE_STDERR}},
	};
	list_append(&server->execs, &session->node);
	server->exec_count++;
	session->remote = remote_accept(session->loop, exchange, &wanted->wants, &handler, session);
	free_when_over(session); // when it was refused
}
