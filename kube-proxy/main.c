// SPDX-License-Identifier: Apache-2.0
//
// kube-proxy: service addresses and node ports by nftables. Flags are upstream's;
// the only mode is nftables.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/client/daemon.h"
#include "common/io/loop.h"
#include "kube-proxy/proxier.h"

enum { HEALTH_PORT = 10256, MAX_CLUSTER_NETWORKS = 2 };

static struct daemon_options arg_daemon = DAEMON_OPTIONS_INIT(HEALTH_PORT);
static const char *arg_health_bind = "0.0.0.0:10256";
static const char *arg_metrics_bind = "127.0.0.1:10249";
static const char *arg_host_name = "";
static const char *arg_mode = "nftables";
static struct string_list arg_cluster_networks;
static int64_t arg_min_sync_period_ns = 20 * NSEC_PER_MSEC;
static bool arg_cleanup;

static const struct option options[] = {
        DAEMON_OPTION_ROWS(arg_daemon),
        {"master", 0, OPTION_STRING, &arg_daemon.master, "Client", "url",
         "address of the API server, in place of the kubeconfig's"},
        {"hostname-override", 0, OPTION_STRING, &arg_host_name, "Proxy", "name",
         "the node's name; by default the host's"},
        {"cluster-cidr", 0, OPTION_STRINGS, &arg_cluster_networks, "Proxy", "cidrs",
         "the pod network: clients from outside it are masqueraded at cluster IPs; one for each family at the most"},
        {"proxy-mode", 0, OPTION_STRING, &arg_mode, "Proxy", "mode", "nftables is the only mode there is"},
        {"nftables-min-sync-period", 0, OPTION_DURATION, &arg_min_sync_period_ns, "Proxy", "duration",
         "shortest time between two writes of the rules"},
        {"nftables-sync-period", 0, OPTION_IGNORED, NULL, "Proxy", "duration", "accepted for compatibility"},
        {"iptables-min-sync-period", 0, OPTION_IGNORED, NULL, "Proxy", "duration", "accepted for compatibility"},
        {"iptables-sync-period", 0, OPTION_IGNORED, NULL, "Proxy", "duration", "accepted for compatibility"},
        {"conntrack-max-per-core", 0, OPTION_IGNORED, NULL, "Proxy", "number", "accepted for compatibility"},
        {"conntrack-min", 0, OPTION_IGNORED, NULL, "Proxy", "number", "accepted for compatibility"},
        {"healthz-bind-address", 0, OPTION_STRING, &arg_health_bind, "Serving", "ip:port",
         "where /healthz and /livez are served"},
        {"metrics-bind-address", 0, OPTION_STRING, &arg_metrics_bind, "Serving", "ip:port", "where /metrics is served"},
        {"cleanup", 0, OPTION_BOOL, &arg_cleanup, "Proxy", "", "remove the rules and exit"},
        {0},
};

struct kube_proxy {
	struct proxier *proxier;
	struct plain_server *metrics_server;
	struct rule_address cluster_networks[MAX_CLUSTER_NETWORKS];
	unsigned cluster_prefix_lengths[MAX_CLUSTER_NETWORKS];
	size_t cluster_network_count;
	char metrics_address[64];
	int metrics_port;
};

static struct kube_proxy kube_proxy;

// "ip:port", "[ip6]:port" or ":port".
static int parse_bind(const char *text, char *address, size_t address_bytes, int64_t *ret_port, struct err *err)
{
	const char *colon = strrchr(text, ':');
	char *end = NULL;
	long port = colon ? strtol(colon + 1, &end, 10) : -1;
	if (!colon || end == colon + 1 || *end || port < 0 || port > 65535)
		return err_set(err, ERR_INVALID, "%s is not of the form ip:port", text);
	const char *start = text;
	size_t length = (size_t)(colon - text);
	if (length >= 2 && start[0] == '[' && start[length - 1] == ']') {
		start++;
		length -= 2;
	}
	if (!length) {
		start = "0.0.0.0";
		length = strlen(start);
	}
	if (length >= address_bytes)
		return err_set(err, ERR_INVALID, "%s is not of the form ip:port", text);
	memcpy(address, start, length);
	address[length] = '\0';
	*ret_port = port;
	return 0;
}

