// SPDX-License-Identifier: Apache-2.0
#pragma once
// The OCI runtime specification of a container: a pure function of its config
// and of what was found out about the image's root file system.

#include "common/api/json.h"
#include "kubelet/runtime/runtime.h"

// What only the root file system and the node can tell.
struct oci_facts {
	const char *root_path;
	int64_t uid;
	int64_t gid;
	const int64_t *additional_gids;
	size_t additional_gid_count;
	const char *home;                // of the user, "" when unknown
	int64_t least_oom_score_adj;     // what may be asked for
	bool cgroup_v2;                  // then the container gets a cgroup namespace of its own
	const struct json *host_devices; // for privileged containers: an array of OCI devices, or NULL
};

NODISCARD int oci_spec_build(struct arena *arena, const struct runtime_container_config *config,
                             const struct oci_facts *facts, struct json **ret_spec, struct err *err);

// The devices below a directory ("/dev") as OCI entries, without what a container gets of its own.
struct json *oci_host_devices(struct arena *arena, const char *directory);
