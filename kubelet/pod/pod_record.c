// SPDX-License-Identifier: Apache-2.0
// The records are written with rename and without fsync: after a crash of the
// kubelet they are whole, and after a crash of the machine nothing runs any more
// that they would be needed for.

#include "kubelet/pod/pod_record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/api/object.h"
#include "common/api/view.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "kubelet/kubelet.h"

enum { MAX_RECORD_BYTES = 8 << 20 };

static int write_text(const char *path, const struct strbuf *text)
{
	AUTO_FREE char *beside = xasprintf("%s.new", path);
	int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	ssize_t written = write(fd, strbuf_text(text), text->length);
	int failure = written == (ssize_t)text->length ? 0 : written < 0 ? -errno : -ENOSPC;
	if (close(fd) < 0 && !failure)
		failure = -errno;
	if (!failure && rename(beside, path) < 0)
		failure = -errno;
	if (failure)
		unlink(beside);
	return failure;
}

static void write_record(const char *path, const struct json *value)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(MAX_RECORD_BYTES);
	json_write(&text, value);
	int failure = write_text(path, &text);
	if (failure)
		log_error("Could not write a record", kv_str("path", path), kv_str("err", strerror(-failure)));
}

static struct json *read_record(struct arena *arena, const char *path)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(MAX_RECORD_BYTES);
	struct json *value = NULL;
	struct err err = ERR_INIT;
	if (file_read(path, &text, &err) == 0 &&
	    json_parse(arena, strbuf_text(&text), text.length, NULL, &value, &err) == 0)
		return value;
	if (err.code != ERR_NOT_FOUND)
		log_error("Could not read a record", kv_str("path", path), kv_err(&err));
	return NULL;
}

static void set_text(struct arena *arena, struct json *object, const char *key, const char *text)
{
	if (text)
		json_set_text(arena, object, key, text);
}

// --- the object -------------------------------------------------------------------------

void pod_record_object(const struct pod *pod)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct json *record = json_object(arena);
	json_set_text(arena, record, "origin", pod->origin == POD_FROM_FILE ? "file" : "api");
	json_set_integer(arena, record, "startedAt", pod->started_at_ns);
	json_set(arena, record, "object", view_to_json(arena, pod->object->resource->type, pod->view));
	write_record(arena_printf(arena, "%s/pod.json", pod->directory), record);
}

struct api_object *pod_record_load_object(const char *directory, enum pod_origin *ret_origin)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	const struct json *record = read_record(arena, arena_printf(arena, "%s/pod.json", directory));
	const char *origin = json_get_text(record, "origin");
	struct api_object *object = NULL;
	struct err err = ERR_INIT;
	if (!record || !origin)
		return NULL;
	*ret_origin = strcmp(origin, "file") ? POD_FROM_API : POD_FROM_FILE;
	if (api_object_new(schema_find_resource("", "v1", "pods"), json_get(record, "object"), &object, &err) < 0) {
		log_error("Could not read a record", kv_str("path", directory), kv_err(&err));
		return NULL;
	}
	return object;
}

// --- the sandbox ---------------------------------------------------------------------------

void pod_record_sandbox(const struct pod *pod)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	const struct pod_sandbox *sandbox = &pod->sandbox;
	const char *path = arena_printf(arena, "%s/sandbox.json", pod->directory);
	if (sandbox->state == PART_NONE) {
		unlink(path);
		return;
	}
	struct json *record = json_object(arena);
	json_set_text(arena, record, "id", sandbox->id);
	json_set_bool(arena, record, "ready", sandbox->state == PART_READY);
	set_text(arena, record, "networkPath", sandbox->network_path);
	set_text(arena, record, "ipcPath", sandbox->ipc_path);
	set_text(arena, record, "utsPath", sandbox->uts_path);
	set_text(arena, record, "networkList", sandbox->network_list);
	set_text(arena, record, "networkResult", sandbox->network_result);
	json_set_integer(arena, record, "createdAt", sandbox->created_at_ns);
	struct json *addresses = json_ensure_array(arena, record, "addresses");
	for (size_t index = 0; index < sandbox->address_count; index++)
		json_append(arena, addresses, json_string(arena, sandbox->addresses[index]));
	write_record(path, record);
}

static char *take_text(const struct json *record, const char *key)
{
	return xstrdup(json_get_text(record, key));
}

