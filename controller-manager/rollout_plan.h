// SPDX-License-Identifier: Apache-2.0
#pragma once
// How a rolling update moves: from the sizes of a Deployment's ReplicaSets to the
// sizes that they get next. Pure functions.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct int_or_string;

struct rollout_set {
	int32_t size;      // spec.replicas
	int32_t ready;     // status.readyReplicas
	int32_t available; // status.availableReplicas
	int32_t wanted;    // out: the next size
};

struct rollout {
	int32_t desired;            // the Deployment's replicas
	int32_t max_surge;          // resolved
	int32_t max_unavailable;    // resolved
	struct rollout_set *newest; // NULL: not there
	struct rollout_set *olds;   // oldest first
	size_t old_count;
};

// Resolves both values (numbers or percentages of `desired`: surge rounds up,
// unavailable down); when both come to 0, one may be unavailable.
void rollout_resolve(const struct int_or_string *max_surge, const struct int_or_string *max_unavailable,
                     int32_t desired, int32_t *ret_surge, int32_t *ret_unavailable);

// One step of a rolling update: fills `wanted` of every set. First the new one grows as far as the surge allows; when
// it can't, old ones shrink: unhealthy pods first, then as many as may be unavailable.
void rollout_step(struct rollout *rollout);

// Spreads a changed size (or a paused rollout's) over the sets in proportion, as upstream does.
void rollout_scale(struct rollout *rollout);
