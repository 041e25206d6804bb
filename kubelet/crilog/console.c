// SPDX-License-Identifier: Apache-2.0
// `crilog console`: holds the standard streams of a container that has a terminal or an
// open standard input, which containerd's log plug-in can't serve. It runs `ctr tasks
// start` in the foreground as a child, for as long as the container runs:
//
//   container ◀─ shim ◀─ FIFOs ─▶ ctr ◀─ pipes or terminal ─▶ console ─▶ log
//                                                               ▲
//                                 attach clients ◀─ DIRECTORY/attach.sock
//
// The kubelet starts it like any command: the first process forks, waits until the
// container runs or has failed, says so by its exit code (ctr's complaint on stderr)
// and ends; the second one leads a session of its own and outlives the kubelet.
//
// The container runs when ctr has written the pid file and that process is runc's no
// more. What comes on ctr's stderr before is ctr's own.
//
// A client that doesn't read stops the reading of the container's output, but for
// PATIENCE_MS at most: then it is dropped. A container that doesn't read its input
// stops the reading of the clients.

#include "kubelet/crilog/console.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "kubelet/crilog/log.h"

enum {
	MAX_CLIENTS = 16,
	QUEUE_BYTES = 256 << 10,
	INPUT_BYTES = 64 << 10,
	PIECE_BYTES = 16 << 10,
	ERROR_BYTES = 4096,
	PATIENCE_MS = 10000,
	LOOK_MS = 5,
	NO_LOG = -2,
};

struct client {
	int fd; // -1: free
	bool sent_input;
	long long blocked_since_ms; // 0: it reads
	size_t input_length;        // of a frame that isn't whole
	unsigned char input[CONSOLE_HEAD_BYTES + CONSOLE_MAX_PAYLOAD_BYTES];
	size_t output_length;
	unsigned char output[QUEUE_BYTES];
};

struct output {
	int fd; // -1: none, or at its end
	enum console_frame frame;
	struct log_stream log;
};

static struct console {
	const char *folder;
	bool tty, stdin_open, stdin_once;
	struct log log;
	struct output outputs[2];
	int input_fd; // of the container; -1: closed
	bool input_ends;
	size_t input_length;
	unsigned char input[INPUT_BYTES];
	int listen_fd;
	int report_fd; // to the first process; -1: the container runs
	int errors_fd; // with a terminal: ctr's own
	pid_t ctr_pid;
	bool ctr_ended;
	int exit_status;
	char early_error[ERROR_BYTES]; // what ctr said before the container ran
	size_t early_error_length;
	struct client clients[MAX_CLIENTS];
} console = {.log = {.fd = NO_LOG, .max_bytes = 10 << 20, .max_files = 5},
             .outputs = {{.fd = -1, .frame = CONSOLE_STDOUT, .log = {.name = "stdout"}},
                         {.fd = -1, .frame = CONSOLE_STDERR, .log = {.name = "stderr"}}},
             .input_fd = -1,
             .listen_fd = -1,
             .report_fd = -1,
             .errors_fd = -1};

static long long now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static void drop(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

// --- the container's input --------------------------------------------------------------

static void flush_input(void)
{
	while (console.input_length && console.input_fd >= 0) {
		ssize_t count = write(console.input_fd, console.input, console.input_length);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0 && errno == EAGAIN)
			return;
		if (count < 0) {
			drop(&console.input_fd);
			break;
		}
		console.input_length -= (size_t)count;
		memmove(console.input, console.input + count, console.input_length);
	}
	if (console.input_fd < 0)
		console.input_length = 0;
	else if (console.input_ends && !console.tty)
		drop(&console.input_fd);
}

static bool has_input_room(void)
{
	return console.input_length + CONSOLE_MAX_PAYLOAD_BYTES <= INPUT_BYTES;
}

static void take_input(struct client *client, const unsigned char *data, size_t length)
{
	client->sent_input = true;
	if (!console.stdin_open || console.input_fd < 0 || console.input_ends)
		return;
	memcpy(console.input + console.input_length, data, length);
	console.input_length += length;
	flush_input();
}

