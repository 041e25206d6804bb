// SPDX-License-Identifier: Apache-2.0
// Writing is: a temporary file beside the target, fsync, rename, fsync of the folder.
// A crash at any point leaves the old content or the new.

#include "common/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/memory.h"

enum { READ_CHUNK_BYTES = 64 * 1024, REMOVE_OPEN_FOLDERS = 32 };

int file_read(const char *path, struct strbuf *out, struct err *err)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return err_set(err, ERR_NOT_FOUND, "open %s: no such file or directory", path);
	if (fd < 0)
		return err_set_errno(err, errno, "open %s", path);
	while (true) {
		char chunk[READ_CHUNK_BYTES];
		ssize_t got = read(fd, chunk, sizeof(chunk));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_set_errno(err, errno, "read %s", path);
		if (got == 0)
			return 0;
		strbuf_append(out, chunk, (size_t)got);
		if (out->overflowed)
			return err_set(err, ERR_TOO_LARGE, "%s is larger than %zu bytes", path, out->max_bytes);
	}
}

static int write_all(int fd, const char *data, size_t length)
{
	while (length) {
		ssize_t written = write(fd, data, length);
		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return -1;
		data += written;
		length -= (size_t)written;
	}
	return 0;
}

static int sync_folder_of(const char *path)
{
	AUTO_FREE char *folder = xstrdup(path);
	char *slash = strrchr(folder, '/');
	if (slash)
		*(slash == folder ? slash + 1 : slash) = '\0';
	AUTO_CLOSE int fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -1 : fsync(fd);
}

int file_write_atomic(const char *path, const void *data, size_t length, mode_t mode, struct err *err)
{
	AUTO_FREE char *temporary = xasprintf("%s.XXXXXX", path);
	AUTO_CLOSE int fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return err_set_errno(err, errno, "create %s", temporary);
	if (fchmod(fd, mode) < 0 || write_all(fd, data, length) < 0 || fsync(fd) < 0 || rename(temporary, path) < 0) {
		int error_number = errno;
		unlink(temporary);
		return err_set_errno(err, error_number, "write %s", path);
	}
	if (sync_folder_of(path) < 0)
		return err_set_errno(err, errno, "sync the folder of %s", path);
	return 0;
}

int file_make_folders(const char *path, mode_t mode, struct err *err)
{
	AUTO_FREE char *partial = xstrdup(path);
	for (char *slash = strchr(partial + 1, '/');; slash = strchr(slash + 1, '/')) {
		if (slash)
			*slash = '\0';
		if (mkdir(partial, mode) < 0 && errno != EEXIST)
			return err_set_errno(err, errno, "mkdir %s", partial);
		if (!slash)
			return 0;
		*slash = '/';
	}
}

static int remove_entry(const char *path, const struct stat *status UNUSED, int type UNUSED, struct FTW *walk UNUSED)
{
	return remove(path) < 0 && errno != ENOENT ? -1 : 0;
}

int file_remove_tree(const char *path, struct err *err)
{
	if (nftw(path, remove_entry, REMOVE_OPEN_FOLDERS, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) < 0 && errno != ENOENT)
		return err_set_errno(err, errno, "remove %s", path);
	return 0;
}
