// SPDX-License-Identifier: Apache-2.0
#pragma once
// Where a CONNECT request goes: host, port and request target, from the route,
// the query and the objects they name.

#include <stdbool.h>

#include "apiserver/request.h"

struct connect_target {
	char host[64]; // an IP address
	int port;
	bool tls;              // a kubelet (or https:… of a proxied name)
	const char *path;      // with its query
	bool speaks_spdy_only; // another kubelet than ours
	bool empty;            // nothing to ask: an empty answer (the log of a pod without a node)
};

// From the watch cache's present state. NULL = found.
const struct status *connect_target_find(struct request *request, struct connect_target *ret_target);
