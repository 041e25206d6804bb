// SPDX-License-Identifier: Apache-2.0
// What a request needs the right to: the verb from its method, and "nodes" with a
// subresource from its path. Since Kubernetes 1.33 (KubeletFineGrainedAuthz) some paths
// that were "proxy" have one of their own, which is tried first.

#include <string.h>

#include "kubelet/server/server_internal.h"

static const char *verb_of(const char *method)
{
	static const struct {
		const char *method;
		const char *verb;
	} rows[] = {
	        {"POST", "create"}, {"GET", "get"},     {"HEAD", "get"},
	        {"PUT", "update"},  {"PATCH", "patch"}, {"DELETE", "delete"},
	};
	for (size_t index = 0; index < ARRAY_SIZE(rows); index++)
		if (!strcmp(rows[index].method, method))
			return rows[index].verb;
	return "";
}

static const struct {
	const char *path; // and what is below it
	const char *subresource;
	bool or_proxy;
} paths[] = {
        {"/stats", "stats", false},           {"/metrics", "metrics", false}, {"/logs", "log", false},
        {"/checkpoint", "checkpoint", false}, {"/pods", "pods", true},        {"/runningpods", "pods", true},
        {"/healthz", "healthz", true},        {"/configz", "configz", true},
};

static bool is_below(const char *path, const char *folder)
{
	size_t length = strlen(folder);
	return !strncmp(path, folder, length) && (!path[length] || path[length] == '/');
}

size_t server_attributes(const struct http_request *request, const char *node_name,
                         struct delegated_attributes ret_attributes[2])
{
	struct delegated_attributes attributes = {
	        .verb = verb_of(request->method),
	        .version = "v1",
	        .resource = "nodes",
	        .subresource = "proxy",
	        .name = node_name,
	};
	size_t count = 0;
	for (size_t index = 0; index < ARRAY_SIZE(paths); index++) {
		if (!is_below(request->path, paths[index].path))
			continue;
		ret_attributes[count] = attributes;
		ret_attributes[count++].subresource = paths[index].subresource;
		if (!paths[index].or_proxy)
			return count;
		break;
	}
	ret_attributes[count++] = attributes;
	return count;
}
