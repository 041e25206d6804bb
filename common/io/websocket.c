// SPDX-License-Identifier: Apache-2.0
//
// RFC 6455 framing. Input is collected until a frame is whole; its length is
// judged from the head alone, so what is held stays below one message and one
// head. Fragments are joined in `message`.
//
// What fails the connection (a close frame goes out, nothing is read any more):
// reserved bits or opcodes, masking on the wrong side, lengths not in their
// shortest form, fragmented or long control frames, a continuation without a
// beginning or a new message inside another, bad close codes (1002), text that
// is not UTF-8 (1007), a message beyond the maximum (1009).
#include "common/io/websocket.h"

#include <assert.h>
#include <string.h>

#include "common/base/encode.h"
#include "common/base/memory.h"

enum {
	CLOSE_NORMAL = 1000,
	CLOSE_PROTOCOL_ERROR = 1002,
	CLOSE_NO_CODE = 1005,
	CLOSE_BAD_TEXT = 1007,
	CLOSE_TOO_BIG = 1009,
	MAX_HEAD_BYTES = 14,
	MAX_CONTROL_BYTES = 125,
	FIN_BIT = 0x80,
	RESERVED_BITS = 0x70,
	MASK_BIT = 0x80,
};

struct frame {
	bool fin;
	bool masked;
	uint8_t opcode;
	size_t head_length;
	size_t length;
	uint8_t *payload;
};

void websocket_init(struct websocket *socket, bool is_client, size_t max_message_bytes)
{
	size_t largest_payload = max_message_bytes < MAX_CONTROL_BYTES ? MAX_CONTROL_BYTES : max_message_bytes;
	*socket = (struct websocket){
	        .is_client = is_client,
	        .max_message_bytes = max_message_bytes,
	        .input = STRBUF_INIT(largest_payload + MAX_HEAD_BYTES),
	        .message = STRBUF_INIT(max_message_bytes),
	};
}

void websocket_done(struct websocket *socket)
{
	if (socket->gone)
		*socket->gone = true;
	socket->gone = NULL;
	strbuf_done(&socket->input);
	strbuf_done(&socket->message);
	socket->failed = true;
}

// --- output -----------------------------------------------------------------------------

static void apply_mask(uint8_t *data, size_t length, const uint8_t key[4])
{
	for (size_t i = 0; i < length; i++)
		data[i] ^= key[i & 3];
}

static size_t put_length(uint8_t *head, size_t length)
{
	if (length <= MAX_CONTROL_BYTES) {
		head[1] = (uint8_t)length;
		return 2;
	}
	int bytes = length <= UINT16_MAX ? 2 : 8;
	head[1] = bytes == 2 ? 126 : 127;
	for (int i = 0; i < bytes; i++)
		head[2 + i] = (uint8_t)((uint64_t)length >> (8 * (bytes - 1 - i)));
	return 2 + (size_t)bytes;
}

static void send_frame(struct websocket *socket, uint8_t opcode, const void *data, size_t length)
{
	AUTO_FREE uint8_t *frame = xmalloc(length + MAX_HEAD_BYTES);
	frame[0] = FIN_BIT | opcode;
	size_t head = put_length(frame, length);
	if (socket->is_client) {
		frame[1] |= MASK_BIT;
		random_bytes(frame + head, 4);
		head += 4;
	}
	if (length)
		memcpy(frame + head, data, length);
	if (socket->is_client)
		apply_mask(frame + head, length, frame + head - 4);
	if (socket->send)
		socket->send(socket->context, frame, head + length);
}

void websocket_send(struct websocket *socket, enum websocket_opcode opcode, const void *data, size_t length)
{
	assert(!(opcode & 8) || length <= MAX_CONTROL_BYTES);
	if (!socket->close_sent && !socket->failed)
		send_frame(socket, (uint8_t)opcode, data, length);
}

// The longest beginning of at most `maximum` bytes that cuts no UTF-8 character.
static size_t cut_text(const char *text, size_t maximum)
{
	size_t length = strnlen(text, maximum + 1);
	if (length <= maximum)
		return length;
	for (length = maximum; length && ((uint8_t)text[length] & 0xc0) == 0x80;)
		length--;
	return length;
}

