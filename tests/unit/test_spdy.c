// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/io/spdy.h"

enum { CLIENT, SERVER, STREAMS = 8, BIG_BYTES = 300000 };

// Two sessions that talk to each other; what one sends waits until the test delivers it.
struct side {
	struct pair *pair;
	struct spdy_session *session;
	struct strbuf sent;
	struct spdy_stream *streams[STREAMS];
	size_t stream_count;
	struct strbuf received;
	char headers[256];
	int accepted, ended, drained;
	uint32_t reset_status;
	bool holds; // doesn't consume
	bool frees_at_end;
};

struct pair {
	struct side sides[2];
};

static void on_stream(void *context, struct spdy_stream *stream, const struct spdy_header *headers, size_t count)
{
	struct side *side = context;
	side->streams[side->stream_count++] = stream;
	for (size_t index = 0; index < count; index++)
		snprintf(side->headers + strlen(side->headers), sizeof(side->headers) - strlen(side->headers), "%s=%s;",
		         headers[index].name, headers[index].value);
	spdy_stream_accept(stream);
}

static void on_accepted(void *context, struct spdy_stream *stream)
{
	(void)stream;
	((struct side *)context)->accepted++;
}

static void on_data(void *context, struct spdy_stream *stream, const void *data, size_t length)
{
	struct side *side = context;
	strbuf_append(&side->received, data, length);
	if (!side->holds)
		spdy_stream_consumed(stream, length);
}

static void on_end(void *context, struct spdy_stream *stream)
{
	struct side *side = context;
	(void)stream;
	side->ended++;
	if (side->frees_at_end)
		side->session = spdy_session_free(side->session);
}

static void on_reset(void *context, struct spdy_stream *stream, uint32_t status)
{
	struct side *side = context;
	side->reset_status = status;
	spdy_stream_close(stream, SPDY_CANCEL);
	side->stream_count--;
}

static void on_drain(void *context, struct spdy_stream *stream)
{
	(void)stream;
	((struct side *)context)->drained++;
}

static void on_send(void *context, const void *data, size_t length)
{
	strbuf_append(&((struct side *)context)->sent, data, length);
}

static const struct spdy_callbacks callbacks = {on_stream, on_accepted, on_data, on_end, on_reset, on_drain, on_send};

static int setup(void **state)
{
	struct pair *pair = NEW(struct pair);
	for (int number = 0; number < 2; number++) {
		struct side *side = &pair->sides[number];
		side->pair = pair;
		side->sent = STRBUF_INIT(16 << 20);
		side->received = STRBUF_INIT(16 << 20);
		side->session = spdy_session_new(number == CLIENT, &callbacks, side);
	}
	*state = pair;
	return 0;
}

static int teardown(void **state)
{
	struct pair *pair = *state;
	for (int number = 0; number < 2; number++) {
		spdy_session_free(pair->sides[number].session);
		strbuf_done(&pair->sides[number].sent);
		strbuf_done(&pair->sides[number].received);
	}
	free(pair);
	return 0;
}

static bool deliver(struct pair *pair, int from)
{
	size_t length;
	AUTO_FREE char *data = strbuf_take(&pair->sides[from].sent, &length);
	pair->sides[from].sent = STRBUF_INIT(16 << 20);
	return !length || spdy_feed(pair->sides[!from].session, data, length);
}

static void talk(struct pair *pair)
{
	while (pair->sides[CLIENT].sent.length || pair->sides[SERVER].sent.length) {
		assert_true(deliver(pair, CLIENT));
		assert_true(deliver(pair, SERVER));
	}
}

static struct spdy_stream *open_stream(struct pair *pair)
{
	const struct spdy_header headers[] = {{"streamtype", "data"}, {"port", "8080"}};
	struct spdy_stream *stream = spdy_stream_open(pair->sides[CLIENT].session, headers, 2);
	talk(pair);
	return stream;
}

