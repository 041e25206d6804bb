// SPDX-License-Identifier: Apache-2.0
//
// The client against the project's own HTTPS server: one HTTP/2 connection for
// all calls, certificates of both sides, renewal, and servers that go away.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/blob.h"
#include "common/base/memory.h"
#include "common/base/strbuf.h"
#include "common/io/http_client.h"
#include "common/io/http_server.h"
#include "common/io/loop.h"
#include "tests/unit/tls_fixture.h"

enum { MAX_CALLS = 16 };

struct answer {
	struct fixture *fixture;
	struct http_call *call;
	int status;
	bool done;
	char body[256]; // "protocol common-name remote-address"
	struct strbuf data;
	struct err err;
};

struct fixture {
	struct tls_fixture tls;
	struct loop *loop;
	struct http_server *server;
	struct http_client *client;
	struct http_exchange *watch; // the held one
	bool watch_gone;
	struct answer answers[MAX_CALLS];
	int open;      // calls that are not done
	size_t wanted; // bytes of data to wait for
	char url[128];
};

static void on_watch_gone(void *context)
{
	struct fixture *fixture = context;
	fixture->watch_gone = true;
	fixture->watch = http_exchange_unref(fixture->watch);
}

static void handle(void *context, struct http_exchange *exchange)
{
	struct fixture *fixture = context;
	const struct http_request *request = http_exchange_request(exchange);
	if (strcmp(request->path, "/watch") == 0) {
		fixture->watch = http_exchange_ref(exchange);
		http_exchange_on_gone(exchange, on_watch_gone, fixture);
		http_exchange_start(exchange, 200, NULL, 0);
	}
	AUTO_FREE char *text =
	        xasprintf("%s %s %s", request->is_http2 ? "h2" : "h1",
	                  request->identity.common_name ? request->identity.common_name : "-", request->remote_address);
	AUTO(blob_unref) struct blob *body = blob_new(text, strlen(text));
	if (fixture->watch == exchange)
		http_exchange_write(exchange, body, 0, body->length);
	else
		http_exchange_respond(exchange, 200, NULL, 0, body);
}

static void on_done(void *context, int status, const char *body, size_t body_length UNUSED, const struct err *err)
{
	struct answer *answer = context;
	assert_false(answer->done);
	answer->done = true;
	answer->status = status;
	snprintf(answer->body, sizeof(answer->body), "%s", body);
	if (err)
		answer->err = *err;
	if (--answer->fixture->open == 0)
		loop_quit(answer->fixture->loop, 0);
}

static void on_data(void *context, const char *data, size_t length)
{
	struct answer *answer = context;
	strbuf_append(&answer->data, data, length);
	if (answer->data.length >= answer->fixture->wanted)
		loop_quit(answer->fixture->loop, 0);
}

static struct answer *start(struct fixture *fixture, int index, const char *path)
{
	struct answer *answer = &fixture->answers[index];
	strbuf_done(&answer->data);
	*answer = (struct answer){.fixture = fixture, .data = STRBUF_INIT(1 << 20)};
	AUTO_FREE char *url = xasprintf("%s%s", fixture->url, path);
	bool is_watch = strcmp(path, "/watch") == 0;
	fixture->open += !is_watch;
	answer->call = http_call_start(fixture->client, &(struct http_call_config){.url = url,
	                                                                           .on_data = is_watch ? on_data : NULL,
	                                                                           .on_done = on_done,
	                                                                           .context = answer});
	return answer;
}

static void start_server(struct fixture *fixture)
{
	struct err err = ERR_INIT;
	struct tls_server_config tls = {
	        .certificate_file = tls_fixture_path(&fixture->tls, "server.crt"),
	        .private_key_file = tls_fixture_path(&fixture->tls, "server.key"),
	        .client_ca_file = tls_fixture_path(&fixture->tls, "ca.crt"),
	        .offer_http2 = true,
	};
	struct http_server_config config = {.bind_address = "127.0.0.1",
	                                    .loops = (struct loop *const[]){fixture->loop},
	                                    .loop_count = 1,
	                                    .tls = &tls,
	                                    .handler = handle,
	                                    .context = fixture};
	if (http_server_new(&config, &fixture->server, &err) < 0)
		fail_msg("%s", err.message);
	snprintf(fixture->url, sizeof(fixture->url), "https://127.0.0.1:%d", http_server_port(fixture->server));
}

