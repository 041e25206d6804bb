// SPDX-License-Identifier: Apache-2.0
// Rolling updates as random walks: pods get ready, fail, are created and deleted in
// any order; the bounds hold after every step and the rollout ends.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/api/view.h"
#include "controller-manager/rollout_plan.h"

enum { MAX_OLDS = 3 };

// The cluster as the ReplicaSet controller makes it: sizes asked for, pods there, pods available.
struct world {
	uint64_t random;
	int32_t desired, max_surge, max_unavailable;
	struct rollout_set newest, olds[MAX_OLDS];
	size_t old_count;
};

static uint32_t pick(struct world *world, uint32_t bound)
{
	world->random = world->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(world->random >> 33) % bound;
}

static int32_t total(const struct world *world, bool available)
{
	int32_t sum = available ? world->newest.available : world->newest.size;
	for (size_t i = 0; i < world->old_count; i++)
		sum += available ? world->olds[i].available : world->olds[i].size;
	return sum;
}

// A smaller size takes unavailable pods first, as the ReplicaSet controller does.
static void resize(struct rollout_set *set)
{
	set->size = set->wanted;
	if (set->available > set->size)
		set->available = set->size;
	set->ready = set->available;
}

static void step(struct world *world, void (*plan)(struct rollout *rollout))
{
	struct rollout rollout = {
	        .desired = world->desired,
	        .max_surge = world->max_surge,
	        .max_unavailable = world->max_unavailable,
	        .newest = &world->newest,
	        .olds = world->olds,
	        .old_count = world->old_count,
	};
	plan(&rollout);
	resize(&world->newest);
	for (size_t i = 0; i < world->old_count; i++)
		resize(&world->olds[i]);
}

static void make_world(struct world *world, uint64_t seed)
{
	*world = (struct world){.random = seed};
	world->desired = (int32_t)pick(world, 20);
	world->max_surge = (int32_t)pick(world, 5);
	world->max_unavailable = (int32_t)pick(world, (uint32_t)world->desired + 1);
	if (!world->max_surge && !world->max_unavailable)
		world->max_unavailable = 1;
	world->old_count = 1 + pick(world, MAX_OLDS);
	int32_t left = world->desired;
	for (size_t i = 0; i < world->old_count; i++) {
		int32_t size = i + 1 == world->old_count ? left : (int32_t)pick(world, (uint32_t)left + 1);
		world->olds[i] = (struct rollout_set){.size = size, .ready = size, .available = size};
		left -= size;
	}
}

static bool is_done(const struct world *world)
{
	return world->newest.available == world->desired && total(world, false) == world->desired;
}

static void test_bounds_hold_when_pods_only_get_better(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 3000; seed++) {
		struct world world;
		make_world(&world, seed);
		unsigned steps = 0;
		for (; !is_done(&world) && steps < 1000; steps++) {
			step(&world, rollout_step);
			assert_true(total(&world, false) <= world.desired + world.max_surge);
			assert_true(total(&world, true) >= world.desired - world.max_unavailable);
			assert_true(world.newest.size <= world.desired);
			if (world.newest.available < world.newest.size && pick(&world, 2))
				world.newest.ready = ++world.newest.available;
		}
		assert_true(is_done(&world));
	}
}

// New pods that never get ready must not take the old ones away.
static void test_a_broken_template_stops(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 1000; seed++) {
		struct world world;
		make_world(&world, seed);
		for (unsigned i = 0; i < 100; i++)
			step(&world, rollout_step);
		assert_true(total(&world, true) >= world.desired - world.max_unavailable);
		assert_true(total(&world, false) <= world.desired + world.max_surge);
	}
}

// Failing old pods are given up first, and the plan itself never makes it worse than allowed.
static void test_failures_on_the_way(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 2000; seed++) {
		struct world world;
		make_world(&world, seed);
		for (unsigned i = 0; i < 60; i++) {
			struct rollout_set *victim = &world.olds[pick(&world, (uint32_t)world.old_count)];
			if (victim->available && pick(&world, 4) == 0)
				victim->ready = --victim->available;
			int32_t before = total(&world, true);
			int32_t minimum = world.desired - world.max_unavailable;
			step(&world, rollout_step);
			assert_true(total(&world, false) <= world.desired + world.max_surge);
			// What is available may only be given up beyond the minimum.
			assert_true(total(&world, true) >= (before < minimum ? before : minimum));
			if (world.newest.available < world.newest.size)
				world.newest.ready = ++world.newest.available;
		}
		for (unsigned i = 0; i < 200 && !is_done(&world); i++) {
			step(&world, rollout_step);
			if (world.newest.available < world.newest.size)
				world.newest.ready = ++world.newest.available;
		}
		assert_true(is_done(&world));
	}
}

