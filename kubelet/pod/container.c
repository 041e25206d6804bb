// SPDX-License-Identifier: Apache-2.0
// Starting a container:
//
//   IMAGE    image_ensure: look, pull
//   OBJECTS  the configMaps and secrets of its environment
//   BUILD    files, mounts, the runtime's config, the record     [here]
//   START    the runtime
//
// Until START the container has no run: a failure leaves it waiting with a reason, to
// be tried again later. From START on there is a run with an id, recorded before the
// runtime hears of it; when its process can't be started, that run has ended with code
// 128 and reason StartError.
//
// Ending: the runtime tells the exit code; the termination message is read; what the
// runtime keeps of the run is removed at once, only its log and its record stay. A
// removal that fails is tried again every few seconds: the pod waits for it before its
// sandbox goes.

#include "kubelet/pod/container.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/encode.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "kubelet/kubelet.h"
#include "kubelet/pod/action.h"
#include "kubelet/pod/container_config.h"
#include "kubelet/pod/image_ensure.h"
#include "kubelet/pod/object_cache.h"
#include "kubelet/pod/pod_files.h"
#include "kubelet/pod/pod_record.h"
#include "kubelet/pod/pod_resize.h"
#include "kubelet/pod/pod_sandbox.h"
#include "kubelet/pod/probe.h"
#include "kubelet/server/log_reader.h"

#define CONFIG_RETRY_NS (10 * NSEC_PER_SEC)
#define REMOVE_RETRY_NS (5 * NSEC_PER_SEC)
#define KILL_RETRY_NS (5 * NSEC_PER_SEC)
#define OBJECT_MAX_AGE_NS (1 * NSEC_PER_SEC)
#define MIN_GRACE_NS (2 * NSEC_PER_SEC)                // between TERM and KILL, whatever was said
#define POST_START_NS (365 * 24 * 3600 * NSEC_PER_SEC) // upstream sets no limit

enum {
	START_ERROR_CODE = 128,
	MAX_MESSAGE_BYTES = 4096,
	FALLBACK_LINES = 80,
	FALLBACK_BYTES = 2048,
	MAX_SERVICES = 4096,
};

struct container_start {
	struct pod_container *container;
	struct arena *arena;
	struct runtime_image *image;
	struct object_bundle *bundle;
	struct api_object *object; // the config refers to its texts
	struct runtime_container_config config;
};

void container_set_waiting(struct pod_container *container, const char *reason, const char *message)
{
	free(container->waiting_reason);
	free(container->waiting_message);
	container->waiting_reason = xstrdup(reason);
	container->waiting_message = xstrdup(message);
}

static int64_t now_ns(const struct pod_container *container)
{
	return loop_now_ns(container->pod->kubelet->loop);
}

// A convenience that log collectors rely on: one flat folder of links.
static void link_log(const struct pod_container *container, const char *log_path)
{
	const struct pod *pod = container->pod;
	const char *logs = pod->kubelet->config->pod_logs_directory;
	AUTO_FREE char *folder = xasprintf("%.*s/containers", (int)(strrchr(logs, '/') - logs), logs);
	AUTO_FREE char *link = xasprintf("%s/%s_%s_%s-%s.log", folder, pod->name, pod->namespace_name, container->name,
	                                 container->run.id);
	if (file_make_folders(folder, 0755, NULL) == 0 && symlink(log_path, link) < 0 && errno != EEXIST)
		log_v(2, "Could not link a log", kv_str("path", link), kv_str("err", strerror(errno)));
}

static void unlink_log(const struct pod_container *container, const struct container_run *run)
{
	const struct pod *pod = container->pod;
	const char *logs = pod->kubelet->config->pod_logs_directory;
	AUTO_FREE char *link = xasprintf("%.*s/containers/%s_%s_%s-%s.log", (int)(strrchr(logs, '/') - logs), logs,
	                                 pod->name, pod->namespace_name, container->name, run->id);
	unlink(link);
}

