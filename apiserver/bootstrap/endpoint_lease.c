// SPDX-License-Identifier: Apache-2.0
// Every apiserver writes its address to /registry/masterleases/ADDRESS with a
// short lease in etcd, as upstream's lease reconciler does; the keys that are
// there are the apiservers that live. Endpoints and EndpointSlice
// default/kubernetes are made to hold exactly these, by whoever sees that they
// don't. One that dies drops out when its lease ends.
//
//   renew ──► list ──► Endpoints ──► EndpointSlice ──► done

#include "apiserver/bootstrap/endpoint_lease.h"

#include <string.h>

#include "apiserver/bootstrap/bootstrap_objects.h"
#include "apiserver/object_io.h"
#include "apiserver/registry/own_resources.h"
#include "apiserver/server.h"
#include "apiserver/services/ip_range.h"
#include "apiserver/storage/storage.h"
#include "common/base/memory.h"

enum {
	LEASE_SECONDS = 60,
	LEASE_MAX_ADDRESSES = 64,
};

struct endpoint_lease {
	struct server *server;
	struct arena *arena;
	const char *addresses; // JSON texts, joined by commas
	void (*done)(void *context, _Bool ok);
	void *context;
	bool busy; // a call of storage is under way
	bool stopped;
};

struct endpoint_lease *endpoint_lease_new(struct server *server)
{
	struct endpoint_lease *lease = NEW(struct endpoint_lease);

	lease->server = server;
	lease->arena = arena_new(4096);
	return lease;
}

struct endpoint_lease *endpoint_lease_free(struct endpoint_lease *lease)
{
	if (!lease)
		return NULL;
	lease->stopped = true;
	if (!lease->busy) {
		arena_free(lease->arena);
		free(lease);
	}
	return NULL;
}

// An answer has come. False: nobody waits for it any more, the lease is gone.
static bool goes_on(struct endpoint_lease *lease)
{
	lease->busy = false;
	if (lease->stopped)
		endpoint_lease_free(lease);
	else
		return true;
	return false;
}

static void finish(struct endpoint_lease *lease, bool ok)
{
	lease->done(lease->context, ok);
}

// --- the two objects ------------------------------------------------------------------------

static const char *endpoints_text(struct endpoint_lease *lease)
{
	const char *subsets = lease->addresses;

	return arena_printf(
	        lease->arena,
	        "{\"kind\":\"Endpoints\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"kubernetes\","
	        "\"namespace\":\"default\",\"labels\":{\"endpointslice.kubernetes.io/skip-mirror\":\"true\"}},"
	        "\"subsets\":[{\"addresses\":[%s],\"ports\":[{\"name\":\"https\",\"port\":%lld,"
	        "\"protocol\":\"TCP\"}]}]}",
	        subsets, (long long)lease->server->port);
}

static const char *slice_text(struct endpoint_lease *lease)
{
	struct ip ip = {0};
	const char *endpoints = "", *at = lease->addresses;

	// Each {"ip":"A"} becomes {"addresses":["A"],"conditions":{"ready":true}}.
	while ((at = strstr(at, "\"ip\":\""))) {
		size_t length = strcspn(at += 6, "\"");

		endpoints = arena_printf(lease->arena, "%s%s{\"addresses\":[\"%.*s\"],\"conditions\":{\"ready\":true}}",
		                         endpoints, endpoints[0] ? "," : "", (int)length, at);
	}
	(void)ip_parse(lease->server->config->advertise_address, &ip);
	return arena_printf(lease->arena,
	                    "{\"kind\":\"EndpointSlice\",\"apiVersion\":\"discovery.k8s.io/v1\",\"metadata\":{\"name\":"
	                    "\"kubernetes\",\"namespace\":\"default\",\"labels\":{\"kubernetes.io/service-name\":"
	                    "\"kubernetes\"}},\"addressType\":\"%s\",\"endpoints\":[%s],\"ports\":[{\"name\":\"https\","
	                    "\"protocol\":\"TCP\",\"port\":%lld}]}",
	                    ip.is_v6 ? "IPv6" : "IPv4", endpoints, (long long)lease->server->port);
}

// What the wanted text says, over the identity that the stored object has; NULL: nothing to do.
static struct blob *changed_object(struct endpoint_lease *lease, const struct schema_resource *resource,
                                   const struct stored_object *stored, const char *text)
{
	static const char *const members[] = {"subsets", "endpoints", "ports", "addressType"};
	struct json *old, *wanted;
	bool differs = false;

	if (!stored)
		return bootstrap_encode(lease->arena, resource, text, clock_realtime_ns(&clock_system));
	old = object_load(lease->arena, resource, stored, NULL);
	if (!old || json_parse(lease->arena, text, strlen(text), NULL, &wanted, NULL) < 0)
		return NULL;
	object_complete(lease->arena, resource->type, wanted);
	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		struct json *value = json_get(wanted, members[i]);

		if (!value || (json_get(old, members[i]) && json_equal(value, json_get(old, members[i]))))
			continue;
		json_set(lease->arena, old, members[i], value);
		differs = true;
	}
	return differs ? object_store(lease->arena, resource, old) : NULL;
}

