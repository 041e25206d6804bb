// SPDX-License-Identifier: Apache-2.0
//
// Equality and order. Values of different types are unequal, but numbers are compared as
// numbers. Two views of one tree are equal without looking. Lists that are declared as
// sets or maps are equal in any order of their elements; their elements are paired by a
// hash of what identifies them, so that the work stays near the number of elements.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/cel/evaluate.h"

enum { WORK_OF_LOOKUP = 8 }; // a hash and a cache miss or two

// --- numbers ----------------------------------------------------------------------------

static int order(bool less, bool greater)
{
	return less ? -1 : greater;
}

static int compare_double_int(double real, int64_t integer)
{
	if (real < -9223372036854775808.0)
		return -1;
	if (real >= 9223372036854775808.0)
		return 1;
	int64_t whole = (int64_t)real;
	if (whole != integer)
		return order(whole < integer, true);
	return order(real<(double)whole, real>(double) whole);
}

static int compare_double_uint(double real, uint64_t integer)
{
	if (real < 0)
		return -1;
	if (real >= 18446744073709551616.0)
		return 1;
	uint64_t whole = (uint64_t)real;
	if (whole != integer)
		return order(whole < integer, true);
	return order(real<(double)whole, real>(double) whole);
}

static int compare_int_uint(int64_t a, uint64_t b)
{
	return a < 0 ? -1 : order((uint64_t)a<b, (uint64_t)a> b);
}

static bool is_number(const struct cel_value *value)
{
	return value->kind == CEL_INT || value->kind == CEL_UINT || value->kind == CEL_DOUBLE;
}

// Neither is NaN.
static int compare_numbers(const struct cel_value *a, const struct cel_value *b)
{
	if (a->kind == b->kind) {
		if (a->kind == CEL_INT)
			return order(a->integer<b->integer, a->integer> b->integer);
		if (a->kind == CEL_UINT)
			return order(a->unsigned_integer<b->unsigned_integer, a->unsigned_integer> b->unsigned_integer);
		return order(a->real<b->real, a->real> b->real);
	}
	if (a->kind == CEL_DOUBLE)
		return b->kind == CEL_INT ? compare_double_int(a->real, b->integer)
		                          : compare_double_uint(a->real, b->unsigned_integer);
	if (b->kind == CEL_DOUBLE)
		return -compare_numbers(b, a);
	if (a->kind == CEL_INT)
		return compare_int_uint(a->integer, b->unsigned_integer);
	return -compare_int_uint(b->integer, a->unsigned_integer);
}

static bool is_nan(const struct cel_value *value)
{
	return value->kind == CEL_DOUBLE && isnan(value->real);
}

// --- order --------------------------------------------------------------------------------

static int compare_texts(const struct cel_value *a, const struct cel_value *b)
{
	int difference = memcmp(a->text, b->text, a->length < b->length ? a->length : b->length);
	if (difference)
		return difference < 0 ? -1 : 1;
	return order(a->length<b->length, a->length> b->length);
}

bool cel_compare(const struct cel_value *a, const struct cel_value *b, int *ret_order, struct cel_value *ret_error)
{
	if (is_number(a) && is_number(b)) {
		*ret_error = cel_fail_text("NaN values cannot be ordered");
		if (is_nan(a) || is_nan(b))
			return false;
		*ret_order = compare_numbers(a, b);
		return true;
	}
	*ret_error = cel_no_such_overload();
	if (a->kind != b->kind)
		return false;
	switch (a->kind) {
	case CEL_STRING:
	case CEL_BYTES:
		*ret_order = compare_texts(a, b);
		return true;
	case CEL_BOOL:
		*ret_order = (int)a->boolean - (int)b->boolean;
		return true;
	case CEL_TIMESTAMP:
		*ret_order = order(a->integer<b->integer, a->integer> b->integer);
		if (*ret_order == 0)
			*ret_order = order(a->length<b->length, a->length> b->length);
		return true;
	case CEL_DURATION:
		*ret_order = order(a->integer<b->integer, a->integer> b->integer);
		return true;
	default:
		return false;
	}
}

// --- lists without order ------------------------------------------------------------------------

static uint64_t hash_value(struct cel_eval *eval, const struct cel_value *value);

