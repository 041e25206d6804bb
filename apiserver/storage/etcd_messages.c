// SPDX-License-Identifier: Apache-2.0
//
// The tables of etcd's messages and the walker that encodes and decodes by them.
// proto3: a zero is not written and an absent field reads as zero. The one
// exception of the wire that matters here, members of a oneof, are written when
// zero by etcd's own client and read as zero by etcd when left out.
#include "apiserver/storage/etcd_messages.h"

#include <string.h>

#define MAX_DEPTH 16
#define WIRE_VARINT 0
#define WIRE_FIXED64 1
#define WIRE_BYTES 2
#define WIRE_FIXED32 5

#define FIELD(type, number, kind, member)                         \
	{                                                         \
		number, kind, offsetof(struct type, member), NULL \
	}
#define SUB_FIELD(type, number, kind, member, sub)                          \
	{                                                                   \
		number, kind, offsetof(struct type, member), &sub##_message \
	}
#define MESSAGE(name) \
	const struct protobuf_message name##_message = {sizeof(struct name), name##_fields, ARRAY_SIZE(name##_fields)}

static const struct protobuf_field etcd_header_fields[] = {
        FIELD(etcd_header, 1, PROTOBUF_VARINT64, cluster_id),
        FIELD(etcd_header, 2, PROTOBUF_VARINT64, member_id),
        FIELD(etcd_header, 3, PROTOBUF_VARINT64, revision),
        FIELD(etcd_header, 4, PROTOBUF_VARINT64, raft_term),
};
static MESSAGE(etcd_header);

static const struct protobuf_field etcd_key_value_fields[] = {
        FIELD(etcd_key_value, 1, PROTOBUF_BYTES, key),
        FIELD(etcd_key_value, 2, PROTOBUF_VARINT64, create_revision),
        FIELD(etcd_key_value, 3, PROTOBUF_VARINT64, mod_revision),
        FIELD(etcd_key_value, 4, PROTOBUF_VARINT64, version),
        FIELD(etcd_key_value, 5, PROTOBUF_BYTES, value),
        FIELD(etcd_key_value, 6, PROTOBUF_VARINT64, lease),
};
static MESSAGE(etcd_key_value);

static const struct protobuf_field etcd_range_request_fields[] = {
        FIELD(etcd_range_request, 1, PROTOBUF_BYTES, key),
        FIELD(etcd_range_request, 2, PROTOBUF_BYTES, range_end),
        FIELD(etcd_range_request, 3, PROTOBUF_VARINT64, limit),
        FIELD(etcd_range_request, 4, PROTOBUF_VARINT64, revision),
        FIELD(etcd_range_request, 7, PROTOBUF_FLAG, serializable),
        FIELD(etcd_range_request, 8, PROTOBUF_FLAG, keys_only),
        FIELD(etcd_range_request, 9, PROTOBUF_FLAG, count_only),
};
MESSAGE(etcd_range_request);

static const struct protobuf_field etcd_range_response_fields[] = {
        SUB_FIELD(etcd_range_response, 1, PROTOBUF_MESSAGE, header, etcd_header),
        SUB_FIELD(etcd_range_response, 2, PROTOBUF_REPEATED, kvs, etcd_key_value),
        FIELD(etcd_range_response, 3, PROTOBUF_FLAG, more),
        FIELD(etcd_range_response, 4, PROTOBUF_VARINT64, count),
};
MESSAGE(etcd_range_response);

static const struct protobuf_field etcd_put_request_fields[] = {
        FIELD(etcd_put_request, 1, PROTOBUF_BYTES, key),
        FIELD(etcd_put_request, 2, PROTOBUF_BYTES, value),
        FIELD(etcd_put_request, 3, PROTOBUF_VARINT64, lease),
};
static MESSAGE(etcd_put_request);

static const struct protobuf_field etcd_put_response_fields[] = {
        SUB_FIELD(etcd_put_response, 1, PROTOBUF_MESSAGE, header, etcd_header),
};
static MESSAGE(etcd_put_response);

