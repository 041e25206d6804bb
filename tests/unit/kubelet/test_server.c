// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "kubelet/server/serving_certificate.h"
#include "tests/unit/kubelet/server_fixture.h"

static int setup(void **state)
{
	struct server_fixture *fixture = NEW(struct server_fixture);
	server_fixture_init(fixture);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	server_fixture_done(*state);
	free(*state);
	return 0;
}

// --- who and where -------------------------------------------------------------------

static void anonymous_clients_are_unauthorized(void **state)
{
	static const char *const paths[] = {"/healthz",
	                                    "/pods",
	                                    "/metrics",
	                                    "/nonsense",
	                                    "/containerLogs/default/web/main",
	                                    "/exec/default/web/main?command=id&output=1"};
	struct server_fixture *fixture = *state;
	for (size_t index = 0; index < ARRAY_SIZE(paths); index++) {
		struct reply reply;
		reply_start(fixture, fixture->anonymous, "GET", paths[index], &reply);
		assert_true(fixture_wait(fixture, !reply.call));
		assert_int_equal(reply.status, 401);
		assert_string_equal(strbuf_text(&reply.text), "Unauthorized");
		reply_done(&reply);
	}
}

static void routes_by_path_and_method(void **state)
{
	struct server_fixture *fixture = *state;
	assert_reply(fixture, "/healthz", 200, "ok");
	assert_reply(fixture, "/healthz/ping", 200, "ok");
	assert_reply(fixture, "/healthz/syncloop", 200, "ok");
	assert_reply(fixture, "/", 404, "404: Page Not Found");
	assert_reply(fixture, "/pods/more", 404, "404: Page Not Found");
	assert_reply(fixture, "/containerLogs/default/web", 404, "404: Page Not Found");
	assert_reply(fixture, "/a/b/c/d/e/f/g/h", 404, "404: Page Not Found");
	assert_reply(fixture, "/containerLogs/default/web/%zz", 404, "404: Page Not Found");
	assert_reply(fixture, "/containerLogs/default/web/main?follow=%00", 400,
	             "{\"message\": \"Unable to decode query.\"}");
	assert_reply(fixture, "/attach/default/web/main?output=1", 500, "container not found (\"main\")");
	assert_reply(fixture, "/portForward/default/none", 404, "pod does not exist");
	assert_reply(fixture, "/portForward/default/web", 500, "sandbox is not running");
	struct reply reply;
	reply_start(fixture, fixture->client, "DELETE", "/pods", &reply);
	assert_true(fixture_wait(fixture, !reply.call));
	assert_int_equal(reply.status, 405);
	reply_done(&reply);
}

static void tells_of_its_pods(void **state)
{
	struct server_fixture *fixture = *state;
	struct err err = ERR_INIT;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	assert_reply(fixture, "/runningpods/", 200,
	             "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{},\"items\":[]}\n");
	fixture_run_main(fixture);
	fixture->pod->sandbox.state = PART_READY;
	struct reply reply;
	struct json *value;
	get(fixture, "/pods", &reply);
	assert_int_equal(json_parse(arena, strbuf_text(&reply.text), reply.text.length, NULL, &value, &err), 0);
	assert_string_equal(json_get_text(value, "kind"), "PodList");
	struct json *items = json_get(value, "items");
	assert_int_equal(items->length, 1);
	assert_string_equal(json_text(json_path(items->items[0], "metadata", "uid")), FIXTURE_UID);
	assert_string_equal(json_text(json_path(items->items[0], "spec", "nodeName")), "node-1");
	struct json *statuses = json_path(items->items[0], "status", "containerStatuses");
	assert_non_null(json_path(statuses->items[0], "state", "running"));
	assert_non_null(json_path(statuses->items[1], "state", "waiting"));
	reply_done(&reply);
	get(fixture, "/runningpods/", &reply);
	assert_non_null(strstr(strbuf_text(&reply.text),
	                       "{\"name\":\"main\",\"image\":\"example.org/main:1\",\"resources\":{}}"));
	assert_null(strstr(strbuf_text(&reply.text), "side"));
	reply_done(&reply);
	fixture->pod->sandbox.state = PART_NONE;
}

