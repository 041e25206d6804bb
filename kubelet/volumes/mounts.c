// SPDX-License-Identifier: Apache-2.0
// What is mounted is read from /proc/self/mountinfo each time: the kubelet may have
// been killed and started in between. Unmounting goes backwards through it and
// detaches, so that a process that still looks into a volume doesn't hold up its
// pod's end.
//
// A sub path is chosen by the pod's author and may lead through links that a
// container made. It is opened by openat2 beneath the volume, and what was opened
// (/proc/self/fd/N), not the path, is bound: there is no moment at which a link can
// be put in between.

#include "kubelet/volumes/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/arena.h"
#include "common/base/file.h"
#include "common/base/memory.h"

// Undoes mountinfo's octal escapes in place.
static void unescape(char *text)
{
	char *out = text;
	while (*text) {
		unsigned code;
		if (text[0] == '\\' && sscanf(text + 1, "%3o", &code) == 1) {
			*out++ = (char)code;
			text += 4;
		} else {
			*out++ = *text++;
		}
	}
	*out = '\0';
}

struct mount_list {
	struct arena *arena;
	char **paths; // in the order in which they were mounted
	size_t count;
};

// mountinfo knows real paths only: /run/netns, not /var/run/netns.
static void list_mounts(struct mount_list *list, const char *path)
{
	AUTO_FREE char *real = realpath(path, NULL);
	const char *folder = real ? real : path;
	FILE *file = fopen("/proc/self/mountinfo", "re");
	AUTO_FREE char *line = NULL;
	size_t capacity = 0;
	size_t length = strlen(folder);
	while (file && getline(&line, &capacity, file) > 0) {
		char *save = NULL;
		char *field = strtok_r(line, " ", &save);
		for (int index = 0; index < 4 && field; index++)
			field = strtok_r(NULL, " ", &save);
		if (!field)
			continue;
		unescape(field);
		if (strncmp(field, folder, length) || (field[length] && field[length] != '/'))
			continue;
		list->paths = arena_realloc(list->arena, list->paths, list->count * sizeof(char *),
		                            (list->count + 1) * sizeof(char *));
		list->paths[list->count++] = arena_strdup(list->arena, field);
	}
	if (file)
		fclose(file);
}

bool mounts_is_mount_point(const char *path)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct mount_list list = {.arena = arena};
	AUTO_FREE char *real = realpath(path, NULL);
	if (!real)
		return false;
	list_mounts(&list, real);
	for (size_t index = 0; index < list.count; index++)
		if (!strcmp(list.paths[index], real))
			return true;
	return false;
}

int mounts_clear(const char *folder, struct err *err)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct mount_list list = {.arena = arena};
	list_mounts(&list, folder);
	for (size_t index = list.count; index-- > 0;)
		if (umount2(list.paths[index], MNT_DETACH) < 0 && errno != EINVAL && errno != ENOENT)
			return err_set_errno(err, errno, "unmount %s", list.paths[index]);
	return 0;
}

int mounts_remove_tree(const char *folder, struct err *err)
{
	int result = mounts_clear(folder, err);
	return result < 0 ? result : file_remove_tree(folder, err);
}

// --- sub paths ---------------------------------------------------------------------------

static int open_beneath(int directory_fd, const char *path, uint64_t flags)
{
	struct open_how how = {.flags = flags | O_CLOEXEC, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
	return (int)syscall(SYS_openat2, directory_fd, path, &how, sizeof(how));
}

// Makes the folders of a path one after another, each opened beneath the volume.
static int make_beneath(int volume_fd, const char *sub_path)
{
	AUTO_FREE char *path = xstrdup(sub_path);
	for (char *slash = path;; *slash++ = '/') {
		slash += strcspn(slash, "/");
		bool last = !*slash;
		*slash = '\0';
		char *name = strrchr(path, '/');
		AUTO_FREE char *parent = name ? xstrndup(path, (size_t)(name - path)) : xstrdup(".");
		AUTO_CLOSE int parent_fd = open_beneath(volume_fd, *parent ? parent : ".", O_RDONLY | O_DIRECTORY);
		if (parent_fd < 0)
			return -1;
		if (mkdirat(parent_fd, name ? name + 1 : path, 0755) < 0 && errno != EEXIST)
			return -1;
		if (last)
			return 0;
	}
}

static int make_target(const char *target, bool is_folder, struct err *err)
{
	if (is_folder)
		return file_make_folders(target, 0755, err);
	AUTO_FREE char *parent = xstrndup(target, (size_t)(strrchr(target, '/') - target));
	int result = file_make_folders(parent, 0755, err);
	if (result < 0)
		return result;
	AUTO_CLOSE int fd = open(target, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
	return fd < 0 ? err_set_errno(err, errno, "create %s", target) : 0;
}

int mounts_bind_sub_path(const char *volume, const char *sub_path, const char *target, struct err *err)
{
	AUTO_CLOSE int volume_fd = open(volume, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (volume_fd < 0)
		return err_set_errno(err, errno, "open volume %s", volume);
	AUTO_CLOSE int fd = open_beneath(volume_fd, sub_path, O_PATH);
	if (fd < 0 && errno == ENOENT && make_beneath(volume_fd, sub_path) == 0)
		fd = open_beneath(volume_fd, sub_path, O_PATH);
	struct stat status;
	if (fd < 0 || fstat(fd, &status) < 0)
		return err_set_errno(err, errno, "failed to prepare subPath for volumeMount \"%s\"", sub_path);
	(void)mounts_clear(target, NULL); // of an earlier try
	int result = make_target(target, S_ISDIR(status.st_mode), err);
	if (result < 0)
		return result;
	char source[64];
	snprintf(source, sizeof(source), "/proc/self/fd/%d", fd);
	if (mount(source, target, NULL, MS_BIND | MS_REC, NULL) < 0)
		return err_set_errno(err, errno, "bind subPath \"%s\"", sub_path);
	return 0;
}
