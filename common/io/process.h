// SPDX-License-Identifier: Apache-2.0
#pragma once
// Runs a child program without a shell: argv, optional stdin text, captured
// output with a maximum, a deadline after which it gets SIGKILL (its process
// group too). Children die with their parent (PDEATHSIG) unless told otherwise.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/strbuf.h"

struct loop;
struct process;

struct process_result {
	int exit_code; // 128 + signal when killed by one
	bool timed_out;
	bool output_truncated;
	const char *output; // stdout, NUL-terminated, borrowed for the callback
	size_t output_length;
	const char *error_output; // stderr (the last part)
	size_t error_output_length;
};

struct process_config {
	const char *const *argv;        // NULL-terminated; argv[0] by PATH unless it has a '/'
	const char *const *environment; // NULL = inherit
	const char *working_directory;  // NULL = inherit
	const char *stdin_data;         // NULL = /dev/null
	size_t stdin_length;
	size_t max_output_bytes; // of each stream; 0 = 1 MiB
	int64_t timeout_ns;      // 0 = none
	const int *inherit_fds;  // descriptors kept open in the child, ended by -1; NULL = none
	bool survive_parent;
	// stdout line by line as it comes, instead of capturing; NULL = capture
	void (*on_line)(void *context, const char *line, size_t length);
	void (*on_exit)(void *context,
	                const struct process_result *result); // exactly once, never from inside process_start
	void *context;
};

// A program that isn't there or can't be executed is an error here (ERR_NOT_FOUND when
// PATH has none). The end of the child is the end: what a grandchild writes
// afterwards is not waited for. The process frees itself after on_exit. *ret_process may be NULL'ed
// out by the caller in on_exit; it is valid until then.
NODISCARD int process_start(struct loop *loop, const struct process_config *config, struct process **ret_process,
                            struct err *err);

// Kills with SIGKILL; on_exit still comes.
void process_kill(struct process *process);
// Kills and forgets: on_exit does not come. Safe from inside on_line.
void process_abandon(struct process *process);
int process_pid(const struct process *process);

// Runs to the end, blocking: for command-line tools only. Returns the exit code or -ERR_x.
// stdin_data NULL = /dev/null; output NULL = the caller's own stdout; stderr is the caller's.
NODISCARD int process_run(const char *const *argv, const char *stdin_data, struct strbuf *output, struct err *err);
