// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/io/stream.h"
#include "common/io/websocket.h"
#include "tests/unit/kubelet/server_fixture.h"

enum {
	CHANNELS = 4,
	BIG_BYTES = 10 << 20,
	MANY_EXECS = 130,
};

static int setup(void **state)
{
	struct server_fixture *fixture = NEW(struct server_fixture);
	server_fixture_init(fixture);
	fixture_run_main(fixture);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	server_fixture_done(*state);
	free(*state);
	return 0;
}

// --- the client ----------------------------------------------------------------------

struct peer {
	struct server_fixture *fixture;
	SSL_CTX *tls;
	struct stream *stream;
	struct strbuf head; // of the answer, until it is whole
	bool upgraded;
	bool ended;  // the stream has
	bool stalls; // takes nothing
	struct websocket socket;
	struct strbuf channels[CHANNELS];
	uint16_t close_code;
	const char *request;
	const char *protocol;
};

static void on_peer_message(void *context, enum websocket_opcode opcode, const uint8_t *data, size_t length)
{
	struct peer *peer = context;
	assert_int_equal(opcode, WEBSOCKET_BINARY);
	assert_true(length > 0 && data[0] < CHANNELS);
	strbuf_append(&peer->channels[data[0]], data + 1, length - 1);
}

static void on_peer_close(void *context, uint16_t code, const char *reason)
{
	(void)reason;
	((struct peer *)context)->close_code = code;
}

static void peer_send(void *context, const void *data, size_t length)
{
	struct peer *peer = context;
	if (peer->stream)
		stream_write(peer->stream, data, length);
}

static void on_connect(void *context)
{
	struct peer *peer = context;
	char key[25];
	websocket_new_key(key);
	AUTO_FREE char *head =
	        xasprintf("GET %s HTTP/1.1\r\nHost: node-1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
	                  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n"
	                  "Sec-WebSocket-Protocol: %s\r\n\r\n",
	                  peer->request, key, peer->protocol);
	stream_write(peer->stream, head, strlen(head));
}

static size_t on_data(void *context, const void *data, size_t length)
{
	struct peer *peer = context;
	const char *bytes = data;
	if (peer->stalls)
		return 0;
	size_t used = 0;
	while (!peer->upgraded && used < length) {
		strbuf_append_char(&peer->head, bytes[used++]);
		peer->upgraded =
		        strstr(strbuf_text(&peer->head), "\r\n\r\n") && !strncmp(peer->head.data, "HTTP/1.1 101", 12);
	}
	if (used < length)
		(void)websocket_feed(&peer->socket, bytes + used, length - used);
	return length;
}

static void on_close(void *context, const struct err *err)
{
	(void)err;
	((struct peer *)context)->ended = true;
}

static void peer_open(struct server_fixture *fixture, struct peer *peer, const char *request, const char *protocol)
{
	const struct tls_client_config tls = {
	        .ca_file = tls_fixture_path(&fixture->tls, "ca.crt"),
	        .certificate_file = tls_fixture_path(&fixture->tls, "client.crt"),
	        .private_key_file = tls_fixture_path(&fixture->tls, "client.key"),
	};
	struct err err = ERR_INIT;
	*peer = (struct peer){.fixture = fixture, .request = request, .protocol = protocol, .head = STRBUF_INIT(65536)};
	for (int channel = 0; channel < CHANNELS; channel++)
		peer->channels[channel] = STRBUF_INIT(64 << 20);
	websocket_init(&peer->socket, true, 1 << 20);
	peer->socket.on_message = on_peer_message;
	peer->socket.on_close = on_peer_close;
	peer->socket.send = peer_send;
	peer->socket.context = peer;
	assert_int_equal(tls_client_context_new(&tls, false, &peer->tls, &err), 0);
	const struct stream_config config = {
	        .host = "127.0.0.1",
	        .port = kubelet_server_port(fixture->server),
	        .tls = peer->tls,
	        .callbacks = {.on_connect = on_connect, .on_data = on_data, .on_close = on_close},
	        .context = peer,
	};
	peer->stream = stream_connect(fixture->loop, &config);
}

