// SPDX-License-Identifier: Apache-2.0
// A call goes to the main loop as a task, and its answer comes back as one to the
// loop that asked. What is still under way at the stop is answered there and then.

#include "apiserver/authentication/webhook_client.h"

#include <string.h>

#include "apiserver/server.h"
#include "common/base/list.h"
#include "common/base/memory.h"
#include "common/base/text.h"
#include "common/io/http_client.h"
#include "common/io/loop.h"

enum {
	WEBHOOK_MAX_ANSWER_BYTES = 4 << 20,
};

struct webhook_client {
	struct server *server;
	struct arena *arena; // texts of the configuration
	struct client_config config;
	struct http_client *http; // NULL: not started, or stopped
	struct list calls;        // under way; the main loop's
};

struct outgoing {
	struct webhook_client *client;
	struct list node;
	struct loop_task task;
	struct webhook_call call;
	char *url;
	char *body;
	struct http_call *http;
	int status;
	char *answer;
	size_t length;
	struct err err;
};

static void on_home(struct loop_task *task)
{
	struct outgoing *out = container_of(task, struct outgoing, task);

	out->call.done(out->call.context, out->status, out->answer, out->length, out->err.code ? &out->err : NULL);
	free(out->url);
	free(out->body);
	free(out->answer);
	free(out);
}

static void go_home(struct outgoing *out)
{
	list_remove(&out->node);
	loop_post(out->call.loop, &out->task, on_home);
}

static void on_done(void *context, int status, const char *body, size_t length, const struct err *err)
{
	struct outgoing *out = context;

	out->status = status;
	out->answer = xstrndup(body ? body : "", length);
	out->length = length;
	if (err)
		err_copy(&out->err, err);
	go_home(out);
}

static void on_main(struct loop_task *task)
{
	static const char *const headers[] = {"Content-Type: application/json", "Accept: application/json", NULL};
	struct outgoing *out = container_of(task, struct outgoing, task);
	struct http_call_config config = {
	        .method = out->body ? "POST" : "GET",
	        .url = out->url,
	        .headers = headers,
	        .body = out->body,
	        .body_length = out->body ? strlen(out->body) : 0,
	        .timeout_ns = out->call.timeout_ns,
	        .max_response_bytes = WEBHOOK_MAX_ANSWER_BYTES,
	        .on_done = on_done,
	        .context = out,
	};

	list_append(&out->client->calls, &out->node);
	if (out->client->http) {
		out->http = http_call_start(out->client->http, &config);
		return;
	}
	err_set(&out->err, ERR_UNAVAILABLE, "the server is stopping");
	go_home(out);
}

void webhook_call(struct webhook_client *client, const struct webhook_call *call)
{
	struct outgoing *out = NEW(struct outgoing);

	out->client = client;
	out->call = *call;
	out->url = xstrdup(call->url ? call->url : client->config.server);
	out->body = xstrdup(call->body);
	list_init(&out->node);
	loop_post(client->server->main_loop, &out->task, on_main);
}

// --- making it -------------------------------------------------------------------------------------

struct webhook_client *webhook_client_new_for(struct server *server, const char *ca_file, const char *ca_data)
{
	struct webhook_client *client = NEW(struct webhook_client);

	client->server = server;
	client->arena = arena_new(1024);
	client->config.ca_file = arena_strdup(client->arena, ca_file);
	client->config.ca_data = arena_strdup(client->arena, ca_data);
	list_init(&client->calls);
	return client;
}

int webhook_client_new(struct server *server, const char *kubeconfig_file, struct webhook_client **ret_client,
                       struct err *err)
{
	struct webhook_client *client = webhook_client_new_for(server, NULL, NULL);
	const struct kubeconfig_overrides overrides = {.path = kubeconfig_file};
	int r = kubeconfig_load(client->arena, &overrides, &client->config, err);

	if (r == 0 && text_is_empty(client->config.server))
		r = err_set(err, ERR_INVALID, "%s names no server", kubeconfig_file);
	if (r < 0)
		webhook_client_free(client);
	else
		*ret_client = client;
	return r;
}

void webhook_client_start(struct webhook_client *client)
{
	const struct client_config *config = &client->config;
	const struct http_client_config http = {
	        .tls = {.ca_file = config->ca_file,
	                .ca_data = config->ca_data,
	                .certificate_file = config->certificate_file,
	                .certificate_data = config->certificate_data,
	                .private_key_file = config->private_key_file,
	                .private_key_data = config->private_key_data,
	                .server_name = config->tls_server_name,
	                .insecure_skip_verify = config->insecure_skip_tls_verify},
	        .bearer_token = config->bearer_token,
	        .bearer_token_file = config->bearer_token_file,
	        .user_agent = "kube-apiserver",
	};

	client->http = http_client_new(client->server->main_loop, &http);
}

void webhook_client_stop(struct webhook_client *client)
{
	struct outgoing *out;

	if (!client->http)
		return;
	client->http = http_client_free(client->http);
	list_for_each (out, &client->calls, node) {
		err_set(&out->err, ERR_UNAVAILABLE, "the server is stopping");
		go_home(out);
	}
}

struct webhook_client *webhook_client_free(struct webhook_client *client)
{
	if (!client)
		return NULL;
	arena_free(client->arena);
	free(client);
	return NULL;
}
