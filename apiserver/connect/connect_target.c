// SPDX-License-Identifier: Apache-2.0
// The kubelet's paths are upstream's: /containerLogs/NS/POD/CONTAINER, /exec/…,
// /attach/…, /portForward/NS/POD. What a client may pass on is a table; nothing
// else of its query reaches a kubelet.

#include "apiserver/connect/connect_target.h"

#include <stdlib.h>
#include <string.h>

#include "apiserver/object_io.h"
#include "apiserver/server.h"
#include "apiserver/services/ip_range.h"
#include "apiserver/storage/storage.h"
#include "apiserver/validation/validation.h"

enum {
	KUBELET_PORT = 10250,
	TARGET_MAX_BYTES = 64 << 10,
};

static struct json *find(struct request *request, const char *group, const char *plural, const char *namespace_name,
                         const char *name)
{
	const struct schema_resource *resource = schema_find_resource(group, "v1", plural);
	struct stored_object *stored = storage_peek(request->server->storage, resource, namespace_name, name);
	struct json *object = stored ? object_load_plain(request->arena, resource, stored, NULL) : NULL;

	stored_object_unref(stored);
	return object;
}

static const struct status *bad_request(struct request *request, const char *text)
{
	return status_new(request->arena, ERR_BAD_REQUEST, "%s", text);
}

// --- nodes --------------------------------------------------------------------------------------

static const char *address_of_type(const struct json *node, const char *type)
{
	struct ip ip;

	json_for_each_item (address, json_path(node, "status", "addresses"))
		if (!strcmp(text_of(address, "type"), type) && ip_parse(text_of(address, "address"), &ip))
			return text_of(address, "address");
	return NULL;
}

static const char *node_address(struct request *request, const struct json *node)
{
	static const char *const types[] = {"InternalIP", "ExternalIP"};
	const struct string_list *preferred = &request->server->config->kubelet_address_types;
	const char *address = NULL;

	for (size_t i = 0; i < preferred->count && !address; i++)
		address = address_of_type(node, preferred->items[i]);
	for (size_t i = 0; i < ARRAY_SIZE(types) && !address; i++)
		address = address_of_type(node, types[i]);
	return address;
}

static const struct status *aim_at_kubelet(struct request *request, const char *node_name,
                                           struct connect_target *target)
{
	const struct schema_resource *nodes = schema_find_resource("", "v1", "nodes");
	struct json *node = find(request, "", "nodes", "", node_name);
	const char *address = node_address(request, node);

	if (!node)
		return status_not_found(request->arena, nodes, node_name);
	if (!address)
		return status_internal(request->arena, "no preferred addresses found; known addresses: []");
	snprintf(target->host, sizeof(target->host), "%s", address);
	target->port =
	        (int)integer_of(json_path(node, "status", "daemonEndpoints", "kubeletEndpoint"), "Port", KUBELET_PORT);
	target->tls = true;
	target->speaks_spdy_only =
	        !strstr(text_of(json_path(node, "status", "nodeInfo"), "kubeletVersion"), "+caravel");
	return NULL;
}

// --- containers -----------------------------------------------------------------------------------

static const char *names_of(struct arena *arena, const struct json *spec, const char *list)
{
	const char *names = "";

	json_for_each_item (container, json_get(spec, list))
		names = arena_printf(arena, "%s%s%s", names, names[0] ? " " : "", text_of(container, "name"));
	return names;
}

static bool has_container(const struct json *spec, const char *name)
{
	static const char *const lists[] = {"containers", "initContainers", "ephemeralContainers"};

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		json_for_each_item (container, json_get(spec, lists[i]))
			if (!strcmp(text_of(container, "name"), name))
				return true;
	return false;
}

static const struct status *choose_container(struct request *request, const struct json *pod, const char **ret_name)
{
	const struct json *spec = json_get(pod, "spec"), *containers = json_get(spec, "containers");
	const char *name = query_get(&request->query, "container");
	const char *init = names_of(request->arena, spec, "initContainers");

	if (name && name[0]) {
		*ret_name = name;
		if (has_container(spec, name))
			return NULL;
		return bad_request(request, arena_printf(request->arena, "container %s is not valid for pod %s", name,
		                                         request->route.name));
	}
	if (length_of(containers) == 1 && !init[0]) {
		*ret_name = text_of(containers->items[0], "name");
		return NULL;
	}
	return bad_request(
	        request,
	        arena_printf(request->arena, "a container name must be specified for pod %s, choose one of: [%s]%s",
	                     request->route.name, names_of(request->arena, spec, "containers"),
	                     init[0] ? arena_printf(request->arena, " or one of the init containers: [%s]", init)
	                             : ""));
}

