// SPDX-License-Identifier: Apache-2.0
//
// Making values, failing and charging. Errors are values on their way to an operator
// that absorbs them (&&, ||, folds) or to the end. Once a limit is passed the evaluation
// is aborted: whatever is asked for from then on is an error, and nothing absorbs it.
#include <stdio.h>
#include <string.h>

#include "common/cel/evaluate.h"
#include "common/cel/regex_internal.h"

const struct cel_value cel_optional_none = {.kind = CEL_OPTIONAL};

struct cel_value cel_value_bool(bool value)
{
	return (struct cel_value){.kind = CEL_BOOL, .boolean = value};
}

struct cel_value cel_value_int(int64_t value)
{
	return (struct cel_value){.kind = CEL_INT, .integer = value};
}

struct cel_value cel_value_string(const char *text, size_t length)
{
	return (struct cel_value){.kind = CEL_STRING, .length = (uint32_t)length, .text = text};
}

struct cel_value cel_make_bytes(const void *data, size_t length)
{
	return (struct cel_value){.kind = CEL_BYTES, .length = (uint32_t)length, .text = data};
}

struct cel_value cel_value_null(void)
{
	return (struct cel_value){.kind = CEL_NULL};
}

struct cel_value cel_value_optional(struct arena *arena, const struct cel_value *value)
{
	struct cel_value *inner = NULL;
	if (value) {
		inner = arena_alloc(arena, sizeof(*inner));
		*inner = *value;
	}
	return (struct cel_value){.kind = CEL_OPTIONAL, .inner = inner};
}

// --- failing ------------------------------------------------------------------------

struct cel_value cel_fail_text(const char *constant_text)
{
	return (struct cel_value){.kind = CEL_ERROR, .text = constant_text};
}

struct cel_value cel_fail(struct cel_eval *eval, const char *format, ...)
{
	char message[1024];
	va_list args;
	va_start(args, format);
	int length = vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	size_t kept = length < 0 ? 0 : (size_t)length < sizeof(message) ? (size_t)length : sizeof(message) - 1;
	char *copy = cel_allocate(eval, kept + 1);
	if (!copy)
		return cel_abort(eval);
	memcpy(copy, message, kept);
	copy[kept] = '\0';
	return cel_fail_text(copy);
}

struct cel_value cel_no_such_overload(void)
{
	return cel_fail_text("no such overload");
}

struct cel_value cel_no_such_key(struct cel_eval *eval, const struct cel_value *key)
{
	struct cel_value text = key->kind == CEL_STRING ? *key : cel_convert_string(eval, key);
	if (text.kind != CEL_STRING)
		return cel_fail_text("no such key");
	return cel_fail(eval, "no such key: %.*s", text.length > 512 ? 512 : (int)text.length, text.text);
}

struct cel_value cel_abort(struct cel_eval *eval)
{
	if (!eval->aborted) {
		eval->aborted = true;
		eval->abort_kind = CEL_ERROR_COST_LIMIT;
		eval->abort_message = "operation cancelled: actual cost limit exceeded";
	}
	return cel_fail_text(eval->abort_message);
}

bool cel_work(struct cel_eval *eval, uint64_t units)
{
	eval->work += units;
	if (eval->work <= CEL_MAX_WORK)
		return true;
	(void)cel_abort(eval);
	return false;
}

void *cel_allocate(struct cel_eval *eval, size_t bytes)
{
	if (eval->aborted || bytes > eval->max_memory - eval->memory) {
		(void)cel_abort(eval);
		return NULL;
	}
	eval->memory += bytes + 16;
	if (eval->memory > eval->max_memory)
		eval->memory = eval->max_memory;
	eval->work += bytes / 32;
	return arena_alloc(eval->arena, bytes ? bytes : 1);
}

struct cel_value cel_copy_text(struct cel_eval *eval, const char *text, size_t length)
{
	char *copy = cel_allocate(eval, length + 1);
	if (!copy || length > UINT32_MAX)
		return cel_abort(eval);
	memcpy(copy, text, length);
	copy[length] = '\0';
	return cel_value_string(copy, length);
}

struct cel_value cel_make_optional(struct cel_eval *eval, struct cel_value value)
{
	if (value.kind == CEL_ERROR)
		return value;
	struct cel_value *inner = cel_allocate(eval, sizeof(*inner));
	if (!inner)
		return cel_abort(eval);
	*inner = value;
	return (struct cel_value){.kind = CEL_OPTIONAL, .inner = inner};
}

// --- looking ----------------------------------------------------------------------------

static const struct cel_type type_list = {.kind = CEL_TYPE_LIST, .name = "list"};
static const struct cel_type type_map = {.kind = CEL_TYPE_MAP, .name = "map"};
static const struct cel_type type_optional = {.kind = CEL_TYPE_OPAQUE, .name = "optional_type"};

const struct cel_type *cel_type_of(const struct cel_value *value)
{
	static const struct cel_type *const types[CEL_KIND_COUNT_] = {
	        [CEL_NULL] = &cel_type_null,
	        [CEL_BOOL] = &cel_type_bool,
	        [CEL_INT] = &cel_type_int,
	        [CEL_UINT] = &cel_type_uint,
	        [CEL_DOUBLE] = &cel_type_double,
	        [CEL_STRING] = &cel_type_string,
	        [CEL_BYTES] = &cel_type_bytes,
	        [CEL_TIMESTAMP] = &cel_type_timestamp,
	        [CEL_DURATION] = &cel_type_duration,
	        [CEL_LIST] = &type_list,
	        [CEL_MAP] = &type_map,
	        [CEL_OPTIONAL] = &type_optional,
	        [CEL_TYPE] = &cel_type_type,
	        [CEL_ERROR] = &cel_type_error,
	};
	return types[value->kind] ? types[value->kind] : value->type;
}

const char *cel_value_type_name(const struct cel_value *value)
{
	return cel_type_of(value)->name;
}

size_t cel_count_characters(const char *text, size_t length)
{
	size_t count = 0;
	for (size_t i = 0; i < length; i++)
		count += ((unsigned char)text[i] & 0xc0) != 0x80;
	return count;
}

size_t cel_decode_rune(const char *text, size_t length, uint32_t *ret_rune)
{
	size_t bytes = rune_decode(text, length, ret_rune);
	if (*ret_rune == CEL_RUNE_BAD && bytes == 1)
		*ret_rune = UINT32_MAX;
	return bytes;
}

uint64_t cel_size(const struct cel_value *value)
{
	switch (value->kind) {
	case CEL_STRING:
		return cel_count_characters(value->text, value->length);
	case CEL_BYTES:
	case CEL_LIST:
	case CEL_MAP:
		return value->length;
	case CEL_OPTIONAL:
		return value->inner ? cel_size(value->inner) : 1;
	case CEL_OPAQUE:
		return cel_opaque_size(value);
	case CEL_OBJECT:
		return value->flags == CEL_FORM_JSON ? value->length : 1;
	default:
		return 1;
	}
}
