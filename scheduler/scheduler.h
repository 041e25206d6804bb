// SPDX-License-Identifier: Apache-2.0
#pragma once
// The scheduler itself: informers feed the cache and the queue, cycles empty the
// queue, bindings run beside them.

#include <stdbool.h>

#include "scheduler/config.h"

struct rest_client;
struct metrics_registry;
struct scheduler;

// Watches at once. `on_synced` comes once, when pods and nodes are known.
struct scheduler *scheduler_new(struct rest_client *client, struct metrics_registry *metrics,
                                const struct scheduler_config *config, void (*on_synced)(void *context), void *context);
struct scheduler *scheduler_free(struct scheduler *scheduler);

// Schedules from now on (leadership was won).
void scheduler_run(struct scheduler *scheduler);
