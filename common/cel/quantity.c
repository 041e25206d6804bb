// SPDX-License-Identifier: Apache-2.0
//
// quantity() and semver(): numbers with suffixes, and versions as semver.org has them.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/api/quantity.h"
#include "common/cel/evaluate.h"

// --- quantities -------------------------------------------------------------------------

static bool parse_quantity(const struct cel_value *text, struct quantity *quantity, struct err *err)
{
	char copy[256];
	if (text->length >= sizeof(copy) || memchr(text->text, '\0', text->length)) {
		(void)err_set(err, ERR_INVALID,
		              "quantities must match the regular expression "
		              "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
		return false;
	}
	memcpy(copy, text->text, text->length);
	copy[text->length] = '\0';
	return quantity_parse(copy, quantity, err) == 0;
}

static struct cel_value make_quantity(struct cel_eval *eval, __int128 nano, enum quantity_format format)
{
	struct quantity *quantity = cel_allocate(eval, sizeof(*quantity));
	if (!quantity)
		return cel_abort(eval);
	*quantity = (struct quantity){.nano = nano, .format = format};
	return cel_make_opaque(&cel_type_quantity, quantity);
}

static struct cel_value to_quantity(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                    unsigned count)
{
	struct quantity quantity;
	struct err err = ERR_INIT;
	(void)call, (void)count;
	if (!parse_quantity(&args[0], &quantity, &err))
		return cel_fail(eval, "%s", err.message);
	return make_quantity(eval, quantity.nano, quantity.format);
}

static struct cel_value is_quantity(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                    unsigned count)
{
	struct quantity quantity;
	struct err err = ERR_INIT;
	(void)eval, (void)call, (void)count;
	return cel_value_bool(parse_quantity(&args[0], &quantity, &err));
}

static const struct quantity *quantity_of(const struct cel_value *value)
{
	return value->opaque;
}

static struct cel_value sign(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                             unsigned count)
{
	__int128 nano = quantity_of(&args[0])->nano;
	(void)eval, (void)call, (void)count;
	return cel_value_int(nano < 0 ? -1 : nano > 0);
}

static bool whole(__int128 nano)
{
	__int128 units = nano / 1000000000;
	return nano % 1000000000 == 0 && units >= INT64_MIN && units <= INT64_MAX;
}

static struct cel_value is_integer(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                   unsigned count)
{
	(void)eval, (void)call, (void)count;
	return cel_value_bool(whole(quantity_of(&args[0])->nano));
}

static struct cel_value as_integer(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                   unsigned count)
{
	__int128 nano = quantity_of(&args[0])->nano;
	(void)eval, (void)call, (void)count;
	return whole(nano) ? cel_value_int((int64_t)(nano / 1000000000))
	                   : cel_fail_text("cannot convert value to integer");
}

static struct cel_value as_float(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                 unsigned count)
{
	__int128 nano = quantity_of(&args[0])->nano;
	(void)eval, (void)call, (void)count;
	return cel_make_double((double)(nano / 1000000000) + (double)(int64_t)(nano % 1000000000) / 1e9);
}

static int compare_quantities(const struct cel_value *args)
{
	return quantity_compare(quantity_of(&args[0]), quantity_of(&args[1]));
}

static struct cel_value greater_quantity(struct cel_eval *eval, const struct cel_expr *call,
                                         const struct cel_value *args, unsigned count)
{
	(void)eval, (void)call, (void)count;
	return cel_value_bool(compare_quantities(args) > 0);
}

static struct cel_value less_quantity(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                      unsigned count)
{
	(void)eval, (void)call, (void)count;
	return cel_value_bool(compare_quantities(args) < 0);
}

static struct cel_value order_quantity(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                       unsigned count)
{
	int order = compare_quantities(args);
	(void)eval, (void)call, (void)count;
	return cel_value_int(order < 0 ? -1 : order > 0);
}

// The other operand in nano units, a quantity or an integer.
static __int128 operand(const struct cel_value *value)
{
	return value->kind == CEL_INT ? (__int128)value->integer * 1000000000 : quantity_of(value)->nano;
}

static struct cel_value add(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                            unsigned count)
{
	__int128 sum;
	(void)call, (void)count;
	if (__builtin_add_overflow(quantity_of(&args[0])->nano, operand(&args[1]), &sum))
		return cel_fail_text("quantity overflow");
	return make_quantity(eval, sum, quantity_of(&args[0])->format);
}

static struct cel_value subtract(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                 unsigned count)
{
	__int128 difference;
	(void)call, (void)count;
	if (__builtin_sub_overflow(quantity_of(&args[0])->nano, operand(&args[1]), &difference))
		return cel_fail_text("quantity overflow");
	return make_quantity(eval, difference, quantity_of(&args[0])->format);
}

bool cel_quantity_equal(const void *a, const void *b)
{
	return quantity_compare(a, b) == 0;
}

static const struct cel_function_row quantity_rows[] = {
        {"quantity", "s>Q", to_quantity, CEL_COST_PREFIX, .by_name = true},
        {"isQuantity", "s>b", is_quantity, CEL_COST_PREFIX, .by_name = true},
        {"sign", "Q>i", sign, CEL_COST_ONE},
        {"isGreaterThan", "Q.Q>b", greater_quantity, CEL_COST_ONE},
        {"isLessThan", "Q.Q>b", less_quantity, CEL_COST_ONE},
        {"compareTo", "Q.Q>i", order_quantity, CEL_COST_ONE},
        {"asApproximateFloat", "Q.>d", as_float, CEL_COST_ONE},
        {"asInteger", "Q.>i", as_integer, CEL_COST_ONE},
        {"isInteger", "Q.>b", is_integer, CEL_COST_ONE},
        {"add", "Q.Q>Q", add, CEL_COST_ONE},
        {"add", "Q.i>Q", add, CEL_COST_ONE},
        {"sub", "Q.Q>Q", subtract, CEL_COST_ONE},
        {"sub", "Q.i>Q", subtract, CEL_COST_ONE},
};

const struct cel_library cel_library_quantity = CEL_LIBRARY(quantity_rows);
