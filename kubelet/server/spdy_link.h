// SPDX-License-Identifier: Apache-2.0
#pragma once
// The server's end of a SPDY connection with a client: an upgraded connection that
// carries its bytes, as they are or in the messages of a WebSocket.

#include "common/io/http_server.h"
#include "common/io/spdy.h"

struct spdy_link;

struct spdy_link_handler {
	struct spdy_callbacks streams;   // but for `send` and `on_accepted`; on_drain may be NULL
	void (*on_drain)(void *context); // what was written is out
	void (*on_gone)(void *context);  // the client has left or broken the protocol; the owner closes
};

// Picks the first of `supported` (NULL-terminated, by preference) among the request's X-Stream-Protocol-Version
// headers; "" when it has none. NULL: none of its protocols is supported, and the answer was given.
const char *spdy_choose_protocol(struct http_exchange *exchange, const char *const *supported);
// `protocol` as chosen, for the answer. In messages: as the WebSocket subprotocol of that name. NULL: answered with
// an error.
struct spdy_link *spdy_link_open(struct http_exchange *exchange, const char *protocol, bool in_messages,
                                 const struct spdy_link_handler *handler, void *context);
struct spdy_session *spdy_link_session(const struct spdy_link *link);
// Of the connection, without what waits for the streams' windows.
size_t spdy_link_pending_bytes(const struct spdy_link *link);
// As spdy_stream_consumed; the client is read again when it was too far ahead.
void spdy_link_consumed(struct spdy_link *link, struct spdy_stream *stream, size_t length);
// Says goodbye after what is pending, and closes; the streams are gone. Accepts NULL.
void spdy_link_close(struct spdy_link *link);