static void test_both_ways(void **state)
{
	struct pair *pair = *state;
	struct spdy_stream *stream = open_stream(pair);
	assert_string_equal(pair->sides[SERVER].headers, "streamtype=data;port=8080;");
	assert_int_equal(pair->sides[CLIENT].accepted, 1);
	assert_int_equal(spdy_stream_id(stream), 1);
	spdy_stream_write(stream, "there", 5);
	spdy_stream_finish(stream);
	talk(pair);
	assert_string_equal(strbuf_text(&pair->sides[SERVER].received), "there");
	assert_int_equal(pair->sides[SERVER].ended, 1);
	struct spdy_stream *other = pair->sides[SERVER].streams[0];
	spdy_stream_write(other, "and back", 8);
	spdy_stream_finish(other);
	talk(pair);
	assert_string_equal(strbuf_text(&pair->sides[CLIENT].received), "and back");
	spdy_stream_close(other, SPDY_CANCEL); // both have finished: nothing is said
	spdy_stream_close(stream, SPDY_CANCEL);
	assert_int_equal(pair->sides[CLIENT].sent.length, 0);
	assert_int_equal(pair->sides[SERVER].sent.length, 0);
}

// The dictionary is the published one: zlib's header names its checksum.
static void test_dictionary(void **state)
{
	struct pair *pair = *state;
	static const uint8_t checksum[] = {0xe3, 0xc6, 0xa7, 0xc2};
	const struct spdy_header header = {"streamtype", "error"};
	assert_non_null(spdy_stream_open(pair->sides[CLIENT].session, &header, 1));
	assert_memory_equal(pair->sides[CLIENT].sent.data, "\x80\x03\x00\x01\x00", 5);
	assert_memory_equal(pair->sides[CLIENT].sent.data + 8 + 10 + 2, checksum, 4);
}

// Go's spdystream knows no windows: it gets all at once.
static void test_peer_without_windows(void **state)
{
	struct pair *pair = *state;
	AUTO_FREE char *big = xcalloc(1, BIG_BYTES);
	struct spdy_stream *stream = open_stream(pair);
	spdy_stream_write(stream, big, BIG_BYTES);
	assert_int_equal(spdy_stream_pending_bytes(stream), 0);
	talk(pair);
	assert_int_equal(pair->sides[SERVER].received.length, BIG_BYTES);
	assert_int_equal(spdy_unconsumed_bytes(pair->sides[SERVER].session), 0);
}

static void test_windows(void **state)
{
	struct pair *pair = *state;
	struct side *client = &pair->sides[CLIENT];
	struct side *server = &pair->sides[SERVER];
	AUTO_FREE char *big = xcalloc(1, BIG_BYTES);
	struct spdy_stream *stream = open_stream(pair);
	spdy_stream_write(stream, big, 65536); // its consumption shows that the peer knows windows
	talk(pair);
	server->holds = true;
	spdy_stream_write(stream, big, BIG_BYTES);
	spdy_stream_finish(stream);
	talk(pair);
	assert_int_equal(server->received.length, 65536 + 65536);
	assert_int_equal(spdy_stream_pending_bytes(stream), BIG_BYTES - 65536);
	assert_int_equal(spdy_unconsumed_bytes(server->session), 65536);
	assert_int_equal(server->ended, 0);
	server->holds = false;
	spdy_stream_consumed(server->streams[0], 65536);
	talk(pair);
	assert_int_equal(server->received.length, 65536 + BIG_BYTES);
	assert_int_equal(server->ended, 1);
	assert_int_equal(client->drained, 1);
}

static void test_session_window(void **state)
{
	struct pair *pair = *state;
	struct side *server = &pair->sides[SERVER];
	AUTO_FREE char *big = xcalloc(1, BIG_BYTES);
	struct spdy_stream *first = open_stream(pair);
	struct spdy_stream *second = open_stream(pair);
	spdy_stream_write(first, big, 65536);
	talk(pair);
	server->holds = true;
	server->received.length = 0;
	spdy_stream_write(first, big, 50000);
	spdy_stream_write(second, big, 50000);
	talk(pair);
	assert_int_equal(server->received.length, 65536); // of both
	server->holds = false;
	spdy_stream_close(server->streams[0], SPDY_CANCEL); // what it held counts as consumed
	talk(pair);
	assert_int_equal(pair->sides[CLIENT].reset_status, SPDY_CANCEL);
	assert_int_equal(server->received.length, 100000);
}

