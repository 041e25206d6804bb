// SPDX-License-Identifier: Apache-2.0
#pragma once
// The kubelet's HTTPS server: logs, exec, and what it tells about itself.

#include "common/base/err.h"
#include "common/base/metrics.h"

struct kubelet;
struct kubelet_server;

NODISCARD int kubelet_server_new(struct kubelet *kubelet, struct metrics_registry *metrics,
				 struct kubelet_server **ret_server, struct err *err);
struct kubelet_server *kubelet_server_free(struct kubelet_server *server);
