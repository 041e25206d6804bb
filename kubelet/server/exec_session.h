// SPDX-License-Identifier: Apache-2.0
#pragma once
// One command in a container, joined to a client.

#include "kubelet/server/remote.h"

struct http_exchange;
struct kubelet_server;

struct exec_request {
	const char *container_id;
	const char *const *command; // NULL-terminated
	struct remote_wants wants;
};

// Upgrades the exchange and runs the command; or answers with an error. The session ends by itself, and is on
// server->execs until then.
void exec_session_start(struct kubelet_server *server, struct http_exchange *exchange,
                        const struct exec_request *wanted);
