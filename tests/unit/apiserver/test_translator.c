// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "apiserver/connect/translator.h"
#include "common/base/memory.h"
#include "common/io/spdy.h"
#include "common/io/websocket.h"

enum { CHANNELS = 5, STREAMS = 5 };

// A client with its WebSocket and a kubelet with its SPDY session, the translator between them.
struct world {
	struct translator *translator;
	struct strbuf to_client, to_kubelet;
	struct websocket client;
	struct strbuf channels[CHANNELS]; // what the client got
	struct strbuf tunnelled;
	bool is_tunnel;
	uint16_t close_code;
	struct spdy_session *kubelet;
	char opened[128];
	struct spdy_stream *streams[STREAMS]; // in the order of opening
	size_t stream_count;
	struct strbuf input; // what the kubelet got on stdin and resize
	int input_ends;
};

static void to_client(void *context, const void *data, size_t length)
{
	strbuf_append(&((struct world *)context)->to_client, data, length);
}

static void to_kubelet(void *context, const void *data, size_t length)
{
	strbuf_append(&((struct world *)context)->to_kubelet, data, length);
}

static void on_message(void *context, enum websocket_opcode opcode, const uint8_t *data, size_t length)
{
	struct world *world = context;
	assert_int_equal(opcode, WEBSOCKET_BINARY);
	if (world->is_tunnel)
		strbuf_append(&world->tunnelled, data, length);
	else if (data[0] < CHANNELS)
		strbuf_append(&world->channels[data[0]], data + 1, length - 1);
}

static void on_close(void *context, uint16_t code, const char *reason)
{
	(void)reason;
	((struct world *)context)->close_code = code;
}

static void client_send(void *context, const void *data, size_t length)
{
	translator_from_client(((struct world *)context)->translator, data, length);
}

static void on_stream(void *context, struct spdy_stream *stream, const struct spdy_header *headers, size_t count)
{
	struct world *world = context;
	strcat(strcat(world->opened, spdy_header_get(headers, count, "streamtype")), " ");
	world->streams[world->stream_count++] = stream;
	spdy_stream_accept(stream);
}

static void on_data(void *context, struct spdy_stream *stream, const void *data, size_t length)
{
	strbuf_append(&((struct world *)context)->input, data, length);
	spdy_stream_consumed(stream, length);
}

static void on_end(void *context, struct spdy_stream *stream)
{
	(void)stream;
	((struct world *)context)->input_ends++;
}

static void on_reset(void *context, struct spdy_stream *stream, uint32_t status)
{
	(void)context;
	(void)status;
	spdy_stream_close(stream, SPDY_CANCEL);
}

static void kubelet_send(void *context, const void *data, size_t length)
{
	translator_from_kubelet(((struct world *)context)->translator, data, length);
}

static void deliver(struct world *world)
{
	while (world->to_client.length || world->to_kubelet.length) {
		size_t length;
		AUTO_FREE char *down = strbuf_take(&world->to_client, &length);
		world->to_client = STRBUF_INIT(1 << 20);
		if (length)
			(void)websocket_feed(&world->client, down, length);
		AUTO_FREE char *up = strbuf_take(&world->to_kubelet, &length);
		world->to_kubelet = STRBUF_INIT(1 << 20);
		if (length && world->is_tunnel)
			strbuf_append(&world->input, up, length);
		else if (length)
			assert_true(spdy_feed(world->kubelet, up, length));
	}
}

static void begin(struct world *world, struct translator_config config)
{
	static const struct spdy_callbacks callbacks = {.on_stream = on_stream,
	                                                .on_data = on_data,
	                                                .on_end = on_end,
	                                                .on_reset = on_reset,
	                                                .send = kubelet_send};
	*world = (struct world){.is_tunnel = config.is_tunnel,
	                        .to_client = STRBUF_INIT(1 << 20),
	                        .to_kubelet = STRBUF_INIT(1 << 20),
	                        .tunnelled = STRBUF_INIT(1 << 20),
	                        .input = STRBUF_INIT(1 << 20)};
	for (int channel = 0; channel < CHANNELS; channel++)
		world->channels[channel] = STRBUF_INIT(1 << 20);
	websocket_init(&world->client, true, 1 << 20);
	world->client.on_message = on_message;
	world->client.on_close = on_close;
	world->client.send = client_send;
	world->client.context = world;
	world->kubelet = spdy_session_new(false, &callbacks, world);
	config.to_client = to_client;
	config.to_kubelet = to_kubelet;
	config.context = world;
	world->translator = translator_new(&config);
	deliver(world);
}

