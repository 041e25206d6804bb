// SPDX-License-Identifier: Apache-2.0
#pragma once
// An outgoing byte stream over TCP, TLS or a unix socket, with callbacks: what the gRPC
// client, WebSocket client and upgrade proxying stand on.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

struct loop;
struct stream;
typedef struct ssl_ctx_st SSL_CTX;

struct stream_callbacks {
	void (*on_connect)(void *context); // TCP and TLS are up
	size_t (*on_data)(void *context, const void *data,
	                  size_t length); // returns bytes taken; the rest after stream_resume
	void (*on_drain)(void *context);  // everything written is out
	// Once, for any end: `err` NULL when the peer closed cleanly. The stream is
	// not usable afterwards, and the owner still calls stream_free.
	void (*on_close)(void *context, const struct err *err);
};

struct stream_config {
	const char *host; // an address or, in tools, a name; "unix:/path" for a unix socket
	int port;
	SSL_CTX *tls;               // NULL: plain; borrowed
	const char *server_name;    // NULL: host
	int64_t connect_timeout_ns; // 0 = 10 s
	struct stream_callbacks callbacks;
	void *context;
};

// Never fails at once: errors arrive at on_close in a later turn.
struct stream *stream_connect(struct loop *loop, const struct stream_config *config);
void stream_write(struct stream *stream, const void *data, size_t length); // copies
size_t stream_pending_bytes(const struct stream *stream);
void stream_resume(struct stream *stream);
void stream_shutdown_write(struct stream *stream); // after what is pending
// No callback follows; accepts NULL; returns NULL. Safe from inside a callback.
struct stream *stream_free(struct stream *stream);
bool stream_negotiated_http2(const struct stream *stream);
