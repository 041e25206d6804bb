// SPDX-License-Identifier: Apache-2.0
#pragma once
// PATCH application/apply-patch+yaml: server-side apply.

#include <stdbool.h>

struct request;

bool registry_apply_is_asked(const struct request *request);
void registry_apply(struct request *request);
