// SPDX-License-Identifier: Apache-2.0
// Messages are those of upstream's field.Error, values as its %v or %#v shows them: a
// client may compare them. What is found twice is two causes, but stands once in the
// message, as in upstream's aggregate.

#include "apiserver/validation/validation.h"

#include <stdarg.h>
#include <string.h>

enum {
	VALIDATION_MAX_ERRORS = 1000,
	VALUE_MAX_BYTES = 16 << 10,
};

void validation_init(struct validation *v, const struct change *change)
{
	*v = (struct validation){.arena = change->arena, .change = change};
	v->last = &v->first;
}

const char *rule_path_text(struct arena *arena, const struct rule_path *path)
{
	const char *parent = path->parent ? rule_path_text(arena, path->parent) : "";

	if (!path->name)
		return arena_printf(arena, "%s[%u]", parent, path->index);
	if (path->is_key)
		return arena_printf(arena, "%s[%s]", parent, path->name);
	return arena_printf(arena, "%s%s%s", parent, parent[0] ? "." : "", path->name);
}

void validation_add(struct validation *v, const char *reason, const char *field, const char *message)
{
	struct field_error *error;

	if (v->count == VALIDATION_MAX_ERRORS)
		return;
	error = ARENA_NEW(v->arena, struct field_error);
	error->reason = reason;
	error->field = field;
	error->message = message;
	*v->last = error;
	v->last = &error->next;
	v->count++;
}

static void add(struct validation *v, const char *reason, const struct rule_path *path, const char *message)
{
	validation_add(v, reason, path ? rule_path_text(v->arena, path) : "", message);
}

static bool repeats(const struct field_error *first, const struct field_error *error)
{
	for (; first != error; first = first->next)
		if (!strcmp(first->field, error->field) && !strcmp(first->message, error->message))
			return true;
	return false;
}

static const char *aggregate(const struct validation *v)
{
	struct strbuf text = STRBUF_INIT(1 << 20);
	const char *result;
	size_t shown = 0;

	for (const struct field_error *error = v->first; error; error = error->next)
		if (!repeats(v->first, error)) {
			strbuf_printf(&text, "%s%s%s%s", shown ? ", " : "", error->field, error->field[0] ? ": " : "",
			              error->message);
			shown++;
		}
	result = shown == 1 ? arena_strdup(v->arena, strbuf_text(&text))
	                    : arena_printf(v->arena, "[%s]", strbuf_text(&text));
	strbuf_done(&text);
	return result;
}

const struct status *validation_status(const struct validation *v)
{
	const struct schema_resource *resource = v->change->resource;
	struct status *status;

	if (!v->count)
		return NULL;
	status = ARENA_NEW(v->arena, struct status);
	status->code = err_code_http_status(ERR_INVALID);
	status->reason = err_code_reason(ERR_INVALID);
	status->name = v->change->name;
	status->group = resource->group;
	status->kind = resource->kind;
	status->message =
	        arena_printf(v->arena, "%s%s%s \"%s\" is invalid: %s", resource->kind, resource->group[0] ? "." : "",
	                     resource->group, v->change->name ? v->change->name : "", aggregate(v));
	status->causes = ARENA_ARRAY(v->arena, struct status_cause, v->count);
	for (const struct field_error *error = v->first; error; error = error->next)
		status->causes[status->cause_count++] =
		        (struct status_cause){error->reason, error->message, error->field};
	return status;
}

// --- values as Go prints them -----------------------------------------------------------

static const char *quote(struct arena *arena, const char *text)
{
	struct strbuf out = STRBUF_INIT(VALUE_MAX_BYTES);
	const char *result;

	json_write_string(&out, text, strlen(text));
	result = arena_strdup(arena, strbuf_text(&out));
	strbuf_done(&out);
	return result;
}

static void write_texts(struct strbuf *out, const struct json *texts)
{
	size_t count = 0;

	json_for_each_item (text, texts) {
		strbuf_append_text(out, count++ ? ", " : "");
		json_write(out, text);
	}
}

// map[string]string, keys in order; false when a member is no text.
static bool write_map(struct arena *arena, struct strbuf *out, const struct json *value)
{
	struct json *sorted = json_clone(arena, value);
	size_t count = 0;

	json_sort_keys(sorted);
	strbuf_append_text(out, "map[string]string{");
	json_for_each_member (member, sorted) {
		if (!json_text(member->value))
			return false;
		strbuf_printf(out, "%s%s:%s", count++ ? ", " : "", quote(arena, member->key),
		              quote(arena, json_text(member->value)));
	}
	strbuf_append_char(out, '}');
	return true;
}

