// SPDX-License-Identifier: Apache-2.0
// Fair queuing, shuffle sharding, dividing of seats, matching of schemas, and the
// default objects, each without a server.

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "apiserver/fairness/default_objects.h"
#include "apiserver/fairness/priority_levels.h"
#include "apiserver/object_io.h"
#include "common/api/view.h"
#include "common/base/arena.h"
#include "common/base/clock.h"
#include "common/base/macros.h"

// --- queues ---------------------------------------------------------------------------------

static void test_hands_are_different_cards(void **state)
{
	unsigned hand[8], seen[64] = {0};

	(void)state;
	for (uint64_t flow = 1; flow < 5000; flow++) {
		queue_set_deal(flow * UINT64_C(0x9e3779b97f4a7c15), 64, 8, hand);
		for (int i = 0; i < 8; i++) {
			assert_true(hand[i] < 64);
			for (int j = 0; j < i; j++)
				assert_int_not_equal(hand[i], hand[j]);
			seen[hand[i]]++;
		}
	}
	for (int i = 0; i < 64; i++) // 625 expected
		assert_in_range(seen[i], 500, 750);
}

static struct queue_set *make_set(unsigned queues, unsigned hand, unsigned length, unsigned limit)
{
	struct queue_set *set = queue_set_new();

	queue_set_reshape(
	        set, &(struct queue_set_shape){.queue_count = queues, .hand_size = hand, .queue_length = length}, 0);
	queue_set_limit(set, limit, 0);
	return set;
}

static void test_limit_and_queue_length(void **state)
{
	struct queue_set *set = make_set(1, 1, 2, 2);
	struct seat_claim claims[5];

	(void)state;
	for (int i = 0; i < 4; i++) {
		assert_int_equal(queue_set_enter(set, &claims[i], 7, 1, i), QUEUE_SET_WAIT);
		assert_true((queue_set_next(set, i) != NULL) == (i < 2));
	}
	assert_int_equal(queue_set_enter(set, &claims[4], 7, 1, 5), QUEUE_SET_FULL);
	assert_int_equal(queue_set_seats_in_use(set), 2);
	assert_int_equal(queue_set_seats_waiting(set), 2);
	queue_set_withdraw(set, &claims[2], 6);
	queue_set_finish(set, &claims[0], 7);
	assert_ptr_equal(queue_set_next(set, 7), &claims[3]);
	assert_null(queue_set_next(set, 7));
	queue_set_finish(set, &claims[1], 8);
	queue_set_finish(set, &claims[3], 8);
	assert_true(queue_set_is_idle(set));
	queue_set_free(set);
}

static void test_wide_claim_executes_alone(void **state)
{
	struct queue_set *set = make_set(4, 2, 10, 3);
	struct seat_claim wide, narrow;

	(void)state;
	queue_set_enter(set, &narrow, 1, 1, 0);
	assert_ptr_equal(queue_set_next(set, 0), &narrow);
	queue_set_enter(set, &wide, 2, 10, 1);
	assert_null(queue_set_next(set, 1));
	queue_set_finish(set, &narrow, 2);
	assert_ptr_equal(queue_set_next(set, 2), &wide);
	queue_set_finish(set, &wide, 3);
	queue_set_free(set);
}

static void test_level_without_queues_refuses(void **state)
{
	struct queue_set *set = make_set(0, 0, 0, 1);
	struct seat_claim first, second;

	(void)state;
	assert_int_equal(queue_set_enter(set, &first, 1, 1, 0), QUEUE_SET_EXECUTE);
	assert_int_equal(queue_set_enter(set, &second, 1, 1, 0), QUEUE_SET_AT_LIMIT);
	queue_set_finish(set, &first, 1);
	assert_int_equal(queue_set_enter(set, &second, 1, 1, 2), QUEUE_SET_EXECUTE);
	queue_set_finish(set, &second, 3);
	queue_set_free(set);
}

enum {
	FLOOD = 400,
	TRICKLE = 40,
};