// --- removal --------------------------------------------------------------------------------

struct remove_op {
	struct pod_container *container;
	char id[CONTAINER_ID_BYTES];
	struct loop_timer retry;
};

static void remove_begin(struct remove_op *op);

static void on_remove_retry(struct loop_timer *timer)
{
	remove_begin(container_of(timer, struct remove_op, retry));
}

static void on_removed(void *context, const struct err *err)
{
	struct remove_op *op = context;
	struct pod_container *container = op->container;
	if (err) {
		log_error("Could not remove a container",
		          kv_obj("pod", container->pod->namespace_name, container->pod->name),
		          kv_str("container", container->name), kv_str("id", op->id), kv_err(err));
		loop_timer_start(container->pod->kubelet->loop, &op->retry, REMOVE_RETRY_NS, on_remove_retry);
		return;
	}
	container->removing--;
	free(op);
	pod_wake(container->pod);
}

static void remove_begin(struct remove_op *op)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct pod *pod = op->container->pod;
	struct runtime *runtime = pod->kubelet->runtime;
	const char *directory =
	        arena_printf(arena, "%s/%s", pod_container_directory(arena, pod, op->container->name), op->id);
	runtime->operations->container_remove(runtime, op->id, directory, on_removed, op);
}

void container_remove_run(struct pod_container *container, const char *id)
{
	struct remove_op *op = NEW(struct remove_op);
	op->container = container;
	snprintf(op->id, sizeof(op->id), "%s", id);
	container->removing++;
	remove_begin(op);
}

// --- start -----------------------------------------------------------------------------------

static void start_free(struct container_start *start)
{
	start->container->start = NULL;
	runtime_image_unref(start->image);
	object_bundle_free(start->bundle);
	api_object_unref(start->object);
	arena_free(start->arena);
	free(start);
}

static void back_to_rest(struct pod_container *container)
{
	container->state = container->has_run ? CONTAINER_EXITED : CONTAINER_WAITING;
	pod_wake(container->pod);
}

static void fail_before_run(struct container_start *start, const char *reason, const char *message)
{
	struct pod_container *container = start->container;
	container_set_waiting(container, reason, message);
	container->retry_at_ns = now_ns(container) + CONFIG_RETRY_NS;
	log_error("Could not start a container", kv_obj("pod", container->pod->namespace_name, container->pod->name),
	          kv_str("container", container->name), kv_str("reason", reason), kv_str("err", message));
	start_free(start);
	back_to_rest(container);
}

static void new_id(char out[CONTAINER_ID_BYTES])
{
	unsigned char bytes[32];
	random_bytes(bytes, sizeof(bytes));
	hex_encode(out, bytes, sizeof(bytes));
}

static void begin_run(struct container_start *start)
{
	struct pod_container *container = start->container;
	if (container->has_run) {
		container_run_done(&container->last);
		container->last = container->run;
		container->has_last = true;
		container->restart_count++;
		backoff_advance(&container->crash_backoff, now_ns(container));
	}
	container->run = (struct container_run){
	        .created_at_ns = loop_realtime_ns(container->pod->kubelet->loop),
	        .image = xstrdup(start->image->reference),
	        .image_id = xasprintf("%.*s@%s", (int)strcspn(start->image->reference, "@"), start->image->reference,
	                              start->image->digest),
	        .stop_signal = *start->image->stop_signal ? xstrdup(start->image->stop_signal) : NULL,
	        .restart = container->restart_count,
	};
	new_id(container->run.id);
	container->has_run = true;
	container->oom_seen = false;
}

// The run never came to be: as if it had not been begun.
static void take_back_run(struct pod_container *container)
{
	unlink_log(container, &container->run);
	container_run_done(&container->run);
	container->has_run = container->has_last;
	container->run = container->last;
	container->last = (struct container_run){0};
	if (container->has_last)
		container->restart_count--;
	container->has_last = false;
}

