// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/io/http1_parser.h"

enum {
	MAX_HEAD_BYTES = 4096,
	MAX_BODY_BYTES = 1000,
};

// Everything that a parser said about an input, as text.
struct transcript {
	struct http1_parser parser;
	struct strbuf text;
	struct strbuf body;
	int status; // of the refusal, 0 = none
};

static void transcript_init(struct transcript *transcript)
{
	http1_parser_init(&transcript->parser, MAX_HEAD_BYTES, MAX_BODY_BYTES);
	transcript->text = STRBUF_INIT(1 << 20);
	transcript->body = STRBUF_INIT(1 << 20);
	transcript->status = 0;
}

static void transcript_done(struct transcript *transcript)
{
	http1_parser_done(&transcript->parser);
	strbuf_done(&transcript->text);
	strbuf_done(&transcript->body);
}

static void note_head(struct transcript *transcript)
{
	const struct http1_head *head = &transcript->parser.head;
	strbuf_printf(&transcript->text, "%s %s 1.%d host=%s close=%d upgrade=%d expect=%d\n", head->method,
	              head->target, head->minor_version, head->host ? head->host : "-", head->connection_close,
	              head->connection_upgrade, head->expect_continue);
	for (size_t i = 0; i < head->header_count; i++)
		strbuf_printf(&transcript->text, "[%s]=[%s]\n", head->headers[i].name, head->headers[i].value);
}

static void note(struct transcript *transcript, enum http1_event event)
{
	if (event == HTTP1_HEAD) {
		note_head(transcript);
	} else if (event == HTTP1_DATA) {
		strbuf_append(&transcript->body, transcript->parser.data, transcript->parser.data_length);
	} else if (event == HTTP1_END) {
		strbuf_printf(&transcript->text, "body=%s end\n", strbuf_text(&transcript->body));
		strbuf_clear(&transcript->body);
	} else if (event == HTTP1_BAD) {
		transcript->status = transcript->parser.status;
		strbuf_printf(&transcript->text, "bad %d %s\n", transcript->parser.status, transcript->parser.reason);
	}
}

// The input stands alone in a heap block, so that reading past it is seen.
static void feed(struct transcript *transcript, const char *data, size_t length)
{
	char *copy = xmemdup(data, length);
	const char *rest = copy;
	enum http1_event event;
	do {
		size_t used = http1_parser_feed(&transcript->parser, rest, length, &event);
		assert_true(used <= length);
		rest += used;
		length -= used;
		note(transcript, event);
	} while (event != HTTP1_MORE && event != HTTP1_BAD);
	assert_true(event == HTTP1_BAD || length == 0);
	free(copy);
}

static int status_of(const char *data, size_t length)
{
	struct transcript transcript;
	transcript_init(&transcript);
	feed(&transcript, data, length);
	int status = transcript.status;
	transcript_done(&transcript);
	return status;
}

#define BAD(status, text)                      \
	{                                      \
		status, text, sizeof(text) - 1 \
	}

