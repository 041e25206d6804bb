// SPDX-License-Identifier: Apache-2.0
#pragma once
// Discovery and OpenAPI over HTTP, from the schema's documents.

#include "apiserver/request.h"

struct documents;

void discovery_serve(struct request *request);
// With the snapshot's documents, or with new ones where other servers' parts belong into them.
void discovery_serve_whole(struct request *request,
                           void (*serve)(struct documents *documents, struct request *request));
void discovery_serve_openapi_v2(struct request *request);
void discovery_serve_openapi_v3(struct request *request);
