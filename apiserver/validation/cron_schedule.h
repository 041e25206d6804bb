// SPDX-License-Identifier: Apache-2.0
#pragma once
// Schedules of CronJobs: five fields or a descriptor.

#include "common/base/arena.h"

// What is wrong with it, NULL for nothing.
const char *cron_schedule_problem(struct arena *arena, const char *schedule);
