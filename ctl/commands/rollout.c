// SPDX-License-Identifier: Apache-2.0
#include <stddef.h>

#include "ctl/commands/commands.h"
#include "ctl/commands/rollout_children.h"

static const struct command *const children[] = {
        &command_rollout_history,
        &command_rollout_pause,
        &command_rollout_restart,
        &command_rollout_resume,
        &command_rollout_status,
        &command_rollout_undo,
        NULL,
};

const struct command command_rollout = {
        .name = "rollout",
        .group = COMMAND_DEPLOY,
        .summary = "Manage the rollout of a resource",
        .details = "Manage the rollout of deployments, daemon sets and stateful sets.",
        .examples = "  ctl rollout status deployment/web\n  ctl rollout undo deployment/web --to-revision=3",
        .children = children,
};
