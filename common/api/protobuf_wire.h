// SPDX-License-Identifier: Apache-2.0
#pragma once
// Protobuf's wire format: varints, tags, and spans of bytes that are read from
// the front. Nothing here knows of schemas.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/strbuf.h"

enum wire_type {
	WIRE_VARINT = 0,
	WIRE_FIXED64 = 1,
	WIRE_BYTES = 2,
	WIRE_FIXED32 = 5,
};

enum {
	WIRE_VARINT_MAX_BYTES = 10,
};

struct wire_span {
	const uint8_t *at;
	const uint8_t *end;
};

struct wire_value {
	unsigned wire_type;
	uint64_t number;        // of varints and fixed values
	struct wire_span bytes; // WIRE_BYTES
};

static inline size_t wire_span_length(struct wire_span span)
{
	return (size_t)(span.end - span.at);
}

// Each takes what it read off the span's front; false when the span holds no such thing.
bool wire_read_varint(struct wire_span *span, uint64_t *ret_number);
// One field of a message with its number. Groups, which nobody uses, are refused.
bool wire_read_field(struct wire_span *span, uint32_t *ret_number, struct wire_value *ret_value);

// Writes up to WIRE_VARINT_MAX_BYTES; returns how many.
size_t wire_put_varint(uint8_t *out, uint64_t number);
void wire_append_varint(struct strbuf *out, uint64_t number);
// The tag and the length that go before the bytes of a nested message, string or bytes field.
void wire_append_head(struct strbuf *out, uint32_t number, size_t length);
void wire_append_text(struct strbuf *out, uint32_t number, const char *text, size_t length);
size_t wire_varint_size(uint64_t number);
