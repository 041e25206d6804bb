// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/api/quantity.h"
#include "common/base/macros.h"

static void test_canonical_text(void **state)
{
	static const struct {
		const char *text, *canonical;
	} rows[] = {
	        {"0", "0"},
	        {"0Mi", "0"},
	        {"-0", "0"},
	        {"", NULL},
	        {"1", "1"},
	        {"+5", "5"},
	        {"-5m", "-5m"},
	        {"100m", "100m"},
	        {"1000m", "1"},
	        {"1500m", "1500m"},
	        {"0.5", "500m"},
	        {".5", "500m"},
	        {"1.", "1"},
	        {"0.001", "1m"},
	        {"1000", "1k"},
	        {"1024", "1024"},
	        {"1500", "1500"},
	        {"1000000", "1M"},
	        {"1024Mi", "1Gi"},
	        {"1.5Gi", "1536Mi"},
	        {"512Mi", "512Mi"},
	        {"1023Ki", "1023Ki"},
	        {"0.5Ki", "512"},
	        {"0.0001Ki", "102400u"},
	        {"0.1Mi", "104857600m"},
	        {"2e3", "2e3"},
	        {"1e0", "1"},
	        {"12E-3", "12e-3"},
	        {"1E", "1E"},
	        {"1Ei", "1Ei"},
	        {"8Ei", "9223372036854775807"},
	        {"100Ei", "9223372036854775807"},
	        {"-100Ei", "-9223372036854775807"},
	        {"1e10", "10e9"},
	        {"100000E", "100000E"},
	        {"0.1n", "1n"},
	        {"0.0000000001", "1n"},
	        {"-0.0000000001", "-1n"},
	        {"1.0000000001", "1000000001n"},
	        {"3.0000000000000000000", "3"},
	        {"00012k", "12k"},
	        {"9223372036854775807", "9223372036854775807"},
	        {"9999999999999999999", "9999999999999999999"},
	        {"1u", "1u"},
	        {"2500u", "2500u"},
	        {"1e-20", "1e-9"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct quantity quantity;
		struct err err = ERR_INIT;
		int code = quantity_parse(rows[i].text, &quantity, &err);
		if (!rows[i].canonical) {
			assert_int_equal(code, -ERR_PARSE);
			continue;
		}
		if (code)
			fail_msg("%s: %s", rows[i].text, err.message);
		char out[QUANTITY_TEXT_BYTES];
		quantity_format(&quantity, out);
		if (strcmp(out, rows[i].canonical) != 0)
			fail_msg("%s became %s, not %s", rows[i].text, out, rows[i].canonical);
		struct quantity again;
		assert_int_equal(quantity_parse(out, &again, NULL), 0);
		assert_int_equal(quantity_compare(&quantity, &again), 0);
	}
}

static void test_errors(void **state)
{
	static const char wrong[] =
	        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
	static const struct {
		const char *text, *message;
	} rows[] = {
	        {"", wrong},
	        {"abc", wrong},
	        {" 1", wrong},
	        {"1 ", wrong},
	        {"1.2.3", wrong},
	        {"1_000", wrong},
	        {"1Kb", wrong},
	        {"10xi", wrong},
	        {"1e", "unable to parse quantity's suffix"},
	        {"1K", "unable to parse quantity's suffix"},
	        {"1mi", "unable to parse quantity's suffix"},
	        {"1e+", "unable to parse quantity's suffix"},
	        {"1Mi5", "unable to parse quantity's suffix"},
	        {"1e100", "unable to parse numeric part of quantity"},
	        {"1e99999999999999999999", "unable to parse numeric part of quantity"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct quantity quantity;
		struct err err = ERR_INIT;
		assert_int_equal(quantity_parse(rows[i].text, &quantity, &err), -ERR_PARSE);
		assert_string_equal(err.message, rows[i].message);
	}
}

static void test_values_round_up_and_saturate(void **state)
{
	(void)state;
	assert_int_equal(quantity_text_value("1500m"), 2);
	assert_int_equal(quantity_text_value("-1500m"), -2);
	assert_int_equal(quantity_text_milli_value("1u"), 1);
	assert_int_equal(quantity_text_milli_value("2"), 2000);
	assert_int_equal(quantity_text_value("64Mi"), 64 << 20);
	assert_true(quantity_text_value("100E") == INT64_MAX);
	assert_true(quantity_text_milli_value("9E") == INT64_MAX);
	assert_true(quantity_text_value("-100E") == INT64_MIN);
	assert_int_equal(quantity_text_value(NULL), 0);
	assert_int_equal(quantity_text_value("bad"), 0);
}

static void test_comparison_ignores_the_format(void **state)
{
	(void)state;
	struct quantity a, b;
	assert_int_equal(quantity_parse("1Ki", &a, NULL), 0);
	assert_int_equal(quantity_parse("1.024k", &b, NULL), 0);
	assert_int_equal(quantity_compare(&a, &b), 0);
	assert_int_equal(quantity_parse("1025", &b, NULL), 0);
	assert_true(quantity_compare(&a, &b) < 0 && quantity_compare(&b, &a) > 0);
}

static void test_very_long_texts_end(void **state)
{
	(void)state;
	static char text[200001];
	memset(text, '0', sizeof(text) - 1);
	text[1] = '.';
	text[sizeof(text) - 2] = '1';
	struct quantity quantity;
	assert_int_equal(quantity_parse(text, &quantity, NULL), 0);
	assert_true(quantity.nano == 1);
	memset(text, '9', sizeof(text) - 1);
	struct err err = ERR_INIT;
	assert_int_equal(quantity_parse(text, &quantity, &err), -ERR_PARSE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_canonical_text),
	        cmocka_unit_test(test_errors),
	        cmocka_unit_test(test_values_round_up_and_saturate),
	        cmocka_unit_test(test_comparison_ignores_the_format),
	        cmocka_unit_test(test_very_long_texts_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
