// SPDX-License-Identifier: Apache-2.0
// tailLines is found by reading backwards in blocks and counting whole lines; then
// the file is read forwards line by line. A last line without its newline is left for
// the next read: the logger may still be writing it.

#include "kubelet/server/log_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/api/object.h"
#include "common/base/memory.h"

enum { BLOCK_BYTES = 65536, MAX_LINE_BYTES = 32768 };

struct log_reader {
	char *path;
	int fd;
	struct log_options options;
	char *stream;
	struct strbuf rest; // bytes after the last whole line
	int64_t written;    // towards limit_bytes
	bool midline;       // the last one written was partial
};

bool log_line_parse(const char *line, size_t length, struct log_line *ret_line)
{
	const char *end = line + length;
	const char *stream = memchr(line, ' ', length);
	const char *tag = stream ? memchr(stream + 1, ' ', (size_t)(end - stream - 1)) : NULL;
	const char *text = tag ? memchr(tag + 1, ' ', (size_t)(end - tag - 1)) : NULL;
	char stamp[API_TIME_BYTES + 8];
	if (!text || (size_t)(stream - line) >= sizeof(stamp))
		return false;
	memcpy(stamp, line, (size_t)(stream - line));
	stamp[stream - line] = '\0';
	int64_t time_ns;
	if (!api_time_parse(stamp, &time_ns))
		return false;
	*ret_line = (struct log_line){
	        .time_ns = time_ns,
	        .time_text = line,
	        .time_length = (size_t)(stream - line),
	        .is_stderr = tag - stream == 7 && !memcmp(stream + 1, "stderr", 6),
	        .partial = tag[1] == 'P',
	        .text = text + 1,
	        .length = (size_t)(end - text - 1),
	};
	return true;
}

// Where the last `lines` whole log entries begin. A long line's parts count as one.
static off_t find_tail(int fd, int64_t lines)
{
	struct stat status;
	if (fstat(fd, &status) < 0)
		return 0;
	AUTO_FREE char *block = xmalloc(BLOCK_BYTES);
	off_t position = status.st_size;
	int64_t newlines = 0;
	while (position > 0) {
		size_t size = position < BLOCK_BYTES ? (size_t)position : BLOCK_BYTES;
		ssize_t count = pread(fd, block, size, position - (off_t)size);
		if (count <= 0)
			return 0;
		for (ssize_t index = count; index-- > 0;)
			if (block[index] == '\n' && newlines++ == lines)
				return position - (off_t)size + index + 1;
		position -= (off_t)size;
	}
	return 0;
}

struct log_reader *log_reader_open(const char *path, const struct log_options *options)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	struct log_reader *reader = NEW(struct log_reader);
	*reader = (struct log_reader){
	        .path = xstrdup(path),
	        .fd = fd,
	        .options = *options,
	        .stream = xstrdup(options->stream),
	        .rest = STRBUF_INIT(2 * BLOCK_BYTES + MAX_LINE_BYTES),
	};
	if (options->tail_lines >= 0)
		lseek(fd, options->tail_lines ? find_tail(fd, options->tail_lines) : lseek(fd, 0, SEEK_END), SEEK_SET);
	return reader;
}

struct log_reader *log_reader_close(struct log_reader *reader)
{
	if (!reader)
		return NULL;
	close(reader->fd);
	strbuf_done(&reader->rest);
	free(reader->path);
	free(reader->stream);
	free(reader);
	return NULL;
}

bool log_reader_is_full(const struct log_reader *reader)
{
	return reader->options.limit_bytes >= 0 && reader->written >= reader->options.limit_bytes;
}

static void put(struct log_reader *reader, struct strbuf *out, const char *text, size_t length)
{
	if (reader->options.limit_bytes >= 0 && (int64_t)length > reader->options.limit_bytes - reader->written)
		length = (size_t)(reader->options.limit_bytes - reader->written);
	strbuf_append(out, text, length);
	reader->written += (int64_t)length;
}

static void put_line(struct log_reader *reader, struct strbuf *out, const char *line, size_t length)
{
	struct log_line parsed;
	if (!log_line_parse(line, length, &parsed) || parsed.time_ns < reader->options.since_ns)
		return;
	if (reader->stream && strcmp(reader->stream, parsed.is_stderr ? "stderr" : "stdout"))
		return;
	if (reader->options.timestamps && !reader->midline) {
		put(reader, out, parsed.time_text, parsed.time_length);
		put(reader, out, " ", 1);
	}
	put(reader, out, parsed.text, parsed.length);
	if (!parsed.partial)
		put(reader, out, "\n", 1);
	reader->midline = parsed.partial;
}

static void put_whole_lines(struct log_reader *reader, struct strbuf *out)
{
	const char *text = strbuf_text(&reader->rest);
	size_t used = 0;
	for (const char *newline; (newline = memchr(text + used, '\n', reader->rest.length - used));) {
		put_line(reader, out, text + used, (size_t)(newline - text) - used);
		used = (size_t)(newline - text) + 1;
	}
	strbuf_consume(&reader->rest, used);
}

// After a rotation the path names another file: the old one is read to its end first.
static bool switch_file(struct log_reader *reader)
{
	struct stat mine;
	struct stat present;
	if (fstat(reader->fd, &mine) < 0 || stat(reader->path, &present) < 0 || mine.st_ino == present.st_ino)
		return false;
	// It may have been written between the read that found its end and its renaming.
	if (fstat(reader->fd, &mine) == 0 && lseek(reader->fd, 0, SEEK_CUR) < mine.st_size)
		return true;
	int fd = open(reader->path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	close(reader->fd);
	reader->fd = fd;
	strbuf_clear(&reader->rest);
	return true;
}

bool log_reader_read(struct log_reader *reader, struct strbuf *out)
{
	char *place = log_reader_is_full(reader) ? NULL : strbuf_reserve(&reader->rest, BLOCK_BYTES);
	if (!place)
		return false;
	ssize_t count = read(reader->fd, place, BLOCK_BYTES);
	if (count <= 0)
		return switch_file(reader);
	strbuf_commit(&reader->rest, (size_t)count);
	put_whole_lines(reader, out);
	return true;
}

char *log_reader_tail(const char *path, int64_t lines, size_t max_bytes)
{
	struct log_options options = LOG_OPTIONS_INIT;
	options.tail_lines = lines;
	struct log_reader *reader = log_reader_open(path, &options);
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(16 << 20);
	while (reader && log_reader_read(reader, &text))
		;
	log_reader_close(reader);
	if (!text.length)
		return NULL;
	size_t skip = text.length > max_bytes ? text.length - max_bytes : 0;
	return xstrndup(strbuf_text(&text) + skip, text.length - skip);
}
