// SPDX-License-Identifier: Apache-2.0
// Version 1 has a tree for each controller: the pod's cgroup is made in cpu, memory
// and pids, and removed from all of them, since the runtime makes further ones.
// Version 2 has one tree, in which each level must hand its controllers on to the
// next before anything is made there.
//
// A cgroup with processes can't be removed: they are killed and it is tried again a
// little later, for a second altogether.

#include "kubelet/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"

#define CGROUP_ROOT "/sys/fs/cgroup"

enum {
	CGROUP2_MAGIC = 0x63677270,
	REMOVE_TRIES = 40,
	MAX_V2_WEIGHT = 10000,
};
#define REMOVE_PAUSE_NS (25 * NSEC_PER_MSEC)

bool cgroup_is_v2(void)
{
	struct statfs status;
	return statfs(CGROUP_ROOT, &status) == 0 && status.f_type == CGROUP2_MAGIC;
}

static int write_value(const char *directory, const char *file, const char *value)
{
	char path[4096];
	snprintf(path, sizeof(path), "%s/%s", directory, file);
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return write(fd, value, strlen(value)) < 0 ? -errno : 0;
}

static int write_number(const char *directory, const char *file, int64_t value)
{
	char text[32];
	snprintf(text, sizeof(text), "%lld", (long long)value);
	return write_value(directory, file, text);
}

// --- making ------------------------------------------------------------------------------

// mkdir -p below `base`; in version 2 each level hands its controllers on.
static int make_path(const char *base, const char *path, bool v2, char out[4096])
{
	snprintf(out, 4096, "%s", base);
	for (const char *part = path + 1; *part;) {
		size_t length = strcspn(part, "/");
		if (v2) {
			static const char *const controllers[] = {"+cpu",    "+memory", "+pids",
			                                          "+cpuset", "+io",     "+hugetlb"};
			for (size_t index = 0; index < ARRAY_SIZE(controllers); index++)
				(void)write_value(out, "cgroup.subtree_control", controllers[index]);
		}
		size_t used = strlen(out);
		snprintf(out + used, 4096 - used, "/%.*s", (int)length, part);
		if (mkdir(out, 0755) < 0 && errno != EEXIST)
			return -errno;
		part += length + (part[length] == '/');
	}
	return 0;
}

static int make_v1(const char *path, const struct cgroup_limits *limits, struct err *err)
{
	char directory[4096];
	int failure = make_path(CGROUP_ROOT "/cpu", path, false, directory);
	if (!failure) {
		(void)write_number(directory, "cpu.shares", limits->cpu_shares);
		if (limits->cpu_quota_us) {
			(void)write_number(directory, "cpu.cfs_period_us", limits->cpu_period_us);
			failure = write_number(directory, "cpu.cfs_quota_us", limits->cpu_quota_us);
		}
	}
	if (!failure)
		failure = make_path(CGROUP_ROOT "/memory", path, false, directory);
	if (!failure && limits->memory_limit_bytes)
		failure = write_number(directory, "memory.limit_in_bytes", limits->memory_limit_bytes);
	if (!failure)
		failure = make_path(CGROUP_ROOT "/pids", path, false, directory);
	return failure ? err_set_errno(err, -failure, "make cgroup %s", path) : 0;
}

static int make_v2(const char *path, const struct cgroup_limits *limits, struct err *err)
{
	char directory[4096];
	int failure = make_path(CGROUP_ROOT, path, true, directory);
	if (failure)
		return err_set_errno(err, -failure, "make cgroup %s", path);
	int64_t weight = 1 + (limits->cpu_shares - 2) * (MAX_V2_WEIGHT - 1) / 262142; // as runc does
	(void)write_number(directory, "cpu.weight", weight);
	char quota[64];
	snprintf(quota, sizeof(quota), "%lld %lld", (long long)limits->cpu_quota_us, (long long)limits->cpu_period_us);
	if (limits->cpu_quota_us)
		failure = write_value(directory, "cpu.max", quota);
	if (!failure && limits->memory_limit_bytes)
		failure = write_number(directory, "memory.max", limits->memory_limit_bytes);
	return failure ? err_set_errno(err, -failure, "limit cgroup %s", path) : 0;
}

int cgroup_make(const char *path, const struct cgroup_limits *limits, struct err *err)
{
	return cgroup_is_v2() ? make_v2(path, limits, err) : make_v1(path, limits, err);
}

// --- other limits ------------------------------------------------------------------------

