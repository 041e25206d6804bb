// SPDX-License-Identifier: Apache-2.0
//
// The count and, for copies, the bytes stand in the same allocation as the
// public head; a taken-over buffer is freed beside it.
#include "common/base/blob.h"

#include <stdatomic.h>
#include <string.h>

#include "common/base/memory.h"

struct blob_body {
	struct blob public;
	atomic_uint references;
	char *taken;
	char inline_data[];
};

struct blob *blob_new(const void *data, size_t length)
{
	struct blob_body *body = xmalloc(sizeof(*body) + length + 1);
	if (length)
		memcpy(body->inline_data, data, length);
	body->inline_data[length] = '\0';
	body->public = (struct blob){.data = body->inline_data, .length = length};
	body->taken = NULL;
	atomic_init(&body->references, 1);
	return &body->public;
}

struct blob *blob_new_take(char *data, size_t length)
{
	struct blob_body *body = xmalloc(sizeof(*body));
	body->public = (struct blob){.data = data, .length = length};
	body->taken = data;
	atomic_init(&body->references, 1);
	return &body->public;
}

struct blob *blob_ref(struct blob *blob)
{
	if (blob)
		atomic_fetch_add_explicit(&container_of(blob, struct blob_body, public)->references, 1,
		                          memory_order_relaxed);
	return blob;
}

struct blob *blob_unref(struct blob *blob)
{
	if (!blob)
		return NULL;
	struct blob_body *body = container_of(blob, struct blob_body, public);
	if (atomic_fetch_sub_explicit(&body->references, 1, memory_order_acq_rel) == 1) {
		free(body->taken);
		free(body);
	}
	return NULL;
}
