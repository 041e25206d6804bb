// SPDX-License-Identifier: Apache-2.0
#pragma once
// A command as a table row: names, help, flags and behaviour. The command line,
// the help texts and the suggestions all come from these rows.

#include "common/base/options.h"

struct ctl;

enum command_group {
	COMMAND_BASIC_BEGINNER,
	COMMAND_BASIC_INTERMEDIATE,
	COMMAND_DEPLOY,
	COMMAND_CLUSTER,
	COMMAND_TROUBLESHOOTING,
	COMMAND_ADVANCED,
	COMMAND_SETTINGS,
	COMMAND_OTHER,
	COMMAND_GROUP_COUNT_,
};

struct command {
	const char *name;
	const char *const *aliases;            // NULL-terminated; NULL = none
	enum command_group group;              // of root commands
	const char *summary;                   // one line
	const char *usage;                     // what follows the command's path in the usage line
	const char *details;                   // paragraphs of help, NULL = the summary
	const char *examples;                  // NULL = none; %s stands nowhere: written with "ctl"
	const struct option *options;          // ends at a {0} row; NULL = none
	const struct command *const *children; // NULL-terminated; NULL = none
	// Positional arguments only; returns the exit code. NULL: needs a child.
	int (*run)(struct ctl *ctl, int argc, char **argv);
};

// The commands themselves, in the order of `help`, NULL-terminated.
extern const struct command *const root_commands[];

// By name or alias; NULL = none.
const struct command *command_find(const struct command *const *commands, const char *name);
