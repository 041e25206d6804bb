// SPDX-License-Identifier: Apache-2.0
// A pod's worker. Every change (a newer object, a container's end, a finished step, a
// timer) only wakes it; pod_sync then looks at the whole pod, makes the plan, starts
// its actions, and reports the status. Actions end by changing the pod's state and
// waking it again. So there are no continuations to lose, and a restart of the kubelet
// is one more look.
//
//   new ──pod_wake──▶ sync ─▶ plan ─▶ actions ─▶ (later) wake …
//                                └─ FINISH ─▶ finished
//        finished & deleted in the API ─▶ last status ─▶ DELETE ─▶ orphan
//        finished & orphan             ─▶ files removed ─▶ freed
//
// Upstream's counterpart: pod_workers.go and kuberuntime_manager.go's SyncPod.

#include "kubelet/pod/pod_worker.h"

#include <stdio.h>
#include <string.h>

#include "common/base/encode.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "kubelet/kubelet.h"
#include "kubelet/pod/container.h"
#include "kubelet/pod/pod_admission.h"
#include "kubelet/pod/pod_manager.h"
#include "kubelet/pod/pod_record.h"
#include "kubelet/pod/pod_resize.h"
#include "kubelet/pod/pod_sandbox.h"
#include "kubelet/pod/pod_status.h"
#include "kubelet/pod/status_writer.h"
#include "kubelet/volumes/mounts.h"
#include "kubelet/volumes/pod_volumes.h"

#define REFRESH_NS (60 * NSEC_PER_SEC)
#define IMAGE_BACKOFF_SHOWN_NS (5 * NSEC_PER_SEC)
#define VOLUME_FIRST_RETRY_NS (500 * NSEC_PER_MSEC)
#define VOLUME_MAX_RETRY_NS (120 * NSEC_PER_SEC)
#define DEFAULT_GRACE_SECONDS 30

static void pod_sync(struct pod *pod);

static int64_t now_ns(const struct pod *pod)
{
	return loop_now_ns(pod->kubelet->loop);
}

static void on_sync_timer(struct loop_timer *timer)
{
	pod_sync(container_of(timer, struct pod, sync_timer));
}

void pod_wake(struct pod *pod)
{
	if (!pod->gone)
		loop_timer_start(pod->kubelet->loop, &pod->sync_timer, 0, on_sync_timer);
}

// --- making ---------------------------------------------------------------------------------

static enum restart_policy restart_policy_of(const char *text)
{
	if (text && !strcmp(text, "Never"))
		return RESTART_NEVER;
	return text && !strcmp(text, "OnFailure") ? RESTART_ON_FAILURE : RESTART_ALWAYS;
}

static void add_container(struct pod *pod, const struct core_v1_container *spec, bool is_init)
{
	struct pod_container *container = NEW(struct pod_container);
	enum restart_policy policy = restart_policy_of(pod->view->spec.restart_policy);
	bool sidecar = is_init && spec->restart_policy && !strcmp(spec->restart_policy, "Always");
	if (is_init && policy == RESTART_ALWAYS)
		policy = RESTART_ON_FAILURE; // done once it has succeeded
	*container = (struct pod_container){
	        .pod = pod,
	        .index = pod->container_count,
	        .spec = spec,
	        .name = xstrdup(spec->name),
	        .kind = sidecar   ? CONTAINER_SIDECAR
	                : is_init ? CONTAINER_INIT
	                          : CONTAINER_REGULAR,
	        .restart_policy = sidecar ? RESTART_ALWAYS : policy,
	};
	pod->containers = xreallocarray(pod->containers, pod->container_count + 1, sizeof(*pod->containers));
	pod->containers[pod->container_count++] = container;
}

// An ephemeral container has the fields of another one, in the same order, and one more.
static const struct core_v1_container *as_container(const struct core_v1_ephemeral_container *spec)
{
	_Static_assert(offsetof(struct core_v1_ephemeral_container, lifecycle) ==
	                               offsetof(struct core_v1_container, lifecycle) &&
	                       offsetof(struct core_v1_ephemeral_container, target_container_name) >=
	                               offsetof(struct core_v1_container, tty) + sizeof(bool),
	               "ephemeral containers are read as containers");
	return (const struct core_v1_container *)spec;
}

