// SPDX-License-Identifier: Apache-2.0
// EndpointSlices: whatever changes, every endpoint ends in exactly one slice, no
// slice is too full, and few slices change.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "api/core_v1.h"
#include "api/discovery_v1.h"
#include "controller-manager/slice_plan.h"

enum { MAX_ENDPOINTS = 10, MAX_SLICES = 64, POOL = 300 };

// A model of the stored slices over many rounds.
struct model {
	struct arena *arena;
	struct discovery_v1_endpoint *slices[MAX_SLICES];
	size_t counts[MAX_SLICES];
	size_t slice_count;
	uint64_t random;
};

static uint32_t pick(struct model *model, uint32_t bound)
{
	model->random = model->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(model->random >> 33) % bound;
}

static struct discovery_v1_endpoint make_endpoint(struct arena *arena, unsigned number, bool is_ready)
{
	static const bool truth[] = {false, true};
	struct core_v1_object_reference *reference = ARENA_NEW(arena, struct core_v1_object_reference);
	const char **address = ARENA_NEW(arena, const char *);
	*address = arena_printf(arena, "10.0.%u.%u", number / 256, number % 256);
	reference->uid = arena_printf(arena, "uid-%u", number);
	return (struct discovery_v1_endpoint){
	        .addresses = {.items = address, .count = 1},
	        .conditions = {.ready = &truth[is_ready], .serving = &truth[is_ready], .terminating = &truth[0]},
	        .target_ref = reference,
	};
}

struct outcome {
	size_t updated, deleted, created;
};

// Plans for the wanted endpoints and takes the plan over into the model.
static struct outcome apply(struct model *model, const struct discovery_v1_endpoint *desired, size_t count)
{
	struct planned_slice plans[MAX_SLICES] = {0};
	struct outcome outcome = {0};
	size_t added_count;
	for (size_t i = 0; i < model->slice_count; i++) {
		plans[i].endpoints = model->slices[i];
		plans[i].count = model->counts[i];
	}
	struct planned_slice *added =
	        slice_plan(model->arena, plans, model->slice_count, desired, count, MAX_ENDPOINTS, &added_count);
	size_t kept = 0;
	for (size_t i = 0; i < model->slice_count + added_count; i++) {
		const struct planned_slice *plan = i < model->slice_count ? &plans[i] : &added[i - model->slice_count];
		if (plan->action == SLICE_DELETE) {
			outcome.deleted++;
			continue;
		}
		outcome.updated += i < model->slice_count && plan->action == SLICE_UPDATE;
		assert_true(plan->result_count > 0 && plan->result_count <= MAX_ENDPOINTS);
		if (plan->action == SLICE_KEEP)
			assert_int_equal(plan->result_count, plan->count);
		assert_true(kept < MAX_SLICES);
		struct discovery_v1_endpoint *copy =
		        ARENA_ARRAY(model->arena, struct discovery_v1_endpoint, plan->result_count);
		for (size_t e = 0; e < plan->result_count; e++)
			copy[e] = *plan->result[e];
		plans[kept].endpoints = NULL;
		model->slices[kept] = copy;
		model->counts[kept++] = plan->result_count;
	}
	model->slice_count = kept;
	outcome.created = added_count;
	return outcome;
}

static void assert_holds(const struct model *model, const struct discovery_v1_endpoint *desired, size_t count)
{
	size_t stored = 0;
	for (size_t i = 0; i < model->slice_count; i++)
		stored += model->counts[i];
	assert_int_equal(stored, count);
	for (size_t d = 0; d < count; d++) {
		size_t found = 0;
		for (size_t i = 0; i < model->slice_count; i++)
			for (size_t e = 0; e < model->counts[i]; e++)
				found += endpoints_equal(&model->slices[i][e], &desired[d]);
		assert_int_equal(found, 1);
	}
}

static void test_random_changes(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 60; seed++) {
		struct model model = {.arena = arena_new(0), .random = seed};
		bool present[POOL] = {false};
		bool is_ready[POOL] = {false};
		for (unsigned round = 0; round < 40; round++) {
			struct discovery_v1_endpoint desired[POOL];
			size_t count = 0;
			for (unsigned i = 0; i < 1 + pick(&model, 30); i++)
				present[pick(&model, POOL)] = pick(&model, 3) != 0;
			is_ready[pick(&model, POOL)] ^= true;
			for (unsigned i = 0; i < POOL; i++)
				if (present[i])
					desired[count++] = make_endpoint(model.arena, i, is_ready[i]);
			apply(&model, desired, count);
			assert_holds(&model, desired, count);
			struct outcome again = apply(&model, desired, count);
			assert_int_equal(again.updated + again.deleted + again.created, 0);
		}
		arena_free(model.arena);
	}
}

static size_t make_some(struct model *model, struct discovery_v1_endpoint *out, unsigned from, unsigned to)
{
	size_t count = 0;
	for (unsigned i = from; i < to; i++)
		out[count++] = make_endpoint(model->arena, i, true);
	return count;
}

static void test_few_slices_change(void **state)
{
	(void)state;
	struct model model = {.arena = arena_new(0)};
	struct discovery_v1_endpoint desired[POOL];
	struct outcome outcome = apply(&model, desired, make_some(&model, desired, 0, 25));
	assert_int_equal(outcome.created, 3);
	// One more goes into the slice that has room.
	outcome = apply(&model, desired, make_some(&model, desired, 0, 26));
	assert_int_equal(outcome.created, 0);
	assert_int_equal(outcome.updated, 1);
	// One changes its readiness: one slice.
	size_t count = make_some(&model, desired, 0, 26);
	desired[3] = make_endpoint(model.arena, 3, false);
	outcome = apply(&model, desired, count);
	assert_int_equal(outcome.updated, 1);
	// One leaves, one comes: the slice that changes anyway takes it.
	count = make_some(&model, desired, 1, 27);
	desired[2] = make_endpoint(model.arena, 3, false);
	outcome = apply(&model, desired, count);
	assert_int_equal(outcome.updated, 1);
	assert_int_equal(outcome.created + outcome.deleted, 0);
	assert_holds(&model, desired, count);
	// All leave.
	outcome = apply(&model, desired, 0);
	assert_int_equal(outcome.deleted, 3);
	assert_int_equal(model.slice_count, 0);
	arena_free(model.arena);
}

static void test_same_address_of_another_pod_replaces(void **state)
{
	(void)state;
	struct model model = {.arena = arena_new(0)};
	struct discovery_v1_endpoint desired[1] = {make_endpoint(model.arena, 1, true)};
	apply(&model, desired, 1);
	struct core_v1_object_reference other = {.uid = "another"};
	desired[0].target_ref = &other;
	struct outcome outcome = apply(&model, desired, 1);
	assert_int_equal(outcome.updated, 1);
	assert_int_equal(outcome.created + outcome.deleted, 0);
	assert_holds(&model, desired, 1);
	arena_free(model.arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_random_changes),
	        cmocka_unit_test(test_few_slices_change),
	        cmocka_unit_test(test_same_address_of_another_pod_replaces),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
