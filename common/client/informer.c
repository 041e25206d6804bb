// SPDX-License-Identifier: Apache-2.0
// An informer is in one of three states:
//
//      ┌────────────── back-off over (must list) ────────────────┐
//      ▼                                                         │
//   LISTING ── last page: replace the store, tell the ──► WATCHING ◄─┐
//      │       difference                                │    │      │ back-off over
//      │ failed, or the continue token has expired       │    │      │ (version still good)
//      └──────────────────────────────► WAITING ◄────────┘    └──────┘ ended in order
//
// Invariants:
// 1. The store is what the handlers have been told, change by change, in order.
// 2. `version` is the resourceVersion up to which the store is complete: of the
//    last list, of the last event or of the last bookmark. A watch continues there.
// 3. Pages of a list are collected aside and applied as a whole after the last one,
//    so no handler ever sees half a list. An object whose resourceVersion has not
//    changed is kept and not decoded again.
// 4. An object that was deleted and made again under the same name while nobody
//    watched (another uid) is told as deleted and added.
//
// A 410, as a status or as an ERROR event, leads to a new list. Other failures of
// a watch try again from the same version; what a list answers shows whether the
// server wants us. Delays double from 0.1 s to 30 s with jitter, and begin anew
// once a watch has brought something or lasted ten seconds.

#include "common/client/informer.h"

#include <assert.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "api/core_v1.h"
#include "api/meta_v1.h"
#include "common/api/object.h"
#include "common/base/encode.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/client/rest.h"
#include "common/client/store.h"
#include "common/io/loop.h"

#define FIRST_DELAY_NS (100 * NSEC_PER_MSEC)
#define LONGEST_DELAY_NS (30 * NSEC_PER_SEC)
#define GOOD_WATCH_NS (10 * NSEC_PER_SEC)

// A server that can't make the short form sends the long one.
#define METADATA_FORM(kind) "application/json;as=" kind ";g=meta.k8s.io;v=v1,application/json"
#define METADATA_LIST METADATA_FORM("PartialObjectMetadataList")
#define METADATA_OBJECT METADATA_FORM("PartialObjectMetadata")

enum {
	PAGE_SIZE = 500,
	TRIM_OBJECTS = 200,
	WATCH_SECONDS_LEAST = 300, // and up to as much again
	WATCH_GRACE_SECONDS = 30,
	LIST_TIMEOUT_SECONDS = 60,
};

struct object_array {
	struct api_object **items;
	size_t count;
	size_t capacity;
};

struct informer {
	struct rest_client *client;
	struct informer_config config; // texts owned
	char *selector_query;
	struct store *store;
	struct list handlers;
	struct list new_handlers; // not yet told of what is there
	struct rest_call *call;   // of the list or of the watch
	struct loop_timer timer;  // back-off, or the start
	struct loop_timer replay_timer;
	struct object_array incoming; // pages of the running list; references
	char *continue_token;         // of the next page
	char *version;
	int64_t applied_revision; // every change up to here is in the store
	bool must_list;
	bool list_whole; // a continue token expired: ask for everything at once
	bool synced;
	bool is_absent;
	bool telling;
	int64_t delay_ns; // the next back-off
	int64_t watch_began_ns;
	bool watch_was_good;
	bool trim; // a long list has left much free heap
};

static void start_list(struct informer *informer);
static void start_watch(struct informer *informer);

// --- telling the handlers -----------------------------------------------------------

static void tell_present(struct informer *informer, struct informer_handler *handler)
{
	struct api_object *object;
	for (size_t cursor = 0; (object = store_next(informer->store, &cursor)) != NULL;)
		handler->changed(handler, NULL, object);
	if (informer->synced && handler->synced)
		handler->synced(handler);
}

static void tell_new_handlers(struct informer *informer)
{
	struct informer_handler *handler;
	informer->telling = true;
	while ((handler = list_first(&informer->new_handlers, struct informer_handler, node)) != NULL) {
		list_remove(&handler->node);
		list_append(&informer->handlers, &handler->node);
		tell_present(informer, handler);
	}
	informer->telling = false;
}

static void on_replay_timer(struct loop_timer *timer)
{
	tell_new_handlers(container_of(timer, struct informer, replay_timer));
}

