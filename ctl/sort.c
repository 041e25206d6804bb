// SPDX-License-Identifier: Apache-2.0
#include "ctl/sort.h"

#include <stdlib.h>
#include <string.h>

#include "common/api/json_path.h"
#include "common/api/quantity.h"
#include "ctl/ctl.h"
#include "ctl/errors.h"

struct sortable {
	struct json *item;
	const struct json *value; // NULL = the field is missing: first
	size_t position;          // keeps equal ones in order
};

static int sign(int64_t difference)
{
	return difference < 0 ? -1 : difference > 0;
}

static int compare_texts(const char *one, const char *other)
{
	struct quantity first, second;
	if (quantity_parse(one, &first, NULL) == 0 && quantity_parse(other, &second, NULL) == 0)
		return quantity_compare(&first, &second);
	return strcmp(one, other);
}

static double number_of(const struct json *value)
{
	return json_is(value, JSON_INTEGER)  ? (double)value->integer
	       : json_is(value, JSON_NUMBER) ? strtod(value->text, NULL)
	                                     : 0;
}

static int compare(const void *one_pointer, const void *other_pointer)
{
	const struct sortable *one = one_pointer, *other = other_pointer;
	int order = 0;
	if (!one->value || !other->value)
		order = (one->value != NULL) - (other->value != NULL);
	else if (json_is(one->value, JSON_STRING) && json_is(other->value, JSON_STRING))
		order = compare_texts(one->value->text, other->value->text);
	else if (number_of(one->value) != number_of(other->value))
		order = number_of(one->value) < number_of(other->value) ? -1 : 1;
	return order ? order : sign((int64_t)one->position - (int64_t)other->position);
}

// `inner`: where the object of an item stands; NULL = the item itself.
static bool sort(struct ctl *ctl, struct json *array, const char *inner, const char *expression)
{
	struct jsonpath *path;
	struct err err = ERR_INIT;
	if (expression[0] != '{')
		expression = ctl_printf(ctl, "{%s%s}", expression[0] == '.' ? "" : ".", expression);
	if (jsonpath_parse_relaxed(ctl->arena, expression, &path, &err) < 0) {
		report_err(ctl, &err);
		return false;
	}
	size_t count = array ? array->length : 0, with_value = 0;
	struct sortable *sortables = ARENA_ARRAY(ctl->arena, struct sortable, count);
	for (size_t i = 0; i < count; i++) {
		size_t found = 0;
		struct json *item = array->items[i];
		const struct json **values =
		        jsonpath_find(ctl->arena, path, inner ? json_get(item, inner) : item, &found);
		sortables[i] = (struct sortable){item, found ? values[0] : NULL, i};
		with_value += found > 0;
	}
	if (count && !with_value && !inner) {
		report(ctl, "couldn't find any field with path \"%s\" in the list of objects", expression);
		return false;
	}
	qsort(sortables, count, sizeof(*sortables), compare);
	for (size_t i = 0; i < count; i++)
		array->items[i] = sortables[i].item;
	return true;
}

bool sort_rows(struct ctl *ctl, struct json *table, const char *expression)
{
	return sort(ctl, json_get(table, "rows"), "object", expression);
}

bool sort_items(struct ctl *ctl, struct json *items, const char *expression)
{
	return sort(ctl, items, NULL, expression);
}
