// SPDX-License-Identifier: Apache-2.0
#pragma once
// Offsets of time zones: "UTC", "+05:30", or a name of the system's zone files.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Seconds east of UTC at a moment; false when there is no such zone.
bool cel_timezone_offset(const char *name, size_t length, int64_t at_seconds, int64_t *ret_offset_seconds);
