// SPDX-License-Identifier: Apache-2.0
// Containers by ctr.
//
// Start:
//   VIEW     the image's layers (cached after the first container)
//   ROOT     overlay mount, user look-up, spec.json           [on a worker thread]
//   CREATE   ctr containers create --config spec.json
//   START    ctr tasks start -d --log-uri binary://…           [in the start lane]
// A failure removes what was made, then answers with the stage that failed.
//
// Remove: tasks delete -f → containers delete → unmount, files [on a worker thread].
// Every step takes "not found" for done, so that it may run on half-made containers
// and any number of times.

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "kubelet/runtime/ctr_internal.h"
#include "kubelet/runtime/oci_spec.h"
#include "kubelet/runtime/rootfs.h"

#define CREATE_TIMEOUT_NS (60 * NSEC_PER_SEC)
#define START_TIMEOUT_NS (120 * NSEC_PER_SEC)
#define QUICK_TIMEOUT_NS (30 * NSEC_PER_SEC)

enum { MAX_LABELS = 12, CGROUP2_MAGIC = 0x63677270 };

struct start_op {
	struct ctr_runtime *driver;
	const struct runtime_container_config *config; // the caller's
	struct arena *arena;
	struct runtime_start_result result;
	struct work work;
	const char *lower; // the image's layers
	struct err prepare_err;
	void (*done)(void *context, const struct runtime_start_result *result);
	void *context;
};

static void start_op_finish(struct start_op *op)
{
	struct ctr_runtime *driver = op->driver;
	AUTO_FREE char *id = xstrdup(op->config->id);
	op->done(op->context, &op->result);
	if (op->result.err.code == ERR_NONE)
		ctr_task_started(driver, id);
	arena_free(op->arena);
	free(op);
}

static void on_start_undone(void *context, const struct err *err)
{
	(void)err; // what is left is found and removed by the next reconciliation
	start_op_finish(context);
}

static void start_op_fail(struct start_op *op, enum runtime_start_stage stage, const struct err *err)
{
	op->result.stage = stage;
	(void)err_copy(&op->result.err, err);
	ctr_task_forget(op->driver, op->config->id);
	ctr_container_remove(&op->driver->runtime, op->config->id, op->config->directory, on_start_undone, op);
}

static int read_pid(const char *path)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[32] = "";
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		return 0;
	return (int)strtol(text, NULL, 10);
}

static const char *below(struct start_op *op, const char *name)
{
	return arena_printf(op->arena, "%s/%s", op->config->directory, name);
}

static void on_started(void *context, const struct process_result *result)
{
	struct start_op *op = context;
	struct err err = ERR_INIT;
	if (ctr_check(result, "failed to create containerd task", &err) < 0) {
		start_op_fail(op, RUNTIME_STAGE_START, &err);
		return;
	}
	op->result.pid = read_pid(below(op, "pid"));
	start_op_finish(op);
}

// Containers that one can attach to have their streams held by a process of our own.
static void start_by_console(struct start_op *op)
{
	const struct runtime_container_config *config = op->config;
	const struct ctr_runtime *driver = op->driver;
	const char *prefix[20] = {driver->logger_path, "console", "folder", config->directory};
	size_t count = 4;
	if (config->log_path) {
		const char *const rows[] = {
		        "log",       config->log_path,
		        "max-bytes", arena_printf(op->arena, "%lld", (long long)driver->log_max_bytes),
		        "max-files", arena_printf(op->arena, "%lld", (long long)driver->log_max_files)};
		memcpy(prefix + count, rows, sizeof(rows));
		count += ARRAY_SIZE(rows);
	}
	if (config->tty)
		prefix[count++] = "tty";
	if (config->stdin_open)
		prefix[count++] = "stdin";
	if (config->stdin_once)
		prefix[count++] = "stdin-once";
	prefix[count] = "--";
	const char *const arguments[] = {"tasks", "start", "--pid-file", below(op, "pid"), config->id, NULL};
	ctr_run_by(&op->driver->ctr, CTR_LANE_START, START_TIMEOUT_NS, prefix, arguments, on_started, op);
}

static void on_created(void *context, const struct process_result *result)
{
	struct start_op *op = context;
	unlink(below(op, "spec.json")); // may hold secrets
	struct err err = ERR_INIT;
	if (ctr_check(result, "failed to create container", &err) < 0) {
		start_op_fail(op, RUNTIME_STAGE_CREATE, &err);
		return;
	}
	ctr_task_begin(op->driver, op->config->id);
	if (op->config->tty || op->config->stdin_open) {
		start_by_console(op);
		return;
	}
	const char *uri =
	        op->config->log_path
	                ? arena_printf(op->arena, "binary://%s?log=%s&max-bytes=%lld&max-files=%lld",
	                               op->driver->logger_path, op->config->log_path,
	                               (long long)op->driver->log_max_bytes, (long long)op->driver->log_max_files)
	                : NULL;
	CTR_RUN(&op->driver->ctr, CTR_LANE_START, START_TIMEOUT_NS, on_started, op, "tasks", "start", "--detach",
	        "--pid-file", below(op, "pid"), uri ? "--log-uri" : "--null-io", uri ? uri : op->config->id,
	        uri ? op->config->id : NULL);
}

