// SPDX-License-Identifier: Apache-2.0
// exec, attach, port-forward, logs and proxies:
//
//   admission → find the target → relay

#include "apiserver/connect/connect.h"

#include <openssl/ssl.h>
#include <string.h>

#include "apiserver/admission/admission.h"
#include "apiserver/connect/connect_options.h"
#include "apiserver/connect/connect_target.h"
#include "apiserver/connect/relay.h"
#include "apiserver/server.h"
#include "common/base/blob.h"

// A connection that is to be opened. Nothing changes: the change is what admission speaks of.
struct connection {
	struct request *request;
	struct change change;
	struct admission_wait wait;
};

int connect_init(struct server *server, struct err *err)
{
	const struct server_config *config = server->config;
	struct tls_client_config tls = {
	        .ca_file = config->kubelet_ca_file[0] ? config->kubelet_ca_file : NULL,
	        .certificate_file = config->kubelet_certificate_file[0] ? config->kubelet_certificate_file : NULL,
	        .private_key_file = config->kubelet_private_key_file[0] ? config->kubelet_private_key_file : NULL,
	        .insecure_skip_verify = !config->kubelet_ca_file[0],
	};

	return tls_client_context_new(&tls, false, &server->kubelet_tls, err);
}

void connect_done(struct server *server)
{
	SSL_CTX_free(server->kubelet_tls);
}

static const struct status *check(struct request *request)
{
	const char *what = request->route.subresource_name, *method = request->http->method;
	bool streams = !strcmp(what, "exec") || !strcmp(what, "attach") || !strcmp(what, "portforward");

	if (!strcmp(what, "proxy"))
		return NULL;
	if (!strcmp(what, "log"))
		return !strcmp(method, "GET") ? NULL : status_method_not_allowed(request->arena);
	if (strcmp(method, "GET") && strcmp(method, "POST"))
		return status_method_not_allowed(request->arena);
	if (streams && (request->http->is_http2 || !http_request_header(request->http, "upgrade")))
		return status_new(request->arena, ERR_BAD_REQUEST, "Upgrade request required");
	if (!strcmp(what, "exec") && !query_get(&request->query, "command"))
		return status_new(request->arena, ERR_BAD_REQUEST,
		                  "you must specify at least 1 command for the container");
	return NULL;
}

static void finish_empty(struct request *request)
{
	AUTO(blob_unref) struct blob *nothing = blob_new("", 0);

	request_finish_blob(request, 200, "text/plain", nothing);
}

// Upstream's kubelets speak the WebSocket protocols of today's clients only by their apiserver's mouth.
static void translate(struct request *request, struct relay_target *target)
{
	const char *what = request->route.subresource_name;
	bool forwards = !strcmp(what, "portforward");

	if (!forwards && strcmp(what, "exec") && strcmp(what, "attach"))
		return;
	target->translated = translator_protocol(request->http, forwards);
	target->translation = (struct translator_config){
	        .is_tunnel = forwards,
	        .input = query_get_bool(&request->query, "stdin"),
	        .output = query_get_bool(&request->query, "stdout"),
	        .error = query_get_bool(&request->query, "stderr"),
	        .terminal = query_get_bool(&request->query, "tty"),
	};
}

static void open_connection(struct connection *connection)
{
	struct request *request = connection->request;
	struct connect_target *found = ARENA_NEW(request->arena, struct connect_target);
	const struct status *status = connect_target_find(request, found);
	struct relay_target target = {
	        .host = found->host,
	        .port = found->port,
	        .tls = found->tls ? request->server->kubelet_tls : NULL,
	        .connect_timeout_ns = request->server->config->kubelet_timeout_ns,
	        .path = found->path,
	};

	if (status)
		request_finish_status(request, status);
	else if (found->empty)
		finish_empty(request);
	else {
		if (found->speaks_spdy_only)
			translate(request, &target);
		relay_start(request, &target);
	}
}

static void on_judged_by_others(void *context, const struct status *failure)
{
	struct connection *connection = context;

	if (failure)
		request_finish_status(connection->request, failure);
	else
		open_connection(connection);
}

static void on_seen_by_others(void *context, const struct status *failure)
{
	struct connection *connection = context;

	if (failure)
		request_finish_status(connection->request, failure);
	else
		admission_wait(&connection->wait, &connection->change, ADMISSION_CONNECT, ADMISSION_VALIDATE,
		               on_judged_by_others, connection);
}

void connect_serve(struct request *request)
{
	struct connection *connection = ARENA_NEW(request->arena, struct connection);
	const struct schema_resource *resource = request_resource(request);
	const struct status *status = check(request);

	connection->request = request;
	connection->change = (struct change){
	        .request = request,
	        .server = request->server,
	        .arena = request->arena,
	        .resource = resource,
	        .subresource = request->route.subresource_name,
	        .name = request->route.name,
	        .namespace_name = resource->namespaced ? request->route.namespace_name : "",
	};
	connection->change.options = connect_options(request);
	connection->change.object = connection->change.options;
	if (!status && connection->change.options)
		status = admission_mutate(&connection->change, ADMISSION_CONNECT);
	if (!status && connection->change.options)
		status = admission_validate(&connection->change, ADMISSION_CONNECT);
	if (status)
		request_finish_status(request, status);
	else if (!connection->change.options)
		open_connection(connection);
	else
		admission_wait(&connection->wait, &connection->change, ADMISSION_CONNECT, ADMISSION_MUTATE,
		               on_seen_by_others, connection);
}
