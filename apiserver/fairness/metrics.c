// SPDX-License-Identifier: Apache-2.0

#include "apiserver/fairness/metrics.h"

#include <stddef.h>

static const char *const flow_labels[] = {"priority_level", "flow_schema", NULL};
static const char *const level_labels[] = {"priority_level", NULL};
static const char *const refused_labels[] = {"priority_level", "flow_schema", "reason", NULL};
static const char *const waited_labels[] = {"priority_level", "flow_schema", "execute", NULL};
static const char *const execution_labels[] = {"priority_level", "flow_schema", "type", NULL};
static const double second_buckets[] = {0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 0};
static const double seat_buckets[] = {1, 2, 4, 10, 0};

#define FAMILY(NAME, HELP, TYPE, LABELS, BUCKETS)                          \
	{                                                                  \
		"apiserver_flowcontrol_" NAME, HELP, TYPE, LABELS, BUCKETS \
	}

static const struct metric_family dispatched =
        FAMILY("dispatched_requests_total", "Requests that were let execute", METRIC_COUNTER, flow_labels, NULL);
static const struct metric_family refused =
        FAMILY("rejected_requests_total", "Requests that were refused", METRIC_COUNTER, refused_labels, NULL);
static const struct metric_family in_queue =
        FAMILY("current_inqueue_requests", "Requests that wait in queues", METRIC_GAUGE, flow_labels, NULL);
static const struct metric_family in_queue_seats =
        FAMILY("current_inqueue_seats", "Seats that waiting requests ask for", METRIC_GAUGE, flow_labels, NULL);
static const struct metric_family executing =
        FAMILY("current_executing_requests", "Requests that execute", METRIC_GAUGE, flow_labels, NULL);
static const struct metric_family executing_seats =
        FAMILY("current_executing_seats", "Seats that are taken", METRIC_GAUGE, flow_labels, NULL);
static const struct metric_family waited =
        FAMILY("request_wait_duration_seconds", "Time that requests waited in queues", METRIC_HISTOGRAM, waited_labels,
               second_buckets);
static const struct metric_family execution = FAMILY("request_execution_seconds", "Time that requests held their seats",
                                                     METRIC_HISTOGRAM, execution_labels, second_buckets);
static const struct metric_family width = FAMILY("work_estimated_seats", "Seats that requests were judged to need",
                                                 METRIC_HISTOGRAM, flow_labels, seat_buckets);

static const struct {
	struct metric_family family;
	size_t offset;
} level_families[] = {
        {FAMILY("nominal_limit_seats", "A level's seats by its shares", METRIC_GAUGE, level_labels, NULL),
         offsetof(struct level_metrics, nominal)},
        {FAMILY("lower_limit_seats", "Seats that a level never lends", METRIC_GAUGE, level_labels, NULL),
         offsetof(struct level_metrics, lower)},
        {FAMILY("upper_limit_seats", "The most seats that a level may have", METRIC_GAUGE, level_labels, NULL),
         offsetof(struct level_metrics, upper)},
        {FAMILY("current_limit_seats", "The seats that a level has now", METRIC_GAUGE, level_labels, NULL),
         offsetof(struct level_metrics, current)},
        {FAMILY("demand_seats_high_watermark", "The most seats asked for in the last period", METRIC_GAUGE,
                level_labels, NULL),
         offsetof(struct level_metrics, high)},
        {FAMILY("demand_seats_smoothed", "The seats asked for, over periods", METRIC_GAUGE, level_labels, NULL),
         offsetof(struct level_metrics, smoothed)},
};

void flow_metrics_init(struct flow_metrics *metrics, struct metrics_registry *registry, const char *schema,
                       const char *level)
{
	const char *labels[] = {level, schema}, *yes[] = {level, schema, "true"}, *no[] = {level, schema, "false"};
	const char *regular[] = {level, schema, "regular"};

	*metrics = (struct flow_metrics){
	        .schema = schema,
	        .level = level,
	        .dispatched = metric_get(registry, &dispatched, labels),
	        .in_queue = metric_get(registry, &in_queue, labels),
	        .in_queue_seats = metric_get(registry, &in_queue_seats, labels),
	        .executing = metric_get(registry, &executing, labels),
	        .executing_seats = metric_get(registry, &executing_seats, labels),
	        .waited_executed = metric_get(registry, &waited, yes),
	        .waited_refused = metric_get(registry, &waited, no),
	        .execution = metric_get(registry, &execution, regular),
	        .width = metric_get(registry, &width, labels),
	};
}

void flow_metrics_refused(const struct flow_metrics *metrics, struct metrics_registry *registry, const char *reason)
{
	const char *labels[] = {metrics->level, metrics->schema, reason};

	metric_add(metric_get(registry, &refused, labels), 1);
}

void level_metrics_init(struct level_metrics *metrics, struct metrics_registry *registry, const char *level)
{
	const char *labels[] = {level};

	for (size_t i = 0; i < sizeof(level_families) / sizeof(level_families[0]); i++)
		*(struct metric **)((char *)metrics + level_families[i].offset) =
		        metric_get(registry, &level_families[i].family, labels);
}
