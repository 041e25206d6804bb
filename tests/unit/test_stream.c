// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/base/strbuf.h"
#include "common/io/loop.h"
#include "common/io/stream.h"
#include "common/io/tls.h"
#include "tests/unit/tls_fixture.h"

enum {
	LONG_BYTES = 4 * 1024 * 1024,
	TEST_LIMIT_S = 20,
};

// A peer in a thread of its own that echoes what it reads until the end.
struct peer {
	int listen_fd;
	int port;
	char path[108]; // of a unix socket; "" for TCP
	struct tls_server *tls;
	bool silent; // accepts and says nothing until the client is gone
	pthread_t thread;
};

static ssize_t peer_read(SSL *ssl, int fd, char *buffer, size_t size)
{
	return ssl ? SSL_read(ssl, buffer, (int)size) : recv(fd, buffer, size, 0);
}

static void peer_echo(SSL *ssl, int fd)
{
	char buffer[65536];
	for (ssize_t count; (count = peer_read(ssl, fd, buffer, sizeof(buffer))) > 0;)
		for (ssize_t sent = 0, more; sent < count; sent += more) {
			more = ssl ? SSL_write(ssl, buffer + sent, (int)(count - sent))
			           : send(fd, buffer + sent, (size_t)(count - sent), MSG_NOSIGNAL);
			if (more <= 0)
				return;
		}
}

