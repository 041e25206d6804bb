// SPDX-License-Identifier: Apache-2.0
// Validation of custom resources by the keywords of OpenAPI.
//
// A walk over node and value together. What is found goes into an outcome; the
// alternatives of anyOf and oneOf have outcomes of their own, of which the one that
// came furthest is told, as upstream does: each check that was made counts one.
// Nothing is allocated for a valid object; paths are rendered when something is wrong.
//
// Ratcheting: where the old value is known and equal to the new one, errors at and
// below it are forgiven. Old values follow properties, additional properties and the
// items of keyed lists. The wording is upstream's.

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "common/api/field_path.h"
#include "common/api/structural.h"
#include "common/base/encode.h"

enum {
	ERRORS_MAXIMUM = 1000,
	TEXT_MAX_BYTES = 64 << 10,
};

struct outcome {
	struct structural_errors errors;
	unsigned checks;
};

struct validator {
	struct arena *arena;
	const char *prefix; // of all paths, "" at the root
};

// What is being looked at.
struct place {
	const struct validator *validator;
	const struct structural *node;
	const struct json *value;
	const struct json *old; // NULL = none
	const struct field_path *path;
};

static void validate(const struct place *place, struct outcome *outcome);

// --- errors -----------------------------------------------------------------------------

void structural_error_add(struct arena *arena, struct structural_errors *errors, const char *reason, const char *field,
                          const char *message)
{
	if (errors->count == ERRORS_MAXIMUM)
		return;
	if (errors->count == errors->capacity) {
		uint32_t capacity = errors->capacity ? 2 * errors->capacity : 4;

		errors->items = arena_realloc(arena, errors->items, errors->capacity * sizeof(*errors->items),
		                              capacity * sizeof(*errors->items));
		errors->capacity = capacity;
	}
	errors->items[errors->count++] = (struct structural_error){reason, field, message};
}

static void merge(struct arena *arena, struct outcome *into, const struct outcome *from)
{
	for (uint32_t i = 0; i < from->errors.count; i++)
		structural_error_add(arena, &into->errors, from->errors.items[i].reason, from->errors.items[i].field,
		                     from->errors.items[i].message);
	into->checks += from->checks;
}

static const char *take_text(struct arena *arena, struct strbuf *text)
{
	const char *copy = arena_strdup(arena, strbuf_text(text));

	strbuf_done(text);
	return copy;
}

// As upstream names it: the root has no name.
static const char *name_of(const struct place *place, const char *leaf)
{
	struct strbuf text = STRBUF_INIT(TEXT_MAX_BYTES);
	AUTO_STRBUF struct strbuf path = STRBUF_INIT(TEXT_MAX_BYTES);

	field_path_write(&path, place->path, leaf);
	strbuf_append_text(&text, place->validator->prefix);
	if (text.length && path.length && strbuf_text(&path)[0] != '[')
		strbuf_append_char(&text, '.');
	strbuf_append_text(&text, strbuf_text(&path));
	return take_text(place->validator->arena, &text);
}

static const char *field_of(const char *name)
{
	return name[0] ? name : "<nil>";
}

static const char *shown(struct arena *arena, const struct json *value)
{
	struct strbuf text = STRBUF_INIT(TEXT_MAX_BYTES);

	if (json_is_null(value))
		strbuf_append_text(&text, "\"\"");
	else
		structural_write_go(&text, value);
	return take_text(arena, &text);
}

static void fail(const struct place *place, struct outcome *outcome, const char *reason, const char *name,
                 const char *message)
{
	structural_error_add(place->validator->arena, &outcome->errors, reason, field_of(name), message);
}

// "Invalid value: VALUE: NAME in body DETAIL"
static void invalid(const struct place *place, struct outcome *outcome, const char *value, const char *detail)
{
	const char *name = name_of(place, NULL);

	fail(place, outcome, "FieldValueInvalid", name,
	     arena_printf(place->validator->arena, "Invalid value: %s: %s in body %s", value, name, detail));
}

