// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the reader and the writer of protobuf know of single types.

#include <stdbool.h>

#include "common/api/json.h"
#include "common/api/protobuf_wire.h"
#include "common/api/schema.h"

// A list type with a name is a message of its own on the wire (Verbs, ExtraValue).
static inline bool protobuf_is_named_list(const struct schema_type *type)
{
	return type->kind == SCHEMA_LIST && type->group;
}

// Raw JSON that may be a schema: which alternative it has.
bool protobuf_is_schema_or_bool(const struct schema_type *type);
bool protobuf_is_schema_or_texts(const struct schema_type *type);

// --- the reader -----------------------------------------------------------------------------

enum {
	READER_MAX_DEPTH = 190, // of the tree
	READER_MAX_VALUES = 1 << 20,
};

// A map that entries were appended to.
struct protobuf_map {
	struct protobuf_map *next;
	struct json *map;
};

struct protobuf_reader {
	struct arena *arena;
	struct err *err;
	unsigned depth;
	size_t values;
	struct protobuf_map *maps;
	const char *field; // being read, for errors
};

enum {
	SMALL_FIELDS = 4,
};

// A message of a few scalars, by their numbers.
struct protobuf_small {
	uint64_t numbers[SMALL_FIELDS];
	struct wire_span texts[SMALL_FIELDS];
	bool has[SMALL_FIELDS];
};

// Each sets the reader's error and returns it.
int protobuf_malformed(struct protobuf_reader *reader);
int protobuf_refuse(struct protobuf_reader *reader, const char *why);
int protobuf_wrong_wire_type(struct protobuf_reader *reader, unsigned wire_type);

// The next field of a message that isn't at its end.
int protobuf_next_field(struct protobuf_reader *reader, struct wire_span *span, uint32_t *ret_number,
                        struct wire_value *ret_value);

// `texts`: a bit for each number that is text.
int protobuf_read_small(struct protobuf_reader *reader, struct wire_span span, unsigned texts,
                        struct protobuf_small *ret_small);

// What is one span of bytes on the wire and one value in JSON; *ret_value stays as it was for null.
bool protobuf_is_scalar(const struct schema_type *type);
int protobuf_read_scalar(struct protobuf_reader *reader, const struct schema_type *type, struct wire_span span,
                         struct json **ret_value);
int protobuf_read_text(struct protobuf_reader *reader, struct wire_span span, struct json **ret_value);
int protobuf_read_double(struct protobuf_reader *reader, uint64_t bits, struct json **ret_value);
int protobuf_read_raw_text(struct protobuf_reader *reader, struct wire_span span, struct json **ret_value);
