// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the scheduler writes about pods: bindings, and the condition that says why a
// pod has no node. Any number may be under way; nothing here waits.

#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "scheduler/pod_info.h"

struct rest_client;
struct pod_writer;

// Once for each pod_writer_bind; err->code is ERR_NONE when the pod is bound.
typedef void pod_bound_function(void *context, struct pod_info *info, const char *node_name, int64_t duration_ns,
                                const struct err *err);

struct pod_writer *pod_writer_new(struct rest_client *client, pod_bound_function *on_bound, void *context);
struct pod_writer *pod_writer_free(struct pod_writer *writer); // abandons what is under way

void pod_writer_bind(struct pod_writer *writer, struct pod_info *info, const char *node_name);
size_t pod_writer_binding_count(const struct pod_writer *writer);

// PodScheduled=False, reason Unschedulable, unless the pod says so already. A failure is logged and
// nothing more: the next attempt writes again.
void pod_writer_mark_unschedulable(struct pod_writer *writer, struct pod_info *info, const char *message);