static void wrong_type(const struct place *place, struct outcome *outcome, const char *expected, const char *found)
{
	const char *name = name_of(place, NULL);
	struct strbuf quoted = STRBUF_INIT(TEXT_MAX_BYTES);

	quote_append(&quoted, found, strlen(found));
	fail(place, outcome, "FieldValueTypeInvalid", name,
	     arena_printf(place->validator->arena, "Invalid value: %s: %s in body must be of type %s: %s",
	                  strbuf_text(&quoted), name, expected, strbuf_text(&quoted)));
	strbuf_done(&quoted);
}

// What holds for the value as a whole has no field of its own upstream.
static void composite(const struct place *place, struct outcome *outcome, const char *detail)
{
	const char *name = name_of(place, NULL);
	struct strbuf quoted = STRBUF_INIT(TEXT_MAX_BYTES);

	quote_append(&quoted, name, strlen(name));
	fail(place, outcome, "FieldValueInvalid", "",
	     arena_printf(place->validator->arena, "Invalid value: \"\": %s %s", strbuf_text(&quoted), detail));
	strbuf_done(&quoted);
}

// --- types --------------------------------------------------------------------------------

static const char *const type_names[] = {
        [STRUCTURAL_NONE] = "",          [STRUCTURAL_OBJECT] = "object",   [STRUCTURAL_ARRAY] = "array",
        [STRUCTURAL_STRING] = "string",  [STRUCTURAL_INTEGER] = "integer", [STRUCTURAL_NUMBER] = "number",
        [STRUCTURAL_BOOLEAN] = "boolean"};

static uint8_t type_of_value(const struct json *value)
{
	static const uint8_t types[] = {[JSON_NULL] = STRUCTURAL_NONE,       [JSON_BOOL] = STRUCTURAL_BOOLEAN,
	                                [JSON_INTEGER] = STRUCTURAL_INTEGER, [JSON_NUMBER] = STRUCTURAL_NUMBER,
	                                [JSON_STRING] = STRUCTURAL_STRING,   [JSON_ARRAY] = STRUCTURAL_ARRAY,
	                                [JSON_OBJECT] = STRUCTURAL_OBJECT};

	return types[value->type];
}

static const char *expected_type(const struct structural *node)
{
	return node->int_or_string ? "integer,string" : type_names[node->value_type];
}

static bool is_whole(const struct json *value)
{
	double number;

	return structural_number(value, &number) && isfinite(number) && number == trunc(number);
}

static bool accepts(const struct structural *node, const struct json *value, uint8_t found)
{
	if (node->int_or_string)
		return found == STRUCTURAL_STRING || is_whole(value);
	if (node->value_type == STRUCTURAL_INTEGER)
		return is_whole(value);
	if (node->value_type == STRUCTURAL_NUMBER)
		return found == STRUCTURAL_INTEGER || found == STRUCTURAL_NUMBER;
	return node->value_type == found;
}

static const char *format_of_value(uint8_t found)
{
	return found == STRUCTURAL_INTEGER ? "int64" : found == STRUCTURAL_NUMBER ? "double" : "";
}

static void check_type(const struct place *place, struct outcome *outcome)
{
	const struct structural *node = place->node;
	const char *format = node->rules && node->rules->format ? node->rules->format_name : NULL;
	uint8_t found = type_of_value(place->value);
	bool numeric =
	        node->value_type == STRUCTURAL_INTEGER || node->value_type == STRUCTURAL_NUMBER || node->int_or_string;
	bool typed = node->value_type != STRUCTURAL_NONE || node->int_or_string;

	outcome->checks++;
	if (json_is_null(place->value)) {
		if (typed && !node->nullable)
			wrong_type(place, outcome, expected_type(node), "null");
		return;
	}
	if (!typed && !format)
		return;
	if (format && found != STRUCTURAL_STRING && found != STRUCTURAL_ARRAY && !accepts(node, place->value, found)) {
		wrong_type(place, outcome, format, format_of_value(found));
		return;
	}
	if (format && !numeric && (found == STRUCTURAL_STRING || found == STRUCTURAL_ARRAY))
		return;
	if (!accepts(node, place->value, found))
		wrong_type(place, outcome, expected_type(node), type_names[found]);
}

