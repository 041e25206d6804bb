// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/memory.h"
#include "common/io/plain_server.h"

static atomic_bool etcd_fine = true;

static bool check_flag(void *context)
{
	return !context || atomic_load((atomic_bool *)context);
}

static const struct health_check checks[] = {
        {"ping", HEALTH_HEALTHZ | HEALTH_LIVEZ | HEALTH_READYZ, check_flag, NULL},
        {"etcd", HEALTH_LIVEZ | HEALTH_READYZ, check_flag, &etcd_fine},
        {0},
};

static void assert_health(const char *path, const char *query, int status, const char *text)
{
	AUTO_STRBUF struct strbuf out = STRBUF_INIT(4096);
	assert_int_equal(health_respond(checks, path, query, &out), status);
	assert_string_equal(strbuf_text(&out), text);
}

static void test_health_texts(void **state UNUSED)
{
	atomic_store(&etcd_fine, true);
	assert_health("/livez", "", 200, "ok");
	assert_health("/livez", "verbose", 200, "[+]ping ok\n[+]etcd ok\nlivez check passed\n");
	assert_health("/healthz/", "verbose=1", 200, "[+]ping ok\nhealthz check passed\n");
	assert_health("/readyz/etcd", "", 200, "ok");
	assert_health("/healthz/etcd", "", 404, "404 page not found\n");
	assert_health("/livezz", "", 404, "404 page not found\n");
	atomic_store(&etcd_fine, false);
	assert_health("/readyz", "", 500, "[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed\n");
	assert_health("/readyz/etcd", "", 500, "internal server error: reason withheld\n");
	assert_health("/readyz", "exclude=etcd", 200, "ok");
	assert_health("/readyz", "verbose&exclude=etcd&exclude=no%22pe", 200,
	              "[+]ping ok\n[+]etcd excluded: ok\n"
	              "warn: some health checks cannot be excluded: no matches for \"no%22pe\"\nreadyz check passed\n");
	AUTO_STRBUF struct strbuf out = STRBUF_INIT(4096);
	assert_int_equal(health_respond(NULL, "/livez", "verbose", &out), 200);
	assert_string_equal(strbuf_text(&out), "[+]ping ok\nlivez check passed\n");
}

// Sends the text on one connection and reads until the server closes.
static void talk(int port, const char *request, struct strbuf *answer)
{
	AUTO_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = {
	        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
	char part[4096];
	for (ssize_t length; (length = recv(fd, part, sizeof(part), 0)) > 0;)
		strbuf_append(answer, part, (size_t)length);
}

static void assert_answer(int port, const char *request, const char *status_line, const char *end)
{
	AUTO_STRBUF struct strbuf answer = STRBUF_INIT(1 << 20);
	talk(port, request, &answer);
	if (strncmp(strbuf_text(&answer), status_line, strlen(status_line)) != 0)
		fail_msg("%s", strbuf_text(&answer));
	assert_true(answer.length >= strlen(end));
	assert_string_equal(answer.data + answer.length - strlen(end), end);
}

static void test_over_the_wire(void **state UNUSED)
{
	static const struct metric_family up = {"up", "Up.", METRIC_GAUGE};
	struct err err = ERR_INIT;
	struct plain_server *server = NULL;
	struct plain_server_config config = {
	        .bind_address = "127.0.0.1", .checks = checks, .metrics = metrics_registry_new()};
	metric_set(metric_get(config.metrics, &up, NULL), 1);
	atomic_store(&etcd_fine, true);
	assert_int_equal(plain_server_new(&config, &server, &err), 0);
	int port = plain_server_port(server);
	assert_answer(port, "GET /livez?verbose HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
	              "HTTP/1.1 200 OK\r\n", "[+]etcd ok\nlivez check passed\n");
	// Two requests on one connection.
	assert_answer(
	        port,
	        "GET /livez HTTP/1.1\r\nHost: x\r\n\r\nHEAD /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
	        "HTTP/1.1 200 OK\r\n", "\r\n\r\n");
	assert_answer(port, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 OK\r\n",
	              "\nup 1\n");
	assert_answer(port, "GET /secret HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
	              "HTTP/1.1 404 Not Found\r\n", "\r\n\r\n404 page not found\n");
	assert_answer(port, "POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc",
	              "HTTP/1.1 405 Method Not Allowed\r\n", "Method Not Allowed\n");
	atomic_store(&etcd_fine, false);
	assert_answer(port, "GET /readyz HTTP/1.0\r\n\r\n", "HTTP/1.", "readyz check failed\n");

	struct plain_server *second = NULL;
	config.port = port;
	assert_true(plain_server_new(&config, &second, &err) < 0);
	AUTO_FREE char *expected = xasprintf("listen tcp 127.0.0.1:%d: bind: address already in use", port);
	assert_string_equal(err.message, expected);
	plain_server_free(server);
	metrics_registry_free(config.metrics);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_health_texts),
	        cmocka_unit_test(test_over_the_wire),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
