// SPDX-License-Identifier: Apache-2.0
#pragma once
// The apiserver_flowcontrol_* metrics, with upstream's names and labels.

#include "common/base/metrics.h"

// Of the requests of one schema in its level.
struct flow_metrics {
	const char *schema;
	const char *level;
	struct metric *dispatched;
	struct metric *in_queue;
	struct metric *in_queue_seats;
	struct metric *executing;
	struct metric *executing_seats;
	struct metric *waited_executed; // seconds, of those that were let in
	struct metric *waited_refused;
	struct metric *execution; // seconds
	struct metric *width;     // seats
};

// `schema` and `level` are borrowed for as long as the struct.
void flow_metrics_init(struct flow_metrics *metrics, struct metrics_registry *registry, const char *schema,
                       const char *level);
// `reason`: "queue-full", "concurrency-limit", "time-out", "cancelled".
void flow_metrics_refused(const struct flow_metrics *metrics, struct metrics_registry *registry, const char *reason);

// Of one level.
struct level_metrics {
	struct metric *nominal;
	struct metric *lower;
	struct metric *upper;
	struct metric *current;
	struct metric *high;     // demand, of the last period
	struct metric *smoothed; // demand
};

void level_metrics_init(struct level_metrics *metrics, struct metrics_registry *registry, const char *level);
