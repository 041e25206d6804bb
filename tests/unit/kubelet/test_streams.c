// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "common/io/spdy.h"
#include "common/io/stream.h"
#include "common/io/websocket.h"
#include "tests/unit/kubelet/server_fixture.h"

enum { STREAMS = 8, BIG_BYTES = 3 << 20 };

static int setup(void **state)
{
	struct server_fixture *fixture = NEW(struct server_fixture);
	server_fixture_init(fixture);
	fixture_run_main(fixture);
	fixture->pod->sandbox.state = PART_READY; // on the host's network
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct server_fixture *fixture = *state;
	fixture->pod->sandbox.state = PART_NONE;
	server_fixture_done(fixture);
	free(fixture);
	return 0;
}

// --- a client: SPDY, or the messages of a WebSocket ----------------------------------

struct peer {
	struct server_fixture *fixture;
	SSL_CTX *tls;
	struct stream *stream;
	const char *head; // of the request, after its first line
	const char *path;
	struct strbuf answer;
	bool upgraded, ended;
	bool in_messages; // SPDY tunnelled, or channels when `session` is NULL
	struct websocket socket;
	struct spdy_session *session;
	struct spdy_stream *streams[STREAMS];
	struct strbuf data[STREAMS]; // by stream, or by channel
	bool finished[STREAMS];
	size_t count;
};

static int number_of(const struct peer *peer, const struct spdy_stream *stream)
{
	for (size_t index = 0; index < peer->count; index++)
		if (peer->streams[index] == stream)
			return (int)index;
	return STREAMS - 1;
}

static void on_stream_data(void *context, struct spdy_stream *stream, const void *data, size_t length)
{
	struct peer *peer = context;
	strbuf_append(&peer->data[number_of(peer, stream)], data, length);
	spdy_stream_consumed(stream, length);
}

static void on_stream_end(void *context, struct spdy_stream *stream)
{
	struct peer *peer = context;
	peer->finished[number_of(peer, stream)] = true;
}

static void on_stream_reset(void *context, struct spdy_stream *stream, uint32_t status)
{
	struct peer *peer = context;
	(void)status;
	int number = number_of(peer, stream);
	peer->finished[number] = true;
	peer->streams[number] = NULL;
	spdy_stream_close(stream, SPDY_CANCEL);
}

static void write_out(void *context, const void *data, size_t length)
{
	struct peer *peer = context;
	if (peer->stream)
		stream_write(peer->stream, data, length);
}

static void on_session_send(void *context, const void *data, size_t length)
{
	struct peer *peer = context;
	if (peer->in_messages)
		websocket_send(&peer->socket, WEBSOCKET_BINARY, data, length);
	else
		write_out(peer, data, length);
}

static void on_message(void *context, enum websocket_opcode opcode, const uint8_t *data, size_t length)
{
	struct peer *peer = context;
	(void)opcode;
	if (peer->session)
		assert_true(spdy_feed(peer->session, data, length));
	else if (length && data[0] < STREAMS)
		strbuf_append(&peer->data[data[0]], data + 1, length - 1);
}

static void on_connect(void *context)
{
	struct peer *peer = context;
	char key[25];
	websocket_new_key(key);
	AUTO_FREE char *head =
	        peer->in_messages
	                ? xasprintf("GET %s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
	                            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n%s\r\n",
	                            peer->path, key, peer->head)
	                : xasprintf("POST %s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
	                            "Content-Length: 0\r\n%s\r\n",
	                            peer->path, peer->head);
	stream_write(peer->stream, head, strlen(head));
}

static size_t on_data(void *context, const void *data, size_t length)
{
	struct peer *peer = context;
	const char *bytes = data;
	size_t used = 0;
	while (!peer->upgraded && used < length) {
		strbuf_append_char(&peer->answer, bytes[used++]);
		peer->upgraded = strstr(strbuf_text(&peer->answer), "\r\n\r\n") &&
		                 !strncmp(peer->answer.data, "HTTP/1.1 101", 12);
	}
	if (used == length)
		return length;
	if (peer->in_messages)
		(void)websocket_feed(&peer->socket, bytes + used, length - used);
	else
		assert_true(spdy_feed(peer->session, bytes + used, length - used));
	return length;
}