// The first client that gave input and gives no more ends it for all, if the pod wants that.
static void end_input(const struct client *client)
{
	if (!client->sent_input || !console.stdin_once)
		return;
	console.input_ends = true;
	flush_input();
}

static void resize(const unsigned char *data, size_t length)
{
	if (length != 4 || !console.tty || console.outputs[0].fd < 0)
		return;
	struct winsize size = {.ws_col = (unsigned short)(data[0] << 8 | data[1]),
	                       .ws_row = (unsigned short)(data[2] << 8 | data[3])};
	ioctl(console.outputs[0].fd, TIOCSWINSZ, &size);
	if (!console.ctr_ended)
		kill(console.ctr_pid, SIGWINCH);
}

// --- clients ----------------------------------------------------------------------------

static void client_drop(struct client *client)
{
	end_input(client);
	drop(&client->fd);
}

static void client_flush(struct client *client)
{
	while (client->fd >= 0 && client->output_length) {
		ssize_t count = send(client->fd, client->output, client->output_length, MSG_NOSIGNAL);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0 && errno == EAGAIN) {
			if (!client->blocked_since_ms)
				client->blocked_since_ms = now_ms();
			return;
		}
		if (count < 0) {
			client_drop(client);
			return;
		}
		client->blocked_since_ms = 0;
		client->output_length -= (size_t)count;
		memmove(client->output, client->output + count, client->output_length);
	}
}

static bool client_has_room(const struct client *client)
{
	return client->output_length + CONSOLE_HEAD_BYTES + PIECE_BYTES <= QUEUE_BYTES;
}

static void client_send(struct client *client, enum console_frame type, const void *data, size_t length)
{
	unsigned char *frame = client->output + client->output_length;
	if (!client_has_room(client)) { // its time was up
		client_drop(client);
		return;
	}
	frame[0] = (unsigned char)type;
	for (int index = 0; index < 4; index++)
		frame[1 + index] = (unsigned char)(length >> (24 - 8 * index));
	memcpy(frame + CONSOLE_HEAD_BYTES, data, length);
	client->output_length += CONSOLE_HEAD_BYTES + length;
	client_flush(client);
}

static void client_frame(struct client *client, const unsigned char *data, size_t length)
{
	if (client->input[0] == CONSOLE_STDIN)
		take_input(client, data, length);
	else if (client->input[0] == CONSOLE_STDIN_END)
		end_input(client);
	else if (client->input[0] == CONSOLE_RESIZE)
		resize(data, length);
}

// Handles the whole frames of its input.
static void client_frames(struct client *client)
{
	while (client->fd >= 0 && client->input_length >= CONSOLE_HEAD_BYTES && has_input_room()) {
		size_t length = (size_t)client->input[1] << 24 | (size_t)client->input[2] << 16 |
		                (size_t)client->input[3] << 8 | client->input[4];
		size_t whole = CONSOLE_HEAD_BYTES + length;
		if (length > CONSOLE_MAX_PAYLOAD_BYTES) {
			client_drop(client);
			return;
		}
		if (client->input_length < whole)
			return;
		client_frame(client, client->input + CONSOLE_HEAD_BYTES, length);
		client->input_length -= whole;
		memmove(client->input, client->input + whole, client->input_length);
	}
}

