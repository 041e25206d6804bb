// SPDX-License-Identifier: Apache-2.0
// Files that a volume is to make out of keys: two of the same path, or one where
// another has its folder, can't both be there.

#include <string.h>

#include "apiserver/validation/warnings.h"

struct file {
	const char *path;   // without a "/" at its end
	const char *source; // `ConfigMap "x"`, "" in volumes of one source
};

struct files {
	const struct change *change;
	const char *volume;
	const char *about; // the volume's own source
	struct file *items;
	size_t count;
	size_t capacity;
};

static bool begins(const char *path, const char *folder)
{
	size_t length = strlen(folder);

	return !strncmp(path, folder, length) && (path[length] == '\0' || path[length] == '/');
}

static const char *described(struct arena *arena, const struct file *file)
{
	return file->source[0] ? arena_printf(arena, "\"%s\" (%s)", file->path, file->source)
	                       : arena_printf(arena, "\"%s\"", file->path);
}

static const char *trimmed(struct arena *arena, const char *path)
{
	size_t length = strlen(path);

	while (length && path[length - 1] == '/')
		length--;
	return arena_strndup(arena, path, length);
}

static void add_file(struct files *files, const char *path, const char *source)
{
	struct arena *arena = files->change->arena;
	struct file file = {trimmed(arena, path), source};

	for (size_t i = 0; file.path[0] && i < files->count; i++) {
		const struct file *other = &files->items[i];

		if (other->path[0] && (begins(file.path, other->path) || begins(other->path, file.path)))
			warn(files->change, NULL, "volume \"%s\" (%s): overlapping paths: %s with %s", files->volume,
			     files->about, described(arena, &file), described(arena, other));
	}
	if (files->count == files->capacity) {
		struct file *more = ARENA_ARRAY(arena, struct file, 2 * files->capacity + 8);

		if (files->count)
			memcpy(more, files->items, files->count * sizeof *more);
		files->items = more;
		files->capacity = 2 * files->capacity + 8;
	}
	files->items[files->count++] = file;
}

static void add_items(struct files *files, const struct json *source, const char *name)
{
	json_for_each_item (item, json_get(source, "items"))
		add_file(files, text_of(item, "path"), name);
}

static const char *named(struct arena *arena, const char *kind, const char *name)
{
	return arena_printf(arena, "%s \"%s\"", kind, name);
}

static void look_at_source(const struct change *change, const struct json *volume, const char *member,
                           const char *about)
{
	struct files files = {.change = change, .volume = text_of(volume, "name"), .about = about};

	add_items(&files, json_get(volume, member), "");
}

static void add_projection(struct files *files, const struct json *source)
{
	struct arena *arena = files->change->arena;
	const struct json *map = json_get(source, "configMap"), *secret = json_get(source, "secret"),
	                  *bundle = json_get(source, "clusterTrustBundle");

	if (is_present(map) && json_get(map, "items"))
		add_items(files, map, named(arena, "ConfigMap", text_of(map, "name")));
	else if (is_present(secret) && json_get(secret, "items"))
		add_items(files, secret, named(arena, "Secret", text_of(secret, "name")));
	else if (is_present(json_path(source, "downwardAPI", "items")))
		add_items(files, json_get(source, "downwardAPI"), "DownwardAPI");
	else if (is_present(json_get(source, "serviceAccountToken")))
		add_file(files, text_of(json_get(source, "serviceAccountToken"), "path"), "ServiceAccountToken");
	else if (is_present(bundle))
		add_file(files, text_of(bundle, "path"),
		         named(arena, "ClusterTrustBundle",
		               text_of(bundle, is_present(json_get(bundle, "name")) ? "name" : "signerName")));
}

static void look_at_projected(const struct change *change, const struct json *volume)
{
	struct files files = {.change = change, .volume = text_of(volume, "name"), .about = "Projected"};

	json_for_each_item (source, json_path(volume, "projected", "sources")) {
		if (!length_of(source))
			warn(change, NULL, "volume \"%s\" (Projected) has no sources provided", files.volume);
		else
			add_projection(&files, source);
	}
}

void warn_about_volume_paths(const struct change *change, const struct json *volume)
{
	struct arena *arena = change->arena;

	look_at_source(change, volume, "configMap",
	               named(arena, "ConfigMap", text_of(json_get(volume, "configMap"), "name")));
	look_at_source(change, volume, "secret",
	               named(arena, "Secret", text_of(json_get(volume, "secret"), "secretName")));
	look_at_source(change, volume, "downwardAPI", "DownwardAPI");
	look_at_projected(change, volume);
}
