// SPDX-License-Identifier: Apache-2.0
#pragma once
// Something that is done once to a running container to probe it or as a hook of its
// life: a command in it, an HTTP request, a TCP connection, a gRPC health check, a pause.

#include <stdbool.h>
#include <stdint.h>

#include "kubelet/pod/pod.h"

// One of the five; all NULL: nothing that can be done, which fails.
struct action_config {
	struct pod_container *container;
	const struct core_v1_exec_action *exec;
	const struct core_v1_http_get_action *http_get;
	const struct core_v1_tcp_socket_action *tcp_socket;
	const struct core_v1_grpc_action *grpc;
	const struct core_v1_sleep_action *sleep;
	const char *user_agent;
	bool any_http_status; // an answer is enough
	int64_t timeout_ns;
};

struct action;

// `done` comes once, in a later turn, with "" or what went wrong; the action is gone by then.
struct action *action_start(const struct action_config *config,
                            void (*done)(void *context, bool fine, const char *message), void *context);
// No callback follows. Accepts NULL, returns NULL.
struct action *action_cancel(struct action *action);
