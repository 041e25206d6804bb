// SPDX-License-Identifier: Apache-2.0
//
// The window of recent events: a ring that grows by doubling, bounded by the bytes
// of its objects and, for quiet resources, by age. It keeps at least a few events
// of any age, so that a client of a quiet resource resumes after an hour.
#include <stdlib.h>

#include "apiserver/storage/watch_cache_internal.h"
#include "common/base/memory.h"

#define MINIMUM_EVENTS 100
#define FIRST_CAPACITY 64

struct cache_event *cache_event_ref(struct cache_event *event)
{
	atomic_fetch_add_explicit(&event->references, 1, memory_order_relaxed);
	return event;
}

struct cache_event *cache_event_unref(struct cache_event *event)
{
	if (event && atomic_fetch_sub_explicit(&event->references, 1, memory_order_acq_rel) == 1) {
		stored_object_unref(event->object);
		stored_object_unref(event->previous);
		free(event);
	}
	return NULL;
}

struct cache_event *event_window_at(const struct event_window *window, uint64_t number)
{
	return window->events[number & (window->capacity - 1)];
}

static void drop_oldest(struct event_window *window)
{
	struct cache_event *event = event_window_at(window, window->tail++);
	window->bytes -= event->size_bytes;
	window->low_revision = event->revision;
	// The events of one revision leave together: a resumed watch gets all or none.
	while (window->tail < window->head && event_window_at(window, window->tail)->revision == event->revision) {
		struct cache_event *same = event_window_at(window, window->tail++);
		window->bytes -= same->size_bytes;
		cache_event_unref(same);
	}
	cache_event_unref(event);
}

static void grow(struct event_window *window)
{
	size_t capacity = window->capacity ? window->capacity * 2 : FIRST_CAPACITY;
	struct cache_event **events = xcalloc(capacity, sizeof(*events));
	for (uint64_t number = window->tail; number < window->head; number++)
		events[number & (capacity - 1)] = event_window_at(window, number);
	free(window->events);
	window->events = events;
	window->capacity = capacity;
}

bool event_window_push(struct event_window *window, struct cache_event *event)
{
	bool full = window->head - window->tail == window->capacity;
	if (full)
		grow(window);
	window->events[window->head++ & (window->capacity - 1)] = event;
	window->bytes += event->size_bytes;
	while (window->bytes > window->max_bytes && event_window_at(window, window->tail)->revision < event->revision)
		drop_oldest(window);
	return full;
}

void event_window_trim_age(struct event_window *window, int64_t now_ns)
{
	while (window->head - window->tail > MINIMUM_EVENTS &&
	       now_ns - event_window_at(window, window->tail)->time_ns > window->max_age_ns)
		drop_oldest(window);
}

void event_window_reset(struct event_window *window, int64_t low_revision)
{
	while (window->tail < window->head)
		drop_oldest(window);
	window->low_revision = low_revision;
}

void event_window_done(struct event_window *window)
{
	event_window_reset(window, 0);
	free(window->events);
	window->events = NULL;
}

uint64_t event_window_after(const struct event_window *window, int64_t revision)
{
	uint64_t low = window->tail, high = window->head;
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		if (event_window_at(window, middle)->revision <= revision)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}
