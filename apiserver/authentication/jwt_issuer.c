// SPDX-License-Identifier: Apache-2.0
// Tokens of one issuer:
//
//   iss is ours? ─► keys known and the signature right? ─► time, audience ─► claim_rules
//                        │ no: fetch them, at most once a second, then look again
//                        └ discovery document ─► jwks_uri ─► key set
//
// The keys are an immutable set behind a reference; a fetch puts another one in
// its place, so that a rotation needs nobody to do anything. An issuer that can't
// be reached makes tokens fail, never pass.

#include "apiserver/authentication/jwt_issuer.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "apiserver/authentication/claim_rules.h"
#include "apiserver/authentication/webhook_client.h"
#include "apiserver/server.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/text.h"

#define ISSUER_TIMEOUT_NS (10 * NSEC_PER_SEC)
#define ISSUER_MIN_FETCH_NS NSEC_PER_SEC

enum {
	ISSUER_NBF_LEEWAY_SECONDS = 300,
	ISSUER_MAX_AUDIENCES = 64,
	ISSUER_MAX_ALGORITHMS = 16,
};

struct key_set {
	atomic_int references;
	struct jwt_keys keys;
};

struct jwt_issuer {
	struct token_authenticator authenticator;
	struct server *server;
	struct arena *arena;
	const char *url;
	const char *discovery_url;
	const char *audiences[ISSUER_MAX_AUDIENCES];
	size_t audience_count;
	const char *algorithms[ISSUER_MAX_ALGORITHMS]; // that count; none given: RS256
	size_t algorithm_count;
	struct claim_rules *rules;
	struct webhook_client *client;
	pthread_mutex_t mutex;
	struct key_set *keys; // NULL: none yet
	char *keys_url;       // NULL: not discovered yet
	int64_t fetched_ns;
};

struct issuer_op {
	struct jwt_issuer *issuer;
	struct token_ask *ask;
	struct jwt jwt;
};

// --- the keys --------------------------------------------------------------------------------------

static struct key_set *take_keys(struct jwt_issuer *issuer)
{
	struct key_set *keys;

	pthread_mutex_lock(&issuer->mutex);
	keys = issuer->keys;
	if (keys)
		atomic_fetch_add(&keys->references, 1);
	pthread_mutex_unlock(&issuer->mutex);
	return keys;
}

static void drop_keys(struct key_set *keys)
{
	if (!keys || atomic_fetch_sub(&keys->references, 1) != 1)
		return;
	jwt_keys_done(&keys->keys);
	free(keys);
}

static void replace_keys(struct jwt_issuer *issuer, struct key_set *keys)
{
	struct key_set *old;

	pthread_mutex_lock(&issuer->mutex);
	old = issuer->keys;
	issuer->keys = keys;
	pthread_mutex_unlock(&issuer->mutex);
	drop_keys(old);
}

static bool verify(struct issuer_op *op)
{
	struct key_set *keys = take_keys(op->issuer);
	bool good = keys && jwt_verify(&op->jwt, &keys->keys);

	drop_keys(keys);
	return good;
}

// True when enough time has passed since the last try.
static bool may_fetch(struct jwt_issuer *issuer)
{
	int64_t now_ns = clock_monotonic_ns(&clock_system);
	bool may;

	pthread_mutex_lock(&issuer->mutex);
	may = !issuer->fetched_ns || now_ns - issuer->fetched_ns >= ISSUER_MIN_FETCH_NS;
	if (may)
		issuer->fetched_ns = now_ns;
	pthread_mutex_unlock(&issuer->mutex);
	return may;
}

// --- judging -----------------------------------------------------------------------------------------

static const char *check_times(const struct json *claims, int64_t now)
{
	int64_t seconds;
	bool bad;

	if (!jwt_claim_time(claims, "exp", &seconds, &bad) || bad)
		return "oidc: token without an end";
	if (now >= seconds)
		return "oidc: token is expired";
	if (jwt_claim_time(claims, "nbf", &seconds, &bad) && now + ISSUER_NBF_LEEWAY_SECONDS < seconds)
		return "oidc: token is not valid yet";
	return bad ? "oidc: malformed claim" : NULL;
}

