// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "kube-proxy/rule_table.h"

static struct rule_element target(uint16_t port, uint32_t endpoint_count)
{
	struct rule_address address;
	assert_true(rule_address_parse("10.96.0.5", &address));
	struct rule_element element = rule_element_start(RULE_SERVICE_IPS, false);
	rule_key_add_address(&element, &address);
	rule_key_add_protocol(&element, 6);
	rule_key_add_port(&element, port);
	element.chain = RULE_CHAIN_CLUSTER;
	element.endpoint_count = endpoint_count;
	return element;
}

static bool claim_one(struct rule_table *table, const char *owner, struct rule_element element)
{
	struct rule_element_array array = {.items = &element, .count = 1};
	return rule_table_claim(table, owner, &array);
}

static void expect_plan(struct rule_table *table, size_t removed, size_t added, size_t chains_removed,
                        size_t chains_added)
{
	struct rule_plan plan = rule_table_plan(table);
	assert_int_equal(plan.removed.count, removed);
	assert_int_equal(plan.added.count, added);
	assert_int_equal(plan.chains_removed_count, chains_removed);
	assert_int_equal(plan.chains_added_count, chains_added);
	rule_plan_done(&plan);
}

static void a_claim_is_added_once(void **state)
{
	(void)state;
	struct rule_table *table = rule_table_new();
	assert_true(claim_one(table, "a", target(80, 3)));
	expect_plan(table, 0, 1, 0, 1);
	rule_table_committed(table);
	expect_plan(table, 0, 0, 0, 0);
	rule_table_release(table, "a");
	assert_true(claim_one(table, "a", target(80, 3)));
	expect_plan(table, 0, 0, 0, 0);
	rule_table_free(table);
}

static void a_change_replaces_and_moves_the_chain(void **state)
{
	(void)state;
	struct rule_table *table = rule_table_new();
	claim_one(table, "a", target(80, 3));
	rule_table_committed(table);
	rule_table_release(table, "a");
	claim_one(table, "a", target(80, 4));
	expect_plan(table, 1, 1, 1, 1);
	rule_table_committed(table);
	rule_table_release(table, "a");
	expect_plan(table, 1, 0, 1, 0);
	rule_table_committed(table);
	expect_plan(table, 0, 0, 0, 0);
	rule_table_free(table);
}

static void a_shared_element_lives_as_long_as_its_last_owner(void **state)
{
	(void)state;
	struct rule_table *table = rule_table_new();
	claim_one(table, "a", target(80, 3));
	claim_one(table, "b", target(80, 3));
	rule_table_committed(table);
	rule_table_release(table, "a");
	expect_plan(table, 0, 0, 0, 0);
	rule_table_release(table, "b");
	expect_plan(table, 1, 0, 1, 0);
	rule_table_free(table);
}

static void the_first_owner_keeps_a_contested_element(void **state)
{
	(void)state;
	struct rule_table *table = rule_table_new();
	assert_true(claim_one(table, "a", target(80, 3)));
	assert_false(claim_one(table, "b", target(80, 5)));
	expect_plan(table, 0, 1, 0, 1);
	rule_table_committed(table);
	// Swapped in one round: both are released before either is claimed.
	rule_table_release(table, "a");
	rule_table_release(table, "b");
	assert_true(claim_one(table, "b", target(80, 5)));
	expect_plan(table, 1, 1, 1, 1);
	rule_table_free(table);
}

static void a_lost_kernel_state_is_written_whole(void **state)
{
	(void)state;
	struct rule_table *table = rule_table_new();
	for (uint16_t port = 1; port <= 50; port++) {
		char owner[16];
		snprintf(owner, sizeof(owner), "s%u", port);
		claim_one(table, owner, target(port, 1 + port % 2));
	}
	rule_table_committed(table);
	rule_table_release(table, "s1");
	rule_table_forget_installed(table);
	expect_plan(table, 0, 49, 0, 2);
	rule_table_free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_claim_is_added_once),
	        cmocka_unit_test(a_change_replaces_and_moves_the_chain),
	        cmocka_unit_test(a_shared_element_lives_as_long_as_its_last_owner),
	        cmocka_unit_test(the_first_owner_keeps_a_contested_element),
	        cmocka_unit_test(a_lost_kernel_state_is_written_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
