// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/http_server_fixture.h"

static const struct server_fixture_config one_loop = {.loop_count = 1};
static const struct server_fixture_config two_loops = {.loop_count = 2};
static const struct server_fixture_config impatient = {.loop_count = 1, .idle_timeout_ns = 200 * NSEC_PER_MSEC};

static int setup_one(void **state)
{
	struct server_fixture *fixture = malloc(sizeof(*fixture));
	server_fixture_init(fixture, &one_loop);
	*state = fixture;
	return 0;
}

static int setup_two(void **state)
{
	struct server_fixture *fixture = malloc(sizeof(*fixture));
	server_fixture_init(fixture, &two_loops);
	*state = fixture;
	return 0;
}

static int setup_impatient(void **state)
{
	struct server_fixture *fixture = malloc(sizeof(*fixture));
	server_fixture_init(fixture, &impatient);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	server_fixture_done(*state);
	free(*state);
	return 0;
}

// --- requests of ordinary clients ------------------------------------------------------

static void test_answers_both_protocols(void **state)
{
	struct server_fixture *fixture = *state;
	for (int http2 = 0; http2 <= 1; http2++) {
		char expected[128];
		AUTO_STRBUF struct strbuf out = STRBUF_INIT(1 << 20), head = STRBUF_INIT(1 << 16);
		CURL *curl = curl_new(fixture, "/hello?a=b%2Fc", http2, &out);
		curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, collect);
		curl_easy_setopt(curl, CURLOPT_HEADERDATA, &head);
		assert_int_equal(curl_easy_perform(curl), CURLE_OK);
		snprintf(expected, sizeof(expected), "GET /hello?a=b%%2Fc http/%d cn=alice o=dev o=ops", http2 + 1);
		assert_string_equal(strbuf_text(&out), expected);
		assert_non_null(strcasestr(head.data, "\r\ndate: "));
		assert_non_null(strcasestr(head.data, "\r\ncontent-length: "));
		assert_null(strcasestr(head.data, "\r\ninjected"));
		assert_null(strcasestr(head.data, "transfer-encoding"));
		// On the same connection: HEAD, a late answer, an unknown path.
		strbuf_clear(&out);
		curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
		assert_int_equal(curl_easy_perform(curl), CURLE_OK);
		assert_int_equal(out.length, 0);
		curl_easy_setopt(curl, CURLOPT_NOBODY, 0L);
		curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
		curl_easy_cleanup(curl);
		curl = curl_new(fixture, "/late", http2, &out);
		assert_int_equal(curl_easy_perform(curl), CURLE_OK);
		assert_memory_equal(out.data, "GET /late", 9);
		curl_easy_cleanup(curl);
		curl = curl_new(fixture, "/none", http2, &out);
		assert_int_equal(curl_easy_perform(curl), CURLE_OK);
		assert_int_equal(curl_status(curl), 404);
		curl_easy_cleanup(curl);
	}
}

static void post(struct server_fixture *fixture, bool http2, bool chunked, size_t length, long expected_status,
                 bool expect_echo)
{
	AUTO_STRBUF struct strbuf out = STRBUF_INIT((size_t)64 << 20);
	struct curl_slist *headers = curl_slist_append(NULL, chunked ? "Transfer-Encoding: chunked" : "X-A: b");
	CURL *curl = curl_new(fixture, "/echo", http2, &out);
	FILE *body = fmemopen((void *)fixture->big_body->data, length, "r");
	curl_easy_setopt(curl, CURLOPT_POST, 1L);
	curl_easy_setopt(curl, CURLOPT_READDATA, body);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	if (!chunked)
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)length);
	assert_int_equal(curl_easy_perform(curl), CURLE_OK);
	assert_int_equal(curl_status(curl), expected_status);
	if (expect_echo) {
		assert_int_equal(out.length, length);
		assert_memory_equal(out.data, fixture->big_body->data, length);
	} else {
		assert_non_null(strstr(out.data, "Request entity too large: limit is 3145728"));
	}
	curl_easy_cleanup(curl);
	curl_slist_free_all(headers);
	fclose(body);
}

