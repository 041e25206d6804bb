// SPDX-License-Identifier: Apache-2.0
//
// A line is built in memory and leaves by one write(2), so lines of several
// threads and processes never mix. The text form is klog's (header, quoted
// message, key="value"; a value of several lines is indented between "<" and
// ">"), the JSON form that of upstream's component-base/logs/json.
#include "common/base/log.h"

#include <errno.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/duration.h"
#include "common/base/encode.h"
#include "common/base/memory.h"
#include "common/base/strbuf.h"
#include "common/base/text.h"

enum { LOG_MAX_LINE_BYTES = 256 * 1024 };

static struct log_config config;
static void (*sink_function)(void *context, const char *line, size_t length);
static void *sink_context;

void log_configure(const struct log_config *new_config)
{
	config = *new_config;
	if (config.vmodule && !*config.vmodule)
		config.vmodule = NULL;
}

void log_set_sink(void (*sink)(void *context, const char *line, size_t length), void *context)
{
	sink_function = sink;
	sink_context = context;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

// A pattern with a slash is matched with the whole path, others with the file's name.
static bool module_matches(const char *pattern, const char *file)
{
	char stem[256];
	const char *name = strchr(pattern, '/') ? file : base_name(file);
	size_t length = strlen(name);
	if (length > 2 && memcmp(name + length - 2, ".c", 2) == 0)
		length -= 2;
	if (length >= sizeof(stem))
		return false;
	memcpy(stem, name, length);
	stem[length] = '\0';
	return fnmatch(pattern, stem, 0) == 0;
}

// The verbosity that --vmodule gives the file; -1 = no pattern names it.
static int module_verbosity(const char *file)
{
	for (const char *at = config.vmodule; at && *at; at += *at == ',') {
		char pattern[256];
		const char *equals = strpbrk(at, "=,");
		size_t length = equals ? (size_t)(equals - at) : 0;
		if (equals && *equals == '=' && length < sizeof(pattern)) {
			memcpy(pattern, at, length);
			pattern[length] = '\0';
			if (module_matches(pattern, file))
				return (int)strtol(equals + 1, NULL, 10);
		}
		at += strcspn(at, ",");
	}
	return -1;
}

bool log_enabled(const char *file, int verbosity)
{
	return verbosity <= config.verbosity || (config.vmodule && verbosity <= module_verbosity(file));
}

static void append_text_header(struct strbuf *out, enum log_severity severity, const char *file, int line)
{
	static const char letters[] = "IWEF";
	struct timespec now;
	struct tm local;
	clock_gettime(CLOCK_REALTIME, &now);
	localtime_r(&now.tv_sec, &local);
	strbuf_printf(out, "%c%02d%02d %02d:%02d:%02d.%06ld %7d %s:%d] ", letters[severity], local.tm_mon + 1,
	              local.tm_mday, local.tm_hour, local.tm_min, local.tm_sec, now.tv_nsec / 1000, (int)getpid(),
	              base_name(file), line);
}

static void append_text_lines(struct strbuf *out, const char *text)
{
	strbuf_append_text(out, "<\n");
	while (*text) {
		size_t length = strcspn(text, "\n");
		strbuf_append_char(out, '\t');
		strbuf_append(out, text, length);
		strbuf_append_char(out, '\n');
		text += length + (text[length] == '\n');
	}
	strbuf_append_text(out, " >");
}

static void append_json_string(struct strbuf *out, const char *text)
{
	strbuf_append_char(out, '"');
	for (; text && *text; text++) {
		unsigned char c = (unsigned char)*text;
		if (c == '"' || c == '\\')
			strbuf_printf(out, "\\%c", c);
		else if (c == '\n')
			strbuf_append_text(out, "\\n");
		else if (c < 0x20 || c == 0x7f)
			strbuf_printf(out, "\\u%04x", c);
		else
			strbuf_append_char(out, *text);
	}
	strbuf_append_char(out, '"');
}

// --- values ------------------------------------------------------------------------

static void append_int(struct strbuf *out, const struct log_pair *pair)
{
	strbuf_printf(out, "%" PRId64, pair->number);
}

static void append_bool(struct strbuf *out, const struct log_pair *pair)
{
	strbuf_append_text(out, pair->number ? "true" : "false");
}

static void append_text_string(struct strbuf *out, const struct log_pair *pair)
{
	const char *text = text_or_empty(pair->text);
	if (strchr(text, '\n'))
		append_text_lines(out, text);
	else
		quote_append(out, text, strlen(text));
}

static void append_text_object(struct strbuf *out, const struct log_pair *pair)
{
	const char *space = text_or_empty(pair->text);
	strbuf_printf(out, "\"%s%s%s\"", space, *space ? "/" : "", text_or_empty(pair->text2));
}

static void append_json_text(struct strbuf *out, const struct log_pair *pair)
{
	append_json_string(out, pair->text);
}

static void append_json_object(struct strbuf *out, const struct log_pair *pair)
{
	strbuf_append_text(out, "{\"name\":");
	append_json_string(out, pair->text2);
	if (!text_is_empty(pair->text)) {
		strbuf_append_text(out, ",\"namespace\":");
		append_json_string(out, pair->text);
	}
	strbuf_append_char(out, '}');
}

// Durations are "1m30s": nothing in them needs an escape in either form.
static void append_duration(struct strbuf *out, const struct log_pair *pair)
{
	char duration[32];
	duration_format(pair->number, duration);
	append_json_string(out, duration);
}

static const struct {
	void (*text)(struct strbuf *out, const struct log_pair *pair);
	void (*json)(struct strbuf *out, const struct log_pair *pair);
} value_forms[] = {
        [LOG_VALUE_STRING] = {append_text_string, append_json_text},
        [LOG_VALUE_INT] = {append_int, append_int},
        [LOG_VALUE_BOOL] = {append_bool, append_bool},
        [LOG_VALUE_DURATION] = {append_duration, append_duration},
        [LOG_VALUE_OBJECT] = {append_text_object, append_json_object},
};

// --- lines -------------------------------------------------------------------------

static void append_json_header(struct strbuf *out, enum log_severity severity, int verbosity, const char *file,
                               int line, const char *message)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	strbuf_printf(out, "{\"ts\":%" PRId64 ".%04ld,\"caller\":\"%s:%d\",\"msg\":",
	              (int64_t)now.tv_sec * 1000 + now.tv_nsec / NSEC_PER_MSEC, now.tv_nsec % NSEC_PER_MSEC / 100,
	              base_name(file), line);
	append_json_string(out, message);
	if (severity < LOG_ERROR)
		strbuf_printf(out, ",\"v\":%d", verbosity);
}

