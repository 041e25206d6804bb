// SPDX-License-Identifier: Apache-2.0
//
// Frames, as the SPDY/3.1 draft has them:
//
//   control  1 version(15)=3 type(16) | flags(8) length(24) | …
//   data     0 stream(31)             | flags(8) length(24) | bytes
//
// Input is a state machine over the 8 bytes of a head and its payload. A control
// frame is collected whole (at most MAX_CONTROL_BYTES); data goes to its stream as it
// comes, so a frame of 16 MiB costs nothing. Frames of unknown types are skipped, as
// the draft wants it.
//
// What ends the session (GOAWAY, nothing is read any more): another version, wrong
// lengths, control frames beyond the limit, header blocks that can't be unpacked, data
// for stream 0. What resets a stream: ids that aren't the peer's or don't grow, bad
// header names, data after the end, windows beyond 2^31 - 1. Frames for streams that
// are gone are dropped: the peer can't know yet.
//
// Flow control, sending: windows begin at 64 KiB, a stream's and the session's. Go's
// spdystream, which all kubectls use, neither sends WINDOW_UPDATE nor heeds it: until a
// peer has shown by a WINDOW_UPDATE or a SETTINGS that it knows windows, the byte
// stream's own back-pressure is all there is. What went out before counts, so a window
// may be below zero. Receiving: consumed bytes are given back by half windows; a peer
// that sends beyond is not punished but, by the owner, not read.
//
// A session freed by a callback stays as an empty shell until the feeding is over; a
// stream closed by one is looked up again by its id.
#include "common/io/spdy.h"

#include <assert.h>
#include <string.h>

#include "common/base/list.h"
#include "common/base/memory.h"

enum {
	VERSION = 3,
	HEAD_BYTES = 8,
	MAX_CONTROL_BYTES = 16 << 10,
	MAX_STREAMS = 512,
	BUCKETS = 64,
	INITIAL_WINDOW = 64 << 10,
	DATA_PIECE_BYTES = 32 << 10,
	QUEUE_MAX_BYTES = 64 << 20,
	FLAG_FIN = 1,
	FLAG_UNIDIRECTIONAL = 2,
	SETTING_INITIAL_WINDOW = 7,
	GOAWAY_OK = 0,
	GOAWAY_PROTOCOL_ERROR = 1,
};

enum frame_type {
	FRAME_SYN_STREAM = 1,
	FRAME_SYN_REPLY = 2,
	FRAME_RST_STREAM = 3,
	FRAME_SETTINGS = 4,
	FRAME_PING = 6,
	FRAME_GOAWAY = 7,
	FRAME_HEADERS = 8,
	FRAME_WINDOW_UPDATE = 9,
};

struct spdy_stream {
	struct spdy_session *session;
	struct list node; // in its bucket
	uint32_t id;
	void *owner;
	bool is_ours;
	bool accepted;
	bool peer_finished;
	bool finished; // nothing more is written
	bool fin_sent;
	bool reset;        // by either side
	int64_t window;    // may be written
	size_t unconsumed; // of what came
	size_t owed;       // consumed and not given back yet
	struct strbuf queue;
};

struct spdy_session {
	bool is_client;
	struct spdy_callbacks callbacks;
	void *context;
	struct spdy_packer *packer;
	struct spdy_unpacker *unpacker;
	struct list buckets[BUCKETS];
	size_t stream_count;
	uint32_t next_id;      // of ours
	uint32_t last_peer_id; // the last one that was begun
	uint32_t next_ping;
	uint8_t head[HEAD_BYTES];
	size_t head_length;
	struct strbuf control; // payload of the present control frame
	uint32_t left;         // of the present payload
	bool skipping;         // a control frame of an unknown type
	bool failed;
	bool goaway_received;
	bool goaway_sent;
	bool heeds_windows; // the peer does
	int64_t initial_window;
	int64_t window; // of all streams together
	size_t unconsumed;
	size_t owed;
	bool feeding;
	bool freed; // by a callback: the memory goes when feeding is over
};

// --- output ---------------------------------------------------------------------------