static int write_private(const char *path, const char *text, size_t length, struct err *err)
{
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_set_errno(err, errno, "create %s", path);
	while (length) {
		ssize_t written = write(fd, text, length);
		if (written < 0)
			return err_set_errno(err, errno, "write %s", path);
		text += written;
		length -= (size_t)written;
	}
	return 0;
}

static bool is_cgroup_v2(void)
{
	struct statfs status;
	return statfs("/sys/fs/cgroup", &status) == 0 && status.f_type == CGROUP2_MAGIC;
}

static void merge_groups(struct start_op *op, const struct rootfs_user *user, struct oci_facts *facts)
{
	const struct runtime_container_config *config = op->config;
	size_t of_image = config->strict_groups ? 0 : user->additional_gid_count;
	size_t count = of_image + config->supplemental_group_count;
	int64_t *gids = ARENA_ARRAY(op->arena, int64_t, count + 1);
	for (size_t index = 0; index < of_image; index++)
		gids[index] = user->additional_gids[index];
	for (size_t index = 0; index < config->supplemental_group_count; index++)
		gids[of_image + index] = config->supplemental_groups[index];
	facts->additional_gids = gids;
	facts->additional_gid_count = count;
}

// Lowering the score below one's own takes CAP_SYS_RESOURCE, which a kubelet in a container may not have, and
// containerd beside it neither: then one's own is the least there is, as with containerd's restrict_oom_score_adj.
static int64_t least_oom_score_adj(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};
	if (syscall(SYS_capget, &header, data) == 0 && (data[0].effective & (1U << CAP_SYS_RESOURCE)))
		return -1000;
	AUTO_CLOSE int fd = open("/proc/self/oom_score_adj", O_RDONLY | O_CLOEXEC);
	char text[16] = "";
	return fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 ? (int)strtol(text, NULL, 10) : 0;
}

// "nobody" or "nobody:group", whose number only the image knows.
static bool names_user(const char *user)
{
	size_t length = strcspn(user, ":");
	return length && strspn(user, "0123456789") < length;
}

// Mounts the root and writes spec.json. On a worker: the config doesn't change, the arena is the operation's own.
static int prepare(struct start_op *op, const char *lower, struct err *err)
{
	const struct runtime_container_config *config = op->config;
	int result = rootfs_mount(config->directory, lower, err);
	if (result < 0)
		return result;
	const char *root = below(op, "rootfs");
	struct rootfs_user user;
	result = rootfs_resolve_user(op->arena, root, config->image->user, config->run_as_user, config->run_as_group,
	                             &user, err);
	if (result < 0)
		return result;
	if (config->run_as_non_root && config->run_as_user < 0 && names_user(config->image->user))
		return err_set(err, ERR_INVALID,
		               "container has runAsNonRoot and image has non-numeric user (%.100s), cannot verify user "
		               "is non-root",
		               config->image->user);
	if (config->run_as_non_root && user.uid == 0)
		return err_set(err, ERR_INVALID,
		               config->run_as_user == 0 ? "container's runAsUser breaks non-root policy"
		                                        : "container has runAsNonRoot and image will run as root");
	struct oci_facts facts = {
	        .root_path = root,
	        .uid = user.uid,
	        .gid = user.gid,
	        .home = user.home,
	        .cgroup_v2 = is_cgroup_v2(),
	        .least_oom_score_adj = least_oom_score_adj(),
	        .host_devices = config->privileged ? oci_host_devices(op->arena, "/dev") : NULL,
	};
	merge_groups(op, &user, &facts);
	struct json *spec;
	result = oci_spec_build(op->arena, config, &facts, &spec, err);
	if (result < 0)
		return result;
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(16 << 20);
	json_write(&text, spec);
	return write_private(below(op, "spec.json"), strbuf_text(&text), text.length, err);
}