static struct action *start_hook(struct pod_container *container, const struct core_v1_lifecycle_handler *handler,
                                 int64_t timeout_ns, void (*done)(void *context, bool fine, const char *message))
{
	const struct action_config config = {
	        .container = container,
	        .exec = handler->exec,
	        .http_get = handler->http_get,
	        .sleep = handler->sleep,
	        .user_agent = "kube-lifecycle/1.33",
	        .any_http_status = true,
	        .timeout_ns = timeout_ns,
	};
	return action_start(&config, done, container);
}

static void runs(struct pod_container *container)
{
	pod_resize_note_start(container);
	container_set_waiting(container, NULL, NULL);
	container->started = !container->spec->startup_probe;
	container->ready = !container->spec->readiness_probe && container->started;
	container->probes = probe_set_start(container);
	pod_wake(container->pod);
}

static void on_post_start(void *context, bool fine, const char *message)
{
	struct pod_container *container = context;
	struct pod *pod = container->pod;
	container->hook = NULL;
	container->post_start_running = false;
	if (fine) {
		runs(container);
		return;
	}
	log_error("PostStartHook failed", kv_obj("pod", pod->namespace_name, pod->name),
	          kv_str("container", container->name), kv_str("err", message));
	pod_event(pod, container, "Warning", "FailedPostStartHook", "PostStartHook failed");
	container_set_waiting(container, "PostStartHookError", "PostStartHook failed");
	container_stop(container, pod->grace_ns, "FailedPostStartHook");
	pod_wake(pod);
}

static void begin_running(struct pod_container *container, int pid)
{
	const struct core_v1_lifecycle *lifecycle = container->spec->lifecycle;
	container->state = CONTAINER_RUNNING;
	container->pid = pid;
	container->stopping = false;
	container->kill_sent = false;
	container->must_restart = false;
	container->started = container->ready = false;
	if (!lifecycle || !lifecycle->post_start) {
		runs(container);
		return;
	}
	container_set_waiting(container, NULL, NULL);
	container->post_start_running = true;
	container->hook = start_hook(container, lifecycle->post_start, POST_START_NS, on_post_start);
	pod_wake(container->pod);
}

static void on_started(void *context, const struct runtime_start_result *result)
{
	struct container_start *start = context;
	struct pod_container *container = start->container;
	struct pod *pod = container->pod;
	if (result->err.code != ERR_NONE && result->stage != RUNTIME_STAGE_START) {
		const char *reason =
		        result->stage == RUNTIME_STAGE_CONFIG ? "CreateContainerConfigError" : "CreateContainerError";
		AUTO_FREE char *message =
		        strstr(result->err.message, "non-root")
		                ? xasprintf("%s (pod: \"%s_%s(%s)\", container: %s)", result->err.message, pod->name,
		                            pod->namespace_name, pod->uid, container->name)
		                : xstrdup(result->err.message);
		pod_event(pod, container, "Warning", "Failed", "Error: %s", message);
		take_back_run(container);
		pod_record_container(container);
		fail_before_run(start, reason, message);
		return;
	}
	pod_event(pod, container, "Normal", "Created", "Created container: %s", container->name);
	container->run.started_at_ns = loop_realtime_ns(pod->kubelet->loop);
	start_free(start);
	if (result->err.code != ERR_NONE) {
		pod_event(pod, container, "Warning", "Failed", "Error: %s", result->err.message);
		container_set_waiting(container, "RunContainerError", result->err.message);
		container->state = CONTAINER_RUNNING; // for an instant
		container->run.message = xstrdup(result->err.message);
		container->run.reason = xstrdup("StartError");
		container_ended(container, START_ERROR_CODE, loop_realtime_ns(pod->kubelet->loop));
		return;
	}
	pod_event(pod, container, "Normal", "Started", "Started container %s", container->name);
	log_v(2, "Container started", kv_obj("pod", pod->namespace_name, pod->name),
	      kv_str("container", container->name), kv_str("id", container->run.id));
	pod_record_container(container);
	begin_running(container, result->pid);
}

