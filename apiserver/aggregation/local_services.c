// SPDX-License-Identifier: Apache-2.0
// A round goes over the served group versions, then over the stored objects, and
// makes one write after the other; it begins again a minute later, or when something
// has changed.

#include "apiserver/aggregation/local_services.h"

#include <stdlib.h>
#include <string.h>

#include "apiserver/bootstrap/bootstrap_objects.h"
#include "apiserver/custom/custom.h"
#include "apiserver/server.h"
#include "apiserver/storage/storage.h"
#include "common/api/object.h"
#include "common/base/memory.h"

#define LOCAL_GATHER_NS (20 * NSEC_PER_MSEC)
#define LOCAL_ROUND_NS (60 * NSEC_PER_SEC)
#define LOCAL_RETRY_NS NSEC_PER_SEC
#define AUTOMANAGED "kube-aggregator.kubernetes.io/automanaged"

struct local_services {
	struct server *server;
	struct arena *arena; // of a round
	const struct schema_resource *resource;
	struct served *snapshot;
	const struct schema_resource *const *served; // of the snapshot
	size_t served_count;
	size_t next; // of `served`
	struct stored_object **stored;
	size_t stored_count;
	size_t next_stored;
	struct loop_timer timer;
	bool writing;
	bool stopped;
	bool look_again;
};

// Upstream's places of its groups; custom ones come last.
static const struct {
	const char *group;
	int group_priority;
	int version_priority;
} priorities[] = {
        {"", 18000, 1},
        {"apps", 17800, 15},
        {"events.k8s.io", 17750, 5},
        {"authentication.k8s.io", 17700, 15},
        {"authorization.k8s.io", 17600, 15},
        {"autoscaling", 17500, 15},
        {"batch", 17400, 15},
        {"certificates.k8s.io", 17300, 15},
        {"networking.k8s.io", 17200, 15},
        {"policy", 17100, 15},
        {"rbac.authorization.k8s.io", 17000, 15},
        {"storage.k8s.io", 16800, 15},
        {"apiextensions.k8s.io", 16700, 15},
        {"admissionregistration.k8s.io", 16700, 15},
        {"scheduling.k8s.io", 16600, 15},
        {"coordination.k8s.io", 16500, 15},
        {"node.k8s.io", 16300, 15},
        {"discovery.k8s.io", 16200, 15},
        {"flowcontrol.apiserver.k8s.io", 16100, 21},
        {"internal.apiserver.k8s.io", 16000, 10},
        {"resource.k8s.io", 15900, 15},
        {"storagemigration.k8s.io", 15800, 15},
};

enum {
	CUSTOM_GROUP_PRIORITY = 1000,
	CUSTOM_VERSION_PRIORITY = 100,
	PREFERRED_VERSION_BONUS = 15,
};

static void on_timer(struct loop_timer *timer);
static void go_on(struct local_services *services);

static void again(struct local_services *services, int64_t delay_ns)
{
	loop_timer_start(services->server->main_loop, &services->timer, delay_ns, on_timer);
}

static const char *name_of(struct arena *arena, const char *group, const char *version)
{
	return arena_printf(arena, "%s.%s", version, group);
}

// --- the object of a group version -----------------------------------------------------------

static void set_priorities(struct arena *arena, struct json *spec, const struct schema_resource *resource,
                           bool *ret_custom)
{
	int group_priority = CUSTOM_GROUP_PRIORITY, version_priority = CUSTOM_VERSION_PRIORITY;
	const char *preferred = schema_preferred_version(resource->group);

	*ret_custom = true;
	for (size_t i = 0; i < ARRAY_SIZE(priorities); i++)
		if (!strcmp(priorities[i].group, resource->group)) {
			group_priority = priorities[i].group_priority;
			version_priority = priorities[i].version_priority;
			*ret_custom = false;
		}
	if (!*ret_custom && preferred && !strcmp(preferred, resource->version) && strcmp(resource->version, "v1"))
		version_priority += PREFERRED_VERSION_BONUS;
	json_set_integer(arena, spec, "groupPriorityMinimum", group_priority);
	json_set_integer(arena, spec, "versionPriority", version_priority);
}

static struct json *available(struct arena *arena, int64_t now_ns)
{
	struct json *condition = json_object(arena);
	char now[API_TIME_BYTES];

	api_time_format(now_ns, now);
	json_set_text(arena, condition, "type", "Available");
	json_set_text(arena, condition, "status", "True");
	json_set_text(arena, condition, "lastTransitionTime", now);
	json_set_text(arena, condition, "reason", "Local");
	json_set_text(arena, condition, "message", "Local APIServices are always available");
	return condition;
}

static struct json *make_object(struct local_services *services, const struct schema_resource *served, const char *name)
{
	struct arena *arena = services->arena;
	struct json *object = json_object(arena), *spec = json_object(arena);
	struct json *metadata = json_ensure_object(arena, object, "metadata");
	bool custom;

	json_set_text(arena, object, "kind", "APIService");
	json_set_text(arena, object, "apiVersion", "apiregistration.k8s.io/v1");
	json_set_text(arena, metadata, "name", name);
	json_set_text(arena, spec, "group", served->group);
	json_set_text(arena, spec, "version", served->version);
	set_priorities(arena, spec, served, &custom);
	json_set_text(arena, json_ensure_object(arena, metadata, "labels"), AUTOMANAGED, custom ? "true" : "onstart");
	json_set(arena, object, "spec", spec);
	json_append(arena, json_ensure_array(arena, json_ensure_object(arena, object, "status"), "conditions"),
	            available(arena, loop_realtime_ns(services->server->main_loop)));
	return object;
}

