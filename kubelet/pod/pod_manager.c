// SPDX-License-Identifier: Apache-2.0
// The start, after a restart or for the first time:
//
//   1. Records: a worker for each pod directory, in the state that the records tell.
//   2. The runtime's list, as soon as it is ready: recorded runs that still run are
//      adopted; those that don't have ended (the code is collected where the runtime
//      still knows it); containers that no record knows are removed, and so are run
//      directories without a run and cgroups without a pod. Then the manager is open:
//      workers may act.
//   3. Sources: the API's first full list, the manifest folder. A pod that is in
//      neither is taken down. Without an apiserver answering, pods that ran go on.

#include "kubelet/pod/pod_manager.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/hashmap.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "kubelet/cgroup.h"
#include "kubelet/kubelet.h"
#include "kubelet/node/node_agent.h"
#include "kubelet/pod/container.h"
#include "kubelet/pod/mirror.h"
#include "kubelet/pod/pod_record.h"
#include "kubelet/pod/pod_sandbox.h"
#include "kubelet/pod/pod_worker.h"
#include "kubelet/runtime/runtime.h"
#include "kubelet/volumes/mounts.h"

#define MIRROR_ANNOTATION "kubernetes.io/config.mirror"
#define LIST_RETRY_NS (1 * NSEC_PER_SEC)

enum { MAX_CGROUPS = 4096 };

struct pod_manager {
	struct kubelet *kubelet;
	struct hashmap *pods; // uid → struct pod
	struct api_object **static_objects;
	size_t static_count;
	bool open;
	bool halted;
	bool listing;
	bool api_synced;
	bool static_synced;
	struct loop_timer list_timer;
	unsigned collecting;
};

static void apply_static(struct pod_manager *manager);

bool pod_manager_is_open(const struct pod_manager *manager)
{
	return manager && manager->open;
}

void pod_manager_halt(struct pod_manager *manager)
{
	manager->halted = true;
	manager->open = false;
}

static bool pod_is_idle(const struct pod *pod)
{
	for (size_t index = 0; index < pod->container_count; index++)
		if (pod->containers[index]->start || pod->containers[index]->removing)
			return false;
	return !pod->gone && !pod->refreshing && !pod->sandbox.op && pod->volumes_state != PART_WORKING;
}

bool pod_manager_is_idle(struct pod_manager *manager)
{
	struct hashmap_cursor cursor = HASHMAP_CURSOR_INIT;
	for (struct pod *pod; (pod = pod_manager_next(manager, &cursor));)
		if (!pod_is_idle(pod))
			return false;
	return !manager->listing && !manager->collecting;
}

size_t pod_manager_count(const struct pod_manager *manager)
{
	return hashmap_count(manager->pods);
}

struct pod *pod_manager_next(struct pod_manager *manager, struct hashmap_cursor *cursor)
{
	return hashmap_next(manager->pods, cursor) ? cursor->value : NULL;
}

struct pod *pod_manager_find(struct pod_manager *manager, const char *namespace_name, const char *name, const char *uid)
{
	struct hashmap_cursor cursor = HASHMAP_CURSOR_INIT;
	struct pod *found = NULL;
	for (struct pod *pod; (pod = pod_manager_next(manager, &cursor));) {
		if (pod->gone || strcmp(pod->namespace_name, namespace_name) || strcmp(pod->name, name))
			continue;
		if (uid ? !strcmp(pod->uid, uid) : !found || found->terminating)
			found = pod;
	}
	return found;
}

// --- what the runtime says -------------------------------------------------------------------

static struct pod_container *find_run(struct pod_manager *manager, const char *id)
{
	struct hashmap_cursor cursor = HASHMAP_CURSOR_INIT;
	for (struct pod *pod; (pod = pod_manager_next(manager, &cursor));)
		for (size_t index = 0; index < pod->container_count; index++)
			if (!strcmp(pod->containers[index]->run.id, id))
				return pod->containers[index];
	return NULL;
}

static struct pod *find_sandbox(struct pod_manager *manager, const char *id)
{
	struct hashmap_cursor cursor = HASHMAP_CURSOR_INIT;
	for (struct pod *pod; (pod = pod_manager_next(manager, &cursor));)
		if (!strcmp(pod->sandbox.id, id))
			return pod;
	return NULL;
}

