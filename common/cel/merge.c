// SPDX-License-Identifier: Apache-2.0
//
// `+` of lists that are declared as sets or maps: the left list, then what the right one
// has beyond it. In a map an element of the right list takes the place of the left one
// with the same keys. Every element is looked for in the whole left list, as work.
#include <string.h>

#include "common/cel/evaluate.h"

static bool key_of(struct cel_eval *eval, const struct cel_value *element, const char *name, struct cel_value *ret_key)
{
	struct cel_text text = {name, strlen(name)};
	struct cel_value key = cel_value_string(text.text, text.length);
	if (element->kind == CEL_MAP)
		return cel_map_find(eval, element, &key, ret_key);
	if (element->kind != CEL_OBJECT || element->flags != CEL_FORM_JSON)
		return false;
	struct json *member = json_get_n(element->json, text.text, text.length);
	if (member)
		*ret_key = cel_from_json(eval, member, &cel_type_dyn);
	return member != NULL;
}

// Absent keys are equal to each other.
static bool same_keys(struct cel_eval *eval, const struct cel_type *type, const struct cel_value *a,
                      const struct cel_value *b)
{
	for (size_t i = 0; i < type->list_key_count; i++) {
		struct cel_value left, right;
		bool has_left = key_of(eval, a, type->list_keys[i], &left);
		if (has_left != key_of(eval, b, type->list_keys[i], &right) || !cel_work(eval, 1))
			return false;
		if (has_left && !cel_equal(eval, &left, &right))
			return false;
	}
	return true;
}

static bool same_element(struct cel_eval *eval, const struct cel_type *type, const struct cel_value *a,
                         const struct cel_value *b)
{
	return type->list_kind == CEL_LIST_MAP ? same_keys(eval, type, a, b) : cel_equal(eval, a, b);
}

// The number of the element among the first `count`, or `count`.
static uint32_t find_element(struct cel_eval *eval, const struct cel_type *type, const struct cel_value *list,
                             uint32_t count, const struct cel_value *element)
{
	uint32_t i = 0;
	while (i < count && !same_element(eval, type, &list->list->values[i], element) && cel_work(eval, 1))
		i++;
	return i;
}

struct cel_value cel_list_merge(struct cel_eval *eval, const struct cel_value *left, const struct cel_value *right)
{
	struct cel_value merged = cel_list_new(eval, (size_t)left->length + right->length);
	if (cel_is_error(&merged))
		return merged;
	merged.type = left->type;
	for (uint32_t i = 0; i < left->length; i++)
		(void)cel_list_add(eval, &merged, cel_list_get(eval, left, i));
	for (uint32_t i = 0; i < right->length && !eval->aborted; i++) {
		struct cel_value element = cel_list_get(eval, right, i);
		uint32_t place = find_element(eval, left->type, &merged, left->length, &element);
		if (place == left->length)
			(void)cel_list_add(eval, &merged, element);
		else if (left->type->list_kind == CEL_LIST_MAP)
			merged.list->values[place] = element;
	}
	return eval->aborted ? cel_abort(eval) : merged;
}
