// SPDX-License-Identifier: Apache-2.0
#pragma once
// The flags that every command takes.

#include <stdbool.h>
#include <stdint.h>

#include "common/base/options.h"

struct global_options {
	const char *kubeconfig, *context, *cluster, *user, *namespace_name, *server;
	const char *token, *as, *as_uid;
	struct string_list as_groups;
	const char *certificate_authority, *client_certificate, *client_key, *tls_server_name;
	const char *username, *password;
	const char *request_timeout;
	const char *cache_dir, *profile, *profile_output, *kuberc;
	bool insecure_skip_tls_verify, match_server_version, disable_compression, warnings_as_errors;
	int64_t log_flush_frequency_ns;
	int64_t verbosity;
	const char *vmodule;
};

extern struct global_options global_options;
// Ends at a {0} row.
extern const struct option global_option_rows[];

// The request timeout in nanoseconds, 0 for none; false when malformed.
bool global_options_request_timeout(const struct global_options *options, int64_t *ret_timeout_ns);