static void test_bodies_and_their_limit(void **state)
{
	for (int http2 = 0; http2 <= 1; http2++) {
		post(*state, http2, false, 10, 201, true);
		post(*state, http2, false, 3 * 1024 * 1024, 201, true);
		post(*state, http2, false, 3 * 1024 * 1024 + 1, 413, false);
		post(*state, http2, true, 2 * 1024 * 1024, 201, true);
	}
	post(*state, true, true, 8 * 1024 * 1024, 413, false);
}

static void test_large_answers(void **state)
{
	struct server_fixture *fixture = *state;
	for (int http2 = 0; http2 <= 1; http2++) {
		AUTO_STRBUF struct strbuf out = STRBUF_INIT((size_t)64 << 20);
		CURL *curl = curl_new(fixture, "/big", http2, &out);
		assert_int_equal(curl_easy_perform(curl), CURLE_OK);
		assert_int_equal(out.length, BIG_BODY_BYTES);
		assert_memory_equal(out.data, fixture->big_body->data, BIG_BODY_BYTES);
		curl_easy_cleanup(curl);
		// A stream that its writer feeds as it drains.
		strbuf_clear(&out);
		curl = curl_new(fixture, "/pump", http2, &out);
		assert_int_equal(curl_easy_perform(curl), CURLE_OK);
		assert_int_equal(out.length, 64 * 256 * 1024);
		curl_easy_cleanup(curl);
	}
	assert_int_equal(fixture->counters.drains, 2 * 65);
}

static void test_broken_answer_is_an_error(void **state)
{
	for (int http2 = 0; http2 <= 1; http2++) {
		AUTO_STRBUF struct strbuf out = STRBUF_INIT(1 << 20);
		CURL *curl = curl_new(*state, "/short", http2, &out);
		assert_int_not_equal(curl_easy_perform(curl), CURLE_OK);
		curl_easy_cleanup(curl);
	}
}

// --- HTTP/1.1 by hand ---------------------------------------------------------------------

static void test_refuses_and_closes(void **state)
{
	static const struct {
		const char *request;
		const char *answer;
	} rows[] = {
	        {"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n"},
	        {"GET / HTTP/1.1\nHost: a\n\n", "HTTP/1.1 400 Bad Request\r\n"},
	        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\nabc",
	         "HTTP/1.1 501 Not Implemented\r\n"},
	        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\n", "HTTP/1.1 400 Bad Request\r\n"},
	        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n",
	         "HTTP/1.1 413 Request Entity Too Large\r\n"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct raw_client client;
		raw_open(*state, &client);
		raw_send_text(&client, rows[i].request);
		AUTO_FREE char *answer = raw_read_until(&client, NULL);
		assert_memory_equal(answer, rows[i].answer, strlen(rows[i].answer));
		assert_non_null(strstr(answer, "\r\nConnection: close\r\n"));
		assert_non_null(strstr(answer, "\"status\":\"Failure\""));
		raw_close(&client);
	}
	struct server_fixture *fixture = *state;
	assert_int_equal(fixture->counters.requests, 0);
}

// The answer arrives although the server has not read all that was sent.
static void test_oversized_head(void **state)
{
	struct raw_client client;
	AUTO_STRBUF struct strbuf head = STRBUF_INIT(1 << 20);
	strbuf_append_text(&head, "GET / HTTP/1.1\r\nHost: a\r\nX: ");
	while (head.length < 300 * 1024)
		strbuf_append_char(&head, 'x');
	raw_open(*state, &client);
	raw_send(&client, head.data, head.length);
	AUTO_FREE char *answer = raw_read_until(&client, NULL);
	assert_memory_equal(answer, "HTTP/1.1 431 ", 13);
	raw_close(&client);
}

static size_t count_text(const char *text, const char *word)
{
	size_t count = 0;
	for (; (text = strstr(text, word)); text++)
		count++;
	return count;
}

