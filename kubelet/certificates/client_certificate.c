// SPDX-License-Identifier: Apache-2.0
// Bootstrap, as upstream's: the bootstrap kubeconfig's user may ask for a certificate of
// system:node:<name> and for nothing else; the kubeconfig that is written afterwards has
// the bootstrap's cluster and, for its user, the file that rotation keeps up.

#include "kubelet/certificates/client_certificate.h"

#include <stdio.h>
#include <string.h>

#include "common/api/json.h"
#include "common/base/clock.h"
#include "common/base/encode.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/client/rest.h"
#include "common/io/loop.h"

enum { MAX_PEM_BYTES = 1 << 20 };

// The manager's config borrows its texts: they live as long as the process.
static const char *user_name(const char *node_name)
{
	static char name[300];
	snprintf(name, sizeof(name), "system:node:%.250s", node_name);
	return name;
}

struct certificate_manager *client_certificate_rotate(struct loop *loop, struct rest_client *client,
                                                      const char *node_name, const char *directory)
{
	static const char *const usages[] = {"digital signature", "client auth", NULL};
	const struct certificate_manager_config config = {
	        .client = client,
	        .signer_name = "kubernetes.io/kube-apiserver-client-kubelet",
	        .subject = {.common_name = user_name(node_name), .organization = "system:nodes"},
	        .usages = usages,
	        .directory = directory,
	        .prefix = CLIENT_CERTIFICATE_PREFIX,
	};
	return certificate_manager_new(loop, &config);
}

struct certificate_manager *serving_certificate_rotate(struct loop *loop, struct rest_client *client,
                                                       const char *node_name, const char *node_ip,
                                                       const char *directory)
{
	static const char *const usages[] = {"digital signature", "server auth", NULL};
	static const char *names[2];
	static const char *addresses[2];
	names[0] = node_name;
	addresses[0] = node_ip;
	const struct certificate_manager_config config = {
	        .client = client,
	        .signer_name = "kubernetes.io/kubelet-serving",
	        .subject = {.common_name = user_name(node_name),
	                    .organization = "system:nodes",
	                    .dns_names = names,
	                    .ip_addresses = addresses},
	        .usages = usages,
	        .directory = directory,
	        .prefix = SERVING_CERTIFICATE_PREFIX,
	};
	return certificate_manager_new(loop, &config);
}

// --- what the kubeconfig brings ------------------------------------------------------

static int read_own_pair(const struct client_config *config, struct strbuf *pem, struct err *err)
{
	int result = 0;
	if (config->certificate_data)
		strbuf_append_text(pem, config->certificate_data);
	else
		result = file_read(config->certificate_file, pem, err);
	strbuf_append_char(pem, '\n');
	if (result == 0 && config->private_key_data)
		strbuf_append_text(pem, config->private_key_data);
	else if (result == 0 && config->private_key_file)
		result = file_read(config->private_key_file, pem, err);
	return result;
}

static int64_t ends_at(const struct strbuf *pem)
{
	struct certificate_validity validity;
	if (!pem->length || certificate_pair_check(pem->data, pem->length, &validity, NULL) < 0)
		return 0;
	return validity.not_after_ns;
}

int client_certificate_adopt(struct arena *arena, const char *directory, struct client_config *config, struct err *err)
{
	AUTO_FREE char *current = certificate_current_path(directory, CLIENT_CERTIFICATE_PREFIX);
	AUTO_STRBUF struct strbuf kept = STRBUF_INIT(MAX_PEM_BYTES);
	AUTO_STRBUF struct strbuf own = STRBUF_INIT(MAX_PEM_BYTES);
	if (!config->certificate_data && !config->certificate_file)
		return 0;
	if (config->certificate_file && !strcmp(config->certificate_file, current))
		return 0;
	(void)file_read(current, &kept, NULL);
	int result = read_own_pair(config, &own, err);
	if (result < 0)
		return result;
	if (ends_at(&own) > ends_at(&kept))
		result = certificate_store(directory, CLIENT_CERTIFICATE_PREFIX, own.data, own.length,
		                           clock_realtime_ns(&clock_system), err);
	if (result < 0)
		return result;
	config->certificate_file = config->private_key_file = arena_strdup(arena, current);
	config->certificate_data = config->private_key_data = NULL;
	return 0;
}