static void on_exit_event(void *context, const char *id, int exit_code, int64_t exited_at_ns)
{
	struct pod_manager *manager = context;
	struct pod_container *container = find_run(manager, id);
	struct pod *pod = container ? NULL : find_sandbox(manager, id);
	if (container)
		container_ended(container, exit_code, exited_at_ns);
	else if (pod)
		pod_sandbox_lost(pod, "its pause container has ended");
}

static void on_oom_event(void *context, const char *id)
{
	struct pod_container *container = find_run(context, id);
	if (container)
		container->oom_seen = true;
}

static void list_runtime(struct pod_manager *manager);

static void on_ready_changed(void *context, bool ready)
{
	struct pod_manager *manager = context;
	if (ready && !manager->open)
		list_runtime(manager);
	node_agent_wake(manager->kubelet->node);
}

// --- the runtime's list --------------------------------------------------------------------------

static void open_gates(struct pod_manager *manager)
{
	struct hashmap_cursor cursor = HASHMAP_CURSOR_INIT;
	if (manager->open || manager->halted || manager->collecting)
		return;
	manager->open = true;
	log_info("Pods may move", kv_int("pods", (int64_t)hashmap_count(manager->pods)));
	for (struct pod *pod; (pod = pod_manager_next(manager, &cursor));)
		pod_wake(pod);
	apply_static(manager);
}

struct collect {
	struct pod_manager *manager;
	struct pod_container *container;
};

static void on_collected(void *context, int exit_code)
{
	struct collect *collect = context;
	struct pod_container *container = collect->container;
	struct pod_manager *manager = collect->manager;
	if (exit_code < 0) {
		free(container->run.reason);
		container->run.reason = xstrdup("ContainerStatusUnknown");
		free(container->run.message);
		container->run.message = xstrdup("The container could not be located when the pod was terminated");
	}
	container_ended(container, exit_code < 0 ? 137 : exit_code, loop_realtime_ns(manager->kubelet->loop));
	manager->collecting--;
	free(collect);
	open_gates(manager);
}

static void run_is_over(struct pod_manager *manager, struct pod_container *container)
{
	struct runtime *runtime = manager->kubelet->runtime;
	struct collect *collect = NEW(struct collect);
	*collect = (struct collect){.manager = manager, .container = container};
	manager->collecting++;
	runtime->operations->container_collect(runtime, container->run.id, on_collected, collect);
}

static const struct runtime_container *find_listed(const struct runtime_container *containers, size_t count,
                                                   const char *id)
{
	for (size_t index = 0; index < count; index++)
		if (!strcmp(containers[index].id, id))
			return &containers[index];
	return NULL;
}

// Run directories of which nothing runs.
static void remove_leftovers(struct pod_container *container)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	DIR *stream = opendir(pod_container_directory(arena, container->pod, container->name));
	for (struct dirent *entry; stream && (entry = readdir(stream));) {
		bool is_run = entry->d_type == DT_DIR && strlen(entry->d_name) == CONTAINER_ID_BYTES - 1;
		bool is_live = container->state == CONTAINER_RUNNING && !strcmp(entry->d_name, container->run.id);
		if (is_run && !is_live)
			container_remove_run(container, entry->d_name);
	}
	if (stream)
		closedir(stream);
}

static void reconcile_pod(struct pod_manager *manager, struct pod *pod, const struct runtime_container *containers,
                          size_t count)
{
	const struct runtime_container *pause =
	        pod->sandbox.state == PART_READY ? find_listed(containers, count, pod->sandbox.id) : NULL;
	bool network = !pod->sandbox.network_path || mounts_is_mount_point(pod->sandbox.network_path);
	if (pause)
		pod->sandbox.pid = pause->pid;
	for (size_t index = 0; index < pod->container_count; index++) {
		struct pod_container *container = pod->containers[index];
		if (!container->has_run || container->run.finished_at_ns)
			continue;
		const struct runtime_container *listed = find_listed(containers, count, container->run.id);
		if (!container->run.started_at_ns)
			container->run.started_at_ns = container->run.created_at_ns;
		if (listed && listed->state == RUNTIME_RUNNING) {
			container_adopt(container, listed->pid);
			continue;
		}
		container->state = CONTAINER_RUNNING; // until the end is booked
		run_is_over(manager, container);
	}
	for (size_t index = 0; index < pod->container_count; index++)
		remove_leftovers(pod->containers[index]);
	if (pod->sandbox.state == PART_READY && (!pause || pause->state != RUNTIME_RUNNING || !network))
		pod_sandbox_lost(pod, "it did not survive");
}

static void on_stray_removed(void *context, const struct err *err)
{
	(void)context;
	if (err)
		log_error("Could not remove a container that belongs to no pod", kv_err(err));
}