static void tell(struct informer *informer, struct api_object *old_object, struct api_object *new_object)
{
	struct informer_handler *handler;
	informer->telling = true;
	list_for_each (handler, &informer->handlers, node)
		handler->changed(handler, old_object, new_object);
	informer->telling = false;
}

static void tell_progress(struct informer *informer)
{
	struct informer_handler *handler;
	informer->applied_revision = strtoll(informer->version, NULL, 10);
	informer->telling = true;
	list_for_each (handler, &informer->handlers, node)
		if (handler->progressed)
			handler->progressed(handler);
	informer->telling = false;
}

static void apply_removal(struct informer *informer, const char *key)
{
	struct api_object *old_object = store_take(informer->store, key);
	if (!old_object)
		return;
	tell(informer, old_object, NULL);
	api_object_unref(old_object);
}

static void apply_object(struct informer *informer, struct api_object *object)
{
	struct api_object *known = store_get(informer->store, object->key);
	if (known && strcmp(known->resource_version, object->resource_version) == 0)
		return;
	if (known && strcmp(known->uid, object->uid) != 0)
		apply_removal(informer, object->key);
	AUTO(api_object_unref) struct api_object *old_object = store_put(informer->store, object);
	tell(informer, old_object, object);
}

static void tell_synced(struct informer *informer)
{
	struct informer_handler *handler;
	informer->synced = true;
	informer->telling = true;
	list_for_each (handler, &informer->handlers, node) {
		if (handler->synced)
			handler->synced(handler);
	}
	informer->telling = false;
}

// --- waiting ---------------------------------------------------------------------------

static void on_timer(struct loop_timer *timer)
{
	struct informer *informer = container_of(timer, struct informer, timer);
	if (informer->must_list)
		start_list(informer);
	else
		start_watch(informer);
}

static void proceed_after(struct informer *informer, int64_t delay_ns)
{
	loop_timer_start(rest_client_loop(informer->client), &informer->timer, delay_ns, on_timer);
}

// The delay and up to as much again; the next one is twice as long.
static int64_t next_delay_ns(struct informer *informer)
{
	int64_t delay_ns = informer->delay_ns;
	informer->delay_ns = delay_ns * 2 < LONGEST_DELAY_NS ? delay_ns * 2 : LONGEST_DELAY_NS;
	int64_t jittered_ns = delay_ns + random_below((uint32_t)(delay_ns / NSEC_PER_USEC)) * NSEC_PER_USEC;
	return jittered_ns < LONGEST_DELAY_NS ? jittered_ns : LONGEST_DELAY_NS;
}

static void wait_after_failure(struct informer *informer, const char *action, const struct err *err,
                               int64_t at_least_ns)
{
	int64_t delay_ns = next_delay_ns(informer);
	if (delay_ns < at_least_ns)
		delay_ns = at_least_ns;
	log_warning("Failed to list or watch, will try again", kv_str("action", action),
	            kv_str("resource", informer->config.resource->plural), kv_duration("delay", delay_ns), kv_err(err));
	proceed_after(informer, delay_ns);
}

// --- listing ----------------------------------------------------------------------------

static void keep_incoming(struct object_array *array, struct api_object *object)
{
	if (array->count == array->capacity) {
		array->capacity = array->capacity ? array->capacity * 2 : 64;
		array->items = xreallocarray(array->items, array->capacity, sizeof(array->items[0]));
	}
	array->items[array->count++] = object;
}

static void drop_incoming(struct informer *informer)
{
	for (size_t i = 0; i < informer->incoming.count; i++)
		api_object_unref(informer->incoming.items[i]);
	free(informer->incoming.items);
	informer->incoming = (struct object_array){0};
	free(TAKE(informer->continue_token));
}

static void set_text(char **place, const char *text)
{
	free(*place);
	*place = xstrdup(text);
}

static int decode(const struct informer *informer, struct json *tree, struct api_object **ret_object, struct err *err)
{
	json_remove(object_metadata(tree), "managedFields");
	return informer->config.metadata_only
	               ? api_object_new_metadata(informer->config.resource, tree, ret_object, err)
	               : api_object_new(informer->config.resource, tree, ret_object, err);
}

