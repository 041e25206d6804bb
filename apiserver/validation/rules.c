// SPDX-License-Identifier: Apache-2.0
// See rules.h. All of them end in the errors of validation.c.

#include "apiserver/validation/rules.h"

#include <string.h>

#include "apiserver/services/ip_range.h"
#include "apiserver/validation/string_checks.h"
#include "common/base/strbuf.h"

enum {
	DIFF_MAX_BYTES = 4 << 10,
	CONDITION_REASON_MAX = 1024,
	CONDITION_MESSAGE_MAX = 32768,
};

bool is_unset(const struct json *value)
{
	if (!value || !is_present(value))
		return true;
	switch (value->type) {
	case JSON_BOOL:
		return !value->boolean;
	case JSON_INTEGER:
		return !value->integer;
	case JSON_STRING:
	case JSON_ARRAY:
	case JSON_OBJECT:
		return !value->length;
	default:
		return false;
	}
}

static bool equal_inside(const struct json *a, const struct json *b);

// Within a map "" says something: only lists and objects are the same empty as absent.
static bool is_empty(const struct json *value)
{
	return !is_present(value) || ((value->type == JSON_ARRAY || value->type == JSON_OBJECT) && !value->length);
}

static bool equal_members(const struct json *a, const struct json *b)
{
	json_for_each_member (member, a)
		if (!equal_inside(member->value, json_get(b, member->key)))
			return false;
	json_for_each_member (member, b)
		if (!json_get(a, member->key) && !is_empty(member->value))
			return false;
	return true;
}

static bool equal_items(const struct json *a, const struct json *b)
{
	if (a->length != b->length)
		return false;
	for (uint32_t i = 0; i < a->length; i++)
		if (!equal_inside(a->items[i], b->items[i]))
			return false;
	return true;
}

static bool equal_inside(const struct json *a, const struct json *b)
{
	if (is_empty(a) || is_empty(b))
		return is_empty(a) && is_empty(b);
	if (a->type == JSON_OBJECT && b->type == JSON_OBJECT)
		return equal_members(a, b);
	if (a->type == JSON_ARRAY && b->type == JSON_ARRAY)
		return equal_items(a, b);
	return json_equal(a, b);
}

bool rule_equal(const struct json *a, const struct json *b)
{
	if (is_unset(a) || is_unset(b))
		return is_unset(a) && is_unset(b);
	return equal_inside(a, b);
}

bool text_is(const struct json *object, const char *member, const char *text)
{
	return !strcmp(text_of(object, member), text);
}

bool list_has_text(const struct json *list, const char *text)
{
	json_for_each_item (item, list)
		if (json_text(item) && !strcmp(json_text(item), text))
			return true;
	return false;
}

bool text_repeats(const struct json *list, uint32_t index, const char *member)
{
	const struct json *item = list->items[index];
	const char *text = member ? text_of(item, member) : json_text(item) ? json_text(item) : "";

	for (uint32_t i = 0; i < index; i++) {
		const char *other = member ? text_of(list->items[i], member) : json_text(list->items[i]);

		if (other && !strcmp(other, text))
			return true;
	}
	return false;
}

// --- members -------------------------------------------------------------------------------------

bool rule_required_text(struct validation *v, const struct json *object, const char *member,
                        const struct rule_path *parent, string_check check)
{
	struct rule_path path = FIELD(parent, member);

	if (!text_of(object, member)[0]) {
		validation_required(v, &path, "");
		return false;
	}
	if (check)
		validation_string(v, &path, text_of(object, member), check);
	return true;
}

void rule_text(struct validation *v, const struct json *object, const char *member, const struct rule_path *parent,
               string_check check)
{
	struct rule_path path = FIELD(parent, member);

	if (text_of(object, member)[0])
		validation_string(v, &path, text_of(object, member), check);
}

void rule_texts(struct validation *v, const struct json *object, const char *member, const struct rule_path *parent,
                string_check check)
{
	struct rule_path path = FIELD(parent, member);

	rule_for_each_item (item, entry, json_get(object, member), &path)
		validation_string(v, &entry, json_text(item) ? json_text(item) : "", check);
}

void rule_one_of(struct validation *v, const struct json *object, const char *member, const struct rule_path *parent,
                 bool required, const char *const *supported)
{
	struct rule_path path = FIELD(parent, member);

	validation_one_of(v, &path, json_get(object, member), required, supported);
}

