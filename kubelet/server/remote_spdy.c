// SPDX-License-Identifier: Apache-2.0
// Each of the client's streams says what it is in its header "streamtype": error, stdin,
// stdout, stderr, resize. The session opens when all that the request asks for are
// there; a client that doesn't open them within CREATION_NS is cut off.
//
// The protocols, in X-Stream-Protocol-Version: v4 tells the outcome as a Status in JSON,
// those before as a text; a terminal can be resized since v3.
//
// The end: output, then the outcome, each with its stream's end; when nothing waits for
// windows any more (or after LINGER_NS) GOAWAY. Then the client closes, which it does
// when it has the outcome; one that doesn't is closed after PARTING_NS. A server that
// closed at once would lose what is on its way when the client still says something, a
// WINDOW_UPDATE for instance. In all that time the remote has no owner.

#include <string.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "kubelet/server/remote_internal.h"
#include "kubelet/server/spdy_link.h"

#define CREATION_NS (30 * NSEC_PER_SEC)
#define LINGER_NS (30 * NSEC_PER_SEC)
#define PARTING_NS (3 * NSEC_PER_SEC)

enum { MAX_RESIZE_BYTES = 1024 };

enum stream_role {
	ROLE_ERROR,
	ROLE_STDIN,
	ROLE_STDOUT,
	ROLE_STDERR,
	ROLE_RESIZE,
	ROLE_COUNT_,
};

static const char *const role_names[ROLE_COUNT_] = {
        [ROLE_ERROR] = "error",   [ROLE_STDIN] = "stdin",   [ROLE_STDOUT] = "stdout",
        [ROLE_STDERR] = "stderr", [ROLE_RESIZE] = "resize",
};

static const char *const protocols[] = {"v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io",
                                        NULL};

struct remote_spdy {
	struct remote remote; // first
	struct spdy_link *link;
	bool tells_status;
	bool wanted[ROLE_COUNT_];
	struct spdy_stream *streams[ROLE_COUNT_]; // NULL: not there yet, or reset
	bool seen[ROLE_COUNT_];
	struct loop_timer timer; // until it stands; while it ends
	bool opened;
	bool finishing; // without an owner
	bool parting;   // GOAWAY has been said
	struct strbuf size_text;
};

static struct remote_spdy *spdy_of(const struct remote *remote)
{
	return container_of(remote, struct remote_spdy, remote);
}

static void spdy_remote_free(struct remote *remote)
{
	struct remote_spdy *self = spdy_of(remote);
	loop_timer_stop(&self->timer);
	spdy_link_close(self->link);
	strbuf_done(&self->size_text);
	free(self);
}

static void lose(struct remote_spdy *self)
{
	if (self->finishing)
		spdy_remote_free(&self->remote);
	else
		self->remote.handler.on_gone(self->remote.context);
}

// --- output --------------------------------------------------------------------------

static void spdy_write(struct remote *remote, enum remote_output output, const void *data, size_t length)
{
	struct remote_spdy *self = spdy_of(remote);
	struct spdy_stream *stream = self->streams[output == REMOTE_STDOUT ? ROLE_STDOUT : ROLE_STDERR];
	if (stream)
		spdy_stream_write(stream, data, length);
}

static size_t waiting_bytes(const struct remote_spdy *self)
{
	size_t waiting = 0;
	for (int role = 0; role < ROLE_COUNT_; role++)
		waiting += self->streams[role] ? spdy_stream_pending_bytes(self->streams[role]) : 0;
	return waiting;
}

static size_t spdy_pending_bytes(const struct remote *remote)
{
	const struct remote_spdy *self = spdy_of(remote);
	return spdy_link_pending_bytes(self->link) + waiting_bytes(self);
}

static void end_stream(struct remote_spdy *self, enum stream_role role, const struct strbuf *text)
{
	struct spdy_stream *stream = self->streams[role];
	if (!stream)
		return;
	if (text && text->length)
		spdy_stream_write(stream, text->data, text->length);
	spdy_stream_finish(stream);
}

static void on_parted(struct loop_timer *timer)
{
	spdy_remote_free(&container_of(timer, struct remote_spdy, timer)->remote);
}

static void on_linger(struct loop_timer *timer)
{
	struct remote_spdy *self = container_of(timer, struct remote_spdy, timer);
	self->parting = true;
	spdy_goaway(spdy_link_session(self->link));
	loop_timer_start(self->remote.loop, timer, PARTING_NS, on_parted);
}

static void spdy_finish(struct remote *remote, const struct remote_outcome *outcome)
{
	struct remote_spdy *self = spdy_of(remote);
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(64 << 10);
	remote_write_outcome(outcome, self->tells_status, &text);
	end_stream(self, ROLE_STDOUT, NULL);
	end_stream(self, ROLE_STDERR, NULL);
	end_stream(self, ROLE_ERROR, &text);
	self->finishing = true;
	// In a turn of its own: this may be a callback's.
	loop_timer_start(remote->loop, &self->timer, waiting_bytes(self) ? LINGER_NS : 0, on_linger);
}

static void on_stream_drain(void *context, struct spdy_stream *stream)
{
	struct remote_spdy *self = context;
	(void)stream;
	if (self->finishing && !self->parting && !waiting_bytes(self))
		loop_timer_start(self->remote.loop, &self->timer, 0, on_linger);
	else if (self->opened && !self->finishing && !waiting_bytes(self))
		self->remote.handler.on_drain(self->remote.context);
}

