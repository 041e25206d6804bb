// SPDX-License-Identifier: Apache-2.0
// Phases, conditions and container states as upstream's kubelet reports them
// (getPhase, convertToAPIContainerStatuses, GeneratePodReadyCondition, …). Functions
// of the pod and two times; nothing is changed here.

#include "kubelet/pod/pod_status.h"

#include <stdlib.h>
#include <string.h>

#include "common/api/object.h"
#include "kubelet/kubelet.h"
#include "kubelet/pod/pod_resources.h"
#include "kubelet/pod/pod_sandbox.h"

struct build {
	struct arena *arena;
	const struct pod *pod;
	const struct json *previous;
	struct plan_input plan;
	int64_t now_ns;
	int64_t monotonic_ns;
	const char *phase;
};

void pod_plan_fill(const struct pod *pod, int64_t monotonic_ns, struct plan_container *containers,
                   struct plan_input *ret_input)
{
	for (size_t index = 0; index < pod->container_count; index++) {
		const struct pod_container *container = pod->containers[index];
		containers[index] = (struct plan_container){
		        .kind = container->kind,
		        .state = container->state,
		        .restart = container->restart_policy,
		        .stopping = container->stopping,
		        .removing = container->removing > 0,
		        .started = container->state == CONTAINER_RUNNING && container->started,
		        .has_post_start = container->spec->lifecycle && container->spec->lifecycle->post_start,
		        .hook_running = container->post_start_running,
		        .must_restart = container->must_restart,
		        .exit_code = container->run.exit_code,
		        .retry_at_ns = container->retry_at_ns,
		};
	}
	*ret_input = (struct plan_input){
	        .now_ns = monotonic_ns,
	        .terminating = pod->terminating,
	        .volumes = pod->refreshing ? PART_WORKING : pod->volumes_state,
	        .sandbox = pod->sandbox.state,
	        .sandbox_joinable = pod->sandbox.joinable,
	        .volumes_retry_at_ns = pod->volumes_retry_at_ns,
	        .sandbox_retry_at_ns = pod->sandbox.retry_at_ns,
	        .containers = containers,
	        .container_count = pod->container_count,
	};
}

static void set_time(struct build *build, struct json *object, const char *key, int64_t time_ns)
{
	char text[API_TIME_BYTES];
	api_time_format(time_ns, text);
	json_set_text(build->arena, object, key, text);
}

// --- container states -------------------------------------------------------------------------

static struct json *terminated_state(struct build *build, const struct container_run *run)
{
	struct json *state = json_object(build->arena);
	struct json *terminated = json_ensure_object(build->arena, state, "terminated");
	json_set_integer(build->arena, terminated, "exitCode", run->exit_code);
	if (run->reason)
		json_set_text(build->arena, terminated, "reason", run->reason);
	if (run->message)
		json_set_text(build->arena, terminated, "message", run->message);
	set_time(build, terminated, "startedAt", run->started_at_ns ? run->started_at_ns : run->created_at_ns);
	set_time(build, terminated, "finishedAt", run->finished_at_ns);
	json_set_text(build->arena, terminated, "containerID", arena_printf(build->arena, "containerd://%s", run->id));
	return state;
}

static struct json *waiting_state(struct build *build, const char *reason, const char *message)
{
	struct json *state = json_object(build->arena);
	struct json *waiting = json_ensure_object(build->arena, state, "waiting");
	json_set_text(build->arena, waiting, "reason", reason);
	if (message)
		json_set_text(build->arena, waiting, "message", message);
	return state;
}

static struct json *running_state(struct build *build, const struct container_run *run)
{
	struct json *state = json_object(build->arena);
	set_time(build, json_ensure_object(build->arena, state, "running"), "startedAt", run->started_at_ns);
	return state;
}

static const char *default_waiting_reason(const struct build *build)
{
	return build->pod->view->spec.init_containers.count ? "PodInitializing" : "ContainerCreating";
}

