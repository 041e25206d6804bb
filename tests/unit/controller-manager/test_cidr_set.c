// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/base/hashmap.h"
#include "controller-manager/cidr_set.h"

static struct cidr_set *make(const char *range, int bits)
{
	struct cidr_set *set = NULL;
	struct err err = ERR_INIT;
	assert_int_equal(cidr_set_new(range, bits, &set, &err), 0);
	return set;
}

static void take_expecting(struct cidr_set *set, const char *expected)
{
	char part[CIDR_TEXT_BYTES];
	assert_true(cidr_set_take(set, part));
	assert_string_equal(part, expected);
}

static void test_parts_in_order_until_none_is_left(void **state)
{
	(void)state;
	char part[CIDR_TEXT_BYTES];
	struct cidr_set *set = make("10.244.0.0/22", 24);
	assert_int_equal(cidr_set_free_count(set), 4);
	take_expecting(set, "10.244.0.0/24");
	take_expecting(set, "10.244.1.0/24");
	take_expecting(set, "10.244.2.0/24");
	take_expecting(set, "10.244.3.0/24");
	assert_false(cidr_set_take(set, part));
	assert_true(cidr_set_release(set, "10.244.1.0/24"));
	assert_true(cidr_set_release(set, "10.244.1.0/24"));
	assert_int_equal(cidr_set_free_count(set), 1);
	take_expecting(set, "10.244.1.0/24");
	assert_false(cidr_set_take(set, part));
	cidr_set_free(set);
}

static void test_a_released_part_rests(void **state)
{
	(void)state;
	struct cidr_set *set = make("10.0.0.0/16", 24);
	take_expecting(set, "10.0.0.0/24");
	cidr_set_release(set, "10.0.0.0/24");
	take_expecting(set, "10.0.1.0/24");
	cidr_set_free(set);
}

static void test_occupying(void **state)
{
	(void)state;
	struct cidr_set *set = make("10.96.0.0/12", 20);
	assert_int_equal(cidr_set_free_count(set), 256);
	assert_true(cidr_set_occupy(set, "10.96.0.0/16")); // 16 parts
	assert_int_equal(cidr_set_free_count(set), 240);
	assert_true(cidr_set_occupy(set, "10.97.3.4/32")); // within one part
	assert_int_equal(cidr_set_free_count(set), 239);
	assert_true(cidr_set_occupy(set, "192.168.0.0/16")); // elsewhere
	assert_true(cidr_set_occupy(set, "fd00::/64"));      // another family
	assert_int_equal(cidr_set_free_count(set), 239);
	take_expecting(set, "10.97.16.0/20");
	assert_true(cidr_set_occupy(set, "10.0.0.0/8")); // all of it
	assert_int_equal(cidr_set_free_count(set), 0);
	assert_false(cidr_set_occupy(set, "10.0.0.0"));
	assert_false(cidr_set_occupy(set, "10.0.0.0/33"));
	assert_false(cidr_set_occupy(set, "10.0.0/8"));
	assert_false(cidr_set_occupy(set, ""));
	cidr_set_free(set);
}

static void test_ipv6(void **state)
{
	(void)state;
	struct cidr_set *set = make("fd00:10:244::/56", 64);
	assert_int_equal(cidr_set_free_count(set), 256);
	take_expecting(set, "fd00:10:244::/64");
	take_expecting(set, "fd00:10:244:1::/64");
	assert_true(cidr_set_occupy(set, "fd00:10:244:2::/64"));
	take_expecting(set, "fd00:10:244:3::/64");
	cidr_set_free(set);
	set = make("0.0.0.0/0", 8);
	take_expecting(set, "0.0.0.0/8");
	take_expecting(set, "1.0.0.0/8");
	cidr_set_free(set);
}

static void test_parts_are_unique(void **state)
{
	(void)state;
	struct cidr_set *set = make("172.16.0.0/12", 28);
	struct hashmap *seen = hashmap_new(NULL);
	char part[CIDR_TEXT_BYTES];
	while (cidr_set_take(set, part))
		assert_true(hashmap_put(seen, part, set));
	assert_int_equal(hashmap_count(seen), 65536);
	hashmap_free(seen);
	cidr_set_free(set);
}

static void test_bad_ranges(void **state)
{
	(void)state;
	static const struct {
		const char *range;
		int bits;
	} bad[] = {{"10.0.0.0", 24},  {"x/8", 24},        {"10.0.0.0/16", 8},  {"10.0.0.0/8", 32},
	           {"fd00::/48", 65}, {"10.0.0.0/x", 24}, {"10.0.0.0/16", 33}, {"", 24}};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct cidr_set *set = NULL;
		struct err err = ERR_INIT;
		assert_int_equal(cidr_set_new(bad[i].range, bad[i].bits, &set, &err), -ERR_INVALID);
		assert_null(set);
		assert_true(strlen(err.message) > 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_parts_in_order_until_none_is_left),
	        cmocka_unit_test(test_a_released_part_rests),
	        cmocka_unit_test(test_occupying),
	        cmocka_unit_test(test_ipv6),
	        cmocka_unit_test(test_parts_are_unique),
	        cmocka_unit_test(test_bad_ranges),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