// --- texts --------------------------------------------------------------------------------

static int64_t count_runes(const char *text, size_t length)
{
	int64_t runes = 0;

	for (size_t i = 0; i < length; i++)
		runes += ((unsigned char)text[i] & 0xC0) != 0x80;
	return runes;
}

static void check_text(const struct place *place, struct outcome *outcome)
{
	const struct structural_rules *rules = place->node->rules;
	struct arena *arena = place->validator->arena;
	const struct json *value = place->value;
	int64_t length = rules->bounds & (STRUCTURAL_MAX_LENGTH | STRUCTURAL_MIN_LENGTH)
	                         ? count_runes(value->text, value->length)
	                         : 0;

	outcome->checks++;
	if ((rules->bounds & STRUCTURAL_MAX_LENGTH) && length > rules->max_length)
		fail(place, outcome, "FieldValueTooLong", name_of(place, NULL),
		     arena_printf(arena, "Too long: may not be more than %" PRId64 " %s", rules->max_length,
		                  rules->max_length == 1 ? "byte" : "bytes"));
	else if ((rules->bounds & STRUCTURAL_MIN_LENGTH) && length < rules->min_length)
		invalid(place, outcome, shown(arena, value),
		        arena_printf(arena, "should be at least %" PRId64 " chars long", rules->min_length));
	else if (rules->pattern && !rules->patterns->matches(rules->pattern, value->text, value->length))
		invalid(place, outcome, shown(arena, value),
		        arena_printf(arena, "should match '%s'", rules->pattern_text));
}

static void check_format(const struct place *place, struct outcome *outcome)
{
	const struct structural_rules *rules = place->node->rules;
	const struct json *value = place->value;
	struct arena *arena = place->validator->arena;
	const char *name, *text;

	outcome->checks++;
	if (structural_format_matches(rules->format, value->text, value->length))
		return;
	name = name_of(place, NULL);
	text = shown(arena, value);
	fail(place, outcome, "FieldValueTypeInvalid", name,
	     arena_printf(arena, "Invalid value: %s: %s in body must be of type %s: %s", text, name, rules->format_name,
	                  text));
}

// --- numbers --------------------------------------------------------------------------------

static const char *bound_text(struct arena *arena, const struct json *value, double bound)
{
	struct strbuf text = STRBUF_INIT(64);

	if (json_is(value, JSON_INTEGER))
		strbuf_printf(&text, "%" PRId64, (int64_t)bound);
	else
		structural_write_double(&text, bound);
	return take_text(arena, &text);
}

// Negative, zero or positive; integers are compared as such.
static int compare_to(const struct json *value, double bound)
{
	double number = 0;

	if (json_is(value, JSON_INTEGER)) {
		int64_t limit = bound >= 9223372036854775808.0    ? INT64_MAX
		                : bound <= -9223372036854775808.0 ? INT64_MIN
		                                                  : (int64_t)bound;

		return value->integer < limit ? -1 : value->integer > limit;
	}
	(void)structural_number(value, &number);
	return number < bound ? -1 : number > bound;
}

static bool is_multiple(const struct json *value, double factor)
{
	double number = 0, times;

	if (json_is(value, JSON_INTEGER) && factor == trunc(factor) && fabs(factor) < 9e18)
		return (int64_t)factor > 0 && value->integer % (int64_t)factor == 0;
	(void)structural_number(value, &number);
	times = factor < 1 ? 1 / factor * number : number / factor;
	return factor > 0 && fabs(times - round(times)) <= 1e-9 * (fabs(times) < 1 ? 1 : fabs(times));
}