static bool goes_on(const struct build *build, const struct pod_container *container)
{
	return !build->pod->terminating && !build->pod->finished &&
	       plan_restarts(&build->plan.containers[container->index]) && pod_plan_end(&build->plan) == POD_GOES_ON &&
	       (container->kind != CONTAINER_INIT || container->run.exit_code != 0);
}

static struct json *crash_loop(struct build *build, const struct pod_container *container)
{
	int64_t seconds = container->crash_backoff.delay_ns / NSEC_PER_SEC;
	const char *delay = seconds < 60 ? arena_printf(build->arena, "%llds", (long long)seconds)
	                                 : arena_printf(build->arena, "%lldm%llds", (long long)(seconds / 60),
	                                                (long long)(seconds % 60));
	return waiting_state(build, "CrashLoopBackOff",
	                     arena_printf(build->arena, "back-off %s restarting failed container=%s pod=%s_%s(%s)",
	                                  delay, container->name, build->pod->name, build->pod->namespace_name,
	                                  build->pod->uid));
}

// state and lastState.
static void set_states(struct build *build, const struct pod_container *container, struct json *status)
{
	struct arena *arena = build->arena;
	const char *waiting = container->waiting_reason ? container->waiting_reason : default_waiting_reason(build);
	struct json *state;
	const struct container_run *last = container->has_last ? &container->last : NULL;
	switch (container->state) {
	case CONTAINER_RUNNING:
		state = container->post_start_running ? waiting_state(build, waiting, container->waiting_message)
		                                      : running_state(build, &container->run);
		break;
	case CONTAINER_EXITED:
		if (goes_on(build, container) && container->waiting_reason && strcmp(waiting, "RunContainerError")) {
			state = waiting_state(build, waiting, container->waiting_message);
			last = &container->run;
		} else if (goes_on(build, container) && build->monotonic_ns < container->retry_at_ns) {
			state = crash_loop(build, container);
			last = &container->run;
		} else {
			state = terminated_state(build, &container->run);
		}
		break;
	default:
		state = waiting_state(build, waiting, container->waiting_message);
		if (container->state == CONTAINER_WAITING && container->has_run)
			last = &container->run;
		else if (container->state == CONTAINER_STARTING && container->has_run && container->run.finished_at_ns)
			last = &container->run;
	}
	json_set(arena, status, "state", state);
	json_set(arena, status, "lastState",
	         last && last->finished_at_ns ? terminated_state(build, last) : json_object(arena));
}

static bool is_ready(const struct build *build, const struct pod_container *container)
{
	if (container->kind == CONTAINER_EPHEMERAL)
		return false;
	if (container->kind == CONTAINER_INIT) // done, or not
		return container->state == CONTAINER_EXITED && container->run.exit_code == 0;
	return container->state == CONTAINER_RUNNING && container->ready && !build->pod->finished;
}

static struct json *amounts(struct arena *arena, const struct string_map *map)
{
	struct json *object = json_object(arena);
	for (size_t index = 0; index < map->count; index++)
		json_set_text(arena, object, map->entries[index].key, map->entries[index].value);
	return object;
}

// What it runs with, which after a resize is for a moment not what its spec says.
static void set_resources(struct build *build, const struct core_v1_container *applied, struct json *status)
{
	struct arena *arena = build->arena;
	struct json *resources = json_ensure_object(arena, status, "resources");
	if (applied->resources.requests.count)
		json_set(arena, status, "allocatedResources", amounts(arena, &applied->resources.requests));
	if (applied->resources.limits.count)
		json_set(arena, resources, "limits", amounts(arena, &applied->resources.limits));
	if (applied->resources.requests.count)
		json_set(arena, resources, "requests", amounts(arena, &applied->resources.requests));
}

