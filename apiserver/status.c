// SPDX-License-Identifier: Apache-2.0
// Status bodies. The wording is upstream's (apimachinery's api/errors): clients
// and people match it. Code, reason and HTTP status come from the error table.

#include "apiserver/status.h"

#include <stdarg.h>

static struct status *make(struct arena *arena, enum err_code code)
{
	struct status *status = ARENA_NEW(arena, struct status);

	status->code = err_code_http_status(code);
	status->reason = err_code_reason(code);
	return status;
}

static struct status *make_for(struct arena *arena, enum err_code code, const struct schema_resource *resource,
                               const char *name)
{
	struct status *status = make(arena, code);

	if (resource) {
		status->group = resource->group;
		status->kind = resource->plural;
	}
	status->name = name;
	return status;
}

const struct status *status_new(struct arena *arena, enum err_code code, const char *format, ...)
{
	struct status *status = make(arena, code);
	va_list args;

	va_start(args, format);
	status->message = arena_vprintf(arena, format, args);
	va_end(args);
	return status;
}

const struct status *status_new_for(struct arena *arena, enum err_code code, const struct schema_resource *resource,
                                    const char *name, const char *format, ...)
{
	struct status *status = make_for(arena, code, resource, name);
	va_list args;

	va_start(args, format);
	status->message = arena_vprintf(arena, format, args);
	va_end(args);
	return status;
}

const char *status_qualified_resource(struct arena *arena, const struct schema_resource *resource)
{
	if (!resource->group[0])
		return resource->plural;
	return arena_printf(arena, "%s.%s", resource->plural, resource->group);
}

const struct status *status_not_found(struct arena *arena, const struct schema_resource *resource, const char *name)
{
	return status_new_for(arena, ERR_NOT_FOUND, resource, name, "%s \"%s\" not found",
	                      status_qualified_resource(arena, resource), name);
}

const struct status *status_already_exists(struct arena *arena, const struct schema_resource *resource,
                                           const char *name)
{
	return status_new_for(arena, ERR_ALREADY_EXISTS, resource, name, "%s \"%s\" already exists",
	                      status_qualified_resource(arena, resource), name);
}

const struct status *status_conflict(struct arena *arena, const struct schema_resource *resource, const char *name,
                                     const char *why)
{
	return status_new_for(arena, ERR_CONFLICT, resource, name, "Operation cannot be fulfilled on %s \"%s\": %s",
	                      status_qualified_resource(arena, resource), name,
	                      why ? why
	                          : "the object has been modified; please apply your changes to the latest version and "
	                            "try again");
}

const struct status *status_invalid_field(struct arena *arena, const char *field, const char *message)
{
	struct status *status = make(arena, ERR_INVALID);

	status->message = arena_printf(arena, " \"\" is invalid: %s: %s", field, message);
	return status_with_cause(
	        arena, status,
	        (struct status_cause){.reason = "FieldValueInvalid", .message = message, .field = field});
}

const struct status *status_forbidden(struct arena *arena, const struct schema_resource *resource, const char *name,
                                      const char *why)
{
	const char *qualified = status_qualified_resource(arena, resource);

	if (!name || !name[0])
		return status_new_for(arena, ERR_FORBIDDEN, resource, NULL, "%s is forbidden: %s", qualified, why);
	return status_new_for(arena, ERR_FORBIDDEN, resource, name, "%s \"%s\" is forbidden: %s", qualified, name, why);
}

const struct status *status_no_such_path(struct arena *arena)
{
	return status_new(arena, ERR_NOT_FOUND, "the server could not find the requested resource");
}

const struct status *status_method_not_allowed(struct arena *arena)
{
	return status_new(arena, ERR_METHOD_NOT_ALLOWED,
	                  "the server does not allow this method on the requested resource");
}

const struct status *status_internal(struct arena *arena, const char *format, ...)
{
	struct status *status = make(arena, ERR_INTERNAL);
	va_list args;
	char *text;

	va_start(args, format);
	text = arena_vprintf(arena, format, args);
	va_end(args);
	status->message = arena_printf(arena, "Internal error occurred: %s", text);
	status->causes = ARENA_NEW(arena, struct status_cause);
	status->causes[0].message = text;
	status->cause_count = 1;
	return status;
}

const struct status *status_too_many_requests(struct arena *arena, int retry_after_seconds, const char *message)
{
	struct status *status = make(arena, ERR_TOO_MANY_REQUESTS);

	status->message = message;
	status->retry_after_seconds = retry_after_seconds;
	return status;
}

