// SPDX-License-Identifier: Apache-2.0
// A container's log in the CRI format, with its rotation.

#include "kubelet/crilog/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { STAMP_BYTES = 64 };

bool log_open(struct log *log)
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
static void write_entry(struct log *log, const struct log_stream *stream, const char *text, size_t length, bool whole)
{
	static char entry[STAMP_BYTES + 16 + LOG_CHUNK_BYTES + 1];
	size_t used = write_stamp(entry);
	used += (size_t)snprintf(entry + used, sizeof(entry) - used, " %s %c ", stream->name, whole ? 'F' : 'P');
	memcpy(entry + used, text, length);
	used += length;
	entry[used++] = '\n';
	log_write(log, entry, used);
	if (whole && log->max_bytes && log->size >= log->max_bytes)
		log_rotate(log);
}

static void write_lines(struct log *log, struct log_stream *stream)
{
	char *at = stream->bytes;
	char *end = stream->bytes + stream->length;
	for (char *newline; (newline = memchr(at, '\n', (size_t)(end - at))); at = newline + 1)
		write_entry(log, stream, at, (size_t)(newline - at), true);
	stream->length = (size_t)(end - at);
	memmove(stream->bytes, at, stream->length);
	if (stream->length == LOG_CHUNK_BYTES) {
		write_entry(log, stream, stream->bytes, stream->length, false);
		stream->length = 0;
	}
}

char *log_stream_room(struct log_stream *stream, size_t *ret_size)
{
	*ret_size = LOG_CHUNK_BYTES - stream->length;
	return stream->bytes + stream->length;
}

void log_stream_wrote(struct log *log, struct log_stream *stream, size_t count)
{
	stream->length += count;
	write_lines(log, stream);
}

void log_stream_end(struct log *log, struct log_stream *stream)
{
	if (stream->length)
		write_entry(log, stream, stream->bytes, stream->length, true);
	stream->length = 0;
}

void log_append(struct log *log, struct log_stream *stream, const char *data, size_t length)
{
	while (length) {
		size_t size;
		char *room = log_stream_room(stream, &size);
		size_t piece = length < size ? length : size;
		memcpy(room, data, piece);
		log_stream_wrote(log, stream, piece);
		data += piece;
		length -= piece;
	}
}
