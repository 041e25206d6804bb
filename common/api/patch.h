// SPDX-License-Identifier: Apache-2.0
#pragma once
// The patch types of the API on JSON trees: JSON patch (RFC 6902), merge patch
// (RFC 7386), strategic merge patch by the schema's merge keys; and the making of
// patches, for ctl apply and for daemons that write by patch.

#include "common/api/json.h"
#include "common/api/schema.h"

// Each changes *document (a tree of `arena`) in place or replaces it.
NODISCARD int patch_json(struct arena *arena, struct json **document, const struct json *patch, struct err *err);
NODISCARD int patch_merge(struct arena *arena, struct json **document, const struct json *patch, struct err *err);
// With $patch, $retainKeys, $setElementOrder/…, $deleteFromPrimitiveList/….
NODISCARD int patch_strategic(struct arena *arena, const struct schema_type *type, struct json **document,
                              const struct json *patch, struct err *err);

// A merge patch from one document to another; NULL when they are equal.
struct json *patch_make_merge(struct arena *arena, const struct json *from, const struct json *to);
// Three-way patches as kubectl apply makes them: deletions from original→modified, the rest from current→modified.
NODISCARD int patch_make_three_way_strategic(struct arena *arena, const struct schema_type *type,
                                             const struct json *original, const struct json *modified,
                                             const struct json *current, struct json **ret_patch, struct err *err);
NODISCARD int patch_make_three_way_merge(struct arena *arena, const struct json *original, const struct json *modified,
                                         const struct json *current, struct json **ret_patch, struct err *err);