static void write_requirement(struct arena *arena, struct strbuf *out, const struct json *requirement)
{
	const struct json *values = json_get(requirement, "values");

	strbuf_printf(out, "v1.LabelSelectorRequirement{Key:%s, Operator:%s, Values:[]string",
	              quote(arena, text_of(requirement, "key")), quote(arena, text_of(requirement, "operator")));
	if (!is_present(values)) {
		strbuf_append_text(out, "(nil)}");
		return;
	}
	strbuf_append_char(out, '{');
	write_texts(out, values);
	strbuf_append_text(out, "}}");
}

static void write_selector(struct arena *arena, struct strbuf *out, const struct json *selector)
{
	const struct json *labels = json_get(selector, "matchLabels");
	const struct json *expressions = json_get(selector, "matchExpressions");
	size_t count = 0;

	strbuf_append_text(out, "v1.LabelSelector{MatchLabels:");
	if (!json_is(labels, JSON_OBJECT) || !write_map(arena, out, labels))
		strbuf_append_text(out, "map[string]string(nil)");
	strbuf_append_text(out, ", MatchExpressions:[]v1.LabelSelectorRequirement");
	if (!json_is(expressions, JSON_ARRAY)) {
		strbuf_append_text(out, "(nil)}");
		return;
	}
	strbuf_append_char(out, '{');
	json_for_each_item (requirement, expressions) {
		strbuf_append_text(out, count++ ? ", " : "");
		write_requirement(arena, out, requirement);
	}
	strbuf_append_text(out, "}}");
}

static const char *render(struct arena *arena, const struct json *value)
{
	struct strbuf out = STRBUF_INIT(VALUE_MAX_BYTES);
	const char *result;

	if (!is_present(value))
		return "\"null\"";
	if (json_is(value, JSON_ARRAY) && value->length && json_text(value->items[0])) {
		strbuf_append_text(&out, "[]string{");
		write_texts(&out, value);
		strbuf_append_char(&out, '}');
	} else if (json_is(value, JSON_OBJECT)) { // most are maps of labels
		if (!write_map(arena, &out, value)) {
			strbuf_clear(&out);
			json_write(&out, value);
		}
	} else {
		json_write(&out, value);
	}
	result = arena_strdup(arena, strbuf_text(&out));
	strbuf_done(&out);
	return result;
}

static const char *labelled(struct arena *arena, const char *label, const char *value, const char *detail)
{
	return arena_printf(arena, "%s%s%s%s%s", label, value ? ": " : "", value ? value : "",
	                    detail && detail[0] ? ": " : "", detail ? detail : "");
}

void validation_required(struct validation *v, const struct rule_path *path, const char *detail)
{
	add(v, "FieldValueRequired", path, labelled(v->arena, "Required value", NULL, detail));
}

void validation_invalid(struct validation *v, const struct rule_path *path, const struct json *value,
                        const char *detail)
{
	add(v, "FieldValueInvalid", path, labelled(v->arena, "Invalid value", render(v->arena, value), detail));
}

void validation_invalid_selector(struct validation *v, const struct rule_path *path, const struct json *selector,
                                 const char *detail)
{
	struct strbuf out = STRBUF_INIT(VALUE_MAX_BYTES);

	if (is_present(selector))
		write_selector(v->arena, &out, selector);
	else
		strbuf_append_text(&out, "\"null\"");
	add(v, "FieldValueInvalid", path, labelled(v->arena, "Invalid value", strbuf_text(&out), detail));
	strbuf_done(&out);
}

void validation_invalid_nil_map(struct validation *v, const struct rule_path *path, const char *detail)
{
	add(v, "FieldValueInvalid", path, labelled(v->arena, "Invalid value", "map[string]string(nil)", detail));
}

void validation_invalid_text(struct validation *v, const struct rule_path *path, const char *value, const char *detail)
{
	add(v, "FieldValueInvalid", path, labelled(v->arena, "Invalid value", quote(v->arena, value), detail));
}

void validation_invalid_amount(struct validation *v, const struct rule_path *path, const struct json *value,
                               const char *detail)
{
	const char *text = json_text(value);
	int64_t number = json_is(value, JSON_INTEGER) ? value->integer : 0;

	validation_invalid_rendered(v, path,
	                            arena_printf(v->arena, "intstr.IntOrString{Type:%d, IntVal:%lld, StrVal:%s}",
	                                         text ? 1 : 0, (long long)number, quote(v->arena, text ? text : "")),
	                            detail);
}

void validation_invalid_rendered(struct validation *v, const struct rule_path *path, const char *rendered,
                                 const char *detail)
{
	add(v, "FieldValueInvalid", path, labelled(v->arena, "Invalid value", rendered, detail));
}

void validation_invalid_omitted(struct validation *v, const struct rule_path *path, const char *detail)
{
	add(v, "FieldValueInvalid", path, labelled(v->arena, "Invalid value", NULL, detail));
}

