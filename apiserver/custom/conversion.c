// SPDX-License-Identifier: Apache-2.0
// Conversion on the way.
//
//   objects ──► known already? ──► trees of the others ──► ConversionReview ──► webhook
//                   │                                                              │
//                   └────────────► in order ◄── checked, metadata restored ◄───────┘
//
// A converted object is a stored object like any other, made from the target version's
// tree: bytes, labels, selectable fields. So whatever reads objects can't tell. What a
// webhook may change is checked as upstream does: kind, name, namespace and uid stay,
// of the metadata only labels and annotations are taken. Objects that are of the target
// version already are not sent. Fields that the target's schema doesn't know fall out.

#include "apiserver/custom/conversion.h"

#include <pthread.h>
#include <string.h>

#include "apiserver/custom/conversion_call.h"
#include "apiserver/custom/custom.h"
#include "apiserver/custom/definition.h"
#include "apiserver/server.h"
#include "apiserver/storage/storage_object.h"
#include "common/api/object.h"
#include "common/base/encode.h"
#include "common/base/hashmap.h"
#include "common/base/memory.h"
#include "common/base/text.h"

enum {
	REVIEW_MAX_BYTES = 1 << 30,
	CACHE_MAX_BYTES = 8 << 20,
};

// --- what was converted lately ---------------------------------------------------------------

struct cached {
	struct list node;
	struct stored_object *object;
	char *key;
	size_t bytes;
};

struct conversion_cache {
	pthread_mutex_t lock;
	struct storage_object_format format;
	struct hashmap *by_key; // "namespace/name@revision" → struct cached
	struct list oldest;
	size_t bytes;
};

struct conversion_cache *conversion_cache_new(const struct schema_resource *resource)
{
	struct conversion_cache *cache = NEW(struct conversion_cache);

	pthread_mutex_init(&cache->lock, NULL);
	storage_object_format_init(&cache->format, resource);
	cache->by_key = hashmap_new(NULL);
	list_init(&cache->oldest);
	return cache;
}

static void drop(struct conversion_cache *cache, struct cached *cached)
{
	cache->bytes -= cached->bytes;
	(void)hashmap_remove(cache->by_key, cached->key);
	list_remove(&cached->node);
	stored_object_unref(cached->object);
	free(cached->key);
	free(cached);
}

struct conversion_cache *conversion_cache_free(struct conversion_cache *cache)
{
	struct cached *cached;

	if (!cache)
		return NULL;
	list_for_each (cached, &cache->oldest, node)
		drop(cache, cached);
	hashmap_free(cache->by_key);
	storage_object_format_done(&cache->format);
	pthread_mutex_destroy(&cache->lock);
	free(cache);
	return NULL;
}

static char *cache_key(const struct stored_object *object)
{
	return xasprintf("%s/%s/%s@%lld", object->namespace_name, object->name, object->uid,
	                 (long long)object->revision);
}

static struct stored_object *find_cached(struct conversion_cache *cache, const struct stored_object *object)
{
	AUTO_FREE char *key = cache_key(object);
	struct stored_object *found;
	struct cached *cached;

	pthread_mutex_lock(&cache->lock);
	cached = hashmap_get(cache->by_key, key);
	found = cached ? stored_object_ref(cached->object) : NULL;
	pthread_mutex_unlock(&cache->lock);
	return found;
}

static void keep_cached(struct conversion_cache *cache, const struct stored_object *original,
                        struct stored_object *converted)
{
	struct cached *cached = NEW(struct cached);

	cached->key = cache_key(original);
	cached->object = stored_object_ref(converted);
	cached->bytes = storage_object_size_bytes(converted);
	pthread_mutex_lock(&cache->lock);
	if (hashmap_get(cache->by_key, cached->key)) {
		stored_object_unref(cached->object);
		free(cached->key);
		free(cached);
	} else {
		(void)hashmap_put(cache->by_key, cached->key, cached);
		list_append(&cache->oldest, &cached->node);
		cache->bytes += cached->bytes;
	}
	while (cache->bytes > CACHE_MAX_BYTES && !list_is_empty(&cache->oldest))
		drop(cache, list_first(&cache->oldest, struct cached, node));
	pthread_mutex_unlock(&cache->lock);
}

