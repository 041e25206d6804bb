// SPDX-License-Identifier: Apache-2.0
// Making volumes:
//
//   FETCH  the configMaps, secrets and tokens they refer to      [requests]
//   MAKE   folders, tmpfs mounts, files                          [a worker thread]
//
// The same round, run again every minute, brings changed objects into the running
// pod; a set of files whose fingerprint is unchanged is not touched. The worker
// reads only what can't change under it (the pod's object, the fetched bundle) and
// its own job; the pod learns the outcome on the loop.
//
// Kinds: emptyDir, hostPath, configMap, secret, downwardAPI, projected. Others are
// refused with FailedMount's words.

#include "kubelet/volumes/pod_volumes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "common/api/quantity.h"
#include "common/base/file.h"
#include "common/base/hashmap.h"
#include "common/base/memory.h"
#include "common/io/loop.h"
#include "kubelet/kubelet.h"
#include "kubelet/pod/field_values.h"
#include "kubelet/pod/object_cache.h"
#include "kubelet/volumes/atomic_writer.h"
#include "kubelet/volumes/mounts.h"
#include "kubelet/volumes/service_account_token.h"

#define OBJECT_MAX_AGE_NS (1 * NSEC_PER_SEC)

enum { DEFAULT_MODE = 0644 };

// What stays between rounds: fingerprints of what was written, and tokens.
struct pod_volumes {
	struct hashmap *fingerprints; // volume name → uint64_t
	struct token_set *tokens;
};

struct mount_job {
	struct work work;
	struct pod *pod;
	struct api_object *object; // keeps the view alive
	const struct core_v1_pod *view;
	const char *directory;
	struct object_bundle *bundle;
	struct field_facts facts;
	struct pod_volumes *volumes;
	int64_t group; // fsGroup, -1: none
	struct err err;
	void (*done)(struct pod *pod, const struct err *err);
};

// --- kinds -------------------------------------------------------------------------------

typedef int make_fn(struct mount_job *job, const struct core_v1_volume *volume, const char *path, struct err *err);

static bool is_true(const bool *flag)
{
	return flag && *flag;
}

static int make_folder(const char *path, mode_t mode, int64_t group, struct err *err)
{
	int result = file_make_folders(path, 0755, err);
	if (result < 0)
		return result;
	if (group >= 0 && chown(path, (uid_t)-1, (gid_t)group) < 0)
		return err_set_errno(err, errno, "set the group of %s", path);
	if (chmod(path, group >= 0 ? mode | 02070 : mode) < 0)
		return err_set_errno(err, errno, "set the mode of %s", path);
	return 0;
}

static int mount_tmpfs(const char *path, int64_t size_bytes, mode_t mode, struct err *err)
{
	if (mounts_is_mount_point(path))
		return 0;
	char options[96];
	if (size_bytes > 0)
		snprintf(options, sizeof(options), "mode=%o,size=%lld", mode, (long long)size_bytes);
	else
		snprintf(options, sizeof(options), "mode=%o", mode);
	if (mount("tmpfs", path, "tmpfs", 0, options) < 0)
		return err_set_errno(err, errno, "mount tmpfs at %s", path);
	return 0;
}

static int make_empty_dir(struct mount_job *job, const struct core_v1_volume *volume, const char *path, struct err *err)
{
	struct stat status;
	if (stat(path, &status) == 0)
		return 0; // made in an earlier round: its contents are the pod's
	bool in_memory = volume->empty_dir->medium && !strcmp(volume->empty_dir->medium, "Memory");
	int result = file_make_folders(path, 0755, err);
	if (result == 0 && in_memory)
		result = mount_tmpfs(path, quantity_text_value(volume->empty_dir->size_limit), 01777, err);
	return result < 0 ? result : make_folder(path, 0777, job->group, err);
}

static int check_host_path(const char *path, const char *type, struct err *err)
{
	static const struct {
		const char *type;
		mode_t format;
		const char *words;
	} rows[] = {
	        {"Directory", S_IFDIR, "a directory"},
	        {"DirectoryOrCreate", S_IFDIR, "a directory"},
	        {"File", S_IFREG, "a file"},
	        {"FileOrCreate", S_IFREG, "a file"},
	        {"Socket", S_IFSOCK, "a socket"},
	        {"CharDevice", S_IFCHR, "a character device"},
	        {"BlockDevice", S_IFBLK, "a block device"},
	};
	struct stat status;
	int found = stat(path, &status);
	for (size_t index = 0; index < ARRAY_SIZE(rows); index++) {
		if (strcmp(rows[index].type, type))
			continue;
		if (found < 0 || (status.st_mode & S_IFMT) != rows[index].format)
			return err_set(err, ERR_INVALID, "hostPath type check failed: %s is not %s", path,
			               rows[index].words);
	}
	return 0;
}