const struct status *status_expired(struct arena *arena, const char *message, const char *continue_token)
{
	struct status *status = make(arena, ERR_EXPIRED);

	status->message = message;
	status->continue_token = continue_token;
	return status;
}

const struct status *status_with_cause(struct arena *arena, const struct status *status, struct status_cause cause)
{
	struct status *copy = ARENA_NEW(arena, struct status);

	*copy = *status;
	copy->causes = ARENA_ARRAY(arena, struct status_cause, status->cause_count + 1);
	for (size_t i = 0; i < status->cause_count; i++)
		copy->causes[i] = status->causes[i];
	copy->causes[copy->cause_count++] = cause;
	return copy;
}

// Storage's "revision too new": upstream says so with a cause that clients look for.
static const struct status *too_large_version(struct arena *arena, const char *message)
{
	struct status *status = make(arena, ERR_TIMEOUT);

	status->message = arena_printf(arena, "Timeout: %s", message);
	status->retry_after_seconds = 1;
	return status_with_cause(
	        arena, status,
	        (struct status_cause){.reason = "ResourceVersionTooLarge", .message = "Too large resource version"});
}

const struct status *status_from_err(struct arena *arena, const struct err *err, const struct schema_resource *resource,
                                     const char *name)
{
	switch (err->code) {
	case ERR_NOT_FOUND:
		return status_not_found(arena, resource, name ? name : "");
	case ERR_ALREADY_EXISTS:
		return status_already_exists(arena, resource, name ? name : "");
	case ERR_CONFLICT:
		return status_conflict(arena, resource, name ? name : "", NULL);
	case ERR_EXPIRED:
	case ERR_GONE:
		return status_expired(arena, arena_strdup(arena, err->message), NULL);
	case ERR_TIMEOUT:
		return too_large_version(arena, err->message);
	case ERR_UNAVAILABLE:
		// No Retry-After: a client would repeat the call ten times before it tells anybody.
	case ERR_TOO_LARGE:
	case ERR_BAD_REQUEST:
	case ERR_SERVER_TIMEOUT:
		return status_new(arena, err->code, "%s", err->message);
	default:
		return status_internal(arena, "%s", err->message);
	}
}

static void add_text(struct arena *arena, struct json *object, const char *key, const char *text)
{
	if (text && text[0])
		json_set_text(arena, object, key, text);
}

static struct json *causes_to_json(struct arena *arena, const struct status *status)
{
	struct json *causes = json_array(arena);

	for (size_t i = 0; i < status->cause_count; i++) {
		struct json *cause = json_object(arena);

		add_text(arena, cause, "reason", status->causes[i].reason);
		add_text(arena, cause, "message", status->causes[i].message);
		add_text(arena, cause, "field", status->causes[i].field);
		json_append(arena, causes, cause);
	}
	return causes;
}

static struct json *details_to_json(struct arena *arena, const struct status *status)
{
	struct json *details = json_object(arena);

	add_text(arena, details, "name", status->name);
	add_text(arena, details, "group", status->group);
	add_text(arena, details, "kind", status->kind);
	add_text(arena, details, "uid", status->uid);
	if (status->cause_count)
		json_set(arena, details, "causes", causes_to_json(arena, status));
	if (status->retry_after_seconds)
		json_set_integer(arena, details, "retryAfterSeconds", status->retry_after_seconds);
	return details;
}

static struct json *status_head(struct arena *arena)
{
	struct json *body = json_object(arena);

	json_set_text(arena, body, "kind", "Status");
	json_set_text(arena, body, "apiVersion", "v1");
	json_set(arena, body, "metadata", json_object(arena));
	return body;
}

struct json *status_to_json(struct arena *arena, const struct status *status)
{
	struct json *body = status_head(arena);
	struct json *details = details_to_json(arena, status);

	add_text(arena, json_get(body, "metadata"), "continue", status->continue_token);
	json_set_text(arena, body, "status", "Failure");
	add_text(arena, body, "message", status->message);
	add_text(arena, body, "reason", status->reason);
	if (details->length)
		json_set(arena, body, "details", details);
	json_set_integer(arena, body, "code", status->code);
	return body;
}

struct json *status_success(struct arena *arena, const struct schema_resource *resource, const char *name,
                            const char *uid)
{
	struct status described = {.name = name, .group = resource->group, .kind = resource->plural, .uid = uid};
	struct json *body = status_head(arena);

	json_set_text(arena, body, "status", "Success");
	json_set(arena, body, "details", details_to_json(arena, &described));
	return body;
}