static const char *check_audience(const struct issuer_op *op)
{
	size_t count;
	const char *const *given = jwt_claim_audiences(op->ask->arena, op->jwt.claims, &count);

	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < op->issuer->audience_count; j++)
			if (!strcmp(given[i], op->issuer->audiences[j]))
				return NULL;
	return "oidc: the token's audience is another";
}

static enum token_outcome judge(struct issuer_op *op)
{
	struct token_ask *ask = op->ask;

	ask->error = check_times(op->jwt.claims, loop_realtime_ns(ask->loop) / NSEC_PER_SEC);
	if (!ask->error)
		ask->error = check_audience(op);
	if (!ask->error)
		ask->error = claim_rules_apply(op->issuer->rules, ask->arena, op->jwt.claims, &ask->user);
	return ask->error ? TOKEN_REFUSED : TOKEN_AUTHENTICATED;
}

static bool is_accepted(const struct jwt_issuer *issuer, const char *algorithm)
{
	for (size_t i = 0; i < issuer->algorithm_count; i++)
		if (!strcmp(issuer->algorithms[i], algorithm))
			return true;
	return !issuer->algorithm_count;
}

static enum token_outcome decide(struct token_authenticator *authenticator, struct token_ask *ask)
{
	struct issuer_op *op = ARENA_NEW(ask->arena, struct issuer_op);
	const char *issuer;

	op->issuer = container_of(authenticator, struct jwt_issuer, authenticator);
	op->ask = ask;
	ask->authenticator_context = op;
	if (jwt_parse(ask->arena, ask->token, ask->token_length, &op->jwt, NULL) < 0)
		return TOKEN_UNKNOWN;
	issuer = json_get_text(op->jwt.claims, "iss");
	if (!issuer || strcmp(issuer, op->issuer->url) != 0)
		return TOKEN_UNKNOWN;
	ask->error = "oidc: unexpected signature algorithm";
	if (!is_accepted(op->issuer, op->jwt.algorithm))
		return TOKEN_REFUSED;
	if (verify(op))
		return judge(op);
	ask->error = "oidc: failed to verify signature";
	return may_fetch(op->issuer) ? TOKEN_WAIT : TOKEN_REFUSED;
}

// --- fetching ------------------------------------------------------------------------------------------

static void refuse(struct issuer_op *op, const char *what, int status, const struct err *err)
{
	log_warning("The keys of a token issuer can't be had", kv_str("issuer", op->issuer->url), kv_str("step", what),
	            kv_int("status", status), kv_str("err", err ? err->message : ""));
	op->ask->error = "oidc: the issuer's keys are not known";
	token_ask_next(op->ask, TOKEN_REFUSED);
}

static void on_keys(void *context, int status, const char *body, size_t length, const struct err *err)
{
	struct issuer_op *op = context;
	struct key_set *keys;
	struct json *set;

	if (err || status != 200 || json_parse(op->ask->arena, body, length, NULL, &set, NULL) < 0) {
		refuse(op, "keys", status, err);
		return;
	}
	keys = NEW(struct key_set);
	atomic_init(&keys->references, 1);
	if (jwt_keys_from_json(&keys->keys, set, NULL) < 0) {
		drop_keys(keys);
		refuse(op, "keys", status, NULL);
		return;
	}
	replace_keys(op->issuer, keys);
	op->ask->error = "oidc: failed to verify signature";
	token_ask_next(op->ask, verify(op) ? judge(op) : TOKEN_REFUSED);
}

static void fetch(struct issuer_op *op, const char *url,
                  void (*done)(void *context, int status, const char *body, size_t length, const struct err *err))
{
	const struct webhook_call call = {
	        .url = url, .timeout_ns = ISSUER_TIMEOUT_NS, .loop = op->ask->loop, .done = done, .context = op};

	webhook_call(op->issuer->client, &call);
}

static void on_discovery(void *context, int status, const char *body, size_t length, const struct err *err)
{
	struct issuer_op *op = context;
	struct json *document = NULL;
	const char *url, *issuer;

	if (err || status != 200 || json_parse(op->ask->arena, body, length, NULL, &document, NULL) < 0) {
		refuse(op, "discovery", status, err);
		return;
	}
	url = text_or_empty(json_get_text(document, "jwks_uri"));
	issuer = text_or_empty(json_get_text(document, "issuer"));
	if (strncmp(url, "https://", 8) != 0 || strcmp(issuer, op->issuer->url) != 0) {
		refuse(op, "discovery names another issuer or no keys", status, NULL);
		return;
	}
	pthread_mutex_lock(&op->issuer->mutex);
	free(op->issuer->keys_url);
	op->issuer->keys_url = xstrdup(url);
	pthread_mutex_unlock(&op->issuer->mutex);
	fetch(op, url, on_keys);
}

