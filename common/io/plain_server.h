// SPDX-License-Identifier: Apache-2.0
#pragma once
// The plain health and metrics port of a daemon, on libmicrohttpd: /healthz,
// /livez, /readyz with ?verbose, ?exclude= and /livez/<check>, and /metrics.
// The same answers are available to the TLS ports through health_respond.

#include <stdbool.h>

#include "common/base/err.h"
#include "common/base/metrics.h"
#include "common/base/strbuf.h"

struct plain_server;

enum health_endpoint_mask {
	HEALTH_HEALTHZ = 1,
	HEALTH_LIVEZ = 2,
	HEALTH_READYZ = 4,
};

struct health_check {
	const char *name;
	unsigned endpoints; // of enum health_endpoint_mask
	// True when fine. Called on the server's thread: must be thread-safe and quick (read an atomic).
	bool (*check)(void *context);
	void *context;
};

struct plain_server_config {
	const char *bind_address;          // "127.0.0.1"
	int port;                          // 0: any
	const struct health_check *checks; // ended by a NULL name; borrowed
	struct metrics_registry *metrics;  // NULL: no /metrics
};

NODISCARD int plain_server_new(const struct plain_server_config *config, struct plain_server **ret_server,
                               struct err *err);
int plain_server_port(const struct plain_server *server);
struct plain_server *plain_server_free(struct plain_server *server);

// Writes the answer of a health path ("/livez", "/readyz/etcd", …) in upstream's
// text form; returns the HTTP status (200, 500, 404 for no such check).
int health_respond(const struct health_check *checks, const char *path, const char *query, struct strbuf *out);