// A flow that has hundreds waiting and one that has a few each get half of the seats.
static void test_queues_share_evenly(void **state)
{
	struct queue_set *set = make_set(64, 1, 1000, 4);
	struct seat_claim *claims = calloc(FLOOD + TRICKLE, sizeof(*claims)), *running[4] = {0}, *claim;
	unsigned flood_hand, trickle_hand, served_of_trickle = 0, served = 0;
	uint64_t trickle = 2;
	int64_t now = 0;

	(void)state;
	queue_set_deal(1, 64, 1, &flood_hand);
	queue_set_deal(trickle, 64, 1, &trickle_hand);
	assert_int_not_equal(flood_hand, trickle_hand);
	for (size_t i = 0; i < FLOOD; i++)
		queue_set_enter(set, &claims[i], 1, 1, now);
	for (size_t i = FLOOD; i < FLOOD + TRICKLE; i++)
		queue_set_enter(set, &claims[i], trickle, 1, now);
	while (served < 2 * TRICKLE) {
		for (int i = 0; i < 4; i++) {
			if (running[i])
				queue_set_finish(set, running[i], now);
			running[i] = NULL;
		}
		for (int i = 0; (claim = queue_set_next(set, now)); i++) {
			running[i] = claim;
			served_of_trickle += claim >= &claims[FLOOD];
			served++;
		}
		now += 20 * NSEC_PER_MSEC;
	}
	assert_in_range(served_of_trickle, TRICKLE - 4, TRICKLE);
	for (int i = 0; i < 4; i++)
		if (running[i])
			queue_set_finish(set, running[i], now);
	while ((claim = queue_set_next(set, now)))
		queue_set_finish(set, claim, now);
	assert_true(queue_set_is_idle(set));
	queue_set_free(set);
	free(claims);
}

static void test_reshape_keeps_what_waits(void **state)
{
	struct queue_set *set = make_set(64, 4, 50, 1);
	struct seat_claim claims[20];
	unsigned served = 0;
	struct seat_claim *running = NULL, *claim;

	(void)state;
	for (uint64_t i = 0; i < 20; i++)
		queue_set_enter(set, &claims[i], i * 77777, 1, (int64_t)i);
	running = queue_set_next(set, 20);
	assert_non_null(running);
	queue_set_reshape(set, &(struct queue_set_shape){.queue_count = 3, .hand_size = 2, .queue_length = 50}, 21);
	assert_int_equal(queue_set_seats_waiting(set), 19);
	queue_set_reshape(set, &(struct queue_set_shape){0}, 22); // a level that refuses lets them out all the same
	queue_set_finish(set, running, 23);
	while ((claim = queue_set_next(set, 24))) {
		queue_set_finish(set, claim, 24);
		served++;
	}
	assert_int_equal(served, 19);
	assert_true(queue_set_is_idle(set));
	queue_set_free(set);
}

// --- dividing seats ----------------------------------------------------------------------------

static void test_limits(void **state)
{
	struct concurrency_limits limits = concurrency_limits_of(600, 30, 245, 33, -1);

	(void)state;
	assert_int_equal(limits.nominal, 74);
	assert_int_equal(limits.lower, 50);
	assert_int_equal(limits.upper, 600);
	limits = concurrency_limits_of(600, 40, 245, 0, 25);
	assert_int_equal(limits.nominal, 98);
	assert_int_equal(limits.lower, 98);
	assert_int_equal(limits.upper, 123);
}

static void test_dividing(void **state)
{
	struct concurrency_claim claims[] = {
	        {.lower = 10, .upper = 100, .target = 90},
	        {.lower = 10, .upper = 100, .target = 30},
	        {.lower = 20, .upper = 30, .target = 20},
	};
	double sum;

	(void)state;
	(void)concurrency_divide(100, claims, ARRAY_SIZE(claims));
	sum = claims[0].result + claims[1].result + claims[2].result;
	assert_in_range((int)(sum + 0.5), 100, 100);
	assert_in_range((int)(claims[0].result + 0.5), 60, 60); // three times the second's, the third at its bound
	assert_in_range((int)(claims[1].result + 0.5), 20, 20);
	assert_in_range((int)(claims[2].result + 0.5), 20, 20);
}

