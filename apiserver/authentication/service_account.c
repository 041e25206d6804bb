// SPDX-License-Identifier: Apache-2.0
// Believing service account tokens:
//
//   is it ours (issuer)? ─► signature (kept by the token's hash) ─► audience, times
//     ─► the objects that it is bound to: there, the same uid, not deleted for long
//     ─► the user
//
// The signature is checked once for each token; everything else is checked on
// every use, from the cache, so a token ends with its pod. An object that the
// cache doesn't show is asked for consistently before a token is refused.
//
// Two kinds of claims are believed: those of bound tokens ("kubernetes.io") and
// those of legacy ones, which live in secrets ("kubernetes.io/serviceaccount/…")
// and have no end but that of their secret.

#include "apiserver/authentication/service_account.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/authentication/service_account_objects.h"
#include "apiserver/server.h"
#include "common/api/object.h"
#include "common/base/encode.h"
#include "common/base/hashmap.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/text.h"

#define LEGACY_ISSUER "kubernetes/serviceaccount"
#define LEGACY_PREFIX "kubernetes.io/serviceaccount/"
#define EXTRA_PREFIX "authentication.kubernetes.io/"

enum {
	TOKEN_LEEWAY_SECONDS = 60,
	TOKEN_CACHE_MAX = 8192,
	TOKEN_HASH_TEXT = 2 * 32 + 1,
};

struct service_account_tokens {
	struct token_authenticator authenticator;
	struct server *server;
	const struct authentication_flags *flags;
	struct jwt_keys keys;
	struct jwt_key signing_key;
	bool signs;
	pthread_mutex_t mutex;
	struct hashmap *verified; // hash of a token whose signature is right → a mark
};

// A token under examination.
struct examination {
	struct service_account_tokens *tokens;
	struct token_ask *ask;
	struct jwt jwt;
	const struct json *claims; // "kubernetes.io" of bound tokens, NULL for legacy ones
	struct bound_objects objects;
};

// --- the signature ---------------------------------------------------------------------------------

static void hash_token(const struct token_ask *ask, char out[TOKEN_HASH_TEXT])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned length = 0;

	EVP_Digest(ask->token, ask->token_length, digest, &length, EVP_sha256(), NULL);
	hex_encode(out, digest, length);
}

static bool was_verified(struct service_account_tokens *tokens, const char *hash)
{
	bool found;

	pthread_mutex_lock(&tokens->mutex);
	found = hashmap_get(tokens->verified, hash) != NULL;
	pthread_mutex_unlock(&tokens->mutex);
	return found;
}

// A full cache is emptied: what is in use comes back at the cost of one verification each.
static void note_verified(struct service_account_tokens *tokens, const char *hash)
{
	static char mark;

	pthread_mutex_lock(&tokens->mutex);
	if (hashmap_count(tokens->verified) >= TOKEN_CACHE_MAX)
		hashmap_clear(tokens->verified);
	hashmap_put(tokens->verified, hash, &mark);
	pthread_mutex_unlock(&tokens->mutex);
}

static bool has_good_signature(struct examination *at)
{
	char hash[TOKEN_HASH_TEXT];

	hash_token(at->ask, hash);
	if (was_verified(at->tokens, hash))
		return true;
	if (!jwt_verify(&at->jwt, &at->tokens->keys))
		return false;
	note_verified(at->tokens, hash);
	return true;
}

// --- the claims ------------------------------------------------------------------------------------

static bool is_our_issuer(const struct service_account_tokens *tokens, const char *issuer)
{
	if (!strcmp(issuer, LEGACY_ISSUER))
		return true;
	for (size_t i = 0; i < tokens->flags->issuers.count; i++)
		if (!strcmp(tokens->flags->issuers.items[i], issuer))
			return true;
	return false;
}

static const char *check_times(const struct json *claims, int64_t now, bool must_end)
{
	int64_t seconds;
	bool bad;

	if (jwt_claim_time(claims, "exp", &seconds, &bad) && now > seconds + TOKEN_LEEWAY_SECONDS)
		return "service account token has expired";
	if (bad || (must_end && !json_get(claims, "exp")))
		return "service account token claims could not be validated due to unexpected validation error";
	if (jwt_claim_time(claims, "nbf", &seconds, &bad) && now < seconds - TOKEN_LEEWAY_SECONDS)
		return "service account token is not valid yet";
	if (bad)
		return "service account token claims could not be validated due to unexpected validation error";
	if (jwt_claim_time(claims, "iat", &seconds, &bad) && now < seconds - TOKEN_LEEWAY_SECONDS)
		return "service account token is issued in the future";
	return bad ? "service account token claims could not be validated due to unexpected validation error" : NULL;
}

