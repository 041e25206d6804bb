// SPDX-License-Identifier: Apache-2.0
// Calls to the API server over one http_client.
//
// At most MAX_RUNNING ordinary calls are under way, the others wait in line: a
// server allows about a hundred streams on a connection, and libcurl answers more
// than that with a new connection for each. Watches and streams don't count.
//
// A call is a copy of its request, so that it can be sent again: an answer of 429
// or 5xx that names a Retry-After is waited out and repeated up to ten times, as
// upstream's clients do; only the last answer is shown to the caller. Every other
// failure is the caller's business. A call is freed after its last callback, or
// by rest_cancel; cancelled inside one of its own callbacks, it is freed when that
// returns.

#include "common/client/rest.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/memory.h"
#include "common/client/rest_internal.h"

enum {
	DEFAULT_TIMEOUT_SECONDS = 30,
	MAX_ATTEMPTS = 10,
	MAX_RUNNING = 64,
	MAX_RETRY_AFTER_SECONDS = 60,
	MAX_NODES = 100000000, // a list without paging of a large cluster
};

// --- the client ------------------------------------------------------------------

static char *base_url_of(const char *server)
{
	size_t length = strlen(server);
	while (length > 0 && server[length - 1] == '/')
		length--;
	return xstrndup(server, length);
}

static void add_impersonation(struct rest_client *client, const char *what, const char *who)
{
	client->impersonation_headers[client->impersonation_count++] =
	        arena_printf(client->arena, "Impersonate-%s: %s", what, who);
}

static void copy_impersonation(struct rest_client *client, const struct client_config *config)
{
	size_t group_count = 0;
	while (config->as_groups && config->as_groups[group_count])
		group_count++;
	client->impersonation_headers = ARENA_ARRAY(client->arena, const char *, group_count + 3);
	if (config->as_user)
		add_impersonation(client, "User", config->as_user);
	if (config->as_uid)
		add_impersonation(client, "Uid", config->as_uid);
	for (size_t i = 0; i < group_count; i++)
		add_impersonation(client, "Group", config->as_groups[i]);
}

static void copy_config(struct rest_client *client, const struct client_config *config)
{
	client->config = *config;
	const char **texts[] = {
	        &client->config.server,           &client->config.ca_file,          &client->config.ca_data,
	        &client->config.certificate_file, &client->config.certificate_data, &client->config.private_key_file,
	        &client->config.private_key_data, &client->config.bearer_token,     &client->config.bearer_token_file,
	        &client->config.tls_server_name,  &client->config.namespace_name,   &client->config.context_name,
	        &client->config.as_user,          &client->config.as_uid,
	};
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		*texts[i] = arena_strdup(client->arena, *texts[i]);
	copy_impersonation(client, config);
}

static struct tls_client_config tls_config_of(const struct client_config *config)
{
	return (struct tls_client_config){
	        .ca_file = config->ca_file,
	        .ca_data = config->ca_data,
	        .certificate_file = config->certificate_file,
	        .certificate_data = config->certificate_data,
	        .private_key_file = config->private_key_file,
	        .private_key_data = config->private_key_data,
	        .server_name = config->tls_server_name,
	        .insecure_skip_verify = config->insecure_skip_tls_verify,
	};
}

// Credentials that can't be read are found now, not at every call; files are read again when they change.
static int check_credentials(const struct client_config *config, struct err *err)
{
	SSL_CTX *context = NULL;
	struct tls_client_config tls = tls_config_of(config);
	if (strncmp(config->server, "https://", 8) != 0)
		return 0;
	if (!tls.ca_file && !tls.ca_data)
		tls.insecure_skip_verify = true; // the system's authorities: nothing given to check
	if (tls_client_context_new(&tls, false, &context, err) < 0)
		return err_wrap(err, "invalid configuration: credentials for %s", config->server);
	SSL_CTX_free(context);
	return 0;
}

int rest_client_new(struct loop *loop, const struct client_config *config, const char *user_agent,
                    struct rest_client **ret_client, struct err *err)
{
	if (!config->server ||
	    (strncmp(config->server, "https://", 8) != 0 && strncmp(config->server, "http://", 7) != 0))
		return err_set(err, ERR_INVALID,
		               "\"%s\" is not the URL of an API server: it must begin with https:// or http://",
		               config->server ? config->server : "");
	if (check_credentials(config, err) < 0)
		return -err->code;
	struct rest_client *client = NEW(struct rest_client);
	client->loop = loop;
	client->arena = arena_new(0);
	list_init(&client->calls);
	list_init(&client->waiting);
	copy_config(client, config);
	client->base_url = base_url_of(config->server);
	const struct http_client_config http_config = {
	        .tls = tls_config_of(&client->config),
	        .bearer_token = client->config.bearer_token,
	        .bearer_token_file = client->config.bearer_token_file,
	        .user_agent = user_agent,
	};
	client->http = http_client_new(loop, &http_config);
	*ret_client = client;
	return 0;
}

