// SPDX-License-Identifier: Apache-2.0
// Cluster IPs and node ports of Services, safe with any number of apiservers and
// with a crash at any point.
//
// A cluster IP is taken by creating the IPAddress object that is named after it:
// etcd lets only one of them succeed. A node port is taken by a swap of one
// bitmap (port_allocator.c). Both come before the Service is written, so that no
// two Services ever hold the same; what is left over by a crash, a failed write
// or a Service that let go is freed here in the background, or later by repair.c,
// whose truth is the Services themselves.
//
//   plan ──► address ──► … ──► ports ──► done ──► [the Service is written] ──► settle
//              │ taken: the next one       │ refused: give back, done(failure)
//
// Free addresses are tried at random in the upper part of the range first: the
// lower part (16 to 256 addresses) is left for those who ask for a certain one.

#include "apiserver/services/service_allocation_internal.h"

#include <string.h>

#include "apiserver/server.h"
#include "apiserver/services/address_object.h"
#include "apiserver/services/port_allocator.h"
#include "apiserver/storage/storage.h"
#include "apiserver/validation/validation.h"
#include "common/base/blob.h"
#include "common/base/encode.h"
#include "common/base/memory.h"

enum {
	ALLOCATE_RANDOM_TRIES = 32,
	ALLOCATE_RESERVED_MIN = 16,
	ALLOCATE_RESERVED_MAX = 256,
};

static void next_step(struct service_allocation *allocation);

bool service_allocation_concerns(const struct change *change)
{
	return change_is_for(change, "", "services") && !change->subresource[0];
}

// --- giving back ------------------------------------------------------------------------------------

static void release_ports(struct server *server, struct loop *loop, const int *ports, size_t count)
{
	if (count)
		port_allocator_apply(server, loop, &(struct port_request){.released = ports, .released_count = count},
		                     NULL, NULL);
}

static void give_back(struct service_allocation *allocation)
{
	char text[IP_TEXT_BYTES];

	for (size_t i = 0; i < allocation->address_count; i++)
		if (allocation->addresses[i].taken) {
			ip_format(&allocation->addresses[i].ip, text);
			address_release(allocation->server, allocation->loop, text, allocation->namespace_name,
			                allocation->name);
		}
	release_ports(allocation->server, allocation->loop, allocation->taken_ports, allocation->taken_port_count);
}

struct service_allocation *service_allocation_abandon(struct service_allocation *allocation)
{
	if (allocation)
		arena_free(allocation->arena);
	return NULL;
}

void service_allocation_settle(struct service_allocation *allocation, bool written)
{
	if (!allocation)
		return;
	if (!written)
		give_back(allocation);
	for (size_t i = 0; written && i < allocation->freed_address_count; i++)
		address_release(allocation->server, allocation->loop, allocation->freed_addresses[i],
		                allocation->namespace_name, allocation->name);
	if (written)
		release_ports(allocation->server, allocation->loop, allocation->freed_ports,
		              allocation->freed_port_count);
	service_allocation_abandon(allocation);
}

void service_allocation_release(struct server *server, struct loop *loop, const struct json *service)
{
	const struct json *spec = json_get(service, "spec"), *metadata = json_get(service, "metadata");
	int ports[ALLOCATE_MAX_PORTS];
	size_t count = 0;
	struct ip ip;

	json_for_each_item (item, json_get(spec, "clusterIPs"))
		if (ip_parse(json_text(item), &ip))
			address_release(server, loop, json_text(item), text_of(metadata, "namespace"),
			                text_of(metadata, "name"));
	json_for_each_item (port, json_get(spec, "ports"))
		if (integer_of(port, "nodePort", 0) && count < ALLOCATE_MAX_PORTS - 1)
			ports[count++] = (int)integer_of(port, "nodePort", 0);
	if (integer_of(spec, "healthCheckNodePort", 0))
		ports[count++] = (int)integer_of(spec, "healthCheckNodePort", 0);
	release_ports(server, loop, ports, count);
}

// --- taking -----------------------------------------------------------------------------------------

static void finish(struct service_allocation *allocation, const struct status *failure)
{
	if (failure) {
		give_back(allocation);
		void (*done)(void *, struct service_allocation *, const struct status *) = allocation->done;
		void *context = allocation->context;

		service_allocation_abandon(allocation);
		done(context, NULL, failure);
		return;
	}
	allocation->done(allocation->context, allocation, NULL);
}

