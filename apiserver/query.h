// SPDX-License-Identifier: Apache-2.0
#pragma once
// Query strings and the options of requests (Get-, List-, Create-, Patch-,
// UpdateOptions and the DeleteOptions that may come as a query or as a body).

#include <stdbool.h>
#include <stdint.h>

#include "apiserver/status.h"
#include "common/api/decode.h"
#include "common/api/json.h"
#include "common/base/arena.h"

struct query_pair {
	const char *name;
	const char *value;
};

struct query {
	struct query_pair *pairs;
	size_t count;
};

enum delete_propagation {
	PROPAGATION_UNSET,
	PROPAGATION_ORPHAN,
	PROPAGATION_BACKGROUND,
	PROPAGATION_FOREGROUND,
};

struct request_options {
	bool dry_run;
	bool pretty;
	bool watch;
	bool allow_watch_bookmarks;
	bool send_initial_events;
	bool has_send_initial_events;
	bool force;
	enum field_validation field_validation;
	const char *field_manager;
	const char *label_selector;
	const char *field_selector;
	const char *resource_version;       // "" = unset
	const char *resource_version_match; // "" = unset
	const char *continue_token;
	int64_t limit;
	int64_t timeout_seconds;    // 0 = unset
	const char *include_object; // of Tables: "", None, Metadata, Object
	// deletes
	bool has_grace_period;
	int64_t grace_period_seconds;
	enum delete_propagation propagation;
	bool has_orphan_dependents;
	bool orphan_dependents;
	const char *precondition_uid;
	const char *precondition_resource_version;
};

// Decodes "%41+b" within the arena; false on a bad escape or a NUL.
bool query_unescape(struct arena *arena, const char *text, size_t length, bool plus_is_space, const char **ret_text);

// Splits and decodes; at most 200 pairs.
const struct status *query_parse(struct arena *arena, const char *text, struct query *ret_query);

// The first value, NULL = none.
const char *query_get(const struct query *query, const char *name);
bool query_get_bool(const struct query *query, const char *name);

const struct status *request_options_parse(struct arena *arena, const struct query *query,
                                           struct request_options *ret_options);

// Lays a DeleteOptions body over options from the query.
const struct status *request_options_add_delete(struct arena *arena, const struct json *body,
                                                struct request_options *options);
