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

static void send_blob(struct watch_sink *sink, const struct watch_frames *frames, enum watch_event_type type,
                      struct blob *json)
{
	struct blob *pieces[] = {frames->heads[type], json, frames->tail};

	watch_sink_write(sink, pieces, ARRAY_SIZE(pieces));
}

static void send_envelope(struct watch_sink *sink, enum watch_event_type type, struct blob *envelope)
{
	AUTO(blob_unref) struct blob *head = encode_protobuf_frame_head(type_names[type], envelope->length);

	struct blob *pieces[] = {head, envelope};

	watch_sink_write(sink, pieces, ARRAY_SIZE(pieces));
}

// Everything that a protobuf watch sends has a protobuf form.
static void send_protobuf_tree(struct watch_sink *sink, enum watch_event_type type, const struct json *tree)
{
	AUTO(blob_unref) struct blob *envelope = encode_protobuf_tree(tree);

	if (envelope)
		send_envelope(sink, type, envelope);
}

static void send_protobuf_object(struct watch_sink *sink, enum watch_event_type type, struct stored_object *object)
{
	AUTO(blob_unref) struct blob *envelope = encode_protobuf_stored(sink->request, object, NULL, NULL);

	if (envelope)
		send_envelope(sink, type, envelope);
}

static void send_tree(struct watch_sink *sink, const struct watch_frames *frames, enum watch_event_type type,
                      const struct json *tree)
{
	if (sink->request->output.format == OUTPUT_PROTOBUF) {
		send_protobuf_tree(sink, type, tree);
		return;
	}

	struct strbuf text = STRBUF_INIT(FRAME_MAX_BYTES);
	size_t length;
	char *data;

	json_write(&text, tree);
	data = strbuf_take(&text, &length);
	AUTO(blob_unref) struct blob *blob = blob_new_take(data, length);

	send_blob(sink, frames, type, blob);
}

static void set_revision(struct arena *arena, struct json *tree, int64_t revision)
{
	json_set_text(arena, json_ensure_object(arena, tree, "metadata"), "resourceVersion",
	              arena_printf(arena, "%lld", (long long)revision));
}

void watch_frame_send(struct watch_sink *sink, const struct watch_frames *frames, enum watch_event_type type,
                      struct stored_object *object, int64_t at_revision, bool with_columns)
{
	const struct request *request = sink->request;
	AUTO(arena_free) struct arena *scratch = NULL;
	struct json *tree;

	if (!at_revision && encode_is_plain(request)) {
		send_blob(sink, frames, type, object->json);
		return;
	}
	if (!at_revision && request->output.format == OUTPUT_PROTOBUF) {
		send_protobuf_object(sink, type, object);
		return;
	}
	scratch = arena_new(0);
	tree = object_load_plain(scratch, request_resource(request), object, NULL);
	if (!tree)
		return;
	if (at_revision)
		set_revision(scratch, tree, at_revision);
	send_tree(sink, frames, type,
	          encode_shape(scratch, request, tree, with_columns, loop_realtime_ns(request->loop)));
}

void watch_frame_send_bookmark(struct watch_sink *sink, const struct watch_frames *frames, int64_t revision,
                               bool ends_initial_events)
{
	const struct request *request = sink->request;
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
	send_tree(sink, frames, WATCH_BOOKMARK,
	          encode_shape(scratch, request, tree, false, loop_realtime_ns(request->loop)));
}

void watch_frame_send_error(struct watch_sink *sink, const struct watch_frames *frames, const struct status *status)
{
	AUTO(arena_free) struct arena *scratch = arena_new(0);

	send_tree(sink, frames, WATCH_ERROR, status_to_json(scratch, status));
}
