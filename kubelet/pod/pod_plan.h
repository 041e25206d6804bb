// SPDX-License-Identifier: Apache-2.0
#pragma once
// What is to be done next for a pod: a pure function of what it wants and what is
// there. The pod's worker carries the plan out and asks again when something has
// changed.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum container_kind {
	CONTAINER_INIT,
	CONTAINER_SIDECAR, // an init container with restartPolicy Always
	CONTAINER_REGULAR,
	CONTAINER_EPHEMERAL, // added to a running pod; counts for nothing
};

enum container_state {
	CONTAINER_WAITING, // has not run yet in this sandbox
	CONTAINER_STARTING,
	CONTAINER_RUNNING,
	CONTAINER_EXITED,
};

enum restart_policy {
	RESTART_ALWAYS,
	RESTART_ON_FAILURE,
	RESTART_NEVER,
};

enum part_state { // of the pod's volumes and of its sandbox
	PART_NONE,
	PART_WORKING, // being made or taken down
	PART_READY,
	PART_BROKEN, // to be taken down before it can be made again
};

struct plan_container {
	enum container_kind kind;
	enum container_state state;
	enum restart_policy restart;
	bool stopping;       // a stop is under way
	bool removing;       // what an earlier run left is still being removed
	bool started;        // runs and its startup probe, if any, has passed
	bool has_post_start; // those after it wait until its hook is done
	bool hook_running;   // that hook
	bool must_restart;   // its liveness or startup probe has failed for good
	int exit_code;       // EXITED
	int64_t retry_at_ns; // not to be started before
};

struct plan_input {
	int64_t now_ns;
	bool terminating; // deleted, or ended by the kubelet
	enum part_state volumes;
	enum part_state sandbox;
	bool sandbox_joinable; // WORKING: containers may be started in it already
	int64_t volumes_retry_at_ns;
	int64_t sandbox_retry_at_ns;
	const struct plan_container *containers; // init containers and sidecars in their order, then the regular ones
	size_t container_count;
};

enum plan_action_type {
	PLAN_MOUNT_VOLUMES,
	PLAN_START_SANDBOX,
	PLAN_START_CONTAINER,
	PLAN_STOP_CONTAINER,
	PLAN_STOP_SANDBOX,
	PLAN_UNMOUNT_VOLUMES,
	PLAN_FINISH, // nothing of the pod is left on the node but its records
};

struct plan_action {
	enum plan_action_type type;
	size_t container;
};

enum { PLAN_MAX_ACTIONS = 256 };

struct pod_plan {
	struct plan_action actions[PLAN_MAX_ACTIONS];
	size_t action_count;
	int64_t wake_at_ns; // ask again then at the latest; INT64_MAX: when something changes
};

void pod_plan_make(const struct plan_input *input, struct pod_plan *ret_plan);

enum pod_end {
	POD_GOES_ON,
	POD_SUCCEEDED,
	POD_FAILED,
};
// Whether the pod has run its course: every regular container ended for good, or an init container failed for good.
enum pod_end pod_plan_end(const struct plan_input *input);

// Whether an ended container is to run again, by its policy.
bool plan_restarts(const struct plan_container *container);
// The first init container that the pod waits for; container_count when all are done.
size_t plan_next_init(const struct plan_input *input);
