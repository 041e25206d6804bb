// SPDX-License-Identifier: Apache-2.0
#pragma once
// One container's life: start, end, stop, removal. Each function begins something and
// returns; when it has an outcome the container's state is changed and its pod woken.

#include "kubelet/pod/pod.h"

// From WAITING or EXITED.
void container_begin(struct pod_container *container);
// The preStop hook, TERM, then KILL after the grace period. Called again with less grace, it hastens.
void container_stop(struct pod_container *container, int64_t grace_ns, const char *why);
// The runtime says that the present run has ended.
void container_ended(struct pod_container *container, int exit_code, int64_t finished_at_ns);
// After a restart of the kubelet: the recorded run still runs.
void container_adopt(struct pod_container *container, int pid);
// Removes a run's leftovers (`id` may be none of the known ones); `removing` says when it is done.
void container_remove_run(struct pod_container *container, const char *id);

// Removes the links to its logs from the folder of all containers' logs.
void container_unlink_logs(const struct pod_container *container);

// Forgets everything in memory; nothing may be under way.
void container_free(struct pod_container *container);

void container_set_waiting(struct pod_container *container, const char *reason, const char *message);