static void test_demand_falls_slowly(void **state)
{
	struct seat_demand demand = {0};
	double after_burst;

	(void)state;
	seat_demand_change(&demand, 50, 0);
	assert_int_equal((int)seat_demand_end_period(&demand, 10 * NSEC_PER_SEC), 50);
	after_burst = demand.smoothed;
	assert_int_equal((int)after_burst, 50);
	seat_demand_change(&demand, 0, 10 * NSEC_PER_SEC);
	(void)seat_demand_end_period(&demand, 20 * NSEC_PER_SEC);
	assert_true(demand.smoothed < after_burst);
	assert_true(demand.smoothed > 0.95 * after_burst);
}

// --- schemas and levels ---------------------------------------------------------------------------

static const char *const nodes[] = {"system:nodes", "system:authenticated"};
static const char *const masters[] = {"system:masters", "system:authenticated"};
static const char *const accounts[] = {"system:serviceaccounts", "system:serviceaccounts:kube-system",
                                       "system:authenticated"};
static const char *const anyone[] = {"system:authenticated"};
static const char *const nobody[] = {"system:unauthenticated"};

#define GROUPS(LIST) .groups = (LIST), .group_count = ARRAY_SIZE(LIST)

static const struct {
	struct flow_attributes attributes;
	const char *schema;
	const char *level;
} placements[] = {
        {{.user = "admin",
          GROUPS(masters),
          .is_resource = true,
          .verb = "list",
          .api_group = "",
          .resource = "pods",
          .namespace_name = ""},
         "exempt",
         "exempt"},
        {{.user = "x", GROUPS(nobody), .verb = "get", .path = "/readyz", .namespace_name = ""}, "probes", "exempt"},
        {{.user = "x", GROUPS(nobody), .verb = "get", .path = "/metrics", .namespace_name = ""},
         "global-default",
         "global-default"},
        {{.user = "system:node:a",
          GROUPS(nodes),
          .is_resource = true,
          .verb = "update",
          .api_group = "coordination.k8s.io",
          .resource = "leases",
          .namespace_name = "kube-node-lease"},
         "system-node-high",
         "node-high"},
        {{.user = "system:node:a",
          GROUPS(nodes),
          .is_resource = true,
          .verb = "patch",
          .api_group = "",
          .resource = "nodes/status",
          .namespace_name = ""},
         "system-node-high",
         "node-high"},
        {{.user = "system:node:a",
          GROUPS(nodes),
          .is_resource = true,
          .verb = "list",
          .api_group = "",
          .resource = "pods",
          .namespace_name = ""},
         "system-nodes",
         "system"},
        {{.user = "system:kube-scheduler",
          GROUPS(anyone),
          .is_resource = true,
          .verb = "update",
          .api_group = "coordination.k8s.io",
          .resource = "leases",
          .namespace_name = "kube-system"},
         "system-leader-election",
         "leader-election"},
        {{.user = "system:kube-scheduler",
          GROUPS(anyone),
          .is_resource = true,
          .verb = "create",
          .api_group = "",
          .resource = "pods/binding",
          .namespace_name = "a"},
         "kube-scheduler",
         "workload-high"},
        {{.user = "system:serviceaccount:kube-system:coredns",
          GROUPS(accounts),
          .is_resource = true,
          .verb = "watch",
          .api_group = "",
          .resource = "services",
          .namespace_name = ""},
         "kube-system-service-accounts",
         "workload-high"},
        {{.user = "system:serviceaccount:kube-system:x",
          GROUPS(accounts),
          .is_resource = true,
          .verb = "get",
          .api_group = "coordination.k8s.io",
          .resource = "leases",
          .namespace_name = "elsewhere"},
         "workload-leader-election",
         "leader-election"},
        {{.user = "system:serviceaccount:tenant:x",
          GROUPS(accounts),
          .is_resource = true,
          .verb = "list",
          .api_group = "",
          .resource = "pods",
          .namespace_name = "tenant"},
         "service-accounts",
         "workload-low"},
        {{.user = "jane",
          GROUPS(anyone),
          .is_resource = true,
          .verb = "list",
          .api_group = "",
          .resource = "pods",
          .namespace_name = "tenant"},
         "global-default",
         "global-default"},
};

