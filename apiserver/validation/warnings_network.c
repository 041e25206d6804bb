// SPDX-License-Identifier: Apache-2.0
// Addresses are taken in every form that Go's older parsers took, for the sake of
// stored objects; those that will be refused one day get a word, and the kinds of
// the network say theirs.

#include <string.h>

#include "apiserver/services/ip_range.h"
#include "apiserver/validation/warnings.h"

#define SLICE_OWNER "endpointslice.kubernetes.io/managed-by"

enum {
	RANGE_TEXT_BYTES = IP_TEXT_BYTES + 4,
};

void warn_about_ip(const struct change *change, const struct rule_path *path, const char *text)
{
	char wanted[IP_TEXT_BYTES];
	struct ip ip, strict;

	if (!text || !ip_parse_legacy(text, &ip))
		return;
	ip_format(&ip, wanted);
	if (!ip_parse(text, &strict) || strict.is_v6 != ip.is_v6)
		warn(change, path,
		     "non-standard IP address \"%s\" will be considered invalid in a future Kubernetes release: use "
		     "\"%s\"",
		     text, wanted);
	else if (ip.is_v6 && strcmp(wanted, text))
		warn(change, path, "IPv6 address \"%s\" should be in RFC 5952 canonical format (\"%s\")", text, wanted);
}

// The address before the "/", with all its bits.
static bool parse_base(const struct change *change, const char *text, struct ip *ret_ip)
{
	const char *slash = strchr(text, '/');

	return slash && ip_parse_legacy(arena_strndup(change->arena, text, (size_t)(slash - text)), ret_ip);
}

static bool is_strict(const char *text, const struct ip_range *legacy)
{
	struct ip_range range;

	return ip_range_parse(text, &range, NULL) == 0 && range.base.is_v6 == legacy->base.is_v6;
}

void warn_about_cidr(const struct change *change, const struct rule_path *path, const char *text)
{
	char wanted[RANGE_TEXT_BYTES], alone[IP_TEXT_BYTES];
	bool ambiguous, strict;
	struct ip_range range;
	struct ip base;

	if (!text || ip_range_parse_legacy(text, &range, NULL) < 0 || !parse_base(change, text, &base))
		return;
	ip_range_format(&range, wanted, sizeof wanted);
	ip_format(&base, alone);
	ambiguous = !ip_equal(&base, &range.base);
	strict = is_strict(text, &range);
	if (ambiguous)
		warn(change, path, "CIDR value \"%s\" is ambiguous in this context (should be \"%s\" or \"%s/%d\"?)",
		     text, wanted, alone, base.is_v6 ? 128 : 32);
	if (!strict)
		warn(change, path,
		     "non-standard CIDR value \"%s\" will be considered invalid in a future Kubernetes release: use "
		     "\"%s\"",
		     text, wanted);
	if (!ambiguous && strict && base.is_v6 && strcmp(wanted, text))
		warn(change, path, "IPv6 CIDR value \"%s\" should be in RFC 5952 canonical format (\"%s\")", text,
		     wanted);
}

static void warn_about_list(const struct change *change, const struct json *spec, const char *member,
                            void (*about)(const struct change *, const struct rule_path *, const char *))
{
	struct rule_path parent = FIELD(NULL, "spec"), path = FIELD(&parent, member);

	rule_for_each_item (value, entry, json_get(spec, member), &path)
		about(change, &entry, json_text(value));
}

void warn_about_service(const struct change *change)
{
	const struct json *spec = json_get(change->object, "spec");
	const char *address = text_of(spec, "clusterIP");
	struct rule_path path = FIELD(NULL, "spec"), balancer = FIELD(&path, "loadBalancerIP");
	bool is_name = text_is(spec, "type", "ExternalName");

	if (json_get(json_path(change->object, "metadata", "annotations"),
	             "service.kubernetes.io/topology-aware-hints"))
		warn(change, NULL,
		     "annotation service.kubernetes.io/topology-aware-hints is deprecated, please use "
		     "service.kubernetes.io/topology-mode instead");
	if (!is_name && address[0] && strcmp(address, "None"))
		warn_about_list(change, spec, "clusterIPs", warn_about_ip);
	warn_about_list(change, spec, "externalIPs", warn_about_ip);
	warn_about_ip(change, &balancer, text_of(spec, "loadBalancerIP"));
	warn_about_list(change, spec, "loadBalancerSourceRanges", warn_about_cidr);
	if (is_name && length_of(json_get(spec, "externalIPs")))
		warn(change, NULL, "spec.externalIPs is ignored when spec.type is \"ExternalName\"");
	if (!is_name && text_of(spec, "externalName")[0])
		warn(change, NULL, "spec.externalName is ignored when spec.type is not \"ExternalName\"");
}

