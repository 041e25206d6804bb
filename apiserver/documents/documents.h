// SPDX-License-Identifier: Apache-2.0
#pragma once
// Documents that are made once and served often (discovery, OpenAPI): kept as
// bytes with their ETag from the first request on.

#include <stdbool.h>

#include "common/base/strbuf.h"

struct documents;
struct request;

struct documents *documents_new(void);
struct documents *documents_free(struct documents *documents);

// Answers with the document of this key, made by `write` when it isn't there yet
// (false: there is no such document, 404), or with 304 when the client has it. A
// query with a hash gets the document as one that never changes, or a 301 to the
// URL with its present hash.
void documents_serve(struct documents *documents, struct request *request, const char *key, const char *content_type,
                     bool (*write)(struct request *request, struct strbuf *out));
