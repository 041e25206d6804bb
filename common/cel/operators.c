// SPDX-License-Identifier: Apache-2.0
//
// Arithmetic, order and membership. Integers that overflow are errors, never wrap;
// doubles follow IEEE 754. Which operands an operator takes is judged here by their
// kinds, since one function serves all its overloads.
#include <stdint.h>
#include <string.h>

#include "common/cel/evaluate.h"

static const char int_overflow[] = "integer overflow";
static const char uint_overflow[] = "unsigned integer overflow";

// The years 1 to 9999.
static const int64_t first_second = INT64_C(-62135596800), last_second = INT64_C(253402300799);

static struct cel_value timestamp_at(__int128 nanoseconds, int16_t zone_minutes)
{
	__int128 seconds = nanoseconds / 1000000000, rest = nanoseconds % 1000000000;
	if (rest < 0) {
		rest += 1000000000;
		seconds--;
	}
	if (seconds < first_second || seconds > last_second)
		return cel_fail_text("timestamp overflow");
	return (struct cel_value){.kind = CEL_TIMESTAMP,
	                          .zone_minutes = zone_minutes,
	                          .length = (uint32_t)rest,
	                          .integer = (int64_t)seconds};
}

static __int128 nanoseconds_of(const struct cel_value *timestamp)
{
	return (__int128)timestamp->integer * 1000000000 + timestamp->length;
}

static struct cel_value duration_of(__int128 nanoseconds)
{
	if (nanoseconds < INT64_MIN || nanoseconds > INT64_MAX)
		return cel_fail_text("duration overflow");
	return cel_make_duration((int64_t)nanoseconds);
}

static unsigned both(enum cel_kind left, enum cel_kind right)
{
	return (unsigned)left << 8 | (unsigned)right;
}

static struct cel_value add_texts(struct cel_eval *eval, const struct cel_value *args)
{
	size_t length = (size_t)args[0].length + args[1].length;
	char *joined = length <= UINT32_MAX ? cel_allocate(eval, length + 1) : NULL;
	if (!joined)
		return cel_abort(eval);
	memcpy(joined, args[0].text, args[0].length);
	memcpy(joined + args[0].length, args[1].text, args[1].length);
	joined[length] = '\0';
	struct cel_value value = cel_value_string(joined, length);
	value.kind = args[0].kind;
	return value;
}

static struct cel_value add_numbers(const struct cel_value *args)
{
	int64_t sum;
	uint64_t unsigned_sum;
	if (args[0].kind == CEL_INT)
		return __builtin_add_overflow(args[0].integer, args[1].integer, &sum) ? cel_fail_text(int_overflow)
		                                                                      : cel_value_int(sum);
	if (args[0].kind == CEL_DOUBLE)
		return cel_make_double(args[0].real + args[1].real);
	return __builtin_add_overflow(args[0].unsigned_integer, args[1].unsigned_integer, &unsigned_sum)
	               ? cel_fail_text(uint_overflow)
	               : cel_make_uint(unsigned_sum);
}

static struct cel_value op_add(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                               unsigned count)
{
	(void)call, (void)count;
	switch (both(args[0].kind, args[1].kind)) {
	case CEL_INT << 8 | CEL_INT:
	case CEL_UINT << 8 | CEL_UINT:
	case CEL_DOUBLE << 8 | CEL_DOUBLE:
		return add_numbers(args);
	case CEL_STRING << 8 | CEL_STRING:
	case CEL_BYTES << 8 | CEL_BYTES:
		return add_texts(eval, args);
	case CEL_LIST << 8 | CEL_LIST:
		return cel_list_concat(eval, &args[0], &args[1]);
	case CEL_DURATION << 8 | CEL_DURATION:
		return duration_of((__int128)args[0].integer + args[1].integer);
	case CEL_TIMESTAMP << 8 | CEL_DURATION:
		return timestamp_at(nanoseconds_of(&args[0]) + args[1].integer, args[0].zone_minutes);
	case CEL_DURATION << 8 | CEL_TIMESTAMP:
		return timestamp_at(nanoseconds_of(&args[1]) + args[0].integer, args[1].zone_minutes);
	default:
		return cel_no_such_overload();
	}
}