static uint32_t get_number(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void put_number(uint8_t *at, uint32_t number)
{
	for (int index = 0; index < 4; index++)
		at[index] = (uint8_t)(number >> (24 - 8 * index));
}

static void send_frame(struct spdy_session *session, uint32_t first, uint8_t flags, const void *payload, size_t length)
{
	AUTO_FREE uint8_t *frame = xmalloc(HEAD_BYTES + length);
	put_number(frame, first);
	put_number(frame + 4, (uint32_t)flags << 24 | (uint32_t)length);
	if (length)
		memcpy(frame + HEAD_BYTES, payload, length);
	session->callbacks.send(session->context, frame, HEAD_BYTES + length);
}

static void send_control(struct spdy_session *session, enum frame_type type, uint8_t flags, const void *payload,
                         size_t length)
{
	if (!session->goaway_sent || type == FRAME_GOAWAY)
		send_frame(session, 1u << 31 | VERSION << 16 | (uint32_t)type, flags, payload, length);
}

static void send_numbers(struct spdy_session *session, enum frame_type type, uint32_t first, uint32_t second)
{
	uint8_t payload[8];
	put_number(payload, first);
	put_number(payload + 4, second);
	send_control(session, type, 0, payload, type == FRAME_PING ? 4 : 8);
}

static void send_headers(struct spdy_session *session, enum frame_type type, const uint8_t *prefix,
                         size_t prefix_length, const struct spdy_header *headers, size_t count)
{
	AUTO_STRBUF struct strbuf payload = STRBUF_INIT(2 * SPDY_MAX_BLOCK_BYTES);
	strbuf_append(&payload, prefix, prefix_length);
	spdy_pack(session->packer, headers, count, &payload);
	send_control(session, type, 0, payload.data, payload.length);
}

static void send_goaway(struct spdy_session *session, uint32_t status)
{
	if (!session->goaway_sent)
		send_numbers(session, FRAME_GOAWAY, session->last_peer_id, status);
	session->goaway_sent = true;
}

void spdy_goaway(struct spdy_session *session)
{
	send_goaway(session, GOAWAY_OK);
}

void spdy_ping(struct spdy_session *session)
{
	send_numbers(session, FRAME_PING, session->next_ping, 0);
	session->next_ping += 2;
}

static bool fail(struct spdy_session *session)
{
	send_goaway(session, GOAWAY_PROTOCOL_ERROR);
	session->failed = true;
	return false;
}

// --- streams --------------------------------------------------------------------------

static struct list *bucket_of(struct spdy_session *session, uint32_t id)
{
	return &session->buckets[(id >> 1) % BUCKETS];
}

static struct spdy_stream *find_stream(struct spdy_session *session, uint32_t id)
{
	struct spdy_stream *stream;
	list_for_each (stream, bucket_of(session, id), node)
		if (stream->id == id)
			return stream;
	return NULL;
}

static struct spdy_stream *stream_new(struct spdy_session *session, uint32_t id, bool is_ours)
{
	struct spdy_stream *stream = NEW(struct spdy_stream);
	*stream = (struct spdy_stream){
	        .session = session,
	        .id = id,
	        .is_ours = is_ours,
	        .window = session->initial_window,
	        .queue = STRBUF_INIT(QUEUE_MAX_BYTES),
	};
	list_append(bucket_of(session, id), &stream->node);
	session->stream_count++;
	return stream;
}

static void stream_free(struct spdy_stream *stream)
{
	list_remove(&stream->node);
	stream->session->stream_count--;
	strbuf_done(&stream->queue);
	free(stream);
}

static void reset_stream(struct spdy_session *session, uint32_t id, enum spdy_status status)
{
	send_numbers(session, FRAME_RST_STREAM, id, (uint32_t)status);
}

struct spdy_stream *spdy_stream_open(struct spdy_session *session, const struct spdy_header *headers, size_t count)
{
	uint8_t prefix[10] = {0};
	if (session->goaway_received || session->goaway_sent || session->failed ||
	    session->stream_count >= MAX_STREAMS || session->next_id >> 31)
		return NULL;
	struct spdy_stream *stream = stream_new(session, session->next_id, true);
	session->next_id += 2;
	put_number(prefix, stream->id);
	send_headers(session, FRAME_SYN_STREAM, prefix, sizeof(prefix), headers, count);
	return stream;
}

void spdy_stream_accept(struct spdy_stream *stream)
{
	uint8_t prefix[4];
	if (stream->accepted || stream->reset)
		return;
	stream->accepted = true;
	put_number(prefix, stream->id);
	send_headers(stream->session, FRAME_SYN_REPLY, prefix, sizeof(prefix), NULL, 0);
}

// --- writing --------------------------------------------------------------------------

static size_t allowed(const struct spdy_stream *stream)
{
	const struct spdy_session *session = stream->session;
	if (!session->heeds_windows)
		return SIZE_MAX;
	int64_t least = stream->window < session->window ? stream->window : session->window;
	return least > 0 ? (size_t)least : 0;
}

static void send_data(struct spdy_stream *stream, const char *data, size_t length, bool fin)
{
	struct spdy_session *session = stream->session;
	if (!session->goaway_sent)
		send_frame(session, stream->id, fin ? FLAG_FIN : 0, data, length);
	stream->window -= (int64_t)length;
	session->window -= (int64_t)length;
	stream->fin_sent |= fin;
}

// Sends as much as the windows allow; returns how much it was.
static size_t send_allowed(struct spdy_stream *stream, const char *data, size_t length)
{
	size_t sent = 0;
	while (sent < length) {
		size_t piece = length - sent < DATA_PIECE_BYTES ? length - sent : DATA_PIECE_BYTES;
		size_t room = allowed(stream);
		if (piece > room)
			piece = room;
		if (!piece)
			break;
		send_data(stream, data + sent, piece, false);
		sent += piece;
	}
	return sent;
}

void spdy_stream_write(struct spdy_stream *stream, const void *data, size_t length)
{
	if (stream->finished || stream->reset || stream->session->failed)
		return;
	size_t sent = stream->queue.length ? 0 : send_allowed(stream, data, length);
	if (sent < length)
		strbuf_append(&stream->queue, (const char *)data + sent, length - sent);
}

void spdy_stream_finish(struct spdy_stream *stream)
{
	stream->finished = true;
	if (!stream->queue.length && !stream->fin_sent && !stream->reset && !stream->session->failed)
		send_data(stream, NULL, 0, true);
}

size_t spdy_stream_pending_bytes(const struct spdy_stream *stream)
{
	return stream->queue.length;
}

static void flush_stream(struct spdy_session *session, struct spdy_stream *stream)
{
	if (!stream->queue.length || stream->reset)
		return;
	strbuf_consume(&stream->queue, send_allowed(stream, stream->queue.data, stream->queue.length));
	if (stream->queue.length)
		return;
	strbuf_done(&stream->queue);
	if (stream->finished && !stream->fin_sent)
		send_data(stream, NULL, 0, true);
	if (session->callbacks.on_drain)
		session->callbacks.on_drain(session->context, stream);
}

// Streams that the callbacks close vanish from the buckets, which are therefore read anew.
static void flush_all(struct spdy_session *session)
{
	for (size_t bucket = 0; bucket < BUCKETS; bucket++) {
		uint32_t done = 0;
		for (;;) {
			struct spdy_stream *next = NULL;
			struct spdy_stream *stream;
			list_for_each (stream, &session->buckets[bucket], node)
				if (stream->id > done && (!next || stream->id < next->id))
					next = stream;
			if (!next)
				break;
			done = next->id;
			flush_stream(session, next);
		}
	}
}

// --- consuming ------------------------------------------------------------------------

static void give_back(struct spdy_session *session, uint32_t id, size_t *owed)
{
	if (*owed < INITIAL_WINDOW / 2)
		return;
	send_numbers(session, FRAME_WINDOW_UPDATE, id, (uint32_t)*owed);
	*owed = 0;
}

void spdy_stream_consumed(struct spdy_stream *stream, size_t length)
{
	struct spdy_session *session = stream->session;
	assert(length <= stream->unconsumed);
	stream->unconsumed -= length;
	session->unconsumed -= length;
	stream->owed += length;
	session->owed += length;
	if (!stream->peer_finished && !stream->reset)
		give_back(session, stream->id, &stream->owed);
	give_back(session, 0, &session->owed);
}

size_t spdy_unconsumed_bytes(const struct spdy_session *session)
{
	return session->unconsumed;
}

void spdy_stream_close(struct spdy_stream *stream, enum spdy_status status)
{
	bool over = stream->fin_sent && stream->peer_finished;
	if (!over && !stream->reset && !stream->session->failed)
		reset_stream(stream->session, stream->id, status);
	spdy_stream_consumed(stream, stream->unconsumed);
	stream_free(stream);
}

// --- control frames ------------------------------------------------------------------

struct frame {
	uint8_t flags;
	const uint8_t *payload;
	size_t length;
};

static void finish_peer(struct spdy_session *session, struct spdy_stream *stream)
{
	stream->peer_finished = true;
	if (session->callbacks.on_end)
		session->callbacks.on_end(session->context, stream);
}

static bool is_peers(const struct spdy_session *session, uint32_t id)
{
	return (id & 1) != (session->is_client ? 1 : 0);
}

static bool on_syn_stream(struct spdy_session *session, const struct frame *frame)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct spdy_header *headers = NULL;
	size_t count = 0;
	if (frame->length < 10 || (frame->flags & ~(FLAG_FIN | FLAG_UNIDIRECTIONAL)))
		return fail(session);
	uint32_t id = get_number(frame->payload) & INT32_MAX;
	enum spdy_unpack_result result =
	        spdy_unpack(session->unpacker, arena, frame->payload + 10, frame->length - 10, &headers, &count);
	if (result == SPDY_BROKEN || id == 0)
		return fail(session);
	if (result == SPDY_BAD_HEADERS || !is_peers(session, id) || id <= session->last_peer_id) {
		reset_stream(session, id, SPDY_PROTOCOL_ERROR);
		return true;
	}
	session->last_peer_id = id;
	if (session->stream_count >= MAX_STREAMS || session->goaway_sent || !session->callbacks.on_stream) {
		reset_stream(session, id, SPDY_REFUSED_STREAM);
		return true;
	}
	struct spdy_stream *stream = stream_new(session, id, false);
	stream->fin_sent = stream->finished = frame->flags & FLAG_UNIDIRECTIONAL;
	stream->peer_finished = frame->flags & FLAG_FIN;
	session->callbacks.on_stream(session->context, stream, headers, count);
	if (session->freed || !(frame->flags & FLAG_FIN))
		return true;
	stream = find_stream(session, id);
	if (stream)
		finish_peer(session, stream);
	return true;
}

