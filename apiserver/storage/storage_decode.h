// SPDX-License-Identifier: Apache-2.0
#pragma once
// etcd's values as trees of the storage version, whoever wrote them: JSON as it is
// written here, upstream's protobuf, another version of the kind.

#include <stdbool.h>

#include "apiserver/storage/etcd_messages.h"
#include "apiserver/storage/storage.h"
#include "common/api/json.h"
#include "common/api/schema.h"

// The form that the objects of one storage prefix have once they are read.
struct storage_form {
	char *api_version; // "apps/v1"
	char *kind;
	// Of a built-in kind, whose other encodings and versions are converted; NULL for others.
	const struct schema_type *type;
	struct storage_reader reader; // of custom resources; its functions NULL for others
};
void storage_form_init(struct storage_form *form, const struct schema_resource *resource);
void storage_form_done(struct storage_form *form);

// `ret_rewritten`: the tree is not what the value says in JSON, so the text has to
// be written anew. ERR_INTERNAL naming the key when the value can't be read.
NODISCARD int storage_decode(struct arena *arena, const struct storage_form *form, struct etcd_bytes key,
                             struct etcd_bytes value, struct json **ret_tree, bool *ret_rewritten, struct err *err);
