// SPDX-License-Identifier: Apache-2.0
#pragma once
// Computed defaults: functions that run on every object of a type, after the
// static defaults of its own fields and before its children's. One table for
// each family of API groups.

#include "common/api/json.h"
#include "common/api/schema.h"

struct default_hook {
	const struct schema_type *type;
	void (*apply)(struct arena *arena, struct json *object);
};

extern const struct default_hook defaults_core_hooks[];      // core/v1
extern const struct default_hook defaults_workload_hooks[];  // apps/v1, batch/v1
extern const struct default_hook defaults_extension_hooks[]; // everything else
// All three end at a row without a type.

// Set only what is absent or null; default_text also what is "".
void default_text(struct arena *arena, struct json *object, const char *key, const char *text);
void default_absent_text(struct arena *arena, struct json *object, const char *key, const char *text);
void default_integer(struct arena *arena, struct json *object, const char *key, int64_t number);
void default_bool(struct arena *arena, struct json *object, const char *key, bool boolean);
// The same by a literal JSON document, for lists and objects.
void default_document(struct arena *arena, struct json *object, const char *key, const char *document);

bool default_is_absent(const struct json *object, const char *key); // or null
// "" for absent.
const char *default_get_text(const struct json *object, const char *key);
// Whether a list or map holds anything.
bool default_has_items(const struct json *object, const char *key);
// metadata.labels := the labels of the template, when the object has none.
void default_labels_from_template(struct arena *arena, struct json *object);
