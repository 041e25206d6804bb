// SPDX-License-Identifier: Apache-2.0
//
// Label selectors: requirements and their checks, matching and canonical text.
// Requirements are kept sorted by key, as upstream prints them; the parser of
// the text form stands in label_selector_parse.c.
#include "common/api/selector.h"

#include <errno.h>
#include <string.h>

#include "api/meta_v1.h"
#include "common/api/label_selector_internal.h"

enum {
	NAME_MAXIMUM = 63,
	PREFIX_MAXIMUM = 253,
};

static const char qualified_name_text[] = "must consist of alphanumeric characters, '-', '_' or '.', and must start "
                                          "and end with an alphanumeric character "
                                          "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
                                          "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

// --- checks ------------------------------------------------------------------------

static bool is_alphanumeric(char character)
{
	return (character >= '0' && character <= '9') || ((character | 0x20) >= 'a' && (character | 0x20) <= 'z');
}

// ([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]
static bool is_name(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (!is_alphanumeric(text[i]) && !strchr("-_.", text[i]))
			return false;
	return length && is_alphanumeric(text[0]) && is_alphanumeric(text[length - 1]);
}

// Lower-case DNS labels joined by dots.
static bool is_subdomain(const char *text, size_t length)
{
	bool after_alphanumeric = false;
	for (size_t i = 0; i < length; i++) {
		bool plain = is_alphanumeric(text[i]) && !(text[i] >= 'A' && text[i] <= 'Z');
		if (!plain && (text[i] == '.' ? !after_alphanumeric : text[i] != '-' || i == 0 || text[i - 1] == '.'))
			return false;
		after_alphanumeric = plain;
	}
	return after_alphanumeric;
}

int label_key_check(const char *key, const char *path, struct err *err)
{
	const char *slash = strchr(key, '/');
	const char *name = slash ? slash + 1 : key;
	size_t prefix_length = slash ? (size_t)(slash - key) : 0;
	const char *text = NULL;
	if (strchr(name, '/'))
		return err_set(
		        err, ERR_BAD_REQUEST,
		        "%s: Invalid value: \"%s\": a qualified name %s with an optional DNS subdomain prefix and '/' "
		        "(e.g. 'example.com/MyName')",
		        path, key, qualified_name_text);
	if (slash && !prefix_length)
		text = "prefix part must be non-empty";
	else if (slash && !is_subdomain(key, prefix_length))
		text = "prefix part a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, "
		       "'-' or "
		       "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for "
		       "validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
	else if (prefix_length > PREFIX_MAXIMUM)
		text = "prefix part must be no more than 253 characters";
	else if (!*name)
		text = "name part must be non-empty";
	else if (strlen(name) > NAME_MAXIMUM)
		text = "name part must be no more than 63 characters";
	else if (!is_name(name, strlen(name)))
		return err_set(err, ERR_BAD_REQUEST, "%s: Invalid value: \"%s\": name part %s", path, key,
		               qualified_name_text);
	return text ? err_set(err, ERR_BAD_REQUEST, "%s: Invalid value: \"%s\": %s", path, key, text) : 0;
}

static int check_value(const char *key, const char *value, size_t index, struct err *err)
{
	size_t length = strlen(value);
	if (length > NAME_MAXIMUM)
		return err_set(err, ERR_BAD_REQUEST,
		               "values[%zu][%s]: Invalid value: \"%s\": must be no more than 63 characters", index, key,
		               value);
	if (length && !is_name(value, length))
		return err_set(
		        err, ERR_BAD_REQUEST,
		        "values[%zu][%s]: Invalid value: \"%s\": a valid label must be an empty string or consist of "
		        "alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
		        "character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
		        "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
		        index, key, value);
	return 0;
}

