// SPDX-License-Identifier: Apache-2.0
// The default filter refuses (EPERM) every call that isn't listed: the same set as the
// runtimes' own defaults, so that what runs elsewhere runs here. clone3 is refused with
// ENOSYS without CAP_SYS_ADMIN: its flags can't be looked at, and libraries then use
// clone, whose namespace flags are refused.

#include "kubelet/runtime/seccomp.h"

#include <errno.h>
#include <string.h>

#include "common/base/file.h"

enum { MAX_PROFILE_BYTES = 1 << 20 };
#define NAMESPACE_FLAGS 2114060288 // CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET

static const char *const always[] = {"accept",
                                     "accept4",
                                     "access",
                                     "adjtimex",
                                     "alarm",
                                     "bind",
                                     "brk",
                                     "cachestat",
                                     "capget",
                                     "capset",
                                     "chdir",
                                     "chmod",
                                     "chown",
                                     "chown32",
                                     "clock_adjtime",
                                     "clock_adjtime64",
                                     "clock_getres",
                                     "clock_getres_time64",
                                     "clock_gettime",
                                     "clock_gettime64",
                                     "clock_nanosleep",
                                     "clock_nanosleep_time64",
                                     "close",
                                     "close_range",
                                     "connect",
                                     "copy_file_range",
                                     "creat",
                                     "dup",
                                     "dup2",
                                     "dup3",
                                     "epoll_create",
                                     "epoll_create1",
                                     "epoll_ctl",
                                     "epoll_ctl_old",
                                     "epoll_pwait",
                                     "epoll_pwait2",
                                     "epoll_wait",
                                     "epoll_wait_old",
                                     "eventfd",
                                     "eventfd2",
                                     "execve",
                                     "execveat",
                                     "exit",
                                     "exit_group",
                                     "faccessat",
                                     "faccessat2",
                                     "fadvise64",
                                     "fadvise64_64",
                                     "fallocate",
                                     "fanotify_mark",
                                     "fchdir",
                                     "fchmod",
                                     "fchmodat",
                                     "fchmodat2",
                                     "fchown",
                                     "fchown32",
                                     "fchownat",
                                     "fcntl",
                                     "fcntl64",
                                     "fdatasync",
                                     "fgetxattr",
                                     "flistxattr",
                                     "flock",
                                     "fork",
                                     "fremovexattr",
                                     "fsetxattr",
                                     "fstat",
                                     "fstat64",
                                     "fstatat64",
                                     "fstatfs",
                                     "fstatfs64",
                                     "fsync",
                                     "ftruncate",
                                     "ftruncate64",
                                     "futex",
                                     "futex_requeue",
                                     "futex_time64",
                                     "futex_wait",
                                     "futex_waitv",
                                     "futex_wake",
                                     "futimesat",
                                     "getcpu",
                                     "getcwd",
                                     "getdents",
                                     "getdents64",
                                     "getegid",
                                     "getegid32",
                                     "geteuid",
                                     "geteuid32",
                                     "getgid",
                                     "getgid32",
                                     "getgroups",
                                     "getgroups32",
                                     "getitimer",
                                     "getpeername",
                                     "getpgid",
                                     "getpgrp",
                                     "getpid",
                                     "getppid",
                                     "getpriority",
                                     "getrandom",
                                     "getresgid",
                                     "getresgid32",
                                     "getresuid",
                                     "getresuid32",
                                     "getrlimit",
                                     "get_robust_list",
                                     "getrusage",
                                     "getsid",
                                     "getsockname",
                                     "getsockopt",
                                     "get_thread_area",
                                     "gettid",
                                     "gettimeofday",
                                     "getuid",
                                     "getuid32",
                                     "getxattr",
                                     "inotify_add_watch",
                                     "inotify_init",
                                     "inotify_init1",
                                     "inotify_rm_watch",
                                     "io_cancel",
                                     "ioctl",
                                     "io_destroy",
                                     "io_getevents",
                                     "io_pgetevents",
                                     "io_pgetevents_time64",
                                     "ioprio_get",
                                     "ioprio_set",
                                     "io_setup",
                                     "io_submit",
                                     "ipc",
                                     "kill",
                                     "landlock_add_rule",
                                     "landlock_create_ruleset",
                                     "landlock_restrict_self",
                                     "lchown",
                                     "lchown32",
                                     "lgetxattr",
                                     "link",
                                     "linkat",
                                     "listen",
                                     "listxattr",
                                     "llistxattr",
                                     "_llseek",
                                     "lremovexattr",
                                     "lseek",
                                     "lsetxattr",
                                     "lstat",
                                     "lstat64",
                                     "madvise",
                                     "map_shadow_stack",
                                     "membarrier",
                                     "memfd_create",
                                     "memfd_secret",
                                     "mincore",
                                     "mkdir",
                                     "mkdirat",
                                     "mknod",
                                     "mknodat",
                                     "mlock",
                                     "mlock2",
                                     "mlockall",
                                     "mmap",
                                     "mmap2",
                                     "mprotect",
                                     "mq_getsetattr",
                                     "mq_notify",
                                     "mq_open",
                                     "mq_timedreceive",
                                     "mq_timedreceive_time64",
                                     "mq_timedsend",
                                     "mq_timedsend_time64",
                                     "mq_unlink",
                                     "mremap",
                                     "msgctl",
                                     "msgget",
                                     "msgrcv",
                                     "msgsnd",
                                     "msync",
                                     "munlock",
                                     "munlockall",
                                     "munmap",
                                     "name_to_handle_at",
                                     "nanosleep",
                                     "newfstatat",
                                     "_newselect",
                                     "open",
                                     "openat",
                                     "openat2",
                                     "pause",
                                     "pidfd_open",
                                     "pidfd_send_signal",
                                     "pipe",
                                     "pipe2",
                                     "pkey_alloc",
                                     "pkey_free",
                                     "pkey_mprotect",
                                     "poll",
                                     "ppoll",
                                     "ppoll_time64",
                                     "prctl",
                                     "pread64",
                                     "preadv",
                                     "preadv2",
                                     "prlimit64",
                                     "process_mrelease",
                                     "pselect6",
                                     "pselect6_time64",
                                     "pwrite64",
                                     "pwritev",
                                     "pwritev2",
                                     "read",
                                     "readahead",
                                     "readlink",
                                     "readlinkat",
                                     "readv",
                                     "recv",
                                     "recvfrom",
                                     "recvmmsg",
                                     "recvmmsg_time64",
                                     "recvmsg",
                                     "remap_file_pages",
                                     "removexattr",
                                     "rename",
                                     "renameat",
                                     "renameat2",
                                     "restart_syscall",
                                     "rmdir",
                                     "rseq",
                                     "rt_sigaction",
                                     "rt_sigpending",
                                     "rt_sigprocmask",
                                     "rt_sigqueueinfo",
                                     "rt_sigreturn",
                                     "rt_sigsuspend",
                                     "rt_sigtimedwait",
                                     "rt_sigtimedwait_time64",
                                     "rt_tgsigqueueinfo",
                                     "sched_getaffinity",
                                     "sched_getattr",
                                     "sched_getparam",
                                     "sched_get_priority_max",
                                     "sched_get_priority_min",
                                     "sched_getscheduler",
                                     "sched_rr_get_interval",
                                     "sched_rr_get_interval_time64",
                                     "sched_setaffinity",
                                     "sched_setattr",
                                     "sched_setparam",
                                     "sched_setscheduler",
                                     "sched_yield",
                                     "seccomp",
                                     "select",
                                     "semctl",
                                     "semget",
                                     "semop",
                                     "semtimedop",
                                     "semtimedop_time64",
                                     "send",
                                     "sendfile",
                                     "sendfile64",
                                     "sendmmsg",
                                     "sendmsg",
                                     "sendto",
                                     "setfsgid",
                                     "setfsgid32",
                                     "setfsuid",
                                     "setfsuid32",
                                     "setgid",
                                     "setgid32",
                                     "setgroups",
                                     "setgroups32",
                                     "setitimer",
                                     "setpgid",
                                     "setpriority",
                                     "setregid",
                                     "setregid32",
                                     "setresgid",
                                     "setresgid32",
                                     "setresuid",
                                     "setresuid32",
                                     "setreuid",
                                     "setreuid32",
                                     "setrlimit",
                                     "set_robust_list",
                                     "setsid",
                                     "setsockopt",
                                     "set_thread_area",
                                     "set_tid_address",
                                     "setuid",
                                     "setuid32",
                                     "setxattr",
                                     "shmat",
                                     "shmctl",
                                     "shmdt",
                                     "shmget",
                                     "shutdown",
                                     "sigaltstack",
                                     "signalfd",
                                     "signalfd4",
                                     "sigprocmask",
                                     "sigreturn",
                                     "socketcall",
                                     "socketpair",
                                     "splice",
                                     "stat",
                                     "stat64",
                                     "statfs",
                                     "statfs64",
                                     "statx",
                                     "symlink",
                                     "symlinkat",
                                     "sync",
                                     "sync_file_range",
                                     "syncfs",
                                     "sysinfo",
                                     "tee",
                                     "tgkill",
                                     "time",
                                     "timer_create",
                                     "timer_delete",
                                     "timer_getoverrun",
                                     "timer_gettime",
                                     "timer_gettime64",
                                     "timer_settime",
                                     "timer_settime64",
                                     "timerfd_create",
                                     "timerfd_gettime",
                                     "timerfd_gettime64",
                                     "timerfd_settime",
                                     "timerfd_settime64",
                                     "times",
                                     "tkill",
                                     "truncate",
                                     "truncate64",
                                     "ugetrlimit",
                                     "umask",
                                     "uname",
                                     "unlink",
                                     "unlinkat",
                                     "utime",
                                     "utimensat",
                                     "utimensat_time64",
                                     "utimes",
                                     "vfork",
                                     "vmsplice",
                                     "wait4",
                                     "waitid",
                                     "waitpid",
                                     "write",
                                     "writev",
                                     "process_vm_readv",
                                     "process_vm_writev",
                                     "ptrace",
                                     "arch_prctl",
                                     "modify_ldt",
                                     NULL};

