// SPDX-License-Identifier: Apache-2.0
// The folder is watched by inotify and read again, as a whole, a moment after any
// change and at every file-check period. A manifest that can't be read keeps nothing
// alive: its pod goes when the file no longer says it, which is what the file's owner
// sees in the log. Names that begin with a dot are left out.
//
// The uid is made of the node's name, the file's path and its text: a changed file is
// another pod, which begins when the former one has ended.

#include "kubelet/pod/static_pods.h"

#include <dirent.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/api/decode.h"
#include "common/api/object.h"
#include "common/api/yaml.h"
#include "common/base/encode.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/client/informer.h"
#include "kubelet/kubelet.h"
#include "kubelet/pod/pod_manager.h"

#define SETTLE_NS (100 * NSEC_PER_MSEC)

enum { MAX_MANIFEST_BYTES = 10 << 20, MAX_MANIFESTS = 500 };

struct static_pods {
	struct kubelet *kubelet;
	int inotify_fd;
	struct loop_fd source;
	struct loop_timer timer;
	bool missing_told;
};

// --- one manifest -----------------------------------------------------------------------------

static void make_uid(const char *node_name, const char *path, const char *text, size_t length, char out[33])
{
	unsigned char digest[32];
	unsigned digest_length = sizeof(digest);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	EVP_DigestInit_ex(context, EVP_sha256(), NULL);
	EVP_DigestUpdate(context, node_name, strlen(node_name) + 1);
	EVP_DigestUpdate(context, path, strlen(path) + 1);
	EVP_DigestUpdate(context, text, length);
	EVP_DigestFinal_ex(context, digest, &digest_length);
	EVP_MD_CTX_free(context);
	hex_encode(out, digest, 16);
}

static void tolerate_everything(struct arena *arena, struct json *spec)
{
	struct json *toleration = json_object(arena);
	json_set_text(arena, toleration, "operator", "Exists");
	json_set_text(arena, toleration, "effect", "NoExecute");
	json_append(arena, json_ensure_array(arena, spec, "tolerations"), toleration);
}

static int check(const struct json *value, struct err *err)
{
	const char *kind = object_kind(value);
	const char *version = object_api_version(value);
	if (!kind || strcmp(kind, "Pod") || !version || strcmp(version, "v1"))
		return err_set(err, ERR_INVALID, "not a v1 Pod");
	if (!object_name(value) || !*object_name(value))
		return err_set(err, ERR_INVALID, "metadata.name: Required value: name or generateName is required");
	const struct json *containers = json_path(value, "spec", "containers");
	if (!json_is(containers, JSON_ARRAY) || !containers->length)
		return err_set(err, ERR_INVALID, "spec.containers: Required value");
	json_for_each_item (container, containers)
		if (!json_get_text(container, "name") || !json_get_text(container, "image"))
			return err_set(err, ERR_INVALID, "spec.containers: Required value: name and image");
	return 0;
}

int static_pod_decode(const char *path, const char *text, size_t length, const char *node_name,
                      struct api_object **ret_object, struct err *err)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct yaml_document *documents;
	size_t count;
	int result = yaml_parse(arena, text, length, NULL, &documents, &count, err);
	if (result < 0)
		return result;
	if (count != 1)
		return err_set(err, ERR_INVALID, "expected one Pod, found %zu documents", count);
	struct json *value = documents[0].value;
	result = check(value, err);
	if (result < 0)
		return result;
	const struct schema_resource *resource = schema_find_resource("", "v1", "pods");
	struct decode_issues issues = {0};
	result = schema_normalize(arena, resource->type, value, &issues, err);
	if (result < 0)
		return result;
	schema_apply_defaults(arena, resource->type, value);
	struct json *metadata = json_ensure_object(arena, value, "metadata");
	char uid[33];
	char now[API_TIME_BYTES];
	make_uid(node_name, path, text, length, uid);
	api_time_format(clock_realtime_ns(&clock_system), now);
	if (!object_namespace(value) || !*object_namespace(value))
		json_set_text(arena, metadata, "namespace", "default");
	json_set_text(arena, metadata, "name", arena_printf(arena, "%s-%s", object_name(value), node_name));
	json_set_text(arena, metadata, "uid", uid);
	struct json *annotations = json_ensure_object(arena, metadata, "annotations");
	json_set_text(arena, annotations, "kubernetes.io/config.hash", uid);
	json_set_text(arena, annotations, "kubernetes.io/config.seen", now);
	json_set_text(arena, annotations, "kubernetes.io/config.source", "file");
	struct json *spec = json_get(value, "spec");
	json_set_text(arena, spec, "nodeName", node_name);
	tolerate_everything(arena, spec);
	return api_object_new(resource, value, ret_object, err);
}