void validation_invalid_integer(struct validation *v, const struct rule_path *path, int64_t value, const char *detail)
{
	add(v, "FieldValueInvalid", path,
	    labelled(v->arena, "Invalid value", arena_printf(v->arena, "%lld", (long long)value), detail));
}

void validation_forbidden(struct validation *v, const struct rule_path *path, const char *detail)
{
	add(v, "FieldValueForbidden", path, labelled(v->arena, "Forbidden", NULL, detail));
}

void validation_duplicate(struct validation *v, const struct rule_path *path, const struct json *value)
{
	validation_duplicate_rendered(v, path, render(v->arena, value));
}

void validation_duplicate_rendered(struct validation *v, const struct rule_path *path, const char *rendered)
{
	add(v, "FieldValueDuplicate", path, labelled(v->arena, "Duplicate value", rendered, ""));
}

void validation_duplicate_detail(struct validation *v, const struct rule_path *path, const struct json *value,
                                 const char *detail)
{
	add(v, "FieldValueDuplicate", path, labelled(v->arena, "Duplicate value", render(v->arena, value), detail));
}

void validation_not_found(struct validation *v, const struct rule_path *path, const char *value)
{
	add(v, "FieldValueNotFound", path, labelled(v->arena, "Not found", quote(v->arena, value), ""));
}

void validation_too_long(struct validation *v, const struct rule_path *path, size_t maximum_bytes)
{
	add(v, "FieldValueTooLong", path,
	    arena_printf(v->arena, "Too long: may not be more than %zu bytes", maximum_bytes));
}

void validation_too_many(struct validation *v, const struct rule_path *path, size_t count, size_t maximum)
{
	add(v, "FieldValueTooMany", path,
	    arena_printf(v->arena, "Too many: %zu: must have at most %zu items", count, maximum));
}

void validation_not_supported_rendered(struct validation *v, const struct rule_path *path, const char *rendered,
                                       const char *const *supported)
{
	const char *list = "";

	for (size_t i = 0; supported[i]; i++)
		list = arena_printf(v->arena, "%s%s\"%s\"", list, i ? ", " : "", supported[i]);
	add(v, "FieldValueNotSupported", path,
	    labelled(v->arena, "Unsupported value", rendered, arena_printf(v->arena, "supported values: %s", list)));
}

void validation_not_supported(struct validation *v, const struct rule_path *path, const char *value,
                              const char *const *supported)
{
	validation_not_supported_rendered(v, path, quote(v->arena, value), supported);
}

void validation_not_supported_value(struct validation *v, const struct rule_path *path, const struct json *value,
                                    const char *const *supported)
{
	validation_not_supported_rendered(v, path, render(v->arena, value), supported);
}

void validation_type_invalid_text(struct validation *v, const struct rule_path *path, const char *value,
                                  const char *detail)
{
	add(v, "FieldValueTypeInvalid", path, labelled(v->arena, "Invalid value", quote(v->arena, value), detail));
}

void validation_clear(struct validation *v)
{
	v->first = NULL;
	v->last = &v->first;
	v->count = 0;
}

// --- common rules ----------------------------------------------------------------------------

void validation_one_of(struct validation *v, const struct rule_path *path, const struct json *value, bool required,
                       const char *const *supported)
{
	const char *text = json_text(value);

	if (!text || !text[0]) {
		if (required)
			validation_required(v, path, "");
		return;
	}
	for (size_t i = 0; supported[i]; i++)
		if (!strcmp(text, supported[i]))
			return;
	validation_not_supported(v, path, text, supported);
}

void validation_string(struct validation *v, const struct rule_path *path, const char *text, string_check check)
{
	const char *complaint;

	for (size_t i = 0; (complaint = check(v->arena, text, i)); i++)
		if (complaint[0])
			validation_invalid_text(v, path, text, complaint);
}

void validation_not_negative(struct validation *v, const struct rule_path *path, const struct json *value)
{
	if (json_is(value, JSON_INTEGER) && value->integer < 0)
		validation_invalid(v, path, value, "must be greater than or equal to 0");
}

void validation_range(struct validation *v, const struct rule_path *path, const struct json *value, int64_t low,
                      int64_t high)
{
	if (json_is(value, JSON_INTEGER) && (value->integer < low || value->integer > high))
		validation_invalid(v, path, value,
		                   arena_printf(v->arena, "must be between %lld and %lld, inclusive", (long long)low,
		                                (long long)high));
}

void validation_immutable(struct validation *v, const struct rule_path *path, const struct json *value,
                          const struct json *old)
{
	bool had = is_present(old), has = is_present(value);

	if (had != has || (had && !json_equal(value, old)))
		validation_invalid(v, path, value, "field is immutable");
}
