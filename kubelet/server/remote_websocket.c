// SPDX-License-Identifier: Apache-2.0
// The first byte of each WebSocket message is its channel:
//
//   0 stdin   1 stdout   2 stderr   3 the outcome   4 the terminal's size
//   255 (v5)  the client closes the channel that the next byte names
//
// In the base64 protocols messages are texts: the channel as a digit, the rest in base64.
// The protocols before v4 tell the outcome as a text. At most REMOTE_MAX_INPUT_BYTES
// (and one read of the tunnel) wait for the owner; beyond, nothing is taken from the
// tunnel.

#include <string.h>

#include "common/base/encode.h"
#include "common/base/memory.h"
#include "common/io/websocket.h"
#include "kubelet/server/remote_internal.h"
#include "kubelet/server/server_internal.h"

enum {
	CHANNEL_STDIN = 0,
	CHANNEL_ERROR = 3,
	CHANNEL_RESIZE = 4,
	CHANNEL_CLOSE = 255,
	MAX_MESSAGE_BYTES = 4 << 20,
	CLOSE_NORMAL = 1000,
};

static const struct websocket_protocol {
	const char *name;
	bool base64;
	bool tells_status;
	bool closes_channels;
} protocols[] = {
        {"v5.channel.k8s.io", false, true, true},        {"v4.channel.k8s.io", false, true, false},
        {"v4.base64.channel.k8s.io", true, true, false}, {"channel.k8s.io", false, false, false},
        {"base64.channel.k8s.io", true, false, false},
};

struct remote_websocket {
	struct remote remote; // first
	const struct websocket_protocol *protocol;
	struct http_tunnel *tunnel; // NULL: closed
	struct websocket socket;
	struct loop_timer open_timer;
	size_t unconsumed;
	bool tunnel_paused;
	bool input_ended;
};

static struct remote_websocket *websocket_of(const struct remote *remote)
{
	return container_of(remote, struct remote_websocket, remote);
}

static void websocket_remote_free(struct remote *remote)
{
	struct remote_websocket *self = websocket_of(remote);
	loop_timer_stop(&self->open_timer);
	if (self->tunnel)
		http_tunnel_close(self->tunnel);
	websocket_done(&self->socket);
	free(self);
}

// --- output --------------------------------------------------------------------------

static void send_channel(struct remote_websocket *self, uint8_t channel, const void *data, size_t length)
{
	if (self->protocol->base64) {
		AUTO_STRBUF struct strbuf text = STRBUF_INIT(2 * length + 16);
		strbuf_append_char(&text, (char)('0' + channel));
		base64_encode(&text, data, length);
		websocket_send(&self->socket, WEBSOCKET_TEXT, text.data, text.length);
		return;
	}
	AUTO_FREE uint8_t *message = xmalloc(length + 1);
	message[0] = channel;
	if (length)
		memcpy(message + 1, data, length);
	websocket_send(&self->socket, WEBSOCKET_BINARY, message, length + 1);
}

static void websocket_write(struct remote *remote, enum remote_output output, const void *data, size_t length)
{
	send_channel(websocket_of(remote), (uint8_t)output, data, length);
}

static size_t websocket_pending_bytes(const struct remote *remote)
{
	const struct remote_websocket *self = websocket_of(remote);
	return self->tunnel ? http_tunnel_pending_bytes(self->tunnel) : 0;
}

static void websocket_finish(struct remote *remote, const struct remote_outcome *outcome)
{
	struct remote_websocket *self = websocket_of(remote);
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(64 << 10);
	remote_write_outcome(outcome, self->protocol->tells_status, &text);
	if (text.length)
		send_channel(self, CHANNEL_ERROR, text.data, text.length);
	websocket_close(&self->socket, CLOSE_NORMAL, "");
	websocket_remote_free(remote);
}

// --- input ---------------------------------------------------------------------------

static void take_message(struct remote_websocket *self, uint8_t channel, const uint8_t *data, size_t length)
{
	struct remote *remote = &self->remote;
	unsigned columns;
	unsigned rows;
	if (channel == CHANNEL_STDIN && remote->wants.input && !self->input_ended) {
		self->unconsumed += length;
		remote->handler.on_input(remote->context, data, length);
	} else if (channel == CHANNEL_RESIZE && remote_read_size(data, length, &columns, &rows)) {
		remote->handler.on_resize(remote->context, columns, rows);
	} else if (channel == CHANNEL_CLOSE && self->protocol->closes_channels && length && data[0] == CHANNEL_STDIN &&
	           !self->input_ended) {
		self->input_ended = true;
		remote->handler.on_input_end(remote->context);
	}
}

static void on_message(void *context, enum websocket_opcode opcode, const uint8_t *data, size_t length)
{
	struct remote_websocket *self = context;
	(void)opcode;
	if (!length)
		return;
	if (!self->protocol->base64) {
		take_message(self, data[0], data + 1, length - 1);
		return;
	}
	AUTO(arena_free) struct arena *arena = arena_new(0);
	uint8_t *plain;
	size_t plain_length;
	if (data[0] >= '0' && data[0] <= '9' &&
	    base64_decode(arena, (const char *)data + 1, length - 1, &plain, &plain_length))
		take_message(self, (uint8_t)(data[0] - '0'), plain, plain_length);
}

