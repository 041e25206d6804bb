// SPDX-License-Identifier: Apache-2.0
#pragma once
// The files that the kubelet writes for a pod's containers: /etc/hosts,
// /etc/resolv.conf, /etc/hostname. Their texts are pure functions.

#include "common/base/strbuf.h"
#include "kubelet/pod/pod.h"

// The name of the pod's host: spec.hostname or the pod's name, cut to 63; with setHostnameAsFQDN its full name.
char *pod_host_name(struct arena *arena, const struct core_v1_pod *pod, const char *cluster_domain);

// `node_hosts`: the node's own file, for pods in its network; else NULL.
void pod_hosts_text(struct strbuf *out, const struct core_v1_pod *pod, const char *const *addresses,
                    size_t address_count, const char *cluster_domain, const char *node_hosts);

struct dns_settings {
	const char *const *cluster_dns;
	size_t cluster_dns_count;
	const char *cluster_domain;   // "" = none
	const char *node_resolv_conf; // the node's file as text
};
void pod_resolv_conf_text(struct strbuf *out, const struct core_v1_pod *pod, const struct dns_settings *settings);

// Writes them into the pod's directory, in place, where they differ.
NODISCARD int pod_files_write(const struct pod *pod, struct err *err);