static void emit(struct strbuf *line)
{
	if (line->overflowed) {
		line->overflowed = false;
		line->length = line->length < 8 ? 0 : line->length - 8;
		strbuf_append_text(line, "...");
	}
	strbuf_append_char(line, '\n');
	if (sink_function) {
		sink_function(sink_context, line->data, line->length);
		return;
	}
	int saved_errno = errno;
	for (size_t sent = 0; sent < line->length;) {
		ssize_t written = write(STDERR_FILENO, line->data + sent, line->length - sent);
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			break;
		sent += (size_t)written;
	}
	errno = saved_errno;
}

void log_write(enum log_severity severity, int verbosity, const char *file, int line, const char *message,
               const struct log_pair *pairs, size_t pair_count)
{
	AUTO_STRBUF struct strbuf out = STRBUF_INIT(LOG_MAX_LINE_BYTES);
	if (config.json) {
		append_json_header(&out, severity, verbosity, file, line, message);
	} else {
		append_text_header(&out, severity, file, line);
		quote_append(&out, message, strlen(message));
	}
	for (size_t i = 0; i < pair_count; i++) {
		if (config.json) {
			strbuf_append_char(&out, ',');
			append_json_string(&out, pairs[i].key);
			strbuf_append_char(&out, ':');
			value_forms[pairs[i].type].json(&out, &pairs[i]);
		} else {
			strbuf_printf(&out, " %s=", pairs[i].key);
			value_forms[pairs[i].type].text(&out, &pairs[i]);
		}
	}
	if (config.json)
		strbuf_append_char(&out, '}');
	emit(&out);
}

void log_write_plain(enum log_severity severity, int verbosity, const char *file, int line, const char *text)
{
	AUTO_STRBUF struct strbuf out = STRBUF_INIT(LOG_MAX_LINE_BYTES);
	if (config.json) {
		append_json_header(&out, severity, verbosity, file, line, text);
		strbuf_append_char(&out, '}');
	} else {
		append_text_header(&out, severity, file, line);
		strbuf_append_text(&out, text);
	}
	emit(&out);
}
