// SPDX-License-Identifier: Apache-2.0
#pragma once
// The sandbox: what a pod's containers share. Namespaces, network, the pause
// container, /dev/shm, the pod's cgroup.

#include "kubelet/network/cni.h"
#include "kubelet/pod/pod.h"

// From PART_NONE: PART_WORKING, then PART_READY or PART_BROKEN; the pod is woken.
void pod_sandbox_start(struct pod *pod);
// Whether containers may be started in it: it is PART_READY, or lacks its running pause container alone.
bool pod_sandbox_is_joinable(const struct pod_sandbox *sandbox);
// From PART_READY or PART_BROKEN: PART_WORKING, then PART_NONE, or PART_BROKEN again when something resisted.
void pod_sandbox_stop(struct pod *pod);
// The pause container has ended.
void pod_sandbox_lost(struct pod *pod, const char *why);
// Frees texts. The sandbox must be PART_NONE or the pod be given up without taking it down.
void pod_sandbox_done(struct pod_sandbox *sandbox);

// The host ports of all containers.
size_t pod_sandbox_ports(struct arena *arena, const struct core_v1_pod *pod, struct cni_port_mapping **ret_ports);
