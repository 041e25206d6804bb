// SPDX-License-Identifier: Apache-2.0
// Commands in running containers: `ctr tasks exec` with the caller's descriptors as
// its standard streams. ctr wants a real terminal on its input for -t; the caller
// gives one, and what ctr itself complains of is kept apart from it. It dies with the
// kubelet, and is killed after its deadline; SIGKILL of ctr leaves the command in the
// container running, so its process is killed too, by exec id.

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/encode.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/io/process_spawn.h"
#include "kubelet/runtime/ctr_internal.h"

#define KILL_TIMEOUT_NS (10 * NSEC_PER_SEC)

struct runtime_exec {
	struct ctr_runtime *driver; // NULL: closed
	struct list node;           // driver->execs
	struct loop_child child;
	struct loop_timer deadline;
	struct loop_task failed_task;
	char *container_id;
	char exec_id[37];
	int errors_fd; // with a terminal: what ctr itself has to say; -1: none
	struct err err;
	bool timed_out;
	void (*done)(void *context, int exit_code, const char *error_text);
	void *context;
};

static void exec_finish(struct runtime_exec *exec, int exit_code, const char *error_text)
{
	loop_timer_stop(&exec->deadline);
	list_remove(&exec->node);
	exec->done(exec->context, exit_code, error_text);
	if (exec->errors_fd >= 0)
		close(exec->errors_fd);
	free(exec->container_id);
	free(exec);
}

// Why ctr could not run the command ("ctr: OCI runtime exec failed: …"), as far as it is known.
static bool read_failure(const struct runtime_exec *exec, char *out, size_t size)
{
	static const char prefix[] = "ctr: ";
	ssize_t length = exec->errors_fd >= 0 ? pread(exec->errors_fd, out, size - 1, 0) : -1;
	if (length <= 0)
		return false;
	out[length] = '\0';
	char *line = out;
	while (line && strncmp(line, prefix, strlen(prefix)))
		line = (line = strchr(line, '\n')) ? line + 1 : NULL;
	if (!line)
		return false;
	line[strcspn(line, "\n")] = '\0';
	memmove(out, line + strlen(prefix), strlen(line) + 1 - strlen(prefix));
	return true;
}

static void on_child(struct loop_child *child, int wait_status)
{
	struct runtime_exec *exec = container_of(child, struct runtime_exec, child);
	char failure[1024];
	if (exec->timed_out)
		exec_finish(exec, -1, "command timed out");
	else if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) && read_failure(exec, failure, sizeof(failure)))
		exec_finish(exec, -1, failure);
	else if (WIFSIGNALED(wait_status))
		exec_finish(exec, 128 + WTERMSIG(wait_status), "");
	else
		exec_finish(exec, WEXITSTATUS(wait_status), "");
}

static void on_failed(struct loop_task *task)
{
	struct runtime_exec *exec = container_of(task, struct runtime_exec, failed_task);
	exec_finish(exec, -1, exec->err.message);
}

static void on_inner_killed(void *context, const struct process_result *result)
{
	(void)context;
	(void)result; // gone already, most likely
}

void ctr_exec_kill(struct runtime_exec *exec)
{
	if (!exec->driver)
		return;
	CTR_RUN(&exec->driver->ctr, CTR_LANE_QUICK, KILL_TIMEOUT_NS, on_inner_killed, NULL, "tasks", "kill", "--signal",
	        "KILL", "--exec-id", exec->exec_id, exec->container_id);
	if (exec->child.pid > 0)
		kill(exec->child.pid, SIGKILL);
}

static void on_deadline(struct loop_timer *timer)
{
	struct runtime_exec *exec = container_of(timer, struct runtime_exec, deadline);
	exec->timed_out = true;
	ctr_exec_kill(exec);
}

void ctr_exec_resized(struct runtime_exec *exec)
{
	if (exec->child.pid > 0)
		kill(exec->child.pid, SIGWINCH);
}

