// SPDX-License-Identifier: Apache-2.0
// help and options.

#include "ctl/help.h"

#include <stddef.h>

#include "ctl/commands/commands.h"
#include "ctl/ctl.h"

static int run_help(struct ctl *ctl, int argc, char **argv)
{
	const struct command *const *among = root_commands;
	const struct command *command = NULL;
	const char *path = ctl->program;
	for (int i = 0; i < argc; i++) {
		const struct command *found = command_find(among, argv[i]);
		if (!found) {
			help_unknown_command(ctl->err, ctl->program, argv[i]);
			return EXIT_PROBLEM;
		}
		command = found;
		among = found->children;
		path = ctl_printf(ctl, "%s %s", path, found->name);
	}
	if (command)
		help_command(ctl->out, ctl->program, path, command);
	else
		help_root(ctl->out, ctl->program);
	return EXIT_OK;
}

static int run_options(struct ctl *ctl, int argc, char **argv)
{
	(void)argc, (void)argv;
	help_options(ctl->out);
	return EXIT_OK;
}

const struct command command_help = {
        .name = "help",
        .group = COMMAND_OTHER,
        .summary = "Help about any command",
        .usage = "[command]",
        .run = run_help,
};

const struct command command_options = {
        .name = "options",
        .group = COMMAND_OTHER,
        .summary = "Print the list of flags inherited by all commands",
        .run = run_options,
};