// The status of a set that was made smaller lags behind: what it shows as available may be about to go.
static void test_late_statuses(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 3000; seed++) {
		struct world world;
		make_world(&world, seed);
		int32_t real[MAX_OLDS];
		int32_t real_new = 0;
		for (size_t i = 0; i < world.old_count; i++)
			real[i] = world.olds[i].size;
		for (unsigned i = 0; i < 300 && !(real_new == world.desired && total(&world, false) == world.desired);
		     i++) {
			struct rollout rollout = {
			        .desired = world.desired,
			        .max_surge = world.max_surge,
			        .max_unavailable = world.max_unavailable,
			        .newest = &world.newest,
			        .olds = world.olds,
			        .old_count = world.old_count,
			};
			rollout_step(&rollout);
			world.newest.size = world.newest.wanted;
			int32_t available = real_new;
			for (size_t o = 0; o < world.old_count; o++) {
				world.olds[o].size = world.olds[o].wanted;
				real[o] = real[o] < world.olds[o].size ? real[o] : world.olds[o].size;
				available += real[o];
				if (pick(&world, 3) == 0)
					world.olds[o].available = world.olds[o].ready = real[o];
			}
			assert_true(available >= world.desired - world.max_unavailable);
			assert_true(total(&world, false) <= world.desired + world.max_surge);
			if (real_new < world.newest.size && pick(&world, 2))
				real_new++;
			if (pick(&world, 2))
				world.newest.available = world.newest.ready = real_new;
		}
		assert_int_equal(real_new, world.desired);
	}
}

static void test_scaling_in_the_middle_keeps_proportions(void **state)
{
	(void)state;
	struct world world = {.desired = 20, .max_surge = 0, .max_unavailable = 5, .old_count = 1};
	world.olds[0] = (struct rollout_set){.size = 6, .ready = 6, .available = 6};
	world.newest = (struct rollout_set){.size = 4, .ready = 2, .available = 2};
	step(&world, rollout_scale);
	assert_int_equal(total(&world, false), 20);
	assert_int_equal(world.olds[0].size, 12);
	assert_int_equal(world.newest.size, 8);
	world.desired = 0;
	step(&world, rollout_scale);
	assert_int_equal(total(&world, false), 0);
}

static void test_one_set_takes_the_size(void **state)
{
	(void)state;
	struct world world = {.desired = 7, .max_surge = 2, .old_count = 1};
	world.newest = (struct rollout_set){.size = 3, .ready = 3, .available = 3};
	step(&world, rollout_scale);
	assert_int_equal(world.newest.size, 7);
	assert_int_equal(world.olds[0].size, 0);
}

static void test_percentages(void **state)
{
	(void)state;
	struct int_or_string quarter = {.is_string = true, .text = "25%"};
	struct int_or_string zero = {.integer = 0};
	struct int_or_string many = {.integer = 50};
	int32_t surge;
	int32_t unavailable;
	rollout_resolve(&quarter, &quarter, 10, &surge, &unavailable);
	assert_int_equal(surge, 3);
	assert_int_equal(unavailable, 2);
	rollout_resolve(&zero, &zero, 10, &surge, &unavailable);
	assert_int_equal(surge, 0);
	assert_int_equal(unavailable, 1);
	rollout_resolve(&quarter, &many, 4, &surge, &unavailable);
	assert_int_equal(surge, 1);
	assert_int_equal(unavailable, 4);
	rollout_resolve(&zero, &quarter, 1, &surge, &unavailable);
	assert_int_equal(unavailable, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_bounds_hold_when_pods_only_get_better),
	        cmocka_unit_test(test_a_broken_template_stops),
	        cmocka_unit_test(test_failures_on_the_way),
	        cmocka_unit_test(test_late_statuses),
	        cmocka_unit_test(test_scaling_in_the_middle_keeps_proportions),
	        cmocka_unit_test(test_one_set_takes_the_size),
	        cmocka_unit_test(test_percentages),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