static const struct protobuf_field etcd_delete_request_fields[] = {
        FIELD(etcd_delete_request, 1, PROTOBUF_BYTES, key),
        FIELD(etcd_delete_request, 2, PROTOBUF_BYTES, range_end),
        FIELD(etcd_delete_request, 3, PROTOBUF_FLAG, prev_kv),
};
static MESSAGE(etcd_delete_request);

static const struct protobuf_field etcd_delete_response_fields[] = {
        SUB_FIELD(etcd_delete_response, 1, PROTOBUF_MESSAGE, header, etcd_header),
        FIELD(etcd_delete_response, 2, PROTOBUF_VARINT64, deleted),
        SUB_FIELD(etcd_delete_response, 3, PROTOBUF_REPEATED, prev_kvs, etcd_key_value),
};
static MESSAGE(etcd_delete_response);

static const struct protobuf_field etcd_compare_fields[] = {
        FIELD(etcd_compare, 1, PROTOBUF_VARINT32, result),
        FIELD(etcd_compare, 2, PROTOBUF_VARINT32, target),
        FIELD(etcd_compare, 3, PROTOBUF_BYTES, key),
        FIELD(etcd_compare, 4, PROTOBUF_VARINT64, version),
        FIELD(etcd_compare, 5, PROTOBUF_VARINT64, create_revision),
        FIELD(etcd_compare, 6, PROTOBUF_VARINT64, mod_revision),
};
static MESSAGE(etcd_compare);

static const struct protobuf_field etcd_request_op_fields[] = {
        SUB_FIELD(etcd_request_op, 1, PROTOBUF_MESSAGE, range, etcd_range_request),
        SUB_FIELD(etcd_request_op, 2, PROTOBUF_MESSAGE, put, etcd_put_request),
        SUB_FIELD(etcd_request_op, 3, PROTOBUF_MESSAGE, delete_range, etcd_delete_request),
};
static MESSAGE(etcd_request_op);

static const struct protobuf_field etcd_txn_request_fields[] = {
        SUB_FIELD(etcd_txn_request, 1, PROTOBUF_REPEATED, compare, etcd_compare),
        SUB_FIELD(etcd_txn_request, 2, PROTOBUF_REPEATED, success, etcd_request_op),
        SUB_FIELD(etcd_txn_request, 3, PROTOBUF_REPEATED, failure, etcd_request_op),
};
MESSAGE(etcd_txn_request);

static const struct protobuf_field etcd_response_op_fields[] = {
        SUB_FIELD(etcd_response_op, 1, PROTOBUF_MESSAGE, range, etcd_range_response),
        SUB_FIELD(etcd_response_op, 2, PROTOBUF_MESSAGE, put, etcd_put_response),
        SUB_FIELD(etcd_response_op, 3, PROTOBUF_MESSAGE, delete_range, etcd_delete_response),
};
static MESSAGE(etcd_response_op);

static const struct protobuf_field etcd_txn_response_fields[] = {
        SUB_FIELD(etcd_txn_response, 1, PROTOBUF_MESSAGE, header, etcd_header),
        FIELD(etcd_txn_response, 2, PROTOBUF_FLAG, succeeded),
        SUB_FIELD(etcd_txn_response, 3, PROTOBUF_REPEATED, responses, etcd_response_op),
};
MESSAGE(etcd_txn_response);

static const struct protobuf_field etcd_compaction_request_fields[] = {
        FIELD(etcd_compaction_request, 1, PROTOBUF_VARINT64, revision),
        FIELD(etcd_compaction_request, 2, PROTOBUF_FLAG, physical),
};
MESSAGE(etcd_compaction_request);

static const struct protobuf_field etcd_compaction_response_fields[] = {
        SUB_FIELD(etcd_compaction_response, 1, PROTOBUF_MESSAGE, header, etcd_header),
};
MESSAGE(etcd_compaction_response);