static uint32_t reserved_of(uint32_t usable)
{
	uint32_t reserved = usable / 16;

	if (reserved < ALLOCATE_RESERVED_MIN)
		reserved = ALLOCATE_RESERVED_MIN;
	if (reserved > ALLOCATE_RESERVED_MAX)
		reserved = ALLOCATE_RESERVED_MAX;
	return reserved < usable ? reserved : 0;
}

static bool address_is_known(struct server *server, const struct ip *ip)
{
	char text[IP_TEXT_BYTES];
	struct stored_object *object;

	ip_format(ip, text);
	object = storage_peek(server->storage, address_resource(), "", text);
	stored_object_unref(object);
	return object != NULL;
}

// The next candidate that the cache believes to be free; false: the range is full.
static bool choose_address(struct server *server, struct wanted_address *wanted)
{
	uint32_t usable = ip_range_usable(wanted->range), reserved = reserved_of(usable);

	if (!usable)
		return false;
	while (wanted->tries < ALLOCATE_RANDOM_TRIES) {
		wanted->tries++;
		ip_range_at(wanted->range, 1 + reserved + random_below(usable - reserved), &wanted->ip);
		if (!address_is_known(server, &wanted->ip))
			return true;
	}
	while (wanted->scan_offset < usable) {
		uint32_t offset = 1 + (reserved + wanted->scan_offset++) % usable;

		ip_range_at(wanted->range, offset, &wanted->ip);
		if (!address_is_known(server, &wanted->ip))
			return true;
	}
	return false;
}

static const struct status *taken_status(struct change *change, const struct ip *ip)
{
	char text[IP_TEXT_BYTES];

	ip_format(ip, text);
	return service_plan_invalid(
	        change, "clusterIPs", arena_printf(change->arena, "[%s]", text),
	        arena_printf(change->arena, "failed to allocate IP %s: provided IP is already allocated", text));
}

static void create_address(struct service_allocation *allocation, struct wanted_address *wanted);

static void on_holder(void *context, struct stored_object *object, int64_t revision, const struct err *err)
{
	struct service_allocation *allocation = context;
	struct wanted_address *wanted = &allocation->addresses[allocation->next_address];

	(void)revision;
	// Left by a create of this very Service that died half-way.
	if (!err && address_is_held_by(object, allocation->namespace_name, allocation->name)) {
		wanted->taken = true;
		allocation->next_address++;
		next_step(allocation);
		return;
	}
	finish(allocation, taken_status(allocation->change, &wanted->ip));
}

static void on_address_created(void *context, struct stored_object *object, const struct err *err)
{
	struct service_allocation *allocation = context;
	struct wanted_address *wanted = &allocation->addresses[allocation->next_address];
	char text[IP_TEXT_BYTES];

	(void)object;
	if (!err) {
		wanted->taken = true;
		allocation->next_address++;
		next_step(allocation);
	} else if (err->code != ERR_ALREADY_EXISTS) {
		finish(allocation,
		       status_from_err(allocation->change->arena, err, allocation->change->resource, allocation->name));
	} else if (wanted->requested) {
		ip_format(&wanted->ip, text);
		struct storage_read read = {.resource = address_resource(),
		                            .namespace_name = "",
		                            .name = arena_strdup(allocation->arena, text),
		                            .freshness = STORAGE_CONSISTENT};

		storage_get(allocation->server->storage, &read, allocation->loop, on_holder, allocation);
	} else {
		next_step(allocation);
	}
}

static void create_address(struct service_allocation *allocation, struct wanted_address *wanted)
{
	char text[IP_TEXT_BYTES];
	struct storage_write write = {.type = STORAGE_CREATE,
	                              .resource = address_resource(),
	                              .namespace_name = "",
	                              .json = address_encode(&wanted->ip, allocation->namespace_name, allocation->name,
	                                                     loop_realtime_ns(allocation->loop))};

	ip_format(&wanted->ip, text);
	write.name = arena_strdup(allocation->arena, text);
	storage_write(allocation->server->storage, &write, allocation->loop, on_address_created, allocation);
}