static void check_number(const struct place *place, struct outcome *outcome)
{
	const struct structural_rules *rules = place->node->rules;
	struct arena *arena = place->validator->arena;
	const struct json *value = place->value;
	bool above = rules->bounds & STRUCTURAL_EXCLUSIVE_MINIMUM, below = rules->bounds & STRUCTURAL_EXCLUSIVE_MAXIMUM;

	outcome->checks++;
	if ((rules->bounds & STRUCTURAL_MULTIPLE_OF) && !is_multiple(value, rules->multiple_of))
		invalid(place, outcome, shown(arena, value),
		        arena_printf(arena, "should be a multiple of %s",
		                     bound_text(arena, value, rules->multiple_of)));
	if ((rules->bounds & STRUCTURAL_MINIMUM) && compare_to(value, rules->minimum) < (above ? 1 : 0))
		invalid(place, outcome, shown(arena, value),
		        arena_printf(arena, "should be greater than %s%s", above ? "" : "or equal to ",
		                     bound_text(arena, value, rules->minimum)));
	if ((rules->bounds & STRUCTURAL_MAXIMUM) && compare_to(value, rules->maximum) > (below ? -1 : 0))
		invalid(place, outcome, shown(arena, value),
		        arena_printf(arena, "should be less than %s%s", below ? "" : "or equal to ",
		                     bound_text(arena, value, rules->maximum)));
}

// --- enumerations ------------------------------------------------------------------------

static bool same_value(const struct json *a, const struct json *b)
{
	double left, right;

	if (structural_number(a, &left) && structural_number(b, &right))
		return left == right;
	return json_equal(a, b);
}

static void check_enumeration(const struct place *place, struct outcome *outcome)
{
	struct strbuf text = STRBUF_INIT(TEXT_MAX_BYTES), plain = STRBUF_INIT(TEXT_MAX_BYTES);
	size_t count = 0;

	outcome->checks++;
	json_for_each_item (item, place->node->rules->enumeration)
		if (same_value(item, place->value))
			return;
	strbuf_append_text(&text, "Unsupported value: ");
	strbuf_append_text(&text, json_is_null(place->value) ? "null" : shown(place->validator->arena, place->value));
	strbuf_append_text(&text, ": supported values: ");
	json_for_each_item (item, place->node->rules->enumeration) {
		strbuf_append_text(&text, count++ ? ", " : "");
		strbuf_clear(&plain);
		if (json_is(item, JSON_STRING))
			strbuf_append(&plain, item->text, item->length);
		else
			json_write(&plain, item);
		quote_append(&text, strbuf_text(&plain), plain.length);
	}
	strbuf_done(&plain);
	fail(place, outcome, "FieldValueNotSupported", name_of(place, NULL), take_text(place->validator->arena, &text));
}

// --- lists ---------------------------------------------------------------------------------

static bool same_keys(const struct structural *list, const struct json *a, const struct json *b)
{
	for (const char *const *key = list->list_keys; *key; key++) {
		const struct json *left = json_get(a, *key), *right = json_get(b, *key);

		if (!left || !right ? left != right : !json_equal(left, right))
			return false;
	}
	return true;
}

const struct json *structural_old_item(const struct structural *list, const struct json *old, const struct json *item)
{
	if (list->list_type != SCHEMA_LIST_MAP || !json_is(old, JSON_ARRAY) || !json_is(item, JSON_OBJECT))
		return NULL;
	json_for_each_item (candidate, old)
		if (json_is(candidate, JSON_OBJECT) && same_keys(list, candidate, item))
			return candidate;
	return NULL;
}

static void too_many(const struct place *place, struct outcome *outcome, uint32_t count, int64_t maximum)
{
	fail(place, outcome, "FieldValueTooMany", name_of(place, NULL),
	     arena_printf(place->validator->arena, "Too many: %" PRIu32 ": must have at most %" PRId64 " %s", count,
	                  maximum, maximum == 1 ? "item" : "items"));
}