void websocket_close(struct websocket *socket, uint16_t code, const char *reason)
{
	uint8_t payload[MAX_CONTROL_BYTES] = {(uint8_t)(code >> 8), (uint8_t)code};
	size_t length = reason ? cut_text(reason, sizeof(payload) - 2) : 0;
	if (socket->close_sent || socket->failed)
		return;
	socket->close_sent = true;
	if (length)
		memcpy(payload + 2, reason, length);
	send_frame(socket, WEBSOCKET_CLOSE, payload, code == CLOSE_NO_CODE ? 0 : length + 2);
}

// --- input ------------------------------------------------------------------------------

static bool fail(struct websocket *socket, uint16_t code, const char *reason)
{
	bool told = socket->close_received;
	websocket_close(socket, code, reason);
	socket->failed = true;
	if (!told && socket->on_close)
		socket->on_close(socket->context, code, reason);
	return false;
}

enum head_result { HEAD_INCOMPLETE, HEAD_WHOLE, HEAD_NOT_MINIMAL };

static enum head_result read_head(const uint8_t *data, size_t available, struct frame *ret)
{
	if (available < 2)
		return HEAD_INCOMPLETE;
	uint64_t length = data[1] & 0x7f;
	size_t head = 2, extra = length == 126 ? 2 : length == 127 ? 8 : 0;
	*ret = (struct frame){.fin = data[0] & FIN_BIT, .masked = data[1] & MASK_BIT, .opcode = data[0] & 0x0f};
	size_t whole = head + extra + (ret->masked ? 4 : 0);
	if (available < whole)
		return HEAD_INCOMPLETE;
	if (extra) {
		length = 0;
		for (size_t i = 0; i < extra; i++)
			length = length << 8 | data[head + i];
		if (length <= (extra == 2 ? MAX_CONTROL_BYTES : UINT16_MAX) || length >> 63)
			return HEAD_NOT_MINIMAL;
	}
	ret->head_length = whole;
	ret->length = length;
	return HEAD_WHOLE;
}

// NULL when the head is in order.
static const char *judge_first_bytes(const struct websocket *socket, const uint8_t *data)
{
	uint8_t opcode = data[0] & 0x0f;
	if (data[0] & RESERVED_BITS)
		return "reserved bits are set";
	if ((opcode & 7) > 2)
		return "unknown opcode";
	if ((opcode & 8) && (!(data[0] & FIN_BIT) || (data[1] & 0x7f) > MAX_CONTROL_BYTES))
		return "bad control frame";
	if (!(data[1] & MASK_BIT) != socket->is_client)
		return socket->is_client ? "masked frame from a server" : "unmasked frame from a client";
	return NULL;
}

static bool is_utf8(const uint8_t *text, size_t length)
{
	for (size_t i = 0; i < length;) {
		uint8_t first = text[i];
		size_t more = first < 0x80 ? 0 : first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
		if ((first >= 0x80 && first < 0xc2) || first > 0xf4 || more > length - i - 1)
			return false;
		for (size_t j = 1; j <= more; j++)
			if ((text[i + j] & 0xc0) != 0x80)
				return false;
		if ((first == 0xe0 && text[i + 1] < 0xa0) || (first == 0xed && text[i + 1] > 0x9f) ||
		    (first == 0xf0 && text[i + 1] < 0x90) || (first == 0xf4 && text[i + 1] > 0x8f))
			return false;
		i += more + 1;
	}
	return true;
}