static const struct protobuf_field etcd_watch_create_request_fields[] = {
        FIELD(etcd_watch_create_request, 1, PROTOBUF_BYTES, key),
        FIELD(etcd_watch_create_request, 2, PROTOBUF_BYTES, range_end),
        FIELD(etcd_watch_create_request, 3, PROTOBUF_VARINT64, start_revision),
        FIELD(etcd_watch_create_request, 4, PROTOBUF_FLAG, progress_notify),
        FIELD(etcd_watch_create_request, 6, PROTOBUF_FLAG, prev_kv),
};
static MESSAGE(etcd_watch_create_request);

static const struct protobuf_field etcd_watch_request_fields[] = {
        SUB_FIELD(etcd_watch_request, 1, PROTOBUF_MESSAGE, create, etcd_watch_create_request),
};
MESSAGE(etcd_watch_request);

static const struct protobuf_field etcd_event_fields[] = {
        FIELD(etcd_event, 1, PROTOBUF_VARINT32, type),
        SUB_FIELD(etcd_event, 2, PROTOBUF_MESSAGE, kv, etcd_key_value),
        SUB_FIELD(etcd_event, 3, PROTOBUF_MESSAGE, prev_kv, etcd_key_value),
};
static MESSAGE(etcd_event);

static const struct protobuf_field etcd_watch_response_fields[] = {
        SUB_FIELD(etcd_watch_response, 1, PROTOBUF_MESSAGE, header, etcd_header),
        FIELD(etcd_watch_response, 2, PROTOBUF_VARINT64, watch_id),
        FIELD(etcd_watch_response, 3, PROTOBUF_FLAG, created),
        FIELD(etcd_watch_response, 4, PROTOBUF_FLAG, canceled),
        FIELD(etcd_watch_response, 5, PROTOBUF_VARINT64, compact_revision),
        FIELD(etcd_watch_response, 6, PROTOBUF_BYTES, cancel_reason),
        SUB_FIELD(etcd_watch_response, 11, PROTOBUF_REPEATED, events, etcd_event),
};
MESSAGE(etcd_watch_response);

static const struct protobuf_field etcd_lease_grant_request_fields[] = {
        FIELD(etcd_lease_grant_request, 1, PROTOBUF_VARINT64, ttl_seconds),
        FIELD(etcd_lease_grant_request, 2, PROTOBUF_VARINT64, id),
};
MESSAGE(etcd_lease_grant_request);

static const struct protobuf_field etcd_lease_grant_response_fields[] = {
        SUB_FIELD(etcd_lease_grant_response, 1, PROTOBUF_MESSAGE, header, etcd_header),
        FIELD(etcd_lease_grant_response, 2, PROTOBUF_VARINT64, id),
        FIELD(etcd_lease_grant_response, 3, PROTOBUF_VARINT64, ttl_seconds),
        FIELD(etcd_lease_grant_response, 4, PROTOBUF_BYTES, error),
};
MESSAGE(etcd_lease_grant_response);

const struct protobuf_message etcd_status_request_message = {sizeof(struct etcd_status_request), NULL, 0};

static const struct protobuf_field etcd_status_response_fields[] = {
        SUB_FIELD(etcd_status_response, 1, PROTOBUF_MESSAGE, header, etcd_header),
        FIELD(etcd_status_response, 2, PROTOBUF_BYTES, version),
        FIELD(etcd_status_response, 3, PROTOBUF_VARINT64, database_bytes),
        FIELD(etcd_status_response, 4, PROTOBUF_VARINT64, leader),
};
MESSAGE(etcd_status_response);

// --- encoding ------------------------------------------------------------------

static size_t varint_size(uint64_t value)
{
	size_t size = 1;
	while (value >>= 7)
		size++;
	return size;
}

static void put_varint(struct strbuf *out, uint64_t value)
{
	char bytes[10];
	size_t used = 0;
	do {
		bytes[used++] = (char)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
		value >>= 7;
	} while (value);
	strbuf_append(out, bytes, used);
}

static size_t message_size(const struct protobuf_message *message, const void *value);