static void load_sandbox(struct arena *arena, struct pod *pod)
{
	const struct json *record = read_record(arena, arena_printf(arena, "%s/sandbox.json", pod->directory));
	const char *id = json_get_text(record, "id");
	if (!id || strlen(id) >= CONTAINER_ID_BYTES)
		return;
	struct pod_sandbox *sandbox = &pod->sandbox;
	memcpy(sandbox->id, id, strlen(id) + 1);
	sandbox->state = json_get_bool(record, "ready", false) ? PART_READY : PART_BROKEN;
	sandbox->network_path = take_text(record, "networkPath");
	sandbox->ipc_path = take_text(record, "ipcPath");
	sandbox->uts_path = take_text(record, "utsPath");
	sandbox->network_list = take_text(record, "networkList");
	sandbox->network_result = take_text(record, "networkResult");
	json_get_integer(record, "createdAt", &sandbox->created_at_ns);
	json_for_each_item (address, json_get(record, "addresses"))
		if (json_text(address) && sandbox->address_count < POD_MAX_ADDRESSES)
			sandbox->addresses[sandbox->address_count++] = xstrdup(json_text(address));
}

// --- a container ---------------------------------------------------------------------------

static struct json *run_record(struct arena *arena, const struct container_run *run)
{
	struct json *record = json_object(arena);
	json_set_text(arena, record, "id", run->id);
	json_set_integer(arena, record, "createdAt", run->created_at_ns);
	json_set_integer(arena, record, "startedAt", run->started_at_ns);
	json_set_integer(arena, record, "finishedAt", run->finished_at_ns);
	json_set_integer(arena, record, "exitCode", run->exit_code);
	json_set_integer(arena, record, "restart", run->restart);
	set_text(arena, record, "reason", run->reason);
	set_text(arena, record, "message", run->message);
	set_text(arena, record, "image", run->image);
	set_text(arena, record, "imageID", run->image_id);
	set_text(arena, record, "stopSignal", run->stop_signal);
	return record;
}

static bool load_run(const struct json *record, struct container_run *run)
{
	const char *id = json_get_text(record, "id");
	if (!id || strlen(id) >= CONTAINER_ID_BYTES)
		return false;
	int64_t exit_code = 0;
	int64_t restart = 0;
	memcpy(run->id, id, strlen(id) + 1);
	json_get_integer(record, "createdAt", &run->created_at_ns);
	json_get_integer(record, "startedAt", &run->started_at_ns);
	json_get_integer(record, "finishedAt", &run->finished_at_ns);
	json_get_integer(record, "exitCode", &exit_code);
	json_get_integer(record, "restart", &restart);
	run->exit_code = (int)exit_code;
	run->restart = (int)restart;
	run->reason = take_text(record, "reason");
	run->message = take_text(record, "message");
	run->image = take_text(record, "image");
	run->image_id = take_text(record, "imageID");
	run->stop_signal = take_text(record, "stopSignal");
	return true;
}

void pod_record_container(const struct pod_container *container)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct json *record = json_object(arena);
	json_set_bool(arena, record, "waiting", container->state == CONTAINER_WAITING);
	json_set_integer(arena, record, "restartCount", container->restart_count);
	if (container->has_run)
		json_set(arena, record, "run", run_record(arena, &container->run));
	if (container->has_last)
		json_set(arena, record, "last", run_record(arena, &container->last));
	char *directory = pod_container_directory(arena, container->pod, container->name);
	write_record(arena_printf(arena, "%s/state.json", directory), record);
}

static void load_container(struct arena *arena, struct pod_container *container)
{
	char *directory = pod_container_directory(arena, container->pod, container->name);
	const struct json *record = read_record(arena, arena_printf(arena, "%s/state.json", directory));
	int64_t restart_count = 0;
	if (!record)
		return;
	json_get_integer(record, "restartCount", &restart_count);
	container->restart_count = (int)restart_count;
	container->has_run = load_run(json_get(record, "run"), &container->run);
	container->has_last = load_run(json_get(record, "last"), &container->last);
	if (container->has_run && !json_get_bool(record, "waiting", false))
		container->state = container->run.finished_at_ns ? CONTAINER_EXITED : CONTAINER_RUNNING;
}

void pod_record_load(struct pod *pod)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	const struct json *record = read_record(arena, arena_printf(arena, "%s/pod.json", pod->directory));
	json_get_integer(record, "startedAt", &pod->started_at_ns);
	load_sandbox(arena, pod);
	for (size_t index = 0; index < pod->container_count; index++)
		load_container(arena, pod->containers[index]);
}
