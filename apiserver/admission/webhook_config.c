// SPDX-License-Identifier: Apache-2.0
// A snapshot is as good as new while storage's last change of its configurations is
// the one that it was made at: a look at one number for each request. The first
// request after a change makes the next snapshot; requests under way keep theirs.

#include "apiserver/admission/webhook_config.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/admission/admission_internal.h"
#include "apiserver/object_io.h"
#include "apiserver/server.h"
#include "apiserver/storage/storage.h"
#include "apiserver/validation/validation.h"
#include "common/base/encode.h"
#include "common/base/memory.h"

enum {
	DEFAULT_TIMEOUT_SECONDS = 10,
	DEFAULT_PORT = 443,
};

struct webhook_cache {
	pthread_mutex_t mutex;
	struct webhooks *present[WEBHOOK_TYPE_COUNT_];
};

// --- reading --------------------------------------------------------------------------------

static const char *decode_bundle(struct arena *arena, const char *text)
{
	uint8_t *data = NULL;
	size_t length = 0;

	if (!text || !text[0] || !base64_decode(arena, text, strlen(text), &data, &length))
		return NULL;
	return arena_strndup(arena, (const char *)data, length);
}

static void read_client(struct arena *arena, const struct json *client, struct webhook *webhook)
{
	const struct json *service = json_get(client, "service");

	webhook->ca_bundle = decode_bundle(arena, json_get_text(client, "caBundle"));
	webhook->url = json_get_text(client, "url");
	webhook->service_namespace = text_of(service, "namespace");
	webhook->service_name = text_of(service, "name");
	webhook->path = text_of(service, "path");
	webhook->port = integer_of(service, "port", DEFAULT_PORT);
}

static bool speaks_v1(const struct json *versions)
{
	json_for_each_item (version, versions) {
		const char *text = json_text(version) ? json_text(version) : "";

		if (!strcmp(text, "v1"))
			return true;
		if (!strcmp(text, "v1beta1"))
			return false;
	}
	return true;
}

static void read_webhook(struct webhooks *webhooks, const struct json *row, const char *configuration)
{
	struct webhook *webhook = &webhooks->items[webhooks->count++];
	const char *effects = text_of(row, "sideEffects");

	webhook->configuration = configuration;
	webhook->name = text_of(row, "name");
	webhook->fails_open = !strcmp(text_of(row, "failurePolicy"), "Ignore");
	webhook->reinvoked = !strcmp(text_of(row, "reinvocationPolicy"), "IfNeeded");
	webhook->allows_dry_run = !strcmp(effects, "None") || !strcmp(effects, "NoneOnDryRun");
	webhook->speaks_v1 = speaks_v1(json_get(row, "admissionReviewVersions"));
	webhook->timeout_seconds = integer_of(row, "timeoutSeconds", DEFAULT_TIMEOUT_SECONDS);
	admission_matcher_read(webhooks->arena, row, json_get(row, "rules"), NULL, &webhook->matcher);
	match_conditions_compile(webhooks->arena, webhooks->env, json_get(row, "matchConditions"),
	                         &webhook->conditions);
	read_client(webhooks->arena, json_get(row, "clientConfig"), webhook);
}

static struct webhooks *read_all(struct server *server, const struct schema_resource *resource, int64_t change)
{
	struct webhooks *webhooks = NEW(struct webhooks);
	struct stored_object **all;
	size_t count = storage_peek_all(server->storage, resource, "", &all), total = 0;
	struct json **trees;

	webhooks->references = 1;
	webhooks->change = change;
	webhooks->arena = arena_new(0);
	webhooks->env = count ? conditions_env_new(CEL_VERSION_STORED) : NULL;
	trees = ARENA_ARRAY(webhooks->arena, struct json *, count + 1);
	for (size_t i = 0; i < count; i++) {
		trees[i] = object_load(webhooks->arena, resource, all[i], NULL);
		total += length_of(json_get(trees[i], "webhooks"));
		stored_object_unref(all[i]);
	}
	free(all);
	webhooks->items = ARENA_ARRAY(webhooks->arena, struct webhook, total + 1);
	for (size_t i = 0; i < count; i++)
		json_for_each_item (row, json_get(trees[i], "webhooks"))
			read_webhook(webhooks, row, text_of(json_get(trees[i], "metadata"), "name"));
	return webhooks;
}

// --- sharing --------------------------------------------------------------------------------

struct webhook_cache *webhook_cache_new(void)
{
	struct webhook_cache *cache = NEW(struct webhook_cache);

	pthread_mutex_init(&cache->mutex, NULL);
	return cache;
}

struct webhook_cache *webhook_cache_free(struct webhook_cache *cache)
{
	if (!cache)
		return NULL;
	for (size_t i = 0; i < WEBHOOK_TYPE_COUNT_; i++)
		webhooks_unref(cache->present[i]);
	pthread_mutex_destroy(&cache->mutex);
	free(cache);
	return NULL;
}

struct webhooks *webhooks_unref(struct webhooks *webhooks)
{
	if (!webhooks || atomic_fetch_sub(&webhooks->references, 1) != 1)
		return NULL;
	for (size_t i = 0; i < webhooks->count; i++)
		match_conditions_done(&webhooks->items[i].conditions);
	cel_env_unref(webhooks->env);
	arena_free(webhooks->arena);
	free(webhooks);
	return NULL;
}

struct webhooks *webhook_cache_get(struct webhook_cache *cache, struct server *server, enum webhook_type type)
{
	const struct schema_resource *resource = schema_find_resource(
	        "admissionregistration.k8s.io", "v1",
	        type == WEBHOOK_MUTATING ? "mutatingwebhookconfigurations" : "validatingwebhookconfigurations");
	int64_t change = storage_peek_change(server->storage, resource);
	struct webhooks *present;

	pthread_mutex_lock(&cache->mutex);
	present = cache->present[type];
	if (!present || present->change < change) {
		cache->present[type] = read_all(server, resource, change);
		webhooks_unref(present);
		present = cache->present[type];
	}
	atomic_fetch_add(&present->references, 1);
	pthread_mutex_unlock(&cache->mutex);
	return present;
}

struct webhooks *webhooks_get(struct server *server, enum webhook_type type)
{
	return webhook_cache_get(server->admission->webhook_cache, server, type);
}
