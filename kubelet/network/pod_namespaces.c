// SPDX-License-Identifier: Apache-2.0
// Makes a pod's namespaces. A forked child unshares what the pod wants, names the
// host, and bind-mounts its own /proc/self/ns entries over empty files; then it
// ends, and the mounts keep the namespaces. The kubelet itself never changes its
// namespaces. A new network namespace may take the kernel milliseconds: the child
// takes them, not the loop.

#include "kubelet/network/pod_namespaces.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/io/loop.h"

#define NETNS_DIRECTORY "/var/run/netns"

struct create_op {
	struct loop_child child;
	struct loop_task failed_task;
	struct err err;
	void (*done)(void *context, const struct err *err);
	void *context;
};

static void create_op_finish(struct create_op *op)
{
	op->done(op->context, op->err.code == ERR_NONE ? NULL : &op->err);
	free(op);
}

static void on_child(struct loop_child *child, int wait_status)
{
	struct create_op *op = container_of(child, struct create_op, child);
	int code = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : EINTR;
	if (code)
		(void)err_set_errno(&op->err, code, "create the pod's namespaces");
	create_op_finish(op);
}

static void on_failed(struct loop_task *task)
{
	create_op_finish(container_of(task, struct create_op, failed_task));
}

static int make_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0444);
	if (fd < 0)
		return -1;
	return close(fd);
}

// In the child: async-signal-safe calls only.
static void keep(const char *own, const char *path)
{
	if (path && (make_file(path) < 0 || mount(own, path, NULL, MS_BIND, NULL) < 0))
		_exit(errno);
}

static void become_namespaces(const struct pod_namespaces *namespaces)
{
	int flags = (namespaces->network_path ? CLONE_NEWNET : 0) | (namespaces->ipc_path ? CLONE_NEWIPC : 0) |
	            (namespaces->uts_path ? CLONE_NEWUTS : 0);
	if (unshare(flags) < 0)
		_exit(errno);
	if (namespaces->uts_path && sethostname(namespaces->hostname, strlen(namespaces->hostname)) < 0)
		_exit(errno);
	keep("/proc/self/ns/net", namespaces->network_path);
	keep("/proc/self/ns/ipc", namespaces->ipc_path);
	keep("/proc/self/ns/uts", namespaces->uts_path);
	_exit(0);
}

static int prepare_directory(struct err *err)
{
	if (mkdir(NETNS_DIRECTORY, 0755) < 0 && errno != EEXIST)
		return err_set_errno(err, errno, "create directory " NETNS_DIRECTORY);
	return 0;
}

void pod_namespaces_create(struct loop *loop, const struct pod_namespaces *namespaces,
                           void (*done)(void *context, const struct err *err), void *context)
{
	struct create_op *op = NEW(struct create_op);
	*op = (struct create_op){.done = done, .context = context};
	pod_namespaces_remove(namespaces); // half-made ones of an earlier try
	pid_t pid = -1;
	if (prepare_directory(&op->err) == 0) {
		pid = fork();
		if (pid == 0)
			become_namespaces(namespaces);
		if (pid < 0)
			(void)err_set_errno(&op->err, errno, "create the pod's namespaces");
	}
	if (pid < 0)
		loop_post(loop, &op->failed_task, on_failed);
	else
		loop_child_start(loop, &op->child, pid, on_child);
}

static void drop(const char *path)
{
	if (!path)
		return;
	umount2(path, MNT_DETACH);
	unlink(path);
}

void pod_namespaces_remove(const struct pod_namespaces *namespaces)
{
	drop(namespaces->network_path);
	drop(namespaces->ipc_path);
	drop(namespaces->uts_path);
}
