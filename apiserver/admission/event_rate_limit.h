// SPDX-License-Identifier: Apache-2.0
#pragma once
// The buckets of EventRateLimit. Thread-safe.

#include "common/api/json.h"
#include "common/base/err.h"

struct event_rate_limits;

NODISCARD int event_rate_limits_new(const struct json *configuration, struct event_rate_limits **ret_limits,
                                    struct err *err);
struct event_rate_limits *event_rate_limits_free(struct event_rate_limits *limits);
