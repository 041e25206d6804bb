// SPDX-License-Identifier: Apache-2.0
#pragma once
// Which tolerations of a pod tolerate which taints of a node.

#include <stdbool.h>

#include "api/core_v1.h"

bool toleration_tolerates(const struct core_v1_toleration *toleration, const struct core_v1_taint *taint);

// Some toleration of the list does.
bool tolerations_tolerate(const struct core_v1_toleration_array *tolerations, const struct core_v1_taint *taint);

// The taint's effect is this one.
bool taint_has_effect(const struct core_v1_taint *taint, const char *effect);
