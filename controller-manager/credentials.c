// SPDX-License-Identifier: Apache-2.0
//
// A credential's way:
//
//   ask for a token ──► use it ──► at four fifths of its life: ask again
//        │ no such account: make it, then ask again
//        └ any other failure: again after a second
//
// All controllers share one connection of a client without a certificate (a
// certificate would go before the token); the token travels with each request.
#include "controller-manager/credentials.h"

#include <string.h>

#include "common/base/list.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/io/loop.h"

#define CREDENTIAL_LIFE_SECONDS 3600
#define CREDENTIAL_RENEW_NS (NSEC_PER_SEC * CREDENTIAL_LIFE_SECONDS * 4 / 5)
#define CREDENTIAL_RETRY_NS NSEC_PER_SEC

struct credential {
	struct credentials *credentials;
	struct list node;
	char *account;
	char *token;
	struct rest_call *call;
	struct loop_timer timer;
	bool complained;
};

struct credentials {
	struct rest_client *client; // the manager's
	struct rest_client *bare;
	struct list accounts;
	void (*on_ready)(void *context);
	void *context;
};

// Controllers whose account isn't called as they are.
static const struct {
	const char *controller;
	const char *account; // NULL: the manager's own credential
} names[] = {
        {"bootstrap-signer-controller", "bootstrap-signer"},
        {"certificatesigningrequest-approving-controller", "certificate-controller"},
        {"certificatesigningrequest-cleaner-controller", "certificate-controller"},
        {"certificatesigningrequest-signing-controller", "certificate-controller"},
        {"daemonset-controller", "daemon-set-controller"},
        {"endpoints-controller", "endpoint-controller"},
        {"endpointslice-mirroring-controller", "endpointslicemirroring-controller"},
        {"garbage-collector-controller", "generic-garbage-collector"},
        {"horizontal-pod-autoscaler-controller", "horizontal-pod-autoscaler"},
        {"legacy-serviceaccount-token-cleaner-controller", "legacy-service-account-token-cleaner"},
        {"node-ipam-controller", "node-controller"},
        {"node-lifecycle-controller", "node-controller"},
        {"persistentvolume-attach-detach-controller", "attachdetach-controller"},
        {"persistentvolume-binder-controller", "persistent-volume-binder"},
        {"persistentvolume-expander-controller", "expand-controller"},
        {"persistentvolume-protection-controller", "pv-protection-controller"},
        {"persistentvolumeclaim-protection-controller", "pvc-protection-controller"},
        {"pod-garbage-collector-controller", "pod-garbage-collector"},
        {"replicationcontroller-controller", "replication-controller"},
        {"root-ca-certificate-publisher-controller", "root-ca-cert-publisher"},
        {"service-cidr-controller", "service-cidrs-controller"},
        {"service-lb-controller", "service-controller"},
        {"serviceaccount-controller", "service-account-controller"},
        {"serviceaccount-token-controller", NULL},
        {"taint-eviction-controller", "node-controller"},
        {"token-cleaner-controller", "token-cleaner"},
};

static void ask(struct credential *credential);

static void on_timer(struct loop_timer *timer)
{
	ask(container_of(timer, struct credential, timer));
}

static void again(struct credential *credential, int64_t delay_ns)
{
	loop_timer_start(rest_client_loop(credential->credentials->client), &credential->timer, delay_ns, on_timer);
}

static void complain(struct credential *credential, const struct err *err)
{
	if (!credential->complained)
		log_warning("No token for the controllers' account", kv_str("account", credential->account),
		            kv_err(err));
	credential->complained = true;
	again(credential, CREDENTIAL_RETRY_NS);
}

static void on_account(void *context, const struct rest_response *response)
{
	struct credential *credential = context;
	credential->call = NULL;
	if (response->err.code == ERR_NONE || response->err.code == ERR_ALREADY_EXISTS)
		ask(credential);
	else
		complain(credential, &response->err);
}