static void on_close(void *context, const struct err *err)
{
	(void)err;
	((struct peer *)context)->ended = true;
}

static void peer_open(struct server_fixture *fixture, struct peer *peer, const char *path, const char *head,
                      bool in_messages, bool speaks_spdy)
{
	static const struct spdy_callbacks callbacks = {.on_data = on_stream_data,
	                                                .on_end = on_stream_end,
	                                                .on_reset = on_stream_reset,
	                                                .send = on_session_send};
	const struct tls_client_config tls = {
	        .ca_file = tls_fixture_path(&fixture->tls, "ca.crt"),
	        .certificate_file = tls_fixture_path(&fixture->tls, "client.crt"),
	        .private_key_file = tls_fixture_path(&fixture->tls, "client.key"),
	};
	struct err err = ERR_INIT;
	*peer = (struct peer){.fixture = fixture,
	                      .path = path,
	                      .head = head,
	                      .in_messages = in_messages,
	                      .answer = STRBUF_INIT(65536)};
	for (int index = 0; index < STREAMS; index++)
		peer->data[index] = STRBUF_INIT(64 << 20);
	websocket_init(&peer->socket, true, 4 << 20);
	peer->socket.on_message = on_message;
	peer->socket.send = write_out;
	peer->socket.context = peer;
	if (speaks_spdy)
		peer->session = spdy_session_new(true, &callbacks, peer);
	assert_int_equal(tls_client_context_new(&tls, false, &peer->tls, &err), 0);
	const struct stream_config config = {
	        .host = "127.0.0.1",
	        .port = kubelet_server_port(fixture->server),
	        .tls = peer->tls,
	        .callbacks = {.on_connect = on_connect, .on_data = on_data, .on_close = on_close},
	        .context = peer,
	};
	peer->stream = stream_connect(fixture->loop, &config);
	assert_true(fixture_wait(fixture, strstr(strbuf_text(&peer->answer), "\r\n\r\n") || peer->ended));
}

static void peer_done(struct peer *peer)
{
	stream_free(peer->stream);
	SSL_CTX_free(peer->tls);
	websocket_done(&peer->socket);
	spdy_session_free(peer->session);
	strbuf_done(&peer->answer);
	for (int index = 0; index < STREAMS; index++)
		strbuf_done(&peer->data[index]);
}

static struct spdy_stream *open_stream(struct peer *peer, const char *type, const char *port, const char *request)
{
	const struct spdy_header headers[] = {{"streamtype", type}, {"port", port}, {"requestid", request}};
	return peer->streams[peer->count++] = spdy_stream_open(peer->session, headers, port ? 3 : 1);
}

static const char *text(struct peer *peer, int number)
{
	return strbuf_text(&peer->data[number]);
}

#define SHELL(streams, script) "/exec/default/web/main?" streams "&command=sh&command=-c&command=" script

// --- commands ------------------------------------------------------------------------

static void a_command_over_spdy(void **state)
{
	static const struct {
		const char *head;
		const char *chosen;
		const char *outcome;
	} rows[] = {
	        {"X-Stream-Protocol-Version: v4.channel.k8s.io\r\nX-Stream-Protocol-Version: channel.k8s.io\r\n",
	         "x-stream-protocol-version: v4.channel.k8s.io\r\n",
	         "{\"metadata\":{},\"status\":\"Failure\",\"details\":{\"causes\":[{\"reason\":\"ExitCode\","
	         "\"message\":\"7\"}]},\"message\":\"command terminated with non-zero exit code: exit status 7\","
	         "\"reason\":\"NonZeroExitCode\"}"},
	        {"X-Stream-Protocol-Version: v2.channel.k8s.io, channel.k8s.io\r\n",
	         "x-stream-protocol-version: v2.channel.k8s.io\r\n",
	         "command terminated with non-zero exit code: exit status 7"},
	};
	for (size_t index = 0; index < ARRAY_SIZE(rows); index++) {
		struct peer peer;
		peer_open(*state, &peer, SHELL("output=1&error=1", "echo+out;echo+err+%3E%262;exit+7"),
		          rows[index].head, false, true);
		assert_non_null(strcasestr(peer.answer.data, rows[index].chosen));
		open_stream(&peer, "error", NULL, NULL);
		open_stream(&peer, "stdout", NULL, NULL);
		assert_int_equal(peer.fixture->runtime.started, (int)index); // not before all streams stand
		open_stream(&peer, "stderr", NULL, NULL);
		assert_true(fixture_wait(peer.fixture, peer.finished[0] && peer.finished[1] && peer.finished[2]));
		assert_string_equal(text(&peer, 0), rows[index].outcome);
		assert_string_equal(text(&peer, 1), "out\n");
		assert_string_equal(text(&peer, 2), "err\n");
		peer_done(&peer);
	}
}

