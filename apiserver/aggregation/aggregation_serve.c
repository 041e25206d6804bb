// SPDX-License-Identifier: Apache-2.0
// Sending a request on. The other server trusts the front proxy's certificate and
// takes the user from headers; the client's own credentials stay here.

#include <string.h>

#include "apiserver/aggregation/aggregation.h"
#include "apiserver/connect/relay.h"
#include "apiserver/connect/service_address.h"
#include "apiserver/fairness/fairness.h"
#include "apiserver/server.h"
#include "common/base/blob.h"

// --- whose path it is --------------------------------------------------------------------------

// "/apis/GROUP/VERSION" and what is below it.
static bool split_path(struct arena *arena, const char *path, const char **ret_group, const char **ret_version)
{
	const char *group = path + strlen("/apis/"), *slash, *end;

	if (strncmp(path, "/apis/", strlen("/apis/")))
		return false;
	slash = strchr(group, '/');
	if (!slash || slash == group)
		return false;
	end = slash + 1 + strcspn(slash + 1, "/");
	*ret_group = arena_strndup(arena, group, (size_t)(slash - group));
	*ret_version = arena_strndup(arena, slash + 1, (size_t)(end - slash - 1));
	return end > slash + 1;
}

// Of OpenAPI v3: "/openapi/v3/apis/GROUP/VERSION".
static bool split_openapi_path(struct arena *arena, const char *path, const char **ret_group, const char **ret_version)
{
	size_t prefix = strlen("/openapi/v3");

	return !strncmp(path, "/openapi/v3/", prefix + 1) && split_path(arena, path + prefix, ret_group, ret_version);
}

// Referenced; NULL = this server's own matter.
static struct api_service *find_service(struct request *request)
{
	struct api_service_table *table = aggregation_table(request->server);
	struct api_service *found = NULL;
	const char *group, *version, *path = request->http->path;

	if (table && (split_path(request->arena, path, &group, &version) ||
	              split_openapi_path(request->arena, path, &group, &version))) {
		found = api_service_table_find(table, group, version);
		if (found)
			api_service_ref(found);
	}
	api_service_table_unref(table);
	return found;
}

// --- the headers -------------------------------------------------------------------------------

// A header's name can't carry every character of an extra's key: the others are percent-encoded.
static const char *encode_key(struct arena *arena, const char *key)
{
	static const char digits[] = "0123456789ABCDEF";
	char *text = arena_alloc(arena, 3 * strlen(key) + 1), *out = text;

	for (; *key; key++) {
		bool plain = strchr("!#$&'*+-.^_`|~", *key) || (*key >= '0' && *key <= '9') ||
		             (*key >= 'a' && *key <= 'z') || (*key >= 'A' && *key <= 'Z');

		if (plain) {
			*out++ = *key;
		} else {
			*out++ = '%';
			*out++ = digits[(unsigned char)*key >> 4];
			*out++ = digits[(unsigned char)*key & 15];
		}
	}
	*out = '\0';
	return text;
}

static size_t count_headers(const struct user *user)
{
	size_t count = 3 + user->group_count;

	for (size_t i = 0; i < user->extra_count; i++)
		count += user->extra[i].value_count;
	return count;
}

// A name or group with a line break would be a header of its own.
static bool is_one_line(const char *text)
{
	return !strpbrk(text, "\r\n");
}

static struct http_header *user_headers(struct request *request, size_t *ret_count)
{
	const struct user *user = &request->user;
	struct http_header *headers = ARENA_ARRAY(request->arena, struct http_header, count_headers(user));
	size_t count = 0;

	headers[count++] = (struct http_header){"X-Forwarded-For", request->http->remote_address};
	if (is_one_line(user->name))
		headers[count++] = (struct http_header){"X-Remote-User", user->name};
	if (user->uid && user->uid[0] && is_one_line(user->uid))
		headers[count++] = (struct http_header){"X-Remote-Uid", user->uid};
	for (size_t i = 0; i < user->group_count; i++)
		if (is_one_line(user->groups[i]))
			headers[count++] = (struct http_header){"X-Remote-Group", user->groups[i]};
	for (size_t i = 0; i < user->extra_count; i++) {
		const char *name = arena_printf(request->arena, "X-Remote-Extra-%s",
		                                encode_key(request->arena, user->extra[i].key));

		for (size_t j = 0; j < user->extra[i].value_count; j++)
			if (is_one_line(user->extra[i].values[j]))
				headers[count++] = (struct http_header){name, user->extra[i].values[j]};
	}
	*ret_count = count;
	return headers;
}

// --- the stage -------------------------------------------------------------------------------------

static void finish_unavailable(struct request *request)
{
	static const char text[] = "service unavailable\n";
	AUTO(blob_unref) struct blob *body = blob_new(text, sizeof(text) - 1);

	request_finish_blob(request, 503, "text/plain; charset=utf-8", body);
}

static void send_on(struct request *request, struct api_service *service)
{
	struct service_address address;
	struct service_failure failure;
	struct relay_target target;
	const char *query = request->http->query, *path = request->http->path;

	if (!atomic_load(&service->available) ||
	    !service_address_find(request->server, request->arena, service->service_namespace, service->service_name,
	                          service->port, request->server->config->aggregator_routing, &address, &failure)) {
		finish_unavailable(request);
		return;
	}
	target = (struct relay_target){
	        .host = address.host,
	        .port = address.port,
	        .tls = service->tls,
	        .server_name = address.server_name,
	        .path = query[0] ? arena_printf(request->arena, "%s?%s", path, query) : path,
	};
	target.headers = user_headers(request, &target.header_count);
	if (route_is_long_running(&request->route))
		fairness_release(request);
	relay_start(request, &target);
}

void aggregation_serve(struct request *request)
{
	struct api_service *service = find_service(request);

	if (service)
		send_on(request, service);
	else
		request_next(request, NULL);
	api_service_unref(service);
}
