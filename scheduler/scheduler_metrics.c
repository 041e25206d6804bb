// SPDX-License-Identifier: Apache-2.0
// Names, labels, help and buckets are upstream's.

#include "scheduler/scheduler_metrics.h"

#include <stdio.h>

#include "common/base/clock.h"

static const double attempt_buckets[] = {0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064,  0.128,
                                         0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384, 0};
static const double count_buckets[] = {1, 2, 4, 8, 16, 0};
static const double sli_buckets[] = {0.01,   0.02,   0.04,   0.08,    0.16,    0.32,    0.64,
                                     1.28,   2.56,   5.12,   10.24,   20.48,   40.96,   81.92,
                                     163.84, 327.68, 655.36, 1310.72, 2621.44, 5242.88, 0};
static const char *const result_labels[] = {"profile", "result", NULL};
static const char *const incoming_labels[] = {"event", "queue", NULL};
static const char *const queue_labels[] = {"queue", NULL};
static const char *const attempts_labels[] = {"attempts", NULL};

static const struct metric_family attempts_total = {
        .name = "scheduler_schedule_attempts_total",
        .help = "Number of attempts to schedule pods, by the result. 'unschedulable' means a pod could not be "
                "scheduled, while "
                "'error' means an internal scheduler problem.",
        .type = METRIC_COUNTER,
        .label_names = result_labels,
};
static const struct metric_family attempt_duration = {
        .name = "scheduler_scheduling_attempt_duration_seconds",
        .help = "Scheduling attempt latency in seconds (scheduling algorithm + binding)",
        .type = METRIC_HISTOGRAM,
        .label_names = result_labels,
        .buckets = attempt_buckets,
};
static const struct metric_family pending_pods = {
        .name = "scheduler_pending_pods",
        .help = "Number of pending pods, by the queue type.",
        .type = METRIC_GAUGE,
        .label_names = queue_labels,
};
static const struct metric_family incoming_pods = {
        .name = "scheduler_queue_incoming_pods_total",
        .help = "Number of pods added to scheduling queues by event and queue type.",
        .type = METRIC_COUNTER,
        .label_names = incoming_labels,
};
static const struct metric_family pod_attempts = {
        .name = "scheduler_pod_scheduling_attempts",
        .help = "Number of attempts to successfully schedule a pod.",
        .type = METRIC_HISTOGRAM,
        .buckets = count_buckets,
};
static const struct metric_family pod_duration = {
        .name = "scheduler_pod_scheduling_sli_duration_seconds",
        .help = "E2e latency for a pod being scheduled, from the time the pod enters the scheduling queue.",
        .type = METRIC_HISTOGRAM,
        .label_names = attempts_labels,
        .buckets = sli_buckets,
};

static double seconds_of(int64_t duration_ns)
{
	return (double)duration_ns / (double)NSEC_PER_SEC;
}

void scheduler_metrics_attempt(const struct scheduler_metrics *metrics, const char *profile, enum attempt_result result,
                               int64_t duration_ns)
{
	static const char *const results[] = {[ATTEMPT_SCHEDULED] = "scheduled",
	                                      [ATTEMPT_UNSCHEDULABLE] = "unschedulable",
	                                      [ATTEMPT_ERROR] = "error"};
	const char *const values[] = {profile, results[result]};
	metric_add(metric_get(metrics->registry, &attempts_total, values), 1);
	metric_observe(metric_get(metrics->registry, &attempt_duration, values), seconds_of(duration_ns));
}

void scheduler_metrics_incoming(const struct scheduler_metrics *metrics, enum queue_place place, const char *event)
{
	const char *const values[] = {event, queue_place_to_string(place)};
	metric_add(metric_get(metrics->registry, &incoming_pods, values), 1);
}

void scheduler_metrics_pending(const struct scheduler_metrics *metrics, const struct queue *queue)
{
	static const enum queue_place places[] = {QUEUE_ACTIVE, QUEUE_BACKOFF, QUEUE_UNSCHEDULABLE, QUEUE_GATED};
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		const char *const values[] = {queue_place_to_string(places[i])};
		metric_set(metric_get(metrics->registry, &pending_pods, values), (double)queue_count(queue, places[i]));
	}
}

void scheduler_metrics_bound(const struct scheduler_metrics *metrics, unsigned attempts, int64_t since_added_ns)
{
	char text[16];
	snprintf(text, sizeof(text), "%u", attempts < 16 ? attempts : 16);
	if (attempts >= 16)
		snprintf(text, sizeof(text), "16+");
	const char *const values[] = {text};
	metric_observe(metric_get(metrics->registry, &pod_attempts, NULL), attempts);
	metric_observe(metric_get(metrics->registry, &pod_duration, values), seconds_of(since_added_ns));
}
