// SPDX-License-Identifier: Apache-2.0
// expose: a Service for the pods of a workload, a Service or a pod.

#include <stdlib.h>
#include <string.h>

#include "common/api/decode.h"
#include "common/api/object.h"
#include "ctl/commands/commands.h"
#include "ctl/ctl.h"
#include "ctl/errors.h"
#include "ctl/object_maker.h"
#include "ctl/selection.h"

static struct {
	struct selection_options selection;
	struct write_options write;
	const char *port, *protocol, *target_port, *type, *name, *labels, *selector, *cluster_ip, *session_affinity,
	        *external_ip;
} arg = {.write = WRITE_OPTIONS_INIT("kubectl-expose")};

static const struct option options[] = {
        MANIFEST_OPTION_ROWS(arg.selection.manifest),
        WRITE_OPTION_ROWS(arg.write),
        {"cluster-ip", 0, OPTION_STRING, &arg.cluster_ip, NULL, "", "Address of the Service; None for a headless one"},
        {"external-ip", 0, OPTION_STRING, &arg.external_ip, NULL, "", "A further address"},
        {"labels", 'l', OPTION_STRING, &arg.labels, NULL, "", "Labels of the Service: KEY=VALUE,…"},
        {"name", 0, OPTION_STRING, &arg.name, NULL, "", "Name of the Service; default: the object's"},
        {"port", 0, OPTION_STRING, &arg.port, NULL, "", "Port of the Service; default: those of the containers"},
        {"protocol", 0, OPTION_STRING, &arg.protocol, NULL, "", "TCP, UDP or SCTP"},
        {"selector", 0, OPTION_STRING, &arg.selector, NULL, "", "Selector of the Service: KEY=VALUE,…"},
        {"session-affinity", 0, OPTION_STRING, &arg.session_affinity, NULL, "", "None or ClientIP"},
        {"target-port", 0, OPTION_STRING, &arg.target_port, NULL, "", "Port of the pods, by number or name"},
        {"type", 0, OPTION_STRING, &arg.type, NULL, "", "ClusterIP, NodePort, LoadBalancer or ExternalName"},
        {0},
};

// The labels that select the object's pods; NULL when there are none (reported).
static struct json *selector_of(struct ctl *ctl, const struct target *target)
{
	struct json *map = json_object(ctl->arena);
	const struct json *selector = json_path(target->object, "spec", "selector");
	if (arg.selector)
		return object_parse_map(ctl, arg.selector, map) ? map : NULL;
	if (strcmp(target->resource->kind, "Pod") == 0)
		selector = json_path(target->object, "metadata", "labels");
	else if (json_get(selector, "matchLabels"))
		selector = json_get(selector, "matchLabels");
	if (!json_is(selector, JSON_OBJECT) || !selector->length) {
		report(ctl,
		       "couldn't retrieve selectors via --selector flag or introspection: the %s has no pod selector "
		       "set",
		       target->resource->singular);
		return NULL;
	}
	return json_clone(ctl->arena, selector);
}

static struct json *port_value(struct ctl *ctl, const char *text)
{
	return strspn(text, "0123456789") == strlen(text) ? json_integer(ctl->arena, strtoll(text, NULL, 10))
	                                                  : json_string(ctl->arena, text);
}

static void add_port(struct ctl *ctl, struct json *ports, const char *name, struct json *number, const char *protocol)
{
	struct json *port = json_object(ctl->arena);
	if (name)
		json_set_text(ctl->arena, port, "name", name);
	json_set(ctl->arena, port, "port", number);
	json_set_text(ctl->arena, port, "protocol", arg.protocol ? arg.protocol : protocol);
	json_set(ctl->arena, port, "targetPort",
	         arg.target_port ? port_value(ctl, arg.target_port) : json_clone(ctl->arena, number));
	json_append(ctl->arena, ports, port);
}

static void add_container_ports(struct ctl *ctl, const struct target *target, struct json *ports)
{
	const struct json *spec = json_get(target->object, "spec"), *inner = json_path(spec, "template", "spec");
	json_for_each_item (container, json_get(inner ? inner : spec, "containers"))
		json_for_each_item (port, json_get(container, "ports")) {
			const char *protocol = json_get_text(port, "protocol");
			add_port(ctl, ports, NULL, json_clone(ctl->arena, json_get(port, "containerPort")),
			         protocol ? protocol : "TCP");
		}
	json_for_each_item (port, json_get(spec, "ports")) // of a Service
		add_port(ctl, ports, NULL, json_clone(ctl->arena, json_get(port, "port")), "TCP");
	for (size_t i = 0; ports->length > 1 && i < ports->length; i++)
		json_set_text(ctl->arena, ports->items[i], "name", ctl_printf(ctl, "port-%zu", i + 1));
}