static struct json *container_status(struct build *build, const struct pod_container *container)
{
	struct arena *arena = build->arena;
	struct json *status = json_object(arena);
	json_set_text(arena, status, "name", container->name);
	set_states(build, container, status);
	json_set_bool(arena, status, "ready", is_ready(build, container));
	json_set_integer(arena, status, "restartCount", container->restart_count);
	bool known = container->has_run && container->state != CONTAINER_STARTING;
	json_set_text(arena, status, "image",
	              known && container->run.image ? container->run.image : container->spec->image);
	json_set_text(arena, status, "imageID", known && container->run.image_id ? container->run.image_id : "");
	if (known)
		json_set_text(arena, status, "containerID", arena_printf(arena, "containerd://%s", container->run.id));
	if (container->state == CONTAINER_RUNNING && container->applied)
		set_resources(build, container->applied, status);
	if (container->kind != CONTAINER_EPHEMERAL)
		json_set_bool(arena, status, "started", container->state == CONTAINER_RUNNING && container->started);
	return status;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp((*(const struct pod_container *const *)a)->name, (*(const struct pod_container *const *)b)->name);
}

static void set_container_statuses(struct build *build, struct json *status)
{
	struct arena *arena = build->arena;
	const struct pod *pod = build->pod;
	const struct pod_container **sorted =
	        ARENA_ARRAY(arena, const struct pod_container *, pod->container_count + 1);
	struct json *init = json_array(arena);
	struct json *ephemeral = json_array(arena);
	size_t count = 0;
	for (size_t index = 0; index < pod->container_count; index++) {
		if (pod->containers[index]->kind == CONTAINER_REGULAR)
			sorted[count++] = pod->containers[index];
		else if (pod->containers[index]->kind == CONTAINER_EPHEMERAL)
			json_append(arena, ephemeral, container_status(build, pod->containers[index]));
		else
			json_append(arena, init, container_status(build, pod->containers[index]));
	}
	qsort(sorted, count, sizeof(*sorted), compare_names);
	struct json *regular = json_array(arena);
	for (size_t index = 0; index < count; index++)
		json_append(arena, regular, container_status(build, sorted[index]));
	json_set(arena, status, "containerStatuses", regular);
	if (init->length)
		json_set(arena, status, "initContainerStatuses", init);
	if (ephemeral->length)
		json_set(arena, status, "ephemeralContainerStatuses", ephemeral);
}

// --- the phase -----------------------------------------------------------------------------------

struct tally {
	size_t running, waiting, stopped, succeeded;
};

static struct tally tally_regular(const struct build *build)
{
	struct tally tally = {0};
	for (size_t index = 0; index < build->pod->container_count; index++) {
		const struct pod_container *container = build->pod->containers[index];
		if (container->kind != CONTAINER_REGULAR)
			continue;
		bool ended = container->has_run && container->run.finished_at_ns;
		if (container->state == CONTAINER_RUNNING && !container->post_start_running)
			tally.running++;
		else if (container->state == CONTAINER_EXITED || ended || container->has_last)
			tally.stopped++;
		else
			tally.waiting++;
		tally.succeeded += container->state == CONTAINER_EXITED && container->run.exit_code == 0;
	}
	return tally;
}

static const char *compute_phase(const struct build *build)
{
	const struct pod *pod = build->pod;
	enum pod_end end = pod_plan_end(&build->plan);
	if (pod->end_reason || end == POD_FAILED)
		return "Failed";
	if (end == POD_SUCCEEDED)
		return "Succeeded";
	struct tally tally = tally_regular(build);
	if (plan_next_init(&build->plan) < pod->container_count || (tally.waiting && !tally.stopped && !tally.running))
		return "Pending";
	if (tally.waiting && !pod->terminating)
		return "Pending";
	if (!tally.running && tally.stopped && pod->terminating)
		return tally.stopped == tally.succeeded ? "Succeeded" : "Failed";
	return "Running";
}

// --- conditions ----------------------------------------------------------------------------------

