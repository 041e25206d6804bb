// SPDX-License-Identifier: Apache-2.0
// EventRateLimit: token buckets for the events of the whole server, of a namespace,
// of a user, of a source and object. Each limit of the configuration keeps the
// buckets that were used last, up to its cacheSize.

#include "apiserver/admission/event_rate_limit.h"

#include <pthread.h>
#include <string.h>

#include "apiserver/admission/admission_internal.h"
#include "apiserver/admission/plugins.h"
#include "apiserver/server.h"
#include "apiserver/validation/validation.h"
#include "common/base/hashmap.h"
#include "common/base/memory.h"

enum {
	DEFAULT_CACHE_SIZE = 4096,
	MAX_LIMITS = 4,
};

struct bucket {
	struct list node; // the last used at the end
	char *key;
	double tokens;
	int64_t filled_ns;
};

struct limit {
	const char *type;
	double rate; // per second
	double burst;
	size_t cache_size;
	struct hashmap *buckets;
	struct list order;
};

struct event_rate_limits {
	pthread_mutex_t mutex;
	struct limit limits[MAX_LIMITS];
	size_t count;
};

static void bucket_free(void *value)
{
	struct bucket *bucket = value;

	list_remove(&bucket->node);
	free(bucket->key);
	free(bucket);
}

static int read_limit(struct limit *limit, const struct json *row, struct err *err)
{
	static const char *const types[] = {"Server", "Namespace", "User", "SourceAndObject"};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (!strcmp(text_of(row, "type"), types[i]))
			limit->type = types[i];
	if (!limit->type)
		return err_set(err, ERR_BAD_REQUEST, "limits: type \"%.60s\" is not supported", text_of(row, "type"));
	limit->rate = (double)integer_of(row, "qps", 0);
	limit->burst = (double)integer_of(row, "burst", 0);
	limit->cache_size = (size_t)integer_of(row, "cacheSize", DEFAULT_CACHE_SIZE);
	if (limit->rate <= 0 || limit->burst <= 0 || limit->burst < limit->rate)
		return err_set(err, ERR_BAD_REQUEST, "limits: qps and burst must be positive, and burst not below qps");
	if (!strcmp(limit->type, "Server") || !limit->cache_size)
		limit->cache_size = !strcmp(limit->type, "Server") ? 1 : DEFAULT_CACHE_SIZE;
	limit->buckets = hashmap_new(bucket_free);
	list_init(&limit->order);
	return 0;
}

int event_rate_limits_new(const struct json *configuration, struct event_rate_limits **ret_limits, struct err *err)
{
	struct event_rate_limits *limits = NEW(struct event_rate_limits);
	int r = 0;

	pthread_mutex_init(&limits->mutex, NULL);
	json_for_each_item (row, json_get(configuration, "limits"))
		if (r == 0 && limits->count < MAX_LIMITS) {
			r = read_limit(&limits->limits[limits->count], row, err);
			limits->count += r == 0;
		}
	if (r < 0) {
		event_rate_limits_free(limits);
		return err_wrap(err, "EventRateLimit");
	}
	*ret_limits = limits;
	return 0;
}

struct event_rate_limits *event_rate_limits_free(struct event_rate_limits *limits)
{
	if (!limits)
		return NULL;
	for (size_t i = 0; i < limits->count; i++)
		hashmap_free(limits->limits[i].buckets);
	pthread_mutex_destroy(&limits->mutex);
	free(limits);
	return NULL;
}

static struct bucket *find_bucket(struct limit *limit, const char *key, int64_t now_ns)
{
	struct bucket *bucket = hashmap_get(limit->buckets, key);

	if (!bucket) {
		if (hashmap_count(limit->buckets) >= limit->cache_size)
			hashmap_remove(limit->buckets, list_first(&limit->order, struct bucket, node)->key);
		bucket = NEW(struct bucket);
		list_init(&bucket->node);
		bucket->key = xstrdup(key);
		bucket->tokens = limit->burst;
		bucket->filled_ns = now_ns;
		hashmap_put(limit->buckets, key, bucket);
	}
	list_remove(&bucket->node);
	list_append(&limit->order, &bucket->node);
	return bucket;
}

static bool take_token(struct limit *limit, const char *key, int64_t now_ns)
{
	struct bucket *bucket = find_bucket(limit, key, now_ns);

	bucket->tokens += (double)(now_ns - bucket->filled_ns) / 1e9 * limit->rate;
	if (bucket->tokens > limit->burst)
		bucket->tokens = limit->burst;
	bucket->filled_ns = now_ns;
	if (bucket->tokens < 1)
		return false;
	bucket->tokens -= 1;
	return true;
}

static const char *key_for(const struct limit *limit, const struct change *change)
{
	const struct json *event = change->object, *source = json_get(event, "source");
	const struct json *about = json_get(event, "involvedObject");

	if (!strcmp(limit->type, "Namespace"))
		return change->namespace_name;
	if (!strcmp(limit->type, "User"))
		return change->request->user.name;
	if (!strcmp(limit->type, "SourceAndObject"))
		return arena_printf(change->arena, "%s%s%s%s%s%s%s", text_of(source, "component"),
		                    text_of(source, "host"), text_of(about, "kind"), text_of(about, "namespace"),
		                    text_of(about, "name"), text_of(about, "uid"), text_of(about, "apiVersion"));
	return "";
}

const struct status *admission_event_rate_limit(struct change *change, enum admission_operation operation)
{
	struct event_rate_limits *limits = change->server->admission->event_rate_limits;
	int64_t now_ns = clock_monotonic_ns(&clock_system);
	const char *refused = NULL;

	(void)operation;
	if (!limits || !change_is_for(change, "", "events") || change->request->options.dry_run)
		return NULL;
	pthread_mutex_lock(&limits->mutex);
	for (size_t i = 0; i < limits->count; i++) {
		const char *key = key_for(&limits->limits[i], change);

		if (!take_token(&limits->limits[i], key, now_ns))
			refused =
			        arena_printf(change->arena, "%s%slimit reached on type %s for key %s",
			                     refused ? refused : "", refused ? ", " : "", limits->limits[i].type, key);
	}
	pthread_mutex_unlock(&limits->mutex);
	return refused ? status_too_many_requests(change->arena, 10, refused) : NULL;
}
