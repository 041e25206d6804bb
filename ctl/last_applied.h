// SPDX-License-Identifier: Apache-2.0
#pragma once
// The annotation in which client-side apply keeps what was applied last.

#include "common/api/json.h"

#define LAST_APPLIED_ANNOTATION "kubectl.kubernetes.io/last-applied-configuration"

struct ctl;

// Sets the annotation to the object's own text, without the annotation in it.
void last_applied_set(struct ctl *ctl, struct json *object);
// What the annotation of a live object holds, parsed; NULL when there is none or it can't be read.
struct json *last_applied_get(struct ctl *ctl, const struct json *object);