void warn_about_load_balancer(const struct change *change)
{
	struct rule_path status = FIELD(NULL, "status"), balancer = FIELD(&status, "loadBalancer"),
	                 path = FIELD(&balancer, "ingress");

	rule_for_each_item (point, entry, json_path(change->object, "status", "loadBalancer", "ingress"), &path)
		warn_about_ip(change, &entry, text_of(point, "ip"));
}

// Controllers write whole addresses: theirs aren't looked at.
static bool is_owned_by(const struct change *change, const char *label, const char *owner)
{
	return text_is(json_path(change->object, "metadata", "labels"), label, owner);
}

void warn_about_endpoints(const struct change *change)
{
	static const char *const lists[] = {"addresses", "notReadyAddresses"};
	struct rule_path path = FIELD(NULL, "subsets");

	if (is_owned_by(change, "endpoints.kubernetes.io/managed-by", "endpoint-controller"))
		return;
	rule_for_each_item (subset, entry, json_get(change->object, "subsets"), &path) {
		for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
			struct rule_path list = FIELD(&entry, lists[i]);

			rule_for_each_item (address, item, json_get(subset, lists[i]), &list) {
				struct rule_path ip = FIELD(&item, "ip");

				warn_about_ip(change, &ip, text_of(address, "ip"));
			}
		}
	}
}

void warn_about_endpoint_slice(const struct change *change)
{
	struct rule_path path = FIELD(NULL, "endpoints");

	if (change_is_create(change) && text_is(change->object, "addressType", "FQDN"))
		warn(change, NULL, "spec.addressType: FQDN endpoints are deprecated");
	if (is_owned_by(change, SLICE_OWNER, "endpointslice-controller.k8s.io") ||
	    is_owned_by(change, SLICE_OWNER, "endpointslicemirroring-controller.k8s.io"))
		return;
	rule_for_each_item (endpoint, entry, json_get(change->object, "endpoints"), &path) {
		struct rule_path list = FIELD(&entry, "addresses");

		rule_for_each_item (address, item, json_get(endpoint, "addresses"), &list)
			warn_about_ip(change, &item, json_text(address));
	}
}

void warn_about_ingress(const struct change *change)
{
	const struct json *annotations = json_path(change->object, "metadata", "annotations");

	if (change_is_create(change) && json_get(annotations, "kubernetes.io/ingress.class") &&
	    !is_present(json_path(change->object, "spec", "ingressClassName")))
		warn(change, NULL,
		     "annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' "
		     "instead");
}

static void warn_about_blocks(const struct change *change, const char *rules_member, const char *peers_member)
{
	struct rule_path spec = FIELD(NULL, "spec"), rules = FIELD(&spec, rules_member);

	rule_for_each_item (rule, entry, json_path(change->object, "spec", rules_member), &rules) {
		struct rule_path peers = FIELD(&entry, peers_member);

		rule_for_each_item (peer, item, json_get(rule, peers_member), &peers) {
			struct rule_path block = FIELD(&item, "ipBlock"), cidr = FIELD(&block, "cidr"),
			                 except = FIELD(&block, "except");

			warn_about_cidr(change, &cidr, text_of(json_get(peer, "ipBlock"), "cidr"));
			rule_for_each_item (range, hole, json_path(peer, "ipBlock", "except"), &except)
				warn_about_cidr(change, &hole, json_text(range));
		}
	}
}

void warn_about_network_policy(const struct change *change)
{
	warn_about_blocks(change, "ingress", "from");
	warn_about_blocks(change, "egress", "to");
}
