// SPDX-License-Identifier: Apache-2.0
//
// The certificates of a control plane, one row each: kubeadm's files, subjects,
// usages and names. A CA whose key is absent is an external one: its leaves must
// be there already.
#include <string.h>

#include "adm/init_run.h"
#include "adm/pki.h"
#include "common/base/file.h"

#define YEAR_SECONDS (INT64_C(365) * 24 * 3600)

enum names {
	NAMES_NONE,
	NAMES_API_SERVER,
	NAMES_ETCD,
};

struct certificate_row {
	const char *phase;
	const char *file;        // below the certificates' folder, without suffix
	const char *signer;      // the CA's file; NULL: self-signed
	const char *common_name; // NULL: the node's name
	const char *organization;
	unsigned usage;
	enum names names;
};

static const struct certificate_row rows[] = {
        {"certs/ca", "ca", NULL, "kubernetes", NULL, 0, NAMES_NONE},
        {"certs/apiserver", "apiserver", "ca", "kube-apiserver", NULL, PKI_SERVER, NAMES_API_SERVER},
        {"certs/apiserver-kubelet-client", "apiserver-kubelet-client", "ca", "kube-apiserver-kubelet-client",
         "kubeadm:cluster-admins", PKI_CLIENT, NAMES_NONE},
        {"certs/front-proxy-ca", "front-proxy-ca", NULL, "front-proxy-ca", NULL, 0, NAMES_NONE},
        {"certs/front-proxy-client", "front-proxy-client", "front-proxy-ca", "front-proxy-client", NULL, PKI_CLIENT,
         NAMES_NONE},
        {"certs/etcd-ca", "etcd/ca", NULL, "etcd-ca", NULL, 0, NAMES_NONE},
        {"certs/etcd-server", "etcd/server", "etcd/ca", NULL, NULL, PKI_SERVER | PKI_CLIENT, NAMES_ETCD},
        {"certs/etcd-peer", "etcd/peer", "etcd/ca", NULL, NULL, PKI_SERVER | PKI_CLIENT, NAMES_ETCD},
        {"certs/etcd-healthcheck-client", "etcd/healthcheck-client", "etcd/ca", "kube-etcd-healthcheck-client", NULL,
         PKI_CLIENT, NAMES_NONE},
        {"certs/apiserver-etcd-client", "apiserver-etcd-client", "etcd/ca", "kube-apiserver-etcd-client", NULL,
         PKI_CLIENT, NAMES_NONE},
};

enum { MAX_NAMES = 64 };

struct name_list {
	const char *dns[MAX_NAMES + 1];
	const char *ip[MAX_NAMES + 1];
	size_t dns_count;
	size_t ip_count;
};

static void add_name(struct name_list *list, const char *name)
{
	bool is_address = strchr(name, ':') || strspn(name, "0123456789.") == strlen(name);
	if (is_address && list->ip_count < MAX_NAMES)
		list->ip[list->ip_count++] = name;
	else if (!is_address && list->dns_count < MAX_NAMES)
		list->dns[list->dns_count++] = name;
}

static void collect_names(struct init_run *run, enum names kind, struct name_list *list)
{
	const struct init_settings *settings = &run->settings;
	if (kind == NAMES_NONE)
		return;
	add_name(list, settings->node_name);
	add_name(list, settings->advertise_address);
	if (kind == NAMES_ETCD) {
		add_name(list, "localhost");
		add_name(list, "127.0.0.1");
		add_name(list, "::1");
		return;
	}
	add_name(list, "kubernetes");
	add_name(list, "kubernetes.default");
	add_name(list, "kubernetes.default.svc");
	add_name(list, arena_printf(run->arena, "kubernetes.default.svc.%s", settings->dns_domain));
	add_name(list, run->service_address);
	if (*settings->control_plane_endpoint) {
		char *host = arena_strdup(run->arena, settings->control_plane_endpoint);
		char *colon = strrchr(host, ':');
		if (colon && strchr(host, ':') == colon)
			*colon = '\0';
		add_name(list, host);
	}
	for (size_t i = 0; i < settings->extra_names.count; i++)
		add_name(list, settings->extra_names.items[i]);
}

static int issue(struct init_run *run, const struct init_phase *phase, const struct certificate_row *row,
                 const struct pki_request *request, struct err *err)
{
	const char *path = init_certificate_path(run, row->file);
	AUTO_PKI_PAIR struct pki_pair signer = {0};
	if (row->signer) {
		int result = pki_pair_load(init_certificate_path(run, row->signer), &signer, err);
		if (result < 0)
			return result;
	}
	AUTO_PKI_PAIR struct pki_pair pair = {0};
	struct err missing = ERR_INIT;
	int result = pki_pair_load(path, &pair, &missing);
	if (result == 0) {
		if (row->signer && !pki_certificate_serves(pair.certificate, signer.certificate, request))
			return err_set(
			        err, ERR_INVALID,
			        "certificate %s.crt is there, but expired, of another CA, or without a name that it "
			        "needs; remove it and run again",
			        path);
		phase_say(phase, "Using existing %s certificate and key", strchr(phase->name, '/') + 1);
		return 0;
	}
	if (missing.code != ERR_NOT_FOUND)
		return err_copy(err, &missing);
	result = pki_issue(request, row->signer ? &signer : NULL, &pair, err);
	if (result == 0)
		result = pki_pair_store(path, &pair, err);
	if (result == 0)
		phase_say(phase, "Generating \"%s\" certificate and key", strchr(phase->name, '/') + 1);
	return result;
}

static int ensure_folders(struct init_run *run, struct err *err)
{
	return file_make_folders(init_certificate_path(run, "etcd"), 0755, err);
}

static int signing_key(struct init_run *run, const struct init_phase *phase, struct err *err)
{
	bool created;
	int result = pki_signing_key_ensure(init_certificate_path(run, "sa"), &created, err);
	if (result == 0)
		phase_say(phase, created ? "Generating \"sa\" key and public key" : "Using existing \"sa\" key");
	return result;
}

int phase_certificate(struct init_run *run, const struct init_phase *phase, struct err *err)
{
	int result = ensure_folders(run, err);
	if (result < 0)
		return result;
	if (strcmp(phase->name, "certs/sa") == 0)
		return signing_key(run, phase, err);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct certificate_row *row = &rows[i];
		if (strcmp(row->phase, phase->name) != 0)
			continue;
		struct name_list names = {0};
		collect_names(run, row->names, &names);
		struct pki_request request = {
		        .common_name = row->common_name ? row->common_name : run->settings.node_name,
		        .organization = row->organization,
		        .usage = row->usage,
		        .dns_names = names.dns,
		        .ip_addresses = names.ip,
		        .validity_seconds = row->signer ? YEAR_SECONDS : 10 * YEAR_SECONDS,
		        .is_ca = !row->signer,
		};
		return issue(run, phase, row, &request, err);
	}
	return err_set(err, ERR_INTERNAL, "no certificate row for the phase %s", phase->name);
}