static int make_host_path(struct mount_job *job, const struct core_v1_volume *volume, const char *path, struct err *err)
{
	(void)job;
	const char *type = volume->host_path->type ? volume->host_path->type : "";
	struct stat status;
	int result = 0;
	if (!strcmp(type, "DirectoryOrCreate") && stat(path, &status) < 0)
		result = file_make_folders(path, 0755, err);
	if (!strcmp(type, "FileOrCreate") && stat(path, &status) < 0) {
		FILE *file = fopen(path, "ae");
		if (!file)
			return err_set_errno(err, errno, "create file %s", path);
		fchmod(fileno(file), 0644);
		fclose(file);
	}
	return result < 0 ? result : check_host_path(path, type, err);
}

// --- payloads ------------------------------------------------------------------------------

struct key_source {
	const char *kind; // "ConfigMap"
	const char *name;
	const struct core_v1_key_to_path_array *items;
	bool optional;
	mode_t mode;
};

static bool find_data(const struct api_object *object, bool is_secret, const char *key, struct bytes *ret_bytes)
{
	const struct core_v1_config_map *map = is_secret ? NULL : object->view;
	const struct bytes_map *binary =
	        is_secret ? &((const struct core_v1_secret *)object->view)->data : &map->binary_data;
	const char *text = map ? string_map_get(&map->data, key) : NULL;
	if (text) {
		*ret_bytes = (struct bytes){.data = (const uint8_t *)text, .length = strlen(text)};
		return true;
	}
	for (size_t index = 0; index < binary->count; index++)
		if (!strcmp(binary->entries[index].key, key)) {
			*ret_bytes = binary->entries[index].value;
			return true;
		}
	return false;
}

static int add_all_keys(struct payload *payload, const struct api_object *object, bool is_secret, mode_t mode,
                        struct err *err)
{
	const struct core_v1_config_map *map = is_secret ? NULL : object->view;
	const struct bytes_map *binary =
	        is_secret ? &((const struct core_v1_secret *)object->view)->data : &map->binary_data;
	int result = 0;
	for (size_t index = 0; map && index < map->data.count && result == 0; index++)
		result = payload_add(payload, map->data.entries[index].key, map->data.entries[index].value,
		                     strlen(map->data.entries[index].value), mode, err);
	for (size_t index = 0; index < binary->count && result == 0; index++)
		result = payload_add(payload, binary->entries[index].key, binary->entries[index].value.data,
		                     binary->entries[index].value.length, mode, err);
	return result;
}

static int add_keys(struct mount_job *job, struct payload *payload, const struct key_source *source, struct err *err)
{
	bool is_secret = !strcmp(source->kind, "Secret");
	const struct api_object *object =
	        object_bundle_get(job->bundle, is_secret ? OBJECT_SECRET : OBJECT_CONFIG_MAP, source->name);
	if (!object)
		return 0; // optional and absent
	if (!source->items->count)
		return add_all_keys(payload, object, is_secret, source->mode, err);
	for (size_t index = 0; index < source->items->count; index++) {
		const struct core_v1_key_to_path *item = &source->items->items[index];
		struct bytes bytes;
		if (!find_data(object, is_secret, item->key, &bytes)) {
			if (source->optional)
				continue;
			return err_set(err, ERR_INVALID, "references non-existent %s key: %s",
			               is_secret ? "secret" : "config", item->key);
		}
		int result = payload_add(payload, item->path, bytes.data, bytes.length,
		                         item->mode ? (mode_t)*item->mode : source->mode, err);
		if (result < 0)
			return result;
	}
	return 0;
}

static int add_fields(struct mount_job *job, struct payload *payload,
                      const struct core_v1_downward_api_volume_file_array *files, mode_t mode, struct err *err)
{
	for (size_t index = 0; index < files->count; index++) {
		const struct core_v1_downward_api_volume_file *file = &files->items[index];
		const char *value = "";
		int result = 0;
		if (file->field_ref)
			result = field_value(payload->arena, job->view, &job->facts, file->field_ref->field_path,
			                     &value, err);
		else if (file->resource_field_ref)
			result = resource_field_value(payload->arena, job->view, NULL, file->resource_field_ref,
			                              &job->facts, &value, err);
		if (result == 0)
			result = payload_add(payload, file->path, value, strlen(value),
			                     file->mode ? (mode_t)*file->mode : mode, err);
		if (result < 0)
			return result;
	}
	return 0;
}

