// SPDX-License-Identifier: Apache-2.0
//
// Command-line parsing in the manner of Go's pflag: flags and positional
// arguments may be mixed, "--" ends the flags, letters may be joined ("-it",
// "-n5"), a boolean never takes the next argument. Which rows were given is kept
// beside the const tables, in one list for the process.
#include "common/base/options.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "common/base/encode.h"
#include "common/base/memory.h"
#include "common/base/strbuf.h"

static const struct option **given_rows;
static size_t given_count;
static int count_before_dash = -1;

struct parse {
	const struct option *options;
	int argc;
	char **argv;
	int next;       // of argv, to be read
	int positional; // already moved to argv[1..]
	struct err *err;
};

// --- values -------------------------------------------------------------------------

static int set_bool(const struct option *row, const char *value, struct err *err)
{
	static const char *const yes[] = {"1", "t", "T", "true", "TRUE", "True"};
	static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False"};
	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		if (strcmp(value, yes[i]) == 0 || strcmp(value, no[i]) == 0) {
			*(bool *)row->target = strcmp(value, yes[i]) == 0;
			return 0;
		}
	}
	return err_set(err, ERR_BAD_REQUEST, "strconv.ParseBool: parsing \"%s\": invalid syntax", value);
}

static int set_int(const struct option *row, const char *value, struct err *err)
{
	char *end;
	errno = 0;
	const char *digits = value + (*value == '-' || *value == '+');
	long long number = strtoll(value, &end, 0);
	if (*digits < '0' || *digits > '9' || *end)
		return err_set(err, ERR_BAD_REQUEST, "strconv.ParseInt: parsing \"%s\": invalid syntax", value);
	if (errno == ERANGE)
		return err_set(err, ERR_BAD_REQUEST, "strconv.ParseInt: parsing \"%s\": value out of range", value);
	*(int64_t *)row->target = number;
	return 0;
}

static int set_string(const struct option *row, const char *value, struct err *err UNUSED)
{
	*(const char **)row->target = value;
	return 0;
}

static struct string_list *list_of(const struct option *row)
{
	struct string_list *list = row->target;
	if (!option_was_set(row, row->name))
		*list = (struct string_list){0}; // the default may be a static array
	return list;
}

static void add_to_list(struct string_list *list, const char *item)
{
	list->items = xreallocarray(list->items, list->count + 2, sizeof(*list->items));
	list->items[list->count++] = item;
	list->items[list->count] = NULL;
}

static int set_strings(const struct option *row, const char *value, struct err *err UNUSED)
{
	struct string_list *list = list_of(row);
	if (!*value)
		return 0;
	char *text = xstrdup(value);
	while (text)
		add_to_list(list, strsep(&text, ","));
	return 0;
}

static int set_string_array(const struct option *row, const char *value, struct err *err UNUSED)
{
	add_to_list(list_of(row), value);
	return 0;
}

static int set_duration(const struct option *row, const char *value, struct err *err)
{
	return duration_parse_err(value, row->target, err);
}

static int set_nothing(const struct option *row UNUSED, const char *value UNUSED, struct err *err UNUSED)
{
	return 0;
}

static int (*const setters[])(const struct option *row, const char *value, struct err *err) = {
        [OPTION_BOOL] = set_bool,
        [OPTION_INT] = set_int,
        [OPTION_STRING] = set_string,
        [OPTION_STRINGS] = set_strings,
        [OPTION_STRING_ARRAY] = set_string_array,
        [OPTION_DURATION] = set_duration,
        [OPTION_IGNORED] = set_nothing,
};

// --- rows ---------------------------------------------------------------------------

static const struct option *find_name(const struct option *options, const char *name, size_t length)
{
	for (const struct option *row = options; row->name; row++)
		if (strlen(row->name) == length && memcmp(row->name, name, length) == 0)
			return row;
	return NULL;
}

static const struct option *find_letter(const struct option *options, char letter)
{
	for (const struct option *row = options; row->name; row++)
		if (row->letter == letter)
			return row;
	return NULL;
}

static bool takes_value(const struct option *row)
{
	if (row->type == OPTION_IGNORED)
		return row->value_name && *row->value_name;
	return row->type != OPTION_BOOL;
}

static bool was_given(const struct option *row)
{
	for (size_t i = 0; i < given_count; i++)
		if (given_rows[i] == row)
			return true;
	return false;
}

bool option_was_set(const struct option *options, const char *name)
{
	const struct option *row = find_name(options, name, strlen(name));
	return row && was_given(row);
}