static void ask_issuer(struct token_authenticator *authenticator, struct token_ask *ask)
{
	struct jwt_issuer *issuer = container_of(authenticator, struct jwt_issuer, authenticator);
	const char *url;

	pthread_mutex_lock(&issuer->mutex);
	url = arena_strdup(ask->arena, issuer->keys_url);
	pthread_mutex_unlock(&issuer->mutex);
	if (url)
		fetch(ask->authenticator_context, url, on_keys);
	else
		fetch(ask->authenticator_context, issuer->discovery_url, on_discovery);
}

// --- making it -----------------------------------------------------------------------------------------

static void start(struct token_authenticator *authenticator)
{
	webhook_client_start(container_of(authenticator, struct jwt_issuer, authenticator)->client);
}

static void stop(struct token_authenticator *authenticator)
{
	webhook_client_stop(container_of(authenticator, struct jwt_issuer, authenticator)->client);
}

static void free_issuer(struct token_authenticator *authenticator)
{
	struct jwt_issuer *issuer = container_of(authenticator, struct jwt_issuer, authenticator);

	drop_keys(issuer->keys);
	free(issuer->keys_url);
	claim_rules_free(issuer->rules);
	webhook_client_free(issuer->client);
	pthread_mutex_destroy(&issuer->mutex);
	arena_free(issuer->arena);
	free(issuer);
}

static size_t copy_list(struct arena *arena, const struct json *list, const char **items, size_t max)
{
	size_t count = 0;

	json_for_each_item (item, list)
		if (json_text(item) && count < max)
			items[count++] = arena_strdup(arena, json_text(item));
	return count;
}

static int read_config(struct jwt_issuer *issuer, const struct json *config, struct err *err)
{
	const struct json *from = json_get(config, "issuer");
	const char *url = text_or_empty(json_get_text(from, "url")), *discovery = json_get_text(from, "discoveryURL");
	size_t length = strlen(url);

	if (strncmp(url, "https://", 8) != 0)
		return err_set(err, ERR_INVALID, "issuer.url: Invalid value: \"%.100s\": URL scheme must be https",
		               url);
	issuer->url = arena_strdup(issuer->arena, url);
	issuer->discovery_url = !text_is_empty(discovery)
	                                ? arena_strdup(issuer->arena, discovery)
	                                : arena_printf(issuer->arena, "%.*s/.well-known/openid-configuration",
	                                               (int)(length - (length && url[length - 1] == '/')), url);
	issuer->audience_count =
	        copy_list(issuer->arena, json_get(from, "audiences"), issuer->audiences, ISSUER_MAX_AUDIENCES);
	issuer->algorithm_count = copy_list(issuer->arena, json_get(config, "signingAlgorithms"), issuer->algorithms,
	                                    ISSUER_MAX_ALGORITHMS);
	if (!issuer->audience_count)
		return err_set(err, ERR_INVALID, "issuer.audiences: Required value: at least one audience is required");
	return claim_rules_new(config, &issuer->rules, err);
}

int jwt_issuer_new(struct server *server, const struct json *config, struct token_authenticator **ret_authenticator,
                   struct err *err)
{
	struct jwt_issuer *issuer = NEW(struct jwt_issuer);
	const struct json *from = json_get(config, "issuer");
	int r;

	issuer->authenticator = (struct token_authenticator){
	        .name = "jwt", .decide = decide, .ask = ask_issuer, .start = start, .stop = stop, .free = free_issuer};
	issuer->server = server;
	issuer->arena = arena_new(1024);
	pthread_mutex_init(&issuer->mutex, NULL);
	issuer->client = webhook_client_new_for(server, json_get_text(from, "certificateAuthorityFile"),
	                                        json_get_text(from, "certificateAuthority"));
	r = read_config(issuer, config, err);
	if (r < 0)
		free_issuer(&issuer->authenticator);
	else
		*ret_authenticator = &issuer->authenticator;
	return r;
}