static void peer_done(struct peer *peer)
{
	stream_free(peer->stream);
	SSL_CTX_free(peer->tls);
	websocket_done(&peer->socket);
	strbuf_done(&peer->head);
	for (int channel = 0; channel < CHANNELS; channel++)
		strbuf_done(&peer->channels[channel]);
}

static void send_channel(struct peer *peer, uint8_t channel, const void *data, size_t length)
{
	AUTO_FREE uint8_t *message = xmalloc(length + 1);
	message[0] = channel;
	memcpy(message + 1, data, length);
	websocket_send(&peer->socket, WEBSOCKET_BINARY, message, length + 1);
}

static void end_input(struct peer *peer)
{
	send_channel(peer, 255, "\0", 1);
}

static bool wait_for_text(struct peer *peer, int channel, const char *text)
{
	return fixture_wait(peer->fixture, strstr(strbuf_text(&peer->channels[channel]), text) || peer->ended) &&
	       strstr(strbuf_text(&peer->channels[channel]), text);
}

// The session's regular end, and what it said.
static void assert_outcome(struct peer *peer, const char *status)
{
	assert_true(fixture_wait(peer->fixture, peer->ended));
	assert_string_equal(strbuf_text(&peer->channels[3]), status);
	assert_int_equal(peer->close_code, 1000);
}

static const char success[] = "{\"metadata\":{},\"status\":\"Success\"}";
static const char seven[] =
        "{\"metadata\":{},\"status\":\"Failure\",\"details\":{\"causes\":[{\"reason\":\"ExitCode\","
        "\"message\":\"7\"}]},\"message\":\"command terminated with non-zero exit code: exit status 7\","
        "\"reason\":\"NonZeroExitCode\"}";

#define SHELL(streams, script) "/exec/default/web/main?" streams "&command=sh&command=-c&command=" script

// --- outcomes ------------------------------------------------------------------------

static void streams_stay_apart(void **state)
{
	static const char *const protocols[] = {"v4.channel.k8s.io", "v5.channel.k8s.io, v4.channel.k8s.io"};
	static const char *const chosen[] = {"v4.channel.k8s.io\r", "v5.channel.k8s.io\r"};
	struct server_fixture *fixture = *state;
	for (size_t index = 0; index < ARRAY_SIZE(protocols); index++) {
		struct peer peer;
		peer_open(fixture, &peer, SHELL("output=1&error=1", "echo+out;echo+err+%3E%262;exit+7"),
		          protocols[index]);
		assert_outcome(&peer, seven);
		assert_string_equal(strbuf_text(&peer.channels[1]), "out\n");
		assert_string_equal(strbuf_text(&peer.channels[2]), "err\n");
		const char *answer = strcasestr(strbuf_text(&peer.head), "sec-websocket-protocol: ");
		assert_non_null(answer);
		assert_memory_equal(answer + strlen("sec-websocket-protocol: "), chosen[index], strlen(chosen[index]));
		peer_done(&peer);
	}
	assert_string_equal(fixture->runtime.container_id, FIXTURE_RUN);
}

static void outcomes(void **state)
{
	struct server_fixture *fixture = *state;
	struct peer peer;
	peer_open(fixture, &peer, "/exec/default/web/" FIXTURE_UID "/main?output=1&command=true", "v4.channel.k8s.io");
	assert_outcome(&peer, success);
	peer_done(&peer);
	peer_open(fixture, &peer, "/exec/default/web/main?error=1&command=/fail", "v5.channel.k8s.io");
	assert_outcome(
	        &peer,
	        "{\"metadata\":{},\"status\":\"Failure\",\"details\":{\"causes\":[{\"message\":\"error executing "
	        "command in container: the runtime is \\\"away\\\"\"}]},\"message\":\"Internal error occurred: "
	        "error executing command in container: the runtime is \\\"away\\\"\",\"reason\":\"InternalError\","
	        "\"code\":500}");
	peer_done(&peer);
}

