// SPDX-License-Identifier: Apache-2.0
#pragma once
// The audit log on disk: lines appended to a file that is renamed when it is full;
// old ones go by age and number.

#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

struct audit_file_config {
	const char *path; // "-" = standard output
	int64_t max_bytes;
	int64_t max_age_days; // 0 = any
	int64_t max_backups;  // 0 = any
};

struct audit_file;

NODISCARD int audit_file_open(const struct audit_file_config *config, struct audit_file **ret_file, struct err *err);
struct audit_file *audit_file_close(struct audit_file *file);

// Whole lines. A failure leaves what was written.
NODISCARD int audit_file_write(struct audit_file *file, const char *data, size_t length, struct err *err);
