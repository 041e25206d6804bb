// SPDX-License-Identifier: Apache-2.0
// Changes are gathered for a moment; then a round begins: everything is read from the
// cache and put into force, and one write after the other is made that the objects
// need: a default that is missing or has been changed where it mustn't be, a condition
// that isn't true any more. What has changed meanwhile is looked at in the next round.
// Servers beside this one do the same: who comes second finds a conflict, or nothing
// to do.

#include "apiserver/fairness/upkeep.h"

#include <string.h>

#include "apiserver/bootstrap/bootstrap_objects.h"
#include "apiserver/fairness/default_objects.h"
#include "apiserver/object_io.h"
#include "apiserver/server.h"
#include "apiserver/storage/follow.h"
#include "common/api/object.h"
#include "common/base/memory.h"

#define UPKEEP_GATHER_NS (50 * NSEC_PER_MSEC)
#define UPKEEP_RETRY_NS NSEC_PER_SEC
#define UPKEEP_ROUND_NS (60 * NSEC_PER_SEC)

struct collection {
	const struct schema_resource *resource;
	struct follow *follow;
	bool listed;
	struct stored_object **stored;
	struct json **objects; // completed, of the same index; NULL where it can't be read
	size_t count;
};

struct flow_upkeep {
	struct server *server;
	void (*configure)(void *context, struct json *const *levels, size_t level_count, struct json *const *schemas,
	                  size_t schema_count);
	void *context;
	struct collection levels;
	struct collection schemas;
	struct arena *arena; // of a round
	struct loop_timer timer;
	size_t step; // of the round: the defaults, then the schemas
	bool in_round;
	bool writing;
	bool failed;     // to write
	bool look_again; // something has changed since the round began
	bool stopped;
};

static void on_timer(struct loop_timer *timer);
static void go_on(struct flow_upkeep *upkeep);

static void again(struct flow_upkeep *upkeep, int64_t delay_ns)
{
	loop_timer_start(upkeep->server->main_loop, &upkeep->timer, delay_ns, on_timer);
}

// --- reading -----------------------------------------------------------------------------------

static void read_collection(struct flow_upkeep *upkeep, struct collection *collection)
{
	size_t found = storage_peek_all(upkeep->server->storage, collection->resource, "", &collection->stored);

	collection->objects = ARENA_ARRAY(upkeep->arena, struct json *, found + 1);
	collection->count = 0;
	for (size_t i = 0; i < found; i++) {
		struct stored_object *stored = collection->stored[i];
		struct json *object = object_load(upkeep->arena, collection->resource, stored, NULL);

		if (!object) {
			stored_object_unref(stored);
			continue;
		}
		collection->stored[collection->count] = stored;
		collection->objects[collection->count++] = object;
	}
}

static void drop_collection(struct collection *collection)
{
	for (size_t i = 0; i < collection->count; i++)
		stored_object_unref(collection->stored[i]);
	free(collection->stored);
	collection->stored = NULL;
	collection->count = 0;
}

static bool find(const struct collection *collection, const char *name, size_t *ret_index)
{
	for (size_t i = 0; i < collection->count; i++)
		if (!strcmp(collection->stored[i]->name, name)) {
			*ret_index = i;
			return true;
		}
	return false;
}

// --- writing -------------------------------------------------------------------------------------

static void on_written(void *context, struct stored_object *object, const struct err *err)
{
	struct flow_upkeep *upkeep = context;

	(void)object;
	upkeep->writing = false;
	upkeep->failed |= err != NULL;
	if (upkeep->stopped)
		free(upkeep);
	else
		go_on(upkeep);
}

static void write_object(struct flow_upkeep *upkeep, const struct storage_write *write)
{
	upkeep->writing = true;
	storage_write(upkeep->server->storage, write, upkeep->server->main_loop, on_written, upkeep);
}

static void create_default(struct flow_upkeep *upkeep, const struct flow_default *wanted)
{
	const struct schema_resource *resource = flow_default_resource(wanted);
	struct json *object = flow_default_object(upkeep->arena, wanted);

	write_object(upkeep, &(struct storage_write){
	                             .type = STORAGE_CREATE,
	                             .resource = resource,
	                             .namespace_name = "",
	                             .name = wanted->name,
	                             .json = bootstrap_encode_tree(upkeep->arena, resource, object,
	                                                           loop_realtime_ns(upkeep->server->main_loop)),
	                     });
}

static void update(struct flow_upkeep *upkeep, const struct collection *collection, size_t index)
{
	const struct stored_object *stored = collection->stored[index];

	write_object(upkeep,
	             &(struct storage_write){
	                     .type = STORAGE_UPDATE,
	                     .resource = collection->resource,
	                     .namespace_name = "",
	                     .name = stored->name,
	                     .expected_revision = stored->revision,
	                     .json = object_store(upkeep->arena, collection->resource, collection->objects[index]),
	             });
}

// --- what the objects need -----------------------------------------------------------------------

static bool put_default_right(struct flow_upkeep *upkeep, const struct flow_default *wanted)
{
	struct collection *collection = wanted->is_schema ? &upkeep->schemas : &upkeep->levels;
	struct json *object, *spec, *metadata;
	int64_t generation = 0;
	size_t at;

	if (!find(collection, wanted->name, &at)) {
		create_default(upkeep, wanted);
		return true;
	}
	object = collection->objects[at];
	spec = json_get(flow_default_object(upkeep->arena, wanted), "spec");
	if (flow_default_is_met(upkeep->arena, wanted, json_get(object, "spec")) || !flow_default_rules(wanted, object))
		return false;
	if (wanted->tunable && json_path(object, "spec", wanted->tunable))
		json_set(upkeep->arena, spec, wanted->tunable, json_path(object, "spec", wanted->tunable));
	metadata = json_get(object, "metadata");
	(void)json_get_integer(metadata, "generation", &generation);
	json_set_integer(upkeep->arena, metadata, "generation", generation + 1);
	json_set(upkeep->arena, object, "spec", spec);
	update(upkeep, collection, at);
	return true;
}

