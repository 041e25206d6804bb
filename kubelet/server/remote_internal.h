// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the two ways of reaching a client share.

#include "common/base/strbuf.h"
#include "common/io/http_server.h"
#include "common/io/loop.h"
#include "kubelet/server/remote.h"

enum { REMOTE_MAX_INPUT_BYTES = 1 << 20 }; // not taken yet; beyond, the client isn't read

struct remote_operations {
	void (*write)(struct remote *remote, enum remote_output output, const void *data, size_t length);
	size_t (*pending_bytes)(const struct remote *remote);
	void (*input_taken)(struct remote *remote, size_t length);
	void (*finish)(struct remote *remote, const struct remote_outcome *outcome);
	void (*free)(struct remote *remote);
};

struct remote {
	const struct remote_operations *operations;
	struct loop *loop;
	struct remote_wants wants;
	struct remote_handler handler;
	void *context;
};

// Each answers the exchange in any case.
struct remote *remote_websocket_accept(struct loop *loop, struct http_exchange *exchange,
                                       const struct remote_wants *wants, const struct remote_handler *handler,
                                       void *context);
struct remote *remote_spdy_accept(struct loop *loop, struct http_exchange *exchange, const struct remote_wants *wants,
                                  const struct remote_handler *handler, void *context);

// A terminal's size as clients send it: {"Width":80,"Height":24}. False when it isn't one.
bool remote_read_size(const void *data, size_t length, unsigned *ret_columns, unsigned *ret_rows);
// The outcome as a Status in JSON, or, for clients before v4, as a text (empty: success).
void remote_write_outcome(const struct remote_outcome *outcome, bool as_status, struct strbuf *out);
