// SPDX-License-Identifier: Apache-2.0
// The main loop follows the APIService objects and keeps for each one that names a
// service its `struct api_service` and its check; requests on any thread look into
// the table of them, which is replaced whole. As long as there is none, a request
// pays for one atomic read.

#include "apiserver/aggregation/aggregation.h"

#include <pthread.h>
#include <string.h>

#include "apiserver/aggregation/availability.h"
#include "apiserver/aggregation/local_services.h"
#include "apiserver/object_io.h"
#include "apiserver/server.h"
#include "apiserver/storage/follow.h"
#include "apiserver/validation/validation.h"
#include "common/api/object.h"
#include "common/base/log.h"
#include "common/base/memory.h"

#define AGGREGATION_GATHER_NS (20 * NSEC_PER_MSEC)

enum {
	AGGREGATION_MAX_SPEC_BYTES = 4 << 20,
};

// One object that names a service.
struct entry {
	struct list node;
	struct aggregation *aggregation;
	struct api_service *service;
	struct availability *availability;
	char *spec; // as text: a change makes a new entry
	bool seen;
};

struct aggregation {
	struct server *server;
	const struct schema_resource *resource;
	struct follow *follow;
	struct loop_timer timer;
	struct local_services *local;
	struct list entries;
	unsigned writes;
	bool stopped;

	atomic_size_t count;  // of the table
	pthread_mutex_t lock; // for `table`
	struct api_service_table *table;
};

// --- the table --------------------------------------------------------------------------------

bool aggregation_is_used(const struct server *server)
{
	return server->aggregation && atomic_load_explicit(&server->aggregation->count, memory_order_relaxed);
}

struct api_service_table *aggregation_table(struct server *server)
{
	struct aggregation *aggregation = server->aggregation;
	struct api_service_table *table;

	if (!aggregation_is_used(server))
		return NULL;
	pthread_mutex_lock(&aggregation->lock);
	table = aggregation->table ? api_service_table_ref(aggregation->table) : NULL;
	pthread_mutex_unlock(&aggregation->lock);
	return table;
}

static void publish(struct aggregation *aggregation)
{
	struct api_service **services;
	struct api_service_table *former;
	struct entry *entry;
	size_t count = 0;

	list_for_each (entry, &aggregation->entries, node)
		count++;
	services = xcalloc(count + 1, sizeof(struct api_service *));
	count = 0;
	list_for_each (entry, &aggregation->entries, node)
		services[count++] = entry->service;
	pthread_mutex_lock(&aggregation->lock);
	former = aggregation->table;
	aggregation->table = count ? api_service_table_new(services, count) : NULL;
	atomic_store(&aggregation->count, count);
	pthread_mutex_unlock(&aggregation->lock);
	api_service_table_unref(former);
	free(services);
}

// --- the condition -------------------------------------------------------------------------------

static void release(struct aggregation *aggregation)
{
	if (aggregation->stopped && !aggregation->writes)
		free(aggregation);
}

// A write that lost is made again by the next check.
static void on_written(void *context, struct stored_object *object, const struct err *err)
{
	struct aggregation *aggregation = context;

	(void)object;
	(void)err;
	aggregation->writes--;
	release(aggregation);
}

// False when it says so already.
static bool set_condition(struct arena *arena, struct json *object, bool available, const char *reason,
                          const char *message, int64_t now_ns)
{
	struct json *condition =
	        object_ensure_condition(arena, json_ensure_object(arena, object, "status"), "Available");
	const char *status = available ? "True" : "False";
	bool same_status = !strcmp(text_of(condition, "status"), status);
	char now[API_TIME_BYTES];

	if (same_status && !strcmp(text_of(condition, "reason"), reason) &&
	    !strcmp(text_of(condition, "message"), message))
		return false;
	json_set_text(arena, condition, "status", status);
	if (!same_status) {
		api_time_format(now_ns, now);
		json_set_text(arena, condition, "lastTransitionTime", now);
	}
	json_set_text(arena, condition, "reason", reason);
	json_set_text(arena, condition, "message", message);
	return true;
}

static void write_condition(struct aggregation *aggregation, const char *name, const char *uid, bool available,
                            const char *reason, const char *message)
{
	struct server *server = aggregation->server;
	struct stored_object *stored = storage_peek(server->storage, aggregation->resource, "", name);
	struct arena *arena = arena_new(16 << 10);
	struct json *object =
	        stored && !strcmp(stored->uid, uid) ? object_load(arena, aggregation->resource, stored, NULL) : NULL;

	if (object && set_condition(arena, object, available, reason, message, loop_realtime_ns(server->main_loop))) {
		struct storage_write write = {
		        .type = STORAGE_UPDATE,
		        .resource = aggregation->resource,
		        .namespace_name = "",
		        .name = name,
		        .expected_revision = stored->revision,
		        .json = object_store(arena, aggregation->resource, object),
		};

		aggregation->writes++;
		storage_write(server->storage, &write, server->main_loop, on_written, aggregation);
	}
	stored_object_unref(stored);
	arena_free(arena);
}

