// SPDX-License-Identifier: Apache-2.0
//
// The clauses of string.format: %s anything, %d integers, %f and %e numbers, %b binary,
// %x %X hexadecimal of numbers and texts, %o octal, %% itself; %f and %e take a precision.
// Numbers with fractions are printed for the locale en_US as Go's x/text does it, which is
// what Kubernetes' version of the library does: 1,234.500000 and 1.5×10⁰³.
#include "common/cel/format_text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/strbuf.h"

struct formatter {
	struct cel_eval *eval;
	struct strbuf *out;
	struct cel_value error; // CEL_ERROR once something failed
};

static bool fail(struct formatter *formatter, struct cel_value error)
{
	formatter->error = error;
	return false;
}

// --- %s ----------------------------------------------------------------------------------

static bool write_any(struct formatter *formatter, const struct cel_value *value, bool nested);

static bool write_list(struct formatter *formatter, const struct cel_value *list)
{
	strbuf_append_char(formatter->out, '[');
	for (uint32_t i = 0; i < list->length; i++) {
		struct cel_value item = cel_list_get(formatter->eval, list, i);
		if (i)
			strbuf_append_text(formatter->out, ", ");
		if (!write_any(formatter, &item, true))
			return false;
	}
	strbuf_append_char(formatter->out, ']');
	return true;
}

// Entries by the order of their keys' texts.
static bool write_map(struct formatter *formatter, const struct cel_value *map)
{
	struct cel_eval *eval = formatter->eval;
	struct cel_map_entry *entries = cel_allocate(eval, map->length * sizeof(*entries));
	if (!entries)
		return fail(formatter, cel_abort(eval));
	for (uint32_t i = 0; i < map->length; i++) {
		struct cel_map_entry entry;
		uint32_t place = i;
		cel_map_entry(eval, map, i, &entry.key, &entry.value);
		for (; place > 0; place--) {
			int order;
			struct cel_value error;
			if (!cel_compare(&entries[place - 1].key, &entry.key, &order, &error) || order <= 0)
				break;
			entries[place] = entries[place - 1];
		}
		entries[place] = entry;
		if (!cel_work(eval, i - place + 1))
			return fail(formatter, cel_abort(eval));
	}
	strbuf_append_char(formatter->out, '{');
	for (uint32_t i = 0; i < map->length; i++) {
		if (i)
			strbuf_append_text(formatter->out, ", ");
		if (!write_any(formatter, &entries[i].key, true))
			return false;
		strbuf_append_text(formatter->out, ":");
		if (!write_any(formatter, &entries[i].value, true))
			return false;
	}
	strbuf_append_char(formatter->out, '}');
	return true;
}

static bool write_any(struct formatter *formatter, const struct cel_value *value, bool nested)
{
	if (formatter->out->overflowed || !cel_work(formatter->eval, 1))
		return fail(formatter, cel_abort(formatter->eval));
	switch (value->kind) {
	case CEL_LIST:
		return write_list(formatter, value);
	case CEL_MAP:
		return write_map(formatter, value);
	case CEL_NULL:
		strbuf_append_text(formatter->out, "null");
		return true;
	case CEL_TYPE:
		strbuf_append_text(formatter->out, value->type->name);
		return true;
	case CEL_ERROR:
		return fail(formatter, *value);
	case CEL_OBJECT:
	case CEL_OPTIONAL:
	case CEL_OPAQUE:
		return fail(formatter,
		            cel_fail(formatter->eval,
		                     "string clause can only be used on strings, bools, bytes, ints, doubles, maps, "
		                     "lists, types, durations, and timestamps, was given %s",
		                     cel_value_type_name(value)));
	default:
		break;
	}
	struct cel_value text = cel_convert_string(formatter->eval, value);
	if (cel_is_error(&text))
		return fail(formatter, text);
	bool quoted = nested && (value->kind == CEL_STRING || value->kind == CEL_BYTES);
	if (quoted)
		strbuf_append_char(formatter->out, '"');
	strbuf_append(formatter->out, text.text, text.length);
	if (quoted)
		strbuf_append_char(formatter->out, '"');
	return true;
}

// --- integers -----------------------------------------------------------------------------

