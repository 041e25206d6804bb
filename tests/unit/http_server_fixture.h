// SPDX-License-Identifier: Apache-2.0
#pragma once
// A running HTTPS server for tests, on loops in threads of their own, with a
// handler that has a path for each thing to try; and a plain, blocking TLS
// client for what no proper client would send.

#include <arpa/inet.h>
#include <curl/curl.h>
#include <openssl/err.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#include "common/base/memory.h"
#include "common/base/strbuf.h"
#include "common/io/http_server.h"
#include "common/io/loop.h"
#include "tests/unit/tls_fixture.h"

enum {
	FIXTURE_MAX_LOOPS = 2,
	FIXTURE_WAIT_S = 20,
	BIG_BODY_BYTES = 40 * 1024 * 1024,
};

// Counters that a test may wait for.
struct counters {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	int requests;
	int watches; // open
	int gone;
	int tunnels; // open
	int tunnels_closed;
	int stopped;
	int drains;
};

static inline void counters_add(struct counters *counters, int *counter, int delta)
{
	pthread_mutex_lock(&counters->mutex);
	*counter += delta;
	pthread_cond_broadcast(&counters->changed);
	pthread_mutex_unlock(&counters->mutex);
}

// False when it takes far too long.
static inline bool counters_wait(struct counters *counters, const int *counter, int value)
{
	struct timespec limit;
	clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_sec += FIXTURE_WAIT_S;
	int result = 0;
	pthread_mutex_lock(&counters->mutex);
	while (*counter != value && result == 0)
		result = pthread_cond_timedwait(&counters->changed, &counters->mutex, &limit);
	bool reached = *counter == value;
	pthread_mutex_unlock(&counters->mutex);
	return reached;
}

struct server_fixture;

struct loop_thread {
	struct server_fixture *fixture;
	struct loop *loop;
	pthread_t thread;
	struct list watches;
	struct loop_task quit_task;
};

struct server_fixture {
	struct tls_fixture tls;
	struct loop_thread loops[FIXTURE_MAX_LOOPS];
	size_t loop_count;
	struct http_server *server;
	struct counters counters;
	struct blob *big_body;
};

// --- the handler -------------------------------------------------------------------

struct watch {
	struct list node;
	struct server_fixture *fixture;
	struct http_exchange *exchange;
};

static inline void watch_drop(struct watch *watch)
{
	list_remove(&watch->node);
	counters_add(&watch->fixture->counters, &watch->fixture->counters.watches, -1);
	http_exchange_unref(watch->exchange);
	free(watch);
}

static inline void on_watch_gone(void *context)
{
	struct watch *watch = context;
	struct server_fixture *fixture = watch->fixture;
	watch_drop(watch);
	counters_add(&fixture->counters, &fixture->counters.gone, 1);
}

static inline struct loop_thread *thread_of(struct server_fixture *fixture, struct http_exchange *exchange)
{
	for (size_t i = 0; i < fixture->loop_count; i++)
		if (fixture->loops[i].loop == http_exchange_loop(exchange))
			return &fixture->loops[i];
	abort();
}

static inline void serve_watch(struct server_fixture *fixture, struct http_exchange *exchange)
{
	static const struct http_header type = {.name = "Content-Type", .value = "application/json"};
	struct watch *watch = NEW(struct watch);
	watch->fixture = fixture;
	watch->exchange = http_exchange_ref(exchange);
	list_append(&thread_of(fixture, exchange)->watches, &watch->node);
	http_exchange_on_gone(exchange, on_watch_gone, watch);
	http_exchange_start(exchange, 200, &type, 1);
	counters_add(&fixture->counters, &fixture->counters.watches, 1);
}

static inline void serve_hello(struct server_fixture *fixture, struct http_exchange *exchange)
{
	(void)fixture;
	const struct http_request *request = http_exchange_request(exchange);
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(4096);
	strbuf_printf(&text, "%s %s?%s http/%d cn=%s", request->method, request->path, request->query,
	              request->is_http2 ? 2 : 1, request->identity.common_name ? request->identity.common_name : "-");
	for (size_t i = 0; i < request->identity.organization_count; i++)
		strbuf_printf(&text, " o=%s", request->identity.organizations[i]);
	struct blob *body AUTO(blob_unref) = blob_new(text.data, text.length);
	const struct http_header headers[] = {
	        {.name = "Content-Type", .value = "text/plain"},
	        {.name = "X-Split", .value = "a\r\nInjected: b"},
	        {.name = "Transfer-Encoding", .value = "nonsense"},
	};
	http_exchange_respond(exchange, 200, headers, ARRAY_SIZE(headers), body);
}

