// SPDX-License-Identifier: Apache-2.0
#pragma once
// Where a decoder stands in a document, as a chain of stack frames, and the
// messages that name the place: upstream's two forms are "spec.containers[0].foo"
// (unknown fields) and "PodSpec.spec.containers" (wrong types: the innermost
// struct, then the fields without indices or map keys).

#include "common/api/json.h"
#include "common/api/schema.h"

struct field_path {
	const struct field_path *parent; // NULL at the root
	const struct schema_type *owner; // the struct whose field this is; NULL for an index or a key
	const char *name;                // field or key; NULL for an index
	size_t index;
};

#define FIELD_PATH_FIELD(parent_, owner_, name_) \
	((struct field_path){.parent = (parent_), .owner = (owner_), .name = (name_)})
#define FIELD_PATH_KEY(parent_, key_) ((struct field_path){.parent = (parent_), .name = (key_)})
#define FIELD_PATH_INDEX(parent_, index_) ((struct field_path){.parent = (parent_), .index = (index_)})

// "spec.containers[0].name"; `leaf` (may be NULL) is one more field.
void field_path_write(struct strbuf *out, const struct field_path *path, const char *leaf);

// "v1.PodSpec", "[]v1.Container", "map[string]string", "int32".
void go_type_write(struct strbuf *out, const struct schema_type *type);

// `json: cannot unmarshal string into Go struct field PodSpec.spec.replicas of type int32`; returns -ERR_PARSE.
int field_path_type_error(const struct field_path *path, const struct schema_type *type, const struct json *value,
                          struct err *err);
// The same for scalars that read themselves: `json: cannot unmarshal bool into Go value of type string`.
int go_value_error(const struct json *value, const char *go_type, struct err *err);
