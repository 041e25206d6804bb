// SPDX-License-Identifier: Apache-2.0
//
// The checks before anything is changed, as a table. Each has kubeadm's name, by
// which --ignore-preflight-errors turns its error into a warning. All run, and
// all that fail are shown together.
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/un.h>

#include "adm/init_run.h"
#include "common/base/file.h"

enum { MINIMUM_MEMORY_MB = 512, MINIMUM_CPUS = 2 };

struct check {
	const char *name;
	bool warning_only;
	// Returns an error text in `problem` (sized PROBLEM_BYTES), or leaves it empty.
	void (*run)(const struct check *check, struct init_run *run, struct err *problem);
	const char *subject;
	int port;
};

static void check_root(const struct check *check UNUSED, struct init_run *run UNUSED, struct err *problem)
{
	if (geteuid() != 0)
		(void)err_set(problem, ERR_FORBIDDEN, "user is not running as root");
}

static void check_cpus(const struct check *check UNUSED, struct init_run *run UNUSED, struct err *problem)
{
	if (get_nprocs() < MINIMUM_CPUS)
		(void)err_set(problem, ERR_INVALID, "the number of available CPUs %d is less than the recommended %d",
		              get_nprocs(), MINIMUM_CPUS);
}

static void check_memory(const struct check *check UNUSED, struct init_run *run UNUSED, struct err *problem)
{
	struct sysinfo info;
	if (sysinfo(&info) < 0)
		return;
	unsigned long long megabytes = (unsigned long long)info.totalram * info.mem_unit / (1024 * 1024);
	if (megabytes < MINIMUM_MEMORY_MB)
		(void)err_set(problem, ERR_INVALID, "the system RAM (%llu MB) is less than the recommended %d MB",
		              megabytes, MINIMUM_MEMORY_MB);
}

static void check_port(const struct check *check, struct init_run *run, struct err *problem)
{
	int port = check->port ? check->port : (int)run->settings.bind_port;
	AUTO_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		(void)err_set(problem, ERR_CONFLICT, "port %d is in use", port);
}

static void check_absent(const struct check *check, struct init_run *run UNUSED, struct err *problem)
{
	struct stat status;
	if (lstat(check->subject, &status) == 0)
		(void)err_set(problem, ERR_ALREADY_EXISTS, "%s already exists", check->subject);
}

static void check_empty(const struct check *check, struct init_run *run UNUSED, struct err *problem)
{
	DIR *folder = opendir(check->subject);
	if (!folder)
		return;
	for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
			(void)err_set(problem, ERR_ALREADY_EXISTS, "%s is not empty", check->subject);
			break;
		}
	closedir(folder);
}

static void check_content_one(const struct check *check, struct init_run *run UNUSED, struct err *problem)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(64);
	struct err ignored = ERR_INIT;
	if (file_read(check->subject, &text, &ignored) < 0 || strbuf_text(&text)[0] != '1')
		(void)err_set(problem, ERR_INVALID, "%s contents are not set to 1", check->subject);
}

static void check_program(const struct check *check, struct init_run *run UNUSED, struct err *problem)
{
	static const char *const folders[] = {"/usr/bin", "/usr/sbin",      "/bin",
	                                      "/sbin",    "/usr/local/bin", "/usr/local/sbin"};
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		char path[256];
		snprintf(path, sizeof(path), "%s/%s", folders[i], check->subject);
		if (access(path, X_OK) == 0)
			return;
	}
	(void)err_set(problem, ERR_NOT_FOUND, "%s not found in system path", check->subject);
}

static void check_runtime(const struct check *check UNUSED, struct init_run *run, struct err *problem)
{
	const char *path = run->settings.cri_socket;
	if (strncmp(path, "unix://", 7) == 0)
		path += 7;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(address.sun_path)) {
		(void)err_set(problem, ERR_INVALID, "container runtime socket path %s is too long", path);
		return;
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		(void)err_set_errno(problem, errno, "container runtime is not running: connect %s", path);
}

static void check_swap(const struct check *check UNUSED, struct init_run *run UNUSED, struct err *problem)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(64 * 1024);
	struct err ignored = ERR_INIT;
	if (file_read("/proc/swaps", &text, &ignored) == 0) {
		const char *second = strchr(strbuf_text(&text), '\n');
		if (second && second[1])
			(void)err_set(problem, ERR_INVALID, "swap is supported for cgroup v2 only; it is on");
	}
}

static const struct check checks[] = {
        {.name = "IsPrivilegedUser", .run = check_root},
        {.name = "NumCPU", .warning_only = true, .run = check_cpus},
        {.name = "Mem", .warning_only = true, .run = check_memory},
        {.name = "Swap", .warning_only = true, .run = check_swap},
        {.name = "Port-6443", .run = check_port},
        {.name = "Port-10259", .run = check_port, .port = 10259},
        {.name = "Port-10257", .run = check_port, .port = 10257},
        {.name = "Port-10250", .run = check_port, .port = 10250},
        {.name = "Port-2379", .run = check_port, .port = 2379},
        {.name = "Port-2380", .run = check_port, .port = 2380},
        {.name = "FileAvailable--etc-kubernetes-kubelet.conf",
         .run = check_absent,
         .subject = ADM_KUBERNETES_FOLDER "/kubelet.conf"},
        {.name = "DirAvailable--var-lib-etcd", .run = check_empty, .subject = ADM_ETCD_FOLDER},
        {.name = "FileContent--proc-sys-net-ipv4-ip_forward",
         .run = check_content_one,
         .subject = "/proc/sys/net/ipv4/ip_forward"},
        {.name = "FileExisting-etcd", .run = check_program, .subject = "etcd"},
        {.name = "FileExisting-ctr", .run = check_program, .subject = "ctr"},
        {.name = "FileExisting-runc", .run = check_program, .subject = "runc"},
        {.name = "FileExisting-mount", .run = check_program, .subject = "mount"},
        {.name = "FileExisting-systemctl", .run = check_program, .subject = "systemctl"},
        {.name = "CRI", .run = check_runtime},
};

static bool is_ignored(const struct init_run *run, const char *name)
{
	const struct string_list *ignored = &run->settings.ignored_checks;
	for (size_t i = 0; i < ignored->count; i++)
		if (strcasecmp(ignored->items[i], name) == 0 || strcasecmp(ignored->items[i], "all") == 0)
			return true;
	return false;
}

int phase_preflight(struct init_run *run, const struct init_phase *phase, struct err *err)
{
	phase_say(phase, "Running pre-flight checks");
	size_t failed = 0;
	for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
		struct err problem = ERR_INIT;
		checks[i].run(&checks[i], run, &problem);
		if (problem.code == ERR_NONE)
			continue;
		bool fatal = !checks[i].warning_only && !is_ignored(run, checks[i].name);
		fprintf(stderr, "\t[%s %s]: %s\n", fatal ? "ERROR" : "WARNING", checks[i].name, problem.message);
		failed += fatal;
	}
	if (!failed)
		return 0;
	return err_set(
	        err, ERR_BAD_REQUEST,
	        "[preflight] %zu check%s failed; mend what is named above, or pass --ignore-preflight-errors=NAME,... "
	        "to go on all the same",
	        failed, failed == 1 ? "" : "s");
}