static void refusals(void **state)
{
	struct server_fixture *fixture = *state;
	assert_reply(fixture, "/exec/default/web/main?command=id", 400,
	             "you must specify at least 1 of stdin, stdout, stderr");
	assert_reply(fixture, "/exec/default/none/main?command=id&output=1", 404, "pod does not exist");
	assert_reply(fixture, "/exec/default/web/other-uid/main?command=id&output=1", 404, "pod does not exist");
	assert_reply(fixture, "/exec/default/web/none?command=id&output=1", 500, "container not found (\"none\")");
	assert_reply(fixture, "/exec/default/web/side?command=id&output=1", 500, "container not found (\"side\")");
	assert_reply(fixture, "/exec/default/web/main?output=1", 400,
	             "you must specify at least one command for the container");
	assert_reply(fixture, "/exec/default/web/main?output=1&command=id", 400,
	             "unable to upgrade: missing upgrade headers in request");
	fixture_end_main(fixture);
	assert_reply(fixture, "/exec/default/web/main?output=1&command=id", 500,
	             "container is in CONTAINER_EXITED state");
	assert_int_equal(fixture->runtime.started, 0);
}

// --- input ---------------------------------------------------------------------------

static void big_input_comes_back(void **state)
{
	struct server_fixture *fixture = *state;
	struct peer peer;
	peer_open(fixture, &peer, "/exec/default/web/main?input=1&output=1&command=cat", "v5.channel.k8s.io");
	assert_true(fixture_wait(fixture, peer.upgraded));
	AUTO_FREE char *data = xmalloc(BIG_BYTES);
	for (size_t index = 0; index < BIG_BYTES; index++)
		data[index] = (char)(index * 31 >> 3);
	for (size_t offset = 0; offset < BIG_BYTES; offset += 1 << 16)
		send_channel(&peer, 0, data + offset, 1 << 16);
	end_input(&peer);
	assert_outcome(&peer, success);
	assert_int_equal(peer.channels[1].length, BIG_BYTES);
	assert_memory_equal(peer.channels[1].data, data, BIG_BYTES);
	peer_done(&peer);
}

// The command reads nothing for as long as the client wants: the client's bytes stay at the client.
static void input_waits_for_the_command(void **state)
{
	struct server_fixture *fixture = *state;
	struct peer peer;
	AUTO_FREE char *fifo = xasprintf("%s/fifo", fixture->folder);
	AUTO_FREE char *request = xasprintf(SHELL("input=1&output=1", "echo+ready;read+go+%%3C%s;wc+-c"), fifo);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	peer_open(fixture, &peer, request, "v5.channel.k8s.io");
	assert_true(wait_for_text(&peer, 1, "ready"));
	AUTO_FREE char *data = xcalloc(1, 1 << 16);
	for (size_t offset = 0; offset < 2 * BIG_BYTES; offset += 1 << 16)
		send_channel(&peer, 0, data, 1 << 16);
	end_input(&peer);
	// It settles: nothing moves any more, and most of it is still here.
	for (size_t pending = 0; stream_pending_bytes(peer.stream) != pending;) {
		pending = stream_pending_bytes(peer.stream);
		for (int turn = 0; turn < 10; turn++)
			loop_turn(fixture->loop, 20 * NSEC_PER_MSEC);
	}
	assert_true(stream_pending_bytes(peer.stream) > BIG_BYTES / 2);
	AUTO_CLOSE int fd = open(fifo, O_WRONLY | O_CLOEXEC);
	assert_int_equal(write(fd, "go\n", 3), 3);
	assert_outcome(&peer, success);
	assert_int_equal(atoi(strbuf_text(&peer.channels[1]) + strlen("ready\n")), 2 * BIG_BYTES);
	peer_done(&peer);
}

// A command that closes its input early, and ends well.
static void input_nobody_reads_is_dropped(void **state)
{
	struct server_fixture *fixture = *state;
	struct peer peer;
	peer_open(fixture, &peer, SHELL("input=1&output=1", "exec+0%3C%26-;echo+closed;sleep+0.2;exit+7"),
	          "v5.channel.k8s.io");
	assert_true(wait_for_text(&peer, 1, "closed"));
	AUTO_FREE char *data = xcalloc(1, 1 << 16);
	for (size_t offset = 0; offset < BIG_BYTES; offset += 1 << 16)
		send_channel(&peer, 0, data, 1 << 16);
	assert_outcome(&peer, seven);
	peer_done(&peer);
}

