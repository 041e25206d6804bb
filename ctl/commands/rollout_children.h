// SPDX-License-Identifier: Apache-2.0
#pragma once
// The sub-commands of rollout, each in its own file.

#include "ctl/command.h"

extern const struct command command_rollout_history;
extern const struct command command_rollout_pause;
extern const struct command command_rollout_restart;
extern const struct command command_rollout_resume;
extern const struct command command_rollout_status;
extern const struct command command_rollout_undo;
