// SPDX-License-Identifier: Apache-2.0
#pragma once
// The webhook backend: EventLists in batches, one after another. On the audit
// thread's loop.

#include <stddef.h>

#include "common/base/err.h"

struct audit_webhook;
struct auditor_config;
struct loop;
struct metrics_registry;

NODISCARD int audit_webhook_new(struct loop *loop, const struct auditor_config *config,
                                struct metrics_registry *metrics, struct audit_webhook **ret_webhook, struct err *err);
struct audit_webhook *audit_webhook_free(struct audit_webhook *webhook);

// Lines of events; copied.
void audit_webhook_add(struct audit_webhook *webhook, const char *lines, size_t length);