struct rest_client *rest_client_free(struct rest_client *client)
{
	if (!client)
		return NULL;
	struct rest_call *call;
	client->closing = true;
	list_for_each (call, &client->calls, node)
		rest_cancel(call);
	http_client_free(client->http);
	SSL_CTX_free(client->upgrade_tls);
	free(client->authorization);
	free(client->base_url);
	arena_free(client->arena);
	free(client);
	return NULL;
}

const struct client_config *rest_client_config(const struct rest_client *client)
{
	return &client->config;
}

struct loop *rest_client_loop(const struct rest_client *client)
{
	return client->loop;
}

// --- paths -----------------------------------------------------------------------

void url_escape(struct strbuf *out, const char *text)
{
	for (const unsigned char *cursor = (const unsigned char *)text; *cursor; cursor++) {
		if (isalnum(*cursor) || strchr("-._~", *cursor))
			strbuf_append_char(out, (char)*cursor);
		else
			strbuf_printf(out, "%%%02X", *cursor);
	}
}

static void write_segment(struct strbuf *out, const char *text)
{
	strbuf_append_char(out, '/');
	url_escape(out, text);
}

static void write_resource_path(struct strbuf *out, const struct rest_request *request)
{
	const struct schema_resource *resource = request->resource;
	strbuf_append_text(out, resource->group[0] ? "/apis" : "/api");
	if (resource->group[0])
		write_segment(out, resource->group);
	write_segment(out, resource->version);
	if (resource->namespaced && request->namespace_name) {
		strbuf_append_text(out, "/namespaces");
		write_segment(out, request->namespace_name);
	}
	write_segment(out, resource->plural);
	if (request->name)
		write_segment(out, request->name);
	if (request->subresource)
		strbuf_printf(out, "/%s", request->subresource);
}

static void write_query(struct strbuf *out, const char *query)
{
	if (!query || !query[0])
		return;
	strbuf_append_char(out, strchr(strbuf_text(out), '?') ? '&' : '?');
	strbuf_append_text(out, query);
}

static void write_request_path(struct strbuf *out, const struct rest_request *request)
{
	if (request->path)
		strbuf_append_text(out, request->path);
	else
		write_resource_path(out, request);
	write_query(out, request->query);
}

char *rest_request_path(const struct rest_request *request)
{
	AUTO_STRBUF struct strbuf path = STRBUF_INIT(1 << 20);
	write_request_path(&path, request);
	return strbuf_take(&path, NULL);
}

// --- the call ----------------------------------------------------------------------

static const char *const content_types[] = {
        [REST_JSON] = "application/json",
        [REST_JSON_PATCH] = "application/json-patch+json",
        [REST_MERGE_PATCH] = "application/merge-patch+json",
        [REST_STRATEGIC_MERGE_PATCH] = "application/strategic-merge-patch+json",
        [REST_APPLY_PATCH] = "application/apply-patch+yaml",
};

static void collect_headers(struct rest_call *call, const struct rest_request *request)
{
	size_t count = 0;
	call->headers = ARENA_ARRAY(call->arena, const char *, call->client->impersonation_count + 4);
	if (request->bearer_token)
		call->headers[count++] = arena_printf(call->arena, "Authorization: Bearer %s", request->bearer_token);
	call->headers[count++] =
	        arena_printf(call->arena, "Accept: %s", request->accept ? request->accept : "application/json");
	if (request->body)
		call->headers[count++] =
		        arena_printf(call->arena, "Content-Type: %s", content_types[request->body_type]);
	for (size_t i = 0; i < call->client->impersonation_count; i++)
		call->headers[count++] = call->client->impersonation_headers[i];
}

static const char *copy_bytes(struct arena *arena, const void *data, size_t length)
{
	char *copy = arena_alloc(arena, length + 1);
	if (length)
		memcpy(copy, data, length);
	copy[length] = '\0';
	return copy;
}