static void test_pipeline_in_pieces(void **state)
{
	static const char requests[] = "GET /late?1 HTTP/1.1\r\nHost: a\r\n\r\n"
	                               "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nfirst"
	                               "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
	                               "3\r\nsec\r\n3\r\nond\r\n0\r\n\r\n"
	                               "GET /hello?last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
	static const size_t pieces[] = {1, 2, 3, 7, 50, sizeof(requests)};
	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		struct raw_client client;
		raw_open(*state, &client);
		for (size_t sent = 0; sent < sizeof(requests) - 1; sent += pieces[i]) {
			size_t left = sizeof(requests) - 1 - sent;
			raw_send(&client, requests + sent, left < pieces[i] ? left : pieces[i]);
		}
		AUTO_FREE char *answer = raw_read_until(&client, NULL);
		assert_int_equal(count_text(answer, "HTTP/1.1 20"), 4);
		const char *first = strstr(answer, "\r\n\r\nGET /late?1 http/1 cn=-");
		const char *second = strstr(answer, "\r\n\r\nfirst");
		const char *third = strstr(answer, "\r\n\r\nsecond");
		const char *last = strstr(answer, "\r\n\r\nGET /hello?last");
		assert_true(first && first < second && second < third && third < last);
		raw_close(&client);
	}
}

