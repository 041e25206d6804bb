// SPDX-License-Identifier: Apache-2.0
#pragma once
// Base64, hexadecimal, random bytes and names made of them.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/strbuf.h"

// Standard base64 with padding; the url form without padding.
void base64_encode(struct strbuf *out, const void *data, size_t length);
void base64url_encode(struct strbuf *out, const void *data, size_t length);

// Decoding into the arena; false on bad input. As Go's decoders, CR and LF are
// skipped and nothing else. *ret_data is NUL-terminated past its length.
bool base64_decode(struct arena *arena, const char *text, size_t length, uint8_t **ret_data, size_t *ret_length);
bool base64url_decode(struct arena *arena, const char *text, size_t length, uint8_t **ret_data, size_t *ret_length);

void hex_encode(char *out, const void *data, size_t length); // out: 2 * length + 1 bytes

// The value of a hexadecimal digit, -1 when it is none.
static inline int hex_digit(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	digit = (char)(digit | 0x20);
	return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

// The text in double quotes with Go's escapes (%q), for messages and logs.
void quote_append(struct strbuf *out, const char *text, size_t length);

// From the kernel; never fails.
void random_bytes(void *out, size_t length);
uint32_t random_below(uint32_t bound); // uniform in [0, bound)

// A version 4 UUID in text (37 bytes).
void uuid_v4(char out[37]);

// `length` characters of upstream's name alphabet (bcdfghjklmnpqrstvwxz2456789), NUL-terminated.
void random_name_suffix(char *out, size_t length);
// Makes a hash into the same alphabet, as upstream does for pod-template-hash (rand.SafeEncodeString of a decimal
// number).
void safe_encode_string(const char *in, char *out);
