// SPDX-License-Identifier: Apache-2.0
// The host's devices for privileged containers. What a container has of its own
// (pts, shm, mqueue, console and the standard six) is left to the runtime.

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "kubelet/runtime/oci_spec.h"

enum { MAX_DEVICE_DEPTH = 4 };

static bool is_left_out(const char *name)
{
	static const char *const names[] = {".",       "..",     "pts",     "shm",         "fd",   "mqueue",
	                                    "console", ".udev",  ".lxc",    ".lxd-mounts", "null", "zero",
	                                    "full",    "random", "urandom", "tty",         "ptmx"};
	for (size_t index = 0; index < ARRAY_SIZE(names); index++)
		if (!strcmp(name, names[index]))
			return true;
	return false;
}

static void add_device(struct arena *arena, struct json *devices, const char *path, const struct stat *status)
{
	struct json *device = json_object(arena);
	json_set_text(arena, device, "path", path);
	json_set_text(arena, device, "type", S_ISBLK(status->st_mode) ? "b" : "c");
	json_set_integer(arena, device, "major", major(status->st_rdev));
	json_set_integer(arena, device, "minor", minor(status->st_rdev));
	json_set_integer(arena, device, "fileMode", status->st_mode & 0777);
	json_set_integer(arena, device, "uid", status->st_uid);
	json_set_integer(arena, device, "gid", status->st_gid);
	json_append(arena, devices, device);
}

static void walk(struct arena *arena, struct json *devices, const char *directory, int depth)
{
	DIR *stream = depth < MAX_DEVICE_DEPTH ? opendir(directory) : NULL;
	if (!stream)
		return;
	struct dirent *entry;
	while ((entry = readdir(stream))) {
		const char *path = arena_printf(arena, "%s/%s", directory, entry->d_name);
		struct stat status;
		if (is_left_out(entry->d_name) || lstat(path, &status) < 0)
			continue;
		if (S_ISDIR(status.st_mode))
			walk(arena, devices, path, depth + 1);
		else if (S_ISBLK(status.st_mode) || S_ISCHR(status.st_mode))
			add_device(arena, devices, path, &status);
	}
	closedir(stream);
}

struct json *oci_host_devices(struct arena *arena, const char *directory)
{
	struct json *devices = json_array(arena);
	walk(arena, devices, directory, 0);
	return devices;
}