static bool add_ports(struct ctl *ctl, const struct target *target, struct json *ports)
{
	char *rest = arg.port ? arena_strdup(ctl->arena, arg.port) : NULL;
	bool several = arg.port && strchr(arg.port, ',');
	for (char *word; rest && (word = strsep(&rest, ","));)
		add_port(ctl, ports, several ? ctl_printf(ctl, "port-%u", ports->length + 1) : NULL,
		         port_value(ctl, word), "TCP");
	if (!arg.port)
		add_container_ports(ctl, target, ports);
	if (!ports->length)
		report(ctl, "couldn't find port via --port flag or introspection");
	return ports->length > 0;
}

static struct json *make_service(struct ctl *ctl, const struct target *target)
{
	struct json *service = object_new(ctl, "v1", "Service", arg.name ? arg.name : target->name);
	struct json *spec = json_ensure_object(ctl->arena, service, "spec"), *metadata = json_get(service, "metadata");
	struct json *selector = selector_of(ctl, target), *labels = json_path(target->object, "metadata", "labels");
	if (!selector || !add_ports(ctl, target, json_ensure_array(ctl->arena, spec, "ports")))
		return NULL;
	json_set(ctl->arena, spec, "selector", selector);
	if (arg.labels && !object_parse_map(ctl, arg.labels, json_ensure_object(ctl->arena, metadata, "labels")))
		return NULL;
	if (!arg.labels && labels)
		json_set(ctl->arena, metadata, "labels", json_clone(ctl->arena, labels));
	if (arg.type)
		json_set_text(ctl->arena, spec, "type", arg.type);
	if (arg.cluster_ip)
		json_set_text(ctl->arena, spec, "clusterIP", arg.cluster_ip);
	if (arg.session_affinity)
		json_set_text(ctl->arena, spec, "sessionAffinity", arg.session_affinity);
	if (arg.external_ip)
		json_append(ctl->arena, json_ensure_array(ctl->arena, spec, "externalIPs"),
		            json_string(ctl->arena, arg.external_ip));
	schema_fill_shape(ctl->arena, schema_find_resource("", "v1", "services")->type, service);
	return service;
}

static void expose(struct ctl *ctl, struct writer *writer, const struct target *target)
{
	struct rest_response response;
	struct target service = {
	        .resource = schema_find_resource("", "v1", "services"),
	        .namespace_name = target->namespace_name,
	        .object = make_service(ctl, target),
	};
	if (!service.object)
		return;
	service.name = object_name(service.object);
	if (writer->dry_run == DRY_RUN_CLIENT)
		writer_tell(ctl, writer, &service, service.object, "exposed");
	else if (write_create(ctl, writer, &service, service.object, &response))
		writer_tell(ctl, writer, &service, response.object, "exposed");
	else
		report_response(ctl, &response, NULL);
}

static bool can_be_exposed(const char *kind)
{
	static const char *const kinds[] = {"Pod", "Service", "ReplicationController", "Deployment", "ReplicaSet"};
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (strcmp(kinds[i], kind) == 0)
			return true;
	return false;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	struct target_list targets = {0};
	struct writer writer;
	arg.write.validate = NULL;
	if (!writer_init(ctl, &arg.write, &writer) || !selection_fetch(ctl, &arg.selection, argc, argv, &targets))
		return EXIT_PROBLEM;
	for (size_t i = 0; i < targets.count; i++) {
		const struct target *target = &targets.items[i];
		if (can_be_exposed(target->resource->kind))
			expose(ctl, &writer, target);
		else
			report(ctl, "cannot expose a %s", target->resource->kind);
	}
	return EXIT_OK;
}

const struct command command_expose = {
        .name = "expose",
        .group = COMMAND_BASIC_BEGINNER,
        .summary =
                "Take a replication controller, service, deployment or pod and expose it as a new Kubernetes service",
        .usage = "(-f FILENAME | TYPE NAME) [--port=port] [--protocol=TCP|UDP|SCTP] [--target-port=number-or-name] "
                 "[--name=name] [--type=type]",
        .options = options,
        .run = run,
};
