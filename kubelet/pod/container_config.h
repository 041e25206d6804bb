// SPDX-License-Identifier: Apache-2.0
#pragma once
// From a container of a pod's spec to what the runtime is asked for.

#include "kubelet/pod/environment.h"
#include "kubelet/pod/pod.h"
#include "kubelet/runtime/runtime.h"

struct container_inputs {
	const struct pod_container *container; // its `run` is the one to be started
	struct runtime_image *image;
	const struct object_bundle *bundle;
	struct environment_services services;
	const char *log_path;
	const char *termination_log; // on the node
};

// Everything is in the arena or borrowed from the inputs. Also makes what mounts need on the node (sub paths).
NODISCARD int container_config_build(struct arena *arena, const struct container_inputs *inputs,
                                     struct runtime_container_config *ret_config, struct err *err);

// The facts of a pod that its fields may refer to.
struct field_facts pod_field_facts(const struct pod *pod);
