// SPDX-License-Identifier: Apache-2.0
//
// Signals by one signalfd for each loop, and children by a pidfd each. A signal
// is blocked in the thread that starts its source; threads made before that must
// have blocked it themselves (work_pool.c's block all).
#include "common/io/loop_internal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

void loop_signals_init(struct loop *loop)
{
	list_init(&loop->signals);
	sigemptyset(&loop->signal_set);
	sigemptyset(&loop->unblock_set);
}

void loop_signals_done(struct loop *loop)
{
	assert(list_is_empty(&loop->signals));
	if (!loop->signal_source.loop)
		return;
	int fd = loop->signal_source.fd;
	loop_fd_stop_internal(&loop->signal_source);
	close(fd);
}

static void deliver(struct loop *loop, int signal_number)
{
	// Sources may stop each other: each is moved over before it runs.
	struct list waiting = LIST_INIT(waiting);
	while (!list_is_empty(&loop->signals)) {
		struct list *node = loop->signals.next;
		list_remove(node);
		list_append(&waiting, node);
	}
	while (!list_is_empty(&waiting)) {
		struct loop_signal *source = container_of(waiting.next, struct loop_signal, node);
		void (*callback)(struct loop_signal * source) = source->callback;
		list_remove(&source->node);
		list_append(&loop->signals, &source->node);
		if (source->signal_number != signal_number)
			continue;
		callback(source);
		LOOP_WATCH(loop, "signal", callback);
	}
}

static void on_signal(struct loop_fd *source, unsigned ready UNUSED)
{
	struct loop *loop = source->loop;
	struct signalfd_siginfo info;
	while (read(source->fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		deliver(loop, (int)info.ssi_signo);
}

static void update_signal_fd(struct loop *loop)
{
	int old = loop->signal_source.loop ? loop->signal_source.fd : -1;
	int fd = signalfd(old, &loop->signal_set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		loop_fail("signalfd");
	if (old < 0)
		loop_fd_start_internal(loop, &loop->signal_source, fd, on_signal);
}

void loop_signal_start(struct loop *loop, struct loop_signal *source, int signal_number,
                       void (*callback)(struct loop_signal *source))
{
	source->loop = loop;
	source->signal_number = signal_number;
	source->callback = callback;
	list_append(&loop->signals, &source->node);
	if (sigismember(&loop->signal_set, signal_number))
		return;
	sigset_t one, before;
	sigemptyset(&one);
	sigaddset(&one, signal_number);
	pthread_sigmask(SIG_BLOCK, &one, &before);
	if (!sigismember(&before, signal_number))
		sigaddset(&loop->unblock_set, signal_number);
	sigaddset(&loop->signal_set, signal_number);
	update_signal_fd(loop);
}

void loop_signal_stop(struct loop_signal *source)
{
	struct loop *loop = source->loop;
	if (!loop)
		return;
	list_remove(&source->node);
	source->loop = NULL;
	struct loop_signal *other;
	list_for_each (other, &loop->signals, node)
		if (other->signal_number == source->signal_number)
			return;
	sigdelset(&loop->signal_set, source->signal_number);
	update_signal_fd(loop);
	if (!sigismember(&loop->unblock_set, source->signal_number))
		return;
	sigset_t one;
	sigemptyset(&one);
	sigaddset(&one, source->signal_number);
	sigdelset(&loop->unblock_set, source->signal_number);
	pthread_sigmask(SIG_UNBLOCK, &one, NULL);
}

// --- children -----------------------------------------------------------------------

static void on_child(struct loop_fd *source, unsigned ready UNUSED)
{
	struct loop_child *child = container_of(source, struct loop_child, pidfd);
	int wait_status = 0;
	pid_t result;
	do
		result = waitpid(child->pid, &wait_status, WNOHANG);
	while (result < 0 && errno == EINTR);
	if (result == 0)
		return;
	if (result < 0)
		wait_status = 255 << 8; // reaped by somebody else: how it ended is lost
	loop_child_stop(child);
	child->callback(child, wait_status);
}

static int open_pidfd(struct loop *loop, pid_t pid)
{
	if (loop->spare_fd < 0)
		loop->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int fd = pidfd_open(pid, 0);
	if (fd < 0 && (errno == EMFILE || errno == ENFILE) && loop->spare_fd >= 0) {
		close(loop->spare_fd);
		loop->spare_fd = -1;
		fd = pidfd_open(pid, 0);
	}
	if (fd >= 0)
		return fd;
	loop_fail("pidfd_open");
}

void loop_child_start(struct loop *loop, struct loop_child *child, pid_t pid,
                      void (*callback)(struct loop_child *child, int wait_status))
{
	child->pid = pid;
	child->callback = callback;
	loop_fd_start(loop, &child->pidfd, open_pidfd(loop, pid), LOOP_READ, on_child);
}

void loop_child_stop(struct loop_child *child)
{
	if (!child->pidfd.loop)
		return;
	loop_fd_stop(&child->pidfd);
	close(child->pidfd.fd);
	child->pidfd.fd = -1;
}
