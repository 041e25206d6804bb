// SPDX-License-Identifier: Apache-2.0

#include "common/api/protobuf_wire.h"

enum {
	WIRE_MAX_FIELD_NUMBER = (1 << 29) - 1,
};

bool wire_read_varint(struct wire_span *span, uint64_t *ret_number)
{
	uint64_t number = 0;

	for (unsigned shift = 0; shift < 64 && span->at < span->end; shift += 7) {
		uint8_t byte = *span->at++;

		number |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*ret_number = number;
			return true;
		}
	}
	return false;
}

static bool read_fixed(struct wire_span *span, size_t bytes, uint64_t *ret_number)
{
	if (wire_span_length(*span) < bytes)
		return false;
	*ret_number = 0;
	for (size_t i = 0; i < bytes; i++)
		*ret_number |= (uint64_t)*span->at++ << 8 * i;
	return true;
}

static bool read_bytes(struct wire_span *span, struct wire_span *ret_bytes)
{
	uint64_t length;

	if (!wire_read_varint(span, &length) || length > wire_span_length(*span))
		return false;
	*ret_bytes = (struct wire_span){span->at, span->at + length};
	span->at += length;
	return true;
}

bool wire_read_field(struct wire_span *span, uint32_t *ret_number, struct wire_value *ret_value)
{
	uint64_t tag;

	if (!wire_read_varint(span, &tag) || tag >> 3 == 0 || tag >> 3 > WIRE_MAX_FIELD_NUMBER)
		return false;
	*ret_number = (uint32_t)(tag >> 3);
	*ret_value = (struct wire_value){.wire_type = tag & 7};
	switch (ret_value->wire_type) {
	case WIRE_VARINT:
		return wire_read_varint(span, &ret_value->number);
	case WIRE_FIXED64:
		return read_fixed(span, 8, &ret_value->number);
	case WIRE_FIXED32:
		return read_fixed(span, 4, &ret_value->number);
	case WIRE_BYTES:
		return read_bytes(span, &ret_value->bytes);
	default:
		return false;
	}
}

size_t wire_put_varint(uint8_t *out, uint64_t number)
{
	size_t length = 0;

	for (; number >= 0x80; number >>= 7)
		out[length++] = (uint8_t)(number | 0x80);
	out[length++] = (uint8_t)number;
	return length;
}

void wire_append_varint(struct strbuf *out, uint64_t number)
{
	uint8_t bytes[WIRE_VARINT_MAX_BYTES];

	strbuf_append(out, bytes, wire_put_varint(bytes, number));
}

void wire_append_head(struct strbuf *out, uint32_t number, size_t length)
{
	wire_append_varint(out, (uint64_t)number << 3 | WIRE_BYTES);
	wire_append_varint(out, length);
}

void wire_append_text(struct strbuf *out, uint32_t number, const char *text, size_t length)
{
	wire_append_head(out, number, length);
	strbuf_append(out, text, length);
}

size_t wire_varint_size(uint64_t number)
{
	size_t size = 1;

	for (; number >= 0x80; number >>= 7)
		size++;
	return size;
}