static void much_goes_there_and_back(void **state)
{
	struct peer peer;
	AUTO_FREE char *much = xcalloc(1, BIG_BYTES);
	memset(much, 'x', BIG_BYTES);
	peer_open(*state, &peer, SHELL("input=1&output=1", "cat"), "X-Stream-Protocol-Version: v4.channel.k8s.io\r\n",
	          false, true);
	open_stream(&peer, "error", NULL, NULL);
	struct spdy_stream *input = open_stream(&peer, "stdin", NULL, NULL);
	open_stream(&peer, "stdout", NULL, NULL);
	spdy_stream_write(input, much, BIG_BYTES);
	spdy_stream_finish(input);
	assert_true(fixture_wait(peer.fixture, peer.finished[0] && peer.finished[2]));
	assert_int_equal(peer.data[2].length, BIG_BYTES);
	assert_string_equal(text(&peer, 0), "{\"metadata\":{},\"status\":\"Success\"}");
	peer_done(&peer);
}

static void a_terminal_over_spdy(void **state)
{
	struct peer peer;
	peer_open(*state, &peer, SHELL("input=1&output=1&tty=1", "stty+size;read+x;echo+got+$x"),
	          "X-Stream-Protocol-Version: v4.channel.k8s.io\r\n", false, true);
	open_stream(&peer, "error", NULL, NULL);
	struct spdy_stream *input = open_stream(&peer, "stdin", NULL, NULL);
	open_stream(&peer, "stdout", NULL, NULL);
	struct spdy_stream *sizes = open_stream(&peer, "resize", NULL, NULL);
	spdy_stream_write(sizes, "{\"Width\":91,\"Hei", 16);
	spdy_stream_write(sizes, "ght\":33}\n", 9);
	assert_true(fixture_wait(peer.fixture, strstr(text(&peer, 2), "33 91")));
	spdy_stream_write(input, "it\n", 3);
	assert_true(fixture_wait(peer.fixture, strstr(text(&peer, 2), "got it")));
	assert_true(fixture_wait(peer.fixture, peer.ended)); // also when the client doesn't close
	peer_done(&peer);
}

static void unknown_protocols_are_refused(void **state)
{
	struct peer peer;
	peer_open(*state, &peer, SHELL("output=1", "true"), "X-Stream-Protocol-Version: v9.channel.k8s.io\r\n", false,
	          true);
	assert_memory_equal(peer.answer.data, "HTTP/1.1 403", 12);
	assert_non_null(strcasestr(peer.answer.data, "x-accepted-stream-protocol-versions: v4.channel.k8s.io"));
	peer_done(&peer);
	peer_open(*state, &peer, SHELL("output=1", "true"), "Sec-WebSocket-Protocol: v9.channel.k8s.io\r\n", true,
	          false);
	assert_memory_equal(peer.answer.data, "HTTP/1.1 403", 12);
	peer_done(&peer);
}

static void base64_channels(void **state)
{
	struct peer peer;
	peer_open(*state, &peer, SHELL("output=1", "printf+hello"),
	          "Sec-WebSocket-Protocol: v4.base64.channel.k8s.io\r\n", true, false);
	peer.data[1].length = 0;
	assert_true(fixture_wait(peer.fixture, peer.ended));
	peer_done(&peer);
}

// --- ports ---------------------------------------------------------------------------

// A server that says what it was told, once the client has finished, and closes.
struct echo_server {
	pid_t pid;
	char port[8];
};

