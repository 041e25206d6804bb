// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the main function of every daemon has in common: flags, log, loop, signals,
// API client, metrics, the health port, leader election, and the word to systemd.
//
//   static const struct option options[] = {
//           DAEMON_OPTION_ROWS(arg_daemon), DAEMON_SECURE_OPTION_ROWS(arg_daemon),
//           {"my-flag", 0, OPTION_BOOL, &arg_my_flag, NULL, "", "what it does"}, {0}};
//   static const struct daemon_program program = {
//           .name = "kube-x", .summary = "…", .options = options, .values = &arg_daemon,
//           .start = start, .stop = stop};
//   int main(int argc, char **argv) { return daemon_main(&program, argc, argv); }
//
// daemon_main parses, makes the loop and what hangs on it, calls `start`, runs the
// loop until SIGTERM, SIGINT or daemon_quit, calls `stop`, and frees everything in
// the reverse order. Exit codes: 0 after a signal, 1 on failure.

#include <stdbool.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/base/metrics.h"
#include "common/base/options.h"
#include "common/client/kubeconfig.h"
#include "common/io/plain_server.h"

struct loop;
struct rest_client;
struct leader_election;
struct secure_port;

struct daemon_options {
	const char *kubeconfig; // "" = not given
	const char *master;     // --master: overrides the kubeconfig's server
	const char *health_address;
	int64_t health_port; // 0 = no health port
	// Of a health port over HTTPS (DAEMON_SECURE_OPTIONS_INIT); see secure_port.h.
	bool secure;
	const char *certificate_file; // "" with the next: made at start
	const char *private_key_file;
	const char *client_ca_file; // "" = none
	const char *tls_minimum_version;
	struct string_list cipher_suites;
	struct string_list public_paths; // empty: the health paths
	struct logging_options logging;
	bool show_help;
	bool show_version;
};
// `port`: the daemon's well-known health port.
#define DAEMON_OPTIONS_INIT(port)                                                                     \
	{                                                                                             \
		.kubeconfig = "", .master = "", .health_address = "127.0.0.1", .health_port = (port), \
		.logging = LOGGING_OPTIONS_INIT                                                       \
	}

// The same with HTTPS and delegated authorization.
#define DAEMON_SECURE_OPTIONS_INIT(port)                                                                              \
	{                                                                                                             \
		.kubeconfig = "", .master = "", .health_address = "127.0.0.1", .health_port = (port), .secure = true, \
		.certificate_file = "", .private_key_file = "", .client_ca_file = "", .tls_minimum_version = "",      \
		.logging = LOGGING_OPTIONS_INIT                                                                       \
	}

// clang-format off
// Flags of every daemon.
#define DAEMON_OPTION_ROWS(values)                                                                                 \
	{"kubeconfig", 0, OPTION_STRING, &(values).kubeconfig, "Client", "path",                                   \
	 "kubeconfig file with the API server's address and the credentials for it"},                             \
		{"kube-api-qps", 0, OPTION_IGNORED, NULL, "Client", "number", "accepted for compatibility"},      \
		{"kube-api-burst", 0, OPTION_IGNORED, NULL, "Client", "number", "accepted for compatibility"},    \
		{"kube-api-content-type", 0, OPTION_IGNORED, NULL, "Client", "type", "accepted for compatibility"}, \
		LOGGING_OPTION_ROWS((values).logging),                                                             \
		{"help", 'h', OPTION_BOOL, &(values).show_help, "Global", "", "print this help and exit"},        \
		{"version", 0, OPTION_BOOL, &(values).show_version, "Global", "", "print the version and exit"}

// --master and the health port as kube-scheduler and kube-controller-manager name them, with the flags of
// delegated authentication.
#define DAEMON_SECURE_OPTION_ROWS(values)                                                                         \
	{"master", 0, OPTION_STRING, &(values).master, "Client", "url",                                           \
	 "address of the API server, in place of the kubeconfig's"},                                             \
		{"bind-address", 0, OPTION_STRING, &(values).health_address, "Serving", "address",               \
		 "IP address on which health and metrics are served"},                                           \
		{"secure-port", 0, OPTION_INT, &(values).health_port, "Serving", "port",                         \
		 "port on which health and metrics are served; 0 serves none"},                                  \
		{"cert-dir", 0, OPTION_IGNORED, NULL, "Serving", "path", "accepted for compatibility"},          \
		{"tls-cert-file", 0, OPTION_STRING, &(values).certificate_file, "Serving", "path",               \
		 "certificate for HTTPS; without it one is made at start"},                                      \
		{"tls-private-key-file", 0, OPTION_STRING, &(values).private_key_file, "Serving", "path",        \
		 "its key"},                                                                                     \
		{"tls-min-version", 0, OPTION_STRING, &(values).tls_minimum_version, "Serving", "version",       \
		 "VersionTLS12 or VersionTLS13"},                                                                \
		{"tls-cipher-suites", 0, OPTION_STRINGS, &(values).cipher_suites, "Serving", "names",            \
		 "cipher suites of TLS 1.2"},                                                                    \
		{"authentication-kubeconfig", 0, OPTION_IGNORED, NULL, "Serving", "path",                        \
		 "accepted for compatibility"},                                                                  \
		{"authentication-skip-lookup", 0, OPTION_IGNORED, NULL, "Serving", "bool",                       \
		 "accepted for compatibility"},                                                                  \
		{"authentication-tolerate-lookup-failure", 0, OPTION_IGNORED, NULL, "Serving", "bool",           \
		 "accepted for compatibility"},                                                                  \
		{"authorization-kubeconfig", 0, OPTION_IGNORED, NULL, "Serving", "path",                         \
		 "accepted for compatibility"},                                                                  \
		{"authorization-always-allow-paths", 0, OPTION_STRINGS, &(values).public_paths, "Serving",       \
		 "paths", "paths that everybody may read; default: /healthz, /readyz, /livez"},                  \
		{"client-ca-file", 0, OPTION_STRING, &(values).client_ca_file, "Serving", "path",                \
		 "authorities of client certificates"},                                                          \
		{"requestheader-client-ca-file", 0, OPTION_IGNORED, NULL, "Serving", "path",                     \
		 "accepted for compatibility"},                                                                  \
		{"profiling", 0, OPTION_IGNORED, NULL, "Serving", "bool", "accepted for compatibility"},         \
		{"contention-profiling", 0, OPTION_IGNORED, NULL, "Serving", "bool", "accepted for compatibility"}
