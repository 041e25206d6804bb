// SPDX-License-Identifier: Apache-2.0
// Backups are named as upstream's: audit.log becomes audit-2026-11-22T15-04-05.000.log
// in UTC, so that their names sort by time. The file is opened 0600.

#include "apiserver/audit/audit_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/memory.h"

enum {
	MAX_BACKUPS_SEEN = 10000,
	TIME_TEXT_BYTES = 24, // 2006-01-02T15-04-05.000 and its NUL
};

struct audit_file {
	struct audit_file_config config;
	char *path;
	char *folder;
	char *stem;   // file name without its extension
	char *suffix; // ".log"
	int fd;
	int64_t bytes;
};

static int open_file(struct audit_file *file, struct err *err)
{
	struct stat info;

	file->fd = open(file->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (file->fd < 0)
		return err_set_errno(err, errno, "open %.150s", file->path);
	file->bytes = fstat(file->fd, &info) == 0 ? info.st_size : 0;
	return 0;
}

int audit_file_open(const struct audit_file_config *config, struct audit_file **ret_file, struct err *err)
{
	struct audit_file *file = NEW(struct audit_file);
	const char *slash, *name, *dot;
	int r = 0;

	file->config = *config;
	file->path = xstrdup(config->path);
	slash = strrchr(file->path, '/');
	name = slash ? slash + 1 : file->path;
	dot = strrchr(name, '.');
	dot = dot && dot != name ? dot : name + strlen(name);
	file->folder =
	        slash ? xstrndup(file->path, (size_t)(slash - file->path) + (slash == file->path)) : xstrdup(".");
	file->stem = xstrndup(name, (size_t)(dot - name));
	file->suffix = xstrdup(dot);
	if (!strcmp(file->path, "-")) {
		file->fd = STDOUT_FILENO;
	} else {
		r = file_make_folders(file->folder, 0700, err);
		if (r == 0)
			r = open_file(file, err);
	}
	if (r < 0) {
		file->fd = -1;
		audit_file_close(file);
		return r;
	}
	*ret_file = file;
	return 0;
}

struct audit_file *audit_file_close(struct audit_file *file)
{
	if (!file)
		return NULL;
	if (file->fd > STDERR_FILENO)
		close(file->fd);
	free(file->path);
	free(file->folder);
	free(file->stem);
	free(file->suffix);
	free(file);
	return NULL;
}

// --- rotation -----------------------------------------------------------------------------------

static void format_time(int64_t realtime_ns, char out[TIME_TEXT_BYTES])
{
	time_t seconds = (time_t)(realtime_ns / NSEC_PER_SEC);
	char text[20];
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H-%M-%S", &tm);
	snprintf(out, TIME_TEXT_BYTES, "%s.%03u", text,
	         (unsigned)((uint64_t)realtime_ns / (uint64_t)NSEC_PER_MSEC % 1000u));
}

static bool is_backup(const struct audit_file *file, const char *name)
{
	size_t stem = strlen(file->stem), suffix = strlen(file->suffix);

	return strlen(name) == stem + 1 + (TIME_TEXT_BYTES - 1) + suffix && !strncmp(name, file->stem, stem) &&
	       name[stem] == '-' && !strcmp(name + strlen(name) - suffix, file->suffix);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)b, *(char *const *)a); // the newest first
}

static size_t list_backups(const struct audit_file *file, char **names)
{
	DIR *folder = opendir(file->folder);
	struct dirent *entry;
	size_t count = 0;

	while (folder && (entry = readdir(folder)) && count < MAX_BACKUPS_SEEN)
		if (is_backup(file, entry->d_name))
			names[count++] = xstrdup(entry->d_name);
	if (folder)
		closedir(folder);
	qsort(names, count, sizeof(*names), compare_names);
	return count;
}

static void remove_old(const struct audit_file *file, int64_t now_ns)
{
	char **names = xcalloc(MAX_BACKUPS_SEEN, sizeof(*names));
	size_t count = list_backups(file, names);
	char oldest[TIME_TEXT_BYTES];

	format_time(now_ns - file->config.max_age_days * 86400 * NSEC_PER_SEC, oldest);
	for (size_t i = 0; i < count; i++) {
		bool surplus = file->config.max_backups && i >= (size_t)file->config.max_backups;
		bool aged = file->config.max_age_days &&
		            strncmp(names[i] + strlen(file->stem) + 1, oldest, TIME_TEXT_BYTES - 1) < 0;
		AUTO_FREE char *path = xasprintf("%s/%s", file->folder, names[i]);

		if (surplus || aged)
			(void)unlink(path); // tried again at the next rotation
		free(names[i]);
	}
	free(names);
}

static int rotate(struct audit_file *file, struct err *err)
{
	int64_t now_ns = clock_realtime_ns(&clock_system);
	char text[TIME_TEXT_BYTES];
	AUTO_FREE char *backup = NULL;

	format_time(now_ns, text);
	backup = xasprintf("%s/%s-%s%s", file->folder, file->stem, text, file->suffix);
	close(file->fd);
	file->fd = -1;
	if (rename(file->path, backup) < 0)
		return err_set_errno(err, errno, "rename %.120s", file->path);
	remove_old(file, now_ns);
	return open_file(file, err);
}

int audit_file_write(struct audit_file *file, const char *data, size_t length, struct err *err)
{
	if (file->fd < 0 && open_file(file, err) < 0)
		return -(int)err->code;
	if (file->fd > STDERR_FILENO && file->bytes && file->bytes + (int64_t)length > file->config.max_bytes &&
	    rotate(file, err) < 0)
		return -(int)err->code;
	while (length) {
		ssize_t written = write(file->fd, data, length);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return err_set_errno(err, errno, "write %.120s", file->path);
		data += written;
		length -= (size_t)written;
		file->bytes += written;
	}
	return 0;
}
