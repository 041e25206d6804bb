// SPDX-License-Identifier: Apache-2.0
#pragma once
// The history of a workload: the ReplicaSets of a Deployment, the
// ControllerRevisions of a DaemonSet or StatefulSet.

#include <stddef.h>
#include <stdint.h>

#include "common/api/json.h"
#include "ctl/target.h"

struct ctl;

struct revision {
	int64_t number;
	struct json *object;   // ReplicaSet or ControllerRevision
	struct json *template; // pod template, without pod-template-hash; NULL when it can't be read
};

// Oldest first. False when the server refused (reported).
bool revisions_read(struct ctl *ctl, const struct target *target, struct revision **ret_revisions, size_t *ret_count);

// The revision to go back to: `wanted`, or with 0 the last but one. NULL: *err.
const struct revision *revisions_choose(const struct revision *revisions, size_t count, int64_t wanted,
                                        const struct target *target, struct err *err);

const char *revision_change_cause(const struct revision *revision);