static uint64_t hash_number(const struct cel_value *value)
{
	double real = value->kind == CEL_INT    ? (double)value->integer
	              : value->kind == CEL_UINT ? (double)value->unsigned_integer
	                                        : value->real;
	if (real == 0)
		real = 0; // both zeros are one
	return json_key_hash((const char *)&real, sizeof(real));
}

// Equal values have equal hashes; containers only count by their kind and size.
static uint64_t hash_value(struct cel_eval *eval, const struct cel_value *value)
{
	(void)cel_work(eval, 1 + value->length / 32);
	switch (value->kind) {
	case CEL_STRING:
		return json_key_hash(value->text, value->length);
	case CEL_INT:
	case CEL_UINT:
	case CEL_DOUBLE:
		return hash_number(value);
	case CEL_BOOL:
		return value->boolean;
	case CEL_LIST:
	case CEL_MAP:
	case CEL_OBJECT:
		return value->flags == CEL_FORM_COMPOSITION ? 7 : value->length * UINT64_C(0x9e3779b97f4a7c15);
	default:
		return value->kind;
	}
}

// Of an element: the whole in a set, its keys in a map.
static uint64_t hash_element(struct cel_eval *eval, const struct cel_type *type, const struct cel_value *element)
{
	uint64_t hash = 0;
	bool keyed = type->list_kind == CEL_LIST_MAP && element->flags == CEL_FORM_JSON &&
	             (element->kind == CEL_OBJECT || element->kind == CEL_MAP);
	if (!keyed)
		return hash_value(eval, element);
	for (size_t i = 0; i < type->list_key_count; i++) {
		struct json *key = json_get(element->json, type->list_keys[i]);
		struct cel_value value = cel_from_json(eval, key, &cel_type_dyn);
		hash = hash * 31 + hash_value(eval, &value);
	}
	return hash;
}

struct hashed {
	uint64_t hash;
	struct cel_value value;
};

static int compare_hashed(const void *a, const void *b)
{
	const struct hashed *left = a, *right = b;
	return left->hash < right->hash ? -1 : left->hash > right->hash;
}

static struct hashed *hash_elements(struct cel_eval *eval, const struct cel_value *list, const struct cel_type *type)
{
	struct hashed *elements = cel_allocate(eval, list->length * sizeof(*elements));
	if (!elements || !cel_work(eval, (uint64_t)list->length * 8))
		return NULL;
	for (uint32_t i = 0; i < list->length; i++) {
		elements[i].value = cel_list_get(eval, list, i);
		elements[i].hash = hash_element(eval, type, &elements[i].value);
	}
	qsort(elements, list->length, sizeof(*elements), compare_hashed);
	return elements;
}

// Whether an element equal to `wanted` stands in the run of its hash from `first` on.
static bool run_contains(struct cel_eval *eval, const struct hashed *elements, uint32_t count, uint32_t first,
                         const struct hashed *wanted)
{
	for (uint32_t i = first; i < count && elements[i].hash == wanted->hash; i++)
		if (cel_equal(eval, &elements[i].value, &wanted->value))
			return true;
	return false;
}

static bool equal_in_any_order(struct cel_eval *eval, const struct cel_value *a, const struct cel_value *b)
{
	const struct cel_type *type = a->type->list_kind ? a->type : b->type;
	if (a->length != b->length)
		return false;
	if (a->length == 0)
		return true;
	struct hashed *left = hash_elements(eval, a, type), *right = hash_elements(eval, b, type);
	if (!left || !right)
		return false;
	for (uint32_t i = 0, run = 0; i < a->length; i++) {
		while (run < b->length && right[run].hash < left[i].hash)
			run++;
		if (!run_contains(eval, right, b->length, run, &left[i]))
			return false;
	}
	return true;
}

// --- equality --------------------------------------------------------------------------------

static bool equal_lists(struct cel_eval *eval, const struct cel_value *a, const struct cel_value *b)
{
	if (a->type->list_kind || b->type->list_kind)
		return equal_in_any_order(eval, a, b);
	if (a->length != b->length)
		return false;
	for (uint32_t i = 0; i < a->length; i++) {
		struct cel_value left = cel_list_get(eval, a, i), right = cel_list_get(eval, b, i);
		if (!cel_equal(eval, &left, &right))
			return false;
	}
	return true;
}

