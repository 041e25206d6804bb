// SPDX-License-Identifier: Apache-2.0
#pragma once
// The objects behind fairness: follows the flow schemas and priority levels, writes
// the default ones and what is missing or must be put right, and tells in the
// schemas' conditions whose level doesn't exist.

#include <stddef.h>

struct flow_upkeep;
struct json;
struct server;

// `configure` gets all completed objects, borrowed for the call, on the main loop.
struct flow_upkeep *flow_upkeep_start(struct server *server,
                                      void (*configure)(void *context, struct json *const *levels, size_t level_count,
                                                        struct json *const *schemas, size_t schema_count),
                                      void *context);
struct flow_upkeep *flow_upkeep_stop(struct flow_upkeep *upkeep); // returns NULL