static void remove_strays(struct pod_manager *manager, const struct runtime_container *containers, size_t count)
{
	struct runtime *runtime = manager->kubelet->runtime;
	for (size_t index = 0; index < count; index++) {
		if (find_run(manager, containers[index].id) || find_sandbox(manager, containers[index].id))
			continue;
		AUTO_FREE char *directory =
		        xasprintf("%s/strays/%s", manager->kubelet->config->root_directory, containers[index].id);
		log_info("Removing a container that belongs to no pod", kv_str("id", containers[index].id));
		runtime->operations->container_remove(runtime, containers[index].id, directory, on_stray_removed,
		                                      manager);
	}
}

static void remove_stray_cgroups(struct pod_manager *manager)
{
	static const char *const folders[] = {"", "/burstable", "/besteffort"};
	AUTO(arena_free) struct arena *arena = arena_new(0);
	const char *root = manager->kubelet->config->cgroup_root;
	const char **names = ARENA_ARRAY(arena, const char *, MAX_CGROUPS);
	for (size_t folder = 0; folder < ARRAY_SIZE(folders); folder++) {
		const char *parent =
		        arena_printf(arena, "%s/kubepods%s", strcmp(root, "/") ? root : "", folders[folder]);
		size_t count = cgroup_list(arena, parent, names, MAX_CGROUPS);
		for (size_t index = 0; index < count; index++) {
			if (strncmp(names[index], "pod", 3) || hashmap_get(manager->pods, names[index] + 3))
				continue;
			struct err err = ERR_INIT;
			if (cgroup_remove(arena_printf(arena, "%s/%s", parent, names[index]), &err) < 0)
				log_error("Could not remove a cgroup that belongs to no pod", kv_err(&err));
		}
	}
}

static void on_list_timer(struct loop_timer *timer)
{
	list_runtime(container_of(timer, struct pod_manager, list_timer));
}

static void on_listed(void *context, const struct runtime_container *containers, size_t count, const struct err *err)
{
	struct pod_manager *manager = context;
	manager->listing = false;
	if (err) {
		log_error("Could not list containers", kv_err(err));
		loop_timer_start(manager->kubelet->loop, &manager->list_timer, LIST_RETRY_NS, on_list_timer);
		return;
	}
	struct hashmap_cursor cursor = HASHMAP_CURSOR_INIT;
	for (struct pod *pod; (pod = pod_manager_next(manager, &cursor));)
		reconcile_pod(manager, pod, containers, count);
	remove_strays(manager, containers, count);
	remove_stray_cgroups(manager);
	open_gates(manager);
}

static void list_runtime(struct pod_manager *manager)
{
	struct runtime *runtime = manager->kubelet->runtime;
	if (manager->listing || manager->open || manager->halted)
		return;
	manager->listing = true;
	runtime->operations->container_list(runtime, on_listed, manager);
}

// --- records ----------------------------------------------------------------------------------------

static void load_records(struct pod_manager *manager)
{
	AUTO_FREE char *folder = xasprintf("%s/pods", manager->kubelet->config->root_directory);
	DIR *stream = opendir(folder);
	for (struct dirent *entry; stream && (entry = readdir(stream));) {
		if (entry->d_name[0] == '.' || entry->d_type != DT_DIR)
			continue;
		AUTO_FREE char *directory = xasprintf("%s/%s", folder, entry->d_name);
		enum pod_origin origin;
		AUTO(api_object_unref) struct api_object *object = pod_record_load_object(directory, &origin);
		if (object && !strcmp(object->uid, entry->d_name)) {
			hashmap_put(manager->pods, object->uid, pod_worker_new(manager->kubelet, object, origin));
			continue;
		}
		struct err err = ERR_INIT;
		log_warning("Removing a pod directory without a record", kv_str("path", directory));
		if (mounts_remove_tree(directory, &err) < 0)
			log_error("Could not remove a pod directory", kv_err(&err));
	}
	if (stream)
		closedir(stream);
}

struct pod_manager *pod_manager_new(struct kubelet *kubelet)
{
	struct pod_manager *manager = NEW(struct pod_manager);
	*manager = (struct pod_manager){
	        .kubelet = kubelet,
	        .pods = hashmap_new(NULL),
	        .api_synced = !kubelet->client,
	        .static_synced = !*kubelet->config->static_pod_path,
	};
	struct runtime_listener listener = {
	        .on_exit = on_exit_event,
	        .on_oom = on_oom_event,
	        .on_ready_changed = on_ready_changed,
	        .context = manager,
	};
	kubelet->runtime->operations->set_listener(kubelet->runtime, &listener);
	load_records(manager);
	return manager;
}

