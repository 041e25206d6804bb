// SPDX-License-Identifier: Apache-2.0
//
// A child on the loop: three pipes, a pidfd and a deadline. It is over when the
// child itself has ended: what stands in the pipes then is read, and a
// grandchild that still holds them is not waited for.
//
//   started ── child ends ──> drain ──> on_exit ──> freed
//      │  └── deadline: SIGKILL to the group, then as above
//      └── process_abandon: SIGKILL, freed; reaped with a later process
//
// A callback may abandon the process that calls it: `calling` keeps the memory
// until the callback has returned.
#include "common/io/process.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "common/base/memory.h"
#include "common/io/loop.h"
#include "common/io/process_spawn.h"

enum { DEFAULT_MAX_OUTPUT_BYTES = 1024 * 1024, READ_BYTES = 32 * 1024, DRAIN_READS = 64 };

struct process {
	struct loop_child child;
	struct loop_timer deadline;
	struct loop_fd input, output, error_output;
	char *stdin_data;
	size_t stdin_length, stdin_sent;
	struct strbuf captured;       // or the line so far
	struct strbuf captured_error; // the last part
	bool truncated;
	bool timed_out;
	bool calling; // inside one of the owner's callbacks
	bool abandoned;
	void (*on_line)(void *context, const char *line, size_t length);
	void (*on_exit)(void *context, const struct process_result *result);
	void *context;
};

// --- children that nobody waits for ---------------------------------------------------

static pthread_mutex_t orphan_mutex = PTHREAD_MUTEX_INITIALIZER;
static pid_t *orphans;
static size_t orphan_count;

static void reap_orphans(void)
{
	pthread_mutex_lock(&orphan_mutex);
	size_t kept = 0;
	for (size_t i = 0; i < orphan_count; i++)
		if (waitpid(orphans[i], NULL, WNOHANG) == 0)
			orphans[kept++] = orphans[i];
	orphan_count = kept;
	if (!kept) {
		free(orphans);
		orphans = NULL;
	}
	pthread_mutex_unlock(&orphan_mutex);
}

static void add_orphan(pid_t pid)
{
	reap_orphans();
	pthread_mutex_lock(&orphan_mutex);
	orphans = xreallocarray(orphans, orphan_count + 1, sizeof(*orphans));
	orphans[orphan_count++] = pid;
	pthread_mutex_unlock(&orphan_mutex);
}

// --- the end ----------------------------------------------------------------------------

static void close_source(struct loop_fd *source)
{
	if (!source->loop)
		return;
	loop_fd_stop(source);
	close(source->fd);
}

static void stop_sources(struct process *process)
{
	loop_timer_stop(&process->deadline);
	close_source(&process->input);
	close_source(&process->output);
	close_source(&process->error_output);
	loop_child_stop(&process->child);
}

static void free_process(struct process *process)
{
	stop_sources(process);
	strbuf_done(&process->captured);
	strbuf_done(&process->captured_error);
	free(process->stdin_data);
	free(process);
}

void process_kill(struct process *process)
{
	if (!process->child.pidfd.loop)
		return; // reaped already: the number may be somebody else's
	if (kill(-process->child.pid, SIGKILL) < 0)
		(void)kill(process->child.pid, SIGKILL);
}

void process_abandon(struct process *process)
{
	if (process->abandoned)
		return;
	process->abandoned = true;
	if (process->child.pidfd.loop) {
		process_kill(process);
		add_orphan(process->child.pid);
	}
	stop_sources(process);
	if (!process->calling)
		free_process(process);
}

int process_pid(const struct process *process)
{
	return process->child.pid;
}

// --- output -----------------------------------------------------------------------------

static void call_on_line(struct process *process, const char *line, size_t length)
{
	process->calling = true;
	process->on_line(process->context, line, length);
	process->calling = false;
}

// Hands out the whole lines; a line that fills the buffer comes in pieces.
static void take_lines(struct process *process)
{
	struct strbuf *buffer = &process->captured;
	size_t start = 0;
	while (!process->abandoned && start < buffer->length) {
		const char *newline = memchr(buffer->data + start, '\n', buffer->length - start);
		if (!newline)
			break;
		size_t length = (size_t)(newline - buffer->data) - start;
		call_on_line(process, buffer->data + start, length);
		start += length + 1;
	}
	strbuf_consume(buffer, start);
	if (!process->abandoned && buffer->length == buffer->max_bytes) {
		process->truncated = true;
		call_on_line(process, buffer->data, buffer->length);
		strbuf_clear(buffer);
	}
}

static void add_output(struct process *process, const char *data, size_t length)
{
	while (length && !process->abandoned) {
		size_t room = process->captured.max_bytes - process->captured.length;
		size_t part = length < room ? length : room;
		strbuf_append(&process->captured, data, part);
		data += part;
		length -= part;
		if (process->on_line) {
			take_lines(process);
		} else if (length) {
			process->truncated = true;
			return;
		}
	}
}

static void add_error_output(struct process *process, const char *data, size_t length)
{
	struct strbuf *buffer = &process->captured_error;
	if (length > buffer->max_bytes) {
		data += length - buffer->max_bytes;
		length = buffer->max_bytes;
	}
	if (length > buffer->max_bytes - buffer->length)
		strbuf_consume(buffer, length - (buffer->max_bytes - buffer->length));
	strbuf_append(buffer, data, length);
}

// Reads once; false when there is nothing more now (or ever).
static bool read_some(struct process *process, struct loop_fd *source)
{
	char data[READ_BYTES];
	if (!source->loop)
		return false;
	ssize_t length = read(source->fd, data, sizeof(data));
	if (length < 0 && errno == EINTR)
		return true;
	if (length < 0 && errno == EAGAIN)
		return false;
	if (length <= 0) {
		close_source(source);
		return false;
	}
	if (source == &process->output)
		add_output(process, data, (size_t)length);
	else
		add_error_output(process, data, (size_t)length);
	return !process->abandoned;
}

