// SPDX-License-Identifier: Apache-2.0
#pragma once
// Answers made of objects: as they are stored where nothing has to change, else
// as the version, shape (Table, metadata only) and format that the client asked.

#include <stdbool.h>

#include "apiserver/request.h"

struct stored_object;

struct list_answer {
	struct stored_object **objects; // referenced by the answer; unreferenced when it is finished
	size_t count;
	int64_t revision;
	const char *continue_token; // NULL = this is the end
	int64_t remaining;          // -1 = not said
};

// True when stored bytes are the answer.
bool encode_is_plain(const struct request *request);

// Ends the request with one object. Borrowed: the caller still drops its reference.
void encode_finish_object(struct request *request, int code, struct stored_object *object);
// With a tree in the resource's form.
void encode_finish_tree(struct request *request, int code, struct json *object);
// The same as an object of another kind than the path's: its columns are the table's.
void encode_finish_tree_as(struct request *request, int code, const struct schema_resource *resource,
                           struct json *object);
// Ends the request with a list; takes the objects' references.
void encode_finish_list(struct request *request, const struct list_answer *answer);

// A list's members but its items: kind, apiVersion, metadata, of Tables the columns.
struct json *encode_list_head(struct request *request, const struct list_answer *answer);

// One object in the asked shape, for watches too (columns only where `with_columns`).
struct json *encode_shape(struct arena *arena, const struct request *request, struct json *object, bool with_columns,
                          int64_t now_realtime_ns);
