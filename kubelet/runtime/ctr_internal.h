// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the files of the ctr driver share.

#include "common/base/arena.h"
#include "common/base/hashmap.h"
#include "common/io/loop.h"
#include "common/io/process.h"
#include "kubelet/runtime/ctr.h"
#include "kubelet/runtime/runtime.h"

#define CTR_OWNER_LABEL "dev.caravel.kubelet"

// A task that runs, as far as we know.
struct ctr_task {
	bool starting; // its start has not been answered yet: its end is kept for later
	bool exited;
	bool collecting;
	int exit_code;
	int64_t exited_at_ns;
};

struct ctr_runtime {
	struct runtime runtime; // first
	struct loop *loop;
	struct ctr ctr;
	char *logger_path;
	char *runtime_name;
	int64_t log_max_bytes, log_max_files;
	char *version;
	struct work_pool *pool;
	struct runtime_listener listener;
	bool ready;
	char unready_reason[240];

	struct hashmap *tasks;  // id → struct ctr_task
	struct hashmap *images; // reference → struct runtime_image
	struct hashmap *views;  // chain id → char * lower directories

	struct list execs; // struct runtime_exec

	struct process *events;
	struct loop_timer events_timer;
	struct loop_timer relist_timer;
	struct loop_timer lock_timer;
	int64_t lock_since_ns;
	int64_t events_delay_ns;
};

static inline struct ctr_runtime *ctr_runtime_of(struct runtime *runtime)
{
	return container_of(runtime, struct ctr_runtime, runtime);
}

void ctr_set_ready(struct ctr_runtime *driver, bool ready, const char *reason);

// ctr_events.c
void ctr_events_start(struct ctr_runtime *driver);
void ctr_events_stop(struct ctr_runtime *driver);
// Reads one line of `ctr events`.
void ctr_events_feed(struct ctr_runtime *driver, const char *line, size_t length);
void ctr_task_begin(struct ctr_runtime *driver, const char *id);
void ctr_task_started(struct ctr_runtime *driver, const char *id); // delivers an end that came before
void ctr_task_forget(struct ctr_runtime *driver, const char *id);
void ctr_task_adopt(struct ctr_runtime *driver, const char *id);

struct ctr_task_row {
	const char *id;
	int pid;
	bool running;
};
// Parses `ctr tasks ls` in place of its text.
size_t ctr_parse_tasks(char *text, struct ctr_task_row *rows, size_t capacity);
// "task … exited with non-zero exit code 3" of `ctr tasks delete`; -1 when it isn't told.
int ctr_parse_exit_code(const struct process_result *result);

// ctr_images.c
void ctr_image_get(struct runtime *runtime, const char *reference,
                   void (*done)(void *context, struct runtime_image *image, const struct err *err), void *context);
void ctr_image_pull(struct runtime *runtime, const char *reference, void (*done)(void *context, const struct err *err),
                    void *context);
void ctr_image_list(struct runtime *runtime,
                    void (*done)(void *context, const struct runtime_image_info *images, size_t count,
                                 const struct err *err),
                    void *context);

// ctr_view.c: the layers' directories of an image, kept from containerd's garbage collector.
void ctr_view_get(struct ctr_runtime *driver, const char *chain_id,
                  void (*done)(void *context, const char *lower, const struct err *err), void *context);

// ctr_container.c
void ctr_container_start(struct runtime *runtime, const struct runtime_container_config *config,
                         void (*done)(void *context, const struct runtime_start_result *result), void *context);
void ctr_container_kill(struct runtime *runtime, const char *id, const char *signal_name, bool all,
                        void (*done)(void *context, const struct err *err), void *context);
void ctr_container_remove(struct runtime *runtime, const char *id, const char *directory,
                          void (*done)(void *context, const struct err *err), void *context);
void ctr_container_list(struct runtime *runtime,
                        void (*done)(void *context, const struct runtime_container *containers, size_t count,
                                     const struct err *err),
                        void *context);
void ctr_container_collect(struct runtime *runtime, const char *id, void (*done)(void *context, int exit_code),
                           void *context);

// ctr_exec.c
struct runtime_exec *ctr_exec_start(struct runtime *runtime, const struct runtime_exec_config *config,
                                    void (*done)(void *context, int exit_code, const char *error_text), void *context);
void ctr_exec_kill(struct runtime_exec *exec);
void ctr_exec_resized(struct runtime_exec *exec);

// ctr_attach.c
struct runtime_attach *ctr_attach_start(struct runtime *runtime, const struct runtime_attach_config *config);
void ctr_attach_write(struct runtime_attach *attach, const void *data, size_t length);
void ctr_attach_end_input(struct runtime_attach *attach);
void ctr_attach_resize(struct runtime_attach *attach, unsigned columns, unsigned rows);
void ctr_attach_pause(struct runtime_attach *attach, bool pause);
size_t ctr_attach_pending_bytes(const struct runtime_attach *attach);
void ctr_attach_close(struct runtime_attach *attach);
// Kills every command and tells its owner.
void ctr_exec_close_all(struct ctr_runtime *driver);
