// SPDX-License-Identifier: Apache-2.0
#pragma once
// The scheduler's metrics, under upstream's stable names.

#include <stdint.h>

#include "common/base/metrics.h"
#include "scheduler/queue.h"

enum attempt_result {
	ATTEMPT_SCHEDULED,
	ATTEMPT_UNSCHEDULABLE,
	ATTEMPT_ERROR,
};

struct scheduler_metrics {
	struct metrics_registry *registry;
};

void scheduler_metrics_attempt(const struct scheduler_metrics *metrics, const char *profile, enum attempt_result result,
                               int64_t duration_ns);
void scheduler_metrics_incoming(const struct scheduler_metrics *metrics, enum queue_place place, const char *event);
void scheduler_metrics_pending(const struct scheduler_metrics *metrics, const struct queue *queue);
// A pod was bound after so many attempts.
void scheduler_metrics_bound(const struct scheduler_metrics *metrics, unsigned attempts, int64_t since_added_ns);
