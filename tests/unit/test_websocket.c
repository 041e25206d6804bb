// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/io/http_server.h"
#include "common/io/websocket.h"

struct side {
	struct websocket socket;
	struct strbuf sent;     // bytes for the peer
	struct strbuf messages; // "opcode:text|"
	int closes;
	uint16_t close_code;
	char close_reason[128];
	bool drop_on_message;
};

static void on_message(void *context, enum websocket_opcode opcode, const uint8_t *data, size_t length)
{
	struct side *side = context;
	strbuf_printf(&side->messages, "%d:", opcode);
	strbuf_append(&side->messages, data, length);
	strbuf_append_char(&side->messages, '|');
	if (side->drop_on_message)
		websocket_done(&side->socket);
}

static void on_close(void *context, uint16_t code, const char *reason)
{
	struct side *side = context;
	side->closes++;
	side->close_code = code;
	strncpy(side->close_reason, reason, sizeof(side->close_reason) - 1);
}

static void on_send(void *context, const void *data, size_t length)
{
	strbuf_append(&((struct side *)context)->sent, data, length);
}

static void side_init(struct side *side, bool is_client, size_t maximum)
{
	*side = (struct side){.sent = STRBUF_INIT(1 << 24), .messages = STRBUF_INIT(1 << 24)};
	websocket_init(&side->socket, is_client, maximum);
	side->socket.on_message = on_message;
	side->socket.on_close = on_close;
	side->socket.send = on_send;
	side->socket.context = side;
}

static void side_done(struct side *side)
{
	websocket_done(&side->socket);
	strbuf_done(&side->sent);
	strbuf_done(&side->messages);
}

// Moves what one side sent to the other, `step` bytes at a time, from an exact-size copy.
static bool move(struct side *from, struct side *to, size_t step)
{
	size_t length;
	AUTO_FREE char *data = strbuf_take(&from->sent, &length);
	for (size_t at = 0; at < length; at += step) {
		size_t part = length - at < step ? length - at : step;
		AUTO_FREE char *piece = xmemdup(data + at, part);
		if (!websocket_feed(&to->socket, piece, part))
			return false;
	}
	return true;
}

static void test_both_ways(void **state UNUSED)
{
	static const size_t lengths[] = {0, 1, 125, 126, 65535, 65536, 200000}, steps[] = {1, 7, 4096, 1 << 20};
	AUTO_FREE char *data = xmalloc(200000);
	memset(data, 'a', 200000);
	for (size_t s = 0; s < ARRAY_SIZE(steps); s++) {
		struct side client, server;
		side_init(&client, true, 200000);
		side_init(&server, false, 200000);
		for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
			websocket_send(&client.socket, WEBSOCKET_BINARY, data, lengths[i]);
			assert_true(move(&client, &server, steps[s]));
			assert_int_equal(server.messages.length, lengths[i] + 3);
			strbuf_clear(&server.messages);
			websocket_send(&server.socket, WEBSOCKET_TEXT, data, lengths[i]);
			assert_true(move(&server, &client, steps[s]));
			assert_int_equal(client.messages.length, lengths[i] + 3);
			strbuf_clear(&client.messages);
		}
		websocket_send(&client.socket, WEBSOCKET_PING, "p", 1);
		assert_true(move(&client, &server, 1));
		assert_memory_equal(server.sent.data, "\x8a\x01p", 3);
		assert_true(move(&server, &client, 1));
		websocket_close(&server.socket, 1000, "bye");
		assert_true(move(&server, &client, 1));
		assert_int_equal(client.closes, 1);
		assert_int_equal(client.close_code, 1000);
		assert_string_equal(client.close_reason, "bye");
		assert_true(move(&client, &server, 1));
		assert_int_equal(server.closes, 1);
		websocket_send(&client.socket, WEBSOCKET_BINARY, "x", 1); // after the close: dropped
		assert_int_equal(client.sent.length, 0);
		side_done(&client);
		side_done(&server);
	}
}

// To a client, so that the bytes need no mask.
struct bytes_case {
	const char *data;
	size_t length;
	const char *messages;
	int close_code; // 0 = open, no failure; else what the connection is closed with
	bool failed;
};
#define BYTES(text) (text), sizeof(text) - 1