static const char *former_transition(const struct build *build, const char *type, const char *status)
{
	json_for_each_item (condition, json_get(build->previous, "conditions")) {
		const char *former_type = json_get_text(condition, "type");
		const char *former_status = json_get_text(condition, "status");
		if (former_type && former_status && !strcmp(former_type, type) && !strcmp(former_status, status))
			return json_get_text(condition, "lastTransitionTime");
	}
	const struct core_v1_pod_condition_array *conditions = &build->pod->view->status.conditions;
	for (size_t index = 0; !build->previous && index < conditions->count; index++)
		if (!strcmp(conditions->items[index].type, type) && !strcmp(conditions->items[index].status, status))
			return conditions->items[index].last_transition_time;
	return NULL;
}

static void add_condition(struct build *build, struct json *conditions, const char *type, bool holds,
                          const char *reason, const char *message)
{
	struct arena *arena = build->arena;
	const char *status = holds ? "True" : "False";
	struct json *condition = json_object(arena);
	json_set_text(arena, condition, "type", type);
	json_set_text(arena, condition, "status", status);
	json_set(arena, condition, "lastProbeTime", json_null(arena));
	const char *transition = former_transition(build, type, status);
	if (transition)
		json_set_text(arena, condition, "lastTransitionTime", transition);
	else
		set_time(build, condition, "lastTransitionTime", build->now_ns);
	json_set(arena, condition, "reason", reason ? json_string(arena, reason) : json_null(arena));
	json_set(arena, condition, "message", message ? json_string(arena, message) : json_null(arena));
	json_append(arena, conditions, condition);
}

// "[a b]" of the containers that don't pass.
static const char *names_of(struct build *build, bool (*passes)(const struct build *, const struct pod_container *),
                            bool init)
{
	const char *names = NULL;
	for (size_t index = 0; index < build->pod->container_count; index++) {
		const struct pod_container *container = build->pod->containers[index];
		bool counts = init ? container->kind < CONTAINER_REGULAR
		                   : container->kind == CONTAINER_SIDECAR || container->kind == CONTAINER_REGULAR;
		if (counts && !passes(build, container))
			names = arena_printf(build->arena, "%s%s%s", names ? names : "", names ? " " : "",
			                     container->name);
	}
	return names;
}

static bool is_initialized(const struct build *build, const struct pod_container *container)
{
	return container->index < plan_next_init(&build->plan);
}

static const char *gate_trouble(const struct build *build)
{
	const struct core_v1_pod *pod = build->pod->view;
	for (size_t gate = 0; gate < pod->spec.readiness_gates.count; gate++) {
		const char *type = pod->spec.readiness_gates.items[gate].condition_type;
		const char *status = NULL;
		for (size_t index = 0; index < pod->status.conditions.count; index++)
			if (!strcmp(pod->status.conditions.items[index].type, type))
				status = pod->status.conditions.items[index].status;
		if (!status)
			return arena_printf(build->arena,
			                    "corresponding condition of pod readiness gate \"%s\" does not exist.",
			                    type);
		if (strcmp(status, "True"))
			return arena_printf(build->arena,
			                    "the status of pod readiness gate \"%s\" is not \"True\", but %s", type,
			                    status);
	}
	return NULL;
}

static const char *terminal_reason(const struct build *build)
{
	return !strcmp(build->phase, "Succeeded") ? "PodCompleted"
	       : !strcmp(build->phase, "Failed")  ? "PodFailed"
	                                          : NULL;
}

