// SPDX-License-Identifier: Apache-2.0
#pragma once
// Command-line flags as a const table: parsing, --help, defaults and the
// "FLAG: --x=y" lines at -v=1 come from its rows. Accepts --name=value,
// --name value, -n value, --bool, --bool=false, and "--" as the end.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

struct strbuf;

enum option_type {
	OPTION_BOOL,     // bool *
	OPTION_INT,      // int64_t *
	OPTION_STRING,   // const char ** (borrowed from argv)
	OPTION_STRINGS,  // struct string_list *; repeated and comma-separated
	OPTION_DURATION, // int64_t * nanoseconds, Go syntax: 1h30m, 10s, 100ms
	OPTION_IGNORED,  // accepted for compatibility, with a warning at start: no target
};

struct string_list {
	const char **items; // heap array, borrowed texts
	size_t count;
};

struct option {
	const char *name;  // without dashes
	char letter;       // 0 = none
	enum option_type type;
	void *target;      // holds the default when parsing starts
	const char *group; // heading in --help, NULL = the first
	const char *value_name; // "" for none
	const char *help;
};

// Parses `argv[1..]`. Options end at a {0} row. Remaining positional arguments
// are moved to the front of argv and counted. Error texts are pflag's:
// "unknown flag: --x", "flag needs an argument: --x", `invalid argument "y" for "--x" flag: …`.
NODISCARD int options_parse(const struct option *options, int argc, char **argv, bool allow_positional,
			    int *ret_positional_count, struct err *err);

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
#define LOGGING_OPTIONS_INIT {.verbosity = 0, .vmodule = "", .format = "text"}
#define LOGGING_OPTION_ROWS(logging)                                                                           \
	{"v", 'v', OPTION_INT, &(logging).verbosity, "Logs", "level", "number for the log level verbosity"},   \
	{"vmodule", 0, OPTION_STRING, &(logging).vmodule, "Logs", "pattern=N,...",                             \
	 "log levels of single files"},                                                                       \
	{"logging-format", 0, OPTION_STRING, &(logging).format, "Logs", "format", "text or json"}
NODISCARD int logging_options_apply(const struct logging_options *logging, struct err *err);

// Go's duration syntax; false when malformed.
bool duration_parse(const char *text, int64_t *ret_duration_ns);
