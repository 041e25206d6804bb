// SPDX-License-Identifier: Apache-2.0
// All commands in the order of `help`, group by group.

#include <stddef.h>

#include "ctl/commands/commands.h"

const struct command *const root_commands[] = {
	&command_create,
	&command_get,
	&command_delete,
	&command_rollout,
	&command_scale,
	&command_cordon,
	&command_uncordon,
	&command_taint,
	&command_logs,
	&command_exec,
	&command_apply,
	&command_patch,
	&command_replace,
	&command_wait,
	&command_label,
	&command_annotate,
	NULL,
};
