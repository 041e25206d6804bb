// SPDX-License-Identifier: Apache-2.0
#pragma once
// A running command in a container: a WebSocket to the server with one channel for
// each of stdin, stdout, stderr, errors and terminal size (v5.channel.k8s.io, or v4,
// which can't close stdin).

#include <stdbool.h>

#include "common/client/rest.h"

struct ctl;

struct exec_stream_options {
	const char *path; // of the subresource, with its query
	bool with_stdin;
	bool terminal; // raw mode here, its size sent along
};

// Runs until the command ends. Returns the exit code for the process; problems are reported.
int exec_stream_run(struct ctl *ctl, const struct exec_stream_options *options);