// Those that the pod doesn't have yet.
static void add_ephemeral_containers(struct pod *pod, const struct core_v1_pod *view)
{
	const struct core_v1_ephemeral_container_array *list = &view->spec.ephemeral_containers;
	for (size_t index = 0; index < list->count; index++) {
		if (pod_find_container(pod, list->items[index].name))
			continue;
		add_container(pod, as_container(&list->items[index]), false);
		pod->containers[pod->container_count - 1]->kind = CONTAINER_EPHEMERAL;
		pod->containers[pod->container_count - 1]->restart_policy = RESTART_NEVER;
	}
}

static void make_containers(struct pod *pod)
{
	const struct core_v1_container_array *init = &pod->view->spec.init_containers;
	const struct core_v1_container_array *regular = &pod->view->spec.containers;
	for (size_t index = 0; index < init->count; index++)
		add_container(pod, &init->items[index], true);
	for (size_t index = 0; index < regular->count; index++)
		add_container(pod, &regular->items[index], false);
	add_ephemeral_containers(pod, pod->view);
}

static int64_t grace_of(const struct core_v1_pod *pod)
{
	const int64_t *seconds = pod->metadata.deletion_grace_period_seconds
	                                 ? pod->metadata.deletion_grace_period_seconds
	                                 : pod->spec.termination_grace_period_seconds;
	int64_t grace = seconds ? *seconds : DEFAULT_GRACE_SECONDS;
	return (grace < 0 ? 1 : grace) * NSEC_PER_SEC;
}

// What waits for another try to be made waits no longer to be taken down.
static void begin_termination(struct pod *pod)
{
	if (!pod->terminating) {
		pod->volumes_retry_at_ns = 0;
		pod->sandbox.retry_at_ns = 0;
	}
	pod->terminating = true;
}

static void note_deletion(struct pod *pod)
{
	if (!pod->view->metadata.deletion_timestamp)
		return;
	int64_t grace = grace_of(pod->view);
	if (!pod->terminating || grace < pod->grace_ns)
		pod->grace_ns = grace;
	if (!pod->terminating)
		log_info("Pod is being deleted", kv_obj("pod", pod->namespace_name, pod->name),
		         kv_str("podUID", pod->uid));
	begin_termination(pod);
}

static bool ran_its_course(const struct core_v1_pod *pod)
{
	return pod->status.phase && (!strcmp(pod->status.phase, "Succeeded") || !strcmp(pod->status.phase, "Failed"));
}

// A pod that the node can't take has failed before it began.
static void admit(struct pod *pod)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	const char *message = NULL;
	const char *reason = pod_admission_refuse(arena, pod->view, pod->kubelet->config, &message);
	if (!reason)
		return;
	pod_event(pod, NULL, "Warning", reason, "%s", message);
	pod->end_text = xasprintf("Pod was rejected: %s", message);
	pod->end_reason = reason;
	pod->end_message = pod->end_text;
	begin_termination(pod);
}

struct pod *pod_worker_new(struct kubelet *kubelet, struct api_object *object, enum pod_origin origin)
{
	struct pod *pod = NEW(struct pod);
	*pod = (struct pod){
	        .kubelet = kubelet,
	        .uid = xstrdup(object->uid),
	        .namespace_name = xstrdup(object->namespace_name),
	        .name = xstrdup(object->name),
	        .directory = xasprintf("%s/pods/%s", kubelet->config->root_directory, object->uid),
	        .origin = origin,
	        .object = api_object_ref(object),
	        .view = object->view,
	        .started_at_ns = loop_realtime_ns(kubelet->loop),
	};
	make_containers(pod);
	pod->grace_ns = grace_of(pod->view);
	pod->limits = pod_cgroup_limits(pod->view);
	AUTO_FREE char *record = xasprintf("%s/pod.json", pod->directory);
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(16 << 20);
	bool known = file_read(record, &text, NULL) == 0;
	if (known) {
		pod_record_load(pod);
		pod->volumes_state = PART_BROKEN; // to be gone through again
	} else if (origin == POD_FROM_API && ran_its_course(pod->view)) {
		pod->frozen = true;
		pod->finished = true;
	} else {
		struct err err = ERR_INIT;
		if (file_make_folders(pod->directory, 0750, &err) < 0)
			log_error("Could not make a pod's directory", kv_err(&err));
		pod_record_object(pod);
	}
	note_deletion(pod);
	if (!known && !pod->frozen)
		admit(pod);
	return pod;
}

// --- changes ---------------------------------------------------------------------------------

