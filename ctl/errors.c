// SPDX-License-Identifier: Apache-2.0
// Errors reach the user in three shapes: the tool's own ("error: …"), a Status of
// the server ("Error from server (Reason): …", or "The KIND "NAME" is invalid"
// with its causes), and a server that can't be reached.

#include "ctl/errors.h"

#include <stdarg.h>
#include <string.h>

#include "common/base/strbuf.h"

enum { MESSAGE_MAX_BYTES = 1 << 20 };

static void write_error_line(struct ctl *ctl, const char *text)
{
	bool prefixed = strncmp(text, "error: ", 7) == 0;
	size_t length = strlen(text);
	fprintf(ctl->err, "%s%s%s", prefixed ? "" : "error: ", text, length && text[length - 1] == '\n' ? "" : "\n");
	ctl->failed = true;
}

int report(struct ctl *ctl, const char *format, ...)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(MESSAGE_MAX_BYTES);
	va_list args;
	va_start(args, format);
	strbuf_vprintf(&text, format, args);
	va_end(args);
	write_error_line(ctl, strbuf_text(&text));
	return EXIT_PROBLEM;
}

int report_err(struct ctl *ctl, const struct err *err)
{
	write_error_line(ctl, err->message);
	return EXIT_PROBLEM;
}

int report_usage(struct ctl *ctl, const char *format, ...)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(MESSAGE_MAX_BYTES);
	va_list args;
	va_start(args, format);
	strbuf_vprintf(&text, format, args);
	va_end(args);
	write_error_line(ctl, strbuf_text(&text));
	fprintf(ctl->err, "See '%s -h' for help and examples\n", ctl->command_path);
	return EXIT_PROBLEM;
}

// --- no answer -----------------------------------------------------------------------

// "host:port" of the server's URL.
static const char *server_address(struct ctl *ctl)
{
	const char *server = ctl->config.server ? ctl->config.server : "";
	const char *slashes = strstr(server, "://");
	const char *start = slashes ? slashes + 3 : server;
	return arena_strndup(ctl->arena, start, strcspn(start, "/"));
}

// The transport's own words, without the `Get "https://…": ` in front of them.
static const char *transport_cause(const char *message)
{
	const char *end = strstr(message, "\": ");
	return end ? end + 3 : message;
}

int report_call_err(struct ctl *ctl, const struct err *err)
{
	static bool told; // every further call fails in the same way
	ctl->failed = true;
	if (told)
		return EXIT_PROBLEM;
	told = true;
	if (strstr(err->message, "connection refused"))
		fprintf(ctl->err,
		        "The connection to the server %s was refused - did you specify the right host or port?\n",
		        server_address(ctl));
	else
		fprintf(ctl->err, "Unable to connect to the server: %s\n", transport_cause(err->message));
	return EXIT_PROBLEM;
}

// --- a Status -------------------------------------------------------------------------

static const char *cause_text(struct ctl *ctl, const struct json *cause)
{
	const char *field = json_get_text(cause, "field");
	const char *message = json_get_text(cause, "message");
	return arena_printf(ctl->arena, "%s: %s", field ? field : "", message ? message : "");
}

static bool is_repeated(struct ctl *ctl, const struct json *causes, size_t index)
{
	const char *text = cause_text(ctl, causes->items[index]);
	for (size_t i = 0; i < index; i++)
		if (strcmp(text, cause_text(ctl, causes->items[i])) == 0)
			return true;
	return false;
}

static void write_causes(struct ctl *ctl, const struct json *causes)
{
	size_t distinct = 0;
	for (size_t i = 0; i < causes->length; i++)
		distinct += !is_repeated(ctl, causes, i);
	if (distinct == 1) {
		fprintf(ctl->err, ": %s\n", cause_text(ctl, causes->items[0]));
		return;
	}
	fputs(": \n", ctl->err);
	for (size_t i = 0; i < causes->length; i++)
		if (!is_repeated(ctl, causes, i))
			fprintf(ctl->err, "* %s\n", cause_text(ctl, causes->items[i]));
}

static void write_invalid(struct ctl *ctl, const struct json *status, const char *message)
{
	const struct json *details = json_get(status, "details");
	const struct json *causes = json_get(details, "causes");
	const char *kind = json_get_text(details, "kind");
	const char *name = json_get_text(details, "name");
	bool has_causes = json_is(causes, JSON_ARRAY) && causes->length > 0;
	if ((kind && kind[0]) || (name && name[0]))
		fprintf(ctl->err, "The %s \"%s\" is invalid", kind ? kind : "", name ? name : "");
	else if (details && !has_causes && message[0])
		fprintf(ctl->err, "The request is invalid: %s", message);
	else
		fputs("The request is invalid", ctl->err);
	if (has_causes)
		write_causes(ctl, causes);
	else
		fputc('\n', ctl->err);
}

static bool is_status(const struct json *object)
{
	const char *kind = json_get_text(object, "kind");
	return kind && strcmp(kind, "Status") == 0;
}

int report_response(struct ctl *ctl, const struct rest_response *response, const char *doing)
{
	if (response->http_status == 0)
		return report_call_err(ctl, &response->err);
	const struct json *status = is_status(response->object) ? response->object : NULL;
	const char *message = json_get_text(status, "message");
	const char *reason = json_get_text(status, "reason");
	if (!message)
		message = response->err.message;
	if (!reason)
		reason = status ? "" : err_code_reason(response->err.code);
	ctl->failed = true;
	if (strcmp(reason, "Invalid") == 0) {
		write_invalid(ctl, status, message);
		return EXIT_PROBLEM;
	}
	if (strcmp(reason, "Unauthorized") == 0) {
		fprintf(ctl->err, "error: You must be logged in to the server (%s%s%s)\n", doing ? doing : "",
		        doing ? ": " : "", doing ? message : reason);
		return EXIT_PROBLEM;
	}
	fprintf(ctl->err, reason[0] ? "Error from server (%s): " : "Error from server%s: ", reason);
	fprintf(ctl->err, "%s%s%s\n", doing ? doing : "", doing ? ": " : "", message);
	return EXIT_PROBLEM;
}
