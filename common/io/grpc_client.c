// SPDX-License-Identifier: Apache-2.0
//
// The gRPC client: endpoints, reconnecting, and calls as their owner sees them.
//
// A call is on exactly one list:
//
//   waiting (no connection) ──submit──> connection->calls ──> finished ──on_done──> freed
//      ^                                      │
//      └── refused, or connection lost before its HEADERS left ──┘
//
// 1. on_done comes from grpc_client_deliver alone, which runs from the loop (after
//    input, on a timer), so never from inside grpc_call_start.
// 2. `sent` is false only for a call whose HEADERS frame never left this process,
//    or that the server refused (REFUSED_STREAM, GOAWAY below its stream id). Such
//    calls are tried again until their deadline, at most MAX_REFUSALS times.
// 3. One connection takes calls (`current`). After GOAWAY, or when it has no stream
//    number left, it drains beside its successor and is freed with its last call.
// 4. A failure moves to the next endpoint at once; after a whole round the back-off
//    doubles from 50 ms to 1 s, with jitter. TLS files that changed are read again
//    before, so that renewed certificates are used.
#include "common/io/grpc_client.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/encode.h"
#include "common/base/memory.h"
#include "common/io/grpc_internal.h"

#define BACKOFF_MINIMUM_NS (50 * NSEC_PER_MSEC)
#define BACKOFF_MAXIMUM_NS NSEC_PER_SEC
#define MAX_REFUSALS 3
#define MAX_MESSAGE_BYTES_DEFAULT ((size_t)512 * 1024 * 1024)
#define DEFAULT_PORT 2379

static void connect_next(struct grpc_client *client);

// --- endpoints --------------------------------------------------------------------

// "host", "host:port", "[v6]:port"
static int parse_host_port(const char *text, struct grpc_endpoint *endpoint)
{
	size_t length = strcspn(text, "/");
	if (!length || (text[length] && text[length + 1]))
		return -1;
	const char *colon = NULL;
	const char *host = text;
	size_t host_length;
	if (*text == '[') {
		const char *close = memchr(text, ']', length);
		if (!close)
			return -1;
		host = text + 1;
		host_length = (size_t)(close - host);
		if (close + 1 < text + length) {
			if (close[1] != ':')
				return -1;
			colon = close + 1;
		}
	} else {
		colon = memchr(text, ':', length);
		host_length = colon ? (size_t)(colon - text) : length;
	}
	long port = DEFAULT_PORT;
	if (colon) {
		char *end;
		port = strtol(colon + 1, &end, 10);
		if (end != text + length || end == colon + 1)
			return -1;
	}
	if (!host_length || port < 1 || port > 65535)
		return -1;
	endpoint->host = xstrndup(host, host_length);
	endpoint->port = (int)port;
	endpoint->authority = xstrndup(text, length);
	return 0;
}

static int parse_endpoint(const char *url, struct grpc_endpoint *endpoint, struct err *err)
{
	int outcome = -1;
	if (strncmp(url, "unix:", 5) == 0) {
		const char *path = url + 5;
		if (strncmp(path, "//", 2) == 0)
			path += 2;
		if (*path) {
			endpoint->host = xasprintf("unix:%s", path);
			endpoint->authority = xstrdup("localhost");
			outcome = 0;
		}
	} else if (strncmp(url, "https://", 8) == 0) {
		endpoint->tls = true;
		outcome = parse_host_port(url + 8, endpoint);
	} else if (strncmp(url, "http://", 7) == 0) {
		outcome = parse_host_port(url + 7, endpoint);
	}
	if (outcome)
		return err_set(err, ERR_INVALID,
		               "invalid endpoint \"%s\": must be https://host:port, http://host:port or unix:/path",
		               url);
	return 0;
}

// When the files were changed: the sum of their times.
static int64_t tls_files_stamp(const struct tls_client_config *config)
{
	const char *const files[] = {config->ca_file, config->certificate_file, config->private_key_file};
	int64_t stamp = 0;
	struct stat status;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (files[i] && stat(files[i], &status) == 0)
			stamp += status.st_mtim.tv_sec * NSEC_PER_SEC + status.st_mtim.tv_nsec;
	return stamp;
}

static void load_tls(struct grpc_client *client, struct err *err)
{
	SSL_CTX *context = NULL;
	int64_t stamp = client->has_tls_config ? tls_files_stamp(&client->tls_config) : 0;
	if (client->tls && client->tls_stamp == stamp)
		return;
	client->tls_stamp = stamp;
	if (!client->has_tls_config || tls_client_context_new(&client->tls_config, true, &context, err))
		return;
	SSL_CTX_free(client->tls); // connections hold their own reference
	client->tls = context;
}

