// SPDX-License-Identifier: Apache-2.0
// What happens to containers, from one long-lived `ctr events`.
//
// The stream has no replay and does not say when it listens, so a list of tasks
// stands behind it: once soon after the stream starts, then every ten seconds. A
// task that we believe to run and the list doesn't show running has ended unheard;
// its code is collected by deleting the task. Invariants:
//
//   1. on_exit comes exactly once for each container whose start succeeded or that
//      was adopted as running, and never before the start has been answered.
//   2. A list answers for the moment it was asked: tasks that began after that are
//      not judged by it (ctr_task.starting).
//
// When the stream ends (containerd restarts), the runtime is not ready; the stream
// is started again after 1 s, doubling to 16 s.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/api/json.h"
#include "common/api/object.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "kubelet/runtime/ctr_internal.h"

#define LIST_TIMEOUT_NS (20 * NSEC_PER_SEC)
#define FIRST_LIST_NS (300 * NSEC_PER_MSEC)
#define LIST_PERIOD_NS (10 * NSEC_PER_SEC)
#define MIN_RESTART_NS (1 * NSEC_PER_SEC)
#define MAX_RESTART_NS (16 * NSEC_PER_SEC)

// --- tasks ---------------------------------------------------------------------------

static struct ctr_task *task_get(struct ctr_runtime *driver, const char *id)
{
	struct ctr_task *task = hashmap_get(driver->tasks, id);
	if (!task) {
		task = NEW(struct ctr_task);
		hashmap_put(driver->tasks, id, task);
	}
	return task;
}

void ctr_task_begin(struct ctr_runtime *driver, const char *id)
{
	*task_get(driver, id) = (struct ctr_task){.starting = true};
}

static void task_exited(struct ctr_runtime *driver, const char *id, int exit_code, int64_t exited_at_ns)
{
	struct ctr_task *task = hashmap_get(driver->tasks, id);
	if (!task)
		return;
	if (task->starting) {
		task->exited = true;
		task->exit_code = exit_code;
		task->exited_at_ns = exited_at_ns;
		return;
	}
	AUTO_FREE char *kept_id = xstrdup(id); // may be the key that goes
	hashmap_remove(driver->tasks, kept_id);
	if (driver->listener.on_exit)
		driver->listener.on_exit(driver->listener.context, kept_id, exit_code, exited_at_ns);
}

void ctr_task_started(struct ctr_runtime *driver, const char *id)
{
	struct ctr_task *task = hashmap_get(driver->tasks, id);
	if (!task)
		return;
	task->starting = false;
	if (task->exited)
		task_exited(driver, id, task->exit_code, task->exited_at_ns);
}

void ctr_task_forget(struct ctr_runtime *driver, const char *id)
{
	hashmap_remove(driver->tasks, id);
}

void ctr_task_adopt(struct ctr_runtime *driver, const char *id)
{
	if (!hashmap_get(driver->tasks, id))
		*task_get(driver, id) = (struct ctr_task){.starting = false};
}

// --- the stream -------------------------------------------------------------------------

static void on_task_exit(struct ctr_runtime *driver, const struct json *event)
{
	const char *container_id = json_get_text(event, "container_id");
	const char *process_id = json_get_text(event, "id");
	if (!container_id || (process_id && strcmp(container_id, process_id)))
		return;        // the end of an exec
	int64_t exit_code = 0; // absent when 0
	json_get_integer(event, "exit_status", &exit_code);
	int64_t exited_at_ns;
	if (!api_time_parse(json_get_text(event, "exited_at"), &exited_at_ns))
		exited_at_ns = loop_realtime_ns(driver->loop);
	task_exited(driver, container_id, (int)exit_code, exited_at_ns);
}

static void on_task_oom(struct ctr_runtime *driver, const struct json *event)
{
	const char *id = json_get_text(event, "container_id");
	if (id && driver->listener.on_oom)
		driver->listener.on_oom(driver->listener.context, id);
}

static void on_image_changed(struct ctr_runtime *driver, const struct json *event)
{
	const char *name = json_get_text(event, "name");
	if (name)
		hashmap_remove(driver->images, name);
}

