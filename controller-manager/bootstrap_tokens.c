// SPDX-License-Identifier: Apache-2.0
//
// The two controllers of bootstrap tokens (secrets of type
// bootstrap.kubernetes.io/token in kube-system):
//
//   token cleaner     deletes each when it expires
//   bootstrap signer  signs the kubeconfig in kube-public/cluster-info with every
//                     token that is for signing, so that who holds a token can
//                     believe what it reads there: "jws-kubeconfig-ID" is a
//                     detached JWS (RFC 7515, appendix F) by HMAC-SHA-256
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "api/core_v1.h"
#include "common/api/object.h"
#include "common/api/view.h"
#include "common/base/encode.h"
#include "common/base/memory.h"
#include "common/base/text.h"
#include "common/io/loop.h"
#include "controller-manager/controllers.h"
#include "controller-manager/object_update.h"

#define TOKEN_TYPE "bootstrap.kubernetes.io/token"
#define TOKEN_NAME_PREFIX "bootstrap-token-"
#define INFO_NAMESPACE "kube-public"
#define INFO_NAME "cluster-info"
#define SIGNATURE_PREFIX "jws-kubeconfig-"

struct bootstrap_tokens {
	struct informer *secrets;
	struct informer *info;
};

// A value of the secret's data in the arena; "" when absent or no text.
static const char *value_of(struct arena *arena, const struct core_v1_secret *secret, const char *key)
{
	for (size_t i = 0; i < secret->data.count; i++) {
		const struct bytes *value = &secret->data.entries[i].value;
		if (strcmp(secret->data.entries[i].key, key) == 0 && !memchr(value->data, '\0', value->length))
			return arena_strndup(arena, (const char *)value->data, value->length);
	}
	return "";
}

static const struct informer_config secrets_config = {
        .resource = &schema_resource_core_v1_secrets,
        .namespace_name = "kube-system",
        .field_selector = "type=" TOKEN_TYPE,
};

static void stop(struct controller *controller)
{
	free(controller_state(controller));
}

// False: it has no end, or one that can't be read (which has passed).
static bool is_over(struct arena *arena, const struct core_v1_secret *secret, int64_t now_ns, int64_t *ret_left_ns)
{
	const char *expiration = value_of(arena, secret, "expiration");
	int64_t when;
	*ret_left_ns = -1;
	if (!*expiration)
		return false;
	if (!api_time_parse(expiration, &when))
		return true;
	*ret_left_ns = when - now_ns;
	return when <= now_ns;
}

// --- the cleaner ------------------------------------------------------------------------

static int start_cleaner(struct controller *controller, struct err *err UNUSED)
{
	struct bootstrap_tokens *state = NEW(struct bootstrap_tokens);
	controller_set_state(controller, state);
	state->secrets = controller_watch_with(controller, &secrets_config, controller_enqueue_object);
	return 0;
}

static void clean(struct controller *controller, struct reconcile *reconcile, const char *key)
{
	struct bootstrap_tokens *state = controller_state(controller);
	struct api_object *object = informer_get_key(state->secrets, key);
	int64_t left_ns;
	if (!object)
		return;
	if (is_over(reconcile_arena(reconcile), object->view, loop_realtime_ns(controller_loop(controller)), &left_ns))
		reconcile_delete(reconcile, object, NULL, NULL);
	else if (left_ns > 0)
		reconcile_again_after(reconcile, left_ns);
}

const struct controller_type token_cleaner_controller = {
        .name = "token-cleaner-controller",
        .start = start_cleaner,
        .reconcile = clean,
        .stop = stop,
};

// --- the signer --------------------------------------------------------------------------

static void on_any(struct controller *controller, struct api_object *old_object UNUSED,
                   struct api_object *new_object UNUSED)
{
	controller_enqueue(controller, INFO_NAMESPACE "/" INFO_NAME);
}

static int start_signer(struct controller *controller, struct err *err UNUSED)
{
	const struct informer_config info = {
	        .resource = &schema_resource_core_v1_configmaps,
	        .namespace_name = INFO_NAMESPACE,
	        .field_selector = "metadata.name=" INFO_NAME,
	};
	struct bootstrap_tokens *state = NEW(struct bootstrap_tokens);
	controller_set_state(controller, state);
	state->secrets = controller_watch_with(controller, &secrets_config, on_any);
	state->info = controller_watch_with(controller, &info, on_any);
	return 0;
}

