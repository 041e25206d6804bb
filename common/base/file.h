// SPDX-License-Identifier: Apache-2.0
#pragma once
// Whole files: reading with a maximum, and writing so that a crash leaves the old
// file or the new one, never half of it.

#include <stddef.h>
#include <sys/types.h>

#include "common/base/err.h"
#include "common/base/strbuf.h"

// Appends the file's bytes to `out`; ERR_NOT_FOUND when there is none, ERR_TOO_LARGE past out's maximum.
NODISCARD int file_read(const char *path, struct strbuf *out, struct err *err);

// Writes beside `path`, syncs, renames over it and syncs the folder.
NODISCARD int file_write_atomic(const char *path, const void *data, size_t length, mode_t mode, struct err *err);

// mkdir -p.
NODISCARD int file_make_folders(const char *path, mode_t mode, struct err *err);

// rm -rf without following links or crossing mounts; a path that isn't there is fine.
NODISCARD int file_remove_tree(const char *path, struct err *err);