// The field's number as a plain integer; 0 = not written.
static uint64_t scalar(const struct protobuf_field *field, const void *member)
{
	switch (field->kind) {
	case PROTOBUF_VARINT64:
		return (uint64_t) * (const int64_t *)member;
	case PROTOBUF_VARINT32:
		return (uint64_t)(int64_t) * (const int32_t *)member;
	case PROTOBUF_FLAG:
		return *(const bool *)member;
	default:
		return 0;
	}
}

static size_t delimited_size(const struct protobuf_field *field, size_t length)
{
	return varint_size((uint64_t)field->number << 3) + varint_size(length) + length;
}

static size_t field_size(const struct protobuf_field *field, const void *member)
{
	size_t size = 0;
	if (field->kind == PROTOBUF_BYTES) {
		const struct etcd_bytes *bytes = member;
		return bytes->length ? delimited_size(field, bytes->length) : 0;
	}
	if (field->kind == PROTOBUF_MESSAGE) {
		const void *sub = *(void *const *)member;
		return sub ? delimited_size(field, message_size(field->message, sub)) : 0;
	}
	if (field->kind == PROTOBUF_REPEATED) {
		const struct etcd_repeated *repeated = member;
		for (size_t i = 0; i < repeated->count; i++)
			size += delimited_size(field, message_size(field->message, (const char *)repeated->items +
			                                                                   i * field->message->size));
		return size;
	}
	uint64_t number = scalar(field, member);
	return number ? varint_size((uint64_t)field->number << 3) + varint_size(number) : 0;
}

static size_t message_size(const struct protobuf_message *message, const void *value)
{
	size_t size = 0;
	for (size_t i = 0; i < message->field_count; i++)
		size += field_size(&message->fields[i], (const char *)value + message->fields[i].offset);
	return size;
}

static void put_submessage(struct strbuf *out, const struct protobuf_field *field, const void *sub)
{
	put_varint(out, (uint64_t)field->number << 3 | WIRE_BYTES);
	put_varint(out, message_size(field->message, sub));
	protobuf_encode(out, field->message, sub);
}

void protobuf_encode(struct strbuf *out, const struct protobuf_message *message, const void *value)
{
	for (size_t i = 0; i < message->field_count; i++) {
		const struct protobuf_field *field = &message->fields[i];
		const void *member = (const char *)value + field->offset;
		if (field->kind == PROTOBUF_BYTES) {
			const struct etcd_bytes *bytes = member;
			if (!bytes->length)
				continue;
			put_varint(out, (uint64_t)field->number << 3 | WIRE_BYTES);
			put_varint(out, bytes->length);
			strbuf_append(out, bytes->data, bytes->length);
		} else if (field->kind == PROTOBUF_MESSAGE) {
			const void *sub = *(void *const *)member;
			if (sub)
				put_submessage(out, field, sub);
		} else if (field->kind == PROTOBUF_REPEATED) {
			const struct etcd_repeated *repeated = member;
			for (size_t j = 0; j < repeated->count; j++)
				put_submessage(out, field, (const char *)repeated->items + j * field->message->size);
		} else {
			uint64_t number = scalar(field, member);
			if (!number)
				continue;
			put_varint(out, (uint64_t)field->number << 3 | WIRE_VARINT);
			put_varint(out, number);
		}
	}
}

// --- decoding ------------------------------------------------------------------

struct reader {
	const uint8_t *position;
	const uint8_t *end;
};

static bool get_varint(struct reader *reader, uint64_t *ret_value)
{
	uint64_t value = 0;
	for (unsigned shift = 0; shift < 64 && reader->position < reader->end; shift += 7) {
		uint8_t byte = *reader->position++;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*ret_value = value;
			return true;
		}
	}
	return false;
}

static bool get_bytes(struct reader *reader, struct etcd_bytes *ret_bytes)
{
	uint64_t length;
	if (!get_varint(reader, &length) || length > (uint64_t)(reader->end - reader->position))
		return false;
	*ret_bytes = (struct etcd_bytes){(const char *)reader->position, (size_t)length};
	reader->position += length;
	return true;
}

