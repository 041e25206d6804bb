// SPDX-License-Identifier: Apache-2.0
#include "apiserver/storage/cache_metrics.h"

#include <stdatomic.h>

#include "common/base/clock.h"
#include "common/base/macros.h"
#include "common/base/metrics.h"

static const char *const by_resource[] = {"resource", NULL};
static const char *const by_prefix[] = {"resource_prefix", NULL};
static const char *const by_index[] = {"resource_prefix", "index", NULL};
static const char *const by_success[] = {"resource", "success", "fallback", NULL};
static const double wait_buckets[] = {0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2, 3, 0};

static const struct metric_family cache_lists = {"apiserver_cache_list_total",
                                                 "Number of LIST requests served from watch cache", METRIC_COUNTER,
                                                 by_index, NULL};
static const struct metric_family cache_fetched = {
        "apiserver_cache_list_fetched_objects_total",
        "Number of objects read from watch cache in the course of serving a LIST request", METRIC_COUNTER, by_index,
        NULL};
static const struct metric_family cache_returned = {"apiserver_cache_list_returned_objects_total",
                                                    "Number of objects returned for a LIST request from watch cache",
                                                    METRIC_COUNTER, by_prefix, NULL};
static const struct metric_family consistent_reads = {"apiserver_watch_cache_consistent_read_total",
                                                      "Counter for consistent reads from cache.", METRIC_COUNTER,
                                                      by_success, NULL};
static const struct metric_family read_wait = {"apiserver_watch_cache_read_wait_seconds",
                                               "Histogram of time spent waiting for a watch cache to become fresh.",
                                               METRIC_HISTOGRAM, by_resource, wait_buckets};

static const struct metric_family storage_events = {"apiserver_storage_events_received_total",
                                                    "Number of etcd events received split by kind.", METRIC_COUNTER,
                                                    by_resource, NULL};
static const struct metric_family events_received = {
        "apiserver_watch_cache_events_received_total",
        "Counter of events received in watch cache broken by resource type.", METRIC_COUNTER, by_resource, NULL};
static const struct metric_family events_dispatched = {
        "apiserver_watch_cache_events_dispatched_total",
        "Counter of events dispatched in watch cache broken by resource type.", METRIC_COUNTER, by_resource, NULL};
static const struct metric_family initializations = {"apiserver_watch_cache_initializations_total",
                                                     "Counter of watch cache initializations broken by resource type.",
                                                     METRIC_COUNTER, by_resource, NULL};
static const struct metric_family terminated_watchers = {
        "apiserver_terminated_watchers_total",
        "Counter of watchers closed due to unresponsiveness broken by resource type.", METRIC_COUNTER, by_resource,
        NULL};
static const struct metric_family decode_errors = {"apiserver_storage_decode_errors_total",
                                                   "Number of stored object decode errors split by object type",
                                                   METRIC_COUNTER, by_resource, NULL};
static const struct metric_family capacity = {"watch_cache_capacity",
                                              "Total capacity of watch cache broken by resource type.", METRIC_GAUGE,
                                              by_resource, NULL};
static const struct metric_family capacity_increases = {
        "watch_cache_capacity_increase_total",
        "Total number of watch cache capacity increase events broken by resource type.", METRIC_COUNTER, by_resource,
        NULL};
static const struct metric_family resource_version = {
        "apiserver_watch_cache_resource_version", "Current resource version of watch cache broken by resource type.",
        METRIC_GAUGE, by_resource, NULL};
static const struct metric_family objects = {"apiserver_storage_objects",
                                             "Number of stored objects at the time of last check split by kind.",
                                             METRIC_GAUGE, by_resource, NULL};
static const struct metric_family storage_lists = {"apiserver_storage_list_total",
                                                   "Number of LIST requests served from storage", METRIC_COUNTER,
                                                   by_resource, NULL};
static const struct metric_family storage_fetched = {
        "apiserver_storage_list_fetched_objects_total",
        "Number of objects read from storage in the course of serving a LIST request", METRIC_COUNTER, by_resource,
        NULL};
