// SPDX-License-Identifier: Apache-2.0
//
// The dictionary of the SPDY/3 draft is a list of words, each behind its length, and a
// tail of text. It is made once, when the first context is.
//
// Packing uses a window of 2 KiB, in which the dictionary has its place: blocks are
// small, and a context then takes 16 KiB instead of 256. Unpacking takes whatever
// window the peer uses; what a block may grow to is bounded, so a bomb ends the
// connection.
#include "common/io/spdy_headers.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "common/base/memory.h"

enum {
	DICTIONARY_BYTES = 1423,
	PACK_WINDOW_BITS = 11,
	PACK_MEMORY_LEVEL = 1,
};

static const char *const dictionary_words[] = {
        "options",
        "head",
        "post",
        "put",
        "delete",
        "trace",
        "accept",
        "accept-charset",
        "accept-encoding",
        "accept-language",
        "accept-ranges",
        "age",
        "allow",
        "authorization",
        "cache-control",
        "connection",
        "content-base",
        "content-encoding",
        "content-language",
        "content-length",
        "content-location",
        "content-md5",
        "content-range",
        "content-type",
        "date",
        "etag",
        "expect",
        "expires",
        "from",
        "host",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "last-modified",
        "location",
        "max-forwards",
        "pragma",
        "proxy-authenticate",
        "proxy-authorization",
        "range",
        "referer",
        "retry-after",
        "server",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "vary",
        "via",
        "warning",
        "www-authenticate",
        "method",
        "get",
        "status",
        "200 OK",
        "version",
        "HTTP/1.1",
        "url",
        "public",
        "set-cookie",
        "keep-alive",
        "origin",
};

static const char dictionary_tail[] =
        "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
        "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request"
        "401 Unauthorized403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented"
        "503 Service Unavailable"
        "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
        "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,"
        "text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.";

static uint8_t dictionary[DICTIONARY_BYTES];
static pthread_once_t dictionary_once = PTHREAD_ONCE_INIT;

static uint8_t *put_number(uint8_t *out, size_t number)
{
	for (int shift = 24; shift >= 0; shift -= 8)
		*out++ = (uint8_t)(number >> shift);
	return out;
}

static void make_dictionary(void)
{
	uint8_t *out = dictionary;
	for (size_t index = 0; index < ARRAY_SIZE(dictionary_words); index++) {
		size_t length = strlen(dictionary_words[index]);
		out = put_number(out, length);
		memcpy(out, dictionary_words[index], length);
		out += length;
	}
	assert(out + sizeof(dictionary_tail) - 1 == dictionary + DICTIONARY_BYTES);
	memcpy(out, dictionary_tail, sizeof(dictionary_tail) - 1);
}

// --- packing --------------------------------------------------------------------------

struct spdy_packer {
	z_stream zlib;
};

struct spdy_packer *spdy_packer_new(void)
{
	struct spdy_packer *packer = NEW(struct spdy_packer);
	pthread_once(&dictionary_once, make_dictionary);
	if (deflateInit2(&packer->zlib, Z_BEST_SPEED, Z_DEFLATED, PACK_WINDOW_BITS, PACK_MEMORY_LEVEL,
	                 Z_DEFAULT_STRATEGY) != Z_OK ||
	    deflateSetDictionary(&packer->zlib, dictionary, DICTIONARY_BYTES) != Z_OK)
		abort(); // out of memory
	return packer;
}

struct spdy_packer *spdy_packer_free(struct spdy_packer *packer)
{
	if (packer)
		deflateEnd(&packer->zlib);
	free(packer);
	return NULL;
}

static void append_text(struct strbuf *out, const char *text)
{
	uint8_t length[4];
	put_number(length, strlen(text));
	strbuf_append(out, length, sizeof(length));
	strbuf_append_text(out, text);
}

void spdy_pack(struct spdy_packer *packer, const struct spdy_header *headers, size_t count, struct strbuf *out)
{
	AUTO_STRBUF struct strbuf plain = STRBUF_INIT(SPDY_MAX_BLOCK_BYTES);
	uint8_t number[4];
	put_number(number, count);
	strbuf_append(&plain, number, sizeof(number));
	for (size_t index = 0; index < count; index++) {
		append_text(&plain, headers[index].name);
		append_text(&plain, headers[index].value);
	}
	assert(!plain.overflowed && count <= SPDY_MAX_HEADERS);
	z_stream *zlib = &packer->zlib;
	zlib->next_in = (Bytef *)plain.data;
	zlib->avail_in = (uInt)plain.length;
	do {
		uint8_t piece[1024];
		zlib->next_out = piece;
		zlib->avail_out = sizeof(piece);
		int result = deflate(zlib, Z_SYNC_FLUSH);
		assert(result == Z_OK || result == Z_BUF_ERROR);
		(void)result;
		strbuf_append(out, piece, sizeof(piece) - zlib->avail_out);
	} while (zlib->avail_out == 0);
}

