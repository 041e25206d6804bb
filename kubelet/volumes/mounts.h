// SPDX-License-Identifier: Apache-2.0
#pragma once
// Mounts of the node below a folder. These calls may block: from a worker thread.

#include <stdbool.h>

#include "common/base/err.h"

bool mounts_is_mount_point(const char *path);
// Unmounts everything below `folder`, the deepest first.
NODISCARD int mounts_clear(const char *folder, struct err *err);
// Unmounts everything below, then removes the tree.
NODISCARD int mounts_remove_tree(const char *folder, struct err *err);

// Binds what `sub_path` names within the volume to `target` (made as a file or folder), never following a link out of
// the volume. A missing path becomes a folder.
NODISCARD int mounts_bind_sub_path(const char *volume, const char *sub_path, const char *target, struct err *err);
