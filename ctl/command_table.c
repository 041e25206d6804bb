// SPDX-License-Identifier: Apache-2.0
// All commands in the order of `help`, group by group.

#include <stddef.h>

#include "ctl/commands/commands.h"

const struct command *const root_commands[] = {
        &command_create, &command_expose,   &command_run,      &command_set,           &command_explain,
        &command_get,    &command_delete,   &command_rollout,  &command_scale,         &command_cluster_info,
        &command_cordon, &command_uncordon, &command_taint,    &command_describe,      &command_logs,
        &command_exec,   &command_events,   &command_apply,    &command_patch,         &command_replace,
        &command_wait,   &command_label,    &command_annotate, &command_api_resources, &command_api_versions,
        &command_config, &command_version,  &command_help,     &command_options,       NULL,
};