static struct cel_value op_subtract(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                    unsigned count)
{
	int64_t difference;
	uint64_t unsigned_difference;
	(void)eval, (void)call, (void)count;
	switch (both(args[0].kind, args[1].kind)) {
	case CEL_INT << 8 | CEL_INT:
		return __builtin_sub_overflow(args[0].integer, args[1].integer, &difference)
		               ? cel_fail_text(int_overflow)
		               : cel_value_int(difference);
	case CEL_UINT << 8 | CEL_UINT:
		return __builtin_sub_overflow(args[0].unsigned_integer, args[1].unsigned_integer, &unsigned_difference)
		               ? cel_fail_text(uint_overflow)
		               : cel_make_uint(unsigned_difference);
	case CEL_DOUBLE << 8 | CEL_DOUBLE:
		return cel_make_double(args[0].real - args[1].real);
	case CEL_DURATION << 8 | CEL_DURATION:
		return duration_of((__int128)args[0].integer - args[1].integer);
	case CEL_TIMESTAMP << 8 | CEL_DURATION:
		return timestamp_at(nanoseconds_of(&args[0]) - args[1].integer, args[0].zone_minutes);
	case CEL_TIMESTAMP << 8 | CEL_TIMESTAMP:
		return duration_of(nanoseconds_of(&args[0]) - nanoseconds_of(&args[1]));
	default:
		return cel_no_such_overload();
	}
}

static struct cel_value op_multiply(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                    unsigned count)
{
	int64_t product;
	uint64_t unsigned_product;
	(void)eval, (void)call, (void)count;
	switch (both(args[0].kind, args[1].kind)) {
	case CEL_INT << 8 | CEL_INT:
		return __builtin_mul_overflow(args[0].integer, args[1].integer, &product) ? cel_fail_text(int_overflow)
		                                                                          : cel_value_int(product);
	case CEL_UINT << 8 | CEL_UINT:
		return __builtin_mul_overflow(args[0].unsigned_integer, args[1].unsigned_integer, &unsigned_product)
		               ? cel_fail_text(uint_overflow)
		               : cel_make_uint(unsigned_product);
	case CEL_DOUBLE << 8 | CEL_DOUBLE:
		return cel_make_double(args[0].real * args[1].real);
	default:
		return cel_no_such_overload();
	}
}

static struct cel_value op_divide(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                  unsigned count)
{
	(void)eval, (void)call, (void)count;
	switch (both(args[0].kind, args[1].kind)) {
	case CEL_INT << 8 | CEL_INT:
		if (args[1].integer == 0)
			return cel_fail_text("division by zero");
		if (args[0].integer == INT64_MIN && args[1].integer == -1)
			return cel_fail_text(int_overflow);
		return cel_value_int(args[0].integer / args[1].integer);
	case CEL_UINT << 8 | CEL_UINT:
		if (args[1].unsigned_integer == 0)
			return cel_fail_text("division by zero");
		return cel_make_uint(args[0].unsigned_integer / args[1].unsigned_integer);
	case CEL_DOUBLE << 8 | CEL_DOUBLE:
		return cel_make_double(args[0].real / args[1].real);
	default:
		return cel_no_such_overload();
	}
}

static struct cel_value op_modulo(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                  unsigned count)
{
	(void)eval, (void)call, (void)count;
	switch (both(args[0].kind, args[1].kind)) {
	case CEL_INT << 8 | CEL_INT:
		if (args[1].integer == 0)
			return cel_fail_text("modulus by zero");
		if (args[0].integer == INT64_MIN && args[1].integer == -1)
			return cel_fail_text(int_overflow);
		return cel_value_int(args[0].integer % args[1].integer);
	case CEL_UINT << 8 | CEL_UINT:
		if (args[1].unsigned_integer == 0)
			return cel_fail_text("modulus by zero");
		return cel_make_uint(args[0].unsigned_integer % args[1].unsigned_integer);
	default:
		return cel_no_such_overload();
	}
}