static const struct {
	const char *capability;
	const char *const *calls;
} with_capability[] = {
        {"CAP_DAC_READ_SEARCH", (const char *const[]){"open_by_handle_at", NULL}},
        {"CAP_SYS_ADMIN",
         (const char *const[]){
                 "bpf",       "clone",           "clone3",         "fanotify_init", "fsconfig",      "fsmount",
                 "fsopen",    "fspick",          "lookup_dcookie", "mount",         "mount_setattr", "move_mount",
                 "open_tree", "perf_event_open", "quotactl",       "quotactl_fd",   "setdomainname", "sethostname",
                 "setns",     "syslog",          "umount",         "umount2",       "unshare",       NULL}},
        {"CAP_SYS_BOOT", (const char *const[]){"reboot", NULL}},
        {"CAP_SYS_CHROOT", (const char *const[]){"chroot", NULL}},
        {"CAP_SYS_MODULE", (const char *const[]){"delete_module", "finit_module", "init_module", NULL}},
        {"CAP_SYS_PACCT", (const char *const[]){"acct", NULL}},
        {"CAP_SYS_PTRACE", (const char *const[]){"kcmp", "pidfd_getfd", "process_madvise", NULL}},
        {"CAP_SYS_RAWIO", (const char *const[]){"iopl", "ioperm", NULL}},
        {"CAP_SYS_TIME", (const char *const[]){"clock_settime", "clock_settime64", "settimeofday", "stime", NULL}},
        {"CAP_SYS_TTY_CONFIG", (const char *const[]){"vhangup", NULL}},
        {"CAP_SYS_NICE",
         (const char *const[]){"get_mempolicy", "mbind", "set_mempolicy", "set_mempolicy_home_node", NULL}},
        {"CAP_SYSLOG", (const char *const[]){"syslog", NULL}},
        {"CAP_BPF", (const char *const[]){"bpf", NULL}},
        {"CAP_PERFMON", (const char *const[]){"perf_event_open", NULL}},
};

