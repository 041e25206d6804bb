// SPDX-License-Identifier: Apache-2.0
#pragma once
// OpenAPI documents made from the schema's tables: version 2 (one document for
// everything, in JSON and in protobuf) and version 3 (an index, and one document
// for each group and version). As with discovery the caller gives the list of
// resources, so that custom resources join. The documents are large and change
// only with that list: make them once and keep them. Types made at run time are
// walked like the others: their texts come from the doc members of type, field and
// column, and a list's type is published when the field has SCHEMA_LIST_TYPE.

#include <stdbool.h>
#include <stddef.h>

#include "common/api/schema.h"
#include "common/base/strbuf.h"

// /openapi/v2: definitions, and the paths of all resources.
void openapi_write_v2(struct strbuf *out, const struct schema_resource *const *resources, size_t count);

// The same in protobuf. kubectl asks for it by the first name; answers must carry
// the second one, since the '@' makes no valid media type.
#define OPENAPI_V2_PROTOBUF_ACCEPT "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
#define OPENAPI_V2_PROTOBUF_TYPE "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
void openapi_write_v2_protobuf(struct strbuf *out, const struct schema_resource *const *resources, size_t count);

// /openapi/v3: where the documents are, with a hash of each in its URL.
void openapi_write_v3_index(struct strbuf *out, const struct schema_resource *const *resources, size_t count);

// /openapi/v3/api/v1 and /openapi/v3/apis/GROUP/VERSION; false when no resource is in it.
bool openapi_write_v3(struct strbuf *out, const struct schema_resource *const *resources, size_t count,
                      const char *group, const char *version);

// The documents beside these: "api", "apis", "apis/GROUP", "version",
// ".well-known/openid-configuration" and "openid/v1/jwks", below /openapi/v3/;
// false for any other name. The index has them too.
bool openapi_write_v3_fixed(struct strbuf *out, const struct schema_resource *const *resources, size_t count,
                            const char *document);
