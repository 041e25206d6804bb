// SPDX-License-Identifier: Apache-2.0
//
// Structural schemas and documents that nobody has checked: the first line is a schema,
// the rest a document. What is said to need no change isn't changed, and everything else
// ends well.
//
//   clang -g -O1 -std=gnu11 -D_GNU_SOURCE -I. -Ibuild/generated -fsanitize=fuzzer,address,undefined
//       -o fuzz_structural tests/fuzz/fuzz_structural.c build/libcommon.a -lm …
//   ./fuzz_structural tests/fuzz/corpus/structural
#include <stdlib.h>
#include <string.h>

#include "common/api/structural.h"
#include "common/api/typed.h"
#include "common/cel/regex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const void *compile_pattern(struct arena *arena, const char *text, struct err *err)
{
	const struct cel_regex *regex = NULL;
	return cel_regex_compile(arena, text, strlen(text), &regex, err) == 0 ? regex : NULL;
}

static bool match_pattern(const void *pattern, const char *text, size_t length)
{
	return cel_regex_matches(pattern, text, length);
}

static const struct structural_patterns regular_expressions = {compile_pattern, match_pattern};

static struct json *read_part(struct arena *arena, const char *text, size_t length)
{
	struct json *value = NULL;
	return json_parse(arena, text, length, NULL, &value, NULL) == 0 ? value : NULL;
}

static void check_document(struct arena *arena, const struct structural *root, struct json *document)
{
	struct structural_errors errors = {0};
	struct decode_issues issues = {0};
	struct json *old = json_clone(arena, document);
	struct err err = ERR_INIT;
	if (structural_is_settled(root, document)) {
		structural_prune(root, document);
		structural_default(arena, root, document);
		if (!json_equal(document, old))
			abort();
	}
	if (structural_normalize(arena, root, document, true, &issues, &err) < 0 && json_is(document, JSON_OBJECT))
		abort();
	structural_default(arena, root, document);
	structural_validate(arena, root, document, NULL, &errors);
	structural_validate(arena, root, document, old, &errors);
	structural_validate_lists(arena, root, document, &errors);
	(void)typed_check(arena, &root->type, document);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	const char *text = (const char *)data;
	const char *end = size ? memchr(text, '\n', size) : NULL;
	if (!end)
		return 0;
	struct json *schema = read_part(arena, text, (size_t)(end - text));
	struct json *document = read_part(arena, end + 1, size - (size_t)(end + 1 - text));
	if (schema && document)
		check_document(arena, structural_build(arena, schema, &regular_expressions), document);
	return 0;
}
