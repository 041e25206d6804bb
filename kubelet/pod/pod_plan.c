// SPDX-License-Identifier: Apache-2.0
// The kubelet's decisions about one pod, as upstream makes them in computePodActions
// and its pod workers.
//
// Alive:  a regular container with a postStart hook is waited for by those after it;
//         volumes and sandbox are made at the same time; when both are ready (or the
//         sandbox lacks its running pause container alone), init containers run one
//         after another (a sidecar counts once it has started), then all regular
//         containers at once. What ends is started again by its policy, after its
//         back-off. A broken sandbox takes everything down first.
// Ending: regular containers are stopped together, then the sidecars from the last
//         to the first, then the sandbox, then the volumes. A container that is
//         being started is waited for: starts can't be taken back.
//
// A pod that ran its course is taken down in the same way; its object stays.

#include "kubelet/pod/pod_plan.h"

static void act(struct pod_plan *plan, enum plan_action_type type, size_t container)
{
	if (plan->action_count < PLAN_MAX_ACTIONS)
		plan->actions[plan->action_count++] = (struct plan_action){.type = type, .container = container};
}

static void wake_at(struct pod_plan *plan, int64_t when_ns)
{
	if (when_ns < plan->wake_at_ns)
		plan->wake_at_ns = when_ns;
}

bool plan_restarts(const struct plan_container *container)
{
	switch (container->restart) {
	case RESTART_ALWAYS:
		return true;
	case RESTART_ON_FAILURE:
		return container->exit_code != 0;
	case RESTART_NEVER:
		break;
	}
	return false;
}

static bool is_alive(const struct plan_container *container)
{
	return container->state == CONTAINER_STARTING || container->state == CONTAINER_RUNNING || container->removing;
}

static bool any_regular_began(const struct plan_input *input)
{
	for (size_t index = 0; index < input->container_count; index++)
		if (input->containers[index].kind == CONTAINER_REGULAR &&
		    input->containers[index].state != CONTAINER_WAITING)
			return true;
	return false;
}

size_t plan_next_init(const struct plan_input *input)
{
	if (any_regular_began(input))
		return input->container_count;
	for (size_t index = 0; index < input->container_count; index++) {
		const struct plan_container *container = &input->containers[index];
		bool done = container->kind >= CONTAINER_REGULAR ||
		            (container->kind == CONTAINER_INIT && container->state == CONTAINER_EXITED &&
		             container->exit_code == 0) ||
		            (container->kind == CONTAINER_SIDECAR && container->started);
		if (!done)
			return index;
	}
	return input->container_count;
}

enum pod_end pod_plan_end(const struct plan_input *input)
{
	bool failed = false;
	size_t regular = 0;
	for (size_t index = 0; index < input->container_count; index++) {
		const struct plan_container *container = &input->containers[index];
		if (container->kind == CONTAINER_INIT && container->state == CONTAINER_EXITED && container->exit_code &&
		    !plan_restarts(container) && !any_regular_began(input))
			return POD_FAILED;
		if (container->kind != CONTAINER_REGULAR)
			continue;
		regular++;
		if (container->state != CONTAINER_EXITED || plan_restarts(container))
			return POD_GOES_ON;
		failed |= container->exit_code != 0;
	}
	if (!regular)
		return POD_GOES_ON;
	return failed ? POD_FAILED : POD_SUCCEEDED;
}

// --- ending -----------------------------------------------------------------------------

// Returns whether a container is still alive.
static bool stop_containers(const struct plan_input *input, struct pod_plan *plan)
{
	bool regular_alive = false;
	for (size_t index = 0; index < input->container_count; index++) {
		const struct plan_container *container = &input->containers[index];
		if (container->kind == CONTAINER_SIDECAR || !is_alive(container))
			continue;
		regular_alive = true;
		if (container->state == CONTAINER_RUNNING && !container->stopping)
			act(plan, PLAN_STOP_CONTAINER, index);
	}
	if (regular_alive)
		return true;
	for (size_t index = input->container_count; index-- > 0;) {
		const struct plan_container *container = &input->containers[index];
		if (container->kind != CONTAINER_SIDECAR || !is_alive(container))
			continue;
		if (container->state == CONTAINER_RUNNING && !container->stopping)
			act(plan, PLAN_STOP_CONTAINER, index);
		return true; // the one before it goes when this one has gone
	}
	return false;
}

