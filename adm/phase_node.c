// SPDX-License-Identifier: Apache-2.0
//
// What runs on every node: the kubelet with its configuration, and kube-proxy,
// which shares the kubelet's credential.
#include <stdio.h>

#include "adm/init_run.h"
#include "adm/unit.h"
#include "common/base/file.h"

static int write_kubelet_configuration(struct init_run *run, struct err *err)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(16 * 1024);
	strbuf_printf(&text,
	              "apiVersion: kubelet.config.k8s.io/v1beta1\n"
	              "kind: KubeletConfiguration\n"
	              "authentication:\n"
	              "  anonymous:\n"
	              "    enabled: false\n"
	              "  webhook:\n"
	              "    enabled: true\n"
	              "  x509:\n"
	              "    clientCAFile: %s/ca.crt\n"
	              "authorization:\n"
	              "  mode: Webhook\n"
	              "cgroupDriver: cgroupfs\n"
	              "clusterDNS:\n"
	              "- %s\n"
	              "clusterDomain: %s\n"
	              "healthzBindAddress: 127.0.0.1\n"
	              "healthzPort: 10248\n"
	              "rotateCertificates: true\n"
	              "staticPodPath: " ADM_MANIFESTS_FOLDER "\n",
	              run->settings.certificates_folder, run->dns_address, run->settings.dns_domain);
	return file_write_atomic(ADM_KUBELET_FOLDER "/config.yaml", text.data, text.length, 0644, err);
}

int phase_kubelet_start(struct init_run *run, const struct init_phase *phase, struct err *err)
{
	const char *arguments[] = {
	        "--config=" ADM_KUBELET_FOLDER "/config.yaml",
	        "--kubeconfig=" ADM_KUBERNETES_FOLDER "/kubelet.conf",
	        arena_printf(run->arena, "--container-runtime-endpoint=%s", run->settings.cri_socket),
	        arena_printf(run->arena, "--hostname-override=%s", run->settings.node_name),
	        arena_printf(run->arena, "--node-ip=%s", run->settings.advertise_address),
	};
	int result = file_make_folders(ADM_KUBELET_FOLDER, 0755, err);
	if (result == 0)
		result = file_make_folders(ADM_MANIFESTS_FOLDER, 0755, err);
	if (result == 0)
		result = write_kubelet_configuration(run, err);
	if (result == 0)
		result = unit_write_arguments("kubelet", "KUBELET_ARGS", arguments, ARRAY_SIZE(arguments), err);
	if (result == 0)
		result = unit_start("kubelet", err);
	if (result == 0)
		phase_say(phase, "Started the kubelet as the unit kubelet.service");
	return result;
}

int phase_kube_proxy(struct init_run *run, const struct init_phase *phase, struct err *err)
{
	const char *arguments[] = {
	        "--kubeconfig=" ADM_KUBERNETES_FOLDER "/kubelet.conf",
	        arena_printf(run->arena, "--hostname-override=%s", run->settings.node_name),
	        "--proxy-mode=nftables",
	        arena_printf(run->arena, "--cluster-cidr=%s", run->settings.pod_subnet),
	};
	size_t count = *run->settings.pod_subnet ? ARRAY_SIZE(arguments) : ARRAY_SIZE(arguments) - 1;
	int result = unit_write_arguments("kube-proxy", "KUBE_PROXY_ARGS", arguments, count, err);
	if (result == 0)
		result = unit_start("kube-proxy", err);
	if (result == 0)
		phase_say(phase, "Started kube-proxy as the unit kube-proxy.service");
	return result;
}