static bool is_listed(const struct json *capabilities, const char *name)
{
	json_for_each_item (item, capabilities)
		if (!strcmp(json_text(item), name))
			return true;
	return false;
}

static struct json *add_rule(struct arena *arena, struct json *rules, const char *const *calls, const char *action)
{
	struct json *rule = json_object(arena);
	struct json *names = json_ensure_array(arena, rule, "names");
	for (; *calls; calls++)
		json_append(arena, names, json_string(arena, *calls));
	json_set_text(arena, rule, "action", action);
	json_append(arena, rules, rule);
	return rule;
}

static void add_condition(struct arena *arena, struct json *rule, int64_t index, int64_t value, int64_t second,
                          const char *operation)
{
	struct json *condition = json_object(arena);
	json_set_integer(arena, condition, "index", index);
	json_set_integer(arena, condition, "value", value);
	if (second >= 0)
		json_set_integer(arena, condition, "valueTwo", second);
	json_set_text(arena, condition, "op", operation);
	json_append(arena, json_ensure_array(arena, rule, "args"), condition);
}

static void add_filtered(struct arena *arena, struct json *rules, bool is_administrator)
{
	static const char *const personality[] = {"personality", NULL};
	static const int64_t personalities[] = {0, 8, 131072, 131080, 4294967295};
	static const char *const socket_call[] = {"socket", NULL};
	static const char *const clone_call[] = {"clone", NULL};
	static const char *const clone3_call[] = {"clone3", NULL};
	for (size_t index = 0; index < ARRAY_SIZE(personalities); index++)
		add_condition(arena, add_rule(arena, rules, personality, "SCMP_ACT_ALLOW"), 0, personalities[index], -1,
		              "SCMP_CMP_EQ");
	// Sockets of the virtual machine's host (AF_VSOCK, 40) aren't namespaced.
	add_condition(arena, add_rule(arena, rules, socket_call, "SCMP_ACT_ALLOW"), 0, 40, -1, "SCMP_CMP_NE");
	if (is_administrator)
		return;
	add_condition(arena, add_rule(arena, rules, clone_call, "SCMP_ACT_ALLOW"), 0, NAMESPACE_FLAGS, 0,
	              "SCMP_CMP_MASKED_EQ");
	json_set_integer(arena, add_rule(arena, rules, clone3_call, "SCMP_ACT_ERRNO"), "errnoRet", ENOSYS);
}