void container_adopt(struct pod_container *container, int pid)
{
	container->state = CONTAINER_RUNNING;
	container->pid = pid;
	container->stopping = false;
	container->kill_sent = false;
	container->must_restart = false;
	runs(container);
}

static int make_files(struct container_start *start, struct container_inputs *inputs, struct err *err)
{
	struct pod_container *container = start->container;
	struct pod *pod = container->pod;
	struct arena *arena = start->arena;
	const char *directory = pod_container_directory(arena, pod, container->name);
	inputs->termination_log = arena_printf(arena, "%s/termination-log", directory);
	inputs->log_path =
	        pod_log_path(arena, pod, container->name, container->restart_count + (container->has_run ? 1 : 0));
	int result = pod_files_write(pod, err);
	if (result == 0)
		result = file_make_folders(directory, 0755, err);
	if (result == 0)
		result = file_make_folders(arena_printf(arena, "%s/%s", pod_log_directory(arena, pod), container->name),
		                           0755, err);
	if (result < 0)
		return result;
	AUTO_CLOSE int fd = open(inputs->termination_log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0 || fchmod(fd, 0666) < 0)
		return err_set_errno(err, errno, "create %s", inputs->termination_log);
	return 0;
}

// The services of the pod's namespace, and kubernetes.default for all.
static void collect_services(struct container_start *start, struct environment_services *services)
{
	struct pod *pod = start->container->pod;
	struct informer *informer = pod->kubelet->services;
	bool links = !pod->view->spec.enable_service_links || *pod->view->spec.enable_service_links;
	if (!informer)
		return;
	const struct core_v1_service **items =
	        ARENA_ARRAY(start->arena, const struct core_v1_service *, informer_count(informer) + 1);
	size_t cursor = 0;
	for (struct api_object *object;
	     (object = informer_next(informer, &cursor)) && services->count < MAX_SERVICES;) {
		bool is_master = !strcmp(object->namespace_name, "default") && !strcmp(object->name, "kubernetes");
		if (is_master || (links && !strcmp(object->namespace_name, pod->namespace_name)))
			items[services->count++] = object->view;
	}
	services->items = items;
}

// Only the present run's log and the one before are kept.
static void drop_old_log(const struct pod_container *container)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	if (container->has_last)
		unlink_log(container, &container->last);
	if (container->restart_count >= 2)
		unlink(pod_log_path(arena, container->pod, container->name, container->restart_count - 2));
}

static void build_and_start(struct container_start *start)
{
	struct pod_container *container = start->container;
	struct pod *pod = container->pod;
	struct runtime *runtime = pod->kubelet->runtime;
	struct container_inputs inputs = {.container = container, .image = start->image, .bundle = start->bundle};
	struct err err = ERR_INIT;
	if (make_files(start, &inputs, &err) < 0) {
		pod_event(pod, container, "Warning", "Failed", "Error: %s", err.message);
		fail_before_run(start, "CreateContainerError", err.message);
		return;
	}
	start->object = api_object_ref(pod->object);
	collect_services(start, &inputs.services);
	begin_run(start);
	int result = container_config_build(start->arena, &inputs, &start->config, &err);
	if (result == 0)
		result = file_make_folders(start->config.directory, 0700, &err);
	if (result < 0) {
		pod_event(pod, container, "Warning", "Failed", "Error: %s", err.message);
		take_back_run(container);
		fail_before_run(start, "CreateContainerConfigError", err.message);
		return;
	}
	drop_old_log(container);
	pod_record_container(container);
	link_log(container, start->config.log_path);
	runtime->operations->container_start(runtime, &start->config, on_started, start);
}

static void on_objects(void *context, const struct err *err)
{
	struct container_start *start = context;
	if (err) {
		pod_event(start->container->pod, start->container, "Warning", "Failed", "Error: %s", err->message);
		fail_before_run(start, "CreateContainerConfigError", err->message);
	} else if (start->container->pod->terminating || !pod_sandbox_is_joinable(&start->container->pod->sandbox)) {
		struct pod_container *container = start->container;
		start_free(start);
		back_to_rest(container);
	} else {
		build_and_start(start);
	}
}