static void *run_peer(void *context)
{
	struct peer *peer = context;
	int fd = accept4(peer->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	struct err err = ERR_INIT;
	SSL *ssl = NULL;
	char byte;
	if (peer->silent)
		while (recv(fd, &byte, 1, 0) > 0)
			;
	else if (!peer->tls || (tls_server_accept(peer->tls, fd, &ssl, &err) == 0 && SSL_accept(ssl) == 1))
		peer_echo(ssl, fd);
	if (ssl)
		SSL_shutdown(ssl);
	SSL_free(ssl);
	close(fd);
	return NULL;
}

static void peer_listen(struct peer *peer)
{
	struct sockaddr_un unix_address = {.sun_family = AF_UNIX};
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);
	bool is_unix = peer->path[0];
	peer->listen_fd = socket(is_unix ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	strcpy(unix_address.sun_path, peer->path);
	const struct sockaddr *any = is_unix ? (void *)&unix_address : (void *)&address;
	assert_int_equal(bind(peer->listen_fd, any, is_unix ? sizeof(unix_address) : sizeof(address)), 0);
	listen(peer->listen_fd, 5);
	if (!is_unix)
		getsockname(peer->listen_fd, (struct sockaddr *)&address, &length);
	peer->port = ntohs(address.sin_port);
}

static void peer_start(struct peer *peer)
{
	peer_listen(peer);
	pthread_create(&peer->thread, NULL, run_peer, peer);
}

static void peer_stop(struct peer *peer)
{
	pthread_join(peer->thread, NULL);
	close(peer->listen_fd);
}

// --- the client -------------------------------------------------------------------------

struct client {
	struct loop *loop;
	struct stream *stream;
	struct strbuf received;
	size_t take_at_most; // 0 = all
	size_t free_at;      // frees the stream when that much has come; 0 = never
	size_t shutdown_at;
	int connected, drained, closed;
	struct err err;
	struct loop_timer resume_timer;
};

static void on_connect(void *context)
{
	struct client *client = context;
	client->connected++;
}

static void on_resume_timer(struct loop_timer *timer)
{
	struct client *client = container_of(timer, struct client, resume_timer);
	if (client->stream)
		stream_resume(client->stream);
}

static size_t on_data(void *context, const void *data, size_t length)
{
	struct client *client = context;
	size_t taken = client->take_at_most && length > client->take_at_most ? client->take_at_most : length;
	strbuf_append(&client->received, data, taken);
	if (client->free_at && client->received.length >= client->free_at)
		client->stream = stream_free(client->stream);
	else if (client->shutdown_at && client->received.length >= client->shutdown_at)
		stream_shutdown_write(client->stream);
	if (taken < length)
		loop_timer_start(client->loop, &client->resume_timer, 0, on_resume_timer);
	return taken;
}

static void on_drain(void *context)
{
	struct client *client = context;
	client->drained++;
}

static void on_close(void *context, const struct err *err)
{
	struct client *client = context;
	client->closed++;
	if (err)
		client->err = *err;
	client->stream = stream_free(client->stream);
}

static void client_open(struct client *client, const char *host, int port, SSL_CTX *tls, int64_t timeout_ns)
{
	struct err err = ERR_INIT;
	*client = (struct client){.received = STRBUF_INIT((size_t)64 << 20)};
	assert_int_equal(loop_new(&clock_system, &client->loop, &err), 0);
	const struct stream_config config = {
	        .host = host,
	        .port = port,
	        .tls = tls,
	        .connect_timeout_ns = timeout_ns,
	        .callbacks = {.on_connect = on_connect, .on_data = on_data, .on_drain = on_drain, .on_close = on_close},
	        .context = client,
	};
	client->stream = stream_connect(client->loop, &config);
	assert_int_equal(client->closed, 0); // never from inside
}

// Turns the loop until the stream is gone.
static void client_run(struct client *client)
{
	int64_t limit_ns = loop_now_ns(client->loop) + TEST_LIMIT_S * NSEC_PER_SEC;
	while (client->stream && loop_now_ns(client->loop) < limit_ns)
		loop_turn(client->loop, NSEC_PER_SEC);
	assert_null(client->stream);
}

static void client_done(struct client *client)
{
	loop_timer_stop(&client->resume_timer);
	stream_free(client->stream);
	strbuf_done(&client->received);
	loop_free(client->loop);
}

static char *long_text(void)
{
	char *text = malloc(LONG_BYTES);
	for (size_t i = 0; i < LONG_BYTES; i++)
		text[i] = (char)(i * 7 >> 2);
	return text;
}

// Sends a long text, half of it before the connection stands, and compares the echo.
static void echo_long_text(const char *host, int port, SSL_CTX *tls, size_t take_at_most)
{
	struct client client;
	char *text = long_text();
	client_open(&client, host, port, tls, 0);
	client.take_at_most = take_at_most;
	client.shutdown_at = LONG_BYTES;
	stream_write(client.stream, text, LONG_BYTES / 2);
	stream_write(client.stream, text + LONG_BYTES / 2, LONG_BYTES / 2);
	assert_int_equal(stream_pending_bytes(client.stream), LONG_BYTES);
	client_run(&client);
	assert_int_equal(client.connected, 1);
	assert_int_equal(client.closed, 1);
	assert_true(client.drained >= 1);
	assert_int_equal(client.err.code, ERR_NONE);
	assert_int_equal(client.received.length, LONG_BYTES);
	assert_memory_equal(client.received.data, text, LONG_BYTES);
	client_done(&client);
	free(text);
}

static void test_plain_echo(void **state)
{
	(void)state;
	struct peer peer = {0};
	peer_start(&peer);
	echo_long_text("127.0.0.1", peer.port, NULL, 0);
	peer_stop(&peer);
}

static void test_unix_echo_with_back_pressure(void **state)
{
	struct tls_fixture *fixture = *state;
	struct peer peer = {0};
	char host[128];
	snprintf(peer.path, sizeof(peer.path), "%s", tls_fixture_path(fixture, "socket"));
	peer_start(&peer);
	snprintf(host, sizeof(host), "unix:%s", peer.path);
	echo_long_text(host, 0, NULL, 5000);
	peer_stop(&peer);
}

static SSL_CTX *client_context(struct tls_fixture *fixture)
{
	struct err err = ERR_INIT;
	SSL_CTX *context;
	const struct tls_client_config config = {.ca_file = tls_fixture_path(fixture, "ca.crt")};
	assert_int_equal(tls_client_context_new(&config, true, &context, &err), 0);
	return context;
}

static struct tls_server *server_context(struct tls_fixture *fixture, const char *certificate, const char *key)
{
	struct err err = ERR_INIT;
	struct tls_server *server;
	const struct tls_server_config config = {
	        .certificate_file = tls_fixture_path(fixture, certificate),
	        .private_key_file = tls_fixture_path(fixture, key),
	        .offer_http2 = true,
	};
	assert_int_equal(tls_server_new(&config, &server, &err), 0);
	return server;
}

static void test_tls_echo(void **state)
{
	static const char *const hosts[] = {"127.0.0.1", "localhost"};
	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
		struct peer peer = {.tls = server_context(*state, "server.crt", "server.key")};
		SSL_CTX *context = client_context(*state);
		peer_start(&peer);
		echo_long_text(hosts[i], peer.port, context, i ? 3000 : 0);
		peer_stop(&peer);
		SSL_CTX_free(context);
		tls_server_free(peer.tls);
	}
}

