// SPDX-License-Identifier: Apache-2.0
// The order is what makes it safe: all files in a new folder, then the rename of
// ..data, which is the one moment of the change, then links for names that are new,
// then what is stale goes. A crash in between leaves a folder that the next write
// removes.

#include "kubelet/volumes/atomic_writer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base/encode.h"
#include "common/base/file.h"
#include "common/base/hashmap.h"

#define DATA_LINK "..data"
#define NEW_LINK "..data_tmp"

static bool is_safe(const char *path)
{
	if (!*path || *path == '/')
		return false;
	for (const char *part = path; part; part = strchr(part, '/')) {
		part += *part == '/';
		size_t length = strcspn(part, "/");
		if (length == 2 && !strncmp(part, "..", 2))
			return false;
	}
	return strncmp(path, "..", 2) != 0;
}

int payload_add(struct payload *payload, const char *path, const void *data, size_t length, mode_t mode,
                struct err *err)
{
	if (!is_safe(path))
		return err_set(err, ERR_INVALID, "invalid path: %s", path);
	struct payload_file file = {
	        .path = arena_strdup(payload->arena, path), .data = data, .length = length, .mode = mode};
	for (size_t index = 0; index < payload->count; index++)
		if (!strcmp(payload->files[index].path, path)) {
			payload->files[index] = file;
			return 0;
		}
	payload->files = arena_realloc(payload->arena, payload->files, payload->count * sizeof(file),
	                               (payload->count + 1) * sizeof(file));
	payload->files[payload->count++] = file;
	return 0;
}

uint64_t payload_fingerprint(const struct payload *payload)
{
	uint64_t print = payload->count + 1;
	for (size_t index = 0; index < payload->count; index++) {
		const struct payload_file *file = &payload->files[index];
		uint64_t parts[] = {print, fnv64a(file->path, strlen(file->path)), fnv64a(file->data, file->length),
		                    file->mode, file->length};
		print = fnv64a(parts, sizeof(parts));
	}
	return print ? print : 1;
}

static int write_file(int directory_fd, const struct payload *payload, const struct payload_file *file, struct err *err)
{
	char folder[4096];
	for (const char *slash = strchr(file->path, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(folder, sizeof(folder), "%.*s", (int)(slash - file->path), file->path);
		if (mkdirat(directory_fd, folder, 0755) < 0 && errno != EEXIST)
			return err_set_errno(err, errno, "create folder %s", folder);
	}
	AUTO_CLOSE int fd =
	        openat(directory_fd, file->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_set_errno(err, errno, "create file %s", file->path);
	size_t done = 0;
	while (done < file->length) {
		ssize_t written = write(fd, (const char *)file->data + done, file->length - done);
		if (written < 0)
			return err_set_errno(err, errno, "write file %s", file->path);
		done += (size_t)written;
	}
	mode_t mode = payload->group >= 0 ? file->mode | 0440 : file->mode;
	if ((payload->group >= 0 && fchown(fd, (uid_t)-1, (gid_t)payload->group) < 0) || fchmod(fd, mode & 07777) < 0)
		return err_set_errno(err, errno, "set the mode of file %s", file->path);
	return 0;
}

static int write_files(int directory_fd, const char *name, const struct payload *payload, struct err *err)
{
	if (mkdirat(directory_fd, name, 0755) < 0)
		return err_set_errno(err, errno, "create folder %s", name);
	AUTO_CLOSE int fd = openat(directory_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fchmod(fd, 0755) < 0)
		return err_set_errno(err, errno, "open folder %s", name);
	for (size_t index = 0; index < payload->count; index++) {
		int result = write_file(fd, payload, &payload->files[index], err);
		if (result < 0)
			return result;
	}
	return 0;
}

static bool has_top(const struct payload *payload, const char *name)
{
	size_t length = strlen(name);
	for (size_t index = 0; index < payload->count; index++)
		if (strcspn(payload->files[index].path, "/") == length &&
		    !strncmp(payload->files[index].path, name, length))
			return true;
	return false;
}

static int link_tops(int directory_fd, const struct payload *payload, struct err *err)
{
	for (size_t index = 0; index < payload->count; index++) {
		char name[256];
		char target[300];
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(payload->files[index].path, "/"),
		         payload->files[index].path);
		snprintf(target, sizeof(target), DATA_LINK "/%s", name);
		if (symlinkat(target, directory_fd, name) < 0 && errno != EEXIST)
			return err_set_errno(err, errno, "link %s", name);
	}
	return 0;
}

// Takes away links to files that are gone, and the folders of earlier sets.
static void remove_stale(const char *directory, const char *current, const struct payload *payload)
{
	DIR *stream = opendir(directory);
	if (!stream)
		return;
	for (struct dirent *entry; (entry = readdir(stream));) {
		const char *name = entry->d_name;
		if (!strcmp(name, ".") || !strcmp(name, "..") || !strcmp(name, DATA_LINK) || !strcmp(name, current))
			continue;
		char path[4096];
		snprintf(path, sizeof(path), "%s/%s", directory, name);
		if (!strncmp(name, "..", 2))
			(void)file_remove_tree(path, NULL);
		else if (entry->d_type == DT_LNK && !has_top(payload, name))
			unlink(path);
	}
	closedir(stream);
}

int atomic_writer_write(const char *directory, const struct payload *payload, struct err *err)
{
	AUTO_CLOSE int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_set_errno(err, errno, "open volume %s", directory);
	char stamp[32];
	char name[64];
	struct tm parts;
	time_t now = time(NULL);
	gmtime_r(&now, &parts);
	strftime(stamp, sizeof(stamp), "%Y_%m_%d_%H_%M_%S", &parts);
	snprintf(name, sizeof(name), "..%s.%u", stamp, random_below(UINT32_MAX));
	int result = write_files(fd, name, payload, err);
	if (result < 0)
		return result;
	unlinkat(fd, NEW_LINK, 0);
	if (symlinkat(name, fd, NEW_LINK) < 0 || renameat(fd, NEW_LINK, fd, DATA_LINK) < 0)
		return err_set_errno(err, errno, "switch %s to its new files", directory);
	result = link_tops(fd, payload, err);
	if (result == 0)
		remove_stale(directory, name, payload);
	return result;
}
