// SPDX-License-Identifier: Apache-2.0
#include "common/base/clock.h"

#include <time.h>

#include "common/base/macros.h"

static int64_t read_clock(clockid_t id)
{
	struct timespec now;
	clock_gettime(id, &now);
	return (int64_t)now.tv_sec * NSEC_PER_SEC + now.tv_nsec;
}

static int64_t system_monotonic_ns(const struct clock *clock UNUSED)
{
	return read_clock(CLOCK_MONOTONIC);
}

static int64_t system_realtime_ns(const struct clock *clock UNUSED)
{
	return read_clock(CLOCK_REALTIME);
}

const struct clock clock_system = {
        .monotonic_ns = system_monotonic_ns,
        .realtime_ns = system_realtime_ns,
};

static int64_t manual_monotonic_ns(const struct clock *clock)
{
	return container_of(clock, const struct manual_clock, clock)->now_monotonic_ns;
}

static int64_t manual_realtime_ns(const struct clock *clock)
{
	return container_of(clock, const struct manual_clock, clock)->now_realtime_ns;
}

void manual_clock_init(struct manual_clock *manual, int64_t realtime_ns)
{
	*manual = (struct manual_clock){
	        .clock = {.monotonic_ns = manual_monotonic_ns, .realtime_ns = manual_realtime_ns},
	        .now_monotonic_ns = NSEC_PER_SEC,
	        .now_realtime_ns = realtime_ns,
	};
}

void manual_clock_advance(struct manual_clock *manual, int64_t delta_ns)
{
	manual->now_monotonic_ns += delta_ns;
	manual->now_realtime_ns += delta_ns;
}
