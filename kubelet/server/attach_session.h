// SPDX-License-Identifier: Apache-2.0
#pragma once
// A client joined to the streams of a container's main process.

#include "kubelet/server/remote.h"

struct http_exchange;
struct kubelet_server;
struct pod_container;

// Upgrades the exchange, or answers with an error. The container runs. The session ends by itself.
void attach_session_start(struct kubelet_server *server, struct http_exchange *exchange,
                          const struct pod_container *container, const struct remote_wants *wants);
