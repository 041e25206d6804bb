// SPDX-License-Identifier: Apache-2.0
#pragma once
// A container's root file system: an overlay of the image's layers with an upper
// directory of its own, and what the image says about users.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/err.h"

// Mounts `lower` (directories, top first, separated by ':') at `directory`/rootfs with upper and work beside it.
NODISCARD int rootfs_mount(const char *directory, const char *lower, struct err *err);
// Harmless when it isn't mounted.
NODISCARD int rootfs_unmount(const char *directory, struct err *err);

struct rootfs_user {
	int64_t uid;
	int64_t gid;
	const char *home; // "" when the user is in no passwd file
	int64_t *additional_gids;
	size_t additional_gid_count;
};

// Resolves "", "uid", "name", "uid:gid", "name:group" by the image's passwd and group files, never outside `root`.
// run_as_user and run_as_group, when not negative, take the place of the image's.
NODISCARD int rootfs_resolve_user(struct arena *arena, const char *root, const char *image_user, int64_t run_as_user,
                                  int64_t run_as_group, struct rootfs_user *ret_user, struct err *err);