// --- reviews -----------------------------------------------------------------------------------

// One call for some trees. Trees are of one definition; those that are of the target version stay.
struct review {
	struct conversion_call call;
	const struct definition_version *target;
	struct arena *arena;
	const char *desired; // apiVersion
	char uid[37];
	struct json **trees;
	size_t count;
	size_t sent;
	const char *from; // "example.com/v1, Kind=Foo", for messages
	void (*done)(struct review *review, const struct err *err);
};

static bool must_send(const struct review *review, const struct json *tree)
{
	return !text_equal(object_api_version(tree), review->desired);
}

static const char *review_version(const struct definition *definition)
{
	json_for_each_item (version, json_get(definition->webhook, "conversionReviewVersions"))
		if (text_equal(json_text(version), "v1") || text_equal(json_text(version), "v1beta1"))
			return json_text(version);
	return NULL;
}

static char *write_review(struct review *review, const char *version, size_t *ret_length)
{
	struct arena *arena = review->arena;
	struct json *document = json_object(arena), *request = json_object(arena), *objects = json_array(arena);
	struct strbuf text = STRBUF_INIT(REVIEW_MAX_BYTES);

	json_set_text(arena, document, "kind", "ConversionReview");
	json_set_text(arena, document, "apiVersion", arena_printf(arena, "apiextensions.k8s.io/%s", version));
	json_set_text(arena, request, "uid", review->uid);
	json_set_text(arena, request, "desiredAPIVersion", review->desired);
	for (size_t i = 0; i < review->count; i++)
		if (must_send(review, review->trees[i]))
			json_append(arena, objects, review->trees[i]);
	json_set(arena, request, "objects", objects);
	json_set(arena, document, "request", request);
	json_write(&text, document);
	return strbuf_take(&text, ret_length);
}

static int failed(const struct review *review, struct err *err, const char *why)
{
	return err_set(err, ERR_INTERNAL, "conversion webhook for %s failed: %s", review->from, why);
}

static int invalid(const struct review *review, struct err *err, size_t index, const char *why)
{
	return err_set(err, ERR_INTERNAL,
	               "conversion webhook for %s returned invalid converted object at index %zu: %s", review->from,
	               index, why);
}

// --- what comes back -----------------------------------------------------------------------------

static int check_identity(const struct review *review, const struct json *original, const struct json *converted,
                          size_t index, struct err *err)
{
	static const char *const members[][2] = {{"name", "name"}, {"namespace", "namespace"}, {"uid", "UID"}};
	struct arena *arena = review->arena;

	if (!text_equal(object_api_version(converted), review->desired))
		return invalid(review, err, index,
		               arena_printf(arena, "invalid groupVersion (expected %s, received %s)", review->desired,
		                            text_or_empty(object_api_version(converted))));
	if (!text_equal(object_kind(converted), object_kind(original)))
		return invalid(review, err, index,
		               arena_printf(arena, "invalid kind (expected %s, received %s)",
		                            text_or_empty(object_kind(original)),
		                            text_or_empty(object_kind(converted))));
	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		const char *before = json_get_text(object_metadata(original), members[i][0]);
		const char *now = json_get_text(object_metadata(converted), members[i][0]);

		if (!text_equal(before, now))
			return invalid(review, err, index,
			               arena_printf(arena, "must have the same %s: %s != %s", members[i][1],
			                            text_or_empty(before), text_or_empty(now)));
	}
	return 0;
}

// Labels and annotations are the webhook's, everything else stays.
static int restore_metadata(const struct review *review, const struct json *original, struct json *converted,
                            size_t index, struct err *err)
{
	static const char *const taken[] = {"labels", "annotations"};
	struct arena *arena = review->arena;
	const struct json *answered = json_get(converted, "metadata");
	struct json *metadata;

	if (!json_is(answered, JSON_OBJECT))
		return invalid(review, err, index, "missing metadata in converted object");
	metadata = json_clone(arena, object_metadata(original));
	for (size_t i = 0; i < ARRAY_SIZE(taken); i++) {
		struct json *map = json_get(answered, taken[i]);

		json_remove(metadata, taken[i]);
		if (!map || json_is_null(map))
			continue;
		if (!json_is(map, JSON_OBJECT))
			return invalid(review, err, index,
			               arena_printf(arena, "invalid metadata.%s in converted object", taken[i]));
		json_for_each_member (member, map)
			if (!json_is(member->value, JSON_STRING))
				return invalid(review, err, index,
				               arena_printf(arena,
				                            "metadata.%s[%s] must be a string in converted object",
				                            taken[i], member->key));
		json_set(arena, metadata, taken[i], map);
	}
	json_set(arena, converted, "metadata", metadata);
	return 0;
}

