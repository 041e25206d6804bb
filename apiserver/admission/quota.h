// SPDX-License-Identifier: Apache-2.0
#pragma once
// ResourceQuota: the desk where changes of a namespace are charged to its quotas,
// one batch after another, before they are written.

#include "apiserver/admission/admission.h"

struct quota_desk;

struct quota_desk *quota_desk_new(struct server *server, const struct json *configuration);
struct quota_desk *quota_desk_free(struct quota_desk *desk);

bool admission_quota_waits(const struct change *change, enum admission_operation operation, enum admission_phase phase);
void admission_quota_start(struct admission_wait *wait);
