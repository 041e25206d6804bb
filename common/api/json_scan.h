// SPDX-License-Identifier: Apache-2.0
#pragma once
// Eight bytes at a time: where the plain part of a JSON string ends.

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define JSON_SCAN_ONES UINT64_C(0x0101010101010101)
#define JSON_SCAN_HIGHS UINT64_C(0x8080808080808080)

// The high bit of each byte that is a quote, a backslash or a control character
// (bytes above the first such one may be marked wrongly).
static inline uint64_t json_scan_specials(uint64_t word)
{
	uint64_t quote = word ^ (JSON_SCAN_ONES * '"');
	uint64_t backslash = word ^ (JSON_SCAN_ONES * '\\');
	uint64_t marks = (quote - JSON_SCAN_ONES) & ~quote;
	marks |= (backslash - JSON_SCAN_ONES) & ~backslash;
	marks |= (word - JSON_SCAN_ONES * 0x20) & ~word;
	return marks & JSON_SCAN_HIGHS;
}

// The first byte in memory becomes the lowest one.
static inline uint64_t json_scan_load(const char *text)
{
	uint64_t word;
	memcpy(&word, text, 8);
	return le64toh(word);
}

// Bytes in front of the first marked one.
static inline size_t json_scan_first(uint64_t marks)
{
	return (size_t)__builtin_ctzll(marks) / 8;
}
