// SPDX-License-Identifier: Apache-2.0
#pragma once
// Label and field selectors of a request, judged on stored objects without
// parsing them.

#include <stdbool.h>

#include "apiserver/status.h"
#include "common/api/schema.h"
#include "common/api/selector.h"

struct stored_object;

struct field_term {
	enum { FIELD_TERM_NAME, FIELD_TERM_NAMESPACE, FIELD_TERM_SELECTABLE } source;
	size_t index; // into selectable_fields of the stored form
	const char *value;
	bool negated;
};

struct selection {
	const struct label_selector *labels; // NULL = everything
	struct field_term *terms;
	size_t term_count;
	// What storage can narrow by; NULL = nothing.
	const char *name;
	const char *field_label;
	const char *field_value;
};

const struct status *selection_parse(struct arena *arena, const struct schema_resource *resource,
                                     const char *label_selector, const char *field_selector,
                                     struct selection *ret_selection);
bool selection_is_everything(const struct selection *selection);
bool selection_matches(const struct selection *selection, const struct stored_object *object);
