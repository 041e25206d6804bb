// SPDX-License-Identifier: Apache-2.0
// OpenAPI: version 2 in JSON or protobuf by Accept (older kubectls validate with
// it), version 3 as an index and a document for each group and version.

#include <string.h>

#include "apiserver/aggregation/aggregation.h"
#include "apiserver/custom/served.h"
#include "apiserver/documents/discovery_serve.h"
#include "apiserver/documents/documents.h"
#include "apiserver/server.h"
#include "common/api/openapi.h"

static bool write_v2(struct request *request, struct strbuf *out)
{
	size_t count;
	const struct schema_resource *const *resources = served_resources(request->served, &count);

	openapi_write_v2(out, resources, count);
	return true;
}

static bool write_v2_protobuf(struct request *request, struct strbuf *out)
{
	size_t count;
	const struct schema_resource *const *resources = served_resources(request->served, &count);

	openapi_write_v2_protobuf(out, resources, count);
	return true;
}

static bool write_v3_index(struct request *request, struct strbuf *out)
{
	size_t count;
	const struct schema_resource *const *resources = served_resources(request->served, &count);

	openapi_write_v3_index(out, resources, count);
	(void)aggregation_add_to_openapi_v3(request, out);
	return true;
}

// "/openapi/v3/api/v1", "/openapi/v3/apis/GROUP/VERSION", or one of the fixed ones.
static bool write_v3(struct request *request, struct strbuf *out)
{
	char *path = arena_strdup(request->arena, request->route.path + strlen("/openapi/v3/"));
	char *group = "", *version;
	size_t count;
	const struct schema_resource *const *resources = served_resources(request->served, &count);

	if (openapi_write_v3_fixed(out, resources, count, path))
		return true;
	if (!strncmp(path, "api/", 4)) {
		version = path + 4;
	} else if (!strncmp(path, "apis/", 5)) {
		group = path + 5;
		version = strchr(group, '/');
		if (!version)
			return false;
		*version++ = '\0';
	} else {
		return false;
	}
	return !strchr(version, '/') && openapi_write_v3(out, resources, count, group, version);
}

void discovery_serve_openapi_v2(struct request *request)
{
	const char *accept = http_request_header(request->http, "accept");
	bool protobuf = accept && strstr(accept, OPENAPI_V2_PROTOBUF_ACCEPT);

	documents_serve(served_documents(request->served), request, protobuf ? "openapi v2 protobuf" : "openapi v2",
	                protobuf ? OPENAPI_V2_PROTOBUF_TYPE : "application/json",
	                protobuf ? write_v2_protobuf : write_v2);
}

static void serve_index(struct documents *documents, struct request *request)
{
	documents_serve(documents, request, "openapi v3", "application/json", write_v3_index);
}

void discovery_serve_openapi_v3(struct request *request)
{
	const char *path = request->route.path;

	if (!strcmp(path, "/openapi/v3") || !strcmp(path, "/openapi/v3/"))
		discovery_serve_whole(request, serve_index);
	else
		documents_serve(served_documents(request->served), request,
		                arena_printf(request->arena, "path %s", path), "application/json", write_v3);
}
