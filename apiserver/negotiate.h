// SPDX-License-Identifier: Apache-2.0
#pragma once
// Which form an answer takes (Accept) and what form a body has (Content-Type).

#include <stdbool.h>

#include "apiserver/status.h"

enum output_format {
	OUTPUT_JSON,
	OUTPUT_YAML,
};

enum output_shape {
	OUTPUT_OBJECT,
	OUTPUT_TABLE,            // as=Table
	OUTPUT_PARTIAL_METADATA, // as=PartialObjectMetadata or …List
};

struct output {
	enum output_format format;
	enum output_shape shape;
	bool pretty;
	const char *content_type; // of the answer
};

// `accept` may be NULL. For watches only JSON is served. Tables and partial
// metadata are taken where `allow_shapes`; else such clauses are passed over.
const struct status *negotiate_output(struct arena *arena, const char *accept, bool allow_shapes, bool watch,
                                      struct output *ret_output);

enum body_format {
	BODY_JSON,
	BODY_YAML,
	BODY_PROTOBUF,
	BODY_JSON_PATCH,
	BODY_MERGE_PATCH,
	BODY_STRATEGIC_PATCH,
};

// `content_type` may be NULL: JSON. For patches the patch types, else the object types.
const struct status *negotiate_body(struct arena *arena, const char *content_type, bool patch,
                                    enum body_format *ret_format);