// --- the folder ---------------------------------------------------------------------------------

struct scan {
	struct static_pods *pods;
	struct api_object *objects[MAX_MANIFESTS];
	size_t count;
};

static void read_manifest(struct scan *scan, const char *path)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(MAX_MANIFEST_BYTES);
	struct err err = ERR_INIT;
	struct api_object *object;
	if (file_read(path, &text, &err) < 0 || static_pod_decode(path, strbuf_text(&text), text.length,
	                                                          scan->pods->kubelet->node_name, &object, &err) < 0) {
		if (err.code != ERR_NOT_FOUND)
			log_error("Could not read a static pod's manifest", kv_str("path", path), kv_err(&err));
		return;
	}
	for (size_t index = 0; index < scan->count; index++)
		if (!strcmp(scan->objects[index]->key, object->key)) {
			log_error("Two manifests give the same pod", kv_str("path", path), kv_str("pod", object->key));
			api_object_unref(object);
			return;
		}
	scan->objects[scan->count++] = object;
}

static int is_manifest(const struct dirent *entry)
{
	return entry->d_name[0] != '.' && (entry->d_type == DT_REG || entry->d_type == DT_LNK);
}

static void read_folder(struct scan *scan, const char *folder)
{
	struct dirent **entries = NULL;
	int count = scandir(folder, &entries, is_manifest, alphasort);
	for (int index = 0; index < count; index++) {
		AUTO_FREE char *path = xasprintf("%s/%s", folder, entries[index]->d_name);
		if (scan->count < MAX_MANIFESTS)
			read_manifest(scan, path);
		free(entries[index]);
	}
	free(entries);
}

static void read_all(struct static_pods *pods)
{
	const char *path = pods->kubelet->config->static_pod_path;
	AUTO_FREE struct scan *scan = NEW(struct scan);
	struct stat status;
	scan->pods = pods;
	if (stat(path, &status) < 0) {
		if (!pods->missing_told)
			log_warning("There is no folder of static pods", kv_str("path", path));
		pods->missing_told = true;
	} else if (S_ISDIR(status.st_mode)) {
		pods->missing_told = false;
		read_folder(scan, path);
	} else {
		read_manifest(scan, path);
	}
	pod_manager_set_static(pods->kubelet->pods, scan->objects, scan->count);
	for (size_t index = 0; index < scan->count; index++)
		api_object_unref(scan->objects[index]);
}

static void watch(struct static_pods *pods)
{
	if (pods->inotify_fd >= 0)
		inotify_add_watch(pods->inotify_fd, pods->kubelet->config->static_pod_path,
		                  IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB | IN_CREATE);
}

static void on_timer(struct loop_timer *timer)
{
	struct static_pods *pods = container_of(timer, struct static_pods, timer);
	watch(pods); // the folder may have come meanwhile; watching it twice is once
	read_all(pods);
	loop_timer_start(pods->kubelet->loop, &pods->timer, pods->kubelet->config->file_check_ns, on_timer);
}

static void on_change(struct loop_fd *source, unsigned ready)
{
	struct static_pods *pods = container_of(source, struct static_pods, source);
	char events[4096];
	(void)ready;
	while (read(pods->inotify_fd, events, sizeof(events)) > 0)
		;
	loop_timer_start(pods->kubelet->loop, &pods->timer, SETTLE_NS, on_timer);
}

struct static_pods *static_pods_new(struct kubelet *kubelet)
{
	struct static_pods *pods = NEW(struct static_pods);
	*pods = (struct static_pods){.kubelet = kubelet, .inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC)};
	if (pods->inotify_fd >= 0)
		loop_fd_start(kubelet->loop, &pods->source, pods->inotify_fd, LOOP_READ, on_change);
	loop_timer_start(kubelet->loop, &pods->timer, 0, on_timer);
	return pods;
}

struct static_pods *static_pods_free(struct static_pods *pods)
{
	if (!pods)
		return NULL;
	loop_timer_stop(&pods->timer);
	loop_fd_stop(&pods->source);
	if (pods->inotify_fd >= 0)
		close(pods->inotify_fd);
	free(pods);
	return NULL;
}
