// SPDX-License-Identifier: Apache-2.0

#include "apiserver/admission/posted.h"

#include <string.h>

#include "apiserver/admission/admission.h"
#include "apiserver/body.h"
#include "apiserver/server.h"
#include "common/api/object.h"

struct posted {
	struct change change;
	struct admission_wait wait;
	void (*serve)(struct request *request);
};

static void finish(struct posted *posted, const struct status *failure)
{
	struct request *request = posted->change.request;

	if (failure) {
		request_finish_status(request, failure);
		return;
	}
	request->admitted_body = posted->change.object;
	posted->serve(request);
}

static void on_judged(void *context, const struct status *failure)
{
	finish(context, failure);
}

static void on_changed(void *context, const struct status *failure)
{
	struct posted *posted = context;

	if (!failure)
		failure = admission_validate(&posted->change, ADMISSION_CREATE);
	if (failure)
		finish(posted, failure);
	else
		admission_wait(&posted->wait, &posted->change, ADMISSION_CREATE, ADMISSION_VALIDATE, on_judged, posted);
}

void admission_posted_start(struct request *request, void (*serve)(struct request *request))
{
	struct posted *posted = ARENA_NEW(request->arena, struct posted);
	const struct schema_resource *resource = request_resource(request);
	struct body_kind kind = body_kind_of_route(&request->route);
	struct json *object = NULL;
	const struct status *status;

	// Evictions still come in the form that clients of old clusters know.
	if (!strcmp(request->route.subresource_name, "eviction"))
		kind.older_version = "v1beta1";
	status = body_decode_object(request, &kind, &object);
	posted->serve = serve;
	posted->change = (struct change){
	        .request = request,
	        .server = request->server,
	        .arena = request->arena,
	        .resource = resource,
	        .subresource = request->route.subresource_name,
	        .object = object,
	        .name = request->route.name,
	        .namespace_name = resource->namespaced ? request->route.namespace_name : "",
	};
	if (!status && !request->route.name[0] && object_name(object))
		posted->change.name = object_name(object);
	if (!status)
		status = admission_mutate(&posted->change, ADMISSION_CREATE);
	if (status)
		finish(posted, status);
	else
		admission_wait(&posted->wait, &posted->change, ADMISSION_CREATE, ADMISSION_MUTATE, on_changed, posted);
}
