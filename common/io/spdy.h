// SPDX-License-Identifier: Apache-2.0
#pragma once
// A SPDY/3.1 connection for either side, over any byte stream: feed it what arrived,
// give its output to the stream. Streams carry bytes both ways, each with flow control.
//
// The callbacks may write to, end and close any stream, and may free the session;
// `send` may neither. A session holds no more than what its owner has queued by
// spdy_stream_write, one control frame, and two zlib contexts.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/io/spdy_headers.h"

enum spdy_status { // why a stream was reset
	SPDY_PROTOCOL_ERROR = 1,
	SPDY_INVALID_STREAM = 2,
	SPDY_REFUSED_STREAM = 3,
	SPDY_UNSUPPORTED_VERSION = 4,
	SPDY_CANCEL = 5,
	SPDY_INTERNAL_ERROR = 6,
	SPDY_FLOW_CONTROL_ERROR = 7,
	SPDY_STREAM_IN_USE = 8,
	SPDY_STREAM_ALREADY_CLOSED = 9,
	SPDY_FRAME_TOO_LARGE = 11,
};

struct spdy_session;
struct spdy_stream;

struct spdy_callbacks {
	// The peer has begun a stream: accept it, or close it. The headers live during the call.
	void (*on_stream)(void *context, struct spdy_stream *stream, const struct spdy_header *headers, size_t count);
	// The peer has accepted ours.
	void (*on_accepted)(void *context, struct spdy_stream *stream);
	// Bytes; the owner tells by spdy_stream_consumed when it has room for as many again.
	void (*on_data)(void *context, struct spdy_stream *stream, const void *data, size_t length);
	void (*on_end)(void *context, struct spdy_stream *stream); // the peer sends no more
	// The peer has reset it: nothing more comes, and what is written is dropped. The owner still closes it.
	void (*on_reset)(void *context, struct spdy_stream *stream, uint32_t status);
	// What waited for the stream's window is out.
	void (*on_drain)(void *context, struct spdy_stream *stream);
	void (*send)(void *context, const void *data, size_t length); // bytes for the peer
};

struct spdy_session *spdy_session_new(bool is_client, const struct spdy_callbacks *callbacks, void *context);
// Forgets the streams; nothing is sent, no callback comes. Accepts NULL, returns NULL.
struct spdy_session *spdy_session_free(struct spdy_session *session);

// Bytes from the peer. False when it broke the protocol: a GOAWAY was sent, and the owner ends the byte stream.
NODISCARD bool spdy_feed(struct spdy_session *session, const void *data, size_t length);
// Says that this is the end of the session; to be sent after everything else.
void spdy_goaway(struct spdy_session *session);
// A sign of life, which the peer answers.
void spdy_ping(struct spdy_session *session);
// Received and not consumed yet, of all streams: the owner stops feeding beyond a limit of its own, since a peer
// may not care for windows.
size_t spdy_unconsumed_bytes(const struct spdy_session *session);

// NULL when the peer has said GOAWAY or too many streams are open. `headers` are borrowed.
struct spdy_stream *spdy_stream_open(struct spdy_session *session, const struct spdy_header *headers, size_t count);
void spdy_stream_accept(struct spdy_stream *stream);
void spdy_stream_write(struct spdy_stream *stream, const void *data, size_t length); // copies
void spdy_stream_finish(struct spdy_stream *stream); // no more will be written; the peer is told after what waits
void spdy_stream_consumed(struct spdy_stream *stream, size_t length);
size_t spdy_stream_pending_bytes(const struct spdy_stream *stream); // that wait for the window
// Ends the owner's use: reset with this status unless both sides have finished.
void spdy_stream_close(struct spdy_stream *stream, enum spdy_status status);

uint32_t spdy_stream_id(const struct spdy_stream *stream);
void spdy_stream_set_owner(struct spdy_stream *stream, void *owner);
void *spdy_stream_owner(const struct spdy_stream *stream);
// NULL: none of this name.
const char *spdy_header_get(const struct spdy_header *headers, size_t count, const char *name);
