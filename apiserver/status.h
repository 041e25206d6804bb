// SPDX-License-Identifier: Apache-2.0
#pragma once
// The Status object (metav1) that answers every failure, in upstream's wording.
// A stage returns `const struct status *`: NULL is success, anything else is the
// answer. All of it lives in the request's arena.

#include <stdint.h>

#include "common/api/json.h"
#include "common/api/schema.h"
#include "common/base/arena.h"
#include "common/base/err.h"

struct status_cause {
	const char *reason;
	const char *message;
	const char *field;
};

struct status {
	int code;
	const char *reason; // "" = unknown
	const char *message;
	const char *name; // details; NULL = left out
	const char *group;
	const char *kind;
	const char *uid;
	struct status_cause *causes;
	size_t cause_count;
	int retry_after_seconds;
	const char *continue_token; // metadata.continue of expired lists
};

// A Status with a free message and no details.
const struct status *status_new(struct arena *arena, enum err_code code, const char *format, ...) PRINTF_LIKE(3, 4);

// The same with the details of a resource's object (`name` may be NULL).
const struct status *status_new_for(struct arena *arena, enum err_code code, const struct schema_resource *resource,
                                    const char *name, const char *format, ...) PRINTF_LIKE(5, 6);

const struct status *status_not_found(struct arena *arena, const struct schema_resource *resource, const char *name);
const struct status *status_already_exists(struct arena *arena, const struct schema_resource *resource,
                                           const char *name);
// `why` NULL: the object has been modified.
const struct status *status_conflict(struct arena *arena, const struct schema_resource *resource, const char *name,
                                     const char *why);
// 422 about one field of the request itself, of no object.
const struct status *status_invalid_field(struct arena *arena, const char *field, const char *message);
const struct status *status_forbidden(struct arena *arena, const struct schema_resource *resource, const char *name,
                                      const char *why);
// The 404 and 405 of paths and methods that aren't served.
const struct status *status_no_such_path(struct arena *arena);
const struct status *status_method_not_allowed(struct arena *arena);
const struct status *status_internal(struct arena *arena, const char *format, ...) PRINTF_LIKE(2, 3);
const struct status *status_too_many_requests(struct arena *arena, int retry_after_seconds, const char *message);
const struct status *status_expired(struct arena *arena, const char *message, const char *continue_token);

// An error of storage (or of a lower layer) about an object.
const struct status *status_from_err(struct arena *arena, const struct err *err, const struct schema_resource *resource,
                                     const char *name);

// A copy with one more cause.
const struct status *status_with_cause(struct arena *arena, const struct status *status, struct status_cause cause);

// "pods" or "deployments.apps".
const char *status_qualified_resource(struct arena *arena, const struct schema_resource *resource);

struct json *status_to_json(struct arena *arena, const struct status *status);
// The body of a delete that left nothing: status Success with the object's details.
struct json *status_success(struct arena *arena, const struct schema_resource *resource, const char *name,
                            const char *uid);
