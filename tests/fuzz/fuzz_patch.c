// SPDX-License-Identifier: Apache-2.0
//
// Patches of all types on any JSON. An input is up to three documents, each
// ended by a NUL: a document, a patch, and one more version for the making of
// three-way patches, which must lead to what was wanted and then to nothing more.
//
//   clang -g -O1 -std=gnu11 -D_GNU_SOURCE -I. -Ibuild/generated -fsanitize=fuzzer,address,undefined -o fuzz_patch
//       tests/fuzz/fuzz_patch.c common/api/{json,patch}*.c common/api/schema.c build/generated/schema_tables.c
//       common/base/{arena,encode,err,memory,strbuf}.c
//   ./fuzz_patch tests/fuzz/corpus/patch
#include <stdlib.h>
#include <string.h>

#include "common/api/patch.h"
#include "common/base/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Takes the text up to the next NUL; NULL when it is no JSON.
static struct json *take_document(struct arena *arena, const char **cursor, const char *end)
{
	const char *stop = memchr(*cursor, '\0', (size_t)(end - *cursor));
	stop = stop ? stop : end;
	struct json *value = NULL;
	struct json_limits limits = {.max_depth = 30, .max_nodes = 5000};
	(void)!json_parse(arena, *cursor, (size_t)(stop - *cursor), &limits, &value, NULL);
	*cursor = stop < end ? stop + 1 : end;
	return value;
}

static void check_writable(const struct json *value)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(64 << 20);
	json_write(&text, value);
}

static void apply_all(struct arena *arena, const struct schema_type *type, const struct json *document,
                      const struct json *patch)
{
	for (int kind = 0; kind < 3; kind++) {
		struct json *target = json_clone(arena, document);
		struct err err = ERR_INIT;
		int code = kind == 0   ? patch_json(arena, &target, patch, &err)
		           : kind == 1 ? patch_merge(arena, &target, patch, &err)
		                       : patch_strategic(arena, type, &target, patch, &err);
		if ((code == 0) != (err.code == ERR_NONE))
			abort();
		if (!code)
			check_writable(target);
	}
}

// A merge patch makes one document into the other, unless that one says null somewhere.
static bool has_null(const struct json *value)
{
	json_for_each_member (member, value)
		if (member->value->type == JSON_NULL || has_null(member->value))
			return true;
	return false;
}

static void check_merge(struct arena *arena, const struct json *from, const struct json *to)
{
	struct json *target = json_clone(arena, from);
	if (!json_is(from, JSON_OBJECT) || !json_is(to, JSON_OBJECT) || has_null(to) || has_null(from))
		return;
	struct json *patch = patch_make_merge(arena, from, to);
	if (patch && patch_merge(arena, &target, patch, NULL))
		abort();
	if (!json_equal(target, to))
		abort();
}

static void make_all(struct arena *arena, const struct schema_type *type, const struct json *original,
                     const struct json *modified, const struct json *current)
{
	struct json *patch = NULL;
	if (patch_make_three_way_merge(arena, original, modified, current, &patch, NULL) == 0) {
		struct json *target = json_clone(arena, current);
		if (patch_merge(arena, &target, patch, NULL))
			abort();
	}
	if (patch_make_three_way_strategic(arena, type, original, modified, current, &patch, NULL) == 0) {
		struct json *target = json_clone(arena, current);
		(void)!patch_strategic(arena, type, &target, patch, NULL);
		check_writable(target);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct schema_type *type;
	if (!type)
		type = schema_find_type("io.k8s.api.core.v1.Pod");
	AUTO(arena_free) struct arena *arena = arena_new(0);
	const char *cursor = (const char *)data;
	const char *end = cursor + size;
	struct json *document = take_document(arena, &cursor, end);
	struct json *patch = take_document(arena, &cursor, end);
	struct json *third = take_document(arena, &cursor, end);
	if (!document || !patch)
		return 0;
	apply_all(arena, type, document, patch);
	check_merge(arena, document, patch);
	if (third)
		make_all(arena, type, document, patch, third);
	return 0;
}