// The stored object when it is still the same version, else a decoded one; a reference for the caller.
static int take_item(struct informer *informer, struct json *item, struct api_object **ret_object, struct err *err)
{
	AUTO_FREE char *key = NULL;
	const char *namespace_name = object_namespace(item);
	const char *name = object_name(item);
	const char *version = object_resource_version(item);
	if (!name)
		return err_set(err, ERR_PARSE, "an object without a name");
	key = namespace_name && namespace_name[0] ? xasprintf("%s/%s", namespace_name, name) : xstrdup(name);
	struct api_object *known = store_get(informer->store, key);
	if (known && version && strcmp(known->resource_version, version) == 0) {
		*ret_object = api_object_ref(known);
		return 0;
	}
	return decode(informer, item, ret_object, err);
}

static void collect_page(struct informer *informer, const struct json *page)
{
	json_for_each_item (item, json_get(page, "items")) {
		struct api_object *object;
		struct err err = ERR_INIT;
		if (take_item(informer, item, &object, &err) == 0)
			keep_incoming(&informer->incoming, object);
		else
			log_error("Cannot decode a listed object",
			          kv_str("resource", informer->config.resource->plural),
			          kv_obj("object", object_namespace(item), object_name(item)), kv_err(&err));
	}
}

static int compare_keys(const void *a, const void *b)
{
	const struct api_object *const *left = a;
	const struct api_object *const *right = b;
	return strcmp((*left)->key, (*right)->key);
}

static void remove_missing(struct informer *informer)
{
	struct object_array *incoming = &informer->incoming;
	struct object_array gone = {0};
	struct api_object *object;
	for (size_t cursor = 0; (object = store_next(informer->store, &cursor)) != NULL;) {
		if (!incoming->count ||
		    !bsearch(&object, incoming->items, incoming->count, sizeof(incoming->items[0]), compare_keys))
			keep_incoming(&gone, api_object_ref(object));
	}
	for (size_t i = 0; i < gone.count; i++) {
		apply_removal(informer, gone.items[i]->key);
		api_object_unref(gone.items[i]);
	}
	free(gone.items);
}

static void apply_list(struct informer *informer)
{
	struct object_array *incoming = &informer->incoming;
	tell_new_handlers(informer);
	informer->trim = incoming->count > TRIM_OBJECTS;
	if (incoming->count)
		qsort(incoming->items, incoming->count, sizeof(incoming->items[0]), compare_keys);
	remove_missing(informer);
	for (size_t i = 0; i < incoming->count; i++)
		apply_object(informer, incoming->items[i]);
	drop_incoming(informer);
	if (!informer->synced)
		tell_synced(informer);
}

static void tell_absent(struct informer *informer)
{
	struct informer_handler *handler;
	informer->is_absent = true;
	tell_new_handlers(informer);
	informer->telling = true;
	list_for_each (handler, &informer->handlers, node)
		if (handler->absent)
			handler->absent(handler);
	informer->telling = false;
}

static void on_list_failed(struct informer *informer, const struct rest_response *response)
{
	bool token_expired =
	        informer->continue_token && (response->err.code == ERR_EXPIRED || response->err.code == ERR_GONE);
	drop_incoming(informer);
	informer->list_whole = token_expired;
	if (response->err.code == ERR_NOT_FOUND || response->err.code == ERR_METHOD_NOT_ALLOWED)
		tell_absent(informer);
	wait_after_failure(informer, "list", &response->err, response->retry_after_ns);
}

static void on_list_done(void *context, const struct rest_response *response)
{
	struct informer *informer = context;
	informer->call = NULL;
	if (response->err.code != ERR_NONE || !response->object) {
		on_list_failed(informer, response);
		return;
	}
	const struct json *metadata = json_get(response->object, "metadata");
	const char *version = json_get_text(metadata, "resourceVersion");
	const char *token = json_get_text(metadata, "continue");
	collect_page(informer, response->object);
	set_text(&informer->version, version ? version : "");
	set_text(&informer->continue_token, token && token[0] ? token : NULL);
	if (informer->continue_token) {
		start_list(informer);
		return;
	}
	informer->list_whole = false;
	informer->must_list = false;
	informer->is_absent = false;
	apply_list(informer);
	tell_progress(informer);
	proceed_after(informer, 0);
}

