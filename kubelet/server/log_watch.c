// SPDX-License-Identifier: Apache-2.0
// Watchers of one folder share an inotify descriptor number. The events of one read
// only mark watchers; they are called afterwards, each once, from the list's start
// again after every call, as a call may stop any of them.

#include "kubelet/server/log_watch.h"

#include <errno.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/log.h"

enum { EVENTS_BYTES = 16384 };

static void mark(struct log_watch *watch, const struct inotify_event *event)
{
	struct log_watcher *watcher;
	list_for_each (watcher, &watch->watchers, node) {
		if (watcher->descriptor != event->wd && !(event->mask & IN_Q_OVERFLOW))
			continue;
		watcher->due = true;
		if (event->mask & (IN_CLOSE_WRITE | IN_CREATE) && event->len && !strcmp(event->name, watcher->name))
			watcher->closed = event->mask & IN_CLOSE_WRITE;
		if (event->mask & IN_IGNORED)
			watcher->descriptor = -1;
	}
}

static struct log_watcher *next_due(struct log_watch *watch)
{
	struct log_watcher *watcher;
	list_for_each (watcher, &watch->watchers, node)
		if (watcher->due)
			return watcher;
	return NULL;
}

static void on_readable(struct loop_fd *source, unsigned ready)
{
	struct log_watch *watch = container_of(source, struct log_watch, source);
	char events[EVENTS_BYTES] __attribute__((aligned(__alignof__(struct inotify_event))));
	(void)ready;
	ssize_t length = read(watch->fd, events, sizeof(events));
	for (ssize_t offset = 0; offset < length;) {
		const struct inotify_event *event = (const struct inotify_event *)(events + offset);
		mark(watch, event);
		offset += (ssize_t)(sizeof(*event) + event->len);
	}
	for (struct log_watcher *watcher; (watcher = next_due(watch));) {
		watcher->due = false;
		watcher->changed(watcher);
	}
}

void log_watch_init(struct log_watch *watch)
{
	*watch = (struct log_watch){.fd = -1};
	list_init(&watch->watchers);
}

void log_watch_done(struct log_watch *watch)
{
	loop_fd_stop(&watch->source);
	if (watch->fd >= 0)
		close(watch->fd);
	watch->fd = -1;
}

void log_watcher_start(struct log_watch *watch, struct log_watcher *watcher, struct loop *loop, const char *folder,
                       const char *name, void (*changed)(struct log_watcher *watcher))
{
	*watcher = (struct log_watcher){.descriptor = -1, .name = name, .changed = changed};
	list_append(&watch->watchers, &watcher->node);
	if (watch->fd < 0) {
		watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
		if (watch->fd >= 0)
			loop_fd_start(loop, &watch->source, watch->fd, LOOP_READ, on_readable);
	}
	if (watch->fd >= 0)
		watcher->descriptor = inotify_add_watch(watch->fd, folder,
		                                        IN_MODIFY | IN_CLOSE_WRITE | IN_CREATE | IN_MOVED_FROM |
		                                                IN_MOVED_TO | IN_DELETE_SELF | IN_ONLYDIR);
	if (watcher->descriptor >= 0)
		return;
	struct err err = ERR_INIT;
	(void)err_set_errno(&err, errno, "watch %s", folder);
	log_warning("A log can't be watched and is followed slowly", kv_err(&err));
}

static bool is_watched(const struct log_watch *watch, int descriptor)
{
	struct log_watcher *watcher;
	list_for_each (watcher, &watch->watchers, node)
		if (watcher->descriptor == descriptor)
			return true;
	return false;
}

void log_watcher_stop(struct log_watch *watch, struct log_watcher *watcher)
{
	if (!watcher->changed)
		return;
	list_remove(&watcher->node);
	watcher->changed = NULL;
	watcher->due = false;
	if (watcher->descriptor >= 0 && !is_watched(watch, watcher->descriptor))
		inotify_rm_watch(watch->fd, watcher->descriptor);
	if (list_is_empty(&watch->watchers))
		log_watch_done(watch);
}