static void on_image(void *context, const struct image_result *result)
{
	struct container_start *start = context;
	struct pod_container *container = start->container;
	if (result->image) {
		container->image_backoff.delay_ns = 0;
		start->image = runtime_image_ref(result->image);
		start->bundle = object_bundle_new(container->pod->namespace_name);
		environment_references(container->spec, start->bundle);
		object_bundle_fetch(container->pod->kubelet->objects, start->bundle, OBJECT_MAX_AGE_NS, on_objects,
		                    start);
		return;
	}
	container_set_waiting(container, result->reason, result->message);
	backoff_advance(&container->image_backoff, now_ns(container));
	container->retry_at_ns = now_ns(container) + container->image_backoff.delay_ns;
	start_free(start);
	back_to_rest(container);
}

void container_begin(struct pod_container *container)
{
	struct container_start *start = NEW(struct container_start);
	*start = (struct container_start){.container = container, .arena = arena_new(0)};
	container->start = start;
	container->state = CONTAINER_STARTING;
	image_ensure(container->pod, container, container->spec->image, container->spec->image_pull_policy, on_image,
	             start);
}

// --- end ----------------------------------------------------------------------------------------

static char *read_message_file(const char *path)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char text[MAX_MESSAGE_BYTES];
	ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof(text));
	return length > 0 ? xstrndup(text, (size_t)length) : NULL;
}

static char *termination_message(const struct pod_container *container, int exit_code)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	const struct pod *pod = container->pod;
	const char *policy = container->spec->termination_message_policy;
	char *message = read_message_file(
	        arena_printf(arena, "%s/termination-log", pod_container_directory(arena, pod, container->name)));
	if (message || !exit_code || !policy || strcmp(policy, "FallbackToLogsOnError"))
		return message;
	return log_reader_tail(pod_log_path(arena, pod, container->name, container->run.restart), FALLBACK_LINES,
	                       FALLBACK_BYTES);
}

static const char *end_reason(const struct pod_container *container, int exit_code)
{
	if (container->oom_seen && exit_code)
		return "OOMKilled";
	return exit_code ? "Error" : "Completed";
}

void container_ended(struct pod_container *container, int exit_code, int64_t finished_at_ns)
{
	struct pod *pod = container->pod;
	if (container->state != CONTAINER_RUNNING)
		return;
	loop_timer_stop(&container->kill_timer);
	container->probes = probe_set_stop(container->probes);
	container->hook = action_cancel(container->hook);
	container->post_start_running = false;
	container->state = CONTAINER_EXITED;
	container->stopping = false;
	container->ready = false;
	container->started = false;
	container->must_restart = false;
	container->pid = 0;
	container->run.exit_code = exit_code;
	container->run.finished_at_ns = finished_at_ns;
	if (!container->run.reason)
		container->run.reason = xstrdup(end_reason(container, exit_code));
	if (!container->run.message)
		container->run.message = termination_message(container, exit_code);
	container->retry_at_ns = backoff_until_ns(&container->crash_backoff, now_ns(container));
	log_v(2, "Container ended", kv_obj("pod", pod->namespace_name, pod->name), kv_str("container", container->name),
	      kv_int("exitCode", exit_code), kv_str("reason", container->run.reason));
	pod_record_container(container);
	container_remove_run(container, container->run.id);
	struct plan_container view = {.restart = container->restart_policy, .exit_code = exit_code};
	if (!pod->terminating && plan_restarts(&view) && container->retry_at_ns > now_ns(container))
		pod_event(pod, container, "Warning", "BackOff",
		          "Back-off restarting failed container %s in pod %s_%s(%s)", container->name, pod->name,
		          pod->namespace_name, pod->uid);
	pod_wake(pod);
}

