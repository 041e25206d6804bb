// SPDX-License-Identifier: Apache-2.0
#pragma once
// The scheduler's settings, from defaults, a KubeSchedulerConfiguration file and flags.

#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/client/daemon.h"

struct scheduler_config {
	const char **profile_names; // spec.schedulerName of the pods that are ours
	size_t profile_count;
	int percentage_of_nodes;
	int64_t initial_backoff_ns;
	int64_t max_backoff_ns;
	const char *kubeconfig; // clientConnection.kubeconfig, NULL = none
	struct leader_options leader;
};

void scheduler_config_init(struct scheduler_config *config, const struct leader_options *leader);

// Reads kubescheduler.config.k8s.io/v1 YAML over what is there. Texts live in the arena.
NODISCARD int scheduler_config_load(struct arena *arena, const char *path, struct scheduler_config *config,
                                    struct err *err);