// The condition Dangling of one schema; true when a write was begun.
static bool put_condition_right(struct flow_upkeep *upkeep, size_t index)
{
	struct json *schema = upkeep->schemas.objects[index];
	const char *level = json_get_text(json_path(schema, "spec", "priorityLevelConfiguration"), "name");
	struct json *status = json_ensure_object(upkeep->arena, schema, "status");
	struct json *condition = object_ensure_condition(upkeep->arena, status, "Dangling");
	const char *held = json_get_text(condition, "status"), *wanted;
	char now[API_TIME_BYTES];
	size_t unused;
	bool exists = level && find(&upkeep->levels, level, &unused);

	wanted = exists ? "False" : "True";
	if (held && !strcmp(held, wanted))
		return false;
	api_time_format(loop_realtime_ns(upkeep->server->main_loop), now);
	json_set_text(upkeep->arena, condition, "status", wanted);
	json_set_text(upkeep->arena, condition, "lastTransitionTime", now);
	json_set_text(upkeep->arena, condition, "reason", exists ? "Found" : "NotFound");
	json_set_text(upkeep->arena, condition, "message",
	              arena_printf(upkeep->arena,
	                           "This FlowSchema references the PriorityLevelConfiguration object named \"%s\" "
	                           "and %s",
	                           level ? level : "", exists ? "it exists" : "there is no such object"));
	update(upkeep, &upkeep->schemas, index);
	return true;
}

static void end_round(struct flow_upkeep *upkeep)
{
	drop_collection(&upkeep->levels);
	drop_collection(&upkeep->schemas);
	upkeep->in_round = false;
	again(upkeep, upkeep->failed ? UPKEEP_RETRY_NS : upkeep->look_again ? UPKEEP_GATHER_NS : UPKEEP_ROUND_NS);
}

static void go_on(struct flow_upkeep *upkeep)
{
	while (upkeep->step < flow_default_count + upkeep->schemas.count) {
		size_t step = upkeep->step++;

		if (step < flow_default_count ? put_default_right(upkeep, &flow_defaults[step])
		                              : put_condition_right(upkeep, step - flow_default_count))
			return;
	}
	end_round(upkeep);
}

static void on_timer(struct loop_timer *timer)
{
	struct flow_upkeep *upkeep = container_of(timer, struct flow_upkeep, timer);

	if (!upkeep->levels.listed || !upkeep->schemas.listed)
		return;
	upkeep->in_round = true;
	upkeep->look_again = upkeep->failed = false;
	upkeep->step = 0;
	arena_reset(upkeep->arena);
	read_collection(upkeep, &upkeep->levels);
	read_collection(upkeep, &upkeep->schemas);
	upkeep->configure(upkeep->context, upkeep->levels.objects, upkeep->levels.count, upkeep->schemas.objects,
	                  upkeep->schemas.count);
	go_on(upkeep);
}

// --- following -------------------------------------------------------------------------------------

static void look(struct flow_upkeep *upkeep)
{
	upkeep->look_again = true;
	if (!upkeep->in_round)
		again(upkeep, UPKEEP_GATHER_NS);
}

static void on_levels(void *context, struct stored_object *const *objects, size_t count)
{
	struct flow_upkeep *upkeep = context;

	(void)objects;
	(void)count;
	upkeep->levels.listed = true;
	look(upkeep);
}

static void on_schemas(void *context, struct stored_object *const *objects, size_t count)
{
	struct flow_upkeep *upkeep = context;

	(void)objects;
	(void)count;
	upkeep->schemas.listed = true;
	look(upkeep);
}

static void on_changed(void *context, const struct storage_event *event)
{
	(void)event;
	look(context);
}

static void start_collection(struct flow_upkeep *upkeep, struct collection *collection,
                             const struct schema_resource *resource,
                             void (*all)(void *context, struct stored_object *const *objects, size_t count))
{
	collection->resource = resource;
	collection->follow = follow_start(&(struct follow_config){
	        .storage = upkeep->server->storage,
	        .resource = resource,
	        .loop = upkeep->server->main_loop,
	        .all = all,
	        .changed = on_changed,
	        .context = upkeep,
	});
}

struct flow_upkeep *flow_upkeep_start(struct server *server,
                                      void (*configure)(void *context, struct json *const *levels, size_t level_count,
                                                        struct json *const *schemas, size_t schema_count),
                                      void *context)
{
	struct flow_upkeep *upkeep = NEW(struct flow_upkeep);

	upkeep->server = server;
	upkeep->configure = configure;
	upkeep->context = context;
	upkeep->arena = arena_new(64 << 10);
	start_collection(upkeep, &upkeep->levels, priority_levels_resource(), on_levels);
	start_collection(upkeep, &upkeep->schemas, flow_schemas_resource(), on_schemas);
	return upkeep;
}

struct flow_upkeep *flow_upkeep_stop(struct flow_upkeep *upkeep)
{
	if (!upkeep)
		return NULL;
	loop_timer_stop(&upkeep->timer);
	follow_stop(upkeep->levels.follow);
	follow_stop(upkeep->schemas.follow);
	if (upkeep->in_round) {
		drop_collection(&upkeep->levels);
		drop_collection(&upkeep->schemas);
	}
	arena_free(upkeep->arena);
	upkeep->stopped = true;
	if (!upkeep->writing)
		free(upkeep);
	return NULL;
}
