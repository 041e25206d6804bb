// SPDX-License-Identifier: Apache-2.0
#pragma once
// YAML (libyaml) to the JSON tree and back: YAML 1.1 scalars as Kubernetes'
// tools read them (y/yes/on are true, n/no/off false, octal 0644, hex; dates stay
// strings), anchors within limits, merge keys, several documents in a stream.

#include "common/api/json.h"

struct yaml_document {
	struct json *value;
	size_t line; // where it starts in the stream, from 1
};

// Parses all documents; empty ones are left out. JSON is YAML, so both are taken.
// Errors: "error converting YAML to JSON: yaml: line 3: …". Alias expansion is bounded.
// A key that stands twice is an error unless `limits` takes note of duplicates.
NODISCARD int yaml_parse(struct arena *arena, const char *text, size_t length, const struct json_limits *limits,
                         struct yaml_document **ret_documents, size_t *ret_count, struct err *err);

// Writes block style with sorted keys, as `kubectl -o yaml`.
void yaml_write(struct strbuf *out, const struct json *value);
