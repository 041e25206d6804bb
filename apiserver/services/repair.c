// SPDX-License-Identifier: Apache-2.0
// The Services are the truth. An address or port that no Service holds may be on
// its way to one that is just being created, so it is freed only when it was
// found so in two passes one after another. One that a Service holds without a
// record is recorded at once.

#include "apiserver/services/repair.h"

#include <stdlib.h>
#include <string.h>

#include "apiserver/object_io.h"
#include "apiserver/server.h"
#include "apiserver/services/address_object.h"
#include "apiserver/services/port_allocator.h"
#include "apiserver/storage/storage.h"
#include "apiserver/validation/validation.h"
#include "common/base/hashmap.h"
#include "common/base/log.h"
#include "common/base/memory.h"

struct repair {
	struct server *server;
	struct hashmap *leaked_before; // "address" or "port:N" of the last pass
};

struct pass {
	struct repair *repair;
	struct arena *arena;
	struct hashmap *held;   // address or "port:N" → the Service's key
	struct hashmap *leaked; // found in this pass
};

static char present[] = "present"; // the value of sets

struct repair *repair_new(struct server *server)
{
	struct repair *repair = NEW(struct repair);

	repair->server = server;
	repair->leaked_before = hashmap_new(NULL);
	return repair;
}

struct repair *repair_free(struct repair *repair)
{
	if (!repair)
		return NULL;
	hashmap_free(repair->leaked_before);
	free(repair);
	return NULL;
}

// --- what Services hold -----------------------------------------------------------------------

static void ignore_result(void *context, struct stored_object *object, const struct err *err)
{
	(void)context;
	(void)object;
	(void)err;
}

static void record_address(struct pass *pass, const struct ip *ip, const struct stored_object *service)
{
	struct server *server = pass->repair->server;
	char text[IP_TEXT_BYTES];
	struct stored_object *known;

	ip_format(ip, text);
	hashmap_put(pass->held, text, (void *)service);
	known = storage_peek(server->storage, address_resource(), "", text);
	if (!known) {
		struct storage_write write = {.type = STORAGE_CREATE,
		                              .resource = address_resource(),
		                              .namespace_name = "",
		                              .name = text,
		                              .json = address_encode(ip, service->namespace_name, service->name,
		                                                     clock_realtime_ns(&clock_system))};

		log_warning("A Service holds an address that was not recorded", kv_str("address", text),
		            kv_obj("service", service->namespace_name, service->name));
		storage_write(server->storage, &write, server->main_loop, ignore_result, NULL);
	}
	stored_object_unref(known);
}

static void hold_port(struct pass *pass, int64_t port, const struct stored_object *service)
{
	char key[32];

	if (!port)
		return;
	snprintf(key, sizeof(key), "port:%lld", (long long)port);
	hashmap_put(pass->held, key, (void *)service);
}

static void read_service(struct pass *pass, const struct stored_object *service)
{
	struct json *tree = object_load_plain(pass->arena, schema_find_resource("", "v1", "services"), service, NULL);
	const struct json *spec = json_get(tree, "spec");
	struct ip ip;

	json_for_each_item (item, json_get(spec, "clusterIPs"))
		if (ip_parse(json_text(item), &ip))
			record_address(pass, &ip, service);
	json_for_each_item (port, json_get(spec, "ports"))
		hold_port(pass, integer_of(port, "nodePort", 0), service);
	hold_port(pass, integer_of(spec, "healthCheckNodePort", 0), service);
	arena_reset(pass->arena);
}

// --- what nobody holds --------------------------------------------------------------------------

// True when it was so in the last pass too.
static bool is_leaked_for_long(struct pass *pass, const char *key)
{
	hashmap_put(pass->leaked, key, present);
	return hashmap_get(pass->repair->leaked_before, key) != NULL;
}

