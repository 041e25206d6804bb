// SPDX-License-Identifier: Apache-2.0
//
// The JSON reader on any bytes: no access outside of the input, and what it
// accepts it writes so that it reads back the same, byte for byte the second time.
//
//   clang -g -O1 -std=gnu11 -D_GNU_SOURCE -I. -fsanitize=fuzzer,address,undefined -o fuzz_json tests/fuzz/fuzz_json.c
//       common/api/json*.c common/base/{arena,encode,err,memory,strbuf}.c && ./fuzz_json tests/fuzz/corpus/json
#include <stdlib.h>
#include <string.h>

#include "common/api/json.h"
#include "common/base/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ignore_duplicate(void *context, const char *path)
{
	if (!*path && context)
		abort();
}

static struct json *read_again(struct arena *arena, const struct strbuf *text)
{
	struct json *value = NULL;
	struct err err = ERR_INIT;
	if (json_parse(arena, text->data, text->length, NULL, &value, &err))
		abort();
	return value;
}

static void check_round_trip(struct arena *arena, struct json *value)
{
	AUTO_STRBUF struct strbuf first = STRBUF_INIT(SIZE_MAX / 2), second = STRBUF_INIT(SIZE_MAX / 2);
	json_write(&first, value);
	struct json *again = read_again(arena, &first);
	json_write(&second, again);
	if (!json_equal(value, again) || first.length != second.length ||
	    memcmp(first.data, second.data, first.length) != 0)
		abort();
	strbuf_clear(&second);
	json_write_pretty(&second, value);
	struct json *copy = json_clone(arena, read_again(arena, &second));
	json_sort_keys(copy);
	if (!json_equal(value, copy))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	AUTO_FREE char *exact = xmalloc(size ? size : 1);
	memcpy(exact, data, size);
	struct json_limits limits = {.on_duplicate = ignore_duplicate};
	struct json *value = NULL, *strict = NULL;
	struct err err = ERR_INIT, strict_err = ERR_INIT;
	int code = json_parse(arena, exact, size, &limits, &value, &err);
	int strict_code = json_parse(arena, exact, size, NULL, &strict, &strict_err);
	if ((code == 0) != (err.code == ERR_NONE) || (code && !strict_code))
		abort();
	if (!code)
		check_round_trip(arena, value);
	if (!strict_code && !json_equal(value, strict))
		abort();
	return 0;
}
