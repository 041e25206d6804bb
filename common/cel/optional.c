// SPDX-License-Identifier: Apache-2.0
//
// Optional values: making them, asking them, and leaving out the empty ones of a list.
// or and orValue, which don't evaluate what they don't need, are the evaluator's.
#include "common/cel/evaluate.h"

static bool is_zero(const struct cel_value *value)
{
	switch (value->kind) {
	case CEL_NULL:
		return true;
	case CEL_BOOL:
		return !value->boolean;
	case CEL_INT:
	case CEL_UINT:
	case CEL_DURATION:
		return value->integer == 0;
	case CEL_DOUBLE:
		return value->real == 0;
	case CEL_STRING:
	case CEL_BYTES:
	case CEL_LIST:
	case CEL_MAP:
		return value->length == 0;
	case CEL_OBJECT:
		return value->flags == CEL_FORM_JSON ? value->length == 0
		                                     : value->flags == CEL_FORM_MADE && value->object->count == 0;
	case CEL_OPTIONAL:
		return !cel_has_value(value);
	default:
		return false;
	}
}

static struct cel_value optional_of(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                    unsigned count)
{
	(void)call, (void)count;
	return cel_make_optional(eval, args[0]);
}

static struct cel_value of_non_zero(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                    unsigned count)
{
	(void)call, (void)count;
	return is_zero(&args[0]) ? cel_optional_none : cel_make_optional(eval, args[0]);
}

static struct cel_value none(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                             unsigned count)
{
	(void)eval, (void)call, (void)args, (void)count;
	return cel_optional_none;
}

static struct cel_value value(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                              unsigned count)
{
	(void)eval, (void)call, (void)count;
	return cel_has_value(&args[0]) ? *args[0].inner : cel_fail_text("optional.none() dereference");
}

static struct cel_value has_value(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                  unsigned count)
{
	(void)eval, (void)call, (void)count;
	return cel_value_bool(cel_has_value(&args[0]));
}

static struct cel_value unwrap(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                               unsigned count)
{
	struct cel_value list = cel_list_new(eval, args[0].length);
	(void)call, (void)count;
	for (uint32_t i = 0; i < args[0].length && cel_work(eval, 1); i++) {
		struct cel_value item = cel_list_get(eval, &args[0], i);
		if (item.kind != CEL_OPTIONAL)
			return cel_fail(eval, "value %s is not optional", cel_value_type_name(&item));
		if (cel_has_value(&item) && !cel_list_add(eval, &list, *item.inner))
			return list;
	}
	return eval->aborted ? cel_abort(eval) : list;
}

static const struct cel_function_row rows[] = {
        {"optional.of", "A>?A", optional_of, CEL_COST_ONE},
        {"optional.ofNonZeroValue", "A>?A", of_non_zero, CEL_COST_ONE},
        {"optional.none", ">?A", none, CEL_COST_ONE},
        {"value", "?A.>A", value, CEL_COST_ONE},
        {"hasValue", "?A.>b", has_value, CEL_COST_ONE},
        {"or", "?A.?A>?A", value, CEL_COST_ONE},
        {"orValue", "?A.A>A", value, CEL_COST_ONE},
        {"optional.unwrap", "[?A>[A", unwrap, CEL_COST_ONE},
        {"unwrapOpt", "[?A.>[A", unwrap, CEL_COST_ONE},
};

const struct cel_library cel_library_optional = CEL_LIBRARY(rows);
