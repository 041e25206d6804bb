// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the parts of label selectors share: the requirements themselves.

#include <stdint.h>

#include "common/api/selector.h"

enum label_operator {
	LABEL_EXISTS,
	LABEL_DOES_NOT_EXIST,
	LABEL_EQUALS,
	LABEL_DOUBLE_EQUALS,
	LABEL_NOT_EQUALS,
	LABEL_IN,
	LABEL_NOT_IN,
	LABEL_GREATER,
	LABEL_LESS,
};

struct label_requirement {
	const char *key;
	enum label_operator relation;
	const char **values; // sorted
	size_t value_count;
	int64_t bound;   // LABEL_GREATER, LABEL_LESS: the value as a number
	size_t position; // where it stood, to keep the order of equal keys
};

struct label_selector {
	bool nothing;
	struct label_requirement *requirements; // sorted by key
	size_t count;
};

// Adds a requirement after checking key, operator and values as upstream's NewRequirement.
NODISCARD int label_selector_add(struct arena *arena, struct label_selector *selector, const char *key,
                                 enum label_operator relation, const char *const *values, size_t value_count,
                                 struct err *err);
// Brings requirements into their final order.
void label_selector_finish(struct label_selector *selector);

// Checks a key; `path` is what the message begins with.
NODISCARD int label_key_check(const char *key, const char *path, struct err *err);
