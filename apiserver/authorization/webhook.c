// SPDX-License-Identifier: Apache-2.0
// The webhook authorizer: a SubjectAccessReview to a server outside.
//
//   match conditions say no ─► no opinion
//   answered lately ─► that answer
//   else ask; no answer ─► no opinion, or a denial (failurePolicy)
//
// An answer is kept by the whole review's text, a yes and a no for different
// times.

#include <string.h>

#include "apiserver/authentication/answer_cache.h"
#include "apiserver/authentication/webhook_client.h"
#include "apiserver/authorization/authorizers.h"
#include "apiserver/server.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/text.h"
#include "common/cel/cel.h"

enum {
	WEBHOOK_CACHE_MAX = 10000,
	WEBHOOK_MAX_REVIEW_BYTES = 1 << 20,
	WEBHOOK_MAX_CONDITIONS = 64,
};

struct webhook {
	struct authorizer authorizer;
	struct server *server;
	struct authorization_webhook_config config;
	char *version;
	struct webhook_client *client;
	struct answer_cache *cache;
	struct cel_env *env; // NULL: no conditions
	struct cel_program *conditions[WEBHOOK_MAX_CONDITIONS];
	size_t condition_count;
};

struct webhook_op {
	struct webhook *webhook;
	struct authorization_ask *ask;
	const char *review;
};

// --- the review -----------------------------------------------------------------------------------

static struct json *texts(struct arena *arena, const char *const *items, size_t count)
{
	struct json *array = json_array(arena);

	for (size_t i = 0; i < count; i++)
		json_append(arena, array, json_string(arena, items[i]));
	return array;
}

static void set_if(struct arena *arena, struct json *object, const char *key, const char *value)
{
	if (!text_is_empty(value))
		json_set_text(arena, object, key, value);
}

static void set_requirements(struct arena *arena, struct json *object, const char *key,
                             const struct authorization_requirement *rows, size_t count)
{
	struct json *selector = json_object(arena), *list = json_array(arena);

	for (size_t i = 0; i < count; i++) {
		struct json *row = json_object(arena);

		json_set_text(arena, row, "key", rows[i].key);
		json_set_text(arena, row, "operator", rows[i].operator);
		if (rows[i].value_count)
			json_set(arena, row, "values", texts(arena, rows[i].values, rows[i].value_count));
		json_append(arena, list, row);
	}
	if (!count)
		return;
	json_set(arena, selector, "requirements", list);
	json_set(arena, object, key, selector);
}

static struct json *resource_attributes(struct arena *arena, const struct authorization_attributes *attributes)
{
	struct json *object = json_object(arena);

	set_if(arena, object, "namespace", attributes->namespace_name);
	set_if(arena, object, "verb", attributes->verb);
	set_if(arena, object, "group", attributes->group);
	set_if(arena, object, "version", attributes->version);
	set_if(arena, object, "resource", attributes->resource);
	set_if(arena, object, "subresource", attributes->subresource);
	set_if(arena, object, "name", attributes->name);
	set_requirements(arena, object, "fieldSelector", attributes->field_requirements,
	                 attributes->field_requirement_count);
	set_requirements(arena, object, "labelSelector", attributes->label_requirements,
	                 attributes->label_requirement_count);
	return object;
}

static struct json *spec_of(struct arena *arena, const struct user *user,
                            const struct authorization_attributes *attributes, bool beta)
{
	struct json *spec = json_object(arena), *path = json_object(arena), *extra = json_object(arena);

	if (attributes->is_resource) {
		json_set(arena, spec, "resourceAttributes", resource_attributes(arena, attributes));
	} else {
		set_if(arena, path, "path", attributes->path);
		set_if(arena, path, "verb", attributes->verb);
		json_set(arena, spec, "nonResourceAttributes", path);
	}
	set_if(arena, spec, "user", user->name);
	if (user->group_count) // v1beta1 calls it so
		json_set(arena, spec, beta ? "group" : "groups", texts(arena, user->groups, user->group_count));
	for (size_t i = 0; i < user->extra_count; i++)
		json_set(arena, extra, user->extra[i].key,
		         texts(arena, user->extra[i].values, user->extra[i].value_count));
	if (user->extra_count)
		json_set(arena, spec, "extra", extra);
	set_if(arena, spec, "uid", user->uid);
	return spec;
}

