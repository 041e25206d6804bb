// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/api_fixture.h"

// The test's server answers by path; it notes the last request and how many came.
struct server {
	struct api_fixture api;
	unsigned requests;
	unsigned refusals_left;
	char *last_address; // of the client's end; each new connection has another
	unsigned addresses;
	char *method, *path, *query, *body, *content_type, *agent, *authorization;
	struct http_exchange *held; // a watch that is kept open
	const char *watch_text;     // written at its start
};

static void note(char **place, const char *text)
{
	free(*place);
	*place = xstrdup(text ? text : "");
}

static void note_request(struct server *server, const struct http_request *request)
{
	server->requests++;
	if (!server->last_address || strcmp(server->last_address, request->remote_address) != 0)
		server->addresses++;
	note(&server->last_address, request->remote_address);
	note(&server->method, request->method);
	note(&server->path, request->path);
	note(&server->query, request->query);
	note(&server->body, request->body);
	note(&server->content_type, http_request_header(request, "content-type"));
	note(&server->agent, http_request_header(request, "user-agent"));
	note(&server->authorization, http_request_header(request, "authorization"));
}

static void handle(void *context, struct http_exchange *exchange)
{
	struct server *server = context;
	const struct http_request *request = http_exchange_request(exchange);
	note_request(server, request);
	if (strstr(request->query, "watch=true")) {
		const struct http_header headers[] = {{"content-type", "application/json"}};
		server->held = http_exchange_ref(exchange);
		http_exchange_start(exchange, 200, headers, 1);
		api_fixture_write(exchange, server->watch_text);
	} else if (strstr(request->path, "missing")) {
		api_fixture_answer_status(exchange, 404, "NotFound", "pods \\\"missing\\\" not found");
	} else if (strstr(request->path, "plain404")) {
		api_fixture_respond(exchange, 404, NULL, 0, "404 page");
	} else if (strstr(request->path, "busy") && server->refusals_left > 0) {
		const struct http_header headers[] = {{"content-type", "application/json"}, {"retry-after", "3"}};
		const char *text =
		        "{\"kind\":\"Status\",\"status\":\"Failure\",\"reason\":\"TooManyRequests\",\"message\":"
		        "\"slow down\",\"code\":429,\"details\":{\"retryAfterSeconds\":3}}";
		server->refusals_left--;
		api_fixture_respond(exchange, 429, headers, 2, text);
	} else if (strstr(request->path, "broken")) {
		api_fixture_answer(exchange, 200, "{\"kind\":");
	} else if (strstr(request->path, "healthz")) {
		api_fixture_respond(exchange, 200, NULL, 0, "ok");
	} else {
		api_fixture_answer(exchange, 200, "{\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\"}}");
	}
}

struct outcome {
	unsigned count;
	int status;
	struct err err;
	char text[256];
	char kind[64];
	int64_t retry_after_ns;
	struct rest_call *cancel_inside;
};

static void on_done(void *context, const struct rest_response *response)
{
	struct outcome *outcome = context;
	outcome->count++;
	outcome->status = response->http_status;
	outcome->err = response->err;
	outcome->retry_after_ns = response->retry_after_ns;
	snprintf(outcome->text, sizeof(outcome->text), "%.*s", (int)response->body_length,
	         response->body ? response->body : "");
	const char *kind = json_get_text(response->object, "kind");
	snprintf(outcome->kind, sizeof(outcome->kind), "%s", kind ? kind : "");
}

static void open_server(struct server *server)
{
	memset(server, 0, sizeof(*server));
	api_fixture_open(&server->api, handle, server);
}

static void close_server(struct server *server)
{
	if (server->held)
		server->held = http_exchange_unref(server->held);
	api_fixture_close(&server->api);
	free(server->last_address);
	char *texts[] = {server->method,       server->path,  server->query,        server->body,
	                 server->content_type, server->agent, server->authorization};
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		free(texts[i]);
}

static void get(struct server *server, const char *path, struct outcome *outcome)
{
	const struct rest_request request = {.method = "GET", .path = path};
	*outcome = (struct outcome){0};
	assert_non_null(rest_start(server->api.client, &request, on_done, outcome));
	assert_int_equal(outcome->count, 0); // never from inside
	api_fixture_until(&server->api, outcome->count > 0);
}

