// SPDX-License-Identifier: Apache-2.0
#pragma once
// LimitRanges on objects: defaults for containers, and the bounds of containers,
// pods and claims. Pure.

#include "common/api/json.h"

// Fills in what the containers don't say; notes it in an annotation.
void limit_ranger_default(struct arena *arena, const struct json *range, struct json *pod);
// NULL, or everything that the object violates, in upstream's words.
const char *limit_ranger_check_pod(struct arena *arena, const struct json *range, const struct json *pod);
const char *limit_ranger_check_claim(struct arena *arena, const struct json *range, const struct json *claim);
