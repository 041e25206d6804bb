// SPDX-License-Identifier: Apache-2.0
// /exec/{namespace}/{pod}/{container} and /exec/{namespace}/{pod}/{uid}/{container}:
// reads and checks what is asked for. Errors come as plain text before the upgrade, in
// upstream's words (pkg/kubelet/server/server.go, apimachinery's httpstream).

#include <string.h>

#include "common/io/websocket.h"
#include "kubelet/server/exec_session.h"
#include "kubelet/server/server_internal.h"

static bool is_one(const struct server_request *request, const char *name)
{
	const char *value = query_get(&request->query, name);
	return value && !strcmp(value, "1");
}

static bool parse_streams(const struct server_request *request, struct exec_request *wanted)
{
	wanted->input = is_one(request, "input");
	wanted->output = is_one(request, "output");
	wanted->tty = is_one(request, "tty");
	wanted->error = is_one(request, "error") && !wanted->tty; // a terminal has one output
	return wanted->input || wanted->output || wanted->error;
}

void server_handle_exec(struct server_request *request)
{
	static const char *const protocols[] = {"v5.channel.k8s.io", "v4.channel.k8s.io", NULL};
	const struct http_request *head = http_exchange_request(request->exchange);
	const char *name = server_container_name(request);
	const char *protocol = websocket_choose_protocol(head, protocols);
	struct exec_request wanted = {.command = query_get_all(&request->query, request->arena, "command")};
	if (!parse_streams(request, &wanted)) {
		server_respond_error(request->exchange, 400, "you must specify at least 1 of stdin, stdout, stderr");
		return;
	}
	struct pod *pod = server_find_pod(request);
	const struct pod_container *container = pod ? pod_find_container(pod, name) : NULL;
	if (!pod)
		server_respond_error(request->exchange, 404, "pod does not exist");
	else if (!container || !container->has_run)
		server_respond_error(request->exchange, 500, "container not found (\"%s\")", name);
	else if (container->state != CONTAINER_RUNNING)
		server_respond_error(request->exchange, 500, "container is in %s state",
		                     container->state == CONTAINER_EXITED ? "CONTAINER_EXITED" : "CONTAINER_CREATED");
	else if (!wanted.command[0])
		server_respond_error(request->exchange, 400, "you must specify at least one command for the container");
	else if (!websocket_is_upgrade(head) || !protocol)
		server_respond_error(request->exchange, 400,
		                     "unable to upgrade: exec needs a WebSocket with subprotocol v5.channel.k8s.io or "
		                     "v4.channel.k8s.io");
	else if (request->server->exec_count >= SERVER_MAX_EXECS)
		server_respond_error(request->exchange, 429, "too many commands are running, try again later");
	else {
		wanted.container_id = container->run.id;
		exec_session_start(request->server, request->exchange, protocol, &wanted);
	}
}