// A decimal number of 64 bits with an optional sign, nothing else.
static bool parse_number(const char *text, int64_t *ret_number)
{
	const char *digits = text + (*text == '-' || *text == '+');
	if (!*digits || digits[strspn(digits, "0123456789")])
		return false;
	errno = 0;
	long long number = strtoll(text, NULL, 10);
	*ret_number = number;
	return errno == 0;
}

static int check_value_count(enum label_operator relation, size_t count, struct err *err)
{
	switch (relation) {
	case LABEL_IN:
	case LABEL_NOT_IN:
		return count ? 0
		             : err_set(err, ERR_BAD_REQUEST,
		                       "values: Invalid value: []: for 'in', 'notin' operators, values set can't be "
		                       "empty");
	case LABEL_EXISTS:
	case LABEL_DOES_NOT_EXIST:
		return !count ? 0
		              : err_set(err, ERR_BAD_REQUEST,
		                        "values: Invalid value: values set must be empty for exists and does not "
		                        "exist");
	case LABEL_GREATER:
	case LABEL_LESS:
		return count == 1 ? 0
		                  : err_set(err, ERR_BAD_REQUEST,
		                            "values: Invalid value: for 'Gt', 'Lt' operators, exactly one value is "
		                            "required");
	default:
		return count == 1
		               ? 0
		               : err_set(err, ERR_BAD_REQUEST,
		                         "values: Invalid value: exact-match compatibility requires one single value");
	}
}

