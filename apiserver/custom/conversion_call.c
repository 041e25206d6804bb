// SPDX-License-Identifier: Apache-2.0
// Connections to conversion webhooks. A client for each definition, made for where the
// webhook is now: a service is looked up for each call, and when its address has changed
// the next call makes a new client. A URL is used as it is.

#include "apiserver/custom/conversion_call.h"

#include <string.h>

#include "apiserver/connect/service_address.h"
#include "apiserver/custom/custom_internal.h"
#include "apiserver/server.h"
#include "common/base/encode.h"
#include "common/base/hashmap.h"
#include "common/base/memory.h"
#include "common/io/http_client.h"

#define WEBHOOK_TIMEOUT_NS (30 * NSEC_PER_SEC)

enum {
	WEBHOOK_MAX_BYTES = 256 << 20,
};

struct conversion_connection {
	struct http_client *client;
	char *base; // "https://10.0.0.1:443/path"
	uint64_t fingerprint;
	unsigned users; // calls, and the table
};

struct conversion_calls {
	struct custom *custom;
	struct hashmap *connections; // definition's name → struct conversion_connection
	struct list calls;
};

// Where a call goes and what it is called in messages.
struct target {
	const char *base; // dialled
	const char *shown;
	const char *server_name; // NULL: the host of the URL
};

static void release(void *value)
{
	struct conversion_connection *connection = value;

	if (!connection || --connection->users)
		return;
	http_client_free(connection->client);
	free(connection->base);
	free(connection);
}

struct conversion_calls *conversion_calls_new(struct custom *custom)
{
	struct conversion_calls *webhooks = NEW(struct conversion_calls);

	webhooks->custom = custom;
	webhooks->connections = hashmap_new(release);
	list_init(&webhooks->calls);
	return webhooks;
}

// Calls that are under way keep their connection until they end.
void conversion_calls_forget(struct conversion_calls *webhooks, const char *definition)
{
	(void)hashmap_remove(webhooks->connections, definition);
}

static void answer_on_loop(struct loop_task *task)
{
	struct conversion_call *call = container_of(task, struct conversion_call, task);

	call->done(call);
}

static void finish(struct conversion_call *call)
{
	release(TAKE(call->connection));
	list_remove(&call->node);
	loop_post(call->loop, &call->task, answer_on_loop);
}

struct conversion_calls *conversion_calls_free(struct conversion_calls *webhooks)
{
	struct conversion_call *call;

	if (!webhooks)
		return NULL;
	hashmap_free(webhooks->connections);
	list_for_each (call, &webhooks->calls, node) {
		err_set(&call->err, ERR_UNAVAILABLE, "the server is stopping");
		finish(call);
	}
	free(webhooks);
	return NULL;
}

// --- where to --------------------------------------------------------------------------------

static bool find_service(struct conversion_call *call, struct arena *arena, const struct json *service,
                         struct target *ret_target)
{
	const char *name = json_get_text(service, "name"), *namespace_name = json_get_text(service, "namespace");
	const char *path = json_get_text(service, "path");
	struct service_address address;
	struct service_failure failure;
	int64_t port = 443;
	bool v6;

	(void)json_get_integer(service, "port", &port);
	path = path ? path : "/";
	ret_target->shown = arena_printf(arena, "https://%s.%s.svc:%d%s", name, namespace_name, (int)port, path);
	if (!service_address_find(call->custom->server, arena, namespace_name, name, (int)port, false, &address,
	                          &failure)) {
		err_set(&call->err, ERR_IO, "%s", failure.message);
		return false;
	}
	v6 = strchr(address.host, ':') != NULL;
	ret_target->server_name = address.server_name;
	ret_target->base = arena_printf(arena, "https://%s%s%s:%d%s", v6 ? "[" : "", address.host, v6 ? "]" : "",
	                                address.port, path);
	return true;
}

