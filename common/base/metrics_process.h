// SPDX-License-Identifier: Apache-2.0
#pragma once
// The process_* metrics of Prometheus' client libraries, read from /proc/self.

struct metrics_registry;

// Refreshes them; a value that can't be read keeps what it was.
void metrics_collect_process(struct metrics_registry *registry);
