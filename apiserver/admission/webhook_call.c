// SPDX-License-Identifier: Apache-2.0
// Calls of one loop. Webhooks with the same certificates and server name share an
// HTTP client, and with it a connection; clients that nobody used for a while go when
// there are many. At most DESK_MAX_CALLS run at once, others wait in line, and their
// time in the line counts.
//
// A service is called as its name (NAME.NAMESPACE.svc, in TLS and in messages) at
// its cluster IP, or at one of its ready endpoints with --enable-aggregator-routing.

#include "apiserver/admission/webhook_call.h"

#include <string.h>

#include "apiserver/object_io.h"
#include "apiserver/server.h"
#include "apiserver/storage/storage.h"
#include "apiserver/validation/validation.h"
#include "common/base/encode.h"
#include "common/base/hashmap.h"
#include "common/base/memory.h"
#include "common/io/http_client.h"

enum {
	DESK_MAX_CALLS = 128,
	DESK_MAX_CLIENTS = 64,
	MAX_ANSWER_BYTES = 3 << 20,
};

struct webhook_client {
	struct list node; // the last used at the end
	char *key;
	struct http_client *http;
	unsigned calls; // under way
};

struct webhook_desk {
	struct server *server;
	struct loop *loop;
	struct hashmap *clients;
	struct list order;
	struct list waiting;
	unsigned running;
};

// --- clients ----------------------------------------------------------------------------------

static void client_free(void *value)
{
	struct webhook_client *client = value;

	list_remove(&client->node);
	http_client_free(client->http);
	free(client->key);
	free(client);
}

struct webhook_desk *webhook_desk_new(struct server *server, struct loop *loop)
{
	struct webhook_desk *desk = NEW(struct webhook_desk);

	desk->server = server;
	desk->loop = loop;
	desk->clients = hashmap_new(client_free);
	list_init(&desk->order);
	list_init(&desk->waiting);
	return desk;
}

struct webhook_desk *webhook_desk_free(struct webhook_desk *desk)
{
	if (!desk)
		return NULL;
	hashmap_free(desk->clients);
	free(desk);
	return NULL;
}

static void drop_idle_clients(struct webhook_desk *desk)
{
	struct webhook_client *client;

	list_for_each (client, &desk->order, node)
		if (!client->calls && hashmap_count(desk->clients) >= DESK_MAX_CLIENTS)
			hashmap_remove(desk->clients, client->key);
}

static struct webhook_client *find_client(struct webhook_desk *desk, const char *ca_bundle, const char *server_name)
{
	AUTO_FREE char *key = xasprintf("%s|%s", server_name ? server_name : "", ca_bundle ? ca_bundle : "");
	struct webhook_client *client = hashmap_get(desk->clients, key);
	struct http_client_config config = {
	        .tls = {.ca_data = ca_bundle, .server_name = server_name},
	        .user_agent = "kube-apiserver-admission",
	};

	if (!client) {
		drop_idle_clients(desk);
		client = NEW(struct webhook_client);
		list_init(&client->node);
		client->key = xstrdup(key);
		client->http = http_client_new(desk->loop, &config);
		hashmap_put(desk->clients, key, client);
	}
	list_remove(&client->node);
	list_append(&desk->order, &client->node);
	return client;
}

// --- addresses --------------------------------------------------------------------------------

static struct json *load(struct webhook_call *call, const struct schema_resource *resource, const char *name)
{
	struct stored_object *stored =
	        storage_peek(call->desk->server->storage, resource, call->webhook->service_namespace, name);
	struct json *tree = stored ? object_load_plain(call->arena, resource, stored, NULL) : NULL;

	stored_object_unref(stored);
	return tree;
}

static const struct json *find_port(const struct json *service, int64_t number)
{
	json_for_each_item (port, json_path(service, "spec", "ports"))
		if (integer_of(port, "port", 0) == number)
			return port;
	return NULL;
}

static const char *host_port(struct arena *arena, const char *host, int64_t port)
{
	return arena_printf(arena, strchr(host, ':') ? "[%s]:%lld" : "%s:%lld", host, (long long)port);
}

struct choice {
	const char *address;
	int64_t port;
	unsigned seen;
};