static const struct metric_family storage_evaluated = {
        "apiserver_storage_list_evaluated_objects_total",
        "Number of objects tested in the course of serving a LIST request from storage", METRIC_COUNTER, by_resource,
        NULL};
static const struct metric_family storage_returned = {"apiserver_storage_list_returned_objects_total",
                                                      "Number of objects returned for a LIST request from storage",
                                                      METRIC_COUNTER, by_resource, NULL};

static const struct {
	const struct metric_family *family;
	const char *second; // label value behind the resource or the prefix
	const char *third;
} rows[CACHE_METRIC_COUNT_] = {
        [CACHE_METRIC_STORAGE_EVENTS] = {&storage_events},
        [CACHE_METRIC_EVENTS_RECEIVED] = {&events_received},
        [CACHE_METRIC_EVENTS_DISPATCHED] = {&events_dispatched},
        [CACHE_METRIC_INITIALIZATIONS] = {&initializations},
        [CACHE_METRIC_TERMINATED_WATCHERS] = {&terminated_watchers},
        [CACHE_METRIC_DECODE_ERRORS] = {&decode_errors},
        [CACHE_METRIC_CAPACITY] = {&capacity},
        [CACHE_METRIC_CAPACITY_INCREASES] = {&capacity_increases},
        [CACHE_METRIC_RESOURCE_VERSION] = {&resource_version},
        [CACHE_METRIC_OBJECTS] = {&objects},
        [CACHE_METRIC_STORAGE_LISTS] = {&storage_lists},
        [CACHE_METRIC_STORAGE_FETCHED] = {&storage_fetched},
        [CACHE_METRIC_STORAGE_EVALUATED] = {&storage_evaluated},
        [CACHE_METRIC_STORAGE_RETURNED] = {&storage_returned},
        [CACHE_METRIC_CACHE_LISTS] = {&cache_lists, ""},
        [CACHE_METRIC_CACHE_LISTS_BY_NODE] = {&cache_lists, "f:spec.nodeName"},
        [CACHE_METRIC_CACHE_FETCHED] = {&cache_fetched, ""},
        [CACHE_METRIC_CACHE_FETCHED_BY_NODE] = {&cache_fetched, "f:spec.nodeName"},
        [CACHE_METRIC_CACHE_RETURNED] = {&cache_returned},
        [CACHE_METRIC_READ_WAIT] = {&read_wait},
        // Nothing falls back to etcd: a read that can't be fresh in time fails.
        [CACHE_METRIC_CONSISTENT_READS] = {&consistent_reads, "true", "false"},
        [CACHE_METRIC_CONSISTENT_READS_FAILED] = {&consistent_reads, "false", "false"},
};

// NULL when nothing is counted. Two threads that are first at once find the same sample.
static struct metric *sample(struct cache_metrics *metrics, enum cache_metric which)
{
	struct metric *known = atomic_load_explicit(&metrics->samples[which], memory_order_acquire);
	if (known || !metrics->registry)
		return known;
	const struct metric_family *family = rows[which].family;
	bool of_prefix = family->label_names == by_prefix || family->label_names == by_index;
	const char *const values[] = {of_prefix ? metrics->prefix : metrics->resource, rows[which].second,
	                              rows[which].third};
	known = metric_get(metrics->registry, family, values);
	atomic_store_explicit(&metrics->samples[which], known, memory_order_release);
	return known;
}

void cache_metrics_count(struct cache_metrics *metrics, enum cache_metric which, size_t number)
{
	struct metric *metric = number ? sample(metrics, which) : NULL;
	if (metric)
		metric_add(metric, (double)number);
}

void cache_metrics_set(struct cache_metrics *metrics, enum cache_metric which, double value)
{
	struct metric *metric = sample(metrics, which);
	if (metric)
		metric_set(metric, value);
}

void cache_metrics_observe_ns(struct cache_metrics *metrics, enum cache_metric which, int64_t duration_ns)
{
	struct metric *metric = sample(metrics, which);
	if (metric)
		metric_observe(metric, (double)duration_ns / NSEC_PER_SEC);
}
