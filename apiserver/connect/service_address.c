// SPDX-License-Identifier: Apache-2.0

#include "apiserver/connect/service_address.h"

#include <stdlib.h>
#include <string.h>

#include "apiserver/object_io.h"
#include "apiserver/server.h"
#include "apiserver/storage/storage.h"
#include "apiserver/validation/validation.h"
#include "common/base/arena.h"

struct search {
	struct server *server;
	struct arena *arena;
	const char *namespace_name;
	const char *name;
	int port;
	struct service_failure *failure;
};

static bool fail(struct search *search, const char *reason, const char *message)
{
	*search->failure = (struct service_failure){reason, message};
	return false;
}

static bool find_service(struct search *search, struct json **ret_service)
{
	const struct schema_resource *services = schema_find_resource("", "v1", "services");
	struct stored_object *stored =
	        storage_peek(search->server->storage, services, search->namespace_name, search->name);

	*ret_service = stored ? object_load_plain(search->arena, services, stored, NULL) : NULL;
	stored_object_unref(stored);
	if (*ret_service)
		return true;
	return fail(search, "ServiceNotFound",
	            arena_printf(search->arena, "service/%s in \"%s\" is not present", search->name,
	                         search->namespace_name));
}

static bool find_port(struct search *search, const struct json *service, const char **ret_port_name)
{
	json_for_each_item (port, json_path(service, "spec", "ports"))
		if (integer_of(port, "port", 0) == search->port) {
			*ret_port_name = text_of(port, "name");
			return true;
		}
	return fail(search, "ServicePortError",
	            arena_printf(search->arena, "service/%s in \"%s\" is not listening on port %d", search->name,
	                         search->namespace_name, search->port));
}

static bool is_ready(const struct json *endpoint)
{
	return json_get_bool(json_get(endpoint, "conditions"), "ready", true);
}

static const char *ready_address(const struct json *slice)
{
	json_for_each_item (endpoint, json_get(slice, "endpoints")) {
		const struct json *addresses = json_get(endpoint, "addresses");

		if (is_ready(endpoint) && length_of(addresses))
			return json_text(addresses->items[0]);
	}
	return NULL;
}

static bool is_slice_of(const struct json *slice, const char *service)
{
	const char *owner = json_get_text(json_path(slice, "metadata", "labels"), "kubernetes.io/service-name");

	return owner && !strcmp(owner, service);
}

// A ready endpoint of the named port.
static bool find_in_slice(const struct json *slice, const char *port_name, struct service_address *ret_address)
{
	const char *address = ready_address(slice);

	json_for_each_item (port, json_get(slice, "ports"))
		if (address && !strcmp(text_of(port, "name"), port_name)) {
			ret_address->host = address;
			ret_address->port = (int)integer_of(port, "port", 0);
			return true;
		}
	return false;
}

static bool find_endpoint(struct search *search, const char *port_name, struct service_address *ret_address)
{
	const struct schema_resource *slices = schema_find_resource("discovery.k8s.io", "v1", "endpointslices");
	struct stored_object **all = NULL;
	size_t count = storage_peek_all(search->server->storage, slices, search->namespace_name, &all);
	bool any = false, found = false;

	for (size_t i = 0; i < count; i++) {
		struct json *slice = found ? NULL : object_load_plain(search->arena, slices, all[i], NULL);

		if (slice && is_slice_of(slice, search->name)) {
			any = true;
			found = find_in_slice(slice, port_name, ret_address);
		}
		stored_object_unref(all[i]);
	}
	free(all);
	if (found)
		return true;
	if (!any)
		return fail(search, "EndpointsNotFound",
		            arena_printf(search->arena, "cannot find endpointslices for service/%s in \"%s\"",
		                         search->name, search->namespace_name));
	return fail(search, "MissingEndpoints",
	            arena_printf(search->arena,
	                         "endpoints for service/%s in \"%s\" have no addresses with port name \"%s\"",
	                         search->name, search->namespace_name, port_name));
}

bool service_address_find(struct server *server, struct arena *arena, const char *namespace_name, const char *name,
                          int port, bool endpoints, struct service_address *ret_address,
                          struct service_failure *ret_failure)
{
	struct search search = {server, arena, namespace_name, name, port, ret_failure};
	struct service_address endpoint = {0};
	const char *port_name = "", *type, *cluster_ip;
	struct json *service;

	if (!find_service(&search, &service))
		return false;
	type = text_of(json_get(service, "spec"), "type");
	cluster_ip = text_of(json_get(service, "spec"), "clusterIP");
	*ret_address = (struct service_address){
	        .host = text_of(json_get(service, "spec"), "externalName"),
	        .port = port,
	        .server_name = arena_printf(arena, "%s.%s.svc", name, namespace_name),
	};
	if (!strcmp(type, "ExternalName"))
		return true;
	if (!find_port(&search, service, &port_name) || !find_endpoint(&search, port_name, &endpoint))
		return false;
	if (endpoints || !cluster_ip[0] || !strcmp(cluster_ip, "None")) {
		ret_address->host = endpoint.host;
		ret_address->port = endpoint.port;
	} else {
		ret_address->host = cluster_ip;
	}
	return true;
}