// --- queries ----------------------------------------------------------------------------------------

static void append_escaped(struct strbuf *out, const char *text)
{
	for (; *text; text++)
		if (strchr("-_.~", *text) || (*text >= '0' && *text <= '9') || (*text >= 'a' && *text <= 'z') ||
		    (*text >= 'A' && *text <= 'Z'))
			strbuf_append_char(out, *text);
		else
			strbuf_printf(out, "%%%02X", (unsigned char)*text);
}

static void append_parameter(struct strbuf *out, const char *name, const char *value)
{
	strbuf_append_char(out, strchr(strbuf_text(out), '?') ? '&' : '?');
	strbuf_append_text(out, name);
	strbuf_append_char(out, '=');
	append_escaped(out, value);
}

static void pass_on(struct request *request, struct strbuf *out, const char *const *names)
{
	for (; *names; names++)
		for (size_t i = 0; i < request->query.count; i++)
			if (!strcmp(request->query.pairs[i].name, *names))
				append_parameter(out, *names, request->query.pairs[i].value);
}

static void pass_streams(struct request *request, struct strbuf *out)
{
	static const char *const names[][2] = {
	        {"stdin", "input"}, {"stdout", "output"}, {"stderr", "error"}, {"tty", "tty"}};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (query_get_bool(&request->query, names[i][0]))
			append_parameter(out, names[i][1], "1");
}

static const char *finish_path(struct request *request, struct strbuf *out)
{
	const char *path = arena_strdup(request->arena, strbuf_text(out));

	strbuf_done(out);
	return path;
}

// --- pods ---------------------------------------------------------------------------------------------

static const char *log_path(struct request *request, const char *container)
{
	static const char *const names[] = {"follow",     "previous",  "sinceSeconds", "sinceTime",
	                                    "timestamps", "tailLines", "limitBytes",   NULL};
	struct strbuf path = STRBUF_INIT(TARGET_MAX_BYTES);

	strbuf_printf(&path, "/containerLogs/%s/%s/%s", request->route.namespace_name, request->route.name, container);
	pass_on(request, &path, names);
	return finish_path(request, &path);
}

static const char *stream_path(struct request *request, const char *verb, const char *container)
{
	static const char *const names[] = {"command", NULL};
	struct strbuf path = STRBUF_INIT(TARGET_MAX_BYTES);

	strbuf_printf(&path, "/%s/%s/%s/%s", verb, request->route.namespace_name, request->route.name, container);
	pass_streams(request, &path);
	if (!strcmp(verb, "exec"))
		pass_on(request, &path, names);
	return finish_path(request, &path);
}

static const char *forward_path(struct request *request)
{
	static const char *const names[] = {"ports", NULL};
	struct strbuf path = STRBUF_INIT(TARGET_MAX_BYTES);

	strbuf_printf(&path, "/portForward/%s/%s", request->route.namespace_name, request->route.name);
	for (size_t i = 0; i < request->query.count; i++)
		if (!strcmp(request->query.pairs[i].name, names[0]))
			append_parameter(&path, "port", request->query.pairs[i].value);
	return finish_path(request, &path);
}

static const struct status *aim_at_pod(struct request *request, struct connect_target *target)
{
	const char *what = request->route.subresource_name, *container = "";
	const struct schema_resource *pods = schema_find_resource("", "v1", "pods");
	struct json *pod = find(request, "", "pods", request->route.namespace_name, request->route.name);
	const char *node = text_of(json_get(pod, "spec"), "nodeName");
	const struct status *status = NULL;

	if (!pod)
		return status_not_found(request->arena, pods, request->route.name);
	if (strcmp(what, "portforward"))
		status = choose_container(request, pod, &container);
	if (status)
		return status;
	if (!node[0]) {
		target->empty = !strcmp(what, "log");
		return target->empty ? NULL
		                     : bad_request(request,
		                                   arena_printf(request->arena, "pod %s does not have a host assigned",
		                                                request->route.name));
	}
	status = aim_at_kubelet(request, node, target);
	if (!strcmp(what, "log"))
		target->path = log_path(request, container);
	else if (!strcmp(what, "portforward"))
		target->path = forward_path(request);
	else
		target->path = stream_path(request, what, container);
	return status;
}

// --- proxies ---------------------------------------------------------------------------------------------

struct proxied_name {
	const char *scheme; // "" or "https"
	const char *name;
	const char *port; // "" = the default
};

