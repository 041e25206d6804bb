// SPDX-License-Identifier: Apache-2.0
//
// One turn: wait in epoll, dispatch the ready descriptors (among them the
// signalfd and the eventfd of posted tasks), then the timers that are due, then
// the turn hooks.
//
// Invariants:
// 1. An event of epoll names its source by address. Stopping a source clears its
//    events from the batch in dispatch, so that an owner may free it at once.
// 2. What is started during a turn runs in a later one: tasks are taken as a
//    whole list, due timers are moved aside first.
// 3. EPOLLRDHUP is level-triggered and can't be read away: it is delivered once
//    and then masked until the owner changes the events, or a source that waits
//    for writing only would spin.
//
// Only loop_post may be called from other threads.
#include "common/io/loop_internal.h"

#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include "common/base/log.h"
#include "common/base/memory.h"

enum {
	WATCHDOG_NS = 50 * 1000 * 1000,
	HANGUP_DELIVERED = 1u << 16, // private bit in loop_fd.events
	PUBLIC_EVENTS = LOOP_READ | LOOP_WRITE | LOOP_HANGUP,
};

static void on_tasks(struct loop_fd *source, unsigned ready);

int loop_new(const struct clock *clock, struct loop **ret_loop, struct err *err)
{
	AUTO_CLOSE int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	AUTO_CLOSE int task_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (epoll_fd < 0 || task_fd < 0)
		return err_set_errno(err, errno, "create event loop");
	struct sigaction old;
	if (sigaction(SIGPIPE, NULL, &old) == 0 && old.sa_handler == SIG_DFL)
		signal(SIGPIPE, SIG_IGN);
	struct loop *loop = NEW(struct loop);
	loop->clock = clock ? clock : &clock_system;
	loop->epoll_fd = take_fd(&epoll_fd);
	loop->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	loop->task_end = &loop->first_task;
	pthread_mutex_init(&loop->task_mutex, NULL);
	list_init(&loop->hooks);
	loop_signals_init(loop);
	loop_fd_start_internal(loop, &loop->task_source, take_fd(&task_fd), on_tasks);
	*ret_loop = loop;
	return 0;
}

struct loop *loop_free(struct loop *loop)
{
	if (!loop)
		return NULL;
	assert(!loop->dispatching);
	on_tasks(&loop->task_source, LOOP_READ);
	assert(loop->fd_count == 0);
	assert(loop->timer_count == 0);
	assert(list_is_empty(&loop->hooks));
	assert(!loop->first_task);
	loop_signals_done(loop);
	loop_timers_done(loop);
	int task_fd = loop->task_source.fd;
	loop_fd_stop_internal(&loop->task_source);
	close(task_fd);
	close(loop->epoll_fd);
	if (loop->spare_fd >= 0)
		close(loop->spare_fd);
	pthread_mutex_destroy(&loop->task_mutex);
	free(loop);
	return NULL;
}

const struct clock *loop_clock(const struct loop *loop)
{
	return loop->clock;
}

int64_t loop_now_ns(const struct loop *loop)
{
	return clock_monotonic_ns(loop->clock);
}

int64_t loop_realtime_ns(const struct loop *loop)
{
	return clock_realtime_ns(loop->clock);
}

void loop_fail(const char *call)
{
	struct err err = ERR_INIT;
	err_set_errno(&err, errno, "%s", call);
	log_write(LOG_FATAL, 0, __FILE__, __LINE__, "Event loop failed", (const struct log_pair[]){kv_err(&err)}, 1);
	abort();
}

// --- watchdog -----------------------------------------------------------------------

void loop_watch(struct loop *loop, const char *kind, void (*callback)(void))
{
	int64_t now = clock_monotonic_ns(&clock_system), taken = now - loop->watch_start_ns;
	loop->watch_start_ns = now;
	if (taken < WATCHDOG_NS)
		return;
	Dl_info info;
	char place[64] = "";
	if (dladdr((void *)callback, &info)) // an offset for addr2line
		snprintf(place, sizeof(place), "0x%zx", (size_t)((char *)callback - (char *)info.dli_fbase));
	log_warning("Callback blocked the event loop", kv_str("kind", kind), kv_str("callback", place),
	            kv_duration("duration", taken));
}

// --- turns --------------------------------------------------------------------------

static unsigned ready_events(struct loop_fd *source, uint32_t events)
{
	unsigned ready = 0;
	if (events & EPOLLIN)
		ready |= LOOP_READ;
	if (events & EPOLLOUT)
		ready |= LOOP_WRITE;
	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		ready |= LOOP_HANGUP;
	return ready & (source->events | LOOP_HANGUP);
}

static uint32_t epoll_mask(unsigned events)
{
	return (events & LOOP_READ ? EPOLLIN : 0u) | (events & LOOP_WRITE ? EPOLLOUT : 0u) |
	       (events & HANGUP_DELIVERED ? 0u : EPOLLRDHUP);
}

static void modify(struct loop_fd *source)
{
	struct epoll_event event = {.events = epoll_mask(source->events), .data.ptr = source};
	int result = epoll_ctl(source->loop->epoll_fd, EPOLL_CTL_MOD, source->fd, &event);
	assert(result == 0 && "descriptor closed before its source was stopped");
	(void)result;
}

static void dispatch_event(struct loop *loop, struct epoll_event *event)
{
	struct loop_fd *source = event->data.ptr;
	if (!source)
		return;
	unsigned ready = ready_events(source, event->events);
	if ((event->events & EPOLLRDHUP) && !(source->events & HANGUP_DELIVERED)) {
		source->events |= HANGUP_DELIVERED;
		modify(source);
	}
	if (!ready)
		return;
	void (*callback)(struct loop_fd * source, unsigned ready) = source->callback;
	callback(source, ready);
	LOOP_WATCH(loop, "descriptor", callback);
}

