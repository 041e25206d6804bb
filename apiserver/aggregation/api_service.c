// SPDX-License-Identifier: Apache-2.0

#include "apiserver/aggregation/api_service.h"

#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/server.h"
#include "apiserver/validation/validation.h"
#include "common/base/arena.h"
#include "common/base/encode.h"
#include "common/base/memory.h"
#include "common/io/tls.h"

enum {
	API_SERVICE_DEFAULT_PORT = 443,
};

static const char *file_or_none(const char *path)
{
	return path && path[0] ? path : NULL;
}

static int make_tls(struct server *server, struct api_service *service, struct err *err)
{
	AUTO_FREE char *server_name = xasprintf("%s.%s.svc", service->service_name, service->service_namespace);
	struct tls_client_config tls = {
	        .ca_data = service->ca_text,
	        .certificate_file = file_or_none(server->config->proxy_certificate_file),
	        .private_key_file = file_or_none(server->config->proxy_private_key_file),
	        .server_name = server_name,
	        .insecure_skip_verify = service->insecure,
	};

	return tls_client_context_new(&tls, false, &service->tls, err);
}

static char *decode_bundle(const char *text)
{
	struct arena *arena = arena_new(0);
	uint8_t *data = NULL;
	size_t length = 0;
	char *pem = NULL;

	if (text[0] && base64_decode(arena, text, strlen(text), &data, &length))
		pem = xstrndup((const char *)data, length);
	arena_free(arena);
	return pem;
}

struct api_service *api_service_new(struct server *server, const struct json *object, struct err *err)
{
	const struct json *metadata = json_get(object, "metadata"), *spec = json_get(object, "spec");
	const struct json *reference = json_get(spec, "service");
	struct api_service *service = NEW(struct api_service);

	atomic_init(&service->references, 1);
	pthread_mutex_init(&service->lock, NULL);
	service->name = xstrdup(text_of(metadata, "name"));
	service->uid = xstrdup(text_of(metadata, "uid"));
	service->group = xstrdup(text_of(spec, "group"));
	service->version = xstrdup(text_of(spec, "version"));
	service->service_namespace = xstrdup(text_of(reference, "namespace"));
	service->service_name = xstrdup(text_of(reference, "name"));
	service->port = (int)integer_of(reference, "port", API_SERVICE_DEFAULT_PORT);
	service->group_priority = (int32_t)integer_of(spec, "groupPriorityMinimum", 0);
	service->version_priority = (int32_t)integer_of(spec, "versionPriority", 0);
	service->insecure = json_get_bool(spec, "insecureSkipTLSVerify", false);
	service->ca_text = decode_bundle(text_of(spec, "caBundle"));
	if (make_tls(server, service, err) < 0)
		return api_service_unref(service);
	return service;
}

struct api_service *api_service_ref(struct api_service *service)
{
	atomic_fetch_add(&service->references, 1);
	return service;
}

struct api_service *api_service_unref(struct api_service *service)
{
	if (!service || atomic_fetch_sub(&service->references, 1) != 1)
		return NULL;
	SSL_CTX_free(service->tls);
	blob_unref(service->discovery);
	pthread_mutex_destroy(&service->lock);
	free(service->name);
	free(service->uid);
	free(service->group);
	free(service->version);
	free(service->service_namespace);
	free(service->service_name);
	free(service->ca_text);
	free(service);
	return NULL;
}

struct blob *api_service_discovery(struct api_service *service)
{
	struct blob *discovery;

	pthread_mutex_lock(&service->lock);
	discovery = service->discovery ? blob_ref(service->discovery) : NULL;
	pthread_mutex_unlock(&service->lock);
	return discovery;
}

bool api_service_set_discovery(struct api_service *service, struct blob *discovery)
{
	struct blob *former;
	bool same;

	pthread_mutex_lock(&service->lock);
	former = service->discovery;
	same = former && former->length == discovery->length &&
	       !memcmp(former->data, discovery->data, discovery->length);
	service->discovery = discovery;
	pthread_mutex_unlock(&service->lock);
	blob_unref(former);
	return !same;
}

// --- tables ----------------------------------------------------------------------------------

static int compare(const char *group, const char *version, const struct api_service *service)
{
	int order = strcmp(group, service->group);

	return order ? order : strcmp(version, service->version);
}

static int compare_services(const void *a, const void *b)
{
	const struct api_service *const *one = a, *const *other = b;

	return compare((*one)->group, (*one)->version, *other);
}

struct api_service_table *api_service_table_new(struct api_service *const *services, size_t count)
{
	struct api_service_table *table = xcalloc(1, sizeof(*table) + count * sizeof(table->services[0]));

	atomic_init(&table->references, 1);
	for (size_t i = 0; i < count; i++)
		table->services[i] = api_service_ref(services[i]);
	table->count = count;
	qsort(table->services, count, sizeof(table->services[0]), compare_services);
	return table;
}

struct api_service_table *api_service_table_ref(struct api_service_table *table)
{
	atomic_fetch_add(&table->references, 1);
	return table;
}

struct api_service_table *api_service_table_unref(struct api_service_table *table)
{
	if (!table || atomic_fetch_sub(&table->references, 1) != 1)
		return NULL;
	for (size_t i = 0; i < table->count; i++)
		api_service_unref(table->services[i]);
	free(table);
	return NULL;
}

struct api_service *api_service_table_find(const struct api_service_table *table, const char *group,
                                           const char *version)
{
	size_t low = 0, high = table->count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = compare(group, version, table->services[middle]);

		if (!order)
			return table->services[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}