static void test_paths(void **state)
{
	(void)state;
	const struct schema_resource *pods = schema_find_resource("", "v1", "pods");
	const struct schema_resource *deployments = schema_find_resource("apps", "v1", "deployments");
	const struct schema_resource *nodes = schema_find_resource("", "v1", "nodes");
	const struct {
		struct rest_request request;
		const char *path;
	} cases[] = {
	        {{.resource = pods}, "/api/v1/pods"},
	        {{.resource = pods, .namespace_name = "ns", .name = "a b"}, "/api/v1/namespaces/ns/pods/a%20b"},
	        {{.resource = pods, .namespace_name = "ns", .name = "a", .subresource = "binding"},
	         "/api/v1/namespaces/ns/pods/a/binding"},
	        {{.resource = deployments, .namespace_name = "x", .query = "limit=5"},
	         "/apis/apps/v1/namespaces/x/deployments?limit=5"},
	        {{.resource = nodes, .namespace_name = "ignored", .name = "n"}, "/api/v1/nodes/n"},
	        {{.path = "/version"}, "/version"},
	        {{.path = "/logs?a=b", .query = "c=d"}, "/logs?a=b&c=d"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO_FREE char *path = rest_request_path(&cases[i].request);
		assert_string_equal(path, cases[i].path);
	}
}

static void test_write_and_headers(void **state)
{
	(void)state;
	struct server server;
	struct outcome outcome = {0};
	open_server(&server);
	const char *body = "{\"spec\":{}}";
	const struct rest_request request = {
	        .method = "PATCH",
	        .resource = schema_find_resource("", "v1", "pods"),
	        .namespace_name = "ns",
	        .name = "a",
	        .subresource = "status",
	        .body_type = REST_STRATEGIC_MERGE_PATCH,
	        .body = body,
	        .body_length = strlen(body),
	};
	rest_start(server.api.client, &request, on_done, &outcome);
	api_fixture_until(&server.api, outcome.count > 0);
	assert_int_equal(outcome.err.code, ERR_NONE);
	assert_string_equal(outcome.kind, "Pod");
	assert_string_equal(server.method, "PATCH");
	assert_string_equal(server.path, "/api/v1/namespaces/ns/pods/a/status");
	assert_string_equal(server.body, body);
	assert_string_equal(server.content_type, "application/strategic-merge-patch+json");
	assert_string_equal(server.agent, "test/v1 (linux/amd64)");
	assert_string_equal(server.authorization, "Bearer the-token");
	close_server(&server);
}

static void test_failures_have_one_shape(void **state)
{
	(void)state;
	struct server server;
	struct outcome outcome;
	open_server(&server);
	get(&server, "/missing", &outcome);
	assert_int_equal(outcome.status, 404);
	assert_int_equal(outcome.err.code, ERR_NOT_FOUND);
	assert_string_equal(outcome.err.message, "pods \"missing\" not found");
	get(&server, "/plain404", &outcome);
	assert_int_equal(outcome.err.code, ERR_NOT_FOUND);
	assert_string_equal(outcome.err.message, "the server could not find the requested resource");
	get(&server, "/broken", &outcome);
	assert_int_equal(outcome.err.code, ERR_PARSE);
	get(&server, "/healthz", &outcome);
	assert_int_equal(outcome.err.code, ERR_NONE);
	assert_string_equal(outcome.text, "ok");
	assert_string_equal(outcome.kind, "");
	api_fixture_stop_server(&server.api);
	get(&server, "/gone", &outcome);
	assert_int_equal(outcome.status, 0);
	assert_true(outcome.err.code != ERR_NONE);
	assert_ptr_equal(strstr(outcome.err.message, "Get \"https://127.0.0.1:"), outcome.err.message);
	assert_int_equal(outcome.count, 1);
	close_server(&server);
}

static void test_too_many_requests_are_waited_out(void **state)
{
	(void)state;
	struct server server;
	struct outcome outcome;
	open_server(&server);
	server.refusals_left = 2;
	int64_t before_ns = loop_now_ns(server.api.loop);
	get(&server, "/busy", &outcome);
	assert_int_equal(outcome.err.code, ERR_NONE);
	assert_int_equal(server.requests, 3);
	assert_true(loop_now_ns(server.api.loop) - before_ns >= 6 * NSEC_PER_SEC);
	server.refusals_left = 1000;
	server.requests = 0;
	get(&server, "/busy", &outcome);
	assert_int_equal(outcome.err.code, ERR_TOO_MANY_REQUESTS);
	assert_int_equal(outcome.retry_after_ns, 3 * NSEC_PER_SEC);
	assert_int_equal(server.requests, 11);
	// Cancelled while it waits for its next try.
	const struct rest_request request = {.method = "GET", .path = "/busy"};
	outcome = (struct outcome){0};
	server.requests = 0;
	struct rest_call *call = rest_start(server.api.client, &request, on_done, &outcome);
	api_fixture_until(&server.api, server.requests == 1);
	for (int i = 0; i < 20; i++)
		api_fixture_step(&server.api, NSEC_PER_MSEC);
	rest_cancel(call);
	for (int i = 0; i < 20; i++)
		api_fixture_step(&server.api, NSEC_PER_SEC);
	assert_int_equal(outcome.count, 0);
	assert_int_equal(server.requests, 1);
	close_server(&server);
}

struct crowd {
	unsigned done, failed;
};

static void on_crowd_done(void *context, const struct rest_response *response)
{
	struct crowd *crowd = context;
	crowd->done++;
	crowd->failed += response->err.code != ERR_NONE;
}

// Far more calls than a connection has streams: all are answered, one connection serves them, and
// calls that are cancelled while they wait in line take no room.
static void test_many_calls_at_once(void **state)
{
	(void)state;
	struct server server;
	struct crowd crowd = {0};
	struct crowd cancelled = {0};
	struct rest_call *calls[400];
	const struct rest_request request = {.method = "GET", .path = "/many"};
	open_server(&server);
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		calls[i] = rest_start(server.api.client, &request, on_crowd_done, i % 4 ? &crowd : &cancelled);
	for (size_t i = 0; i < ARRAY_SIZE(calls); i += 4)
		rest_cancel(calls[i]);
	api_fixture_until(&server.api, crowd.done == 300);
	assert_int_equal(crowd.failed, 0);
	assert_int_equal(cancelled.done, 0);
	assert_int_equal(server.addresses, 1);
	// Freed with calls under way and in line: nothing comes any more.
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		rest_start(server.api.client, &request, on_crowd_done, &cancelled);
	close_server(&server);
	assert_int_equal(cancelled.done, 0);
}

// --- watches ---------------------------------------------------------------------------

struct watcher {
	char seen[512];
	unsigned ends;
	struct err end;
	struct rest_call *call;
	bool cancel_at_event;
};

static void on_event(void *context, enum watch_event_type type, const struct json *object)
{
	struct watcher *watcher = context;
	size_t used = strlen(watcher->seen);
	const char *name = json_get_text(json_get(object, "metadata"), "name");
	snprintf(watcher->seen + used, sizeof(watcher->seen) - used, "%d:%s ", type, name ? name : "-");
	if (watcher->cancel_at_event)
		rest_cancel(watcher->call);
}

static void on_end(void *context, const struct err *err)
{
	struct watcher *watcher = context;
	watcher->ends++;
	watcher->end = *err;
}

static void start_watch(struct server *server, struct watcher *watcher, const char *text)
{
	static const struct watch_callbacks callbacks = {.on_event = on_event, .on_end = on_end};
	const struct rest_request request = {.method = "GET", .resource = schema_find_resource("", "v1", "pods")};
	*watcher = (struct watcher){.cancel_at_event = watcher->cancel_at_event};
	server->watch_text = text;
	if (server->held)
		server->held = http_exchange_unref(server->held);
	watcher->call = rest_watch(server->api.client, &request, "42", &callbacks, watcher);
}

#define EVENT(type, name) "{\"type\":\"" type "\",\"object\":{\"metadata\":{\"name\":\"" name "\"}}}\n"

static void test_watch_splits_lines(void **state)
{
	(void)state;
	struct server server;
	struct watcher watcher = {0};
	open_server(&server);
	start_watch(&server, &watcher, EVENT("ADDED", "a") EVENT("MODIFIED", "a") "{\"type\":\"DELE");
	api_fixture_until(&server.api, strlen(watcher.seen) >= 8);
	assert_string_equal(server.query, "watch=true&resourceVersion=42");
	api_fixture_write(server.held, "TED\",\"object\":{\"metadata\"");
	for (int i = 0; i < 10; i++)
		api_fixture_step(&server.api, NSEC_PER_MSEC);
	assert_string_equal(watcher.seen, "0:a 1:a ");
	api_fixture_write(server.held, ":{\"name\":\"b\"}}}\n" EVENT("BOOKMARK", "c"));
	api_fixture_until(&server.api, strlen(watcher.seen) >= 16);
	assert_string_equal(watcher.seen, "0:a 1:a 2:b 3:c ");
	http_exchange_end(server.held);
	api_fixture_until(&server.api, watcher.ends > 0);
	assert_int_equal(watcher.end.code, ERR_NONE);
	close_server(&server);
}

static void test_watch_endings(void **state)
{
	(void)state;
	struct server server;
	struct watcher watcher = {0};
	open_server(&server);
	start_watch(&server, &watcher,
	            EVENT("ADDED",
	                  "a") "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"status\":\"Failure\",\"reason\":"
	                       "\"Expired\",\"message\":\"too old\",\"code\":410}}\n" EVENT("ADDED", "never"));
	api_fixture_until(&server.api, watcher.ends > 0);
	assert_string_equal(watcher.seen, "0:a ");
	assert_int_equal(watcher.end.code, ERR_EXPIRED);
	assert_string_equal(watcher.end.message, "too old");
	start_watch(&server, &watcher, EVENT("SURPRISE", "a"));
	api_fixture_until(&server.api, watcher.ends > 0);
	assert_int_equal(watcher.end.code, ERR_PARSE);
	start_watch(&server, &watcher, EVENT("ADDED", "a"));
	api_fixture_until(&server.api, watcher.seen[0]);
	http_exchange_abort(server.held);
	api_fixture_until(&server.api, watcher.ends > 0);
	assert_true(watcher.end.code != ERR_NONE);
	assert_int_equal(watcher.ends, 1);
	close_server(&server);
}

static void test_watch_cancelled_inside_its_event(void **state)
{
	(void)state;
	struct server server;
	struct watcher watcher = {.cancel_at_event = true};
	open_server(&server);
	start_watch(&server, &watcher, EVENT("ADDED", "a") EVENT("ADDED", "b") EVENT("ADDED", "c"));
	api_fixture_until(&server.api, watcher.seen[0]);
	for (int i = 0; i < 20; i++)
		api_fixture_step(&server.api, NSEC_PER_MSEC);
	assert_string_equal(watcher.seen, "0:a ");
	assert_int_equal(watcher.ends, 0);
	close_server(&server);
}

static void test_endpoint(void **state)
{
	(void)state;
	struct server server;
	struct rest_endpoint endpoint;
	struct err err = ERR_INIT;
	open_server(&server);
	assert_int_equal(rest_client_endpoint(server.api.client, &endpoint, &err), 0);
	assert_string_equal(endpoint.host, "127.0.0.1");
	assert_int_equal(endpoint.port, server.api.port);
	assert_string_equal(endpoint.base_path, "");
	assert_string_equal(endpoint.authorization, "Bearer the-token");
	assert_non_null(endpoint.tls);
	close_server(&server);
}

static void test_bad_server_address(void **state)
{
	(void)state;
	struct rest_client *client = NULL;
	struct err err = ERR_INIT;
	const struct client_config config = {.server = "gopher://x"};
	assert_int_equal(rest_client_new(NULL, &config, "x", &client, &err), -ERR_INVALID);
	assert_null(client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_paths),
	        cmocka_unit_test(test_write_and_headers),
	        cmocka_unit_test(test_failures_have_one_shape),
	        cmocka_unit_test(test_too_many_requests_are_waited_out),
	        cmocka_unit_test(test_many_calls_at_once),
	        cmocka_unit_test(test_watch_splits_lines),
	        cmocka_unit_test(test_watch_endings),
	        cmocka_unit_test(test_watch_cancelled_inside_its_event),
	        cmocka_unit_test(test_endpoint),
	        cmocka_unit_test(test_bad_server_address),
	};
	return cmocka_run_group_tests_name("rest", tests, NULL, NULL);
}
