// SPDX-License-Identifier: Apache-2.0
// Overlay mounts and passwd look-ups.
//
// mount(2) takes at most a page of options, and an image may have more than a
// hundred layers: when the list is long, a child changes into the directory that
// the layers have in common and mounts with short relative names.
//
// The image is not trusted: its files are opened with RESOLVE_IN_ROOT, so that a
// symbolic link in it can't lead to the node's own passwd.

#include "kubelet/runtime/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	MAX_MOUNT_OPTIONS = 3800,
	MAX_ACCOUNT_FILE = 4 << 20,
	MAX_ADDITIONAL_GIDS = 256,
};

static int make_directory(const char *path, mode_t mode, struct err *err)
{
	if (mkdir(path, mode) < 0 && errno != EEXIST)
		return err_set_errno(err, errno, "create directory %s", path);
	return 0;
}

// The length of the directories' longest common prefix that ends in '/'.
static size_t common_prefix(const char *lower)
{
	size_t length = strcspn(lower, ":");
	for (const char *next = strchr(lower, ':'); next; next = strchr(next + 1, ':')) {
		size_t index = 0;
		while (index < length && next[1 + index] == lower[index])
			index++;
		length = index;
	}
	while (length && lower[length - 1] != '/')
		length--;
	return length;
}

static const char *relative_options(struct arena *arena, const char *lower, size_t prefix, const char *directory)
{
	char *text = arena_strdup(arena, "lowerdir=");
	char *rest = arena_strdup(arena, lower);
	char *save = NULL;
	const char *separator = "";
	for (char *one = strtok_r(rest, ":", &save); one; one = strtok_r(NULL, ":", &save)) {
		text = arena_printf(arena, "%s%s%s", text, separator, one + prefix);
		separator = ":";
	}
	return arena_printf(arena, "%s,upperdir=%s/upper,workdir=%s/work", text, directory, directory);
}

// In a child, because the working directory belongs to the whole process.
static int mount_from(const char *start_directory, const char *target, const char *options)
{
	pid_t pid = fork();
	if (pid < 0)
		return errno;
	if (pid == 0) {
		if (chdir(start_directory) < 0 || mount("overlay", target, "overlay", 0, options) < 0)
			_exit(errno);
		_exit(0);
	}
	int status;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
}

int rootfs_mount(const char *directory, const char *lower, struct err *err)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	const char *target = arena_printf(arena, "%s/rootfs", directory);
	const char *const names[] = {target, arena_printf(arena, "%s/upper", directory),
	                             arena_printf(arena, "%s/work", directory)};
	for (size_t index = 0; index < ARRAY_SIZE(names); index++) {
		int result = make_directory(names[index], 0755, err);
		if (result < 0)
			return result;
	}
	const char *options = arena_printf(arena, "lowerdir=%s,upperdir=%s,workdir=%s", lower, names[1], names[2]);
	int error_number;
	if (strlen(options) <= MAX_MOUNT_OPTIONS) {
		error_number = mount("overlay", target, "overlay", 0, options) < 0 ? errno : 0;
	} else {
		size_t prefix = common_prefix(lower);
		error_number = mount_from(arena_strndup(arena, lower, prefix), target,
		                          relative_options(arena, lower, prefix, directory));
	}
	return error_number ? err_set_errno(err, error_number, "mount overlay at %s", target) : 0;
}

int rootfs_unmount(const char *directory, struct err *err)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	const char *target = arena_printf(arena, "%s/rootfs", directory);
	if (umount2(target, MNT_DETACH) < 0 && errno != EINVAL && errno != ENOENT)
		return err_set_errno(err, errno, "unmount %s", target);
	return 0;
}

// --- users -------------------------------------------------------------------------

// The file's text, or "" when the image has none.
static char *read_in_root(struct arena *arena, const char *root, const char *path)
{
	AUTO_CLOSE int root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0)
		return arena_strdup(arena, "");
	struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK, .resolve = RESOLVE_IN_ROOT};
	AUTO_CLOSE int fd = (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
	struct stat status;
	if (fd < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) || status.st_size > MAX_ACCOUNT_FILE)
		return arena_strdup(arena, "");
	char *text = arena_alloc(arena, (size_t)status.st_size + 1);
	ssize_t length = read(fd, text, (size_t)status.st_size);
	text[length > 0 ? length : 0] = '\0';
	return text;
}