static void too_few(const struct place *place, struct outcome *outcome, uint32_t count, int64_t minimum,
                    const char *what)
{
	struct arena *arena = place->validator->arena;

	invalid(place, outcome, arena_printf(arena, "%" PRIu32, count),
	        arena_printf(arena, "should have at least %" PRId64 " %s", minimum, what));
}

static void check_list(const struct place *place, struct outcome *outcome)
{
	const struct structural_rules *rules = place->node->rules;
	const struct json *value = place->value;

	for (uint32_t i = 0; place->node->items && i < value->length; i++) {
		struct field_path here = FIELD_PATH_INDEX(place->path, i);
		struct place item = {place->validator, place->node->items, value->items[i],
		                     place->old ? structural_old_item(place->node, place->old, value->items[i]) : NULL,
		                     &here};

		validate(&item, outcome);
	}
	outcome->checks++;
	if (rules && (rules->bounds & STRUCTURAL_MIN_ITEMS) && value->length < rules->min_items)
		too_few(place, outcome, value->length, rules->min_items, "items");
	if (rules && (rules->bounds & STRUCTURAL_MAX_ITEMS) && value->length > rules->max_items)
		too_many(place, outcome, value->length, rules->max_items);
}

// --- objects -------------------------------------------------------------------------------

static void check_member(const struct place *place, const struct json_member *member, const struct structural *node,
                         struct outcome *outcome)
{
	struct field_path here = FIELD_PATH_KEY(place->path, member->key);
	bool identity = !place->path && (!strcmp(member->key, "apiVersion") || !strcmp(member->key, "kind"));
	struct place below = {place->validator, node, member->value,
	                      identity ? NULL : json_get_n(place->old, member->key, member->key_length), &here};

	validate(&below, outcome);
}

static void check_object(const struct place *place, struct outcome *outcome)
{
	const struct structural *node = place->node;
	const struct structural_rules *rules = node->rules;
	const struct json *value = place->value;

	outcome->checks++;
	if (rules && (rules->bounds & STRUCTURAL_MIN_PROPERTIES) && value->length < rules->min_properties)
		too_few(place, outcome, value->length, rules->min_properties, "properties");
	if (rules && (rules->bounds & STRUCTURAL_MAX_PROPERTIES) && value->length > rules->max_properties)
		too_many(place, outcome, value->length, rules->max_properties);
	json_for_each_member (member, value) {
		const struct structural *below = structural_member(node, member->key, member->key_length);

		if (below)
			check_member(place, member, below, outcome);
	}
	for (const char *const *name = rules && rules->required ? rules->required : NULL; name && *name; name++)
		if (!json_get(value, *name))
			fail(place, outcome, "FieldValueRequired", name_of(place, *name), "Required value");
}

// --- alternatives ----------------------------------------------------------------------------

// The schema itself applied to the same value.
static struct outcome try_schema(const struct place *place, const struct structural *node)
{
	struct outcome outcome = {0};
	struct place same = *place;

	same.node = node;
	same.old = NULL;
	validate(&same, &outcome);
	return outcome;
}

static void keep_best(struct outcome *best, bool *has_best, const struct outcome *tried)
{
	if (*has_best && tried->checks <= best->checks)
		return;
	*best = *tried;
	*has_best = true;
}

static void check_any_of(const struct place *place, struct outcome *outcome)
{
	const struct structural_nodes *nodes = &place->node->rules->any_of;
	struct outcome best = {0};
	bool has_best = false;

	for (uint32_t i = 0; i < nodes->count; i++) {
		struct outcome tried = try_schema(place, nodes->items[i]);

		if (!tried.errors.count) {
			outcome->checks += tried.checks;
			return;
		}
		keep_best(&best, &has_best, &tried);
	}
	composite(place, outcome, "must validate at least one schema (anyOf)");
	merge(place->validator->arena, outcome, &best);
}

