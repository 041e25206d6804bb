// SPDX-License-Identifier: Apache-2.0
#pragma once
// Replaces the files of a volume all at once, so that a container sees the old set
// or the new one:
//
//   volume/..2026_01_02_15_04_05.4711/   the files
//   volume/..data → ..2026_01_02_15_04_05.4711
//   volume/name   → ..data/name
//
// The layout is upstream's; programs in containers watch ..data.

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/arena.h"
#include "common/base/err.h"

struct payload_file {
	const char *path; // relative, "a/b"; never absolute, no ".."
	const void *data;
	size_t length;
	mode_t mode;
};

struct payload {
	struct arena *arena;
	struct payload_file *files;
	size_t count;
	int64_t group; // of all files; -1: as it comes
};

// Adds or, for the same path, replaces. Data is borrowed. ERR_INVALID for a path that would leave the volume.
NODISCARD int payload_add(struct payload *payload, const char *path, const void *data, size_t length, mode_t mode,
                          struct err *err);
// Changes when anything of the payload changes.
uint64_t payload_fingerprint(const struct payload *payload);

NODISCARD int atomic_writer_write(const char *directory, const struct payload *payload, struct err *err);
