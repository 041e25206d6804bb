// SPDX-License-Identifier: Apache-2.0
#pragma once
// Command-line flags as a const table: parsing, --help, defaults and the
// "FLAG: --x=y" lines at -v=1 come from its rows. Accepts --name=value,
// --name value, -n value, --bool, --bool=false, and "--" as the end.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/duration.h"
#include "common/base/err.h"

struct strbuf;

enum option_type {
	OPTION_BOOL,         // bool *
	OPTION_INT,          // int64_t *
	OPTION_STRING,       // const char ** (borrowed from argv)
	OPTION_STRINGS,      // struct string_list *; repeated and comma-separated; the first replaces the default
	OPTION_STRING_ARRAY, // struct string_list *; repeated, commas are kept
	OPTION_DURATION,     // int64_t * nanoseconds, Go syntax: 1h30m, 10s, 100ms
	OPTION_IGNORED,      // accepted for compatibility, with a warning from options_log: no target;
	                     // takes a value when value_name is not empty
};

struct string_list {
	const char **items; // heap array ended by NULL; texts live as long as the process
	size_t count;
};

struct option {
	const char *name; // without dashes
	char letter;      // 0 = none
	enum option_type type;
	void *target;           // holds the default when parsing starts
	const char *group;      // heading in --help, NULL = the first
	const char *value_name; // "" for none
	const char *help;
};

// Parses `argv[1..]`. Options end at a {0} row. Positional arguments, which may stand
// between flags, are moved to argv[1..count]; argv[0] stays. Error texts are pflag's:
// "unknown flag: --x", "flag needs an argument: --x", `invalid argument "y" for "--x" flag: …`.
// --help and -h, where the table has no such row, end the parse with
// -ERR_CANCELLED ("pflag: help requested") and print nothing: the caller prints
// options_help and leaves with 0. Flags after them are not looked at.
NODISCARD int options_parse(const struct option *options, int argc, char **argv, bool allow_positional,
                            int *ret_positional_count, struct err *err);

// How many positional arguments of the last parse stood before "--"; -1 when there was no "--".
int options_count_before_dash(void);

// The help text of all options, grouped.
void options_help(const struct option *options, struct strbuf *out);

// Logs each flag and its value at -v=1, as upstream's daemons do.
void options_log(const struct option *options);

// True when the flag was given on the command line of the last parse of this table.
// (A table is parsed once per process.)
bool option_was_set(const struct option *options, const char *name);

// -v, --vmodule, --logging-format: rows that every daemon adds, and their effect.
struct logging_options {
	int64_t verbosity;
	const char *vmodule;
	const char *format;
};
#define LOGGING_OPTIONS_INIT                                    \
	{                                                       \
		.verbosity = 0, .vmodule = "", .format = "text" \
	}
#define LOGGING_OPTION_ROWS(logging)                                                                         \
	{"v", 'v', OPTION_INT, &(logging).verbosity, "Logs", "level", "number for the log level verbosity"}, \
	        {"vmodule",                                                                                  \
	         0,                                                                                          \
	         OPTION_STRING,                                                                              \
	         &(logging).vmodule,                                                                         \
	         "Logs",                                                                                     \
	         "pattern=N,...",                                                                            \
	         "log levels of single files"},                                                              \
	{                                                                                                    \
		"logging-format", 0, OPTION_STRING, &(logging).format, "Logs", "format", "text or json"      \
	}
NODISCARD int logging_options_apply(const struct logging_options *logging, struct err *err);