static void make_account(struct credential *credential)
{
	AUTO_FREE char *body =
	        xasprintf("{\"apiVersion\":\"v1\",\"kind\":\"ServiceAccount\",\"metadata\":{\"name\":\"%s\","
	                  "\"namespace\":\"kube-system\"}}",
	                  credential->account);
	struct rest_request request = {.method = "POST",
	                               .path = "/api/v1/namespaces/kube-system/serviceaccounts",
	                               .body = body,
	                               .body_length = strlen(body)};
	credential->call = rest_start(credential->credentials->client, &request, on_account, credential);
}

static void on_token(void *context, const struct rest_response *response)
{
	struct credential *credential = context;
	struct credentials *credentials = credential->credentials;
	const char *token = json_text(json_path(response->object, "status", "token"));
	credential->call = NULL;
	if (response->err.code == ERR_NOT_FOUND) {
		make_account(credential);
		return;
	}
	if (response->err.code != ERR_NONE || !token) {
		complain(credential, &response->err);
		return;
	}
	bool is_first = !credential->token;
	free(credential->token);
	credential->token = xstrdup(token);
	credential->complained = false;
	again(credential, CREDENTIAL_RENEW_NS);
	if (is_first)
		credentials->on_ready(credentials->context);
}

static void ask(struct credential *credential)
{
	AUTO_FREE char *path =
	        xasprintf("/api/v1/namespaces/kube-system/serviceaccounts/%s/token", credential->account);
	AUTO_FREE char *body =
	        xasprintf("{\"apiVersion\":\"authentication.k8s.io/v1\",\"kind\":\"TokenRequest\",\"spec\":"
	                  "{\"audiences\":[],\"expirationSeconds\":%d}}",
	                  CREDENTIAL_LIFE_SECONDS);
	struct rest_request request = {.method = "POST", .path = path, .body = body, .body_length = strlen(body)};
	credential->call = rest_start(credential->credentials->client, &request, on_token, credential);
}

const char *credential_token(const struct credential *credential)
{
	return credential->token;
}

void credential_renew(struct credential *credential)
{
	if (!credential->call)
		again(credential, CREDENTIAL_RETRY_NS);
}

// --- all of them ---------------------------------------------------------------------

static const char *account_of(const char *controller)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(names[i].controller, controller) == 0)
			return names[i].account;
	return controller;
}

struct credential *credentials_of(struct credentials *credentials, const char *controller)
{
	const char *account = account_of(controller);
	struct credential *credential;
	if (!account)
		return NULL;
	list_for_each (credential, &credentials->accounts, node)
		if (strcmp(credential->account, account) == 0)
			return credential;
	credential = NEW(struct credential);
	credential->credentials = credentials;
	credential->account = xstrdup(account);
	list_append(&credentials->accounts, &credential->node);
	ask(credential);
	return credential;
}

struct rest_client *credentials_client(struct credentials *credentials)
{
	return credentials->bare;
}

int credentials_new(struct rest_client *client, void (*on_ready)(void *context), void *context,
                    struct credentials **ret_credentials, struct err *err)
{
	struct client_config config = *rest_client_config(client);
	config.certificate_file = config.certificate_data = NULL;
	config.private_key_file = config.private_key_data = NULL;
	config.bearer_token = config.bearer_token_file = NULL;
	struct credentials *credentials = NEW(struct credentials);
	credentials->client = client;
	credentials->on_ready = on_ready;
	credentials->context = context;
	list_init(&credentials->accounts);
	int result =
	        rest_client_new(rest_client_loop(client), &config, "kube-controller-manager", &credentials->bare, err);
	if (result < 0)
		free(credentials);
	else
		*ret_credentials = credentials;
	return result;
}

struct credentials *credentials_free(struct credentials *credentials)
{
	struct credential *credential;
	if (!credentials)
		return NULL;
	list_for_each (credential, &credentials->accounts, node) {
		list_remove(&credential->node);
		loop_timer_stop(&credential->timer);
		if (credential->call)
			rest_cancel(credential->call);
		free(credential->account);
		free(credential->token);
		free(credential);
	}
	rest_client_free(credentials->bare);
	free(credentials);
	return NULL;
}