static bool equal_maps(struct cel_eval *eval, const struct cel_value *a, const struct cel_value *b)
{
	if (a->length != b->length)
		return false;
	for (uint32_t i = 0; i < a->length; i++) {
		struct cel_value key, left, right;
		cel_map_entry(eval, a, i, &key, &left);
		if (!cel_work(eval, WORK_OF_LOOKUP) || !cel_map_find(eval, b, &key, &right) ||
		    !cel_equal(eval, &left, &right))
			return false;
	}
	return true;
}

static const struct cel_field *field_by_json_name(const struct cel_type *type, const struct json_member *member)
{
	for (size_t i = 0; i < type->field_count; i++)
		if (type->fields[i].json_name_length == member->key_length &&
		    memcmp(type->fields[i].json_name, member->key, member->key_length) == 0)
			return &type->fields[i];
	return NULL;
}

static bool equal_trees(struct cel_eval *eval, const struct cel_value *a, const struct cel_value *b)
{
	if (a->json->length != b->json->length)
		return false;
	json_for_each_member (member, a->json) {
		const struct cel_field *field = field_by_json_name(a->type, member);
		const struct cel_type *type = field ? field->type : &cel_type_dyn;
		struct json *other = cel_json_member(eval, b->json, member->key, member->key_length);
		if (!other || !cel_work(eval, WORK_OF_LOOKUP + a->type->field_count / 4))
			return false;
		struct cel_value left = cel_from_json(eval, member->value, type),
		                 right = cel_from_json(eval, other, type);
		if (!cel_equal(eval, &left, &right))
			return false;
	}
	return true;
}

static bool equal_made(struct cel_eval *eval, const struct cel_value *a, const struct cel_value *b)
{
	if (a->object->count != b->object->count)
		return false;
	for (uint32_t i = 0; i < a->object->count; i++) {
		uint32_t j = 0;
		while (j < b->object->count && strcmp(a->object->names[i].text, b->object->names[j].text) != 0)
			j++;
		if (j == b->object->count || !cel_equal(eval, &a->object->values[i], &b->object->values[j]))
			return false;
	}
	return true;
}

static bool equal_objects(struct cel_eval *eval, const struct cel_value *a, const struct cel_value *b)
{
	if (a->flags != b->flags || strcmp(a->type->name, b->type->name) != 0)
		return false;
	if (a->flags == CEL_FORM_JSON)
		return equal_trees(eval, a, b);
	return a->flags == CEL_FORM_MADE ? equal_made(eval, a, b) : a->opaque == b->opaque;
}

static bool same_tree(const struct cel_value *a, const struct cel_value *b)
{
	return a->flags == CEL_FORM_JSON && b->flags == CEL_FORM_JSON && a->json == b->json && a->type == b->type;
}

bool cel_equal(struct cel_eval *eval, const struct cel_value *a, const struct cel_value *b)
{
	if (!cel_work(eval, 1))
		return false;
	if (is_number(a) && is_number(b))
		return !is_nan(a) && !is_nan(b) && compare_numbers(a, b) == 0;
	if (a->kind != b->kind)
		return false;
	switch (a->kind) {
	case CEL_NULL:
		return true;
	case CEL_BOOL:
		return a->boolean == b->boolean;
	case CEL_STRING:
	case CEL_BYTES:
		return a->length == b->length && cel_work(eval, a->length / 32) &&
		       memcmp(a->text, b->text, a->length) == 0;
	case CEL_TIMESTAMP:
		return a->integer == b->integer && a->length == b->length;
	case CEL_DURATION:
		return a->integer == b->integer;
	case CEL_LIST:
		return same_tree(a, b) || equal_lists(eval, a, b);
	case CEL_MAP:
		return same_tree(a, b) || equal_maps(eval, a, b);
	case CEL_OBJECT:
		return same_tree(a, b) || equal_objects(eval, a, b);
	case CEL_OPTIONAL:
		return a->inner && b->inner ? cel_equal(eval, a->inner, b->inner) : a->inner == b->inner;
	case CEL_TYPE:
		return strcmp(a->type->name, b->type->name) == 0;
	case CEL_OPAQUE:
		return cel_opaque_equal(eval, a, b);
	default:
		return false;
	}
}