static int limit_v1(const char *path, const struct cgroup_limits *limits)
{
	char directory[4096];
	snprintf(directory, sizeof(directory), CGROUP_ROOT "/cpu%s", path);
	int failure = write_number(directory, "cpu.shares", limits->cpu_shares);
	if (!failure)
		failure = write_number(directory, "cpu.cfs_quota_us", limits->cpu_quota_us ? limits->cpu_quota_us : -1);
	snprintf(directory, sizeof(directory), CGROUP_ROOT "/memory%s", path);
	// The limit with swap isn't below the one without: which is written first depends on the direction.
	int64_t memory = limits->memory_limit_bytes ? limits->memory_limit_bytes : -1;
	(void)write_number(directory, "memory.memsw.limit_in_bytes", memory);
	if (!failure)
		failure = write_number(directory, "memory.limit_in_bytes", memory);
	(void)write_number(directory, "memory.memsw.limit_in_bytes", memory);
	return failure;
}

static int limit_v2(const char *path, const struct cgroup_limits *limits)
{
	char directory[4096];
	char text[64];
	snprintf(directory, sizeof(directory), CGROUP_ROOT "%s", path);
	int64_t weight = 1 + (limits->cpu_shares - 2) * (MAX_V2_WEIGHT - 1) / 262142;
	int failure = write_number(directory, "cpu.weight", weight);
	if (limits->cpu_quota_us)
		snprintf(text, sizeof(text), "%lld %lld", (long long)limits->cpu_quota_us,
		         (long long)limits->cpu_period_us);
	else
		snprintf(text, sizeof(text), "max %lld", (long long)limits->cpu_period_us);
	if (!failure)
		failure = write_value(directory, "cpu.max", text);
	snprintf(text, sizeof(text), "%lld", (long long)limits->memory_limit_bytes);
	if (!failure)
		failure = write_value(directory, "memory.max", limits->memory_limit_bytes ? text : "max");
	return failure;
}

int cgroup_limit(const char *path, const struct cgroup_limits *limits, struct err *err)
{
	int failure = cgroup_is_v2() ? limit_v2(path, limits) : limit_v1(path, limits);
	return failure ? err_set_errno(err, -failure, "limit cgroup %s", path) : 0;
}

// --- removing ----------------------------------------------------------------------------------

static void kill_members(const char *directory)
{
	char path[4096];
	snprintf(path, sizeof(path), "%s/cgroup.procs", directory);
	FILE *file = fopen(path, "re");
	int pid;
	while (file && fscanf(file, "%d", &pid) == 1)
		if (pid > 1)
			kill(pid, SIGKILL);
	if (file)
		fclose(file);
}

// Only folders: the files in them are the kernel's.
static int remove_folder(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	(void)status;
	(void)walk;
	if (type == FTW_DP && rmdir(path) < 0)
		kill_members(path);
	return 0;
}

static int remove_tree(const char *directory)
{
	struct stat status;
	for (int tries = 0; tries < REMOVE_TRIES; tries++) {
		if (stat(directory, &status) < 0)
			return 0;
		nftw(directory, remove_folder, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
		if (stat(directory, &status) < 0)
			return 0;
		nanosleep(&(struct timespec){.tv_nsec = REMOVE_PAUSE_NS}, NULL); // what was killed takes a moment to go
	}
	return -EBUSY;
}

int cgroup_remove(const char *path, struct err *err)
{
	char directory[4096];
	int failure = 0;
	if (cgroup_is_v2()) {
		snprintf(directory, sizeof(directory), CGROUP_ROOT "%s", path);
		failure = remove_tree(directory);
	} else {
		DIR *stream = opendir(CGROUP_ROOT);
		for (struct dirent *entry; stream && (entry = readdir(stream));) {
			if (entry->d_name[0] == '.' || entry->d_type == DT_LNK)
				continue;
			snprintf(directory, sizeof(directory), CGROUP_ROOT "/%s%s", entry->d_name, path);
			int one = remove_tree(directory);
			failure = failure ? failure : one;
		}
		if (stream)
			closedir(stream);
	}
	return failure ? err_set_errno(err, -failure, "remove cgroup %s", path) : 0;
}

size_t cgroup_list(struct arena *arena, const char *path, const char **ret_names, size_t capacity)
{
	size_t count = 0;
	DIR *stream = opendir(arena_printf(arena, cgroup_is_v2() ? CGROUP_ROOT "%s" : CGROUP_ROOT "/memory%s", path));
	for (struct dirent *entry; stream && (entry = readdir(stream));)
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.' && count < capacity)
			ret_names[count++] = arena_strdup(arena, entry->d_name);
	if (stream)
		closedir(stream);
	return count;
}