static struct cel_value op_negate(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                  unsigned count)
{
	(void)eval, (void)call, (void)count;
	if (args[0].kind == CEL_DOUBLE)
		return cel_make_double(-args[0].real);
	if (args[0].kind != CEL_INT)
		return cel_no_such_overload();
	return args[0].integer == INT64_MIN ? cel_fail_text(int_overflow) : cel_value_int(-args[0].integer);
}

static struct cel_value op_not(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                               unsigned count)
{
	(void)eval, (void)call, (void)count;
	return args[0].kind == CEL_BOOL ? cel_value_bool(!args[0].boolean) : cel_no_such_overload();
}

// --- order -----------------------------------------------------------------------------

static struct cel_value compare(const struct cel_value *args, bool less, bool equal, bool greater)
{
	struct cel_value error;
	int order = 0;
	if (!cel_compare(&args[0], &args[1], &order, &error))
		return error;
	return cel_value_bool(order < 0 ? less : order == 0 ? equal : greater);
}

#define COMPARISON(name, less, equal, greater)                                                                         \
	static struct cel_value name(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args, \
	                             unsigned count)                                                                   \
	{                                                                                                              \
		(void)call, (void)count;                                                                               \
		return cel_work(eval, args[0].kind == CEL_STRING ? args[0].length / 64 : 0)                            \
		               ? compare(args, less, equal, greater)                                                   \
		               : cel_abort(eval);                                                                      \
	}
COMPARISON(op_less, true, false, false)
COMPARISON(op_less_equal, true, true, false)
COMPARISON(op_greater, false, false, true)
COMPARISON(op_greater_equal, false, true, true)

// --- membership -------------------------------------------------------------------------

static struct cel_value op_in(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                              unsigned count)
{
	struct cel_value found;
	(void)call, (void)count;
	if (args[1].kind == CEL_LIST)
		return cel_value_bool(cel_list_contains(eval, &args[1], &args[0]));
	if (args[1].kind == CEL_MAP)
		return cel_value_bool(cel_map_find(eval, &args[1], &args[0], &found));
	if (args[1].kind == CEL_OBJECT && args[0].kind == CEL_STRING) {
		struct cel_text name = {args[0].text, args[0].length};
		return cel_value_bool(cel_object_get(eval, &args[1], &name, NULL, &found));
	}
	return cel_no_such_overload();
}

// The evaluator does these itself; the rows are for the checker.
static struct cel_value op_special(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                   unsigned count)
{
	(void)eval, (void)call, (void)args, (void)count;
	return cel_no_such_overload();
}

#define OPERATOR(name, types, call_, cost_)                                                                   \
	{                                                                                                     \
		.function = (name), .signature = (types), .call = (call_), .cost = (cost_), .any_kinds = true \
	}
#define ORDER_ROWS(name, call)                                                                                  \
	OPERATOR(name, "bb>b", call, CEL_COST_ONE), OPERATOR(name, "ii>b", call, CEL_COST_ONE),                 \
	        OPERATOR(name, "id>b", call, CEL_COST_ONE), OPERATOR(name, "iu>b", call, CEL_COST_ONE),         \
	        OPERATOR(name, "uu>b", call, CEL_COST_ONE), OPERATOR(name, "ud>b", call, CEL_COST_ONE),         \
	        OPERATOR(name, "ui>b", call, CEL_COST_ONE), OPERATOR(name, "dd>b", call, CEL_COST_ONE),         \
	        OPERATOR(name, "di>b", call, CEL_COST_ONE), OPERATOR(name, "du>b", call, CEL_COST_ONE),         \
	        OPERATOR(name, "ss>b", call, CEL_COST_COMPARE), OPERATOR(name, "yy>b", call, CEL_COST_COMPARE), \
	        OPERATOR(name, "tt>b", call, CEL_COST_ONE), OPERATOR(name, "rr>b", call, CEL_COST_ONE)