static const struct core_v1_container *find_spec(const struct core_v1_pod *pod, const struct pod_container *container)
{
	const struct core_v1_container_array *list =
	        container->kind == CONTAINER_REGULAR ? &pod->spec.containers : &pod->spec.init_containers;
	const struct core_v1_ephemeral_container_array *ephemeral = &pod->spec.ephemeral_containers;
	for (size_t index = 0; container->kind == CONTAINER_EPHEMERAL && index < ephemeral->count; index++)
		if (!strcmp(ephemeral->items[index].name, container->name))
			return as_container(&ephemeral->items[index]);
	for (size_t index = 0; index < list->count; index++)
		if (!strcmp(list->items[index].name, container->name))
			return &list->items[index];
	return NULL;
}

static void rebind_containers(struct pod *pod, const struct core_v1_pod *view)
{
	for (size_t index = 0; index < pod->container_count; index++) {
		struct pod_container *container = pod->containers[index];
		const struct core_v1_container *spec = find_spec(view, container);
		if (!spec)
			continue; // the apiserver doesn't allow it
		if (strcmp(spec->image, container->spec->image)) {
			container->restart_reason = "definition changed";
			container->must_restart = container->state == CONTAINER_RUNNING;
			container->restart_grace_ns = -1;
			container->retry_at_ns = 0;
			container->image_backoff.delay_ns = 0;
		}
		container->spec = spec;
	}
}

void pod_worker_update(struct pod *pod, struct api_object *object)
{
	if (pod->object == object)
		return;
	struct api_object *former = pod->object;
	rebind_containers(pod, object->view);
	add_ephemeral_containers(pod, object->view);
	pod->object = api_object_ref(object);
	pod->view = object->view;
	api_object_unref(former); // steps under way that refer to its texts hold references of their own
	pod_record_object(pod);
	note_deletion(pod);
	pod_resize_apply(pod);
	pod_wake(pod);
}

void pod_worker_orphan(struct pod *pod)
{
	pod->orphaned = true;
	begin_termination(pod);
	pod_wake(pod);
}

void pod_worker_end(struct pod *pod, const char *reason, const char *message)
{
	if (pod->end_reason)
		return;
	pod->end_reason = reason;
	pod->end_message = message;
	begin_termination(pod);
	pod_wake(pod);
}

// --- actions -----------------------------------------------------------------------------------

static void on_mounted(struct pod *pod, const struct err *err)
{
	if (err) {
		pod->volumes_state = PART_BROKEN;
		int64_t delay = pod->volumes_backoff.delay_ns * 2;
		pod->volumes_backoff.delay_ns = delay < VOLUME_FIRST_RETRY_NS ? VOLUME_FIRST_RETRY_NS
		                                : delay > VOLUME_MAX_RETRY_NS ? VOLUME_MAX_RETRY_NS
		                                                              : delay;
		pod->volumes_retry_at_ns = now_ns(pod) + pod->volumes_backoff.delay_ns;
		pod_event(pod, NULL, "Warning", "FailedMount", "%s", err->message);
		log_error("Could not make the pod's volumes", kv_obj("pod", pod->namespace_name, pod->name),
		          kv_err(err));
	} else {
		pod->volumes_state = PART_READY;
		pod->volumes_backoff.delay_ns = 0;
		pod->refresh_at_ns = now_ns(pod) + REFRESH_NS + (int64_t)random_below(10) * NSEC_PER_SEC;
	}
	pod_wake(pod);
}

static void mount_volumes(struct pod *pod, size_t index)
{
	(void)index;
	pod->volumes_state = PART_WORKING;
	pod_volumes_mount(pod, on_mounted);
}

static void on_unmounted(struct pod *pod, const struct err *err)
{
	pod->volumes_state = err ? PART_BROKEN : PART_NONE;
	if (err) {
		pod->volumes_retry_at_ns = now_ns(pod) + VOLUME_MAX_RETRY_NS / 60;
		log_error("Could not remove the pod's volumes", kv_obj("pod", pod->namespace_name, pod->name),
		          kv_err(err));
	}
	pod_wake(pod);
}

static void unmount_volumes(struct pod *pod, size_t index)
{
	(void)index;
	pod->volumes_state = PART_WORKING;
	pod_volumes_unmount(pod, on_unmounted);
}

static void start_sandbox(struct pod *pod, size_t index)
{
	(void)index;
	// In a new sandbox everything begins anew; what has run stays as history.
	for (size_t number = 0; number < pod->container_count; number++)
		if (pod->containers[number]->state == CONTAINER_EXITED &&
		    pod->containers[number]->kind < CONTAINER_REGULAR)
			pod->containers[number]->state = CONTAINER_WAITING;
	pod_sandbox_start(pod);
}

static void stop_sandbox(struct pod *pod, size_t index)
{
	(void)index;
	pod_sandbox_stop(pod);
}

