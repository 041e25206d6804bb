// SPDX-License-Identifier: Apache-2.0
#pragma once
// Between the files of the DaemonSet controller only.

#include "api/apps_v1.h"
#include "api/core_v1.h"
#include "controller-manager/controller.h"

#define REVISION_HASH_LABEL "controller-revision-hash"

// One node, and the DaemonSet's pods on it, oldest first.
struct daemon_node {
	const struct core_v1_node *node; // NULL: gone, or never was
	const char *name;
	struct api_object **pods;
	size_t pod_count;
	bool should_run;      // a pod belongs here
	bool should_continue; // one that is here may stay
};

// One DaemonSet in one reconcile.
struct daemon_sync {
	struct controller *controller;
	struct reconcile *reconcile;
	struct arena *arena;
	struct api_object *object;
	const struct apps_v1_daemon_set *daemonset;
	const char *hash; // of the current template
	struct daemon_node *nodes;
	size_t node_count;
	int64_t now_realtime_ns;
	int64_t next_available_ns; // when a pod will have been ready long enough; 0 = none is on its way
	const struct core_v1_pod **to_create;
	size_t create_count;
	size_t create_capacity;
	size_t deletions;
};

// daemonset_nodes.c: which nodes get a pod, and the pod for one of them.
void daemon_tolerate_node_faults(struct arena *arena, struct core_v1_pod_spec *spec);
void daemon_judge_node(const struct core_v1_pod_spec *spec, struct daemon_node *node);
// The node that a pod is meant for, NULL = unknown.
const char *daemon_target_node(const struct core_v1_pod *pod);
const struct core_v1_pod *daemon_pod_for(struct daemon_sync *sync, const char *node_name);

// daemonset_update.c: one step of a rolling update.
void daemon_roll(struct daemon_sync *sync);
bool daemon_pod_is_current(const struct daemon_sync *sync, const struct api_object *pod);
bool daemon_pod_is_available(struct daemon_sync *sync, const struct api_object *pod);
int32_t daemon_max_surge(const struct daemon_sync *sync);

// daemonset.c
void daemon_create_on(struct daemon_sync *sync, const char *node_name);
void daemon_delete_pod(struct daemon_sync *sync, const struct api_object *pod);
