// SPDX-License-Identifier: Apache-2.0
#pragma once
// Help texts, and what to say about a command that doesn't exist.

#include <stdio.h>

struct command;

// The overview of all commands.
void help_root(FILE *out, const char *program);
// One command's help; `path` is "ctl rollout status".
void help_command(FILE *out, const char *program, const char *path, const struct command *command);
// The global flags.
void help_options(FILE *out);
// `error: unknown command "x" for "ctl"` with what was perhaps meant.
void help_unknown_command(FILE *err, const char *program, const char *word);
