// SPDX-License-Identifier: Apache-2.0
//
// Label and field selectors on any text: what a label selector is taken for, its
// canonical text is taken for as well.
//
//   clang -g -O1 -std=gnu11 -D_GNU_SOURCE -I. -Ibuild/generated -fsanitize=fuzzer,address,undefined -o fuzz_selector
//       tests/fuzz/fuzz_selector.c
//       common/api/{json,json_hash,json_write,field_selector,label_selector,label_selector_parse}.c
//       common/base/{arena,encode,err,memory,strbuf}.c
//   ./fuzz_selector tests/fuzz/corpus/selector
#include <stdlib.h>
#include <string.h>

#include "common/api/selector.h"
#include "common/base/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct string_map labels = {
        .entries = (struct string_map_entry[]){{"a", "b"}, {"app", "web"}, {"n", "7"}},
        .count = 3,
};

static void check_labels(struct arena *arena, const char *text)
{
	AUTO_STRBUF struct strbuf first = STRBUF_INIT(SIZE_MAX / 2), second = STRBUF_INIT(SIZE_MAX / 2);
	struct label_selector *selector, *again;
	struct err err = ERR_INIT;
	if (label_selector_parse(arena, text, &selector, &err)) {
		if (err.code == ERR_NONE)
			abort();
		return;
	}
	label_selector_write(selector, &first);
	if (label_selector_parse(arena, strbuf_text(&first), &again, &err))
		abort();
	label_selector_write(again, &second);
	if (strcmp(strbuf_text(&first), strbuf_text(&second)) != 0 ||
	    label_selector_matches(selector, &labels) != label_selector_matches(again, &labels) ||
	    label_selector_is_everything(selector) != (first.length == 0))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	AUTO_FREE char *text = xstrndup((const char *)data, size);
	struct field_selector fields;
	struct err err = ERR_INIT;
	check_labels(arena, text);
	if (field_selector_parse(arena, text, &fields, &err) == 0)
		for (size_t i = 0; i < fields.count; i++)
			if (strchr(fields.requirements[i].field, '=') || !fields.requirements[i].value)
				abort();
	return 0;
}
