// SPDX-License-Identifier: Apache-2.0
// Bootstrap tokens, "ID.SECRET": six and sixteen characters. The secret
// kube-system/bootstrap-token-ID holds what the token must be, until when and for
// what. A token that has been deleted or has expired is nobody's, as one that
// never was: who tries tokens learns nothing.

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/authentication/authenticators.h"
#include "apiserver/object_io.h"
#include "apiserver/server.h"
#include "apiserver/storage/storage.h"
#include "common/api/object.h"
#include "common/base/encode.h"
#include "common/base/memory.h"
#include "common/base/text.h"

enum {
	TOKEN_ID_LENGTH = 6,
	TOKEN_SECRET_LENGTH = 16,
	BOOTSTRAP_MAX_GROUPS = 64,
};

static bool is_token(const char *token, size_t length)
{
	if (length != TOKEN_ID_LENGTH + 1 + TOKEN_SECRET_LENGTH || token[TOKEN_ID_LENGTH] != '.')
		return false;
	for (size_t i = 0; i < length; i++)
		if (i != TOKEN_ID_LENGTH &&
		    !((token[i] >= 'a' && token[i] <= 'z') || (token[i] >= '0' && token[i] <= '9')))
			return false;
	return true;
}

// A value of the secret's data, "" when absent.
static const char *value_of(struct arena *arena, const struct json *secret, const char *key)
{
	const char *encoded = json_text(json_path(secret, "data", key));
	uint8_t *data = NULL;
	size_t length = 0;

	if (!encoded || !base64_decode(arena, encoded, strlen(encoded), &data, &length) ||
	    strlen((char *)data) != length)
		return "";
	return (const char *)data;
}

static bool is_over(struct arena *arena, const struct json *secret, int64_t now_ns)
{
	const char *expiration = value_of(arena, secret, "expiration");
	int64_t when;

	// An end that can't be read has passed.
	return expiration[0] && (!api_time_parse(expiration, &when) || when <= now_ns);
}

static bool is_group(const char *group)
{
	static const char prefix[] = "system:bootstrappers:";
	size_t length = strlen(group);

	if (strncmp(group, prefix, sizeof(prefix) - 1) != 0 || length > 255 + sizeof(prefix))
		return false;
	for (const char *at = group + sizeof(prefix) - 1; *at; at++)
		if (!((*at >= 'a' && *at <= 'z') || (*at >= '0' && *at <= '9') || *at == ':' || *at == '-'))
			return false;
	return group[length - 1] != ':' && group[length - 1] != '-' && group[sizeof(prefix) - 1];
}

// False when one of them isn't for bootstrapping.
static bool read_groups(struct arena *arena, const struct json *secret, struct user *user)
{
	const char **groups = ARENA_ARRAY(arena, const char *, BOOTSTRAP_MAX_GROUPS + 1);
	const char *text = value_of(arena, secret, "auth-extra-groups");

	groups[user->group_count++] = "system:bootstrappers";
	user->groups = groups;
	while (*text && user->group_count < BOOTSTRAP_MAX_GROUPS) {
		size_t length = strcspn(text, ",");
		const char *group = arena_strndup(arena, text, length);

		if (!is_group(group))
			return false;
		if (!user_is_in(user, group))
			groups[user->group_count++] = group;
		text += length + (text[length] == ',');
	}
	return true;
}

static bool is_right(struct token_ask *ask, const struct json *secret, const char *id)
{
	const char *wanted = value_of(ask->arena, secret, "token-secret");

	return !object_is_being_deleted(secret) &&
	       !strcmp(text_or_empty(json_get_text(secret, "type")), "bootstrap.kubernetes.io/token") &&
	       strlen(wanted) == TOKEN_SECRET_LENGTH &&
	       !CRYPTO_memcmp(wanted, ask->token + TOKEN_ID_LENGTH + 1, TOKEN_SECRET_LENGTH) &&
	       !strcmp(value_of(ask->arena, secret, "token-id"), id) &&
	       !is_over(ask->arena, secret, loop_realtime_ns(ask->loop)) &&
	       !strcmp(value_of(ask->arena, secret, "usage-bootstrap-authentication"), "true");
}

static enum token_outcome decide(struct token_authenticator *authenticator, struct token_ask *ask)
{
	const struct schema_resource *secrets = schema_find_resource("", "v1", "secrets");
	struct user user = {0};
	struct stored_object *object;
	const struct json *secret;
	const char *id;

	(void)authenticator;
	if (!is_token(ask->token, ask->token_length))
		return TOKEN_UNKNOWN;
	id = arena_strndup(ask->arena, ask->token, TOKEN_ID_LENGTH);
	object = storage_peek(ask->server->storage, secrets, "kube-system",
	                      arena_printf(ask->arena, "bootstrap-token-%s", id));
	secret = object ? object_load_plain(ask->arena, secrets, object, NULL) : NULL;
	stored_object_unref(object);
	if (!secret || !is_right(ask, secret, id) || !read_groups(ask->arena, secret, &user))
		return TOKEN_UNKNOWN;
	user.name = arena_printf(ask->arena, "system:bootstrap:%s", id);
	ask->user = user;
	return TOKEN_AUTHENTICATED;
}

static void free_authenticator(struct token_authenticator *authenticator)
{
	free(authenticator);
}

struct token_authenticator *bootstrap_tokens_new(void)
{
	struct token_authenticator *authenticator = NEW(struct token_authenticator);

	*authenticator =
	        (struct token_authenticator){.name = "bootstraptoken", .decide = decide, .free = free_authenticator};
	return authenticator;
}
