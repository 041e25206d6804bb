// SPDX-License-Identifier: Apache-2.0
// /exec, /attach and /portForward/{namespace}/{pod}[/{uid}]/{container}: read and check
// what is asked for. Errors come as plain text before the upgrade, in upstream's words
// (pkg/kubelet/server/server.go, apimachinery's httpstream).

#include <stdlib.h>
#include <string.h>

#include "common/io/websocket.h"
#include "kubelet/pod/pod_manager.h"
#include "kubelet/server/attach_session.h"
#include "kubelet/server/exec_session.h"
#include "kubelet/server/port_forward.h"
#include "kubelet/server/server_internal.h"

enum { MAX_PORTS = 32 };

static bool is_one(const struct server_request *request, const char *name)
{
	const char *value = query_get(&request->query, name);
	return value && !strcmp(value, "1");
}

// False after an answer.
static bool parse_streams(const struct server_request *request, struct remote_wants *wants)
{
	wants->input = is_one(request, "input");
	wants->output = is_one(request, "output");
	wants->tty = is_one(request, "tty");
	wants->error = is_one(request, "error") && !wants->tty; // a terminal has one output
	if (wants->input || wants->output || wants->error)
		return true;
	server_respond_error(request->exchange, 400, "you must specify at least 1 of stdin, stdout, stderr");
	return false;
}

// A container that runs; NULL after an answer.
static const struct pod_container *find_running(const struct server_request *request)
{
	const char *name = server_container_name(request);
	struct pod *pod = server_find_pod(request);
	const struct pod_container *container = pod ? pod_find_container(pod, name) : NULL;
	if (!pod)
		server_respond_error(request->exchange, 404, "pod does not exist");
	else if (!container || !container->has_run)
		server_respond_error(request->exchange, 500, "container not found (\"%s\")", name);
	else if (container->state != CONTAINER_RUNNING)
		server_respond_error(request->exchange, 500, "container is in %s state",
		                     container->state == CONTAINER_EXITED ? "CONTAINER_EXITED" : "CONTAINER_CREATED");
	else
		return container;
	return NULL;
}

static bool has_room(const struct server_request *request)
{
	if (request->server->exec_count < SERVER_MAX_EXECS)
		return true;
	server_respond_error(request->exchange, 429, "too many commands are running, try again later");
	return false;
}

void server_handle_exec(struct server_request *request)
{
	struct exec_request wanted = {.command = query_get_all(&request->query, request->arena, "command")};
	if (!parse_streams(request, &wanted.wants))
		return;
	const struct pod_container *container = find_running(request);
	if (!container)
		return;
	if (!wanted.command[0]) {
		server_respond_error(request->exchange, 400, "you must specify at least one command for the container");
		return;
	}
	wanted.container_id = container->run.id;
	if (has_room(request))
		exec_session_start(request->server, request->exchange, &wanted);
}

void server_handle_attach(struct server_request *request)
{
	struct remote_wants wants = {0};
	if (!parse_streams(request, &wants))
		return;
	const struct pod_container *container = find_running(request);
	if (container && has_room(request))
		attach_session_start(request->server, request->exchange, container, &wants);
}

// --- port forwarding -----------------------------------------------------------------

// "port=80,443&port=8080"; false after an answer.
static bool parse_ports(const struct server_request *request, int ports[MAX_PORTS], size_t *count)
{
	const char **values = query_get_all(&request->query, request->arena, "port");
	*count = 0;
	for (; *values; values++) {
		for (const char *at = *values; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
			char *end;
			long port = strtol(at, &end, 10);
			if (port < 1 || port > 65535 || (*end && *end != ',') || *count == MAX_PORTS) {
				server_respond_error(request->exchange, 400, "unable to parse \"%s\" as a port", at);
				return false;
			}
			ports[(*count)++] = (int)port;
		}
	}
	if (!*count)
		server_respond_error(request->exchange, 400, "query parameter \"port\" is required");
	return *count;
}

static bool asks_for_channels(const struct http_request *head)
{
	static const char *const tunnel[] = {"SPDY/3.1+portforward.k8s.io", NULL};
	return websocket_is_upgrade(head) && !websocket_choose_protocol(head, tunnel);
}

void server_handle_port_forward(struct server_request *request)
{
	const char *uid = request->part_count == 4 ? request->parts[3] : NULL;
	const struct pod *pod = pod_manager_find(request->kubelet->pods, request->parts[1], request->parts[2], uid);
	if (!pod) {
		server_respond_error(request->exchange, 404, "pod does not exist");
		return;
	}
	if (pod->sandbox.state != PART_READY) {
		server_respond_error(request->exchange, 500, "sandbox is not running");
		return;
	}
	if (!has_room(request))
		return;
	const struct forward_target target = {
	        .pod_name = arena_printf(request->arena, "%s_%s", pod->name, pod->namespace_name),
	        .uid = pod->uid,
	        .network_path = pod->sandbox.network_path,
	};
	int ports[MAX_PORTS];
	size_t count;
	if (!asks_for_channels(http_exchange_request(request->exchange)))
		forward_spdy_start(request->server, request->exchange, &target);
	else if (parse_ports(request, ports, &count))
		forward_websocket_start(request->server, request->exchange, &target, ports, count);
}
