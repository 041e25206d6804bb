// SPDX-License-Identifier: Apache-2.0
#pragma once
// The pods that wait for a node. Each is in one place: active (its turn will come,
// by priority and age), in back-off, unschedulable (until something happens that
// may help it), gated (spec.schedulingGates), or in flight (being scheduled or
// bound). Time is passed in; the queue has no timers.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/list.h"
#include "scheduler/heap.h"
#include "scheduler/pod_info.h"

enum queue_place {
	QUEUE_ACTIVE,
	QUEUE_BACKOFF,
	QUEUE_UNSCHEDULABLE,
	QUEUE_GATED,
	QUEUE_IN_FLIGHT,
	QUEUE_PLACE_COUNT_,
};
const char *queue_place_to_string(enum queue_place place); // as the metrics name it

struct queued_pod {
	struct heap_node heap_node; // in active and in back-off
	struct list list_node;      // in unschedulable
	struct pod_info *info;      // the newest
	enum queue_place place;
	int64_t first_added_ns;
	int64_t added_ns;  // to the queue, last time
	uint64_t sequence; // orders those added at the same time
	int64_t backoff_until_ns;
	unsigned attempts;
	uint64_t refused_by; // plug-ins of the last attempt
};

struct queue_config {
	int64_t initial_backoff_ns;
	int64_t max_backoff_ns;
	// Told of each pod that enters a place, for metrics; may be NULL. `event`: why ("PodAdd",
	// "ScheduleAttemptFailure", …).
	void (*on_entered)(void *context, enum queue_place place, const char *event);
	void *context;
};

struct queue;

struct queue *queue_new(const struct queue_config *config);
struct queue *queue_free(struct queue *queue);

// A pod without a node was added or changed. Takes its own reference.
void queue_set(struct queue *queue, struct pod_info *info, int64_t now_ns);
// It has a node now, or is gone, or was bound. Harmless when unknown.
void queue_remove(struct queue *queue, const char *uid);
const struct queued_pod *queue_find(const struct queue *queue, const char *uid); // NULL = unknown

// The next pod to schedule, in flight from now on; NULL = none. Borrowed until the queue changes.
const struct queued_pod *queue_pop(struct queue *queue, int64_t now_ns);

// Back from flight: refused by these plug-ins, it waits for an event that may help.
void queue_put_refused(struct queue *queue, const char *uid, uint64_t refused_by, int64_t now_ns);
// Back from flight after an error (binding failed): tried again after back-off.
void queue_put_failed(struct queue *queue, const char *uid, int64_t now_ns);

// Something happened (enum cluster_event): unschedulable pods that it may help move on.
void queue_on_event(struct queue *queue, unsigned events, const char *event_name, int64_t now_ns);

// Moves pods whose time has come; the next such time, or INT64_MAX.
void queue_flush(struct queue *queue, int64_t now_ns);
int64_t queue_next_ns(const struct queue *queue);

size_t queue_count(const struct queue *queue, enum queue_place place);