// --- output --------------------------------------------------------------------------

// 50 MB that nobody reads for a while stay with the command.
static void output_waits_for_the_client(void **state)
{
	struct server_fixture *fixture = *state;
	struct peer peer;
	AUTO_FREE char *written = xasprintf("%s/written", fixture->folder);
	AUTO_FREE char *request =
	        xasprintf(SHELL("output=1", "head+-c+52428800+/dev/zero;echo+done+%%3E%s;exit+7"), written);
	peer_open(fixture, &peer, request, "v4.channel.k8s.io");
	assert_true(fixture_wait(fixture, peer.upgraded));
	peer.stalls = true;
	for (int turn = 0; turn < 50; turn++)
		loop_turn(fixture->loop, 10 * NSEC_PER_MSEC);
	assert_int_not_equal(access(written, F_OK), 0);
	peer.stalls = false;
	stream_resume(peer.stream);
	assert_outcome(&peer, seven);
	assert_int_equal(peer.channels[1].length, 52428800);
	assert_int_equal(access(written, F_OK), 0);
	peer_done(&peer);
}

// Something in the background keeps the command's output open.
static void an_output_held_open_is_given_up(void **state)
{
	struct server_fixture *fixture = *state;
	struct peer peer;
	peer_open(fixture, &peer, SHELL("output=1&error=1", "sleep+30%26+echo+out+$!;exit+7"), "v5.channel.k8s.io");
	assert_outcome(&peer, seven);
	pid_t sleeper = atoi(strbuf_text(&peer.channels[1]) + strlen("out "));
	assert_true(sleeper > 1);
	kill(sleeper, SIGKILL);
	peer_done(&peer);
}

// --- terminals -----------------------------------------------------------------------

static void a_terminal_has_a_size_and_echoes(void **state)
{
	struct server_fixture *fixture = *state;
	struct peer peer;
	peer_open(fixture, &peer,
	          SHELL("input=1&output=1&error=1&tty=1",
	                "trap+%27stty+size%27+WINCH;echo+ready;while+:;do+read+line%26%26exit+7;done"),
	          "v5.channel.k8s.io");
	assert_true(wait_for_text(&peer, 1, "ready\r\n"));
	static const char bad_size[] = "{\"Width\":-1,\"Height\":99999}";
	send_channel(&peer, 4, bad_size, strlen(bad_size));
	static const char size[] = "{\"Width\":123,\"Height\":45}";
	send_channel(&peer, 4, size, strlen(size));
	assert_true(wait_for_text(&peer, 1, "45 123\r\n"));
	assert_int_equal(fixture->runtime.resized, 1);
	send_channel(&peer, 0, "typed\n", 6);
	assert_outcome(&peer, seven);
	assert_non_null(strstr(strbuf_text(&peer.channels[1]), "typed\r\n"));
	assert_int_equal(peer.channels[2].length, 0);
	peer_done(&peer);
}

// More than a terminal's buffer at once, both ways.
static void a_terminal_takes_much(void **state)
{
	enum { LINES = 20000 };
	struct server_fixture *fixture = *state;
	struct peer peer;
	peer_open(fixture, &peer, SHELL("input=1&output=1&tty=1", "stty+raw+-echo;echo+ready;head+-c+1280000|wc+-c"),
	          "v4.channel.k8s.io");
	assert_true(wait_for_text(&peer, 1, "ready"));
	char line[65];
	memset(line, 'x', 64);
	for (int index = 0; index < LINES; index++)
		send_channel(&peer, 0, line, 64);
	assert_outcome(&peer, success);
	assert_non_null(strstr(strbuf_text(&peer.channels[1]), "1280000"));
	peer_done(&peer);
}

// --- ends ----------------------------------------------------------------------------

