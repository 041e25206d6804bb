// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "common/api/object.h"
#include "ctl/commands/commands.h"
#include "ctl/ctl.h"
#include "ctl/errors.h"
#include "ctl/selection.h"

static void print_service(struct ctl *ctl, const char *name, const char *address)
{
	bool colour = fileno(ctl->out) >= 0 && isatty(fileno(ctl->out));
	fprintf(ctl->out, colour ? "\033[0;32m%s\033[0m is running at \033[0;33m%s\033[0m\n" : "%s is running at %s\n",
	        name, address);
}

static const char *proxy_address(struct ctl *ctl, const struct json *service)
{
	const struct json *ports = json_path(service, "spec", "ports");
	const char *port = json_is(ports, JSON_ARRAY) && ports->length ? json_get_text(ports->items[0], "name") : NULL;
	return ctl_printf(ctl, "%s/api/v1/namespaces/%s/services/%s%s%s/proxy", ctl->config.server,
	                  object_namespace(service), object_name(service), port ? ":" : "", port ? port : "");
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	(void)argc, (void)argv;
	struct rest_response response;
	const struct target services = {
	        .resource = schema_find_resource("", "v1", "services"),
	        .namespace_name = ctl_namespace_is_explicit(ctl) ? ctl_namespace(ctl) : "kube-system",
	};
	const char *query = query_add(ctl, NULL, "labelSelector", "kubernetes.io/cluster-service=true");
	if (!list_all(ctl, &services, query, NULL, 500, &response))
		return report_response(ctl, &response, NULL);
	print_service(ctl, "Kubernetes control plane", ctl->config.server);
	json_for_each_item (service, json_get(response.object, "items")) {
		const char *name = json_text(json_path(service, "metadata", "labels", "kubernetes.io/name"));
		print_service(ctl, name ? name : object_name(service), proxy_address(ctl, service));
	}
	fprintf(ctl->out, "\nTo further debug and diagnose cluster problems, use '%s cluster-info dump'.\n",
	        ctl->program);
	return EXIT_OK;
}

const struct command command_cluster_info = {
        .name = "cluster-info",
        .group = COMMAND_CLUSTER,
        .summary = "Display cluster information",
        .run = run,
};