// --- stop -----------------------------------------------------------------------------------------

static void send_kill(struct pod_container *container);

static void on_kill_timer(struct loop_timer *timer)
{
	send_kill(container_of(timer, struct pod_container, kill_timer));
}

static void on_signalled(void *context, const struct err *err)
{
	(void)context;
	if (err)
		log_error("Could not signal a container", kv_err(err));
}

// Sent again while it doesn't help.
static void send_kill(struct pod_container *container)
{
	struct runtime *runtime = container->pod->kubelet->runtime;
	container->kill_sent = true;
	runtime->operations->container_kill(runtime, container->run.id, "KILL", true, on_signalled, NULL);
	loop_timer_start(container->pod->kubelet->loop, &container->kill_timer, KILL_RETRY_NS, on_kill_timer);
}

// What is left of the grace, but never less than containers get in any case.
static int64_t kill_delay_ns(const struct pod_container *container)
{
	int64_t left_ns = container->stop_grace_ns - (now_ns(container) - container->stop_began_ns);
	return left_ns > MIN_GRACE_NS ? left_ns : MIN_GRACE_NS;
}

static void send_term(struct pod_container *container)
{
	struct runtime *runtime = container->pod->kubelet->runtime;
	runtime->operations->container_kill(runtime, container->run.id,
	                                    container->run.stop_signal ? container->run.stop_signal : "TERM", false,
	                                    on_signalled, NULL);
	loop_timer_start(container->pod->kubelet->loop, &container->kill_timer, kill_delay_ns(container),
	                 on_kill_timer);
}

static void on_pre_stop(void *context, bool fine, const char *message)
{
	struct pod_container *container = context;
	container->hook = NULL;
	if (!fine) {
		log_error("PreStopHook failed", kv_obj("pod", container->pod->namespace_name, container->pod->name),
		          kv_str("container", container->name), kv_str("err", message));
		pod_event(container->pod, container, "Warning", "FailedPreStopHook", "PreStopHook failed");
	}
	send_term(container);
}

static void begin_stop(struct pod_container *container, const char *why)
{
	const struct core_v1_lifecycle *lifecycle = container->spec->lifecycle;
	container->stopping = true;
	container->hook = action_cancel(container->hook);
	container->post_start_running = false;
	pod_event(container->pod, container, "Normal", "Killing", "%s", why);
	if (lifecycle && lifecycle->pre_stop && container->stop_grace_ns > 0)
		container->hook = start_hook(container, lifecycle->pre_stop, container->stop_grace_ns, on_pre_stop);
	else
		send_term(container);
}

// Less time than before: the hook's ends now, or KILL comes sooner.
static void hasten_stop(struct pod_container *container)
{
	if (container->hook) {
		container->hook = action_cancel(container->hook);
		send_term(container);
	} else {
		loop_timer_start(container->pod->kubelet->loop, &container->kill_timer, kill_delay_ns(container),
		                 on_kill_timer);
	}
}

void container_stop(struct pod_container *container, int64_t grace_ns, const char *why)
{
	if (container->state != CONTAINER_RUNNING)
		return;
	bool hasten = container->stopping && !container->kill_sent && grace_ns < container->stop_grace_ns;
	if (container->stopping && !hasten)
		return;
	container->stop_grace_ns = grace_ns;
	container->stop_began_ns = now_ns(container);
	if (hasten)
		hasten_stop(container);
	else
		begin_stop(container, why);
}

void container_unlink_logs(const struct pod_container *container)
{
	if (container->has_run)
		unlink_log(container, &container->run);
	if (container->has_last)
		unlink_log(container, &container->last);
}

void container_free(struct pod_container *container)
{
	loop_timer_stop(&container->kill_timer);
	action_cancel(container->hook);
	pod_resize_forget(container);
	container->probes = probe_set_stop(container->probes);
	container_run_done(&container->run);
	container_run_done(&container->last);
	container_set_waiting(container, NULL, NULL);
	free(container->name);
	free(container);
}
