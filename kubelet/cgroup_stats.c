// SPDX-License-Identifier: Apache-2.0

#include "kubelet/cgroup_stats.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/macros.h"
#include "kubelet/cgroup.h"

#define CGROUP_ROOT "/sys/fs/cgroup"

// False: there is no such file.
static bool read_text(const char *path, const char *file, char *out, size_t size)
{
	char name[4096];
	snprintf(name, sizeof(name), "%s/%s", path, file);
	AUTO_CLOSE int fd = open(name, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read(fd, out, size - 1);
	out[length > 0 ? length : 0] = '\0';
	return length > 0;
}

static int64_t read_number(const char *path, const char *file)
{
	char text[64];
	return read_text(path, file, text, sizeof(text)) ? strtoll(text, NULL, 10) : 0;
}

// Of lines "key value".
static int64_t find_number(const char *text, const char *key)
{
	size_t length = strlen(key);
	for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
		if (!strncmp(line, key, length) && line[length] == ' ')
			return strtoll(line + length + 1, NULL, 10);
	return 0;
}

static int64_t working_set(int64_t usage, int64_t inactive_file)
{
	return usage > inactive_file ? usage - inactive_file : 0;
}

static struct cgroup_stats read_v1(const char *path)
{
	char directory[4096];
	char text[8192];
	struct cgroup_stats stats = {0};
	snprintf(directory, sizeof(directory), CGROUP_ROOT "/cpuacct%s", path);
	stats.cpu_usage_ns = read_number(directory, "cpuacct.usage");
	snprintf(directory, sizeof(directory), CGROUP_ROOT "/memory%s", path);
	stats.known = read_text(directory, "memory.stat", text, sizeof(text));
	stats.memory_usage_bytes = read_number(directory, "memory.usage_in_bytes");
	stats.memory_working_set_bytes =
	        working_set(stats.memory_usage_bytes, find_number(text, "total_inactive_file"));
	stats.memory_rss_bytes = find_number(text, "total_rss");
	stats.page_faults = find_number(text, "total_pgfault");
	stats.major_page_faults = find_number(text, "total_pgmajfault");
	snprintf(directory, sizeof(directory), CGROUP_ROOT "/pids%s", path);
	stats.processes = read_number(directory, "pids.current");
	return stats;
}

static struct cgroup_stats read_v2(const char *path)
{
	char directory[4096];
	char text[8192];
	struct cgroup_stats stats = {0};
	snprintf(directory, sizeof(directory), CGROUP_ROOT "%s", path);
	stats.known = read_text(directory, "cpu.stat", text, sizeof(text));
	stats.cpu_usage_ns = find_number(text, "usage_usec") * 1000;
	if (!read_text(directory, "memory.stat", text, sizeof(text)))
		return stats;
	stats.memory_rss_bytes = find_number(text, "anon");
	stats.memory_usage_bytes = strcmp(path, "/") ? read_number(directory, "memory.current")
	                                             : find_number(text, "anon") + find_number(text, "file");
	stats.memory_working_set_bytes = working_set(stats.memory_usage_bytes, find_number(text, "inactive_file"));
	stats.page_faults = find_number(text, "pgfault");
	stats.major_page_faults = find_number(text, "pgmajfault");
	stats.processes = read_number(directory, "pids.current");
	return stats;
}

struct cgroup_stats cgroup_stats_read(const char *path)
{
	return cgroup_is_v2() ? read_v2(path) : read_v1(path);
}
