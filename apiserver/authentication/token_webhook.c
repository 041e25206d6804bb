// SPDX-License-Identifier: Apache-2.0
// A webhook that knows tokens: a TokenReview to a server outside. What it says of a
// token is kept for --authentication-token-webhook-cache-ttl; that it gave no
// answer is not.

#include <string.h>

#include "apiserver/authentication/answer_cache.h"
#include "apiserver/authentication/authenticators.h"
#include "apiserver/authentication/webhook_client.h"
#include "apiserver/server.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/text.h"

#define TOKEN_WEBHOOK_TIMEOUT_NS (30 * NSEC_PER_SEC)

enum {
	TOKEN_WEBHOOK_CACHE_MAX = 10000,
};

struct token_webhook {
	struct token_authenticator authenticator;
	const struct authentication_flags *flags;
	struct webhook_client *client;
	struct answer_cache *cache;
};

struct token_webhook_op {
	struct token_webhook *webhook;
	struct token_ask *ask;
	const char *review;
};

static const char *review_of(const struct token_webhook *webhook, const struct token_ask *ask)
{
	struct json *review = json_object(ask->arena), *spec = json_object(ask->arena), *list = json_array(ask->arena);
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(1 << 20);
	const char *const *audiences;
	size_t count;

	token_ask_audiences(ask, &audiences, &count);
	for (size_t i = 0; i < count; i++)
		json_append(ask->arena, list, json_string(ask->arena, audiences[i]));
	json_set(ask->arena, spec, "token", json_string_n(ask->arena, ask->token, ask->token_length));
	if (count)
		json_set(ask->arena, spec, "audiences", list);
	json_set_text(ask->arena, review, "kind", "TokenReview");
	json_set_text(ask->arena, review, "apiVersion",
	              arena_printf(ask->arena, "authentication.k8s.io/%s", webhook->flags->webhook_version));
	json_set(ask->arena, review, "metadata", json_object(ask->arena));
	json_set(ask->arena, review, "spec", spec);
	json_set(ask->arena, review, "status", json_object(ask->arena));
	json_write(&text, review);
	return arena_strdup(ask->arena, strbuf_text(&text));
}

// A review without audiences is of a webhook that doesn't look at them: it speaks for the API server alone.
static bool is_for_us(struct token_ask *ask, const struct json *status)
{
	const struct json *list = json_get(status, "audiences");
	const char *const *given;
	const char **told;
	size_t count = 0;

	if (!json_is(list, JSON_ARRAY) || !list->length) {
		given = authentication_audiences(ask->server->authentication, &count);
		return !count || token_ask_match_audiences(ask, given, count) > 0;
	}
	told = ARENA_ARRAY(ask->arena, const char *, list->length);
	json_for_each_item (item, list)
		if (json_text(item))
			told[count++] = json_text(item);
	return token_ask_match_audiences(ask, told, count) > 0;
}

static enum token_outcome judge(struct token_ask *ask, const char *text, size_t length)
{
	struct json *review;
	const struct json *status;

	ask->error = "invalid answer of the token webhook";
	if (json_parse(ask->arena, text, length, NULL, &review, NULL) < 0 ||
	    !json_is(status = json_get(review, "status"), JSON_OBJECT))
		return TOKEN_REFUSED;
	if (!json_get_bool(status, "authenticated", false)) {
		ask->error = json_get_text(status, "error");
		return text_is_empty(ask->error) ? TOKEN_UNKNOWN : TOKEN_REFUSED;
	}
	ask->error = "the token is not for this audience";
	if (!is_for_us(ask, status))
		return TOKEN_REFUSED;
	user_from_json(ask->arena, json_get(status, "user"), "username", &ask->user);
	return TOKEN_AUTHENTICATED;
}

static enum token_outcome decide(struct token_authenticator *authenticator, struct token_ask *ask)
{
	struct token_webhook *webhook = container_of(authenticator, struct token_webhook, authenticator);
	struct token_webhook_op *op = ARENA_NEW(ask->arena, struct token_webhook_op);
	const char *kept;

	op->webhook = webhook;
	op->ask = ask;
	op->review = review_of(webhook, ask);
	ask->authenticator_context = op;
	kept = answer_cache_get(webhook->cache, ask->arena, op->review, strlen(op->review),
	                        clock_monotonic_ns(&clock_system));
	return kept ? judge(ask, kept, strlen(kept)) : TOKEN_WAIT;
}

static void on_answer(void *context, int status, const char *body, size_t length, const struct err *err)
{
	struct token_webhook_op *op = context;
	int64_t ttl = op->webhook->flags->webhook_ttl_ns;

	if (err || status < 200 || status > 299) {
		log_warning("The token webhook gave no answer", kv_int("status", status),
		            kv_str("err", err ? err->message : ""));
		op->ask->error = "the token webhook gave no answer";
		token_ask_next(op->ask, TOKEN_REFUSED);
		return;
	}
	if (ttl > 0)
		answer_cache_put(op->webhook->cache, op->review, strlen(op->review),
		                 arena_strndup(op->ask->arena, body, length), clock_monotonic_ns(&clock_system) + ttl);
	token_ask_next(op->ask, judge(op->ask, body, length));
}

static void ask_webhook(struct token_authenticator *authenticator, struct token_ask *ask)
{
	struct token_webhook *webhook = container_of(authenticator, struct token_webhook, authenticator);
	struct token_webhook_op *op = ask->authenticator_context;
	const struct webhook_call call = {.body = op->review,
	                                  .timeout_ns = TOKEN_WEBHOOK_TIMEOUT_NS,
	                                  .loop = ask->loop,
	                                  .done = on_answer,
	                                  .context = op};

	webhook_call(webhook->client, &call);
}

static void start(struct token_authenticator *authenticator)
{
	webhook_client_start(container_of(authenticator, struct token_webhook, authenticator)->client);
}

static void stop(struct token_authenticator *authenticator)
{
	webhook_client_stop(container_of(authenticator, struct token_webhook, authenticator)->client);
}

static void free_webhook(struct token_authenticator *authenticator)
{
	struct token_webhook *webhook = container_of(authenticator, struct token_webhook, authenticator);

	webhook_client_free(webhook->client);
	answer_cache_free(webhook->cache);
	free(webhook);
}

int token_webhook_new(struct server *server, const struct authentication_flags *flags,
                      struct token_authenticator **ret_authenticator, struct err *err)
{
	struct token_webhook *webhook = NEW(struct token_webhook);
	int r;

	webhook->authenticator = (struct token_authenticator){.name = "webhook",
	                                                      .decide = decide,
	                                                      .ask = ask_webhook,
	                                                      .start = start,
	                                                      .stop = stop,
	                                                      .free = free_webhook};
	webhook->flags = flags;
	webhook->cache = answer_cache_new(TOKEN_WEBHOOK_CACHE_MAX);
	r = webhook_client_new(server, flags->webhook_config_file, &webhook->client, err);
	if (r < 0)
		free_webhook(&webhook->authenticator);
	else
		*ret_authenticator = &webhook->authenticator;
	return r;
}
