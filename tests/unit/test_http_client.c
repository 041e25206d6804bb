// SPDX-License-Identifier: Apache-2.0
//
// The client against real servers in the same loop or process: the plain server,
// and a scripted one that answers each connection with given bytes.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/io/http_client.h"
#include "common/io/loop.h"
#include "common/io/plain_server.h"

// --- a scripted server --------------------------------------------------------------

enum { MAX_ANSWERS = 8 };

struct script {
	struct loop *loop;
	struct loop_fd listener, connection;
	int port;
	const char *answers[MAX_ANSWERS]; // one for each request; NULL = close
	int requests;
	bool close_after; // each answer
	struct strbuf received;
	size_t wanted; // bytes of a request before it is answered; 0 = to the blank line
};

static void script_close(struct script *script)
{
	if (script->connection.loop) {
		loop_fd_stop(&script->connection);
		close(script->connection.fd);
	}
}

static void on_script_data(struct loop_fd *source, unsigned ready UNUSED)
{
	struct script *script = container_of(source, struct script, connection);
	char data[4096];
	ssize_t length = recv(source->fd, data, sizeof(data), MSG_DONTWAIT);
	if (length <= 0) {
		script_close(script);
		return;
	}
	strbuf_append(&script->received, data, (size_t)length);
	bool whole = script->wanted
	                     ? script->received.length >= script->wanted
	                     : script->received.length >= 4 &&
	                               memcmp(script->received.data + script->received.length - 4, "\r\n\r\n", 4) == 0;
	if (!whole)
		return;
	const char *answer = script->answers[script->requests++];
	if (answer)
		assert_int_equal(send(source->fd, answer, strlen(answer), MSG_NOSIGNAL), strlen(answer));
	if (!answer || script->close_after)
		script_close(script);
}

static void on_script_accept(struct loop_fd *source, unsigned ready UNUSED)
{
	struct script *script = container_of(source, struct script, listener);
	int fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC);
	script_close(script);
	loop_fd_start(script->loop, &script->connection, fd, LOOP_READ, on_script_data);
}

static void script_start(struct script *script, struct loop *loop)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	script->loop = loop;
	script->received = STRBUF_INIT(1 << 20);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, length), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
	script->port = ntohs(address.sin_port);
	loop_fd_start(loop, &script->listener, fd, LOOP_READ, on_script_accept);
}

static void script_stop(struct script *script)
{
	script_close(script);
	loop_fd_stop(&script->listener);
	close(script->listener.fd);
	strbuf_done(&script->received);
}

// --- the fixture --------------------------------------------------------------------

struct fixture {
	struct loop *loop;
	struct http_client *client;
	struct script script;
	struct http_call *call;
	struct http_call *victim;
	int dones, heads;
	int status;
	struct strbuf body;
	struct strbuf data;
	char type[64];
	struct err err;
	bool cancel_on_data, free_on_data, free_on_done, restart_on_data;
	int restarts;
	char url[128];
};

static int set_up(void **state)
{
	struct fixture *fixture = NEW(struct fixture);
	struct err err = ERR_INIT;
	fixture->body = STRBUF_INIT(1 << 20);
	fixture->data = STRBUF_INIT(1 << 20);
	assert_int_equal(loop_new(NULL, &fixture->loop, &err), 0);
	script_start(&fixture->script, fixture->loop);
	snprintf(fixture->url, sizeof(fixture->url), "http://127.0.0.1:%d/api?x=1", fixture->script.port);
	fixture->client = http_client_new(
	        fixture->loop, &(struct http_client_config){.user_agent = "test/1", .bearer_token = " t0ken\n"});
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;
	http_client_free(fixture->client);
	script_stop(&fixture->script);
	loop_free(fixture->loop);
	strbuf_done(&fixture->body);
	strbuf_done(&fixture->data);
	free(fixture);
	return 0;
}

static void on_head(void *context, int status)
{
	struct fixture *fixture = context;
	fixture->heads++;
	fixture->status = status;
	const char *type = http_call_response_header(fixture->call, "content-type");
	snprintf(fixture->type, sizeof(fixture->type), "%s", type ? type : "none");
}

static void on_done(void *context, int status, const char *body, size_t body_length, const struct err *err)
{
	struct fixture *fixture = context;
	fixture->dones++;
	fixture->status = status;
	strbuf_append(&fixture->body, body, body_length);
	if (err)
		fixture->err = *err;
	const char *type = http_call_response_header(fixture->call, "Content-Type");
	snprintf(fixture->type, sizeof(fixture->type), "%s", type ? type : "none");
	http_call_cancel(fixture->call); // harmless in its own on_done
	if (fixture->victim)
		http_call_cancel(fixture->victim);
	if (fixture->free_on_done)
		fixture->client = http_client_free(fixture->client);
	loop_quit(fixture->loop, 0);
}

static void count_done(void *context, int status UNUSED, const char *body UNUSED, size_t body_length UNUSED,
                       const struct err *err UNUSED)
{
	struct fixture *fixture = context;
	fixture->dones++;
	loop_quit(fixture->loop, 0);
}