// SYN_REPLY and HEADERS; what they say beyond the stream's acceptance is of no use here.
static bool on_headers(struct spdy_session *session, const struct frame *frame, bool is_reply)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct spdy_header *headers = NULL;
	size_t count = 0;
	if (frame->length < 4 || (frame->flags & ~FLAG_FIN))
		return fail(session);
	uint32_t id = get_number(frame->payload) & INT32_MAX;
	if (spdy_unpack(session->unpacker, arena, frame->payload + 4, frame->length - 4, &headers, &count) ==
	    SPDY_BROKEN)
		return fail(session);
	struct spdy_stream *stream = find_stream(session, id);
	if (!stream || stream->reset)
		return true;
	if (is_reply && (!stream->is_ours || stream->accepted)) {
		reset_stream(session, id, stream->is_ours ? SPDY_STREAM_IN_USE : SPDY_PROTOCOL_ERROR);
		stream->reset = true;
		if (session->callbacks.on_reset)
			session->callbacks.on_reset(session->context, stream, SPDY_STREAM_IN_USE);
		return true;
	}
	if (is_reply) {
		stream->accepted = true;
		if (session->callbacks.on_accepted)
			session->callbacks.on_accepted(session->context, stream);
	}
	if (session->freed || !(frame->flags & FLAG_FIN))
		return true;
	stream = find_stream(session, id);
	if (stream && !stream->peer_finished)
		finish_peer(session, stream);
	return true;
}