static bool wrong_kind(struct formatter *formatter, const char *what, const struct cel_value *value)
{
	return fail(formatter, cel_fail(formatter->eval, "%s, was given %s", what, cel_value_type_name(value)));
}

static bool integer_parts(const struct cel_value *value, bool *ret_negative, uint64_t *ret_magnitude)
{
	*ret_negative = value->kind == CEL_INT && value->integer < 0;
	*ret_magnitude = *ret_negative ? -value->unsigned_integer : value->unsigned_integer;
	if (value->kind == CEL_BOOL)
		*ret_magnitude = value->boolean;
	return value->kind == CEL_INT || value->kind == CEL_UINT || value->kind == CEL_BOOL;
}

static void write_base(struct strbuf *out, bool negative, uint64_t magnitude, unsigned base, bool upper)
{
	char digits[72];
	size_t at = sizeof(digits);
	do {
		digits[--at] = (upper ? "0123456789ABCDEF" : "0123456789abcdef")[magnitude % base];
		magnitude /= base;
	} while (magnitude);
	if (negative)
		digits[--at] = '-';
	strbuf_append(out, digits + at, sizeof(digits) - at);
}

static bool write_integer(struct formatter *formatter, const struct cel_value *value, char clause)
{
	bool negative;
	uint64_t magnitude;
	bool usable = integer_parts(value, &negative, &magnitude) && (value->kind != CEL_BOOL || clause == 'b');
	if (!usable && clause == 'd' && value->kind == CEL_DOUBLE && !isfinite(value->real))
		return write_any(formatter, value, false);
	if (!usable)
		return wrong_kind(formatter,
		                  clause == 'd'   ? "integer clause can only be used on integers"
		                  : clause == 'b' ? "only integers and bools can be formatted as binary"
		                                  : "octal clause can only be used on integers",
		                  value);
	write_base(formatter->out, negative, magnitude, clause == 'd' ? 10 : clause == 'b' ? 2 : 8, false);
	return true;
}

static bool write_hexadecimal(struct formatter *formatter, const struct cel_value *value, bool upper)
{
	bool negative;
	uint64_t magnitude;
	if (value->kind == CEL_STRING || value->kind == CEL_BYTES) {
		const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
		for (uint32_t i = 0; i < value->length; i++) {
			strbuf_append_char(formatter->out, digits[(unsigned char)value->text[i] >> 4]);
			strbuf_append_char(formatter->out, digits[value->text[i] & 15]);
		}
		return true;
	}
	if (value->kind == CEL_BOOL || !integer_parts(value, &negative, &magnitude))
		return wrong_kind(formatter, "only integers, byte buffers, and strings can be formatted as hex", value);
	write_base(formatter->out, negative, magnitude, 16, upper);
	return true;
}

// --- numbers with fractions -------------------------------------------------------------------

static bool as_double(const struct cel_value *value, double *ret_real)
{
	static const struct {
		const char *text;
		double real;
	} words[] = {{"NaN", NAN}, {"Infinity", INFINITY}, {"-Infinity", -INFINITY}};
	*ret_real = value->kind == CEL_INT    ? (double)value->integer
	            : value->kind == CEL_UINT ? (double)value->unsigned_integer
	                                      : value->real;
	if (value->kind != CEL_STRING)
		return value->kind == CEL_INT || value->kind == CEL_UINT || value->kind == CEL_DOUBLE;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strlen(words[i].text) == value->length && memcmp(words[i].text, value->text, value->length) == 0) {
			*ret_real = words[i].real;
			return true;
		}
	return false;
}

static void write_grouped(struct strbuf *out, const char *digits)
{
	size_t length = strcspn(digits, ".");
	if (*digits == '-') {
		strbuf_append_char(out, *digits++);
		length--;
	}
	for (size_t i = 0; i < length; i++) {
		if (i && (length - i) % 3 == 0)
			strbuf_append_char(out, ',');
		strbuf_append_char(out, digits[i]);
	}
	strbuf_append_text(out, digits + length);
}

