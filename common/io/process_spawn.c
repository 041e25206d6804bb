// SPDX-License-Identifier: Apache-2.0
//
// vfork and exec: the cost doesn't grow with the parent's memory, and the child
// reports a failed exec through that very memory. Between vfork and exec the
// child runs on its parent's stack: it makes system calls and nothing else. All
// signals are blocked meanwhile, so that no handler runs there. Descriptors
// above 2 are marked close-on-exec, whatever a library forgot.
#include "common/io/process_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

extern char **environ;

struct child_start {
	const struct process_spawn *spawn;
	const char *path;
	pid_t parent;
	volatile int error_number; // written by the child
};

static int above_stdio(int fd)
{
	if (fd < 0 || fd > 2)
		return fd;
	int moved = fcntl(fd, F_DUPFD_CLOEXEC, 3), error_number = errno;
	close(fd);
	errno = error_number;
	return moved;
}

int process_pipe(int ret_fds[2], struct err *err)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_set_errno(err, errno, "pipe");
	AUTO_CLOSE int read_end = above_stdio(fds[0]);
	AUTO_CLOSE int write_end = above_stdio(fds[1]);
	if (read_end < 0 || write_end < 0)
		return err_set_errno(err, errno, "pipe");
	ret_fds[0] = take_fd(&read_end);
	ret_fds[1] = take_fd(&write_end);
	return 0;
}

int process_open_null(int flags)
{
	int fd = above_stdio(open("/dev/null", flags | O_CLOEXEC));
	return fd < 0 ? -errno : fd;
}

// --- in the child, on the parent's memory ---------------------------------------------

static void child_exec(struct child_start *start) __attribute__((noreturn));

static void child_fail(struct child_start *start) __attribute__((noreturn));

static void child_fail(struct child_start *start)
{
	start->error_number = errno;
	_exit(127);
}

static void child_exec(struct child_start *start)
{
	const struct process_spawn *spawn = start->spawn;
	struct sigaction action = {.sa_handler = SIG_DFL};
	for (int number = 1; number < NSIG; number++)
		(void)sigaction(number, &action, NULL);
	if (!spawn->survive_parent && (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != start->parent)) {
		errno = ESRCH;
		child_fail(start);
	}
	if (spawn->new_group && setpgid(0, 0) < 0)
		child_fail(start);
	if (spawn->working_directory && chdir(spawn->working_directory) < 0)
		child_fail(start);
	for (int i = 0; i < 3; i++)
		if (dup2(spawn->stdio[i], i) < 0)
			child_fail(start);
	if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) < 0 && errno != ENOSYS && errno != EINVAL)
		child_fail(start);
	for (const int *fd = spawn->inherit_fds; fd && *fd >= 0; fd++)
		if (*fd > 2 && fcntl(*fd, F_SETFD, 0) < 0)
			child_fail(start);
	sigset_t none;
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	const char *const *environment = spawn->environment ? spawn->environment : (const char *const *)environ;
	execve(start->path, (char *const *)spawn->argv, (char *const *)environment);
	child_fail(start);
}

// --- in the parent ----------------------------------------------------------------------

static bool is_executable(const char *path)
{
	struct stat status;
	return stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, X_OK) == 0;
}

static const char *search_path(const char *const *environment)
{
	for (; environment && *environment; environment++)
		if (strncmp(*environment, "PATH=", 5) == 0)
			return *environment + 5;
	const char *path = environment ? NULL : getenv("PATH");
	return path ? path : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

static int find_program(const struct process_spawn *spawn, char out[PATH_MAX], struct err *err)
{
	const char *name = spawn->argv[0];
	if (strchr(name, '/')) {
		if (snprintf(out, PATH_MAX, "%s", name) >= PATH_MAX)
			return err_set_errno(err, ENAMETOOLONG, "fork/exec %s", name);
		return 0;
	}
	for (const char *at = search_path(spawn->environment); *at;) {
		size_t length = strcspn(at, ":");
		if (length && snprintf(out, PATH_MAX, "%.*s/%s", (int)length, at, name) < PATH_MAX &&
		    is_executable(out))
			return 0;
		at += length + (at[length] == ':');
	}
	return err_set(err, ERR_NOT_FOUND, "exec: \"%s\": executable file not found in $PATH", name);
}

static pid_t __attribute__((noinline)) start_child(struct child_start *start)
{
	pid_t pid = vfork();
	if (pid == 0)
		child_exec(start);
	return pid;
}

int process_spawn(const struct process_spawn *spawn, pid_t *ret_pid, struct err *err)
{
	char path[PATH_MAX];
	int result = find_program(spawn, path, err);
	if (result < 0)
		return result;
	struct child_start start = {.spawn = spawn, .path = path, .parent = getpid()};
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid_t pid = start_child(&start);
	int error_number = pid < 0 ? errno : start.error_number;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (pid > 0 && error_number)
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	if (error_number)
		return err_set_errno(err, error_number, "fork/exec %s", path);
	*ret_pid = pid;
	return 0;
}
