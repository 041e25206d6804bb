// SPDX-License-Identifier: Apache-2.0
// For each connection the client opens two streams with the same header "requestid":
// "streamtype" error and data, both with the "port". (Clients without request ids open
// them one right after the other: the data stream has the error stream's id plus 2.)
//
//   both there ─▶ connect ─▶ bytes both ways ─▶ the pod's end, or a failure
//                                                └▶ both streams end; what went wrong
//                                                   is said on the error stream
//
// A pair goes when both its streams have ended on both sides or were reset, at the
// latest when its connection with the client does. Half a pair is dropped after
// PAIR_NS.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/io/websocket.h"
#include "kubelet/server/port_connection.h"
#include "kubelet/server/port_forward.h"
#include "kubelet/server/server_internal.h"
#include "kubelet/server/spdy_link.h"

#define PAIR_NS (30 * NSEC_PER_SEC)

enum { MAX_PAIRS = 250 };

struct forward_session {
	struct kubelet_server *server;
	struct loop *loop;
	struct spdy_link *link;
	struct list pairs;
	size_t pair_count;
	char *pod_name;
	char *uid;
	char *network_path;
};

struct forward_pair {
	struct list node;
	struct forward_session *session;
	char *request_id;
	int port;
	struct spdy_stream *error_stream; // NULL: not there yet, or gone
	struct spdy_stream *data_stream;
	bool began;
	bool error_peer_ended, data_peer_ended;
	struct port_connection *connection; // NULL: over
	size_t unconsumed;                  // of the data stream
	struct loop_timer timer;
};

static void pair_free(struct forward_pair *pair)
{
	loop_timer_stop(&pair->timer);
	port_connection_close(pair->connection);
	list_remove(&pair->node);
	pair->session->pair_count--;
	free(pair->request_id);
	free(pair);
}

static void close_streams(struct forward_pair *pair)
{
	if (pair->error_stream)
		spdy_stream_close(TAKE(pair->error_stream), SPDY_CANCEL);
	if (pair->data_stream)
		spdy_stream_close(TAKE(pair->data_stream), SPDY_CANCEL);
}

// Frees the pair when nothing of it is left to be done.
static void settle(struct forward_pair *pair)
{
	bool error_over = !pair->error_stream || pair->error_peer_ended;
	bool data_over = !pair->data_stream || pair->data_peer_ended;
	size_t waiting = pair->data_stream ? spdy_stream_pending_bytes(pair->data_stream) : 0;
	if (!pair->began || pair->connection || !error_over || !data_over || waiting)
		return;
	close_streams(pair);
	pair_free(pair);
}

static void consume_all(struct forward_pair *pair)
{
	size_t length = pair->unconsumed;
	pair->unconsumed = 0;
	if (length && pair->data_stream)
		spdy_link_consumed(pair->session->link, pair->data_stream, length);
}

// The pod's side is over; with a message, which may be the connection's own, when it went wrong.
static void end_connection(struct forward_pair *pair, const char *message)
{
	struct port_connection *connection = TAKE(pair->connection);
	consume_all(pair);
	if (message && pair->error_stream) {
		AUTO_FREE char *text = xasprintf("error forwarding port %d to pod %s, uid %s: %s", pair->port,
		                                 pair->session->pod_name, pair->session->uid, message);
		spdy_stream_write(pair->error_stream, text, strlen(text));
		log_v(2, "Port forwarding failed", kv_str("pod", pair->session->pod_name), kv_int("port", pair->port),
		      kv_str("err", message));
	}
	port_connection_close(connection);
	if (pair->data_stream)
		spdy_stream_finish(pair->data_stream);
	if (pair->error_stream)
		spdy_stream_finish(pair->error_stream);
	settle(pair);
}

// --- the pod's side ------------------------------------------------------------------

static bool is_backed_up(const struct forward_pair *pair)
{
	return spdy_stream_pending_bytes(pair->data_stream) > FORWARD_HIGH_WATER_BYTES ||
	       spdy_link_pending_bytes(pair->session->link) > 4 * FORWARD_HIGH_WATER_BYTES;
}

static void on_pod_data(void *context, const void *data, size_t length)
{
	struct forward_pair *pair = context;
	spdy_stream_write(pair->data_stream, data, length);
	if (is_backed_up(pair))
		port_connection_pause(pair->connection, true);
}

static void on_pod_drain(void *context)
{
	consume_all(context);
}

static void on_pod_end(void *context)
{
	end_connection(context, NULL);
}

static void on_pod_failed(void *context, const char *message)
{
	end_connection(context, message);
}

static void begin(struct forward_pair *pair)
{
	const struct port_connection_handler handler = {
	        .on_data = on_pod_data,
	        .on_drain = on_pod_drain,
	        .on_end = on_pod_end,
	        .on_failed = on_pod_failed,
	        .context = pair,
	};
	pair->began = true;
	loop_timer_stop(&pair->timer);
	pair->connection = port_connection_open(pair->session->loop, pair->session->network_path, pair->port, &handler);
}

// --- the client's side ---------------------------------------------------------------

static void on_pair_timer(struct loop_timer *timer)
{
	struct forward_pair *pair = container_of(timer, struct forward_pair, timer);
	close_streams(pair);
	pair_free(pair);
}

static struct forward_pair *find_pair(const struct forward_session *session, const char *request_id)
{
	struct forward_pair *pair;
	list_for_each (pair, &session->pairs, node)
		if (!strcmp(pair->request_id, request_id) && !pair->began)
			return pair;
	return NULL;
}

