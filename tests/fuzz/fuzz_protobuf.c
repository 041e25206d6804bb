// SPDX-License-Identifier: Apache-2.0
//
// Protobuf envelopes on any bytes, read as several types: what is read can be
// written, and what was written reads as the same tree and writes the same bytes.
// The first byte picks the type.
//
//   make SAN=address,undefined B=/tmp/fuzz CC=clang /tmp/fuzz/libcommon.a
//   clang -g -O1 -std=gnu11 -D_GNU_SOURCE -I. -fsanitize=fuzzer,address,undefined -o fuzz_protobuf
//       tests/fuzz/fuzz_protobuf.c /tmp/fuzz/libcommon.a -lm
//   ./fuzz_protobuf tests/fuzz/corpus/protobuf
#include <stdlib.h>
#include <string.h>

#include "common/api/decode.h"
#include "common/api/protobuf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct schema_type *pick_type(uint8_t number)
{
	static const char *const names[][3] = {
	        {"", "v1", "Pod"},
	        {"apiextensions.k8s.io", "v1", "CustomResourceDefinition"},
	        {"", "v1", "Secret"},
	        {"authorization.k8s.io", "v1", "SubjectAccessReview"},
	        {"coordination.k8s.io", "v1", "Lease"},
	        {"meta.k8s.io", "v1", "APIResourceList"},
	        {"meta.k8s.io", "v1", "DeleteOptions"},
	        {"", "v1", "Service"},
	};
	size_t row = number % (sizeof(names) / sizeof(names[0]));

	return protobuf_find_type(names[row][0], names[row][1], names[row][2]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	AUTO(blob_unref) struct blob *first = NULL, *second = NULL;
	const struct schema_type *type = pick_type(size ? data[0] : 0);
	struct json *tree, *again;
	struct err err = ERR_INIT;

	if (!type)
		abort();
	if (!size || protobuf_read_object(arena, type, (const char *)data + 1, size - 1, &tree, &err) < 0) {
		if (size && err.code == ERR_NONE)
			abort();
		return 0;
	}
	// A quantity's or name's text is judged here, as in a request.
	if (schema_normalize(arena, type, tree, NULL, NULL) < 0)
		return 0;
	if (protobuf_write_object(type, tree, &first, NULL) < 0 ||
	    protobuf_read_object(arena, type, first->data, first->length, &again, NULL) < 0 ||
	    protobuf_write_object(type, again, &second, NULL) < 0)
		abort();
	if (first->length != second->length || memcmp(first->data, second->data, first->length) != 0)
		abort();
	return 0;
}
