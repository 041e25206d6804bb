// SPDX-License-Identifier: Apache-2.0

#include "apiserver/aggregation/availability.h"

#include <string.h>

#include "apiserver/connect/service_address.h"
#include "apiserver/server.h"
#include "common/base/memory.h"
#include "common/io/http_client.h"

#define AVAILABILITY_ROUND_NS (30 * NSEC_PER_SEC)
#define AVAILABILITY_RETRY_NS NSEC_PER_SEC
#define AVAILABILITY_TIMEOUT_NS (5 * NSEC_PER_SEC)

enum {
	AVAILABILITY_MAX_DOCUMENT_BYTES = 4 << 20,
};

struct availability {
	struct server *server;
	struct api_service *service;
	void (*found)(void *context, bool available, const char *reason, const char *message);
	void *context;
	struct http_client *client;
	struct http_call *call;
	char *url;
	struct loop_timer timer;
};

static void on_timer(struct loop_timer *timer);

static void tell(struct availability *availability, bool available, const char *reason, const char *message)
{
	loop_timer_start(availability->server->main_loop, &availability->timer,
	                 available ? AVAILABILITY_ROUND_NS : AVAILABILITY_RETRY_NS, on_timer);
	atomic_store(&availability->service->available, available);
	availability->found(availability->context, available, reason, message); // may stop us
}

static void on_answer(void *context, int status, const char *body, size_t length, const struct err *err)
{
	struct availability *availability = context;
	AUTO_FREE char *message = NULL;
	bool good = !err && status >= 200 && status < 300;

	availability->call = NULL;
	if (good)
		(void)api_service_set_discovery(availability->service, blob_new(body, length));
	else if (err)
		message = xasprintf("failing or missing response from %s: %s", availability->url, err->message);
	else
		message = xasprintf("failing or missing response from %s: bad status from %s: %d", availability->url,
		                    availability->url, status);
	tell(availability, good, good ? "Passed" : "FailedDiscoveryCheck", good ? "all checks passed" : message);
}

static void ask(struct availability *availability, const struct service_address *address)
{
	static const char *const headers[] = {"Accept: application/json", "X-Remote-User: system:kube-aggregator",
	                                      "X-Remote-Group: system:masters", NULL};
	const struct api_service *service = availability->service;
	bool v6 = strchr(address->host, ':') != NULL;
	struct http_call_config call = {
	        .method = "GET",
	        .headers = headers,
	        .timeout_ns = AVAILABILITY_TIMEOUT_NS,
	        .max_response_bytes = AVAILABILITY_MAX_DOCUMENT_BYTES,
	        .on_done = on_answer,
	        .context = availability,
	};

	free(availability->url);
	availability->url = xasprintf("https://%s%s%s:%d/apis/%s/%s", v6 ? "[" : "", address->host, v6 ? "]" : "",
	                              address->port, service->group, service->version);
	call.url = availability->url;
	availability->call = http_call_start(availability->client, &call);
}

static void on_timer(struct loop_timer *timer)
{
	struct availability *availability = container_of(timer, struct availability, timer);
	const struct api_service *service = availability->service;
	struct arena *arena = arena_new(4 << 10);
	struct service_address address;
	struct service_failure failure;

	if (service_address_find(availability->server, arena, service->service_namespace, service->service_name,
	                         service->port, availability->server->config->aggregator_routing, &address, &failure))
		ask(availability, &address);
	else
		tell(availability, false, failure.reason, failure.message);
	arena_free(arena);
}

static struct http_client *make_client(struct server *server, const struct api_service *service)
{
	const struct server_config *config = server->config;
	AUTO_FREE char *server_name = xasprintf("%s.%s.svc", service->service_name, service->service_namespace);
	struct http_client_config client = {
	        .tls = {.ca_data = service->ca_text,
	                .certificate_file = config->proxy_certificate_file[0] ? config->proxy_certificate_file : NULL,
	                .private_key_file = config->proxy_private_key_file[0] ? config->proxy_private_key_file : NULL,
	                .server_name = server_name,
	                .insecure_skip_verify = service->insecure},
	        .user_agent = "kube-aggregator",
	};

	return http_client_new(server->main_loop, &client);
}

struct availability *
availability_start(struct server *server, struct api_service *service,
                   void (*found)(void *context, bool available, const char *reason, const char *message), void *context)
{
	struct availability *availability = NEW(struct availability);

	*availability = (struct availability){
	        .server = server,
	        .service = api_service_ref(service),
	        .found = found,
	        .context = context,
	        .client = make_client(server, service),
	};
	loop_timer_start(server->main_loop, &availability->timer, 0, on_timer);
	return availability;
}

struct availability *availability_stop(struct availability *availability)
{
	if (!availability)
		return NULL;
	loop_timer_stop(&availability->timer);
	http_client_free(availability->client);
	api_service_unref(availability->service);
	free(availability->url);
	free(availability);
	return NULL;
}