static void run_hooks(struct loop *loop)
{
	// Hooks may stop each other: each is moved over before it runs.
	struct list waiting = LIST_INIT(waiting);
	while (!list_is_empty(&loop->hooks)) {
		struct list *node = loop->hooks.next;
		list_remove(node);
		list_append(&waiting, node);
	}
	while (!list_is_empty(&waiting)) {
		struct loop_turn_hook *hook = container_of(waiting.next, struct loop_turn_hook, node);
		void (*callback)(struct loop_turn_hook * hook) = hook->callback;
		list_remove(&hook->node);
		list_append(&loop->hooks, &hook->node);
		callback(hook);
		LOOP_WATCH(loop, "hook", callback);
	}
}

void loop_turn(struct loop *loop, int64_t timeout_ns)
{
	assert(!loop->dispatching && "a turn inside a callback");
	int count = epoll_wait(loop->epoll_fd, loop->batch, LOOP_BATCH_EVENTS, loop_timers_wait_ms(loop, timeout_ns));
	assert(count >= 0 || errno == EINTR);
	loop->dispatching = true;
	loop->batch_count = count < 0 ? 0 : count;
	loop->watch_start_ns = clock_monotonic_ns(&clock_system);
	for (int i = 0; i < loop->batch_count; i++)
		dispatch_event(loop, &loop->batch[i]);
	loop->batch_count = 0;
	loop_timers_dispatch(loop);
	run_hooks(loop);
	loop->dispatching = false;
}

int loop_run(struct loop *loop)
{
	while (!loop->quit)
		loop_turn(loop, -1);
	loop->quit = false;
	return loop->exit_code;
}

void loop_quit(struct loop *loop, int exit_code)
{
	loop->quit = true;
	loop->exit_code = exit_code;
}

// --- descriptors --------------------------------------------------------------------

static void start(struct loop *loop, struct loop_fd *source, int fd, unsigned events,
                  void (*callback)(struct loop_fd *source, unsigned ready))
{
	*source = (struct loop_fd){.loop = loop, .fd = fd, .events = events & PUBLIC_EVENTS, .callback = callback};
	struct epoll_event event = {.events = epoll_mask(source->events), .data.ptr = source};
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0)
		return;
	loop_fail("epoll_ctl");
}

void loop_fd_start_internal(struct loop *loop, struct loop_fd *source, int fd,
                            void (*callback)(struct loop_fd *source, unsigned ready))
{
	start(loop, source, fd, LOOP_READ, callback);
}

void loop_fd_start(struct loop *loop, struct loop_fd *source, int fd, unsigned events,
                   void (*callback)(struct loop_fd *source, unsigned ready))
{
	start(loop, source, fd, events, callback);
	loop->fd_count++;
}

void loop_fd_set_events(struct loop_fd *source, unsigned events)
{
	assert(source->loop);
	if ((source->events & PUBLIC_EVENTS) == (events & PUBLIC_EVENTS))
		return;
	source->events = events & PUBLIC_EVENTS;
	modify(source);
}

void loop_fd_stop_internal(struct loop_fd *source)
{
	struct loop *loop = source->loop;
	(void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
	for (int i = 0; i < loop->batch_count; i++)
		if (loop->batch[i].data.ptr == source)
			loop->batch[i].data.ptr = NULL;
	source->loop = NULL;
}

void loop_fd_stop(struct loop_fd *source)
{
	if (!source->loop)
		return;
	source->loop->fd_count--;
	loop_fd_stop_internal(source);
}

// --- tasks --------------------------------------------------------------------------

static struct loop_task *take_tasks(struct loop *loop)
{
	uint64_t count;
	pthread_mutex_lock(&loop->task_mutex);
	ssize_t result = read(loop->task_source.fd, &count, sizeof(count)); // posted after this: wakes again
	(void)result;
	struct loop_task *first = loop->first_task;
	loop->first_task = NULL;
	loop->task_end = &loop->first_task;
	pthread_mutex_unlock(&loop->task_mutex);
	return first;
}

static void on_tasks(struct loop_fd *source, unsigned ready UNUSED)
{
	struct loop *loop = source->loop;
	for (struct loop_task *task = take_tasks(loop), *next; task; task = next) {
		void (*callback)(struct loop_task * task) = task->callback;
		next = task->next;
		callback(task);
		LOOP_WATCH(loop, "task", callback);
	}
}

void loop_post(struct loop *loop, struct loop_task *task, void (*callback)(struct loop_task *task))
{
	task->next = NULL;
	task->callback = callback;
	pthread_mutex_lock(&loop->task_mutex);
	bool was_empty = !loop->first_task;
	*loop->task_end = task;
	loop->task_end = &task->next;
	if (was_empty) {
		uint64_t one = 1;
		ssize_t result = write(loop->task_source.fd, &one, sizeof(one));
		(void)result; // can't fail: the count is at most 1
	}
	pthread_mutex_unlock(&loop->task_mutex);
}

// --- hooks --------------------------------------------------------------------------

void loop_turn_hook_start(struct loop *loop, struct loop_turn_hook *hook, void (*callback)(struct loop_turn_hook *hook))
{
	hook->loop = loop;
	hook->callback = callback;
	list_append(&loop->hooks, &hook->node);
}

void loop_turn_hook_stop(struct loop_turn_hook *hook)
{
	if (!hook->loop)
		return;
	list_remove(&hook->node);
	hook->loop = NULL;
}
