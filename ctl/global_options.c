// SPDX-License-Identifier: Apache-2.0
#include "ctl/global_options.h"

#include <string.h>

#include "common/base/clock.h"

struct global_options global_options = {
        .request_timeout = "0",
        .log_flush_frequency_ns = 5 * NSEC_PER_SEC,
        .profile = "none",
        .profile_output = "profile.pprof",
};

#define ROW(name, letter, type, member, value_name, help)                              \
	{                                                                              \
		name, letter, type, &global_options.member, "Global", value_name, help \
	}

const struct option global_option_rows[] = {
        ROW("as", 0, OPTION_STRING, as, "", "User to act as"),
        ROW("as-group", 0, OPTION_STRING_ARRAY, as_groups, "", "Group to act in; may be repeated"),
        ROW("as-uid", 0, OPTION_STRING, as_uid, "", "UID to act with"),
        ROW("cache-dir", 0, OPTION_STRING, cache_dir, "", "Accepted for compatibility: nothing is cached on disk"),
        ROW("certificate-authority", 0, OPTION_STRING, certificate_authority, "",
            "File of the server's CA certificates"),
        ROW("client-certificate", 0, OPTION_STRING, client_certificate, "", "File of the client certificate"),
        ROW("client-key", 0, OPTION_STRING, client_key, "", "File of the client's private key"),
        ROW("cluster", 0, OPTION_STRING, cluster, "", "The kubeconfig cluster to use"),
        ROW("context", 0, OPTION_STRING, context, "", "The kubeconfig context to use"),
        ROW("disable-compression", 0, OPTION_BOOL, disable_compression, NULL, "Don't ask for compressed answers"),
        ROW("insecure-skip-tls-verify", 0, OPTION_BOOL, insecure_skip_tls_verify, NULL,
            "Don't check the server's certificate: connections are then insecure"),
        ROW("kubeconfig", 0, OPTION_STRING, kubeconfig, "", "The kubeconfig file to use"),
        ROW("kuberc", 0, OPTION_STRING, kuberc, "", "Accepted for compatibility"),
        ROW("log-flush-frequency", 0, OPTION_DURATION, log_flush_frequency_ns, NULL, "Accepted for compatibility"),
        ROW("match-server-version", 0, OPTION_BOOL, match_server_version, NULL,
            "Require the server's version to be this tool's"),
        ROW("namespace", 'n', OPTION_STRING, namespace_name, "", "The namespace to work in"),
        ROW("password", 0, OPTION_STRING, password, "", "Password for basic authentication"),
        ROW("profile", 0, OPTION_STRING, profile, "", "Accepted for compatibility"),
        ROW("profile-output", 0, OPTION_STRING, profile_output, "", "Accepted for compatibility"),
        ROW("request-timeout", 0, OPTION_STRING, request_timeout, "",
            "How long to wait for one answer: a number of seconds, or 1s, 2m, 3h; 0 waits for ever"),
        ROW("server", 's', OPTION_STRING, server, "", "Address of the API server"),
        ROW("tls-server-name", 0, OPTION_STRING, tls_server_name, "", "Name to check the server's certificate against"),
        ROW("token", 0, OPTION_STRING, token, "", "Bearer token"),
        ROW("user", 0, OPTION_STRING, user, "", "The kubeconfig user to use"),
        ROW("username", 0, OPTION_STRING, username, "", "User name for basic authentication"),
        ROW("v", 'v', OPTION_INT, verbosity, "level", "How much to log"),
        ROW("vmodule", 0, OPTION_STRING, vmodule, "pattern=N,...", "Log levels of single files"),
        ROW("warnings-as-errors", 0, OPTION_BOOL, warnings_as_errors, NULL, "Fail when the server sent a warning"),
        {0},
};

bool global_options_request_timeout(const struct global_options *options, int64_t *ret_timeout_ns)
{
	const char *text = options->request_timeout;
	if (strspn(text, "0123456789") == strlen(text) && *text) {
		*ret_timeout_ns = strtoll(text, NULL, 10) * NSEC_PER_SEC;
		return true;
	}
	return duration_parse(text, ret_timeout_ns);
}