static void create(struct start_op *op)
{
	const struct runtime_container_config *config = op->config;
	const char *arguments[2 * MAX_LABELS + 16] = {"containers", "create",
	                                              "--runtime",  op->driver->runtime_name,
	                                              "--config",   below(op, "spec.json"),
	                                              "--label",    CTR_OWNER_LABEL "=true"};
	size_t count = 8;
	for (size_t index = 0; index < config->label_count && index < MAX_LABELS; index++) {
		arguments[count++] = "--label";
		arguments[count++] =
		        arena_printf(op->arena, "%s=%s", config->labels[index].key, config->labels[index].value);
	}
	arguments[count++] = config->id;
	ctr_run(&op->driver->ctr, CTR_LANE_QUICK, CREATE_TIMEOUT_NS, arguments, on_created, op);
}

static void run_prepare(struct work *work)
{
	struct start_op *op = container_of(work, struct start_op, work);
	(void)prepare(op, op->lower, &op->prepare_err);
}

static void on_prepared(struct work *work)
{
	struct start_op *op = container_of(work, struct start_op, work);
	enum err_code code = op->prepare_err.code;
	if (code == ERR_NONE)
		create(op);
	else
		start_op_fail(op, code == ERR_INVALID ? RUNTIME_STAGE_CONFIG : RUNTIME_STAGE_CREATE, &op->prepare_err);
}

static void on_view(void *context, const char *lower, const struct err *view_err)
{
	struct start_op *op = context;
	if (view_err) {
		start_op_fail(op, RUNTIME_STAGE_CREATE, view_err);
		return;
	}
	op->lower = arena_strdup(op->arena, lower);
	work_pool_submit(op->driver->pool, &op->work, op->driver->loop, run_prepare, on_prepared);
}

void ctr_container_start(struct runtime *runtime, const struct runtime_container_config *config,
                         void (*done)(void *context, const struct runtime_start_result *result), void *context)
{
	struct start_op *op = NEW(struct start_op);
	*op = (struct start_op){
	        .driver = ctr_runtime_of(runtime),
	        .config = config,
	        .arena = arena_new(0),
	        .done = done,
	        .context = context,
	};
	ctr_view_get(op->driver, config->image->chain_id, on_view, op);
}

// --- kill ------------------------------------------------------------------------------

struct kill_op {
	void (*done)(void *context, const struct err *err);
	void *context;
};

static void on_killed(void *context, const struct process_result *result)
{
	struct kill_op *op = context;
	struct err err = ERR_INIT;
	bool gone = ctr_is_not_found(result) ||
	            (result->exit_code && strstr(result->error_output, "process already finished"));
	bool failed = !gone && ctr_check(result, "signal container", &err) < 0;
	if (op->done)
		op->done(op->context, failed ? &err : NULL);
	free(op);
}

void ctr_container_kill(struct runtime *runtime, const char *id, const char *signal_name, bool all,
                        void (*done)(void *context, const struct err *err), void *context)
{
	struct kill_op *op = NEW(struct kill_op);
	*op = (struct kill_op){.done = done, .context = context};
	CTR_RUN(&ctr_runtime_of(runtime)->ctr, CTR_LANE_QUICK, QUICK_TIMEOUT_NS, on_killed, op, "tasks", "kill",
	        "--signal", signal_name, all ? "--all" : id, all ? id : NULL);
}

// --- remove ------------------------------------------------------------------------------

struct remove_op {
	struct ctr_runtime *driver;
	char *id;
	char *directory;
	struct err err;
	struct work work;
	void (*done)(void *context, const struct err *err);
	void *context;
};

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	(void)status;
	(void)walk;
	// What can't be removed is reported by the last rmdir.
	(void)(type == FTW_DP ? rmdir(path) : unlink(path));
	return 0;
}

