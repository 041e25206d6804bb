// SPDX-License-Identifier: Apache-2.0
#pragma once
// Making stored objects out of etcd's values: the metadata that selectors need is
// taken out once, and the resourceVersion is spliced into the text.

#include <stdint.h>

#include "apiserver/storage/etcd_messages.h"
#include "apiserver/storage/storage.h"
#include "apiserver/storage/storage_decode.h"

struct encryption;

// How values are sealed on their way to etcd and opened on their way back.
struct storage_sealing {
	struct encryption *encryption; // NULL: they are as they are
	char *group;
	char *plural;
	char *prefix; // of etcd's keys: a seal is bound to its whole key
};

// What of a resource its stored objects carry beside their text.
struct storage_object_format {
	struct storage_form form;
	struct storage_sealing sealing;
	size_t field_count;
	char ***paths;       // of each selectable field: member names, NULL-terminated
	const char **absent; // its value when the member is missing: "", "0" or "false", by its type
};
void storage_object_format_init(struct storage_object_format *format, const struct schema_resource *resource);
void storage_object_format_done(struct storage_object_format *format);
// Seals what is stored from now on; `encryption` outlives the format.
void storage_object_format_seal(struct storage_object_format *format, struct encryption *encryption,
                                const struct schema_resource *resource, const char *prefix);

// `json` as it is to be stored under etcd's key; the reference is consumed, that of the answer is the caller's.
NODISCARD int storage_object_seal(const struct storage_object_format *format, const char *etcd_key, struct blob *json,
                                  struct blob **ret_value, struct err *err);

// `key` is the object's place below its storage prefix: "namespace/name" or "name".
// `revision` goes into its metadata. ERR_INTERNAL with a clear text when the value
// can't be read (neither JSON nor protobuf of the kind, encrypted). One reference for the caller.
NODISCARD int storage_object_parse(const struct storage_object_format *format, struct etcd_bytes key,
                                   struct etcd_bytes value, int64_t revision, struct stored_object **ret_object,
                                   struct err *err);

// The same of a tree that was written as `value`, without reading it again. NULL: it has no
// metadata, or a resourceVersion of its own, and must be read.
struct stored_object *storage_object_of_tree(const struct storage_object_format *format, struct etcd_bytes key,
                                             const struct json *tree, struct etcd_bytes value, int64_t revision);

// The same object with another resourceVersion (a deletion's). One reference for the caller.
struct stored_object *storage_object_with_revision(const struct stored_object *object, int64_t revision);

// "namespace/name" or "name".
const char *storage_object_key(const struct stored_object *object);
size_t storage_object_size_bytes(const struct stored_object *object);