void rule_not_negative(struct validation *v, const struct json *object, const char *member,
                       const struct rule_path *parent)
{
	struct rule_path path = FIELD(parent, member);

	validation_not_negative(v, &path, json_get(object, member));
}

void rule_range(struct validation *v, const struct json *object, const char *member, const struct rule_path *parent,
                int64_t low, int64_t high)
{
	struct rule_path path = FIELD(parent, member);

	validation_range(v, &path, json_get(object, member), low, high);
}

void rule_at_least(struct validation *v, const struct json *object, const char *member, const struct rule_path *parent,
                   int64_t minimum, const char *detail)
{
	const struct json *value = json_get(object, member);
	struct rule_path path = FIELD(parent, member);

	if (json_is(value, JSON_INTEGER) && value->integer < minimum)
		validation_invalid(v, &path, value, detail);
}

bool rule_required(struct validation *v, const struct json *object, const char *member, const struct rule_path *parent,
                   const char *detail)
{
	struct rule_path path = FIELD(parent, member);

	if (is_present(json_get(object, member)))
		return true;
	validation_required(v, &path, detail);
	return false;
}

void rule_forbidden(struct validation *v, const struct json *object, const char *member, const struct rule_path *parent,
                    const char *detail)
{
	const struct json *value = json_get(object, member);
	struct rule_path path = FIELD(parent, member);

	if (json_is(value, JSON_OBJECT) || !is_unset(value))
		validation_forbidden(v, &path, detail);
}

void rule_immutable(struct validation *v, const struct json *object, const struct json *old, const char *member,
                    const struct rule_path *parent)
{
	struct rule_path path = FIELD(parent, member);

	validation_immutable(v, &path, json_get(object, member), json_get(old, member));
}

void rule_max_items(struct validation *v, const struct json *object, const char *member, const struct rule_path *parent,
                    size_t maximum)
{
	struct rule_path path = FIELD(parent, member);

	if (length_of(json_get(object, member)) > maximum)
		validation_too_many(v, &path, length_of(json_get(object, member)), maximum);
}

void rule_port_reference(struct validation *v, const struct json *port, const struct rule_path *path)
{
	if (json_text(port))
		validation_string(v, path, json_text(port), check_port_name);
	else
		validation_range(v, path, port ? port : json_integer(v->arena, 0), 1, 65535);
}