static void copy_tls_config(struct grpc_client *client, const struct tls_client_config *config)
{
	client->has_tls_config = true;
	client->tls_config = (struct tls_client_config){
	        .ca_file = xstrdup(config->ca_file),
	        .ca_data = xstrdup(config->ca_data),
	        .certificate_file = xstrdup(config->certificate_file),
	        .certificate_data = xstrdup(config->certificate_data),
	        .private_key_file = xstrdup(config->private_key_file),
	        .private_key_data = xstrdup(config->private_key_data),
	        .server_name = xstrdup(config->server_name),
	        .insecure_skip_verify = config->insecure_skip_verify,
	};
}

static void free_tls_config(struct tls_client_config *config)
{
	free((char *)config->ca_file);
	free((char *)config->ca_data);
	free((char *)config->certificate_file);
	free((char *)config->certificate_data);
	free((char *)config->private_key_file);
	free((char *)config->private_key_data);
	free((char *)config->server_name);
}

static int set_up_endpoints(struct grpc_client *client, const struct grpc_client_config *config, struct err *err)
{
	size_t count = 0;
	bool needs_tls = false;
	while (config->endpoints && config->endpoints[count])
		count++;
	if (!count)
		return err_set(err, ERR_INVALID, "no gRPC endpoint given");
	client->endpoints = xcalloc(count, sizeof(*client->endpoints));
	client->endpoint_count = count;
	for (size_t i = 0; i < count; i++) {
		int outcome = parse_endpoint(config->endpoints[i], &client->endpoints[i], err);
		if (outcome)
			return outcome;
		needs_tls |= client->endpoints[i].tls;
	}
	if (!needs_tls)
		return 0;
	struct tls_client_config none = {0};
	copy_tls_config(client, config->tls ? config->tls : &none);
	struct err tls_err = ERR_INIT;
	load_tls(client, &tls_err);
	return tls_err.code ? err_copy(err, &tls_err) : 0;
}

// --- connecting -------------------------------------------------------------------

static void report_state(struct grpc_client *client, bool connected)
{
	if (client->reported_connected == connected)
		return;
	client->reported_connected = connected;
	if (client->on_state)
		client->on_state(client->context, connected);
}

static void on_retry(struct loop_timer *timer)
{
	struct grpc_client *client = container_of(timer, struct grpc_client, retry);
	struct err err = ERR_INIT;
	// A file that is being replaced leaves the old context in use.
	load_tls(client, &err);
	connect_next(client);
}

static void connect_next(struct grpc_client *client)
{
	assert(!client->current);
	struct grpc_connection *connection =
	        grpc_connection_open(client, &client->endpoints[client->next_endpoint % client->endpoint_count]);
	list_append(&client->connections, &connection->node);
	client->current = connection;
}

static void schedule_retry(struct grpc_client *client)
{
	client->next_endpoint++;
	client->failures_in_row++;
	int64_t delay = 0;
	if (client->failures_in_row % client->endpoint_count == 0) {
		client->backoff_ns = client->backoff_ns ? client->backoff_ns * 2 : BACKOFF_MINIMUM_NS;
		if (client->backoff_ns > BACKOFF_MAXIMUM_NS)
			client->backoff_ns = BACKOFF_MAXIMUM_NS;
		delay = client->backoff_ns - client->backoff_ns / 1000 * random_below(200);
	}
	loop_timer_start(client->loop, &client->retry, delay, on_retry);
}

static void submit_waiting(struct grpc_client *client)
{
	struct grpc_call *call;
	if (!client->current || !client->current->ready || client->current->draining)
		return;
	list_for_each (call, &client->waiting, node) {
		if (!grpc_connection_submit(client->current, call)) {
			// Its stream numbers are used up (after a thousand million calls).
			client->current->draining = true;
			grpc_client_connection_draining(client->current);
			return;
		}
		loop_timer_stop(&call->connect_wait);
	}
}

void grpc_client_connection_ready(struct grpc_connection *connection)
{
	struct grpc_client *client = connection->client;
	client->failures_in_row = 0;
	client->backoff_ns = 0;
	report_state(client, true);
	submit_waiting(client);
}

void grpc_client_connection_draining(struct grpc_connection *connection)
{
	struct grpc_client *client = connection->client;
	if (client->current != connection)
		return;
	client->current = NULL;
	report_state(client, false);
	grpc_client_wake(client);
	loop_timer_start(client->loop, &client->retry, 0, on_retry);
}