static void fill_addresses(struct service_allocation *allocation)
{
	struct change *change = allocation->change;
	struct json *spec = json_get(change->object, "spec"), *ips = json_array(change->arena);
	char text[IP_TEXT_BYTES];

	if (!allocation->address_count)
		return;
	for (size_t i = 0; i < allocation->address_count; i++) {
		ip_format(&allocation->addresses[i].ip, text);
		json_append(change->arena, ips, json_string(change->arena, text));
	}
	json_set(change->arena, spec, "clusterIPs", ips);
	json_set_text(change->arena, spec, "clusterIP", json_text(ips->items[0]));
}

static void fill_port(struct change *change, struct json *entry, int port)
{
	bool is_health = entry == json_get(change->object, "spec");

	json_set_integer(change->arena, entry, is_health ? "healthCheckNodePort" : "nodePort", port);
}

static void on_ports(void *context, const struct port_result *result)
{
	struct service_allocation *allocation = context;
	struct change *change = allocation->change;

	if (result->err) {
		finish(allocation, status_from_err(change->arena, result->err, change->resource, allocation->name));
		return;
	}
	if (result->conflicting_port) {
		finish(allocation, service_plan_invalid_port(change, result->conflicting_port,
		                                             "provided port is already allocated"));
		return;
	}
	if (result->exhausted) {
		finish(allocation, status_internal(change->arena, "failed to allocate a nodePort: range is full"));
		return;
	}
	for (size_t i = 0; i < allocation->wanted_port_count; i++)
		allocation->taken_ports[allocation->taken_port_count++] = allocation->wanted_ports[i];
	for (size_t i = 0; i < allocation->dynamic_port_count; i++) {
		fill_port(change, allocation->dynamic_ports[i], result->dynamic[i]);
		allocation->taken_ports[allocation->taken_port_count++] = result->dynamic[i];
	}
	finish(allocation, NULL);
}

static void take_ports(struct service_allocation *allocation)
{
	struct port_request request = {.wanted = allocation->wanted_ports,
	                               .wanted_count = allocation->wanted_port_count,
	                               .dynamic_count = allocation->dynamic_port_count};

	if (!request.wanted_count && !request.dynamic_count)
		finish(allocation, NULL);
	else
		port_allocator_apply(allocation->server, allocation->loop, &request, on_ports, allocation);
}

static void next_step(struct service_allocation *allocation)
{
	while (allocation->next_address < allocation->address_count) {
		struct wanted_address *wanted = &allocation->addresses[allocation->next_address];

		if (wanted->kept) {
			allocation->next_address++;
			continue;
		}
		if (!wanted->requested && !choose_address(allocation->server, wanted)) {
			finish(allocation, status_internal(allocation->change->arena,
			                                   "failed to allocate a serviceIP: range is full"));
			return;
		}
		create_address(allocation, wanted);
		return;
	}
	fill_addresses(allocation);
	take_ports(allocation);
}

static void start(struct loop_task *task)
{
	struct service_allocation *allocation = container_of(task, struct service_allocation, task);

	if (allocation->failure)
		finish(allocation, allocation->failure);
	else
		next_step(allocation);
}

static struct service_allocation *allocation_new(struct change *change)
{
	struct arena *arena = arena_new(sizeof(struct service_allocation) + 1024);
	struct service_allocation *allocation = ARENA_NEW(arena, struct service_allocation);

	allocation->arena = arena;
	allocation->server = change->server;
	allocation->loop = change->request->loop;
	allocation->change = change;
	allocation->namespace_name = arena_strdup(arena, change->namespace_name);
	allocation->name = arena_strdup(arena, change->name);
	return allocation;
}

void service_allocate(struct change *change,
                      void (*done)(void *context, struct service_allocation *allocation, const struct status *failure),
                      void *context)
{
	struct service_allocation *allocation = allocation_new(change);

	allocation->done = done;
	allocation->context = context;
	allocation->failure = service_plan(allocation, change);
	loop_post(allocation->loop, &allocation->task, start);
}

void service_allocation_preview(struct change *change)
{
	struct service_allocation *allocation = allocation_new(change);
	bool full = service_plan(allocation, change) != NULL;

	for (size_t i = 0; i < allocation->address_count && !full; i++) {
		struct wanted_address *wanted = &allocation->addresses[i];

		if (!wanted->kept && !wanted->requested)
			full = !choose_address(allocation->server, wanted);
	}
	if (!full)
		fill_addresses(allocation);
	service_allocation_abandon(allocation);
}
