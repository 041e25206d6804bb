// SPDX-License-Identifier: Apache-2.0
#pragma once
// The sub-commands of create, each in its own file.

#include "ctl/command.h"

extern const struct command *const create_children[]; // NULL-terminated
