// SPDX-License-Identifier: Apache-2.0
// The queue of second encodings: its bound, its order, and objects that come and
// go on several threads at once.

#include "apiserver/encoding/encoding_cache.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants the four above first.
#include <cmocka.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/macros.h"
#include "common/base/memory.h"

static void put(struct encoding_slot *slot, char fill, size_t length)
{
	char bytes[64];
	AUTO(blob_unref) struct blob *blob = NULL;

	memset(bytes, fill, sizeof(bytes));
	blob = blob_new(bytes, length);
	encoding_slot_put(slot, blob);
}

static bool has(struct encoding_slot *slot, char fill)
{
	AUTO(blob_unref) struct blob *blob = encoding_slot_get(slot);

	return blob && blob->data[0] == fill;
}

static void test_bound_and_order(void **state)
{
	struct encoding_slot slots[4] = {0};

	(void)state;
	encoding_cache_set_limit(100);
	for (size_t i = 0; i < 3; i++)
		put(&slots[i], (char)('a' + i), 40);
	assert_null(encoding_slot_get(&slots[0])); // the oldest went
	assert_true(has(&slots[1], 'b') && has(&slots[2], 'c'));
	assert_int_equal(encoding_cache_bytes(), 80);
	put(&slots[1], 'x', 10); // the first stays
	assert_true(has(&slots[1], 'b'));
	encoding_slot_done(&slots[1]);
	assert_int_equal(encoding_cache_bytes(), 40);
	put(&slots[3], 'd', 60);
	assert_true(has(&slots[2], 'c') && has(&slots[3], 'd'));
	encoding_cache_set_limit(60);
	assert_true(!has(&slots[2], 'c') && has(&slots[3], 'd'));
	encoding_cache_set_limit(10);
	put(&slots[0], 'e', 11); // over the limit by itself
	assert_null(encoding_slot_get(&slots[0]));
	assert_int_equal(encoding_cache_bytes(), 0);
	for (size_t i = 0; i < ARRAY_SIZE(slots); i++)
		encoding_slot_done(&slots[i]);
}

// What is read stays readable when the queue drops it.
static void test_readers_hold_their_own(void **state)
{
	struct encoding_slot slot = {0};
	AUTO(blob_unref) struct blob *blob = NULL;

	(void)state;
	encoding_cache_set_limit(100);
	put(&slot, 'a', 50);
	blob = encoding_slot_get(&slot);
	encoding_cache_set_limit(0);
	assert_null(encoding_slot_get(&slot));
	assert_int_equal(blob->data[49], 'a');
	encoding_slot_done(&slot);
}

enum {
	THREADS = 4,
	ROUNDS = 20000,
	SHARED_SLOTS = 8,
};

struct churn {
	struct encoding_slot *shared; // outlive the threads
	unsigned seed;
	bool failed;
};

static void *churn(void *context)
{
	struct churn *churn = context;

	for (int i = 0; i < ROUNDS; i++) {
		unsigned number = (unsigned)rand_r(&churn->seed) % SHARED_SLOTS;
		struct encoding_slot *own = NEW(struct encoding_slot);

		put(own, 'z', 20);
		put(&churn->shared[number], (char)('a' + number), 30);
		AUTO(blob_unref) struct blob *blob = encoding_slot_get(&churn->shared[number]);

		if (blob && blob->data[29] != (char)('a' + number))
			churn->failed = true;
		encoding_slot_done(own);
		free(own);
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct encoding_slot shared[SHARED_SLOTS] = {0};
	struct churn churns[THREADS];
	pthread_t threads[THREADS];

	(void)state;
	encoding_cache_set_limit(150);
	for (unsigned i = 0; i < THREADS; i++) {
		churns[i] = (struct churn){.shared = shared, .seed = i + 1};
		assert_int_equal(pthread_create(&threads[i], NULL, churn, &churns[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		assert_false(churns[i].failed);
	}
	assert_true(encoding_cache_bytes() <= 150);
	for (size_t i = 0; i < SHARED_SLOTS; i++)
		encoding_slot_done(&shared[i]);
	assert_int_equal(encoding_cache_bytes(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_bound_and_order),
	        cmocka_unit_test(test_readers_hold_their_own),
	        cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
