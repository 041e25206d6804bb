// SPDX-License-Identifier: Apache-2.0
// crilog: writes one container's output as a log in the CRI format.
//
//   2026-01-02T15:04:05.000000000Z stdout F a whole line
//   2026-01-02T15:04:05.000000001Z stderr P the first part of a long line
//
// containerd's shim starts it for --log-uri binary:///…/crilog?log=FILE with the
// query as arguments ("log" FILE), the container's stdout at descriptor 3, its
// stderr at 4, and waits until 5 is closed. There is one for each container, so it
// is a program of its own without libraries or heap: some 100 KiB of memory.
//
// It ends when both streams have ended, not by a signal: what the container said
// last is the most interesting. A write that fails (a full disk) drops the line and
// reads on: a container must never block on its log.
//
// Past max-bytes the file is renamed to FILE.<time> and begun anew; of the renamed
// ones max-files - 1 stay. Readers follow by inode.

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	STDOUT_FD = 3,
	STDERR_FD = 4,
	READY_FD = 5,
	CHUNK_BYTES = 16384, // of a line; longer ones come in parts
	STAMP_BYTES = 64,
};

struct stream {
	int fd;
	const char *name;
	size_t length; // bytes waiting for their newline
	char bytes[CHUNK_BYTES];
};

struct log {
	const char *path;
	int fd;
	long long size;
	long long max_bytes;
	int max_files;
};

static struct stream streams[2] = {{.fd = STDOUT_FD, .name = "stdout"}, {.fd = STDERR_FD, .name = "stderr"}};
static struct log arg_log = {.fd = -1, .max_bytes = 10 << 20, .max_files = 5};

static bool log_open(struct log *log)
{
	log->fd = open(log->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	struct stat status;
	log->size = log->fd >= 0 && fstat(log->fd, &status) == 0 ? status.st_size : 0;
	return log->fd >= 0;
}

// Removes the oldest renamed files ("<base>.<time>": names sort by age).
static void log_prune(const struct log *log)
{
	char directory[PATH_MAX];
	snprintf(directory, sizeof(directory), "%s", log->path);
	char *base = strrchr(directory, '/');
	if (!base)
		return;
	*base++ = '\0';
	for (;;) {
		char oldest[NAME_MAX + 1] = "";
		int count = 0;
		DIR *stream = opendir(directory);
		if (!stream)
			return;
		for (struct dirent *entry; (entry = readdir(stream));) {
			size_t length = strlen(base);
			if (strncmp(entry->d_name, base, length) || entry->d_name[length] != '.')
				continue;
			count++;
			if (!*oldest || strcmp(entry->d_name, oldest) < 0)
				snprintf(oldest, sizeof(oldest), "%s", entry->d_name);
		}
		int directory_fd = dirfd(stream);
		bool removed = count >= log->max_files && unlinkat(directory_fd, oldest, 0) == 0;
		closedir(stream);
		if (!removed)
			return;
	}
}

static void log_rotate(struct log *log)
{
	char renamed[PATH_MAX];
	struct timespec now;
	struct tm parts;
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &parts);
	char stamp[32];
	strftime(stamp, sizeof(stamp), "%Y%m%d-%H%M%S", &parts);
	if (snprintf(renamed, sizeof(renamed), "%s.%s.%09ld", log->path, stamp, now.tv_nsec) >= (int)sizeof(renamed))
		return;
	if (rename(log->path, renamed) < 0)
		return;
	close(log->fd);
	(void)log_open(log);
	log_prune(log);
}

static void log_write(struct log *log, const char *bytes, size_t length)
{
	while (length) {
		ssize_t written = write(log->fd, bytes, length);
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return;
		bytes += written;
		length -= (size_t)written;
		log->size += written;
	}
}

static size_t write_stamp(char *out)
{
	struct timespec now;
	struct tm parts;
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &parts);
	size_t length = strftime(out, STAMP_BYTES, "%Y-%m-%dT%H:%M:%S", &parts);
	return length + (size_t)snprintf(out + length, STAMP_BYTES - length, ".%09ldZ", now.tv_nsec);
}

// One entry: `text` without its newline.
static void write_entry(struct log *log, const struct stream *stream, const char *text, size_t length, bool whole)
{
	static char entry[STAMP_BYTES + 16 + CHUNK_BYTES + 1];
	size_t used = write_stamp(entry);
	used += (size_t)snprintf(entry + used, sizeof(entry) - used, " %s %c ", stream->name, whole ? 'F' : 'P');
	memcpy(entry + used, text, length);
	used += length;
	entry[used++] = '\n';
	log_write(log, entry, used);
	if (whole && log->max_bytes && log->size >= log->max_bytes)
		log_rotate(log);
}

static void write_lines(struct log *log, struct stream *stream)
{
	char *at = stream->bytes;
	char *end = stream->bytes + stream->length;
	for (char *newline; (newline = memchr(at, '\n', (size_t)(end - at))); at = newline + 1)
		write_entry(log, stream, at, (size_t)(newline - at), true);
	stream->length = (size_t)(end - at);
	memmove(stream->bytes, at, stream->length);
	if (stream->length == CHUNK_BYTES) {
		write_entry(log, stream, stream->bytes, stream->length, false);
		stream->length = 0;
	}
}

// False at the stream's end.
static bool stream_read(struct log *log, struct stream *stream)
{
	ssize_t count = read(stream->fd, stream->bytes + stream->length, CHUNK_BYTES - stream->length);
	if (count < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	if (count <= 0) {
		if (stream->length)
			write_entry(log, stream, stream->bytes, stream->length, true);
		return false;
	}
	stream->length += (size_t)count;
	write_lines(log, stream);
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
			if (!stream_read(log, &streams[index])) {
				polls[index].fd = -1;
				open_count--;
			}
		}
	}
}

int main(int argc, char **argv)
{
	for (int index = 1; index + 1 < argc; index += 2) {
		if (!strcmp(argv[index], "log"))
			arg_log.path = argv[index + 1];
		else if (!strcmp(argv[index], "max-bytes"))
			arg_log.max_bytes = strtoll(argv[index + 1], NULL, 10);
		else if (!strcmp(argv[index], "max-files"))
			arg_log.max_files = (int)strtol(argv[index + 1], NULL, 10);
	}
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
