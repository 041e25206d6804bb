// SPDX-License-Identifier: Apache-2.0
#pragma once
// Durations as int64_t nanoseconds in Go's text form: "1h30m0s", "1.5s", "100ms".

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"

// Go's duration syntax; false when malformed or out of range.
bool duration_parse(const char *text, int64_t *ret_duration_ns);

// The same with Go's error text: `time: missing unit in duration "10"`.
NODISCARD int duration_parse_err(const char *text, int64_t *ret_duration_ns, struct err *err);

// As Go's Duration.String.
void duration_format(int64_t duration_ns, char out[32]);
