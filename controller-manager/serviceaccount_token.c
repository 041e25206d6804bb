// SPDX-License-Identifier: Apache-2.0
//
// serviceaccount-token-controller: a secret of type
// kubernetes.io/service-account-token that names a service account gets a token
// that lives as long as the secret, the root CA and the namespace; one whose
// account has gone, or is another of the same name, is deleted. Keys are those of
// secrets. (Tokens of pods are requested by kubelets and never stand in secrets.)
#include <string.h>

#include "api/core_v1.h"
#include "common/api/object.h"
#include "common/api/view.h"
#include "common/base/encode.h"
#include "common/base/file.h"
#include "common/base/memory.h"
#include "common/base/text.h"
#include "common/client/jwt.h"
#include "controller-manager/controllers.h"
#include "controller-manager/object_update.h"

#define TOKEN_TYPE "kubernetes.io/service-account-token"
#define NAME_ANNOTATION "kubernetes.io/service-account.name"
#define UID_ANNOTATION "kubernetes.io/service-account.uid"
#define CLAIM_PREFIX "kubernetes.io/serviceaccount/"

enum { MAX_CA_BYTES = 512 * 1024 };

struct token_controller {
	struct informer *secrets;
	struct informer *accounts;
	struct jwt_key key;
	struct strbuf ca;
};

// What one secret is to hold.
struct filling {
	const char *namespace_name;
	const char *account_uid;
	const char *token;
	const char *ca; // "" = none
};

static void index_by_account(const struct api_object *object, struct informer_index_values *values)
{
	const struct core_v1_secret *secret = object->view;
	const char *account = string_map_get(&secret->metadata.annotations, NAME_ANNOTATION);
	if (account && values->count < values->capacity)
		values->items[values->count++] = account;
}

// Its secrets follow an account.
static void on_account(struct controller *controller, struct api_object *old_object, struct api_object *new_object)
{
	struct token_controller *state = controller_state(controller);
	const struct api_object *account = new_object ? new_object : old_object;
	size_t count;
	struct api_object *const *secrets = informer_by_index(state->secrets, "account", account->name, &count);
	for (size_t i = 0; i < count; i++)
		if (strcmp(secrets[i]->namespace_name, account->namespace_name) == 0)
			controller_enqueue(controller, secrets[i]->key);
}

static int start(struct controller *controller, struct err *err)
{
	const struct controller_settings *settings = controller_settings(controller);
	const struct informer_config secrets = {
	        .resource = &schema_resource_core_v1_secrets,
	        .field_selector = "type=" TOKEN_TYPE,
	};
	const struct informer_config accounts = {
	        .resource = &schema_resource_core_v1_serviceaccounts,
	        .metadata_only = true,
	};
	struct token_controller *state = NEW(struct token_controller);
	controller_set_state(controller, state);
	state->ca = STRBUF_INIT(MAX_CA_BYTES);
	if (!*settings->service_account_key_file)
		return 0;
	if (jwt_key_load_private(settings->service_account_key_file, &state->key, err) < 0)
		return err_wrap(err, "read --service-account-private-key-file");
	if (*settings->root_ca_file && file_read(settings->root_ca_file, &state->ca, err) < 0)
		return err_wrap(err, "read --root-ca-file");
	state->secrets = controller_watch_with(controller, &secrets, controller_enqueue_object);
	informer_add_index(state->secrets, "account", index_by_account);
	state->accounts = controller_watch_with(controller, &accounts, on_account);
	return 0;
}

static void stop(struct controller *controller)
{
	struct token_controller *state = controller_state(controller);
	strbuf_done(&state->ca);
	EVP_PKEY_free(state->key.key);
	free(state->key.id);
	free(state);
}