// One of the ready endpoints, each with the same chance.
static void choose_from_slice(struct arena *arena, const struct json *slice, const char *port_name,
                              struct choice *choice)
{
	int64_t number = 0;

	json_for_each_item (port, json_get(slice, "ports"))
		if (!strcmp(text_of(port, "name"), port_name))
			number = integer_of(port, "port", 0);
	json_for_each_item (endpoint, json_get(slice, "endpoints")) {
		const struct json *addresses = json_get(endpoint, "addresses");

		if (!number || !length_of(addresses) || !json_get_bool(json_get(endpoint, "conditions"), "ready", true))
			continue;
		if (random_below(++choice->seen) == 0) {
			choice->address = arena_strdup(arena, json_text(addresses->items[0]));
			choice->port = number;
		}
	}
}

static const char *resolve_endpoint(struct webhook_call *call, const struct json *port)
{
	const struct schema_resource *slices = schema_find_resource("discovery.k8s.io", "v1", "endpointslices");
	struct stored_object **all;
	size_t count = storage_peek_all(call->desk->server->storage, slices, call->webhook->service_namespace, &all);
	struct choice choice = {0};

	for (size_t i = 0; i < count; i++) {
		struct json *slice = object_load_plain(call->arena, slices, all[i], NULL);

		if (!strcmp(text_of(json_path(slice, "metadata", "labels"), "kubernetes.io/service-name"),
		            call->webhook->service_name))
			choose_from_slice(call->arena, slice, text_of(port, "name"), &choice);
		stored_object_unref(all[i]);
	}
	free(all);
	if (choice.address)
		return host_port(call->arena, choice.address, choice.port);
	call->failure =
	        arena_printf(call->arena, "no endpoints available for service \"%s\"", call->webhook->service_name);
	return NULL;
}

// "10.96.0.7:443"; NULL with call->failure.
static const char *resolve_service(struct webhook_call *call)
{
	const struct webhook *webhook = call->webhook;
	const struct json *service = load(call, schema_find_resource("", "v1", "services"), webhook->service_name);
	const struct json *spec = json_get(service, "spec"), *port = find_port(service, webhook->port);
	const char *type = text_of(spec, "type"), *address = text_of(spec, "clusterIP");

	if (!service)
		call->failure = arena_printf(call->arena, "service \"%s\" not found", webhook->service_name);
	else if (!strcmp(type, "ExternalName"))
		return host_port(call->arena, text_of(spec, "externalName"), webhook->port);
	else if (!port)
		call->failure = arena_printf(call->arena, "no service port %lld found for service \"%s\"",
		                             (long long)webhook->port, webhook->service_name);
	else if (call->desk->server->config->aggregator_routing)
		return resolve_endpoint(call, port);
	else if (!strcmp(address, "None") || !address[0])
		call->failure = "cannot route to service with ClusterIP \"None\"";
	else
		return host_port(call->arena, address, webhook->port);
	return NULL;
}

// --- one call -----------------------------------------------------------------------------------

static void start_next(struct webhook_desk *desk);

static const char *fail_text(const struct webhook_call *call, const char *why)
{
	return arena_printf(call->arena, "failed to call webhook: Post \"%s\": %s", call->shown_url, why);
}

// What client-go says of an answer that isn't one.
static const char *status_text(struct arena *arena, int status, const char *body, size_t length)
{
	switch (status) {
	case 401:
		return "failed to call webhook: the server has asked for the client to provide credentials";
	case 403:
		return "failed to call webhook: forbidden";
	case 404:
		return "failed to call webhook: the server could not find the requested resource";
	case 405:
		return "failed to call webhook: the server does not allow this method on the requested resource";
	case 429:
		return "failed to call webhook: the server has received too many requests and has asked us to try "
		       "again later";
	case 503:
		return "failed to call webhook: the server is currently unable to handle the request";
	case 504:
		return "failed to call webhook: the server was unable to return a response in the time allotted, but "
		       "may still be processing the request";
	default:
		while (length && (body[length - 1] == '\n' || body[length - 1] == ' '))
			length--;
		if (length > 256)
			length = 256;
		if (status >= 500)
			return arena_printf(arena,
			                    "failed to call webhook: an error on the server (\"%.*s\") has prevented "
			                    "the request from succeeding",
			                    (int)length, body);
		return arena_printf(arena,
		                    "failed to call webhook: the server responded with the status code %d but "
		                    "did not return more information",
		                    status);
	}
}