static void test_many_pipelined_requests(void **state)
{
	enum { COUNT = 5000 };
	struct raw_client client;
	AUTO_STRBUF struct strbuf requests = STRBUF_INIT(1 << 20);
	for (int i = 0; i < COUNT; i++)
		strbuf_append_text(&requests, "GET /none HTTP/1.1\r\nHost: a\r\n\r\n");
	strbuf_append_text(&requests, "GET /none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	raw_open(*state, &client);
	raw_send(&client, requests.data, requests.length);
	AUTO_FREE char *answer = raw_read_until(&client, NULL);
	assert_int_equal(count_text(answer, "HTTP/1.1 404 Not Found\r\n"), COUNT + 1);
	raw_close(&client);
}

static void test_expect_continue(void **state)
{
	struct raw_client client;
	raw_open(*state, &client);
	raw_send_text(&client, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
	AUTO_FREE char *go_on = raw_read_until(&client, "\r\n\r\n");
	assert_string_equal(go_on, "HTTP/1.1 100 Continue\r\n\r\n");
	raw_send_text(&client, "body");
	AUTO_FREE char *answer = raw_read_until(&client, "\r\n\r\nbody");
	assert_memory_equal(answer, "HTTP/1.1 201 Created\r\n", 22);
	raw_close(&client);
}

static void test_http10_stream_ends_with_the_connection(void **state)
{
	struct server_fixture *fixture = *state;
	struct raw_client client;
	raw_open(fixture, &client);
	raw_send_text(&client, "GET /watch HTTP/1.0\r\n\r\n");
	assert_true(counters_wait(&fixture->counters, &fixture->counters.watches, 1));
	fire(fixture, "event", true);
	AUTO_FREE char *answer = raw_read_until(&client, NULL);
	assert_non_null(strstr(answer, "Connection: close\r\n"));
	assert_null(strstr(answer, "chunked"));
	assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\nevent");
	raw_close(&client);
}

// --- clients that leave, stay or don't read ------------------------------------------------

static void test_gone_is_noticed(void **state)
{
	struct server_fixture *fixture = *state;
	struct raw_client client;
	for (int i = 0; i < 3; i++) {
		raw_open(fixture, &client);
		raw_send_text(&client, "GET /watch HTTP/1.1\r\nHost: a\r\n\r\n");
		free(raw_read_until(&client, "\r\n\r\n"));
		if (i == 1)
			SSL_shutdown(client.ssl); // close_notify alone
		if (i == 2)
			setsockopt(client.fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1},
			           sizeof(struct linger));
		if (i != 1)
			close(client.fd);
		assert_true(counters_wait(&fixture->counters, &fixture->counters.gone, i + 1));
		client.fd = i == 1 ? client.fd : -1;
		raw_close(&client);
	}
	fire(fixture, "nobody listens", false);
}

static void test_not_reading_holds_nobody_up(void **state)
{
	struct server_fixture *fixture = *state;
	struct raw_client slow[4];
	for (size_t i = 0; i < ARRAY_SIZE(slow); i++) {
		raw_open_with(fixture, &slow[i], &(struct raw_client_config){.receive_buffer_bytes = 4096});
		raw_send_text(&slow[i], "GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
	}
	assert_true(counters_wait(&fixture->counters, &fixture->counters.requests, ARRAY_SIZE(slow)));
	AUTO_STRBUF struct strbuf out = STRBUF_INIT(1 << 20);
	CURL *curl = curl_new(fixture, "/hello", true, &out);
	for (int i = 0; i < 100; i++)
		assert_int_equal(curl_easy_perform(curl), CURLE_OK);
	curl_easy_cleanup(curl);
	for (size_t i = 0; i < ARRAY_SIZE(slow); i++)
		raw_close(&slow[i]);
}

struct multi_watch {
	CURL *curl;
	struct strbuf out;
};

// Runs the transfers until `done` says so; false when it takes far too long.
static bool run_multi(CURLM *multi, bool (*done)(struct multi_watch *watches, size_t count, CURLM *multi),
                      struct multi_watch *watches, size_t count)
{
	time_t limit = time(NULL) + FIXTURE_WAIT_S;
	while (!done(watches, count, multi)) {
		int running;
		curl_multi_perform(multi, &running);
		if (done(watches, count, multi))
			return true;
		curl_multi_poll(multi, NULL, 0, 100, NULL);
		if (time(NULL) > limit)
			return false;
	}
	return true;
}

static struct server_fixture *multi_fixture;

static bool all_open(struct multi_watch *watches, size_t count, CURLM *multi)
{
	(void)watches, (void)multi;
	pthread_mutex_lock(&multi_fixture->counters.mutex);
	bool open = (size_t)multi_fixture->counters.watches == count;
	pthread_mutex_unlock(&multi_fixture->counters.mutex);
	return open;
}

static bool all_told(struct multi_watch *watches, size_t count, CURLM *multi)
{
	(void)multi;
	for (size_t i = 0; i < count; i++)
		if (watches[i].out.length < 6)
			return false;
	return true;
}

static bool all_ended(struct multi_watch *watches, size_t count, CURLM *multi)
{
	(void)watches, (void)count;
	int running = 0;
	curl_multi_perform(multi, &running);
	return running == 0;
}

static void test_a_thousand_watches_on_one_connection(void **state)
{
	enum { COUNT = 1000 };
	struct server_fixture *fixture = multi_fixture = *state;
	CURLM *multi = curl_multi_init();
	struct multi_watch *watches = xcalloc(COUNT, sizeof(*watches));
	curl_multi_setopt(multi, CURLMOPT_MAX_CONCURRENT_STREAMS, (long)COUNT + 10);
	curl_multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, 1L);
	for (size_t i = 0; i < COUNT; i++) {
		watches[i].out = STRBUF_INIT(4096);
		watches[i].curl = curl_new(fixture, "/watch", true, &watches[i].out);
		curl_easy_setopt(watches[i].curl, CURLOPT_PIPEWAIT, 1L);
		curl_multi_add_handle(multi, watches[i].curl);
	}
	assert_true(run_multi(multi, all_open, watches, COUNT));
	fire(fixture, "event\n", false);
	assert_true(run_multi(multi, all_told, watches, COUNT));
	// One that leaves is noticed, the others stay. (libcurl sends its RST_STREAM with the next thing it does.)
	curl_multi_remove_handle(multi, watches[0].curl);
	fire(fixture, "event\n", false);
	assert_true(run_multi(multi, all_open, watches, COUNT - 1));
	assert_true(counters_wait(&fixture->counters, &fixture->counters.gone, 1));
	fire(fixture, NULL, true);
	assert_true(run_multi(multi, all_ended, watches, COUNT));
	for (size_t i = 0; i < COUNT; i++) {
		assert_string_equal(strbuf_text(&watches[i].out), i ? "event\nevent\n" : "event\n");
		if (i)
			curl_multi_remove_handle(multi, watches[i].curl);
		curl_easy_cleanup(watches[i].curl);
		strbuf_done(&watches[i].out);
	}
	curl_multi_cleanup(multi);
	free(watches);
	assert_int_equal(fixture->counters.gone, 1);
}

static void test_connection_lost_ends_its_streams(void **state)
{
	struct server_fixture *fixture = multi_fixture = *state;
	struct multi_watch watches[20];
	CURLM *multi = curl_multi_init();
	for (size_t i = 0; i < ARRAY_SIZE(watches); i++) {
		watches[i].out = STRBUF_INIT(4096);
		watches[i].curl = curl_new(fixture, "/watch", true, &watches[i].out);
		curl_easy_setopt(watches[i].curl, CURLOPT_PIPEWAIT, 1L);
		curl_multi_add_handle(multi, watches[i].curl);
	}
	assert_true(run_multi(multi, all_open, watches, ARRAY_SIZE(watches)));
	for (size_t i = 0; i < ARRAY_SIZE(watches); i++) {
		curl_multi_remove_handle(multi, watches[i].curl);
		curl_easy_cleanup(watches[i].curl);
		strbuf_done(&watches[i].out);
	}
	curl_multi_cleanup(multi);
	assert_true(counters_wait(&fixture->counters, &fixture->counters.gone, ARRAY_SIZE(watches)));
}

// --- upgrade ---------------------------------------------------------------------------------

static void test_upgrade(void **state)
{
	struct server_fixture *fixture = *state;
	struct raw_client client;
	AUTO_FREE char *long_text = xmalloc(200001);
	memset(long_text, 'y', 200000);
	long_text[199999] = 'z';
	long_text[200000] = '\0';
	raw_open(fixture, &client);
	raw_send_text(&client,
	              "GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly-");
	AUTO_FREE char *answer = raw_read_until(&client, "early-");
	assert_string_equal(answer,
	                    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly-");
	raw_send(&client, long_text, 200000);
	AUTO_FREE char *echo = raw_read_until(&client, "z");
	assert_string_equal(echo, long_text);
	// The server closes: all that it wrote before arrives.
	raw_send_text(&client, "bye!");
	AUTO_FREE char *rest = raw_read_until(&client, NULL);
	assert_string_equal(rest, "bye!");
	raw_close(&client);
	assert_int_equal(fixture->counters.tunnels_closed, 0);
	// The client closes.
	raw_open(fixture, &client);
	raw_send_text(&client, "GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
	free(raw_read_until(&client, "\r\n\r\n"));
	raw_close(&client);
	assert_true(counters_wait(&fixture->counters, &fixture->counters.tunnels_closed, 1));
}

static void test_upgrade_needs_to_be_asked_for(void **state)
{
	static const char *const requests[] = {
	        "GET /upgrade HTTP/1.1\r\nHost: a\r\n\r\n",
	        "GET /upgrade HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\n\r\n",
	        "GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n\r\n",
	};
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		struct raw_client client;
		raw_open(*state, &client);
		raw_send_text(&client, requests[i]);
		AUTO_FREE char *answer = raw_read_until(&client, "\r\n\r\n");
		assert_memory_equal(answer, "HTTP/1.1 400 ", 13);
		raw_close(&client);
	}
	AUTO_STRBUF struct strbuf out = STRBUF_INIT(1 << 20);
	CURL *curl = curl_new(*state, "/upgrade", true, &out);
	assert_int_equal(curl_easy_perform(curl), CURLE_OK);
	assert_int_equal(curl_status(curl), 400);
	curl_easy_cleanup(curl);
}

// --- deadlines ---------------------------------------------------------------------------------

static void test_deadlines(void **state)
{
	static const struct {
		const char *request;
		const char *trickle; // sent one byte at a time until the answer; NULL = silence
		const char *answer;  // its beginning, "" = closed without one
	} rows[] = {
	        {"", NULL, ""},
	        {"GET /hel", "lo HTTP/1.1\r\nX: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
	         "HTTP/1.1 408 "},
	        {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n", NULL, "HTTP/1.1 408 "},
	        {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n", NULL,
	         "HTTP/1.1 408 "},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct raw_client client;
		struct timeval brief = {.tv_usec = 10 * 1000};
		raw_open(*state, &client);
		raw_send_text(&client, rows[i].request);
		// Each wait of 10 ms for the answer sends one byte more.
		setsockopt(client.fd, SOL_SOCKET, SO_RCVTIMEO, &brief, sizeof(brief));
		for (const char *c = rows[i].trickle; c && *c && SSL_peek(client.ssl, &(char){0}, 1) <= 0; c++)
			raw_send(&client, c, 1);
		setsockopt(client.fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){.tv_sec = FIXTURE_WAIT_S},
		           sizeof(struct timeval));
		AUTO_FREE char *answer = raw_read_until(&client, NULL);
		assert_memory_equal(answer, rows[i].answer, strlen(rows[i].answer));
		assert_true(*rows[i].answer || !*answer);
		raw_close(&client);
	}
}

static void test_silent_socket_is_closed(void **state)
{
	char byte;
	int fd = raw_socket(*state, 0);
	assert_int_equal(recv(fd, &byte, 1, 0), 0);
	close(fd);
}

static void test_idle_and_stalled_clients(void **state)
{
	struct server_fixture *fixture = *state;
	struct raw_client watcher, idle, stalled;
	raw_open(fixture, &watcher);
	raw_send_text(&watcher, "GET /watch HTTP/1.1\r\nHost: a\r\n\r\n");
	free(raw_read_until(&watcher, "\r\n\r\n"));
	raw_open_with(fixture, &stalled, &(struct raw_client_config){.receive_buffer_bytes = 4096});
	raw_send_text(&stalled, "GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
	raw_open(fixture, &idle);
	raw_send_text(&idle, "GET /none HTTP/1.1\r\nHost: a\r\n\r\n");
	AUTO_FREE char *answer = raw_read_until(&idle, NULL); // closed while idle
	assert_memory_equal(answer, "HTTP/1.1 404 ", 13);
	// The answer that nobody reads is given up; waiting for the watch's end shows that it stays.
	assert_true(counters_wait(&fixture->counters, &fixture->counters.watches, 1));
	fire(fixture, "still here", true);
	AUTO_FREE char *event = raw_read_until(&watcher, "0\r\n\r\n");
	assert_string_equal(event, "a\r\nstill here\r\n0\r\n\r\n");
	raw_close(&idle);
	raw_close(&watcher);
	server_fixture_stop(fixture, FIXTURE_WAIT_S * NSEC_PER_SEC); // only possible once the stalled one is gone
	raw_close(&stalled);
}

// An idle HTTP/2 connection ends with GOAWAY, PINGs or not; a header block that never ends is cut off.
static void test_http2_deadlines(void **state)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
	static const char ping[] = "\0\0\10\6\0\0\0\0\0abcdefgh";
	static const char open_headers[] =
	        "\0\0\1\1\1\0\0\0\1\x82"; // HEADERS of stream 1, END_STREAM only, ":method: GET"
	for (int trickle = 0; trickle <= 1; trickle++) {
		struct raw_client client;
		char frames[4096];
		size_t used = 0;
		raw_open_with(*state, &client, &(struct raw_client_config){.http2 = true});
		assert_true(client.connected);
		raw_send(&client, preface, sizeof(preface) - 1);
		raw_send(&client, trickle ? open_headers : ping, trickle ? sizeof(open_headers) - 1 : sizeof(ping) - 1);
		for (int count; used < sizeof(frames) &&
		                (count = SSL_read(client.ssl, frames + used, (int)(sizeof(frames) - used))) > 0;)
			used += (size_t)count;
		bool goaway = false;
		for (size_t at = 0; at + 9 <= used;
		     at += 9 + ((size_t)(uint8_t)frames[at + 1] << 8) + (uint8_t)frames[at + 2])
			goaway |= frames[at + 3] == 7;
		assert_int_equal(goaway, !trickle);
		raw_close(&client);
	}
	struct server_fixture *fixture = *state;
	assert_int_equal(fixture->counters.requests, 0);
}

// --- TLS ---------------------------------------------------------------------------------------

static void issue_client(struct server_fixture *fixture, const char *name, const char *usage, long valid_to_s,
                         bool self_signed)
{
	char certificate[32], key[32];
	snprintf(certificate, sizeof(certificate), "%s.crt", name);
	snprintf(key, sizeof(key), "%s.key", name);
	tls_fixture_issue_to(&fixture->tls,
	                     &(struct tls_fixture_request){.common_name = name,
	                                                   .organizations = {"system:masters"},
	                                                   .usage = usage,
	                                                   .valid_to_s = valid_to_s,
	                                                   .issuer = self_signed ? NULL : &fixture->tls.authority},
	                     certificate, key);
}

// What a request with this certificate is answered; "" when the handshake was refused.
static char *hello_with(struct server_fixture *fixture, const char *name)
{
	char certificate[32], key[32];
	struct raw_client client;
	snprintf(certificate, sizeof(certificate), "%s.crt", name);
	snprintf(key, sizeof(key), "%s.key", name);
	raw_open_with(fixture, &client, &(struct raw_client_config){.certificate = certificate, .key = key});
	if (client.connected) // in TLS 1.3 the refusal comes after it
		raw_send_text(&client, "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	char *answer = raw_read_until(&client, NULL);
	raw_close(&client);
	return answer;
}

static void test_client_certificates(void **state)
{
	struct server_fixture *fixture = *state;
	static const char *const refused_names[] = {"selfsigned", "expired", "wrongusage"};
	issue_client(fixture, "selfsigned", "clientAuth", 0, true);
	issue_client(fixture, "expired", "clientAuth", -60, false);
	issue_client(fixture, "wrongusage", "serverAuth", 0, false);
	for (size_t i = 0; i < ARRAY_SIZE(refused_names); i++) {
		AUTO_FREE char *answer = hello_with(fixture, refused_names[i]);
		assert_string_equal(answer, "");
	}
	assert_int_equal(fixture->counters.requests, 0);
	AUTO_FREE char *answer = hello_with(fixture, "client");
	assert_non_null(strstr(answer, "http/1 cn=alice o=dev o=ops")); // without ALPN
}

static void test_resumed_session_keeps_its_identity(void **state)
{
	struct server_fixture *fixture = *state;
	struct raw_client client;
	struct raw_client_config config = {.certificate = "client.crt", .key = "client.key"};
	raw_open_with(fixture, &client, &config);
	raw_send_text(&client, "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	free(raw_read_until(&client, NULL));
	config.session = SSL_get1_session(client.ssl);
	SSL_shutdown(client.ssl); // or OpenSSL would not resume it
	raw_close(&client);
	raw_open_with(fixture, &client, &config);
	assert_int_equal(SSL_session_reused(client.ssl), 1);
	raw_send_text(&client, "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	AUTO_FREE char *answer = raw_read_until(&client, NULL);
	assert_non_null(strstr(answer, "cn=alice o=dev o=ops"));
	raw_close(&client);
	SSL_SESSION_free(config.session);
}

// --- start and stop ----------------------------------------------------------------------------

static void test_port_in_use(void **state)
{
	struct server_fixture *fixture = *state;
	struct err err = ERR_INIT;
	char expected[96];
	struct http_server *server;
	const struct tls_server_config tls = {
	        .certificate_file = tls_fixture_path(&fixture->tls, "server.crt"),
	        .private_key_file = tls_fixture_path(&fixture->tls, "server.key"),
	};
	struct http_server_config config = {
	        .bind_address = "127.0.0.1",
	        .port = http_server_port(fixture->server),
	        .loops = &fixture->loops[0].loop,
	        .loop_count = 1,
	        .tls = &tls,
	        .handler = fixture_handler,
	};
	assert_int_equal(http_server_new(&config, &server, &err), -ERR_IO);
	snprintf(expected, sizeof(expected), "listen tcp 127.0.0.1:%d: bind: address already in use", config.port);
	assert_string_equal(err.message, expected);
	err = ERR_INIT;
	config.bind_address = "no-address";
	assert_int_equal(http_server_new(&config, &server, &err), -ERR_BAD_REQUEST);
}

static void test_graceful_stop(void **state)
{
	struct server_fixture *fixture = multi_fixture = *state;
	struct raw_client idle, watcher;
	struct multi_watch watches[50];
	CURLM *multi = curl_multi_init();
	for (size_t i = 0; i < ARRAY_SIZE(watches); i++) {
		watches[i].out = STRBUF_INIT(4096);
		watches[i].curl = curl_new(fixture, "/watch", true, &watches[i].out);
		curl_easy_setopt(watches[i].curl, CURLOPT_PIPEWAIT, 1L);
		curl_multi_add_handle(multi, watches[i].curl);
	}
	assert_true(run_multi(multi, all_open, watches, ARRAY_SIZE(watches)));
	raw_open(fixture, &idle);
	raw_open(fixture, &watcher);
	raw_send_text(&watcher, "GET /watch HTTP/1.1\r\nHost: a\r\n\r\n");
	free(raw_read_until(&watcher, "\r\n\r\n"));
	http_server_stop(fixture->server, FIXTURE_WAIT_S * NSEC_PER_SEC, on_stopped, fixture);
	AUTO_FREE char *nothing = raw_read_until(&idle, NULL); // closed at once
	assert_string_equal(nothing, "");
	raw_close(&idle);
	fire(fixture, "last\n", true);
	AUTO_FREE char *rest = raw_read_until(&watcher, NULL);
	assert_string_equal(rest, "5\r\nlast\n\r\n0\r\n\r\n");
	raw_close(&watcher);
	assert_true(run_multi(multi, all_ended, watches, ARRAY_SIZE(watches)));
	int ended_well = 0, queued;
	for (CURLMsg *message; (message = curl_multi_info_read(multi, &queued));)
		ended_well += message->data.result == CURLE_OK;
	assert_int_equal(ended_well, ARRAY_SIZE(watches));
	for (size_t i = 0; i < ARRAY_SIZE(watches); i++) {
		assert_string_equal(strbuf_text(&watches[i].out), "last\n");
		curl_multi_remove_handle(multi, watches[i].curl);
		curl_easy_cleanup(watches[i].curl);
		strbuf_done(&watches[i].out);
	}
	curl_multi_cleanup(multi);
	assert_true(counters_wait(&fixture->counters, &fixture->counters.stopped, 1));
	assert_int_equal(fixture->counters.gone, 0);
}

static void test_stop_cuts_what_outlives_the_grace(void **state)
{
	struct server_fixture *fixture = *state;
	struct raw_client watcher, tunnel;
	raw_open(fixture, &watcher);
	raw_send_text(&watcher, "GET /watch HTTP/1.1\r\nHost: a\r\n\r\n");
	free(raw_read_until(&watcher, "\r\n\r\n"));
	raw_open(fixture, &tunnel);
	raw_send_text(&tunnel, "GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
	free(raw_read_until(&tunnel, "\r\n\r\n"));
	server_fixture_stop(fixture, 50 * NSEC_PER_MSEC);
	assert_int_equal(fixture->counters.gone, 1);
	assert_int_equal(fixture->counters.tunnels_closed, 1);
	AUTO_FREE char *rest = raw_read_until(&watcher, NULL);
	assert_string_equal(rest, ""); // no last chunk: an error to its reader
	raw_close(&watcher);
	raw_close(&tunnel);
}

#define TEST(name, setup) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(test_answers_both_protocols, setup_two),
	        TEST(test_bodies_and_their_limit, setup_one),
	        TEST(test_large_answers, setup_one),
	        TEST(test_broken_answer_is_an_error, setup_one),
	        TEST(test_refuses_and_closes, setup_one),
	        TEST(test_oversized_head, setup_one),
	        TEST(test_pipeline_in_pieces, setup_one),
	        TEST(test_many_pipelined_requests, setup_one),
	        TEST(test_expect_continue, setup_one),
	        TEST(test_http10_stream_ends_with_the_connection, setup_one),
	        TEST(test_gone_is_noticed, setup_two),
	        TEST(test_not_reading_holds_nobody_up, setup_one),
	        TEST(test_a_thousand_watches_on_one_connection, setup_one),
	        TEST(test_connection_lost_ends_its_streams, setup_two),
	        TEST(test_upgrade, setup_two),
	        TEST(test_upgrade_needs_to_be_asked_for, setup_one),
	        TEST(test_deadlines, setup_impatient),
	        TEST(test_http2_deadlines, setup_impatient),
	        TEST(test_silent_socket_is_closed, setup_impatient),
	        TEST(test_idle_and_stalled_clients, setup_impatient),
	        TEST(test_client_certificates, setup_two),
	        TEST(test_resumed_session_keeps_its_identity, setup_one),
	        TEST(test_port_in_use, setup_one),
	        TEST(test_graceful_stop, setup_two),
	        TEST(test_stop_cuts_what_outlives_the_grace, setup_two),
	};
	curl_global_init(CURL_GLOBAL_ALL);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	curl_global_cleanup();
	return failed;
}