// "header..signature" over "header.content".
static char *detached_signature(struct arena *arena, const char *content, const char *id, const char *secret)
{
	AUTO_STRBUF struct strbuf signed_text = STRBUF_INIT(4 << 20), out = STRBUF_INIT(4096);
	const char *header = arena_printf(arena, "{\"alg\":\"HS256\",\"kid\":\"%s\"}", id);
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned length = 0;
	base64url_encode(&out, header, strlen(header));
	strbuf_append(&signed_text, out.data, out.length);
	strbuf_append_char(&signed_text, '.');
	base64url_encode(&signed_text, content, strlen(content));
	HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)signed_text.data, signed_text.length,
	     digest, &length);
	strbuf_append_text(&out, "..");
	base64url_encode(&out, digest, length);
	return arena_strdup(arena, strbuf_text(&out));
}

// All signatures that should be there: {"jws-kubeconfig-ID": …}.
static struct json *wanted_signatures(struct controller *controller, struct arena *arena, const char *content)
{
	struct bootstrap_tokens *state = controller_state(controller);
	struct json *wanted = json_object(arena);
	struct api_object *object;
	int64_t left_ns;
	for (size_t cursor = 0; (object = informer_next(state->secrets, &cursor));) {
		const struct core_v1_secret *secret = object->view;
		const char *id = value_of(arena, secret, "token-id"), *key = value_of(arena, secret, "token-secret");
		if (!*id || !*key || strcmp(value_of(arena, secret, "usage-bootstrap-signing"), "true") != 0 ||
		    !text_equal(secret->type, TOKEN_TYPE) || secret->metadata.deletion_timestamp ||
		    strcmp(object->name, arena_printf(arena, TOKEN_NAME_PREFIX "%s", id)) != 0 ||
		    is_over(arena, secret, loop_realtime_ns(controller_loop(controller)), &left_ns))
			continue;
		json_set_text(arena, wanted, arena_printf(arena, SIGNATURE_PREFIX "%s", id),
		              detached_signature(arena, content, id, key));
	}
	return wanted;
}

static bool is_signature(const char *key)
{
	return strncmp(key, SIGNATURE_PREFIX, strlen(SIGNATURE_PREFIX)) == 0;
}

static bool is_signed(const struct core_v1_config_map *info, const struct json *wanted)
{
	size_t count = 0;
	for (size_t i = 0; i < info->data.count; i++) {
		if (!is_signature(info->data.entries[i].key))
			continue;
		count++;
		if (!text_equal(json_get_text(wanted, info->data.entries[i].key), info->data.entries[i].value))
			return false;
	}
	return count == wanted->length;
}

static bool put_signatures(void *context, struct arena *arena, struct json *object)
{
	const struct json *wanted = context;
	struct json *data = json_ensure_object(arena, object, "data"), *kept = json_object(arena);
	json_for_each_member (member, data)
		if (!is_signature(member->key))
			json_set(arena, kept, member->key, member->value);
	json_for_each_member (member, wanted)
		json_set(arena, kept, member->key, json_clone(arena, member->value));
	json_set(arena, object, "data", kept);
	return true;
}

static void sign_info(struct controller *controller, struct reconcile *reconcile, const char *key UNUSED)
{
	struct bootstrap_tokens *state = controller_state(controller);
	struct api_object *object = informer_get(state->info, INFO_NAMESPACE, INFO_NAME);
	const struct core_v1_config_map *info = object ? object->view : NULL;
	const char *content = info ? string_map_get(&info->data, "kubeconfig") : NULL;
	if (!content)
		return;
	struct json *wanted = wanted_signatures(controller, reconcile_arena(reconcile), content);
	if (!is_signed(info, wanted))
		reconcile_update(reconcile, &schema_resource_core_v1_configmaps, INFO_NAMESPACE, INFO_NAME, NULL,
		                 put_signatures, wanted);
}

const struct controller_type bootstrap_signer_controller = {
        .name = "bootstrap-signer-controller",
        .concurrent_keys = 1,
        .start = start_signer,
        .reconcile = sign_info,
        .stop = stop,
};
