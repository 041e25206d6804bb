// SPDX-License-Identifier: Apache-2.0
// Defaults, applied to every decoded object, from requests and from storage.
//
// One walk over the tree guided by the schema. In each struct: the static
// defaults of its rows, then the computed ones of its type (defaults_*.c), then
// its members. Structs that Go holds by value are there even when the document
// leaves them out, so they are made first: their defaults count. A static
// default fills what is absent or null, and in fields that aren't pointers also
// the zero value, which Go can't tell from absence; one that is itself the zero
// value of such a field is invisible and is left out.
//
// Everything here is idempotent: a defaulted object doesn't change again.

#include "common/api/defaults.h"

#include <stdlib.h>
#include <string.h>

#include "common/api/decode.h"
#include "common/api/decode_forms.h"
#include "common/api/quantity.h"
#include "common/api/structural.h"

#define NANO_PER_MILLI ((__int128)1000000)

// --- helpers of the computed defaults -----------------------------------------------

bool default_is_absent(const struct json *object, const char *key)
{
	const struct json *value = json_get(object, key);
	return value == NULL || value->type == JSON_NULL;
}

const char *default_get_text(const struct json *object, const char *key)
{
	const char *text = json_get_text(object, key);
	return text != NULL ? text : "";
}

bool default_has_items(const struct json *object, const char *key)
{
	const struct json *value = json_get(object, key);
	return value != NULL && (value->type == JSON_ARRAY || value->type == JSON_OBJECT) && value->length > 0;
}

void default_text(struct arena *arena, struct json *object, const char *key, const char *text)
{
	if (decode_is_zero(json_get(object, key)))
		json_set_text(arena, object, key, text);
}

void default_absent_text(struct arena *arena, struct json *object, const char *key, const char *text)
{
	if (default_is_absent(object, key))
		json_set_text(arena, object, key, text);
}

void default_integer(struct arena *arena, struct json *object, const char *key, int64_t number)
{
	if (default_is_absent(object, key))
		json_set_integer(arena, object, key, number);
}

void default_bool(struct arena *arena, struct json *object, const char *key, bool boolean)
{
	if (default_is_absent(object, key))
		json_set_bool(arena, object, key, boolean);
}

// The documents are ours: one that doesn't parse is a mistake in the schema.
static struct json *parse_document(struct arena *arena, const char *document)
{
	struct json *value = NULL;
	if (json_parse(arena, document, strlen(document), NULL, &value, NULL) < 0)
		abort();
	return value;
}

void default_document(struct arena *arena, struct json *object, const char *key, const char *document)
{
	if (default_is_absent(object, key))
		json_set(arena, object, key, parse_document(arena, document));
}

void default_labels_from_template(struct arena *arena, struct json *object)
{
	const struct json *labels = json_path(object, "spec", "template", "metadata", "labels");
	struct json *metadata = json_get(object, "metadata");
	if (!json_is(labels, JSON_OBJECT) || default_has_items(metadata, "labels"))
		return;
	metadata = json_ensure_object(arena, object, "metadata");
	json_set(arena, metadata, "labels", json_clone(arena, labels));
}

// --- static defaults ----------------------------------------------------------------

// Common forms are read at sight; anything else goes through the reader.
static struct json *make_default(struct arena *arena, const char *text)
{
	size_t length = strlen(text);
	if (text[0] == '"' && memchr(text, '\\', length) == NULL)
		return json_string_n(arena, text + 1, length - 2);
	if (strcmp(text, "{}") == 0)
		return json_object(arena);
	return parse_document(arena, text);
}

static bool wants_default(const struct schema_field *field, const struct json *value)
{
	if (value == NULL || value->type == JSON_NULL)
		return true;
	return !(field->flags & SCHEMA_POINTER) && decode_is_zero(value);
}

static void apply_static(struct arena *arena, const struct schema_field *field, struct json *object)
{
	bool by_value = field->type->kind == SCHEMA_STRUCT && !(field->flags & (SCHEMA_POINTER | SCHEMA_OMIT_EMPTY));
	if (field->default_json == NULL && !by_value)
		return; // most fields: not even looked for
	const struct json *value = json_get(object, field->json_name);
	if (field->default_json != NULL && wants_default(field, value)) {
		struct json *made = make_default(arena, field->default_json);
		if ((field->flags & SCHEMA_POINTER) || !decode_is_zero(made))
			json_set(arena, object, field->json_name, made);
		return;
	}
	if (by_value && (value == NULL || value->type == JSON_NULL))
		json_set(arena, object, field->json_name, json_object(arena));
}

// --- the walk -----------------------------------------------------------------------

static void run_hooks(struct arena *arena, const struct schema_type *type, struct json *object)
{
	static const struct default_hook *const tables[] = {defaults_core_hooks, defaults_workload_hooks,
	                                                    defaults_extension_hooks};
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		for (const struct default_hook *hook = tables[i]; hook->type != NULL; hook++)
			if (hook->type == type)
				hook->apply(arena, object);
}

// Amounts of resources are counted in thousandths at the finest.
static void round_up_to_milli(struct arena *arena, struct json *value)
{
	struct quantity quantity;
	if (value->type != JSON_STRING || quantity_parse(value->text, &quantity, NULL) < 0)
		return;
	__int128 rest = quantity.nano % NANO_PER_MILLI;
	if (rest == 0)
		return;
	quantity.nano += rest > 0 ? NANO_PER_MILLI - rest : -NANO_PER_MILLI - rest;
	char text[QUANTITY_TEXT_BYTES];
	quantity_format(&quantity, text);
	json_assign(value, json_string(arena, text));
}

static void default_struct(struct arena *arena, const struct schema_type *type, struct json *object)
{
	for (size_t i = 0; i < type->field_count; i++)
		if (!(type->fields[i].flags & SCHEMA_INLINE))
			apply_static(arena, &type->fields[i], object);
	run_hooks(arena, type, object);
	json_for_each_member (member, object) {
		const struct schema_field *field = schema_find_field(type, member->key, member->key_length, NULL);
		if (field != NULL)
			schema_apply_defaults(arena, field->type, member->value);
	}
}

static void default_elements(struct arena *arena, const struct schema_type *element, struct json *value)
{
	json_for_each_item (item, value)
		schema_apply_defaults(arena, element, item);
	json_for_each_member (member, value) {
		if (element->kind == SCHEMA_QUANTITY)
			round_up_to_milli(arena, member->value);
		else
			schema_apply_defaults(arena, element, member->value);
	}
}

void schema_apply_defaults(struct arena *arena, const struct schema_type *type, struct json *value)
{
	if (type->structural)
		structural_default(arena, type->structural, value);
	else if (type->kind == SCHEMA_STRUCT && value->type == JSON_OBJECT)
		default_struct(arena, type, value);
	else if (type->kind == SCHEMA_LIST || type->kind == SCHEMA_MAP)
		default_elements(arena, type->element, value);
}
