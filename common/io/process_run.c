// SPDX-License-Identifier: Apache-2.0
//
// process_run: one child run to its end by a tool that has nothing else to do.
// It stays in the tool's process group, so that an interrupt from the terminal
// reaches both, and its standard error is the tool's own.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "common/io/process.h"
#include "common/io/process_spawn.h"

struct run_pipes {
	int input;  // we write; -1 = closed
	int output; // we read; -1 = closed
};

static void close_pipe(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void send_input(struct run_pipes *pipes, const char **data, size_t *left)
{
	ssize_t written = write(pipes->input, *data, *left);
	if (written < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (written > 0) {
		*data += written;
		*left -= (size_t)written;
	}
	if (written < 0 || !*left)
		close_pipe(&pipes->input);
}

static void read_output(struct run_pipes *pipes, struct strbuf *output)
{
	char data[16384];
	ssize_t length = read(pipes->output, data, sizeof(data));
	if (length < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (length <= 0)
		close_pipe(&pipes->output);
	else
		strbuf_append(output, data, (size_t)length);
}

static void pump(struct run_pipes *pipes, const char *stdin_data, struct strbuf *output)
{
	size_t left = stdin_data ? strlen(stdin_data) : 0;
	if (!left)
		close_pipe(&pipes->input);
	while (pipes->input >= 0 || pipes->output >= 0) {
		struct pollfd polled[2] = {{.fd = pipes->input, .events = POLLOUT},
		                           {.fd = pipes->output, .events = POLLIN}};
		if (poll(polled, 2, -1) < 0 && errno != EINTR)
			return;
		if (polled[0].revents)
			send_input(pipes, &stdin_data, &left);
		if (polled[1].revents)
			read_output(pipes, output);
	}
}

static int wait_for(pid_t pid, const char *name, struct err *err)
{
	int status;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_set_errno(err, errno, "wait for %s", name);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int open_stdio(bool with_input, bool with_output, int input[2], int output[2], struct err *err)
{
	int result = 0;
	if (with_input)
		result = process_pipe(input, err);
	else if ((input[0] = process_open_null(O_RDONLY)) < 0)
		result = err_set_errno(err, -input[0], "open /dev/null");
	if (result == 0 && with_output)
		result = process_pipe(output, err);
	else if (result == 0 && (output[1] = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)) < 0)
		result = err_set_errno(err, errno, "standard output");
	return result;
}

int process_run(const char *const *argv, const char *stdin_data, struct strbuf *output, struct err *err)
{
	int input[2] = {-1, -1}, captured[2] = {-1, -1};
	int result = open_stdio(stdin_data != NULL, output != NULL, input, captured, err);
	AUTO_CLOSE int child_input = input[0];
	AUTO_CLOSE int child_output = captured[1];
	AUTO_CLOSE int child_error = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	struct run_pipes pipes = {.input = input[1], .output = captured[0]};
	pid_t pid = -1;
	if (result == 0 && child_error < 0 && (child_error = process_open_null(O_WRONLY)) < 0)
		result = err_set_errno(err, -child_error, "open /dev/null");
	if (result == 0) {
		struct process_spawn spawn = {.argv = argv, .stdio = {child_input, child_output, child_error}};
		result = process_spawn(&spawn, &pid, err);
	}
	close(take_fd(&child_input));
	close(take_fd(&child_output));
	if (result == 0) {
		if (pipes.input >= 0)
			(void)fcntl(pipes.input, F_SETFL, O_NONBLOCK);
		void (*before)(int) = signal(SIGPIPE, SIG_IGN); // the child may not read its input
		pump(&pipes, stdin_data, output);
		signal(SIGPIPE, before);
		result = wait_for(pid, argv[0], err);
	}
	close_pipe(&pipes.input);
	close_pipe(&pipes.output);
	return result;
}
