// SPDX-License-Identifier: Apache-2.0
#pragma once
// The kubelet's settings: flags over the KubeletConfiguration file over defaults.

#include <stdbool.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/base/options.h"

struct json;

struct kubelet_config {
	const char *config_file;
	const char *bootstrap_kubeconfig;
	const char *hostname_override;
	const char *node_ip; // "" = found out
	const char *root_directory;
	const char *certificate_directory;
	const char *pod_logs_directory;
	const char *static_pod_path; // "" = none
	const char *container_runtime_endpoint;
	const char *runtime_name; // containerd's name of the OCI runtime
	const char *logger_path;  // "" = crilog beside this program
	const char *infra_image;
	const char *cni_config_directory;
	const char *cni_binary_path; // directories, separated by ':'
	const char *cgroup_root;
	const char *cgroup_driver;
	struct string_list node_labels;
	struct string_list taints;
	bool register_node;
	const char *address;
	int64_t port;
	int64_t read_only_port;
	const char *healthz_address;
	int64_t healthz_port;
	const char *client_ca_file;
	bool anonymous_auth;
	bool token_webhook; // bearer tokens are judged by TokenReview
	int64_t token_cache_ns;
	const char *authorization_mode; // "AlwaysAllow", "Webhook"
	int64_t allowed_cache_ns;
	int64_t denied_cache_ns;
	bool seccomp_default;
	struct string_list allowed_unsafe_sysctls; // names or patterns that end in '*'
	bool rotate_certificates;
	bool server_tls_bootstrap;
	const char *tls_certificate_file;
	const char *tls_private_key_file;
	int64_t max_pods;
	struct string_list cluster_dns;
	const char *cluster_domain;
	const char *resolv_conf;
	int64_t file_check_ns;
	int64_t sync_ns;
	int64_t node_status_update_ns;
	int64_t node_status_report_ns;
	int64_t lease_duration_seconds;
	int64_t container_log_max_bytes;
	int64_t container_log_max_files;
};

extern const struct kubelet_config kubelet_config_defaults;

// Reads a KubeletConfiguration document (YAML or JSON) into the fields whose flags were not given (`options` tells).
// Texts go to the arena, which lives as long as the config.
// Without a config file upstream's flags have older defaults for who may use the API: everybody.
void kubelet_config_set_legacy_defaults(const struct option *options, struct kubelet_config *config);

NODISCARD int kubelet_config_load(struct arena *arena, const char *path, const struct option *options,
                                  struct kubelet_config *config, struct err *err);

// The settings in effect, in the document's form, for /configz.
struct json *kubelet_config_to_json(struct arena *arena, const struct kubelet_config *config);