void grpc_client_connection_lost(struct grpc_connection *connection, const char *reason)
{
	struct grpc_client *client = connection->client;
	bool was_current = client->current == connection;
	char text[200];
	snprintf(text, sizeof(text), "%s: %s", connection->endpoint->authority, reason);
	memcpy(client->last_error, text, sizeof(text));
	if (was_current)
		client->current = NULL; // calls that are put back must not come here again
	struct grpc_call *call;
	list_for_each (call, &connection->calls, node) {
		call->connection = NULL;
		if (call->sent)
			grpc_call_finish(call, GRPC_UNAVAILABLE, text);
		else
			grpc_call_refused(call, text);
	}
	grpc_connection_free(connection);
	if (!was_current)
		return;
	report_state(client, false);
	schedule_retry(client);
}

// --- completion -------------------------------------------------------------------

static void free_call(struct grpc_call *call)
{
	list_remove(&call->node);
	loop_timer_stop(&call->deadline);
	loop_timer_stop(&call->connect_wait);
	strbuf_done(&call->output);
	strbuf_done(&call->input);
	free(call->path);
	free(call->message);
	free(call);
}

void grpc_call_free_if_idle(struct grpc_call *call)
{
	if (!call->busy)
		free_call(call);
}

void grpc_call_finish(struct grpc_call *call, enum grpc_status status, const char *message)
{
	if (call->finished)
		return;
	call->finished = true;
	call->status = status;
	if (message != call->message) {
		free(call->message);
		call->message = xstrdup(message);
	}
	loop_timer_stop(&call->deadline);
	loop_timer_stop(&call->connect_wait);
	list_remove(&call->node);
	list_append(&call->client->finished, &call->node);
	grpc_client_wake(call->client);
}

static void on_connect_wait(struct loop_timer *timer)
{
	struct grpc_call *call = container_of(timer, struct grpc_call, connect_wait);
	struct grpc_client *client = call->client;
	grpc_call_finish(call, GRPC_UNAVAILABLE, *client->last_error ? client->last_error : "no connection");
	grpc_client_deliver(client);
}

static void start_waiting(struct grpc_call *call)
{
	struct grpc_client *client = call->client;
	list_remove(&call->node);
	list_append(&client->waiting, &call->node);
	if (!call->is_stream && client->connect_wait_ns && !call->connect_wait.loop)
		loop_timer_start(client->loop, &call->connect_wait, client->connect_wait_ns, on_connect_wait);
	submit_waiting(client);
}

void grpc_call_refused(struct grpc_call *call, const char *reason)
{
	call->sent = false;
	call->http_status = 0;
	call->connection = NULL;
	strbuf_done(&call->input);
	if (call->refusals++ >= MAX_REFUSALS)
		grpc_call_finish(call, GRPC_UNAVAILABLE, reason);
	else
		start_waiting(call);
}

void grpc_client_deliver(struct grpc_client *client)
{
	if (client->delivering)
		return;
	client->delivering = true;
	struct grpc_call *call;
	while ((call = list_first(&client->finished, struct grpc_call, node))) {
		list_remove(&call->node);
		call->busy = true;
		call->callbacks.on_done(call->context, call->status, call->message ? call->message : "", call->sent);
		free_call(call);
	}
	client->delivering = false;
}

static void on_wake(struct loop_timer *timer)
{
	struct grpc_client *client = container_of(timer, struct grpc_client, wake);
	struct grpc_connection *connection;
	list_for_each (connection, &client->connections, node) {
		if (!connection->ready)
			continue;
		bool alive = grpc_connection_flush(connection);
		if (!alive || (connection->draining && list_is_empty(&connection->calls)))
			grpc_client_connection_lost(connection, "the server closed the connection");
	}
	grpc_client_deliver(client);
}

void grpc_client_wake(struct grpc_client *client)
{
	if (!client->wake.loop)
		loop_timer_start(client->loop, &client->wake, 0, on_wake);
}

// --- calls ------------------------------------------------------------------------

static void on_deadline(struct loop_timer *timer)
{
	struct grpc_call *call = container_of(timer, struct grpc_call, deadline);
	struct grpc_client *client = call->client;
	if (call->connection) {
		// Nothing at all came back: perhaps the peer is gone without a word.
		grpc_connection_probe(call->connection);
		grpc_connection_detach(call->connection, call, NGHTTP2_CANCEL);
	}
	bool never_connected = !call->sent && *client->last_error && !client->reported_connected;
	grpc_call_finish(call, never_connected ? GRPC_UNAVAILABLE : GRPC_DEADLINE_EXCEEDED,
	                 never_connected ? client->last_error : "deadline exceeded");
	grpc_client_deliver(client);
}