// --- bootstrap -----------------------------------------------------------------------

static struct json *named(struct arena *arena, struct json *document, const char *list, const char *name,
                          const char *member)
{
	struct json *entry = json_object(arena);
	json_set_text(arena, entry, "name", name);
	json_append(arena, json_ensure_array(arena, document, list), entry);
	return json_ensure_object(arena, entry, member);
}

static int write_kubeconfig(const struct client_config *bootstrap, const char *path, const char *certificate,
                            struct err *err)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(MAX_PEM_BYTES);
	AUTO_STRBUF struct strbuf ca = STRBUF_INIT(MAX_PEM_BYTES);
	struct json *document = json_object(arena);
	json_set_text(arena, document, "apiVersion", "v1");
	json_set_text(arena, document, "kind", "Config");
	struct json *cluster = named(arena, document, "clusters", "default-cluster", "cluster");
	json_set_text(arena, cluster, "server", bootstrap->server);
	if (bootstrap->ca_data) {
		base64_encode(&ca, bootstrap->ca_data, strlen(bootstrap->ca_data));
		json_set_text(arena, cluster, "certificate-authority-data", strbuf_text(&ca));
	} else if (bootstrap->ca_file) {
		json_set_text(arena, cluster, "certificate-authority", bootstrap->ca_file);
	}
	if (bootstrap->insecure_skip_tls_verify)
		json_set_bool(arena, cluster, "insecure-skip-tls-verify", true);
	struct json *user = named(arena, document, "users", "default-auth", "user");
	json_set_text(arena, user, "client-certificate", certificate);
	json_set_text(arena, user, "client-key", certificate);
	struct json *context = named(arena, document, "contexts", "default-context", "context");
	json_set_text(arena, context, "cluster", "default-cluster");
	json_set_text(arena, context, "user", "default-auth");
	json_set_text(arena, document, "current-context", "default-context");
	json_write(&text, document);
	return file_write_atomic(path, text.data, text.length, 0600, err);
}

static void on_renewed(void *context)
{
	loop_quit(context, 0);
}

int client_certificate_bootstrap(const char *bootstrap_kubeconfig, const char *kubeconfig, const char *node_name,
                                 const char *directory, struct err *err)
{
	static const char *const usages[] = {"digital signature", "client auth", NULL};
	AUTO(arena_free) struct arena *arena = arena_new(0);
	const struct kubeconfig_overrides overrides = {.path = bootstrap_kubeconfig};
	struct client_config credentials = {0};
	struct loop *loop = NULL;
	struct rest_client *client = NULL;
	int result = kubeconfig_load(arena, &overrides, &credentials, err);
	if (result == 0)
		result = loop_new(NULL, &loop, err);
	if (result == 0)
		result = rest_client_new(loop, &credentials, "kubelet-bootstrap/" CARAVEL_VERSION, &client, err);
	if (result == 0) {
		log_info("Asking for a client certificate", kv_str("bootstrapKubeconfig", bootstrap_kubeconfig));
		const struct certificate_manager_config config = {
		        .client = client,
		        .signer_name = "kubernetes.io/kube-apiserver-client-kubelet",
		        .subject = {.common_name = user_name(node_name), .organization = "system:nodes"},
		        .usages = usages,
		        .directory = directory,
		        .prefix = CLIENT_CERTIFICATE_PREFIX,
		        .on_renewed = on_renewed,
		        .context = loop,
		};
		struct certificate_manager *manager = certificate_manager_new(loop, &config);
		(void)loop_run(loop);
		certificate_manager_free(manager);
		AUTO_FREE char *current = certificate_current_path(directory, CLIENT_CERTIFICATE_PREFIX);
		result = write_kubeconfig(&credentials, kubeconfig, current, err);
	}
	rest_client_free(client);
	loop_free(loop);
	return result < 0 ? err_wrap(err, "bootstrap a client certificate") : 0;
}
