// SPDX-License-Identifier: Apache-2.0
#pragma once
// Pods as storage sees them, without the schema's tables. Included by one test
// program, hence static.

#include "common/api/schema.h"

static const struct schema_selectable_field pod_fields[] = {{"spec.nodeName", "spec.nodeName"},
                                                            {"status.phase", "status.phase"}};
static const struct schema_resource pods = {.group = "",
                                            .version = "v1",
                                            .kind = "Pod",
                                            .plural = "pods",
                                            .namespaced = true,
                                            .storage_prefix = "/registry/pods",
                                            .storage_group = "",
                                            .storage_version = "v1",
                                            .selectable_fields = pod_fields,
                                            .selectable_field_count = 2};
