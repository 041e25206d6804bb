// SPDX-License-Identifier: Apache-2.0
//
// Lists: Kubernetes' isSorted, sum, min, max, indexOf and lastIndexOf, the sets extension,
// the first and last of the optional library, and the maps that folds build.
#include <string.h>

#include "common/cel/evaluate.h"

// --- order --------------------------------------------------------------------------------

static struct cel_value is_sorted(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                  unsigned count)
{
	struct cel_value previous, error;
	(void)call, (void)count;
	for (uint32_t i = 0; i < args[0].length && cel_work(eval, 1); i++) {
		int order = 0;
		struct cel_value item = cel_list_get(eval, &args[0], i);
		if (i && !cel_compare(&previous, &item, &order, &error))
			return error;
		if (order > 0)
			return cel_value_bool(false);
		previous = item;
	}
	return eval->aborted ? cel_abort(eval) : cel_value_bool(true);
}

static struct cel_value extreme(struct cel_eval *eval, const struct cel_value *list, int wanted, const char *name)
{
	if (list->length == 0)
		return cel_fail(eval, "%s called on empty list", name);
	struct cel_value best = cel_list_get(eval, list, 0), error;
	for (uint32_t i = 1; i < list->length && cel_work(eval, 1); i++) {
		int order;
		struct cel_value item = cel_list_get(eval, list, i);
		if (!cel_compare(&item, &best, &order, &error))
			return error;
		if (order == wanted)
			best = item;
	}
	return eval->aborted ? cel_abort(eval) : best;
}

static struct cel_value list_min(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                 unsigned count)
{
	(void)call, (void)count;
	return extreme(eval, &args[0], -1, "min");
}

static struct cel_value list_max(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                 unsigned count)
{
	(void)call, (void)count;
	return extreme(eval, &args[0], 1, "max");
}

// --- sum ----------------------------------------------------------------------------------------

static bool add_to(struct cel_value *sum, const struct cel_value *item, struct cel_value *ret_error)
{
	bool overflow = false;
	*ret_error = cel_no_such_overload();
	if (sum->kind != item->kind)
		return false;
	switch (sum->kind) {
	case CEL_INT:
		overflow = __builtin_add_overflow(sum->integer, item->integer, &sum->integer);
		*ret_error = cel_fail_text("integer overflow");
		return !overflow;
	case CEL_UINT:
		overflow =
		        __builtin_add_overflow(sum->unsigned_integer, item->unsigned_integer, &sum->unsigned_integer);
		*ret_error = cel_fail_text("unsigned integer overflow");
		return !overflow;
	case CEL_DOUBLE:
		sum->real += item->real;
		return true;
	case CEL_DURATION:
		overflow = __builtin_add_overflow(sum->integer, item->integer, &sum->integer);
		*ret_error = cel_fail_text("duration overflow");
		return !overflow;
	default:
		return false;
	}
}

// What an empty list adds up to, by the list's type.
static struct cel_value zero_of(const struct cel_expr *call)
{
	switch (call->type ? call->type->kind : CEL_TYPE_INT) {
	case CEL_TYPE_UINT:
		return cel_make_uint(0);
	case CEL_TYPE_DOUBLE:
		return cel_make_double(0);
	case CEL_TYPE_DURATION:
		return cel_make_duration(0);
	default:
		return cel_value_int(0);
	}
}

static struct cel_value sum(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                            unsigned count)
{
	struct cel_value total = zero_of(call), error;
	(void)count;
	for (uint32_t i = 0; i < args[0].length && cel_work(eval, 1); i++) {
		struct cel_value item = cel_list_get(eval, &args[0], i);
		if (i == 0 && (item.kind == CEL_INT || item.kind == CEL_UINT || item.kind == CEL_DOUBLE ||
		               item.kind == CEL_DURATION))
			total = item;
		else if (!add_to(&total, &item, &error))
			return error;
	}
	return eval->aborted ? cel_abort(eval) : total;
}

// --- places -----------------------------------------------------------------------------------------

static struct cel_value index_of(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                 unsigned count)
{
	(void)call, (void)count;
	for (uint32_t i = 0; i < args[0].length && cel_work(eval, 1); i++) {
		struct cel_value item = cel_list_get(eval, &args[0], i);
		if (cel_equal(eval, &item, &args[1]))
			return cel_value_int(i);
	}
	return eval->aborted ? cel_abort(eval) : cel_value_int(-1);
}

static struct cel_value last_index_of(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                      unsigned count)
{
	(void)call, (void)count;
	for (uint32_t i = args[0].length; i-- > 0 && cel_work(eval, 1);) {
		struct cel_value item = cel_list_get(eval, &args[0], i);
		if (cel_equal(eval, &item, &args[1]))
			return cel_value_int(i);
	}
	return eval->aborted ? cel_abort(eval) : cel_value_int(-1);
}

static struct cel_value first(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                              unsigned count)
{
	(void)call, (void)count;
	return args[0].length ? cel_make_optional(eval, cel_list_get(eval, &args[0], 0)) : cel_optional_none;
}

static struct cel_value last(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                             unsigned count)
{
	(void)call, (void)count;
	return args[0].length ? cel_make_optional(eval, cel_list_get(eval, &args[0], args[0].length - 1))
	                      : cel_optional_none;
}

// --- sets -----------------------------------------------------------------------------------------------