// In the child: async-signal-safe calls only.
static void become_ctr(const struct runtime_exec_config *config, int errors_fd, const char *const *argv, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(126);
	setsid();
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	for (int number = 0; number < 3; number++) {
		int fd = config->tty ? config->fds[0] : config->fds[number];
		if (fd >= 0 && dup2(fd, number) < 0)
			_exit(126);
	}
	if (errors_fd >= 0)
		dup2(errors_fd, STDERR_FILENO);
	execvp(argv[0], (char *const *)argv);
	_exit(127);
}

// A kill that outlives the driver and its loop.
static void kill_inner_detached(const struct runtime_exec *exec)
{
	const struct ctr *ctr = &exec->driver->ctr;
	const char *const argv[] = {
	        "ctr",      "--address", ctr->address, "--namespace", ctr->namespace_name, "tasks", "kill",
	        "--signal", "KILL",      "--exec-id",  exec->exec_id, exec->container_id,  NULL};
	struct process_spawn spawn = {.argv = argv, .new_group = true, .survive_parent = true};
	struct err err = ERR_INIT;
	pid_t pid;
	for (int number = 0; number < 3; number++)
		spawn.stdio[number] = process_open_null(O_RDWR);
	if (process_spawn(&spawn, &pid, &err) < 0)
		log_error("Could not kill a command", kv_err(&err));
	for (int number = 0; number < 3; number++)
		if (spawn.stdio[number] >= 0)
			close(spawn.stdio[number]);
}

void ctr_exec_close_all(struct ctr_runtime *driver)
{
	struct runtime_exec *exec;
	while ((exec = list_first(&driver->execs, struct runtime_exec, node))) {
		if (exec->child.pid <= 0) { // never began: its task tells, when the loop goes on
			list_remove(&exec->node);
			exec->driver = NULL;
			continue;
		}
		kill_inner_detached(exec);
		loop_child_stop(&exec->child);
		kill(exec->child.pid, SIGKILL);
		waitpid(exec->child.pid, NULL, 0);
		exec_finish(exec, RUNTIME_EXEC_CLOSED, "the container runtime driver was closed");
	}
}

static const char **make_arguments(struct arena *arena, const struct runtime_exec *exec,
                                   const struct runtime_exec_config *config)
{
	size_t count = 0;
	while (config->command[count])
		count++;
	const char **argv = ARENA_ARRAY(arena, const char *, count + 16);
	size_t used = 0;
	const char *const head[] = {"ctr",
	                            "--address",
	                            exec->driver->ctr.address,
	                            "--namespace",
	                            exec->driver->ctr.namespace_name,
	                            "tasks",
	                            "exec",
	                            "--exec-id",
	                            exec->exec_id};
	for (size_t index = 0; index < ARRAY_SIZE(head); index++)
		argv[used++] = head[index];
	if (config->tty)
		argv[used++] = "--tty";
	argv[used++] = "--"; // what follows may look like a flag
	argv[used++] = config->container_id;
	for (size_t index = 0; index < count; index++)
		argv[used++] = config->command[index];
	return argv;
}

struct runtime_exec *ctr_exec_start(struct runtime *runtime, const struct runtime_exec_config *config,
                                    void (*done)(void *context, int exit_code, const char *error_text), void *context)
{
	struct runtime_exec *exec = NEW(struct runtime_exec);
	*exec = (struct runtime_exec){
	        .driver = ctr_runtime_of(runtime),
	        .container_id = xstrdup(config->container_id),
	        .errors_fd = config->tty ? memfd_create("ctr-errors", MFD_CLOEXEC) : -1,
	        .done = done,
	        .context = context,
	};
	uuid_v4(exec->exec_id);
	list_append(&exec->driver->execs, &exec->node);
	AUTO(arena_free) struct arena *arena = arena_new(0);
	const char **argv = make_arguments(arena, exec, config);
	pid_t parent = getpid();
	pid_t pid = fork();
	if (pid == 0)
		become_ctr(config, exec->errors_fd, argv, parent);
	if (pid < 0) {
		(void)err_set_errno(&exec->err, errno, "start ctr");
		loop_post(exec->driver->loop, &exec->failed_task, on_failed);
		return exec;
	}
	loop_child_start(exec->driver->loop, &exec->child, pid, on_child);
	if (config->timeout_ns)
		loop_timer_start(exec->driver->loop, &exec->deadline, config->timeout_ns, on_deadline);
	return exec;
}
