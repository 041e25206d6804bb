// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the two halves of the gRPC client share: calls, which outlive connections
// (grpc_client.c), and connections, each one HTTP/2 session (grpc_connection.c).

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/list.h"
#include "common/base/strbuf.h"
#include "common/io/grpc_client.h"
#include "common/io/loop.h"

struct stream;

struct grpc_endpoint {
	char *host; // or "unix:/path"
	int port;
	bool tls;
	char *authority;
};

struct grpc_connection {
	struct grpc_client *client;
	struct list node; // on client->connections
	const struct grpc_endpoint *endpoint;
	struct stream *stream;
	nghttp2_session *session;
	struct list calls;      // submitted to this session
	struct strbuf outgoing; // frames of one flush
	bool ready;             // the server's SETTINGS have arrived
	bool draining;          // GOAWAY: takes no new calls
	bool in_session;        // inside nghttp2
	bool ping_outstanding;
	int64_t last_receive_ns;
	int64_t last_ping_ns;
	struct loop_timer keepalive; // also bounds the wait for SETTINGS
};

struct grpc_call {
	struct grpc_client *client;
	struct grpc_connection *connection; // NULL while waiting or finished
	struct list node;                   // on client->waiting, connection->calls or client->finished
	char *path;
	bool is_stream;
	bool sent; // its HEADERS frame was handed to the socket's buffer
	bool busy; // inside one of its callbacks
	bool cancelled;
	bool finished;
	unsigned refusals;
	int32_t stream_id;
	int64_t timeout_ns;
	int64_t deadline_ns;
	struct loop_timer deadline;
	struct loop_timer connect_wait;
	struct strbuf output; // length-prefixed request messages
	size_t output_offset; // what of it is out
	struct strbuf input;
	struct grpc_call_callbacks callbacks;
	void *context;
	int http_status;
	bool have_status;
	enum grpc_status status;
	char *message;
};

struct grpc_client {
	struct loop *loop;
	struct grpc_endpoint *endpoints;
	size_t endpoint_count;
	size_t next_endpoint;
	size_t failures_in_row;
	int64_t backoff_ns;
	SSL_CTX *tls;
	struct tls_client_config tls_config; // its texts are copies
	bool has_tls_config;
	int64_t tls_stamp; // of the files that `tls` was made from
	size_t max_message_bytes;
	int64_t connect_wait_ns;
	void (*on_state)(void *context, bool connected);
	void *context;
	bool reported_connected;
	struct grpc_connection *current; // being made, or taking calls; NULL while backing off
	struct list connections;         // current and draining ones
	struct list waiting;
	struct list finished;
	bool delivering;
	struct loop_timer retry;
	struct loop_timer wake; // flush and deliver in the next turn
	char last_error[200];
};

// --- grpc_connection.c -------------------------------------------------------
struct grpc_connection *grpc_connection_open(struct grpc_client *client, const struct grpc_endpoint *endpoint);
struct grpc_connection *grpc_connection_free(struct grpc_connection *connection); // it has no calls left
// Queues the call's request; false when the session takes none any more.
bool grpc_connection_submit(struct grpc_connection *connection, struct grpc_call *call);
void grpc_connection_more_output(struct grpc_connection *connection, struct grpc_call *call);
// Cuts the call's stream off and forgets the call.
void grpc_connection_detach(struct grpc_connection *connection, struct grpc_call *call, uint32_t error_code);
// Writes what the session wants to send; false when the session is over.
bool grpc_connection_flush(struct grpc_connection *connection);
// Asks for a sign of life when nothing has come for a while.
void grpc_connection_probe(struct grpc_connection *connection);

// --- grpc_client.c, told by connections ----------------------------------------
void grpc_client_connection_ready(struct grpc_connection *connection);
void grpc_client_connection_draining(struct grpc_connection *connection);
// Frees the connection.
void grpc_client_connection_lost(struct grpc_connection *connection, const char *reason);
void grpc_client_wake(struct grpc_client *client);
void grpc_client_deliver(struct grpc_client *client);
void grpc_call_finish(struct grpc_call *call, enum grpc_status status, const char *message);
// The server certainly did not process it: tried again, a few times.
void grpc_call_refused(struct grpc_call *call, const char *reason);
void grpc_call_free_if_idle(struct grpc_call *call);