static const struct bytes_case cases[] = {
        {BYTES("\x01\x02he\x80\x03llo"), "1:hello|", 0, false},
        {BYTES("\x02\x01"
               "a\x89\x00\x00\x01"
               "b\x80\x01"
               "c"),
         "2:abc|", 0, false},
        {BYTES("\x88\x00"), "", 1005, false},
        {BYTES("\x88\x04\x0f\xa0ok\x82\x01x"), "", 4000, false}, // nothing is read after a close
        {BYTES("\x88\x01x"), "", 1002, true},
        {BYTES("\x88\x02\x03\xed"), "", 1002, true}, // 1005 may not be sent
        {BYTES("\x88\x03\x03\xe8\xff"), "", 1007, true},
        {BYTES("\x81\x01\xff"), "", 1007, true},
        {BYTES("\x01\x01\xc3\x80\x01\xa9"), "1:\xc3\xa9|", 0, false}, // a character over two fragments
        {BYTES("\x82\x7e\x00\x7d"), "", 1002, true},                  // not the shortest form
        {BYTES("\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00"), "", 1002, true},
        {BYTES("\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"), "", 1009, true},
        {BYTES("\x82\x7e\x01\x01"), "", 1009, true}, // 257 > 256, judged from the head
        {BYTES("\xc2\x00"), "", 1002, true},
        {BYTES("\x83\x00"), "", 1002, true},
        {BYTES("\x8b\x00"), "", 1002, true},
        {BYTES("\x09\x00"), "", 1002, true},
        {BYTES("\x89\x7e\x00\x80"), "", 1002, true},
        {BYTES("\x80\x00"), "", 1002, true},
        {BYTES("\x02\x00\x82\x00"), "", 1002, true},
        {BYTES("\x82\x81\x00\x00\x00\x00x"), "", 1002, true}, // masked by a server
};

static void test_frames_and_failures(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		for (size_t step = 1; step <= 100; step += 99) {
			struct side peer, client;
			side_init(&peer, false, 256);
			side_init(&client, true, 256);
			strbuf_append(&peer.sent, cases[i].data, cases[i].length);
			bool fine = move(&peer, &client, step);
			if (fine != !cases[i].failed || strcmp(strbuf_text(&client.messages), cases[i].messages) != 0 ||
			    client.close_code != cases[i].close_code || client.closes != (cases[i].close_code != 0))
				fail_msg("case %zu: fine %d, code %d, messages %s", i, fine, client.close_code,
				         strbuf_text(&client.messages));
			side_done(&peer);
			side_done(&client);
		}
	}
}

static void test_fragments_are_bounded(void **state UNUSED)
{
	struct side server, client;
	side_init(&server, false, 100);
	side_init(&client, true, 100);
	AUTO_FREE char *frame = xcalloc(1, 62);
	frame[1] = 60;
	frame[0] = WEBSOCKET_BINARY;
	assert_true(websocket_feed(&client.socket, frame, 62));
	frame[0] = WEBSOCKET_CONTINUATION;
	assert_false(websocket_feed(&client.socket, frame, 62));
	assert_int_equal(client.close_code, 1009);
	assert_true(move(&client, &server, 3)); // the peer understands the close
	assert_int_equal(server.close_code, 1009);
	side_done(&server);
	side_done(&client);
}

static void test_dropped_in_callback(void **state UNUSED)
{
	struct side client;
	side_init(&client, true, 100);
	client.drop_on_message = true;
	assert_true(websocket_feed(&client.socket,
	                           "\x82\x01"
	                           "a\x82\x01"
	                           "b",
	                           6));
	assert_string_equal(strbuf_text(&client.messages), "2:a|");
	side_done(&client);
}

static void test_handshake(void **state UNUSED)
{
	char accept[29], key[25];
	websocket_accept_key("dGhlIHNhbXBsZSBub25jZQ==", accept);
	assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
	websocket_new_key(key);
	assert_int_equal(strlen(key), 24);
	struct http_header headers[] = {
	        {"connection", "keep-alive, Upgrade"},
	        {"upgrade", "WebSocket"},
	        {"sec-websocket-version", "13"},
	        {"sec-websocket-key", key},
	        {"sec-websocket-protocol", "v4.channel.k8s.io, base64.channel.k8s.io"},
	        {"sec-websocket-protocol", "v5.channel.k8s.io"},
	};
	struct http_request request = {.method = "GET", .headers = headers, .header_count = ARRAY_SIZE(headers)};
	assert_true(websocket_is_upgrade(&request));
	assert_string_equal(websocket_choose_protocol(
	                            &request, (const char *const[]){"v5.channel.k8s.io", "v4.channel.k8s.io", NULL}),
	                    "v5.channel.k8s.io");
	assert_null(websocket_choose_protocol(&request, (const char *const[]){"v3.channel.k8s.io", "channel", NULL}));
	headers[3].value = "short";
	assert_false(websocket_is_upgrade(&request));
	headers[3].value = key;
	headers[2].value = "8";
	assert_false(websocket_is_upgrade(&request));
	headers[2].value = "13";
	headers[0].value = "keep-alive";
	assert_false(websocket_is_upgrade(&request));
	headers[0].value = "upgrade";
	request.method = "POST";
	assert_false(websocket_is_upgrade(&request));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_both_ways),
	        cmocka_unit_test(test_frames_and_failures),
	        cmocka_unit_test(test_fragments_are_bounded),
	        cmocka_unit_test(test_dropped_in_callback),
	        cmocka_unit_test(test_handshake),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