static void tells_of_itself(void **state)
{
	static const char *const lines[] = {
	        "\nkubelet_running_pods 0\n",
	        "\nkubelet_running_containers{container_state=\"running\"} 1\n",
	        "\nkubelet_node_name{node=\"node-1\"} 1\n",
	        "kubelet_http_requests_total{long_running=\"false\",method=\"GET\",path=\"metrics\",server_type="
	        "\"readwrite\"} 1\n",
	        "\nprocess_resident_memory_bytes ",
	};
	struct server_fixture *fixture = *state;
	fixture_run_main(fixture);
	struct reply reply;
	get(fixture, "/metrics", &reply);
	for (size_t index = 0; index < ARRAY_SIZE(lines); index++)
		assert_non_null(strstr(strbuf_text(&reply.text), lines[index]));
	reply_done(&reply);
	get(fixture, "/configz", &reply);
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct json *value;
	assert_int_equal(json_parse(arena, strbuf_text(&reply.text), reply.text.length, NULL, &value, NULL), 0);
	struct json *config = json_get(value, "kubeletconfig");
	assert_string_equal(json_get_text(config, "syncFrequency"), "1m0s");
	assert_string_equal(json_text(json_path(config, "authentication", "x509", "clientCAFile")),
	                    fixture->config.client_ca_file);
	assert_int_equal(json_get(config, "maxPods")->integer, 110);
	reply_done(&reply);
}

// --- the serving certificate ---------------------------------------------------------

static char *read_text(const char *folder, const char *name)
{
	AUTO_FREE char *path = xasprintf("%s/%s", folder, name);
	struct strbuf text = STRBUF_INIT(1 << 20);
	assert_int_equal(file_read(path, &text, NULL), 0);
	return strbuf_take(&text, NULL);
}

