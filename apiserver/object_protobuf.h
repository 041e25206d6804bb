// SPDX-License-Identifier: Apache-2.0
#pragma once
// Kubernetes' protobuf encoding of objects, read by the schema's field numbers
// into the same trees that JSON gives. client-go sends built-in kinds so by
// default, kubectl's create commands too; answers to them may be JSON.

#include <stdbool.h>
#include <stddef.h>

#include "common/api/json.h"
#include "common/api/schema.h"
#include "common/base/err.h"

#define PROTOBUF_MEDIA_TYPE "application/vnd.kubernetes.protobuf"

// True when the bytes begin as every such body does ("k8s" and a NUL).
bool object_protobuf_is_envelope(const char *data, size_t length);

// The object in an envelope as a tree of `type`, with apiVersion and kind from the envelope.
NODISCARD int object_protobuf_decode(struct arena *arena, const struct schema_type *type, const char *data,
                                     size_t length, struct json **ret_object, struct err *err);
