// SPDX-License-Identifier: Apache-2.0
#pragma once
// The parameter objects of a binding.

#include "apiserver/admission/policy_config.h"

// NULL and the objects (a NULL object: judged without parameters), or why they can't be had.
const char *policy_params_find(const struct change *change, const struct policy_binding *binding,
                               const struct json *const **ret_params, size_t *ret_count);
