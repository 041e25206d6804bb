// SPDX-License-Identifier: Apache-2.0
#pragma once
// Label and field selectors: parsed once, matched often.

#include <stdbool.h>
#include <stddef.h>

#include "common/api/json.h"
#include "common/api/view.h"

struct meta_v1_label_selector; // the generated view

struct label_selector; // a conjunction of requirements, in an arena

// "a=b,c in (d,e),!f"; "" selects everything. Errors as upstream's parser.
NODISCARD int label_selector_parse(struct arena *arena, const char *text, struct label_selector **ret_selector,
                                   struct err *err);
// From the API form; NULL selects nothing, an empty one everything.
NODISCARD int label_selector_from_view(struct arena *arena, const struct meta_v1_label_selector *view,
                                       struct label_selector **ret_selector, struct err *err);
// The same from the tree: NULL or anything but an object selects nothing.
NODISCARD int label_selector_from_json(struct arena *arena, const struct json *value,
                                       struct label_selector **ret_selector, struct err *err);
// From a plain map (service and replication controller selectors): all equal.
struct label_selector *label_selector_from_map(struct arena *arena, const struct string_map *map);

bool label_selector_matches(const struct label_selector *selector, const struct string_map *labels);
bool label_selector_matches_json(const struct label_selector *selector, const struct json *labels); // NULL = no labels
bool label_selector_is_everything(const struct label_selector *selector);
void label_selector_write(const struct label_selector *selector, struct strbuf *out); // canonical text

struct field_requirement {
	const char *field;
	const char *value;
	bool negated;
};

struct field_selector {
	struct field_requirement *requirements;
	size_t count;
};

// "metadata.name=x,status.phase!=Running" with upstream's escapes; does not know which fields exist.
NODISCARD int field_selector_parse(struct arena *arena, const char *text, struct field_selector *ret_selector,
                                   struct err *err);
