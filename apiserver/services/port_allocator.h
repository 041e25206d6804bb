// SPDX-License-Identifier: Apache-2.0
#pragma once
// Node ports: a bitmap in etcd that every allocation swaps (see port_allocator.c).

#include <stdbool.h>
#include <stddef.h>

#include "common/base/err.h"

struct loop;
struct server;

struct port_request {
	const int *wanted; // these very ports
	size_t wanted_count;
	size_t dynamic_count; // and so many free ones
	const int *released;
	size_t released_count;
};

struct port_result {
	const struct err *err; // NULL: done
	int conflicting_port;  // a wanted port that is taken; 0 = none
	bool exhausted;        // no free port is left
	const int *dynamic;    // borrowed for the callback
};

// Copies the request. `done` comes exactly once on `loop`, never from inside the call; NULL: nobody waits.
void port_allocator_apply(struct server *server, struct loop *loop, const struct port_request *request,
                          void (*done)(void *context, const struct port_result *result), void *context);

// The ports that the stored bitmap holds, from the cache: *ret_ports is a heap array. False: not known.
bool port_allocator_held(struct server *server, int **ret_ports, size_t *ret_count);