void rule_ip(struct validation *v, const char *text, const struct rule_path *path)
{
	struct ip ip;

	if (!ip_parse_legacy(text, &ip))
		validation_invalid_text(v, path, text, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
}

void rule_cidr(struct validation *v, const char *text, const struct rule_path *path)
{
	struct ip_range range;

	if (ip_range_parse_legacy(text, &range, NULL) < 0)
		validation_invalid_text(v, path, text,
		                        "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)");
}

void rule_joined(struct validation *v, const struct rule_path *path, const char *text, string_check check)
{
	const char *joined = NULL, *complaint;

	for (size_t i = 0; (complaint = check(v->arena, text, i)); i++)
		joined = joined ? arena_printf(v->arena, "%s;%s", joined, complaint) : complaint;
	if (joined)
		validation_invalid_text(v, path, text, joined);
}

// --- amounts ---------------------------------------------------------------------------------------

void rule_amount(struct validation *v, const struct json *value, const struct rule_path *path)
{
	int percent;

	if (json_is(value, JSON_INTEGER))
		validation_not_negative(v, path, value);
	else if (json_text(value) && !is_percent(json_text(value), &percent))
		validation_invalid_amount(v, path, value,
		                          "a valid percent string must be a numeric string followed by an ending '%' "
		                          "(e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')");
}

void rule_not_over_100_percent(struct validation *v, const struct json *value, const struct rule_path *path)
{
	int percent;

	if (json_text(value) && is_percent(json_text(value), &percent) && percent > 100)
		validation_invalid_amount(v, path, value, "must not be greater than 100%");
}

// --- paths -----------------------------------------------------------------------------------------

void rule_no_backsteps(struct validation *v, const char *text, const struct rule_path *path)
{
	if (has_dot_dot(text))
		validation_invalid_text(v, path, text, "must not contain '..'");
}

void rule_descending_path(struct validation *v, const char *text, const struct rule_path *path)
{
	if (text[0] == '/')
		validation_invalid_text(v, path, text, "must be a relative path");
	rule_no_backsteps(v, text, path);
}

void rule_unreserved_path(struct validation *v, const char *text, const struct rule_path *path)
{
	rule_descending_path(v, text, path);
	if (!strncmp(text, "..", 2) && strncmp(text, "../", 3) && strcmp(text, ".."))
		validation_invalid_text(v, path, text, "must not start with '..'");
}

// --- conditions ------------------------------------------------------------------------------------

static void validate_condition(struct validation *v, const struct json *condition, const struct rule_path *path)
{
	static const char *const statuses[] = {"False", "True", "Unknown", NULL};
	struct rule_path type = FIELD(path, "type"), status = FIELD(path, "status"), reason = FIELD(path, "reason"),
	                 message = FIELD(path, "message"), time = FIELD(path, "lastTransitionTime"),
	                 generation = FIELD(path, "observedGeneration");

	validation_string(v, &type, text_of(condition, "type"), check_qualified_name);
	if (!is_one_of(text_of(condition, "status"), statuses))
		validation_not_supported(v, &status, text_of(condition, "status"), statuses);
	if (integer_of(condition, "observedGeneration", 0) < 0)
		validation_invalid(v, &generation, json_get(condition, "observedGeneration"),
		                   "must be greater than or equal to zero");
	if (!text_of(condition, "lastTransitionTime")[0])
		validation_required(v, &time, "must be set");
	if (!text_of(condition, "reason")[0])
		validation_required(v, &reason, "must be set");
	else
		validation_string(v, &reason, text_of(condition, "reason"), check_condition_reason);
	if (strlen(text_of(condition, "reason")) > CONDITION_REASON_MAX)
		validation_too_long(v, &reason, CONDITION_REASON_MAX);
	if (strlen(text_of(condition, "message")) > CONDITION_MESSAGE_MAX)
		validation_too_long(v, &message, CONDITION_MESSAGE_MAX);
}

void rule_conditions(struct validation *v, const struct json *conditions, const struct rule_path *path)
{
	rule_for_each_item (condition, entry, conditions, path) {
		struct rule_path type = FIELD(&entry, "type");

		if (text_repeats(conditions, entry.index, "type"))
			validation_duplicate(v, &type, json_get(condition, "type"));
		validate_condition(v, condition, &entry);
	}
}

// --- differences ---------------------------------------------------------------------------------

static void write_side(struct strbuf *out, char sign, const char *path, const struct json *value)
{
	if (!value)
		return;
	strbuf_printf(out, "\n%c%s: ", sign, path);
	json_write(out, value);
}

static const char *below(struct arena *arena, const char *path, const char *member)
{
	return path[0] ? arena_printf(arena, "%s.%s", path, member) : member;
}

static void write_diff(struct arena *arena, struct strbuf *out, const struct json *old, const struct json *now,
                       const char *path)
{
	if (out->length > DIFF_MAX_BYTES || (old && now && json_equal(old, now)) || (is_unset(old) && is_unset(now)))
		return;
	if (json_is(old, JSON_OBJECT) && json_is(now, JSON_OBJECT)) {
		json_for_each_member (member, old)
			write_diff(arena, out, member->value, json_get(now, member->key),
			           below(arena, path, member->key));
		json_for_each_member (member, now)
			if (!json_get(old, member->key))
				write_diff(arena, out, NULL, member->value, below(arena, path, member->key));
	} else if (json_is(old, JSON_ARRAY) && json_is(now, JSON_ARRAY) && old->length == now->length) {
		for (uint32_t i = 0; i < old->length; i++)
			write_diff(arena, out, old->items[i], now->items[i], arena_printf(arena, "%s[%u]", path, i));
	} else {
		write_side(out, '-', path, old);
		write_side(out, '+', path, now);
	}
}

const char *rule_diff_text(struct arena *arena, const struct json *old, const struct json *now, const char *path)
{
	AUTO_STRBUF struct strbuf out = STRBUF_INIT(4 << 20);

	write_diff(arena, &out, old, now, path);
	if (out.length <= DIFF_MAX_BYTES)
		return arena_strdup(arena, strbuf_text(&out));
	return arena_printf(arena, "%.*s …", (int)DIFF_MAX_BYTES, strbuf_text(&out));
}
