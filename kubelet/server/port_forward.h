// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the two protocols of port forwarding share.

#include <stddef.h>

struct http_exchange;
struct kubelet_server;
struct server_request;

// The pod that ports are forwarded to.
struct forward_target {
	const char *pod_name; // "name_namespace" in messages
	const char *uid;
	const char *network_path; // NULL: the host's
};

enum { FORWARD_HIGH_WATER_BYTES = 256 << 10 };

// Each upgrades the exchange or answers with an error. The session ends by itself; `target` is copied.
// SPDY, as it is or tunnelled in a WebSocket: a pair of streams for each connection.
void forward_spdy_start(struct kubelet_server *server, struct http_exchange *exchange,
                        const struct forward_target *target);
// WebSocket channels: one connection to each of the ports.
void forward_websocket_start(struct kubelet_server *server, struct http_exchange *exchange,
                             const struct forward_target *target, const int *ports, size_t port_count);