static void echo_start(struct echo_server *echo)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(listener, (const struct sockaddr *)&address, length), 0);
	assert_int_equal(listen(listener, 8), 0);
	getsockname(listener, (struct sockaddr *)&address, &length);
	snprintf(echo->port, sizeof(echo->port), "%d", ntohs(address.sin_port));
	echo->pid = fork();
	if (echo->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); // also when the test fails
		for (;;) {
			char data[4096];
			int fd = accept(listener, NULL, NULL);
			for (ssize_t count; (count = read(fd, data, sizeof(data))) > 0;)
				if (write(fd, data, (size_t)count) < 0)
					break;
			close(fd);
		}
	}
	close(listener);
}

static void echo_stop(struct echo_server *echo)
{
	kill(echo->pid, SIGKILL);
	waitpid(echo->pid, NULL, 0);
}

static void forward_two_at_once(struct server_fixture *fixture, const char *head, bool in_messages)
{
	struct echo_server echo;
	struct peer peer;
	echo_start(&echo);
	peer_open(fixture, &peer, "/portForward/default/web", head, in_messages, true);
	assert_memory_equal(peer.answer.data, "HTTP/1.1 101", 12);
	for (int number = 0; number < 2; number++) {
		const char *request = number ? "1" : "0";
		spdy_stream_finish(open_stream(&peer, "error", echo.port, request));
		struct spdy_stream *data = open_stream(&peer, "data", echo.port, request);
		spdy_stream_write(data, number ? "two" : "one", 3);
	}
	assert_true(fixture_wait(fixture, peer.data[1].length == 3));
	spdy_stream_finish(peer.streams[1]);
	assert_true(fixture_wait(fixture, peer.finished[1] && peer.finished[0]));
	spdy_stream_write(peer.streams[3], "!", 1); // the other goes on
	spdy_stream_finish(peer.streams[3]);
	assert_true(fixture_wait(fixture, peer.finished[3] && peer.finished[2]));
	assert_string_equal(text(&peer, 1), "one");
	assert_string_equal(text(&peer, 3), "two!");
	assert_int_equal(peer.data[0].length + peer.data[2].length, 0); // no errors
	open_stream(&peer, "error", "1", "2");
	open_stream(&peer, "data", "1", "2");
	assert_true(fixture_wait(fixture, peer.finished[4] && peer.finished[5]));
	assert_non_null(strstr(text(&peer, 4), "error forwarding port 1 to pod web_default, uid " FIXTURE_UID
	                                       ": failed to connect to localhost:1, IPv4: dial tcp4 127.0.0.1:1: "
	                                       "connect: connection refused"));
	peer_done(&peer);
	echo_stop(&echo);
}

static void ports_over_spdy(void **state)
{
	forward_two_at_once(*state, "X-Stream-Protocol-Version: portforward.k8s.io\r\n", false);
}

static void ports_over_tunnelled_spdy(void **state)
{
	forward_two_at_once(*state, "Sec-WebSocket-Protocol: SPDY/3.1+portforward.k8s.io\r\n", true);
}

static void ports_over_channels(void **state)
{
	struct echo_server echo;
	struct peer peer;
	char path[64];
	echo_start(&echo);
	snprintf(path, sizeof(path), "/portForward/default/web?port=%s,1", echo.port);
	peer_open(*state, &peer, path, "Sec-WebSocket-Protocol: v4.channel.k8s.io\r\n", true, false);
	websocket_send(&peer.socket, WEBSOCKET_BINARY, "\0hello", 6);
	assert_true(fixture_wait(peer.fixture, peer.data[0].length == 7 && peer.data[3].length > 2));
	int port = (uint8_t)peer.data[0].data[0] | (uint8_t)peer.data[0].data[1] << 8;
	assert_int_equal(port, strtol(echo.port, NULL, 10)); // each channel begins with its port
	assert_memory_equal(peer.data[0].data + 2, "hello", 5);
	assert_memory_equal(peer.data[3].data, "\1\0error forwarding port 1 to pod web_default", 40);
	peer_done(&peer);
	assert_reply(*state, "/portForward/default/web", 400, "unable to upgrade: missing upgrade headers in request");
	echo_stop(&echo);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(a_command_over_spdy),           TEST(much_goes_there_and_back), TEST(a_terminal_over_spdy),
	        TEST(unknown_protocols_are_refused), TEST(base64_channels),          TEST(ports_over_spdy),
	        TEST(ports_over_tunnelled_spdy),     TEST(ports_over_channels),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
