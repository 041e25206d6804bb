// SPDX-License-Identifier: Apache-2.0
#pragma once
// The parts of the HTTP server: a server has a shard for each loop, a shard its
// connections, a connection one protocol (HTTP/1.1, HTTP/2 or a tunnel) and its
// exchanges. Everything but the server's counters belongs to one loop's thread.

#include <openssl/ssl.h>
#include <stdatomic.h>

#include "common/base/arena.h"
#include "common/base/list.h"
#include "common/base/strbuf.h"
#include "common/io/http_server.h"
#include "common/io/loop.h"
#include "common/io/slice_queue.h"
#include "common/io/socket_address.h"

enum {
	HTTP_READ_BYTES = 16 * 1024 + 512, // holds a whole TLS record
	HTTP_RECORD_BYTES = 16 * 1024,
	HTTP_OUTPUT_HIGH_BYTES = 256 * 1024, // HTTP/2 makes no more frames above it
	HTTP_INPUT_HIGH_BYTES = 64 * 1024,   // pipelined input kept while an exchange runs
};

struct http_server {
	struct http_server_config config;
	struct tls_server *tls;
	struct http_shard **shards;
	size_t shard_count;
	size_t next_shard;
	int listen_fd;
	int port;
	struct loop_fd listener;
	struct loop_timer accept_timer; // after running out of descriptors
	struct loop_timer grace_timer;
	atomic_size_t connection_count;
	// Connections, tasks on their way and the stop itself; the last one to go reports.
	atomic_size_t holds;
	atomic_bool stopping;
	int64_t grace_ns;
	struct loop_task stop_task;
	struct loop_task closed_task;
	bool closed;
	void (*on_closed)(void *context);
	void *on_closed_context;
};

struct http_shard {
	struct http_server *server;
	struct loop *loop;
	atomic_uint references; // the server's and one for each exchange
	bool stopping;
	atomic_bool orphaned; // the server is gone
	struct list connections;
	struct list dirty;  // connections to be flushed
	struct list events; // exchanges whose owner is to be called
	struct list dead;   // connections to be freed
	struct loop_turn_hook hook;
	struct loop_timer wake;
	struct loop_task stop_task;
	struct loop_task cut_task;
	int64_t date_second;
	char date[32];
	char read_buffer[HTTP_READ_BYTES];
	char record_buffer[HTTP_RECORD_BYTES];
};

// Who is at the other end, shared by the connection and its exchanges.
struct http_peer {
	unsigned references;
	struct arena *arena; // NULL without a certificate
	struct tls_identity identity;
	char address[SOCKET_ADDRESS_TEXT_BYTES];
};

enum http_connection_state {
	HTTP_CONNECTION_HANDSHAKE,
	HTTP_CONNECTION_OPEN,
	HTTP_CONNECTION_LINGER, // all is sent, waiting for the peer to close
	HTTP_CONNECTION_DEAD,
};

struct http_connection {
	struct http_shard *shard;
	struct loop_task adopt_task;
	enum http_connection_state state;
	int fd;
	SSL *ssl;
	struct loop_fd source;
	struct loop_timer timer;
	int64_t deadline_ns; // of the handshake, an idle connection or a head; 0 = none
	struct list node;    // among its shard's connections, or its dead
	struct list dirty_node;
	struct list exchanges;
	struct list drain_waiters; // exchanges above their low water
	struct http_peer *peer;
	struct slice_queue output;
	const struct http_protocol *protocol;
	void *session; // the protocol's
	bool read_paused;
	bool write_blocked;
	bool hung_up; // while the reading was paused
	bool closing; // once the output is out
	bool cut;     // at once, without a proper end
};