// --- the round ----------------------------------------------------------------------------------

static void on_written(void *context, struct stored_object *object, const struct err *err)
{
	struct local_services *services = context;

	(void)object;
	services->writing = false;
	if (services->stopped) {
		free(services);
		return;
	}
	// Another server may have been first; anything else is tried again in a while.
	if (err && err->code != ERR_ALREADY_EXISTS && err->code != ERR_NOT_FOUND && err->code != ERR_CONFLICT)
		again(services, LOCAL_RETRY_NS);
	else
		go_on(services);
}

static void write_object(struct local_services *services, const struct storage_write *write)
{
	services->writing = true;
	storage_write(services->server->storage, write, services->server->main_loop, on_written, services);
}

static bool is_stored(struct local_services *services, const char *name)
{
	for (size_t i = 0; i < services->stored_count; i++)
		if (!strcmp(services->stored[i]->name, name))
			return true;
	return false;
}

static bool is_new_version(const struct local_services *services, size_t index)
{
	const struct schema_resource *one = services->served[index],
	                             *former = index ? services->served[index - 1] : NULL;

	// The aggregator's own group is nobody's to register.
	if (!strcmp(one->group, "apiregistration.k8s.io"))
		return false;
	return !former || strcmp(former->group, one->group) || strcmp(former->version, one->version);
}

static bool create_next(struct local_services *services)
{
	while (services->next < services->served_count) {
		size_t index = services->next++;
		const struct schema_resource *served = services->served[index];
		const char *name;

		if (!is_new_version(services, index))
			continue;
		name = name_of(services->arena, served->group, served->version);
		if (is_stored(services, name))
			continue;
		write_object(services, &(struct storage_write){.type = STORAGE_CREATE,
		                                               .resource = services->resource,
		                                               .namespace_name = "",
		                                               .name = name,
		                                               .json = bootstrap_encode_tree(
		                                                       services->arena, services->resource,
		                                                       make_object(services, served, name),
		                                                       loop_realtime_ns(services->server->main_loop))});
		return true;
	}
	return false;
}

static bool is_served(const struct local_services *services, const char *name)
{
	for (size_t i = 0; i < services->served_count; i++)
		if (!strcmp(name_of(services->arena, services->served[i]->group, services->served[i]->version), name))
			return true;
	return false;
}

static bool is_ours_to_remove(const struct stored_object *object)
{
	for (const char *const *label = object->labels; label && *label; label += 2)
		if (!strcmp(label[0], AUTOMANAGED))
			return !strcmp(label[1], "true");
	return false;
}

static bool remove_next(struct local_services *services)
{
	while (services->next_stored < services->stored_count) {
		const struct stored_object *object = services->stored[services->next_stored++];

		if (!is_ours_to_remove(object) || is_served(services, object->name))
			continue;
		write_object(services, &(struct storage_write){.type = STORAGE_DELETE,
		                                               .resource = services->resource,
		                                               .namespace_name = "",
		                                               .name = object->name,
		                                               .expected_revision = object->revision});
		return true;
	}
	return false;
}

static void drop_stored(struct local_services *services)
{
	for (size_t i = 0; i < services->stored_count; i++)
		stored_object_unref(services->stored[i]);
	free(services->stored);
	services->stored = NULL;
	services->stored_count = 0;
}

static void go_on(struct local_services *services)
{
	if (create_next(services) || remove_next(services))
		return;
	drop_stored(services);
	again(services, services->look_again ? LOCAL_GATHER_NS : LOCAL_ROUND_NS);
	services->look_again = false;
}

static void on_timer(struct loop_timer *timer)
{
	struct local_services *services = container_of(timer, struct local_services, timer);

	if (services->writing)
		return;
	if (!storage_is_ready(services->server->storage)) {
		again(services, LOCAL_GATHER_NS);
		return;
	}
	drop_stored(services);
	arena_reset(services->arena);
	served_unref(services->snapshot);
	services->snapshot = custom_served(services->server->custom);
	services->served = served_resources(services->snapshot, &services->served_count);
	services->stored_count = storage_peek_all(services->server->storage, services->resource, "", &services->stored);
	services->next = services->next_stored = 0;
	go_on(services);
}

void local_services_look(struct local_services *services)
{
	if (services->writing)
		services->look_again = true;
	else
		again(services, LOCAL_GATHER_NS);
}

struct local_services *local_services_start(struct server *server)
{
	struct local_services *services = NEW(struct local_services);

	services->server = server;
	services->arena = arena_new(16 << 10);
	services->resource = schema_find_resource("apiregistration.k8s.io", "v1", "apiservices");
	again(services, 0);
	return services;
}

struct local_services *local_services_stop(struct local_services *services)
{
	if (!services)
		return NULL;
	loop_timer_stop(&services->timer);
	drop_stored(services);
	served_unref(services->snapshot);
	arena_free(services->arena);
	services->stopped = true;
	if (!services->writing)
		free(services);
	return NULL;
}