static void test_tls_verification_fails(void **state)
{
	struct peer peer = {.tls = server_context(*state, "client.crt", "client.key")};
	SSL_CTX *context = client_context(*state);
	struct client client;
	peer_start(&peer);
	client_open(&client, "127.0.0.1", peer.port, context, 0);
	client_run(&client);
	assert_int_equal(client.connected, 0);
	assert_int_equal(client.closed, 1);
	assert_non_null(strstr(client.err.message, "tls: failed to verify certificate: x509: "));
	client_done(&client);
	peer_stop(&peer);
	SSL_CTX_free(context);
	tls_server_free(peer.tls);
}

static void test_connection_refused(void **state)
{
	(void)state;
	struct peer peer = {0};
	struct client client;
	char expected[96];
	peer_listen(&peer);
	close(peer.listen_fd);
	client_open(&client, "127.0.0.1", peer.port, NULL, 0);
	client_run(&client);
	snprintf(expected, sizeof(expected), "dial tcp 127.0.0.1:%d: connect: connection refused", peer.port);
	assert_string_equal(client.err.message, expected);
	client_done(&client);
	client_open(&client, "unix:/nonexistent/socket", 0, NULL, 0);
	client_run(&client);
	assert_string_equal(client.err.message, "dial unix /nonexistent/socket: connect: no such file or directory");
	client_done(&client);
}

static void test_handshake_timeout(void **state)
{
	struct peer peer = {.silent = true};
	SSL_CTX *context = client_context(*state);
	struct client client;
	peer_start(&peer);
	client_open(&client, "127.0.0.1", peer.port, context, 50 * NSEC_PER_MSEC);
	client_run(&client);
	assert_int_equal(client.err.code, ERR_TIMEOUT);
	assert_non_null(strstr(client.err.message, "TLS handshake timeout"));
	client_done(&client);
	peer_stop(&peer);
	SSL_CTX_free(context);
}

static void test_free_from_inside(void **state)
{
	for (int with_tls = 0; with_tls <= 1; with_tls++) {
		struct peer peer = {.tls = with_tls ? server_context(*state, "server.crt", "server.key") : NULL};
		SSL_CTX *context = client_context(*state);
		struct client client;
		char *text = long_text();
		peer_start(&peer);
		client_open(&client, "127.0.0.1", peer.port, with_tls ? context : NULL, 0);
		client.free_at = 100 * 1024;
		stream_write(client.stream, text, LONG_BYTES);
		client_run(&client);
		assert_int_equal(client.closed, 0);
		client_done(&client);
		peer_stop(&peer);
		// And at once, before anything has happened.
		peer.silent = true;
		peer_start(&peer);
		client_open(&client, "127.0.0.1", peer.port, with_tls ? context : NULL, 0);
		client.stream = stream_free(client.stream);
		client_done(&client);
		peer_stop(&peer);
		SSL_CTX_free(context);
		tls_server_free(peer.tls);
		free(text);
	}
}

static int setup(void **state)
{
	struct tls_fixture *fixture = malloc(sizeof(*fixture));
	tls_fixture_init(fixture);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	tls_fixture_done(*state);
	free(*state);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	const struct CMUnitTest tests[] = {
	        TEST(test_plain_echo),         TEST(test_unix_echo_with_back_pressure),
	        TEST(test_tls_echo),           TEST(test_tls_verification_fails),
	        TEST(test_connection_refused), TEST(test_handshake_timeout),
	        TEST(test_free_from_inside),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
