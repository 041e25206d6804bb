// SPDX-License-Identifier: Apache-2.0
// Creating the IPAddress is what allocates an address: two apiservers can't both
// create one name. Releasing reads it first and deletes on the revision that was
// read, so that an address which another Service took in between stays.

#include "apiserver/services/address_object.h"

#include <string.h>

#include "apiserver/server.h"
#include "apiserver/storage/storage.h"
#include "common/api/object.h"
#include "common/base/encode.h"
#include "common/base/memory.h"

const struct schema_resource *address_resource(void)
{
	return schema_find_resource("networking.k8s.io", "v1", "ipaddresses");
}

struct blob *address_encode(const struct ip *ip, const char *service_namespace, const char *service_name,
                            int64_t now_realtime_ns)
{
	struct strbuf text = STRBUF_INIT(64 << 10);
	char address[IP_TEXT_BYTES], uid[37], now[API_TIME_BYTES];
	size_t length;
	char *data;

	ip_format(ip, address);
	uuid_v4(uid);
	api_time_format(now_realtime_ns, now);
	strbuf_printf(&text,
	              "{\"kind\":\"IPAddress\",\"apiVersion\":\"networking.k8s.io/v1\",\"metadata\":{\"name\":\"%s\","
	              "\"uid\":\"%s\",\"creationTimestamp\":\"%s\",\"labels\":{"
	              "\"ipaddress.kubernetes.io/ip-family\":\"%s\","
	              "\"ipaddress.kubernetes.io/managed-by\":\"ipallocator.k8s.io\"}},"
	              "\"spec\":{\"parentRef\":{\"resource\":\"services\",\"namespace\":\"%s\",\"name\":\"%s\"}}}",
	              address, uid, now, ip->is_v6 ? "IPv6" : "IPv4", service_namespace, service_name);
	data = strbuf_take(&text, &length);
	return blob_new_take(data, length);
}

bool address_is_held_by(const struct stored_object *object, const char *service_namespace, const char *service_name)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	const struct json *parent;
	const char *namespace_name, *name;
	struct json *tree;

	if (json_parse(arena, object->json->data, object->json->length, NULL, &tree, NULL) < 0)
		return false;
	parent = json_path(tree, "spec", "parentRef");
	namespace_name = json_get_text(parent, "namespace");
	name = json_get_text(parent, "name");
	return namespace_name && name && !strcmp(namespace_name, service_namespace) && !strcmp(name, service_name);
}

struct release {
	struct server *server;
	struct loop *loop;
	char *ip_text;
	char *service_namespace;
	char *service_name;
};

static void release_free(struct release *release)
{
	free(release->ip_text);
	free(release->service_namespace);
	free(release->service_name);
	free(release);
}

// Whatever came of it: the repair loop takes care of what is left.
static void on_deleted(void *context, struct stored_object *object, const struct err *err)
{
	(void)object;
	(void)err;
	release_free(context);
}

static void on_found(void *context, struct stored_object *object, int64_t revision, const struct err *err)
{
	struct release *release = context;
	struct storage_write write = {
	        .type = STORAGE_DELETE, .resource = address_resource(), .namespace_name = "", .name = release->ip_text};

	(void)revision;
	if (err || !address_is_held_by(object, release->service_namespace, release->service_name)) {
		release_free(release);
		return;
	}
	write.expected_revision = object->revision;
	storage_write(release->server->storage, &write, release->loop, on_deleted, release);
}

void address_release(struct server *server, struct loop *loop, const char *ip_text, const char *service_namespace,
                     const char *service_name)
{
	struct release *release = NEW(struct release);
	struct storage_read read = {
	        .resource = address_resource(), .namespace_name = "", .freshness = STORAGE_CONSISTENT};

	release->server = server;
	release->loop = loop;
	release->ip_text = xstrdup(ip_text);
	release->service_namespace = xstrdup(service_namespace);
	release->service_name = xstrdup(service_name);
	read.name = release->ip_text;
	storage_get(server->storage, &read, loop, on_found, release);
}
