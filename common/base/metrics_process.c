// SPDX-License-Identifier: Apache-2.0
// The names, and which of them there are, are those of Prometheus' Go client, so that
// dashboards made for upstream's daemons work. Read from /proc when asked.

#include "common/base/metrics_process.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "common/base/metrics.h"

enum process_metric {
	PROCESS_CPU_SECONDS,
	PROCESS_MAX_FDS,
	PROCESS_OPEN_FDS,
	PROCESS_RESIDENT_BYTES,
	PROCESS_START_TIME,
	PROCESS_VIRTUAL_BYTES,
	PROCESS_METRIC_COUNT_,
};

static const struct metric_family families[PROCESS_METRIC_COUNT_] = {
        [PROCESS_CPU_SECONDS] = {"process_cpu_seconds_total", "Total user and system CPU time spent in seconds.",
                                 METRIC_COUNTER},
        [PROCESS_MAX_FDS] = {"process_max_fds", "Maximum number of open file descriptors.", METRIC_GAUGE},
        [PROCESS_OPEN_FDS] = {"process_open_fds", "Number of open file descriptors.", METRIC_GAUGE},
        [PROCESS_RESIDENT_BYTES] = {"process_resident_memory_bytes", "Resident memory size in bytes.", METRIC_GAUGE},
        [PROCESS_START_TIME] = {"process_start_time_seconds", "Start time of the process since unix epoch in seconds.",
                                METRIC_GAUGE},
        [PROCESS_VIRTUAL_BYTES] = {"process_virtual_memory_bytes", "Virtual memory size in bytes.", METRIC_GAUGE},
};

static void set(struct metrics_registry *registry, enum process_metric which, double value)
{
	metric_set(metric_get(registry, &families[which], NULL), value);
}

static double boot_time_seconds(void)
{
	double seconds = 0;
	char line[256];
	FILE *file = fopen("/proc/stat", "re");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "btime %lf", &seconds) == 1)
			break;
	if (file)
		fclose(file);
	return seconds;
}

// Fields after the command's closing parenthesis, which may itself hold spaces.
static void collect_stat(struct metrics_registry *registry)
{
	char text[1024];
	FILE *file = fopen("/proc/self/stat", "re");
	if (!file)
		return;
	size_t length = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[length] = '\0';
	const char *rest = strrchr(text, ')');
	double user, system, start, virtual_bytes, resident_pages;
	if (!rest ||
	    sscanf(rest + 1, " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %lf %lf %*s %*s %*s %*s %*s %*s %lf %lf %lf",
	           &user, &system, &start, &virtual_bytes, &resident_pages) != 5)
		return;
	double ticks = (double)sysconf(_SC_CLK_TCK);
	set(registry, PROCESS_CPU_SECONDS, (user + system) / ticks);
	set(registry, PROCESS_START_TIME, boot_time_seconds() + start / ticks);
	set(registry, PROCESS_VIRTUAL_BYTES, virtual_bytes);
	set(registry, PROCESS_RESIDENT_BYTES, resident_pages * (double)sysconf(_SC_PAGESIZE));
}

static void collect_descriptors(struct metrics_registry *registry)
{
	DIR *directory = opendir("/proc/self/fd");
	int count = -1; // the directory's own
	for (struct dirent *entry; directory && (entry = readdir(directory));)
		count += entry->d_name[0] != '.';
	if (directory) {
		closedir(directory);
		set(registry, PROCESS_OPEN_FDS, count);
	}
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		set(registry, PROCESS_MAX_FDS, (double)limit.rlim_cur);
}

void metrics_collect_process(struct metrics_registry *registry)
{
	collect_stat(registry);
	collect_descriptors(registry);
}
