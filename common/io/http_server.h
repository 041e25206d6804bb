// SPDX-License-Identifier: Apache-2.0
#pragma once
// An HTTPS server for HTTP/2 (nghttp2) and HTTP/1.1 (a strict parser of ours)
// on one TLS port, behind one exchange interface: a handler never knows which.
//
// Threads: the server runs on one or more loops, each with its own connections.
// An exchange belongs to its connection's loop; every http_exchange_* function
// is called on that loop's thread (other threads hand their answer over with
// loop_post). The handler is called once the head and the whole body are there,
// answers at once or later, and may keep the exchange by http_exchange_ref.
//
// When a client leaves, on_gone is called once (also for a plain disconnect
// during a watch); after that, writes are accepted and dropped.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/base/blob.h"
#include "common/base/err.h"
#include "common/io/tls.h"

struct loop;
struct http_server;
struct http_exchange;
struct http_tunnel;

struct http_header {
	const char *name; // lower case in requests
	const char *value;
};

// The parsed request; borrowed, valid as long as the exchange is referenced.
struct http_request {
	const char *method;
	const char *path;  // still percent-encoded, never empty, begins with '/'
	const char *query; // without '?', still encoded; "" when none
	const struct http_header *headers;
	size_t header_count;
	const char *body;
	size_t body_length;
	const char *remote_address; // "192.0.2.1:4711"
	const char *host;
	bool is_http2;
	struct tls_identity identity; // verified client certificate
};

struct http_server_config {
	const char *bind_address;  // "0.0.0.0", "::", …
	int port;                  // 0: any, see http_server_port
	struct loop *const *loops; // connections are spread over them
	size_t loop_count;
	const struct tls_server_config *tls;
	size_t max_body_bytes;   // 413 beyond; 0 = 3 MiB
	size_t max_head_bytes;   // 431 beyond; 0 = 64 KiB
	size_t max_connections;  // 0 = 8192
	int64_t idle_timeout_ns; // keep-alive and slow heads; 0 = 60 s
	// Called on the exchange's loop. The exchange is borrowed unless referenced.
	void (*handler)(void *context, struct http_exchange *exchange);
	void *context;
};

NODISCARD int http_server_new(const struct http_server_config *config, struct http_server **ret_server,
                              struct err *err);
int http_server_port(const struct http_server *server);

// Stops accepting, tells clients (GOAWAY / Connection: close), ends idle
// connections, and calls `closed` on the first loop when the last exchange is
// done or `grace_ns` is over.
void http_server_stop(struct http_server *server, int64_t grace_ns, void (*closed)(void *context), void *context);
// Once `closed` was called; or, with a single loop, at any time outside of
// callbacks: what is still open is cut off, and on_gone called from inside.
struct http_server *http_server_free(struct http_server *server);

// --- the exchange ----------------------------------------------------------

struct http_exchange *http_exchange_ref(struct http_exchange *exchange);
struct http_exchange *http_exchange_unref(struct http_exchange *exchange);

const struct http_request *http_exchange_request(const struct http_exchange *exchange);
struct loop *http_exchange_loop(const struct http_exchange *exchange);
const char *http_request_header(const struct http_request *request, const char *lower_case_name); // NULL = none

// respond, end, abort and a successful upgrade finish the caller's part: neither
// on_gone nor on_drain is called afterwards. Connection headers (Connection,
// Transfer-Encoding, …) among `headers` are left out.
//
// The whole answer. `body` is borrowed, the exchange takes a reference of its own; may be NULL.
// Content-Length and Date are added.
void http_exchange_respond(struct http_exchange *exchange, int status, const struct http_header *headers,
                           size_t header_count, struct blob *body);

// A streamed answer: head, any number of pieces, end. For a body of known length
// put content-length among the headers (list answers); else HTTP/1.1 uses chunks.
void http_exchange_start(struct http_exchange *exchange, int status, const struct http_header *headers,
                         size_t header_count);
// A slice of a shared blob, borrowed: the exchange holds a reference of its own until it is sent.
void http_exchange_write(struct http_exchange *exchange, struct blob *piece, size_t offset, size_t length);
void http_exchange_end(struct http_exchange *exchange);
// Cuts the stream off so that the client sees an error, not an end.
void http_exchange_abort(struct http_exchange *exchange);

// Bytes accepted and not yet handed to the kernel; the writer's back-pressure.
size_t http_exchange_pending_bytes(const struct http_exchange *exchange);

// Called once, in a later turn, when the client left or the server cut the exchange off (also
// when that has happened already). NULL to unset.
void http_exchange_on_gone(struct http_exchange *exchange, void (*gone)(void *context), void *context);
// Called in a later turn when pending_bytes has fallen to or below `low_water_bytes`, once
// at first if it is there already. NULL to unset.
void http_exchange_on_drain(struct http_exchange *exchange, size_t low_water_bytes, void (*drained)(void *context),
                            void *context);
bool http_exchange_is_gone(const struct http_exchange *exchange);

// --- upgraded connections (HTTP/1.1 only): WebSocket, SPDY, proxied upgrades ----

struct http_tunnel_callbacks {
	// Bytes from the client; returns how many were taken (the rest is offered again after http_tunnel_resume).
	size_t (*on_data)(void *context, const void *data, size_t length);
	void (*on_drain)(void *context); // what was written is out
	void (*on_close)(void *context); // the client closed or failed; called once; the tunnel is gone afterwards
};

// Answers 101 with these headers and turns the connection into a byte stream.
// Connection and Upgrade are added when missing. NULL, with nothing sent, when the request asks
// for no upgrade (HTTP/2 never does) or the client is gone: answer 400 then. The
// exchange is finished by it otherwise.
struct http_tunnel *http_exchange_upgrade(struct http_exchange *exchange, const struct http_header *headers,
                                          size_t header_count, const struct http_tunnel_callbacks *callbacks,
                                          void *context);
void http_tunnel_write(struct http_tunnel *tunnel, const void *data, size_t length); // copies
size_t http_tunnel_pending_bytes(const struct http_tunnel *tunnel);
void http_tunnel_resume(struct http_tunnel *tunnel);
// Sends what is pending, then closes; on_close is not called, and the tunnel must not be used again.
void http_tunnel_close(struct http_tunnel *tunnel);