static const char *review_of(struct webhook *webhook, struct arena *arena, struct json *spec)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(WEBHOOK_MAX_REVIEW_BYTES);
	struct json *review = json_object(arena), *metadata = json_object(arena);

	json_set_text(arena, review, "kind", "SubjectAccessReview");
	json_set_text(arena, review, "apiVersion", arena_printf(arena, "authorization.k8s.io/%s", webhook->version));
	json_set(arena, metadata, "creationTimestamp", json_null(arena));
	json_set(arena, review, "metadata", metadata);
	json_set(arena, review, "spec", spec);
	json_set(arena, review, "status", json_object(arena));
	json_set_bool(arena, json_get(review, "status"), "allowed", false);
	json_write(&text, review);
	return text.overflowed ? NULL : arena_strdup(arena, strbuf_text(&text));
}

// --- conditions -----------------------------------------------------------------------------------

enum match {
	MATCH_YES,
	MATCH_NO,
	MATCH_ERROR,
};

// One that is false decides; else an error does.
static enum match matches(const struct webhook *webhook, struct arena *arena, const struct json *spec,
                          const char **ret_error)
{
	struct cel_run run = CEL_RUN_INIT(arena);
	struct cel_binding request = cel_bind_json(spec);
	enum match result = MATCH_YES;

	run.budget = CEL_MATCH_CONDITIONS_BUDGET;
	for (size_t i = 0; i < webhook->condition_count; i++) {
		struct cel_value value;
		struct cel_error error = {0};

		if (cel_eval(webhook->conditions[i], &run, &request, 1, &value, &error) < 0) {
			*ret_error = error.message;
			result = MATCH_ERROR;
		} else if (!cel_value_is_true(&value)) {
			return MATCH_NO;
		}
	}
	return result;
}

// --- answers ----------------------------------------------------------------------------------------

static void fail(const struct webhook *webhook, const char *error, struct authorization_answer *ret_answer)
{
	*ret_answer = (struct authorization_answer){.decision = webhook->config.fails_closed ? AUTHORIZATION_DENIED
	                                                                                     : AUTHORIZATION_NO_OPINION,
	                                            .reason = "",
	                                            .error = error};
}

// The status of a review, as it came or as it was kept.
static bool read_status(struct arena *arena, const char *text, size_t length, struct authorization_answer *ret_answer)
{
	struct json *review;
	const struct json *status;

	if (json_parse(arena, text, length, NULL, &review, NULL) < 0)
		return false;
	status = json_get(review, "status");
	if (!json_is(status, JSON_OBJECT) || !json_is(json_get(status, "allowed"), JSON_BOOL))
		return false;
	*ret_answer = (struct authorization_answer){
	        .decision = json_get_bool(status, "allowed", false)  ? AUTHORIZATION_ALLOWED
	                    : json_get_bool(status, "denied", false) ? AUTHORIZATION_DENIED
	                                                             : AUTHORIZATION_NO_OPINION,
	        .reason = text_or_empty(json_get_text(status, "reason")),
	};
	return true;
}

static bool decide(struct authorizer *authorizer, struct arena *arena, const struct user *user,
                   const struct authorization_attributes *attributes, struct authorization_answer *ret_answer)
{
	struct webhook *webhook = container_of(authorizer, struct webhook, authorizer);
	struct json *spec = spec_of(arena, user, attributes, !strcmp(webhook->version, "v1beta1"));
	const char *error = NULL, *review, *kept;

	switch (matches(webhook, arena, spec, &error)) {
	case MATCH_NO:
		authorization_no_opinion(ret_answer, "");
		return false;
	case MATCH_ERROR:
		fail(webhook, error, ret_answer);
		return false;
	case MATCH_YES:
		break;
	}
	review = review_of(webhook, arena, spec);
	if (!review) {
		fail(webhook, "the review is too large", ret_answer);
		return false;
	}
	kept = answer_cache_get(webhook->cache, arena, review, strlen(review), clock_monotonic_ns(&clock_system));
	return !kept || !read_status(arena, kept, strlen(kept), ret_answer);
}