static int take_objects(struct review *review, const struct json *objects, struct err *err)
{
	size_t next = 0;

	if (!json_is(objects, JSON_ARRAY) || objects->length != review->sent)
		return err_set(err, ERR_INTERNAL, "conversion webhook for %s returned %u objects, expected %zu",
		               review->from, json_is(objects, JSON_ARRAY) ? objects->length : 0, review->sent);
	for (size_t i = 0; i < review->count; i++) {
		struct json *converted;
		int outcome;

		if (!must_send(review, review->trees[i]))
			continue;
		converted = objects->items[next];
		outcome = json_is(converted, JSON_OBJECT)
		                  ? check_identity(review, review->trees[i], converted, next, err)
		                  : invalid(review, err, next, "not an object");
		if (outcome == 0)
			outcome = restore_metadata(review, review->trees[i], converted, next, err);
		if (outcome < 0)
			return outcome;
		structural_prune(review->target->schema, converted);
		review->trees[i] = converted;
		next++;
	}
	return 0;
}

static int read_answer(struct review *review, struct err *err)
{
	struct arena *arena = review->arena;
	struct json *document = NULL, *response;
	const char *status, *message;
	struct err parse_error = ERR_INIT;

	if (json_parse(arena, review->call.answer, review->call.answer_length, NULL, &document, &parse_error) < 0)
		return failed(review, err, parse_error.message);
	if (!text_equal(object_kind(document), "ConversionReview"))
		return failed(
		        review, err,
		        arena_printf(arena,
		                     "expected webhook response of apiextensions.k8s.io/v1, Kind=ConversionReview, "
		                     "got %s, Kind=%s",
		                     text_or_empty(object_api_version(document)),
		                     text_or_empty(object_kind(document))));
	response = json_get(document, "response");
	if (!json_is(response, JSON_OBJECT))
		return failed(review, err, "no response provided");
	if (text_equal(object_api_version(document), "apiextensions.k8s.io/v1") &&
	    !text_equal(json_get_text(response, "uid"), review->uid))
		return failed(review, err,
		              arena_printf(arena, "expected response.uid=\"%s\", got \"%s\"", review->uid,
		                           text_or_empty(json_get_text(response, "uid"))));
	status = text_or_empty(json_get_text(json_get(response, "result"), "status"));
	message = text_or_empty(json_get_text(json_get(response, "result"), "message"));
	if (strcmp(status, "Success"))
		return failed(review, err,
		              message[0]
		                      ? message
		                      : arena_printf(arena, "response.result.status was '%s', not 'Success'", status));
	return take_objects(review, json_get(response, "convertedObjects"), err);
}

static void on_called(struct conversion_call *call)
{
	struct review *review = container_of(call, struct review, call);
	struct err err = ERR_INIT;
	int outcome = call->answer ? read_answer(review, &err) : failed(review, &err, call->err.message);

	conversion_call_done(call);
	review->done(review, outcome < 0 ? &err : NULL);
}

static void on_nothing_sent(struct loop_task *task)
{
	struct review *review = container_of(task, struct review, call.task);

	review->done(review, NULL);
}