static const char *quote_list(struct arena *arena, const char *const *items, size_t count)
{
	AUTO_STRBUF struct strbuf out = STRBUF_INIT(64 << 10);

	strbuf_append_char(&out, '[');
	for (size_t i = 0; i < count; i++) {
		if (i)
			strbuf_append_char(&out, ' ');
		quote_append(&out, items[i], strlen(items[i]));
	}
	strbuf_append_char(&out, ']');
	return arena_strdup(arena, strbuf_text(&out));
}

static const char *check_audience(struct examination *at)
{
	struct token_ask *ask = at->ask;
	const char *const *wanted, *const *given;
	size_t wanted_count, given_count;

	token_ask_audiences(ask, &wanted, &wanted_count);
	given = jwt_claim_audiences(ask->arena, at->jwt.claims, &given_count);
	if (!given_count && !at->claims) // legacy tokens are for the API server
		given = authentication_audiences(ask->server->authentication, &given_count);
	if (token_ask_match_audiences(ask, given, given_count))
		return NULL;
	return arena_printf(ask->arena, "token audiences %s is invalid for the target audiences %s",
	                    quote_list(ask->arena, given, given_count), quote_list(ask->arena, wanted, wanted_count));
}

static void want(struct examination *at, int which, const char *namespace_name, const char *name)
{
	at->objects.items[which].namespace_name = namespace_name;
	at->objects.items[which].name = name;
}

// Which objects the token speaks of; the error's text when it doesn't say so properly.
static const char *read_bound_claims(struct examination *at)
{
	static const struct {
		const char *member;
		int which;
	} references[] = {
	        {"serviceaccount", BOUND_ACCOUNT}, {"pod", BOUND_POD}, {"secret", BOUND_SECRET}, {"node", BOUND_NODE}};
	const char *ns = json_get_text(at->claims, "namespace");

	for (size_t i = 0; i < ARRAY_SIZE(references); i++) {
		const struct json *reference = json_get(at->claims, references[i].member);

		if (!reference)
			continue;
		if (text_is_empty(json_get_text(reference, "name")) || !json_get_text(reference, "uid"))
			return "token could not be parsed";
		want(at, references[i].which, references[i].which == BOUND_NODE ? "" : ns,
		     json_get_text(reference, "name"));
	}
	if (text_is_empty(ns) || !at->objects.items[BOUND_ACCOUNT].name)
		return "token could not be validated due to missing claim";
	// The node of a pod's token is told, and judged by the pod.
	if (at->objects.items[BOUND_POD].name)
		at->objects.items[BOUND_NODE].name = NULL;
	return NULL;
}

static const char *read_legacy_claims(struct examination *at)
{
	const struct json *claims = at->jwt.claims;
	const char *ns = json_get_text(claims, LEGACY_PREFIX "namespace");
	const char *account = json_get_text(claims, LEGACY_PREFIX "service-account.name");
	const char *secret = json_get_text(claims, LEGACY_PREFIX "secret.name");

	if (text_is_empty(ns))
		return "namespace claim is missing";
	if (text_is_empty(account))
		return "serviceAccountName claim is missing";
	if (text_is_empty(secret))
		return "secretName claim is missing";
	if (text_is_empty(json_get_text(claims, LEGACY_PREFIX "service-account.uid")))
		return "serviceAccountUID claim is missing";
	want(at, BOUND_ACCOUNT, ns, account);
	want(at, BOUND_SECRET, ns, secret);
	return NULL;
}

static const char *check_subject(const struct examination *at)
{
	const char *ns = at->objects.items[BOUND_ACCOUNT].namespace_name;
	const char *subject = json_get_text(at->jwt.claims, "sub");
	const char *wanted = arena_printf(at->ask->arena, SERVICE_ACCOUNT_USER_PREFIX "%s:%s", ns,
	                                  at->objects.items[BOUND_ACCOUNT].name);

	return subject && !strcmp(subject, wanted) ? NULL : "sub claim is invalid";
}

// --- the objects ---------------------------------------------------------------------------------

static int64_t now_seconds(const struct token_ask *ask)
{
	return loop_realtime_ns(ask->loop) / NSEC_PER_SEC;
}

static bool is_long_deleted(const struct examination *at, const struct json *object)
{
	const char *deleted = json_text(json_path(object, "metadata", "deletionTimestamp"));
	int64_t when_ns;

	return deleted && api_time_parse(deleted, &when_ns) &&
	       when_ns / NSEC_PER_SEC + TOKEN_LEEWAY_SECONDS < now_seconds(at->ask);
}