static void test_ping_and_goaway(void **state)
{
	struct pair *pair = *state;
	struct side *client = &pair->sides[CLIENT];
	spdy_ping(client->session);
	assert_true(deliver(pair, CLIENT));
	assert_int_equal(pair->sides[SERVER].sent.length, 12);
	assert_memory_equal(pair->sides[SERVER].sent.data, "\x80\x03\x00\x06\x00\x00\x00\x04\x00\x00\x00\x01", 12);
	talk(pair);
	struct spdy_stream *stream = open_stream(pair);
	spdy_goaway(pair->sides[SERVER].session);
	spdy_goaway(pair->sides[SERVER].session); // said once
	assert_int_equal(pair->sides[SERVER].sent.length, 16);
	talk(pair);
	assert_null(spdy_stream_open(client->session, NULL, 0));
	spdy_stream_close(stream, SPDY_CANCEL);
}

static void test_freed_in_a_callback(void **state)
{
	struct pair *pair = *state;
	struct spdy_stream *stream = open_stream(pair);
	pair->sides[SERVER].frees_at_end = true;
	spdy_stream_write(stream, "x", 1);
	spdy_stream_finish(stream);
	spdy_ping(pair->sides[CLIENT].session);
	assert_true(deliver(pair, CLIENT));
	assert_null(pair->sides[SERVER].session);
}

struct bad_input {
	const char *what;
	const char *bytes;
	size_t length;
};

#define BAD(what, text)                       \
	{                                     \
		what, text, sizeof(text) - 1, \
	}

static void test_breaches_end_the_session(void **state)
{
	static const struct bad_input inputs[] = {
	        BAD("another version", "\x80\x02\x00\x06\x00\x00\x00\x04\x00\x00\x00\x01"),
	        BAD("a long ping", "\x80\x03\x00\x06\x00\x00\x00\x05\x00\x00\x00\x01\x00"),
	        BAD("a short reset", "\x80\x03\x00\x03\x00\x00\x00\x04\x00\x00\x00\x01"),
	        BAD("settings of another length", "\x80\x03\x00\x04\x00\x00\x00\x04\x00\x00\x00\x01"),
	        BAD("data of stream 0", "\x00\x00\x00\x00\x00\x00\x00\x01x"),
	        BAD("a block that isn't packed", "\x80\x03\x00\x01\x00\x00\x00\x0e"
	                                         "\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00"
	                                         "\xff\xff\xff\xff"),
	        BAD("a control frame without bounds", "\x80\x03\x00\x04\x00\xff\xff\xff"),
	        BAD("a window beyond all", "\x80\x03\x00\x09\x00\x00\x00\x08\x00\x00\x00\x00\x7f\xff\xff\xff"),
	};
	(void)state;
	for (size_t index = 0; index < ARRAY_SIZE(inputs); index++) {
		struct side side = {.sent = STRBUF_INIT(4096), .received = STRBUF_INIT(4096)};
		side.session = spdy_session_new(false, &callbacks, &side);
		if (spdy_feed(side.session, inputs[index].bytes, inputs[index].length))
			fail_msg("%s is taken", inputs[index].what);
		assert_memory_equal(side.sent.data, "\x80\x03\x00\x07", 4);
		assert_false(spdy_feed(side.session, "x", 1));
		spdy_session_free(side.session);
		strbuf_done(&side.sent);
	}
}

static void test_bad_streams_are_reset(void **state)
{
	struct pair *pair = *state;
	struct side *server = &pair->sides[SERVER];
	const struct spdy_header upper = {"StreamType", "data"};
	assert_non_null(spdy_stream_open(pair->sides[CLIENT].session, &upper, 1));
	talk(pair);
	assert_int_equal(pair->sides[CLIENT].reset_status, SPDY_PROTOCOL_ERROR);
	assert_int_equal(server->stream_count, 0);
	struct spdy_stream *stream = open_stream(pair); // the context of the headers is in order
	assert_int_equal(server->stream_count, 1);
	spdy_stream_finish(stream);
	talk(pair);
	assert_true(spdy_feed(server->session, "\x00\x00\x00\x03\x00\x00\x00\x01x", 9));
	assert_int_equal(server->reset_status, SPDY_STREAM_ALREADY_CLOSED);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(test_both_ways),
	        TEST(test_dictionary),
	        TEST(test_peer_without_windows),
	        TEST(test_windows),
	        TEST(test_session_window),
	        TEST(test_ping_and_goaway),
	        TEST(test_freed_in_a_callback),
	        TEST(test_breaches_end_the_session),
	        TEST(test_bad_streams_are_reset),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