static void set_conditions(struct build *build, struct json *status)
{
	struct arena *arena = build->arena;
	const struct pod *pod = build->pod;
	struct json *conditions = json_array(arena);
	add_condition(build, conditions, "PodReadyToStartContainers", pod_sandbox_is_joinable(&pod->sandbox), NULL,
	              NULL);

	const char *uninitialized = names_of(build, is_initialized, true);
	const char *ended = terminal_reason(build);
	bool succeeded = !strcmp(build->phase, "Succeeded");
	if (uninitialized && !succeeded)
		add_condition(build, conditions, "Initialized", false, "ContainersNotInitialized",
		              arena_printf(arena, "containers with incomplete status: [%s]", uninitialized));
	else
		add_condition(build, conditions, "Initialized", true, succeeded ? "PodCompleted" : NULL, NULL);

	const char *unready = names_of(build, is_ready, false);
	const char *message = unready ? arena_printf(arena, "containers with unready status: [%s]", unready) : NULL;
	const char *gates = gate_trouble(build);
	const char *reason = ended ? ended : unready ? "ContainersNotReady" : NULL;
	const char *ready_reason = reason ? reason : gates ? "ReadinessGatesNotReady" : NULL;
	add_condition(build, conditions, "Ready", !ready_reason, ready_reason,
	              ended     ? NULL
	              : unready ? message
	                        : gates);
	add_condition(build, conditions, "ContainersReady", !reason, reason, ended ? NULL : message);
	add_condition(build, conditions, "PodScheduled", true, NULL, NULL);
	if (pod->resize_trouble && !strcmp(pod->resize_trouble, "Infeasible"))
		add_condition(build, conditions, "PodResizePending", true, "Infeasible",
		              "Node didn't have enough capacity");
	else if (pod->resize_trouble)
		add_condition(build, conditions, "PodResizeInProgress", true, pod->resize_trouble,
		              "the containers could not be resized");
	json_set(arena, status, "conditions", conditions);
}

// --- addresses -----------------------------------------------------------------------------------

static void add_address(struct build *build, struct json *list, const char *address)
{
	struct json *entry = json_object(build->arena);
	json_set_text(build->arena, entry, "ip", address);
	json_append(build->arena, list, entry);
}

static void set_addresses(struct build *build, struct json *status)
{
	struct arena *arena = build->arena;
	const struct pod *pod = build->pod;
	json_set_text(arena, status, "hostIP", pod->kubelet->node_ip);
	struct json *host_ips = json_ensure_array(arena, status, "hostIPs");
	add_address(build, host_ips, pod->kubelet->node_ip);
	const char *address = pod_address(pod);
	if (!address)
		return;
	json_set_text(arena, status, "podIP", address);
	struct json *list = json_ensure_array(arena, status, "podIPs");
	struct json *replace = json_object(arena); // the list is merged by address: an old one must go
	json_set_text(arena, replace, "$patch", "replace");
	json_append(arena, list, replace);
	if (pod_uses_host_network(pod))
		add_address(build, list, address);
	else
		for (size_t index = 0; index < pod->sandbox.address_count; index++)
			add_address(build, list, pod->sandbox.addresses[index]);
}

struct json *pod_status_build(struct arena *arena, const struct pod *pod, const struct json *previous, int64_t now_ns,
                              int64_t monotonic_ns)
{
	struct build build = {
	        .arena = arena, .pod = pod, .previous = previous, .now_ns = now_ns, .monotonic_ns = monotonic_ns};
	pod_plan_fill(pod, monotonic_ns, ARENA_ARRAY(arena, struct plan_container, pod->container_count + 1),
	              &build.plan);
	build.phase = compute_phase(&build);
	struct json *status = json_object(arena);
	json_set_text(arena, status, "phase", build.phase);
	json_set(arena, status, "reason", pod->end_reason ? json_string(arena, pod->end_reason) : json_null(arena));
	json_set(arena, status, "message", pod->end_message ? json_string(arena, pod->end_message) : json_null(arena));
	set_conditions(&build, status);
	set_addresses(&build, status);
	set_time(&build, status, "startTime", pod->started_at_ns);
	set_container_statuses(&build, status);
	json_set_text(arena, status, "qosClass", qos_class_to_string(pod_qos_class(pod->view)));
	return status;
}
