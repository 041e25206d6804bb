// SPDX-License-Identifier: Apache-2.0
#pragma once
// One command in a container, joined to a client by a WebSocket.

#include <stdbool.h>

struct http_exchange;
struct kubelet_server;

struct exec_request {
	const char *container_id;
	const char *const *command; // NULL-terminated
	bool input;
	bool output;
	bool error;
	bool tty; // then `error` is not asked for
};

// Upgrades the exchange, which asks for a WebSocket with this protocol, and runs the command; or answers with an error.
// The session ends by itself, and is on server->execs until then.
void exec_session_start(struct kubelet_server *server, struct http_exchange *exchange, const char *protocol,
                        const struct exec_request *wanted);
