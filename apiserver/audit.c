// SPDX-License-Identifier: Apache-2.0
// Counting requests: in-flight limits (upstream's --max-requests-inflight and
// --max-mutating-requests-inflight; watches and streams stand outside them; where
// priority and fairness is on, that limits instead, see fairness/), the
// apiserver_* metrics, and the access log.

#include "apiserver/audit.h"

#include <string.h>

#include "apiserver/fairness/fairness.h"
#include "apiserver/request.h"
#include "apiserver/server.h"
#include "common/base/log.h"

static const char *const request_labels[] = {"verb",        "dry_run", "group",     "version", "resource",
                                             "subresource", "scope",   "component", "code",    NULL};
static const struct metric_family request_total = {
        "apiserver_request_total",
        "Counter of apiserver requests broken out for each verb, dry run value, group, version, resource, scope, "
        "component, and HTTP response code.",
        METRIC_COUNTER, request_labels, NULL};

static const char *const duration_labels[] = {"verb",        "dry_run", "group",     "version", "resource",
                                              "subresource", "scope",   "component", NULL};
static const double duration_buckets[] = {0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2,
                                          3,     4,     5,    6,   8,   10,  15,  20,  30,  45,   60,  0};
static const struct metric_family request_duration = {
        "apiserver_request_duration_seconds",
        "Response latency distribution in seconds for each verb, dry run value, group, version, resource, "
        "subresource, scope and component.",
        METRIC_HISTOGRAM, duration_labels, duration_buckets};

static const char *const inflight_labels[] = {"request_kind", NULL};
static const struct metric_family inflight = {
        "apiserver_current_inflight_requests",
        "Maximal number of currently used inflight request limit of this apiserver per request kind in last second.",
        METRIC_GAUGE, inflight_labels, NULL};

static const struct metric_family long_running = {"apiserver_longrunning_requests",
                                                  "Gauge of all active long-running apiserver requests.", METRIC_GAUGE,
                                                  NULL, NULL};

static bool is_mutating(const struct request *request)
{
	return strcmp(request->http->method, "GET") && strcmp(request->http->method, "HEAD");
}

static bool take_slot(atomic_int *used, int64_t limit)
{
	int before = atomic_fetch_add(used, 1);

	if (!limit || before < limit)
		return true;
	atomic_fetch_sub(used, 1);
	return false;
}

_Bool audit_request_begin(struct request *request)
{
	struct server *server = request->server;
	const struct server_config *config = server->config;

	if (route_is_long_running(&request->route)) {
		request->counted_long_running = true;
		atomic_fetch_add(&server->long_running, 1);
		return true;
	}
	request->counted_mutating = is_mutating(request);
	request->counted =
	        request->counted_mutating
	                ? take_slot(&server->in_flight_mutating,
	                            config->fairness ? 0 : config->max_mutating_requests_in_flight)
	                : take_slot(&server->in_flight, config->fairness ? 0 : config->max_requests_in_flight);
	return request->counted;
}

static void give_slot_back(struct request *request)
{
	struct server *server = request->server;

	if (request->counted_long_running)
		atomic_fetch_sub(&server->long_running, 1);
	else if (request->counted)
		atomic_fetch_sub(request->counted_mutating ? &server->in_flight_mutating : &server->in_flight, 1);
}

static const char *metric_verb(const struct request *request)
{
	static const char *const verbs[OPERATION_COUNT_] = {
	        [OPERATION_GET] = "GET",         [OPERATION_LIST] = "LIST",
	        [OPERATION_WATCH] = "WATCH",     [OPERATION_CREATE] = "POST",
	        [OPERATION_UPDATE] = "PUT",      [OPERATION_PATCH] = "PATCH",
	        [OPERATION_DELETE] = "DELETE",   [OPERATION_DELETE_COLLECTION] = "DELETECOLLECTION",
	        [OPERATION_CONNECT] = "CONNECT",
	};
	static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};

	if (verbs[request->route.operation])
		return verbs[request->route.operation];
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		if (!strcmp(request->http->method, methods[i]))
			return methods[i];
	return "other"; // never a client's text: labels are bounded
}

static const char *metric_scope(const struct route *route)
{
	if (!route->resource)
		return "";
	if (route->name[0] || route->operation == OPERATION_CREATE)
		return "resource";
	return route->namespace_name[0] ? "namespace" : "cluster";
}

static void count(struct request *request, int code, double seconds)
{
	const struct route *route = &request->route;
	const struct schema_resource *resource = route->resource;
	char code_text[12];
	const char *values[10] = {
	        metric_verb(request),
	        request->options.dry_run ? "All" : "",
	        resource ? resource->group : "",
	        resource ? resource->version : "",
	        resource ? resource->plural : "",
	        route->subresource ? route->subresource->name : "",
	        metric_scope(route),
	        "apiserver",
	};

	if (!route_is_long_running(route))
		metric_observe(metric_get(request->server->metrics, &request_duration, values), seconds);
	snprintf(code_text, sizeof(code_text), "%d", code);
	values[8] = code_text;
	metric_add(metric_get(request->server->metrics, &request_total, values), 1);
}

void audit_request_done(struct request *request, int code)
{
	int64_t duration_ns = loop_now_ns(request->loop) - request->started_ns;

	fairness_release(request);
	give_slot_back(request);
	count(request, code, (double)duration_ns / 1e9);
	log_v(3, "HTTP", kv_str("verb", metric_verb(request)), kv_str("path", request->http->path),
	      kv_str("query", request->http->query), kv_str("user", request->user.name ? request->user.name : ""),
	      kv_str("from", request->http->remote_address), kv_duration("latency", duration_ns), kv_int("code", code));
}

static void collect(void *context)
{
	struct server *server = context;
	const char *mutating[] = {"mutating"}, *reading[] = {"readOnly"};

	metric_set(metric_get(server->metrics, &inflight, mutating), atomic_load(&server->in_flight_mutating));
	metric_set(metric_get(server->metrics, &inflight, reading), atomic_load(&server->in_flight));
	metric_set(metric_get(server->metrics, &long_running, NULL), atomic_load(&server->long_running));
}

void audit_register(struct server *server)
{
	metrics_registry_on_collect(server->metrics, collect, server);
}
