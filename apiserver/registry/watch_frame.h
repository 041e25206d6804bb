// SPDX-License-Identifier: Apache-2.0
#pragma once
// The frames of a watch: {"type":…,"object":…} and a newline, with the stored
// bytes in the middle where they need no change.

#include <stdint.h>

#include "apiserver/registry/watch_sink.h"

struct stored_object;
struct watch_frames;

enum watch_event_type {
	WATCH_ADDED,
	WATCH_MODIFIED,
	WATCH_DELETED,
	WATCH_BOOKMARK,
	WATCH_ERROR,
	WATCH_EVENT_COUNT_,
};

// The constant pieces, shared by all watches; thread-safe once made.
struct watch_frames *watch_frames_new(void);
struct watch_frames *watch_frames_free(struct watch_frames *frames);

// `at_revision` > 0: the object with this resourceVersion instead of its own.
void watch_frame_send(struct watch_sink *sink, const struct watch_frames *frames, enum watch_event_type type,
                      struct stored_object *object, int64_t at_revision, bool with_columns);
void watch_frame_send_bookmark(struct watch_sink *sink, const struct watch_frames *frames, int64_t revision,
                               bool ends_initial_events);
void watch_frame_send_error(struct watch_sink *sink, const struct watch_frames *frames, const struct status *status);
