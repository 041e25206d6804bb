// SPDX-License-Identifier: Apache-2.0
#pragma once
// Tells the readers of growing files that something has happened in a file's folder.
// One inotify descriptor serves them all: a user may have 128 of them only.

#include <stdbool.h>

#include "common/base/list.h"
#include "common/io/loop.h"

struct log_watch {
	struct loop_fd source; // stopped while nobody watches
	int fd;                // -1: none
	struct list watchers;
};

struct log_watcher {
	struct list node;
	int descriptor;   // inotify's; -1: not watched
	const char *name; // of the file; borrowed
	bool closed;      // a writer has closed the file since the start, or since it was made anew
	bool due;
	// Something of the folder was written, closed, renamed or made, or it has gone. May stop this watcher and
	// others.
	void (*changed)(struct log_watcher *watcher);
};

void log_watch_init(struct log_watch *watch);
void log_watch_done(struct log_watch *watch); // no watcher is left

// Without inotify (its limits are used up) the watcher is never called.
void log_watcher_start(struct log_watch *watch, struct log_watcher *watcher, struct loop *loop, const char *folder,
                       const char *name, void (*changed)(struct log_watcher *watcher));
void log_watcher_stop(struct log_watch *watch, struct log_watcher *watcher); // harmless when stopped