static void start_list(struct informer *informer)
{
	AUTO_STRBUF struct strbuf query = STRBUF_INIT(1 << 20);
	strbuf_append_text(&query, informer->selector_query);
	if (!informer->list_whole)
		strbuf_printf(&query, "%slimit=%d", query.length ? "&" : "", PAGE_SIZE);
	if (informer->continue_token) {
		strbuf_append_text(&query, "&continue=");
		url_escape(&query, informer->continue_token);
	}
	const struct rest_request request = {
	        .method = "GET",
	        .resource = informer->config.resource,
	        .namespace_name = informer->config.namespace_name,
	        .query = strbuf_text(&query),
	        .accept = informer->config.metadata_only ? METADATA_LIST : NULL,
	        .timeout_ns = LIST_TIMEOUT_SECONDS * NSEC_PER_SEC,
	};
	informer->call = rest_start(informer->client, &request, on_list_done, informer);
}

// --- watching ----------------------------------------------------------------------------

static void note_good_watch(struct informer *informer)
{
	informer->watch_was_good = true;
	informer->delay_ns = FIRST_DELAY_NS;
}

static void on_watch_event(void *context, enum watch_event_type type, const struct json *event_object)
{
	struct informer *informer = context;
	// The tree is this event's alone: taking the managed fields out of it hurts nobody.
	struct json *tree = (struct json *)event_object;
	const char *version = object_resource_version(tree);
	struct err err = ERR_INIT;
	note_good_watch(informer);
	if (type != WATCH_BOOKMARK) {
		struct api_object *object = NULL;
		tell_new_handlers(informer);
		if (decode(informer, tree, &object, &err) < 0)
			log_error("Cannot decode a watched object",
			          kv_str("resource", informer->config.resource->plural),
			          kv_obj("object", object_namespace(tree), object_name(tree)), kv_err(&err));
		else if (type == WATCH_DELETED)
			apply_removal(informer, object->key);
		else
			apply_object(informer, object);
		api_object_unref(object);
	}
	if (version) {
		set_text(&informer->version, version);
		tell_progress(informer);
	}
}

static void on_watch_end(void *context, const struct err *err)
{
	struct informer *informer = context;
	int64_t lasted_ns = loop_now_ns(rest_client_loop(informer->client)) - informer->watch_began_ns;
	informer->call = NULL;
	if (lasted_ns >= GOOD_WATCH_NS)
		note_good_watch(informer);
	if (err->code == ERR_EXPIRED || err->code == ERR_GONE) {
		log_v(2, "Watch version is too old, listing again",
		      kv_str("resource", informer->config.resource->plural),
		      kv_str("resourceVersion", informer->version));
		informer->must_list = true;
		proceed_after(informer, informer->watch_was_good ? 0 : next_delay_ns(informer));
	} else if (err->code == ERR_NONE && informer->watch_was_good) {
		proceed_after(informer, 0);
	} else if (err->code == ERR_NONE) {
		proceed_after(informer, next_delay_ns(informer));
	} else {
		// A server that refuses the watch itself is asked by a list, which shows why.
		informer->must_list =
		        err->code == ERR_BAD_REQUEST || err->code == ERR_INVALID || err->code == ERR_NOT_FOUND;
		wait_after_failure(informer, "watch", err, 0);
	}
}

static void start_watch(struct informer *informer)
{
	static const struct watch_callbacks callbacks = {.on_event = on_watch_event, .on_end = on_watch_end};
	unsigned seconds = WATCH_SECONDS_LEAST + random_below(WATCH_SECONDS_LEAST);
	// The pages of the list, as text and as trees, are gone by now.
	if (informer->trim)
		malloc_trim(1 << 20);
	informer->trim = false;
	AUTO_STRBUF struct strbuf query = STRBUF_INIT(1 << 20);
	strbuf_append_text(&query, informer->selector_query);
	strbuf_printf(&query, "%sallowWatchBookmarks=true&timeoutSeconds=%u", query.length ? "&" : "", seconds);
	const struct rest_request request = {
	        .method = "GET",
	        .resource = informer->config.resource,
	        .namespace_name = informer->config.namespace_name,
	        .query = strbuf_text(&query),
	        .accept = informer->config.metadata_only ? METADATA_OBJECT : NULL,
	        .timeout_ns = (seconds + WATCH_GRACE_SECONDS) * NSEC_PER_SEC,
	};
	informer->watch_began_ns = loop_now_ns(rest_client_loop(informer->client));
	informer->watch_was_good = false;
	informer->call = rest_watch(informer->client, &request, informer->version, &callbacks, informer);
}

// --- life -----------------------------------------------------------------------------------