// False: it is as it should be, no write was started.
static bool write_object(struct endpoint_lease *lease, const struct schema_resource *resource, const char *text,
                         void (*done)(void *context, struct stored_object *object, const struct err *err))
{
	struct stored_object *stored = storage_peek(lease->server->storage, resource, "default", "kubernetes");
	struct blob *json = changed_object(lease, resource, stored, text);
	struct storage_write write = {.type = stored ? STORAGE_UPDATE : STORAGE_CREATE,
	                              .resource = resource,
	                              .namespace_name = "default",
	                              .name = "kubernetes",
	                              .expected_revision = stored ? stored->revision : 0,
	                              .json = json};

	stored_object_unref(stored);
	lease->busy = json != NULL;
	if (json)
		storage_write(lease->server->storage, &write, lease->server->main_loop, done, lease);
	return json != NULL;
}

static bool is_failure(const struct err *err)
{
	return err && err->code != ERR_CONFLICT && err->code != ERR_ALREADY_EXISTS;
}

static void on_slice(void *context, struct stored_object *object, const struct err *err)
{
	(void)object;
	if (goes_on(context))
		finish(context, !is_failure(err));
}

static void on_endpoints(void *context, struct stored_object *object, const struct err *err)
{
	struct endpoint_lease *lease = context;
	const struct schema_resource *slices = schema_find_resource("discovery.k8s.io", "v1", "endpointslices");

	(void)object;
	if (!goes_on(lease))
		return;
	if (is_failure(err))
		finish(lease, false);
	else if (!write_object(lease, slices, slice_text(lease), on_slice))
		finish(lease, true);
}

// --- who lives --------------------------------------------------------------------------------

static void on_leases(void *context, const struct storage_list *list, const struct err *err)
{
	struct endpoint_lease *lease = context;
	const char *joined = "";
	struct ip ip;

	if (!goes_on(lease))
		return;
	if (err) {
		finish(lease, false);
		return;
	}
	for (size_t i = 0; i < list->count && i < LEASE_MAX_ADDRESSES; i++)
		if (ip_parse(list->objects[i]->name, &ip))
			joined = arena_printf(lease->arena, "%s%s{\"ip\":\"%s\"}", joined, joined[0] ? "," : "",
			                      list->objects[i]->name);
	lease->addresses = joined;
	if (!joined[0])
		finish(lease, false);
	else if (!write_object(lease, schema_find_resource("", "v1", "endpoints"), endpoints_text(lease), on_endpoints))
		on_endpoints(lease, NULL, NULL);
}

static void on_renewed(void *context, struct stored_object *object, const struct err *err)
{
	struct endpoint_lease *lease = context;
	struct storage_read read = {
	        .resource = &own_resource_leases, .namespace_name = "", .freshness = STORAGE_CONSISTENT};

	(void)object;
	if (!goes_on(lease))
		return;
	lease->busy = !is_failure(err);
	if (is_failure(err))
		finish(lease, false);
	else
		storage_list(lease->server->storage, &read, lease->server->main_loop, on_leases, lease);
}

// `revision` of the one that is there; 0: there is none.
static void write_own(struct endpoint_lease *lease, int64_t revision)
{
	const char *address = lease->server->config->advertise_address;
	const char *text = arena_printf(lease->arena,
	                                "{\"kind\":\"Endpoints\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"%s\","
	                                "\"creationTimestamp\":null},\"subsets\":[{\"addresses\":[{\"ip\":\"%s\"}]}]}",
	                                address, address);
	struct storage_write write = {.type = revision ? STORAGE_UPDATE : STORAGE_CREATE,
	                              .resource = &own_resource_leases,
	                              .namespace_name = "",
	                              .name = address,
	                              .expected_revision = revision,
	                              .lease_seconds = LEASE_SECONDS,
	                              .json = blob_new(text, strlen(text))};

	lease->busy = true;
	storage_write(lease->server->storage, &write, lease->server->main_loop, on_renewed, lease);
}

static void on_own(void *context, struct stored_object *object, int64_t revision, const struct err *err)
{
	struct endpoint_lease *lease = context;

	(void)revision;
	if (!goes_on(lease))
		return;
	if (err && err->code != ERR_NOT_FOUND)
		finish(lease, false);
	else
		write_own(lease, err ? 0 : object->revision);
}

void endpoint_lease_renew(struct endpoint_lease *lease, void (*done)(void *context, _Bool ok), void *context)
{
	struct storage_read read = {.resource = &own_resource_leases,
	                            .namespace_name = "",
	                            .name = lease->server->config->advertise_address,
	                            .freshness = STORAGE_CONSISTENT};

	arena_reset(lease->arena);
	lease->done = done;
	lease->context = context;
	lease->busy = true;
	storage_get(lease->server->storage, &read, lease->server->main_loop, on_own, lease);
}
