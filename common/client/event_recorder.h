// SPDX-License-Identifier: Apache-2.0
#pragma once
// Records Events (core/v1) about objects: same events within ten minutes become
// one with a count, many alike are aggregated, each source is rate-limited, and
// writing never blocks or fails the caller.

#include "common/base/macros.h"

struct rest_client;
struct event_recorder;

// What the event is about. Texts are copied.
struct event_target {
	const char *api_version;
	const char *kind;
	const char *namespace_name; // "" for cluster scope: the event goes to "default"
	const char *name;
	const char *uid;
	const char *resource_version; // may be NULL
	const char *field_path;       // "spec.containers{web}", may be NULL
};

struct event_recorder *event_recorder_new(struct rest_client *client, const char *component, const char *host);
struct event_recorder *event_recorder_free(struct event_recorder *recorder);

// `type` is "Normal" or "Warning".
void event_record(struct event_recorder *recorder, const struct event_target *target, const char *type,
                  const char *reason, const char *message_format, ...) PRINTF_LIKE(5, 6);
