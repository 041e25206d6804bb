// SPDX-License-Identifier: Apache-2.0
// The kubelet's end of a container's console (kubelet/crilog/console.c): a unix socket in
// the run's directory, reached by a descriptor of that directory, because its whole path
// is longer than a socket's address may be.

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/io/stream.h"
#include "kubelet/crilog/console.h"
#include "kubelet/runtime/ctr_internal.h"

enum { INPUT_BYTES = CONSOLE_HEAD_BYTES + CONSOLE_MAX_PAYLOAD_BYTES };

struct runtime_attach {
	struct runtime_attach_config config;
	struct stream *stream;
	struct strbuf input; // a frame that isn't whole
	struct loop *loop;
	struct loop_timer resume_timer;
	bool paused;
	int folder_fd;
	bool pumping; // the owner is being called
	bool closed;  // meanwhile
};

static void attach_free(struct runtime_attach *attach)
{
	strbuf_done(&attach->input);
	free(attach);
}

static size_t frame_length(const uint8_t *head)
{
	return (size_t)head[1] << 24 | (size_t)head[2] << 16 | (size_t)head[3] << 8 | head[4];
}

// The first frame of the input. False: there is no whole one, or the owner has closed.
static bool deliver_frame(struct runtime_attach *attach)
{
	const uint8_t *head = (const uint8_t *)attach->input.data;
	if (attach->input.length < CONSOLE_HEAD_BYTES)
		return false;
	size_t length = frame_length(head);
	if (attach->input.length < CONSOLE_HEAD_BYTES + length)
		return false; // for ever, when it is longer than any can be
	AUTO_FREE uint8_t *data = xmemdup(head + CONSOLE_HEAD_BYTES, length);
	bool is_error = head[0] == CONSOLE_STDERR;
	strbuf_consume(&attach->input, CONSOLE_HEAD_BYTES + length);
	attach->config.on_output(attach->config.context, is_error, data, length);
	return !attach->closed;
}

// Takes what it can while the owner wants more; returns how much of the new data was taken.
static size_t pump(struct runtime_attach *attach, const char *data, size_t length)
{
	size_t used = 0;
	attach->pumping = true;
	while (!attach->paused && !attach->closed) {
		while (!attach->paused && deliver_frame(attach))
			;
		size_t room = INPUT_BYTES - attach->input.length;
		size_t piece = length - used < room ? length - used : room;
		if (!piece || attach->closed)
			break;
		strbuf_append(&attach->input, data + used, piece);
		used += piece;
	}
	attach->pumping = false;
	if (attach->closed)
		attach_free(attach);
	return used;
}

static size_t on_data(void *context, const void *data, size_t length)
{
	return pump(context, data, length);
}

static void on_resume(struct loop_timer *timer)
{
	struct runtime_attach *attach = container_of(timer, struct runtime_attach, resume_timer);
	stream_resume(attach->stream);
	pump(attach, "", 0);
}

static void on_drain(void *context)
{
	struct runtime_attach *attach = context;
	if (attach->config.on_drain)
		attach->config.on_drain(attach->config.context);
}

static void on_close(void *context, const struct err *err)
{
	struct runtime_attach *attach = context;
	attach->config.on_end(attach->config.context, err);
}

static void send_frame(struct runtime_attach *attach, enum console_frame type, const void *data, size_t length)
{
	const uint8_t head[CONSOLE_HEAD_BYTES] = {(uint8_t)type, (uint8_t)(length >> 24), (uint8_t)(length >> 16),
	                                          (uint8_t)(length >> 8), (uint8_t)length};
	stream_write(attach->stream, head, sizeof(head));
	stream_write(attach->stream, data, length);
}

void ctr_attach_write(struct runtime_attach *attach, const void *data, size_t length)
{
	const char *at = data;
	while (length) {
		size_t piece = length < CONSOLE_MAX_PAYLOAD_BYTES ? length : CONSOLE_MAX_PAYLOAD_BYTES;
		send_frame(attach, CONSOLE_STDIN, at, piece);
		at += piece;
		length -= piece;
	}
}

void ctr_attach_end_input(struct runtime_attach *attach)
{
	send_frame(attach, CONSOLE_STDIN_END, "", 0);
}

void ctr_attach_resize(struct runtime_attach *attach, unsigned columns, unsigned rows)
{
	const uint8_t size[4] = {(uint8_t)(columns >> 8), (uint8_t)columns, (uint8_t)(rows >> 8), (uint8_t)rows};
	send_frame(attach, CONSOLE_RESIZE, size, sizeof(size));
}

void ctr_attach_pause(struct runtime_attach *attach, bool pause)
{
	if (attach->paused && !pause)
		loop_timer_start(attach->loop, &attach->resume_timer, 0, on_resume);
	attach->paused = pause;
}

size_t ctr_attach_pending_bytes(const struct runtime_attach *attach)
{
	return stream_pending_bytes(attach->stream);
}

struct runtime_attach *ctr_attach_start(struct runtime *runtime, const struct runtime_attach_config *config)
{
	struct runtime_attach *attach = NEW(struct runtime_attach);
	*attach = (struct runtime_attach){
	        .config = *config,
	        .loop = ctr_runtime_of(runtime)->loop,
	        .input = STRBUF_INIT(INPUT_BYTES),
	        .folder_fd = open(config->directory, O_PATH | O_DIRECTORY | O_CLOEXEC),
	};
	char path[64];
	snprintf(path, sizeof(path), "unix:/proc/self/fd/%d/" CONSOLE_SOCKET, attach->folder_fd);
	const struct stream_config stream = {
	        .host = path,
	        .callbacks = {.on_data = on_data, .on_drain = on_drain, .on_close = on_close},
	        .context = attach,
	};
	attach->stream = stream_connect(attach->loop, &stream);
	return attach;
}

void ctr_attach_close(struct runtime_attach *attach)
{
	if (!attach)
		return;
	loop_timer_stop(&attach->resume_timer);
	stream_free(attach->stream);
	if (attach->folder_fd >= 0)
		close(attach->folder_fd);
	attach->closed = true;
	if (!attach->pumping)
		attach_free(attach);
}