static void on_found(void *context, bool available, const char *reason, const char *message)
{
	struct entry *entry = context;

	write_condition(entry->aggregation, entry->service->name, entry->service->uid, available, reason, message);
}

// --- the entries -----------------------------------------------------------------------------------

static void drop_entry(struct entry *entry)
{
	list_remove(&entry->node);
	availability_stop(entry->availability);
	api_service_unref(entry->service);
	free(entry->spec);
	free(entry);
}

static char *text_of_spec(const struct json *object)
{
	struct strbuf text = STRBUF_INIT(AGGREGATION_MAX_SPEC_BYTES);

	json_write(&text, json_get(object, "spec"));
	return strbuf_take(&text, NULL);
}

static struct entry *find_entry(struct aggregation *aggregation, const char *name)
{
	struct entry *entry;

	list_for_each (entry, &aggregation->entries, node)
		if (!strcmp(entry->service->name, name))
			return entry;
	return NULL;
}

static void add_entry(struct aggregation *aggregation, const struct json *object, char *spec)
{
	const struct json *metadata = json_get(object, "metadata");
	struct err err = ERR_INIT;
	struct api_service *service = api_service_new(aggregation->server, object, &err);
	struct entry *entry;

	if (!service) {
		log_warning("An API service can't be used", kv_str("name", text_of(metadata, "name")),
		            kv_str("err", err.message));
		write_condition(aggregation, text_of(metadata, "name"), text_of(metadata, "uid"), false,
		                "FailedDiscoveryCheck", err.message);
		free(spec);
		return;
	}
	entry = NEW(struct entry);
	entry->aggregation = aggregation;
	entry->service = service;
	entry->spec = spec;
	entry->seen = true;
	list_append(&aggregation->entries, &entry->node);
	entry->availability = availability_start(aggregation->server, service, on_found, entry);
}

static void take_object(struct aggregation *aggregation, const struct json *object)
{
	const struct json *metadata = json_get(object, "metadata");
	const char *name = text_of(metadata, "name");
	struct entry *entry = find_entry(aggregation, name);
	char *spec;

	if (!is_present(json_path(object, "spec", "service"))) {
		write_condition(aggregation, name, text_of(metadata, "uid"), true, "Local",
		                "Local APIServices are always available");
		return;
	}
	spec = text_of_spec(object);
	if (entry && !strcmp(entry->spec, spec) && !strcmp(entry->service->uid, text_of(metadata, "uid"))) {
		entry->seen = true;
		free(spec);
		return;
	}
	if (entry)
		drop_entry(entry);
	add_entry(aggregation, object, spec);
}

static void on_timer(struct loop_timer *timer)
{
	struct aggregation *aggregation = container_of(timer, struct aggregation, timer);
	struct arena *arena = arena_new(64 << 10);
	struct stored_object **all = NULL;
	size_t count = storage_peek_all(aggregation->server->storage, aggregation->resource, "", &all);
	struct entry *entry;

	list_for_each (entry, &aggregation->entries, node)
		entry->seen = false;
	for (size_t i = 0; i < count; i++) {
		struct json *object = object_load(arena, aggregation->resource, all[i], NULL);

		if (object)
			take_object(aggregation, object);
		stored_object_unref(all[i]);
		arena_reset(arena);
	}
	free(all);
	arena_free(arena);
	list_for_each (entry, &aggregation->entries, node)
		if (!entry->seen)
			drop_entry(entry);
	publish(aggregation);
	local_services_look(aggregation->local);
}

// --- the whole ----------------------------------------------------------------------------------------

static void look(struct aggregation *aggregation)
{
	loop_timer_start(aggregation->server->main_loop, &aggregation->timer, AGGREGATION_GATHER_NS, on_timer);
}

static void on_all(void *context, struct stored_object *const *objects, size_t count)
{
	(void)objects;
	(void)count;
	look(context);
}

static void on_changed(void *context, const struct storage_event *event)
{
	(void)event;
	look(context);
}

struct aggregation *aggregation_start(struct server *server)
{
	struct aggregation *aggregation = NEW(struct aggregation);

	aggregation->server = server;
	aggregation->resource = schema_find_resource("apiregistration.k8s.io", "v1", "apiservices");
	list_init(&aggregation->entries);
	pthread_mutex_init(&aggregation->lock, NULL);
	aggregation->local = local_services_start(server);
	aggregation->follow = follow_start(&(struct follow_config){
	        .storage = server->storage,
	        .resource = aggregation->resource,
	        .loop = server->main_loop,
	        .all = on_all,
	        .changed = on_changed,
	        .context = aggregation,
	});
	return aggregation;
}

struct aggregation *aggregation_free(struct aggregation *aggregation)
{
	struct entry *entry;

	if (!aggregation)
		return NULL;
	loop_timer_stop(&aggregation->timer);
	follow_stop(aggregation->follow);
	local_services_stop(aggregation->local);
	list_for_each (entry, &aggregation->entries, node)
		drop_entry(entry);
	api_service_table_unref(aggregation->table);
	aggregation->table = NULL;
	pthread_mutex_destroy(&aggregation->lock);
	aggregation->stopped = true;
	release(aggregation);
	return NULL;
}