static inline void serve_echo(struct server_fixture *fixture, struct http_exchange *exchange)
{
	(void)fixture;
	const struct http_request *request = http_exchange_request(exchange);
	struct blob *body AUTO(blob_unref) = blob_new(request->body, request->body_length);
	http_exchange_respond(exchange, 201, NULL, 0, body);
}

static inline void serve_big(struct server_fixture *fixture, struct http_exchange *exchange)
{
	http_exchange_respond(exchange, 200, NULL, 0, fixture->big_body);
}

// An answer from a later turn.
struct late_answer {
	struct loop_task task;
	struct http_exchange *exchange;
};

static inline void on_late(struct loop_task *task)
{
	struct late_answer *late = container_of(task, struct late_answer, task);
	serve_hello(NULL, late->exchange);
	http_exchange_unref(late->exchange);
	free(late);
}

static inline void serve_late(struct server_fixture *fixture, struct http_exchange *exchange)
{
	(void)fixture;
	struct late_answer *late = NEW(struct late_answer);
	late->exchange = http_exchange_ref(exchange);
	loop_post(http_exchange_loop(exchange), &late->task, on_late);
}

// Promises ten bytes and writes five.
static inline void serve_short(struct server_fixture *fixture, struct http_exchange *exchange)
{
	static const struct http_header length = {.name = "content-length", .value = "10"};
	struct blob *piece AUTO(blob_unref) = blob_new("hello", 5);
	(void)fixture;
	http_exchange_start(exchange, 200, &length, 1);
	http_exchange_write(exchange, piece, 0, 5);
	http_exchange_end(exchange);
}

// 64 pieces of 256 KB, each written when the one before is almost out.
struct pump {
	struct server_fixture *fixture;
	struct http_exchange *exchange;
	int left;
};

static inline void on_pump_drain(void *context)
{
	struct pump *pump = context;
	counters_add(&pump->fixture->counters, &pump->fixture->counters.drains, 1);
	if (pump->left--) {
		http_exchange_write(pump->exchange, pump->fixture->big_body, (size_t)pump->left * 1024, 256 * 1024);
		return;
	}
	http_exchange_end(pump->exchange);
	http_exchange_unref(pump->exchange);
	free(pump);
}

static inline void serve_pump(struct server_fixture *fixture, struct http_exchange *exchange)
{
	struct pump *pump = NEW(struct pump);
	*pump = (struct pump){.fixture = fixture, .exchange = http_exchange_ref(exchange), .left = 64};
	http_exchange_start(exchange, 200, NULL, 0);
	http_exchange_on_drain(exchange, 64 * 1024, on_pump_drain, pump);
}

// Echoes; takes at most 1,000 bytes at a time to try the back-pressure.
struct echo_tunnel {
	struct server_fixture *fixture;
	struct http_tunnel *tunnel;
};

static inline size_t on_tunnel_data(void *context, const void *data, size_t length)
{
	struct echo_tunnel *echo = context;
	size_t taken = length > 1000 ? 1000 : length;
	http_tunnel_write(echo->tunnel, data, taken);
	if (memchr(data, '!', taken)) {
		http_tunnel_close(echo->tunnel);
		counters_add(&echo->fixture->counters, &echo->fixture->counters.tunnels, -1);
		free(echo);
	} else if (taken < length) {
		http_tunnel_resume(echo->tunnel);
	}
	return taken;
}

static inline void on_tunnel_close(void *context)
{
	struct echo_tunnel *echo = context;
	struct server_fixture *fixture = echo->fixture;
	free(echo);
	counters_add(&fixture->counters, &fixture->counters.tunnels, -1);
	counters_add(&fixture->counters, &fixture->counters.tunnels_closed, 1);
}

static inline void serve_upgrade(struct server_fixture *fixture, struct http_exchange *exchange)
{
	static const struct http_tunnel_callbacks callbacks = {.on_data = on_tunnel_data, .on_close = on_tunnel_close};
	struct echo_tunnel *echo = NEW(struct echo_tunnel);
	echo->fixture = fixture;
	echo->tunnel = http_exchange_upgrade(exchange, NULL, 0, &callbacks, echo);
	if (echo->tunnel) {
		counters_add(&fixture->counters, &fixture->counters.tunnels, 1);
		return;
	}
	free(echo);
	http_exchange_respond(exchange, 400, NULL, 0, NULL);
}

static const struct {
	const char *path;
	void (*serve)(struct server_fixture *fixture, struct http_exchange *exchange);
} fixture_routes[] = {
        {"/big", serve_big},   {"/echo", serve_echo},   {"/hello", serve_hello},     {"/late", serve_late},
        {"/pump", serve_pump}, {"/short", serve_short}, {"/upgrade", serve_upgrade}, {"/watch", serve_watch},
};

