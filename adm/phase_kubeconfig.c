// SPDX-License-Identifier: Apache-2.0
//
// The kubeconfig files of an administrator and of the machine's daemons, each
// with a client certificate of its own embedded.
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "adm/init_run.h"
#include "adm/pki.h"
#include "common/base/encode.h"
#include "common/base/file.h"

#define CLIENT_VALIDITY_SECONDS (INT64_C(365) * 24 * 3600)

struct kubeconfig_row {
	const char *phase;
	const char *file;
	const char *user; // NULL: system:node:<name>
	const char *organization;
	bool local_server;
};

static const struct kubeconfig_row rows[] = {
        {"kubeconfig/admin", "admin.conf", "kubernetes-admin", "kubeadm:cluster-admins", false},
        {"kubeconfig/super-admin", "super-admin.conf", "kubernetes-super-admin", "system:masters", false},
        {"kubeconfig/kubelet", "kubelet.conf", NULL, "system:nodes", false},
        {"kubeconfig/controller-manager", "controller-manager.conf", "system:kube-controller-manager", NULL, true},
        {"kubeconfig/scheduler", "scheduler.conf", "system:kube-scheduler", NULL, true},
};

static void write_base64(struct strbuf *out, const char *key, const char *pem)
{
	strbuf_printf(out, "    %s: ", key);
	base64_encode(out, pem, strlen(pem));
	strbuf_append_char(out, '\n');
}

static void compose(struct strbuf *out, const char *server, const char *user, X509 *authority,
                    const struct pki_pair *client)
{
	AUTO_FREE char *authority_pem = pki_certificate_pem(authority);
	AUTO_FREE char *certificate_pem = pki_certificate_pem(client->certificate);
	AUTO_FREE char *key_pem = pki_key_pem(client->key);
	strbuf_append_text(out, "apiVersion: v1\nkind: Config\nclusters:\n- name: kubernetes\n  cluster:\n");
	write_base64(out, "certificate-authority-data", authority_pem);
	strbuf_printf(out, "    server: %s\n", server);
	strbuf_printf(out,
	              "contexts:\n- name: %s@kubernetes\n  context:\n    cluster: kubernetes\n    user: %s\n"
	              "current-context: %s@kubernetes\npreferences: {}\nusers:\n- name: %s\n  user:\n",
	              user, user, user, user);
	write_base64(out, "client-certificate-data", certificate_pem);
	write_base64(out, "client-key-data", key_pem);
}

static int write_kubeconfig(struct init_run *run, const struct kubeconfig_row *row, const char *path, struct err *err)
{
	AUTO_PKI_PAIR struct pki_pair authority = {0};
	AUTO_PKI_PAIR struct pki_pair client = {0};
	const char *user = row->user ? row->user : arena_printf(run->arena, "system:node:%s", run->settings.node_name);
	struct pki_request request = {
	        .common_name = user,
	        .organization = row->organization,
	        .usage = PKI_CLIENT,
	        .validity_seconds = CLIENT_VALIDITY_SECONDS,
	};
	int result = pki_pair_load(init_certificate_path(run, "ca"), &authority, err);
	if (result == 0)
		result = pki_issue(&request, &authority, &client, err);
	if (result < 0)
		return result;
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(64 * 1024);
	compose(&text, row->local_server ? run->local_server : run->server, user, authority.certificate, &client);
	return file_write_atomic(path, text.data, text.length, 0600, err);
}

int phase_kubeconfig(struct init_run *run, const struct init_phase *phase, struct err *err)
{
	int result = file_make_folders(ADM_KUBERNETES_FOLDER, 0755, err);
	for (size_t i = 0; result == 0 && i < ARRAY_SIZE(rows); i++) {
		if (strcmp(rows[i].phase, phase->name) != 0)
			continue;
		const char *path = arena_printf(run->arena, ADM_KUBERNETES_FOLDER "/%s", rows[i].file);
		struct stat status;
		if (stat(path, &status) == 0) {
			phase_say(phase, "Using existing kubeconfig file: \"%s\"", path);
			return 0;
		}
		phase_say(phase, "Writing \"%s\" kubeconfig file", rows[i].file);
		result = write_kubeconfig(run, &rows[i], path, err);
	}
	return result;
}
