// SPDX-License-Identifier: Apache-2.0
#pragma once
// Errors by value. A fallible function returns 0 or -ERR_x and fills the
// caller's `struct err` exactly once; on success it leaves it untouched. The
// table gives each code its Kubernetes reason and HTTP status, so that the
// apiserver's Status answers and the clients' decoding come from one place.

#include <stdarg.h>

#include "common/base/macros.h"

//        code                     metav1 StatusReason        HTTP status
#define ERR_TABLE(X)                                          \
	X(ERR_BAD_REQUEST, "BadRequest", 400)                 \
	X(ERR_UNAUTHORIZED, "Unauthorized", 401)              \
	X(ERR_FORBIDDEN, "Forbidden", 403)                    \
	X(ERR_NOT_FOUND, "NotFound", 404)                     \
	X(ERR_METHOD_NOT_ALLOWED, "MethodNotAllowed", 405)    \
	X(ERR_NOT_ACCEPTABLE, "NotAcceptable", 406)           \
	X(ERR_ALREADY_EXISTS, "AlreadyExists", 409)           \
	X(ERR_CONFLICT, "Conflict", 409)                      \
	X(ERR_GONE, "Gone", 410)                              \
	X(ERR_EXPIRED, "Expired", 410)                        \
	X(ERR_TOO_LARGE, "RequestEntityTooLarge", 413)        \
	X(ERR_UNSUPPORTED_MEDIA, "UnsupportedMediaType", 415) \
	X(ERR_INVALID, "Invalid", 422)                        \
	X(ERR_TOO_MANY_REQUESTS, "TooManyRequests", 429)      \
	X(ERR_INTERNAL, "InternalError", 500)                 \
	X(ERR_UNAVAILABLE, "ServiceUnavailable", 503)         \
	X(ERR_SERVER_TIMEOUT, "ServerTimeout", 504)           \
	X(ERR_TIMEOUT, "Timeout", 504)                        \
	X(ERR_IO, "InternalError", 500)                       \
	X(ERR_PARSE, "BadRequest", 400)                       \
	X(ERR_CANCELLED, "InternalError", 500)

enum err_code {
	ERR_NONE,
#define ERR_ENUM_ROW(code, reason, status) code,
	ERR_TABLE(ERR_ENUM_ROW)
#undef ERR_ENUM_ROW
	        ERR_COUNT_,
};

struct err {
	enum err_code code;
	char message[240]; // cut with an ellipsis when longer
};

#define ERR_INIT ((struct err){.code = ERR_NONE})

// Sets a fresh error and returns -code. Asserts that none was set before.
// `err` may be NULL when the caller has no use for the text.
int err_set(struct err *err, enum err_code code, const char *format, ...) PRINTF_LIKE(3, 4);

// The same, ending in ": " and the text of `error_number` (an errno value).
int err_set_errno(struct err *err, int error_number, const char *format, ...) PRINTF_LIKE(3, 4);

// Puts context in front of a set error ("context: message"); returns -code.
int err_wrap(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3);

// Copies a set error into another (unset) one; returns -code.
int err_copy(struct err *to, const struct err *from);

// Makes the error unset again, for retry loops.
void err_clear(struct err *err);

// "NotFound" and 404 of a code; "InternalError"/500 for a code out of range.
const char *err_code_reason(enum err_code code);
int err_code_http_status(enum err_code code);

// The code of a Status answer; reason may be NULL or unknown, then the status decides.
enum err_code err_code_from_status(const char *reason, int http_status);