static bool contains_all(struct cel_eval *eval, const struct cel_value *list, const struct cel_value *wanted)
{
	for (uint32_t i = 0; i < wanted->length; i++) {
		struct cel_value item = cel_list_get(eval, wanted, i);
		if (!cel_list_contains(eval, list, &item))
			return false;
	}
	return true;
}

static struct cel_value finished(struct cel_eval *eval, bool result)
{
	return eval->aborted ? cel_abort(eval) : cel_value_bool(result);
}

static struct cel_value sets_contains(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                      unsigned count)
{
	(void)call, (void)count;
	return finished(eval, contains_all(eval, &args[0], &args[1]));
}

static struct cel_value sets_equivalent(struct cel_eval *eval, const struct cel_expr *call,
                                        const struct cel_value *args, unsigned count)
{
	(void)call, (void)count;
	return finished(eval, contains_all(eval, &args[0], &args[1]) && contains_all(eval, &args[1], &args[0]));
}

static struct cel_value sets_intersects(struct cel_eval *eval, const struct cel_expr *call,
                                        const struct cel_value *args, unsigned count)
{
	bool found = false;
	(void)call, (void)count;
	for (uint32_t i = 0; i < args[0].length && !found; i++) {
		struct cel_value item = cel_list_get(eval, &args[0], i);
		found = cel_list_contains(eval, &args[1], &item);
	}
	return finished(eval, found);
}

// --- maps ------------------------------------------------------------------------------------------------

static struct cel_value map_insert(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                   unsigned count)
{
	struct cel_value map = args[0];
	(void)call;
	if (count == 3)
		return cel_map_extend(eval, &map, args[1], args[2]);
	for (uint32_t i = 0; i < args[1].length && map.kind == CEL_MAP; i++) {
		struct cel_value key, value;
		cel_map_entry(eval, &args[1], i, &key, &value);
		map = cel_map_extend(eval, &map, key, value);
	}
	return map;
}

// A key as a part of a JSON pointer.
static struct cel_value escape_key(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                   unsigned count)
{
	char *escaped = cel_allocate(eval, (size_t)args[0].length * 2 + 1);
	size_t length = 0;
	(void)call, (void)count;
	if (!escaped)
		return cel_abort(eval);
	for (uint32_t i = 0; i < args[0].length; i++) {
		char character = args[0].text[i];
		bool special = character == '~' || character == '/';
		escaped[length++] = special ? '~' : character;
		if (special)
			escaped[length++] = character == '~' ? '0' : '1';
	}
	escaped[length] = '\0';
	return cel_value_string(escaped, length);
}

#define SCAN(name, types, call_)                                                                                       \
	{                                                                                                              \
		.function = (name), .signature = (types), .call = (call_), .cost = CEL_COST_LIST_SCAN, .by_name = true \
	}

static const struct cel_function_row list_rows[] = {
        SCAN("isSorted", "[i.>b", is_sorted),
        SCAN("isSorted", "[u.>b", is_sorted),
        SCAN("isSorted", "[d.>b", is_sorted),
        SCAN("isSorted", "[b.>b", is_sorted),
        SCAN("isSorted", "[r.>b", is_sorted),
        SCAN("isSorted", "[t.>b", is_sorted),
        SCAN("isSorted", "[s.>b", is_sorted),
        SCAN("isSorted", "[y.>b", is_sorted),
        SCAN("sum", "[i.>i", sum),
        SCAN("sum", "[u.>u", sum),
        SCAN("sum", "[d.>d", sum),
        SCAN("sum", "[r.>r", sum),
        SCAN("max", "[i.>i", list_max),
        SCAN("max", "[u.>u", list_max),
        SCAN("max", "[d.>d", list_max),
        SCAN("max", "[b.>b", list_max),
        SCAN("max", "[r.>r", list_max),
        SCAN("max", "[t.>t", list_max),
        SCAN("max", "[s.>s", list_max),
        SCAN("max", "[y.>y", list_max),
        SCAN("min", "[i.>i", list_min),
        SCAN("min", "[u.>u", list_min),
        SCAN("min", "[d.>d", list_min),
        SCAN("min", "[b.>b", list_min),
        SCAN("min", "[r.>r", list_min),
        SCAN("min", "[t.>t", list_min),
        SCAN("min", "[s.>s", list_min),
        SCAN("min", "[y.>y", list_min),
        SCAN("indexOf", "[A.A>i", index_of),
        SCAN("lastIndexOf", "[A.A>i", last_index_of),
        {"first", "[A.>?A", first, CEL_COST_ONE},
        {"last", "[A.>?A", last, CEL_COST_ONE},
};

static const struct cel_function_row set_rows[] = {
        {"sets.contains", "[A[A>b", sets_contains, CEL_COST_SETS},
        {"sets.equivalent", "[A[A>b", sets_equivalent, CEL_COST_SETS_2},
        {"sets.intersects", "[A[A>b", sets_intersects, CEL_COST_SETS},
};

static const struct cel_function_row map_rows[] = {
        {"cel.@mapInsert", "{AB}AB>{AB}", map_insert, CEL_COST_ONE},
        {"cel.@mapInsert", "{AB}{AB}>{AB}", map_insert, CEL_COST_ONE},
        {"jsonpatch.escapeKey", "s>s", escape_key, CEL_COST_TEXT_SCAN, .mutation = true},
};

const struct cel_library cel_library_lists = CEL_LIBRARY(list_rows);
const struct cel_library cel_library_sets = CEL_LIBRARY(set_rows);
const struct cel_library cel_library_maps = CEL_LIBRARY(map_rows);
