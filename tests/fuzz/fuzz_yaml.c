// SPDX-License-Identifier: Apache-2.0
//
// The YAML reader on any bytes, with small limits; what it accepts is written as
// YAML and read back the same.
//
//   clang -g -O1 -std=gnu11 -D_GNU_SOURCE -I. -fsanitize=fuzzer,address,undefined -o fuzz_yaml tests/fuzz/fuzz_yaml.c
//       common/api/{json,yaml}*.c common/base/{arena,encode,err,hashmap,memory,strbuf}.c -lyaml
//   ./fuzz_yaml tests/fuzz/corpus/yaml
#include <stdlib.h>
#include <string.h>

#include "common/api/yaml.h"
#include "common/base/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Numbers that are no integers are written in their own text and read back in the
// shortest one, so they may differ.
static bool is_comparable(const struct json *value)
{
	if (value->type == JSON_NUMBER)
		return false;
	json_for_each_item (item, value)
		if (!is_comparable(item))
			return false;
	json_for_each_member (member, value)
		if (!is_comparable(member->value))
			return false;
	return true;
}

static void check_round_trip(struct arena *arena, const struct json *value)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(SIZE_MAX / 2);
	struct yaml_document *documents;
	size_t count;
	struct err err = ERR_INIT;
	yaml_write(&text, value);
	if (!is_comparable(value) || value->type == JSON_STRING || value->type == JSON_NULL)
		return;
	if (yaml_parse(arena, text.data, text.length, NULL, &documents, &count, &err))
		abort();
	if (count != 1 || !json_equal(documents[0].value, value))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	AUTO_FREE char *exact = xmalloc(size ? size : 1);
	memcpy(exact, data, size);
	struct json_limits limits = {.max_depth = 50, .max_nodes = 20000};
	struct yaml_document *documents = NULL;
	size_t count = 0;
	struct err err = ERR_INIT;
	if (yaml_parse(arena, exact, size, &limits, &documents, &count, &err)) {
		if (err.code == ERR_NONE)
			abort();
		return 0;
	}
	for (size_t i = 0; i < count; i++)
		check_round_trip(arena, documents[i].value);
	return 0;
}
