// SPDX-License-Identifier: Apache-2.0
// Lanes of ctr processes. A command is a heap block with its arguments; it goes
// waiting → running → done, and the lane's next one starts when one ends. When a
// process can't even be started, the command is done in a later turn with exit
// code 127, so that callers know one way of failing only.

#include "kubelet/runtime/ctr.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/io/loop.h"

enum { MAX_ARGUMENTS = 48, MAX_PREFIX = 20 };

static const unsigned lane_limit[CTR_LANE_COUNT_] = {
        [CTR_LANE_QUICK] = 8,
        [CTR_LANE_START] = 4,
        [CTR_LANE_PULL] = 2,
};

struct ctr_command {
	struct ctr *ctr;
	struct list node;
	enum ctr_lane lane;
	int64_t timeout_ns;
	int64_t began_ns;
	char *prefix[MAX_PREFIX];
	char *arguments[MAX_ARGUMENTS];
	struct process *process;
	struct loop_task failed_task;
	struct err start_error;
	ctr_done_fn *done;
	void *context;
};

void ctr_init(struct ctr *ctr, struct loop *loop, const char *address, const char *namespace_name,
              const char *lock_path)
{
	*ctr = (struct ctr){
	        .loop = loop,
	        .address = xstrdup(address),
	        .namespace_name = xstrdup(namespace_name),
	        .lock_fd = lock_path ? open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1,
	};
	for (int lane = 0; lane < CTR_LANE_COUNT_; lane++)
		list_init(&ctr->waiting[lane]);
	list_init(&ctr->running);
}

static void command_free(struct ctr_command *command)
{
	list_remove(&command->node);
	for (char **argument = command->prefix; *argument; argument++)
		free(*argument);
	for (char **argument = command->arguments; *argument; argument++)
		free(*argument);
	free(command);
}