static void remove_files(struct work *work)
{
	struct remove_op *op = container_of(work, struct remove_op, work);
	if (rootfs_unmount(op->directory, &op->err) < 0)
		return;
	nftw(op->directory, remove_entry, 32, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	if (rmdir(op->directory) < 0 && errno != ENOENT)
		(void)err_set_errno(&op->err, errno, "remove %s", op->directory);
}

static void remove_op_finish(struct remove_op *op)
{
	ctr_task_forget(op->driver, op->id);
	op->done(op->context, op->err.code == ERR_NONE ? NULL : &op->err);
	free(op->id);
	free(op->directory);
	free(op);
}

static void on_files_removed(struct work *work)
{
	remove_op_finish(container_of(work, struct remove_op, work));
}

static void on_container_deleted(void *context, const struct process_result *result)
{
	struct remove_op *op = context;
	if (!ctr_is_not_found(result) && ctr_check(result, "delete container", &op->err) < 0) {
		remove_op_finish(op);
		return;
	}
	work_pool_submit(op->driver->pool, &op->work, op->driver->loop, remove_files, on_files_removed);
}

static void on_task_deleted(void *context, const struct process_result *result)
{
	struct remove_op *op = context;
	if (!ctr_is_not_found(result) && ctr_check(result, "delete task", &op->err) < 0) {
		remove_op_finish(op);
		return;
	}
	CTR_RUN(&op->driver->ctr, CTR_LANE_QUICK, QUICK_TIMEOUT_NS, on_container_deleted, op, "containers", "delete",
	        op->id);
}

void ctr_container_remove(struct runtime *runtime, const char *id, const char *directory,
                          void (*done)(void *context, const struct err *err), void *context)
{
	struct remove_op *op = NEW(struct remove_op);
	*op = (struct remove_op){
	        .driver = ctr_runtime_of(runtime),
	        .id = xstrdup(id),
	        .directory = xstrdup(directory),
	        .done = done,
	        .context = context,
	};
	CTR_RUN(&op->driver->ctr, CTR_LANE_QUICK, QUICK_TIMEOUT_NS, on_task_deleted, op, "tasks", "delete", "--force",
	        id);
}

// --- list ----------------------------------------------------------------------------------

struct list_op {
	struct ctr_runtime *driver;
	char *ids; // one a line
	void (*done)(void *context, const struct runtime_container *containers, size_t count, const struct err *err);
	void *context;
};

static void list_op_finish(struct list_op *op, const struct runtime_container *containers, size_t count,
                           const struct err *err)
{
	op->done(op->context, containers, count, err);
	free(op->ids);
	free(op);
}

static size_t count_lines(const char *text)
{
	size_t count = 1;
	for (; *text; text++)
		count += *text == '\n';
	return count;
}

static void on_tasks_listed(void *context, const struct process_result *result)
{
	struct list_op *op = context;
	struct err err = ERR_INIT;
	if (ctr_check(result, "list tasks", &err) < 0) {
		list_op_finish(op, NULL, 0, &err);
		return;
	}
	AUTO_FREE char *text = xstrdup(result->output);
	size_t capacity = count_lines(text);
	AUTO_FREE struct ctr_task_row *rows = xcalloc(capacity, sizeof(*rows));
	size_t row_count = ctr_parse_tasks(text, rows, capacity);
	AUTO_FREE struct runtime_container *containers = xcalloc(count_lines(op->ids), sizeof(*containers));
	size_t count = 0;
	char *save = NULL;
	for (char *id = strtok_r(op->ids, "\n", &save); id; id = strtok_r(NULL, "\n", &save)) {
		struct runtime_container *container = &containers[count++];
		*container = (struct runtime_container){.id = id, .state = RUNTIME_CREATED};
		for (size_t index = 0; index < row_count; index++)
			if (!strcmp(rows[index].id, id)) {
				container->pid = rows[index].pid;
				container->state = rows[index].running ? RUNTIME_RUNNING : RUNTIME_STOPPED;
			}
		if (container->state == RUNTIME_RUNNING)
			ctr_task_adopt(op->driver, id);
	}
	list_op_finish(op, containers, count, NULL);
}

static void on_containers_listed(void *context, const struct process_result *result)
{
	struct list_op *op = context;
	struct err err = ERR_INIT;
	if (ctr_check(result, "list containers", &err) < 0) {
		list_op_finish(op, NULL, 0, &err);
		return;
	}
	op->ids = xstrdup(result->output);
	CTR_RUN(&op->driver->ctr, CTR_LANE_QUICK, QUICK_TIMEOUT_NS, on_tasks_listed, op, "tasks", "ls");
}

void ctr_container_list(struct runtime *runtime,
                        void (*done)(void *context, const struct runtime_container *containers, size_t count,
                                     const struct err *err),
                        void *context)
{
	struct list_op *op = NEW(struct list_op);
	*op = (struct list_op){.driver = ctr_runtime_of(runtime), .done = done, .context = context};
	CTR_RUN(&op->driver->ctr, CTR_LANE_QUICK, QUICK_TIMEOUT_NS, on_containers_listed, op, "containers", "ls",
	        "--quiet", "labels.\"" CTR_OWNER_LABEL "\"==true");
}

// --- collect -----------------------------------------------------------------------------------

struct collect_op {
	void (*done)(void *context, int exit_code);
	void *context;
};

static void on_collected(void *context, const struct process_result *result)
{
	struct collect_op *op = context;
	op->done(op->context, ctr_parse_exit_code(result));
	free(op);
}

void ctr_container_collect(struct runtime *runtime, const char *id, void (*done)(void *context, int exit_code),
                           void *context)
{
	struct collect_op *op = NEW(struct collect_op);
	*op = (struct collect_op){.done = done, .context = context};
	CTR_RUN(&ctr_runtime_of(runtime)->ctr, CTR_LANE_QUICK, QUICK_TIMEOUT_NS, on_collected, op, "tasks", "delete",
	        id);
}
