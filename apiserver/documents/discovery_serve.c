// SPDX-License-Identifier: Apache-2.0
// /api, /apis and what stands below them. Clients that ask for aggregated
// discovery (kubectl from 1.26 on) get one document for all groups.

#include "apiserver/documents/discovery_serve.h"

#include <string.h>
#include <strings.h>

#include "apiserver/aggregation/aggregation.h"
#include "apiserver/custom/served.h"
#include "apiserver/documents/documents.h"
#include "apiserver/server.h"
#include "common/api/discovery.h"
#include "common/base/memory.h"

static bool write_core_versions(struct request *request, struct strbuf *out)
{
	const struct server_config *config = request->server->config;

	discovery_write_core_versions(out, arena_printf(request->arena, "%s:%lld", config->advertise_address,
	                                                (long long)request->server->port));
	return true;
}

static bool write_groups(struct request *request, struct strbuf *out)
{
	size_t count;
	const struct schema_resource *const *resources = served_resources(request->served, &count);

	discovery_write_groups(out, resources, count);
	(void)aggregation_add_to_groups(request, out);
	return true;
}

// "/apis/GROUP[/VERSION]" and "/api/VERSION".
static void split_path(struct request *request, const char **ret_group, const char **ret_version)
{
	char *path = arena_strdup(request->arena, request->route.path);
	bool core = !strncmp(path, "/api/", 5);
	char *group = path + (core ? 5 : 6), *slash;
	size_t length = strlen(group);

	if (length && group[length - 1] == '/')
		group[length - 1] = '\0';
	slash = strchr(group, '/');
	if (core) {
		*ret_group = "";
		*ret_version = group;
		return;
	}
	if (slash)
		*slash = '\0';
	*ret_group = group;
	*ret_version = slash ? slash + 1 : "";
}

static bool write_group_or_version(struct request *request, struct strbuf *out)
{
	const char *group, *version;
	size_t count;
	const struct schema_resource *const *resources = served_resources(request->served, &count);

	split_path(request, &group, &version);
	if (!version[0]) {
		bool own = discovery_write_group(out, resources, count, group);

		return aggregation_write_group(request, group, out) || own;
	}
	return discovery_write_resources(out, resources, count, group, version);
}

// --- aggregated ------------------------------------------------------------------------------

static const char *aggregated_version(const struct request *request)
{
	const char *accept = http_request_header(request->http, "accept");

	if (!accept || !strstr(accept, "as=APIGroupDiscoveryList") || !strstr(accept, "g=apidiscovery.k8s.io"))
		return NULL;
	// The clauses come in the client's order; v2 first for all that know it.
	if (strstr(accept, "v=v2;") || strstr(accept, "v=v2,") || strstr(accept, "v=v2 ") ||
	    !strcmp(accept + strlen(accept) - 4, "v=v2"))
		return "v2";
	return strstr(accept, "v=v2beta1") ? "v2beta1" : NULL;
}

static bool write_aggregated(struct request *request, struct strbuf *out)
{
	bool core = !strncmp(request->route.path, "/api", 4) && strncmp(request->route.path, "/apis", 5);
	size_t count;
	const struct schema_resource *const *resources = served_resources(request->served, &count);

	discovery_write_aggregated(out, resources, count, core,
	                           arena_printf(request->arena, "apidiscovery.k8s.io/%s", aggregated_version(request)));
	if (!core)
		(void)aggregation_add_to_discovery(request, out);
	return true;
}

static void serve_from(struct documents *documents, struct request *request)
{
	const char *path = request->route.path;
	bool root =
	        !strcmp(path, "/api") || !strcmp(path, "/apis") || !strcmp(path, "/api/") || !strcmp(path, "/apis/");
	bool core = !strncmp(path, "/api", 4) && strncmp(path, "/apis", 5);
	const char *version = root ? aggregated_version(request) : NULL;

	if (version)
		documents_serve(documents, request, arena_printf(request->arena, "aggregated %s %d", version, core),
		                arena_printf(request->arena,
		                             "application/json;g=apidiscovery.k8s.io;v=%s;as=APIGroupDiscoveryList",
		                             version),
		                write_aggregated);
	else if (root)
		documents_serve(documents, request, core ? "core" : "groups", "application/json",
		                core ? write_core_versions : write_groups);
	else
		documents_serve(documents, request, arena_printf(request->arena, "path %s", path), "application/json",
		                write_group_or_version);
}

// What other servers add comes and goes with them: it isn't kept.
void discovery_serve_whole(struct request *request, void (*serve)(struct documents *documents, struct request *request))
{
	struct documents *documents = aggregation_is_used(request->server) ? documents_new() : NULL;

	serve(documents ? documents : served_documents(request->served), request);
	documents_free(documents);
}

void discovery_serve(struct request *request)
{
	discovery_serve_whole(request, serve_from);
}