struct rest_call *rest_call_new(struct rest_client *client, const struct rest_request *request, const char *extra_query,
                                void *context)
{
	AUTO_STRBUF struct strbuf url = STRBUF_INIT(1 << 20);
	strbuf_append_text(&url, client->base_url);
	write_request_path(&url, request);
	write_query(&url, extra_query);
	struct rest_call *call = NEW(struct rest_call);
	call->client = client;
	call->context = context;
	call->arena = arena_new(1024 + request->body_length);
	call->buffer = STRBUF_INIT(0);
	collect_headers(call, request);
	call->config = (struct http_call_config){
	        .method = arena_strdup(call->arena, request->method),
	        .url = arena_strndup(call->arena, strbuf_text(&url), url.length),
	        .headers = call->headers,
	        .timeout_ns = request->timeout_ns ? request->timeout_ns : DEFAULT_TIMEOUT_SECONDS * NSEC_PER_SEC,
	        .context = call,
	};
	if (request->body) {
		call->config.body = copy_bytes(call->arena, request->body, request->body_length);
		call->config.body_length = request->body_length;
	}
	list_append(&client->calls, &call->node);
	list_init(&call->waiting_node);
	return call;
}

// --- room for calls ---------------------------------------------------------------------

static void run_call(struct rest_call *call)
{
	list_remove(&call->waiting_node);
	call->running = true;
	call->client->running_count++;
	call->attempts++;
	call->http = http_call_start(call->client->http, &call->config);
}

static void run_waiting(struct rest_client *client)
{
	while (!client->closing && client->running_count < MAX_RUNNING && !list_is_empty(&client->waiting))
		run_call(list_first(&client->waiting, struct rest_call, waiting_node));
}

static void send_call(struct rest_call *call)
{
	list_append(&call->client->waiting, &call->waiting_node);
	run_waiting(call->client);
}

// Its answer is there, or nobody wants it any more.
static void leave_running(struct rest_call *call)
{
	list_remove(&call->waiting_node);
	if (!call->running)
		return;
	call->running = false;
	call->client->running_count--;
	run_waiting(call->client);
}

void rest_call_free(struct rest_call *call)
{
	leave_running(call);
	list_remove(&call->node);
	loop_timer_stop(&call->retry_timer);
	strbuf_done(&call->buffer);
	arena_free(call->event_arena);
	arena_free(call->arena);
	free(call);
}

void rest_call_enter(struct rest_call *call)
{
	call->dispatching = true;
}

bool rest_call_leave(struct rest_call *call)
{
	call->dispatching = false;
	if (!call->cancelled)
		return true;
	rest_call_free(call);
	return false;
}

void rest_cancel(struct rest_call *call)
{
	if (!call || call->cancelled)
		return;
	call->cancelled = true;
	if (call->http)
		http_call_cancel(TAKE(call->http));
	if (!call->dispatching)
		rest_call_free(call);
}

// --- judging answers ------------------------------------------------------------------

// What upstream's clients say about an answer that is no Status.
static const struct {
	int status;
	const char *message;
} plain_messages[] = {
        {400, "the server rejected our request for an unknown reason"},
        {401, "the server has asked for the client to provide credentials"},
        {403, "the server does not allow access to the requested resource"},
        {404, "the server could not find the requested resource"},
        {405, "the server does not allow this method on the requested resource"},
        {406, "the server was unable to respond with a content type that the client supports"},
        {409, "the server reported a conflict"},
        {413, "the request entity is too large"},
        {415, "the body of the request was in an unknown format"},
        {422, "the server rejected our request due to an error in our request"},
        {429, "the server has received too many requests and has asked us to try again later"},
        {503, "the server is currently unable to handle the request"},
        {504,
         "the server was unable to return a response in the time allotted, but may still be processing the request"},
};

static const char *plain_message(int status)
{
	for (size_t i = 0; i < ARRAY_SIZE(plain_messages); i++)
		if (plain_messages[i].status == status)
			return plain_messages[i].message;
	return NULL;
}

static bool is_status_object(const struct json *object)
{
	const char *kind = json_get_text(object, "kind");
	return kind && strcmp(kind, "Status") == 0;
}

bool rest_status_error(const struct json *status, int http_status, struct err *err)
{
	const char *outcome = json_get_text(status, "status");
	if (!is_status_object(status) || (outcome && strcmp(outcome, "Success") == 0))
		return false;
	int64_t code = http_status;
	json_get_integer(status, "code", &code);
	const char *message = json_get_text(status, "message");
	(void)err_set(err, err_code_from_status(json_get_text(status, "reason"), (int)code), "%s",
	              message && message[0] ? message : "unknown");
	return true;
}