struct pod_manager *pod_manager_free(struct pod_manager *manager)
{
	struct hashmap_cursor cursor = HASHMAP_CURSOR_INIT;
	if (!manager)
		return NULL;
	loop_timer_stop(&manager->list_timer);
	for (struct pod *pod; (pod = pod_manager_next(manager, &cursor));)
		pod_worker_abandon(pod);
	for (size_t index = 0; index < manager->static_count; index++)
		api_object_unref(manager->static_objects[index]);
	free(manager->static_objects);
	hashmap_free(manager->pods);
	free(manager);
	return NULL;
}

void pod_manager_forget(struct pod_manager *manager, struct pod *pod)
{
	hashmap_remove(manager->pods, pod->uid);
	if (pod->origin == POD_FROM_FILE) // its successor of the same name may begin
		apply_static(manager);
}

// --- sources -----------------------------------------------------------------------------------------

static struct pod *add_pod(struct pod_manager *manager, struct api_object *object, enum pod_origin origin)
{
	struct pod *pod = pod_worker_new(manager->kubelet, object, origin);
	hashmap_put(manager->pods, pod->uid, pod);
	pod_wake(pod);
	return pod;
}

void pod_manager_api_pod(struct pod_manager *manager, const char *uid, struct api_object *object)
{
	struct pod *pod = hashmap_get(manager->pods, uid);
	bool mirror = object && string_map_get(&api_object_metadata(object)->annotations, MIRROR_ANNOTATION);
	if (pod && pod->origin == POD_FROM_FILE)
		return;
	if (object && !mirror && !pod)
		add_pod(manager, object, POD_FROM_API);
	else if (object && !mirror && !pod->gone)
		pod_worker_update(pod, object);
	else if (!object && pod && !pod->gone)
		pod_worker_orphan(pod);
}

// What was recorded and came in no list is to go.
void pod_manager_api_synced(struct pod_manager *manager)
{
	struct hashmap_cursor cursor = HASHMAP_CURSOR_INIT;
	manager->api_synced = true;
	for (struct pod *pod; (pod = pod_manager_next(manager, &cursor));) {
		struct api_object *present = informer_get(manager->kubelet->api_pods, pod->namespace_name, pod->name);
		if (pod->origin == POD_FROM_API && (!present || strcmp(present->uid, pod->uid)))
			pod_worker_orphan(pod);
	}
}

static bool name_is_taken(struct pod_manager *manager, const struct api_object *object)
{
	struct hashmap_cursor cursor = HASHMAP_CURSOR_INIT;
	for (struct pod *pod; (pod = pod_manager_next(manager, &cursor));)
		if (pod->origin == POD_FROM_FILE && !strcmp(pod->name, object->name) &&
		    !strcmp(pod->namespace_name, object->namespace_name))
			return true;
	return false;
}

static void apply_static(struct pod_manager *manager)
{
	struct hashmap_cursor cursor = HASHMAP_CURSOR_INIT;
	if (!manager->static_synced)
		return;
	for (struct pod *pod; (pod = pod_manager_next(manager, &cursor));) {
		bool wanted = pod->origin != POD_FROM_FILE;
		for (size_t index = 0; index < manager->static_count && !wanted; index++)
			wanted = !strcmp(manager->static_objects[index]->uid, pod->uid);
		if (!wanted && !pod->gone && !pod->orphaned)
			pod_worker_orphan(pod);
	}
	for (size_t index = 0; index < manager->static_count; index++) {
		struct api_object *object = manager->static_objects[index];
		if (!hashmap_get(manager->pods, object->uid) && !name_is_taken(manager, object))
			add_pod(manager, object, POD_FROM_FILE);
	}
	mirror_wake(manager->kubelet->mirror);
}

void pod_manager_set_static(struct pod_manager *manager, struct api_object *const *objects, size_t count)
{
	for (size_t index = 0; index < manager->static_count; index++)
		api_object_unref(manager->static_objects[index]);
	manager->static_objects = xreallocarray(manager->static_objects, count + 1, sizeof(*objects));
	for (size_t index = 0; index < count; index++)
		manager->static_objects[index] = api_object_ref(objects[index]);
	manager->static_count = count;
	manager->static_synced = true;
	apply_static(manager);
}