static int add_token(struct mount_job *job, struct payload *payload,
                     const struct core_v1_service_account_token_projection *projection, struct err *err)
{
	const char *token = token_set_get(job->volumes->tokens, projection);
	return token ? payload_add(payload, projection->path, token, strlen(token),
	                           0600 | (job->group >= 0 ? 040 : 0044), err)
	             : 0;
}

static int add_projection(struct mount_job *job, struct payload *payload,
                          const struct core_v1_volume_projection *source, mode_t mode, struct err *err)
{
	if (source->config_map) {
		struct key_source keys = {"ConfigMap", source->config_map->name, &source->config_map->items,
		                          is_true(source->config_map->optional), mode};
		return add_keys(job, payload, &keys, err);
	}
	if (source->secret) {
		struct key_source keys = {"Secret", source->secret->name, &source->secret->items,
		                          is_true(source->secret->optional), mode};
		return add_keys(job, payload, &keys, err);
	}
	if (source->downward_api)
		return add_fields(job, payload, &source->downward_api->items, mode, err);
	if (source->service_account_token)
		return add_token(job, payload, source->service_account_token, err);
	return err_set(err, ERR_INVALID, "this kind of projected volume source isn't supported");
}

static mode_t mode_or_default(const int32_t *mode)
{
	return mode ? (mode_t)*mode : DEFAULT_MODE;
}

static int fill_payload(struct mount_job *job, struct payload *payload, const struct core_v1_volume *volume,
                        struct err *err)
{
	if (volume->config_map) {
		struct key_source keys = {"ConfigMap", volume->config_map->name, &volume->config_map->items,
		                          is_true(volume->config_map->optional),
		                          mode_or_default(volume->config_map->default_mode)};
		return add_keys(job, payload, &keys, err);
	}
	if (volume->secret) {
		struct key_source keys = {"Secret", volume->secret->secret_name, &volume->secret->items,
		                          is_true(volume->secret->optional),
		                          mode_or_default(volume->secret->default_mode)};
		return add_keys(job, payload, &keys, err);
	}
	if (volume->downward_api)
		return add_fields(job, payload, &volume->downward_api->items,
		                  mode_or_default(volume->downward_api->default_mode), err);
	int result = 0;
	for (size_t index = 0; index < volume->projected->sources.count && result == 0; index++)
		result = add_projection(job, payload, &volume->projected->sources.items[index],
		                        mode_or_default(volume->projected->default_mode), err);
	return result;
}

static int make_files(struct mount_job *job, const struct core_v1_volume *volume, const char *path, struct err *err)
{
	int result = file_make_folders(path, 0755, err);
	if (result == 0 && !volume->config_map)
		result = mount_tmpfs(path, 0, 01777, err); // secrets don't reach the disk
	if (result == 0)
		result = make_folder(path, 0777 | S_ISVTX, job->group, err);
	if (result < 0)
		return result;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct payload payload = {.arena = arena, .group = job->group};
	result = fill_payload(job, &payload, volume, err);
	if (result < 0)
		return result;
	uint64_t fingerprint = payload_fingerprint(&payload);
	uint64_t *written = hashmap_get(job->volumes->fingerprints, volume->name);
	if (written && *written == fingerprint)
		return 0;
	result = atomic_writer_write(path, &payload, err);
	if (result == 0)
		hashmap_put(job->volumes->fingerprints, volume->name, xmemdup(&fingerprint, sizeof(fingerprint)));
	return result;
}

// --- the round ---------------------------------------------------------------------------------

struct volume_kind {
	const char *folder; // of the plug-in below <pod>/volumes, NULL: elsewhere
	make_fn *make;
};

static const struct volume_kind *volume_kind(const struct core_v1_volume *volume)
{
	static const struct volume_kind empty_dir = {"kubernetes.io~empty-dir", make_empty_dir};
	static const struct volume_kind host_path = {NULL, make_host_path};
	static const struct volume_kind config_map = {"kubernetes.io~configmap", make_files};
	static const struct volume_kind secret = {"kubernetes.io~secret", make_files};
	static const struct volume_kind downward = {"kubernetes.io~downward-api", make_files};
	static const struct volume_kind projected = {"kubernetes.io~projected", make_files};
	return volume->empty_dir      ? &empty_dir
	       : volume->host_path    ? &host_path
	       : volume->config_map   ? &config_map
	       : volume->secret       ? &secret
	       : volume->downward_api ? &downward
	       : volume->projected    ? &projected
	                              : NULL;
}