static void write_power(struct strbuf *out, int exponent)
{
	static const char *const raised[] = {"\u2070", "\u00b9", "\u00b2", "\u00b3", "\u2074",
	                                     "\u2075", "\u2076", "\u2077", "\u2078", "\u2079"};
	char digits[16];
	strbuf_append_text(out, "\u00d710");
	if (exponent < 0)
		strbuf_append_text(out, "\u207b");
	snprintf(digits, sizeof(digits), "%02d", exponent < 0 ? -exponent : exponent);
	for (const char *at = digits; *at; at++)
		strbuf_append_text(out, raised[*at - '0']);
}

static bool write_fraction(struct formatter *formatter, const struct cel_value *value, char clause, int precision)
{
	double real;
	char text[512];
	if (!as_double(value, &real))
		return wrong_kind(formatter,
		                  clause == 'f' ? "fixed-point clause can only be used on doubles"
		                                : "scientific clause can only be used on doubles",
		                  value);
	if (!isfinite(real)) {
		strbuf_append_text(formatter->out, isnan(real) ? "NaN" : real > 0 ? "\u221e" : "-\u221e");
		return true;
	}
	if (clause == 'f') {
		snprintf(text, sizeof(text), "%.*f", precision, real);
		write_grouped(formatter->out, text);
		return true;
	}
	snprintf(text, sizeof(text), "%.*e", precision, real);
	char *exponent = strchr(text, 'e');
	*exponent = '\0';
	strbuf_append_text(formatter->out, text);
	write_power(formatter->out, (int)strtol(exponent + 1, NULL, 10));
	return true;
}

// --- clauses ---------------------------------------------------------------------------------

static bool write_clause(struct formatter *formatter, char clause, int precision, const struct cel_value *value)
{
	switch (clause) {
	case 's':
		return write_any(formatter, value, false);
	case 'd':
	case 'b':
	case 'o':
		return write_integer(formatter, value, clause);
	case 'x':
	case 'X':
		return write_hexadecimal(formatter, value, clause == 'X');
	case 'f':
	case 'e':
		return write_fraction(formatter, value, clause, precision < 0 ? 6 : precision);
	default:
		return fail(formatter,
		            cel_fail(formatter->eval,
		                     "could not parse formatting clause: unrecognized formatting clause \"%c\"",
		                     clause));
	}
}

// ".3"; -1 when there is none. False when it is wrong.
static bool read_precision(struct formatter *formatter, const char **at, const char *end, int *ret_precision)
{
	*ret_precision = -1;
	if (*at >= end || **at != '.')
		return true;
	*ret_precision = 0;
	for ((*at)++; *at < end && **at >= '0' && **at <= '9'; (*at)++)
		*ret_precision = *ret_precision > 100 ? 101 : *ret_precision * 10 + (**at - '0');
	if (*ret_precision > 100)
		return fail(formatter, cel_fail_text("could not parse formatting clause: precision is too large"));
	return true;
}

static bool format_all(struct formatter *formatter, const struct cel_value *format, const struct cel_value *list)
{
	const char *at = format->text, *end = at + format->length;
	uint32_t used = 0;
	while (at < end) {
		int precision;
		const char *percent = memchr(at, '%', (size_t)(end - at));
		strbuf_append(formatter->out, at, (size_t)((percent ? percent : end) - at));
		if (!percent)
			break;
		at = percent + 1;
		if (at >= end)
			return fail(formatter, cel_fail_text("unexpected end of string"));
		if (*at == '%') {
			strbuf_append_char(formatter->out, *at++);
			continue;
		}
		if (used >= list->length)
			return fail(formatter, cel_fail(formatter->eval, "index %u out of range", used));
		if (!read_precision(formatter, &at, end, &precision))
			return false;
		if (at >= end)
			return fail(formatter, cel_fail_text("could not parse formatting clause: error while parsing "
			                                     "precision: could not find end of precision specifier"));
		struct cel_value value = cel_list_get(formatter->eval, list, used++);
		if (!write_clause(formatter, *at++, precision, &value))
			return false;
	}
	return true;
}

struct cel_value cel_format_text(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                 unsigned count)
{
	AUTO_STRBUF struct strbuf out = STRBUF_INIT(eval->max_memory - eval->memory);
	struct formatter formatter = {.eval = eval, .out = &out};
	(void)call, (void)count;
	if (!format_all(&formatter, &args[0], &args[1]))
		return formatter.error;
	return out.overflowed ? cel_abort(eval) : cel_copy_text(eval, strbuf_text(&out), out.length);
}
