// SPDX-License-Identifier: Apache-2.0
//
// A WebSocket on any bytes: it must not touch memory outside of its input, and do and
// say the same however the input is split. The first byte of an input chooses the role
// and the splits; the rest is what the peer sends.
//
//   clang -g -O1 -std=gnu11 -D_GNU_SOURCE -I. -fsanitize=fuzzer,address,undefined -o fuzz_websocket
//       tests/fuzz/fuzz_websocket.c build/libcommon.a -lcrypto && ./fuzz_websocket tests/fuzz/corpus/websocket
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/io/websocket.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MESSAGE_MAXIMUM = 4096 };

struct transcript {
	struct websocket socket;
	struct strbuf text;
	size_t sent; // bytes for the peer; what a client sends is masked anew each time
	unsigned closings;
};

static void on_message(void *context, enum websocket_opcode opcode, const uint8_t *data, size_t length)
{
	struct transcript *transcript = context;

	if (length > MESSAGE_MAXIMUM || (opcode != WEBSOCKET_TEXT && opcode != WEBSOCKET_BINARY))
		abort();
	strbuf_printf(&transcript->text, "\nmessage %d %zu ", opcode, length);
	strbuf_append(&transcript->text, data, length);
	websocket_send(&transcript->socket, opcode, data, length);
}

static void on_close(void *context, uint16_t code, const char *reason)
{
	struct transcript *transcript = context;

	if (transcript->closings++)
		abort();
	strbuf_printf(&transcript->text, "\nclose %u %s", code, reason ? reason : "");
}

static void on_send(void *context, const void *data, size_t length)
{
	struct transcript *transcript = context;

	(void)data;
	transcript->sent += length;
}

static void run(struct transcript *transcript, const uint8_t *data, size_t size, bool is_client, unsigned seed)
{
	bool alive = true;

	*transcript = (struct transcript){.text = STRBUF_INIT((size_t)16 << 20)};
	websocket_init(&transcript->socket, is_client, MESSAGE_MAXIMUM);
	transcript->socket.on_message = on_message;
	transcript->socket.on_close = on_close;
	transcript->socket.send = on_send;
	transcript->socket.context = transcript;
	while (size && alive && !transcript->closings) {
		size_t piece = seed ? 1 + (size_t)rand_r(&seed) % (1 + seed % 40) : size;
		if (piece > size)
			piece = size;
		uint8_t *copy = xmalloc(piece); // alone in a heap block
		memcpy(copy, data, piece);
		alive = websocket_feed(&transcript->socket, copy, piece);
		free(copy);
		data += piece;
		size -= piece;
	}
	strbuf_printf(&transcript->text, "\nalive %d sent %zu", alive, transcript->sent);
}

static void done(struct transcript *transcript)
{
	websocket_done(&transcript->socket);
	strbuf_done(&transcript->text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct transcript whole, split;

	if (size == 0)
		return 0;
	run(&whole, data + 1, size - 1, data[0] & 1, 0);
	run(&split, data + 1, size - 1, data[0] & 1, 1u + data[0]);
	if (whole.text.length != split.text.length ||
	    memcmp(strbuf_text(&whole.text), strbuf_text(&split.text), whole.text.length) != 0)
		abort();
	done(&whole);
	done(&split);
	return 0;
}
