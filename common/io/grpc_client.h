// SPDX-License-Identifier: Apache-2.0
#pragma once
// gRPC over HTTP/2 (nghttp2), TLS, plain or unix socket: unary calls and
// bidirectional streams on one connection. One loop owns a client; messages are
// protobuf bytes already encoded by the caller.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/io/tls.h"

struct loop;
struct grpc_client;
struct grpc_call;

enum grpc_status {
	GRPC_OK = 0,
	GRPC_CANCELLED = 1,
	GRPC_UNKNOWN = 2,
	GRPC_INVALID_ARGUMENT = 3,
	GRPC_DEADLINE_EXCEEDED = 4,
	GRPC_NOT_FOUND = 5,
	GRPC_PERMISSION_DENIED = 7,
	GRPC_RESOURCE_EXHAUSTED = 8,
	GRPC_FAILED_PRECONDITION = 9,
	GRPC_OUT_OF_RANGE = 11,
	GRPC_INTERNAL = 13,
	GRPC_UNAVAILABLE = 14,
	GRPC_UNAUTHENTICATED = 16,
};

struct grpc_client_config {
	const char *const *endpoints;        // "https://127.0.0.1:2379", "http://…", "unix:/path"; NULL-terminated
	const struct tls_client_config *tls; // for https
	size_t max_message_bytes;            // 0 = 512 MiB
	int64_t connect_wait_ns; // unary calls fail when there is no connection for so long; 0 = their own timeout
	void (*on_state)(void *context, bool connected); // may be NULL
	void *context;
};

// Connects in the background, fails over between endpoints, reconnects with back-off.
NODISCARD int grpc_client_new(struct loop *loop, const struct grpc_client_config *config,
                              struct grpc_client **ret_client, struct err *err);
// Drops its calls without their on_done. Not from inside one of its callbacks.
struct grpc_client *grpc_client_free(struct grpc_client *client);
bool grpc_client_is_connected(const struct grpc_client *client);

struct grpc_call_callbacks {
	// Each complete message; borrowed for the call.
	void (*on_message)(void *context, const uint8_t *message, size_t length);
	// Exactly once, never from inside grpc_call_start. `sent` is false when the
	// request certainly never reached the server (safe to repeat).
	void (*on_done)(void *context, enum grpc_status status, const char *message, bool sent);
};

// A unary call: one request message. Waits for the connection at most `timeout_ns`, which covers the whole call.
struct grpc_call *grpc_call_start(struct grpc_client *client, const char *path /* "/etcdserverpb.KV/Range" */,
                                  const uint8_t *request, size_t length, int64_t timeout_ns,
                                  const struct grpc_call_callbacks *callbacks, void *context);
// A stream kept open for more messages.
struct grpc_call *grpc_stream_start(struct grpc_client *client, const char *path,
                                    const struct grpc_call_callbacks *callbacks, void *context);
void grpc_stream_send(struct grpc_call *call, const uint8_t *message, size_t length);
// Ends it (RST); on_done does not come. Safe from inside callbacks.
void grpc_call_cancel(struct grpc_call *call);