static void review_start(struct review *review, struct server *server, struct loop *loop)
{
	const struct definition *definition = review->target->definition;
	const char *version = review_version(definition);

	review->desired = arena_printf(review->arena, "%s/%s", definition->group, review->target->resource.version);
	review->from = "";
	for (size_t i = 0; i < review->count; i++)
		if (must_send(review, review->trees[i]) && !review->sent++)
			review->from = arena_printf(review->arena, "%s, Kind=%s",
			                            text_or_empty(object_api_version(review->trees[i])),
			                            text_or_empty(object_kind(review->trees[i])));
	uuid_v4(review->uid);
	if (!review->sent) {
		loop_post(loop, &review->call.task, on_nothing_sent);
		return;
	}
	review->call.custom = server->custom;
	review->call.definition = definition;
	review->call.loop = loop;
	review->call.done = on_called;
	review->call.body = write_review(review, version ? version : "v1", &review->call.length);
	conversion_call_start(&review->call);
}

// --- stored objects ---------------------------------------------------------------------------------

struct conversion {
	struct review review;
	struct definition *definition;  // held
	struct stored_object **objects; // what is to be converted
	struct stored_object **converted;
	size_t *places; // of the review's trees
	size_t count;
	void (*done)(void *context, struct stored_object *const *converted, const struct err *err);
	void *context;
};

static void conversion_end(struct conversion *conversion, const struct err *err)
{
	struct arena *arena = conversion->review.arena;

	conversion->done(conversion->context, err ? NULL : conversion->converted, err);
	for (size_t i = 0; i < conversion->count; i++) {
		stored_object_unref(conversion->objects[i]);
		stored_object_unref(conversion->converted[i]);
	}
	definition_unref(conversion->definition);
	arena_free(arena);
}

// The target version's bytes as an object of the original's place and version.
static struct stored_object *make_object(struct conversion_cache *cache, const struct stored_object *original,
                                         const struct json *tree)
{
	struct strbuf text = STRBUF_INIT(REVIEW_MAX_BYTES);
	AUTO_FREE char *key = original->namespace_name[0] ? xasprintf("%s/%s", original->namespace_name, original->name)
	                                                  : xstrdup(original->name);
	struct stored_object *object = NULL;

	json_write(&text, tree);
	if (storage_object_parse(&cache->format, (struct etcd_bytes){key, strlen(key)},
	                         (struct etcd_bytes){strbuf_text(&text), text.length}, original->revision, &object,
	                         NULL))
		object = NULL;
	strbuf_done(&text);
	return object;
}

static void on_reviewed(struct review *review, const struct err *err)
{
	struct conversion *conversion = container_of(review, struct conversion, review);
	struct conversion_cache *cache = review->target->converted;
	struct err failure = ERR_INIT;

	for (size_t i = 0; !err && i < review->count; i++) {
		size_t place = conversion->places[i];
		struct stored_object *object = make_object(cache, conversion->objects[place], review->trees[i]);

		if (!object) {
			err_set(&failure, ERR_INTERNAL,
			        "conversion webhook for %s returned an object that cannot be read", review->from);
			err = &failure;
			break;
		}
		keep_cached(cache, conversion->objects[place], object);
		conversion->converted[place] = object;
	}
	conversion_end(conversion, err);
}

static void add_tree(struct conversion *conversion, size_t place)
{
	const struct blob *text = conversion->objects[place]->json;
	struct review *review = &conversion->review;
	struct json *tree = NULL;

	if (json_parse(review->arena, text->data, text->length, NULL, &tree, NULL) < 0)
		tree = json_object(review->arena);
	conversion->places[review->count] = place;
	review->trees[review->count++] = tree;
}

void conversion_start(struct server *server, const struct schema_resource *resource,
                      struct stored_object *const *objects, size_t count, struct loop *loop,
                      void (*done)(void *context, struct stored_object *const *converted, const struct err *err),
                      void *context)
{
	const struct definition_version *target = definition_version_of(resource);
	struct arena *arena = arena_new(16 << 10);
	struct conversion *conversion = ARENA_NEW(arena, struct conversion);

	conversion->definition = definition_ref((struct definition *)target->definition);
	conversion->objects = ARENA_ARRAY(arena, struct stored_object *, count + 1);
	conversion->converted = ARENA_ARRAY(arena, struct stored_object *, count + 1);
	conversion->places = ARENA_ARRAY(arena, size_t, count + 1);
	conversion->count = count;
	conversion->done = done;
	conversion->context = context;
	conversion->review = (struct review){.target = target,
	                                     .arena = arena,
	                                     .trees = ARENA_ARRAY(arena, struct json *, count + 1),
	                                     .done = on_reviewed};
	for (size_t i = 0; i < count; i++) {
		conversion->objects[i] = stored_object_ref(objects[i]);
		conversion->converted[i] = find_cached(target->converted, objects[i]);
		if (!conversion->converted[i])
			add_tree(conversion, i);
	}
	review_start(&conversion->review, server, loop);
}