static bool on_syn_reply(struct spdy_session *session, const struct frame *frame)
{
	return on_headers(session, frame, true);
}

static bool on_headers_frame(struct spdy_session *session, const struct frame *frame)
{
	return on_headers(session, frame, false);
}

static void stream_was_reset(struct spdy_session *session, struct spdy_stream *stream, uint32_t status)
{
	stream->reset = true;
	strbuf_done(&stream->queue);
	if (session->callbacks.on_reset)
		session->callbacks.on_reset(session->context, stream, status);
}

static bool on_rst_stream(struct spdy_session *session, const struct frame *frame)
{
	if (frame->length != 8 || frame->flags)
		return fail(session);
	struct spdy_stream *stream = find_stream(session, get_number(frame->payload) & INT32_MAX);
	uint32_t status = get_number(frame->payload + 4);
	if (!status)
		return fail(session);
	if (stream && !stream->reset)
		stream_was_reset(session, stream, status);
	return true;
}

static bool on_settings(struct spdy_session *session, const struct frame *frame)
{
	if (frame->length < 4 || (frame->length - 4) % 8 || get_number(frame->payload) != (frame->length - 4) / 8)
		return fail(session);
	for (size_t at = 4; at < frame->length; at += 8) {
		uint32_t value = get_number(frame->payload + at + 4);
		if ((get_number(frame->payload + at) & 0xffffff) != SETTING_INITIAL_WINDOW)
			continue;
		if (value > INT32_MAX)
			return fail(session);
		struct spdy_stream *stream;
		for (size_t bucket = 0; bucket < BUCKETS; bucket++)
			list_for_each (stream, &session->buckets[bucket], node)
				stream->window += (int64_t)value - session->initial_window;
		session->initial_window = value;
		session->heeds_windows = true;
	}
	flush_all(session);
	return true;
}