static void check_one_of(const struct place *place, struct outcome *outcome)
{
	const struct structural_nodes *nodes = &place->node->rules->one_of;
	struct arena *arena = place->validator->arena;
	struct outcome best = {0};
	bool has_best = false;
	unsigned valid = 0;

	for (uint32_t i = 0; i < nodes->count; i++) {
		struct outcome tried = try_schema(place, nodes->items[i]);

		if (!tried.errors.count)
			valid++;
		else
			keep_best(&best, &has_best, &tried);
	}
	if (valid == 1)
		return;
	composite(place, outcome,
	          arena_printf(arena, "must validate one and only one schema (oneOf). %s",
	                       valid ? arena_printf(arena, "Found %u valid alternatives", valid) : "Found none valid"));
	if (!valid)
		merge(arena, outcome, &best);
}

static void check_all_of(const struct place *place, struct outcome *outcome)
{
	const struct structural_nodes *nodes = &place->node->rules->all_of;
	uint32_t valid = 0;

	for (uint32_t i = 0; i < nodes->count; i++) {
		struct outcome tried = try_schema(place, nodes->items[i]);

		valid += !tried.errors.count;
		merge(place->validator->arena, outcome, &tried);
	}
	if (valid != nodes->count)
		composite(place, outcome,
		          valid ? "must validate all the schemas (allOf)"
		                : "must validate all the schemas (allOf). None validated");
}

static void check_alternatives(const struct place *place, struct outcome *outcome)
{
	const struct structural_rules *rules = place->node->rules;

	outcome->checks++;
	if (rules->any_of.count)
		check_any_of(place, outcome);
	if (rules->one_of.count)
		check_one_of(place, outcome);
	if (rules->all_of.count)
		check_all_of(place, outcome);
	if (rules->none_of && !try_schema(place, rules->none_of).errors.count)
		composite(place, outcome, "must not validate the schema (not)");
}

// --- all of it -----------------------------------------------------------------------------

static void check(const struct place *place, struct outcome *outcome)
{
	const struct structural_rules *rules = place->node->rules;
	uint8_t type = place->value->type;

	check_type(place, outcome);
	if (type != JSON_NULL) {
		if (rules)
			check_alternatives(place, outcome);
		if (rules && type == JSON_STRING)
			check_text(place, outcome);
		if (rules && type == JSON_STRING && rules->format)
			check_format(place, outcome);
		if (rules && (type == JSON_INTEGER || type == JSON_NUMBER))
			check_number(place, outcome);
		if (type == JSON_ARRAY)
			check_list(place, outcome);
	}
	if (rules && rules->enumeration)
		check_enumeration(place, outcome);
	if (type == JSON_OBJECT)
		check_object(place, outcome);
}

static void validate(const struct place *place, struct outcome *outcome)
{
	uint32_t before = outcome->errors.count;

	check(place, outcome);
	outcome->checks++;
	if (place->old && outcome->errors.count > before && json_equal(place->value, place->old))
		outcome->errors.count = before;
}

static void run(struct arena *arena, const struct structural *node, const char *prefix, const struct json *value,
                const struct json *old, struct structural_errors *errors)
{
	struct validator validator = {arena, prefix};
	struct place place = {&validator, node, value, old, NULL};
	struct outcome outcome = {.errors = *errors};

	validate(&place, &outcome);
	*errors = outcome.errors;
}

void structural_validate(struct arena *arena, const struct structural *root, const struct json *value,
                         const struct json *old, struct structural_errors *errors)
{
	run(arena, root, "", value, old, errors);
}

void structural_validate_at(struct arena *arena, const struct structural *node, const char *path,
                            const struct json *value, struct structural_errors *errors)
{
	run(arena, node, path, value, NULL, errors);
}