static int apply(struct parse *parse, const struct option *row, const char *value)
{
	struct err cause = ERR_INIT;
	if (setters[row->type](row, value, &cause) < 0) {
		char letter[8] = "";
		AUTO_STRBUF struct strbuf quoted = STRBUF_INIT(128);
		quote_append(&quoted, value, strlen(value));
		if (row->letter)
			snprintf(letter, sizeof(letter), "-%c, ", row->letter);
		return err_set(parse->err, ERR_BAD_REQUEST, "invalid argument %s for \"%s--%s\" flag: %s",
		               strbuf_text(&quoted), letter, row->name, cause.message);
	}
	if (!was_given(row)) {
		given_rows = xreallocarray(given_rows, given_count + 1, sizeof(const struct option *));
		given_rows[given_count++] = row;
	}
	return 0;
}

static int help_requested(struct parse *parse)
{
	return err_set(parse->err, ERR_CANCELLED, "pflag: help requested");
}

// --- arguments ----------------------------------------------------------------------

static int parse_long(struct parse *parse, const char *argument)
{
	const char *name = argument + 2;
	size_t length = strcspn(name, "=");
	if (!length || *name == '-')
		return err_set(parse->err, ERR_BAD_REQUEST, "bad flag syntax: %s", argument);
	const struct option *row = find_name(parse->options, name, length);
	if (!row && length == 4 && memcmp(name, "help", 4) == 0)
		return help_requested(parse);
	if (!row)
		return err_set(parse->err, ERR_BAD_REQUEST, "unknown flag: --%.*s", (int)length, name);
	if (name[length] == '=')
		return apply(parse, row, name + length + 1);
	if (!takes_value(row))
		return apply(parse, row, "true");
	if (parse->next >= parse->argc)
		return err_set(parse->err, ERR_BAD_REQUEST, "flag needs an argument: --%s", row->name);
	return apply(parse, row, parse->argv[parse->next++]);
}

static int parse_letters(struct parse *parse, const char *letters)
{
	while (*letters) {
		const struct option *row = find_letter(parse->options, *letters);
		if (!row && *letters == 'h')
			return help_requested(parse);
		if (!row)
			return err_set(parse->err, ERR_BAD_REQUEST, "unknown shorthand flag: '%c' in -%s", *letters,
			               letters);
		if (letters[1] == '=')
			return apply(parse, row, letters + 2);
		if (takes_value(row) && letters[1])
			return apply(parse, row, letters + 1);
		if (takes_value(row) && parse->next >= parse->argc)
			return err_set(parse->err, ERR_BAD_REQUEST, "flag needs an argument: '%c' in -%s", *letters,
			               letters);
		if (takes_value(row))
			return apply(parse, row, parse->argv[parse->next++]);
		int result = apply(parse, row, "true");
		if (result < 0)
			return result;
		letters++;
	}
	return 0;
}

static int parse_argument(struct parse *parse, char *argument)
{
	if (argument[0] != '-' || !argument[1]) {
		parse->argv[++parse->positional] = argument;
		return 0;
	}
	return argument[1] == '-' ? parse_long(parse, argument) : parse_letters(parse, argument + 1);
}

static int refuse_positional(const struct parse *parse)
{
	AUTO_STRBUF struct strbuf list = STRBUF_INIT(4096);
	for (int i = 1; i <= parse->positional; i++) {
		if (i > 1)
			strbuf_append_char(&list, ' ');
		strbuf_append_text(&list, parse->argv[i]);
	}
	const char *slash = strrchr(parse->argv[0], '/');
	return err_set(parse->err, ERR_BAD_REQUEST, "\"%s\" does not take any arguments, got [%s]",
	               slash ? slash + 1 : parse->argv[0], strbuf_text(&list));
}

static void forget_given(const struct option *options)
{
	size_t kept = 0;
	for (size_t i = 0; i < given_count; i++)
		if (find_name(options, given_rows[i]->name, strlen(given_rows[i]->name)) != given_rows[i])
			given_rows[kept++] = given_rows[i];
	given_count = kept;
}

int options_parse(const struct option *options, int argc, char **argv, bool allow_positional, int *ret_positional_count,
                  struct err *err)
{
	struct parse parse = {.options = options, .argc = argc, .argv = argv, .next = 1, .err = err};
	count_before_dash = -1;
	forget_given(options);
	while (parse.next < argc) {
		char *argument = argv[parse.next++];
		if (strcmp(argument, "--") == 0) {
			count_before_dash = parse.positional;
			while (parse.next < argc)
				argv[++parse.positional] = argv[parse.next++];
			break;
		}
		int result = parse_argument(&parse, argument);
		if (result < 0)
			return result;
	}
	if (parse.positional && !allow_positional)
		return refuse_positional(&parse);
	if (ret_positional_count)
		*ret_positional_count = parse.positional;
	return 0;
}

int options_count_before_dash(void)
{
	return count_before_dash;
}
