// SPDX-License-Identifier: Apache-2.0
// Files are read whole, cut into documents by the YAML reader, and each document
// becomes a target: its kind must be known, its namespace is the one it names or
// the command's. A problem with one file doesn't keep the others from being used.

#include "ctl/manifest.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/api/object.h"
#include "common/api/yaml.h"
#include "common/base/file.h"
#include "common/base/strbuf.h"
#include "ctl/ctl.h"
#include "ctl/errors.h"
#include "ctl/resources.h"

enum {
	MAX_FILE_BYTES = 256 << 20,
	MAX_FOLDER_DEPTH = 64,
	SHOWN_OBJECT_BYTES = 4096,
};

struct reader {
	struct ctl *ctl;
	struct target_list *list;
	bool validate;
	bool recursive;
	bool ok;
};

void target_list_add(struct arena *arena, struct target_list *list, const struct target *target)
{
	if (list->count == list->capacity) {
		size_t capacity = list->capacity ? list->capacity * 2 : 16;
		list->items = arena_realloc(arena, list->items, list->capacity * sizeof(*list->items),
		                            capacity * sizeof(*list->items));
		list->capacity = capacity;
	}
	list->items[list->count++] = *target;
}

static void fail(struct reader *reader)
{
	reader->ok = false;
}

// --- one object -----------------------------------------------------------------------------

static const char *shown(struct ctl *ctl, const struct json *object)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(MAX_FILE_BYTES);
	json_write(&text, object);
	return arena_strndup(ctl->arena, strbuf_text(&text),
	                     text.length > SHOWN_OBJECT_BYTES ? SHOWN_OBJECT_BYTES : text.length);
}

static bool is_set(const char *text)
{
	return text && text[0];
}

static bool check_type_meta(struct reader *reader, const struct json *object, const char *source)
{
	struct ctl *ctl = reader->ctl;
	bool has_kind = is_set(object_kind(object)), has_version = is_set(object_api_version(object));
	if (has_kind && has_version)
		return true;
	const char *what = has_kind      ? "apiVersion not set"
	                   : has_version ? "kind not set"
	                                 : "[apiVersion not set, kind not set]";
	if (reader->validate)
		report(ctl,
		       "error validating \"%s\": error validating data: %s; if you choose to ignore these errors, turn "
		       "validation off with --validate=false",
		       source, what);
	else
		report(ctl, "unable to decode \"%s\": Object '%s' is missing in '%s'", source,
		       has_kind ? "apiVersion" : "Kind", shown(ctl, object));
	return false;
}

static const struct schema_resource *find_resource(struct reader *reader, const struct json *object, const char *source)
{
	struct ctl *ctl = reader->ctl;
	const struct schema_resource *resource = resource_of_kind(ctl, object_api_version(object), object_kind(object));
	if (!resource && ctl->discovery) {
		const char *name = object_name(object), *namespace_name = object_namespace(object);
		report(ctl,
		       "resource mapping not found for name: \"%s\" namespace: \"%s\" from \"%s\": no matches for kind "
		       "\"%s\" in version \"%s\"\n"
		       "ensure CRDs are installed first",
		       name ? name : "", namespace_name ? namespace_name : "", source, object_kind(object),
		       object_api_version(object));
	}
	return resource;
}

// The namespace of the object, which is also written into it; false when it contradicts -n.
static bool place(struct reader *reader, struct target *target)
{
	struct ctl *ctl = reader->ctl;
	const char *own = object_namespace(target->object);
	if (!target->resource->namespaced)
		return true;
	if (!is_set(own)) {
		target->namespace_name = ctl_namespace(ctl);
		json_set_text(ctl->arena, json_ensure_object(ctl->arena, target->object, "metadata"), "namespace",
		              target->namespace_name);
		return true;
	}
	if (ctl_namespace_is_explicit(ctl) && strcmp(own, ctl_namespace(ctl)) != 0) {
		report(ctl,
		       "the namespace from the provided object \"%s\" does not match the namespace \"%s\". You must "
		       "pass '--namespace=%s' to perform this operation.",
		       own, ctl_namespace(ctl), own);
		return false;
	}
	target->namespace_name = own;
	return true;
}

static bool is_list(const struct json *object)
{
	const char *kind = object_kind(object);
	size_t length = kind ? strlen(kind) : 0;
	return length >= 4 && strcmp(kind + length - 4, "List") == 0 && json_is(json_get(object, "items"), JSON_ARRAY);
}