// --- unpacking ------------------------------------------------------------------------

struct spdy_unpacker {
	z_stream zlib;
};

struct spdy_unpacker *spdy_unpacker_new(void)
{
	struct spdy_unpacker *unpacker = NEW(struct spdy_unpacker);
	pthread_once(&dictionary_once, make_dictionary);
	if (inflateInit(&unpacker->zlib) != Z_OK)
		abort(); // out of memory
	return unpacker;
}

struct spdy_unpacker *spdy_unpacker_free(struct spdy_unpacker *unpacker)
{
	if (unpacker)
		inflateEnd(&unpacker->zlib);
	free(unpacker);
	return NULL;
}

static bool inflate_block(z_stream *zlib, const uint8_t *data, size_t length, struct strbuf *out)
{
	zlib->next_in = (Bytef *)data;
	zlib->avail_in = (uInt)length;
	for (;;) {
		uint8_t piece[2048];
		zlib->next_out = piece;
		zlib->avail_out = sizeof(piece);
		int result = inflate(zlib, Z_SYNC_FLUSH);
		if (result == Z_NEED_DICT) {
			if (inflateSetDictionary(zlib, dictionary, DICTIONARY_BYTES) != Z_OK)
				return false;
			continue;
		}
		strbuf_append(out, piece, sizeof(piece) - zlib->avail_out);
		if ((result != Z_OK && result != Z_BUF_ERROR) || out->overflowed)
			return false; // the end of the zlib stream (Z_STREAM_END) is none of a block
		if (zlib->avail_out)
			return zlib->avail_in == 0;
	}
}

struct reader {
	const uint8_t *at;
	size_t left;
};

static bool read_number(struct reader *reader, size_t *ret_number)
{
	if (reader->left < 4)
		return false;
	*ret_number =
	        (size_t)reader->at[0] << 24 | (size_t)reader->at[1] << 16 | (size_t)reader->at[2] << 8 | reader->at[3];
	reader->at += 4;
	reader->left -= 4;
	return true;
}

static bool read_text(struct reader *reader, struct arena *arena, const char **ret_text, size_t *ret_length)
{
	if (!read_number(reader, ret_length) || *ret_length > reader->left)
		return false;
	char *text = ARENA_ARRAY(arena, char, *ret_length + 1); // may hold NULs
	memcpy(text, reader->at, *ret_length);
	*ret_text = text;
	reader->at += *ret_length;
	reader->left -= *ret_length;
	return true;
}

static bool is_good_name(const char *name, size_t length)
{
	for (size_t index = 0; index < length; index++)
		if ((name[index] >= 'A' && name[index] <= 'Z') || name[index] <= ' ' || name[index] == 0x7f)
			return false;
	return length > 0;
}

static bool is_known(const struct spdy_header *headers, size_t count, const char *name)
{
	for (size_t index = 0; index < count; index++)
		if (!strcmp(headers[index].name, name))
			return true;
	return false;
}

static bool read_header(struct reader *reader, struct arena *arena, struct spdy_header *headers, size_t *count)
{
	const char *name;
	const char *value;
	size_t name_length;
	size_t length;
	if (!read_text(reader, arena, &name, &name_length) || !is_good_name(name, name_length) ||
	    is_known(headers, *count, name) || !read_text(reader, arena, &value, &length))
		return false;
	for (size_t used = 0; used <= length; used += strlen(value + used) + 1) {
		if (*count == SPDY_MAX_HEADERS)
			return false;
		headers[(*count)++] = (struct spdy_header){name, value + used};
	}
	return true;
}

enum spdy_unpack_result spdy_unpack(struct spdy_unpacker *unpacker, struct arena *arena, const uint8_t *data,
                                    size_t length, struct spdy_header **ret_headers, size_t *ret_count)
{
	AUTO_STRBUF struct strbuf plain = STRBUF_INIT(SPDY_MAX_BLOCK_BYTES);
	if (!inflate_block(&unpacker->zlib, data, length, &plain))
		return SPDY_BROKEN;
	struct spdy_header *headers = ARENA_ARRAY(arena, struct spdy_header, SPDY_MAX_HEADERS);
	struct reader reader = {(const uint8_t *)plain.data, plain.length};
	size_t pairs;
	size_t count = 0;
	if (!read_number(&reader, &pairs) || pairs > SPDY_MAX_HEADERS)
		return SPDY_BAD_HEADERS;
	for (size_t index = 0; index < pairs; index++)
		if (!read_header(&reader, arena, headers, &count))
			return SPDY_BAD_HEADERS;
	if (reader.left)
		return SPDY_BAD_HEADERS;
	*ret_headers = headers;
	*ret_count = count;
	return SPDY_UNPACKED;
}