static void start_container(struct pod *pod, size_t index)
{
	container_begin(pod->containers[index]);
}

// What ends for good shares the pod's grace with what ended before it.
static int64_t stop_grace(struct pod *pod, const struct pod_container *container)
{
	if (!pod->terminating && container->must_restart)
		return container->restart_grace_ns >= 0 ? container->restart_grace_ns : pod->grace_ns;
	if (!pod->stop_began_ns)
		pod->stop_began_ns = now_ns(pod);
	int64_t left_ns = pod->grace_ns - (now_ns(pod) - pod->stop_began_ns);
	return left_ns > 0 ? left_ns : 0;
}

static void stop_container(struct pod *pod, size_t index)
{
	struct pod_container *container = pod->containers[index];
	AUTO_FREE char *why =
	        pod->terminating || !container->must_restart
	                ? xasprintf("Stopping container %s", container->name)
	                : xasprintf("Container %s %s, will be restarted", container->name,
	                            container->restart_reason ? container->restart_reason : "failed liveness probe");
	container_stop(container, stop_grace(pod, container), why);
}

static void finish(struct pod *pod, size_t index)
{
	(void)index;
	if (pod->finished)
		return;
	pod->finished = true;
	log_v(2, "Pod is finished", kv_obj("pod", pod->namespace_name, pod->name), kv_str("podUID", pod->uid));
}

static void (*const actions[])(struct pod *pod, size_t index) = {
        [PLAN_MOUNT_VOLUMES] = mount_volumes,
        [PLAN_START_SANDBOX] = start_sandbox,
        [PLAN_START_CONTAINER] = start_container,
        [PLAN_STOP_CONTAINER] = stop_container,
        [PLAN_STOP_SANDBOX] = stop_sandbox,
        [PLAN_UNMOUNT_VOLUMES] = unmount_volumes,
        [PLAN_FINISH] = finish,
};

// --- things that time brings --------------------------------------------------------------------

static void sooner(int64_t *wake_at_ns, int64_t when_ns)
{
	if (when_ns < *wake_at_ns)
		*wake_at_ns = when_ns;
}

static void watch_deadline(struct pod *pod, int64_t *wake_at_ns)
{
	const int64_t *seconds = pod->view->spec.active_deadline_seconds;
	if (!seconds || pod->terminating || pod->finished)
		return;
	int64_t left_ns = pod->started_at_ns + *seconds * NSEC_PER_SEC - loop_realtime_ns(pod->kubelet->loop);
	if (left_ns > 0)
		sooner(wake_at_ns, now_ns(pod) + left_ns);
	else {
		pod_event(pod, NULL, "Normal", "DeadlineExceeded",
		          "Pod was active on the node longer than the specified deadline");
		pod_worker_end(pod, "DeadlineExceeded",
		               "Pod was active on the node longer than the specified deadline");
	}
}

// ErrImagePull is shown for some seconds, then ImagePullBackOff until the next try.
static void show_image_backoff(struct pod *pod, struct pod_container *container, int64_t *wake_at_ns)
{
	if (!container->waiting_reason || strcmp(container->waiting_reason, "ErrImagePull") ||
	    container->state == CONTAINER_STARTING)
		return;
	int64_t shown_at_ns = container->image_backoff.updated_ns + IMAGE_BACKOFF_SHOWN_NS;
	if (now_ns(pod) < shown_at_ns) {
		sooner(wake_at_ns, shown_at_ns);
		return;
	}
	AUTO_FREE char *message = xasprintf("Back-off pulling image \"%s\": ErrImagePull: %s", container->spec->image,
	                                    container->waiting_message);
	container_set_waiting(container, "ImagePullBackOff", message);
	pod_event(pod, container, "Normal", "BackOff", "Back-off pulling image \"%s\"", container->spec->image);
	pod_event(pod, container, "Warning", "Failed", "Error: ImagePullBackOff");
}

static void on_refreshed(struct pod *pod, const struct err *err)
{
	pod->refreshing = false;
	pod->refresh_at_ns = now_ns(pod) + REFRESH_NS + (int64_t)random_below(10) * NSEC_PER_SEC;
	if (err)
		log_warning("Could not bring the pod's volumes up to date",
		            kv_obj("pod", pod->namespace_name, pod->name), kv_err(err));
	pod_wake(pod);
}

