// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the handlers of the kubelet's server share.

#include "common/base/arena.h"
#include "common/io/http_server.h"
#include "kubelet/kubelet.h"
#include "kubelet/pod/pod.h"

struct kubelet_server;

struct server_request {
	struct kubelet_server *server;
	struct kubelet *kubelet;
	struct http_exchange *exchange;
	struct arena *arena; // of this call
	char *parts[6];      // of the path, decoded: "containerLogs", "default", …
	size_t part_count;
};

// The value of a query parameter, decoded; NULL: not given.
const char *server_query(const struct server_request *request, const char *name);
// All values of a repeated one, NULL-terminated.
const char **server_query_all(const struct server_request *request, const char *name);
void server_respond_text(struct http_exchange *exchange, int status, const char *content_type, const char *text,
			 size_t length);
void server_respond_error(struct http_exchange *exchange, int status, const char *format, ...) PRINTF_LIKE(3, 4);

// The pod and container of parts 1 … 3 (a uid may stand between); answers with an error and returns NULL.
struct pod_container *server_find_container(struct server_request *request);

// log_handler.c, exec_handler.c, info_handler.c
void server_handle_logs(struct server_request *request);
void server_handle_exec(struct server_request *request);
void server_handle_pods(struct server_request *request);
void server_handle_running_pods(struct server_request *request);
