// SPDX-License-Identifier: Apache-2.0
// The label selector of a request in the four relations that authorizers know.
// A selector with another relation (a > 1) narrows what authorizers can't see, so
// it counts as absent: a wider permission is asked for, never a narrower one.

#include "apiserver/authorization/authorizer.h"
#include "common/api/label_selector_internal.h"
#include "common/base/text.h"

static const char *relation_name(enum label_operator relation)
{
	static const char *const names[] = {
	        [LABEL_EXISTS] = "Exists",    [LABEL_DOES_NOT_EXIST] = "DoesNotExist",
	        [LABEL_EQUALS] = "In",        [LABEL_DOUBLE_EQUALS] = "In",
	        [LABEL_NOT_EQUALS] = "NotIn", [LABEL_IN] = "In",
	        [LABEL_NOT_IN] = "NotIn",     [LABEL_LESS] = NULL,
	};

	return names[relation];
}

void authorization_parse_label_selector(struct arena *arena, const char *text,
                                        struct authorization_attributes *attributes)
{
	struct label_selector *selector = NULL;
	struct authorization_requirement *rows;
	size_t count = 0;

	if (text_is_empty(text) || label_selector_parse(arena, text, &selector, NULL) < 0)
		return;
	rows = ARENA_ARRAY(arena, struct authorization_requirement, selector->count + 1);
	for (size_t i = 0; i < selector->count; i++) {
		const struct label_requirement *from = &selector->requirements[i];

		if (relation_name(from->relation))
			rows[count++] = (struct authorization_requirement){.key = from->key,
			                                                   .operator= relation_name(from->relation),
			                                                   .values = from->values,
			                                                   .value_count = from->value_count};
	}
	attributes->label_requirements = rows;
	attributes->label_requirement_count = count;
}
