// SPDX-License-Identifier: Apache-2.0
#pragma once
// SPDY/3.1 name/value blocks: zlib with the protocol's dictionary, one context for all
// blocks of a direction.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/strbuf.h"

enum {
	SPDY_MAX_HEADERS = 64,
	SPDY_MAX_BLOCK_BYTES = 32 << 10, // of an unpacked block
};

struct spdy_header {
	const char *name;  // lower case
	const char *value; // several are separated by NUL on the wire: each is a row of its own here
};

struct spdy_packer;
struct spdy_packer *spdy_packer_new(void);
struct spdy_packer *spdy_packer_free(struct spdy_packer *packer);
// Appends the packed block of headers with different names.
void spdy_pack(struct spdy_packer *packer, const struct spdy_header *headers, size_t count, struct strbuf *out);

struct spdy_unpacker;
struct spdy_unpacker *spdy_unpacker_new(void);
struct spdy_unpacker *spdy_unpacker_free(struct spdy_unpacker *unpacker);

enum spdy_unpack_result {
	SPDY_UNPACKED,
	SPDY_BAD_HEADERS, // this block says nonsense; the context is in order
	SPDY_BROKEN,      // not zlib, or beyond the limits: nothing that follows can be read
};
enum spdy_unpack_result spdy_unpack(struct spdy_unpacker *unpacker, struct arena *arena, const uint8_t *data,
                                    size_t length, struct spdy_header **ret_headers, size_t *ret_count);