static const struct {
	const char *topic;
	void (*handle)(struct ctr_runtime *driver, const struct json *event);
} topics[] = {
        {"/images/create", on_image_changed}, {"/images/delete", on_image_changed},
        {"/images/update", on_image_changed}, {"/tasks/exit", on_task_exit},
        {"/tasks/oom", on_task_oom},
};

// "2026-01-02 15:04:05.0 +0000 UTC k8s.io /tasks/exit {…}"
void ctr_events_feed(struct ctr_runtime *driver, const char *line, size_t length)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	char *text = arena_strndup(arena, line, length);
	char *body = strchr(text, '{');
	if (!body || body == text)
		return;
	body[-1] = '\0';
	const char *topic = strrchr(text, ' ');
	if (!topic)
		return;
	char *namespace_end = text + (topic - text);
	*namespace_end = '\0';
	const char *namespace_name = strrchr(text, ' ');
	if (!namespace_name || strcmp(namespace_name + 1, driver->ctr.namespace_name))
		return;
	for (size_t index = 0; index < ARRAY_SIZE(topics); index++) {
		struct json *event;
		if (strcmp(topic + 1, topics[index].topic))
			continue;
		if (json_parse(arena, body, strlen(body), NULL, &event, NULL) == 0)
			topics[index].handle(driver, event);
	}
}

static void on_line(void *context, const char *line, size_t length)
{
	ctr_events_feed(context, line, length);
}

static void on_restart_timer(struct loop_timer *timer)
{
	ctr_events_start(container_of(timer, struct ctr_runtime, events_timer));
}

static void on_stream_end(void *context, const struct process_result *result)
{
	struct ctr_runtime *driver = context;
	driver->events = NULL;
	struct err err = ERR_INIT;
	if (ctr_check(result, "containerd's events ended", &err) == 0)
		(void)err_set(&err, ERR_UNAVAILABLE, "containerd's events ended");
	ctr_set_ready(driver, false, err.message);
	driver->events_delay_ns = driver->events_delay_ns ? driver->events_delay_ns * 2 : MIN_RESTART_NS;
	if (driver->events_delay_ns > MAX_RESTART_NS)
		driver->events_delay_ns = MAX_RESTART_NS;
	loop_timer_start(driver->loop, &driver->events_timer, driver->events_delay_ns, on_restart_timer);
}

// --- the list behind it --------------------------------------------------------------------

struct collect_op {
	struct ctr_runtime *driver;
	char *id;
};

int ctr_parse_exit_code(const struct process_result *result)
{
	const char *text = result->error_output ? strstr(result->error_output, "exit code ") : NULL;
	if (text)
		return (int)strtol(text + strlen("exit code "), NULL, 10);
	return result->exit_code == 0 ? 0 : -1;
}

static void on_collected(void *context, const struct process_result *result)
{
	struct collect_op *op = context;
	struct ctr_task *task = hashmap_get(op->driver->tasks, op->id);
	int exit_code = ctr_parse_exit_code(result);
	if (task && (exit_code >= 0 || ctr_is_not_found(result)))
		task_exited(op->driver, op->id, exit_code < 0 ? 137 : exit_code, loop_realtime_ns(op->driver->loop));
	else if (task)
		task->collecting = false;
	free(op->id);
	free(op);
}

static void collect(struct ctr_runtime *driver, const char *id, struct ctr_task *task)
{
	struct collect_op *op = NEW(struct collect_op);
	*op = (struct collect_op){.driver = driver, .id = xstrdup(id)};
	task->collecting = true;
	CTR_RUN(&driver->ctr, CTR_LANE_QUICK, LIST_TIMEOUT_NS, on_collected, op, "tasks", "delete", id);
}

