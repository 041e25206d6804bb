// SPDX-License-Identifier: Apache-2.0
//
// Field selectors: terms joined by commas, each `field=value`, `field==value` or
// `field!=value`. In values a backslash escapes backslash, comma and equals
// sign; fields know no escapes. Empty terms are skipped.
#include "common/api/selector.h"

#include <string.h>

// The length of the first term: up to a comma that no backslash escapes.
static size_t term_length(const char *text)
{
	size_t length = 0;
	for (bool escaped = false; text[length] && (escaped || text[length] != ','); length++)
		escaped = !escaped && text[length] == '\\';
	return length;
}

static int unescape_value(struct arena *arena, const char *text, size_t length, const char **ret_value, struct err *err)
{
	char *value = arena_alloc(arena, length + 1);
	size_t written = 0;
	for (size_t i = 0; i < length; i++) {
		if (text[i] == '\\' && (i + 1 == length || !strchr("\\,=", text[i + 1])))
			return err_set(err, ERR_BAD_REQUEST, "invalid field selector: invalid escape sequence: %.*s",
			               i + 1 == length ? 1 : 2, text + i);
		if (text[i] == ',' || text[i] == '=')
			return err_set(err, ERR_BAD_REQUEST, "invalid field selector: unescaped character in value: %d",
			               text[i]);
		if (text[i] == '\\')
			i++;
		value[written++] = text[i];
	}
	value[written] = '\0';
	*ret_value = value;
	return 0;
}

// Splits at the first operator; false when there is none.
static bool split_term(const char *term, size_t length, size_t *ret_field_length, size_t *ret_operator_length)
{
	for (size_t i = 0; i < length; i++) {
		bool two = i + 1 < length && term[i + 1] == '=' && (term[i] == '!' || term[i] == '=');
		if (two || term[i] == '=') {
			*ret_field_length = i;
			*ret_operator_length = two ? 2 : 1;
			return true;
		}
	}
	return false;
}

static int parse_term(struct arena *arena, const char *selector, const char *term, size_t length,
                      struct field_requirement *ret_requirement, struct err *err)
{
	size_t field_length, operator_length;
	if (!split_term(term, length, &field_length, &operator_length))
		return err_set(err, ERR_BAD_REQUEST, "invalid selector: '%s'; can't understand '%.*s'", selector,
		               (int)length, term);
	size_t value_start = field_length + operator_length;
	int code = unescape_value(arena, term + value_start, length - value_start, &ret_requirement->value, err);
	if (code)
		return code;
	ret_requirement->field = arena_strndup(arena, term, field_length);
	ret_requirement->negated = term[field_length] == '!';
	return 0;
}

int field_selector_parse(struct arena *arena, const char *text, struct field_selector *ret_selector, struct err *err)
{
	size_t most = 1;
	for (const char *cursor = text; *cursor; cursor++)
		most += *cursor == ',';
	struct field_selector selector = {.requirements = ARENA_ARRAY(arena, struct field_requirement, most)};
	for (const char *cursor = text;; cursor++) {
		size_t length = term_length(cursor);
		int code = length ? parse_term(arena, text, cursor, length, &selector.requirements[selector.count], err)
		                  : 0;
		if (code)
			return code;
		selector.count += length != 0;
		cursor += length;
		if (!*cursor)
			break;
	}
	*ret_selector = selector;
	return 0;
}
