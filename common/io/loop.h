// SPDX-License-Identifier: Apache-2.0
#pragma once
// One thread around one epoll loop. Sources (descriptors, timers, signals,
// children, tasks from other threads) are embedded in their owner, which finds
// itself back by container_of. Callbacks run on the loop's thread, one after
// another, and must not block; a callback of more than 50 ms is logged. A source
// may be stopped from any callback, its own included, and its memory freed right
// after. loop_free asserts that every source has been stopped.

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/list.h"

struct loop;

// `clock` NULL: the system's. SIGPIPE is ignored from here on when it was not handled.
NODISCARD int loop_new(const struct clock *clock, struct loop **ret_loop, struct err *err);
// Runs tasks that are still queued, then asserts that nothing is left.
struct loop *loop_free(struct loop *loop);
DEFINE_CLEANUP(struct loop *, loop_free)

// Runs until loop_quit; returns the code given there.
int loop_run(struct loop *loop);
void loop_quit(struct loop *loop, int exit_code);

// One turn: waits at most `timeout_ns` (-1 = until something happens) and
// dispatches what is ready. For tests and for tools that wait for one answer.
void loop_turn(struct loop *loop, int64_t timeout_ns);

const struct clock *loop_clock(const struct loop *loop);
int64_t loop_now_ns(const struct loop *loop);      // monotonic
int64_t loop_realtime_ns(const struct loop *loop); // wall clock

// --- descriptors -----------------------------------------------------------

enum loop_events {
	LOOP_READ = 1,
	LOOP_WRITE = 2,
	LOOP_HANGUP = 4, // peer closed its writing side (told once), or error and full close (told until
	                 // stopped); delivered whether asked for or not
};

struct loop_fd {
	struct loop *loop; // NULL while stopped
	int fd;
	unsigned events;
	void (*callback)(struct loop_fd *source, unsigned ready);
};

// `fd` stays the caller's to close, after loop_fd_stop.
void loop_fd_start(struct loop *loop, struct loop_fd *source, int fd, unsigned events,
                   void (*callback)(struct loop_fd *source, unsigned ready));
void loop_fd_set_events(struct loop_fd *source, unsigned events);
void loop_fd_stop(struct loop_fd *source); // harmless when stopped

// --- timers ----------------------------------------------------------------

struct loop_timer {
	struct loop *loop; // NULL while stopped
	int64_t deadline_ns;
	size_t heap_index;
	void (*callback)(struct loop_timer *timer);
};

// One shot, `delay_ns` from now (0 = next turn); restarting moves the deadline.
void loop_timer_start(struct loop *loop, struct loop_timer *timer, int64_t delay_ns,
                      void (*callback)(struct loop_timer *timer));
void loop_timer_stop(struct loop_timer *timer);

// --- signals ---------------------------------------------------------------

struct loop_signal {
	struct loop *loop;
	int signal_number;
	struct list node;
	void (*callback)(struct loop_signal *source);
};

// Blocks the signal in this thread and delivers it here (signalfd). Call it on the loop's thread.
void loop_signal_start(struct loop *loop, struct loop_signal *source, int signal_number,
                       void (*callback)(struct loop_signal *source));
void loop_signal_stop(struct loop_signal *source);

// --- child processes -------------------------------------------------------

struct loop_child {
	struct loop_fd pidfd;
	pid_t pid;
	void (*callback)(struct loop_child *child, int wait_status); // reaped already
};

// Watches one child by pidfd; stops itself before the callback.
void loop_child_start(struct loop *loop, struct loop_child *child, pid_t pid,
                      void (*callback)(struct loop_child *child, int wait_status));
void loop_child_stop(struct loop_child *child);

// --- tasks from other threads ----------------------------------------------

struct loop_task {
	struct loop_task *next;
	void (*callback)(struct loop_task *task);
};

// Thread-safe: runs the callback on the loop's thread, in order of posting. The
// task is the callback's again once it runs. Also valid from the loop's own
// thread: the callback then runs in a later turn, never from inside this call.
void loop_post(struct loop *loop, struct loop_task *task, void (*callback)(struct loop_task *task));

// Runs the callback on this loop at the end of every turn (flushing, metrics).
struct loop_turn_hook {
	struct loop *loop;
	struct list node;
	void (*callback)(struct loop_turn_hook *hook);
};
void loop_turn_hook_start(struct loop *loop, struct loop_turn_hook *hook,
                          void (*callback)(struct loop_turn_hook *hook));
void loop_turn_hook_stop(struct loop_turn_hook *hook);

// --- blocking work ---------------------------------------------------------

struct work_pool;

struct work {
	struct loop_task done_task;
	struct list node;
	struct loop *loop;
	void (*run)(struct work *work);  // on a pool thread
	void (*done)(struct work *work); // afterwards, on `loop`'s thread
};

struct work_pool *work_pool_new(int thread_count);
// Finishes what is queued, joins the threads.
struct work_pool *work_pool_free(struct work_pool *pool);
void work_pool_submit(struct work_pool *pool, struct work *work, struct loop *loop, void (*run)(struct work *work),
                      void (*done)(struct work *work));
