// SPDX-License-Identifier: Apache-2.0
#include "ctl/commands/create_children.h"

#include <stddef.h>

const struct command *const create_children[] = {
	NULL,
};