static char *volume_path(struct arena *arena, const char *pod_directory, const struct core_v1_volume *volume)
{
	const struct volume_kind *kind = volume_kind(volume);
	if (!kind)
		return NULL;
	if (!kind->folder)
		return arena_strdup(arena, volume->host_path->path);
	return arena_printf(arena, "%s/volumes/%s/%s", pod_directory, kind->folder, volume->name);
}

char *pod_volumes_path(struct arena *arena, const struct pod *pod, const char *volume_name)
{
	for (size_t index = 0; index < pod->view->spec.volumes.count; index++)
		if (!strcmp(pod->view->spec.volumes.items[index].name, volume_name))
			return volume_path(arena, pod->directory, &pod->view->spec.volumes.items[index]);
	return NULL;
}

bool pod_volumes_is_read_only(const struct pod *pod, const char *volume_name)
{
	for (size_t index = 0; index < pod->view->spec.volumes.count; index++) {
		const struct core_v1_volume *volume = &pod->view->spec.volumes.items[index];
		if (!strcmp(volume->name, volume_name))
			return volume->config_map || volume->secret || volume->projected || volume->downward_api;
	}
	return false;
}

// Upstream's words: the space before the colon is theirs.
static int name_volume(struct err *err, const struct core_v1_volume *volume)
{
	return err_wrap(err, "MountVolume.SetUp failed for volume \"%s\" ", volume->name);
}

static int make_volume(struct mount_job *job, const struct core_v1_volume *volume, struct err *err)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	const struct volume_kind *kind = volume_kind(volume);
	int result = kind ? kind->make(job, volume, volume_path(arena, job->directory, volume), err)
	                  : err_set(err, ERR_INVALID, "no volume plugin matched");
	return result < 0 ? name_volume(err, volume) : 0;
}

static void make_all(struct work *work)
{
	struct mount_job *job = container_of(work, struct mount_job, work);
	for (size_t index = 0; index < job->view->spec.volumes.count; index++)
		if (make_volume(job, &job->view->spec.volumes.items[index], &job->err) < 0)
			return;
}

static void mount_job_finish(struct mount_job *job)
{
	job->done(job->pod, job->err.code == ERR_NONE ? NULL : &job->err);
	object_bundle_free(job->bundle);
	api_object_unref(job->object);
	free(job);
}

static void on_made(struct work *work)
{
	mount_job_finish(container_of(work, struct mount_job, work));
}

static void on_tokens(void *context, const struct err *err)
{
	struct mount_job *job = context;
	if (err) {
		job->err = *err;
		mount_job_finish(job);
		return;
	}
	work_pool_submit(job->pod->kubelet->pool, &job->work, job->pod->kubelet->loop, make_all, on_made);
}

static bool lacks(const struct object_bundle *bundle, enum object_cache_kind kind, const char *name,
                  const bool *optional)
{
	return !is_true(optional) && !object_bundle_get(bundle, kind, name);
}

static bool lacks_object(const struct object_bundle *bundle, const struct core_v1_volume *volume)
{
	if (volume->config_map)
		return lacks(bundle, OBJECT_CONFIG_MAP, volume->config_map->name, volume->config_map->optional);
	if (volume->secret)
		return lacks(bundle, OBJECT_SECRET, volume->secret->secret_name, volume->secret->optional);
	for (size_t index = 0; volume->projected && index < volume->projected->sources.count; index++) {
		const struct core_v1_volume_projection *source = &volume->projected->sources.items[index];
		if (source->config_map &&
		    lacks(bundle, OBJECT_CONFIG_MAP, source->config_map->name, source->config_map->optional))
			return true;
		if (source->secret && lacks(bundle, OBJECT_SECRET, source->secret->name, source->secret->optional))
			return true;
	}
	return false;
}

static void name_lacking_volume(struct mount_job *job)
{
	for (size_t index = 0; index < job->view->spec.volumes.count; index++) {
		const struct core_v1_volume *volume = &job->view->spec.volumes.items[index];
		if (lacks_object(job->bundle, volume)) {
			(void)name_volume(&job->err, volume);
			return;
		}
	}
	(void)err_wrap(&job->err, "MountVolume.SetUp failed");
}