static void refresh_volumes(struct pod *pod, int64_t *wake_at_ns)
{
	bool due = pod->volumes_state == PART_READY && !pod->refreshing && !pod->terminating && !pod->finished;
	if (!due || !pod_volumes_follow_objects(pod))
		return;
	if (now_ns(pod) < pod->refresh_at_ns) {
		sooner(wake_at_ns, pod->refresh_at_ns);
		return;
	}
	pod->refreshing = true;
	pod_volumes_mount(pod, on_refreshed);
}

// --- the end ---------------------------------------------------------------------------------------

struct removal {
	struct work work;
	struct pod *pod;
	char *logs;
};

// The directory with the records goes last: until then a new kubelet knows what to remove.
static void remove_files(struct work *work)
{
	struct removal *removal = container_of(work, struct removal, work);
	struct err err = ERR_INIT;
	if (file_remove_tree(removal->logs, &err) < 0)
		log_error("Could not remove a pod's logs", kv_err(&err));
	err_clear(&err);
	if (mounts_remove_tree(removal->pod->directory, &err) < 0)
		log_error("Could not remove a pod's directory", kv_err(&err));
}

void pod_worker_abandon(struct pod *pod)
{
	loop_timer_stop(&pod->sync_timer);
	status_writer_stop(pod);
	for (size_t index = 0; index < pod->container_count; index++)
		container_free(pod->containers[index]);
	free(pod->containers);
	pod_sandbox_done(&pod->sandbox);
	pod->volumes = pod_volumes_free(pod->volumes);
	arena_free(pod->status_arena);
	api_object_unref(pod->object);
	free(pod->uid);
	free(pod->namespace_name);
	free(pod->name);
	free(pod->directory);
	free(pod->mirror_uid);
	free(pod->sent_status);
	free(pod->end_text);
	free(pod);
}

static void on_files_removed(struct work *work)
{
	struct removal *removal = container_of(work, struct removal, work);
	struct pod *pod = removal->pod;
	log_v(2, "Pod is gone", kv_obj("pod", pod->namespace_name, pod->name), kv_str("podUID", pod->uid));
	pod_manager_forget(pod->kubelet->pods, pod);
	pod_worker_abandon(pod);
	free(removal->logs);
	free(removal);
}

static void remove_pod(struct pod *pod)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct removal *removal = NEW(struct removal);
	*removal = (struct removal){.pod = pod, .logs = xstrdup(pod_log_directory(arena, pod))};
	pod->gone = true;
	for (size_t index = 0; index < pod->container_count; index++)
		container_unlink_logs(pod->containers[index]);
	loop_timer_stop(&pod->sync_timer);
	status_writer_stop(pod);
	work_pool_submit(pod->kubelet->pool, &removal->work, pod->kubelet->loop, remove_files, on_files_removed);
}

// --- the look ------------------------------------------------------------------------------------------

static void run_plan(struct pod *pod, int64_t *wake_at_ns)
{
	AUTO_FREE struct plan_container *containers = xcalloc(pod->container_count + 1, sizeof(*containers));
	AUTO_FREE struct pod_plan *plan = NEW(struct pod_plan);
	struct plan_input input;
	pod_plan_fill(pod, now_ns(pod), containers, &input);
	pod_plan_make(&input, plan);
	for (size_t index = 0; index < plan->action_count; index++)
		actions[plan->actions[index].type](pod, plan->actions[index].container);
	sooner(wake_at_ns, plan->wake_at_ns);
}

// A deletion with less grace than before hastens the stops that are under way.
static void hasten_stops(struct pod *pod)
{
	for (size_t index = 0; pod->terminating && index < pod->container_count; index++)
		if (pod->containers[index]->stopping)
			container_stop(pod->containers[index], pod->grace_ns, "");
}

static void pod_sync(struct pod *pod)
{
	if (pod->gone || !pod_manager_is_open(pod->kubelet->pods))
		return;
	int64_t wake_at_ns = INT64_MAX;
	watch_deadline(pod, &wake_at_ns);
	hasten_stops(pod);
	if (!pod->finished)
		run_plan(pod, &wake_at_ns);
	for (size_t index = 0; index < pod->container_count; index++)
		show_image_backoff(pod, pod->containers[index], &wake_at_ns);
	refresh_volumes(pod, &wake_at_ns);
	if (pod->finished && pod->orphaned) {
		remove_pod(pod);
		return;
	}
	status_writer_update(pod);
	if (wake_at_ns != INT64_MAX) {
		int64_t delay_ns = wake_at_ns - now_ns(pod);
		loop_timer_start(pod->kubelet->loop, &pod->sync_timer, delay_ns > 0 ? delay_ns : 0, on_sync_timer);
	}
}