static bool on_ping(struct spdy_session *session, const struct frame *frame)
{
	if (frame->length != 4 || frame->flags)
		return fail(session);
	uint32_t id = get_number(frame->payload);
	if (is_peers(session, id))
		send_numbers(session, FRAME_PING, id, 0);
	return true;
}

static bool on_goaway(struct spdy_session *session, const struct frame *frame)
{
	if (frame->length != 8 || frame->flags)
		return fail(session);
	session->goaway_received = true; // streams that stand go on
	return true;
}

static bool on_window_update(struct spdy_session *session, const struct frame *frame)
{
	if (frame->length != 8 || frame->flags)
		return fail(session);
	uint32_t id = get_number(frame->payload) & INT32_MAX;
	uint32_t delta = get_number(frame->payload + 4) & INT32_MAX;
	struct spdy_stream *stream = id ? find_stream(session, id) : NULL;
	session->heeds_windows = true;
	if (id == 0) {
		session->window += delta;
		if (!delta || session->window > INT32_MAX)
			return fail(session);
		flush_all(session);
		return true;
	}
	if (!stream || stream->reset)
		return true;
	stream->window += delta;
	if (!delta || stream->window > INT32_MAX) {
		enum spdy_status status = delta ? SPDY_FLOW_CONTROL_ERROR : SPDY_PROTOCOL_ERROR;
		reset_stream(session, id, status);
		stream_was_reset(session, stream, (uint32_t)status);
		return true;
	}
	flush_stream(session, stream);
	return true;
}

static bool (*const handlers[])(struct spdy_session *session, const struct frame *frame) = {
        [FRAME_SYN_STREAM] = on_syn_stream,
        [FRAME_SYN_REPLY] = on_syn_reply,
        [FRAME_RST_STREAM] = on_rst_stream,
        [FRAME_SETTINGS] = on_settings,
        [FRAME_PING] = on_ping,
        [FRAME_GOAWAY] = on_goaway,
        [FRAME_HEADERS] = on_headers_frame,
        [FRAME_WINDOW_UPDATE] = on_window_update,
};

// --- input ----------------------------------------------------------------------------

static bool is_control(const struct spdy_session *session)
{
	return session->head[0] & 0x80;
}

static unsigned control_type(const struct spdy_session *session)
{
	return (unsigned)session->head[2] << 8 | session->head[3];
}

static bool take_head(struct spdy_session *session)
{
	session->left = get_number(session->head + 4) & 0xffffff;
	session->skipping = false;
	if (!is_control(session))
		return (get_number(session->head) & INT32_MAX) != 0;
	unsigned type = control_type(session);
	if (((session->head[0] & 0x7f) << 8 | session->head[1]) != VERSION)
		return false;
	session->skipping = type >= ARRAY_SIZE(handlers) || !handlers[type];
	return session->skipping || session->left <= MAX_CONTROL_BYTES;
}

static bool finish_control(struct spdy_session *session)
{
	size_t length = 0;
	AUTO_FREE char *payload = session->control.length ? strbuf_take(&session->control, &length) : NULL;
	struct frame frame = {session->head[4], (const uint8_t *)(payload ? payload : ""), length};
	return session->skipping || handlers[control_type(session)](session, &frame);
}

