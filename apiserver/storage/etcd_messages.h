// SPDX-License-Identifier: Apache-2.0
#pragma once
// etcd's v3 messages, as far as a Kubernetes apiserver speaks them: plain structs
// and the tables that encode and decode them (etcdserverpb, mvccpb).

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/base/strbuf.h"

enum protobuf_kind {
	PROTOBUF_VARINT64, // int64_t
	PROTOBUF_VARINT32, // int32_t, enums
	PROTOBUF_FLAG,     // bool
	PROTOBUF_BYTES,    // struct etcd_bytes
	PROTOBUF_MESSAGE,  // pointer to the struct, NULL = absent
	PROTOBUF_REPEATED, // struct etcd_repeated of structs
};

struct protobuf_message;

struct protobuf_field {
	uint32_t number;
	enum protobuf_kind kind;
	size_t offset;
	const struct protobuf_message *message; // of PROTOBUF_MESSAGE and PROTOBUF_REPEATED
};

struct protobuf_message {
	size_t size;
	const struct protobuf_field *fields; // by rising number
	size_t field_count;
};

// Bytes borrowed from the encoded message or from the caller.
struct etcd_bytes {
	const char *data;
	size_t length;
};
#define ETCD_TEXT(text) ((struct etcd_bytes){(text), strlen(text)})

struct etcd_repeated {
	void *items; // an array of structs
	size_t count;
};

void protobuf_encode(struct strbuf *out, const struct protobuf_message *message, const void *value);
// Zero values, unset. Bytes are borrowed from `data`; the rest is in the arena. Unknown fields are skipped.
NODISCARD int protobuf_decode(struct arena *arena, const struct protobuf_message *message, const void *data,
                              size_t length, void *ret_value, struct err *err);

// --- common --------------------------------------------------------------------

struct etcd_header {
	int64_t cluster_id;
	int64_t member_id;
	int64_t revision;
	int64_t raft_term;
};

struct etcd_key_value {
	struct etcd_bytes key;
	int64_t create_revision;
	int64_t mod_revision;
	int64_t version;
	struct etcd_bytes value;
	int64_t lease;
};

// Every answer's struct begins with its header.
static inline const struct etcd_header *etcd_response_header(const void *response)
{
	return *(const struct etcd_header *const *)response;
}

// --- KV ------------------------------------------------------------------------

struct etcd_range_request {
	struct etcd_bytes key;
	struct etcd_bytes range_end;
	int64_t limit;
	int64_t revision;
	bool serializable;
	bool keys_only;
	bool count_only;
};

struct etcd_range_response {
	struct etcd_header *header;
	struct etcd_repeated kvs; // struct etcd_key_value
	bool more;
	int64_t count;
};

struct etcd_put_request {
	struct etcd_bytes key;
	struct etcd_bytes value;
	int64_t lease;
};

struct etcd_put_response {
	struct etcd_header *header;
};

struct etcd_delete_request {
	struct etcd_bytes key;
	struct etcd_bytes range_end;
	bool prev_kv;
};

struct etcd_delete_response {
	struct etcd_header *header;
	int64_t deleted;
	struct etcd_repeated prev_kvs; // struct etcd_key_value
};

enum etcd_compare_result { ETCD_EQUAL = 0, ETCD_GREATER = 1, ETCD_LESS = 2, ETCD_NOT_EQUAL = 3 };
enum etcd_compare_target { ETCD_TARGET_VERSION = 0, ETCD_TARGET_CREATE = 1, ETCD_TARGET_MOD = 2 };

struct etcd_compare {
	int32_t result;
	int32_t target;
	struct etcd_bytes key;
	// One of these, by target. A zero is left out, which etcd reads as zero.
	int64_t version;
	int64_t create_revision;
	int64_t mod_revision;
};

struct etcd_request_op {
	struct etcd_range_request *range;
	struct etcd_put_request *put;
	struct etcd_delete_request *delete_range;
};

struct etcd_txn_request {
	struct etcd_repeated compare; // struct etcd_compare
	struct etcd_repeated success; // struct etcd_request_op
	struct etcd_repeated failure; // struct etcd_request_op
};

struct etcd_response_op {
	struct etcd_range_response *range;
	struct etcd_put_response *put;
	struct etcd_delete_response *delete_range;
};

struct etcd_txn_response {
	struct etcd_header *header;
	bool succeeded;
	struct etcd_repeated responses; // struct etcd_response_op
};

struct etcd_compaction_request {
	int64_t revision;
	bool physical;
};

struct etcd_compaction_response {
	struct etcd_header *header;
};

// --- Watch ---------------------------------------------------------------------

struct etcd_watch_create_request {
	struct etcd_bytes key;
	struct etcd_bytes range_end;
	int64_t start_revision;
	bool progress_notify;
	bool prev_kv;
};

struct etcd_watch_request {
	struct etcd_watch_create_request *create;
};

enum etcd_event_type { ETCD_EVENT_PUT = 0, ETCD_EVENT_DELETE = 1 };

struct etcd_event {
	int32_t type;
	struct etcd_key_value *kv;
	struct etcd_key_value *prev_kv;
};

struct etcd_watch_response {
	struct etcd_header *header;
	int64_t watch_id;
	bool created;
	bool canceled;
	int64_t compact_revision;
	struct etcd_bytes cancel_reason;
	struct etcd_repeated events; // struct etcd_event
};

// --- Lease, Maintenance -----------------------------------------------------------

struct etcd_lease_grant_request {
	int64_t ttl_seconds;
	int64_t id;
};

struct etcd_lease_grant_response {
	struct etcd_header *header;
	int64_t id;
	int64_t ttl_seconds;
	struct etcd_bytes error;
};

struct etcd_status_request {
	char unused;
};

struct etcd_status_response {
	struct etcd_header *header;
	struct etcd_bytes version;
	int64_t database_bytes;
	int64_t leader;
};

extern const struct protobuf_message etcd_range_request_message;
extern const struct protobuf_message etcd_range_response_message;
extern const struct protobuf_message etcd_txn_request_message;
extern const struct protobuf_message etcd_txn_response_message;
extern const struct protobuf_message etcd_compaction_request_message;
extern const struct protobuf_message etcd_compaction_response_message;
extern const struct protobuf_message etcd_watch_request_message;
extern const struct protobuf_message etcd_watch_response_message;
extern const struct protobuf_message etcd_lease_grant_request_message;
extern const struct protobuf_message etcd_lease_grant_response_message;
extern const struct protobuf_message etcd_status_request_message;
extern const struct protobuf_message etcd_status_response_message;