static bool find_target(struct conversion_call *call, struct arena *arena, struct target *ret_target)
{
	const struct json *client = json_get(call->definition->webhook, "clientConfig");
	const char *url = json_get_text(client, "url");

	if (!url)
		return find_service(call, arena, json_get(client, "service"), ret_target);
	*ret_target = (struct target){.base = url, .shown = url};
	return true;
}

static struct conversion_connection *connect_to(struct conversion_calls *webhooks, struct arena *arena,
                                                const struct conversion_call *call, const struct target *target)
{
	const struct definition *definition = call->definition;
	struct conversion_connection *connection = hashmap_get(webhooks->connections, definition->name);
	const char *bundle = json_get_text(json_get(definition->webhook, "clientConfig"), "caBundle");
	struct http_client_config config = {.tls = {.server_name = target->server_name},
	                                    .user_agent = "kube-apiserver"};
	uint8_t *pem = NULL;
	size_t length;

	if (connection && connection->fingerprint == definition->fingerprint && !strcmp(connection->base, target->base))
		return connection;
	conversion_calls_forget(webhooks, definition->name);
	if (bundle && bundle[0] && base64_decode(arena, bundle, strlen(bundle), &pem, &length))
		config.tls.ca_data = (const char *)pem;
	connection = NEW(struct conversion_connection);
	connection->users = 1;
	connection->client = http_client_new(webhooks->custom->loop, &config);
	connection->base = xstrdup(target->base);
	connection->fingerprint = definition->fingerprint;
	(void)hashmap_put(webhooks->connections, definition->name, connection);
	return connection;
}

// --- a call ------------------------------------------------------------------------------------

static void on_answer(void *context, int status, const char *body, size_t length, const struct err *err)
{
	struct conversion_call *call = context;

	if (err) {
		struct err inner = *err;

		err_set(&call->err, ERR_IO, "Post \"%s?timeout=30s\": %s", call->answer ? call->answer : "",
		        inner.message);
		free(TAKE(call->answer));
	} else {
		free(TAKE(call->answer));
		if (status < 200 || status > 299) {
			err_set(&call->err, ERR_IO,
			        "the server responded with the status code %d but did not return more "
			        "information",
			        status);
		} else {
			call->answer = xstrndup(body, length);
			call->answer_length = length;
		}
	}
	finish(call);
}

static void start(struct loop_task *task)
{
	static const char *const headers[] = {"Content-Type: application/json", "Accept: application/json", NULL};
	struct conversion_call *call = container_of(task, struct conversion_call, task);
	struct conversion_calls *webhooks = call->custom->webhooks;
	AUTO(arena_free) struct arena *arena = arena_new(4 << 10);
	struct target target = {0};
	struct http_call_config config = {
	        .method = "POST",
	        .headers = headers,
	        .body = call->body,
	        .body_length = call->length,
	        .timeout_ns = WEBHOOK_TIMEOUT_NS,
	        .max_response_bytes = WEBHOOK_MAX_BYTES,
	        .on_done = on_answer,
	        .context = call,
	};

	if (!webhooks) {
		err_set(&call->err, ERR_UNAVAILABLE, "the server is stopping");
		loop_post(call->loop, &call->task, answer_on_loop);
		return;
	}
	list_append(&webhooks->calls, &call->node);
	if (!find_target(call, arena, &target)) {
		struct err inner = call->err;

		call->err = ERR_INIT;
		err_set(&call->err, ERR_IO, "Post \"%s?timeout=30s\": %s", target.shown, inner.message);
		finish(call);
		return;
	}
	call->answer = xstrdup(target.shown); // what messages call it, until there is an answer
	config.url = arena_printf(arena, "%s%stimeout=30s", target.base, strchr(target.base, '?') ? "&" : "?");
	call->connection = connect_to(webhooks, arena, call, &target);
	call->connection->users++;
	(void)http_call_start(call->connection->client, &config);
}

void conversion_call_start(struct conversion_call *call)
{
	list_init(&call->node);
	loop_post(call->custom->loop, &call->task, start);
}

void conversion_call_done(struct conversion_call *call)
{
	free(call->body);
	free(call->answer);
}
