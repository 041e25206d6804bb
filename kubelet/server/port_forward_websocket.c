// SPDX-License-Identifier: Apache-2.0
// Of the ports that the request names, number i has channel 2i for its data and 2i + 1
// for its errors; each channel begins with a message that holds the port in two bytes,
// the low one first. There is one connection to each port, made at once. The WebSocket
// ends when the last of them has.

#include <string.h>

#include "common/base/encode.h"
#include "common/base/memory.h"
#include "common/io/websocket.h"
#include "kubelet/server/port_connection.h"
#include "kubelet/server/port_forward.h"
#include "kubelet/server/server_internal.h"

enum {
	MAX_MESSAGE_BYTES = 4 << 20,
	MAX_WAITING_BYTES = 1 << 20,
	CLOSE_NORMAL = 1000,
};

struct port_channel {
	struct forward_channels *session;
	size_t number;
	int port;
	struct port_connection *connection; // NULL: over
};

struct forward_channels {
	struct kubelet_server *server;
	struct http_tunnel *tunnel; // NULL: closed
	struct websocket socket;
	bool base64;
	bool paused;
	struct loop_timer end_timer;
	char *pod_name;
	char *uid;
	struct port_channel *channels;
	size_t count;
};

static void session_free(struct forward_channels *session)
{
	loop_timer_stop(&session->end_timer);
	for (size_t index = 0; index < session->count; index++)
		port_connection_close(session->channels[index].connection);
	if (session->tunnel)
		http_tunnel_close(session->tunnel);
	websocket_done(&session->socket);
	session->server->exec_count--;
	free(session->pod_name);
	free(session->uid);
	free(session->channels);
	free(session);
}

static void send_channel(struct forward_channels *session, size_t channel, const void *data, size_t length)
{
	AUTO_STRBUF struct strbuf message = STRBUF_INIT(2 * length + 16);
	strbuf_append_char(&message, (char)(session->base64 ? '0' + channel : channel));
	if (session->base64)
		base64_encode(&message, data, length);
	else
		strbuf_append(&message, data, length);
	websocket_send(&session->socket, session->base64 ? WEBSOCKET_TEXT : WEBSOCKET_BINARY, message.data,
	               message.length);
}

// --- the pod's side ------------------------------------------------------------------

static void on_end_timer(struct loop_timer *timer)
{
	struct forward_channels *session = container_of(timer, struct forward_channels, end_timer);
	websocket_close(&session->socket, CLOSE_NORMAL, "");
	session_free(session);
}

static void end_channel(struct port_channel *channel)
{
	struct forward_channels *session = channel->session;
	port_connection_close(TAKE(channel->connection));
	for (size_t index = 0; index < session->count; index++)
		if (session->channels[index].connection)
			return;
	loop_timer_start(session->server->kubelet->loop, &session->end_timer, 0, on_end_timer);
}

static void on_pod_data(void *context, const void *data, size_t length)
{
	struct port_channel *channel = context;
	struct forward_channels *session = channel->session;
	send_channel(session, 2 * channel->number, data, length);
	if (session->tunnel && http_tunnel_pending_bytes(session->tunnel) > FORWARD_HIGH_WATER_BYTES)
		port_connection_pause(channel->connection, true);
}

static size_t waiting_bytes(const struct forward_channels *session)
{
	size_t waiting = 0;
	for (size_t index = 0; index < session->count; index++)
		if (session->channels[index].connection)
			waiting += port_connection_pending_bytes(session->channels[index].connection);
	return waiting;
}

static void on_pod_drain(void *context)
{
	struct forward_channels *session = ((struct port_channel *)context)->session;
	if (!session->paused || !session->tunnel || waiting_bytes(session) > MAX_WAITING_BYTES / 2)
		return;
	session->paused = false;
	http_tunnel_resume(session->tunnel);
}

static void on_pod_end(void *context)
{
	end_channel(context);
}

static void on_pod_failed(void *context, const char *message)
{
	struct port_channel *channel = context;
	const struct forward_channels *session = channel->session;
	AUTO_FREE char *text = xasprintf("error forwarding port %d to pod %s, uid %s: %s", channel->port,
	                                 session->pod_name, session->uid, message);
	send_channel(channel->session, 2 * channel->number + 1, text, strlen(text));
	end_channel(channel);
}

// --- the client's side ---------------------------------------------------------------

