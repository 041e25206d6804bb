// SPDX-License-Identifier: Apache-2.0
//
// Any text as an expression: compiled, and when that works evaluated twice over a fixed
// object, with the same outcome. Every failure has a text. What runs is bounded by cost.
//
//   clang -g -O1 -std=gnu11 -D_GNU_SOURCE -I. -Ibuild/generated -fsanitize=fuzzer,address,undefined -o fuzz_cel
//       tests/fuzz/fuzz_cel.c common/cel/*.c common/api/{json,json_hash,json_parse,json_unescape,json_write}.c
//       common/api/quantity.c common/base/{arena,duration,encode,err,hashmap,memory,strbuf}.c
//   ./fuzz_cel tests/fuzz/corpus/cel
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/cel/cel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char schema_text[] =
        "{\"type\":\"object\",\"properties\":{\"i\":{\"type\":\"integer\"},\"s\":{\"type\":\"string\"},"
        "\"l\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},\"m\":{\"type\":\"object\","
        "\"additionalProperties\":{\"type\":\"integer\"}},\"t\":{\"type\":\"string\",\"format\":\"date-time\"},"
        "\"q\":{\"x-kubernetes-int-or-string\":true}}}";
static const char object_text[] = "{\"i\":3,\"s\":\"text\",\"l\":[\"a\",\"b\"],\"m\":{\"x\":1,\"y\":2},"
                                  "\"t\":\"2024-01-02T03:04:05Z\",\"q\":\"50%\"}";

static struct json *parse(struct arena *arena, const char *text)
{
	struct json *json;
	struct err err = ERR_INIT;
	if (json_parse(arena, text, strlen(text), NULL, &json, &err))
		abort();
	return json;
}

static int run_once(const struct cel_program *program, const struct cel_binding *bindings, uint64_t *ret_cost)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct cel_run run = CEL_RUN_INIT(arena);
	struct cel_value value;
	struct cel_error error = {0};
	struct err err = ERR_INIT;
	struct json *json;
	run.limit = 20000;
	run.max_memory_bytes = 1024 * 1024;
	int status = cel_eval(program, &run, bindings, 2, &value, &error);
	if (status && (error.kind == CEL_ERROR_NONE || !error.message || !*error.message))
		abort();
	if (!status && cel_value_to_json(arena, &value, &json, &err) && err.code == ERR_NONE)
		abort();
	*ret_cost = run.cost;
	return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct cel_env_options options = {.version = CEL_VERSION_STORED, .mutation = true};
	AUTO(arena_free) struct arena *arena = arena_new(0);
	AUTO(cel_env_unref) struct cel_env *env = cel_env_new(&options);
	struct cel_compile_result compiled;
	AUTO_FREE char *text = xmalloc(size + 1);
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	cel_env_declare(env, "self", cel_type_from_openapi(env, parse(arena, schema_text), true));
	cel_env_declare(env, "dyn_self", &cel_type_dyn);
	if (cel_compile(env, arena, text, size, &compiled)) {
		if (!compiled.error || strncmp(compiled.error, "ERROR: <input>:", 15) != 0)
			abort();
		return 0;
	}
	struct cel_binding bindings[2] = {cel_bind_json(parse(arena, object_text)),
	                                  cel_bind_json(parse(arena, object_text))};
	uint64_t first, second;
	if (run_once(compiled.program, bindings, &first) != run_once(compiled.program, bindings, &second) ||
	    first != second || cel_program_min_cost(compiled.program) > cel_program_max_cost(compiled.program))
		abort();
	cel_program_free(compiled.program);
	return 0;
}
