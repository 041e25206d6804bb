// SPDX-License-Identifier: Apache-2.0
// Protobuf answers.
//
// A list is a head (envelope, ListMeta), each item's tag and length with the
// message out of the item's own envelope, and a tail: the kept encodings go to
// the socket as they are. Encoding what isn't kept yet happens on a worker when
// there is much of it.
//
//   kept envelope:  k8s\0 | typeMeta | tag, length | message | tail
//   list:           k8s\0 | typeMeta | tag, length | metadata | (tag, length | message)… | tail
//   watch frame:    length, 4 bytes big-endian | WatchEvent {1: type, 2: {1: envelope}}

#include "apiserver/encoding/encode_protobuf.h"

#include <stdlib.h>
#include <string.h>

#include "apiserver/encoding/answer.h"
#include "apiserver/encoding/convert.h"
#include "apiserver/encoding/encode.h"
#include "apiserver/encoding/encoding_cache.h"
#include "apiserver/object_io.h"
#include "apiserver/storage/storage.h"
#include "common/api/protobuf.h"
#include "common/api/protobuf_wire.h"
#include "common/base/log.h"
#include "common/base/memory.h"

enum {
	LIST_HEAVY_ITEMS = 16,
	LIST_MAX_HEAD_BYTES = 64 << 20,
	FRAME_MAX_HEAD_BYTES = 64,
	META_FIELD = 1,
	ITEMS_FIELD = 2,
};

struct blob *encode_protobuf_tree(const struct json *tree)
{
	const struct schema_type *type = protobuf_type_of(tree);
	struct blob *blob;
	struct err err = ERR_INIT;

	if (!type)
		return NULL;
	if (protobuf_write_object(type, tree, &blob, &err) < 0) {
		log_warning("An answer has no protobuf form", kv_str("err", err.message));
		return NULL;
	}
	return blob;
}

// --- stored objects ---------------------------------------------------------------------

static bool is_kept(const struct request *request)
{
	return request->output.shape == OUTPUT_OBJECT && !convert_is_needed(request_resource(request));
}

static struct blob *encode_anew(const struct request *request, struct stored_object *object, struct arena *scratch,
                                struct err *err)
{
	const struct schema_resource *resource = request_resource(request);
	const struct schema_type *type = resource->type;
	AUTO(arena_free) struct arena *own = scratch ? NULL : arena_new(0);
	struct arena *arena = scratch ? scratch : own;
	struct json *tree = object_load_plain(arena, resource, object, err);
	struct blob *blob;

	if (!tree)
		return NULL;
	if (request->output.shape == OUTPUT_PARTIAL_METADATA) {
		tree = encode_shape(arena, request, tree, false, request->received_realtime_ns);
		type = protobuf_type_of(tree);
	}
	return protobuf_write_object(type, tree, &blob, err) < 0 ? NULL : blob;
}

struct blob *encode_protobuf_stored(const struct request *request, struct stored_object *object, struct arena *scratch,
                                    struct err *err)
{
	struct encoding_slot *slot = is_kept(request) ? stored_object_protobuf(object) : NULL;
	struct blob *blob = slot ? encoding_slot_get(slot) : NULL;

	if (blob)
		return blob;
	blob = encode_anew(request, object, scratch, err);
	if (blob && slot)
		encoding_slot_put(slot, blob);
	return blob;
}

void encode_protobuf_finish_object(struct request *request, int code, struct stored_object *object)
{
	struct err err = ERR_INIT;
	AUTO(blob_unref) struct blob *blob = encode_protobuf_stored(request, object, request->arena, &err);

	if (blob)
		answer_send_blob(request, code, PROTOBUF_MEDIA_TYPE, blob);
	else
		request_finish_status(request, status_internal(request->arena, "%s", err.message));
}

// --- lists --------------------------------------------------------------------------------

struct list_item {
	struct blob *envelope;
	size_t head_length; // tag and length, in `heads`
	size_t offset;      // of the message in the envelope
	size_t length;
};

struct list_encoding {
	struct list_answer answer;
	struct list_item *items;
	struct blob *head;  // up to the first item
	struct blob *heads; // of all items, one after another
	struct err err;
};

static int encode_items(struct request *request, struct list_encoding *encoding, struct strbuf *heads,
                        size_t *ret_bytes)
{
	AUTO(arena_free) struct arena *scratch = arena_new(64 << 10);
	size_t bytes = 0;

	for (size_t i = 0; i < encoding->answer.count; i++) {
		struct list_item *item = &encoding->items[i];
		size_t before = heads->length;

		item->envelope = encode_protobuf_stored(request, encoding->answer.objects[i], scratch, &encoding->err);
		if (!item->envelope)
			return -ERR_INTERNAL;
		protobuf_envelope_message(item->envelope, &item->offset, &item->length);
		wire_append_head(heads, ITEMS_FIELD, item->length);
		item->head_length = heads->length - before;
		bytes += item->head_length + item->length;
		arena_reset(scratch);
	}
	*ret_bytes = bytes;
	return 0;
}

