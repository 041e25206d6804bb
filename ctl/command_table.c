// SPDX-License-Identifier: Apache-2.0
// All commands in the order of `help`, group by group.

#include <stddef.h>

#include "ctl/commands/commands.h"

const struct command *const root_commands[] = {
	&command_create,
	&command_get,
	&command_delete,
	&command_apply,
	NULL,
};