static void finish(struct webhook_call *call, const char *failure, int status, const char *body, size_t length)
{
	struct webhook_desk *desk = call->desk;

	desk->running--;
	if (call->client)
		call->client->calls--;
	call->done(call, failure, status, body, length);
	start_next(desk);
}

static void on_done(void *context, int status, const char *body, size_t body_length, const struct err *err)
{
	struct webhook_call *call = context;
	const char *failure = NULL;

	call->call = NULL;
	if (err && (err->code == ERR_TIMEOUT || loop_now_ns(call->desk->loop) >= call->deadline_ns))
		failure = fail_text(call, "context deadline exceeded");
	else if (err)
		failure = fail_text(call, err->message);
	else if (status < 200 || status > 299)
		failure = status_text(call->arena, status, body, body_length);
	finish(call, failure, status, body, body_length);
}

static void on_failed(struct loop_task *task)
{
	struct webhook_call *call = container_of(task, struct webhook_call, task);

	finish(call, call->failure, 0, "", 0);
}

static const char *timeout_text(const struct webhook_call *call)
{
	return arena_printf(call->arena, "timeout=%llds", (long long)call->webhook->timeout_seconds);
}

// The URL as it is dialled; NULL with call->failure.
static const char *make_url(struct webhook_call *call, const char **ret_server_name)
{
	const struct webhook *webhook = call->webhook;
	const char *path, *address;

	*ret_server_name = NULL;
	if (webhook->url && webhook->url[0]) {
		call->shown_url = arena_printf(call->arena, "%s%c%s", webhook->url,
		                               strchr(webhook->url, '?') ? '&' : '?', timeout_text(call));
		return call->shown_url;
	}
	path = arena_printf(call->arena, "%s%s?%s", webhook->path[0] == '/' ? "" : "/", webhook->path,
	                    timeout_text(call));
	*ret_server_name = arena_printf(call->arena, "%s.%s.svc", webhook->service_name, webhook->service_namespace);
	call->shown_url =
	        arena_printf(call->arena, "https://%s:%lld%s", *ret_server_name, (long long)webhook->port, path);
	address = resolve_service(call);
	return address ? arena_printf(call->arena, "https://%s%s", address, path) : NULL;
}

static void run(struct webhook_call *call)
{
	static const char *const headers[] = {"Content-Type: application/json", "Accept: application/json, */*", NULL};
	struct webhook_desk *desk = call->desk;
	const char *server_name, *url = make_url(call, &server_name);
	int64_t left_ns = call->deadline_ns - loop_now_ns(desk->loop);
	struct http_call_config config = {
	        .method = "POST",
	        .url = url,
	        .headers = headers,
	        .body = call->body,
	        .body_length = call->body_length,
	        .timeout_ns = left_ns,
	        .max_response_bytes = MAX_ANSWER_BYTES,
	        .on_done = on_done,
	        .context = call,
	};

	desk->running++;
	if (url && left_ns <= 0)
		call->failure = "context deadline exceeded";
	if (!url || left_ns <= 0) {
		call->failure = fail_text(call, call->failure);
		loop_post(desk->loop, &call->task, on_failed);
		return;
	}
	call->client = find_client(desk, call->webhook->ca_bundle, server_name);
	call->client->calls++;
	call->call = http_call_start(call->client->http, &config);
}

static void start_next(struct webhook_desk *desk)
{
	while (desk->running < DESK_MAX_CALLS && !list_is_empty(&desk->waiting)) {
		struct webhook_call *call = list_first(&desk->waiting, struct webhook_call, node);

		list_remove(&call->node);
		run(call);
	}
}

void webhook_call_start(struct webhook_desk *desk, struct webhook_call *call)
{
	list_init(&call->node);
	call->desk = desk;
	call->deadline_ns = loop_now_ns(desk->loop) + call->webhook->timeout_seconds * NSEC_PER_SEC;
	list_append(&desk->waiting, &call->node);
	start_next(desk);
}