size_t ctr_parse_tasks(char *text, struct ctr_task_row *rows, size_t capacity)
{
	size_t count = 0;
	char *save_line = NULL;
	for (char *line = strtok_r(text, "\n", &save_line); line && count < capacity;
	     line = strtok_r(NULL, "\n", &save_line)) {
		char *save = NULL;
		const char *id = strtok_r(line, " ", &save);
		const char *pid = id ? strtok_r(NULL, " ", &save) : NULL;
		const char *status = pid ? strtok_r(NULL, " ", &save) : NULL;
		if (!status || !strcmp(id, "TASK"))
			continue;
		bool running = !strcmp(status, "RUNNING") || !strcmp(status, "PAUSED") || !strcmp(status, "PAUSING");
		rows[count++] = (struct ctr_task_row){.id = id, .pid = (int)strtol(pid, NULL, 10), .running = running};
	}
	return count;
}

struct relist_op {
	struct ctr_runtime *driver;
	char **known; // settled tasks at the time of asking
	size_t known_count;
};

static void relist_op_free(struct relist_op *op)
{
	for (size_t index = 0; index < op->known_count; index++)
		free(op->known[index]);
	free(op->known);
	free(op);
}

static void judge(struct relist_op *op, const struct ctr_task_row *rows, size_t row_count)
{
	for (size_t known = 0; known < op->known_count; known++) {
		bool running = false;
		for (size_t index = 0; index < row_count && !running; index++)
			running = rows[index].running && !strcmp(rows[index].id, op->known[known]);
		struct ctr_task *task = hashmap_get(op->driver->tasks, op->known[known]);
		if (!running && task && !task->starting && !task->collecting)
			collect(op->driver, op->known[known], task);
	}
}

static void on_relist_timer(struct loop_timer *timer);

static void on_relisted(void *context, const struct process_result *result)
{
	struct relist_op *op = context;
	struct err err = ERR_INIT;
	if (ctr_check(result, "list tasks", &err) < 0) {
		ctr_set_ready(op->driver, false, err.message);
	} else {
		AUTO_FREE char *text = xstrdup(result->output);
		size_t capacity = 1;
		for (const char *at = text; *at; at++)
			capacity += *at == '\n';
		AUTO_FREE struct ctr_task_row *rows = xcalloc(capacity, sizeof(*rows));
		judge(op, rows, ctr_parse_tasks(text, rows, capacity));
		if (op->driver->events) {
			op->driver->events_delay_ns = 0;
			ctr_set_ready(op->driver, true, "");
		}
	}
	loop_timer_start(op->driver->loop, &op->driver->relist_timer, LIST_PERIOD_NS, on_relist_timer);
	relist_op_free(op);
}

static void on_relist_timer(struct loop_timer *timer)
{
	struct ctr_runtime *driver = container_of(timer, struct ctr_runtime, relist_timer);
	struct relist_op *op = NEW(struct relist_op);
	op->driver = driver;
	op->known = xcalloc(hashmap_count(driver->tasks) + 1, sizeof(*op->known));
	struct hashmap_cursor cursor = HASHMAP_CURSOR_INIT;
	while (hashmap_next(driver->tasks, &cursor))
		if (!((struct ctr_task *)cursor.value)->starting)
			op->known[op->known_count++] = xstrdup(cursor.key);
	CTR_RUN(&driver->ctr, CTR_LANE_QUICK, LIST_TIMEOUT_NS, on_relisted, op, "tasks", "ls");
}

void ctr_events_start(struct ctr_runtime *driver)
{
	const char *argv[] = {"ctr",    "--address", driver->ctr.address, "--namespace", driver->ctr.namespace_name,
	                      "events", NULL};
	struct process_config config = {
	        .argv = argv,
	        .on_line = on_line,
	        .on_exit = on_stream_end,
	        .context = driver,
	};
	struct err err = ERR_INIT;
	hashmap_clear(driver->images); // what changed unheard
	if (process_start(driver->loop, &config, &driver->events, &err) < 0) {
		ctr_set_ready(driver, false, err.message);
		loop_timer_start(driver->loop, &driver->events_timer, MAX_RESTART_NS, on_restart_timer);
		return;
	}
	loop_timer_start(driver->loop, &driver->relist_timer, FIRST_LIST_NS, on_relist_timer);
}

void ctr_events_stop(struct ctr_runtime *driver)
{
	loop_timer_stop(&driver->events_timer);
	loop_timer_stop(&driver->relist_timer);
	if (driver->events)
		process_abandon(TAKE(driver->events));
}
