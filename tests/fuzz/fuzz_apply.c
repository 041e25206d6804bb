// SPDX-License-Identifier: Apache-2.0
//
// Field sets and server-side apply on any JSON. An input is up to three documents, each
// ended by a NUL: owned fields (FieldsV1), a live pod, and the configuration that
// somebody applies to it.
//
//   clang -g -O1 -std=gnu11 -D_GNU_SOURCE -I. -Ibuild/generated -fsanitize=fuzzer,address,undefined -o fuzz_apply
//       tests/fuzz/fuzz_apply.c build/libcommon.a -lm && ./fuzz_apply tests/fuzz/corpus/apply
#include <stdlib.h>
#include <string.h>

#include "common/api/apply.h"
#include "common/api/decode.h"
#include "common/base/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Takes the text up to the next NUL; NULL when it is no JSON.
static struct json *take_document(struct arena *arena, const char **cursor, const char *end)
{
	const char *stop = memchr(*cursor, '\0', (size_t)(end - *cursor));
	struct json_limits limits = {.max_depth = 30, .max_nodes = 5000};
	struct json *value = NULL;

	stop = stop ? stop : end;
	(void)!json_parse(arena, *cursor, (size_t)(stop - *cursor), &limits, &value, NULL);
	*cursor = stop < end ? stop + 1 : end;
	return value;
}

static void check_path(void *context, const char *path)
{
	size_t *count = context;

	if (!*path)
		abort();
	++*count;
}

// What holds for every set, with itself and with another one.
static void check_algebra(struct arena *arena, const struct field_set *a, const struct field_set *b)
{
	struct field_set both = field_set_union(arena, a, b);
	struct field_set self = field_set_union(arena, a, a);
	struct field_set nothing = field_set_difference(arena, a, a);
	struct field_set rest = field_set_difference(arena, &both, b);
	struct field_set shared = field_set_intersection(arena, a, b);
	size_t count = 0;

	if (!field_set_equal(&self, a) || !field_set_is_empty(&nothing) || field_set_overlaps(&rest, b) ||
	    field_set_overlaps(a, b) == field_set_is_empty(&shared) ||
	    field_set_count(&both) != field_set_count(b) + field_set_count(&rest))
		abort();
	field_set_for_each(&both, check_path, &count);
	if (count != field_set_count(&both))
		abort();
}

static bool take_set(struct arena *arena, const struct json *fields, struct field_set *ret_set)
{
	struct err err = ERR_INIT;
	struct field_set again = FIELD_SET_INIT;
	int code = fields ? field_set_parse(arena, fields, ret_set, &err) : -1;

	if (fields && (code == 0) != (err.code == ERR_NONE))
		abort();
	if (code)
		return false;
	if (field_set_parse(arena, field_set_to_json(arena, ret_set), &again, NULL) ||
	    !field_set_equal(ret_set, &again))
		abort();
	return true;
}

static struct json *apply(struct arena *arena, const struct schema_type *type, struct json *live, struct json *config,
                          struct field_managers *managers)
{
	struct field_write write = {.arena = arena,
	                            .type = type,
	                            .manager = "fuzzer",
	                            .api_version = "v1",
	                            .subresource = "",
	                            .now = "2024-01-01T00:00:00Z"};
	struct field_conflicts conflicts = {0};
	struct json *object = NULL;

	if (!field_write_apply(&write, json_clone(arena, live), json_clone(arena, config), true, NULL, managers,
	                       &object, &conflicts))
		abort(); // force leaves no conflict
	return object;
}

// Applied once more, a configuration changes nothing, and the managers read back as they are.
static void check_apply(struct arena *arena, const struct schema_type *type, struct json *live, struct json *config)
{
	struct field_managers managers = {0}, again = {0};
	struct json *object = apply(arena, type, live, config, &managers);
	struct json *entries = field_managers_to_json(arena, &managers);

	if (!json_equal(apply(arena, type, object, config, &managers), object))
		abort();
	if (entries && (field_managers_parse(arena, entries, &again, NULL) ||
	                !field_managers_same_but_time(entries, field_managers_to_json(arena, &again))))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct schema_type *type;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	const char *cursor = (const char *)data;
	const char *end = cursor + size;
	struct field_set owned = FIELD_SET_INIT, had = FIELD_SET_INIT;

	if (!type)
		type = schema_find_type("io.k8s.api.core.v1.Pod");
	bool has_set = take_set(arena, take_document(arena, &cursor, end), &owned);
	struct json *live = take_document(arena, &cursor, end);
	struct json *config = take_document(arena, &cursor, end);
	if (!json_is(live, JSON_OBJECT) || schema_normalize(arena, type, live, NULL, NULL))
		return 0;
	had = typed_to_set(arena, type, live);
	if (has_set) {
		struct json *rest = json_clone(arena, live);
		struct typed_place root = typed_root(type);
		check_algebra(arena, &owned, &had);
		(void)typed_remove(arena, &root, rest, &owned);
	}
	if (json_is(config, JSON_OBJECT) && !typed_check(arena, type, config))
		check_apply(arena, type, live, config);
	return 0;
}