static void on_link_drain(void *context)
{
	struct remote_spdy *self = context;
	if (self->opened && !self->finishing && !waiting_bytes(self))
		self->remote.handler.on_drain(self->remote.context);
}

// --- input ---------------------------------------------------------------------------

static void spdy_input_taken(struct remote *remote, size_t length)
{
	struct remote_spdy *self = spdy_of(remote);
	if (self->streams[ROLE_STDIN])
		spdy_link_consumed(self->link, self->streams[ROLE_STDIN], length);
}

// Sizes are JSON values, one after another.
static void take_size(struct remote_spdy *self, const char *data, size_t length)
{
	unsigned columns;
	unsigned rows;
	for (size_t index = 0; index < length; index++) {
		strbuf_append_char(&self->size_text, data[index]);
		if (data[index] != '}')
			continue;
		if (remote_read_size(self->size_text.data, self->size_text.length, &columns, &rows))
			self->remote.handler.on_resize(self->remote.context, columns, rows);
		strbuf_done(&self->size_text);
		self->size_text = STRBUF_INIT(MAX_RESIZE_BYTES);
	}
}

static void on_data(void *context, struct spdy_stream *stream, const void *data, size_t length)
{
	struct remote_spdy *self = context;
	if (stream == self->streams[ROLE_STDIN] && !self->finishing) {
		self->remote.handler.on_input(self->remote.context, data, length);
		return;
	}
	if (stream == self->streams[ROLE_RESIZE] && !self->finishing)
		take_size(self, data, length);
	spdy_link_consumed(self->link, stream, length);
}

static void on_end(void *context, struct spdy_stream *stream)
{
	struct remote_spdy *self = context;
	if (stream == self->streams[ROLE_STDIN] && !self->finishing)
		self->remote.handler.on_input_end(self->remote.context);
}

static void on_reset(void *context, struct spdy_stream *stream, uint32_t status)
{
	struct remote_spdy *self = context;
	(void)status;
	for (int role = 0; role < ROLE_COUNT_; role++)
		if (self->streams[role] == stream) {
			self->streams[role] = NULL;
			if (role == ROLE_STDIN && !self->finishing)
				self->remote.handler.on_input_end(self->remote.context);
		}
	spdy_stream_close(stream, SPDY_CANCEL);
}

// --- the start -----------------------------------------------------------------------

static bool stands(const struct remote_spdy *self)
{
	for (int role = 0; role < ROLE_COUNT_; role++)
		if (self->wanted[role] && !self->seen[role])
			return false;
	return true;
}

static void on_open(struct loop_timer *timer)
{
	struct remote_spdy *self = container_of(timer, struct remote_spdy, timer);
	self->opened = true;
	self->remote.handler.on_open(self->remote.context);
}

static void on_stream(void *context, struct spdy_stream *stream, const struct spdy_header *headers, size_t count)
{
	struct remote_spdy *self = context;
	const char *type = spdy_header_get(headers, count, "streamtype");
	for (int role = 0; type && role < ROLE_COUNT_; role++) {
		if (strcmp(type, role_names[role]) || !self->wanted[role] || self->seen[role])
			continue;
		self->seen[role] = true;
		self->streams[role] = stream;
		spdy_stream_accept(stream);
		if (stands(self))
			loop_timer_start(self->remote.loop, &self->timer, 0, on_open);
		return;
	}
	spdy_stream_close(stream, SPDY_REFUSED_STREAM);
}

static void on_late(struct loop_timer *timer)
{
	lose(container_of(timer, struct remote_spdy, timer));
}

static void on_gone(void *context)
{
	lose(context);
}

static const struct remote_operations spdy_operations = {
        .write = spdy_write,
        .pending_bytes = spdy_pending_bytes,
        .input_taken = spdy_input_taken,
        .finish = spdy_finish,
        .free = spdy_remote_free,
};

struct remote *remote_spdy_accept(struct loop *loop, struct http_exchange *exchange, const struct remote_wants *wants,
                                  const struct remote_handler *handler, void *context)
{
	static const struct spdy_link_handler link_handler = {
	        .streams = {.on_stream = on_stream,
	                    .on_data = on_data,
	                    .on_end = on_end,
	                    .on_reset = on_reset,
	                    .on_drain = on_stream_drain},
	        .on_drain = on_link_drain,
	        .on_gone = on_gone,
	};
	const char *protocol = spdy_choose_protocol(exchange, protocols);
	if (!protocol)
		return NULL;
	struct remote_spdy *self = NEW(struct remote_spdy);
	*self = (struct remote_spdy){
	        .remote = {&spdy_operations, loop, *wants, *handler, context},
	        .tells_status = protocol[0] == 'v' && protocol[1] == '4',
	        .wanted = {[ROLE_ERROR] = true,
	                   [ROLE_STDIN] = wants->input,
	                   [ROLE_STDOUT] = wants->output,
	                   [ROLE_STDERR] = wants->error,
	                   [ROLE_RESIZE] = wants->tty && protocol[0] == 'v' && protocol[1] >= '3'},
	        .size_text = STRBUF_INIT(MAX_RESIZE_BYTES),
	};
	self->link = spdy_link_open(exchange, protocol, false, &link_handler, self);
	if (!self->link) {
		free(self);
		return NULL;
	}
	loop_timer_start(loop, &self->timer, CREATION_NS, on_late);
	return &self->remote;
}
