// SPDX-License-Identifier: Apache-2.0
#pragma once
// Every command's row; each is defined in the file of its name.

#include "ctl/command.h"

extern const struct command command_annotate;
extern const struct command command_api_resources;
extern const struct command command_api_versions;
extern const struct command command_apply;
extern const struct command command_cluster_info;
extern const struct command command_config;
extern const struct command command_cordon;
extern const struct command command_create;
extern const struct command command_delete;
extern const struct command command_describe;
extern const struct command command_events;
extern const struct command command_exec;
extern const struct command command_explain;
extern const struct command command_expose;
extern const struct command command_get;
extern const struct command command_help;
extern const struct command command_label;
extern const struct command command_logs;
extern const struct command command_options;
extern const struct command command_patch;
extern const struct command command_replace;
extern const struct command command_rollout;
extern const struct command command_run;
extern const struct command command_scale;
extern const struct command command_set;
extern const struct command command_taint;
extern const struct command command_uncordon;
extern const struct command command_version;
extern const struct command command_wait;