static void on_fetched(void *context, const struct err *err)
{
	struct mount_job *job = context;
	if (err) {
		job->err = *err;
		name_lacking_volume(job);
		mount_job_finish(job);
		return;
	}
	token_set_refresh(job->volumes->tokens, job->pod, on_tokens, job);
}

static void collect_projection(struct object_bundle *bundle, const struct core_v1_volume_projection *source)
{
	if (source->config_map)
		object_bundle_add(bundle, OBJECT_CONFIG_MAP, source->config_map->name,
		                  is_true(source->config_map->optional));
	if (source->secret)
		object_bundle_add(bundle, OBJECT_SECRET, source->secret->name, is_true(source->secret->optional));
}

static void collect_references(const struct core_v1_pod *pod, struct object_bundle *bundle)
{
	for (size_t index = 0; index < pod->spec.volumes.count; index++) {
		const struct core_v1_volume *volume = &pod->spec.volumes.items[index];
		if (volume->config_map)
			object_bundle_add(bundle, OBJECT_CONFIG_MAP, volume->config_map->name,
			                  is_true(volume->config_map->optional));
		if (volume->secret)
			object_bundle_add(bundle, OBJECT_SECRET, volume->secret->secret_name,
			                  is_true(volume->secret->optional));
		for (size_t source = 0; volume->projected && source < volume->projected->sources.count; source++)
			collect_projection(bundle, &volume->projected->sources.items[source]);
	}
}

bool pod_volumes_follow_objects(const struct pod *pod)
{
	for (size_t index = 0; index < pod->view->spec.volumes.count; index++) {
		const struct core_v1_volume *volume = &pod->view->spec.volumes.items[index];
		if (volume->config_map || volume->secret || volume->projected || volume->downward_api)
			return true;
	}
	return false;
}

void pod_volumes_mount(struct pod *pod, void (*done)(struct pod *pod, const struct err *err))
{
	if (!pod->volumes) {
		pod->volumes = NEW(struct pod_volumes);
		pod->volumes->fingerprints = hashmap_new(free);
		pod->volumes->tokens = token_set_new();
	}
	const struct core_v1_pod_security_context *security = pod->view->spec.security_context;
	struct mount_job *job = NEW(struct mount_job);
	*job = (struct mount_job){
	        .pod = pod,
	        .object = api_object_ref(pod->object),
	        .view = pod->view,
	        .directory = pod->directory,
	        .bundle = object_bundle_new(pod->namespace_name),
	        .facts = {.host_ip = pod->kubelet->node_ip,
	                  .node_milli_cpu = sysconf(_SC_NPROCESSORS_ONLN) * 1000,
	                  .node_memory_bytes = pod->kubelet->node_memory_bytes},
	        .volumes = pod->volumes,
	        .group = security && security->fs_group ? *security->fs_group : -1,
	        .done = done,
	};
	collect_references(pod->view, job->bundle);
	object_bundle_fetch(pod->kubelet->objects, job->bundle, OBJECT_MAX_AGE_NS, on_fetched, job);
}

// --- taking down -----------------------------------------------------------------------------------

struct pod_volumes *pod_volumes_free(struct pod_volumes *volumes)
{
	if (!volumes)
		return NULL;
	hashmap_free(volumes->fingerprints);
	token_set_free(volumes->tokens);
	free(volumes);
	return NULL;
}

struct unmount_job {
	struct work work;
	struct pod *pod;
	struct err err;
	void (*done)(struct pod *pod, const struct err *err);
};

static void remove_all(struct work *work)
{
	struct unmount_job *job = container_of(work, struct unmount_job, work);
	static const char *const folders[] = {"volume-subpaths", "volumes"};
	for (size_t index = 0; index < ARRAY_SIZE(folders); index++) {
		AUTO_FREE char *path = xasprintf("%s/%s", job->pod->directory, folders[index]);
		if (mounts_remove_tree(path, &job->err) < 0)
			return;
	}
}

static void on_removed(struct work *work)
{
	struct unmount_job *job = container_of(work, struct unmount_job, work);
	struct pod *pod = job->pod;
	pod->volumes = pod_volumes_free(pod->volumes);
	job->done(pod, job->err.code == ERR_NONE ? NULL : &job->err);
	free(job);
}

void pod_volumes_unmount(struct pod *pod, void (*done)(struct pod *pod, const struct err *err))
{
	struct unmount_job *job = NEW(struct unmount_job);
	*job = (struct unmount_job){.pod = pod, .done = done};
	work_pool_submit(pod->kubelet->pool, &job->work, pod->kubelet->loop, remove_all, on_removed);
}
