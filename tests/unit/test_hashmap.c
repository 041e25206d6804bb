// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "common/base/hashmap.h"
#include "common/base/memory.h"

static int freed;

static void count_free(void *value)
{
	freed++;
	free(value);
}

static void test_put_get_remove(void **state UNUSED)
{
	AUTO(hashmap_free) struct hashmap *map = hashmap_new(count_free);
	freed = 0;
	assert_null(hashmap_get(map, "a"));
	assert_true(hashmap_put(map, "a", xstrdup("1")));
	assert_true(hashmap_put(map, "", xstrdup("empty")));
	assert_false(hashmap_put(map, "a", xstrdup("2")));
	assert_int_equal(freed, 1);
	assert_string_equal(hashmap_get(map, "a"), "2");
	assert_string_equal(hashmap_get_n(map, "abc", 1), "2");
	assert_string_equal(hashmap_get(map, ""), "empty");
	AUTO_FREE char *taken = hashmap_take(map, "a");
	assert_string_equal(taken, "2");
	assert_int_equal(freed, 1);
	assert_false(hashmap_remove(map, "a"));
	assert_true(hashmap_remove(map, ""));
	assert_int_equal(freed, 2);
	assert_int_equal(hashmap_count(map), 0);
}

// Against a plain array: keys come and go, many tombstones, several rebuilds.
static void test_many_keys(void **state UNUSED)
{
	enum { KEYS = 5000 };
	static int values[KEYS];
	static bool present[KEYS];
	AUTO(hashmap_free) struct hashmap *map = hashmap_new(NULL);
	uint32_t random = 12345;
	size_t count = 0;
	for (int round = 0; round < 100000; round++) {
		random = random * 1664525 + 1013904223;
		int index = (int)(random >> 8) % KEYS;
		char key[32];
		snprintf(key, sizeof(key), "namespace/pod-%d", index);
		if (random & 1) {
			assert_int_equal(hashmap_put(map, key, &values[index]), !present[index]);
			count += !present[index];
			present[index] = true;
		} else {
			assert_int_equal(hashmap_remove(map, key), present[index]);
			count -= present[index];
			present[index] = false;
		}
	}
	assert_int_equal(hashmap_count(map), count);
	for (int i = 0; i < KEYS; i++) {
		char key[32];
		snprintf(key, sizeof(key), "namespace/pod-%d", i);
		assert_ptr_equal(hashmap_get(map, key), present[i] ? &values[i] : NULL);
	}
}

static void test_iteration_with_removal(void **state UNUSED)
{
	AUTO(hashmap_free) struct hashmap *map = hashmap_new(count_free);
	for (int i = 0; i < 1000; i++) {
		AUTO_FREE char *key = xasprintf("k%d", i);
		hashmap_put(map, key, xstrdup(key));
	}
	int seen = 0;
	struct hashmap_cursor cursor = HASHMAP_CURSOR_INIT;
	while (hashmap_next(map, &cursor)) {
		seen++;
		assert_string_equal(cursor.key, cursor.value);
		if (strlen(cursor.key) == 4)
			assert_true(hashmap_remove(map, cursor.key));
	}
	assert_int_equal(seen, 1000);
	assert_int_equal(hashmap_count(map), 100);
	hashmap_clear(map);
	assert_int_equal(hashmap_count(map), 0);
	assert_true(hashmap_put(map, "again", xstrdup("x")));
}

static void test_fnv(void **state UNUSED)
{
	assert_int_equal(fnv32a("", 0), 0x811c9dc5);
	assert_int_equal(fnv32a("foobar", 6), 0xbf9cf968);
	assert_true(fnv64a("foobar", 6) == 0x85944171f73967e8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_put_get_remove),
	        cmocka_unit_test(test_many_keys),
	        cmocka_unit_test(test_iteration_with_removal),
	        cmocka_unit_test(test_fnv),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
