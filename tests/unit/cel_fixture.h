// SPDX-License-Identifier: Apache-2.0
#pragma once
// Runs tables of expressions: what each yields, as text. An error is "!message", a
// mistake found when compiling "?message" (its first line, without place).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/strbuf.h"
#include "common/cel/cel.h"
#include "common/cel/evaluate.h"

struct cel_row {
	const char *expression;
	const char *expected;
};

static inline void render(struct strbuf *out, const struct cel_value *value);

static inline void render_json(struct strbuf *out, const struct cel_value *value)
{
	json_write(out, value->json);
}

static inline void render_items(struct strbuf *out, const struct cel_value *value)
{
	for (uint32_t i = 0; i < value->length; i++) {
		if (i)
			strbuf_append_text(out, ", ");
		if (value->kind == CEL_LIST) {
			render(out, &value->list->values[i]);
			continue;
		}
		render(out, &value->map->entries[i].key);
		strbuf_append_text(out, ": ");
		render(out, &value->map->entries[i].value);
	}
}

static inline void render_object(struct strbuf *out, const struct cel_value *value)
{
	strbuf_append_text(out, value->type->name);
	strbuf_append_char(out, '{');
	for (uint32_t i = 0; value->flags == CEL_FORM_MADE && i < value->object->count; i++) {
		strbuf_printf(out, "%s%s: ", i ? ", " : "", value->object->names[i].text);
		render(out, &value->object->values[i]);
	}
	strbuf_append_char(out, '}');
}

static inline void render_text(struct strbuf *out, const struct cel_value *value)
{
	char text[400];
	switch (value->kind) {
	case CEL_STRING:
		json_write_string(out, value->text, value->length);
		return;
	case CEL_BYTES:
		strbuf_append_char(out, 'b');
		json_write_string(out, value->text, value->length);
		return;
	case CEL_TIMESTAMP:
		strbuf_append(out, text, cel_format_timestamp(value, false, text));
		return;
	case CEL_DURATION:
		strbuf_append(out, text, cel_format_duration(value->integer, text));
		return;
	default:
		strbuf_append(out, text, cel_format_double(value->real, text));
		if (!memchr(text, '.', strnlen(text, 20)))
			strbuf_append_text(out, ".0");
	}
}

static inline void render(struct strbuf *out, const struct cel_value *value)
{
	bool view = value->flags == CEL_FORM_JSON;
	switch (value->kind) {
	case CEL_NULL:
		strbuf_append_text(out, "null");
		return;
	case CEL_BOOL:
		strbuf_append_text(out, value->boolean ? "true" : "false");
		return;
	case CEL_INT:
		strbuf_printf(out, "%" PRId64, value->integer);
		return;
	case CEL_UINT:
		strbuf_printf(out, "%" PRIu64 "u", value->unsigned_integer);
		return;
	case CEL_LIST:
	case CEL_MAP:
		if (view) {
			render_json(out, value);
			return;
		}
		strbuf_append_char(out, value->kind == CEL_LIST ? '[' : '{');
		render_items(out, value);
		strbuf_append_char(out, value->kind == CEL_LIST ? ']' : '}');
		return;
	case CEL_OBJECT:
		render_object(out, value);
		return;
	case CEL_OPTIONAL:
		strbuf_append_text(out, value->inner ? "some(" : "none");
		if (value->inner) {
			render(out, value->inner);
			strbuf_append_char(out, ')');
		}
		return;
	case CEL_TYPE:
	case CEL_OPAQUE:
		strbuf_append_text(out, value->type->name);
		return;
	default:
		render_text(out, value);
	}
}

// The message of the first issue: what stands after the second colon and blank.
static inline void render_issue(struct strbuf *out, const char *error)
{
	const char *message = strstr(error, ": ");
	message = message ? strstr(message + 2, ": ") : NULL;
	assert_non_null(message);
	strbuf_append_char(out, '?');
	strbuf_append(out, message + 2, strcspn(message + 2, "\n"));
}

static inline struct json *fixture_json(struct arena *arena, const char *text)
{
	struct json *json;
	struct err err = ERR_INIT;
	if (json_parse(arena, text, strlen(text), NULL, &json, &err))
		fail_msg("%s: %s", text, err.message);
	return json;
}

// Compiles, runs and renders one expression.
static inline void evaluate_text(struct cel_env *env, struct arena *arena, const struct cel_binding *bindings,
                                 size_t count, const char *expression, struct strbuf *out)
{
	struct cel_compile_result compiled;
	struct cel_run run = CEL_RUN_INIT(arena);
	struct cel_value value;
	struct cel_error error;
	if (cel_compile(env, arena, expression, strlen(expression), &compiled)) {
		render_issue(out, compiled.error);
		return;
	}
	AUTO(cel_program_free) struct cel_program *program = compiled.program;
	if (cel_eval(program, &run, bindings, count, &value, &error))
		strbuf_printf(out, "!%s", error.message);
	else
		render(out, &value);
}

static inline size_t run_rows(struct cel_env *env, const struct cel_binding *bindings, size_t count,
                              const struct cel_row *rows, size_t row_count)
{
	size_t failed = 0;
	for (size_t i = 0; i < row_count; i++) {
		AUTO(arena_free) struct arena *arena = arena_new(0);
		AUTO_STRBUF struct strbuf out = STRBUF_INIT(1024 * 1024);
		evaluate_text(env, arena, bindings, count, rows[i].expression, &out);
		if (strcmp(strbuf_text(&out), rows[i].expected) == 0)
			continue;
		print_error("%s\n  yields   %s\n  expected %s\n", rows[i].expression, strbuf_text(&out),
		            rows[i].expected);
		failed++;
	}
	return failed;
}

// A table without variables, in the language of stored objects.
#define CHECK_ROWS(rows)                                                                 \
	do {                                                                             \
		const struct cel_env_options options_ = {.version = CEL_VERSION_STORED}; \
		AUTO(cel_env_unref) struct cel_env *env_ = cel_env_new(&options_);       \
		assert_int_equal(run_rows(env_, NULL, 0, rows, ARRAY_SIZE(rows)), 0);    \
	} while (0)
