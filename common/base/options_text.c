// SPDX-License-Identifier: Apache-2.0
//
// What option tables print: the help text by groups, the FLAG lines at start,
// and the effect of the logging rows.
#include "common/base/options.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "common/base/encode.h"
#include "common/base/log.h"
#include "common/base/strbuf.h"

enum { OPTION_TEXT_MAX_BYTES = 64 * 1024 };

static void append_value(struct strbuf *out, const struct option *row)
{
	char duration[32];
	const char *text;
	const struct string_list *list;
	switch (row->type) {
	case OPTION_BOOL:
		strbuf_append_text(out, *(bool *)row->target ? "true" : "false");
		break;
	case OPTION_INT:
		strbuf_printf(out, "%" PRId64, *(int64_t *)row->target);
		break;
	case OPTION_STRING:
		text = *(const char **)row->target;
		strbuf_append_text(out, text ? text : "");
		break;
	case OPTION_STRINGS:
	case OPTION_STRING_ARRAY:
		list = row->target;
		strbuf_append_char(out, '[');
		for (size_t i = 0; i < list->count; i++)
			strbuf_printf(out, "%s%s", i ? "," : "", list->items[i]);
		strbuf_append_char(out, ']');
		break;
	case OPTION_DURATION:
		duration_format(*(int64_t *)row->target, duration);
		strbuf_append_text(out, duration);
		break;
	case OPTION_IGNORED:
		break;
	}
}

// --- help ---------------------------------------------------------------------------

static const char *type_word(const struct option *row)
{
	static const char *const words[] = {
	        [OPTION_BOOL] = "",
	        [OPTION_INT] = "int",
	        [OPTION_STRING] = "string",
	        [OPTION_STRINGS] = "strings",
	        [OPTION_DURATION] = "duration",
	        [OPTION_IGNORED] = "",
	        [OPTION_STRING_ARRAY] = "stringArray",
	};
	return row->value_name ? row->value_name : words[row->type];
}

static void append_usage(struct strbuf *out, const struct option *row)
{
	if (row->letter)
		strbuf_printf(out, "  -%c, --%s", row->letter, row->name);
	else
		strbuf_printf(out, "      --%s", row->name);
	if (*type_word(row))
		strbuf_printf(out, " %s", type_word(row));
}

static bool has_default(const struct option *row, const char *value)
{
	static const char *const zeros[] = {"", "0", "0s", "false", "[]"};
	for (size_t i = 0; i < ARRAY_SIZE(zeros); i++)
		if (strcmp(value, zeros[i]) == 0)
			return false;
	return row->type != OPTION_IGNORED;
}

static void append_row(struct strbuf *out, const struct option *row, size_t width)
{
	AUTO_STRBUF struct strbuf usage = STRBUF_INIT(1024), value = STRBUF_INIT(OPTION_TEXT_MAX_BYTES);
	append_usage(&usage, row);
	strbuf_printf(out, "%-*s   %s", (int)width, strbuf_text(&usage), row->help ? row->help : "");
	append_value(&value, row);
	if (has_default(row, strbuf_text(&value)))
		strbuf_printf(out, row->type == OPTION_STRING ? " (default \"%s\")" : " (default %s)",
		              strbuf_text(&value));
	strbuf_append_char(out, '\n');
}

static bool same_group(const char *one, const char *other)
{
	return one == other || (one && other && strcmp(one, other) == 0);
}

static bool group_seen_before(const struct option *options, const struct option *row)
{
	for (const struct option *earlier = options; earlier < row; earlier++)
		if (same_group(earlier->group, row->group))
			return true;
	return false;
}

static void append_group(struct strbuf *out, const struct option *options, const char *group, size_t width)
{
	strbuf_printf(out, "%s%slags:\n\n", group ? group : "", group ? " f" : "F");
	for (const struct option *row = options; row->name; row++)
		if (same_group(row->group, group))
			append_row(out, row, width);
	strbuf_append_char(out, '\n');
}

static size_t usage_width(const struct option *options)
{
	size_t width = 0;
	for (const struct option *row = options; row->name; row++) {
		AUTO_STRBUF struct strbuf usage = STRBUF_INIT(1024);
		append_usage(&usage, row);
		width = usage.length > width ? usage.length : width;
	}
	return width;
}

void options_help(const struct option *options, struct strbuf *out)
{
	size_t width = usage_width(options);
	for (const struct option *row = options; row->name; row++) {
		if (!row->group) {
			append_group(out, options, NULL, width);
			break;
		}
	}
	for (const struct option *row = options; row->name; row++)
		if (row->group && !group_seen_before(options, row))
			append_group(out, options, row->group, width);
}

// --- at start -----------------------------------------------------------------------

static void log_row(const struct option *row)
{
	AUTO_STRBUF struct strbuf value = STRBUF_INIT(OPTION_TEXT_MAX_BYTES), line = STRBUF_INIT(OPTION_TEXT_MAX_BYTES);
	append_value(&value, row);
	strbuf_printf(&line, "FLAG: --%s=", row->name);
	quote_append(&line, strbuf_text(&value), value.length);
	log_write_plain(LOG_INFO, 1, __FILE__, __LINE__, strbuf_text(&line));
}

void options_log(const struct option *options)
{
	for (const struct option *row = options; row->name; row++) {
		if (row->type == OPTION_IGNORED) {
			if (option_was_set(options, row->name))
				log_warning("Flag has no effect here", kv_str("flag", row->name));
		} else if (log_enabled(__FILE__, 1)) {
			log_row(row);
		}
	}
}

// "pattern=N,…"
static bool vmodule_is_valid(const char *vmodule)
{
	for (const char *at = vmodule; *at;) {
		size_t length = strcspn(at, ",");
		const char *equals = memchr(at, '=', length);
		if (!equals || equals == at || equals + 1 == at + length)
			return false;
		for (const char *digit = equals + 1; digit < at + length; digit++)
			if (*digit < '0' || *digit > '9')
				return false;
		at += length;
		if (*at == ',' && !*++at)
			return false;
	}
	return true;
}

int logging_options_apply(const struct logging_options *logging, struct err *err)
{
	const char *vmodule = logging->vmodule ? logging->vmodule : "";
	const char *format = logging->format ? logging->format : "text";
	bool json = strcmp(format, "json") == 0;
	if (!json && strcmp(format, "text") != 0)
		return err_set(err, ERR_BAD_REQUEST, "[format: Invalid value: \"%s\": Unsupported log format]", format);
	if (!vmodule_is_valid(vmodule))
		return err_set(
		        err, ERR_BAD_REQUEST,
		        "invalid argument \"%s\" for \"--vmodule\" flag: expecting pattern=N,... with N a number",
		        vmodule);
	if (logging->verbosity < 0 || logging->verbosity > INT_MAX)
		return err_set(err, ERR_BAD_REQUEST,
		               "[verbosity: Invalid value: %" PRId64 ": Must be less than or equal to %d]",
		               logging->verbosity, INT_MAX);
	log_configure(&(struct log_config){.verbosity = (int)logging->verbosity, .vmodule = vmodule, .json = json});
	return 0;
}