static int64_t retry_after_ns(const struct rest_call *call, const struct json *object)
{
	int64_t seconds = 0;
	if (is_status_object(object) && json_get_integer(json_get(object, "details"), "retryAfterSeconds", &seconds) &&
	    seconds > 0)
		return seconds * NSEC_PER_SEC;
	const char *header = call->http ? http_call_response_header(call->http, "Retry-After") : NULL;
	seconds = header ? strtoll(header, NULL, 10) : 0;
	return seconds > 0 && seconds < INT32_MAX ? seconds * NSEC_PER_SEC : 0;
}

// The text of `299 - "text" "date"`: what stands in the first quotes.
static const char *warning_text(struct arena *arena, const char *value)
{
	const char *quote = strchr(value, '"');
	if (!quote)
		return NULL;
	char *text = arena_strdup(arena, quote + 1), *out = text;
	for (const char *cursor = quote + 1; *cursor && *cursor != '"'; cursor++) {
		if (*cursor == '\\' && cursor[1])
			cursor++;
		*out++ = *cursor;
	}
	*out = '\0';
	return text;
}

static const char *const *collect_warnings(const struct rest_call *call, struct arena *arena)
{
	enum { MAX_WARNINGS = 100 };
	const char *value = call->http ? http_call_response_header(call->http, "Warning") : NULL;
	if (!value)
		return NULL;
	const char **texts = ARENA_ARRAY(arena, const char *, MAX_WARNINGS + 1);
	for (size_t count = 0; value && count < MAX_WARNINGS;
	     value = http_call_next_response_header(call->http, "Warning", value)) {
		texts[count] = warning_text(arena, value);
		count += texts[count] != NULL;
	}
	return texts;
}

static bool is_json_answer(const struct rest_call *call, const char *body, size_t length)
{
	const char *type = call->http ? http_call_response_header(call->http, "Content-Type") : NULL;
	if (type)
		return strncmp(type, "application/json", 16) == 0;
	return length > 0 && body[0] == '{';
}

// Go's shape: Get "https://…": dial …
static void describe_transport_failure(const struct rest_call *call, const struct err *transport_err, struct err *err)
{
	char method[16];
	snprintf(method, sizeof(method), "%s", call->config.method);
	for (char *cursor = method + 1; method[0] && *cursor; cursor++)
		*cursor = (char)tolower((unsigned char)*cursor);
	size_t length = strcspn(call->config.url, "?");
	(void)err_copy(err, transport_err);
	(void)err_wrap(err, "%s \"%.*s\"", method, (int)length, call->config.url);
}

static void judge_status(struct rest_response *response)
{
	int status = response->http_status;
	if (status >= 200 && status < 300)
		return;
	if (rest_status_error(response->object, status, &response->err))
		return;
	const char *message = plain_message(status);
	if (message)
		(void)err_set(&response->err, err_code_from_status(NULL, status), "%s", message);
	else
		(void)err_set(&response->err, err_code_from_status(NULL, status),
		              "an error on the server (status %d) has prevented the request from succeeding: %.*s",
		              status, (int)(response->body_length < 100 ? response->body_length : 100),
		              response->body ? response->body : "");
}

void rest_response_fill(const struct rest_call *call, struct arena *arena, int status, const char *body,
                        size_t body_length, const struct err *transport_err, struct rest_response *response)
{
	*response = (struct rest_response){
	        .http_status = status,
	        .body = body,
	        .body_length = body_length,
	        .arena = arena,
	};
	if (transport_err && transport_err->code != ERR_NONE) {
		describe_transport_failure(call, transport_err, &response->err);
		return;
	}
	const struct json_limits limits = {.max_nodes = MAX_NODES};
	struct err parse_err = ERR_INIT;
	if (body_length > 0 && is_json_answer(call, body, body_length) &&
	    json_parse(arena, body, body_length, &limits, &response->object, &parse_err) < 0)
		response->object = NULL;
	response->warnings = collect_warnings(call, arena);
	response->retry_after_ns = retry_after_ns(call, response->object);
	judge_status(response);
	if (response->err.code == ERR_NONE && parse_err.code != ERR_NONE) {
		(void)err_copy(&response->err, &parse_err);
		(void)err_wrap(&response->err, "%s", "the server's answer is not valid JSON");
	}
}

// --- ordinary calls --------------------------------------------------------------------

static void on_retry_timer(struct loop_timer *timer)
{
	send_call(container_of(timer, struct rest_call, retry_timer));
}

static bool should_retry(const struct rest_call *call, const struct rest_response *response)
{
	int status = response->http_status;
	return (status == 429 || status >= 500) && response->retry_after_ns > 0 &&
	       response->retry_after_ns <= MAX_RETRY_AFTER_SECONDS * NSEC_PER_SEC && call->attempts <= MAX_ATTEMPTS &&
	       call->http && http_call_response_header(call->http, "Retry-After");
}

