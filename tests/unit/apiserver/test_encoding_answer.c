// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "apiserver/encoding/answer.h"
#include "common/base/macros.h"

// As upstream reads the field: the bare word, among others, and nothing else.
static void test_accepts_gzip(void **state)
{
	(void)state;
	static const struct {
		const char *header;
		bool accepts;
	} rows[] = {
	        {NULL, false},           {"", false},
	        {"gzip", true},          {" gzip\t", true},
	        {"deflate, gzip", true}, {"gzip,deflate", true},
	        {",gzip", true},         {"gzip;q=1", false},
	        {"gzip;q=0", false},     {"x-gzip", false},
	        {"gzipped", false},      {"*", false},
	        {"identity,", false},    {"GZIP", false},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(answer_accepts_gzip(rows[i].header), rows[i].accepts);
}

static void test_bodies(void **state)
{
	(void)state;
	struct answer_body body = ANSWER_BODY_INIT;
	struct blob *blob = blob_new("0123456789", 10);
	for (size_t i = 0; i < 100; i++)
		answer_body_add(&body, blob, i % 10, i % 3);
	blob_unref(blob); // the body holds its own
	assert_int_equal(body.length, 99);
	assert_int_equal(body.count, 66); // empty pieces aren't kept
	assert_memory_equal(body.pieces[0].blob->data + body.pieces[0].offset, "1", 1);
	answer_body_done(&body);
	assert_int_equal(body.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_accepts_gzip),
	        cmocka_unit_test(test_bodies),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