static const char *check_object(const struct examination *at, int which, const char *uid, const char *what)
{
	const struct json *object = at->objects.items[which].tree;

	if (!at->objects.items[which].name)
		return NULL;
	if (!object || is_long_deleted(at, object))
		return arena_printf(at->ask->arena, "%s has been deleted", what);
	if (!uid || strcmp(text_or_empty(object_uid(object)), uid) != 0)
		return arena_printf(at->ask->arena, "%s UID (%s) does not match claim (%s)", what,
		                    text_or_empty(object_uid(object)), text_or_empty(uid));
	return NULL;
}

static const char *check_bound_objects(const struct examination *at)
{
	static const struct {
		int which;
		const char *member;
		const char *what;
	} rows[] = {{BOUND_ACCOUNT, "serviceaccount", "service account"},
	            {BOUND_SECRET, "secret", "service account token secret"},
	            {BOUND_POD, "pod", "pod"},
	            {BOUND_NODE, "node", "node"}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *uid = json_text(json_path(at->claims, rows[i].member, "uid"));
		const char *error = check_object(at, rows[i].which, uid, rows[i].what);

		if (error)
			return error;
	}
	return NULL;
}

static bool secret_holds_token(const struct examination *at)
{
	const char *data = json_text(json_path(at->objects.items[BOUND_SECRET].tree, "data", "token"));
	uint8_t *token = NULL;
	size_t length = 0;

	return data && base64_decode(at->ask->arena, data, strlen(data), &token, &length) &&
	       length == at->ask->token_length && !CRYPTO_memcmp(token, at->ask->token, length);
}

static const char *check_legacy_objects(const struct examination *at)
{
	const struct json *account = at->objects.items[BOUND_ACCOUNT].tree,
	                  *secret = at->objects.items[BOUND_SECRET].tree;
	const char *uid = json_get_text(at->jwt.claims, LEGACY_PREFIX "service-account.uid");

	if (!at->tokens->flags->lookup)
		return NULL;
	if (!secret || object_is_being_deleted(secret) || !secret_holds_token(at))
		return "service account token has been invalidated";
	if (json_text(json_path(secret, "metadata", "labels", "kubernetes.io/legacy-token-invalid-since")))
		return "the token in secret is marked as invalid";
	return account ? check_object(at, BOUND_ACCOUNT, uid, "service account") : "service account has been deleted";
}

// --- the verdict ----------------------------------------------------------------------------------

static void tell_extras(struct examination *at)
{
	struct user *user = &at->ask->user;
	const char *id = json_get_text(at->jwt.claims, "jti");
	const struct json *pod = json_get(at->claims, "pod"), *node = json_get(at->claims, "node");

	if (!text_is_empty(id))
		user_set_extra(at->ask->arena, user, EXTRA_PREFIX "credential-id",
		               arena_printf(at->ask->arena, "JTI=%s", id));
	if (pod) {
		user_set_extra(at->ask->arena, user, EXTRA_PREFIX "pod-name", json_get_text(pod, "name"));
		user_set_extra(at->ask->arena, user, EXTRA_PREFIX "pod-uid", json_get_text(pod, "uid"));
	}
	if (node) {
		user_set_extra(at->ask->arena, user, EXTRA_PREFIX "node-name", json_get_text(node, "name"));
		user_set_extra(at->ask->arena, user, EXTRA_PREFIX "node-uid", json_get_text(node, "uid"));
	}
}

static void warn_when_stale(struct examination *at)
{
	int64_t seconds;
	bool bad;

	if (jwt_claim_time(at->claims, "warnafter", &seconds, &bad) && now_seconds(at->ask) > seconds)
		at->ask->warning =
		        arena_printf(at->ask->arena, "subject: %s, seconds after warning threshold: %lld",
		                     json_get_text(at->jwt.claims, "sub"), (long long)(now_seconds(at->ask) - seconds));
}

static enum token_outcome judge(struct examination *at)
{
	struct token_ask *ask = at->ask;
	const struct json *claims = at->jwt.claims;
	const char *uid = at->claims ? json_text(json_path(at->claims, "serviceaccount", "uid"))
	                             : json_get_text(claims, LEGACY_PREFIX "service-account.uid");

	ask->error = at->claims ? check_bound_objects(at) : check_legacy_objects(at);
	if (ask->error)
		return TOKEN_REFUSED;
	user_of_service_account(ask->arena, at->objects.items[BOUND_ACCOUNT].namespace_name,
	                        at->objects.items[BOUND_ACCOUNT].name, uid, &ask->user);
	if (at->claims) {
		tell_extras(at);
		warn_when_stale(at);
	}
	return TOKEN_AUTHENTICATED;
}