static void client_read(struct client *client)
{
	ssize_t count =
	        recv(client->fd, client->input + client->input_length, sizeof(client->input) - client->input_length, 0);
	if (count < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (count <= 0) {
		client_drop(client);
		return;
	}
	client->input_length += (size_t)count;
	client_frames(client);
}

static void accept_client(void)
{
	int fd = accept4(console.listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	for (int index = 0; index < MAX_CLIENTS; index++) {
		struct client *client = &console.clients[index];
		if (client->fd >= 0)
			continue;
		client->fd = fd;
		client->sent_input = false;
		client->blocked_since_ms = 0;
		client->input_length = client->output_length = 0;
		return;
	}
	close(fd);
}

// --- output -------------------------------------------------------------------------------

static bool clients_have_room(void)
{
	for (int index = 0; index < MAX_CLIENTS; index++)
		if (console.clients[index].fd >= 0 && !client_has_room(&console.clients[index]))
			return false;
	return true;
}

static void pass_output(struct output *output, const char *data, size_t length)
{
	if (console.log.fd >= 0)
		log_append(&console.log, &output->log, data, length);
	for (int index = 0; index < MAX_CLIENTS; index++)
		if (console.clients[index].fd >= 0)
			client_send(&console.clients[index], output->frame, data, length);
}

static void keep_early(const char *data, size_t length)
{
	size_t room = ERROR_BYTES - console.early_error_length;
	if (length > room)
		length = room;
	memcpy(console.early_error + console.early_error_length, data, length);
	console.early_error_length += length;
}

static void read_output(struct output *output)
{
	char data[PIECE_BYTES];
	ssize_t count = read(output->fd, data, sizeof(data));
	if (count < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (count <= 0) { // EIO is a terminal's end
		if (!console.tty || console.ctr_ended)
			drop(&output->fd);
		return;
	}
	if (output->frame == CONSOLE_STDERR && console.report_fd >= 0)
		keep_early(data, (size_t)count);
	else
		pass_output(output, data, (size_t)count);
}

static void read_errors(void)
{
	char data[ERROR_BYTES];
	ssize_t count = read(console.errors_fd, data, sizeof(data));
	if (count > 0)
		keep_early(data, (size_t)count);
	else if (count == 0)
		drop(&console.errors_fd);
}

// --- ctr ----------------------------------------------------------------------------------

static void report(char outcome)
{
	if (console.report_fd < 0)
		return;
	(void)!write(console.report_fd, &outcome, 1);
	if (outcome == 'F')
		(void)!write(console.report_fd, console.early_error, console.early_error_length);
	drop(&console.report_fd);
	if (outcome == 'R' && !console.tty && console.early_error_length)
		pass_output(&console.outputs[1], console.early_error, console.early_error_length);
}

static int read_small(const char *path, char *out, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read(fd, out, size - 1);
	if (fd >= 0)
		close(fd);
	out[length > 0 ? length : 0] = '\0';
	return (int)length;
}

// The process of the pid file has become the container's own.
static bool container_runs(void)
{
	char path[64];
	char text[64];
	if (read_small("pid", text, sizeof(text)) <= 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%ld/comm", strtol(text, NULL, 10));
	return read_small(path, text, sizeof(text)) <= 0 || strncmp(text, "runc:[", 6) != 0;
}

static void reap(void)
{
	if (console.ctr_ended || waitpid(console.ctr_pid, &console.exit_status, WNOHANG) != console.ctr_pid)
		return;
	console.ctr_ended = true;
	if (console.report_fd < 0)
		return;
	if (console.errors_fd >= 0)
		read_errors();
	else if (console.outputs[1].fd >= 0)
		read_output(&console.outputs[1]);
	report(console.early_error_length || !container_runs() ? 'F' : 'R');
}

static void become_ctr(char **argv, int input, int output, int errors)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	setsid();
	if (dup2(input, 0) < 0 || dup2(output, 1) < 0 || dup2(errors, 2) < 0)
		_exit(126);
	execvp(argv[0], argv);
	_exit(127);
}

static bool make_pipe(int ends[2])
{
	return pipe2(ends, O_CLOEXEC) == 0;
}

// ctr's three descriptors; ours are kept in the console.
static bool open_terminal(int theirs[3])
{
	struct termios raw;
	int errors[2];
	int master;
	if (openpty(&master, &theirs[0], NULL, NULL, NULL) < 0 || !make_pipe(errors))
		return false;
	fcntl(master, F_SETFD, FD_CLOEXEC);
	fcntl(theirs[0], F_SETFD, FD_CLOEXEC);
	tcgetattr(theirs[0], &raw);
	cfmakeraw(&raw);
	raw.c_oflag = 0;
	tcsetattr(theirs[0], TCSANOW, &raw);
	theirs[1] = fcntl(theirs[0], F_DUPFD_CLOEXEC, 3);
	theirs[2] = errors[1];
	console.errors_fd = errors[0];
	console.outputs[0].fd = master;
	console.input_fd = fcntl(master, F_DUPFD_CLOEXEC, 3);
	return true;
}

static bool open_pipes(int theirs[3])
{
	int input[2], output[2], errors[2];
	if (!make_pipe(input) || !make_pipe(output) || !make_pipe(errors))
		return false;
	theirs[0] = input[0];
	theirs[1] = output[1];
	theirs[2] = errors[1];
	console.input_fd = input[1];
	console.outputs[0].fd = output[0];
	console.outputs[1].fd = errors[0];
	return true;
}

static bool start_ctr(char **argv)
{
	int theirs[3];
	if (!(console.tty ? open_terminal(theirs) : open_pipes(theirs)))
		return false;
	console.ctr_pid = fork();
	if (console.ctr_pid == 0)
		become_ctr(argv, theirs[0], theirs[1], theirs[2]);
	close(theirs[0]);
	close(theirs[1]);
	close(theirs[2]);
	for (int index = 0; index < 2; index++)
		if (console.outputs[index].fd >= 0)
			fcntl(console.outputs[index].fd, F_SETFL, O_NONBLOCK);
	fcntl(console.input_fd, F_SETFL, O_NONBLOCK);
	if (console.errors_fd >= 0)
		fcntl(console.errors_fd, F_SETFL, O_NONBLOCK);
	return console.ctr_pid > 0;
}

// --- the loop -------------------------------------------------------------------------------

static bool listen_here(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = CONSOLE_SOCKET};
	if (chdir(console.folder) < 0)
		return false;
	unlink(CONSOLE_SOCKET);
	console.listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return console.listen_fd >= 0 &&
	       bind(console.listen_fd, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
	       listen(console.listen_fd, 8) == 0;
}

static void drop_stuck_clients(void)
{
	for (int index = 0; index < MAX_CLIENTS; index++) {
		struct client *client = &console.clients[index];
		if (client->fd >= 0 && client->blocked_since_ms && !client_has_room(client) &&
		    now_ms() - client->blocked_since_ms > PATIENCE_MS)
			client_drop(client);
	}
}

enum {
	POLL_OUT0,
	POLL_OUT1,
	POLL_INPUT,
	POLL_LISTEN,
	POLL_ERRORS,
	POLL_CLIENTS,
	POLL_COUNT = POLL_CLIENTS + MAX_CLIENTS
};

static void fill_polls(struct pollfd *polls)
{
	bool room = clients_have_room();
	for (int index = 0; index < 2; index++)
		polls[POLL_OUT0 + index] = (struct pollfd){room ? console.outputs[index].fd : -1, POLLIN, 0};
	polls[POLL_INPUT] = (struct pollfd){console.input_length ? console.input_fd : -1, POLLOUT, 0};
	polls[POLL_LISTEN] = (struct pollfd){console.listen_fd, POLLIN, 0};
	polls[POLL_ERRORS] = (struct pollfd){console.errors_fd, POLLIN, 0};
	for (int index = 0; index < MAX_CLIENTS; index++) {
		const struct client *client = &console.clients[index];
		short events = (short)((has_input_room() ? POLLIN : 0) | (client->output_length ? POLLOUT : 0));
		polls[POLL_CLIENTS + index] = (struct pollfd){events ? client->fd : -1, events, 0};
	}
}

static void serve_clients(const struct pollfd *polls)
{
	for (int index = 0; index < MAX_CLIENTS; index++) {
		struct client *client = &console.clients[index];
		short ready = polls[POLL_CLIENTS + index].revents;
		if (client->fd >= 0 && (ready & POLLOUT))
			client_flush(client);
		if (client->fd >= 0 && (ready & (POLLIN | POLLHUP | POLLERR)) && has_input_room())
			client_read(client);
		if (client->fd >= 0)
			client_frames(client); // kept while the container's input was full
	}
}

static void turn(int timeout_ms)
{
	struct pollfd polls[POLL_COUNT];
	fill_polls(polls);
	if (poll(polls, POLL_COUNT, timeout_ms) <= 0)
		return;
	for (int index = 0; index < 2; index++)
		if (polls[POLL_OUT0 + index].revents && console.outputs[index].fd >= 0)
			read_output(&console.outputs[index]);
	if (polls[POLL_INPUT].revents)
		flush_input();
	if (polls[POLL_ERRORS].revents)
		read_errors();
	serve_clients(polls);
	if (polls[POLL_LISTEN].revents)
		accept_client();
}

static bool is_over(void)
{
	return console.ctr_ended && console.outputs[0].fd < 0 && console.outputs[1].fd < 0;
}

static void run(void)
{
	while (!is_over()) {
		bool starting = console.report_fd >= 0;
		bool hung_up = console.tty && console.ctr_ended;
		turn(starting ? LOOK_MS : hung_up ? 0 : 1000);
		reap();
		if (console.report_fd >= 0 && container_runs())
			report('R');
		drop_stuck_clients();
		if (console.tty && console.ctr_ended) // a terminal says its end by EIO
			read_output(&console.outputs[0]);
	}
	for (int index = 0; index < 2; index++)
		if (console.log.fd >= 0)
			log_stream_end(&console.log, &console.outputs[index].log);
	long long limit_ms = now_ms() + PATIENCE_MS;
	for (int index = 0; index < MAX_CLIENTS; index++) // what is queued still goes out
		while (console.clients[index].fd >= 0 && console.clients[index].output_length && now_ms() < limit_ms)
			turn(100);
}

static void on_child(int number)
{
	(void)number; // interrupts poll
}

// --- the start ------------------------------------------------------------------------------

static char **read_arguments(int argc, char **argv)
{
	for (int index = 0; index < argc; index++) {
		const char *value = index + 1 < argc ? argv[index + 1] : "";
		if (!strcmp(argv[index], "--"))
			return argv + index + 1;
		if (!strcmp(argv[index], "tty"))
			console.tty = true;
		else if (!strcmp(argv[index], "stdin"))
			console.stdin_open = true;
		else if (!strcmp(argv[index], "stdin-once"))
			console.stdin_once = true;
		else if (!strcmp(argv[index], "folder"))
			console.folder = value, index++;
		else if (!strcmp(argv[index], "log"))
			console.log.path = value, index++;
		else if (!strcmp(argv[index], "max-bytes"))
			console.log.max_bytes = strtoll(value, NULL, 10), index++;
		else if (!strcmp(argv[index], "max-files"))
			console.log.max_files = (int)strtol(value, NULL, 10), index++;
	}
	return NULL;
}

static int hold(char **argv)
{
	struct sigaction action = {.sa_handler = on_child};
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	setsid();
	prctl(PR_SET_NAME, "crilog-console");
	// The kubelet's descriptors, its lock among them, aren't ours to hold.
	for (int fd = 3; fd < 1024; fd++)
		if (fd != console.report_fd && fd != null_fd)
			close(fd);
	for (int number = 0; number < 3; number++)
		dup2(null_fd, number);
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	sigaction(SIGCHLD, &action, NULL);
	for (int index = 0; index < MAX_CLIENTS; index++)
		console.clients[index].fd = -1;
	bool fine = (!console.log.path || log_open(&console.log)) && listen_here() && start_ctr(argv);
	if (!fine) {
		int length = snprintf(console.early_error, ERROR_BYTES, "ctr: hold the container's streams: %s\n",
		                      strerror(errno));
		console.early_error_length = (size_t)length;
		report('F');
		return 1;
	}
	run();
	unlink(CONSOLE_SOCKET);
	return 0;
}

static int await_report(int fd)
{
	char text[ERROR_BYTES + 1];
	size_t length = 0;
	ssize_t count;
	while (length < sizeof(text) &&
	       ((count = read(fd, text + length, sizeof(text) - length)) > 0 || (count < 0 && errno == EINTR)))
		length += count > 0 ? (size_t)count : 0;
	if (length && text[0] == 'R')
		return 0;
	if (length > 1)
		(void)!write(STDERR_FILENO, text + 1, length - 1);
	return 1;
}

int console_main(int argc, char **argv)
{
	char **command = read_arguments(argc, argv);
	int ends[2];
	if (!command || !command[0] || !console.folder || !make_pipe(ends)) {
		fprintf(stderr, "usage: crilog console folder DIRECTORY [log FILE] [tty] [stdin] -- ctr …\n");
		return 2;
	}
	pid_t pid = fork();
	if (pid == 0) {
		console.report_fd = ends[1];
		return hold(command);
	}
	close(ends[1]);
	return pid < 0 ? 1 : await_report(ends[0]);
}