static void keeps_and_renews_its_certificate(void **state)
{
	struct server_fixture *fixture = *state;
	const char *folder = fixture->config.certificate_directory;
	struct err err = ERR_INIT;
	assert_int_equal(serving_certificate_ensure(folder, "node-1", "10.0.0.7", &err), 0);
	AUTO_FREE char *first = read_text(folder, "kubelet.crt");
	assert_int_equal(serving_certificate_ensure(folder, "node-1", "10.0.0.7", &err), 0);
	AUTO_FREE char *kept = read_text(folder, "kubelet.crt");
	assert_string_equal(kept, first);
	struct stat status;
	AUTO_FREE char *key_path = xasprintf("%s/kubelet.key", folder);
	AUTO_FREE char *certificate_path = xasprintf("%s/kubelet.crt", folder);
	assert_int_equal(stat(key_path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	// Another address.
	assert_int_equal(serving_certificate_ensure(folder, "node-1", "fd00::7", &err), 0);
	AUTO_FREE char *moved = read_text(folder, "kubelet.crt");
	assert_string_not_equal(moved, first);
	// A crash between key and certificate.
	assert_int_equal(file_write_atomic(certificate_path, first, strlen(first), 0644, &err), 0);
	assert_int_equal(serving_certificate_ensure(folder, "node-1", "10.0.0.7", &err), 0);
	AUTO_FREE char *mended = read_text(folder, "kubelet.crt");
	assert_string_not_equal(mended, first);
	// Soon at its end.
	struct tls_fixture_cert old = tls_fixture_issue(&(struct tls_fixture_request){
	        .common_name = "node-1",
	        .alternative_names = "DNS:node-1,IP:10.0.0.7",
	        .usage = "serverAuth",
	        .valid_to_s = 3600,
	});
	tls_fixture_save(&old, certificate_path, key_path);
	tls_fixture_drop(&old);
	AUTO_FREE char *expiring = read_text(folder, "kubelet.crt");
	assert_int_equal(serving_certificate_ensure(folder, "node-1", "10.0.0.7", &err), 0);
	AUTO_FREE char *renewed = read_text(folder, "kubelet.crt");
	assert_string_not_equal(renewed, expiring);
	assert_int_not_equal(serving_certificate_ensure(folder, "node-1", "nonsense", &err), 0);
}

static void serves_with_its_own_certificate(void **state)
{
	struct server_fixture *fixture = *state;
	struct err err = ERR_INIT;
	fixture->server = kubelet_server_free(fixture->server);
	fixture->config.tls_certificate_file = "";
	assert_int_equal(kubelet_server_new(&fixture->kubelet, NULL, &fixture->server, &err), 0);
	AUTO_FREE char *path = xasprintf("%s/kubelet.crt", fixture->config.certificate_directory);
	const struct http_client_config config = {
	        .tls = {.ca_file = path,
	                .certificate_file = tls_fixture_path(&fixture->tls, "client.crt"),
	                .private_key_file = tls_fixture_path(&fixture->tls, "client.key")},
	};
	struct http_client *client = http_client_new(fixture->loop, &config);
	struct reply reply;
	reply_start(fixture, client, "GET", "/healthz", &reply);
	assert_true(fixture_wait(fixture, !reply.call));
	assert_int_equal(reply.status, 200);
	reply_done(&reply);
	http_client_free(client);
}

// --- logs ----------------------------------------------------------------------------

#define LOGS "/containerLogs/default/web/main"

static char *log_path(struct server_fixture *fixture, int restart)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	return xstrdup(pod_log_path(arena, fixture->pod, "main", restart));
}

static int open_log(struct server_fixture *fixture, int restart)
{
	AUTO_FREE char *path = log_path(fixture, restart);
	AUTO_FREE char *folder = xstrndup(path, (size_t)(strrchr(path, '/') - path));
	struct err err = ERR_INIT;
	assert_int_equal(file_make_folders(folder, 0755, &err), 0);
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	assert_true(fd >= 0);
	return fd;
}

static void append(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

#define STAMP(second) "2026-01-02T15:04:0" #second ".000000000Z"
static const char three_lines[] =
        STAMP(1) " stdout F one\n" STAMP(2) " stderr F two\n" STAMP(3) " stdout P thr\n" STAMP(3) " stdout F ee\n";

static void logs_with_options(void **state)
{
	struct server_fixture *fixture = *state;
	fixture_run_main(fixture);
	AUTO_CLOSE int fd = open_log(fixture, 1);
	AUTO_CLOSE int last_fd = open_log(fixture, 0);
	append(fd, three_lines);
	append(last_fd, STAMP(0) " stdout F before\n");
	assert_reply(fixture, LOGS, 200, "one\ntwo\nthree\n");
	assert_reply(fixture, LOGS "?tailLines=3&follow=false", 200,
	             "two\nthree\n"); // a line's parts count, as upstream's
	assert_reply(fixture, LOGS "?tailLines=0", 200, "");
	assert_reply(fixture, LOGS "?limitBytes=5", 200, "one\nt");
	assert_reply(fixture, LOGS "?sinceTime=2026-01-02T15:04:02Z", 200, "two\nthree\n");
	assert_reply(fixture, LOGS "?sinceTime=2026-01-02T16:04:03%2B01:00", 200, "three\n");
	assert_reply(fixture, LOGS "?sinceSeconds=5", 200, "");
	assert_reply(fixture, LOGS "?sinceSeconds=9000000000000000000", 200, "one\ntwo\nthree\n");
	assert_reply(fixture, LOGS "?timestamps=true", 200, STAMP(1) " one\n" STAMP(2) " two\n" STAMP(3) " three\n");
	assert_reply(fixture, LOGS "?stream=Stdout", 200, "one\nthree\n");
	assert_reply(fixture, LOGS "?stream=Stderr&previous=0", 200, "two\n");
	assert_reply(fixture, LOGS "?previous=true", 200, "before\n");
}

static void logs_refused(void **state)
{
	struct server_fixture *fixture = *state;
	static const char *const undecodable[] = {"tailLines=x", "tailLines=1x", "limitBytes=%20",
	                                          "sinceTime=yesterday"};
	static const char *const invalid[] = {"tailLines=-1",   "limitBytes=0",
	                                      "sinceSeconds=0", "sinceSeconds=5&sinceTime=2026-01-02T15:04:02Z",
	                                      "stream=Stdin",   "stream=Stdout&tailLines=1"};
	char path[128];
	for (size_t index = 0; index < ARRAY_SIZE(undecodable); index++) {
		snprintf(path, sizeof(path), "%s?%s", LOGS, undecodable[index]);
		assert_reply(fixture, path, 400, "{\"message\": \"Unable to decode query.\"}");
	}
	for (size_t index = 0; index < ARRAY_SIZE(invalid); index++) {
		snprintf(path, sizeof(path), "%s?%s", LOGS, invalid[index]);
		assert_reply(fixture, path, 422, "{\"message\": \"Invalid request.\"}");
	}
	assert_reply(fixture, "/containerLogs/default/none/main", 404, "pod \"none\" does not exist\n");
	assert_reply(fixture, "/containerLogs/default/web/none", 404, "container \"none\" not found in pod \"web\"\n");
	assert_reply(fixture, LOGS, 400, "container \"main\" in pod \"web\" is waiting to start: ContainerCreating");
	assert_reply(fixture, LOGS "?previous=true", 400,
	             "previous terminated container \"main\" in pod \"web\" not found");
	fixture->pod->containers[0]->waiting_reason = xstrdup("ImagePullBackOff");
	assert_reply(fixture, LOGS, 400,
	             "container \"main\" in pod \"web\" is waiting to start: trying and failing to pull image");
}

static void a_follower_hears_of_every_line(void **state)
{
	struct server_fixture *fixture = *state;
	fixture_run_main(fixture);
	AUTO_CLOSE int fd = open_log(fixture, 1);
	append(fd, three_lines);
	struct reply reply;
	struct reply second;
	reply_start(fixture, fixture->client, "GET", LOGS "?follow=true&tailLines=0", &reply);
	reply_start(fixture, fixture->client, "GET", LOGS "?follow=true", &second);
	assert_true(fixture_wait(fixture, reply.status == 200 && second.text.length));
	append(fd, STAMP(4) " stdout F four\n" STAMP(5) " stdout F fi");
	assert_true(fixture_wait(fixture, reply.text.length >= 5));
	assert_string_equal(strbuf_text(&reply.text), "four\n");
	append(fd, "ve\n");
	assert_true(fixture_wait(fixture, reply.text.length >= 10 && second.text.length >= 24));
	assert_string_equal(strbuf_text(&reply.text), "four\nfive\n");
	assert_string_equal(strbuf_text(&second.text), "one\ntwo\nthree\nfour\nfive\n");
	// The client leaves: the other one goes on.
	reply_done(&second);
	// The log is rotated, as crilog does.
	AUTO_FREE char *path = log_path(fixture, 1);
	AUTO_FREE char *renamed = xasprintf("%s.20260102-150406", path);
	append(fd, STAMP(6) " stdout F six\n");
	assert_int_equal(rename(path, renamed), 0);
	close(fd);
	fd = open_log(fixture, 1);
	append(fd, STAMP(7) " stdout F seven\n");
	assert_true(fixture_wait(fixture, reply.text.length >= 20));
	// The container ends; the logger still has something to say.
	fixture_end_main(fixture);
	append(fd, STAMP(8) " stdout F eight\n");
	close(take_fd(&fd));
	assert_true(fixture_wait(fixture, !reply.call));
	assert_false(reply.failed);
	assert_string_equal(strbuf_text(&reply.text), "four\nfive\nsix\nseven\neight\n");
	reply_done(&reply);
}

// Its word on the end comes late, and never from the logger.
static void a_follower_ends_with_its_container(void **state)
{
	struct server_fixture *fixture = *state;
	fixture_run_main(fixture);
	AUTO_CLOSE int fd = open_log(fixture, 1);
	struct reply reply;
	reply_start(fixture, fixture->client, "GET", LOGS "?follow=true", &reply);
	append(fd, three_lines);
	assert_true(fixture_wait(fixture, reply.text.length >= 14));
	fixture_end_main(fixture);
	assert_true(fixture_wait(fixture, !reply.call));
	assert_false(reply.failed);
	reply_done(&reply);
	// What has ended long ago is read and ended at once.
	fixture->pod->containers[0]->run.finished_at_ns -= 60 * NSEC_PER_SEC;
	assert_reply(fixture, LOGS "?follow=true", 200, "one\ntwo\nthree\n");
}

static void a_follower_ends_with_its_limit(void **state)
{
	struct server_fixture *fixture = *state;
	fixture_run_main(fixture);
	AUTO_CLOSE int fd = open_log(fixture, 1);
	append(fd, STAMP(1) " stdout F one\n");
	struct reply reply;
	reply_start(fixture, fixture->client, "GET", LOGS "?follow=true&limitBytes=6", &reply);
	assert_true(fixture_wait(fixture, reply.text.length == 4));
	append(fd, STAMP(2) " stderr F two\n");
	assert_true(fixture_wait(fixture, !reply.call));
	assert_string_equal(strbuf_text(&reply.text), "one\ntw");
	reply_done(&reply);
}

// 64 MiB to a client that takes its time.
static void a_long_log_is_whole(void **state)
{
	enum { LINES = 1 << 16, TEXT_BYTES = 1023 };
	struct server_fixture *fixture = *state;
	fixture_run_main(fixture);
	AUTO_CLOSE int fd = open_log(fixture, 1);
	char line[TEXT_BYTES + 64];
	size_t length = (size_t)snprintf(line, sizeof(line), STAMP(1) " stdout F %0*d\n", TEXT_BYTES, 0);
	for (int index = 0; index < LINES; index++) {
		int at = snprintf(line + length - 9, 9, "%08d", index);
		line[length - 9 + (size_t)at] = '\n';
		assert_int_equal(write(fd, line, length), length);
	}
	struct reply reply;
	get(fixture, LOGS, &reply);
	assert_int_equal(reply.text.length, (size_t)LINES * (TEXT_BYTES + 1));
	for (int index = 0; index < LINES; index += 4099)
		assert_int_equal(atoi(strbuf_text(&reply.text) + (size_t)index * (TEXT_BYTES + 1) + TEXT_BYTES - 8),
		                 index);
	reply_done(&reply);
}

// The server ends under its followers.
static void the_end_cuts_followers_off(void **state)
{
	struct server_fixture *fixture = *state;
	fixture_run_main(fixture);
	AUTO_CLOSE int fd = open_log(fixture, 1);
	struct reply replies[3];
	append(fd, three_lines);
	for (size_t index = 0; index < ARRAY_SIZE(replies); index++)
		reply_start(fixture, fixture->client, "GET", LOGS "?follow=true", &replies[index]);
	for (size_t index = 0; index < ARRAY_SIZE(replies); index++)
		assert_true(fixture_wait(fixture, replies[index].text.length == 14));
	fixture->server = kubelet_server_free(fixture->server);
	for (size_t index = 0; index < ARRAY_SIZE(replies); index++) {
		assert_true(fixture_wait(fixture, !replies[index].call));
		assert_true(replies[index].failed);
		reply_done(&replies[index]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(anonymous_clients_are_unauthorized, setup, teardown),
	        cmocka_unit_test_setup_teardown(routes_by_path_and_method, setup, teardown),
	        cmocka_unit_test_setup_teardown(tells_of_its_pods, setup, teardown),
	        cmocka_unit_test_setup_teardown(tells_of_itself, setup, teardown),
	        cmocka_unit_test_setup_teardown(keeps_and_renews_its_certificate, setup, teardown),
	        cmocka_unit_test_setup_teardown(serves_with_its_own_certificate, setup, teardown),
	        cmocka_unit_test_setup_teardown(logs_with_options, setup, teardown),
	        cmocka_unit_test_setup_teardown(logs_refused, setup, teardown),
	        cmocka_unit_test_setup_teardown(a_follower_hears_of_every_line, setup, teardown),
	        cmocka_unit_test_setup_teardown(a_follower_ends_with_its_container, setup, teardown),
	        cmocka_unit_test_setup_teardown(a_follower_ends_with_its_limit, setup, teardown),
	        cmocka_unit_test_setup_teardown(a_long_log_is_whole, setup, teardown),
	        cmocka_unit_test_setup_teardown(the_end_cuts_followers_off, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