static void on_call_done(void *context, int status, const char *body, size_t body_length, const struct err *err)
{
	struct rest_call *call = context;
	AUTO(arena_free) struct arena *arena = arena_new(body_length > 65536 ? body_length * 2 : 0);
	struct rest_response response;
	rest_response_fill(call, arena, status, body, body_length, err, &response);
	bool retry = should_retry(call, &response);
	call->http = NULL;
	leave_running(call);
	if (retry) {
		loop_timer_start(call->client->loop, &call->retry_timer, response.retry_after_ns, on_retry_timer);
		return;
	}
	rest_call_enter(call);
	call->on_done(call->context, &response);
	if (rest_call_leave(call))
		rest_call_free(call);
}

struct rest_call *rest_start(struct rest_client *client, const struct rest_request *request,
                             void (*on_done)(void *context, const struct rest_response *response), void *context)
{
	struct rest_call *call = rest_call_new(client, request, NULL, context);
	call->on_done = on_done;
	call->config.on_done = on_call_done;
	send_call(call);
	return call;
}

struct rest_run_state {
	struct arena *arena;
	struct rest_response *response;
	bool done;
};

static const char *const *copy_texts(struct arena *arena, const char *const *texts)
{
	size_t count = 0;
	while (texts && texts[count])
		count++;
	if (!count)
		return NULL;
	const char **copy = ARENA_ARRAY(arena, const char *, count + 1);
	for (size_t i = 0; i < count; i++)
		copy[i] = arena_strdup(arena, texts[i]);
	return copy;
}

static void on_run_done(void *context, const struct rest_response *response)
{
	struct rest_run_state *state = context;
	*state->response = *response;
	state->response->body = copy_bytes(state->arena, response->body, response->body_length);
	state->response->object = response->object ? json_clone(state->arena, response->object) : NULL;
	state->response->warnings = copy_texts(state->arena, response->warnings);
	state->response->arena = state->arena;
	state->done = true;
}

int rest_run(struct rest_client *client, struct arena *arena, const struct rest_request *request,
             struct rest_response *ret_response, struct err *err)
{
	struct rest_run_state state = {.arena = arena, .response = ret_response};
	rest_start(client, request, on_run_done, &state);
	while (!state.done)
		loop_turn(client->loop, -1);
	return ret_response->err.code == ERR_NONE ? 0 : err_copy(err, &ret_response->err);
}

// --- the endpoint for upgrades -----------------------------------------------------------

static int refresh_authorization(struct rest_client *client, struct err *err)
{
	AUTO_STRBUF struct strbuf token = STRBUF_INIT(65536);
	if (client->config.bearer_token_file && file_read(client->config.bearer_token_file, &token, err) < 0)
		return -err->code;
	if (client->config.bearer_token)
		strbuf_append_text(&token, client->config.bearer_token);
	free(client->authorization);
	client->authorization =
	        token.length ? xasprintf("Bearer %.*s", (int)strcspn(token.data, "\r\n"), token.data) : NULL;
	return 0;
}

// "host", "host:port", "[v6]:port" up to the first slash; the rest is the base path.
static void split_address(struct rest_client *client, const char *address, int default_port,
                          struct rest_endpoint *endpoint)
{
	size_t length = strcspn(address, "/");
	char *host = arena_strndup(client->arena, address, length);
	endpoint->base_path = arena_strdup(client->arena, address + length);
	endpoint->port = default_port;
	char *colon = strrchr(host, ':');
	char *bracket = strchr(host, ']');
	if (colon && (!bracket || colon > bracket)) {
		*colon = '\0';
		endpoint->port = (int)strtol(colon + 1, NULL, 10);
	}
	if (host[0] == '[' && bracket) {
		*bracket = '\0';
		host++;
	}
	endpoint->host = host;
}

int rest_client_endpoint(struct rest_client *client, struct rest_endpoint *ret_endpoint, struct err *err)
{
	bool secure = strncmp(client->base_url, "https://", 8) == 0;
	struct rest_endpoint endpoint = {0};
	split_address(client, client->base_url + (secure ? 8 : 7), secure ? 443 : 80, &endpoint);
	const struct tls_client_config tls = tls_config_of(&client->config);
	if (secure && !client->upgrade_tls && tls_client_context_new(&tls, false, &client->upgrade_tls, err) < 0)
		return -err->code;
	if (refresh_authorization(client, err) < 0)
		return -err->code;
	endpoint.tls = client->upgrade_tls;
	endpoint.authorization = client->authorization;
	*ret_endpoint = endpoint;
	return 0;
}
