// SPDX-License-Identifier: Apache-2.0
#pragma once
// What is counted about one resource's storage and cache, under upstream's names.
// A sample is made when it is first counted, then counting is lock-free. Thread-safe.

#include <stddef.h>
#include <stdint.h>

struct metric;
struct metrics_registry;

enum cache_metric {
	CACHE_METRIC_STORAGE_EVENTS, // of etcd's watch
	CACHE_METRIC_EVENTS_RECEIVED,
	CACHE_METRIC_EVENTS_DISPATCHED,
	CACHE_METRIC_INITIALIZATIONS,
	CACHE_METRIC_TERMINATED_WATCHERS,
	CACHE_METRIC_DECODE_ERRORS,
	CACHE_METRIC_CAPACITY,
	CACHE_METRIC_CAPACITY_INCREASES,
	CACHE_METRIC_RESOURCE_VERSION,
	CACHE_METRIC_OBJECTS,
	CACHE_METRIC_CACHE_LISTS,
	CACHE_METRIC_CACHE_LISTS_BY_NODE,
	CACHE_METRIC_CACHE_FETCHED,
	CACHE_METRIC_CACHE_FETCHED_BY_NODE,
	CACHE_METRIC_CACHE_RETURNED,
	CACHE_METRIC_STORAGE_LISTS,
	CACHE_METRIC_STORAGE_FETCHED,
	CACHE_METRIC_STORAGE_EVALUATED,
	CACHE_METRIC_STORAGE_RETURNED,
	CACHE_METRIC_READ_WAIT,
	CACHE_METRIC_CONSISTENT_READS,
	CACHE_METRIC_CONSISTENT_READS_FAILED,
	CACHE_METRIC_COUNT_,
};

struct cache_metrics {
	struct metrics_registry *registry; // NULL: nothing is counted
	const char *resource;              // "deployments.apps"; borrowed
	const char *prefix;                // "/registry/deployments"; borrowed
	struct metric *_Atomic samples[CACHE_METRIC_COUNT_];
};

void cache_metrics_count(struct cache_metrics *metrics, enum cache_metric which, size_t number);
void cache_metrics_set(struct cache_metrics *metrics, enum cache_metric which, double value);
void cache_metrics_observe_ns(struct cache_metrics *metrics, enum cache_metric which, int64_t duration_ns);
