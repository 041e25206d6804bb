// SPDX-License-Identifier: Apache-2.0
//
// The HTTP/1 parser on any bytes: it must not touch memory outside of its
// input, and say the same however the input is split. The first byte of an input
// chooses the splits; the rest is what a client sends.
//
//   clang -g -O1 -std=gnu11 -D_GNU_SOURCE -I. -fsanitize=fuzzer,address,undefined -o fuzz_http1
//       tests/fuzz/fuzz_http1.c common/io/http1_parser.c common/base/{arena,memory,strbuf}.c
//   ./fuzz_http1 tests/fuzz/corpus/http1
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/io/http1_parser.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct transcript {
	struct http1_parser parser;
	struct strbuf text;
	bool failed;
};

static void note(struct transcript *transcript, enum http1_event event)
{
	const struct http1_parser *parser = &transcript->parser;
	const struct http1_head *head = &parser->head;
	if (event == HTTP1_HEAD) {
		strbuf_printf(&transcript->text, "\n%s %s %d %s %d%d%d%d ", head->method, head->target,
		              head->minor_version, head->host ? head->host : "", head->chunked, head->has_length,
		              head->connection_close, head->connection_upgrade);
		for (size_t i = 0; i < head->header_count; i++)
			strbuf_printf(&transcript->text, "%s=%s;", head->headers[i].name, head->headers[i].value);
		if (!http_target_is_valid(head->target) || (head->chunked && head->has_length))
			abort();
	} else if (event == HTTP1_DATA) {
		strbuf_append(&transcript->text, parser->data, parser->data_length);
	} else if (event == HTTP1_END) {
		strbuf_append_text(&transcript->text, "\nend");
	} else if (event == HTTP1_BAD) {
		strbuf_printf(&transcript->text, "\nbad %d %s", parser->status, parser->reason);
		transcript->failed = true;
	}
}

// One piece, alone in a heap block.
static void feed(struct transcript *transcript, const uint8_t *data, size_t size)
{
	char *copy = xmalloc(size ? size : 1);
	memcpy(copy, data, size);
	size_t used = 0;
	enum http1_event event = HTTP1_MORE;
	do {
		used += http1_parser_feed(&transcript->parser, copy + used, size - used, &event);
		note(transcript, event);
	} while (event != HTTP1_MORE && event != HTTP1_BAD);
	if (used > size || (event == HTTP1_MORE && used < size))
		abort();
	free(copy);
}

static void run(struct transcript *transcript, const uint8_t *data, size_t size, unsigned seed)
{
	http1_parser_init(&transcript->parser, 2048, 4096);
	transcript->text = STRBUF_INIT((size_t)16 << 20);
	transcript->failed = false;
	while (size && !transcript->failed) {
		size_t piece = seed ? 1 + (size_t)rand_r(&seed) % (1 + seed % 40) : size;
		if (piece > size)
			piece = size;
		feed(transcript, data, piece);
		data += piece;
		size -= piece;
	}
}

static void done(struct transcript *transcript)
{
	http1_parser_done(&transcript->parser);
	strbuf_done(&transcript->text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	struct transcript whole, split;
	run(&whole, data + 1, size - 1, 0);
	run(&split, data + 1, size - 1, 1u + data[0]);
	if (whole.text.length != split.text.length || strcmp(strbuf_text(&whole.text), strbuf_text(&split.text)) != 0)
		abort();
	done(&whole);
	done(&split);
	return 0;
}
