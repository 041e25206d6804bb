// SPDX-License-Identifier: Apache-2.0
#pragma once
// Health and metrics of a daemon over HTTPS, as kube-scheduler and
// kube-controller-manager serve them: health is everybody's, the rest is for whom
// the API server says so (delegated_auth.h). Runs on the daemon's loop.

#include "common/base/options.h"
#include "common/io/plain_server.h"

struct loop;
struct rest_client;
struct secure_port;

struct secure_port_config {
	const char *name; // the daemon's, for a certificate of its own making
	const char *bind_address;
	int port;
	const char *certificate_file; // "" with the next: made at start, signed by itself
	const char *private_key_file;
	const char *client_ca_file;       // "" = no client certificates
	const char *minimum_version;      // "", VersionTLS12, VersionTLS13
	const char *const *cipher_suites; // NULL = the default
	const char *const *public_paths;  // NULL-terminated, "/x/*" for all below; NULL: the health paths
	const struct health_check *checks;
	struct metrics_registry *metrics;
	struct rest_client *client; // who is asked about requests; NULL: nobody, which denies
};

NODISCARD int secure_port_new(struct loop *loop, const struct secure_port_config *config, struct secure_port **ret_port,
                              struct err *err);
struct secure_port *secure_port_free(struct secure_port *port);
