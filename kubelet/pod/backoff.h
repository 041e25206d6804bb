// SPDX-License-Identifier: Apache-2.0
#pragma once
// Upstream's crash and image back-off: the first restart is immediate, the next
// waits 10 s, then twice as long up to five minutes, counted from the moment of the
// failure; ten quiet minutes forget it all.

#include <stdint.h>

#include "common/base/clock.h"

#define BACKOFF_INITIAL_NS (10 * NSEC_PER_SEC)
#define BACKOFF_MAX_NS (300 * NSEC_PER_SEC)

struct backoff {
	int64_t delay_ns; // 0: none yet
	int64_t updated_ns;
};

// A try begins now: the next failure will wait longer.
static inline void backoff_advance(struct backoff *backoff, int64_t now_ns)
{
	if (!backoff->delay_ns || now_ns - backoff->updated_ns > 2 * BACKOFF_MAX_NS)
		backoff->delay_ns = BACKOFF_INITIAL_NS;
	else if (backoff->delay_ns < BACKOFF_MAX_NS / 2)
		backoff->delay_ns *= 2;
	else
		backoff->delay_ns = BACKOFF_MAX_NS;
	backoff->updated_ns = now_ns;
}

// The earliest time of the next try after a failure at `failed_ns`.
static inline int64_t backoff_until_ns(const struct backoff *backoff, int64_t failed_ns)
{
	if (!backoff->delay_ns || failed_ns - backoff->updated_ns > 2 * BACKOFF_MAX_NS)
		return failed_ns;
	return failed_ns + backoff->delay_ns;
}
