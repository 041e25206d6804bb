// SPDX-License-Identifier: Apache-2.0
#pragma once
// Runs ctr: every command line of it goes through here. Commands wait in lanes,
// so that a storm of pods never starts more of them than the machine can serve;
// each has a deadline after which it gets SIGKILL (ctr ignores politer signals).
//
// A command outlives a kubelet that is killed: containerd 1.6 leaves a shim behind
// when a client goes away in the middle of a task's creation. The next kubelet waits
// for such commands by the lock that they hold, before it looks at what there is.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/list.h"
#include "common/io/process.h"

struct loop;

enum ctr_lane {
	CTR_LANE_QUICK, // look-ups, kills, removals
	CTR_LANE_START, // starting a process: runc's work, the bottleneck
	CTR_LANE_PULL,
	CTR_LANE_COUNT_,
};

struct ctr {
	struct loop *loop;
	const char *address;
	const char *namespace_name;
	struct list waiting[CTR_LANE_COUNT_];
	struct list running; // of struct ctr_command
	unsigned running_count[CTR_LANE_COUNT_];
	int lock_fd; // -1: none
};

// `lock_path` may be NULL.
void ctr_init(struct ctr *ctr, struct loop *loop, const char *address, const char *namespace_name,
              const char *lock_path);
// True when no command of an earlier kubelet runs any more.
bool ctr_try_lock(struct ctr *ctr);
// No command runs or waits.
bool ctr_is_idle(const struct ctr *ctr);
void ctr_done(struct ctr *ctr); // kills what still runs

typedef void ctr_done_fn(void *context, const struct process_result *result);

// `arguments`: after "ctr --address A --namespace N", NULL-terminated, copied. `done` comes exactly once.
void ctr_run(struct ctr *ctr, enum ctr_lane lane, int64_t timeout_ns, const char *const *arguments, ctr_done_fn *done,
             void *context);
// The same through another program: "PREFIX… ctr --address A …". `prefix` is NULL-terminated, copied.
void ctr_run_by(struct ctr *ctr, enum ctr_lane lane, int64_t timeout_ns, const char *const *prefix,
                const char *const *arguments, ctr_done_fn *done, void *context);
#define CTR_RUN(ctr, lane, timeout_ns, done, context, ...) \
	ctr_run((ctr), (lane), (timeout_ns), (const char *const[]){__VA_ARGS__, NULL}, (done), (context))

// Fills err from a failed command: the last meaningful line of its stderr without ctr's prefix. Returns 0 when it
// succeeded, else -code.
int ctr_check(const struct process_result *result, const char *what, struct err *err);
// True when it failed because the thing isn't there.
bool ctr_is_not_found(const struct process_result *result);
