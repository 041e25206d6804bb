// SPDX-License-Identifier: Apache-2.0
//
// Timers stand in a binary heap by deadline and know their place in it. The due
// ones of a turn are moved to an array first, so that a timer restarted with no
// delay in its own callback waits for the next turn; a timer standing there has
// its place marked by the top bit.
#include "common/io/loop_internal.h"

#include <assert.h>

#include "common/base/memory.h"

#define DUE_BIT (~(SIZE_MAX >> 1))

static void place(struct loop *loop, struct loop_timer *timer, size_t index)
{
	loop->heap[index] = timer;
	timer->heap_index = index;
}

static void sift_up(struct loop *loop, struct loop_timer *timer, size_t index)
{
	while (index > 0 && timer->deadline_ns < loop->heap[(index - 1) / 2]->deadline_ns) {
		place(loop, loop->heap[(index - 1) / 2], index);
		index = (index - 1) / 2;
	}
	place(loop, timer, index);
}

static void sift_down(struct loop *loop, struct loop_timer *timer, size_t index)
{
	for (size_t child; (child = index * 2 + 1) < loop->timer_count; index = child) {
		if (child + 1 < loop->timer_count &&
		    loop->heap[child + 1]->deadline_ns < loop->heap[child]->deadline_ns)
			child++;
		if (timer->deadline_ns <= loop->heap[child]->deadline_ns)
			break;
		place(loop, loop->heap[child], index);
	}
	place(loop, timer, index);
}

static void heap_remove(struct loop *loop, size_t index)
{
	struct loop_timer *last = loop->heap[--loop->timer_count];
	if (index == loop->timer_count)
		return;
	if (index > 0 && last->deadline_ns < loop->heap[(index - 1) / 2]->deadline_ns)
		sift_up(loop, last, index);
	else
		sift_down(loop, last, index);
}

void loop_timer_stop(struct loop_timer *timer)
{
	struct loop *loop = timer->loop;
	if (!loop)
		return;
	if (timer->heap_index & DUE_BIT)
		loop->due[timer->heap_index & ~DUE_BIT] = NULL;
	else
		heap_remove(loop, timer->heap_index);
	timer->loop = NULL;
}

void loop_timer_start(struct loop *loop, struct loop_timer *timer, int64_t delay_ns,
                      void (*callback)(struct loop_timer *timer))
{
	loop_timer_stop(timer);
	if (loop->timer_count == loop->heap_capacity) {
		loop->heap_capacity = loop->heap_capacity ? loop->heap_capacity * 2 : 16;
		loop->heap = xreallocarray(loop->heap, loop->heap_capacity, sizeof(struct loop_timer *));
	}
	timer->loop = loop;
	timer->callback = callback;
	if (__builtin_add_overflow(loop_now_ns(loop), delay_ns > 0 ? delay_ns : 0, &timer->deadline_ns))
		timer->deadline_ns = INT64_MAX;
	loop->timer_count++;
	sift_up(loop, timer, loop->timer_count - 1);
}

int loop_timers_wait_ms(const struct loop *loop, int64_t timeout_ns)
{
	int64_t wait_ns = timeout_ns;
	if (loop->timer_count) {
		int64_t until_ns = loop->heap[0]->deadline_ns - loop_now_ns(loop);
		until_ns = until_ns > 0 ? until_ns : 0;
		wait_ns = wait_ns < 0 || until_ns < wait_ns ? until_ns : wait_ns;
	}
	if (wait_ns < 0)
		return -1;
	int64_t wait_ms = wait_ns / NSEC_PER_MSEC + (wait_ns % NSEC_PER_MSEC != 0);
	return wait_ms > INT32_MAX ? INT32_MAX : (int)wait_ms;
}

static void collect_due(struct loop *loop)
{
	int64_t now_ns = loop_now_ns(loop);
	while (loop->timer_count && loop->heap[0]->deadline_ns <= now_ns) {
		if (loop->due_count == loop->due_capacity) {
			loop->due_capacity = loop->due_capacity ? loop->due_capacity * 2 : 16;
			loop->due = xreallocarray(loop->due, loop->due_capacity, sizeof(struct loop_timer *));
		}
		struct loop_timer *timer = loop->heap[0];
		heap_remove(loop, 0);
		timer->heap_index = loop->due_count | DUE_BIT;
		loop->due[loop->due_count++] = timer;
	}
}

void loop_timers_dispatch(struct loop *loop)
{
	collect_due(loop);
	for (size_t i = 0; i < loop->due_count; i++) {
		struct loop_timer *timer = loop->due[i];
		if (!timer)
			continue;
		void (*callback)(struct loop_timer * timer) = timer->callback;
		loop->due[i] = NULL;
		timer->loop = NULL;
		callback(timer);
		LOOP_WATCH(loop, "timer", callback);
	}
	loop->due_count = 0;
}

void loop_timers_done(struct loop *loop)
{
	free(loop->heap);
	free(loop->due);
}