struct http_exchange {
	unsigned references;
	struct http_shard *shard;
	struct http_connection *connection; // NULL once finished or gone
	struct http_peer *peer;
	struct list node;
	struct list event_node;
	struct list drain_node;
	struct arena *arena;
	struct http_request request;
	struct strbuf body;
	int64_t deadline_ns; // of the request's body, then of the client reading the answer's rest
	bool dispatch_due;
	bool gone_due;
	bool drain_due;
	bool dispatched;
	bool started;
	bool ended;
	bool gone;
	bool suppress_body; // HEAD, 204, 304
	int64_t body_left;  // by content-length; -1 = not known
	void (*on_gone)(void *context);
	void *gone_context;
	void (*on_drain)(void *context);
	void *drain_context;
	size_t low_water_bytes;
	// HTTP/1.1
	int minor_version;
	bool chunked;
	bool close_after;
	bool upgrade_asked;
	// HTTP/2
	int32_t stream_id;
	bool head_complete;
	bool request_complete;
	bool reset_after_end;
	bool head_too_large;
	size_t header_capacity;
	size_t header_bytes;
	struct slice_queue output; // waits for the stream's window
};

// What a protocol does. None of these calls the handler or an owner's callback
// but the tunnel's; they mark exchanges, and the shard calls at the turn's end.
struct http_protocol {
	void (*start)(struct http_connection *connection);
	void (*receive)(struct http_connection *connection, const char *data, size_t length);
	void (*flush)(struct http_connection *connection);   // puts more into the output
	void (*written)(struct http_connection *connection); // some of the output is out
	void (*expire)(struct http_connection *connection);  // the connection's deadline
	void (*exchange_expire)(struct http_exchange *exchange);
	void (*stop)(struct http_connection *connection);
	void (*closed)(struct http_connection *connection); // frees the session
	void (*begin_answer)(struct http_exchange *exchange, int status, const struct http_header *headers,
	                     size_t header_count, bool bodyless);
	void (*write)(struct http_exchange *exchange, struct blob *piece, size_t offset, size_t length);
	void (*end)(struct http_exchange *exchange);
	void (*abort)(struct http_exchange *exchange);
};

extern const struct http_protocol http1_protocol;
extern const struct http_protocol http2_protocol;
extern const struct http_protocol http_tunnel_protocol;

// --- server and shards (http_server.c) ---------------------------------------

void http_server_hold(struct http_server *server);
void http_server_release(struct http_server *server);
// Lets the shard's work (events, flushes, frees) be done at the end of this turn, or in the next one.
void http_shard_schedule(struct http_shard *shard);
struct http_shard *http_shard_unref(struct http_shard *shard);
// The Date header's text, made once a second.
const char *http_shard_date(struct http_shard *shard);
int64_t http_idle_deadline(const struct http_shard *shard);

// --- connections (http_connection.c) -----------------------------------------

struct http_connection *http_connection_new(struct http_shard *shard, int fd, const char *address);
void http_connection_adopt(struct http_connection *connection); // on its shard's thread
void http_connection_free(struct http_connection *connection);  // a dead one
void http_connection_flush(struct http_connection *connection);
void http_connection_stop(struct http_connection *connection);
void http_connection_die(struct http_connection *connection);
void http_connection_mark_dirty(struct http_connection *connection);
void http_connection_close(struct http_connection *connection); // after the output
void http_connection_cut(struct http_connection *connection);
void http_connection_pause_reading(struct http_connection *connection, bool paused);
void http_connection_set_deadline(struct http_connection *connection, int64_t deadline_ns); // 0 = none
// Sees to it that a deadline (of an exchange) is looked at in time.
void http_connection_watch_deadline(struct http_connection *connection, int64_t deadline_ns);
void http_connection_check_drains(struct http_connection *connection);
struct http_peer *http_peer_unref(struct http_peer *peer);

// --- exchanges (http_exchange.c) -----------------------------------------------

struct http_exchange *http_exchange_new(struct http_connection *connection);
void http_exchange_set_deadline(struct http_exchange *exchange, int64_t deadline_ns); // 0 = none
// Appends to the request's body; false beyond the server's limit.
bool http_exchange_add_body(struct http_exchange *exchange, const void *data, size_t length);
// The request is complete: the handler is due.
void http_exchange_dispatch(struct http_exchange *exchange);
// Takes it from its connection; `gone` when the client has not got the whole answer.
void http_exchange_detach(struct http_exchange *exchange, bool gone);
void http_exchange_call_owner(struct http_exchange *exchange); // what is due, from the shard
// An answer of the server's own, for requests that reach no handler.
void http_exchange_refuse(struct http_exchange *exchange, int status, const char *message);
// A Status object for such an answer.
void http_status_body(struct strbuf *out, int status, const char *message);
const char *http_status_text(int status);
