// SPDX-License-Identifier: Apache-2.0
#pragma once
// WebSocket (RFC 6455) framing for both sides, over any byte stream: feed it what
// arrived, give its output to the stream. No extensions. Also the key handshake.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/strbuf.h"

struct http_request;

enum websocket_opcode {
	WEBSOCKET_CONTINUATION = 0x0,
	WEBSOCKET_TEXT = 0x1,
	WEBSOCKET_BINARY = 0x2,
	WEBSOCKET_CLOSE = 0x8,
	WEBSOCKET_PING = 0x9,
	WEBSOCKET_PONG = 0xA,
};

struct websocket {
	bool is_client;           // masks what it sends, refuses masked input; servers the other way round
	size_t max_message_bytes; // closed with 1009 beyond
	struct strbuf input;
	struct strbuf message;
	uint8_t message_opcode;
	bool close_received;
	bool close_sent;
	bool failed;
	bool *gone; // set by websocket_done while a callback runs
	// Set by the owner after websocket_init; each may be NULL. on_message and on_close
	// may call websocket_done and free the socket (the message's bytes go with it);
	// `send` may not. Whole data messages; control frames are answered inside.
	void (*on_message)(void *context, enum websocket_opcode opcode, const uint8_t *data, size_t length);
	// Once: the peer's close frame (1005 = without a code), or the code that the peer was
	// closed with for breaking the protocol. The owner ends the byte stream after it.
	void (*on_close)(void *context, uint16_t code, const char *reason);
	void (*send)(void *context, const void *data, size_t length); // bytes for the peer
	void *context;
};

// `max_message_bytes` bounds a message with all its fragments.
void websocket_init(struct websocket *socket, bool is_client, size_t max_message_bytes);
void websocket_done(struct websocket *socket);
// Bytes from the peer. False when the peer broke the protocol (a close frame was sent).
NODISCARD bool websocket_feed(struct websocket *socket, const void *data, size_t length);
// Dropped once a close frame was sent.
void websocket_send(struct websocket *socket, enum websocket_opcode opcode, const void *data, size_t length);
// Sends a close frame, once; on_close comes with the peer's answer. 1005: without a code.
void websocket_close(struct websocket *socket, uint16_t code, const char *reason);

// Sec-WebSocket-Accept for a key (29 bytes with NUL).
void websocket_accept_key(const char *key, char out[29]);
// A fresh Sec-WebSocket-Key (25 bytes with NUL).
void websocket_new_key(char out[25]);
// True when the request is a correct WebSocket upgrade.
bool websocket_is_upgrade(const struct http_request *request);
// Picks the first of `supported` (NULL-terminated, by preference) that the request offers; NULL = none.
const char *websocket_choose_protocol(const struct http_request *request, const char *const *supported);
