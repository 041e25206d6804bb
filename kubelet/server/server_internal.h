// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the handlers of the kubelet's server share.

#include "common/base/arena.h"
#include "common/base/list.h"
#include "common/client/delegated_auth.h"
#include "common/io/http_server.h"
#include "kubelet/kubelet.h"
#include "kubelet/pod/pod.h"
#include "kubelet/server/log_watch.h"
#include "kubelet/server/request_values.h"

struct metrics_registry;

enum {
	SERVER_MAX_EXECS = 128,
	SERVER_MAX_LOG_STREAMS = 512,
};

struct kubelet_server {
	struct kubelet *kubelet;
	struct metrics_registry *metrics; // may be NULL
	struct tls_server_config tls;
	struct http_server *http;
	bool own_certificate;
	struct loop_timer certificate_timer;
	struct delegated_auth *auth;
	struct list pending; // requests whose right to be made is being asked for
	struct log_watch log_watch;
	struct list execs; // struct exec_session
	size_t exec_count;
	size_t log_stream_count;
	struct hashmap *samples; // of processor time, by control group; NULL: none yet
};

// Which of the node's subresources a path stands for, as upstream's kubelet maps them; more than one: any will do.
size_t server_attributes(const struct http_request *request, const char *node_name,
                         struct delegated_attributes ret_attributes[2]);

// One request while its handler runs. What a handler keeps, it copies.
struct server_request {
	struct kubelet_server *server;
	struct kubelet *kubelet;
	struct http_exchange *exchange;
	struct arena *arena;
	struct query query;
	const char *parts[PATH_MAX_PARTS]; // of the path, decoded: "containerLogs", "default", …
	size_t part_count;
};

void server_respond_text(struct http_exchange *exchange, int status, const char *content_type, const char *text,
                         size_t length);
// Plain text, as upstream's kubelet answers errors.
void server_respond_error(struct http_exchange *exchange, int status, const char *format, ...) PRINTF_LIKE(3, 4);

// The pod of parts 1 and 2 (and the uid of a fifth part); NULL when there is none.
struct pod *server_find_pod(const struct server_request *request);
// The last part.
const char *server_container_name(const struct server_request *request);

// exec_handler.c
void server_handle_exec(struct server_request *request);
void server_handle_attach(struct server_request *request);
void server_handle_port_forward(struct server_request *request);
// At the server's end, when every connection is closed: commands that still run forget it.
void exec_sessions_detach(struct kubelet_server *server);

// log_handler.c
void server_handle_logs(struct server_request *request);

// info_handler.c
void server_handle_health(struct server_request *request);
void server_handle_metrics(struct server_request *request);
void server_handle_pods(struct server_request *request);
void server_handle_running_pods(struct server_request *request);
void server_handle_configz(struct server_request *request);

// stats_handler.c
void server_handle_summary(struct server_request *request);
void server_handle_resource_metrics(struct server_request *request);
void server_handle_cadvisor_metrics(struct server_request *request);
void server_handle_probe_metrics(struct server_request *request);
