// SPDX-License-Identifier: Apache-2.0
#pragma once
// A pod on this node: what it wants (its object), what there is of it, and what is
// being done. One worker owns it; everything happens on the loop's thread.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/core_v1.h"
#include "common/base/list.h"
#include "common/client/informer.h"
#include "common/io/loop.h"
#include "kubelet/pod/backoff.h"
#include "kubelet/pod/pod_plan.h"
#include "kubelet/pod/pod_resources.h"

struct kubelet;
struct pod;
struct rest_call;
struct probe_set;
struct pod_volumes;

enum { CONTAINER_ID_BYTES = 65, POD_MAX_ADDRESSES = 4 };

// One run of a container.
struct container_run {
	char id[CONTAINER_ID_BYTES];
	int64_t created_at_ns;  // wall clock
	int64_t started_at_ns;  // 0: not started
	int64_t finished_at_ns; // 0: runs
	int exit_code;
	char *reason;  // "Completed", "Error", "OOMKilled", …; NULL while it runs
	char *message; // may be NULL
	char *image;
	char *image_id;
	char *stop_signal; // the image's; NULL: TERM
	int restart;       // its number, in the log's name
};
void container_run_done(struct container_run *run);

struct pod_container {
	struct pod *pod;
	size_t index;                            // in pod->containers
	const struct core_v1_container *spec;    // of the pod's present object
	const struct core_v1_container *applied; // what it runs with, of applied_object; NULL: not known
	struct api_object *applied_object;
	char *name;
	enum container_kind kind;
	enum restart_policy restart_policy;
	enum container_state state;
	bool has_run;  // `run` is filled: the present run or the last one
	bool has_last; // `last` is filled: the one before
	struct container_run run;
	struct container_run last;
	int restart_count;
	int pid;
	char *waiting_reason; // NULL: ContainerCreating or PodInitializing
	char *waiting_message;
	struct backoff crash_backoff;
	struct backoff image_backoff;
	int64_t retry_at_ns; // monotonic
	bool oom_seen;

	struct container_start *start; // while starting
	struct action *hook;           // of its life, under way
	bool post_start_running;       // it doesn't count as running yet
	bool stopping;
	int64_t stop_grace_ns;
	int64_t stop_began_ns; // monotonic
	bool kill_sent;
	struct loop_timer kill_timer;
	bool started; // startup probe passed, or none
	bool ready;
	bool must_restart;
	const char *restart_reason;
	int64_t restart_grace_ns; // of the probe that failed; -1: the pod's
	struct probe_set *probes; // while running
	unsigned removing;        // leftovers of ended runs that are being removed
};

struct pod_sandbox {
	enum part_state state;
	bool joinable;               // while it is made: all is there but the running pause container
	char id[CONTAINER_ID_BYTES]; // of the pause container
	char *network_path;          // NULL: the host's
	char *ipc_path;
	char *uts_path;
	char *network_list;   // CNI plugin list, as loaded
	char *network_result; // of ADD; NULL: none
	char *addresses[POD_MAX_ADDRESSES];
	size_t address_count;
	int pid;
	int64_t created_at_ns;
	struct backoff backoff;
	int64_t retry_at_ns;
	struct sandbox_op *op;
};

enum pod_origin {
	POD_FROM_API,
	POD_FROM_FILE,
};

struct pod {
	struct kubelet *kubelet;
	char *uid;
	char *namespace_name;
	char *name;
	char *directory; // <root>/pods/<uid>
	enum pod_origin origin;
	struct api_object *object; // the newest known
	const struct core_v1_pod *view;
	bool orphaned; // in no source any more

	// Each of its own, since more come while others are at work: init containers and sidecars, the regular ones,
	// ephemeral ones as they are added.
	struct pod_container **containers;
	size_t container_count;
	struct pod_sandbox sandbox;
	enum part_state volumes_state;
	int64_t volumes_retry_at_ns;
	struct backoff volumes_backoff;
	struct pod_volumes *volumes; // while they are being made or kept up

	const char *resize_trouble;  // why running containers don't have what they should: "Infeasible", "Error"; NULL
	struct cgroup_limits limits; // of the pod's group

	bool terminating;
	int64_t grace_ns;       // for stops from now on
	int64_t stop_began_ns;  // monotonic: when the first container was told to end for good; 0: none yet
	const char *end_reason; // the kubelet ended it: status.reason ("DeadlineExceeded"); NULL otherwise
	const char *end_message;
	char *end_text;        // end_message's, when it is this pod's own
	bool finished;         // nothing left on the node
	bool deleting;         // the API object's removal was asked for
	int64_t started_at_ns; // wall clock: seen first by the kubelet

	struct loop_timer sync_timer;
	int64_t refresh_at_ns; // volumes that follow objects
	bool refreshing;
	bool frozen; // had run its course before this kubelet knew it: its status is left alone

	// The status as it was sent last, and the call that carries the next one.
	char *mirror_uid;  // of a static pod's object in the API; NULL: none
	char *sent_status; // text; NULL: none yet
	char *sending_status;
	struct json *status; // last computed, in status_arena
	struct arena *status_arena;
	struct rest_call *status_call;
	struct loop_timer status_timer;
	int64_t status_delay_ns;
	struct rest_call *delete_call;
	bool gone; // being freed
};

// "namespace/name(uid)" would be upstream's; events are about the object.
void pod_event(const struct pod *pod, const struct pod_container *container, const char *type, const char *reason,
               const char *message_format, ...) PRINTF_LIKE(5, 6);

// Looks at the pod again in a later turn. Cheap; any number of times.
void pod_wake(struct pod *pod);

struct pod_container *pod_find_container(struct pod *pod, const char *name);
// The pod's first address, or the node's when it uses the node's network; NULL while there is none.
const char *pod_address(const struct pod *pod);
bool pod_uses_host_network(const struct pod *pod);

// The folder of a container's files on the node, "<pod directory>/containers/<name>", in the arena.
char *pod_container_directory(struct arena *arena, const struct pod *pod, const char *container_name);
// "<logs>/<ns>_<name>_<uid>" and "…/<container>/<restart>.log".
char *pod_log_directory(struct arena *arena, const struct pod *pod);
char *pod_log_path(struct arena *arena, const struct pod *pod, const char *container_name, int restart);