static void use_client(struct fixture *fixture, struct http_client_config config)
{
	http_client_free(fixture->client);
	fixture->client = http_client_new(fixture->loop, &config);
}

static struct http_client_config with_files(struct fixture *fixture)
{
	return (struct http_client_config){
	        .tls = {.ca_file = tls_fixture_path(&fixture->tls, "ca.crt"),
	                .certificate_file = tls_fixture_path(&fixture->tls, "client.crt"),
	                .private_key_file = tls_fixture_path(&fixture->tls, "client.key")},
	};
}

static int set_up(void **state)
{
	struct fixture *fixture = NEW(struct fixture);
	struct err err = ERR_INIT;
	assert_int_equal(loop_new(NULL, &fixture->loop, &err), 0);
	tls_fixture_init(&fixture->tls);
	start_server(fixture);
	use_client(fixture, with_files(fixture));
	*state = fixture;
	return 0;
}

static void stop_loop(void *context)
{
	loop_quit(context, 0);
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;
	http_client_free(fixture->client);
	if (fixture->server) {
		http_server_stop(fixture->server, 0, stop_loop, fixture->loop);
		loop_run(fixture->loop);
		http_server_free(fixture->server);
	}
	loop_free(fixture->loop);
	tls_fixture_done(&fixture->tls);
	for (int i = 0; i < MAX_CALLS; i++)
		strbuf_done(&fixture->answers[i].data);
	free(fixture);
	return 0;
}

// All calls come over one connection, those started together before it stood too.
static void test_one_http2_connection(void **state)
{
	struct fixture *fixture = *state;
	for (int i = 0; i < MAX_CALLS; i++)
		start(fixture, i, "/");
	loop_run(fixture->loop);
	for (int i = 0; i < MAX_CALLS; i++) {
		if (fixture->answers[i].err.code)
			fail_msg("%s", fixture->answers[i].err.message);
		assert_int_equal(fixture->answers[i].status, 200);
		assert_memory_equal(fixture->answers[i].body, "h2 alice ", 9);
		assert_string_equal(fixture->answers[i].body, fixture->answers[0].body);
	}
	struct answer *later = start(fixture, 1, "/");
	loop_run(fixture->loop);
	assert_string_equal(later->body, fixture->answers[0].body);
}

// A watch lives beside calls on one connection; its cancel reaches the server and leaves the others alone.
static void test_watch_beside_calls(void **state)
{
	struct fixture *fixture = *state;
	fixture->wanted = 1;
	struct answer *watch = start(fixture, 0, "/watch");
	loop_run(fixture->loop);
	struct answer *call = start(fixture, 1, "/");
	loop_run(fixture->loop);
	assert_string_equal(call->body, strbuf_text(&watch->data));
	AUTO(blob_unref) struct blob *event = blob_new("event", 5);
	for (int i = 0; i < 10; i++) {
		fixture->wanted = watch->data.length + 5;
		http_exchange_write(fixture->watch, event, 0, 5);
		loop_run(fixture->loop);
	}
	assert_string_equal(strbuf_text(&watch->data) + watch->data.length - 10, "eventevent");
	start(fixture, 2, "/");
	http_call_cancel(watch->call);
	loop_run(fixture->loop);
	while (!fixture->watch_gone)
		loop_turn(fixture->loop, -1);
	assert_false(watch->done);
	assert_string_equal(fixture->answers[2].body, call->body);
}

static void test_renewed_certificate(void **state)
{
	struct fixture *fixture = *state;
	fixture->wanted = 1;
	struct answer *watch = start(fixture, 0, "/watch");
	loop_run(fixture->loop);
	tls_fixture_issue_to(&fixture->tls,
	                     &(struct tls_fixture_request){.common_name = "renewed-alice",
	                                                   .usage = "clientAuth",
	                                                   .issuer = &fixture->tls.authority},
	                     "client.crt", "client.key");
	struct answer *call = start(fixture, 1, "/");
	loop_run(fixture->loop);
	assert_memory_equal(call->body, "h2 renewed-alice ", 17);
	assert_false(fixture->watch_gone); // what runs on the old connection goes on
	assert_memory_equal(watch->data.data, "h2 alice ", 9);
	http_call_cancel(watch->call);
}

