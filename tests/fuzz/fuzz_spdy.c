// SPDX-License-Identifier: Apache-2.0
//
// A SPDY session on any bytes: it must not touch memory outside of its input, and do
// and say the same however the input is split. The first byte of an input chooses the
// role, how the owner behaves, and the splits; the rest is what the peer sends.
//
//   clang -g -O1 -std=gnu11 -D_GNU_SOURCE -I. -fsanitize=fuzzer,address,undefined -o fuzz_spdy
//       tests/fuzz/fuzz_spdy.c common/io/spdy.c common/io/spdy_headers.c common/base/{arena,memory,strbuf}.c -lz
//   ./fuzz_spdy tests/fuzz/corpus/spdy
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/io/spdy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct transcript {
	struct spdy_session *session;
	struct strbuf text;   // what the owner heard, but for the data's pieces
	struct strbuf output; // what the peer would get
	uint32_t data_of;     // the stream of the data at the transcript's end
	bool answers;         // the owner writes back what it gets
	bool closes;          // the owner closes streams at their ends
	bool failed;
};

static void note(struct transcript *transcript, const char *what, const struct spdy_stream *stream, uint32_t value)
{
	transcript->data_of = 0;
	strbuf_printf(&transcript->text, "\n%s %u %u ", what, stream ? spdy_stream_id(stream) : 0, value);
}

static void on_stream(void *context, struct spdy_stream *stream, const struct spdy_header *headers, size_t count)
{
	struct transcript *transcript = context;
	note(transcript, "stream", stream, (uint32_t)count);
	for (size_t index = 0; index < count; index++)
		strbuf_printf(&transcript->text, "%s=%s;", headers[index].name, headers[index].value);
	spdy_stream_accept(stream);
	if (transcript->closes && count > 3)
		spdy_stream_close(stream, SPDY_REFUSED_STREAM);
}

static void on_accepted(void *context, struct spdy_stream *stream)
{
	note(context, "accepted", stream, 0);
}

static void on_data(void *context, struct spdy_stream *stream, const void *data, size_t length)
{
	struct transcript *transcript = context;
	if (transcript->data_of != spdy_stream_id(stream))
		note(transcript, "data", stream, 0);
	transcript->data_of = spdy_stream_id(stream);
	strbuf_append(&transcript->text, data, length);
	spdy_stream_consumed(stream, length);
}

static void on_end(void *context, struct spdy_stream *stream)
{
	struct transcript *transcript = context;
	note(transcript, "end", stream, 0);
	if (transcript->answers)
		spdy_stream_write(stream, "answer", 6);
	spdy_stream_finish(stream);
	if (transcript->closes)
		spdy_stream_close(stream, SPDY_CANCEL);
}

static void on_reset(void *context, struct spdy_stream *stream, uint32_t status)
{
	note(context, "reset", stream, status);
	spdy_stream_close(stream, SPDY_CANCEL);
}

static void on_drain(void *context, struct spdy_stream *stream)
{
	note(context, "drain", stream, 0);
}

static void on_send(void *context, const void *data, size_t length)
{
	strbuf_append(&((struct transcript *)context)->output, data, length);
}

static void init(struct transcript *transcript, uint8_t choice)
{
	static const struct spdy_callbacks callbacks = {on_stream, on_accepted, on_data, on_end,
	                                                on_reset,  on_drain,    on_send};
	static const struct spdy_header headers[] = {{"streamtype", "data"}, {"port", "80"}};
	bool is_client = choice & 1;
	*transcript = (struct transcript){
	        .text = STRBUF_INIT((size_t)64 << 20),
	        .output = STRBUF_INIT((size_t)64 << 20),
	        .answers = choice & 2,
	        .closes = choice & 4,
	};
	transcript->session = spdy_session_new(is_client, &callbacks, transcript);
	if (is_client) {
		struct spdy_stream *stream = spdy_stream_open(transcript->session, headers, 2);
		AUTO_FREE char *much = xcalloc(1, 100000);
		spdy_stream_write(stream, much, 100000);
	}
}

// One piece, alone in a heap block.
static void feed(struct transcript *transcript, const uint8_t *data, size_t size)
{
	uint8_t *copy = xmalloc(size ? size : 1);
	memcpy(copy, data, size);
	transcript->failed = !spdy_feed(transcript->session, copy, size);
	free(copy);
}

static void run(struct transcript *transcript, uint8_t choice, const uint8_t *data, size_t size, unsigned seed)
{
	init(transcript, choice);
	while (size && !transcript->failed) {
		size_t piece = seed ? 1 + (size_t)rand_r(&seed) % (1 + seed % 40) : size;
		if (piece > size)
			piece = size;
		feed(transcript, data, piece);
		data += piece;
		size -= piece;
	}
	if (spdy_unconsumed_bytes(transcript->session))
		abort();
	spdy_session_free(transcript->session);
}

static bool same(const struct strbuf *a, const struct strbuf *b)
{
	return a->length == b->length && (!a->length || memcmp(a->data, b->data, a->length) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	struct transcript whole, split;
	run(&whole, data[0], data + 1, size - 1, 0);
	run(&split, data[0], data + 1, size - 1, 1u + data[0]);
	if (whole.failed != split.failed || !same(&whole.text, &split.text) || !same(&whole.output, &split.output))
		abort();
	strbuf_done(&whole.text);
	strbuf_done(&split.text);
	strbuf_done(&whole.output);
	strbuf_done(&split.output);
	return 0;
}