static void check_address(struct pass *pass, const struct stored_object *address)
{
	struct server *server = pass->repair->server;
	struct storage_write write = {.type = STORAGE_DELETE,
	                              .resource = address_resource(),
	                              .namespace_name = "",
	                              .name = address->name,
	                              .expected_revision = address->revision};
	struct json *tree = object_load_plain(pass->arena, address_resource(), address, NULL);
	const char *manager =
	        json_get_text(json_path(tree, "metadata", "labels"), "ipaddress.kubernetes.io/managed-by");
	bool ours = manager && !strcmp(manager, "ipallocator.k8s.io");

	arena_reset(pass->arena);
	if (!ours || hashmap_get(pass->held, address->name) || !is_leaked_for_long(pass, address->name))
		return;
	log_info("Freeing an address that no Service holds", kv_str("address", address->name));
	storage_write(server->storage, &write, server->main_loop, ignore_result, NULL);
}

static void check_ports(struct pass *pass)
{
	struct server *server = pass->repair->server;
	struct port_request request = {0};
	int *recorded, *released;
	size_t count;
	char key[32];

	if (!port_allocator_held(server, &recorded, &count)) {
		free(recorded);
		return;
	}
	released = xcalloc(count + 1, sizeof(*released));
	for (size_t i = 0; i < count; i++) {
		snprintf(key, sizeof(key), "port:%d", recorded[i]);
		if (!hashmap_get(pass->held, key) && is_leaked_for_long(pass, key))
			released[request.released_count++] = recorded[i];
	}
	request.released = released;
	if (request.released_count) {
		log_info("Freeing node ports that no Service holds", kv_int("count", (int64_t)request.released_count));
		port_allocator_apply(server, server->main_loop, &request, NULL, NULL);
	}
	free(recorded);
	free(released);
}

// Ports that Services hold and the bitmap doesn't.
static void record_ports(struct pass *pass)
{
	struct server *server = pass->repair->server;
	struct hashmap_cursor cursor = HASHMAP_CURSOR_INIT;
	struct hashmap *recorded_set = hashmap_new(NULL);
	int *recorded;
	size_t count;
	char key[32];

	(void)port_allocator_held(server, &recorded, &count);
	for (size_t i = 0; i < count; i++) {
		snprintf(key, sizeof(key), "port:%d", recorded[i]);
		hashmap_put(recorded_set, key, present);
	}
	while (hashmap_next(pass->held, &cursor)) {
		int port;

		if (strncmp(cursor.key, "port:", 5) || hashmap_get(recorded_set, cursor.key))
			continue;
		port = (int)strtol(cursor.key + 5, NULL, 10);
		port_allocator_apply(server, server->main_loop,
		                     &(struct port_request){.wanted = &port, .wanted_count = 1}, NULL, NULL);
	}
	hashmap_free(recorded_set);
	free(recorded);
}

static size_t for_each(struct pass *pass, const struct schema_resource *resource,
                       void (*visit)(struct pass *pass, const struct stored_object *object),
                       struct stored_object ***ret_objects)
{
	size_t count = storage_peek_all(pass->repair->server->storage, resource, "", ret_objects);

	for (size_t i = 0; i < count; i++)
		visit(pass, (*ret_objects)[i]);
	return count;
}

static void drop(struct stored_object **objects, size_t count)
{
	for (size_t i = 0; i < count; i++)
		stored_object_unref(objects[i]);
	free(objects);
}

void repair_run(struct repair *repair)
{
	struct pass pass = {
	        .repair = repair, .arena = arena_new(16 << 10), .held = hashmap_new(NULL), .leaked = hashmap_new(NULL)};
	struct stored_object **services, **addresses;
	size_t service_count, address_count;

	// Addresses first: one that appears after this look belongs to a later pass.
	address_count = storage_peek_all(repair->server->storage, address_resource(), "", &addresses);
	service_count = for_each(&pass, schema_find_resource("", "v1", "services"), read_service, &services);
	for (size_t i = 0; i < address_count; i++)
		check_address(&pass, addresses[i]);
	check_ports(&pass);
	record_ports(&pass);
	drop(addresses, address_count);
	drop(services, service_count);
	hashmap_free(pass.held);
	hashmap_free(repair->leaked_before);
	repair->leaked_before = pass.leaked;
	arena_free(pass.arena);
}
