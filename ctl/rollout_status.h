// SPDX-License-Identifier: Apache-2.0
#pragma once
// How far the rollout of a Deployment, DaemonSet or StatefulSet is, in kubectl's words.

#include <stdbool.h>
#include <stdint.h>

#include "common/api/json.h"
#include "common/base/strbuf.h"

enum rollout_state {
	ROLLOUT_WAITING,
	ROLLOUT_DONE,
	ROLLOUT_FAILED, // err says why
};

// Appends the progress line. `revision` 0 = any.
enum rollout_state rollout_status(const struct json *object, int64_t revision, struct strbuf *out, struct err *err);
// False for kinds that don't roll out.
bool rollout_knows(const char *kind);
