// SPDX-License-Identifier: Apache-2.0
#pragma once
// Starting a program: what process.c and process_run share.

#include <stdbool.h>
#include <sys/types.h>

#include "common/base/err.h"

struct process_spawn {
	const char *const *argv;
	const char *const *environment; // NULL = inherit
	const char *working_directory;  // NULL = inherit
	int stdio[3];                   // become 0, 1, 2 of the child; each above 2
	const int *inherit_fds;         // ended by -1; NULL = none
	bool new_group;                 // leads a process group of its own
	bool survive_parent;            // no PDEATHSIG
};

// Returns once the program has been executed, or says why not.
NODISCARD int process_spawn(const struct process_spawn *spawn, pid_t *ret_pid, struct err *err);

// A close-on-exec pipe with both ends above 2.
NODISCARD int process_pipe(int ret_fds[2], struct err *err);
// /dev/null, above 2; -errno when it can't be opened.
int process_open_null(int flags);
