// SPDX-License-Identifier: Apache-2.0
// What a relying party needs to believe service account tokens by itself: the
// issuer's metadata and its public keys (OpenID Connect Discovery 1.0).

#include <string.h>

#include "apiserver/authentication/service_account.h"
#include "apiserver/server.h"
#include "common/base/blob.h"
#include "common/base/strbuf.h"

enum {
	OPENID_MAX_BYTES = 1 << 20,
};

static void finish_json(struct request *request, const char *content_type, const struct json *document)
{
	struct strbuf text = STRBUF_INIT(OPENID_MAX_BYTES);
	size_t length;
	char *data;

	json_write(&text, document);
	data = strbuf_take(&text, &length);
	AUTO(blob_unref) struct blob *body = blob_new_take(data, length);

	request_finish_blob(request, 200, content_type, body);
}

static struct json *texts(struct arena *arena, const char *text)
{
	struct json *array = json_array(arena);

	json_append(arena, array, json_string(arena, text));
	return array;
}

static struct json *algorithms(struct arena *arena, const struct jwt_keys *keys)
{
	struct json *array = json_array(arena);

	for (size_t i = 0; i < keys->count; i++) {
		const char *name = jwt_key_algorithm(keys->items[i].key);
		bool known = !name;

		json_for_each_item (item, array)
			known |= !strcmp(json_text(item), name);
		if (!known)
			json_append(arena, array, json_string(arena, name));
	}
	return array;
}

static bool is_published(struct request *request)
{
	const struct service_account_tokens *tokens = authentication_service_accounts(request->server->authentication);

	// An issuer that is no URL can't be discovered.
	if (tokens && !strncmp(service_account_tokens_issuer(tokens), "https://", 8))
		return true;
	request_finish_status(request, status_no_such_path(request->arena));
	return false;
}

void service_account_serve_discovery(struct request *request)
{
	const struct service_account_tokens *tokens = authentication_service_accounts(request->server->authentication);
	const struct server_config *config = request->server->config;
	struct json *document = json_object(request->arena);
	const char *keys_url = config->authentication.jwks_uri;

	if (!is_published(request))
		return;
	if (!keys_url[0])
		keys_url = arena_printf(request->arena,
		                        strchr(config->advertise_address, ':') ? "https://[%s]:%d/openid/v1/jwks"
		                                                               : "https://%s:%d/openid/v1/jwks",
		                        config->advertise_address, request->server->port);
	json_set_text(request->arena, document, "issuer", service_account_tokens_issuer(tokens));
	json_set_text(request->arena, document, "jwks_uri", keys_url);
	json_set(request->arena, document, "response_types_supported", texts(request->arena, "id_token"));
	json_set(request->arena, document, "subject_types_supported", texts(request->arena, "public"));
	json_set(request->arena, document, "id_token_signing_alg_values_supported",
	         algorithms(request->arena, service_account_tokens_keys(tokens)));
	finish_json(request, "application/json", document);
}

void service_account_serve_keys(struct request *request)
{
	const struct service_account_tokens *tokens = authentication_service_accounts(request->server->authentication);
	struct json *document = json_object(request->arena), *list = json_array(request->arena);

	if (!is_published(request))
		return;
	for (size_t i = 0; i < service_account_tokens_keys(tokens)->count; i++)
		json_append(request->arena, list,
		            jwt_key_to_json(request->arena, &service_account_tokens_keys(tokens)->items[i]));
	json_set(request->arena, document, "keys", list);
	finish_json(request, "application/jwk-set+json", document);
}