static struct blob *take_blob(struct strbuf *text)
{
	size_t length;
	char *data = strbuf_take(text, &length);

	return blob_new_take(data, length);
}

// `items_bytes` will follow.
static int encode_head(struct request *request, struct list_encoding *encoding, size_t items_bytes)
{
	const struct schema_type *type = protobuf_find_type("meta.k8s.io", "v1", "ListMeta");
	const struct json *head = encode_list_head(request, &encoding->answer);
	AUTO(blob_unref) struct blob *metadata = NULL;
	struct strbuf text = STRBUF_INIT(LIST_MAX_HEAD_BYTES), field = STRBUF_INIT(LIST_MAX_HEAD_BYTES);
	int r = protobuf_write_message(type, json_get(head, "metadata"), &metadata, &encoding->err);

	if (r < 0)
		return r;
	wire_append_text(&field, META_FIELD, metadata->data, metadata->length);
	protobuf_append_envelope_head(&text, json_get_text(head, "apiVersion"), json_get_text(head, "kind"),
	                              field.length + items_bytes);
	strbuf_append(&text, field.data, field.length);
	strbuf_done(&field);
	encoding->head = take_blob(&text);
	return 0;
}

static void build_list(struct request *request)
{
	struct list_encoding *encoding = request->stage_context;
	struct strbuf heads = STRBUF_INIT(LIST_MAX_HEAD_BYTES);
	size_t items_bytes;

	encoding->items = xcalloc(encoding->answer.count + 1, sizeof(*encoding->items));
	if (encode_items(request, encoding, &heads, &items_bytes) == 0)
		(void)encode_head(request, encoding, items_bytes);
	encoding->heads = take_blob(&heads);
}

static struct answer_body list_body(const struct list_encoding *encoding)
{
	AUTO(blob_unref) struct blob *tail = blob_new(PROTOBUF_ENVELOPE_TAIL, PROTOBUF_ENVELOPE_TAIL_BYTES);
	struct answer_body body = ANSWER_BODY_INIT;
	size_t at = 0;

	answer_body_add(&body, encoding->head, 0, encoding->head->length);
	for (size_t i = 0; i < encoding->answer.count; i++) {
		const struct list_item *item = &encoding->items[i];

		answer_body_add(&body, encoding->heads, at, item->head_length);
		answer_body_add(&body, item->envelope, item->offset, item->length);
		at += item->head_length;
	}
	answer_body_add(&body, tail, 0, tail->length);
	return body;
}

static void drop_list(struct list_encoding *encoding)
{
	for (size_t i = 0; i < encoding->answer.count; i++) {
		stored_object_unref(encoding->answer.objects[i]);
		blob_unref(encoding->items[i].envelope);
	}
	free(encoding->answer.objects);
	free(encoding->items);
	blob_unref(encoding->head);
	blob_unref(encoding->heads);
}

static void send_list(struct request *request)
{
	struct list_encoding *encoding = request->stage_context;

	if (encoding->err.code) {
		drop_list(encoding);
		request_finish_status(request, status_internal(request->arena, "%s", encoding->err.message));
		return;
	}
	struct answer_body body = list_body(encoding);

	drop_list(encoding);
	answer_send(request, 200, PROTOBUF_MEDIA_TYPE, &body);
}

void encode_protobuf_finish_list(struct request *request, const struct list_answer *answer)
{
	struct list_encoding *encoding = ARENA_NEW(request->arena, struct list_encoding);

	encoding->answer = *answer;
	request->stage_context = encoding;
	request_run(request, answer->count > LIST_HEAVY_ITEMS, build_list, send_list);
}

// --- watches --------------------------------------------------------------------------------

struct blob *encode_protobuf_frame_head(const char *event_type, size_t envelope_length)
{
	AUTO_STRBUF struct strbuf event = STRBUF_INIT(FRAME_MAX_HEAD_BYTES);
	char head[FRAME_MAX_HEAD_BYTES];
	size_t extension_head = 1 + wire_varint_size(envelope_length);

	wire_append_text(&event, 1, event_type, strlen(event_type));
	wire_append_head(&event, 2, extension_head + envelope_length);
	wire_append_head(&event, 1, envelope_length);

	size_t length = event.length + envelope_length;

	for (size_t i = 0; i < 4; i++)
		head[i] = (char)(length >> 8 * (3 - i));
	memcpy(head + 4, event.data, event.length);
	return blob_new(head, 4 + event.length);
}