static void add_object(struct reader *reader, struct json *object, const char *source)
{
	if (!json_is(object, JSON_OBJECT)) {
		report(reader->ctl, "error validating \"%s\": error validating data: invalid object to validate",
		       source);
		fail(reader);
		return;
	}
	if (!check_type_meta(reader, object, source)) {
		fail(reader);
		return;
	}
	if (is_list(object)) {
		json_for_each_item (item, json_get(object, "items"))
			add_object(reader, item, source);
		return;
	}
	struct target target = {.object = object, .source = source};
	target.resource = find_resource(reader, object, source);
	if (!target.resource || !place(reader, &target)) {
		fail(reader);
		return;
	}
	target.name = is_set(object_name(object)) ? object_name(object) : NULL;
	target_list_add(reader->ctl->arena, reader->list, &target);
}

// --- files --------------------------------------------------------------------------------------

static void ignore_duplicate(void *context, const char *path)
{
	(void)context, (void)path; // the last value counts, as in upstream's reader
}

static void read_text(struct reader *reader, const char *text, size_t length, const char *source)
{
	struct yaml_document *documents;
	size_t count;
	struct err err = ERR_INIT;
	const struct json_limits limits = {.on_duplicate = ignore_duplicate};
	if (yaml_parse(reader->ctl->arena, text, length, &limits, &documents, &count, &err) < 0) {
		report(reader->ctl, "error parsing %s: %s", source, err.message);
		fail(reader);
		return;
	}
	for (size_t i = 0; i < count; i++)
		if (!json_is(documents[i].value, JSON_NULL))
			add_object(reader, documents[i].value, source);
}

static void read_stdin(struct reader *reader)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(MAX_FILE_BYTES);
	char chunk[65536];
	ssize_t length;
	while ((length = read(STDIN_FILENO, chunk, sizeof(chunk))) > 0)
		strbuf_append(&text, chunk, (size_t)length);
	if (length < 0 || text.overflowed) {
		report(reader->ctl, "reading STDIN: %s", text.overflowed ? "it is too large" : strerror(errno));
		fail(reader);
		return;
	}
	read_text(reader, strbuf_text(&text), text.length, "STDIN");
}

static void read_file(struct reader *reader, const char *path)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(MAX_FILE_BYTES);
	struct err err = ERR_INIT;
	if (file_read(path, &text, &err) < 0) {
		report(reader->ctl, "open %s", err.message);
		fail(reader);
		return;
	}
	read_text(reader, strbuf_text(&text), text.length, path);
}

static bool has_manifest_name(const char *name)
{
	static const char *const endings[] = {".json", ".yaml", ".yml"};
	size_t length = strlen(name);
	for (size_t i = 0; i < ARRAY_SIZE(endings); i++)
		if (length > strlen(endings[i]) && strcmp(name + length - strlen(endings[i]), endings[i]) == 0)
			return true;
	return false;
}

static void read_path(struct reader *reader, const char *path, unsigned depth);

static int skip_dots(const struct dirent *entry)
{
	return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static void read_folder(struct reader *reader, const char *path, unsigned depth)
{
	struct dirent **entries;
	int count = scandir(path, &entries, skip_dots, alphasort);
	for (int i = 0; i < count; i++) {
		const char *inner = ctl_printf(reader->ctl, "%s%s%s", path, path[strlen(path) - 1] == '/' ? "" : "/",
		                               entries[i]->d_name);
		struct stat status;
		if (stat(inner, &status) == 0 && S_ISDIR(status.st_mode)) {
			if (reader->recursive && depth < MAX_FOLDER_DEPTH)
				read_path(reader, inner, depth + 1);
		} else if (has_manifest_name(inner)) {
			read_file(reader, inner);
		}
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
}

static void read_path(struct reader *reader, const char *path, unsigned depth)
{
	struct stat status;
	if (stat(path, &status) < 0) {
		report(reader->ctl,
		       errno == ENOENT ? "the path \"%s\" does not exist" : "the path \"%s\" cannot be accessed", path);
		fail(reader);
		return;
	}
	if (S_ISDIR(status.st_mode))
		read_folder(reader, path, depth);
	else
		read_file(reader, path);
}

static bool is_url(const char *name)
{
	return strncmp(name, "http://", 7) == 0 || strncmp(name, "https://", 8) == 0;
}

bool manifests_read(struct ctl *ctl, const struct manifest_options *options, bool validate, struct target_list *list)
{
	struct reader reader = {
	        .ctl = ctl, .list = list, .validate = validate, .recursive = options->recursive, .ok = true};
	size_t before = list->count;
	if (options->kustomize && options->kustomize[0]) {
		report(ctl, "kustomizations are not supported: build \"%s\" first and pass its output with -f -",
		       options->kustomize);
		return false;
	}
	for (size_t i = 0; i < options->filenames.count; i++) {
		const char *name = options->filenames.items[i];
		if (strcmp(name, "-") == 0) {
			read_stdin(&reader);
		} else if (is_url(name)) {
			report(ctl, "unable to read URL \"%s\": fetch it first and pass it with -f -", name);
			fail(&reader);
		} else {
			read_path(&reader, name, 0);
		}
	}
	return reader.ok || list->count > before;
}