struct default_trees {
	struct arena *arena;
	struct json *levels[32], *schemas[32];
	size_t level_count, schema_count;
};

static void load_defaults(struct default_trees *trees)
{
	*trees = (struct default_trees){.arena = arena_new(0)};
	for (size_t i = 0; i < flow_default_count; i++) {
		struct json *object = flow_default_object(trees->arena, &flow_defaults[i]);

		if (flow_defaults[i].is_schema)
			trees->schemas[trees->schema_count++] = object;
		else
			trees->levels[trees->level_count++] = object;
	}
}

static void test_default_placements(void **state)
{
	struct metrics_registry *metrics = metrics_registry_new();
	struct priority_levels set;
	struct default_trees trees;

	(void)state;
	load_defaults(&trees);
	priority_levels_init(&set, 600, metrics);
	priority_levels_configure(&set, trees.levels, trees.level_count, trees.schemas, trees.schema_count, 0);
	for (size_t i = 0; i < ARRAY_SIZE(placements); i++) {
		const struct flow *flow = flow_config_classify(set.config, &placements[i].attributes);

		assert_string_equal(flow->schema.metadata.name, placements[i].schema);
		assert_string_equal(flow->level->name, placements[i].level);
	}
	priority_levels_done(&set);
	metrics_registry_free(metrics);
	arena_free(trees.arena);
}

static void test_mandatory_without_objects(void **state)
{
	struct metrics_registry *metrics = metrics_registry_new();
	struct priority_levels set;
	struct flow_attributes jane = placements[11].attributes, admin = placements[0].attributes;
	struct flow_config *former;

	(void)state;
	priority_levels_init(&set, 600, metrics);
	priority_levels_configure(&set, NULL, 0, NULL, 0, 0);
	assert_string_equal(flow_config_classify(set.config, &jane)->level->name, "catch-all");
	assert_string_equal(flow_config_classify(set.config, &admin)->level->name, "exempt");
	assert_int_equal(flow_config_classify(set.config, &jane)->level->current, 600);
	// A configuration in use outlives its successor.
	former = flow_config_ref(set.config);
	priority_levels_configure(&set, NULL, 0, NULL, 0, 1);
	assert_string_equal(flow_config_classify(former, &jane)->level->name, "catch-all");
	flow_config_unref(former);
	priority_levels_done(&set);
	metrics_registry_free(metrics);
}

static void test_who_keeps_a_default(void **state)
{
	struct arena *arena = arena_new(0);
	const struct flow_default *mandatory = NULL, *suggested = NULL;
	struct json *stored;

	(void)state;
	for (size_t i = 0; i < flow_default_count; i++)
		*(flow_defaults[i].mandatory ? &mandatory : &suggested) = &flow_defaults[i];
	stored = flow_default_object(arena, suggested);
	assert_true(flow_default_rules(suggested, stored));
	json_set_text(arena, json_path(stored, "metadata", "annotations"), "apf.kubernetes.io/autoupdate-spec",
	              "false");
	assert_false(flow_default_rules(suggested, stored));
	assert_true(flow_default_rules(mandatory, stored));
	json_remove(json_get(stored, "metadata"), "annotations");
	json_set_integer(arena, json_get(stored, "metadata"), "generation", 1);
	assert_true(flow_default_rules(suggested, stored));
	json_set_integer(arena, json_get(stored, "metadata"), "generation", 2);
	assert_false(flow_default_rules(suggested, stored));
	arena_free(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_hands_are_different_cards),
	        cmocka_unit_test(test_limit_and_queue_length),
	        cmocka_unit_test(test_wide_claim_executes_alone),
	        cmocka_unit_test(test_level_without_queues_refuses),
	        cmocka_unit_test(test_queues_share_evenly),
	        cmocka_unit_test(test_reshape_keeps_what_waits),
	        cmocka_unit_test(test_limits),
	        cmocka_unit_test(test_dividing),
	        cmocka_unit_test(test_demand_falls_slowly),
	        cmocka_unit_test(test_default_placements),
	        cmocka_unit_test(test_mandatory_without_objects),
	        cmocka_unit_test(test_who_keeps_a_default),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
