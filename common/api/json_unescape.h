// SPDX-License-Identifier: Apache-2.0
#pragma once
// The slow part of reading JSON strings.

extern const char json_invalid_utf8[];

// Reads a string's text from *in up to its closing quote and writes what it means
// to *out, which may be the same place. The input is followed by JSON_SCAN_BYTES
// NULs. Both places are advanced; *in stands at the quote, or at what is wrong.
// Returns NULL, json_invalid_utf8, or the end of Go's sentence on the wrong character.
const char *json_unescape(const char **in, char **out);
