// SPDX-License-Identifier: Apache-2.0
#pragma once
// What every API object in tree form has: accessors for its type and metadata,
// and the API's time format.

#include <stdbool.h>
#include <stdint.h>

#include "common/api/json.h"

const char *object_api_version(const struct json *object);
const char *object_kind(const struct json *object);
struct json *object_metadata(const struct json *object); // NULL = none
const char *object_name(const struct json *object);
const char *object_namespace(const struct json *object); // NULL or "" for cluster scope
const char *object_uid(const struct json *object);
const char *object_resource_version(const struct json *object);
bool object_is_being_deleted(const struct json *object);

// The condition of this type in a status; added, with its type alone, when it isn't there.
struct json *object_ensure_condition(struct arena *arena, struct json *status, const char *type);

// "apps/v1" to group and version; core's "v1" has group "". Copies into the arena.
void api_version_split(struct arena *arena, const char *api_version, const char **ret_group, const char **ret_version);

// RFC 3339 in UTC: seconds ("2006-01-02T15:04:05Z", 21 bytes) and microseconds ("….000000Z", 28 bytes).
#define API_TIME_BYTES 40
void api_time_format(int64_t realtime_ns, char out[API_TIME_BYTES]);
void api_micro_time_format(int64_t realtime_ns, char out[API_TIME_BYTES]);
// Any RFC 3339 time; false when malformed or NULL.
bool api_time_parse(const char *text, int64_t *ret_realtime_ns);
// The same in two parts, without int64_t nanoseconds' narrow bounds: seconds since 1970 (of the years 0 to 9999) and
// nanoseconds of the second.
bool api_time_parse_parts(const char *text, int64_t *ret_seconds, int32_t *ret_nanoseconds);
void api_time_format_parts(int64_t seconds, int32_t nanoseconds, bool micro, char out[API_TIME_BYTES]);
// kubectl's age form: 5s, 2m3s, 4h, 12d.
#define HUMAN_DURATION_BYTES 32
void human_duration(int64_t duration_ns, char out[HUMAN_DURATION_BYTES]);

// "namespace/name" or "name", in the arena: the key of stores and work queues.
char *object_key(struct arena *arena, const char *namespace_name, const char *name);