static void websocket_input_taken(struct remote *remote, size_t length)
{
	struct remote_websocket *self = websocket_of(remote);
	self->unconsumed -= length;
	if (!self->tunnel_paused || self->unconsumed >= REMOTE_MAX_INPUT_BYTES / 2 || !self->tunnel)
		return;
	self->tunnel_paused = false;
	http_tunnel_resume(self->tunnel);
}

// --- the tunnel ----------------------------------------------------------------------

static void on_socket_close(void *context, uint16_t code, const char *reason)
{
	struct remote_websocket *self = context;
	(void)code;
	(void)reason;
	if (self->tunnel)
		http_tunnel_close(TAKE(self->tunnel));
	self->remote.handler.on_gone(self->remote.context);
}

static void on_socket_send(void *context, const void *data, size_t length)
{
	struct remote_websocket *self = context;
	if (self->tunnel)
		http_tunnel_write(self->tunnel, data, length);
}

static size_t on_tunnel_data(void *context, const void *data, size_t length)
{
	struct remote_websocket *self = context;
	if (self->open_timer.loop || self->unconsumed >= REMOTE_MAX_INPUT_BYTES) {
		self->tunnel_paused = true;
		return 0;
	}
	(void)websocket_feed(&self->socket, data, length); // on_socket_close tells of every end; self may be gone
	return length;
}

static void on_tunnel_drain(void *context)
{
	struct remote_websocket *self = context;
	self->remote.handler.on_drain(self->remote.context);
}

static void on_tunnel_close(void *context)
{
	struct remote_websocket *self = context;
	self->tunnel = NULL;
	self->remote.handler.on_gone(self->remote.context);
}

static void on_open(struct loop_timer *timer)
{
	struct remote_websocket *self = container_of(timer, struct remote_websocket, open_timer);
	if (self->tunnel_paused && self->tunnel) {
		self->tunnel_paused = false;
		http_tunnel_resume(self->tunnel);
	}
	self->remote.handler.on_open(self->remote.context);
}

// --- the start -----------------------------------------------------------------------

static const struct websocket_protocol *choose_protocol(const struct http_request *request)
{
	const char *names[ARRAY_SIZE(protocols) + 1] = {NULL};
	for (size_t index = 0; index < ARRAY_SIZE(protocols); index++)
		names[index] = protocols[index].name;
	const char *name = websocket_choose_protocol(request, names);
	for (size_t index = 0; name && index < ARRAY_SIZE(protocols); index++)
		if (!strcmp(protocols[index].name, name))
			return &protocols[index];
	return NULL;
}

static void upgrade(struct remote_websocket *self, struct http_exchange *exchange)
{
	static const struct http_tunnel_callbacks callbacks = {on_tunnel_data, on_tunnel_drain, on_tunnel_close};
	char accept[29];
	websocket_accept_key(http_request_header(http_exchange_request(exchange), "sec-websocket-key"), accept);
	const struct http_header headers[] = {
	        {"upgrade", "websocket"},
	        {"connection", "Upgrade"},
	        {"sec-websocket-accept", accept},
	        {"sec-websocket-protocol", self->protocol->name},
	};
	self->tunnel = http_exchange_upgrade(exchange, headers, ARRAY_SIZE(headers), &callbacks, self);
}

static const struct remote_operations websocket_operations = {
        .write = websocket_write,
        .pending_bytes = websocket_pending_bytes,
        .input_taken = websocket_input_taken,
        .finish = websocket_finish,
        .free = websocket_remote_free,
};

struct remote *remote_websocket_accept(struct loop *loop, struct http_exchange *exchange,
                                       const struct remote_wants *wants, const struct remote_handler *handler,
                                       void *context)
{
	const struct websocket_protocol *protocol = choose_protocol(http_exchange_request(exchange));
	if (!protocol) {
		server_respond_error(exchange, 403,
		                     "unable to upgrade: none of the requested subprotocols is supported: want "
		                     "v5.channel.k8s.io, v4.channel.k8s.io, v4.base64.channel.k8s.io, channel.k8s.io "
		                     "or base64.channel.k8s.io");
		return NULL;
	}
	struct remote_websocket *self = NEW(struct remote_websocket);
	*self = (struct remote_websocket){
	        .remote = {&websocket_operations, loop, *wants, *handler, context},
	        .protocol = protocol,
	};
	websocket_init(&self->socket, false, MAX_MESSAGE_BYTES);
	self->socket.on_message = on_message;
	self->socket.on_close = on_socket_close;
	self->socket.send = on_socket_send;
	self->socket.context = self;
	upgrade(self, exchange);
	if (!self->tunnel) {
		websocket_remote_free(&self->remote);
		server_respond_error(exchange, 400, "unable to upgrade: the client has gone");
		return NULL;
	}
	// An empty message says that the stream stands, as upstream's server does.
	send_channel(self,
	             wants->output  ? (uint8_t)REMOTE_STDOUT
	             : wants->error ? (uint8_t)REMOTE_STDERR
	                            : CHANNEL_ERROR,
	             NULL, 0);
	loop_timer_start(loop, &self->open_timer, 0, on_open);
	return &self->remote;
}
