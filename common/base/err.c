// SPDX-License-Identifier: Apache-2.0
// An error is a value of its caller's, never on the heap. A message that doesn't fit
// ends with "...". Setting one that is set already would hide the first cause, hence
// the assertions.

#include "common/base/err.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

struct err_row {
	const char *reason;
	int http_status;
};

static const struct err_row err_rows[ERR_COUNT_] = {
#define ERR_STRUCT_ROW(code, reason_text, status) [code] = {.reason = (reason_text), .http_status = (status)},
        ERR_TABLE(ERR_STRUCT_ROW)
#undef ERR_STRUCT_ROW
};

static void mark_truncated(struct err *err)
{
	memcpy(err->message + sizeof(err->message) - 4, "...", 4);
}

static void err_fill(struct err *err, enum err_code code, const char *format, va_list args, const char *suffix)
{
	assert(err->code == ERR_NONE);
	err->code = code;
	int length = vsnprintf(err->message, sizeof(err->message), format, args);
	size_t used = length < 0 ? 0 : (size_t)length;
	if (used < sizeof(err->message) && suffix) {
		int added = snprintf(err->message + used, sizeof(err->message) - used, ": %s", suffix);
		used += added < 0 ? 0 : (size_t)added;
	}
	if (used >= sizeof(err->message))
		mark_truncated(err);
}

int err_set(struct err *err, enum err_code code, const char *format, ...)
{
	if (err) {
		va_list args;
		va_start(args, format);
		err_fill(err, code, format, args, NULL);
		va_end(args);
	}
	return -(int)code;
}

int err_set_errno(struct err *err, int error_number, const char *format, ...)
{
	if (err) {
		char text[96];
		va_list args;
		va_start(args, format);
		err_fill(err, ERR_IO, format, args, strerror_r(error_number, text, sizeof(text)));
		va_end(args);
	}
	return -ERR_IO;
}

int err_wrap(struct err *err, const char *format, ...)
{
	if (!err)
		return -ERR_INTERNAL;
	assert(err->code != ERR_NONE);
	char context[sizeof(err->message)];
	va_list args;
	va_start(args, format);
	vsnprintf(context, sizeof(context), format, args);
	va_end(args);
	char inner[sizeof(err->message)];
	memcpy(inner, err->message, sizeof(inner));
	int length = snprintf(err->message, sizeof(err->message), "%s: %s", context, inner);
	if (length >= (int)sizeof(err->message))
		mark_truncated(err);
	return -(int)err->code;
}

int err_copy(struct err *to, const struct err *from)
{
	assert(from->code != ERR_NONE);
	if (to) {
		assert(to->code == ERR_NONE);
		*to = *from;
	}
	return -(int)from->code;
}

void err_clear(struct err *err)
{
	if (err)
		*err = ERR_INIT;
}

static enum err_code known(enum err_code code)
{
	return code > ERR_NONE && code < ERR_COUNT_ ? code : ERR_INTERNAL;
}

const char *err_code_reason(enum err_code code)
{
	return err_rows[known(code)].reason;
}

int err_code_http_status(enum err_code code)
{
	return err_rows[known(code)].http_status;
}

enum err_code err_code_from_status(const char *reason, int http_status)
{
	for (enum err_code code = ERR_NONE + 1; reason && code < ERR_COUNT_; code++)
		if (strcmp(err_rows[code].reason, reason) == 0)
			return code;
	for (enum err_code code = ERR_NONE + 1; code < ERR_COUNT_; code++)
		if (err_rows[code].http_status == http_status)
			return code;
	return ERR_INTERNAL;
}