// "name", "name:port", "scheme:name:port".
static struct proxied_name split_name(struct arena *arena, const char *text)
{
	char *copy = arena_strdup(arena, text), *first = strchr(copy, ':'), *second;

	if (!first)
		return (struct proxied_name){"", copy, ""};
	*first++ = '\0';
	second = strchr(first, ':');
	if (!second)
		return (struct proxied_name){"", copy, first};
	*second++ = '\0';
	return (struct proxied_name){copy, first, second};
}

static const char *tail_path(struct request *request)
{
	const char *tail = request->route.tail[0] ? request->route.tail : "/";

	return request->http->query[0] ? arena_printf(request->arena, "%s?%s", tail, request->http->query) : tail;
}

// 0 for what is no port.
static int port_number(const char *text)
{
	char *end;
	long number = strtol(text, &end, 10);

	return *end || number < 1 || number > 65535 ? 0 : (int)number;
}

static int first_port(const struct json *pod)
{
	json_for_each_item (container, json_path(pod, "spec", "containers"))
		json_for_each_item (port, json_get(container, "ports"))
			return (int)integer_of(port, "containerPort", 80);
	return 80;
}

static const struct status *aim_at_pod_proxy(struct request *request, const struct proxied_name *name,
                                             struct connect_target *target)
{
	struct json *pod = find(request, "", "pods", request->route.namespace_name, name->name);
	const char *ip = text_of(json_get(pod, "status"), "podIP");

	if (!pod)
		return status_not_found(request->arena, schema_find_resource("", "v1", "pods"), name->name);
	if (!ip[0])
		return status_new(request->arena, ERR_UNAVAILABLE, "address not allowed: the pod has no address yet");
	snprintf(target->host, sizeof(target->host), "%s", ip);
	target->port = name->port[0] ? port_number(name->port) : first_port(pod);
	target->tls = !strcmp(name->scheme, "https");
	return NULL;
}

static const struct json *service_port(const struct json *service, const char *wanted)
{
	const struct json *ports = json_path(service, "spec", "ports");

	json_for_each_item (port, ports)
		if (!strcmp(text_of(port, "name"), wanted) ||
		    (wanted[0] && integer_of(port, "port", 0) == port_number(wanted)) ||
		    (!wanted[0] && length_of(ports) == 1))
			return port;
	return NULL;
}

static const struct status *aim_at_service(struct request *request, const struct proxied_name *name,
                                           struct connect_target *target)
{
	const struct schema_resource *services = schema_find_resource("", "v1", "services");
	struct json *service = find(request, "", "services", request->route.namespace_name, name->name);
	struct json *endpoints = find(request, "", "endpoints", request->route.namespace_name, name->name);
	const struct json *wanted = service_port(service, name->port);

	if (!service)
		return status_not_found(request->arena, services, name->name);
	json_for_each_item (subset, json_get(endpoints, "subsets"))
		json_for_each_item (port, wanted ? json_get(subset, "ports") : NULL)
			if (!strcmp(text_of(port, "name"), text_of(wanted, "name")) &&
			    length_of(json_get(subset, "addresses"))) {
				const struct json *addresses = json_get(subset, "addresses");

				snprintf(target->host, sizeof(target->host), "%s", text_of(addresses->items[0], "ip"));
				target->port = (int)integer_of(port, "port", 0);
				target->tls = !strcmp(name->scheme, "https");
				return NULL;
			}
	return status_new(request->arena, ERR_UNAVAILABLE, "no endpoints available for service \"%s\"",
	                  request->route.name);
}

const struct status *connect_target_find(struct request *request, struct connect_target *ret_target)
{
	const struct route *route = &request->route;
	struct connect_target target = {0};
	const struct status *status;

	if (strcmp(route->subresource_name, "proxy")) {
		status = aim_at_pod(request, &target);
	} else {
		struct proxied_name name = split_name(request->arena, route->name);

		if (!strcmp(route->resource_name, "nodes"))
			status = aim_at_kubelet(request, name.name, &target);
		else if (!strcmp(route->resource_name, "services"))
			status = aim_at_service(request, &name, &target);
		else
			status = aim_at_pod_proxy(request, &name, &target);
		if (!status && !strcmp(route->resource_name, "nodes") && name.port[0])
			target.port = port_number(name.port);
		target.path = tail_path(request);
	}
	if (!status && !target.empty && (target.port < 1 || target.port > 65535))
		status = bad_request(request, "invalid port");
	if (!status)
		*ret_target = target;
	return status;
}
