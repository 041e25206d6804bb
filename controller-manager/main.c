// SPDX-License-Identifier: Apache-2.0
//
// kube-controller-manager: flags, leader election, and the controllers while it
// leads. Flags are upstream's.
#include <stdio.h>

#include "common/base/log.h"
#include "common/client/daemon.h"
#include "common/io/loop.h"
#include "controller-manager/manager.h"

enum { HEALTH_PORT = 10257 };

static struct daemon_options arg_daemon = DAEMON_SECURE_OPTIONS_INIT(HEALTH_PORT);
static struct leader_options arg_leader = LEADER_OPTIONS_INIT("kube-controller-manager");
static const char *default_controllers[] = {"*", NULL};
static struct string_list arg_controllers = {.items = default_controllers, .count = 1};
static struct controller_settings arg_settings = {
        .cluster_cidr = "",
        .service_cidr = "",
        .node_monitor_period_ns = 5 * NSEC_PER_SEC,
        .node_monitor_grace_period_ns = 50 * NSEC_PER_SEC,
        .node_startup_grace_period_ns = 60 * NSEC_PER_SEC,
        .node_eviction_rate = "0.1",
        .terminated_pod_gc_threshold = 12500,
        .root_ca_file = "",
        .signing_certificate_file = "",
        .signing_key_file = "",
        .signing_duration_ns = INT64_C(8760) * 3600 * NSEC_PER_SEC,
        .service_account_key_file = "",
};

static bool arg_use_service_accounts;

static const struct option options[] = {
        DAEMON_OPTION_ROWS(arg_daemon),
        DAEMON_SECURE_OPTION_ROWS(arg_daemon),
        LEADER_OPTION_ROWS(arg_leader),
        {"controllers", 0, OPTION_STRINGS, &arg_controllers, "Controllers", "names",
         "controllers to run: '*' is all, 'name' one more, '-name' one less"},
        {"allocate-node-cidrs", 0, OPTION_BOOL, &arg_settings.allocate_node_cidrs, "Controllers", "",
         "give each node a part of --cluster-cidr for its pods"},
        {"cluster-cidr", 0, OPTION_STRING, &arg_settings.cluster_cidr, "Controllers", "cidr", "addresses of pods"},
        {"node-cidr-mask-size", 0, OPTION_INT, &arg_settings.node_cidr_mask_size, "Controllers", "bits",
         "prefix length of a node's part; by default 24 for IPv4 and 64 for IPv6"},
        {"node-cidr-mask-size-ipv4", 0, OPTION_INT, &arg_settings.node_cidr_mask_size_ipv4, "Controllers", "bits",
         "prefix length of a node's IPv4 part"},
        {"node-cidr-mask-size-ipv6", 0, OPTION_INT, &arg_settings.node_cidr_mask_size_ipv6, "Controllers", "bits",
         "prefix length of a node's IPv6 part"},
        {"service-cluster-ip-range", 0, OPTION_STRING, &arg_settings.service_cidr, "Controllers", "cidr",
         "addresses of services, kept out of the nodes' parts"},
        {"node-monitor-period", 0, OPTION_DURATION, &arg_settings.node_monitor_period_ns, "Controllers", "duration",
         "how often the nodes' heartbeats are looked at"},
        {"node-monitor-grace-period", 0, OPTION_DURATION, &arg_settings.node_monitor_grace_period_ns, "Controllers",
         "duration", "how long a node may be silent before it counts as not ready"},
        {"node-startup-grace-period", 0, OPTION_DURATION, &arg_settings.node_startup_grace_period_ns, "Controllers",
         "duration", "how long a new node may be silent before it counts as not ready"},
        {"node-eviction-rate", 0, OPTION_STRING, &arg_settings.node_eviction_rate, "Controllers", "nodes",
         "nodes per second of a zone whose pods are evicted when they are not ready"},
        {"terminated-pod-gc-threshold", 0, OPTION_INT, &arg_settings.terminated_pod_gc_threshold, "Controllers",
         "number", "how many finished pods may exist before the oldest are deleted; 0 turns it off"},
        {"root-ca-file", 0, OPTION_STRING, &arg_settings.root_ca_file, "Controllers", "path",
         "CA certificate published in every namespace as kube-root-ca.crt"},
        {"use-service-account-credentials", 0, OPTION_BOOL, &arg_use_service_accounts, "Controllers", "",
         "let each controller write with the token of a service account of its own"},
        {"cluster-signing-cert-file", 0, OPTION_STRING, &arg_settings.signing_certificate_file, "Controllers", "path",
         "CA that signs what CertificateSigningRequests ask for"},
        {"cluster-signing-key-file", 0, OPTION_STRING, &arg_settings.signing_key_file, "Controllers", "path",
         "its key"},
        {"cluster-signing-duration", 0, OPTION_DURATION, &arg_settings.signing_duration_ns, "Controllers", "duration",
         "longest life of such certificates"},
        {"service-account-private-key-file", 0, OPTION_STRING, &arg_settings.service_account_key_file, "Controllers",
         "path", "key that signs the service account tokens of secrets"},
        {"cluster-name", 0, OPTION_IGNORED, NULL, "Controllers", "name", "accepted for compatibility"},
        {0},
};

static struct {
	struct controller_manager *manager;
	struct daemon_leadership *leadership;
} running;

static void on_leading(struct daemon *daemon)
{
	struct err err = ERR_INIT;
	struct controller_manager_config config = {
	        .client = daemon->client,
	        .metrics = daemon->metrics,
	        .host_name = daemon->host_name,
	        .settings = arg_settings,
	        .use_service_accounts = arg_use_service_accounts,
	        .enabled = arg_controllers.items,
	};
	if (controller_manager_new(&config, &running.manager, &err) < 0) {
		log_error("Failed to start the controllers", kv_err(&err));
		daemon_quit(daemon, 1);
	}
}

static int start(struct daemon *daemon, struct err *err)
{
	int result = daemon_start_leading(daemon, &arg_leader, on_leading, &running.leadership, err);
	if (result == 0)
		daemon_ready(daemon);
	return result;
}

static void stop(struct daemon *daemon UNUSED)
{
	running.manager = controller_manager_free(running.manager);
	running.leadership = daemon_stop_leading(running.leadership);
}

static const struct daemon_program program = {
        .name = "kube-controller-manager",
        .summary = "Moves the cluster towards what was asked: the controllers of Kubernetes in one process.",
        .options = options,
        .values = &arg_daemon,
        .start = start,
        .stop = stop,
};

int main(int argc, char **argv)
{
	return daemon_main(&program, argc, argv);
}
