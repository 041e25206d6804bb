// SPDX-License-Identifier: Apache-2.0
//
// The bounds of a rolling update: at any time at most desired + surge pods exist,
// and at least desired - unavailable are available. Growing the new set uses up
// the surge; shrinking the old ones uses what is available beyond the minimum.
#include "controller-manager/rollout_plan.h"

#include <stdlib.h>
#include <string.h>

#include "common/api/view.h"

static int32_t at_least(int32_t value, int32_t bound)
{
	return value < bound ? bound : value;
}

static int32_t at_most(int32_t value, int32_t bound)
{
	return value > bound ? bound : value;
}

// A number, or "25%" of `total`.
static int32_t resolve(const struct int_or_string *value, int32_t total, bool round_up)
{
	if (!value)
		return 0;
	if (!value->is_string)
		return at_least(value->integer, 0);
	long percent = value->text ? strtol(value->text, NULL, 10) : 0;
	long long scaled = (long long)percent * total;
	return at_least((int32_t)(round_up ? (scaled + 99) / 100 : scaled / 100), 0);
}

void rollout_resolve(const struct int_or_string *max_surge, const struct int_or_string *max_unavailable,
                     int32_t desired, int32_t *ret_surge, int32_t *ret_unavailable)
{
	int32_t surge = resolve(max_surge, desired, true);
	int32_t unavailable = at_most(resolve(max_unavailable, desired, false), desired);
	if (surge == 0 && unavailable == 0)
		unavailable = 1;
	*ret_surge = surge;
	*ret_unavailable = unavailable;
}

static int32_t total_size(const struct rollout *rollout)
{
	int32_t total = rollout->newest ? rollout->newest->size : 0;
	for (size_t i = 0; i < rollout->old_count; i++)
		total += rollout->olds[i].size;
	return total;
}

// A set that was made smaller shows the pods that it is about to lose until its status has caught up.
static int32_t available_of(const struct rollout_set *set)
{
	return at_most(set->available, set->size);
}

static int32_t total_available(const struct rollout *rollout)
{
	int32_t total = rollout->newest ? available_of(rollout->newest) : 0;
	for (size_t i = 0; i < rollout->old_count; i++)
		total += available_of(&rollout->olds[i]);
	return total;
}

static void keep_sizes(struct rollout *rollout)
{
	if (rollout->newest)
		rollout->newest->wanted = rollout->newest->size;
	for (size_t i = 0; i < rollout->old_count; i++)
		rollout->olds[i].wanted = rollout->olds[i].size;
}

// True when the new set changes its size.
static bool step_new(struct rollout *rollout)
{
	struct rollout_set *newest = rollout->newest;
	if (newest->size >= rollout->desired) {
		newest->wanted = rollout->desired;
	} else {
		int32_t room = rollout->desired + rollout->max_surge - total_size(rollout);
		if (room > 0)
			newest->wanted = newest->size + at_most(room, rollout->desired - newest->size);
	}
	return newest->wanted != newest->size;
}

static void step_old(struct rollout *rollout)
{
	int32_t minimum = rollout->desired - rollout->max_unavailable;
	const struct rollout_set *newest = rollout->newest;
	int32_t new_unavailable = newest->size - available_of(newest);
	int32_t budget = total_size(rollout) - minimum - new_unavailable;
	if (budget <= 0)
		return;
	// Pods that are not available anyway go first: their loss costs nothing.
	for (size_t i = 0; i < rollout->old_count && budget > 0; i++) {
		struct rollout_set *old = &rollout->olds[i];
		int32_t dropped = at_most(old->size - available_of(old), budget);
		if (dropped <= 0)
			continue;
		old->wanted -= dropped;
		budget -= dropped;
	}
	int32_t spare = total_available(rollout) - minimum;
	for (size_t i = 0; i < rollout->old_count && spare > 0; i++) {
		struct rollout_set *old = &rollout->olds[i];
		int32_t dropped = at_most(old->wanted, spare);
		old->wanted -= dropped;
		spare -= dropped;
	}
}

void rollout_step(struct rollout *rollout)
{
	keep_sizes(rollout);
	if (!step_new(rollout))
		step_old(rollout);
}

// --- scaling in proportion -----------------------------------------------------------

void rollout_scale(struct rollout *rollout)
{
	keep_sizes(rollout);
	int32_t total = total_size(rollout);
	size_t active = rollout->newest && rollout->newest->size > 0;
	struct rollout_set *only = active ? rollout->newest : NULL;
	for (size_t i = 0; i < rollout->old_count; i++) {
		if (rollout->olds[i].size == 0)
			continue;
		active++;
		only = &rollout->olds[i];
	}
	if (active <= 1) {
		struct rollout_set *target = only ? only : rollout->newest;
		if (target)
			target->wanted = rollout->desired;
		return;
	}
	int32_t allowed = rollout->desired > 0 ? rollout->desired + rollout->max_surge : 0;
	int32_t change = allowed - total;
	int32_t given = 0;
	for (size_t i = 0; i < rollout->old_count; i++) {
		struct rollout_set *old = &rollout->olds[i];
		int32_t share = (int32_t)((int64_t)change * old->size / total);
		old->wanted = at_least(old->size + share, 0);
		given += old->wanted - old->size;
	}
	if (rollout->newest)
		rollout->newest->wanted = at_least(rollout->newest->size + change - given, 0);
}
