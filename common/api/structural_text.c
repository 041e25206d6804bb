// SPDX-License-Identifier: Apache-2.0
// Values of unstructured documents as Go prints them in messages.

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/api/structural.h"
#include "common/base/encode.h"
#include "common/base/memory.h"

// The fewest digits that read back as the same number: "d.ddde±xx".
static void shortest(double number, char *out, size_t size)
{
	for (int digits = 0; digits < 17; digits++) {
		snprintf(out, size, "%.*e", digits, number);
		if (strtod(out, NULL) == number)
			return;
	}
}

static void write_plain(struct strbuf *out, const char *digits, int count, int exponent)
{
	if (exponent < 0) {
		strbuf_append_text(out, "0.");
		for (int i = -1; i > exponent; i--)
			strbuf_append_char(out, '0');
		strbuf_append(out, digits, (size_t)count);
		return;
	}
	for (int i = 0; i <= exponent || i < count; i++) {
		if (i == exponent + 1)
			strbuf_append_char(out, '.');
		strbuf_append_char(out, i < count ? digits[i] : '0');
	}
}

void structural_write_double(struct strbuf *out, double number)
{
	char text[64], digits[32];
	const char *at = text;
	int count = 0, exponent;

	if (!isfinite(number)) {
		strbuf_append_text(out, isnan(number) ? "NaN" : number < 0 ? "-Inf" : "+Inf");
		return;
	}
	shortest(number, text, sizeof(text));
	if (*at == '-') {
		strbuf_append_char(out, '-');
		at++;
	}
	for (; *at != 'e'; at++)
		if (*at != '.')
			digits[count++] = *at;
	exponent = (int)strtol(at + 1, NULL, 10);
	if (exponent >= -4 && exponent < 21) {
		write_plain(out, digits, count, exponent);
		return;
	}
	strbuf_append_char(out, digits[0]);
	if (count > 1) {
		strbuf_append_char(out, '.');
		strbuf_append(out, digits + 1, (size_t)count - 1);
	}
	strbuf_printf(out, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
}

static int compare_keys(const void *a, const void *b)
{
	return strcmp((*(const struct json_member *const *)a)->key, (*(const struct json_member *const *)b)->key);
}

static void write_map(struct strbuf *out, const struct json *value)
{
	const struct json_member **sorted = xcalloc(value->length + 1, sizeof(*sorted));

	for (uint32_t i = 0; i < value->length; i++)
		sorted[i] = &value->members[i];
	qsort(sorted, value->length, sizeof(*sorted), compare_keys);
	strbuf_append_text(out, "map[string]interface {}{");
	for (uint32_t i = 0; i < value->length; i++) {
		strbuf_append_text(out, i ? ", " : "");
		quote_append(out, sorted[i]->key, sorted[i]->key_length);
		strbuf_append_char(out, ':');
		structural_write_go(out, sorted[i]->value);
	}
	strbuf_append_char(out, '}');
	free(sorted);
}

void structural_write_go(struct strbuf *out, const struct json *value)
{
	double number = 0;

	switch ((enum json_type)value->type) {
	case JSON_NULL:
		strbuf_append_text(out, "interface {}(nil)");
		break;
	case JSON_BOOL:
		strbuf_append_text(out, value->boolean ? "true" : "false");
		break;
	case JSON_INTEGER:
		strbuf_printf(out, "%" PRId64, value->integer);
		break;
	case JSON_NUMBER:
		(void)structural_number(value, &number);
		structural_write_double(out, number);
		break;
	case JSON_STRING:
		quote_append(out, value->text, value->length);
		break;
	case JSON_ARRAY:
		strbuf_append_text(out, "[]interface {}{");
		for (uint32_t i = 0; i < value->length; i++) {
			strbuf_append_text(out, i ? ", " : "");
			structural_write_go(out, value->items[i]);
		}
		strbuf_append_char(out, '}');
		break;
	case JSON_OBJECT:
		write_map(out, value);
		break;
	}
}
