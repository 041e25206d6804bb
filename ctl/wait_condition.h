// SPDX-License-Identifier: Apache-2.0
#pragma once
// What `wait --for=…` waits for.

#include <stdbool.h>

#include "common/api/json.h"

enum wait_kind {
	WAIT_CONDITION,
	WAIT_DELETE,
	WAIT_CREATE,
	WAIT_JSONPATH,
};

struct jsonpath;

struct wait_condition {
	enum wait_kind kind;
	const char *name;  // of the condition
	const char *value; // wanted status, or text of the field; NULL: any value (jsonpath)
	struct jsonpath *path;
	struct arena *arena;
};

// "condition=Ready=False", "delete", "create", "jsonpath={.status.phase}=Running".
NODISCARD int wait_condition_parse(struct arena *arena, const char *text, struct wait_condition *ret_condition,
                                   struct err *err);

// Whether it holds; `object` NULL = doesn't exist.
bool wait_condition_holds(const struct wait_condition *condition, const struct json *object);