static inline void fixture_handler(void *context, struct http_exchange *exchange)
{
	struct server_fixture *fixture = context;
	const char *path = http_exchange_request(exchange)->path;
	counters_add(&fixture->counters, &fixture->counters.requests, 1);
	for (size_t i = 0; i < ARRAY_SIZE(fixture_routes); i++)
		if (strcmp(fixture_routes[i].path, path) == 0) {
			fixture_routes[i].serve(fixture, exchange);
			return;
		}
	http_exchange_respond(exchange, 404, NULL, 0, NULL);
}

// --- start and stop ------------------------------------------------------------------

static inline void *run_loop(void *context)
{
	loop_run(((struct loop_thread *)context)->loop);
	return NULL;
}

static inline void on_quit(struct loop_task *task)
{
	loop_quit(container_of(task, struct loop_thread, quit_task)->loop, 0);
}

static inline void on_stopped(void *context)
{
	struct server_fixture *fixture = context;
	counters_add(&fixture->counters, &fixture->counters.stopped, 1);
}

struct server_fixture_config {
	size_t loop_count;
	int64_t idle_timeout_ns;
	size_t max_body_bytes;
};

static inline void server_fixture_init(struct server_fixture *fixture, const struct server_fixture_config *config)
{
	struct loop *loops[FIXTURE_MAX_LOOPS];
	struct err err = ERR_INIT;
	memset(fixture, 0, sizeof(*fixture));
	tls_fixture_init(&fixture->tls);
	pthread_mutex_init(&fixture->counters.mutex, NULL);
	pthread_cond_init(&fixture->counters.changed, NULL);
	char *data = xmalloc(BIG_BODY_BYTES);
	for (size_t i = 0; i < BIG_BODY_BYTES; i++)
		data[i] = (char)(i * 31 >> 3);
	fixture->big_body = blob_new_take(data, BIG_BODY_BYTES);
	fixture->loop_count = config->loop_count;
	for (size_t i = 0; i < config->loop_count; i++) {
		fixture->loops[i].fixture = fixture;
		list_init(&fixture->loops[i].watches);
		assert_int_equal(loop_new(&clock_system, &fixture->loops[i].loop, &err), 0);
		loops[i] = fixture->loops[i].loop;
	}
	const struct tls_server_config tls = {
	        .certificate_file = tls_fixture_path(&fixture->tls, "server.crt"),
	        .private_key_file = tls_fixture_path(&fixture->tls, "server.key"),
	        .client_ca_file = tls_fixture_path(&fixture->tls, "ca.crt"),
	        .offer_http2 = true,
	};
	const struct http_server_config server = {
	        .bind_address = "127.0.0.1",
	        .loops = loops,
	        .loop_count = config->loop_count,
	        .tls = &tls,
	        .idle_timeout_ns = config->idle_timeout_ns,
	        .max_body_bytes = config->max_body_bytes,
	        .handler = fixture_handler,
	        .context = fixture,
	};
	assert_int_equal(http_server_new(&server, &fixture->server, &err), 0);
	for (size_t i = 0; i < config->loop_count; i++)
		pthread_create(&fixture->loops[i].thread, NULL, run_loop, &fixture->loops[i]);
}

struct watch_event {
	struct loop_task task;
	struct loop_thread *thread;
	struct blob *text; // NULL = none
	bool end;
};

static inline void on_watch_event(struct loop_task *task)
{
	struct watch_event *event = container_of(task, struct watch_event, task);
	struct watch *watch;
	list_for_each (watch, &event->thread->watches, node) {
		if (event->text)
			http_exchange_write(watch->exchange, event->text, 0, event->text->length);
		if (event->end) {
			http_exchange_end(watch->exchange);
			watch_drop(watch);
		}
	}
	blob_unref(event->text);
	free(event);
}

// Writes a text to every watch, or ends them all, or both.
static inline void fire(struct server_fixture *fixture, const char *text, bool end)
{
	for (size_t i = 0; i < fixture->loop_count; i++) {
		struct watch_event *event = NEW(struct watch_event);
		event->thread = &fixture->loops[i];
		event->text = text ? blob_new(text, strlen(text)) : NULL;
		event->end = end;
		loop_post(event->thread->loop, &event->task, on_watch_event);
	}
}

static inline void server_fixture_stop(struct server_fixture *fixture, int64_t grace_ns)
{
	http_server_stop(fixture->server, grace_ns, on_stopped, fixture);
	assert_true(counters_wait(&fixture->counters, &fixture->counters.stopped, 1));
}

