// SPDX-License-Identifier: Apache-2.0
#pragma once
// The loop's insides, shared by loop.c and the files of its kinds of sources.

#include <pthread.h>
#include <sys/epoll.h>

#include "common/io/loop.h"

enum { LOOP_BATCH_EVENTS = 128 };

struct loop {
	const struct clock *clock;
	int epoll_fd;
	size_t fd_count; // started by owners; the loop's own are not counted
	bool dispatching;
	bool quit;
	int exit_code;

	// The batch being dispatched; a stopped source's events are cleared from it.
	struct epoll_event batch[LOOP_BATCH_EVENTS];
	int batch_count;

	// Timers: a binary heap by deadline, and those due in this turn.
	struct loop_timer **heap;
	size_t timer_count;
	size_t heap_capacity;
	struct loop_timer **due;
	size_t due_count;
	size_t due_capacity;

	struct list signals;
	sigset_t signal_set;
	sigset_t unblock_set; // blocked by us, not by who started us
	struct loop_fd signal_source;

	pthread_mutex_t task_mutex; // guards the two below
	struct loop_task *first_task;
	struct loop_task **task_end;
	struct loop_fd task_source; // an eventfd, readable while tasks are queued

	struct list hooks;
	int spare_fd; // given up when a child's pidfd finds no descriptor free
	int64_t watch_start_ns;
};

// The loop's own descriptors: as loop_fd_start/stop, but not counted.
void loop_fd_start_internal(struct loop *loop, struct loop_fd *source, int fd,
                            void (*callback)(struct loop_fd *source, unsigned ready));
void loop_fd_stop_internal(struct loop_fd *source);

// Milliseconds until the next timer, at most `timeout_ns` (-1 = none), rounded up; -1 = for ever.
int loop_timers_wait_ms(const struct loop *loop, int64_t timeout_ns);
void loop_timers_dispatch(struct loop *loop);
void loop_timers_done(struct loop *loop);

void loop_signals_init(struct loop *loop);
void loop_signals_done(struct loop *loop);

// Ends the process: the kernel refused what the loop can't do without. Reads errno.
void loop_fail(const char *call) __attribute__((noreturn));

// Logs the callback that just ran when it took too long.
void loop_watch(struct loop *loop, const char *kind, void (*callback)(void));
#define LOOP_WATCH(loop, kind, callback) loop_watch((loop), (kind), (void (*)(void))(callback))