static void a_client_that_leaves_ends_its_command(void **state)
{
	struct server_fixture *fixture = *state;
	struct peer peer;
	for (int manner = 0; manner < 3; manner++) {
		peer_open(fixture, &peer, SHELL("input=1&output=1", "echo+ready;sleep+1000"), "v5.channel.k8s.io");
		assert_true(wait_for_text(&peer, 1, "ready"));
		if (manner == 0) // says so
			websocket_close(&peer.socket, 1000, "");
		else if (manner == 1) // breaks the protocol: an unmasked frame
			stream_write(peer.stream, "\x82\x02\x00x", 4);
		else // hangs up
			peer.stream = stream_free(peer.stream);
		assert_true(fixture_wait(fixture, fixture->runtime.ended == manner + 1));
		assert_int_equal(fixture->runtime.killed, manner + 1);
		peer_done(&peer);
	}
}

static void there_is_a_limit(void **state)
{
	struct server_fixture *fixture = *state;
	AUTO_FREE struct peer *peers = xcalloc(MANY_EXECS, sizeof(*peers));
	int refused = 0;
	for (int index = 0; index < MANY_EXECS; index++) {
		peer_open(fixture, &peers[index], "/exec/default/web/main?input=1&output=1&command=cat",
		          "v5.channel.k8s.io");
		assert_true(fixture_wait(fixture,
		                         peers[index].upgraded || strstr(strbuf_text(&peers[index].head), "later")));
		refused += !peers[index].upgraded;
	}
	assert_int_equal(refused, MANY_EXECS - 128);
	assert_non_null(strstr(strbuf_text(&peers[MANY_EXECS - 1].head), "HTTP/1.1 429 "));
	for (int index = 0; index < MANY_EXECS; index++)
		peer_done(&peers[index]);
	assert_true(fixture_wait(fixture, fixture->runtime.ended == 128));
	// And there is room again.
	struct peer peer;
	peer_open(fixture, &peer, "/exec/default/web/main?output=1&command=true", "v4.channel.k8s.io");
	assert_outcome(&peer, success);
	peer_done(&peer);
}

static void the_servers_end_kills_commands(void **state)
{
	struct server_fixture *fixture = *state;
	struct peer peers[2];
	for (int index = 0; index < 2; index++) {
		peer_open(fixture, &peers[index],
		          index ? SHELL("input=1&output=1&tty=1", "echo+ready;sleep+1000")
		                : SHELL("input=1&output=1", "echo+ready;sleep+1000"),
		          "v5.channel.k8s.io");
		assert_true(wait_for_text(&peers[index], 1, "ready"));
	}
	fixture->server = kubelet_server_free(fixture->server);
	assert_int_equal(fixture->runtime.killed, 2);
	assert_true(fixture_wait(fixture, peers[0].ended && peers[1].ended && fixture->runtime.ended == 2));
	for (int index = 0; index < 2; index++)
		peer_done(&peers[index]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(streams_stay_apart, setup, teardown),
	        cmocka_unit_test_setup_teardown(outcomes, setup, teardown),
	        cmocka_unit_test_setup_teardown(refusals, setup, teardown),
	        cmocka_unit_test_setup_teardown(big_input_comes_back, setup, teardown),
	        cmocka_unit_test_setup_teardown(input_waits_for_the_command, setup, teardown),
	        cmocka_unit_test_setup_teardown(input_nobody_reads_is_dropped, setup, teardown),
	        cmocka_unit_test_setup_teardown(output_waits_for_the_client, setup, teardown),
	        cmocka_unit_test_setup_teardown(an_output_held_open_is_given_up, setup, teardown),
	        cmocka_unit_test_setup_teardown(a_terminal_has_a_size_and_echoes, setup, teardown),
	        cmocka_unit_test_setup_teardown(a_terminal_takes_much, setup, teardown),
	        cmocka_unit_test_setup_teardown(a_client_that_leaves_ends_its_command, setup, teardown),
	        cmocka_unit_test_setup_teardown(there_is_a_limit, setup, teardown),
	        cmocka_unit_test_setup_teardown(the_servers_end_kills_commands, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