// clang-format on

struct leader_options {
	bool enabled;
	int64_t lease_duration_ns;
	int64_t renew_deadline_ns;
	int64_t retry_period_ns;
	const char *resource_lock; // "leases" is the only one there is
	const char *resource_name;
	const char *resource_namespace;
};
#define LEADER_OPTIONS_INIT(name)                                                                                      \
	{                                                                                                              \
		.enabled = true, .lease_duration_ns = INT64_C(15000000000), .renew_deadline_ns = INT64_C(10000000000), \
		.retry_period_ns = INT64_C(2000000000), .resource_lock = "leases", .resource_name = (name),            \
		.resource_namespace = "kube-system"                                                                    \
	}

// clang-format off
#define LEADER_OPTION_ROWS(leader)                                                                              \
	{"leader-elect", 0, OPTION_BOOL, &(leader).enabled, "Leader election", "",                              \
	 "take part in a leader election and work only while leading"},                                        \
		{"leader-elect-lease-duration", 0, OPTION_DURATION, &(leader).lease_duration_ns, "Leader election", \
		 "duration", "how long others wait before they take a lease that is not renewed"},             \
		{"leader-elect-renew-deadline", 0, OPTION_DURATION, &(leader).renew_deadline_ns, "Leader election", \
		 "duration", "how long the leader tries to renew before it gives up"},                         \
		{"leader-elect-retry-period", 0, OPTION_DURATION, &(leader).retry_period_ns, "Leader election", \
		 "duration", "pause between two tries"},                                                       \
		{"leader-elect-resource-lock", 0, OPTION_STRING, &(leader).resource_lock, "Leader election",   \
		 "kind", "kind of the lock object: leases"},                                                   \
		{"leader-elect-resource-name", 0, OPTION_STRING, &(leader).resource_name, "Leader election",   \
		 "name", "name of the lock object"},                                                           \
		{"leader-elect-resource-namespace", 0, OPTION_STRING, &(leader).resource_namespace,            \
		 "Leader election", "namespace", "namespace of the lock object"}
// clang-format on

struct daemon {
	const struct daemon_program *program;
	struct loop *loop;
	struct metrics_registry *metrics;
	struct client_config client_config; // texts live as long as the daemon
	struct rest_client *client;         // NULL without a kubeconfig
	struct plain_server *health;        // NULL without a plain health port
	struct secure_port *secure_health;  // NULL without one over HTTPS
	const char *host_name;              // lower case
	void *context;                      // the daemon's own
};

struct daemon_program {
	const char *name;    // "kube-scheduler"
	const char *summary; // first paragraph of --help
	const struct option *options;
	struct daemon_options *values;
	bool kubeconfig_optional; // start without one (--kubeconfig not given and no in-cluster configuration)
	// Looks at the parsed flags before anything is made: may correct values (a config file) or refuse. May be NULL.
	int (*configure)(struct daemon *daemon, struct err *err);
	// May correct the client's configuration (the kubelet's certificate is rotated). May be NULL.
	int (*adjust_client)(struct daemon *daemon, struct client_config *config, struct arena *arena, struct err *err);
	// Extra health checks, ended by a NULL name (see plain_server.h). May be NULL.
	const struct health_check *checks;
	// Starts the daemon's work on daemon->loop.
	int (*start)(struct daemon *daemon, struct err *err);
	// Ends it: every source stopped, every call cancelled. Called also after a failed start.
	void (*stop)(struct daemon *daemon);
	// Asked to end by a signal: NULL ends the loop at once; else call daemon_quit when ready (a second signal ends
	// it).
	void (*terminate)(struct daemon *daemon);
};

int daemon_main(const struct daemon_program *program, int argc, char **argv);

// Tells systemd READY=1 (Type=notify) and turns /readyz on. Harmless when repeated.
void daemon_ready(struct daemon *daemon);
// Ends the loop; daemon_main returns `exit_code`.
void daemon_quit(struct daemon *daemon, int exit_code);

// Takes part in the election, or calls `on_started` in a later turn when it is
// disabled. On loss the daemon logs and exits with code 1. Free with daemon_stop_leading.
struct daemon_leadership;
NODISCARD int daemon_start_leading(struct daemon *daemon, const struct leader_options *options,
                                   void (*on_started)(struct daemon *daemon), struct daemon_leadership **ret_leadership,
                                   struct err *err);
struct daemon_leadership *daemon_stop_leading(struct daemon_leadership *leadership);
bool daemon_is_leading(const struct daemon_leadership *leadership);