static void on_output(struct loop_fd *source, unsigned ready UNUSED)
{
	struct process *process = container_of(source, struct process, output);
	read_some(process, source);
	if (process->abandoned)
		free_process(process);
}

static void on_error_output(struct loop_fd *source, unsigned ready UNUSED)
{
	read_some(container_of(source, struct process, error_output), source);
}

static void on_input(struct loop_fd *source, unsigned ready UNUSED)
{
	struct process *process = container_of(source, struct process, input);
	size_t left = process->stdin_length - process->stdin_sent;
	ssize_t written = left ? write(source->fd, process->stdin_data + process->stdin_sent, left) : 0;
	if (written < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (written > 0)
		process->stdin_sent += (size_t)written;
	if (written < 0 || process->stdin_sent == process->stdin_length)
		close_source(source); // all sent, or the child doesn't read it
}

// --- child and deadline -----------------------------------------------------------------

static void finish(struct process *process, int wait_status)
{
	struct strbuf *captured = &process->captured;
	if (process->on_line && captured->length) {
		call_on_line(process, captured->data, captured->length);
		strbuf_clear(captured);
		if (process->abandoned)
			return;
	}
	struct process_result result = {
	        .exit_code = WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status),
	        .timed_out = process->timed_out,
	        .output_truncated = process->truncated,
	        .output = strbuf_text(captured),
	        .output_length = captured->length,
	        .error_output = strbuf_text(&process->captured_error),
	        .error_output_length = process->captured_error.length,
	};
	process->calling = true;
	if (process->on_exit)
		process->on_exit(process->context, &result);
}

static void on_child(struct loop_child *child, int wait_status)
{
	struct process *process = container_of(child, struct process, child);
	// Bounded: a grandchild that writes without end must not hold the loop.
	for (int i = 0; i < DRAIN_READS && read_some(process, &process->error_output); i++)
		;
	for (int i = 0; i < DRAIN_READS && read_some(process, &process->output); i++)
		;
	if (!process->abandoned) {
		stop_sources(process);
		finish(process, wait_status);
	}
	free_process(process);
	reap_orphans();
}

static void on_deadline(struct loop_timer *timer)
{
	struct process *process = container_of(timer, struct process, deadline);
	process->timed_out = true;
	process_kill(process);
}

// --- the start --------------------------------------------------------------------------

struct process_pipes {
	int input[2], output[2], error_output[2];
};

static void close_fds(const int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static int open_pipes(struct process_pipes *pipes, bool with_input, struct err *err)
{
	int result = 0;
	*pipes = (struct process_pipes){{-1, -1}, {-1, -1}, {-1, -1}};
	if (with_input)
		result = process_pipe(pipes->input, err);
	else if ((pipes->input[0] = process_open_null(O_RDONLY)) < 0)
		result = err_set_errno(err, -pipes->input[0], "open /dev/null");
	if (result == 0)
		result = process_pipe(pipes->output, err);
	if (result == 0)
		result = process_pipe(pipes->error_output, err);
	return result;
}

static void watch_pipe(struct loop *loop, struct loop_fd *source, int fd, unsigned events,
                       void (*callback)(struct loop_fd *source, unsigned ready))
{
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	loop_fd_start(loop, source, fd, events, callback);
}

static struct process *new_process(struct loop *loop, const struct process_config *config,
                                   const struct process_pipes *pipes, pid_t pid)
{
	size_t maximum = config->max_output_bytes ? config->max_output_bytes : DEFAULT_MAX_OUTPUT_BYTES;
	struct process *process = NEW(struct process);
	process->on_line = config->on_line;
	process->on_exit = config->on_exit;
	process->context = config->context;
	process->captured = STRBUF_INIT(maximum);
	process->captured_error = STRBUF_INIT(maximum);
	watch_pipe(loop, &process->output, pipes->output[0], LOOP_READ, on_output);
	watch_pipe(loop, &process->error_output, pipes->error_output[0], LOOP_READ, on_error_output);
	if (config->stdin_data) {
		process->stdin_data = xmemdup(config->stdin_data, config->stdin_length);
		process->stdin_length = config->stdin_length;
		watch_pipe(loop, &process->input, pipes->input[1], LOOP_WRITE, on_input);
	}
	loop_child_start(loop, &process->child, pid, on_child);
	if (config->timeout_ns)
		loop_timer_start(loop, &process->deadline, config->timeout_ns, on_deadline);
	return process;
}

int process_start(struct loop *loop, const struct process_config *config, struct process **ret_process, struct err *err)
{
	reap_orphans();
	struct process_pipes pipes;
	pid_t pid = -1;
	int result = open_pipes(&pipes, config->stdin_data != NULL, err);
	if (result == 0) {
		struct process_spawn spawn = {
		        .argv = config->argv,
		        .environment = config->environment,
		        .working_directory = config->working_directory,
		        .stdio = {pipes.input[0], pipes.output[1], pipes.error_output[1]},
		        .inherit_fds = config->inherit_fds,
		        .new_group = true,
		        .survive_parent = config->survive_parent,
		};
		result = process_spawn(&spawn, &pid, err);
	}
	if (result < 0) {
		close_fds((int *)&pipes, sizeof(pipes) / sizeof(int));
		return result;
	}
	close_fds((int[]){pipes.input[0], pipes.output[1], pipes.error_output[1]}, 3);
	struct process *process = new_process(loop, config, &pipes, pid);
	if (ret_process)
		*ret_process = process;
	return 0;
}