static void end(struct world *world)
{
	translator_free(world->translator);
	spdy_session_free(world->kubelet);
	websocket_done(&world->client);
	struct strbuf *texts[] = {&world->to_client, &world->to_kubelet, &world->tunnelled, &world->input};
	for (size_t index = 0; index < ARRAY_SIZE(texts); index++)
		strbuf_done(texts[index]);
	for (int channel = 0; channel < CHANNELS; channel++)
		strbuf_done(&world->channels[channel]);
}

static void test_exec(void **state)
{
	struct world world;
	(void)state;
	begin(&world, (struct translator_config){.input = true, .output = true, .error = true});
	assert_string_equal(world.opened, "error stdin stdout stderr ");
	websocket_send(&world.client, WEBSOCKET_BINARY, "\0hello", 6);
	websocket_send(&world.client, WEBSOCKET_BINARY, "\xff\0", 2);
	deliver(&world);
	assert_string_equal(strbuf_text(&world.input), "hello");
	assert_int_equal(world.input_ends, 1);
	spdy_stream_write(world.streams[2], "out", 3);
	spdy_stream_write(world.streams[3], "err", 3);
	spdy_stream_finish(world.streams[2]);
	spdy_stream_write(world.streams[0], "{\"status\":", 10); // the outcome in two pieces, before stderr ends
	spdy_stream_write(world.streams[0], "\"Success\"}", 10);
	spdy_stream_finish(world.streams[0]);
	deliver(&world);
	assert_false(translator_is_over(world.translator));
	spdy_stream_finish(world.streams[3]);
	deliver(&world);
	assert_true(translator_is_over(world.translator));
	assert_string_equal(strbuf_text(&world.channels[1]), "out");
	assert_string_equal(strbuf_text(&world.channels[2]), "err");
	assert_string_equal(strbuf_text(&world.channels[3]), "{\"status\":\"Success\"}");
	assert_int_equal(world.close_code, 1000);
	end(&world);
}

static void test_terminal(void **state)
{
	struct world world;
	(void)state;
	begin(&world, (struct translator_config){.input = true, .output = true, .error = true, .terminal = true});
	assert_string_equal(world.opened, "error stdin stdout resize ");
	websocket_send(&world.client, WEBSOCKET_BINARY, "\4{\"Width\":80,\"Height\":24}", 25);
	deliver(&world);
	assert_string_equal(strbuf_text(&world.input), "{\"Width\":80,\"Height\":24}");
	translator_kubelet_ended(world.translator); // it went away: the client is told all the same
	deliver(&world);
	assert_int_equal(world.close_code, 1000);
	end(&world);
}

static void test_breaches_end_it(void **state)
{
	struct world world;
	(void)state;
	begin(&world, (struct translator_config){.output = true});
	translator_from_kubelet(world.translator, "\x80\x02\x00\x06\x00\x00\x00\x04", 8); // another version
	assert_true(translator_is_over(world.translator));
	end(&world);
	begin(&world, (struct translator_config){.output = true});
	translator_from_client(world.translator, "\x82\x01x", 3); // unmasked
	assert_true(translator_is_over(world.translator));
	end(&world);
}

static void test_tunnel(void **state)
{
	struct world world;
	(void)state;
	begin(&world, (struct translator_config){.is_tunnel = true});
	websocket_send(&world.client, WEBSOCKET_BINARY, "\x80\x03\x00\x06", 4);
	translator_from_kubelet(world.translator, "as it is", 8);
	deliver(&world);
	assert_memory_equal(world.input.data, "\x80\x03\x00\x06", 4);
	assert_string_equal(strbuf_text(&world.tunnelled), "as it is");
	websocket_close(&world.client, 1000, "");
	assert_true(translator_is_over(world.translator));
	end(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_exec),
	        cmocka_unit_test(test_terminal),
	        cmocka_unit_test(test_breaches_end_it),
	        cmocka_unit_test(test_tunnel),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