static char *selector_query(const struct informer_config *config)
{
	AUTO_STRBUF struct strbuf query = STRBUF_INIT(1 << 18);
	if (config->label_selector) {
		strbuf_append_text(&query, "labelSelector=");
		url_escape(&query, config->label_selector);
	}
	if (config->field_selector) {
		strbuf_printf(&query, "%sfieldSelector=", query.length ? "&" : "");
		url_escape(&query, config->field_selector);
	}
	return strbuf_take(&query, NULL);
}

struct informer *informer_new(struct rest_client *client, const struct informer_config *config)
{
	struct informer *informer = NEW(struct informer);
	informer->client = client;
	informer->config = *config;
	informer->config.namespace_name = xstrdup(config->namespace_name);
	informer->selector_query = selector_query(config);
	informer->store = store_new();
	list_init(&informer->handlers);
	list_init(&informer->new_handlers);
	informer->must_list = true;
	informer->delay_ns = FIRST_DELAY_NS;
	proceed_after(informer, 0);
	return informer;
}

struct informer *informer_free(struct informer *informer)
{
	if (!informer)
		return NULL;
	assert(!informer->telling);
	rest_cancel(informer->call);
	loop_timer_stop(&informer->timer);
	loop_timer_stop(&informer->replay_timer);
	drop_incoming(informer);
	store_free(informer->store);
	free((char *)informer->config.namespace_name);
	free(informer->selector_query);
	free(informer->version);
	free(informer);
	return NULL;
}

void informer_add_handler(struct informer *informer, struct informer_handler *handler)
{
	list_append(&informer->new_handlers, &handler->node);
	loop_timer_start(rest_client_loop(informer->client), &informer->replay_timer, 0, on_replay_timer);
}

void informer_remove_handler(struct informer *informer, struct informer_handler *handler)
{
	(void)informer;
	list_remove(&handler->node);
}

bool informer_has_synced(const struct informer *informer)
{
	return informer->synced;
}

bool informer_is_absent(const struct informer *informer)
{
	return informer->is_absent;
}

int64_t informer_revision(const struct informer *informer)
{
	return informer->applied_revision;
}

// --- reading ----------------------------------------------------------------------------------

struct api_object *informer_get_key(const struct informer *informer, const char *key)
{
	return store_get(informer->store, key);
}

struct api_object *informer_get(const struct informer *informer, const char *namespace_name, const char *name)
{
	char key[640]; // a namespace of 63 and a name of 253 bytes at most
	bool is_global = !namespace_name || !namespace_name[0];
	int length = is_global ? snprintf(key, sizeof(key), "%s", name)
	                       : snprintf(key, sizeof(key), "%s/%s", namespace_name, name);
	return length < (int)sizeof(key) ? store_get(informer->store, key) : NULL;
}

size_t informer_count(const struct informer *informer)
{
	return store_count(informer->store);
}

struct api_object *informer_next(const struct informer *informer, size_t *cursor)
{
	return store_next(informer->store, cursor);
}

void informer_add_index(struct informer *informer, const char *index_name,
                        void (*keys)(const struct api_object *object, struct informer_index_values *values))
{
	store_add_index(informer->store, index_name, keys);
}

struct api_object *const *informer_by_index(const struct informer *informer, const char *index_name, const char *value,
                                            size_t *ret_count)
{
	return store_by_index(informer->store, index_name, value, ret_count);
}

static void add_value(struct informer_index_values *values, const char *value)
{
	if (values->count < values->capacity)
		values->items[values->count++] = value;
}

void informer_index_by_namespace(const struct api_object *object, struct informer_index_values *values)
{
	add_value(values, object->namespace_name);
}

void informer_index_by_controller(const struct api_object *object, struct informer_index_values *values)
{
	const struct meta_v1_object_meta *metadata = api_object_metadata(object);
	for (size_t i = 0; i < metadata->owner_references.count; i++) {
		const struct meta_v1_owner_reference *owner = &metadata->owner_references.items[i];
		if (owner->controller && *owner->controller && owner->uid)
			add_value(values, owner->uid);
	}
}

void informer_index_pods_by_node(const struct api_object *object, struct informer_index_values *values)
{
	const struct core_v1_pod *pod = object->view;
	add_value(values, pod->spec.node_name ? pod->spec.node_name : "");
}
