// SPDX-License-Identifier: Apache-2.0
// Whether an applied configuration fits its type: fields that exist, values of
// their kinds, list items with their keys and none twice. All that is wrong is
// told, in the words of upstream's typed values, up to a limit.

#include <stdio.h>
#include <stdlib.h>

#include "common/api/patch_internal.h"
#include "common/api/typed.h"

enum {
	CHECK_MAX_COMPLAINTS = 50,
	CHECK_MAX_TEXT = 64 << 10,
};

struct checker {
	struct arena *arena;
	struct strbuf path;
	struct strbuf text;
	const char *first;
	unsigned count;
};

static void check(struct checker *checker, const struct typed_place *place, const struct json *value);

static void complain(struct checker *checker, const char *what)
{
	const char *complaint =
	        checker->path.length ? arena_printf(checker->arena, "%s: %s", strbuf_text(&checker->path), what) : what;

	if (++checker->count > CHECK_MAX_COMPLAINTS)
		return;
	if (checker->count == 1)
		checker->first = complaint;
	strbuf_printf(&checker->text, "\n  %s", complaint);
}

static void leave(struct checker *checker, size_t length)
{
	checker->path.length = length;
	if (checker->path.data)
		checker->path.data[length] = '\0';
}

static void check_members(struct checker *checker, const struct typed_place *place, const struct json *value)
{
	if (!json_is(value, JSON_OBJECT)) {
		complain(checker,
		         arena_printf(checker->arena, "expected map, got &{%s}", go_value_text(checker->arena, value)));
		return;
	}
	json_for_each_member (member, value) {
		struct path_element element = {member->key, member->key_length, PATH_FIELD};
		size_t length = checker->path.length;
		struct typed_place here;

		path_element_write(&checker->path, &element);
		if (typed_member(place, member->key, member->key_length, &here, NULL))
			check(checker, &here, member->value);
		else
			complain(checker, "field not declared in schema");
		leave(checker, length);
	}
}

static int compare_elements(const void *a, const void *b)
{
	return path_element_compare(a, b);
}

static void check_duplicates(struct checker *checker, struct path_element *elements, uint32_t count)
{
	if (count > 1)
		qsort(elements, count, sizeof(*elements), compare_elements);
	for (uint32_t i = 1; i < count; i++) {
		struct strbuf key = STRBUF_INIT(CHECK_MAX_TEXT);

		if (path_element_compare(&elements[i - 1], &elements[i]))
			continue;
		path_element_write(&key, &elements[i]);
		complain(checker, arena_printf(checker->arena, "duplicate entries for key %s", strbuf_text(&key)));
		strbuf_done(&key);
	}
}

static void check_keyed_items(struct checker *checker, const struct typed_place *place, const struct json *value)
{
	struct typed_place here = typed_item(place);
	struct path_element *elements = ARENA_ARRAY(checker->arena, struct path_element, value->length + 1);
	uint32_t named = 0;

	for (uint32_t i = 0; i < value->length; i++) {
		size_t length = checker->path.length;
		struct path_element *element = &elements[named];
		const char *wrong = typed_item_element(checker->arena, place, value->items[i], element);

		if (wrong) {
			complain(checker, arena_printf(checker->arena, "element %u: %s", i, wrong));
			continue;
		}
		named++;
		path_element_write(&checker->path, element);
		check(checker, &here, value->items[i]);
		leave(checker, length);
	}
	check_duplicates(checker, elements, named);
}

static void check_list(struct checker *checker, const struct typed_place *place, const struct json *value)
{
	struct typed_place here = typed_item(place);

	if (!json_is(value, JSON_ARRAY)) {
		complain(checker, arena_printf(checker->arena, "expected list, got &{%s}",
		                               go_value_text(checker->arena, value)));
		return;
	}
	if (!place->atomic && place->list_type != SCHEMA_LIST_ATOMIC) {
		check_keyed_items(checker, place, value);
		return;
	}
	for (uint32_t i = 0; i < value->length; i++) {
		char digits[16];
		size_t length = checker->path.length;
		int printed = snprintf(digits, sizeof(digits), "%u", i);
		struct path_element element = {digits, (uint32_t)printed, PATH_INDEX};

		path_element_write(&checker->path, &element);
		check(checker, &here, value->items[i]);
		leave(checker, length);
	}
}

static void check_number(struct checker *checker, const struct json *value)
{
	if (!json_is(value, JSON_INTEGER) && !json_is(value, JSON_NUMBER))
		complain(checker,
		         arena_printf(checker->arena, "expected numeric (int or float), got %s", go_type_text(value)));
}

static void check_text(struct checker *checker, const struct json *value)
{
	if (!json_is(value, JSON_STRING))
		complain(checker,
		         arena_printf(checker->arena, "expected string, got &value.valueUnstructured{Value:%s}",
		                      go_value_text(checker->arena, value)));
}

static void check_bool(struct checker *checker, const struct json *value)
{
	if (!json_is(value, JSON_BOOL))
		complain(checker, arena_printf(checker->arena, "expected boolean, got &{%s}",
		                               go_value_text(checker->arena, value)));
}

static void check_scalar(struct checker *checker, const struct json *value)
{
	if (json_is(value, JSON_OBJECT) || json_is(value, JSON_ARRAY))
		complain(checker, arena_printf(checker->arena, "expected any scalar, got %s",
		                               go_value_text(checker->arena, value)));
}

static void check(struct checker *checker, const struct typed_place *place, const struct json *value)
{
	static void (*const scalars[SCHEMA_KIND_COUNT_])(struct checker *, const struct json *) = {
	        [SCHEMA_STRING] = check_text,     [SCHEMA_INT32] = check_number,
	        [SCHEMA_INT64] = check_number,    [SCHEMA_BOOL] = check_bool,
	        [SCHEMA_DOUBLE] = check_number,   [SCHEMA_BYTES] = check_text,
	        [SCHEMA_QUANTITY] = check_scalar, [SCHEMA_INT_OR_STRING] = check_scalar,
	        [SCHEMA_TIME] = check_scalar,     [SCHEMA_MICRO_TIME] = check_scalar,
	        [SCHEMA_DURATION] = check_scalar,
	};

	if (!place->type || json_is(value, JSON_NULL))
		return;
	if (place->type->kind == SCHEMA_LIST)
		check_list(checker, place, value);
	else if (place->type->kind == SCHEMA_STRUCT || place->type->kind == SCHEMA_MAP)
		check_members(checker, place, value);
	else if (scalars[place->type->kind])
		scalars[place->type->kind](checker, value);
}

const char *typed_check(struct arena *arena, const struct schema_type *type, const struct json *value)
{
	struct checker checker = {
	        .arena = arena, .path = STRBUF_INIT(CHECK_MAX_TEXT), .text = STRBUF_INIT(CHECK_MAX_TEXT)};
	struct typed_place root = typed_root(type);
	const char *result = NULL;

	check(&checker, &root, value);
	if (checker.count == 1)
		result = checker.first;
	else if (checker.count)
		result = arena_printf(arena, "errors:%s", strbuf_text(&checker.text));
	strbuf_done(&checker.path);
	strbuf_done(&checker.text);
	return result;
}
