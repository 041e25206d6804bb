// SPDX-License-Identifier: Apache-2.0
// Most events of JSON watches are the stored bytes themselves between two constant
// pieces, shared by all watches and never copied. Other forms (tables, metadata
// only, another revision) are made for the one watch that asked for them; protobuf
// of whole objects comes from the object's own cached encoding.

#include "apiserver/registry/watch_frame.h"

#include <stdio.h>
#include <string.h>

#include "apiserver/encoding/encode.h"
#include "apiserver/encoding/encode_protobuf.h"
#include "apiserver/object_io.h"
#include "apiserver/storage/storage.h"
#include "common/base/blob.h"
#include "common/base/memory.h"

enum {
	FRAME_MAX_BYTES = 64 << 20,
};

struct watch_frames {
	struct blob *heads[WATCH_EVENT_COUNT_];
	struct blob *tail;
};

static const char *const type_names[WATCH_EVENT_COUNT_] = {
        [WATCH_ADDED] = "ADDED",       [WATCH_MODIFIED] = "MODIFIED", [WATCH_DELETED] = "DELETED",
        [WATCH_BOOKMARK] = "BOOKMARK", [WATCH_ERROR] = "ERROR",
};

struct watch_frames *watch_frames_new(void)
{
	struct watch_frames *frames = NEW(struct watch_frames);

	for (size_t i = 0; i < WATCH_EVENT_COUNT_; i++) {
		char *text = xasprintf("{\"type\":\"%s\",\"object\":", type_names[i]);

		frames->heads[i] = blob_new_take(text, strlen(text));
	}
	frames->tail = blob_new("}\n", 2);
	return frames;
}

struct watch_frames *watch_frames_free(struct watch_frames *frames)
{
	if (!frames)
		return NULL;
	for (size_t i = 0; i < WATCH_EVENT_COUNT_; i++)
		blob_unref(frames->heads[i]);
	blob_unref(frames->tail);
	free(frames);
	return NULL;
}

static void send_blob(const struct request *request, const struct watch_frames *frames, enum watch_event_type type,
                      struct blob *json)
{
	struct blob *head = frames->heads[type];

	http_exchange_write(request->exchange, head, 0, head->length);
	http_exchange_write(request->exchange, json, 0, json->length);
	http_exchange_write(request->exchange, frames->tail, 0, frames->tail->length);
}

static void send_envelope(const struct request *request, enum watch_event_type type, struct blob *envelope)
{
	AUTO(blob_unref) struct blob *head = encode_protobuf_frame_head(type_names[type], envelope->length);

	http_exchange_write(request->exchange, head, 0, head->length);
	http_exchange_write(request->exchange, envelope, 0, envelope->length);
}

// Everything that a protobuf watch sends has a protobuf form.
static void send_protobuf_tree(const struct request *request, enum watch_event_type type, const struct json *tree)
{
	AUTO(blob_unref) struct blob *envelope = encode_protobuf_tree(tree);

	if (envelope)
		send_envelope(request, type, envelope);
}

static void send_protobuf_object(const struct request *request, enum watch_event_type type,
                                 struct stored_object *object)
{
	AUTO(blob_unref) struct blob *envelope = encode_protobuf_stored(request, object, NULL, NULL);

	if (envelope)
		send_envelope(request, type, envelope);
}

static void send_tree(const struct request *request, const struct watch_frames *frames, enum watch_event_type type,
                      const struct json *tree)
{
	if (request->output.format == OUTPUT_PROTOBUF) {
		send_protobuf_tree(request, type, tree);
		return;
	}

	struct strbuf text = STRBUF_INIT(FRAME_MAX_BYTES);
	size_t length;
	char *data;

	json_write(&text, tree);
	data = strbuf_take(&text, &length);
	AUTO(blob_unref) struct blob *blob = blob_new_take(data, length);

	send_blob(request, frames, type, blob);
}

static void set_revision(struct arena *arena, struct json *tree, int64_t revision)
{
	json_set_text(arena, json_ensure_object(arena, tree, "metadata"), "resourceVersion",
	              arena_printf(arena, "%lld", (long long)revision));
}

void watch_frame_send(const struct request *request, const struct watch_frames *frames, enum watch_event_type type,
                      struct stored_object *object, int64_t at_revision, bool with_columns)
{
	AUTO(arena_free) struct arena *scratch = NULL;
	struct json *tree;

	if (!at_revision && encode_is_plain(request)) {
		send_blob(request, frames, type, object->json);
		return;
	}
	if (!at_revision && request->output.format == OUTPUT_PROTOBUF) {
		send_protobuf_object(request, type, object);
		return;
	}
	scratch = arena_new(0);
	tree = object_load_plain(scratch, request_resource(request), object, NULL);
	if (!tree)
		return;
	if (at_revision)
		set_revision(scratch, tree, at_revision);
	send_tree(request, frames, type,
	          encode_shape(scratch, request, tree, with_columns, loop_realtime_ns(request->loop)));
}

void watch_frame_send_bookmark(const struct request *request, const struct watch_frames *frames, int64_t revision,
                               bool ends_initial_events)
{
	AUTO(arena_free) struct arena *scratch = arena_new(0);
	const struct schema_resource *resource = request_resource(request);
	struct json *tree = json_object(scratch);

	json_set_text(scratch, tree, "kind", resource->kind);
	json_set_text(scratch, tree, "apiVersion",
	              resource->group[0] ? arena_printf(scratch, "%s/%s", resource->group, resource->version)
	                                 : resource->version);
	set_revision(scratch, tree, revision);
	json_set(scratch, json_get(tree, "metadata"), "creationTimestamp", json_null(scratch));
	if (ends_initial_events)
		json_set_text(scratch, json_ensure_object(scratch, json_get(tree, "metadata"), "annotations"),
		              "k8s.io/initial-events-end", "true");
	send_tree(request, frames, WATCH_BOOKMARK,
	          encode_shape(scratch, request, tree, false, loop_realtime_ns(request->loop)));
}

void watch_frame_send_error(const struct request *request, const struct watch_frames *frames,
                            const struct status *status)
{
	AUTO(arena_free) struct arena *scratch = arena_new(0);

	send_tree(request, frames, WATCH_ERROR, status_to_json(scratch, status));
}
