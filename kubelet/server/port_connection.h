// SPDX-License-Identifier: Apache-2.0
#pragma once
// A connection to a port of a pod: to localhost inside the pod's network namespace.

#include <stdbool.h>
#include <stddef.h>

struct loop;
struct port_connection;

// Never called from inside a function below.
struct port_connection_handler {
	void (*on_data)(void *context, const void *data, size_t length);
	void (*on_drain)(void *context); // everything written is out
	void (*on_end)(void *context);   // the server sends no more
	// Once: it could not be made, or broke. The owner still closes.
	void (*on_failed)(void *context, const char *message);
	void *context;
};

// `network_path`: of the namespace; NULL: the host's. Copied.
struct port_connection *port_connection_open(struct loop *loop, const char *network_path, int port,
                                             const struct port_connection_handler *handler);
void port_connection_write(struct port_connection *connection, const void *data, size_t length); // copies
void port_connection_finish(struct port_connection *connection); // no more will be written
size_t port_connection_pending_bytes(const struct port_connection *connection);
void port_connection_pause(struct port_connection *connection, bool pause); // the reading
void port_connection_close(struct port_connection *connection);             // accepts NULL