static inline void server_fixture_done(struct server_fixture *fixture)
{
	if (!fixture->counters.stopped)
		server_fixture_stop(fixture, 0);
	for (size_t i = 0; i < fixture->loop_count; i++) {
		loop_post(fixture->loops[i].loop, &fixture->loops[i].quit_task, on_quit);
		pthread_join(fixture->loops[i].thread, NULL);
	}
	http_server_free(fixture->server);
	assert_int_equal(fixture->counters.watches, 0);
	assert_int_equal(fixture->counters.tunnels, 0);
	for (size_t i = 0; i < fixture->loop_count; i++)
		loop_free(fixture->loops[i].loop);
	blob_unref(fixture->big_body);
	tls_fixture_done(&fixture->tls);
	pthread_mutex_destroy(&fixture->counters.mutex);
	pthread_cond_destroy(&fixture->counters.changed);
}

// --- the blocking client ---------------------------------------------------------------

struct raw_client {
	SSL_CTX *context;
	SSL *ssl;
	int fd;
	bool connected;
};

struct raw_client_config {
	const char *certificate; // names in the fixture's directory
	const char *key;
	SSL_SESSION *session;
	int receive_buffer_bytes;
	bool http2; // by ALPN
};

static inline int raw_socket(struct server_fixture *fixture, int receive_buffer_bytes)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct timeval limit = {.tv_sec = FIXTURE_WAIT_S};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	address.sin_port = htons((uint16_t)http_server_port(fixture->server));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (receive_buffer_bytes)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof(receive_buffer_bytes));
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static inline void raw_open_with(struct server_fixture *fixture, struct raw_client *client,
                                 const struct raw_client_config *config)
{
	client->context = SSL_CTX_new(TLS_client_method());
	SSL_CTX_load_verify_file(client->context, tls_fixture_path(&fixture->tls, "ca.crt"));
	SSL_CTX_set_verify(client->context, SSL_VERIFY_PEER, NULL);
	if (config->certificate) {
		SSL_CTX_use_certificate_file(client->context, tls_fixture_path(&fixture->tls, config->certificate),
		                             SSL_FILETYPE_PEM);
		SSL_CTX_use_PrivateKey_file(client->context, tls_fixture_path(&fixture->tls, config->key),
		                            SSL_FILETYPE_PEM);
	}
	if (config->http2)
		SSL_CTX_set_alpn_protos(client->context, (const unsigned char *)"\x02h2", 3);
	client->fd = raw_socket(fixture, config->receive_buffer_bytes);
	client->ssl = SSL_new(client->context);
	if (config->session)
		SSL_set_session(client->ssl, config->session);
	SSL_set_fd(client->ssl, client->fd);
	ERR_clear_error();
	client->connected = SSL_connect(client->ssl) == 1;
}

static inline void raw_open(struct server_fixture *fixture, struct raw_client *client)
{
	raw_open_with(fixture, client, &(struct raw_client_config){0});
	assert_true(client->connected);
}

static inline void raw_send(struct raw_client *client, const char *data, size_t length)
{
	while (length) {
		int sent = SSL_write(client->ssl, data, (int)length);
		if (sent <= 0)
			return; // the server has closed: what it said is read next
		data += sent;
		length -= (size_t)sent;
	}
}

static inline void raw_send_text(struct raw_client *client, const char *text)
{
	raw_send(client, text, strlen(text));
}

// Reads until the text has come, or the end; the caller frees what was read.
static inline char *raw_read_until(struct raw_client *client, const char *text)
{
	struct strbuf read = STRBUF_INIT((size_t)1 << 30);
	char buffer[16384];
	while (!text || !strstr(strbuf_text(&read), text)) {
		ERR_clear_error();
		int count = SSL_read(client->ssl, buffer, sizeof(buffer));
		if (count <= 0)
			break;
		strbuf_append(&read, buffer, (size_t)count);
	}
	return strbuf_take(&read, NULL);
}

static inline void raw_close(struct raw_client *client)
{
	SSL_free(client->ssl);
	SSL_CTX_free(client->context);
	close(client->fd);
}

// --- curl ----------------------------------------------------------------------------------

static inline size_t collect(char *data, size_t size, size_t count, void *context)
{
	strbuf_append(context, data, size * count);
	return size * count;
}

static inline CURL *curl_new(struct server_fixture *fixture, const char *path, bool http2, struct strbuf *out)
{
	char url[128];
	CURL *curl = curl_easy_init();
	snprintf(url, sizeof(url), "https://127.0.0.1:%d%s", http_server_port(fixture->server), path);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, http2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(curl, CURLOPT_CAINFO, tls_fixture_path(&fixture->tls, "ca.crt"));
	curl_easy_setopt(curl, CURLOPT_SSLCERT, tls_fixture_path(&fixture->tls, "client.crt"));
	curl_easy_setopt(curl, CURLOPT_SSLKEY, tls_fixture_path(&fixture->tls, "client.key"));
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, out);
	return curl;
}

static inline long curl_status(CURL *curl)
{
	long status = 0;
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	return status;
}
