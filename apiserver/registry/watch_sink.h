// SPDX-License-Identifier: Apache-2.0
#pragma once
// Where a watch's frames go: the answer's stream, or messages of a WebSocket for
// clients that asked for an upgrade. Embedded in its owner; one loop.

#include <stdbool.h>
#include <stddef.h>

#include "apiserver/request.h"
#include "common/io/websocket.h"

struct blob;
struct http_tunnel;
struct metric;

struct watch_sink {
	struct request *request;
	struct metric *events; // sent
	struct metric *sizes;  // in bytes
	bool upgraded;
	struct http_tunnel *tunnel; // NULL once it is closed
	struct websocket socket;
	void (*on_drain)(void *context); // what was written is mostly out
	void (*on_gone)(void *context);  // the client left
	void *context;
};

// Sends the answer's head. What it returns is the answer instead, and nothing was sent.
// `sink` has its callbacks set.
const struct status *watch_sink_open(struct watch_sink *sink, struct request *request);

// One frame out of pieces; borrowed.
void watch_sink_write(struct watch_sink *sink, struct blob *const *pieces, size_t count);
size_t watch_sink_pending_bytes(const struct watch_sink *sink);
// The stream's end, after what is pending. No callback comes any more.
void watch_sink_close(struct watch_sink *sink);
