// SPDX-License-Identifier: Apache-2.0
//
// The opening handshake of RFC 6455: keys, and what a request offers.
#include <openssl/evp.h>
#include <string.h>
#include <strings.h>

#include "common/base/encode.h"
#include "common/base/memory.h"
#include "common/io/http_server.h"
#include "common/io/websocket.h"

enum { KEY_TEXT_BYTES = 24 };

void websocket_accept_key(const char *key, char out[29])
{
	AUTO_FREE char *text = xasprintf("%.128s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
	AUTO_STRBUF struct strbuf encoded = STRBUF_INIT(28);
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned length = 0;
	if (!EVP_Digest(text, strlen(text), digest, &length, EVP_sha1(), NULL))
		abort();
	base64_encode(&encoded, digest, length);
	memcpy(out, encoded.data, 29);
}

void websocket_new_key(char out[25])
{
	AUTO_STRBUF struct strbuf encoded = STRBUF_INIT(KEY_TEXT_BYTES);
	uint8_t bytes[16];
	random_bytes(bytes, sizeof(bytes));
	base64_encode(&encoded, bytes, sizeof(bytes));
	memcpy(out, encoded.data, KEY_TEXT_BYTES + 1);
}

// Walks the comma-separated items of all headers with this name.
struct item_cursor {
	const struct http_request *request;
	const char *name;
	size_t next_header;
	const char *at; // in the present header; NULL = take the next one
};

static bool next_item(struct item_cursor *cursor, const char **ret_item, size_t *ret_length)
{
	for (;;) {
		if (!cursor->at || !*cursor->at) {
			if (cursor->next_header == cursor->request->header_count)
				return false;
			const struct http_header *header = &cursor->request->headers[cursor->next_header++];
			cursor->at = strcmp(header->name, cursor->name) == 0 ? header->value : NULL;
			continue;
		}
		cursor->at += strspn(cursor->at, " \t,");
		size_t length = strcspn(cursor->at, ",");
		*ret_item = cursor->at;
		cursor->at += length;
		while (length && ((*ret_item)[length - 1] == ' ' || (*ret_item)[length - 1] == '\t'))
			length--;
		*ret_length = length;
		if (length)
			return true;
	}
}

static bool has_item(const struct http_request *request, const char *header, const char *wanted)
{
	struct item_cursor cursor = {.request = request, .name = header};
	const char *item;
	size_t length;
	while (next_item(&cursor, &item, &length))
		if (length == strlen(wanted) && strncasecmp(item, wanted, length) == 0)
			return true;
	return false;
}

static bool has_good_key(const struct http_request *request)
{
	const char *key = NULL;
	for (size_t i = 0; i < request->header_count; i++) {
		if (strcmp(request->headers[i].name, "sec-websocket-key") != 0)
			continue;
		if (key)
			return false;
		key = request->headers[i].value;
	}
	AUTO(arena_free) struct arena *arena = arena_new(0);
	uint8_t *data;
	size_t length;
	return key && strlen(key) == KEY_TEXT_BYTES && base64_decode(arena, key, KEY_TEXT_BYTES, &data, &length) &&
	       length == 16;
}

bool websocket_is_upgrade(const struct http_request *request)
{
	return strcmp(request->method, "GET") == 0 && !request->is_http2 &&
	       has_item(request, "connection", "upgrade") && has_item(request, "upgrade", "websocket") &&
	       has_item(request, "sec-websocket-version", "13") && has_good_key(request);
}

const char *websocket_choose_protocol(const struct http_request *request, const char *const *supported)
{
	for (; *supported; supported++) {
		struct item_cursor cursor = {.request = request, .name = "sec-websocket-protocol"};
		const char *item;
		size_t length;
		while (next_item(&cursor, &item, &length))
			if (length == strlen(*supported) && memcmp(item, *supported, length) == 0)
				return *supported;
	}
	return NULL;
}
