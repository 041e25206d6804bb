// SPDX-License-Identifier: Apache-2.0
#pragma once
// Discovery and OpenAPI over HTTP, from the schema's documents.

#include "apiserver/request.h"

void discovery_serve(struct request *request);
void discovery_serve_openapi_v2(struct request *request);
void discovery_serve_openapi_v3(struct request *request);

// The served resources: those of the schema that are on. The array lives as long as the process.
const struct schema_resource *const *discovery_resources(size_t *ret_count);
