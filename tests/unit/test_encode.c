// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/duration.h"
#include "common/base/encode.h"

static void assert_base64(const char *plain, const char *standard, const char *url)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	AUTO_STRBUF struct strbuf one = STRBUF_INIT(100), other = STRBUF_INIT(100);
	uint8_t *data;
	size_t length;
	base64_encode(&one, plain, strlen(plain));
	base64url_encode(&other, plain, strlen(plain));
	assert_string_equal(strbuf_text(&one), standard);
	assert_string_equal(strbuf_text(&other), url);
	assert_true(base64_decode(arena, standard, strlen(standard), &data, &length));
	assert_int_equal(length, strlen(plain));
	assert_string_equal(data, plain);
	assert_true(base64url_decode(arena, url, strlen(url), &data, &length));
	assert_string_equal(data, plain);
}

static void test_base64(void **state UNUSED)
{
	assert_base64("", "", "");
	assert_base64("f", "Zg==", "Zg");
	assert_base64("fo", "Zm8=", "Zm8");
	assert_base64("foo", "Zm9v", "Zm9v");
	assert_base64("foob?>~", "Zm9vYj8+fg==", "Zm9vYj8-fg");
}

static void test_base64_refuses(void **state UNUSED)
{
	static const char *const bad[] = {"Z",        "Zg",    "Zg=",  "Zg===", "Z===", "=",           "Zm9v=",
	                                  "Zg==Zg==", "Zm8=x", "Zm-v", "Zm v",  "Zg=a", "Z\xc3\xa9==", "===="};
	AUTO(arena_free) struct arena *arena = arena_new(0);
	uint8_t *data;
	size_t length;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (base64_decode(arena, bad[i], strlen(bad[i]), &data, &length))
			fail_msg("accepted %s", bad[i]);
	assert_true(base64_decode(arena, "Zm\r\n9v\n", 7, &data, &length));
	assert_string_equal(data, "foo");
	assert_false(base64url_decode(arena, "Zg==", 4, &data, &length));
	assert_false(base64url_decode(arena, "Zm+v", 4, &data, &length));
	assert_false(base64url_decode(arena, "Zm9vY", 5, &data, &length));
}

static void test_quote(void **state UNUSED)
{
	AUTO_STRBUF struct strbuf out = STRBUF_INIT(100);
	quote_append(&out, "a\"\\\n\x01\x7f\xc3\xa9\xff\0z", 11);
	assert_string_equal(strbuf_text(&out), "\"a\\\"\\\\\\n\\x01\\x7f\xc3\xa9\\xff\\x00z\"");
}

static void test_random_names(void **state UNUSED)
{
	char uuid[37], other[37], suffix[6], encoded[16], hex[7];
	uuid_v4(uuid);
	uuid_v4(other);
	assert_int_equal(strlen(uuid), 36);
	assert_int_equal(uuid[14], '4');
	assert_non_null(strchr("89ab", uuid[19]));
	assert_string_not_equal(uuid, other);
	random_name_suffix(suffix, 5);
	assert_int_equal(strspn(suffix, "bcdfghjklmnpqrstvwxz2456789"), 5);
	// The alphabet's place of each character's code modulo 27: '0' is 48 % 27 = 21.
	safe_encode_string("0123456789", encoded);
	assert_string_equal(encoded, "456789bcdf");
	hex_encode(hex, "\x00\xab\x7f", 3);
	assert_string_equal(hex, "00ab7f");
	for (int i = 0; i < 1000; i++)
		assert_true(random_below(7) < 7);
	assert_int_equal(random_below(1), 0);
}

static void test_durations(void **state UNUSED)
{
	static const struct {
		const char *text;
		int64_t ns;
		const char *printed;
	} rows[] = {
	        {"0", 0, "0s"},
	        {"1h30m", 5400 * NSEC_PER_SEC, "1h30m0s"},
	        {"1.5s", 1500 * NSEC_PER_MSEC, "1.5s"},
	        {"100ms", 100 * NSEC_PER_MSEC, "100ms"},
	        {"-2m", -120 * NSEC_PER_SEC, "-2m0s"},
	        {".5us", 500, "500ns"},
	        {"1.5\xc2\xb5s", 1500, "1.5\xc2\xb5s"},
	        {"3600s", 3600 * NSEC_PER_SEC, "1h0m0s"},
	        {"1.001002003s", 1001002003, "1.001002003s"},
	};
	static const char *const bad[] = {"", "1", "s", "1x", "1h 2m", "-", "1..5s", "9999999999h", "1.5.5s", ".s"};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int64_t ns;
		char printed[32];
		assert_true(duration_parse(rows[i].text, &ns));
		assert_int_equal(ns, rows[i].ns);
		duration_format(ns, printed);
		assert_string_equal(printed, rows[i].printed);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		int64_t ns;
		if (duration_parse(bad[i], &ns))
			fail_msg("accepted %s", bad[i]);
	}
	char printed[32];
	duration_format(INT64_MIN, printed);
	assert_string_equal(printed, "-2562047h47m16.854775808s");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_base64),    cmocka_unit_test(test_base64_refuses),
	        cmocka_unit_test(test_quote),     cmocka_unit_test(test_random_names),
	        cmocka_unit_test(test_durations),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
