// SPDX-License-Identifier: Apache-2.0
#pragma once
// Answers in protobuf: single objects, lists and watch frames. A stored object is
// encoded on its first use and the bytes are kept beside it, so that neither a
// list nor another watcher encodes it again.

#include "apiserver/request.h"
#include "common/base/blob.h"

struct list_answer;
struct stored_object;

// The envelope of a tree by its own apiVersion and kind. NULL: it has no protobuf form, JSON must do.
struct blob *encode_protobuf_tree(const struct json *tree);

// The envelope of a stored object in the form and shape that the request asks
// for (never a Table). NULL with err set when it can't be read. `scratch` may be
// NULL. One reference for the caller.
struct blob *encode_protobuf_stored(const struct request *request, struct stored_object *object, struct arena *scratch,
                                    struct err *err);

// Ends the request; as encode_finish_object and encode_finish_list.
void encode_protobuf_finish_object(struct request *request, int code, struct stored_object *object);
void encode_protobuf_finish_list(struct request *request, const struct list_answer *answer);

// What goes before an envelope in a watch's stream: the frame's length and WatchEvent's head.
struct blob *encode_protobuf_frame_head(const char *event_type, size_t envelope_length);