static void take_down(const struct plan_input *input, struct pod_plan *plan)
{
	if (stop_containers(input, plan))
		return;
	if (input->sandbox == PART_READY || input->sandbox == PART_BROKEN) {
		if (input->sandbox == PART_BROKEN && input->now_ns < input->sandbox_retry_at_ns)
			wake_at(plan, input->sandbox_retry_at_ns);
		else
			act(plan, PLAN_STOP_SANDBOX, 0);
		return;
	}
	if (input->sandbox == PART_WORKING || input->volumes == PART_WORKING)
		return;
	if (input->volumes == PART_READY || input->volumes == PART_BROKEN) {
		if (input->volumes == PART_BROKEN && input->now_ns < input->volumes_retry_at_ns)
			wake_at(plan, input->volumes_retry_at_ns);
		else
			act(plan, PLAN_UNMOUNT_VOLUMES, 0);
		return;
	}
	act(plan, PLAN_FINISH, 0);
}

// --- alive ------------------------------------------------------------------------------

// Returns whether it is being started now.
static bool start_when_due(const struct plan_input *input, struct pod_plan *plan, size_t index)
{
	const struct plan_container *container = &input->containers[index];
	bool again = container->state == CONTAINER_EXITED && plan_restarts(container);
	if (container->state == CONTAINER_RUNNING && container->must_restart && !container->stopping)
		act(plan, PLAN_STOP_CONTAINER, index);
	if (container->state != CONTAINER_WAITING && !again)
		return container->state == CONTAINER_STARTING || container->hook_running;
	if (input->now_ns < container->retry_at_ns) {
		wake_at(plan, container->retry_at_ns);
		return false;
	}
	act(plan, PLAN_START_CONTAINER, index);
	return true;
}

static void run_containers(const struct plan_input *input, struct pod_plan *plan)
{
	size_t next_init = plan_next_init(input);
	bool held = false; // by the postStart hook of one before
	for (size_t index = 0; index < input->container_count; index++) {
		const struct plan_container *container = &input->containers[index];
		bool due = container->kind == CONTAINER_SIDECAR     ? index <= next_init
		           : container->kind == CONTAINER_INIT      ? index == next_init
		           : container->kind == CONTAINER_EPHEMERAL ? true
		                                                    : next_init == input->container_count && !held;
		if (due && start_when_due(input, plan, index) && container->kind == CONTAINER_REGULAR)
			held |= container->has_post_start;
	}
}

static void bring_up(const struct plan_input *input, struct pod_plan *plan)
{
	if (input->volumes == PART_NONE || input->volumes == PART_BROKEN) {
		if (input->now_ns < input->volumes_retry_at_ns)
			wake_at(plan, input->volumes_retry_at_ns);
		else
			act(plan, PLAN_MOUNT_VOLUMES, 0);
	}
	if (input->sandbox == PART_NONE) {
		if (input->now_ns < input->sandbox_retry_at_ns)
			wake_at(plan, input->sandbox_retry_at_ns);
		else
			act(plan, PLAN_START_SANDBOX, 0);
	}
	if (input->sandbox == PART_BROKEN && !stop_containers(input, plan)) {
		if (input->now_ns < input->sandbox_retry_at_ns)
			wake_at(plan, input->sandbox_retry_at_ns);
		else
			act(plan, PLAN_STOP_SANDBOX, 0);
	}
	bool joinable = input->sandbox == PART_READY || (input->sandbox == PART_WORKING && input->sandbox_joinable);
	if (joinable && input->volumes == PART_READY)
		run_containers(input, plan);
}

void pod_plan_make(const struct plan_input *input, struct pod_plan *ret_plan)
{
	ret_plan->action_count = 0;
	ret_plan->wake_at_ns = INT64_MAX;
	if (input->terminating || pod_plan_end(input) != POD_GOES_ON)
		take_down(input, ret_plan);
	else
		bring_up(input, ret_plan);
}