static void on_answer(void *context, int status, const char *body, size_t length, const struct err *err)
{
	struct webhook_op *op = context;
	struct webhook *webhook = op->webhook;
	struct arena *arena = op->ask->arena;
	struct authorization_answer answer;
	int64_t ttl;

	if (!err && status >= 200 && status < 300 && read_status(arena, body, length, &answer)) {
		ttl = authorization_allows(&answer) ? webhook->config.authorized_ttl_ns
		                                    : webhook->config.unauthorized_ttl_ns;
		if (ttl > 0)
			answer_cache_put(webhook->cache, op->review, strlen(op->review),
			                 arena_strndup(arena, body, length), clock_monotonic_ns(&clock_system) + ttl);
	} else {
		log_warning("The authorization webhook gave no answer", kv_str("webhook", webhook->config.name),
		            kv_int("status", status), kv_str("err", err ? err->message : ""));
		fail(webhook, arena_printf(arena, "webhook authorizer: %s", err ? err->message : "no usable answer"),
		     &answer);
	}
	authorization_ask_next(op->ask, &answer);
}

static void ask_webhook(struct authorizer *authorizer, struct authorization_ask *ask)
{
	struct webhook *webhook = container_of(authorizer, struct webhook, authorizer);
	struct webhook_op *op = ARENA_NEW(ask->arena, struct webhook_op);
	bool beta = !strcmp(webhook->version, "v1beta1");

	op->webhook = webhook;
	op->ask = ask;
	op->review = review_of(webhook, ask->arena, spec_of(ask->arena, ask->user, ask->attributes, beta));
	const struct webhook_call call = {.body = op->review,
	                                  .timeout_ns = webhook->config.timeout_ns,
	                                  .loop = ask->loop,
	                                  .done = on_answer,
	                                  .context = op};

	webhook_call(webhook->client, &call);
}

// --- making it ----------------------------------------------------------------------------------------

static void start(struct authorizer *authorizer)
{
	webhook_client_start(container_of(authorizer, struct webhook, authorizer)->client);
}

static void stop(struct authorizer *authorizer)
{
	webhook_client_stop(container_of(authorizer, struct webhook, authorizer)->client);
}

static void free_webhook(struct authorizer *authorizer)
{
	struct webhook *webhook = container_of(authorizer, struct webhook, authorizer);

	for (size_t i = 0; i < webhook->condition_count; i++)
		cel_program_free(webhook->conditions[i]);
	cel_env_unref(webhook->env);
	webhook_client_free(webhook->client);
	answer_cache_free(webhook->cache);
	free(webhook->version);
	free((char *)webhook->config.name);
	free(webhook);
}

static int compile_conditions(struct webhook *webhook, const struct json *conditions, struct err *err)
{
	AUTO(arena_free) struct arena *arena = arena_new(4096);

	webhook->env = cel_env_new(NULL);
	cel_env_declare(webhook->env, "request", &cel_type_dyn);
	json_for_each_item (condition, conditions) {
		const char *text = text_or_empty(json_get_text(condition, "expression"));
		struct cel_compile_result result = {0};

		if (webhook->condition_count == WEBHOOK_MAX_CONDITIONS)
			return err_set(err, ERR_INVALID, "more than %d match conditions", WEBHOOK_MAX_CONDITIONS);
		if (cel_compile(webhook->env, arena, text, strlen(text), &result) < 0)
			return err_set(err, ERR_INVALID, "matchConditions: %.180s", result.error);
		webhook->conditions[webhook->condition_count++] = result.program;
	}
	return 0;
}

int webhook_authorizer_new(struct server *server, const struct authorization_webhook_config *config,
                           struct authorizer **ret_authorizer, struct err *err)
{
	struct webhook *webhook = NEW(struct webhook);
	int r;

	webhook->authorizer = (struct authorizer){.name = "Webhook",
	                                          .decide = decide,
	                                          .ask = ask_webhook,
	                                          .start = start,
	                                          .stop = stop,
	                                          .free = free_webhook};
	webhook->server = server;
	webhook->config = *config;
	webhook->config.name = xstrdup(config->name);
	webhook->version = xstrdup(config->version);
	webhook->cache = answer_cache_new(WEBHOOK_CACHE_MAX);
	r = webhook_client_new(server, config->kubeconfig_file, &webhook->client, err);
	if (r == 0 && config->conditions)
		r = compile_conditions(webhook, config->conditions, err);
	if (r < 0)
		free_webhook(&webhook->authorizer);
	else
		*ret_authorizer = &webhook->authorizer;
	return r;
}
