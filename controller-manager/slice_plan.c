// SPDX-License-Identifier: Apache-2.0
//
// Every watcher of a slice receives the whole of it with each change, so few
// slices should change: endpoints stay where they are; new ones go first into
// slices that change anyway, then, when they all fit, into the fullest slice that
// has room for them, and else into new ones.
#include "controller-manager/slice_plan.h"

#include <string.h>

#include "api/core_v1.h"
#include "api/discovery_v1.h"
#include "common/api/view.h"
#include "common/base/hashmap.h"
#include "common/base/text.h"

static bool same_bool(const bool *a, const bool *b)
{
	return a == b || (a && b && *a == *b);
}

static const char *target_uid(const struct discovery_v1_endpoint *endpoint)
{
	return endpoint->target_ref ? endpoint->target_ref->uid : NULL;
}

bool endpoints_equal(const struct discovery_v1_endpoint *a, const struct discovery_v1_endpoint *b)
{
	if (a->addresses.count != b->addresses.count)
		return false;
	for (size_t i = 0; i < a->addresses.count; i++)
		if (!text_equal(a->addresses.items[i], b->addresses.items[i]))
			return false;
	return same_bool(a->conditions.ready, b->conditions.ready) &&
	       same_bool(a->conditions.serving, b->conditions.serving) &&
	       same_bool(a->conditions.terminating, b->conditions.terminating) &&
	       text_equal(a->hostname, b->hostname) && text_equal(a->node_name, b->node_name) &&
	       text_equal(a->zone, b->zone) && text_equal(target_uid(a), target_uid(b));
}

// An endpoint is the same one while its address and its pod are.
static const char *identity(struct arena *arena, const struct discovery_v1_endpoint *endpoint)
{
	const char *uid = target_uid(endpoint);
	return arena_printf(arena, "%s %s", endpoint->addresses.count ? endpoint->addresses.items[0] : "",
	                    uid ? uid : "");
}

struct wanted {
	const struct discovery_v1_endpoint *endpoint;
	bool placed;
};

struct planning {
	struct arena *arena;
	struct wanted *wanted; // in the order asked for
	size_t count;
	size_t left;   // not placed yet
	size_t cursor; // everything before is placed
	size_t max_endpoints;
};

static void keep_present(struct planning *planning, struct hashmap *by_identity, struct planned_slice *slice)
{
	slice->result =
	        ARENA_ARRAY(planning->arena, const struct discovery_v1_endpoint *,
	                    (slice->count > planning->max_endpoints ? slice->count : planning->max_endpoints) + 1);
	slice->action = SLICE_KEEP;
	for (size_t i = 0; i < slice->count; i++) {
		const struct discovery_v1_endpoint *present = &slice->endpoints[i];
		struct wanted *wanted = hashmap_get(by_identity, identity(planning->arena, present));
		if (!wanted || wanted->placed || slice->result_count == planning->max_endpoints) {
			slice->action = SLICE_UPDATE;
			continue;
		}
		if (!endpoints_equal(present, wanted->endpoint))
			slice->action = SLICE_UPDATE;
		wanted->placed = true;
		planning->left--;
		slice->result[slice->result_count++] = wanted->endpoint;
	}
}

static void fill(struct planning *planning, struct planned_slice *slice)
{
	while (planning->left && slice->result_count < planning->max_endpoints) {
		while (planning->wanted[planning->cursor].placed)
			planning->cursor++;
		planning->wanted[planning->cursor].placed = true;
		planning->left--;
		slice->result[slice->result_count++] = planning->wanted[planning->cursor].endpoint;
		slice->action = SLICE_UPDATE;
	}
}

static void fill_changed(struct planning *planning, struct planned_slice *slices, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (slices[i].action == SLICE_UPDATE && slices[i].result_count)
			fill(planning, &slices[i]);
	for (size_t i = 0; i < count; i++)
		if (slices[i].action == SLICE_UPDATE && !slices[i].result_count)
			fill(planning, &slices[i]);
}

// The fullest unchanged slice that takes all that is left.
static struct planned_slice *find_room(const struct planning *planning, struct planned_slice *slices, size_t count)
{
	struct planned_slice *best = NULL;
	for (size_t i = 0; i < count; i++) {
		struct planned_slice *slice = &slices[i];
		if (slice->action == SLICE_KEEP && slice->result_count + planning->left <= planning->max_endpoints &&
		    (!best || slice->result_count > best->result_count))
			best = slice;
	}
	return best;
}

static struct hashmap *map_wanted(struct planning *planning, const struct discovery_v1_endpoint *desired)
{
	struct hashmap *by_identity = hashmap_new(NULL);
	for (size_t i = 0; i < planning->count; i++) {
		struct wanted *wanted = &planning->wanted[i];
		wanted->endpoint = &desired[i];
		// A second one of the same identity adds nothing.
		wanted->placed = !hashmap_put(by_identity, identity(planning->arena, &desired[i]), wanted);
		planning->left += !wanted->placed;
	}
	return by_identity;
}

struct planned_slice *slice_plan(struct arena *arena, struct planned_slice *slices, size_t slice_count,
                                 const struct discovery_v1_endpoint *desired, size_t desired_count,
                                 size_t max_endpoints, size_t *ret_new_count)
{
	struct planning planning = {
	        .arena = arena,
	        .wanted = ARENA_ARRAY(arena, struct wanted, desired_count + 1),
	        .count = desired_count,
	        .max_endpoints = max_endpoints,
	};
	AUTO(hashmap_free) struct hashmap *by_identity = map_wanted(&planning, desired);
	struct planned_slice *added = ARENA_ARRAY(arena, struct planned_slice, desired_count / max_endpoints + 2);
	*ret_new_count = 0;
	for (size_t i = 0; i < slice_count; i++)
		keep_present(&planning, by_identity, &slices[i]);
	fill_changed(&planning, slices, slice_count);
	while (planning.left) {
		struct planned_slice *target = find_room(&planning, slices, slice_count);
		if (!target) {
			target = &added[(*ret_new_count)++];
			target->result = ARENA_ARRAY(arena, const struct discovery_v1_endpoint *, max_endpoints + 1);
		}
		fill(&planning, target);
	}
	for (size_t i = 0; i < slice_count; i++)
		if (!slices[i].result_count)
			slices[i].action = SLICE_DELETE;
	return added;
}