bool ctr_try_lock(struct ctr *ctr)
{
	if (ctr->lock_fd < 0)
		return true;
	if (flock(ctr->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return false;
	(void)flock(ctr->lock_fd, LOCK_SH); // inherited by the commands: theirs when we are gone
	return true;
}

bool ctr_is_idle(const struct ctr *ctr)
{
	for (int lane = 0; lane < CTR_LANE_COUNT_; lane++)
		if (!list_is_empty(&ctr->waiting[lane]))
			return false;
	return list_is_empty(&ctr->running);
}

void ctr_done(struct ctr *ctr)
{
	struct ctr_command *command;
	for (int lane = 0; lane < CTR_LANE_COUNT_; lane++)
		list_for_each (command, &ctr->waiting[lane], node)
			command_free(command);
	list_for_each (command, &ctr->running, node) {
		if (command->process)
			process_abandon(command->process);
		command_free(command);
	}
	if (ctr->lock_fd >= 0)
		close(ctr->lock_fd);
	free((char *)ctr->address);
	free((char *)ctr->namespace_name);
}

static void lane_advance(struct ctr *ctr, enum ctr_lane lane);

static void command_finish(struct ctr_command *command, const struct process_result *result)
{
	struct ctr *ctr = command->ctr;
	enum ctr_lane lane = command->lane;
	ctr->running_count[lane]--;
	list_remove(&command->node);
	command->process = NULL;
	log_v(5, "Runtime command ended", kv_str("object", command->arguments[0]),
	      kv_str("verb", command->arguments[1]), kv_int("exitCode", result->exit_code),
	      kv_duration("took", loop_now_ns(ctr->loop) - command->began_ns));
	command->done(command->context, result);
	command_free(command);
	lane_advance(ctr, lane);
}

static void on_process_exit(void *context, const struct process_result *result)
{
	command_finish(context, result);
}

static void on_start_failed(struct loop_task *task)
{
	struct ctr_command *command = container_of(task, struct ctr_command, failed_task);
	struct process_result result = {
	        .exit_code = 127,
	        .output = "",
	        .error_output = command->start_error.message,
	        .error_output_length = strlen(command->start_error.message),
	};
	command_finish(command, &result);
}

static void command_start(struct ctr_command *command)
{
	const char *argv[MAX_PREFIX + MAX_ARGUMENTS + 6];
	const char *const program[] = {"ctr", "--address", command->ctr->address, "--namespace",
	                               command->ctr->namespace_name};
	size_t count = 0;
	while (command->prefix[count]) {
		argv[count] = command->prefix[count];
		count++;
	}
	memcpy(argv + count, program, sizeof(program));
	memcpy(argv + count + ARRAY_SIZE(program), command->arguments, sizeof(command->arguments));
	struct process_config config = {
	        .argv = argv,
	        .timeout_ns = command->timeout_ns,
	        .max_output_bytes = 16 << 20,
	        .inherit_fds = (const int[]){command->ctr->lock_fd, -1},
	        .survive_parent = command->lane != CTR_LANE_PULL,
	        .on_exit = on_process_exit,
	        .context = command,
	};
	command->began_ns = loop_now_ns(command->ctr->loop);
	command->ctr->running_count[command->lane]++;
	list_append(&command->ctr->running, &command->node);
	if (process_start(command->ctr->loop, &config, &command->process, &command->start_error) < 0)
		loop_post(command->ctr->loop, &command->failed_task, on_start_failed);
}

static void lane_advance(struct ctr *ctr, enum ctr_lane lane)
{
	while (ctr->running_count[lane] < lane_limit[lane] && !list_is_empty(&ctr->waiting[lane])) {
		struct ctr_command *command = list_first(&ctr->waiting[lane], struct ctr_command, node);
		list_remove(&command->node);
		command_start(command);
	}
}

void ctr_run_by(struct ctr *ctr, enum ctr_lane lane, int64_t timeout_ns, const char *const *prefix,
                const char *const *arguments, ctr_done_fn *done, void *context)
{
	struct ctr_command *command = NEW(struct ctr_command);
	*command = (struct ctr_command){
	        .ctr = ctr, .lane = lane, .timeout_ns = timeout_ns, .done = done, .context = context};
	list_init(&command->node);
	for (size_t index = 0; prefix && index < MAX_PREFIX - 1 && prefix[index]; index++)
		command->prefix[index] = xstrdup(prefix[index]);
	for (size_t index = 0; index < MAX_ARGUMENTS - 1 && arguments[index]; index++)
		command->arguments[index] = xstrdup(arguments[index]);
	list_append(&ctr->waiting[lane], &command->node);
	lane_advance(ctr, lane);
}

void ctr_run(struct ctr *ctr, enum ctr_lane lane, int64_t timeout_ns, const char *const *arguments, ctr_done_fn *done,
             void *context)
{
	ctr_run_by(ctr, lane, timeout_ns, NULL, arguments, done, context);
}

// ctr prints "ctr: message"; warnings of its logger may stand above it.
static const char *last_line(const struct process_result *result, size_t *ret_length)
{
	const char *start = result->error_output ? result->error_output : "";
	size_t length = result->error_output_length;
	while (length && (start[length - 1] == '\n' || start[length - 1] == ' '))
		length--;
	const char *line = start + length;
	while (line > start && line[-1] != '\n')
		line--;
	length -= (size_t)(line - start);
	if (length > 5 && !memcmp(line, "ctr: ", 5)) {
		line += 5;
		length -= 5;
	}
	*ret_length = length;
	return line;
}

int ctr_check(const struct process_result *result, const char *what, struct err *err)
{
	if (result->timed_out)
		return err_set(err, ERR_TIMEOUT, "%s: context deadline exceeded", what);
	if (result->exit_code == 0)
		return 0;
	size_t length;
	const char *line = last_line(result, &length);
	if (!length)
		return err_set(err, ERR_INTERNAL, "%s: ctr ended with code %d", what, result->exit_code);
	return err_set(err, ctr_is_not_found(result) ? ERR_NOT_FOUND : ERR_INTERNAL, "%s: %.*s", what, (int)length,
	               line);
}

bool ctr_is_not_found(const struct process_result *result)
{
	return result->exit_code && result->error_output && strstr(result->error_output, "not found") != NULL;
}