static bool is_close_code(uint16_t code)
{
	return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

static bool on_close_frame(struct websocket *socket, const struct frame *frame)
{
	uint16_t code = CLOSE_NO_CODE;
	char reason[MAX_CONTROL_BYTES + 1] = "";
	if (frame->length >= 2) {
		code = (uint16_t)(frame->payload[0] << 8 | frame->payload[1]);
		memcpy(reason, frame->payload + 2, frame->length - 2);
	}
	if (frame->length == 1 || (frame->length && !is_close_code(code)))
		return fail(socket, CLOSE_PROTOCOL_ERROR, "bad close frame");
	if (frame->length && !is_utf8(frame->payload + 2, frame->length - 2))
		return fail(socket, CLOSE_BAD_TEXT, "close reason is not UTF-8");
	socket->close_received = true;
	websocket_close(socket, code, NULL);
	if (socket->on_close)
		socket->on_close(socket->context, code, reason);
	return true;
}

static bool deliver(struct websocket *socket, uint8_t opcode, const uint8_t *data, size_t length)
{
	if (opcode == WEBSOCKET_TEXT && !is_utf8(data, length))
		return fail(socket, CLOSE_BAD_TEXT, "text is not UTF-8");
	if (socket->on_message && !socket->close_sent)
		socket->on_message(socket->context, (enum websocket_opcode)opcode, data, length);
	return true;
}

static bool on_data_frame(struct websocket *socket, const struct frame *frame)
{
	bool continues = frame->opcode == WEBSOCKET_CONTINUATION;
	if (continues != (socket->message_opcode != 0))
		return fail(socket, CLOSE_PROTOCOL_ERROR,
		            continues ? "continuation of nothing" : "message inside a message");
	if (!continues && frame->fin)
		return deliver(socket, frame->opcode, frame->payload, frame->length);
	if (!continues)
		socket->message_opcode = frame->opcode;
	strbuf_append(&socket->message, frame->payload, frame->length);
	if (socket->message.overflowed)
		return fail(socket, CLOSE_TOO_BIG, "message too big");
	if (!frame->fin)
		return true;
	// Taken out first: the callback may drop the socket.
	size_t length;
	uint8_t opcode = socket->message_opcode;
	AUTO_FREE char *message = strbuf_take(&socket->message, &length);
	socket->message_opcode = 0;
	return deliver(socket, opcode, (const uint8_t *)message, length);
}

static bool on_frame(struct websocket *socket, const struct frame *frame)
{
	switch (frame->opcode) {
	case WEBSOCKET_CLOSE:
		return on_close_frame(socket, frame);
	case WEBSOCKET_PING:
		websocket_send(socket, WEBSOCKET_PONG, frame->payload, frame->length);
		return true;
	case WEBSOCKET_PONG:
		return true;
	default:
		return on_data_frame(socket, frame);
	}
}

// Handles the first frame of the input; *ret_used is 0 when it isn't whole yet.
static bool take_frame(struct websocket *socket, size_t offset, size_t *ret_used)
{
	uint8_t *data = (uint8_t *)socket->input.data + offset;
	size_t available = socket->input.length - offset;
	struct frame frame;
	*ret_used = 0;
	const char *problem = available >= 2 ? judge_first_bytes(socket, data) : NULL;
	if (problem)
		return fail(socket, CLOSE_PROTOCOL_ERROR, problem);
	enum head_result result = read_head(data, available, &frame);
	if (result == HEAD_NOT_MINIMAL)
		return fail(socket, CLOSE_PROTOCOL_ERROR, "bad length");
	if (result == HEAD_INCOMPLETE)
		return true;
	if (!(frame.opcode & 8) && frame.length > socket->max_message_bytes)
		return fail(socket, CLOSE_TOO_BIG, "message too big");
	if (available < frame.head_length + frame.length)
		return true;
	frame.payload = data + frame.head_length;
	if (frame.masked)
		apply_mask(frame.payload, frame.length, frame.payload - 4);
	*ret_used = frame.head_length + frame.length;
	return on_frame(socket, &frame);
}

// Stops when a callback has dropped the socket.
static bool take_frames(struct websocket *socket, const bool *gone)
{
	size_t offset = 0;
	while (!socket->close_received && offset < socket->input.length) {
		size_t used;
		bool fine = take_frame(socket, offset, &used);
		if (*gone)
			return true;
		if (!fine)
			return false;
		if (!used)
			break;
		offset += used;
	}
	strbuf_consume(&socket->input, offset);
	return true;
}

bool websocket_feed(struct websocket *socket, const void *data, size_t length)
{
	const char *at = data;
	bool gone = false;
	assert(!socket->gone && "fed from its own callback");
	socket->gone = &gone;
	while (length && !socket->failed && !socket->close_received) {
		size_t room = socket->input.max_bytes - socket->input.length;
		size_t part = length < room ? length : room;
		strbuf_append(&socket->input, at, part);
		at += part;
		length -= part;
		bool fine = take_frames(socket, &gone);
		if (gone)
			return true;
		if (!fine)
			break;
	}
	socket->gone = NULL;
	return !socket->failed;
}
