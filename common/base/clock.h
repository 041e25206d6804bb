// SPDX-License-Identifier: Apache-2.0
#pragma once
// Time as int64_t nanoseconds, from a source that tests can replace. Code that
// decides by time takes a `const struct clock *`; code that only stamps logs
// uses the real one.

#include <stdint.h>

#define NSEC_PER_SEC INT64_C(1000000000)
#define NSEC_PER_MSEC INT64_C(1000000)
#define NSEC_PER_USEC INT64_C(1000)

struct clock {
	int64_t (*monotonic_ns)(const struct clock *clock); // never goes back; for intervals
	int64_t (*realtime_ns)(const struct clock *clock);  // since 1970 UTC; for API times
};

// The system's clock.
extern const struct clock clock_system;

static inline int64_t clock_monotonic_ns(const struct clock *clock)
{
	return clock->monotonic_ns(clock);
}

static inline int64_t clock_realtime_ns(const struct clock *clock)
{
	return clock->realtime_ns(clock);
}

// A clock that moves only when told, for tests: embeds `clock` first.
struct manual_clock {
	struct clock clock;
	int64_t now_monotonic_ns;
	int64_t now_realtime_ns;
};

void manual_clock_init(struct manual_clock *manual, int64_t realtime_ns);
void manual_clock_advance(struct manual_clock *manual, int64_t delta_ns);
