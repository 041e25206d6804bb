// SPDX-License-Identifier: Apache-2.0
#pragma once
// One invocation of the tool: its arena, its loop and client, its streams, and
// the way a command is found and run. Everything that is allocated lives in the
// arena until the process ends.

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/base/arena.h"
#include "common/base/options.h"
#include "common/client/rest.h"
#include "ctl/global_options.h"

struct command;
struct discovery;

struct ctl {
	const char *program;      // "ctl", or "kubectl" when called so: for texts
	const char *command_path; // "ctl rollout status"
	const struct command *command;
	struct arena *arena;
	FILE *out;
	FILE *err;
	struct option *options; // the running command's rows and the global ones
	struct global_options *global;
	struct client_config config;
	bool config_loaded;
	bool config_failed; // and reported
	struct loop *loop;  // NULL until the first call
	struct rest_client *client;
	struct discovery *discovery; // NULL until something built-in tables don't know is asked for
	bool failed;                 // a problem was reported: the exit code is 1
};

enum {
	EXIT_OK = 0,
	EXIT_PROBLEM = 1,
};

// Runs argv as a shell would; returns the exit code.
int ctl_main(int argc, char **argv, FILE *out, FILE *err);

// The client configuration of kubeconfig and flags; reports and returns false when there is none.
bool ctl_load_config(struct ctl *ctl);
// The namespace that commands work in.
const char *ctl_namespace(struct ctl *ctl);
// True when -n was given.
bool ctl_namespace_is_explicit(const struct ctl *ctl);

// Makes loop and client; reports and returns false when that isn't possible.
bool ctl_connect(struct ctl *ctl);

// Sends a request and waits for the answer, printing the server's warnings. True on success;
// otherwise response->err says why, and nothing was printed about it.
NODISCARD bool ctl_call(struct ctl *ctl, const struct rest_request *request, struct rest_response *ret_response);

// True when the flag was given on the command line.
bool ctl_flag_given(const struct ctl *ctl, const char *name);

// The list ends with NULL.
const char *ctl_printf(struct ctl *ctl, const char *format, ...) PRINTF_LIKE(2, 3);
