// SPDX-License-Identifier: Apache-2.0
#pragma once
// Kubernetes' protobuf encoding of objects, between bytes and the trees that JSON
// gives, by the schema's field numbers. A whole object travels in an envelope:
//
//   "k8s" NUL, then runtime.Unknown {1: {1: apiVersion, 2: kind}, 2: message, 3: "", 4: ""}
//
// The message itself names neither its version nor its kind. client-go speaks this
// to built-in kinds by default; custom resources have no protobuf.

#include <stdbool.h>
#include <stddef.h>

#include "common/api/json.h"
#include "common/api/schema.h"
#include "common/base/blob.h"
#include "common/base/err.h"

#define PROTOBUF_MEDIA_TYPE "application/vnd.kubernetes.protobuf"
#define PROTOBUF_WATCH_MEDIA_TYPE "application/vnd.kubernetes.protobuf;stream=watch"

// Whether the type has this encoding: false for NULL, custom resources, Tables.
bool protobuf_serves_type(const struct schema_type *type);

// The type of an object by the apiVersion and kind in its tree (kinds, their
// lists, Status, options); NULL when it has no protobuf form.
const struct schema_type *protobuf_type_of(const struct json *object);
// The struct type of that name in a group and version, NULL = none.
const struct schema_type *protobuf_find_type(const char *group, const char *version, const char *name);

// True when the bytes begin as every envelope does.
bool protobuf_is_envelope(const char *data, size_t length);

// The object in an envelope, apiVersion and kind from the envelope, nothing
// defaulted. Zero values of fields that Go's JSON would omit are left out. Any
// bytes are safe: depth, number of values and text are checked (ERR_PARSE).
NODISCARD int protobuf_read_object(struct arena *arena, const struct schema_type *type, const char *data, size_t length,
                                   struct json **ret_object, struct err *err);
// What an envelope says of its object, before its type is known: "" for what it leaves out.
NODISCARD int protobuf_read_type_meta(struct arena *arena, const char *data, size_t length,
                                      const char **ret_api_version, const char **ret_kind, struct err *err);
// The same of a bare message.
NODISCARD int protobuf_read_message(struct arena *arena, const struct schema_type *type, const char *data,
                                    size_t length, struct json **ret_object, struct err *err);

// The envelope of a tree that has its type's form (normalised, defaulted or not).
// Equal trees give equal bytes, whatever the order of their members. ERR_PARSE
// when a value isn't of its type. One reference for the caller.
NODISCARD int protobuf_write_object(const struct schema_type *type, const struct json *object, struct blob **ret_blob,
                                    struct err *err);
// The same without the envelope.
NODISCARD int protobuf_write_message(const struct schema_type *type, const struct json *object, struct blob **ret_blob,
                                     struct err *err);

// Where the message stands in an envelope that was written here.
void protobuf_envelope_message(const struct blob *envelope, size_t *ret_offset, size_t *ret_length);

// The pieces around a message of this length, for messages that aren't in one place.
struct strbuf;
void protobuf_append_envelope_head(struct strbuf *out, const char *api_version, const char *kind,
                                   size_t message_length);
#define PROTOBUF_ENVELOPE_TAIL "\x1a\0\x22\0"
#define PROTOBUF_ENVELOPE_TAIL_BYTES 4
