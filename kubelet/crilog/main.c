// SPDX-License-Identifier: Apache-2.0
// crilog: writes one container's output as a log.
//
//   crilog log FILE [max-bytes N] [max-files N]          started by containerd's shim
//   crilog console [log FILE …] [tty] … -- ctr …          started by the kubelet, see console.c
//
// containerd's shim starts it for --log-uri binary:///…/crilog?log=FILE with the
// query as arguments ("log" FILE), the container's stdout at descriptor 3, its
// stderr at 4, and waits until 5 is closed. There is one for each container, so it
// is a program of its own without libraries or heap: some 100 KiB of memory.
//
// It ends when both streams have ended, not by a signal: what the container said
// last is the most interesting.

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kubelet/crilog/console.h"
#include "kubelet/crilog/log.h"

enum {
	STDOUT_FD = 3,
	STDERR_FD = 4,
	READY_FD = 5,
};

static struct log_stream streams[2] = {{.name = "stdout"}, {.name = "stderr"}};
static struct log arg_log = {.fd = -1, .max_bytes = 10 << 20, .max_files = 5};

// False at the stream's end.
static bool stream_read(struct log *log, struct log_stream *stream, int fd)
{
	size_t size;
	char *room = log_stream_room(stream, &size);
	ssize_t count = read(fd, room, size);
	if (count < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	if (count <= 0) {
		log_stream_end(log, stream);
		return false;
	}
	log_stream_wrote(log, stream, (size_t)count);
	return true;
}

static void copy_all(struct log *log)
{
	struct pollfd polls[2] = {{.fd = STDOUT_FD, .events = POLLIN}, {.fd = STDERR_FD, .events = POLLIN}};
	int open_count = 2;
	while (open_count) {
		if (poll(polls, 2, -1) < 0 && errno != EINTR)
			return;
		for (int index = 0; index < 2; index++) {
			if (polls[index].fd < 0 || !polls[index].revents)
				continue;
			if (!stream_read(log, &streams[index], polls[index].fd)) {
				polls[index].fd = -1;
				open_count--;
			}
		}
	}
}

static void read_arguments(int argc, char **argv)
{
	for (int index = 1; index + 1 < argc; index += 2) {
		if (!strcmp(argv[index], "log"))
			arg_log.path = argv[index + 1];
		else if (!strcmp(argv[index], "max-bytes"))
			arg_log.max_bytes = strtoll(argv[index + 1], NULL, 10);
		else if (!strcmp(argv[index], "max-files"))
			arg_log.max_files = (int)strtol(argv[index + 1], NULL, 10);
	}
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "console"))
		return console_main(argc - 2, argv + 2);
	read_arguments(argc, argv);
	if (!arg_log.path || !log_open(&arg_log)) {
		fprintf(stderr, "usage: crilog log FILE [max-bytes N] [max-files N], started by containerd's shim\n");
		return 1;
	}
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	close(READY_FD);
	copy_all(&arg_log);
	return 0;
}