static const struct cel_function_row operator_rows[] = {
        OPERATOR("_?_:_", "bAA>A", op_special, CEL_COST_ONE),
        OPERATOR("_&&_", "bb>b", op_special, CEL_COST_ONE),
        OPERATOR("_||_", "bb>b", op_special, CEL_COST_ONE),
        OPERATOR("@not_strictly_false", "b>b", op_special, CEL_COST_ONE),
        OPERATOR("!_", "b>b", op_not, CEL_COST_ONE),
        OPERATOR("_==_", "AA>b", op_special, CEL_COST_EQUAL),
        OPERATOR("_!=_", "AA>b", op_special, CEL_COST_EQUAL),
        OPERATOR("_+_", "yy>y", op_add, CEL_COST_ADD_TEXT),
        OPERATOR("_+_", "dd>d", op_add, CEL_COST_ONE),
        OPERATOR("_+_", "rr>r", op_add, CEL_COST_ONE),
        OPERATOR("_+_", "rt>t", op_add, CEL_COST_ONE),
        OPERATOR("_+_", "tr>t", op_add, CEL_COST_ONE),
        OPERATOR("_+_", "ii>i", op_add, CEL_COST_ONE),
        OPERATOR("_+_", "[A[A>[A", op_add, CEL_COST_ADD_LIST),
        OPERATOR("_+_", "ss>s", op_add, CEL_COST_ADD_TEXT),
        OPERATOR("_+_", "uu>u", op_add, CEL_COST_ONE),
        OPERATOR("_/_", "dd>d", op_divide, CEL_COST_ONE),
        OPERATOR("_/_", "ii>i", op_divide, CEL_COST_ONE),
        OPERATOR("_/_", "uu>u", op_divide, CEL_COST_ONE),
        OPERATOR("_%_", "ii>i", op_modulo, CEL_COST_ONE),
        OPERATOR("_%_", "uu>u", op_modulo, CEL_COST_ONE),
        OPERATOR("_*_", "dd>d", op_multiply, CEL_COST_ONE),
        OPERATOR("_*_", "ii>i", op_multiply, CEL_COST_ONE),
        OPERATOR("_*_", "uu>u", op_multiply, CEL_COST_ONE),
        OPERATOR("-_", "d>d", op_negate, CEL_COST_ONE),
        OPERATOR("-_", "i>i", op_negate, CEL_COST_ONE),
        OPERATOR("_-_", "dd>d", op_subtract, CEL_COST_ONE),
        OPERATOR("_-_", "rr>r", op_subtract, CEL_COST_ONE),
        OPERATOR("_-_", "ii>i", op_subtract, CEL_COST_ONE),
        OPERATOR("_-_", "tr>t", op_subtract, CEL_COST_ONE),
        OPERATOR("_-_", "tt>r", op_subtract, CEL_COST_ONE),
        OPERATOR("_-_", "uu>u", op_subtract, CEL_COST_ONE),
        OPERATOR("_[_]", "[Ai>A", op_special, CEL_COST_ONE),
        OPERATOR("_[_]", "{AB}A>B", op_special, CEL_COST_ONE),
        OPERATOR("_[_]", "?[Ai>?A", op_special, CEL_COST_ONE),
        OPERATOR("_[_]", "?{AB}A>?B", op_special, CEL_COST_ONE),
        OPERATOR("_[?_]", "[Ai>?A", op_special, CEL_COST_ONE),
        OPERATOR("_[?_]", "?[Ai>?A", op_special, CEL_COST_ONE),
        OPERATOR("_[?_]", "{AB}A>?B", op_special, CEL_COST_ONE),
        OPERATOR("_[?_]", "?{AB}A>?B", op_special, CEL_COST_ONE),
        OPERATOR("_?._", "*s>?A", op_special, CEL_COST_ONE),
        OPERATOR("@in", "A[A>b", op_in, CEL_COST_IN_LIST),
        OPERATOR("@in", "A{AB}>b", op_in, CEL_COST_ONE),
};

static const struct cel_function_row compare_rows[] = {
        ORDER_ROWS("_<_", op_less),
        ORDER_ROWS("_<=_", op_less_equal),
        ORDER_ROWS("_>_", op_greater),
        ORDER_ROWS("_>=_", op_greater_equal),
};

const struct cel_library cel_library_operators = CEL_LIBRARY(operator_rows);
const struct cel_library cel_library_compare = CEL_LIBRARY(compare_rows);
