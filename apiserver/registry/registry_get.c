// SPDX-License-Identifier: Apache-2.0

#include "apiserver/custom/conversion.h"
#include "apiserver/encoding/encode.h"
#include "apiserver/registry/read_options.h"
#include "apiserver/registry/registry.h"
#include "apiserver/registry/scale.h"
#include "apiserver/server.h"

static void on_object(void *context, struct stored_object *object, int64_t revision, const struct err *err)
{
	struct request *request = context;

	(void)revision;
	if (err)
		request_finish_status(
		        request, status_from_err(request->arena, err, request_resource(request), request->route.name));
	else if (scale_is_route(&request->route))
		scale_finish(request, object);
	else
		encode_finish_object(request, 200, object);
}

void registry_get(struct request *request)
{
	struct storage_read read;
	const struct status *status = read_options_get(request, &read);

	if (status)
		request_finish_status(request, status);
	else
		conversion_get(request->server, &read, request->loop, on_object, request);
}
