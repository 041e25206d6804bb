// SPDX-License-Identifier: Apache-2.0
#pragma once
// Which form an answer takes (Accept) and what form a body has (Content-Type).

#include <stdbool.h>

#include "apiserver/status.h"

enum output_format {
	OUTPUT_JSON,
	OUTPUT_YAML,
	OUTPUT_PROTOBUF,
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

// What the path has to offer. Clauses that ask for more are passed over.
enum negotiate_flags {
	NEGOTIATE_SHAPES = 1 << 0,   // Tables and partial metadata
	NEGOTIATE_WATCH = 1 << 1,    // a stream of frames: no YAML
	NEGOTIATE_PROTOBUF = 1 << 2, // the kind has a protobuf form (Tables have none)
};

// `accept` may be NULL.
const struct status *negotiate_output(struct arena *arena, const char *accept, unsigned flags,
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

// The 415 to a protobuf body where only JSON and YAML are read.
const struct status *negotiate_no_protobuf(struct arena *arena);
