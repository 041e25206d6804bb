// SPDX-License-Identifier: Apache-2.0
#pragma once
// One run of `adm init`: its settings, and the phases as a table. Phases have
// kubeadm's names, since scripts call and skip them by name. Each may be run
// again: what is there and good is kept.

#include <stdbool.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/base/options.h"

#define ADM_KUBERNETES_FOLDER "/etc/kubernetes"
#define ADM_KUBELET_FOLDER "/var/lib/kubelet"
#define ADM_ETCD_FOLDER "/var/lib/etcd"
#define ADM_MANIFESTS_FOLDER ADM_KUBERNETES_FOLDER "/manifests"

struct init_settings {
	const char *advertise_address;
	int64_t bind_port;
	const char *certificates_folder;
	const char *control_plane_endpoint;
	const char *node_name;
	const char *pod_subnet;
	const char *service_subnet;
	const char *dns_domain;
	const char *cri_socket;
	struct string_list extra_names; // --apiserver-cert-extra-sans
	struct string_list skip_phases;
	struct string_list ignored_checks;
};

struct init_run {
	struct arena *arena; // owns the derived texts
	struct init_settings settings;
	const char *server;          // https://HOST:PORT that admin.conf names
	const char *local_server;    // https://ADVERTISE:PORT, for the daemons of this machine
	const char *service_address; // the first of the service subnet
	const char *dns_address;     // the tenth
};

struct init_phase {
	const char *name; // "certs/apiserver": what stands before '/' is the group
	const char *summary;
	int (*run)(struct init_run *run, const struct init_phase *phase, struct err *err);
};

// Ended by a NULL name, in the order of a whole init.
extern const struct init_phase init_phases[];

int phase_preflight(struct init_run *run, const struct init_phase *phase, struct err *err);
int phase_certificate(struct init_run *run, const struct init_phase *phase, struct err *err);
int phase_kubeconfig(struct init_run *run, const struct init_phase *phase, struct err *err);
int phase_etcd(struct init_run *run, const struct init_phase *phase, struct err *err);
int phase_control_plane(struct init_run *run, const struct init_phase *phase, struct err *err);
int phase_kubelet_start(struct init_run *run, const struct init_phase *phase, struct err *err);
int phase_wait_control_plane(struct init_run *run, const struct init_phase *phase, struct err *err);
int phase_rbac(struct init_run *run, const struct init_phase *phase, struct err *err);
int phase_mark_control_plane(struct init_run *run, const struct init_phase *phase, struct err *err);
int phase_kube_proxy(struct init_run *run, const struct init_phase *phase, struct err *err);

// "[certs] text" on standard output.
void phase_say(const struct init_phase *phase, const char *format, ...) PRINTF_LIKE(2, 3);

// PATH below the certificates' folder, in the run's arena.
const char *init_certificate_path(struct init_run *run, const char *name);

// The n-th address of a subnet ("10.96.0.0/12", 10 → "10.96.0.10"), IPv4 or IPv6.
NODISCARD int subnet_address(struct arena *arena, const char *subnet, unsigned number, const char **ret_address,
                             struct err *err);

// The address that this machine would use towards others; ERR_NOT_FOUND without any route.
NODISCARD int default_address(struct arena *arena, const char **ret_address, struct err *err);
