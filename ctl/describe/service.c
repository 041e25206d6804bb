// SPDX-License-Identifier: Apache-2.0
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/api/object.h"
#include "ctl/ctl.h"
#include "ctl/describe/describe.h"
#include "ctl/selection.h"

enum { MAX_SHOWN_ENDPOINTS = 3 };

static const char *joined(struct describer *describer, const struct json *list)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(65536);
	json_for_each_item (item, list)
		strbuf_printf(&text, "%s%s", text.length ? "," : "", scalar_text(describer, item));
	return text.length ? arena_strdup(describer->ctl->arena, strbuf_text(&text)) : NULL;
}

static struct json *endpoint_slices(struct describer *describer, const struct json *service)
{
	struct ctl *ctl = describer->ctl;
	struct rest_response response;
	const struct target slices = {
	        .resource = schema_find_resource("discovery.k8s.io", "v1", "endpointslices"),
	        .namespace_name = object_namespace(service),
	};
	const char *selector = ctl_printf(ctl, "kubernetes.io/service-name=%s", object_name(service));
	if (!describer->show_events ||
	    !list_all(ctl, &slices, query_add(ctl, NULL, "labelSelector", selector), NULL, 500, &response))
		return NULL;
	return json_get(response.object, "items");
}

static bool is_port_of(const struct json *slice_port, const char *name)
{
	const char *own = json_get_text(slice_port, "name");
	return strcmp(own ? own : "", name ? name : "") == 0;
}

static bool is_ready(const struct json *endpoint)
{
	return json_get_bool(json_get(endpoint, "conditions"), "ready", true);
}

// "10.0.0.1:80,10.0.0.2:80 + 2 more..."
static const char *endpoints_text(struct describer *describer, const struct json *slices, const char *port_name)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(65536);
	size_t count = 0;
	json_for_each_item (slice, slices) {
		json_for_each_item (port, json_get(slice, "ports")) {
			if (!is_port_of(port, port_name))
				continue;
			json_for_each_item (endpoint, json_get(slice, "endpoints")) {
				const struct json *addresses = json_get(endpoint, "addresses");
				if (!is_ready(endpoint) || !json_is(addresses, JSON_ARRAY) || !addresses->length)
					continue;
				const char *address = scalar_text(describer, addresses->items[0]);
				if (count++ < MAX_SHOWN_ENDPOINTS)
					strbuf_printf(&text, strchr(address, ':') ? "%s[%s]:%" PRId64 : "%s%s:%" PRId64,
					              count > 1 ? "," : "", address, number_of(port, "port", 0));
			}
		}
	}
	if (count > MAX_SHOWN_ENDPOINTS)
		strbuf_printf(&text, " + %zu more...", count - MAX_SHOWN_ENDPOINTS);
	return text.length ? arena_strdup(describer->ctl->arena, strbuf_text(&text)) : "<none>";
}

static void ports(struct describer *describer, const struct json *object)
{
	const struct json *slices = endpoint_slices(describer, object);
	json_for_each_item (port, json_path(object, "spec", "ports")) {
		const char *name = text_of(port, "name", "<unset>"), *protocol = text_of(port, "protocol", "TCP");
		const struct json *target = json_get(port, "targetPort");
		describe_line(describer, 0, "Port:\t%s\t%" PRId64 "/%s", name, number_of(port, "port", 0), protocol);
		describe_line(describer, 0, "TargetPort:\t%s/%s", scalar_text(describer, target), protocol);
		if (number_of(port, "nodePort", 0))
			describe_line(describer, 0, "NodePort:\t%s\t%" PRId64 "/%s", name,
			              number_of(port, "nodePort", 0), protocol);
		describe_line(describer, 0, "Endpoints:\t%s",
		              endpoints_text(describer, slices, json_get_text(port, "name")));
	}
}

static void ingress(struct describer *describer, const struct json *list)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(65536);
	json_for_each_item (item, list)
		strbuf_printf(&text, "%s%s", text.length ? ", " : "",
		              text_of(item, "ip", text_of(item, "hostname", "")));
	if (text.length)
		describe_line(describer, 0, "LoadBalancer Ingress:\t%s", strbuf_text(&text));
}

static const char *selector_text(struct describer *describer, const struct json *selector)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(65536);
	struct json *sorted =
	        json_clone(describer->ctl->arena, selector ? selector : json_object(describer->ctl->arena));
	json_sort_keys(sorted);
	json_for_each_member (member, sorted)
		strbuf_printf(&text, "%s%s=%s", text.length ? "," : "", member->key,
		              scalar_text(describer, member->value));
	return text.length ? arena_strdup(describer->ctl->arena, strbuf_text(&text)) : "<none>";
}

void describe_service(struct describer *describer, const struct json *object)
{
	const struct json *spec = json_get(object, "spec"), *metadata = json_get(object, "metadata");
	const char *families = joined(describer, json_get(spec, "ipFamilies")),
	           *ips = joined(describer, json_get(spec, "clusterIPs"));
	const char *external = joined(describer, json_get(spec, "externalIPs"));
	describe_names(describer, object);
	describe_map(describer, 0, "Labels", json_get(metadata, "labels"));
	describe_annotations(describer, 0, metadata);
	describe_line(describer, 0, "Selector:\t%s", selector_text(describer, json_get(spec, "selector")));
	describe_line(describer, 0, "Type:\t%s", text_of(spec, "type", "ClusterIP"));
	if (text_of(spec, "ipFamilyPolicy", NULL))
		describe_line(describer, 0, "IP Family Policy:\t%s", text_of(spec, "ipFamilyPolicy", ""));
	describe_line(describer, 0, "IP Families:\t%s", families ? families : "<none>");
	describe_line(describer, 0, "IP:\t%s", text_of(spec, "clusterIP", ""));
	describe_line(describer, 0, "IPs:\t%s", ips ? ips : "<none>");
	if (external)
		describe_line(describer, 0, "External IPs:\t%s", external);
	if (text_of(spec, "loadBalancerIP", NULL))
		describe_line(describer, 0, "Desired LoadBalancer IP:\t%s", text_of(spec, "loadBalancerIP", ""));
	if (text_of(spec, "externalName", NULL))
		describe_line(describer, 0, "External Name:\t%s", text_of(spec, "externalName", ""));
	ingress(describer, json_path(object, "status", "loadBalancer", "ingress"));
	ports(describer, object);
	describe_line(describer, 0, "Session Affinity:\t%s", text_of(spec, "sessionAffinity", "None"));
	if (text_of(spec, "externalTrafficPolicy", NULL))
		describe_line(describer, 0, "External Traffic Policy:\t%s", text_of(spec, "externalTrafficPolicy", ""));
	if (text_of(spec, "internalTrafficPolicy", NULL))
		describe_line(describer, 0, "Internal Traffic Policy:\t%s", text_of(spec, "internalTrafficPolicy", ""));
	if (number_of(spec, "healthCheckNodePort", 0))
		describe_line(describer, 0, "HealthCheck NodePort:\t%" PRId64,
		              number_of(spec, "healthCheckNodePort", 0));
	describe_events(describer, object);
}
