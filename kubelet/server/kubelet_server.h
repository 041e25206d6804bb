// SPDX-License-Identifier: Apache-2.0
#pragma once
// The kubelet's HTTPS server: logs, exec, and what it tells about itself.

#include "common/base/err.h"
#include "common/base/metrics.h"

struct kubelet;
struct kubelet_server;

// Serves on the kubelet's loop and its configured address and port (0: any). `metrics` may be NULL.
NODISCARD int kubelet_server_new(struct kubelet *kubelet, struct metrics_registry *metrics,
                                 struct kubelet_server **ret_server, struct err *err);
int kubelet_server_port(const struct kubelet_server *server);
// Cuts off what is open and kills running commands. Outside of callbacks; before the pods and the runtime go.
struct kubelet_server *kubelet_server_free(struct kubelet_server *server);