// A piece of a data frame, `last` with its end.
static bool take_data(struct spdy_session *session, const uint8_t *data, size_t length, bool last)
{
	uint32_t id = get_number(session->head) & INT32_MAX;
	bool fin = last && (session->head[4] & FLAG_FIN);
	struct spdy_stream *stream = find_stream(session, id);
	if (!stream || stream->reset || stream->peer_finished) { // counts for the session all the same
		session->owed += length;
		give_back(session, 0, &session->owed);
	}
	if (!stream || stream->reset)
		return true;
	if (stream->peer_finished) {
		if (length || fin) {
			reset_stream(session, id, SPDY_STREAM_ALREADY_CLOSED);
			stream_was_reset(session, stream, SPDY_STREAM_ALREADY_CLOSED);
		}
		return true;
	}
	if (length) {
		stream->unconsumed += length;
		session->unconsumed += length;
		session->callbacks.on_data(session->context, stream, data, length);
	}
	if (session->freed || !fin)
		return true;
	stream = find_stream(session, id);
	if (stream && !stream->reset)
		finish_peer(session, stream);
	return true;
}

static size_t take_payload(struct spdy_session *session, const uint8_t *data, size_t length, bool *fine)
{
	size_t piece = length < session->left ? length : session->left;
	session->left -= (uint32_t)piece;
	bool last = session->left == 0;
	if (last)
		session->head_length = 0;
	if (!is_control(session)) {
		*fine = take_data(session, data, piece, last);
		return piece;
	}
	if (!session->skipping)
		strbuf_append(&session->control, data, piece);
	if (last)
		*fine = finish_control(session);
	return piece;
}

bool spdy_feed(struct spdy_session *session, const void *data, size_t length)
{
	const uint8_t *at = data;
	bool fine = !session->failed;
	assert(!session->feeding && "fed from its own callback");
	session->feeding = true;
	while (fine && length) {
		size_t used = 1;
		if (session->head_length < HEAD_BYTES) {
			session->head[session->head_length++] = *at;
			if (session->head_length == HEAD_BYTES) {
				fine = take_head(session) || fail(session);
				if (fine && !session->left)
					(void)take_payload(session, at, 0, &fine);
			}
		} else {
			used = take_payload(session, at, length, &fine);
		}
		if (session->freed) {
			free(session);
			return true;
		}
		at += used;
		length -= used;
	}
	session->feeding = false;
	return fine;
}

// --- the session ----------------------------------------------------------------------

struct spdy_session *spdy_session_new(bool is_client, const struct spdy_callbacks *callbacks, void *context)
{
	struct spdy_session *session = NEW(struct spdy_session);
	*session = (struct spdy_session){
	        .is_client = is_client,
	        .callbacks = *callbacks,
	        .context = context,
	        .packer = spdy_packer_new(),
	        .unpacker = spdy_unpacker_new(),
	        .next_id = is_client ? 1 : 2,
	        .next_ping = is_client ? 1 : 2,
	        .control = STRBUF_INIT(MAX_CONTROL_BYTES),
	        .initial_window = INITIAL_WINDOW,
	        .window = INITIAL_WINDOW,
	};
	for (size_t bucket = 0; bucket < BUCKETS; bucket++)
		list_init(&session->buckets[bucket]);
	return session;
}

struct spdy_session *spdy_session_free(struct spdy_session *session)
{
	if (!session)
		return NULL;
	for (size_t bucket = 0; bucket < BUCKETS; bucket++) {
		struct spdy_stream *stream;
		list_for_each (stream, &session->buckets[bucket], node)
			stream_free(stream);
	}
	spdy_packer_free(session->packer);
	spdy_unpacker_free(session->unpacker);
	strbuf_done(&session->control);
	session->freed = true;
	if (!session->feeding)
		free(session);
	return NULL;
}

uint32_t spdy_stream_id(const struct spdy_stream *stream)
{
	return stream->id;
}

void spdy_stream_set_owner(struct spdy_stream *stream, void *owner)
{
	stream->owner = owner;
}

void *spdy_stream_owner(const struct spdy_stream *stream)
{
	return stream->owner;
}

const char *spdy_header_get(const struct spdy_header *headers, size_t count, const char *name)
{
	for (size_t index = 0; index < count; index++)
		if (!strcmp(headers[index].name, name))
			return headers[index].value;
	return NULL;
}