static void test_http1_only_and_pem_data(void **state)
{
	struct fixture *fixture = *state;
	char certificate[8192] = "", key[8192] = "", ca[8192] = "";
	struct {
		const char *name;
		char *text;
	} files[] = {{"client.crt", certificate}, {"client.key", key}, {"ca.crt", ca}};
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		FILE *file = fopen(tls_fixture_path(&fixture->tls, files[i].name), "re");
		assert_true(fread(files[i].text, 1, 8191, file) > 0);
		fclose(file);
	}
	use_client(fixture, (struct http_client_config){
	                            .tls = {.ca_data = ca, .certificate_data = certificate, .private_key_data = key},
	                            .http1_only = true});
	struct answer *answer = start(fixture, 0, "/");
	loop_run(fixture->loop);
	assert_memory_equal(answer->body, "h1 alice ", 9);
}

static void test_who_is_not_trusted(void **state)
{
	struct fixture *fixture = *state;
	struct tls_fixture_cert other =
	        tls_fixture_issue(&(struct tls_fixture_request){.common_name = "other-ca", .is_authority = true});
	const char *other_file = tls_fixture_path(&fixture->tls, "other.crt");
	tls_fixture_save(&other, other_file, NULL);
	tls_fixture_drop(&other);
	use_client(fixture, (struct http_client_config){.tls = {.ca_file = other_file}});
	struct answer *answer = start(fixture, 0, "/");
	loop_run(fixture->loop);
	assert_int_equal(answer->status, 0);
	assert_non_null(strstr(answer->err.message,
	                       ": tls: failed to verify certificate: x509: certificate signed by unknown authority"));
	// The right authority, the wrong name; then the name it does carry.
	const char *ca_file = tls_fixture_path(&fixture->tls, "ca.crt");
	use_client(fixture, (struct http_client_config){.tls = {.ca_file = ca_file, .server_name = "kubernetes"}});
	answer = start(fixture, 1, "/");
	loop_run(fixture->loop);
	assert_non_null(strstr(answer->err.message, ": tls: failed to verify certificate: "));
	use_client(fixture, (struct http_client_config){.tls = {.ca_file = ca_file, .server_name = "localhost"}});
	answer = start(fixture, 2, "/");
	loop_run(fixture->loop);
	assert_string_equal(answer->err.message, "");
	assert_memory_equal(answer->body, "h2 - 127.0.0.1:", 15);
	use_client(fixture, (struct http_client_config){.tls = {.insecure_skip_verify = true, .ca_file = other_file}});
	answer = start(fixture, 3, "/");
	loop_run(fixture->loop);
	assert_int_equal(answer->status, 200);
	use_client(fixture, (struct http_client_config){.tls = {.ca_file = "/no/such/ca.crt"}});
	answer = start(fixture, 4, "/");
	loop_run(fixture->loop);
	assert_string_equal(answer->err.message, "open /no/such/ca.crt: No such file or directory");
}

static void test_server_goes_and_comes_back(void **state)
{
	struct fixture *fixture = *state;
	fixture->wanted = 1;
	struct answer *watch = start(fixture, 0, "/watch");
	loop_run(fixture->loop);
	fixture->open++; // the watch is waited for now
	http_exchange_on_gone(fixture->watch, NULL, NULL);
	http_exchange_abort(fixture->watch);
	fixture->watch = http_exchange_unref(fixture->watch);
	loop_run(fixture->loop);
	assert_true(watch->done);
	assert_int_equal(watch->status, 200);
	assert_int_not_equal(watch->err.code, ERR_NONE);
	struct answer *call = start(fixture, 1, "/");
	loop_run(fixture->loop);
	assert_int_equal(call->status, 200);
	http_server_stop(fixture->server, 0, stop_loop, fixture->loop);
	loop_run(fixture->loop);
	fixture->server = http_server_free(fixture->server);
	call = start(fixture, 2, "/");
	loop_run(fixture->loop);
	assert_non_null(strstr(call->err.message, "connection refused"));
	start_server(fixture);
	call = start(fixture, 3, "/");
	loop_run(fixture->loop);
	assert_memory_equal(call->body, "h2 alice ", 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(test_one_http2_connection, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_watch_beside_calls, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_renewed_certificate, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_http1_only_and_pem_data, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_who_is_not_trusted, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_server_goes_and_comes_back, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