static void on_data(void *context, const char *data, size_t length)
{
	struct fixture *fixture = context;
	strbuf_append(&fixture->data, data, length);
	if (fixture->restart_on_data && !fixture->restarts++)
		http_call_start(
		        fixture->client,
		        &(struct http_call_config){.url = fixture->url, .on_done = count_done, .context = fixture});
	if (fixture->free_on_data)
		fixture->client = http_client_free(fixture->client);
	else if (fixture->cancel_on_data)
		http_call_cancel(fixture->call);
	if (fixture->free_on_data || fixture->cancel_on_data)
		loop_quit(fixture->loop, 0);
}

static void start(struct fixture *fixture, struct http_call_config config)
{
	config.url = config.url ? config.url : fixture->url;
	config.on_done = on_done;
	config.context = fixture;
	fixture->call = http_call_start(fixture->client, &config);
	assert_int_equal(fixture->dones, 0);
}

// --- tests --------------------------------------------------------------------------

static void test_get_from_plain_server(void **state)
{
	struct fixture *fixture = *state;
	struct plain_server *server;
	assert_int_equal(
	        plain_server_new(&(struct plain_server_config){.bind_address = "127.0.0.1"}, &server, &fixture->err),
	        0);
	AUTO_FREE char *url = xasprintf("http://127.0.0.1:%d/livez?verbose", plain_server_port(server));
	start(fixture, (struct http_call_config){.url = url});
	loop_run(fixture->loop);
	assert_int_equal(fixture->status, 200);
	assert_string_equal(strbuf_text(&fixture->body), "[+]ping ok\nlivez check passed\n");
	assert_string_equal(fixture->type, "text/plain; charset=utf-8");
	plain_server_free(server);
}

static void test_request_bytes(void **state)
{
	struct fixture *fixture = *state;
	static const char expected[] =
	        "PATCH /api?x=1 HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUser-Agent: test/1\r\nAccept: */*\r\n"
	        "Content-Type: application/merge-patch+json\r\nAuthorization: Bearer t0ken\r\n"
	        "Content-Length: 2\r\n\r\n{}";
	AUTO_FREE char *request = xasprintf(expected, fixture->script.port);
	fixture->script.answers[0] = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Type: "
	                             "a/b\r\nContent-Length: 3\r\n\r\nabc";
	fixture->script.answers[1] = "HTTP/1.1 204 No Content\r\n\r\n";
	fixture->script.wanted = strlen(request);
	start(fixture, (struct http_call_config){
	                       .method = "PATCH",
	                       .body = "{}",
	                       .body_length = 2,
	                       .headers = (const char *const[]){"Content-Type: application/merge-patch+json", NULL}});
	loop_run(fixture->loop);
	assert_string_equal(strbuf_text(&fixture->script.received), request);
	assert_int_equal(fixture->status, 201);
	assert_string_equal(strbuf_text(&fixture->body), "abc");
	assert_string_equal(fixture->type, "a/b");
	// The connection is kept: the next call comes on it.
	fixture->script.wanted = 0;
	strbuf_clear(&fixture->script.received);
	fixture->dones = 0;
	start(fixture, (struct http_call_config){.method = "DELETE"});
	loop_run(fixture->loop);
	assert_int_equal(fixture->status, 204);
	assert_int_equal(fixture->script.requests, 2);
	assert_memory_equal(fixture->script.received.data, "DELETE /api?x=1 HTTP/1.1\r\n", 26);
}

static const char stream_answer[] =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n";

static void test_stream(void **state)
{
	struct fixture *fixture = *state;
	fixture->script.answers[0] = stream_answer;
	start(fixture, (struct http_call_config){.on_head = on_head, .on_data = on_data});
	loop_run(fixture->loop);
	assert_int_equal(fixture->heads, 1);
	assert_int_equal(fixture->dones, 1);
	assert_string_equal(strbuf_text(&fixture->data), "onetwo");
	assert_int_equal(fixture->err.code, ERR_NONE);
}

static void test_broken_off(void **state)
{
	struct fixture *fixture = *state;
	fixture->script.answers[0] = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc";
	fixture->script.close_after = true;
	start(fixture, (struct http_call_config){.on_head = on_head, .on_data = on_data});
	loop_run(fixture->loop);
	assert_int_equal(fixture->status, 200);
	assert_string_equal(strbuf_text(&fixture->data), "abc");
	AUTO_FREE char *expected = xasprintf("GET 127.0.0.1:%d: unexpected EOF", fixture->script.port);
	assert_string_equal(fixture->err.message, expected);
}

