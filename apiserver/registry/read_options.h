// SPDX-License-Identifier: Apache-2.0
#pragma once
// resourceVersion, resourceVersionMatch, limit and continue: how fresh a read
// must be and where a chunk starts.

#include "apiserver/request.h"
#include "apiserver/storage/storage.h"

// A version is a decimal of at most 63 bits; "" and "0" give 0.
const struct status *read_options_version(struct arena *arena, const char *text, int64_t *ret_revision);

const struct status *read_options_get(const struct request *request, struct storage_read *ret_read);

struct list_position {
	bool inconsistent;        // the token said: go on at whatever version there is
	const char *continue_key; // "namespace/name" or "name", NULL = from the start
};
const struct status *read_options_list(const struct request *request, struct storage_read *ret_read,
                                       struct list_position *ret_position);

// The opaque token to go on after this key at this version (-1: at any).
const char *read_options_token(const struct request *request, int64_t revision, const char *key);