static int parse_cluster_network(const char *text, struct err *err)
{
	char address[64];
	const char *slash = strchr(text, '/');
	char *end = NULL;
	unsigned long prefix = slash ? strtoul(slash + 1, &end, 10) : 0;
	size_t length = slash ? (size_t)(slash - text) : 0;
	struct rule_address parsed;
	if (!slash || end == slash + 1 || *end || length >= sizeof(address))
		return err_set(err, ERR_INVALID, "--cluster-cidr: invalid CIDR address: %s", text);
	memcpy(address, text, length);
	address[length] = '\0';
	if (!rule_address_parse(address, &parsed) || prefix > (parsed.ipv6 ? 128 : 32))
		return err_set(err, ERR_INVALID, "--cluster-cidr: invalid CIDR address: %s", text);
	if (kube_proxy.cluster_network_count == MAX_CLUSTER_NETWORKS)
		return err_set(err, ERR_INVALID, "--cluster-cidr takes one network for each family at the most");
	size_t index = kube_proxy.cluster_network_count++;
	kube_proxy.cluster_networks[index] = parsed;
	kube_proxy.cluster_prefix_lengths[index] = (unsigned)prefix;
	return 0;
}

static int configure(struct daemon *daemon UNUSED, struct err *err)
{
	static char health_address[64];
	int64_t metrics_port = 0;
	if (strcmp(arg_mode, "nftables") != 0 && *arg_mode)
		return err_set(err, ERR_INVALID, "--proxy-mode=%s: nftables is the only mode there is", arg_mode);
	int result = parse_bind(arg_health_bind, health_address, sizeof(health_address), &arg_daemon.health_port, err);
	if (result == 0)
		result = parse_bind(arg_metrics_bind, kube_proxy.metrics_address, sizeof(kube_proxy.metrics_address),
		                    &metrics_port, err);
	if (result < 0)
		return result;
	arg_daemon.health_address = health_address;
	kube_proxy.metrics_port = (int)metrics_port;
	for (size_t i = 0; result == 0 && i < arg_cluster_networks.count; i++)
		result = parse_cluster_network(arg_cluster_networks.items[i], err);
	return result;
}

static bool rules_are_written(void *context UNUSED)
{
	return !kube_proxy.proxier || proxier_is_healthy(kube_proxy.proxier);
}

static const struct health_check checks[] = {
        {.name = "proxy-rules", .endpoints = HEALTH_HEALTHZ, .check = rules_are_written},
        {0},
};

static void on_synced(void *context)
{
	daemon_ready(context);
}

static int start(struct daemon *daemon, struct err *err)
{
	struct proxier_config config = {
	        .client = daemon->client,
	        .metrics = daemon->metrics,
	        .node_name = *arg_host_name ? arg_host_name : daemon->host_name,
	        .nft = {.cluster_network = kube_proxy.cluster_networks,
	                .cluster_prefix_length = kube_proxy.cluster_prefix_lengths,
	                .cluster_network_count = kube_proxy.cluster_network_count},
	        .min_sync_period_ns = arg_min_sync_period_ns,
	        .on_synced = on_synced,
	        .context = daemon,
	};
	if (kube_proxy.metrics_port) {
		static const struct health_check no_checks[] = {{0}};
		struct plain_server_config serving = {
		        .bind_address = kube_proxy.metrics_address,
		        .port = kube_proxy.metrics_port,
		        .checks = no_checks,
		        .metrics = daemon->metrics,
		};
		int result = plain_server_new(&serving, &kube_proxy.metrics_server, err);
		if (result < 0)
			return result;
	}
	return proxier_new(&config, &kube_proxy.proxier, err);
}

static void stop(struct daemon *daemon UNUSED)
{
	kube_proxy.proxier = proxier_free(kube_proxy.proxier);
	kube_proxy.metrics_server = plain_server_free(kube_proxy.metrics_server);
}

static int cleanup(void)
{
	struct nft_config config = {0};
	struct nft *nft;
	struct err err = ERR_INIT;
	int result = nft_new(&config, &nft, &err);
	if (result == 0) {
		result = nft_cleanup(nft, &err);
		nft_free(nft);
	}
	if (result < 0)
		fprintf(stderr, "kube-proxy: %s\n", err.message);
	return result < 0 ? 1 : 0;
}

static const struct daemon_program program = {
        .name = "kube-proxy",
        .summary = "Makes the addresses and node ports of Services reach their endpoints, by nftables.",
        .options = options,
        .values = &arg_daemon,
        .configure = configure,
        .checks = checks,
        .start = start,
        .stop = stop,
};

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--cleanup") == 0 || strcmp(argv[i], "--cleanup=true") == 0)
			return cleanup();
	return daemon_main(&program, argc, argv);
}