static bool skip_field(struct reader *reader, unsigned wire)
{
	uint64_t number;
	struct etcd_bytes bytes;
	size_t fixed = wire == WIRE_FIXED64 ? 8 : 4;
	if (wire == WIRE_VARINT)
		return get_varint(reader, &number);
	if (wire == WIRE_BYTES)
		return get_bytes(reader, &bytes);
	if ((wire != WIRE_FIXED64 && wire != WIRE_FIXED32) || (size_t)(reader->end - reader->position) < fixed)
		return false;
	reader->position += fixed;
	return true;
}

static const struct protobuf_field *find_field(const struct protobuf_message *message, uint64_t number)
{
	for (size_t i = 0; i < message->field_count; i++)
		if (message->fields[i].number == number)
			return &message->fields[i];
	return NULL;
}

static void *append_item(struct arena *arena, struct etcd_repeated *repeated, size_t size)
{
	// The capacity is the next power of two of the count.
	size_t count = repeated->count;
	if ((count & (count - 1)) == 0)
		repeated->items = arena_realloc(arena, repeated->items, count * size, (count ? count * 2 : 1) * size);
	void *item = (char *)repeated->items + count * size;
	memset(item, 0, size);
	repeated->count++;
	return item;
}

static bool decode(struct arena *arena, const struct protobuf_message *message, struct reader reader, void *value,
                   unsigned depth);

static bool decode_delimited(struct arena *arena, const struct protobuf_field *field, struct reader *reader,
                             void *member, unsigned depth)
{
	struct etcd_bytes bytes;
	if (!get_bytes(reader, &bytes))
		return false;
	if (field->kind == PROTOBUF_BYTES) {
		*(struct etcd_bytes *)member = bytes;
		return true;
	}
	void *sub;
	if (field->kind == PROTOBUF_MESSAGE)
		sub = *(void **)member = arena_zalloc(arena, field->message->size);
	else
		sub = append_item(arena, member, field->message->size);
	struct reader inner = {(const uint8_t *)bytes.data, (const uint8_t *)bytes.data + bytes.length};
	return depth < MAX_DEPTH && decode(arena, field->message, inner, sub, depth + 1);
}

static bool decode_scalar(const struct protobuf_field *field, struct reader *reader, void *member)
{
	uint64_t number;
	if (!get_varint(reader, &number))
		return false;
	if (field->kind == PROTOBUF_VARINT64)
		*(int64_t *)member = (int64_t)number;
	else if (field->kind == PROTOBUF_VARINT32)
		*(int32_t *)member = (int32_t)number;
	else
		*(bool *)member = number != 0;
	return true;
}

static bool decode(struct arena *arena, const struct protobuf_message *message, struct reader reader, void *value,
                   unsigned depth)
{
	while (reader.position < reader.end) {
		uint64_t tag;
		if (!get_varint(&reader, &tag))
			return false;
		unsigned wire = tag & 7;
		const struct protobuf_field *field = find_field(message, tag >> 3);
		bool delimited = field && field->kind >= PROTOBUF_BYTES;
		bool fine;
		if (!field || wire != (delimited ? WIRE_BYTES : WIRE_VARINT))
			fine = skip_field(&reader, wire);
		else if (delimited)
			fine = decode_delimited(arena, field, &reader, (char *)value + field->offset, depth);
		else
			fine = decode_scalar(field, &reader, (char *)value + field->offset);
		if (!fine)
			return false;
	}
	return true;
}

int protobuf_decode(struct arena *arena, const struct protobuf_message *message, const void *data, size_t length,
                    void *ret_value, struct err *err)
{
	memset(ret_value, 0, message->size);
	struct reader reader = {data, (const uint8_t *)data + length};
	if (!decode(arena, message, reader, ret_value, 0))
		return err_set(err, ERR_INTERNAL, "malformed protobuf message from etcd");
	return 0;
}