static const struct {
	int status;
	const char *input;
	size_t length;
} refused[] = {
        BAD(400, "GET / HTTP/1.1\r\n\r\n"), // no Host
        BAD(400, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
        BAD(400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
        BAD(400, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
        BAD(400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
        BAD(400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello"),
        BAD(400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
        BAD(400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        BAD(400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
        BAD(400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
        BAD(501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n"),
        BAD(501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n"),
        BAD(501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"),
        BAD(501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n"),
        BAD(400, "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        BAD(400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
        BAD(400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello"),
        BAD(400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello"),
        BAD(400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\nhello"),
        BAD(400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\nhello"),
        BAD(400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\nhello"),
        BAD(413, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n"),
        BAD(413, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n"),
        BAD(413, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n"),
        BAD(400, "GET / HTTP/1.1\nHost: a\n\n"),                                         // bare LF everywhere
        BAD(400, "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n"),                             // in one line
        BAD(400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\n"), // at once
        BAD(400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\n"),
        BAD(400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\n"),
        BAD(400, "GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n"),
        BAD(400, "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\r\n\r\n"),
        BAD(400, "GET / HTTP/1.1\r\nHost: a\r\nX: b\0c\r\n\r\n"),
        BAD(400, "GET / HTTP/1.1\r\nHost: a\r\nX: b\x01\r\n\r\n"),
        BAD(400, "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n"), // folded
        BAD(400, "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\tc\r\n\r\n"),
        BAD(400, "GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
        BAD(400, "G(T / HTTP/1.1\r\nHost: a\r\n\r\n"),
        BAD(400, " GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        BAD(400, "GET / HTTP/1.7\r\nHost: a\r\n\r\n"),
        BAD(400, "GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
        BAD(400, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        BAD(400, "GET / http/1.1\r\nHost: a\r\n\r\n"),
        BAD(400, "GET / HTTP/1.1 \r\nHost: a\r\n\r\n"),
        BAD(400, "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"), // space in the target
        BAD(400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
        BAD(400, "GET /#x HTTP/1.1\r\nHost: a\r\n\r\n"),
        BAD(400, "GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n"),
        BAD(400, "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        BAD(400, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"),
        BAD(400, "GET /\r\n\r\n"),
        BAD(400, "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        BAD(400, "GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n"),
        BAD(400, "GET / HTTP/1.1\r\nHost: a\r\n: empty\r\n\r\n"),
        BAD(400, "GET / HTTP/1.1\r\nHost: a\r\nb@d: x\r\n\r\n"),
        BAD(417, "POST / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n"),
        BAD(400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\r\n"),
        BAD(400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n 1\r\na\r\n"),
        BAD(400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1 \r\na\r\n"),
        BAD(400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n"),
        BAD(400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\na\r\n"),
        BAD(400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n"),
        BAD(400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;x\x02\r\na\r\n"),
        BAD(400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n"),
        BAD(400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nbad trailer\r\n\r\n"),
};

static void test_refuses(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		int status = status_of(refused[i].input, refused[i].length);
		if (status != refused[i].status)
			print_error("%s", refused[i].input);
		assert_int_equal(status, refused[i].status);
	}
}

static void test_limits(void **state)
{
	(void)state;
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(1 << 20);
	strbuf_append_text(&text, "GET / HTTP/1.1\r\nHost: a\r\nX: ");
	while (text.length < MAX_HEAD_BYTES - 4)
		strbuf_append_char(&text, 'x');
	size_t fits = text.length;
	strbuf_append_text(&text, "\r\n\r\n");
	assert_int_equal(status_of(text.data, text.length), 0);
	text.length = fits;
	strbuf_append_text(&text, "x\r\n\r\n");
	assert_int_equal(status_of(text.data, text.length), 431);
	// Trailers have the same limit, and a chunk's line one of its own.
	strbuf_clear(&text);
	strbuf_append_text(&text, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ");
	for (size_t i = 0; i < MAX_HEAD_BYTES; i++)
		strbuf_append_char(&text, 'x');
	assert_int_equal(status_of(text.data, text.length), 431);
	strbuf_clear(&text);
	strbuf_append_text(&text, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;");
	for (size_t i = 0; i < 300; i++)
		strbuf_append_char(&text, 'x');
	assert_int_equal(status_of(text.data, text.length), 400);
}

static void test_body_of_many_chunks_is_limited(void **state)
{
	(void)state;
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(1 << 20);
	strbuf_append_text(&text, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
	for (size_t i = 0; i < MAX_BODY_BYTES; i++)
		strbuf_append_text(&text, "1\r\nx\r\n");
	assert_int_equal(status_of(text.data, text.length), 0);
	strbuf_append_text(&text, "1\r\nx\r\n");
	assert_int_equal(status_of(text.data, text.length), 413);
}

static const char pipeline[] =
        "GET /api/v1/pods?watch=1&labelSelector=a%2Fb HTTP/1.1\r\nHost: [::1]:6443\r\nUser-Agent: \t kubectl \t\r\n"
        "X-Empty:\r\n\r\n"
        "POST /a HTTP/1.1\r\nhOST: b\r\nContent-Length: 5\r\nConnection: keep-alive, Upgrade\r\nUpgrade: x\r\n\r\nhello"
        "PUT /b HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: Chunked\r\nExpect: 100-Continue\r\n\r\n"
        "3;name=\"v\"\r\nabc\r\n0A\r\n0123456789\r\n00\r\nX-Trailer: t\r\n\r\n"
        "PATCH /c HTTP/1.0\r\nContent-Length: 0\r\n\r\n"
        "HEAD /d HTTP/1.1\r\nHost:\r\nConnection: close\r\nX-Latin: \xe9\r\n\r\n";

static const char pipeline_transcript[] =
        "GET /api/v1/pods?watch=1&labelSelector=a%2Fb 1.1 host=[::1]:6443 close=0 upgrade=0 expect=0\n"
        "[host]=[[::1]:6443]\n[user-agent]=[kubectl]\n[x-empty]=[]\nbody= end\n"
        "POST /a 1.1 host=b close=0 upgrade=1 expect=0\n"
        "[host]=[b]\n[content-length]=[5]\n[connection]=[keep-alive, Upgrade]\n[upgrade]=[x]\nbody=hello end\n"
        "PUT /b 1.1 host=b close=0 upgrade=0 expect=1\n"
        "[host]=[b]\n[transfer-encoding]=[Chunked]\n[expect]=[100-Continue]\nbody=abc0123456789 end\n"
        "PATCH /c 1.0 host=- close=0 upgrade=0 expect=0\n[content-length]=[0]\nbody= end\n"
        "HEAD /d 1.1 host= close=1 upgrade=0 expect=0\n[host]=[]\n[connection]=[close]\n[x-latin]=[\xe9]\nbody= end\n";

static void test_pipeline(void **state)
{
	(void)state;
	struct transcript transcript;
	transcript_init(&transcript);
	feed(&transcript, pipeline, sizeof(pipeline) - 1);
	assert_string_equal(strbuf_text(&transcript.text), pipeline_transcript);
	assert_false(http1_parser_in_head(&transcript.parser));
	feed(&transcript, "G", 1);
	assert_true(http1_parser_in_head(&transcript.parser));
	transcript_done(&transcript);
}

static void feed_in_pieces(struct transcript *transcript, const char *data, size_t length, unsigned *seed,
                           size_t max_piece)
{
	while (length) {
		size_t piece = 1 + (size_t)rand_r(seed) % max_piece;
		if (piece > length)
			piece = length;
		feed(transcript, data, piece);
		data += piece;
		length -= piece;
		if (transcript->status)
			return;
	}
}

// However the bytes arrive, the parser says the same.
static void assert_split_free(const char *data, size_t length)
{
	static const size_t max_pieces[] = {1, 2, 3, 7, 50};
	struct transcript whole;
	transcript_init(&whole);
	feed(&whole, data, length);
	for (unsigned round = 0; round < 20; round++) {
		struct transcript split;
		unsigned seed = round;
		transcript_init(&split);
		feed_in_pieces(&split, data, length, &seed, max_pieces[round % ARRAY_SIZE(max_pieces)]);
		assert_string_equal(strbuf_text(&whole.text), strbuf_text(&split.text));
		transcript_done(&split);
	}
	transcript_done(&whole);
}

static void test_random_splits(void **state)
{
	(void)state;
	assert_split_free(pipeline, sizeof(pipeline) - 1);
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		assert_split_free(refused[i].input, refused[i].length);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_refuses),
	        cmocka_unit_test(test_limits),
	        cmocka_unit_test(test_body_of_many_chunks_is_limited),
	        cmocka_unit_test(test_pipeline),
	        cmocka_unit_test(test_random_splits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