static void append_message(struct grpc_call *call, const uint8_t *message, size_t length)
{
	uint8_t prefix[5] = {0, (uint8_t)(length >> 24), (uint8_t)(length >> 16), (uint8_t)(length >> 8),
	                     (uint8_t)length};
	assert(length <= UINT32_MAX);
	strbuf_append(&call->output, prefix, sizeof(prefix));
	if (length)
		strbuf_append(&call->output, message, length);
}

static struct grpc_call *new_call(struct grpc_client *client, const char *path,
                                  const struct grpc_call_callbacks *callbacks, void *context)
{
	struct grpc_call *call = NEW(struct grpc_call);
	call->client = client;
	call->path = xstrdup(path);
	call->callbacks = *callbacks;
	call->context = context;
	call->output = STRBUF_INIT(SIZE_MAX / 2);
	call->input = STRBUF_INIT(client->max_message_bytes + 64 * 1024 * 1024);
	list_init(&call->node);
	return call;
}

struct grpc_call *grpc_call_start(struct grpc_client *client, const char *path, const uint8_t *request, size_t length,
                                  int64_t timeout_ns, const struct grpc_call_callbacks *callbacks, void *context)
{
	struct grpc_call *call = new_call(client, path, callbacks, context);
	append_message(call, request, length);
	call->deadline_ns = loop_now_ns(client->loop) + timeout_ns;
	loop_timer_start(client->loop, &call->deadline, timeout_ns, on_deadline);
	start_waiting(call);
	return call;
}

struct grpc_call *grpc_stream_start(struct grpc_client *client, const char *path,
                                    const struct grpc_call_callbacks *callbacks, void *context)
{
	struct grpc_call *call = new_call(client, path, callbacks, context);
	call->is_stream = true;
	start_waiting(call);
	return call;
}

void grpc_stream_send(struct grpc_call *call, const uint8_t *message, size_t length)
{
	if (call->finished)
		return;
	append_message(call, message, length);
	if (call->connection)
		grpc_connection_more_output(call->connection, call);
}

void grpc_call_cancel(struct grpc_call *call)
{
	if (call->connection)
		grpc_connection_detach(call->connection, call, NGHTTP2_CANCEL);
	call->cancelled = true;
	call->finished = true;
	loop_timer_stop(&call->deadline);
	loop_timer_stop(&call->connect_wait);
	list_remove(&call->node);
	grpc_call_free_if_idle(call);
}

// --- life -------------------------------------------------------------------------

bool grpc_client_is_connected(const struct grpc_client *client)
{
	return client->reported_connected;
}

int grpc_client_new(struct loop *loop, const struct grpc_client_config *config, struct grpc_client **ret_client,
                    struct err *err)
{
	struct grpc_client *client = NEW(struct grpc_client);
	client->loop = loop;
	client->max_message_bytes = config->max_message_bytes ? config->max_message_bytes : MAX_MESSAGE_BYTES_DEFAULT;
	client->connect_wait_ns = config->connect_wait_ns;
	client->on_state = config->on_state;
	client->context = config->context;
	list_init(&client->connections);
	list_init(&client->waiting);
	list_init(&client->finished);
	int outcome = set_up_endpoints(client, config, err);
	if (outcome) {
		grpc_client_free(client);
		return outcome;
	}
	connect_next(client);
	*ret_client = client;
	return 0;
}

static void drop_calls(struct list *calls)
{
	struct grpc_call *call;
	list_for_each (call, calls, node)
		free_call(call);
}

struct grpc_client *grpc_client_free(struct grpc_client *client)
{
	if (!client)
		return NULL;
	assert(!client->delivering);
	struct grpc_connection *connection;
	list_for_each (connection, &client->connections, node) {
		drop_calls(&connection->calls);
		grpc_connection_free(connection);
	}
	drop_calls(&client->waiting);
	drop_calls(&client->finished);
	loop_timer_stop(&client->retry);
	loop_timer_stop(&client->wake);
	for (size_t i = 0; i < client->endpoint_count; i++) {
		free(client->endpoints[i].host);
		free(client->endpoints[i].authority);
	}
	free(client->endpoints);
	free_tls_config(&client->tls_config);
	SSL_CTX_free(client->tls);
	free(client);
	return NULL;
}