static void on_message(void *context, enum websocket_opcode opcode, const uint8_t *data, size_t length)
{
	struct forward_channels *session = context;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	uint8_t *plain = (uint8_t *)data + 1;
	size_t plain_length = length - 1;
	(void)opcode;
	if (!length ||
	    (session->base64 && !base64_decode(arena, (const char *)data + 1, length - 1, &plain, &plain_length)))
		return;
	size_t channel = session->base64 ? (size_t)(data[0] - '0') : data[0];
	if (channel % 2 || channel / 2 >= session->count || !session->channels[channel / 2].connection)
		return;
	port_connection_write(session->channels[channel / 2].connection, plain, plain_length);
}

static void on_socket_close(void *context, uint16_t code, const char *reason)
{
	(void)code;
	(void)reason;
	session_free(context);
}

static void on_socket_send(void *context, const void *data, size_t length)
{
	struct forward_channels *session = context;
	if (session->tunnel)
		http_tunnel_write(session->tunnel, data, length);
}

static size_t on_tunnel_data(void *context, const void *data, size_t length)
{
	struct forward_channels *session = context;
	if (waiting_bytes(session) > MAX_WAITING_BYTES) {
		session->paused = true;
		return 0;
	}
	(void)websocket_feed(&session->socket, data, length);
	return length;
}

static void on_tunnel_drain(void *context)
{
	struct forward_channels *session = context;
	for (size_t index = 0; index < session->count; index++)
		if (session->channels[index].connection)
			port_connection_pause(session->channels[index].connection, false);
}

static void on_tunnel_close(void *context)
{
	struct forward_channels *session = context;
	session->tunnel = NULL;
	session_free(session);
}

// --- the start -----------------------------------------------------------------------

static void open_channel(struct port_channel *channel, const char *network_path)
{
	struct forward_channels *session = channel->session;
	const struct port_connection_handler handler = {
	        .on_data = on_pod_data,
	        .on_drain = on_pod_drain,
	        .on_end = on_pod_end,
	        .on_failed = on_pod_failed,
	        .context = channel,
	};
	const uint8_t port[2] = {(uint8_t)channel->port, (uint8_t)(channel->port >> 8)};
	send_channel(session, 2 * channel->number, port, sizeof(port));
	send_channel(session, 2 * channel->number + 1, port, sizeof(port));
	channel->connection =
	        port_connection_open(session->server->kubelet->loop, network_path, channel->port, &handler);
}

static void upgrade(struct forward_channels *session, struct http_exchange *exchange, const char *protocol)
{
	static const struct http_tunnel_callbacks callbacks = {on_tunnel_data, on_tunnel_drain, on_tunnel_close};
	char accept[29];
	websocket_accept_key(http_request_header(http_exchange_request(exchange), "sec-websocket-key"), accept);
	const struct http_header headers[] = {
	        {"upgrade", "websocket"},
	        {"connection", "Upgrade"},
	        {"sec-websocket-accept", accept},
	        {"sec-websocket-protocol", protocol},
	};
	session->tunnel = http_exchange_upgrade(exchange, headers, ARRAY_SIZE(headers), &callbacks, session);
}

void forward_websocket_start(struct kubelet_server *server, struct http_exchange *exchange,
                             const struct forward_target *target, const int *ports, size_t port_count)
{
	static const char *const protocols[] = {"v4.channel.k8s.io", "v4.base64.channel.k8s.io", NULL};
	const char *protocol = websocket_choose_protocol(http_exchange_request(exchange), protocols);
	if (!protocol) {
		server_respond_error(exchange, 403,
		                     "unable to upgrade: none of the requested subprotocols is supported: want "
		                     "SPDY/3.1+portforward.k8s.io, v4.channel.k8s.io or v4.base64.channel.k8s.io");
		return;
	}
	struct forward_channels *session = NEW(struct forward_channels);
	*session = (struct forward_channels){
	        .server = server,
	        .base64 = protocol == protocols[1],
	        .pod_name = xstrdup(target->pod_name),
	        .uid = xstrdup(target->uid),
	        .channels = xcalloc(port_count, sizeof(*session->channels)),
	        .count = port_count,
	};
	server->exec_count++;
	websocket_init(&session->socket, false, MAX_MESSAGE_BYTES);
	session->socket.on_message = on_message;
	session->socket.on_close = on_socket_close;
	session->socket.send = on_socket_send;
	session->socket.context = session;
	upgrade(session, exchange, protocol);
	if (!session->tunnel) {
		session_free(session);
		server_respond_error(exchange, 400, "unable to upgrade: the client has gone");
		return;
	}
	for (size_t index = 0; index < port_count; index++) {
		session->channels[index] =
		        (struct port_channel){.session = session, .number = index, .port = ports[index]};
		open_channel(&session->channels[index], target->network_path);
	}
}