static struct forward_pair *pair_new(struct forward_session *session, const char *request_id, int port)
{
	struct forward_pair *pair = NEW(struct forward_pair);
	*pair = (struct forward_pair){.session = session, .request_id = xstrdup(request_id), .port = port};
	list_append(&session->pairs, &pair->node);
	session->pair_count++;
	loop_timer_start(session->loop, &pair->timer, PAIR_NS, on_pair_timer);
	return pair;
}

static int read_port(const char *text)
{
	char *end;
	long port = text ? strtol(text, &end, 10) : 0;
	return port > 0 && port < 65536 && !*end ? (int)port : 0;
}

static void on_stream(void *context, struct spdy_stream *stream, const struct spdy_header *headers, size_t count)
{
	struct forward_session *session = context;
	const char *type = spdy_header_get(headers, count, "streamtype");
	const char *request_id = spdy_header_get(headers, count, "requestid");
	int port = read_port(spdy_header_get(headers, count, "port"));
	bool is_error = type && !strcmp(type, "error");
	char own_id[16];
	if (!request_id) {
		snprintf(own_id, sizeof(own_id), "%u", spdy_stream_id(stream) - (is_error ? 0 : 2));
		request_id = own_id;
	}
	struct forward_pair *pair = find_pair(session, request_id);
	bool fits = type && port && (is_error || !strcmp(type, "data")) &&
	            (!pair || (pair->port == port && !(is_error ? pair->error_stream : pair->data_stream)));
	if (!fits || (!pair && session->pair_count >= MAX_PAIRS)) {
		spdy_stream_close(stream, SPDY_REFUSED_STREAM);
		return;
	}
	if (!pair)
		pair = pair_new(session, request_id, port);
	if (is_error)
		pair->error_stream = stream;
	else
		pair->data_stream = stream;
	spdy_stream_set_owner(stream, pair);
	spdy_stream_accept(stream);
	if (pair->error_stream && pair->data_stream)
		begin(pair);
}

static void on_client_data(void *context, struct spdy_stream *stream, const void *data, size_t length)
{
	struct forward_session *session = context;
	struct forward_pair *pair = spdy_stream_owner(stream);
	if (stream != pair->data_stream || (pair->began && !pair->connection)) {
		spdy_link_consumed(session->link, stream, length); // nobody wants it
		return;
	}
	pair->unconsumed += length;
	if (pair->connection)
		port_connection_write(pair->connection, data, length);
	else // no client speaks before it has both streams
		consume_all(pair);
}

static void on_client_end(void *context, struct spdy_stream *stream)
{
	struct forward_pair *pair = spdy_stream_owner(stream);
	(void)context;
	if (stream == pair->error_stream)
		pair->error_peer_ended = true;
	else
		pair->data_peer_ended = true;
	if (stream == pair->data_stream && pair->connection)
		port_connection_finish(pair->connection);
	settle(pair);
}

static void on_client_reset(void *context, struct spdy_stream *stream, uint32_t status)
{
	struct forward_pair *pair = spdy_stream_owner(stream);
	(void)context;
	(void)status;
	bool was_data = stream == pair->data_stream;
	if (was_data)
		pair->data_stream = NULL;
	else
		pair->error_stream = NULL;
	pair->unconsumed = was_data ? 0 : pair->unconsumed;
	spdy_stream_close(stream, SPDY_CANCEL);
	if (was_data && pair->connection)
		end_connection(pair, NULL);
	else
		settle(pair);
}

static void resume(struct forward_pair *pair)
{
	if (pair->connection && pair->data_stream && !is_backed_up(pair))
		port_connection_pause(pair->connection, false);
}

static void on_stream_drain(void *context, struct spdy_stream *stream)
{
	struct forward_pair *pair = spdy_stream_owner(stream);
	(void)context;
	if (!pair)
		return;
	resume(pair);
	settle(pair);
}

static void on_link_drain(void *context)
{
	struct forward_session *session = context;
	struct forward_pair *pair;
	list_for_each (pair, &session->pairs, node)
		resume(pair);
}

static void on_gone(void *context)
{
	struct forward_session *session = context;
	struct forward_pair *pair;
	list_for_each (pair, &session->pairs, node)
		pair_free(pair);
	spdy_link_close(session->link);
	session->server->exec_count--;
	free(session->pod_name);
	free(session->uid);
	free(session->network_path);
	free(session);
}

// --- the start -----------------------------------------------------------------------

void forward_spdy_start(struct kubelet_server *server, struct http_exchange *exchange,
                        const struct forward_target *target)
{
	static const char *const protocols[] = {"portforward.k8s.io", NULL};
	static const struct spdy_link_handler handler = {
	        .streams = {.on_stream = on_stream,
	                    .on_data = on_client_data,
	                    .on_end = on_client_end,
	                    .on_reset = on_client_reset,
	                    .on_drain = on_stream_drain},
	        .on_drain = on_link_drain,
	        .on_gone = on_gone,
	};
	bool in_messages = websocket_is_upgrade(http_exchange_request(exchange));
	const char *protocol = in_messages ? "SPDY/3.1+portforward.k8s.io" : spdy_choose_protocol(exchange, protocols);
	if (!protocol)
		return;
	struct forward_session *session = NEW(struct forward_session);
	*session = (struct forward_session){
	        .server = server,
	        .loop = server->kubelet->loop,
	        .pod_name = xstrdup(target->pod_name),
	        .uid = xstrdup(target->uid),
	        .network_path = xstrdup(target->network_path),
	};
	list_init(&session->pairs);
	server->exec_count++;
	session->link = spdy_link_open(exchange, protocol, in_messages, &handler, session);
	if (!session->link)
		on_gone(session);
}
