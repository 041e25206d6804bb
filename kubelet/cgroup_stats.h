// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a control group has used, version 1 and 2.

#include <stdbool.h>
#include <stdint.h>

struct cgroup_stats {
	bool known;
	int64_t cpu_usage_ns;
	int64_t memory_usage_bytes;
	int64_t memory_working_set_bytes; // without file pages that could go at once
	int64_t memory_rss_bytes;
	int64_t page_faults;
	int64_t major_page_faults;
	int64_t processes;
};

// "/" is the whole machine's.
struct cgroup_stats cgroup_stats_read(const char *path);
