// SPDX-License-Identifier: Apache-2.0
#pragma once
// Request bodies: bytes to trees, and trees to well-formed objects of a kind.

#include "apiserver/request.h"

// What a body must be.
struct body_kind {
	const char *group;
	const char *version;
	const char *kind;
	const struct schema_type *type; // NULL: any JSON object
	const char *older_version;      // of the same shape, taken too; NULL: none
};

struct body_kind body_kind_of(const struct schema_resource *resource);
// Of the route's resource or of its subresource's body ("autoscaling/v1 Scale").
struct body_kind body_kind_of_route(const struct route *route);

// The whole body as an object of this kind: type checked, unknown fields judged
// by fieldValidation, defaults set. Safe on a worker.
const struct status *body_decode_object(struct request *request, const struct body_kind *kind,
                                        struct json **ret_object);

// A body that may be absent (*ret_value NULL then), any JSON or YAML document.
// (or a protobuf envelope of this type).
const struct status *body_decode_optional(struct request *request, const struct schema_type *type,
                                          struct json **ret_value);

// A patch's document by its content type; *ret_format says which.
const struct status *body_decode_patch(struct request *request, enum body_format *ret_format, struct json **ret_patch);

// What a patch made of an object.
struct body_patched {
	enum body_format format;
	const struct json *patch;
	struct json *object;
};

// Types and unknown fields of the patched object, then its defaults. What can't
// be is the patch's fault: 422 on the field "patch", as upstream says it.
const struct status *body_normalize(struct request *request, const struct body_kind *kind,
                                    const struct body_patched *patched);