// Everything that needs no object.
static const char *examine_claims(struct examination *at)
{
	const char *error = check_times(at->jwt.claims, now_seconds(at->ask), at->claims != NULL);

	if (!error)
		error = at->claims ? read_bound_claims(at) : read_legacy_claims(at);
	if (!error)
		error = check_subject(at);
	return error ? error : check_audience(at);
}

static enum token_outcome decide(struct token_authenticator *authenticator, struct token_ask *ask)
{
	struct service_account_tokens *tokens =
	        container_of(authenticator, struct service_account_tokens, authenticator);
	struct examination *at = ARENA_NEW(ask->arena, struct examination);
	const char *issuer;

	at->tokens = tokens;
	at->ask = ask;
	if (jwt_parse(ask->arena, ask->token, ask->token_length, &at->jwt, NULL) < 0)
		return TOKEN_UNKNOWN;
	issuer = json_get_text(at->jwt.claims, "iss");
	if (!issuer || !is_our_issuer(tokens, issuer))
		return TOKEN_UNKNOWN;
	ask->error = "invalid signature";
	if (!has_good_signature(at))
		return TOKEN_REFUSED;
	at->claims = json_get(at->jwt.claims, "kubernetes.io");
	if (!json_is(at->claims, JSON_OBJECT))
		at->claims = NULL;
	if (!at->claims && strcmp(issuer, LEGACY_ISSUER) != 0) {
		ask->error = "token could not be validated due to missing claim";
		return TOKEN_REFUSED;
	}
	at->objects = (struct bound_objects){
	        .storage = ask->server->storage, .loop = ask->loop, .arena = ask->arena, .context = at};
	ask->error = examine_claims(at);
	if (ask->error)
		return TOKEN_REFUSED;
	ask->authenticator_context = at;
	if (!bound_objects_peek(&at->objects))
		return TOKEN_WAIT;
	return judge(at);
}

static void on_objects(void *context)
{
	struct examination *at = context;

	token_ask_next(at->ask, judge(at));
}

static void ask_storage(struct token_authenticator *authenticator, struct token_ask *ask)
{
	struct examination *at = ask->authenticator_context;

	(void)authenticator;
	at->objects.done = on_objects;
	bound_objects_ask(&at->objects);
}

// --- making it --------------------------------------------------------------------------------------

static void free_tokens(struct token_authenticator *authenticator)
{
	struct service_account_tokens *tokens =
	        container_of(authenticator, struct service_account_tokens, authenticator);

	jwt_keys_done(&tokens->keys);
	EVP_PKEY_free(tokens->signing_key.key);
	free(tokens->signing_key.id);
	hashmap_free(tokens->verified);
	pthread_mutex_destroy(&tokens->mutex);
	free(tokens);
}

static int load_keys(struct service_account_tokens *tokens, struct err *err)
{
	const struct authentication_flags *flags = tokens->flags;
	int r = 0;

	for (size_t i = 0; r == 0 && i < flags->key_files.count; i++)
		r = jwt_keys_load(&tokens->keys, flags->key_files.items[i], err);
	if (r == 0 && flags->signing_key_file[0]) {
		r = jwt_key_load_private(flags->signing_key_file, &tokens->signing_key, err);
		tokens->signs = r == 0;
		if (r == 0 && !flags->key_files.count) // what is signed is believed
			r = jwt_keys_load(&tokens->keys, flags->signing_key_file, err);
	}
	return r;
}

int service_account_tokens_new(struct server *server, const struct authentication_flags *flags,
                               struct service_account_tokens **ret_tokens, struct err *err)
{
	struct service_account_tokens *tokens = NEW(struct service_account_tokens);
	int r;

	tokens->authenticator = (struct token_authenticator){
	        .name = "serviceaccount", .decide = decide, .ask = ask_storage, .free = free_tokens};
	tokens->server = server;
	tokens->flags = flags;
	tokens->verified = hashmap_new(NULL);
	pthread_mutex_init(&tokens->mutex, NULL);
	r = load_keys(tokens, err);
	if (r < 0)
		free_tokens(&tokens->authenticator);
	else
		*ret_tokens = tokens;
	return r;
}

struct token_authenticator *service_account_tokens_authenticator(struct service_account_tokens *tokens)
{
	return &tokens->authenticator;
}

const struct jwt_keys *service_account_tokens_keys(const struct service_account_tokens *tokens)
{
	return &tokens->keys;
}

const char *service_account_tokens_issuer(const struct service_account_tokens *tokens)
{
	return tokens->flags->issuers.count ? tokens->flags->issuers.items[0] : "";
}

const struct jwt_key *service_account_tokens_signing_key(const struct service_account_tokens *tokens)
{
	return tokens->signs ? &tokens->signing_key : NULL;
}