static int compare_texts(const void *left, const void *right)
{
	return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static struct label_requirement *add_requirement(struct arena *arena, struct label_selector *selector)
{
	// Doubled whenever the count is a power of two.
	if ((selector->count & (selector->count - 1)) == 0) {
		size_t old_bytes = selector->count * sizeof(*selector->requirements);
		size_t new_bytes = selector->count ? old_bytes * 2 : sizeof(*selector->requirements);
		selector->requirements = arena_realloc(arena, selector->requirements, old_bytes, new_bytes);
	}
	struct label_requirement *requirement = &selector->requirements[selector->count];
	*requirement = (struct label_requirement){.position = selector->count++};
	return requirement;
}

int label_selector_add(struct arena *arena, struct label_selector *selector, const char *key,
                       enum label_operator relation, const char *const *values, size_t value_count, struct err *err)
{
	int64_t bound = 0;
	int code = label_key_check(key, "key", err);
	if (!code)
		code = check_value_count(relation, value_count, err);
	if (!code && (relation == LABEL_GREATER || relation == LABEL_LESS) && !parse_number(values[0], &bound))
		code = err_set(
		        err, ERR_BAD_REQUEST,
		        "values[0]: Invalid value: \"%s\": for 'Gt', 'Lt' operators, the value must be an integer",
		        values[0]);
	for (size_t i = 0; i < value_count && !code; i++)
		code = check_value(key, values[i], i, err);
	if (code)
		return code;
	struct label_requirement *requirement = add_requirement(arena, selector);
	requirement->key = arena_strdup(arena, key);
	requirement->relation = relation;
	requirement->bound = bound;
	requirement->values = ARENA_ARRAY(arena, const char *, value_count);
	for (size_t i = 0; i < value_count; i++)
		requirement->values[i] = arena_strdup(arena, values[i]);
	requirement->value_count = value_count;
	if (value_count > 1)
		qsort(requirement->values, value_count, sizeof(*requirement->values), compare_texts);
	return 0;
}

static int compare_requirements(const void *left, const void *right)
{
	const struct label_requirement *a = left, *b = right;
	int order = strcmp(a->key, b->key);
	return order ? order : (a->position > b->position) - (a->position < b->position);
}

void label_selector_finish(struct label_selector *selector)
{
	if (selector->count > 1)
		qsort(selector->requirements, selector->count, sizeof(*selector->requirements), compare_requirements);
}

// --- from the API forms ----------------------------------------------------------------

static bool operator_from_api(const char *text, enum label_operator *ret_operator)
{
	static const struct {
		const char *text;
		enum label_operator relation;
	} rows[] = {
	        {"In", LABEL_IN},
	        {"NotIn", LABEL_NOT_IN},
	        {"Exists", LABEL_EXISTS},
	        {"DoesNotExist", LABEL_DOES_NOT_EXIST},
	};
	for (size_t i = 0; text && i < ARRAY_SIZE(rows); i++) {
		if (strcmp(text, rows[i].text) == 0) {
			*ret_operator = rows[i].relation;
			return true;
		}
	}
	return false;
}

static int add_map(struct arena *arena, struct label_selector *selector, const struct string_map *map, struct err *err)
{
	int code = 0;
	for (size_t i = 0; i < map->count && !code; i++) {
		const char *value = map->entries[i].value ? map->entries[i].value : "";
		code = label_selector_add(arena, selector, map->entries[i].key, LABEL_EQUALS, &value, 1, err);
	}
	return code;
}

int label_selector_from_view(struct arena *arena, const struct meta_v1_label_selector *view,
                             struct label_selector **ret_selector, struct err *err)
{
	struct label_selector *selector = ARENA_NEW(arena, struct label_selector);
	selector->nothing = !view;
	int code = view ? add_map(arena, selector, &view->match_labels, err) : 0;
	for (size_t i = 0; view && i < view->match_expressions.count && !code; i++) {
		const struct meta_v1_label_selector_requirement *row = &view->match_expressions.items[i];
		enum label_operator relation;
		if (!operator_from_api(row->operator, & relation))
			code = err_set(err, ERR_BAD_REQUEST, "\"%s\" is not a valid label selector operator",
				       row->operator ? row->operator : "");
		else
			code = label_selector_add(arena, selector, row->key ? row->key : "", relation,
			                          row->values.items, row->values.count, err);
	}
	if (code)
		return code;
	label_selector_finish(selector);
	*ret_selector = selector;
	return 0;
}

static int add_json_expression(struct arena *arena, struct label_selector *selector, const struct json *row,
                               struct err *err)
{
	enum label_operator relation;
	const char *text = json_get_text(row, "operator");
	if (!operator_from_api(text, &relation))
		return err_set(err, ERR_BAD_REQUEST, "\"%s\" is not a valid label selector operator", text ? text : "");
	const struct json *values = json_get(row, "values");
	size_t count = json_is(values, JSON_ARRAY) ? values->length : 0;
	const char **texts = ARENA_ARRAY(arena, const char *, count);
	for (size_t i = 0; i < count; i++)
		texts[i] = json_text(values->items[i]) ? json_text(values->items[i]) : "";
	const char *key = json_get_text(row, "key");
	return label_selector_add(arena, selector, key ? key : "", relation, texts, count, err);
}

int label_selector_from_json(struct arena *arena, const struct json *value, struct label_selector **ret_selector,
                             struct err *err)
{
	struct label_selector *selector = ARENA_NEW(arena, struct label_selector);
	selector->nothing = !json_is(value, JSON_OBJECT);
	int code = 0;
	json_for_each_member (label, json_get(value, "matchLabels")) {
		const char *text = json_text(label->value) ? json_text(label->value) : "";
		code = label_selector_add(arena, selector, label->key, LABEL_EQUALS, &text, 1, err);
		if (code)
			return code;
	}
	json_for_each_item (row, json_get(value, "matchExpressions")) {
		code = add_json_expression(arena, selector, row, err);
		if (code)
			return code;
	}
	label_selector_finish(selector);
	*ret_selector = selector;
	return 0;
}

struct label_selector *label_selector_from_map(struct arena *arena, const struct string_map *map)
{
	// Without checks, as upstream's SelectorFromSet: what is no label matches none.
	struct label_selector *selector = ARENA_NEW(arena, struct label_selector);
	for (size_t i = 0; map && i < map->count; i++) {
		struct label_requirement *requirement = add_requirement(arena, selector);
		requirement->key = arena_strdup(arena, map->entries[i].key);
		requirement->relation = LABEL_EQUALS;
		requirement->values = ARENA_ARRAY(arena, const char *, 1);
		requirement->values[0] = arena_strdup(arena, map->entries[i].value ? map->entries[i].value : "");
		requirement->value_count = 1;
	}
	label_selector_finish(selector);
	return selector;
}

// --- matching ----------------------------------------------------------------------------

static bool has_value(const struct label_requirement *requirement, const char *value)
{
	for (size_t i = 0; i < requirement->value_count; i++)
		if (strcmp(requirement->values[i], value) == 0)
			return true;
	return false;
}

// `value` is NULL when the label is absent.
static bool requirement_matches(const struct label_requirement *requirement, const char *value)
{
	int64_t number;
	switch (requirement->relation) {
	case LABEL_EXISTS:
		return value != NULL;
	case LABEL_DOES_NOT_EXIST:
		return value == NULL;
	case LABEL_EQUALS:
	case LABEL_DOUBLE_EQUALS:
	case LABEL_IN:
		return value && has_value(requirement, value);
	case LABEL_NOT_EQUALS:
	case LABEL_NOT_IN:
		return !value || !has_value(requirement, value);
	case LABEL_GREATER:
		return value && parse_number(value, &number) && number > requirement->bound;
	case LABEL_LESS:
		return value && parse_number(value, &number) && number < requirement->bound;
	}
	return false;
}

bool label_selector_matches(const struct label_selector *selector, const struct string_map *labels)
{
	for (size_t i = 0; i < selector->count; i++) {
		const char *value = NULL;
		for (size_t j = 0; labels && j < labels->count && !value; j++)
			if (strcmp(labels->entries[j].key, selector->requirements[i].key) == 0)
				value = labels->entries[j].value ? labels->entries[j].value : "";
		if (!requirement_matches(&selector->requirements[i], value))
			return false;
	}
	return !selector->nothing;
}

bool label_selector_matches_json(const struct label_selector *selector, const struct json *labels)
{
	for (size_t i = 0; i < selector->count; i++) {
		const struct json *label = json_get(labels, selector->requirements[i].key);
		const char *value = label && !json_text(label) ? "" : json_text(label);
		if (!requirement_matches(&selector->requirements[i], value))
			return false;
	}
	return !selector->nothing;
}

bool label_selector_is_everything(const struct label_selector *selector)
{
	return !selector->nothing && selector->count == 0;
}

// --- text ----------------------------------------------------------------------------------

static void write_requirement(const struct label_requirement *requirement, struct strbuf *out)
{
	static const char *const signs[] = {
	        [LABEL_EXISTS] = "",          [LABEL_DOES_NOT_EXIST] = "", [LABEL_EQUALS] = "=",
	        [LABEL_DOUBLE_EQUALS] = "==", [LABEL_NOT_EQUALS] = "!=",   [LABEL_IN] = " in (",
	        [LABEL_NOT_IN] = " notin (",  [LABEL_GREATER] = ">",       [LABEL_LESS] = "<",
	};
	if (requirement->relation == LABEL_DOES_NOT_EXIST)
		strbuf_append_char(out, '!');
	strbuf_append_text(out, requirement->key);
	strbuf_append_text(out, signs[requirement->relation]);
	for (size_t i = 0; i < requirement->value_count; i++) {
		if (i)
			strbuf_append_char(out, ',');
		strbuf_append_text(out, requirement->values[i]);
	}
	if (requirement->relation == LABEL_IN || requirement->relation == LABEL_NOT_IN)
		strbuf_append_char(out, ')');
}

void label_selector_write(const struct label_selector *selector, struct strbuf *out)
{
	for (size_t i = 0; i < selector->count; i++) {
		if (i)
			strbuf_append_char(out, ',');
		write_requirement(&selector->requirements[i], out);
	}
}