static void test_failures(void **state)
{
	struct fixture *fixture = *state;
	// The server closes without an answer.
	start(fixture, (struct http_call_config){0});
	loop_run(fixture->loop);
	AUTO_FREE char *eof = xasprintf("GET 127.0.0.1:%d: EOF", fixture->script.port);
	assert_int_equal(fixture->status, 0);
	assert_string_equal(fixture->err.message, eof);
	// Nobody listens.
	int port = fixture->script.port;
	script_stop(&fixture->script);
	fixture->dones = 0;
	start(fixture, (struct http_call_config){0});
	loop_run(fixture->loop);
	AUTO_FREE char *refused = xasprintf("dial tcp 127.0.0.1:%d: connect: connection refused", port);
	assert_string_equal(fixture->err.message, refused);
	assert_int_equal(fixture->err.code, ERR_IO);
	fixture->dones = 0;
	start(fixture, (struct http_call_config){.url = "http://a b/"});
	loop_run(fixture->loop);
	assert_int_equal(fixture->dones, 1);
	assert_int_equal(fixture->err.code, ERR_BAD_REQUEST);
	script_start(&fixture->script, fixture->loop);
}

static void test_deadline_and_limit(void **state)
{
	struct fixture *fixture = *state;
	fixture->script.wanted = 1 << 20; // never answers
	start(fixture, (struct http_call_config){.timeout_ns = 20 * NSEC_PER_MSEC});
	loop_run(fixture->loop);
	assert_int_equal(fixture->err.code, ERR_TIMEOUT);
	AUTO_FREE char *expected = xasprintf("GET 127.0.0.1:%d: context deadline exceeded", fixture->script.port);
	assert_string_equal(fixture->err.message, expected);
	fixture->script.wanted = 0;
	fixture->script.answers[0] = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789";
	fixture->dones = 0;
	start(fixture, (struct http_call_config){.max_response_bytes = 9});
	loop_run(fixture->loop);
	assert_int_equal(fixture->err.code, ERR_TOO_LARGE);
}

static void test_cancel_and_free_inside_callbacks(void **state)
{
	struct fixture *fixture = *state;
	for (int i = 0; i < MAX_ANSWERS; i++)
		fixture->script.answers[i] = stream_answer;
	fixture->cancel_on_data = true;
	start(fixture, (struct http_call_config){.on_data = on_data});
	loop_run(fixture->loop);
	assert_int_equal(fixture->dones, 0);
	fixture->cancel_on_data = false;
	// Started from inside curl's callback.
	fixture->restart_on_data = true;
	start(fixture, (struct http_call_config){.on_data = on_data});
	loop_run(fixture->loop);
	if (fixture->dones < 2)
		loop_run(fixture->loop);
	assert_int_equal(fixture->dones, 2);
	fixture->restart_on_data = false;
	fixture->dones = 0;
	// A call that failed at its start is dropped by another one's on_done; then the client by on_done.
	fixture->free_on_done = true;
	fixture->victim =
	        http_call_start(fixture->client,
	                        &(struct http_call_config){.url = "bad://x y", .on_done = on_done, .context = fixture});
	http_call_cancel(fixture->victim);
	fixture->victim = NULL;
	start(fixture, (struct http_call_config){0});
	fixture->victim = http_call_start(
	        fixture->client,
	        &(struct http_call_config){.url = fixture->url, .on_done = on_done, .context = fixture});
	loop_run(fixture->loop);
	assert_int_equal(fixture->dones, 1);
	assert_null(fixture->client);
	fixture->victim = NULL;
}

static void test_free_inside_data(void **state)
{
	struct fixture *fixture = *state;
	fixture->script.answers[0] = stream_answer;
	fixture->free_on_data = true;
	start(fixture, (struct http_call_config){.on_data = on_data});
	loop_run(fixture->loop);
	assert_null(fixture->client);
	assert_int_equal(fixture->dones, 0);
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void test_token_file_is_read_again(void **state)
{
	struct fixture *fixture = *state;
	char path[] = "/tmp/caravel-token-XXXXXX";
	close(mkstemp(path));
	http_client_free(fixture->client);
	fixture->client = http_client_new(fixture->loop, &(struct http_client_config){.bearer_token_file = path});
	static const char *const tokens[] = {"first\n", "second-one"};
	for (int i = 0; i < 2; i++) {
		fixture->script.answers[i] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
		write_file(path, tokens[i]);
		fixture->dones = 0;
		strbuf_clear(&fixture->script.received);
		start(fixture, (struct http_call_config){0});
		loop_run(fixture->loop);
		assert_non_null(strstr(strbuf_text(&fixture->script.received),
		                       i ? "Authorization: Bearer second-one\r\n" : "Authorization: Bearer first\r\n"));
	}
	unlink(path);
	http_client_free(fixture->client);
	fixture->client = http_client_new(fixture->loop, &(struct http_client_config){.bearer_token_file = path});
	fixture->dones = 0;
	start(fixture, (struct http_call_config){0});
	loop_run(fixture->loop);
	assert_non_null(strstr(fixture->err.message, path));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(test_get_from_plain_server, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_request_bytes, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_stream, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_broken_off, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_failures, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_deadline_and_limit, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_cancel_and_free_inside_callbacks, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_free_inside_data, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_token_file_is_read_again, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