// --- writes -------------------------------------------------------------------------------------------

struct write_conversion {
	struct review review;
	struct json *tree;
	void (*done)(void *context, struct json *converted, const struct err *err);
	void *context;
};

static void on_write_reviewed(struct review *review, const struct err *err)
{
	struct write_conversion *conversion = container_of(review, struct write_conversion, review);

	conversion->done(conversion->context, err ? NULL : conversion->tree, err);
}

void conversion_to_storage(struct server *server, const struct schema_resource *resource, struct arena *arena,
                           struct json *object, struct loop *loop,
                           void (*done)(void *context, struct json *converted, const struct err *err), void *context)
{
	struct write_conversion *conversion = ARENA_NEW(arena, struct write_conversion);

	conversion->tree = json_clone(arena, object);
	conversion->done = done;
	conversion->context = context;
	conversion->review = (struct review){.target = definition_version_of(resource)->definition->storage,
	                                     .arena = arena,
	                                     .trees = &conversion->tree,
	                                     .count = 1,
	                                     .done = on_write_reviewed};
	review_start(&conversion->review, server, loop);
}

// --- reads --------------------------------------------------------------------------------------------

struct get {
	struct server *server;
	const struct schema_resource *resource;
	struct loop *loop;
	int64_t revision;
	void (*done)(void *context, struct stored_object *object, int64_t revision, const struct err *err);
	void *context;
};

static void on_get_converted(void *context, struct stored_object *const *converted, const struct err *err)
{
	struct get *get = context;

	get->done(get->context, err ? NULL : converted[0], get->revision, err);
	free(get);
}

static void on_got(void *context, struct stored_object *object, int64_t revision, const struct err *err)
{
	struct get *get = context;

	if (err) {
		get->done(get->context, NULL, revision, err);
		free(get);
		return;
	}
	get->revision = revision;
	conversion_start(get->server, get->resource, &object, 1, get->loop, on_get_converted, get);
}

void conversion_get(struct server *server, const struct storage_read *read, struct loop *loop,
                    void (*done)(void *context, struct stored_object *object, int64_t revision, const struct err *err),
                    void *context)
{
	struct get *get;

	if (!definition_asks_webhook(read->resource)) {
		storage_get(server->storage, read, loop, done, context);
		return;
	}
	get = NEW(struct get);
	*get = (struct get){server, read->resource, loop, 0, done, context};
	storage_get(server->storage, read, loop, on_got, get);
}

struct list_read {
	struct server *server;
	const struct schema_resource *resource;
	struct loop *loop;
	struct storage_list list; // without the objects
	void (*done)(void *context, const struct storage_list *list, const struct err *err);
	void *context;
};

static void on_list_converted(void *context, struct stored_object *const *converted, const struct err *err)
{
	struct list_read *read = context;

	read->list.objects = (struct stored_object **)converted;
	read->done(read->context, err ? NULL : &read->list, err);
	free(read);
}

static void on_listed(void *context, const struct storage_list *list, const struct err *err)
{
	struct list_read *read = context;

	if (err) {
		read->done(read->context, NULL, err);
		free(read);
		return;
	}
	read->list = *list;
	conversion_start(read->server, read->resource, list->objects, list->count, read->loop, on_list_converted, read);
}

void conversion_list(struct server *server, const struct storage_read *read, struct loop *loop,
                     void (*done)(void *context, const struct storage_list *list, const struct err *err), void *context)
{
	struct list_read *wrapped;

	if (!definition_asks_webhook(read->resource)) {
		storage_list(server->storage, read, loop, done, context);
		return;
	}
	wrapped = NEW(struct list_read);
	*wrapped = (struct list_read){server, read->resource, loop, {0}, done, context};
	storage_list(server->storage, read, loop, on_listed, wrapped);
}
