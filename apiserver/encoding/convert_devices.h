// SPDX-License-Identifier: Apache-2.0
#pragma once
// The older forms of resource.k8s.io (v1alpha3 and v1beta1) and the stored one,
// v1beta2, which says the same in other places.

#include <stdbool.h>

#include "common/api/json.h"

// `version`: the older one. apiVersion is left to the caller.
void convert_devices(struct arena *arena, struct json *object, const char *version, bool to_storage);
