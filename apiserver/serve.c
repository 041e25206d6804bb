// SPDX-License-Identifier: Apache-2.0
// The line of stages of every request:
//
//   accept → options → authenticate → route → limit → authorize → [another server] → [operation]
//
// and the operation's own: decode → default → admit → validate → admit → store →
// encode → audit. Each stage passes (NULL) or answers, at once or, where it has to
// ask others, later. Parsing the path comes
// before the limit, which needs to know what will run long, and before
// authorization, which speaks of resources; whether the path is served at all is
// told only afterwards, so that nothing is learned without permission.

#include "apiserver/serve.h"

#include <string.h>

#include "apiserver/aggregation/aggregation.h"
#include "apiserver/audit.h"
#include "apiserver/audit/auditor.h"
#include "apiserver/authentication/authenticate.h"
#include "apiserver/authorization/authorize.h"
#include "apiserver/authorization/reviews.h"
#include "apiserver/body.h"
#include "apiserver/connect/connect.h"
#include "apiserver/fairness/fairness.h"
#include "apiserver/nonresource.h"
#include "apiserver/registry/registry.h"
#include "apiserver/registry/subresources.h"
#include "apiserver/server.h"
#include "common/api/protobuf.h"

static bool is_from_a_person(const struct http_request *http)
{
	static const char *const agents[] = {"curl", "Wget", "Mozilla/5.0"};
	const char *agent = http_request_header(http, "user-agent");

	for (size_t i = 0; agent && i < ARRAY_SIZE(agents); i++)
		if (!strncmp(agent, agents[i], strlen(agents[i])))
			return true;
	return false;
}

static const struct status *parse_options(struct request *request)
{
	const struct status *status = query_parse(request->arena, request->http->query, &request->query);

	if (!status)
		status = request_options_parse(request->arena, &request->query, &request->options);
	if (!status)
		request->output.pretty = query_get(&request->query, "pretty") ? request->options.pretty
		                                                              : is_from_a_person(request->http);
	return status;
}

static const struct status *parse_route(struct request *request)
{
	return route_parse(request->arena, request->served, request->http->method, request->http->path, &request->query,
	                   &request->route);
}

// Everything after this is in the audit log.
static const struct status *note(struct request *request)
{
	auditor_received(request);
	return NULL;
}

static const struct status *limit(struct request *request)
{
	if (audit_request_begin(request))
		return NULL;
	return status_too_many_requests(request->arena, 1, "Too many requests, please try again later.");
}

static const struct status *check_route(struct request *request)
{
	return request->route.is_resource ? route_check(request->arena, &request->route) : NULL;
}

static const struct status *negotiate(struct request *request)
{
	const struct route *route = &request->route;
	bool pretty = request->output.pretty;
	bool shapes = route->operation == OPERATION_GET || route->operation == OPERATION_LIST ||
	              route->operation == OPERATION_WATCH || route->operation == OPERATION_CREATE ||
	              route->operation == OPERATION_UPDATE || route->operation == OPERATION_PATCH ||
	              route->operation == OPERATION_DELETE || route->operation == OPERATION_DELETE_COLLECTION;
	const struct status *status;

	if (!route->is_resource || route->operation == OPERATION_CONNECT)
		return NULL;
	status = negotiate_output(
	        request->arena, http_request_header(request->http, "accept"),
	        (shapes && !reviews_is_route(route) ? NEGOTIATE_SHAPES : 0) |
	                (route->operation == OPERATION_WATCH ? NEGOTIATE_WATCH : 0) |
	                (protobuf_serves_type(body_kind_of_route(route).type) ? NEGOTIATE_PROTOBUF : 0),
	        &request->output);
	request->output.pretty = pretty && route->operation != OPERATION_WATCH;
	if (!request->output.content_type)
		request->output.content_type = "application/json";
	if (!status && route->resource->deprecation_warning)
		request_warn(request, route->resource->deprecation_warning);
	return status;
}

// The form of a failure's Status, known or not what was asked for: what the client takes, else JSON.
static void negotiate_failure(struct request *request)
{
	bool pretty = request->output.pretty;

	(void)negotiate_output(request->arena, http_request_header(request->http, "accept"), NEGOTIATE_PROTOBUF,
	                       &request->output);
	request->output.pretty = pretty;
}

static void run_operation(struct request *request)
{
	static void (*const operations[OPERATION_COUNT_])(struct request * request) = {
	        [OPERATION_GET] = registry_get,       [OPERATION_LIST] = registry_list,
	        [OPERATION_WATCH] = registry_watch,   [OPERATION_CREATE] = registry_create,
	        [OPERATION_UPDATE] = registry_update, [OPERATION_PATCH] = registry_patch,
	        [OPERATION_DELETE] = registry_delete, [OPERATION_DELETE_COLLECTION] = registry_delete_collection,
	        [OPERATION_CONNECT] = connect_serve,
	};

	if (!request->route.is_resource)
		nonresource_serve(request);
	else if (!subresources_serve(request) && !reviews_serve(request))
		operations[request->route.operation](request);
}

// One of the two: what answers at once, or what may have to wait and goes on by request_next.
struct stage {
	const struct status *(*check)(struct request *request);
	void (*start)(struct request *request);
};

void request_next(struct request *request, const struct status *failure)
{
	static const struct stage stages[] = {
	        {.check = parse_options},  {.start = authenticate}, {.check = parse_route},
	        {.start = impersonate},    {.check = note},         {.check = limit},
	        {.start = fairness_admit}, {.start = authorize},    {.start = aggregation_serve},
	        {.check = check_route},    {.check = negotiate},
	};

	while (!failure && request->next_stage < ARRAY_SIZE(stages)) {
		const struct stage *stage = &stages[request->next_stage++];

		if (stage->start) {
			stage->start(request);
			return;
		}
		failure = stage->check(request);
	}
	if (failure) {
		negotiate_failure(request);
		request_finish_status(request, failure);
		return;
	}
	run_operation(request);
}

void serve(void *context, struct http_exchange *exchange)
{
	request_next(request_new(context, exchange), NULL);
}