struct json *seccomp_default_profile(struct arena *arena, const struct json *capabilities)
{
	struct json *profile = json_object(arena);
	json_set_text(arena, profile, "defaultAction", "SCMP_ACT_ERRNO");
	json_set_integer(arena, profile, "defaultErrnoRet", EPERM);
	struct json *architectures = json_ensure_array(arena, profile, "architectures");
#if defined(__x86_64__)
	static const char *const names[] = {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"};
#elif defined(__aarch64__)
	static const char *const names[] = {"SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"};
#else
	static const char *const names[] = {};
#endif
	for (size_t index = 0; index < ARRAY_SIZE(names); index++)
		json_append(arena, architectures, json_string(arena, names[index]));
	struct json *rules = json_ensure_array(arena, profile, "syscalls");
	add_rule(arena, rules, always, "SCMP_ACT_ALLOW");
	for (size_t index = 0; index < ARRAY_SIZE(with_capability); index++)
		if (is_listed(capabilities, with_capability[index].capability))
			add_rule(arena, rules, with_capability[index].calls, "SCMP_ACT_ALLOW");
	add_filtered(arena, rules, is_listed(capabilities, "CAP_SYS_ADMIN"));
	return profile;
}

int seccomp_load_profile(struct arena *arena, const char *path, struct json **ret_profile, struct err *err)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(MAX_PROFILE_BYTES);
	int result = file_read(path, &text, err);
	if (result == 0)
		result = json_parse(arena, arena_strndup(arena, strbuf_text(&text), text.length), text.length, NULL,
		                    ret_profile, err);
	if (result < 0)
		return err_wrap(err, "cannot load seccomp profile \"%s\"", path);
	if (!json_get_text(*ret_profile, "defaultAction"))
		return err_set(err, ERR_INVALID, "cannot load seccomp profile \"%s\": it has no defaultAction", path);
	return 0;
}