static const char *make_token(struct arena *arena, const struct token_controller *state,
                              const struct api_object *secret, const struct api_object *account)
{
	struct json *claims = json_object(arena);
	json_set_text(arena, claims, "iss", "kubernetes/serviceaccount");
	json_set_text(arena, claims, CLAIM_PREFIX "namespace", account->namespace_name);
	json_set_text(arena, claims, CLAIM_PREFIX "secret.name", secret->name);
	json_set_text(arena, claims, CLAIM_PREFIX "service-account.name", account->name);
	json_set_text(arena, claims, CLAIM_PREFIX "service-account.uid", account->uid);
	json_set_text(arena, claims, "sub",
	              arena_printf(arena, "system:serviceaccount:%s:%s", account->namespace_name, account->name));
	return jwt_sign(arena, claims, &state->key);
}

static void set_data(struct arena *arena, struct json *data, const char *key, const char *value)
{
	AUTO_STRBUF struct strbuf encoded = STRBUF_INIT(2 * MAX_CA_BYTES);
	base64_encode(&encoded, value, strlen(value));
	json_set_text(arena, data, key, strbuf_text(&encoded));
}

static bool fill(void *context, struct arena *arena, struct json *object)
{
	const struct filling *filling = context;
	struct json *data = json_ensure_object(arena, object, "data");
	struct json *annotations =
	        json_ensure_object(arena, json_ensure_object(arena, object, "metadata"), "annotations");
	json_set_text(arena, annotations, UID_ANNOTATION, filling->account_uid);
	if (text_is_empty(json_get_text(data, "token")))
		set_data(arena, data, "token", filling->token);
	if (*filling->ca)
		set_data(arena, data, "ca.crt", filling->ca);
	set_data(arena, data, "namespace", filling->namespace_name);
	return true;
}

static const struct bytes *find_data(const struct core_v1_secret *secret, const char *key)
{
	for (size_t i = 0; i < secret->data.count; i++)
		if (strcmp(secret->data.entries[i].key, key) == 0 && secret->data.entries[i].value.length)
			return &secret->data.entries[i].value;
	return NULL;
}

static bool is_full(const struct token_controller *state, const struct core_v1_secret *secret)
{
	const struct bytes *ca = find_data(secret, "ca.crt");
	bool has_ca = !state->ca.length ||
	              (ca && ca->length == state->ca.length && memcmp(ca->data, state->ca.data, ca->length) == 0);
	return has_ca && find_data(secret, "token") && find_data(secret, "namespace") &&
	       string_map_get(&secret->metadata.annotations, UID_ANNOTATION);
}

static void reconcile_secret(struct controller *controller, struct reconcile *reconcile, const char *key)
{
	struct token_controller *state = controller_state(controller);
	struct api_object *object = informer_get_key(state->secrets, key);
	const struct core_v1_secret *secret = object ? object->view : NULL;
	struct arena *arena = reconcile_arena(reconcile);
	if (!secret || secret->metadata.deletion_timestamp)
		return;
	const char *name = string_map_get(&secret->metadata.annotations, NAME_ANNOTATION);
	const char *uid = string_map_get(&secret->metadata.annotations, UID_ANNOTATION);
	struct api_object *account = name ? informer_get(state->accounts, object->namespace_name, name) : NULL;
	if (!account || (uid && strcmp(uid, account->uid) != 0)) {
		if (name)
			reconcile_delete(reconcile, object, NULL, NULL);
		return;
	}
	if (is_full(state, secret))
		return;
	struct filling *filling = ARENA_NEW(arena, struct filling);
	*filling = (struct filling){
	        .namespace_name = arena_strdup(arena, object->namespace_name),
	        .account_uid = arena_strdup(arena, account->uid),
	        .token = make_token(arena, state, object, account),
	        .ca = strbuf_text(&state->ca),
	};
	if (filling->token)
		reconcile_update(reconcile, &schema_resource_core_v1_secrets, object->namespace_name, object->name,
		                 NULL, fill, filling);
}

const struct controller_type serviceaccount_token_controller = {
        .name = "serviceaccount-token-controller",
        .start = start,
        .reconcile = reconcile_secret,
        .stop = stop,
};
