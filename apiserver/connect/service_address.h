// SPDX-License-Identifier: Apache-2.0
#pragma once
// Where a Service is reached that is named by an object of the cluster's
// configuration: a webhook's, an API service's.

#include <stdbool.h>

struct arena;
struct server;

struct service_address {
	const char *host; // an address, or the name of an ExternalName service
	int port;
	const char *server_name; // of its certificate: NAME.NAMESPACE.svc
};

// Why there is none, as upstream's conditions say it.
struct service_failure {
	const char *reason; // ServiceNotFound, ServicePortError, EndpointsNotFound, MissingEndpoints
	const char *message;
};

// From the watch cache's present state; texts in the arena. `endpoints`: an address of a ready
// endpoint, else the cluster IP (which needs a ready endpoint too). Safe on any thread.
bool service_address_find(struct server *server, struct arena *arena, const char *namespace_name, const char *name,
                          int port, bool endpoints, struct service_address *ret_address,
                          struct service_failure *ret_failure);
