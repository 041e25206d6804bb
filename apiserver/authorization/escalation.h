// SPDX-License-Identifier: Apache-2.0
#pragma once
// Nobody grants what they don't have: writes of roles and bindings.

#include "apiserver/registry/change.h"

// NULL: not such a kind, or allowed. Called once admission has changed the object; safe on a worker.
const struct status *escalation_check(struct change *change);
