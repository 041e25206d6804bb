// SPDX-License-Identifier: Apache-2.0
#pragma once
// Sixteen bytes at a time: where the plain part of a JSON string ends. With
// SSE2 (every x86-64) a block is four comparisons; elsewhere the compiler makes
// what it can of a loop.

#include <stddef.h>
#include <stdint.h>

#define JSON_SCAN_BYTES 16

#ifdef __SSE2__
#include <emmintrin.h>

// One bit for each byte that is a quote, a backslash, a control character, or is `extra` or above 0x7f.
static inline uint32_t json_scan_input(const char *text)
{
	__m128i block = _mm_loadu_si128((const __m128i *)text);
	__m128i quote = _mm_cmpeq_epi8(block, _mm_set1_epi8('"'));
	__m128i backslash = _mm_cmpeq_epi8(block, _mm_set1_epi8('\\'));
	__m128i low = _mm_cmplt_epi8(block, _mm_set1_epi8(0x20)); // signed: also 0x80 and above
	return (uint32_t)_mm_movemask_epi8(_mm_or_si128(low, _mm_or_si128(quote, backslash)));
}
#else
static inline uint32_t json_scan_input(const char *text)
{
	uint32_t marks = 0;
	for (unsigned i = 0; i < JSON_SCAN_BYTES; i++)
		marks |= (uint32_t)(text[i] == '"' || text[i] == '\\' || (signed char)text[i] < 0x20) << i;
	return marks;
}
#endif
