// SPDX-License-Identifier: Apache-2.0
#pragma once
// The body of a long answer: pieces of shared buffers, sent one after another
// without a copy, or gzipped on the way for a client that takes it.

#include <stddef.h>

#include "apiserver/request.h"
#include "common/base/blob.h"

struct answer_piece {
	struct blob *blob; // referenced
	size_t offset;
	size_t length;
};

struct answer_body {
	struct answer_piece *pieces; // on the heap
	size_t count;
	size_t capacity;
	size_t length; // in bytes
};
#define ANSWER_BODY_INIT ((struct answer_body){0})

void answer_body_add(struct answer_body *body, struct blob *blob, size_t offset, size_t length); // borrows
void answer_body_done(struct answer_body *body);

// Ends the request with the body, which is emptied.
void answer_send(struct request *request, int code, const char *content_type, struct answer_body *body);

// The same with a single buffer, borrowed.
void answer_send_blob(struct request *request, int code, const char *content_type, struct blob *blob);

// True when Accept-Encoding names gzip, without a weight, as upstream reads it.
bool answer_accepts_gzip(const char *accept_encoding);