static bool parse_number(const char *text, int64_t *ret_number)
{
	char *end;
	errno = 0;
	long long number = strtoll(text, &end, 10);
	if (!*text || *end || errno || number < 0 || number > INT32_MAX)
		return false;
	*ret_number = number;
	return true;
}

// Splits "a:b:c" in place; fields that are missing are "".
static void split_fields(char *line, char *fields[], size_t count)
{
	for (size_t index = 0; index < count; index++) {
		fields[index] = line;
		line += strcspn(line, ":");
		if (*line)
			*line++ = '\0';
	}
}

struct account {
	bool found;
	const char *name;
	int64_t uid;
	int64_t gid;
	const char *home;
};

// By name, or by uid when `name` is NULL.
static struct account find_account(char *passwd, const char *name, int64_t uid)
{
	char *save = NULL;
	for (char *line = strtok_r(passwd, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *fields[7];
		split_fields(line, fields, 7);
		struct account account = {.found = true, .name = fields[0], .home = fields[5]};
		if (!parse_number(fields[2], &account.uid) || !parse_number(fields[3], &account.gid))
			continue;
		if (name ? !strcmp(fields[0], name) : account.uid == uid)
			return account;
	}
	return (struct account){.found = false};
}

static bool find_group(char *groups, const char *name, int64_t *ret_gid)
{
	char *save = NULL;
	for (char *line = strtok_r(groups, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *fields[4];
		split_fields(line, fields, 4);
		if (!strcmp(fields[0], name) && parse_number(fields[2], ret_gid))
			return true;
	}
	return false;
}

static bool names_member(char *members, const char *name)
{
	char *save = NULL;
	for (char *member = strtok_r(members, ",", &save); member; member = strtok_r(NULL, ",", &save))
		if (!strcmp(member, name))
			return true;
	return false;
}

static void add_memberships(struct arena *arena, char *groups, const char *user_name, struct rootfs_user *user)
{
	user->additional_gids = ARENA_ARRAY(arena, int64_t, MAX_ADDITIONAL_GIDS);
	char *save = NULL;
	for (char *line = strtok_r(groups, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *fields[4];
		split_fields(line, fields, 4);
		int64_t gid;
		if (user->additional_gid_count < MAX_ADDITIONAL_GIDS && parse_number(fields[2], &gid) &&
		    names_member(fields[3], user_name))
			user->additional_gids[user->additional_gid_count++] = gid;
	}
}

int rootfs_resolve_user(struct arena *arena, const char *root, const char *image_user, int64_t run_as_user,
                        int64_t run_as_group, struct rootfs_user *ret_user, struct err *err)
{
	char *user_text = arena_strdup(arena, image_user);
	char *group_text = user_text + strcspn(user_text, ":");
	if (*group_text)
		*group_text++ = '\0';
	if (run_as_user >= 0) {
		user_text = arena_printf(arena, "%lld", (long long)run_as_user);
		group_text = arena_strdup(arena, "");
	}
	const char *passwd = read_in_root(arena, root, "etc/passwd");
	const char *groups = read_in_root(arena, root, "etc/group");
	struct rootfs_user user = {.home = ""};
	bool numeric = !*user_text || parse_number(user_text, &user.uid);
	struct account account = find_account(arena_strdup(arena, passwd), numeric ? NULL : user_text, user.uid);
	if (!numeric && !account.found)
		return err_set(err, ERR_INVALID, "unable to find user %s: no matching entries in passwd file",
		               user_text);
	if (account.found)
		user = (struct rootfs_user){.uid = account.uid, .gid = account.gid, .home = account.home};
	if (*group_text && !parse_number(group_text, &user.gid) &&
	    !find_group(arena_strdup(arena, groups), group_text, &user.gid))
		return err_set(err, ERR_INVALID, "unable to find group %s: no matching entries in group file",
		               group_text);
	if (run_as_group >= 0)
		user.gid = run_as_group;
	if (account.found)
		add_memberships(arena, arena_strdup(arena, groups), account.name, &user);
	*ret_user = user;
	return 0;
}
